import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { judgeCommand } from '../../src/cli/judge.js';
import { relayCommand } from '../../src/cli/relay.js';
import { defaultConfig } from '../../src/server/config.js';
import { MediaServer } from '../../src/server/server.js';
import { newFolder, removeFolders, runCommand, runProgram } from './run.js';

afterAll(removeFolders);

describe('wmcast judge server', () => {
  it('reports to people, scripts and continuous integration, and fails for a broken rule', async () => {
    const folder = newFolder();
    await runCommand(relayCommand(), 'synthetic:duration=2', join(folder, 'film.asf'));
    const config = { ...defaultConfig(), host: '127.0.0.1', httpPort: 0, content: { folder }, faults: 'flags=1/9' };
    const server = await MediaServer.start(config);
    try {
      const junit = join(folder, 'report.xml');
      const record = join(folder, 'record');
      const { exitCode, log, events } = await runProgram(
        judgeCommand(),
        ...['server', `${server.baseUrl}/film.asf`, '-t', '1s', '--json', '--junit', junit, '--record', record],
      );
      expect(exitCode).toBe(1);
      expect(log).toMatch(/The server breaks 1 rules: sequence\./);
      const rules = events.filter(({ event }) => event === 'rule');
      expect(rules.length).toBeGreaterThan(60);
      expect(rules.find((each) => each['rule'] === 'sequence')).toMatchObject({
        section: 'MS-WMSP 2.2.3.1.2',
        outcome: 'broken',
        findings: expect.arrayContaining([expect.objectContaining({ expected: expect.stringMatching(/^\d+$/) })]),
      });
      expect(events.at(-2)).toMatchObject({ event: 'done', role: 'server', broken: 2 });
      expect(readFileSync(junit, 'utf8')).toContain('failures="1"');
      const first = readFileSync(join(record, '001-client.bin'), 'latin1');
      expect(first).toMatch(/^GET \/film\.asf HTTP\/1\.0\r\n/);
      expect(readdirSync(record).length % 2).toBe(0);
    } finally {
      await server.close();
    }
  }, 30_000);

  it.each([
    ['rtsp://127.0.0.1/x', 2, /cannot be judged/],
    ['http://127.0.0.1:1/x', 69, /Nobody answers at http:\/\/127\.0\.0\.1:1\/x/],
  ])('ends with %s', async (url, code, message) => {
    const { exitCode, log } = await runProgram(judgeCommand(), 'server', url);
    expect(exitCode).toBe(code);
    expect(log).toMatch(message);
  });
});

describe('wmcast judge encoder', () => {
  it('starts the encoder that is given, and ends it properly', async () => {
    const encoder = [process.execPath, 'bin/wmpush.js', '-q', '-i', 'synthetic:video=60k', '{url}'];
    const { exitCode, events, log } = await runProgram(
      judgeCommand(),
      ...['encoder', '-t', '3s', '--json', '--', ...encoder],
    );
    expect({ exitCode, log }).toEqual({ exitCode: 0, log: expect.stringMatching(/^Judging .* with http/) });
    expect(events.find((each) => each['rule'] === 'end')).toMatchObject({ outcome: 'kept' });
  }, 30_000);

  it('says what is missing', async () => {
    const nobody = await runProgram(judgeCommand(), 'encoder', '--wait', '0.1');
    expect(nobody).toMatchObject({ exitCode: 69, log: expect.stringMatching(/No encoder connected to http/) });
    const none = await runProgram(judgeCommand(), 'player', '--', 'no-such-player-anywhere', '{url}');
    expect(none).toMatchObject({
      exitCode: 66,
      log: expect.stringMatching(/no-such-player-anywhere cannot be started/),
    });
    const noInput = await runProgram(judgeCommand(), 'player', '-i', 'no-such-file.wmv');
    expect(noInput).toMatchObject({ exitCode: 66, log: expect.stringMatching(/There is no no-such-file\.wmv/) });
  });
});
