import { fileURLToPath } from 'node:url';
import { Child } from './support/child.js';
import { namespaces } from './support/namespaces.js';
import { itNeeds, program } from './support/programs.js';

const SCRIPT = fileURLToPath(new URL('../../bench/cluster-rounds.mjs', import.meta.url));
/** The owner, another node and a nats-server are killed; bench/cluster-rounds.mjs --rounds 100 does more. */
const ROUNDS = 3;

describe('a cluster on three hosts, each with a nats-server', () => {
  itNeeds(
    [...namespaces, program('nats-server')],
    'survives the death of the owner, of another node and of a nats-server, with nothing twice for those who play',
    async () => {
      const rounds = new Child(process.execPath, [SCRIPT, '--rounds', String(ROUNDS), '--seed', '0']);
      const { code } = await rounds.ends();
      const done = JSON.parse(rounds.output.at(-1) ?? '{}') as Record<string, unknown>;
      expect({ code, ...done }).toMatchObject({ code: 0, event: 'done', rounds: ROUNDS, failed: '' });
    },
  );
});
