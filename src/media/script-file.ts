import type { Command } from '../asf/command.js';
import { WmError } from '../errors.js';

/** A line of a script: a command or a marker, and when. */
export interface ScriptLine {
  /** Milliseconds of media from the start; undefined for at once. */
  readonly time: number | undefined;
  readonly command: Command;
}

/** The types that players know; any other word in capitals is passed on as well. */
const TYPE = /^[A-Z][A-Z0-9_]{0,30}$/;
/** Not a command of players: it names a place in what is recorded. */
export const MARKER = 'MARKER';

/**
 * Parses one line of a script: an optional time, a type and a text, as in `1:30 TEXT Now playing`. Empty lines and
 * those that begin with # are comments.
 *
 * @param where the place of the line, for messages
 * @throws WmError WM_USAGE
 */
export function parseScriptLine(line: string, where: string): ScriptLine | undefined {
  const text = line.trim();
  if (text === '' || text.startsWith('#')) return undefined;
  const [, hours, minutes, seconds, rest = ''] =
    /^(?:(?:(?:(\d{1,4}):)?(\d{1,5}):)?(\d{1,7}(?:\.\d{1,3})?)s?\s)?(.*)$/s.exec(text) ?? [];
  const [, type = '', value = ''] = /^(\S+)(?:\s(.*))?$/s.exec(rest.trim()) ?? [];
  if (!TYPE.test(type)) {
    throw new WmError(
      'WM_USAGE',
      `${where}: "${text.slice(0, 60)}" is not a command; write for example 1:30 TEXT Now playing, or URL http://example.com/.`,
    );
  }
  const time =
    seconds === undefined
      ? undefined
      : Math.round((Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds)) * 1000);
  return { time, command: { type, text: value.trim() } };
}

/** Parses a whole script. @param name of the file, for messages @throws WmError WM_USAGE with the line */
export function parseScript(text: string, name: string): ScriptLine[] {
  return text.split(/\r?\n/).flatMap((line, index) => parseScriptLine(line, `${name}:${index + 1}`) ?? []);
}
