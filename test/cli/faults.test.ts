import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pullCommand } from '../../src/cli/pull.js';
import { pullServeCommand } from '../../src/cli/pull-serve.js';
import { pushCommand } from '../../src/cli/push.js';
import { relayCommand } from '../../src/cli/relay.js';
import { serveCommand } from '../../src/cli/serve.js';
import { defaultConfig, type ServerConfig } from '../../src/server/config.js';
import { MediaServer } from '../../src/server/server.js';
import { faultTable } from '../../src/testing/fault-plan.js';
import { newFolder, removeFolders, runCommand } from './run.js';

const STREAM = 'synthetic:seed=5,duration=2';

afterAll(removeFolders);

/** A server with faults. */
function faultyServer(faults: string, more: Partial<ServerConfig> = {}): Promise<MediaServer> {
  return MediaServer.start({ ...defaultConfig(), host: '127.0.0.1', httpPort: 0, faults, ...more });
}

describe('--fault', () => {
  it('is described in the documentation as in the table', () => {
    const docs = readFileSync(new URL('../../docs/testing.md', import.meta.url), 'utf8');
    for (const [name, { hook, form, does }] of Object.entries(faultTable)) {
      const value = form.replaceAll(/[^ ,]*\d[^ ,]*/g, (each) => `\`${each}\``);
      expect(docs).toContain(`| \`${name}\` | ${hook} | ${value === '' ? '' : `${value} `}| ${does} |`);
    }
  });

  it('of a relay loses the same packets each time', async () => {
    const folder = newFolder();
    const lengths = [];
    for (const name of ['a.asf', 'b.asf']) {
      const path = join(folder, name);
      const { error } = await runCommand(relayCommand(), STREAM, path, '--fault', 'lose=20%', '--fault', 'seed=3');
      expect(error).toBeUndefined();
      lengths.push(readFileSync(path));
    }
    expect(lengths[0]!.equals(lengths[1]!)).toBe(true);
    const { events } = await runCommand(pullCommand(), '--json', STREAM, '-o', join(folder, 'all.asf'));
    const packets = Number(events.find(({ event }) => event === 'done')?.['packets']);
    expect(lengths[0]!.length).toBeLessThan(packets * 1450 * 0.95);
  });

  it('of a push loses packets on the way to the server', async () => {
    const server = await faultyServer('change=1000');
    try {
      const url = `${server.baseUrl}/live`;
      const { error } = await runCommand(pushCommand(), '-i', STREAM, '--fault', 'lose=1/2', url);
      expect(error).toBeUndefined();
      expect(server.stats().packetsIn).toBe(33);
    } finally {
      await server.close();
    }
  });

  it('of a server refuses requests', async () => {
    const server = await faultyServer('refuse=503:1/2');
    try {
      const statuses = [];
      for (let request = 0; request < 4; request++) statuses.push((await fetch(`${server.baseUrl}/`)).status);
      expect(statuses).toEqual([404, 503, 404, 503]);
    } finally {
      await server.close();
    }
  });

  it('of a server loses packets for its players', async () => {
    const folder = newFolder();
    await runCommand(pullCommand(), STREAM, '-o', join(folder, 'film.asf'));
    const server = await faultyServer('lose=1/2', { content: { folder } });
    try {
      const url = `${server.baseUrl.replace('http', 'mmsh')}/film.asf`;
      const { events } = await runCommand(pullCommand(), '--json', url, '-o', join(folder, 'received.asf'));
      expect(events.find(({ event }) => event === 'done')).toMatchObject({ packets: 33 });
    } finally {
      await server.close();
    }
  });

  it.each(['rtspu', 'mmsu'])(
    'of a server loses datagrams for its players by %s, who ask for them again',
    async (scheme) => {
      const folder = newFolder();
      await runCommand(pullCommand(), STREAM, '-o', join(folder, 'film.asf'));
      const ports = { rtsp: { port: 0 }, mms: { port: 0 } };
      const server = await faultyServer('lose=1/5', { content: { folder }, ...ports });
      try {
        const port = scheme === 'rtspu' ? server.ports.rtsp : server.ports.mms;
        const url = `${scheme}://127.0.0.1:${port}/film.asf`;
        const { events, error } = await runCommand(pullCommand(), '--json', url, '-o', join(folder, 'received.asf'));
        expect(error).toBeUndefined();
        const done = events.find(({ event }) => event === 'done')!;
        expect(done['recoveredPackets']).toBeGreaterThan(5);
      } finally {
        await server.close();
      }
    },
    20_000,
  );

  it.each([
    [pushCommand(), ['--fault', 'refuse=503', 'http://127.0.0.1:1/x'], /a push answers no requests/],
    [relayCommand(), [STREAM, '/dev/null', '--fault', 'cut=5'], /it is about connections/],
    [pullServeCommand(), ['--fault', 'header=5'], /use it with wmpush/],
    [serveCommand(), ['--fault', 'header=5'], /use it with wmpush/],
    [serveCommand(), ['--fault', 'lose'], /a share of the packets/],
  ])('that has no effect is refused', async (command, args, message) => {
    const { error } = await runCommand(command, ...args);
    expect(error).toMatchObject({ message: expect.stringMatching(message) });
  });
});
