import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP relay that can be cut, so that a connection breaks in the middle of any data. */
export class Cutter {
  readonly port: number;
  readonly #server: Server;
  readonly #target: number;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #frozen = new Set<Socket>();
  #refusing = false;
  /** The number of relayed connections. */
  connections = 0;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    const address = server.address();
    this.port = typeof address === 'object' && address ? address.port : 0;
    server.on('connection', (socket) => this.#relay(socket));
  }

  static async listen(target: number): Promise<Cutter> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Cutter(server, target);
  }

  /** True if new connections are cut at once. */
  set refusing(refusing: boolean) {
    this.#refusing = refusing;
    if (refusing) this.cut();
  }

  /** Cuts all connections; data in the relay is lost. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  /** Forwards nothing more to the target; data that arrives is lost when the connection is cut. */
  hold(): void {
    for (const [here, there] of this.#pairs) {
      here.unpipe(there);
      here.on('data', () => {});
      here.resume();
    }
  }

  /** Behaves like a network that is down: the near side is cut, and the target does not notice. */
  freeze(): void {
    for (const pair of this.#pairs) {
      const [here, there] = pair;
      this.#pairs.delete(pair);
      this.#frozen.add(there);
      here.removeAllListeners('close');
      here.unpipe(there);
      here.resetAndDestroy();
    }
  }

  async close(): Promise<void> {
    this.cut();
    for (const socket of this.#frozen) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #relay(here: Socket): void {
    here.on('error', () => {});
    if (this.#refusing) {
      here.resetAndDestroy();
      return;
    }
    this.connections++;
    const there = connect({ host: '127.0.0.1', port: this.#target });
    there.on('error', () => here.destroy());
    const pair = [here, there] as const;
    this.#pairs.add(pair);
    here.pipe(there).pipe(here);
    const gone = () => {
      this.#pairs.delete(pair);
      here.destroy();
      there.destroy();
    };
    here.on('close', gone);
    there.on('close', gone);
  }
}
