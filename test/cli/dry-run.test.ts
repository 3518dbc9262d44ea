import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { quoted, withoutSecretArguments } from '../../src/cli/dry-run.js';
import { pushCommand } from '../../src/cli/push.js';
import { ffmpegPath } from '../capture/support.js';
import { newFolder, removeFolders, runCommand } from './run.js';

afterAll(removeFolders);

describe('--dry-run', () => {
  it('prints the command of ffmpeg as a shell takes it, and the requests; sends and writes nothing', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const folder = newFolder();
    const [archive, profile] = [join(folder, 'out.asf'), join(folder, 'mine.yaml')];
    const input = join(folder, "it's.mkv");
    await execa(ffmpegPath, ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=160x120:rate=10', '-t', '1', input]);
    const remote = `http://me:secret@127.0.0.1:${port}/stream?token=abc`;
    const url = `http://user:hidden@127.0.0.1:${port}/live`;
    const args = [
      '-i',
      input,
      '-i',
      remote,
      '--archive',
      archive,
      '--save-profile',
      profile,
      '--template',
      '/model',
      url,
    ];
    const { output, log, error } = await runCommand(pushCommand(), '--dry-run', ...args, '--', '-headers', 'X: key');
    await new Promise((resolve) => server.close(resolve));
    expect(error).toBeUndefined();
    expect([connections, existsSync(archive), existsSync(profile)]).toEqual([0, false, false]);
    const [first, second] = output.split('\n');
    expect(first).toContain(`-i '${input.replace("'", "'\\''")}'`);
    const { stdout } = await execa('sh', ['-c', `for each in ${first}; do echo "$each"; done`]);
    expect(stdout.split('\n')).toEqual(expect.arrayContaining([input, '-f', 'asf', 'pipe:1']));
    expect(second).toContain(`http://***@127.0.0.1:${port}/stream?token=***`);
    expect(output).toContain(`POST /live HTTP/1.1\nContent-Type: application/x-wms-pushsetup\n`);
    expect(output).toContain('/model');
    expect(output).toContain('application/x-wms-pushstart');
    expect(output).toContain(`# recorded to ${archive}`);
    for (const secret of ['secret', 'hidden', 'abc', 'X: key']) expect(output + log).not.toContain(secret);
  });

  it('is one event with --json', async () => {
    const args = ['-i', 'synthetic:', 'http://127.0.0.1:1/live', 'http://127.0.0.1:2/live'];
    const { events } = await runCommand(pushCommand(), '--dry-run', '--json', ...args);
    expect(events).toEqual([
      {
        event: 'plan',
        inputs: [{ input: 'synthetic:' }],
        requests: [
          expect.objectContaining({ url: 'http://127.0.0.1:1/live' }),
          expect.objectContaining({ url: 'http://127.0.0.1:1/live' }),
        ],
        alternatives: ['http://127.0.0.1:2/live'],
        login: false,
      },
    ]);
  });

  it('masks the values of options that are secrets', () => {
    const command = ['ffmpeg', '-headers', 'Authorization: Basic eA==', '-decryption_key', '0a', '-i', 'x'];
    expect(withoutSecretArguments(command)).toEqual(['ffmpeg', '-headers', '***', '-decryption_key', '***', '-i', 'x']);
    expect(quoted(['a b', "c'd", 'e=f', '', '$x'])).toBe(`'a b' 'c'\\''d' e=f '' '$x'`);
  });
});
