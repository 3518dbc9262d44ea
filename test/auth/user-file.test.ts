import { chmod, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStore } from '../../src/auth/file-store.js';
import { makeSecrets, verifyScrypt } from '../../src/auth/secrets.js';
import type { UserEntry } from '../../src/auth/store.js';
import { changeUserFile, checkUserName, readUserFile } from '../../src/auth/user-file.js';
import { hex } from './ntlm/vectors.js';

const NT = 'a4f49c406510bdcab6824ee7c30fd852';
const SAMPLE = `# ours
users:
  Alice:
    # the first
    groups: [encoders, admin]
    digest: {realm: wmcast, md5: ${'a0'.repeat(16)}, sha256: ${'b1'.repeat(32)}}
    nt: ${NT}
`;

let folder = '';
let path = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'users-'));
  path = join(folder, 'users.yaml');
});
afterEach(() => rm(folder, { recursive: true }));

const put = (entry: UserEntry) => changeUserFile(path, async () => ({ name: entry.name, entry }));

describe('the file of users', () => {
  it('is read, with names in any case', async () => {
    await writeFile(path, SAMPLE, { mode: 0o600 });
    const { users, open } = await readUserFile(path);
    expect(open).toBe(false);
    expect([...users]).toEqual([
      [
        'alice',
        {
          name: 'Alice',
          groups: ['encoders', 'admin'],
          digest: { realm: 'wmcast', md5: 'a0'.repeat(16), sha256: 'b1'.repeat(32) },
          nt: hex(NT),
        },
      ],
    ]);
  });

  it('is readable only for its owner, and has what was put in', async () => {
    const secrets = await makeSecrets('bob', 'secret', 'wmcast', ['basic', 'digest', 'ntlm']);
    await put({ name: 'bob', groups: ['a'], ...secrets });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const { users } = await readUserFile(path);
    expect(users.get('bob')).toEqual({ name: 'bob', groups: ['a'], ...secrets });
    const text = await readFile(path, 'utf8');
    expect(text).toMatch(/^# Users of wmcast/);
    expect(text).not.toContain('secret:');
    expect(await verifyScrypt('secret', users.get('bob')!.basic!)).toBe(true);
    expect(await verifyScrypt('Secret', users.get('bob')!.basic!)).toBe(false);
    expect(await readdir(folder)).toEqual(['users.yaml']);
  });

  it('does not take a hash of digits for a number', async () => {
    await put({
      name: 'bob',
      groups: ['1'],
      nt: Buffer.alloc(16),
      digest: { realm: '1', md5: '1'.repeat(32), sha256: '1e'.repeat(32) },
    });
    expect((await readUserFile(path)).users.get('bob')).toMatchObject({ nt: Buffer.alloc(16), groups: ['1'] });
  });

  it('keeps what others wrote into it', async () => {
    await writeFile(path, SAMPLE, { mode: 0o644 });
    await put({ name: 'bob', groups: [] });
    expect(await readFile(path, 'utf8')).toBe(`${SAMPLE}  bob:\n    groups: []\n`);
    await changeUserFile(path, async () => ({ name: 'BOB', entry: undefined }));
    expect(await readFile(path, 'utf8')).toBe(SAMPLE);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('treats another spelling of a name as the same user', async () => {
    await writeFile(path, SAMPLE);
    await put({ name: 'ALICE', groups: [] });
    expect([...(await readUserFile(path)).users.values()].map(({ name }) => name)).toEqual(['ALICE']);
  });

  it('may be changed by many at once', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `user${i}`);
    await Promise.all(names.map((name) => put({ name, groups: [] })));
    expect(new Set((await readUserFile(path)).users.keys())).toEqual(new Set(names));
    expect(await readdir(folder)).toEqual(['users.yaml']);
  });

  it('stays unchanged if a change fails', async () => {
    await writeFile(path, SAMPLE);
    const failing = changeUserFile(path, () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await readFile(path, 'utf8')).toBe(SAMPLE);
    expect(await readdir(folder)).toEqual(['users.yaml']);
  });

  it('does not stay locked after a process has died', async () => {
    await writeFile(`${path}.lock`, '');
    const old = new Date(Date.now() - 60_000);
    await utimes(`${path}.lock`, old, old);
    await put({ name: 'bob', groups: [] });
    expect(await readdir(folder)).toEqual(['users.yaml']);
  });

  it.each([
    ['not YAML', 'users: [', /users\.yaml:\d+:\d+: /],
    ['an unknown field', 'users:\n  a:\n    password: x\n', /users\.yaml:3:\d+: users\.a: has no field "password"/],
    [
      'a bad hash',
      `users:\n  a:\n    groups: []\n    nt: zz\n`,
      /users\.yaml:4:\d+: users\.a\.nt: must be 16 bytes in hexadecimal/,
    ],
    ['a name with a colon', 'users:\n  "a:b": {}\n', /users\.yaml:2:\d+: .*(?:colon|Invalid key)/],
    ['one user twice', 'users:\n  a: {}\n  A: {}\n', /The user A occurs twice/],
    [
      'scrypt that costs too much',
      `users:\n  a:\n    basic: scrypt:1048576:8:1:${'A'.repeat(24)}:${'A'.repeat(44)}\n`,
      /users\.yaml:3:\d+: users\.a\.basic: must be scrypt/,
    ],
    [
      'scrypt with an odd cost',
      `users:\n  a:\n    basic: scrypt:1000:8:1:${'A'.repeat(24)}:${'A'.repeat(44)}\n`,
      /must be scrypt/,
    ],
  ])('is refused with its line for %s', async (_, text, message) => {
    await writeFile(path, text);
    await expect(readUserFile(path)).rejects.toMatchObject({
      code: 'WM_CONFIG',
      message: expect.stringMatching(message),
    });
  });

  it('is reported if it does not exist', async () => {
    await expect(readUserFile(path)).rejects.toMatchObject({
      code: 'WM_CONFIG',
      message: expect.stringContaining('ENOENT'),
    });
    await expect(put({ name: 'a', groups: [] })).resolves.toBeUndefined();
    await expect(readUserFile(folder)).rejects.toMatchObject({ code: 'WM_CONFIG' });
    const nowhere = changeUserFile(join(folder, 'no', 'users.yaml'), async () => ({ name: 'a', entry: undefined }));
    await expect(nowhere).rejects.toMatchObject({
      code: 'WM_CONFIG',
      message: expect.stringContaining('cannot be written'),
    });
  });

  it.each(['a', 'Zoë', 'a b', 'user@host', 'x'.repeat(64)])('accepts the name %j', (name) => {
    expect(() => checkUserName(name)).not.toThrow();
  });

  it.each(['', ' a', 'a ', 'a:b', 'A\\b', 'a"b', 'a/b', 'a\nb', 'x'.repeat(65), 'a\u0000'])(
    'refuses the name %j',
    (name) => {
      expect(() => checkUserName(name)).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
    },
  );
});

describe('FileStore', () => {
  const clock = { now: 0 };
  const warnings: string[] = [];
  beforeEach(() => warnings.splice(0));
  const open = () => FileStore.open(path, { now: () => clock.now, onWarning: (message) => warnings.push(message) });

  it('finds users, and new ones a second after they were added', async () => {
    await writeFile(path, SAMPLE, { mode: 0o600 });
    const store = await open();
    expect((await store.find('alice'))?.name).toBe('Alice');
    expect(await store.find('bob')).toBeUndefined();
    await put({ name: 'bob', groups: [] });
    expect(await store.find('bob')).toBeUndefined();
    clock.now += 1_000;
    expect((await Promise.all([store.find('bob'), store.find('BOB')])).map((user) => user?.name)).toEqual([
      'bob',
      'bob',
    ]);
    expect(warnings).toEqual([]);
  });

  it('does not keep a removed user if the clock goes back', async () => {
    await writeFile(path, SAMPLE, { mode: 0o600 });
    const store = await open();
    await writeFile(path, SAMPLE.replace('Alice', 'Carol'), { mode: 0o600 });
    clock.now -= 3_600_000;
    expect(await store.find('alice')).toBeUndefined();
    clock.now += 1_000;
    await writeFile(path, SAMPLE, { mode: 0o600 });
    expect(await store.find('carol')).toBeUndefined();
  });

  it('keeps its users if the file breaks or disappears, and says so once', async () => {
    await writeFile(path, SAMPLE, { mode: 0o600 });
    const store = await open();
    await writeFile(path, 'users: 1\n');
    for (let i = 0; i < 3; i++) {
      clock.now += 1_000;
      expect(await store.find('alice')).toBeDefined();
    }
    expect(warnings).toEqual([expect.stringMatching(/users\.yaml:1:\d+: .* as they were before go on counting\.$/)]);
    await rm(path);
    clock.now += 1_000;
    expect(await store.find('alice')).toBeDefined();
    expect(warnings).toHaveLength(2);
    await writeFile(path, SAMPLE.replace('Alice', 'Carol'), { mode: 0o600 });
    clock.now += 1_000;
    expect(await store.find('alice')).toBeUndefined();
    expect(warnings).toHaveLength(2);
  });

  it('warns about a file that others can read', async () => {
    await writeFile(path, SAMPLE);
    await chmod(path, 0o640);
    await open();
    expect(warnings).toEqual([`Others can read the users ${path}; chmod 600 ends that.`]);
  });

  it('cannot be opened without a file', async () => {
    await expect(open()).rejects.toMatchObject({ code: 'WM_CONFIG' });
  });
});
