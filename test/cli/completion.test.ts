import { wholeProgram } from '../../src/cli/commands.js';
import { completionCommand, completionScript } from '../../src/cli/completion.js';
import { helpOf } from '../../src/cli/help-model.js';
import { manualPages } from '../../src/cli/manual.js';
import { runCommand } from './run.js';

const help = async () => helpOf(await wholeProgram());

describe('what is made from the help of the commands', () => {
  it('knows every command, option, value and example', async () => {
    const { commands } = await help();
    const serve = commands.find(({ words }) => words.at(-1) === 'serve')!;
    expect(serve.options).toContainEqual({
      short: undefined,
      long: '--log-format',
      value: 'format',
      choices: ['text', 'json'],
      description: expect.stringContaining('format of the log'),
      group: 'Configuration',
    });
    expect(serve.examples).toContain('wmcast serve --config serve.yaml');
    const users = commands.find(({ words }) => words.at(-1) === 'users')!;
    expect(users.commands.map(({ words }) => words.join(' '))).toContain('wmcast users add');
    expect(commands.find(({ words }) => words.at(-1) === 'push')!.arguments[0]).toMatchObject({ written: 'url' });
  });

  it.each(['bash', 'zsh', 'fish'] as const)('a completion for %s names all commands and options', async (shell) => {
    const program = await help();
    const script = completionScript(shell, program);
    for (const { words, options } of program.commands) {
      expect(script).toContain(words.at(-1));
      for (const { long } of options) expect(script).toContain(long.slice(2));
    }
    for (const name of ['wmpush', 'wmpull-serve']) expect(script).toContain(name);
  });

  it('a completion is printed by wmcast completion, for a shell that it knows', async () => {
    const { output } = await runCommand(completionCommand(wholeProgram), 'bash');
    expect(output).toBe(completionScript('bash', await help()));
    expect((await runCommand(completionCommand(wholeProgram), 'tcsh')).error).toMatchObject({
      code: 'commander.invalidArgument',
    });
  });

  it('manual pages have every option, argument and exit code', async () => {
    const program = await help();
    const pages = new Map(manualPages(program, 'January 1, 2020').map(({ file, text }) => [file, text]));
    expect([...pages.keys()]).toEqual(
      expect.arrayContaining(['wmcast.1', 'wmcast-serve.1', 'wmpush.1', 'wmpull-serve.1']),
    );
    for (const { options } of program.commands.filter(({ words }) => words.at(-1) === 'push')) {
      for (const { long } of options) expect(pages.get('wmpush.1')).toContain(`Fl \\-${long.slice(2)}`);
    }
    expect(pages.get('wmcast.1')).toMatch(/\.It 78\nThe configuration is wrong\./);
    expect(pages.get('wmcast-users.1')).toContain('.Ss wmcast users add name');
    expect(pages.get('wmcast.1')).toContain('.Dd January 1, 2020');
  });
});
