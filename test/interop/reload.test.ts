import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stopAll } from './support/child.js';
import { Server } from './support/commands.js';
import { newFolder, removeFolders } from './support/content.js';

afterAll(async () => {
  await stopAll();
  removeFolders();
});

describe('wmcast serve --config', () => {
  it('reads the file again when it changes and at SIGHUP, keeps a player, and survives mistakes', async () => {
    const file = join(newFolder(), 'serve.yaml');
    await writeFile(file, 'points: [{ path: /a }]\nmsbd: { port: none }\n');
    const server = await Server.start('--config', file);
    await server.publish('/live', '--size', '160x120');
    const abort = new AbortController();
    const response = await fetch(server.url('/live.asf'), { signal: abort.signal });
    const stream = response.body!.getReader();
    const flows = async () => expect((await stream.read()).done).toBe(false);
    await flows();

    let reload = server.next('reload');
    await writeFile(file, 'points: [{ path: /a }, { path: /b }]\nmsbd: { port: none }\nlimits: { players: 7 }\n');
    expect(await reload).toMatchObject({ added: ['/b'], changed: ['limits.players'], restart: [] });
    await flows();

    await writeFile(file, 'points: [{ path: b }]\nnonsense: 1\n');
    const warning = await server.until('the mistakes', () =>
      server.log.find((line) => line.includes('points[0].path')),
    );
    expect(warning).toMatch(/serve\.yaml:1:12: points\[0\]\.path: must be a path such as \/live\./);
    await server.until('the rest', () =>
      server.log.find((line) => line.includes('The configuration stays as it was.')),
    );
    expect(server.log.find((line) => line.includes('has no field "nonsense"'))).toBeDefined();

    await writeFile(file, 'points: [{ path: /b }]\nmsbd: { port: none }\n');
    reload = server.next('reload');
    process.kill(server.pid!, 'SIGHUP');
    expect(await reload).toMatchObject({ removed: ['/a'], changed: ['limits.players'] });
    await flows();
    expect(server.exit).toBeUndefined();
    abort.abort();
  });

  it('ends at SIGHUP without a configuration', async () => {
    const server = await Server.start('--msbd-port', 'none');
    process.kill(server.pid!, 'SIGHUP');
    expect((await server.exited).code).toBe(129);
  });
});
