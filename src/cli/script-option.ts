import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { messageOf, WmError } from '../errors.js';
import type { AsfSource } from '../media/events.js';
import { MARKER, parseScript, parseScriptLine } from '../media/script-file.js';
import { ScriptedSource } from '../media/scripted-source.js';
import { systemErrorReason } from '../media/system-error.js';
import type { Reporter } from './reporter.js';

/** The script commands that a command is to send. */
export interface ScriptOptions {
  /** The name of a file, or - for standard input. */
  readonly script?: string;
}

/** Adds `--script`. */
export function addScriptOption(command: Command): Command {
  return command.option(
    '--script <file>',
    'send script commands: lines such as "1:30 TEXT Now playing" or "URL http://…"; - reads them as they come',
  );
}

/** A source, and the script commands that go into it. */
export interface ScriptedOptions {
  readonly options: ScriptOptions;
  readonly reporter: Reporter;
  /** True once the input itself has titles, so that the headers need a stream for them. */
  readonly hasTitles: () => boolean;
  readonly onMarker: (text: string) => void;
}

/**
 * Adds the commands of the option to a source.
 *
 * @throws WmError WM_NO_INPUT for a file that cannot be read, WM_USAGE for a line that is no command
 */
export async function scripted(
  source: AsfSource,
  { options: { script }, reporter, hasTitles, onMarker }: ScriptedOptions,
): Promise<ScriptedSource> {
  const lines = script === undefined || script === '-' ? [] : parseScript(await contentsOf(script), script);
  const scriptedSource = new ScriptedSource(source, {
    commands: lines.map(({ time, command }) => ({ time: time ?? 0, ...command })),
    wanted: () => script !== undefined || hasTitles(),
    marker: { type: MARKER, add: onMarker },
    onWarning: (message) => reporter.warn(message),
  });
  if (script === '-') readCommands(scriptedSource, reporter);
  return scriptedSource;
}

function readCommands(source: ScriptedSource, reporter: Reporter): void {
  const lines = createInterface({ input: process.stdin });
  let count = 0;
  lines.on('line', (line) => {
    try {
      const parsed = parseScriptLine(line, `line ${++count} of the script`);
      if (parsed) source.send(parsed.command, parsed.time);
    } catch (error) {
      reporter.warn(messageOf(error));
    }
  });
  // The end of the script is not the end of the stream.
  process.stdin.unref?.();
}

async function contentsOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new WmError('WM_NO_INPUT', `The script ${path} cannot be read: ${systemErrorReason(error)}.`, {
      cause: error,
    });
  }
}
