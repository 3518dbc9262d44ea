import type { Socket } from 'node:net';
import type { PlayerOutput } from './wire.js';

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
