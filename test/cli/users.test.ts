import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { FileStore } from '../../src/auth/file-store.js';
import { ServerAuthenticator } from '../../src/auth/server.js';
import { newPassword } from '../../src/cli/password.js';
import { addCommand, newProgram } from '../../src/cli/program.js';
import { usersCommand } from '../../src/cli/users.js';
import { dialog } from '../auth/support.js';
import { newFolder, removeFolders, runCommand, runProgram } from './run.js';

let path = '';
const before = { ...process.env };
beforeEach(() => {
  path = join(newFolder(), 'users.yaml');
  process.env['WMCAST_USERS'] = path;
  process.env['WMCAST_PASSWORD'] = 'open sesame';
});
afterEach(() => {
  process.env = { ...before };
  removeFolders();
});

const program = () => addCommand(newProgram('wmcast', ''), usersCommand());
const users = (...args: string[]) => runCommand(program(), 'users', ...args);
const failing = (...args: string[]) => runProgram(program(), 'users', ...args);

async function letsIn(authorization: string): Promise<boolean> {
  const server = new ServerAuthenticator({ store: await FileStore.open(path), realm: 'wmcast', schemes: ['basic'] });
  const request = { remoteAddress: '::1', credentials: dialog(authorization) };
  return (await server.check(request)).kind === 'accepted';
}

describe('wmcast users', () => {
  it('adds a user whom a server admits, and does not show the password', async () => {
    const { output, log, error } = await users('add', 'alice', '--group', 'encoders', 'admin', '--json');
    expect(error).toBeUndefined();
    expect(JSON.parse(output)).toEqual({
      event: 'user',
      name: 'alice',
      groups: ['encoders', 'admin'],
      schemes: ['basic', 'digest', 'ntlm'],
    });
    expect(log).toBe(`Added alice to ${path}.\n`);
    const text = readFileSync(path, 'utf8');
    expect(output + log + text).not.toContain('sesame');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await letsIn(`Basic ${Buffer.from('alice:open sesame').toString('base64')}`)).toBe(true);
  });

  it('stores only what the schemes need', async () => {
    await users('add', 'a', '--schemes', 'digest', '--realm', 'Studio');
    await users('add', 'b', '--schemes', 'basic,negotiate');
    const text = readFileSync(path, 'utf8');
    expect(text).toMatch(
      / {2}a:\n {4}groups: \[\]\n {4}digest:\n {6}realm: Studio\n {6}md5: \w+\n {6}sha256: \w+\n {2}b:\n/,
    );
    expect(text).toMatch(/ {2}b:\n {4}groups: \[\]\n {4}basic: scrypt:16384:8:1:\S+\n {4}nt: "?\w{32}"?\n$/);
  });

  it('lists names, groups and schemes, and never a hash', async () => {
    await users('add', 'alice', '--group', 'admin');
    await users('add', 'Bob', '--schemes', 'ntlm');
    const { output, log } = await users('list');
    expect(output).toBe('alice\tadmin\tbasic,digest,ntlm\nBob\t-\tntlm\n');
    expect(log).toBe('');
    const { events } = await users('list', '--json');
    expect(events).toEqual([
      { event: 'user', name: 'alice', groups: ['admin'], schemes: ['basic', 'digest', 'ntlm'] },
      { event: 'user', name: 'Bob', groups: [], schemes: ['ntlm'] },
    ]);
    chmodSync(path, 0o644);
    expect((await users('list')).log).toBe(
      `Warning: Other users of this host can read ${path}; run chmod 600 on it.\n`,
    );
  });

  it('changes a password, and keeps groups, schemes and realm', async () => {
    await users('add', 'alice', '--group', 'admin', '--schemes', 'basic,digest', '--realm', 'Studio');
    process.env['WMCAST_PASSWORD'] = 'new';
    const { events, log } = await users('passwd', 'ALICE', '--json');
    expect(events).toEqual([{ event: 'user', name: 'alice', groups: ['admin'], schemes: ['basic', 'digest'] }]);
    expect(log).toBe('alice has a new password.\n');
    expect(readFileSync(path, 'utf8')).toContain('realm: Studio');
    expect(await letsIn(`Basic ${Buffer.from('alice:new').toString('base64')}`)).toBe(true);
    expect(await letsIn(`Basic ${Buffer.from('alice:open sesame').toString('base64')}`)).toBe(false);
  });

  it('removes a user', async () => {
    await users('add', 'alice');
    expect(await users('remove', 'Alice', '--json')).toMatchObject({ events: [{ event: 'removed', name: 'Alice' }] });
    expect((await users('list')).output).toBe('');
  });

  it.each([
    ['a user twice', ['add', 'ALICE'], 1, /has a user ALICE already/],
    ['a strange name', ['add', 'a:b'], 2, /The name "a:b" must have/],
    ['a strange group', ['add', 'b', '--group', 'x/y'], 2, /The name "x\/y" must have/],
    ['an unknown scheme', ['add', 'b', '--schemes', 'kerberos'], 2, /It takes basic, digest, ntlm/],
    ['nobody', ['remove', 'bob'], 1, /has no user bob/],
    ['the password of an unknown user', ['passwd', 'bob'], 1, /has no user bob/],
    ['a missing file', ['list', '--file', '/nowhere/users.yaml'], 78, /cannot be read: .*ENOENT/],
    ['a missing folder', ['add', 'b', '--file', '/nowhere/users.yaml'], 78, /cannot be written: .*ENOENT/],
    ['the password as an argument', ['add', 'b', 'secret'], 2, /too many arguments/],
    ['no command', [], 2, /Usage: wmcast users/],
  ])('rejects %s', async (_, args, exitCode, message) => {
    await users('add', 'alice');
    const ran = await failing(...args);
    expect(ran.exitCode).toBe(exitCode);
    expect(ran.log).toMatch(message);
  });

  it('names the line of a broken file', async () => {
    writeFileSync(path, 'users:\n  alice:\n    nt: 1\n', { mode: 0o600 });
    const ran = await failing('add', 'bob');
    expect(ran.exitCode).toBe(78);
    expect(ran.log).toContain(`${path}:3:5: users.alice.nt: `);
  });
});

describe('newPassword', () => {
  const asked: string[] = [];
  const modes: boolean[] = [];
  beforeEach(() => {
    asked.splice(0);
    modes.splice(0);
  });
  const source = (typed: string | Buffer, { fromStdin = false, tty = true, environment = {} } = {}) => {
    const input = Object.assign(new PassThrough(), {
      isTTY: tty,
      setRawMode: (mode: boolean) => void modes.push(mode),
    });
    input.write(typed);
    if (fromStdin) input.end();
    return { fromStdin, environment, input: input as never, ask: (text: string) => void asked.push(text) };
  };

  it('asks twice without echo', async () => {
    expect(await newPassword(source('sésame\rsésame\r'))).toBe('sésame');
    expect(asked).toEqual(['Password: ', '\n', 'Once more: ', '\n']);
    expect(modes).toEqual([true, false]);
  });

  it('lets a person correct typing errors', async () => {
    expect(await newPassword(source('nonsense\x15sésé\x7fame\rsésameé\b\r'))).toBe('sésame');
  });

  it.each([
    ['differ', 'a\rb\r', 'The two passwords differ.'],
    ['are empty', '\r\r', 'The password is empty.'],
    ['are too long', `${'x'.repeat(300)}\r`, /The password has 257 bytes; the maximum is 256/],
    ['hold control characters', 'a\tb\r', 'The password contains a control character.'],
  ])('rejects passwords that %s', async (_, typed, message) => {
    await expect(newPassword(source(typed))).rejects.toThrow(message);
    expect(modes).toEqual([true, false]);
  });

  it('ends on Ctrl-C', async () => {
    const exitCode = process.exitCode;
    await expect(newPassword(source('a\x03'))).rejects.toThrow('Interrupted');
    expect(process.exitCode).toBe(130);
    process.exitCode = exitCode;
    expect(modes).toEqual([true, false]);
  });

  it('reads all of standard input, without the final line end', async () => {
    expect(
      await newPassword(source('a b \r\n', { fromStdin: true, tty: false, environment: { WMCAST_PASSWORD: 'x' } })),
    ).toBe('a b ');
    await expect(newPassword(source('a\nb\n', { fromStdin: true, tty: false }))).rejects.toThrow('control character');
    await expect(newPassword(source(Buffer.alloc(100_000, 65), { fromStdin: true, tty: false }))).rejects.toThrow(
      'the maximum is 256',
    );
  });

  it('fails without a terminal to ask on', async () => {
    await expect(newPassword(source('', { tty: false }))).rejects.toMatchObject({ code: 'WM_USAGE' });
    expect(await newPassword(source('', { tty: false, environment: { WMCAST_PASSWORD: 'x' } }))).toBe('x');
    await expect(newPassword(source('', { environment: { WMCAST_PASSWORD: '' } }))).rejects.toThrow('empty');
  });
});
