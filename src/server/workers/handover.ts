import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { namePeer, type Peer } from '../../http/peer.js';

/** The connection of a client that goes to another process with its socket. */
export interface HandedOver {
  readonly remoteAddress: string;
  readonly local: boolean;
  /** What was read of it and not answered. */
  readonly unread: Buffer;
}

/** A process to send to: a worker, or for a worker the main process. */
interface Channel {
  readonly connected: boolean;
  readonly send?: ChildProcess['send'] | undefined;
}

/** Sends the socket of a connection of which nothing was read, with a message. */
export function giveSocket(to: Channel, socket: Socket, message: object): void {
  if (!to.connected || !to.send) {
    socket.destroy();
    return;
  }
  // Otherwise the listener of this process would wait for the other one's connections when it closes.
  Object.assign(socket, { server: null });
  to.send(message, socket, { keepOpen: false }, () => socket.destroy());
}

/**
 * Sends the socket of a connection that was read from, with a message.
 *
 * @param unread what was read of it and not answered
 */
export function handOver(to: Channel, socket: Socket, peer: Peer, unread: Buffer, message: object): void {
  const { remoteAddress, local } = peer;
  stopReading(socket);
  let all = unread;
  giveSocket(to, socket, {
    ...message,
    remoteAddress,
    local,
    // What arrived before that. Read when the message is written, which is when the socket leaves this process.
    get unread() {
      for (let chunk: Buffer | null = socket.read(); chunk; chunk = socket.read()) all = Buffer.concat([all, chunk]);
      return all;
    },
  });
}

/**
 * Leaves what arrives from now on to the process that gets the socket. A paused socket goes on reading until its buffer
 * is full, and Node has no other way to say so: between its sending and the other process's answer it would swallow what
 * the client sends.
 */
function stopReading(socket: Socket): void {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null || !('readStop' in handle)) return;
  if (typeof handle.readStop === 'function') handle.readStop();
}

/** Prepares a socket that another process has handed over: from now on it is read as if it had been accepted here. */
export function takeOver(socket: Socket, { remoteAddress, local, unread }: HandedOver): Socket {
  // Errors before there is somebody to hear them: the client may have gone.
  socket.on('error', () => socket.destroy());
  namePeer(socket, { remoteAddress, local });
  if (unread.length > 0) socket.unshift(unread);
  return socket;
}
