import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A command line that a page shows. */
export interface Documented {
  readonly file: string;
  /** Without its comment. */
  readonly line: string;
  /** True if it is a line of its own, to be copied; false for a mention within a sentence, which may lack arguments. */
  readonly whole: boolean;
}

/** What a page names as a command: one of ours, or one that is run in a clone. */
const COMMAND = /^(?:[A-Z_]+=\S+ )*(?:wmcast|wmpush|wmpull-serve|npm|npx|node|curl|bash|git|ffmpeg)\s\S/;

/** Returns the command lines of README, CONTRIBUTING, SECURITY and docs/, each once for a page. */
export async function documentedCommands(): Promise<Documented[]> {
  const folders = ['docs', 'docs/players'];
  const names = await Promise.all(
    folders.map(async (folder) => (await readdir(root + folder)).map((name) => `${folder}/${name}`)),
  );
  const pages = names.flat().filter((name) => name.endsWith('.md'));
  const found: Documented[] = [];
  for (const file of ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...pages]) {
    const text = await readFile(root + file, 'utf8');
    const fenced = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, body]) =>
      body!.replaceAll('\\\n', '').split('\n'),
    );
    const inline = [...text.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)].map(([, code]) => code!);
    const lines = new Map<string, boolean>();
    for (const code of inline) lines.set(code.replace(/\s+/g, ' '), false);
    for (const line of fenced) lines.set(line.replace(/\s+#.*/, '').trim(), true);
    for (const [line, whole] of lines) if (whole ? line !== '' : COMMAND.test(line)) found.push({ file, line, whole });
  }
  return found;
}

/** Returns the examples in the help of a command and its sub-commands. */
export function examplesOf(command: Command): Documented[] {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  const [, after = ''] = text.split(/\nExamples?:/);
  const own = after
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => COMMAND.test(line))
    .map((line) => ({ file: `--help of ${command.name()}`, line, whole: true }));
  return [...own, ...command.commands.flatMap((each) => examplesOf(each))];
}

/** Divides a command line into words as a shell does; quotes group, and nothing is expanded. */
export function wordsOf(line: string): string[] {
  return [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replace(/["']/g, ''));
}

/** Divides a line into the commands that `|` and `&&` join, without variables set before them and redirections. */
export function simpleCommands(line: string): string[] {
  return line.split(/\s(?:\||&&)\s/).map((part) =>
    part
      .trim()
      .replace(/^(?:[A-Z_]+=\S+\s+)+/, '')
      .replace(/\s[<>]\s\S+$/, ''),
  );
}
