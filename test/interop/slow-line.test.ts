import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { slowness } from '../support/patience.js';
import { Child } from './support/child.js';
import { newFolder } from './support/content.js';
import { namespaces } from './support/namespaces.js';
import { itNeeds, program } from './support/programs.js';

const BENCH = fileURLToPath(new URL('../../bench/adaptation.mjs', import.meta.url));
/** The line in kbit/s, when it begins to be slow, and the latest for its end and for that of the players, in s. */
const LINE = ['550', '4,60,120'];
/** In ms. */
const PATIENCE = 200_000;

interface Figures {
  readonly players: ReadonlyArray<Readonly<Record<string, unknown>>>;
}

describe('players of a broadcast whose lines become slow and good again', () => {
  const folder = newFolder();

  itNeeds([...namespaces, program('tc')], 'get the lower rate and then both again, over every protocol', async () => {
    const file = join(folder, 'adaptation.json');
    const bench = new Child(process.execPath, [BENCH, '--json', file, '--only', 'live', '--until-more', ...LINE]);
    const end = await bench.ends(PATIENCE);
    expect([end, bench.log]).toEqual([{ code: 0, signal: null }, expect.anything()]);
    const { players } = JSON.parse(await readFile(file, 'utf8')) as Figures;
    expect(players.map(({ name }) => name)).toEqual(['mmsh live', 'rtspt live', 'mmst live']);
    for (const player of players) {
      expect(player).not.toHaveProperty('failure');
      expect(player['less after (s)']).toBeGreaterThan(0);
      expect(player['more after (s)']).toBeGreaterThan(0);
      expect(player['paused (s)']).toBeLessThan(5 * slowness());
    }
  });
});
