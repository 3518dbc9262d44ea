import type { Command } from 'commander';

/** An option, as its help shows it. */
export interface OptionHelp {
  /** Such as `-i`; undefined without a short form. */
  readonly short: string | undefined;
  /** Such as `--input`. */
  readonly long: string;
  /** The name of its value, such as `file`; undefined for a flag. */
  readonly value: string | undefined;
  /** The values that it accepts, if they are few. */
  readonly choices: readonly string[];
  readonly description: string;
  /** The heading of its group in the help; empty for the group without one. */
  readonly group: string;
}

/** A command, as its help shows it: what manual pages and completions are made from. */
export interface CommandHelp {
  /** As a person types it, such as `wmcast users add`. */
  readonly words: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly arguments: readonly { readonly name: string; readonly written: string; readonly description: string }[];
  readonly options: readonly OptionHelp[];
  readonly commands: readonly CommandHelp[];
  /** The lines of the examples, which a person can type. */
  readonly examples: readonly string[];
}

/** Reads the help of a command and of its sub-commands. */
export function helpOf(command: Command, before: readonly string[] = []): CommandHelp {
  const words = [...before, command.name()];
  const help = command.createHelp();
  return {
    words,
    summary: command.summary() || command.description(),
    description: command.description(),
    arguments: command.registeredArguments.map((argument) => {
      const name = argument.name() + (argument.variadic ? '...' : '');
      return { name, written: argument.required ? name : `[${name}]`, description: argument.description };
    }),
    options: help.visibleOptions(command).flatMap((option) => {
      if (option.long === undefined || option.long === null) return [];
      const value = /[<[]([^\]<>[]+)[\]>]/.exec(option.flags)?.[1];
      return {
        short: option.short ?? undefined,
        long: option.long,
        value,
        choices: option.argChoices ?? [],
        description: help.optionDescription(option),
        group: (option.helpGroupHeading ?? '').replace(/:$/, ''),
      };
    }),
    commands: command.commands.map((each) => helpOf(each, words)),
    examples: examplesIn(command),
  };
}

function examplesIn(command: Command): string[] {
  let text = '';
  const before = command.configureOutput();
  command.configureOutput({ writeOut: (part) => void (text += part) }).outputHelp();
  command.configureOutput(before);
  const [, after = ''] = text.split(/\nExamples?:/);
  return after
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^(?:[A-Z_]+=\S+ )*(?:wmcast|wmpush|wmpull-serve)\s/.test(line));
}
