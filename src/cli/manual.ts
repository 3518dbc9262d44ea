import { errorTable } from '../errors.js';
import type { CommandHelp, OptionHelp } from './help-model.js';

/** Names of commands that are programs of their own, too. */
const PROGRAMS: Readonly<Record<string, string>> = { push: 'wmpush', 'pull-serve': 'wmpull-serve' };

/** Columns of a line of text. */
const WIDTH = 78;

/** A manual page. */
export interface ManualPage {
  /** Such as `wmcast-serve.1`. */
  readonly file: string;
  /** In the language of mdoc(7). */
  readonly text: string;
}

/** Returns the manual pages of a program: one for itself, and one for each of its commands. */
export function manualPages(program: CommandHelp, date: string): ManualPage[] {
  const [name = ''] = program.words;
  const names = program.commands.map((command) => pageName(command));
  const main = page(program, name, date, [
    '.Sh COMMANDS',
    '.Bl -tag -width Ds',
    ...program.commands.flatMap((command) => [`.It Xr ${pageName(command)} 1`, escaped(sentence(command.summary))]),
    '.El',
    ...exitStatus(),
    ...seeAlso(names),
  ]);
  const parts = program.commands.map((command) => page(command, pageName(command), date, seeAlso([name])));
  return [main, ...parts];
}

/** Commands that are programs of their own have their page under that name. */
function pageName({ words }: CommandHelp): string {
  return PROGRAMS[words.at(-1)!] ?? words.join('-');
}

function page(command: CommandHelp, name: string, date: string, end: readonly string[]): ManualPage {
  const lines = [
    '.\\" Made from the help of the command: npm run docs:manual',
    `.Dd ${date}`,
    `.Dt ${name.toUpperCase()} 1`,
    '.Os',
    '.Sh NAME',
    `.Nm ${name}`,
    `.Nd ${plain(command.summary.replace(/\.$/, '').replace(/^[A-Z](?=[a-z])/, (first) => first.toLowerCase()))}`,
    '.Sh SYNOPSIS',
    ...synopsis(command, name),
    '.Sh DESCRIPTION',
    escaped(sentence(command.description)),
    ...command.arguments.flatMap(({ name: word, description }) => [
      '.Pp',
      `.Ar ${word.replaceAll(' ', '-')} :`,
      escaped(sentence(description)),
    ]),
    ...optionLines(command.options),
    ...(command.words.length > 1 ? command.commands.flatMap((part) => subCommand(part)) : []),
    ...(command.examples.length > 0
      ? ['.Sh EXAMPLES', ...command.examples.map((line) => `.Dl ${withHyphens(line.replaceAll('\\', '\\e'))}`)]
      : []),
    ...end,
  ];
  return { file: `${name}.1`, text: `${lines.join('\n')}\n` };
}

function synopsis({ words, arguments: args, commands }: CommandHelp, name: string): string[] {
  const typed = name.startsWith('wmcast-') ? words.join(' ') : name;
  const rest = args.map(({ written }) =>
    written.startsWith('[') ? `.Op Ar ${written.slice(1, -1).replaceAll(' ', '-')}` : `.Ar ${written}`,
  );
  return [`.Nm ${typed}`, ...(commands.length > 0 ? ['.Ar command'] : []), '.Op Ar options', ...rest];
}

function optionLines(options: readonly OptionHelp[]): string[] {
  if (options.length === 0) return [];
  const groups = new Map<string, OptionHelp[]>();
  for (const option of options) groups.set(option.group, [...(groups.get(option.group) ?? []), option]);
  return [
    '.Sh OPTIONS',
    ...[...groups].flatMap(([group, members]) => [
      ...(group === '' || group === 'Options' ? [] : [`.Ss ${plain(group)}`]),
      '.Bl -tag -width Ds',
      ...members.flatMap((option) => [`.It ${flags(option)}`, escaped(sentence(option.description))]),
      '.El',
    ]),
  ];
}

function flags({ short, long, value }: OptionHelp): string {
  const argument = value === undefined ? '' : ` Ar ${value.replaceAll(' ', '-')}`;
  const both = short === undefined ? '' : `Fl ${short.slice(1)} , `;
  return `${both}Fl \\-${long.slice(2)}${argument}`;
}

function subCommand(command: CommandHelp): string[] {
  const rest = command.arguments.map(({ written }) => ` ${written}`).join('');
  return [
    // mandoc objects to a heading that ends with a bracket.
    `.Ss ${plain(command.words.join(' ') + rest)}${rest.endsWith(']') ? '\\&' : ''}`,
    escaped(sentence(command.description)),
    ...(command.options.length === 0 ? [] : ['.Bl -tag -width Ds']),
    ...command.options.flatMap((option) => [`.It ${flags(option)}`, escaped(sentence(option.description))]),
    ...(command.options.length === 0 ? [] : ['.El']),
  ];
}

function exitStatus(): string[] {
  const meanings = new Map<number, string[]>();
  for (const { exitCode, meaning } of Object.values(errorTable)) {
    meanings.set(exitCode, [...(meanings.get(exitCode) ?? []), meaning]);
  }
  return [
    '.Sh EXIT STATUS',
    '.Bl -tag -width Ds',
    '.It 0',
    'Done.',
    ...[...meanings].sort(([a], [b]) => a - b).flatMap(([code, texts]) => [`.It ${code}`, escaped(texts.join(' '))]),
    '.It 129 , 130 , 143',
    'Stopped by SIGHUP, SIGINT or SIGTERM after a clean end.',
    '.El',
  ];
}

function seeAlso(names: readonly string[]): string[] {
  const sorted = [...names].sort();
  return ['.Sh SEE ALSO', ...sorted.map((name, index) => `.Xr ${name} 1${index < sorted.length - 1 ? ' ,' : ''}`)];
}

/** Makes a text safe as the argument of a macro. */
function plain(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('…', '...');
}

function sentence(text: string): string {
  return text.replace(/^[a-z](?=[a-z ])/, (first) => first.toUpperCase()).replace(/([^.?!])$/, '$1.');
}

/** Two hyphens by themselves, which mandoc would take for a dash. */
const withHyphens = (text: string): string => text.replace(/--(?= )/g, '\\-\\-');

/** Makes a text safe for mdoc, one sentence a line: backslashes, and lines that would be requests. */
function escaped(text: string): string {
  return withHyphens(text.replaceAll('\\', '\\e').replaceAll('…', '...').replace(/[“”]/g, '"'))
    .replace(/([.?!]) (?=[A-Z])/g, '$1\n')
    .split('\n')
    .flatMap((line) => wrapped(line))
    .map((line) => line.replace(/^(?=[.'])/, '\\&'))
    .join('\n');
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
