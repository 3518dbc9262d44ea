import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { endianness } from 'node:os';

/** The connections of this process's network, as Linux lists them; proc(5). */
const LISTS = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];
// local address and port, remote address and port, state (established, or closed by the peer), bytes sent : received
const LINE = /:([0-9A-F]{4}) (?:[0-9A-F]{24})?([0-9A-F]{8}):([0-9A-F]{4}) (?:01|08) (?!0{8})([0-9A-F]{8}):/g;
/**
 * The time between two looks for each byte of the lists, in ms: a connection takes 150 bytes and 9 microseconds of the
 * processor, and no more than three thousandths of it are used. With the longest lists, 2000 connections, which would
 * keep all else waiting for 20 ms, the looks are given up for a while.
 */
const REST = 0.02;
const LONGEST_LISTS = 300 * 1024;
const LONGEST_REST = 3_000;
const GIVEN_UP = 60_000;

/** What is held for a peer, by its port: ports and peer as the kernel writes them, and bytes. */
export type SendQueues = ReadonlyMap<number, ReadonlyArray<{ readonly name: string; readonly bytes: number }>>;

let supported = process.platform === 'linux';
let queues: SendQueues = new Map();
let known = false;
let looking: Promise<boolean> | undefined;
let restUntil = Number.NEGATIVE_INFINITY;

/**
 * Looks how many bytes the operating system holds for the peer of each connection: those that it has not sent yet, and
 * those on the way that the peer has not acknowledged. Node has no other way to see a slow connection before the
 * buffers of the kernel, which may be megabytes, are full.
 *
 * @returns false if what is known is old, because there are many connections; true where nothing can be known
 */
export function lookAtSendQueues(): Promise<boolean> {
  if (!supported) return Promise.resolve(true);
  if (!looking && performance.now() < restUntil) return Promise.resolve(!known);
  looking ??= look().finally(() => {
    looking = undefined;
  });
  return looking;
}

async function look(): Promise<boolean> {
  const texts = await Promise.all(LISTS.map((path) => readFile(path, 'latin1').catch(() => undefined)));
  supported = texts[0] !== undefined;
  if (!supported) return true;
  queues = readSendQueues(...texts.map((text) => text ?? ''));
  const length = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
  known = length <= LONGEST_LISTS;
  restUntil = performance.now() + (known ? Math.min(length * REST, LONGEST_REST) : GIVEN_UP);
  return true;
}

/** Returns what is held by lists of connections; those for which nothing is held are left out. */
export function readSendQueues(...lists: readonly string[]): SendQueues {
  const held = new Map<number, Array<{ name: string; bytes: number }>>();
  for (const list of lists) {
    for (const [, local, address, remote, bytes] of list.matchAll(LINE)) {
      const port = Number.parseInt(remote!, 16);
      const queue = { name: `${local} ${address}`, bytes: Number.parseInt(bytes!, 16) };
      const others = held.get(port);
      if (others) others.push(queue);
      else held.set(port, [queue]);
    }
  }
  return held;
}

/**
 * Returns how many bytes the operating system held for a connection's peer at the last look; undefined if that is
 * unknown.
 */
export function inFlight({ localPort, remoteAddress, remotePort }: Socket): number | undefined {
  if (!known || localPort === undefined || remotePort === undefined || remoteAddress === undefined) return undefined;
  const candidates = queues.get(remotePort);
  // For most players nothing is held.
  if (!candidates) return 0;
  const wanted = `${hex(localPort, 4)} ${lastWord(remoteAddress)}`;
  return candidates.find(({ name }) => name === wanted)?.bytes ?? 0;
}

/** Returns the last 32 bits of an address as the kernel writes them, which is in the order of the host. */
function lastWord(address: string): string {
  const bytes = address.includes('.')
    ? address
        .slice(address.lastIndexOf(':') + 1)
        .split('.')
        .map(Number)
    : address
        .replace(/%.*/, '')
        .split(':')
        .slice(-2)
        .map((group) => Number.parseInt(group || '0', 16))
        .flatMap((group) => [group >> 8, group & 0xff]);
  if (endianness() === 'LE') bytes.reverse();
  return bytes.map((byte) => hex(byte, 2)).join('');
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
