import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isMulticastAddress } from '../announce/nsc.js';
import { WmError } from '../errors.js';
import { systemErrorReason } from '../media/system-error.js';

/** A multicast group, and the network on which it is. */
export interface GroupAddress {
  /** IPv4 or IPv6. */
  readonly address: string;
  /** UDP. */
  readonly port: number;
  /** The name of a network interface or an address of it; default: as the system routes. */
  readonly interface?: string | undefined;
}

export interface SendingOptions extends GroupAddress {
  /** How many networks datagrams may pass, 0 (this host) to 255; default 1: this network. */
  readonly ttl?: number | undefined;
}

/** Bytes that the system may hold for a receiver; at 20 Mbit/s this is half a second. Linux may grant less. */
const RECEIVE_BUFFER = 1024 * 1024;

/** More that waits for a network that takes nothing is of no use when it comes, bytes. */
const SEND_LIMIT = 1024 * 1024;

/** Whether so much waits to be sent that what comes now is better left out. */
export function isCongested(socket: Socket): boolean {
  return socket.getSendQueueSize() > SEND_LIMIT;
}

/**
 * A socket that is connected to the group, so that a datagram costs no look-up.
 *
 * @returns it, and the address that datagrams leave from
 * @throws WmError WM_USAGE when the address is none of a group or there is no such interface, WM_UNREACHABLE when no network leads there
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
 * A socket that gets what is sent to the group; several may be open on one host.
 *
 * @throws WmError as {@link openSendingSocket}
 */
export async function openReceivingSocket(group: GroupAddress): Promise<Socket> {
  const own = interfaceOf(group);
  const socket = createSocket({ type: isIP(group.address) === 6 ? 'udp6' : 'udp4', reuseAddr: true });
  try {
    // Bound to the group, a socket does not get what comes to the port for other groups; Windows has no such thing.
    const address = process.platform === 'win32' ? undefined : withZone(group.address, own);
    await done(socket, (ready) =>
      socket.bind({ port: group.port, ...(address === undefined ? {} : { address }) }, ready),
    );
    socket.addMembership(group.address, own?.multicast);
    try {
      socket.setRecvBufferSize(RECEIVE_BUFFER);
    } catch {
      // What the system gives by itself has to do.
    }
    return socket;
  } catch (error) {
    throw failed(socket, group, 'received from', error);
  }
}

/** Waits for a call that ends with a callback or with the socket's `error`. */
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
  /** What a sending socket is bound to. */
  readonly bind: string | undefined;
  /** As the multicast options take it. */
  readonly multicast: string;
  /** Of link-local groups. */
  readonly zone: string;
}

/** @throws WmError WM_USAGE */
function interfaceOf({ address, interface: wanted }: GroupAddress): OwnInterface | undefined {
  if (!isMulticastAddress(address)) throw new WmError('WM_USAGE', `${address} is no address of a multicast group.`);
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
