/**
 * Every error that wmcast reports has a stable code. The table gives the exit code of the commands and a hint;
 * `docs/errors.md` is tested against it.
 *
 * @public
 */
export const errorTable = {
  WM_FAILED: {
    exitCode: 1,
    meaning: 'The work could not be finished.',
    hint: 'Run the command again with -v for more detail.',
  },
  WM_UNEXPECTED: {
    exitCode: 1,
    meaning: 'What was tested is not as it should be.',
    hint: 'The message says what was found; --json gives each result.',
  },
  WM_PORT_IN_USE: {
    exitCode: 1,
    meaning: 'Another program listens on the port.',
    hint: 'Choose another port, or 0 for any free one.',
  },
  WM_FFMPEG_FAILED: {
    exitCode: 1,
    meaning: 'ffmpeg ended with an error while capturing.',
    hint: "The message ends with the last lines of ffmpeg's log; -v shows all of it.",
  },
  WM_PACKAGER_FAILED: {
    exitCode: 1,
    meaning: 'The program of --packager ended with an error, or did not return ASF.',
    hint: 'It must read ASF on standard input and write ASF on standard output; the message ends with its last line.',
  },
  WM_DISK: {
    exitCode: 1,
    meaning: 'A file could not be written.',
    hint: 'Check the free space, and the permissions of the folder.',
  },
  WM_USAGE: { exitCode: 2, meaning: 'The command line is wrong.', hint: '--help lists the options.' },
  WM_BAD_INPUT: {
    exitCode: 65,
    meaning: 'The input exists but is not what it should be.',
    hint: 'Check what it is with wmcast probe or ffprobe.',
  },
  WM_ASF_MALFORMED: {
    exitCode: 65,
    meaning: 'Data that should be ASF is not, or is damaged.',
    hint: 'Check the file with wmcast probe.',
  },
  WM_NO_INPUT: { exitCode: 66, meaning: 'There is nothing of that name.', hint: 'Check the path or the URL.' },
  WM_UNREACHABLE: {
    exitCode: 69,
    meaning: 'The server does not answer, or has nothing to give at the moment.',
    hint: 'Check the host and the port, and that the server is running.',
  },
  WM_SERVER_GONE: {
    exitCode: 69,
    meaning: 'The server closed the connection before the end.',
    hint: 'The log of the server may say why.',
  },
  WM_FFMPEG_MISSING: {
    exitCode: 69,
    meaning: 'No usable ffmpeg was found.',
    hint: 'Install ffmpeg, or name one with --ffmpeg or FFMPEG_PATH; wmcast doctor lists what was tried.',
  },
  WM_PROTOCOL: {
    exitCode: 76,
    meaning: 'The peer violated the protocol.',
    hint: 'Check that the URL names a Windows Media server.',
  },
  WM_HTTP_MALFORMED: { exitCode: 76, meaning: 'The peer does not speak HTTP.', hint: 'Check the port.' },
  WM_PUSH_REFUSED: {
    exitCode: 76,
    meaning: 'The server refused the push.',
    hint: 'The log of the server may say why.',
  },
  WM_AUTH_REFUSED: {
    exitCode: 77,
    meaning: 'The server refused access.',
    hint: 'Log in with --user or WMCAST_USER, and the password in WMCAST_PASSWORD.',
  },
  WM_TLS: {
    exitCode: 76,
    meaning: "The server's certificate is not trusted, or TLS failed.",
    hint: 'Trust its certificate with --ca; --insecure trusts any.',
  },
  WM_CONFIG: {
    exitCode: 78,
    meaning: 'The configuration is wrong.',
    hint: 'Mend it at the file and line in the message.',
  },
} as const satisfies Record<string, { exitCode: number; meaning: string; hint: string }>;

/** @public */
export type ErrorCode = keyof typeof errorTable;

/** @public */
export interface WmErrorOptions extends ErrorOptions {
  /** Fits this error better than the hint of its code. */
  readonly hint?: string | undefined;
  readonly passing?: boolean | undefined;
  readonly retryIn?: number | undefined;
}

/**
 * An error with one of the stable codes of {@link errorTable}. Its message is one sentence for a person, with the passwords
 * of URLs hidden.
 *
 * @public
 */
export class WmError extends Error {
  readonly code: ErrorCode;
  /** The other side says that it may do later what it does not now, whatever the code. */
  readonly passing: boolean;
  /** How long the other side wants to be left alone before another try, in ms. */
  readonly retryIn: number | undefined;
  readonly #hint: string | undefined;

  constructor(code: ErrorCode, message: string, { hint, passing = false, retryIn, ...options }: WmErrorOptions = {}) {
    super(shortened(hidePasswords(message)), options);
    this.name = 'WmError';
    this.code = code;
    this.passing = passing;
    this.retryIn = retryIn;
    this.#hint = hint;
  }

  /** The exit code of a command that fails with this error. */
  get exitCode(): number {
    return errorTable[this.code].exitCode;
  }

  /** What the person can do about it, in one sentence. */
  get hint(): string {
    return this.#hint ?? errorTable[this.code].hint;
  }
}

/** No message is longer, in characters: what it repeats may come from the network. */
const MAX_MESSAGE = 4096;

function shortened(text: string): string {
  return text.length <= MAX_MESSAGE ? text : `${text.slice(0, MAX_MESSAGE)}…`;
}

/** The message of anything that was thrown, without the passwords of URLs in it. */
export function messageOf(error: unknown): string {
  return shortened(hidePasswords(error instanceof Error ? error.message : String(error)));
}

/** Characters that can harm a terminal or a log are not let through: they come from the network. */
export function printable(text: string, limit = 80): string {
  return text.slice(0, limit).replace(/[^\x20-\x7e]/g, '?');
}

/** Parameters of URLs that are secrets; those of ffmpeg's protocols, too. What ends a sentence is not their value. */
const SECRET_PARAMETERS =
  /([?&;](?:\w*pass(?:w\w*|phrase)?|pwd|pw|\w*token|\w*key|\w*secret|auth\w*|jwt|sig\w*|hdnts|streamid)=)[^&\s"'<>]*[^&\s"'<>:;,.)\]]/gi;

/**
 * Hides users and passwords in URLs, and parameters whose names say that they are secrets, because messages end up in
 * logs and bug reports. Takes linear time.
 */
export function hidePasswords(text: string): string {
  return hideUsers(text.includes('=') ? text.replace(SECRET_PARAMETERS, '$1***') : text);
}

function hideUsers(text: string): string {
  if (!text.includes('@')) return text;
  // No part of a URL that is looked for has a blank or a quote in it.
  return text.replace(/[^\s"']+/g, (word) => (word.includes('@') ? hideInWord(word) : word));
}

function hideInWord(word: string): string {
  const segments = word.split('@');
  const last = segments.pop()!;
  // Each segment ends at an `@`, so each character is looked at only a few times.
  const hidden = segments.map((segment, index) => {
    const next = segments[index + 1] ?? last;
    return hideBareUser(hideUnescapedUser(hideEscapedUser(segment)), index === 0, /^[\w[]/.test(next));
  });
  return [...hidden, last].join('@');
}

/** `scheme://user:password` as it should be. */
function hideEscapedUser(segment: string): string {
  const scheme = segment.lastIndexOf('://');
  const user = segment.slice(scheme + 3);
  return startsUrl(segment, scheme) && user !== '' && !/[/?#]/.test(user)
    ? `${segment.slice(0, scheme + 3)}***`
    : segment;
}

/**
 * Hides passwords in which a `/`, `?` or `#` is not escaped, as people tend to type them. What follows the digits decides if
 * they are a port.
 */
function hideUnescapedUser(segment: string): string {
  for (let scheme = segment.indexOf('://'); scheme !== -1; scheme = segment.indexOf('://', scheme + 3)) {
    if (!startsUrl(segment, scheme)) continue;
    let at = scheme + 3;
    while (at < segment.length && !'/?#:['.includes(segment[at]!)) at++;
    if (segment[at] !== ':' || /^\d{1,5}[/?#,;.]/.test(segment.slice(at + 1, at + 8))) continue;
    return `${segment.slice(0, scheme + 3)}***`;
  }
  return segment;
}

/** `user:password` without a scheme, where a word begins or a bracket opens. */
function hideBareUser(segment: string, isStart: boolean, hasHost: boolean): string {
  if (!hasHost) return segment;
  const lastSlash = segment.lastIndexOf('/');
  for (
    let start = isStart ? 0 : segment.indexOf('(') + 1;
    isStart || start > 0;
    start = segment.indexOf('(', start) + 1
  ) {
    let colon = start;
    while (colon < segment.length && /[\w.%+-]/.test(segment[colon]!)) colon++;
    const isUser = colon > start && segment[colon] === ':' && colon > lastSlash && colon + 1 < segment.length;
    if (isUser) return `${segment.slice(0, start)}***`;
    isStart = false;
  }
  return segment;
}

function startsUrl(segment: string, scheme: number): boolean {
  return scheme > 0 && /\w/.test(segment[scheme - 1]!);
}
