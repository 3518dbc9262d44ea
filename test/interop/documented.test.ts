import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { wholeProgram } from '../../src/cli/commands.js';
import { documentedCommands, examplesOf, simpleCommands, wordsOf } from '../support/documented.js';
import { testTls } from '../support/tls.js';
import { Child, stopAll } from './support/child.js';
import { Server } from './support/commands.js';
import { makeAsf, newFolder, removeFolders } from './support/content.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const bin = (name: string) => join(root, 'bin', `${name}.js`);

/** Lines that are not run here, each with the reason; test/cli/documented.test.ts still checks their options. */
const NOT_RUN: ReadonlyArray<readonly [RegExp, reason: string]> = [
  [/^(npm|npx|node|git|bash) /, 'works on a clone: .ci/run and the other jobs of the workflow run it'],
  [/^ffmpeg|^ffplay/, 'another program; test/interop/plain-http.test.ts runs the line'],
  [/<|…|^wm\w+( \w+)?( --[\w-]+)?( \/base)?$/, 'a mention without its arguments'],
  [/^wmcast (?:pull --bandwidth 450k|pull -o show\.asf|config check|judge \w+)$/, 'a mention without its arguments'],
  [/^wmcast judge |\{url\}/, 'takes a while: test/interop/judge.test.ts judges real players, servers and encoders'],
  [/node-[12]|^wmcast cluster /, 'needs a cluster: test/interop/cluster-admin.test.ts runs one'],
  [/^wmcast control /, 'needs a push that is on: test/cli/control.test.ts controls one'],
  [/^wmcast devices \w/, 'depends on the devices of the host: test/capture/devices.test.ts reads their lists'],
  [/--packager /, 'needs a packager: test/interop/protected.test.ts has one'],
  [/^wmcast logs /, 'reads the logs of a server that ran before: test/cli/logs.test.ts does that'],
  [/\/dev\/video0/, 'needs a camera'],
  [/https:\/\//, 'needs a certificate for a name: test/interop/push-link.test.ts pushes over TLS'],
  [/^wmcast pull \S+\.nsc$/, 'needs a multicast on air: test/interop/multicast.test.ts receives one'],
  [/announce .*--nsc/, 'needs a multicast point: test/interop/multicast.test.ts announces one'],
  [/^wmcast users (passwd|remove|list) |--password-stdin/, 'test/cli/users.test.ts does this, in order'],
];

const reasonFor = (line: string) => NOT_RUN.find(([pattern]) => pattern.test(line))?.[1];

let work: string;
let server: Server;
let nextPoint = 0;

beforeAll(async () => {
  work = newFolder();
  const film = await makeAsf('show.wmv', { duration: 2, video: 'wmv2', audio: 'wmav2', size: '160x120', folder: work });
  for (const name of ['film.mp4', 'film.wmv', 'a.wmv', 'b.wmv', 'a.mp4', 'b.mkv', 'c.mp3', 'FILE'])
    await copyFile(film, join(work, name));
  await writeFile(join(work, 'cert.pem'), testTls.cert);
  await writeFile(join(work, 'key.pem'), testTls.key);
  const configuration = await readFile(join(root, 'samples/serve.yaml'), 'utf8');
  await writeFile(join(work, 'serve.yaml'), configuration.replace(/^httpPort: \d+/m, 'httpPort: 0'));
  const users = ['users', 'add', 'root', '--file', 'users.yaml', '--password-stdin'];
  await execa(process.execPath, [bin('wmcast'), ...users], { cwd: work, input: 'secret-word-1\n' });
  const profile = await execa(process.execPath, [bin('wmcast'), 'profiles', 'av300']);
  await writeFile(join(work, 'mine.yaml'), profile.stdout);
  server = await Server.start('--content', work);
  await writeFile(
    join(work, 'list.asx'),
    `<asx version="3"><entry><ref href="${server.url('/show.wmv')}"/></entry></asx>`,
  );
  await writeFile(join(work, 'urls.txt'), `${server.url('/show.wmv')}\n`);
  await server.publish('/live', '--size', '160x120');
  await server.publish('/spare', '--size', '160x120');
});

afterAll(async () => {
  await stopAll();
  removeFolders();
});

/** Replaces the hosts, ports, folders and points of a line by those of this test. */
function local(line: string): string[] {
  const words = wordsOf(line).map((word) =>
    word
      .replace(
        /^(http|mmsh|mms):\/\/(?:localhost|server|a|b|host|radio|encoder|media\.example)(?::\d+)?(?=\/)/,
        (_, scheme) => server.url('', scheme === 'mms' ? 'mmsh' : scheme),
      )
      .replace(/(?<=:\d+)\/$/, '/live')
      .replace(/^\/srv\/media$/, work)
      // Other lines still need the encoder of /live, and a user can be added only once.
      .replace('/points/live/disconnect', '/points/spare/disconnect')
      .replace(/^anna$/, () => `anna${nextPoint++}`)
      .replace(/interface=eth0/, 'interface=lo'),
  );
  const ports = words.flatMap((word, index) => (/^--\w+-port$/.test(word) ? [index + 1] : []));
  for (const index of ports) words[index] = '0';
  return words;
}

/** Gives what is pushed a point of its own. */
const toNewPoint = (word: string) => word.replace(/(?<=^http:\/\/[\d.:]+)\/\w+$/, () => `/documented${nextPoint++}`);

async function runToEnd(name: string, words: readonly string[]): Promise<void> {
  const result = await execa(process.execPath, [bin(name), ...words], {
    cwd: work,
    reject: false,
    timeout: 60_000,
    input: 'secret-word-2\n',
    env: { WMCAST_PASSWORD: 'secret-word-2' },
  });
  const { exitCode, stderr, stdout } = result;
  if (exitCode !== 0) throw new Error(`${name} ${words.join(' ')} ended with ${exitCode}: ${stderr}${stdout}`);
}

/** Runs a command that goes on until it is stopped: waits until it is ready, and ends it with Ctrl-C. */
async function runUntilReady(name: string, words: readonly string[]): Promise<void> {
  const child = new Child(process.execPath, [bin(name), ...words, '--json'], { cwd: work });
  await child.until('the event "ready"', () => child.output.find((line) => line.includes('"event":"ready"')));
  await child.stop('SIGINT');
  expect((await child.exited).code).toBe(130);
}

/** Small pictures are fast to encode. */
function optionsFor(command = '', words: readonly string[]): string[] {
  if (command === 'relay') return ['--force'];
  return words.some((word) => /^(?:--copy|synthetic:)/.test(word)) ? [] : ['--size', '160x120'];
}

/** Commands that end by themselves. */
const ENDING = new Set(['probe', 'doctor', 'config', 'completion', 'profiles', 'users']);

async function runLine(line: string): Promise<void> {
  const [name = '', ...words] = local(simpleCommands(line)[0]!);
  if (name === 'curl') {
    const { exitCode, stdout } = await execa('curl', ['-sS', '--max-time', '20', ...words], { reject: false });
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 });
    return;
  }
  const command = name === 'wmcast' ? words[0] : name;
  if (words.includes('--help') || ENDING.has(command ?? '')) {
    return runToEnd(name, words);
  }
  if (command === 'announce' || command === 'init') return runToEnd(name, [...words, '--force']);
  if (command === 'serve' || command === 'wmpull-serve') {
    const port = words.includes('--http-port') ? [] : ['--http-port', '0'];
    return runUntilReady(name, [...words, ...port, '--msbd-port', '0']);
  }
  const limit = words.includes('-t') ? [] : ['-t', '1'];
  const force = words.includes('--list') ? [] : ['--force'];
  if (command === 'pull') return runToEnd(name, [...words, ...limit, ...force]);
  const last = words.findLastIndex((word) => word.startsWith('http:'));
  const pushed = words.map((word, index) => (index === last ? toNewPoint(word) : word));
  return runToEnd(name, [...pushed, ...limit, ...optionsFor(command, words)]);
}

const documented = [...(await documentedCommands()), ...examplesOf(await wholeProgram())];
const lines = [...new Set(documented.map(({ line }) => line))];

describe('over loopback, with ports of their own', () => {
  it.each(lines.filter((line) => reasonFor(line) === undefined))('%s', async (line) => {
    await runLine(line);
  });

  it('run all documented lines but those with a reason not to', () => {
    const left = lines.filter((line) => reasonFor(line) !== undefined);
    for (const [pattern, reason] of NOT_RUN)
      expect([reason, left.some((line) => pattern.test(line))]).toEqual([reason, true]);
    expect(lines.length - left.length).toBeGreaterThan(25);
  });
});
