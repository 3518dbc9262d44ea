import type { ReadStream } from 'node:tty';
import { WmError } from '../errors.js';
import { Interrupted } from './program.js';

/** The maximum length of a password, in bytes; Basic and Digest accept no more. */
const MAX_PASSWORD = 256;

const KEYS = {
  interrupt: 0x03,
  end: 0x04,
  backspace: 0x08,
  lineFeed: 0x0a,
  enter: 0x0d,
  erase: 0x15,
  delete: 0x7f,
} as const;

/** Where a password comes from, and where to ask for it. */
export interface PasswordSource {
  /** True for `--password-stdin`: reads all of standard input, without the final line end. */
  readonly fromStdin: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly input: NodeJS.ReadableStream & Partial<Pick<ReadStream, 'isTTY' | 'setRawMode'>>;
  readonly ask: (text: string) => void;
}

/**
 * Gets a new password: from standard input, from WMCAST_PASSWORD, or typed twice on a terminal without echo. Never from
 * an argument, because every process on the host can read arguments.
 *
 * @throws WmError WM_USAGE if there is no password, or it is empty, too long or has control characters; Interrupted on
 *   Ctrl-C
 */
export async function newPassword({ fromStdin, environment, input, ask }: PasswordSource): Promise<string> {
  if (fromStdin) return checked((await readAll(input)).replace(/\r?\n$/, ''));
  const given = environment['WMCAST_PASSWORD'];
  if (given !== undefined) return checked(given);
  if (!input.isTTY) {
    throw new WmError(
      'WM_USAGE',
      'There is no terminal to ask for the password: use --password-stdin or WMCAST_PASSWORD.',
    );
  }
  const keys = new HiddenLines(input, ask);
  try {
    const password = checked(await keys.line('Password: '));
    if ((await keys.line('Once more: ')) !== password) throw new WmError('WM_USAGE', 'The two passwords differ.');
    return password;
  } finally {
    keys.close();
  }
}

function checked(password: string): string {
  if (password === '') throw new WmError('WM_USAGE', 'The password is empty.');
  const size = Buffer.byteLength(password);
  if (size > MAX_PASSWORD)
    throw new WmError('WM_USAGE', `The password has ${size} bytes; the maximum is ${MAX_PASSWORD}.`);
  if (/\p{Cc}/u.test(password)) throw new WmError('WM_USAGE', 'The password contains a control character.');
  return password;
}

async function readAll(input: NodeJS.ReadableStream): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    parts.push(Buffer.from(chunk));
    size += parts.at(-1)!.length;
    if (size > MAX_PASSWORD * 4) break;
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Reads lines from a terminal without echo. */
class HiddenLines {
  readonly #input: PasswordSource['input'];
  readonly #ask: (text: string) => void;
  #typed = Buffer.alloc(0);
  #wake = () => {};
  #ended = false;

  constructor(input: PasswordSource['input'], ask: (text: string) => void) {
    this.#input = input;
    this.#ask = ask;
    input.setRawMode?.(true);
    input.on('data', this.#take);
    input.on('end', this.#end);
    input.resume();
  }

  async line(question: string): Promise<string> {
    this.#ask(question);
    const bytes: number[] = [];
    for (;;) {
      for (const [at, key] of this.#typed.entries()) {
        if (key === KEYS.interrupt || key === KEYS.end) throw this.#interrupted();
        if (key === KEYS.enter || key === KEYS.lineFeed) {
          this.#typed = this.#typed.subarray(at + 1);
          this.#ask('\n');
          return Buffer.from(bytes).toString('utf8');
        }
        if (key === KEYS.erase) bytes.length = 0;
        else if (key === KEYS.backspace || key === KEYS.delete) eraseCharacter(bytes);
        else if (bytes.length <= MAX_PASSWORD) bytes.push(key);
      }
      this.#typed = Buffer.alloc(0);
      if (this.#ended) throw this.#interrupted();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.#input.setRawMode?.(false);
    this.#input.removeListener('data', this.#take);
    this.#input.removeListener('end', this.#end);
    this.#input.pause();
  }

  #interrupted(): Interrupted {
    this.#ask('\n');
    process.exitCode = 130;
    return new Interrupted();
  }

  readonly #take = (chunk: Buffer | string) => {
    this.#typed = Buffer.concat([this.#typed, Buffer.from(chunk as Buffer)]);
    this.#wake();
  };

  readonly #end = () => {
    this.#ended = true;
    this.#wake();
  };
}

/** Removes the last character, which may have several bytes in UTF-8. */
function eraseCharacter(bytes: number[]): void {
  while (bytes.length > 0) {
    const last = bytes.pop()!;
    if ((last & 0xc0) !== 0x80) return;
  }
}
