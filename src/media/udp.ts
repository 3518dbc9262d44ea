import { createSocket, type Socket } from 'node:dgram';
import { WmError } from '../errors.js';
import { DatagramOutput, type DatagramPacer, type DatagramSender } from './datagrams.js';

/**
 * Binds a UDP socket.
 *
 * @param port 0 takes a free one
 * @param host the address to bind; without it, all IPv4 and IPv6 addresses of the host
 * @throws WmError WM_PORT_IN_USE
 */
export async function bindUdp(port: number, host?: string): Promise<Socket> {
  const socket = createSocket({ type: host === undefined || host.includes(':') ? 'udp6' : 'udp4' });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, host, () => resolve());
    });
  } catch (error) {
    socket.close();
    throw new WmError('WM_PORT_IN_USE', `UDP port ${port} cannot be used.`, { cause: error });
  }
  socket.removeAllListeners('error');
  return socket;
}

/** Closes a UDP socket, and waits until its port is free again. */
export function closeUdp(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}

/** Returns an address in the form that a socket sends to: an IPv6 socket reaches IPv4 through mapped addresses. */
export function sendableAddress(socket: Socket, address: string): string {
  return socket.address().family === 'IPv6' && !address.includes(':') ? `::ffff:${address}` : address;
}

/** Puts something between a player and the socket that sends its datagrams: faults that tests inject. */
export type OnDatagrams = (sender: DatagramSender) => DatagramSender;

/** Returns an output for a player. @param address that of the player's connection: datagrams go nowhere else */
export function datagramOutput(
  socket: Socket,
  {
    address,
    port,
    pacer,
    through,
  }: { address: string; port: number; pacer: DatagramPacer; through?: OnDatagrams | undefined },
): DatagramOutput {
  const sender = through ? through(socket) : socket;
  return new DatagramOutput({ sender, address: sendableAddress(socket, address), port, pacer });
}
