import type { Socket } from 'node:net';
import { inFlight } from './send-queues.js';
import type { PlayerOutput, WireBatch } from './wire.js';

/**
 * Keeps what is written to a connection until the microtasks that wait have run, so that an answer and what follows it at
 * once, such as the first packets of a player, leave together.
 */
export function gather(socket: Socket): Socket {
  socket.cork();
  queueMicrotask(() => socket.uncork());
  return socket;
}

/** Returns the output that writes to a TCP connection. */
export function socketOutput(socket: Socket): PlayerOutput {
  return new SocketOutput(socket);
}

/** A class and not an object with a getter, of which V8 would keep a shape of its own for each player. */
class SocketOutput implements PlayerOutput {
  readonly framing = 'stream';
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get backlog(): number {
    return this.#socket.writableLength;
  }

  get inFlight(): number | undefined {
    return inFlight(this.#socket);
  }

  put({ bytes }: WireBatch, done?: () => void): void {
    this.#socket.write(bytes, done);
  }

  drained(then: () => void): void {
    if (this.#socket.writableNeedDrain) this.#socket.once('drain', then);
    else queueMicrotask(then);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
