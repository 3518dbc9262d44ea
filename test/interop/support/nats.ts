import { mkdtempSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.js';
import { Command, Server } from './commands.js';

/** A nats-server with JetStream on the loopback interface. */
export class NatsServer {
  readonly port: number;
  readonly #folder: string;
  #child: Child;

  private constructor(port: number, folder: string, child: Child) {
    this.port = port;
    this.#folder = folder;
    this.#child = child;
  }

  /** @param settings more lines of its configuration */
  static async start(settings: readonly string[] = []): Promise<NatsServer> {
    const folder = mkdtempSync(join(tmpdir(), 'wmcast-nats-'));
    const port = await freePort();
    await writeFile(
      join(folder, 'nats.conf'),
      [`host: 127.0.0.1`, `port: ${port}`, `jetstream { store_dir: "${folder}" }`, ...settings, ''].join('\n'),
    );
    const server = new NatsServer(port, folder, run(folder));
    await server.#ready();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Kills it without a word. */
  async kill(): Promise<void> {
    await this.#child.stop('SIGKILL');
  }

  /** Starts it again, with what it had stored. */
  async restart(): Promise<void> {
    this.#child = run(this.#folder);
    await this.#ready();
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }

  #ready(): Promise<unknown> {
    const child = this.#child;
    return child.until('that it is ready', () => child.log.find((line) => line.includes('Server is ready')));
  }
}

/**
 * Starts a node of a cluster.
 *
 * @param more lines of its configuration
 * @param how more settings of its cluster
 */
export async function startNode(
  nats: { readonly url: string },
  name: string,
  folder: string,
  more: readonly string[] = [],
  how = '',
): Promise<Server> {
  const file = join(folder, `${name}-${Math.random().toString(36).slice(2)}.yaml`);
  const lines = [
    'admin: { port: none }',
    'msbd: { port: none }',
    `cluster: { servers: ["${nats.url}"], node: ${name}${how} }`,
  ];
  await writeFile(file, [...lines, ...more, ''].join('\n'));
  return Server.start('--config', file);
}

/** What is pushed to a cluster, by an encoder that comes back. */
export const SYNTHETIC = ['-i', 'synthetic:seed=7,gop=25', '--retry', 'forever'];

/** Pushes to the first of some nodes, and to the next one if it is gone. */
export async function pushTo(point: string, ...to: Server[]): Promise<Command> {
  const live = to[0]!.next('point', ({ point: path, what }) => path === point && what === 'publishing');
  const push = new Command('wmpush', [...to.map((node) => node.url(point)), '--json', ...SYNTHETIC]);
  await live;
  return push;
}

/** Resolves when a node knows a point of another. */
export function known(node: Server, path: string): Promise<unknown> {
  return node.event('point', ({ point, what }) => point === path && what === 'created');
}

function run(folder: string): Child {
  return new Child('nats-server', ['-c', join(folder, 'nats.conf')]);
}

/** A port that is free at the moment. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}
