import type { Socket } from 'node:net';
import type { PlayerOutput } from './wire.js';

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
  return {
    framing: 'stream',
    put: ({ bytes }, done) => void socket.write(bytes, done),
    drained: (then) => void (socket.writableNeedDrain ? socket.once('drain', then) : queueMicrotask(then)),
    get backlog() {
      return socket.writableLength;
    },
    destroy: () => void socket.destroy(),
  };
}
