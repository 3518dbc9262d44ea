import { execa } from 'execa';
import { WmError } from '../errors.js';

/** After SIGINT, how long a program may take to end, in ms. */
const GRACE = 4_000;

/** A program that is started for a judge. */
export class GuestProgram {
  readonly #process: ReturnType<typeof start>;

  /** @param args `{url}` in them is replaced by the URL @throws WmError WM_NO_INPUT if it cannot be started */
  constructor(program: string, args: readonly string[], url: string) {
    this.#process = start(
      program,
      args.map((each) => each.replaceAll('{url}', url)),
    );
    if (this.#process.pid === undefined) throw new WmError('WM_NO_INPUT', `${program} cannot be started.`);
  }

  /** Ends it as a user does, with SIGINT, and by force if that does not help. */
  async stop(): Promise<void> {
    this.#process.kill('SIGINT');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), GRACE);
    await this.#process;
    clearTimeout(timer);
  }
}

function start(program: string, args: readonly string[]) {
  // What it says goes where our own messages go; standard output is for the report.
  return execa(program, args, { stdio: ['ignore', process.stderr, process.stderr], reject: false, cleanup: true });
}
