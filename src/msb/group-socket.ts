import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isMulticastAddress } from '../announce/nsc.js';
import { WmError } from '../errors.js';
import { systemErrorReason } from '../media/system-error.js';

/** A multicast group and the interface to reach it by. @public */
export interface GroupAddress {
  /** IPv4 or IPv6. */
  readonly address: string;
  /** UDP port. */
  readonly port: number;
  /** The name or an address of a network interface; default: the system's choice of route. */
  readonly interface?: string | undefined;
}

/** @public */
export interface SendingOptions extends GroupAddress {
  /** TTL or hop limit of datagrams, 0 (this host) to 255; default 1: this network only. */
  readonly ttl?: number | undefined;
}

/** Receive buffer in bytes; half a second at 20 Mbit/s. Linux may grant less. */
const RECEIVE_BUFFER = 1024 * 1024;

/** Bytes waiting for a blocked network, at most; anything queued beyond that would arrive too late to be of use. */
const SEND_LIMIT = 1024 * 1024;

/** True if so much is waiting to be sent that new datagrams should be dropped. */
export function isCongested(socket: Socket): boolean {
  return socket.getSendQueueSize() > SEND_LIMIT;
}

/**
 * Opens a socket connected to the group, so that sending a datagram needs no look-up.
 *
 * @returns the socket, and the address that datagrams leave from
 * @throws WmError WM_USAGE if the address is not that of a group or the interface does not exist, WM_UNREACHABLE if no
 *   network leads there
 */
export async function openSendingSocket(group: SendingOptions): Promise<{ socket: Socket; source: string }> {
  const own = interfaceOf(group);
  const socket = createSocket(isIP(group.address) === 6 ? 'udp6' : 'udp4');
  try {
    await done(socket, (ready) =>
      socket.bind({ port: 0, ...(own?.bind === undefined ? {} : { address: own.bind }) }, ready),
    );
    socket.setMulticastTTL(group.ttl ?? 1);
    socket.setMulticastLoopback(true);
    if (own) socket.setMulticastInterface(own.multicast);
    await done(socket, (ready) => socket.connect(group.port, withZone(group.address, own), ready));
    return { socket, source: socket.address().address.split('%')[0]! };
  } catch (error) {
    throw failed(socket, group, 'sent to', error);
  }
}

/**
 * Opens a socket that receives what is sent to the group; several may be open on one host.
 *
 * @throws WmError as {@link openSendingSocket}
 */
export async function openReceivingSocket(group: GroupAddress): Promise<Socket> {
  const own = interfaceOf(group);
  const socket = createSocket({ type: isIP(group.address) === 6 ? 'udp6' : 'udp4', reuseAddr: true });
  try {
    // A socket bound to the group ignores datagrams for other groups on the same port. Windows does not support this.
    const address = process.platform === 'win32' ? undefined : withZone(group.address, own);
    await done(socket, (ready) =>
      socket.bind({ port: group.port, ...(address === undefined ? {} : { address }) }, ready),
    );
    socket.addMembership(group.address, own?.multicast);
    try {
      socket.setRecvBufferSize(RECEIVE_BUFFER);
    } catch {
      // Make do with the buffer that the system grants by default.
    }
    return socket;
  } catch (error) {
    throw failed(socket, group, 'received from', error);
  }
}

/** Waits for a call that ends with a callback or with an `error` event of the socket. */
async function done(socket: Socket, begin: (ready: (error?: unknown) => void) => void): Promise<void> {
  let refuse: (error: Error) => void = () => {};
  try {
    await new Promise<void>((resolve, reject) => {
      refuse = reject;
      socket.once('error', reject);
      begin((error) => (error ? reject(error) : resolve()));
    });
  } finally {
    socket.removeListener('error', refuse);
  }
}

function failed(socket: Socket, { address, port }: GroupAddress, what: string, error: unknown): WmError {
  socket.close();
  const sentence = `Nothing can be ${what} the group ${address}, port ${port}: ${systemErrorReason(error)}.`;
  return new WmError('WM_UNREACHABLE', sentence, { cause: error });
}

interface OwnInterface {
  /** The address that a sending socket is bound to. */
  readonly bind: string | undefined;
  /** In the form that the multicast socket options take. */
  readonly multicast: string;
  /** The zone of link-local groups. */
  readonly zone: string;
}

/** @throws WmError WM_USAGE */
function interfaceOf({ address, interface: wanted }: GroupAddress): OwnInterface | undefined {
  if (!isMulticastAddress(address))
    throw new WmError('WM_USAGE', `${address} is not the address of a multicast group.`);
  if (wanted === undefined) return undefined;
  const version = isIP(address);
  const family = version === 6 ? 'IPv6' : 'IPv4';
  const plain = wanted.split('%')[0];
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    const fitting = addresses.filter((each) => each.family === family);
    const named = name === wanted || addresses.some((each) => each.address === plain);
    if (!named || fitting.length === 0) continue;
    const chosen = fitting.find((each) => each.address === plain) ?? fitting[0]!;
    if (version === 4) return { bind: chosen.address, multicast: chosen.address, zone: '' };
    const zone = process.platform === 'win32' ? String((chosen as { scopeid?: number }).scopeid ?? 0) : name;
    return { bind: undefined, multicast: `::%${zone}`, zone };
  }
  throw new WmError('WM_USAGE', `There is no network interface ${wanted} with ${family} on this host.`);
}

function withZone(address: string, own: OwnInterface | undefined): string {
  const linkLocal = /^ff[0-9a-f][12]:/i.test(address);
  return linkLocal && own && own.zone !== '' ? `${address}%${own.zone}` : address;
}
