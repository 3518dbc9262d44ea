import { Argument, Command } from 'commander';
import { type CommandHelp, helpOf, type OptionHelp } from './help-model.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** Builds `wmcast completion`. @param program builds the program with all of its commands */
export function completionCommand(program: () => Promise<Command>): Command {
  return new Command('completion')
    .description('Prints a script that completes commands and options in a shell.')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast completion bash > /etc/bash_completion.d/wmcast\n  wmcast completion zsh > /usr/local/share/zsh/site-functions/_wmcast\n  wmcast completion fish > ~/.config/fish/completions/wmcast.fish',
    )
    .action(async (shell: Shell) => {
      process.stdout.write(completionScript(shell, helpOf(await program())));
    });
}

/** Returns the script for a shell. */
export function completionScript(shell: Shell, program: CommandHelp): string {
  const programs: readonly (readonly [name: string, help: CommandHelp])[] = [
    ['wmcast', program],
    ['wmpush', part(program, 'push')],
    ['wmpull-serve', part(program, 'pull-serve')],
  ];
  if (shell === 'fish') return fish(programs);
  return shell === 'bash' ? bash(programs) : zsh(programs);
}

type Programs = readonly (readonly [name: string, help: CommandHelp])[];

function part(program: CommandHelp, name: string): CommandHelp {
  return program.commands.find(({ words }) => words.at(-1) === name)!;
}

/** All commands below a program, with the words after its name. */
function* allOf(
  help: CommandHelp,
  words: readonly string[] = [],
): Generator<readonly [readonly string[], CommandHelp]> {
  yield [words, help];
  for (const each of help.commands) yield* allOf(each, [...words, each.words.at(-1)!]);
}

const isPath = ({ value }: OptionHelp) => /file|folder|path/.test(value ?? '');

/** One case for each command in a function that looks at the words so far; files are completed where nothing else is. */
function bash(programs: Programs): string {
  const lines = ['# bash completion for wmcast: made by `wmcast completion bash`', ''];
  for (const [name, help] of programs) {
    const cases = [...allOf(help)].map(([words, each]) => {
      const offered = [...each.commands.map((command) => command.words.at(-1)!), ...each.options.flatMap(flagsOf)];
      return `    '${words.join(' ')}') offered='${offered.join(' ')}' ;;`;
    });
    const values = [...allOf(help)].flatMap(([words, each]) =>
      each.options
        .filter(({ choices }) => choices.length > 0)
        .map(({ long, choices }) => `    '${[...words, long].join(' ')}') choices='${choices.join(' ')}' ;;`),
    );
    const known = [...new Set([...allOf(help)].flatMap(([words]) => words))];
    const run = `_${name.replace('-', '_')}`;
    lines.push(
      `${run}() {`,
      `  local word=\${COMP_WORDS[COMP_CWORD]} last=\${COMP_WORDS[COMP_CWORD-1]} command= offered= choices= each`,
      `  for each in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do`,
      `    case $each in ${known.length > 0 ? known.join('|') : '-'}) command="\${command:+$command }$each" ;; esac`,
      '  done',
      `  case "\${command:+$command }$last" in`,
      ...values,
      '  esac',
      '  case $command in',
      ...cases,
      '  esac',
      `  COMPREPLY=($(compgen -W "\${choices:-$offered}" -- "$word"))`,
      '}',
      // Where nothing of it fits, files are offered.
      `complete -o default -F ${run} ${name}`,
      '',
    );
  }
  return lines.join('\n');
}

function zsh(programs: Programs): string {
  const lines = [
    `#compdef ${programs.map(([name]) => name).join(' ')}`,
    '# zsh completion for wmcast: made by `wmcast completion zsh`',
    '',
  ];
  const quoted = (text: string) =>
    text
      .replace(/[[\]:'"`$\\]/g, ' ')
      .replace(/\s+/g, ' ')
      .trim();
  const spec = (option: OptionHelp) => {
    const { short, long, value, choices, description } = option;
    const action = choices.length > 0 ? `(${choices.join(' ')})` : isPath(option) ? '_files' : ' ';
    const rest = `[${quoted(description)}]${value === undefined ? '' : `:${quoted(value)}:${action}`}`;
    return [long, ...(short === undefined ? [] : [short])].map((flag) => `'${flag}${rest}'`).join(' ');
  };
  const define = (name: string, help: CommandHelp) => {
    for (const command of help.commands) define(`${name}_${command.words.at(-1)!.replace('-', '_')}`, command);
    lines.push(`${name}() {`);
    const options = help.options.map(spec).join(' ');
    if (help.commands.length === 0) lines.push(`  _arguments ${options} '*:argument:_files'`);
    else {
      lines.push(
        '  local -a commands',
        `  commands=(${help.commands.map((each) => `'${each.words.at(-1)}:${quoted(each.summary)}'`).join(' ')})`,
        `  _arguments -C ${options} '1: :->command' '*::argument:->rest'`,
        '  case $state in',
        "    command) _describe 'command' commands ;;",
        '    rest) case $line[1] in',
        ...help.commands.map(
          (each) => `      ${each.words.at(-1)}) ${name}_${each.words.at(-1)!.replace('-', '_')} ;;`,
        ),
        '    esac ;;',
        '  esac',
      );
    }
    lines.push('}');
  };
  for (const [name, help] of programs) define(`_${name.replace('-', '_')}`, help);
  lines.push(
    'case $service in',
    ...programs.map(([name]) => `  ${name}) _${name.replace('-', '_')} "$@" ;;`),
    'esac',
    '',
  );
  return lines.join('\n');
}

function fish(programs: Programs): string {
  const lines = ['# fish completion for wmcast: made by `wmcast completion fish`'];
  for (const [name, help] of programs) {
    for (const [words, each] of allOf(help)) {
      const names = each.commands.map((command) => command.words.at(-1)!);
      const conditions = [
        ...words.map((word) => `__fish_seen_subcommand_from ${word}`),
        ...(names.length > 0 ? [`not __fish_seen_subcommand_from ${names.join(' ')}`] : []),
      ];
      const start = `complete -c ${name}${conditions.length > 0 ? ` -n ${fishText(conditions.join('; and '))}` : ''}`;
      for (const command of each.commands) {
        lines.push(`${start} -f -a ${command.words.at(-1)} -d ${fishText(command.summary)}`);
      }
      for (const option of each.options) lines.push(`${start} ${fishOption(option)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function fishOption(option: OptionHelp): string {
  const { short, long, description } = option;
  const names = short === undefined ? `-l ${long.slice(2)}` : `-l ${long.slice(2)} -s ${short.slice(1)}`;
  return `${names}${fishValue(option)} -d ${fishText(description)}`;
}

function fishValue(option: OptionHelp): string {
  if (option.value === undefined) return '';
  if (option.choices.length > 0) return ` -x -a ${fishText(option.choices.join(' '))}`;
  return isPath(option) ? ' -r -F' : ' -x';
}

function fishText(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

function flagsOf({ short, long }: OptionHelp): string[] {
  return short === undefined ? [long] : [short, long];
}
