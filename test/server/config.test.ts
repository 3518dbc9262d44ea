import { readFile } from 'node:fs/promises';
import { WmError } from '../../src/errors.js';
import { checkRules, configSchema, defaultConfig, parseConfig, readConfig } from '../../src/server/config.js';

const fail = (text: string) => {
  try {
    parseConfig(text, 'serve.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(WmError);
    expect((error as WmError).exitCode).toBe(78);
    return (error as WmError).message;
  }
  throw new Error('It was accepted.');
};

describe('the configuration', () => {
  it('has the defaults that the sample shows', async () => {
    const sample = await readFile(new URL('../../samples/serve.yaml', import.meta.url), 'utf8');
    expect(parseConfig(sample, 'sample')).toEqual(defaultConfig());
  });

  it('names every field in the sample', async () => {
    const sample = await readFile(new URL('../../samples/serve.yaml', import.meta.url), 'utf8');
    // A line commented out with a single # is a field, too; after `points:`, `redirects:` and the like it is the
    // content of a list.
    const complete = sample
      .replace(/^(points|redirects): \[\]$/gm, '$1:')
      .replace(/^( *)# ?( *(?:- )?\w+:(?: .*)?)$/gm, '$1$2');
    const config = parseConfig(complete, 'sample');
    expect(config).toMatchObject({
      host: '127.0.0.1',
      tls: { port: 8443 },
      users: '/etc/wmcast/users.yaml',
      push: { idleTimeout: 60, authenticateStart: false },
      limits: { players: 5000 },
      live: { batchInterval: 0.1 },
      points: [{ path: '/live', access: { push: { users: ['studio'] } }, archive: '/srv/archive', title: 'The news' }],
      redirects: [{ path: '/old.wmv' }],
      content: { folder: '/srv/media' },
    });
    const missing = Object.keys(configSchema.shape).filter((name) => !(name in config));
    expect(missing).toEqual([]);
  });

  it('may be empty', () => {
    expect(parseConfig('', 'empty')).toEqual(defaultConfig());
  });

  it('names the file, the line and the field of an error', () => {
    expect(fail('httpPort: 8080\nlimits:\n  players: many\n')).toMatch(/^serve\.yaml:3: limits\.players: /);
    expect(fail('points:\n  - path: /a\n  - path: b\n')).toMatch(/^serve\.yaml:3: points\.1\.path: must be a path/);
    expect(fail('httpPort: 8080\n\ncolour: red\n')).toMatch(/^serve\.yaml:3: the file: .*colour/);
    expect(fail('limits:\n  players: 10\n  colour: red\n')).toMatch(/^serve\.yaml:3: limits: .*colour/);
    expect(fail('httpPort: [\n')).toMatch(/^serve\.yaml:\d+: /);
  });

  it.each([
    ['an alias without an anchor', 'httpPort: 8080\nusers: *nobody\n', 2],
    ['an alias before its anchor', 'users: *later\nhost: &later a\n', 1],
    ['an alias as a key', 'httpPort: 8080\n*nobody : 1\n', 2],
    ['an alias and nothing else', '\n*nobody\n', 2],
    ['an alias in a list', 'points:\n  - path: /a\n  - *nobody\n', 3],
    ['an alias in itself', 'httpPort: 8080\npoints: &a [*a]\n', 2],
    [
      'aliases that multiply',
      ['a', 'b', 'c', 'd', 'e'].reduce((text, name, at, all) => {
        const inner = Array(9).fill(at === 0 ? 'x' : `*${all[at - 1]}`);
        return `${text}${name}: &${name} [${inner.join(', ')}]\n`;
      }, ''),
      5,
    ],
    ['an unknown tag', 'httpPort: 8080\nhost: !env HOST\n', 2],
    ['a value that is not of its tag', 'httpPort: !!int many\n', 1],
    ['a version that is not known', '%YAML 3.0\n---\nhttpPort: 8080\n', 1],
    ['two documents', 'httpPort: 8080\n---\nhttpPort: 8081\n', 2],
    ['a key twice', 'httpPort: 8080\nhttpPort: 8081\n', 2],
    ['a list', '- httpPort: 8080\n', 1],
    ['no text', '\0\u0001', 1],
    ['brackets without an end', `points: ${'['.repeat(20_000)}`, 1],
  ])('names the file and the line of %s', (_, text, line) => {
    expect(fail(text)).toMatch(new RegExp(`^serve\\.yaml:${line}: `));
  });

  it.each(['title', 'author', 'copyright', 'description'])('says that a %s is too long for a header', (name) => {
    const text = (length: number) => `points:\n  - path: /a\n    ${name}: ${'x'.repeat(length)}\n`;
    expect(fail(text(32_767))).toMatch(new RegExp(`^serve\\.yaml:3: points\\.0\\.${name}: .*32766 characters`));
    expect(() => parseConfig(text(32_766), 'serve.yaml')).not.toThrow();
  });

  it('does not repeat the text at an alias, which may be a password', () => {
    expect(fail('users: *hunter2\n')).not.toContain('hunter2');
  });

  it('reports a file that cannot be read', async () => {
    await expect(readConfig('/nonexistent/serve.yaml')).rejects.toMatchObject({ code: 'WM_CONFIG' });
  });
});

describe('rules without a user file', () => {
  const check = (text: string) => checkRules(parseConfig(text, 'serve.yaml'));

  it.each([
    ['access: {play: {users: [anna]}}', 'access.play'],
    ["access: {push: {users: ['*']}}", 'access.push'],
    ['access: {push: {groups: [crew], trusted: [loopback]}}', 'access.push'],
    ['points: [{path: /live, access: {push: {users: [anna], trusted: [loopback]}}}]', '/live: access.push'],
  ])('cannot name users: %s', (text, place) => {
    const message = `${place} requires users, but there is no user file: name one (users:, or --users).`;
    expect(() => check(text)).toThrow(expect.objectContaining({ code: 'WM_CONFIG', message }));
    expect(() => check(`users: users.yaml\n${text}`)).not.toThrow();
  });

  it.each(['', "access: {play: {users: ['*'], trusted: [192.0.2.0/24]}}", 'access: {push: {addresses: [loopback]}}'])(
    'can grant access by address: %s',
    (text) => {
      expect(() => check(text)).not.toThrow();
    },
  );

  it('rejects a source whose password is not escaped, without repeating it', () => {
    const message = fail('points: [{path: /live, source: "http://me:se/cret@host/live"}]');
    expect(message).toMatch(/points\.0\.source: must be a URL/);
    expect(message).not.toContain('cret@');
  });

  it.each([
    ['authentication: []', /authentication: must name a scheme/],
    ['authentication: [digest, digest]', /authentication: must name each scheme once/],
  ])('needs authentication schemes: %s', (text, message) => {
    expect(fail(text)).toMatch(message);
  });
});
