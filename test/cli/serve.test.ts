import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { placesOf, playedSentence, pushBase, serveCommand } from '../../src/cli/serve.js';
import { defaultConfig } from '../../src/server/config.js';
import { newFolder, removeFolders, runCommand } from './run.js';

afterAll(removeFolders);

const LOOPBACK = ['--host', '127.0.0.1', '--http-port', '0'];

describe('the messages of wmcast serve', () => {
  it('name all addresses and ports that it listens on', () => {
    expect(placesOf(undefined, { http: 8080, msbd: 7007 })).toBe('all addresses: HTTP 8080, MSBD 7007');
    expect(placesOf('::', { https: 8443 })).toBe('all addresses: HTTPS 8443');
    expect(placesOf('127.0.0.1', { http: 80 })).toBe('127.0.0.1: HTTP 80');
  });

  it('sum up a player that has left', () => {
    const report = {
      remoteAddress: '192.0.2.7',
      path: '/live',
      milliseconds: 62_500,
      bytes: 3_400_000,
      skippedPackets: 0,
    };
    const session = { role: 'player', protocol: 'WMSP', transport: 'tcp', client: 'x', id: '1', packets: 9 } as const;
    expect(playedSentence({ ...session, ...report })).toBe('192.0.2.7 played /live for 0:01:02, 3.40 MB');
    expect(playedSentence({ ...session, ...report, skippedPackets: 12 })).toMatch(/, 12 packets left out$/);
  });
});

describe('wmcast serve', () => {
  it('does not start with a missing content folder, wherever it is named', async () => {
    const folder = newFolder();
    const file = join(folder, 'serve.yaml');
    writeFileSync(file, `content:\n  folder: ${join(folder, 'nowhere')}\n`);
    for (const args of [
      ['--content', join(folder, 'nowhere')],
      ['--content', file],
      ['--config', file],
    ]) {
      const { error } = await runCommand(serveCommand(), ...LOOPBACK, ...args);
      expect(error).toMatchObject({ code: 'WM_CONFIG', exitCode: 78, message: expect.stringContaining(folder) });
    }
  });

  it('explains why a configuration or an address is unusable', async () => {
    const missing = await runCommand(serveCommand(), '--config', '/nowhere/serve.yaml');
    expect(missing.error).toMatchObject({
      code: 'WM_CONFIG',
      message: 'The configuration /nowhere/serve.yaml cannot be read: no such file or folder (ENOENT).',
    });
    // An address reserved for documentation, which no host has.
    const foreign = await runCommand(serveCommand(), '--host', '192.0.2.77', '--http-port', '0');
    expect(foreign.error).toMatchObject({
      code: 'WM_FAILED',
      message: 'Cannot listen on 192.0.2.77:0: this host does not have that address.',
    });
  });

  it('logs as text or JSON only', async () => {
    const { error } = await runCommand(serveCommand(), '--log-format', 'xml');
    expect(error).toMatchObject({ code: 'commander.invalidArgument' });
  });

  it('names localhost for pushes if it accepts them from this host only', () => {
    const config = defaultConfig();
    expect(pushBase(config, 'http://192.0.2.7:8080')).toBe('http://localhost:8080');
    expect(pushBase({ ...config, host: '0.0.0.0' }, 'http://192.0.2.7')).toBe('http://localhost');
    expect(pushBase(config, 'https://192.0.2.7:8443')).toBe('https://localhost:8443');
    expect(pushBase({ ...config, host: '192.0.2.7' }, 'http://192.0.2.7:8080')).toBeUndefined();
    expect(pushBase({ ...config, users: 'users.json' }, 'http://192.0.2.7:8080')).toBeUndefined();
  });
});
