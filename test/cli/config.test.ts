import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configCommand } from '../../src/cli/config.js';
import { initCommand } from '../../src/cli/init.js';
import { serveCommand } from '../../src/cli/serve.js';
import { commentedConfig } from '../../src/server/config-text.js';
import { newFolder, removeFolders, runCommand } from './run.js';

afterAll(removeFolders);

const written = (text: string) => {
  const file = join(newFolder(), 'serve.yaml');
  writeFileSync(file, text);
  return file;
};

const BROKEN = 'httpPort: eighty\npoints:\n  - path: live\n';

describe('wmcast init', () => {
  it('writes a file that wmcast config check finds in order, and never replaces one without --force', async () => {
    const file = join(newFolder(), 'serve.yaml');
    expect((await runCommand(initCommand(), file)).log).toContain(`wmcast serve --config ${file}`);
    expect(readFileSync(file, 'utf8')).toBe(commentedConfig());
    expect((await runCommand(configCommand(), 'check', file)).log).toBe(`${file} is in order.\n`);
    writeFileSync(file, 'mine');
    expect((await runCommand(initCommand(), file)).error).toMatchObject({ code: 'WM_USAGE' });
    expect(readFileSync(file, 'utf8')).toBe('mine');
    await runCommand(initCommand(), file, '--force');
    expect(readFileSync(file, 'utf8')).toBe(commentedConfig());
  });

  it('writes to standard output', async () => {
    expect((await runCommand(initCommand(), '-')).output).toBe(commentedConfig());
  });

  it('reports a folder that does not exist', async () => {
    expect((await runCommand(initCommand(), '/nonexistent/serve.yaml')).error).toMatchObject({ code: 'WM_DISK' });
  });
});

describe('wmcast config check', () => {
  it('prints every mistake in a line that editors can follow', async () => {
    const file = written(BROKEN);
    const { output, error } = await runCommand(configCommand(), 'check', file);
    expect(output.split('\n')).toEqual([
      `${file}:1:1: httpPort: must be a port from 0 to 65535, or none.`,
      `${file}:3:5: points[0].path: must be a path such as /live.`,
      '',
    ]);
    expect(error).toMatchObject({ exitCode: 78, message: `${file} has 2 mistakes.` });
  });

  it('prints them as events, also those that show only in files and folders', async () => {
    const file = written('users: missing.yaml\npoints:\n  - { path: /a, source: x.wsx }\n');
    const { events, error } = await runCommand(configCommand(), 'check', '--json', file);
    expect(events).toMatchObject([
      { event: 'problem', file, line: 1, column: 1, path: 'users', message: expect.stringContaining('does not exist') },
      { event: 'problem', file, line: 3, path: 'points[0].source', message: expect.stringContaining('content folder') },
    ]);
    expect(error).toMatchObject({ exitCode: 78 });
  });

  it('reports a file that cannot be read', async () => {
    expect((await runCommand(configCommand(), 'check', '/nonexistent.yaml')).error).toMatchObject({
      code: 'WM_CONFIG',
    });
  });
});

describe('wmcast config print', () => {
  it('shows defaults and absolute paths, and hides passwords', async () => {
    const file = written('users: users.yaml\npoints: [{ path: /a, source: "http://me:hunter2@host/a" }]\n');
    const { output } = await runCommand(configCommand(), 'print', file);
    expect(output).toContain('httpPort: 8080\n');
    expect(output).toContain(`users: ${file.replace('serve.yaml', 'users.yaml')}\n`);
    expect(output).toContain('source: http://***@host/a\n');
    expect(output).not.toContain('hunter2');
    const { events } = await runCommand(configCommand(), 'print', '--json', file);
    expect(events).toMatchObject([{ event: 'config', file, config: { httpPort: 8080 } }]);
    expect(JSON.stringify(events)).not.toContain('hunter2');
  });
});

describe('wmcast serve', () => {
  it('does not start with mistakes, and lists all of them', async () => {
    const file = written(BROKEN);
    const { error } = await runCommand(serveCommand(), '--config', file);
    expect(error).toMatchObject({ exitCode: 78 });
    expect((error as Error).message.split('\n')).toHaveLength(2);
  });

  it('names the line of a rule that nobody can fulfil, unless --users fulfils it', async () => {
    const file = written('host: 127.0.0.1\naccess:\n  play: { users: [anna] }\n');
    const { error } = await runCommand(serveCommand(), '--config', file);
    expect(error).toMatchObject({ message: expect.stringMatching(/serve\.yaml:3:3: access\.play: requires users/) });
    const withUsers = await runCommand(serveCommand(), '--config', file, '--users', '/nonexistent.yaml');
    expect(withUsers.error).toMatchObject({ message: expect.stringContaining('/nonexistent.yaml') });
  });
});
