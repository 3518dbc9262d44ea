import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WmError } from '../../src/errors.js';
import { configSchema, defaultConfig } from '../../src/server/config.js';
import { checkConfig, contradictionsIn } from '../../src/server/config-check.js';
import { loadConfig, masked, parseConfig, readConfig, unusablePlaces } from '../../src/server/config-file.js';
import { commentedConfig, configReference } from '../../src/server/config-text.js';
import { YamlError } from '../../src/yaml-file.js';

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

/** Takes the examples out of their comments, as a person does. */
const uncommented = (text: string) => text.replace(/^( *)#(?! )/gm, '$1').replace(/^#( {2,})/gm, '$1');

describe('the configuration', () => {
  it('that wmcast init writes has the defaults', () => {
    expect(parseConfig(commentedConfig(), 'sample')).toEqual(defaultConfig());
  });

  it('that wmcast init writes has an example of every field, which is accepted', () => {
    const config = parseConfig(uncommented(commentedConfig()), 'sample');
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
    expect(Object.keys(configSchema.shape).filter((name) => !(name in config))).toEqual([]);
    const [point] = config.points;
    const { shape } = configSchema.shape.points.unwrap().element;
    expect(Object.keys(shape).filter((name) => !(name in point!))).toEqual([]);
  });

  it('is described by pages that were made from the schema: npm run docs:config makes them again', async () => {
    const read = (name: string) => readFile(new URL(`../../${name}`, import.meta.url), 'utf8');
    expect(await read('samples/serve.yaml')).toBe(commentedConfig());
    expect(await read('docs/configuration.md')).toBe(configReference());
    // A field without a description has an empty last cell.
    expect(configReference()).not.toMatch(/\| {2}\|$/m);
  });

  it('may be empty', () => {
    expect(parseConfig('', 'empty')).toEqual(defaultConfig());
  });

  it('names the file, the line and the field of an error', () => {
    expect(fail('httpPort: 8080\nlimits:\n  players: many\n')).toBe(
      'serve.yaml:3:3: limits.players: must be a number, not a text.',
    );
    expect(fail('points:\n  - path: /a\n  - path: b\n')).toBe(
      'serve.yaml:3:5: points[1].path: must be a path such as /live.',
    );
    expect(fail('httpPort: 8080\n\ncolour: red\n')).toBe('serve.yaml:3:1: has no field "colour".');
    expect(fail('limits:\n  players: 10\n  colour: red\n')).toBe('serve.yaml:3:3: limits: has no field "colour".');
    expect(fail('httpPort: [\n')).toMatch(/^serve\.yaml:\d+:\d+: /);
  });

  it('names all mistakes at once, in the order of the file', () => {
    const text = [
      'httpPort: 70000',
      'limts: {}',
      'points:',
      '  - path: /a',
      '    burst: -1',
      '    source: { url: x }',
      '  - path: /a/',
      '    maxPlayers: 0.5',
      '  - pth: /b',
      'mms: 1755',
      'authentication: [basc]',
    ].join('\n');
    expect(fail(text).split('\n')).toEqual([
      'serve.yaml:1:1: httpPort: must be a port from 0 to 65535.',
      'serve.yaml:2:1: has no field "limts"; did you mean "limits"?',
      'serve.yaml:5:5: points[0].burst: must be at least 0.',
      'serve.yaml:6:15: points[0].source.url: must be a URL.',
      'serve.yaml:8:5: points[1].maxPlayers: must be a whole number, not a fraction.',
      'serve.yaml:9:5: points[2].path: is missing.',
      'serve.yaml:9:5: points[2]: has no field "pth"; did you mean "path"?',
      'serve.yaml:10:1: mms: must be a map of fields, not a number.',
      'serve.yaml:11:18: authentication[0]: must be negotiate, ntlm, digest or basic.',
    ]);
  });

  it.each(['/a', '/a/'])('refuses two points of one path: %s', (path) => {
    expect(fail(`points:\n  - path: /a\n  - path: ${path}\n`)).toBe(
      `serve.yaml:3:5: points[1].path: ${path} is already the path of points[0].`,
    );
    expect(() => parseConfig('points: [{ path: /a }, { path: /A }]', 'x')).not.toThrow();
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
    expect(fail(text)).toMatch(new RegExp(`^serve\\.yaml:${line}:\\d+: `));
  });

  it.each(['title', 'author', 'copyright', 'description'])('says that a %s is too long for a header', (name) => {
    const text = (length: number) => `points:\n  - path: /a\n    ${name}: ${'x'.repeat(length)}\n`;
    expect(fail(text(32_767))).toMatch(new RegExp(`^serve\\.yaml:3:5: points\\[0\\]\\.${name}: .*32766 characters`));
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
  const check = (text: string) => checkConfig(parseConfig(text, 'serve.yaml'));

  it.each([
    ['access: {play: {users: [anna]}}', 'access.play'],
    ["access: {push: {users: ['*']}}", 'access.push'],
    ['access: {push: {groups: [crew], trusted: [loopback]}}', 'access.push'],
    ['points: [{path: /live, access: {push: {users: [anna], trusted: [loopback]}}}]', '/live: access.push'],
  ])('cannot name users: %s', (text, place) => {
    const message = `${place} requires users, but there is no file of users: name one (users:, or --users).`;
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
    expect(message).toMatch(/points\[0\]\.source: must be a URL/);
    expect(message).not.toContain('cret@');
  });

  it.each([
    ['authentication: []', /authentication: must name a scheme/],
    ['authentication: [digest, digest]', /authentication: must name each scheme once/],
  ])('needs authentication schemes: %s', (text, message) => {
    expect(fail(text)).toMatch(message);
  });
});

describe('a configuration file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wmcast-config-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const written = async (text: string) => {
    const file = join(folder, 'serve.yaml');
    await writeFile(file, text);
    return file;
  };

  it('has paths that are relative to its folder, but sources relative to the content folder', async () => {
    const file = await written(
      'users: users.yaml\ncontent: { folder: media, wrapper: w.wsx }\npoints:\n  - { path: /a, archive: ../archive, filler: /x.wmv, source: day.wsx }\n',
    );
    expect(await readConfig(file)).toMatchObject({
      users: join(folder, 'users.yaml'),
      content: { folder: join(folder, 'media'), wrapper: 'w.wsx' },
      points: [{ archive: join(folder, '../archive'), filler: '/x.wmv', source: 'day.wsx' }],
    });
  });

  it('is checked for files that are missing and folders that cannot be written to', async () => {
    await writeFile(join(folder, 'a-file'), '');
    const file = await written(
      'users: missing.yaml\ncontent: { folder: a-file }\npoints:\n  - { path: /a, archive: new/deep }\n  - { path: /b, archive: a-file/x }\n',
    );
    const { config, problemAt } = await loadConfig(file);
    const found = await unusablePlaces(config);
    expect(found.map(({ path, message }) => problemAt(path, message))).toEqual([
      { line: 1, column: 1, path: 'users', message: `${join(folder, 'missing.yaml')} does not exist` },
      { line: 5, column: 17, path: 'points[1].archive', message: expect.stringContaining('cannot be written to') },
      { line: 2, column: 12, path: 'content.folder', message: `${join(folder, 'a-file')} is not a folder` },
    ]);
  });

  it('is shown without the passwords of its URLs', async () => {
    const file = await written('points:\n  - { path: /a, source: ["http://me:hunter2@host/a", "http://host/b"] }\n');
    const shown = JSON.stringify(masked(await readConfig(file)));
    expect(shown).toContain('http://***@host/a');
    expect(shown).not.toContain('hunter2');
  });

  it('reports contradictions at their place', async () => {
    const file = await written(
      'httpPort: none\npoints:\n  - path: /a\n    access: { play: { users: [anna] } }\n    source: [day.wsx]\n',
    );
    const { config, problemAt } = await loadConfig(file);
    expect(contradictionsIn(config).map(({ path, message }) => problemAt(path, message))).toMatchObject([
      { line: 1, path: 'httpPort' },
      { line: 4, column: 15, path: 'points[0].access.play' },
      { line: 5, column: 14, path: 'points[0].source[0]' },
    ]);
  });

  it('fails with all problems as data', async () => {
    const file = await written('a: 1\nb: 2\n');
    const error = await readConfig(file).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(YamlError);
    expect((error as YamlError).problems).toHaveLength(2);
  });
});
