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
    process.once('exit', () => this.#signal('SIGKILL'));
  }

  /** Ends it as Ctrl-C on a terminal does, with SIGINT for all of its processes, and by force if that does not help. */
  async stop(): Promise<void> {
    this.#signal('SIGINT');
    const timer = setTimeout(() => this.#signal('SIGKILL'), GRACE);
    await this.#process;
    clearTimeout(timer);
    // What it started and left.
    this.#signal('SIGKILL');
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.#process.pid!, signal);
    } catch {
      // Nobody is left.
    }
  }
}

function start(program: string, args: readonly string[]) {
  // What it says goes where our own messages go; standard output is for the report.
  return execa(program, args, {
    stdio: ['ignore', process.stderr, process.stderr],
    reject: false,
    // In a process group of its own: a launcher such as npx does not pass signals on.
    detached: true,
  });
}
