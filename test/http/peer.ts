import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { headLength } from '../../src/http/message.js';
import { slowness } from '../support/patience.js';

/** How long to wait for anything, ms. */
const PATIENCE = 20_000;

/** One end of a TCP connection that sends exact bytes and waits for exact bytes. */
export class Peer {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake?.();
    });
    const end = () => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', end);
  }

  static async connect(port: number): Promise<Peer> {
    const socket = connect({ port, host: '127.0.0.1' });
    await once(socket, 'connect');
    return new Peer(socket);
  }

  get remoteAddress(): string {
    return this.socket.remoteAddress ?? '';
  }

  send(...parts: ReadonlyArray<string | Buffer>): void {
    this.socket.write(
      Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part))),
    );
  }

  async #until(enough: () => boolean, what: string): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake?.();
    }, PATIENCE * slowness());
    try {
      while (!enough()) {
        const got = `; got ${this.#received.toString('latin1')}`;
        if (this.#ended) throw new Error(`The connection ended before ${what}${got}`);
        if (late) throw new Error(`Waited too long for ${what}${got}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Returns the next head, as text with its empty line. */
  async head(): Promise<string> {
    await this.#until(() => headLength(this.#received) > 0, 'a head');
    return (await this.bytes(headLength(this.#received))).toString('latin1');
  }

  async bytes(size: number): Promise<Buffer> {
    await this.#until(() => this.#received.length >= size, `${size} bytes`);
    const bytes = this.#received.subarray(0, size);
    this.#received = this.#received.subarray(size);
    return bytes;
  }

  /** Returns everything until the other side ends the connection. */
  async rest(): Promise<Buffer> {
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#received;
  }

  /** Waits until the other side ends the connection. */
  async ended(): Promise<void> {
    await this.rest();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** Listens on a free loopback port and returns the connections one by one. */
export class PeerServer {
  readonly port: number;
  readonly #server: Server;
  readonly #waiting: Peer[] = [];
  readonly #all: Peer[] = [];
  #wake: ((peer: Peer) => void) | undefined;

  private constructor(server: Server) {
    this.#server = server;
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
    server.on('connection', (socket) => {
      const peer = new Peer(socket);
      this.#all.push(peer);
      const wake = this.#wake;
      this.#wake = undefined;
      if (wake) wake(peer);
      else this.#waiting.push(peer);
    });
  }

  static async listen(): Promise<PeerServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PeerServer(server);
  }

  get connections(): number {
    return this.#all.length;
  }

  accept(): Promise<Peer> {
    const peer = this.#waiting.shift();
    if (peer) return Promise.resolve(peer);
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async close(): Promise<void> {
    for (const peer of this.#all) peer.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** A field of a head in text, or undefined. */
export function field(head: string, name: string): string | undefined {
  for (const line of head.split('\r\n')) {
    if (line.startsWith(`${name}: `)) return line.slice(name.length + 2);
  }
  return undefined;
}

/** Lets everything run that is ready. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Sends `size` zero bytes piece by piece; returns how many the network has accepted so far. */
export function pour({ socket }: Peer, size: number): () => number {
  let taken = 0;
  const next = () => {
    const piece = Math.min(65_536, size - taken);
    if (piece > 0 && !socket.destroyed) {
      socket.write(Buffer.alloc(piece), () => {
        taken += piece;
        next();
      });
    }
  };
  next();
  return () => taken;
}

/** Waits until a number no longer grows, and returns it. */
export async function settled(number: () => number): Promise<number> {
  for (let last = -1; last !== number(); ) {
    last = number();
    await turns(50);
  }
  return number();
}
