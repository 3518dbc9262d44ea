import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type Command, CommanderError } from 'commander';
import { wholeProgram } from '../../src/cli/commands.js';
import { messageOf } from '../../src/errors.js';
import { type Documented, documentedCommands, examplesOf, simpleCommands, wordsOf } from '../support/documented.js';

/** Command lines of other programs, which this test cannot check; each with the reason. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'npm ci': 'part of npm',
  'npm link': 'part of npm',
  'npm publish': 'part of npm',
  'npm test': 'part of npm: the script "test" exists in package.json',
  'npx api-extractor run --local': 'the tool itself, as npm run check:api runs it',
  'git tag -a v1.2.3': 'part of git',
  'ffmpeg -f asf http://x': 'a push that the server refuses: test/interop/plain-http.test.ts sends one',
  'ffmpeg x -f asf -': 'any ffmpeg: test/interop/plain-http.test.ts runs the whole line',
  'ffplay -': 'a player of FFmpeg',
};

/** What a mention within a sentence may lack: arguments, and the value of its last option. */
const MENTIONED = ['commander.missingArgument', 'commander.optionMissingArgument', 'commander.help'];

/** Replaces placeholders by words. */
const filled = (line: string) => line.replace(/<([a-z]+)>/g, '$1').replaceAll('…', 'x');

/** Makes a command that parses and does nothing else. */
function silenced(command: Command): Command {
  command.exitOverride().configureOutput({ writeOut: () => {}, writeErr: () => {} });
  if (command.commands.length === 0) command.action(() => {});
  for (const each of command.commands) silenced(each);
  return command;
}

/** Returns what is wrong with a line for one of our programs; undefined if the program accepts it. */
async function complaint(line: string, whole: boolean): Promise<string | undefined> {
  const [name = '', ...words] = wordsOf(line);
  const args = name === 'wmcast' ? words : [name === 'wmpush' ? 'push' : 'pull-serve', ...words];
  const program = silenced(await wholeProgram());
  try {
    await program.parseAsync(args, { from: 'user' });
    return undefined;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return undefined;
      // A mention in a sentence, such as `wmpush --copy`, may leave the arguments out.
      if (!whole && MENTIONED.includes(error.code)) return undefined;
    }
    return messageOf(error);
  }
}

async function problemOf(command: string, whole: boolean): Promise<string | undefined> {
  if (ELSEWHERE[command] !== undefined) return undefined;
  const [name = '', first = '', second = ''] = wordsOf(command);
  if (['wmcast', 'wmpush', 'wmpull-serve'].includes(name)) return complaint(command, whole);
  if (name === 'npm' && first === 'run') {
    const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as { scripts: Record<string, string> };
    return second in scripts ? undefined : `package.json has no script ${second}`;
  }
  if (name === 'node' || name === 'bash') return existsSync(first) ? undefined : `there is no ${first}`;
  // test/interop/documented.test.ts runs these against a server.
  if (name === 'curl') return undefined;
  return 'no program that this test knows; run it, or give the reason in ELSEWHERE';
}

async function problemsOf(documented: readonly Documented[]): Promise<string[]> {
  const problems: string[] = [];
  for (const { file, line, whole } of documented) {
    for (const command of simpleCommands(filled(line))) {
      const problem = await problemOf(command, whole);
      if (problem !== undefined) problems.push(`${file}: ${line}: ${problem}`);
    }
  }
  return problems;
}

describe('every command line', () => {
  it('of README and docs is one that its program accepts', async () => {
    const documented = await documentedCommands();
    expect(documented.length).toBeGreaterThan(50);
    expect(await problemsOf(documented)).toEqual([]);
  });

  it('in the help of the commands is one that they accept', async () => {
    const examples = examplesOf(await wholeProgram());
    expect(examples.length).toBeGreaterThan(15);
    expect(await problemsOf(examples)).toEqual([]);
  });

  it('is checked: wrong options, values, arguments and scripts are found', async () => {
    const wrong = [
      'wmpush --copyy http://server/live',
      'wmcast serve --http-port 70000',
      'wmcast probe',
      'wmcast porbe x',
      'npm run nothing',
      'node bench/nothing.mjs',
      'unknown program',
    ].map((line) => ({ file: 'here', line, whole: true }));
    expect(await problemsOf(wrong)).toHaveLength(wrong.length);
  });
});
