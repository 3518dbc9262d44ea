import { lookup } from 'node:dns/promises';
import { open } from 'node:fs/promises';
import { isIP } from 'node:net';
import { type ErrorCode, WmError } from '../errors.js';
import type { EncoderLog } from './log.js';

/** How ffmpeg ended. */
export interface EncoderEnd {
  /** Null if a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** True if it had delivered a header: the input was open and the encoders were running. */
  readonly started: boolean;
  /** The path of the program. */
  readonly program: string;
  readonly input: string;
  /** True if the user gave arguments of their own. */
  readonly extra: boolean;
}

interface Symptom {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly say: (end: EncoderEnd, found: string) => string;
}

const cannotOpen = ({ input }: EncoderEnd, found: string) =>
  `The input ${quote(input)} cannot be opened: ${found.replace(/^cannot open [^:]*: /i, '')}`;
const notMedia = ({ input }: EncoderEnd, found: string) =>
  `The input ${quote(input)} is not media that ffmpeg can read: ${found}`;

/** The most telling symptoms first. They apply to errors before the first output; later errors have other causes. */
const symptoms: readonly Symptom[] = [
  {
    pattern: /Unknown encoder '[^']*'/,
    code: 'WM_FFMPEG_MISSING',
    say: ({ program }, found) => `This ffmpeg lacks an encoder: ${found} (${program})`,
  },
  {
    pattern: /Unknown input format:? '[^']*'/,
    code: 'WM_USAGE',
    say: ({ program }, found) =>
      `ffmpeg does not know the input format: ${found} (${program} -demuxers and -devices list them)`,
  },
  {
    pattern:
      /Unrecognized option '[^']*'|Option \S+ not found|Error parsing (?:options|global options).*|Unable to parse option.*/,
    code: 'WM_USAGE',
    say: ({ extra }, found) => `ffmpeg rejects its arguments: ${found}${extra ? '; check those after --' : ''}`,
  },
  {
    pattern:
      /No such file or directory|Connection refused|(?:Connection|Operation) timed out|Network (?:is )?unreachable|No route to host|Host is down|Failed to resolve hostname[^:]*|Permission denied|Operation not permitted|Protocol not found|Device or resource busy|No such device(?: or address)?|Server returned .*|HTTP error .*|method \w+ failed: .*|Connection reset by peer|[Cc]ould not find .* device.*|[Cc]annot open (?:display|video device|audio device).*/,
    code: 'WM_NO_INPUT',
    say: cannotOpen,
  },
  { pattern: /Is a directory/, code: 'WM_BAD_INPUT', say: notMedia },
  {
    pattern: /does not contain any stream|matches no streams/,
    code: 'WM_BAD_INPUT',
    say: (end) => notMedia(end, 'it has no picture or sound of the requested kind'),
  },
  {
    pattern:
      /moov atom not found|[Cc]ould not find codec parameters[^(]*|Unsupported codec.*|[Dd]ecoder .*not found|Invalid data found when processing input/,
    code: 'WM_BAD_INPUT',
    say: notMedia,
  },
  { pattern: /Input\/output error|End of file/, code: 'WM_NO_INPUT', say: cannotOpen },
];

/**
 * Explains in one sentence why ffmpeg ended, with the last lines of its log: WM_NO_INPUT if the input is missing or
 * does not answer, WM_BAD_INPUT if it is not media, WM_USAGE if ffmpeg rejected its arguments, WM_FFMPEG_MISSING if it
 * lacks an encoder, otherwise WM_FFMPEG_FAILED.
 */
export async function captureFailure(end: EncoderEnd, log: EncoderLog): Promise<WmError> {
  if (!end.started) {
    const found = (await foundSymptom(end, log)) ?? (await crashedOnHostName(end));
    if (found !== undefined) return found;
    if (end.exitCode === 0) return failure('WM_BAD_INPUT', notMedia(end, 'it gave neither picture nor sound'), log);
  }
  const how = end.signal === null ? `with exit code ${end.exitCode}` : `because of ${end.signal}`;
  const when = end.started ? 'in the middle of the capture' : 'before it captured anything';
  return failure('WM_FFMPEG_FAILED', `ffmpeg ended ${how} ${when}`, log);
}

/** The separator of log lines that are quoted together. */
const LINE_BREAK = ' / ';

/** True if a sentence already contains the reason at the end of a line of ffmpeg's. */
function isSaid(sentence: string, line: string): boolean {
  const reason = line.split(': ').at(-1)!.replace(/\.$/, '').toLowerCase();
  return reason.length > 3 && sentence.toLowerCase().includes(reason);
}

/** Composes a message in the form of all capture failures: the sentence, then ffmpeg's own words. */
export function failure(code: ErrorCode, sentence: string, log: EncoderLog, cause?: unknown): WmError {
  const tail = log
    .tail()
    .split(LINE_BREAK)
    .filter((line) => !isSaid(sentence, line))
    .join(LINE_BREAK);
  const message = tail === '' ? `${sentence}.` : `${sentence} (ffmpeg: ${tail.replace(/\.$/, '')}).`;
  return new WmError(code, message, cause === undefined ? {} : { cause });
}

/** Composes the failure for input that ffmpeg took for ANSI art: some builds draw any text file. */
export async function textInput(input: string, log: EncoderLog): Promise<WmError> {
  const text = (await looksLikeText(input)) ?? 'it is text';
  return failure('WM_BAD_INPUT', `The input ${quote(input)} is not media: ${text}`, log);
}

async function foundSymptom(end: EncoderEnd, log: EncoderLog): Promise<WmError | undefined> {
  for (const { pattern, code, say } of symptoms) {
    for (const line of log.errors) {
      const found = pattern.exec(line)?.[0];
      if (found === undefined) continue;
      const text = code === 'WM_BAD_INPUT' ? await looksLikeText(end.input) : undefined;
      return failure(code, say(end, text ?? found.trim().replace(/\.$/, '')), log);
    }
  }
  return undefined;
}

/** Explains a crash of a statically linked build during a host name lookup. The name or the build may be at fault. */
async function crashedOnHostName(end: EncoderEnd): Promise<WmError | undefined> {
  if (end.signal !== 'SIGSEGV' || !/^[a-z][a-z\d+.-]*:\/\//i.test(end.input)) return undefined;
  const host = /:\/\/(?:[^/@]*@)?\[?([^/:\]]+)/.exec(end.input)?.[1];
  if (host === undefined || host === '' || isIP(host) !== 0) return undefined;
  const address = await lookup(host).catch(() => undefined);
  if (address === undefined) {
    return new WmError('WM_NO_INPUT', `The input ${quote(end.input)} cannot be opened: the host ${host} is not known.`);
  }
  const advice = `name another with --ffmpeg, or write ${address.address} instead of ${host}`;
  return new WmError('WM_FFMPEG_FAILED', `${end.program} crashed when it looked up ${host}; ${advice}.`);
}

/** Describes the input, if it is a local file whose first bytes are text. */
async function looksLikeText(input: string): Promise<string | undefined> {
  try {
    const file = await open(input.replace(/^file:/, ''), 'r');
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(256), 0, 256, 0);
      if (bytesRead === 0) return 'it is empty';
      const text = buffer.toString('utf8', 0, bytesRead);
      // Text has no control characters but white space, and is valid UTF-8 (apart from a truncated last character).
      if (/[^\P{Cc}\s]/u.test(text) || /\ufffd/.test(text.slice(0, -1))) return undefined;
      return `it looks like text ("${text
        .trim()
        .split(/[\r\n]/, 1)[0]!
        .slice(0, 40)
        .trimEnd()}")`;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

function quote(input: string): string {
  return `"${input}"`;
}
