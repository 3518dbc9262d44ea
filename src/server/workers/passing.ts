import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Detached, Exchange } from '../../http/exchange.js';
import { namePeer } from '../../http/peer.js';
import type { HttpServer } from '../../http/server.js';

/** The first line on a connection between two processes of a server. */
type Opening =
  /** Frames of points follow. */
  | { readonly kind: 'points' }
  /** The bytes of a client's connection follow, both ways. */
  | {
      readonly kind: 'client';
      readonly remoteAddress: string;
      readonly local: boolean;
      readonly host: string;
      readonly secure: boolean;
    };

const MAX_LINE = 4_096;
const LINE_TIMEOUT = 10_000;

/** Connects to another process, to follow its points. @returns once it is connected */
export function connectPoints(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.removeListener('error', reject).on('error', () => socket.destroy());
      socket.write(line({ kind: 'points' }));
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/**
 * Passes a request, and all that follows on its connection, to another process byte by byte: a connection with TLS,
 * whose keys cannot leave this process.
 *
 * @param path of the other process's socket
 */
export function pipeTo(path: string, { socket: client, unread }: Detached, exchange: Exchange): void {
  const { remoteAddress, local, secure, here: host } = exchange;
  const other = connect(path);
  const end = () => {
    client.destroy();
    other.destroy();
  };
  client.on('error', end).on('close', end);
  other.on('error', end).on('close', () => {
    // What was sent last may still be on its way to the client.
    if (client.writableEnded) client.destroySoon();
    else client.end();
  });
  other.write(Buffer.concat([line({ kind: 'client', remoteAddress, local, host, secure }), unread]));
  client.pipe(other);
  other.pipe(client);
}

/** Takes what other processes of the same server pass on. */
export class PassedOn {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /**
   * @param take.client takes the connection of a client
   * @param take.points serves a process that follows points
   */
  constructor(take: { readonly client: HttpServer; readonly points?: (socket: Socket) => void }) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      readLine(socket, (opening) => {
        if (opening.kind === 'points') take.points?.(socket);
        else {
          const { remoteAddress, local, host, secure } = opening;
          namePeer(socket, { remoteAddress, local, passedOn: { host, secure } });
          take.client.take(socket);
        }
      });
    });
  }

  async listen(path: string): Promise<void> {
    // A process that was killed leaves its socket, and the next one with its number could not listen.
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ path }, () => resolve());
    });
  }

  /** Stops listening and closes what is still open. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

function line(opening: Opening): Buffer {
  return Buffer.from(`${JSON.stringify(opening)}\n`);
}

function readLine(socket: Socket, then: (opening: Opening) => void): void {
  let read: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), LINE_TIMEOUT);
  const give = () => socket.destroy();
  const take = (chunk: Buffer) => {
    read = Buffer.concat([read, chunk]);
    const end = read.indexOf('\n');
    if (end === -1) {
      if (read.length > MAX_LINE) socket.destroy();
      return;
    }
    clearTimeout(timer);
    socket.removeListener('data', take).removeListener('error', give).pause();
    const rest = read.subarray(end + 1);
    if (rest.length > 0) socket.unshift(rest);
    then(JSON.parse(read.toString('utf8', 0, end)) as Opening);
    socket.resume();
  };
  socket.on('data', take).on('error', give);
  socket.once('close', () => clearTimeout(timer));
}
