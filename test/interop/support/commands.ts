import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, type ChildOptions, PATIENCE } from './child.js';

/** One line of `--json`. */
export type CommandEvent = Readonly<Record<string, unknown>> & { readonly event: string };

/** One of our commands, run as a script runs it. */
export class Command extends Child {
  readonly events: CommandEvent[];

  constructor(
    name: 'wmcast' | 'wmpush' | 'wmpull-serve',
    args: readonly string[],
    { root, ...options }: Pick<ChildOptions, 'ownGroup' | 'stdin'> & { readonly root?: string | undefined } = {},
  ) {
    const events: CommandEvent[] = [];
    const bin = join(root ?? fileURLToPath(new URL('../../..', import.meta.url)), `bin/${name}.js`);
    super(process.execPath, [bin, ...args], {
      ...options,
      onOutput: (line) => {
        if (line.startsWith('{')) events.push(JSON.parse(line) as CommandEvent);
      },
    });
    this.events = events;
  }

  /** Waits for the first matching event, past or future. */
  event(
    name: string,
    fits: (event: CommandEvent) => boolean = () => true,
    { timeout = PATIENCE, from = 0 }: { timeout?: number; from?: number } = {},
  ): Promise<CommandEvent> {
    return this.until(
      `the event "${name}"`,
      () => this.events.find((event, index) => index >= from && event.event === name && fits(event)),
      timeout,
    );
  }

  /** Waits for the first matching event of that name from now on. */
  next(name: string, fits?: (event: CommandEvent) => boolean, timeout = PATIENCE): Promise<CommandEvent> {
    return this.event(name, fits, { timeout, from: this.events.length });
  }
}

/** Starts `wmcast serve` on a free port of the loopback interface. */
export class Server extends Command {
  port = 0;

  static start(...args: string[]): Promise<Server> {
    return Server.startFrom(undefined, ...args);
  }

  /** Starts it from another installation. @param root the folder with `bin` and `dist` */
  static async startFrom(root: string | undefined, ...args: string[]): Promise<Server> {
    const all = ['serve', '--host', '127.0.0.1', '--http-port', '0', '--json', ...args];
    const server = new Server('wmcast', all, { root });
    const { ports } = (await server.event('ready')) as unknown as { ports: { http: number } };
    server.port = ports.http;
    return server;
  }

  url(path: string, scheme = 'http'): string {
    return `${scheme}://127.0.0.1:${this.port}${path}`;
  }

  /** Starts `wmpush`. */
  push(path: string, ...args: string[]): Command {
    return new Command('wmpush', [this.url(path), '--json', ...args]);
  }

  /** Starts `wmpush` and waits until the point is live. */
  async publish(path: string, ...args: string[]): Promise<Command> {
    const live = this.next('point', ({ point, what }) => point === path && what === 'publishing');
    const push = this.push(path, ...args);
    // A refused push tells more than a point that does not become live.
    await Promise.race([live, push.exited.then(() => Promise.reject(new Error(push.describe('ended'))))]);
    return push;
  }

  /** Returns resident memory in bytes, as the kernel counts it. */
  async memory(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s*(\d+) kB/.exec(status)![1]) * 1024;
  }
}

/** Returns an unused path. */
export function newPoint(): string {
  return `/point${randomInt(1e9)}`;
}
