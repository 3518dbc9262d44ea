import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { stopAll } from './support/child.js';
import { newPoint, Server } from './support/commands.js';
import { newFolder, removeFolders } from './support/content.js';

const bin = (name: string) => fileURLToPath(new URL(`../../bin/${name}.js`, import.meta.url));
const SMALL = ['--size', '160x120'];

let folder: string;
let server: Server;

beforeAll(async () => {
  folder = newFolder();
  const users = join(folder, 'users.yaml');
  await execa(process.execPath, [bin('wmcast'), 'users', 'add', 'anna', '--file', users, '--password-stdin'], {
    input: 'secret-word-1\n',
  });
  const config = join(folder, 'serve.yaml');
  await writeFile(
    config,
    `users: ${users}\nmsbd: { port: none }\npoints:\n  - path: /locked\n    access: { push: { users: [anna] } }\n`,
  );
  server = await Server.start('--config', config, '--mms-port', '0', '--rtsp-port', '0');
});

afterAll(async () => {
  await stopAll();
  removeFolders();
});

/** Runs a command to its end. */
async function run(name: string, args: readonly string[], env: Record<string, string> = {}) {
  const { stdout, stderr, exitCode } = await execa(process.execPath, [bin(name), ...args], {
    reject: false,
    timeout: 60_000,
    env,
  });
  const events = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { event: string; message?: string; hint?: string });
  return { exitCode, log: stderr, events, names: events.map(({ event }) => event) };
}

const push = (path: string, ...more: string[]) => run('wmpush', [server.url(path), '--json', ...SMALL, ...more]);

describe('messages that lead the right way', () => {
  it('a point with an encoder is taken, and ready is not said before the server has taken the push', async () => {
    const path = newPoint();
    const first = await server.publish(path, ...SMALL);
    const { exitCode, log, names } = await push(path, '-t', '1');
    expect(exitCode).toBe(76);
    expect(log).toContain(`${server.url(path)} is taken: 409 Conflict.`);
    expect(log).toContain('Another encoder is publishing there: stop it, or push to another point.');
    expect(names).not.toContain('ready');
    await first.stop();
  });

  it('a push to no point is told to name one', async () => {
    const { log } = await push('/', '-t', '1');
    expect(log).toContain('404 Not Found.');
    expect(log).toMatch(/Name a publishing point, such as http:\S+\/live\./);
  });

  it('an encoder that the administrator disconnects is not told to log in', async () => {
    const path = newPoint();
    const encoder = await server.publish(path, ...SMALL);
    await fetch(server.url(`/api/points${path}/disconnect`), {
      method: 'POST',
      headers: { 'X-Requested-With': 'test' },
    });
    expect((await encoder.exited).code).toBe(77);
    const log = encoder.log.join('\n');
    expect(log).toContain('An administrator ended it, or withdrew the permission.');
    expect(log).not.toMatch(/--user|log in/i);
  });

  it('a wrong password is not answered with advice to name a user; the log names user, address and point', async () => {
    const args = [server.url('/locked'), '-t', '1', ...SMALL];
    const wrong = await run('wmpush', args, { WMCAST_USER: 'anna', WMCAST_PASSWORD: 'bad-word-7' });
    expect(wrong.exitCode).toBe(77);
    expect(wrong.log).toContain('Check the user name and the password.');
    expect(wrong.log).not.toMatch(/--user|bad-word-7/);
    const line = await server.until('the warning', () => server.log.find((text) => text.includes('anna')));
    expect(line).toContain('Login failed as anna from 127.0.0.1, to push to /locked.');
    const missing = await run('wmpush', args);
    expect(missing.log).toContain('Log in with --user or WMCAST_USER');
  });

  it.each([
    ['wmpush', ['--copy', '-i']],
    ['wmcast', ['relay']],
  ])('%s of a file that is not ASF suggests no option that the command lacks', async (name, args) => {
    const bad = join(folder, 'noise.wmv');
    await writeFile(bad, randomBytes(3_000));
    const { exitCode, log } = await run(name, [...args, bad, server.url(newPoint())]);
    expect(exitCode).toBe(65);
    expect(log).toContain('Check the file with wmcast probe.');
    expect(log).not.toContain('--copy');
  });

  it('usage errors end in one full stop, as text and as JSON', async () => {
    const { exitCode, log, events } = await run('wmpush', ['--json', '--foo', server.url('/x')]);
    expect(exitCode).toBe(2);
    expect(events[0]).toMatchObject({ event: 'error', hint: '--help lists the options.' });
    for (const text of [log, events[0]!.message!]) expect(text).not.toMatch(/\.\.|\.\)\./);
  });

  it('a camera that is missing is told once', async () => {
    const { exitCode, log } = await push(newPoint(), '-i', '/dev/video-missing', '--input-format', 'v4l2');
    expect(exitCode).toBe(66);
    expect(log.match(/No such file or directory/g)).toHaveLength(1);
  });

  it('the server names all ports, and logs plays with a date, an IPv4 address, the player, bytes and time', async () => {
    expect(server.log.join('\n')).toMatch(/Listening on 127\.0\.0\.1: HTTP \d+, MMS \d+, RTSP \d+/);
    const everywhere = await Server.start('--host', '::', '--msbd-port', 'none');
    const path = newPoint();
    const encoder = await everywhere.publish(path, ...SMALL);
    await run('wmcast', ['pull', everywhere.url(path, 'mmsh'), '-t', '1', '-o', join(folder, 'played.asf')]);
    const line = (what: string) =>
      everywhere.until(`the line "${what}"`, () => everywhere.log.find((text) => text.includes(`${what} ${path} `)));
    const date = /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] /;
    expect(await line('plays')).toMatch(date);
    expect(await line('plays')).toContain(`127.0.0.1 plays ${path} by WMSP with NSPlayer/`);
    expect(await line('played')).toMatch(/played \S+ for \d:\d\d:\d\d, [\d.]+ kB/);
    expect(everywhere.log.join('\n')).not.toContain('::ffff:');
    await encoder.stop();
  });

  it('the demo prints its URLs, and no negative delay', async () => {
    const { exitCode, stdout, stderr } = await execa(process.execPath, [bin('demo'), '--seconds', '4'], {
      reject: false,
      timeout: 80_000,
    });
    const text = stdout + stderr;
    expect({ exitCode, text }).toMatchObject({ exitCode: 0 });
    for (const url of [/mmsh:\/\/127\.0\.0\.1:\d+\/demo/, /http:\/\/127\.0\.0\.1:\d+\/demo\.asf/])
      expect(text).toMatch(url);
    expect(text).toMatch(/newest picture \d+ ms after its capture/);
    expect(text).not.toMatch(/-\d+ ms/);
  });
});
