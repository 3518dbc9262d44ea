import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../support/until.js';
import { PATIENCE, stopAll } from './support/child.js';
import { Server } from './support/commands.js';
import { newFolder, removeFolders } from './support/content.js';
import { FfmpegPlayer } from './support/players.js';
import { itNeeds, program } from './support/programs.js';

describe('the hooks in a configuration', () => {
  afterAll(async () => {
    await stopAll();
    removeFolders();
  });

  itNeeds([program('grep')], 'refuse an encoder and a player, and learn which ones got in', async () => {
    const folder = newFolder();
    const file = join(folder, 'serve.yaml');
    const script = join(folder, 'decide');
    await writeFile(script, '#!/bin/sh\nif grep -q /closed; then echo closed today >&2; exit 1; fi\n');
    await chmod(script, 0o755);
    await writeFile(
      file,
      `hooks:
  - { on: [publish, play], decides: true, run: ${script} }
  - { on: [play, stop], run: [sh, -c, 'cat >> ${join(folder, 'events')}'] }
`,
    );
    const server = await Server.start('--config', file);
    const refused = server.push('/closed', '--retry', '0');
    expect((await refused.exited).code).not.toBe(0);
    const push = await server.publish('/open');
    const player = new FfmpegPlayer(server.url('/open', 'mmsh'));
    await player.decodes(10, 0.5);
    await player.stop();
    const events = await until(
      'two events',
      async () => {
        const lines = (await readFile(join(folder, 'events'), 'utf8').catch(() => '')).trim().split('\n');
        return lines.length === 2 && lines.map((line) => JSON.parse(line) as object);
      },
      PATIENCE,
    );
    expect(events).toMatchObject([
      { event: 'play', path: '/open', protocol: 'WMSP' },
      { event: 'stop', path: '/open' },
    ]);
    await push.stop();
    await server.stop();
  });
});
