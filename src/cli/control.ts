import type { Command } from '../asf/command.js';
import { type ErrorCode, messageOf, WmError } from '../errors.js';
import type { Rundown, RundownEntry } from '../media/rundown.js';
import { MARKER, parseScriptLine } from '../media/script-file.js';

/** What a controller works on. */
export interface ControlTarget {
  readonly rundown: Rundown;
  readonly entry: (input: string) => RundownEntry;
  readonly send: (command: Command, time?: number) => void;
  /** Further fields of the answer to `status`. */
  readonly details: () => Readonly<Record<string, unknown>>;
  /** Ends the command cleanly. */
  readonly stop: () => void;
}

/** The answer to one line, which is written as one line of JSON. */
export type ControlAnswer = { readonly ok: boolean; readonly request: string } & Readonly<Record<string, unknown>>;

/** What the words do, for `help` and for the docs. */
export const CONTROL_COMMANDS = {
  status: 'what is on the air, its position in seconds, all inputs, and the figures of the stream',
  next: 'switch to the next input',
  previous: 'switch to the previous input',
  'play <n>': 'switch to an input by its number',
  'play <input>': 'switch to another file, URL or device; then the list continues',
  'add <input>': 'add an input at the end of the list',
  pause: 'show a still with silence: the picture of the moment for files, else the filler or black',
  resume: 'continue after a pause: files where they were',
  'TEXT <text>': 'send a script command now; also URL, FILENAME, EVENT and types of your own',
  'script <line>': 'send a script command later: script 1:30 TEXT Now playing',
  'marker <text>': 'set a marker in what is recorded',
  stop: 'end the broadcast properly',
  help: 'list these commands',
} as const;

/** The longest part of a request that is repeated in its answer, in characters. */
const LONGEST_ECHO = 200;
/** A script command: its type is in capitals. */
const SCRIPT = /^[A-Z][A-Z0-9_]{0,30}(?:\s|$)/;

type Doing = (rest: string, target: ControlTarget) => Promise<Readonly<Record<string, unknown>> | undefined>;

const words: Readonly<Record<string, Doing>> = {
  status: async (_, { rundown, details }) => ({ ...rundown.status, ...details() }),
  next: (_, { rundown }) => switched(rundown, rundown.next()),
  previous: (_, { rundown }) => switched(rundown, rundown.previous()),
  play: (what, { rundown, entry }) => {
    if (what === '') throw usage('play takes the number of an input, or a file, a URL or a device.');
    return switched(rundown, rundown.play(/^\d{1,9}$/.test(what) ? Number(what) : entry(what)));
  },
  add: async (what, { rundown, entry }) => {
    if (what === '') throw usage('add takes a file, a URL or a device.');
    rundown.add(entry(what));
    return { inputs: rundown.status.inputs };
  },
  pause: (_, { rundown }) => switched(rundown, rundown.pause()),
  resume: (_, { rundown }) => switched(rundown, rundown.resume()),
  script: async (line, target) => sent(line, target),
  marker: async (text, target) => sent(`${MARKER} ${text}`, target),
  stop: async (_, { stop }) => {
    stop();
    return undefined;
  },
  help: async () => ({ commands: CONTROL_COMMANDS }),
};
const OTHER_NAMES: Readonly<Record<string, string>> = { prev: 'previous', still: 'pause', quit: 'stop' };

/**
 * Carries out one line, such as `next` or `TEXT Now playing`.
 *
 * @returns the answer, also for a line that is not understood or that fails; undefined for an empty line or a comment
 */
export async function control(line: string, target: ControlTarget | undefined): Promise<ControlAnswer | undefined> {
  const request = line.trim();
  if (request === '' || request.startsWith('#')) return undefined;
  const echo = request.slice(0, LONGEST_ECHO);
  try {
    if (target === undefined) throw new WmError('WM_FAILED', 'There is no broadcast at the moment.');
    return { ok: true, request: echo, ...(await carryOut(request, target)) };
  } catch (error) {
    const code: ErrorCode = error instanceof WmError ? error.code : 'WM_FAILED';
    return { ok: false, request: echo, code, error: messageOf(error) };
  }
}

async function carryOut(request: string, target: ControlTarget) {
  if (SCRIPT.test(request)) return sent(request, target);
  const space = request.search(/\s/);
  const word = (space < 0 ? request : request.slice(0, space)).toLowerCase();
  const doing = words[OTHER_NAMES[word] ?? word];
  if (doing === undefined || !Object.hasOwn(words, OTHER_NAMES[word] ?? word)) {
    throw usage(
      `"${word.slice(0, 60)}" is not a command; there are ${Object.keys(words).join(', ')}, and TEXT and the like.`,
    );
  }
  return doing(space < 0 ? '' : request.slice(space).trim(), target);
}

async function switched(rundown: Rundown, done: Promise<void>) {
  await done;
  const { state, input, number, position } = rundown.status;
  return { state, input, number, position };
}

function sent(line: string, { send }: ControlTarget) {
  const parsed = parseScriptLine(line, 'The command');
  if (parsed === undefined) throw usage('script takes a line such as 1:30 TEXT Now playing.');
  send(parsed.command, parsed.time);
  return { type: parsed.command.type, text: parsed.command.text };
}

function usage(message: string): WmError {
  return new WmError('WM_USAGE', message);
}
