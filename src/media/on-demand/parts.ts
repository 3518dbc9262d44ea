import { sameLayout } from '../../asf/edit.js';
import { AsfError } from '../../asf/error.js';
import { GUID } from '../../asf/guid.js';
import { DATA_OBJECT_HEAD_SIZE } from '../../asf/header.js';
import { OBJECT_HEAD_SIZE } from '../../asf/object-tree.js';
import type { DataPacket } from '../../asf/packet.js';
import { declaredPackets, findObject, SCAN_HEAD_SIZE } from '../../asf/scan.js';
import { WmError } from '../../errors.js';
import type { DiskFile } from './disk-file.js';
import { readFileHead } from './file-head.js';
import { Part } from './part.js';

/** The most recordings in one file. */
const MAX_PARTS = 1000;
/** The most objects examined after the data. */
const MAX_OBJECTS = 100;
/** How far from the end of a file without a packet count the last packet is searched for one by one, in bytes. */
const MAX_TAIL_SIZE = 16 * 1024 * 1024;
/** The most bytes between a recording whose end is unknown and the next header, besides indexes. */
const MAX_GAP = 64 * 1024;
/** Places of a recording that are examined for another recording inside it. */
const PROBES = 64;
/** The most reads for that in one file. */
const MAX_PROBES = 1500;
/** Times may go back by this much within one recording, in ms. */
const REORDERING = 5000;

/** The recordings that a file consists of. */
export interface FoundParts {
  readonly parts: readonly Part[];
  /**
   * Where another recording begins that cannot be played together with these, because its streams or its packet size
   * differ, in bytes from the start of the file; undefined without one.
   */
  readonly next: number | undefined;
}

/**
 * Finds the recordings in a file that can be played together. The end of a complete recording is known. If a header
 * does not give the length, some places are examined: after another header packets begin at other offsets, cannot be
 * read, or times go back.
 *
 * @param at where the first of them begins, in bytes from the start of the file
 * @throws AsfError, WmError as `PacketFile.open`
 */
export async function findParts(disk: DiskFile, at = 0): Promise<FoundParts> {
  const { size } = disk.stats;
  const probes = { left: MAX_PROBES };
  const parts: Part[] = [];
  for (let head = await readFileHead(disk, at, size); ; ) {
    const part = new Part(disk, head);
    await takeForm(part);
    await countPackets(disk, part, size);
    const next = await (part.complete
      ? headerAfter(disk, part)
      : headerInside(disk, part, probes).then((inside) => inside ?? headerNearEnd(disk, part)));
    if (next !== undefined) await endAt(part, next);
    if (part.slots > 0) parts.push(part);
    if (next === undefined || parts.length >= MAX_PARTS) return { parts, next: undefined };
    try {
      head = await readFileHead(disk, next, size);
    } catch (error) {
      if (error instanceof AsfError || (error instanceof WmError && error.code === 'WM_BAD_INPUT')) {
        return { parts, next: undefined };
      }
      throw error;
    }
    if (parts.length > 0 && !sameLayout(parts[0]!.header, head.header)) return { parts, next };
  }
}

/** Learns the typical form of the packets. */
async function takeForm(part: Part): Promise<void> {
  const packets = await readPackets(part, 0, part.batch);
  const [first = packets[0]] = trusted(part, packets);
  if (first === undefined) return;
  part.raw.scanner.takeForm(first.packet);
  part.scanner.takeForm(first.packet);
}

/**
 * Counts the packets: those in the header's count if they are there, else those up to the last readable one.
 *
 * @param size bytes of the file
 * @throws WmError WM_NO_INPUT if the disk fails
 */
export async function countPackets(disk: DiskFile, part: Part, size: number): Promise<void> {
  const { dataStart, packetSize } = part;
  const data = size - dataStart;
  // If the recording was finished in the meantime, its size is here now.
  const head = await disk.read(dataStart - DATA_OBJECT_HEAD_SIZE, DATA_OBJECT_HEAD_SIZE);
  const isData = head.length === DATA_OBJECT_HEAD_SIZE && head.toString('hex', 0, 16) === GUID.dataObject;
  const dataObject = isData
    ? { ...part.header.dataObject, size: head.readBigUInt64LE(16), packetCount: head.readBigUInt64LE(40) }
    : part.header.dataObject;
  let declared = declaredPackets({ ...part.header, dataObject });
  part.cut = false;
  if (declared !== undefined && declared * packetSize <= data) {
    part.slots = declared;
    const tail = await readTail(part);
    part.complete = !part.header.broadcast && tail === 'right';
    if (part.complete) return;
    // Bytes were added, so the last packets are later than they should be.
    if (tail === 'shifted') declared = undefined;
  }
  const available = Math.max(Math.ceil(data / packetSize), 0);
  await countReadable(part, declared === undefined ? available : Math.min(declared, available));
}

/** Ends the data where another header begins. */
async function endAt(part: Part, end: number): Promise<void> {
  part.end = end;
  if (!part.complete) await countReadable(part, Math.ceil((end - part.dataStart) / part.packetSize));
}

/** Returns the packets that begin in some places, as in the file, in memory of their own. */
export async function readPackets(part: Part, slot: number, slots: number): Promise<PlacedPacket[]> {
  const run = await part.borrowRaw(slot, slots);
  const found: PlacedPacket[] = [];
  for (let packet = run.next(); packet !== undefined; packet = run.next()) {
    found.push({ packet: { ...packet, bytes: Buffer.from(packet.bytes) }, place: run.location, cut: run.cut });
  }
  run.release();
  return found;
}

/** A packet and the place where it ends. */
export interface PlacedPacket {
  readonly packet: DataPacket;
  readonly place: number;
  /** True if the data ends in it. */
  readonly cut: boolean;
}

/** Returns the packets that have the form of the others, or a time near that of a neighbour: that is hardly chance. */
export function trusted(part: Part, packets: readonly PlacedPacket[]): PlacedPacket[] {
  const agrees = (a: PlacedPacket, b: PlacedPacket | undefined): boolean =>
    b !== undefined && part.raw.scanner.agree(a.packet, b.packet);
  return packets.filter(
    (each, at) =>
      part.raw.scanner.looksRight(each.packet.bytes, 0) ||
      agrees(each, packets[at - 1]) ||
      agrees(each, packets[at + 1]),
  );
}

/** Checks whether the last packets that the header counts are there, and where they should be. */
async function readTail(part: Part): Promise<'right' | 'shifted' | 'unreadable'> {
  const from = Math.max(part.slots - part.batch, 0);
  const run = await part.borrowRaw(from, part.slots - from);
  while (run.next() !== undefined);
  run.release();
  if (run.shifted) return 'shifted';
  return run.location === part.slots - 1 ? 'right' : 'unreadable';
}

/**
 * Counts the places up to the last readable packet. An index, leftovers of a protocol, or the zeros of reserved space
 * may follow the packets.
 */
async function countReadable(part: Part, available: number): Promise<void> {
  const last = await lastReadable(part, available);
  part.slots = last === undefined ? 0 : last.place + 1;
  part.cut = last?.cut ?? false;
}

async function lastReadable(part: Part, available: number): Promise<PlacedPacket | undefined> {
  const { batch, packetSize } = part;
  const lastOf = async (from: number, slots: number): Promise<PlacedPacket | undefined> =>
    trusted(part, await readPackets(part, from, slots)).at(-1);
  const stop = Math.max(available - Math.floor(MAX_TAIL_SIZE / packetSize), 0);
  let end = available;
  while (end > stop) {
    const from = Math.max(end - batch, 0);
    const found = await lastOf(from, end - from);
    if (found !== undefined) return found;
    end = from;
  }
  let low = 0;
  let last: PlacedPacket | undefined;
  while (low < end) {
    const middle = Math.floor((low + end) / 2);
    const found = await lastOf(middle, Math.min(batch, end - middle));
    if (found === undefined) {
      end = middle;
    } else {
      last = found;
      low = found.place + 1;
    }
  }
  return last;
}

/**
 * Returns where another header begins after the data of a complete recording and its indexes, in bytes; undefined
 * without one.
 */
async function headerAfter(disk: DiskFile, part: Part): Promise<number | undefined> {
  let at = part.dataStart + Number(part.header.dataObject.size) - DATA_OBJECT_HEAD_SIZE;
  for (let count = 0; count < MAX_OBJECTS; count++) {
    const head = await disk.read(at, OBJECT_HEAD_SIZE);
    if (head.length < OBJECT_HEAD_SIZE) return undefined;
    if (head.toString('hex', 0, 16) === GUID.headerObject) return at;
    const size = Number(head.readBigUInt64LE(16));
    if (size < OBJECT_HEAD_SIZE || !Number.isSafeInteger(at + size)) return undefined;
    at += size;
  }
  return undefined;
}

/**
 * Returns where another header begins after the last packet of a recording whose end is unknown, in bytes; undefined
 * without one. The packet may have been cut, and indexes may follow.
 *
 * @throws WmError WM_NO_INPUT if the disk fails
 */
export async function headerNearEnd(disk: DiskFile, part: Part): Promise<number | undefined> {
  let at = part.dataStart + Math.max(part.slots - 1, 0) * part.packetSize;
  for (let count = 0; count < MAX_OBJECTS; count++) {
    const bytes = await disk.read(at, 2 * part.packetSize + MAX_GAP);
    const found = findObject(bytes, 0, bytes.length - OBJECT_HEAD_SIZE);
    if (found === -1) return undefined;
    if (bytes.toString('hex', found, found + 16) === GUID.headerObject) return at + found;
    const size = Number(bytes.readBigUInt64LE(found + 16));
    if (size < OBJECT_HEAD_SIZE || !Number.isSafeInteger(at + found + size)) return undefined;
    at += found + size;
  }
  return undefined;
}

/** Where the next packet begins at or after the start of a place, in bytes from there, and its time. */
interface Phase {
  readonly offset: number;
  /** ms modulo 2^32 */
  readonly time: number | undefined;
}

/** Searches for another header in data whose end is unknown. */
async function headerInside(disk: DiskFile, part: Part, probes: { left: number }): Promise<number | undefined> {
  const { scanner } = part.raw;
  const phaseOf = async (slot: number): Promise<Phase | undefined> => {
    probes.left--;
    const bytes = await disk.read(part.dataStart + slot * part.packetSize, 2 * part.packetSize + SCAN_HEAD_SIZE);
    const offset = scanner.looksRight(bytes, 0) ? 0 : scanner.find(bytes, 1, part.packetSize);
    const packet = offset === -1 ? undefined : scanner.read(bytes, offset);
    return packet === undefined ? undefined : { offset: offset % part.packetSize, time: scanner.timeOf(packet) };
  };
  const step = Math.max(Math.floor(part.slots / PROBES), 1);
  let low = 0;
  let known = await phaseOf(0);
  let isReadable = true;
  for (let probe = step; probe < part.slots + step && probes.left > 0; ) {
    const slot = Math.min(probe, part.slots - 1);
    const phase = await phaseOf(slot);
    const goesOn = phase === undefined ? !isReadable : known === undefined || isSame(known, phase);
    isReadable = phase !== undefined;
    if (goesOn || known === undefined) {
      low = slot;
      known = phase ?? known;
      probe += step;
      continue;
    }
    let high = slot;
    let upper = phase;
    while (high - low > 1 && probes.left > 0) {
      const middle = Math.floor((low + high) / 2);
      const found = await phaseOf(middle);
      if (isSame(known, found)) [low, known] = [middle, found];
      else [high, upper] = [middle, found ?? upper];
    }
    const header = high - low > 1 ? undefined : await findHeader(disk, part, low, high);
    if (header !== undefined) return header;
    // Bytes were merely lost, added or damaged here; compare the rest with what follows.
    [low, known] = [high, upper ?? known];
  }
  return undefined;
}

function isSame(a: Phase, b: Phase | undefined): b is Phase {
  if (b === undefined) return false;
  if (a.offset !== b.offset) return false;
  return a.time === undefined || b.time === undefined || ((b.time - a.time) | 0) > -REORDERING;
}

/** Searches for a header between two places. */
async function findHeader(disk: DiskFile, part: Part, from: number, to: number): Promise<number | undefined> {
  const start = part.dataStart + from * part.packetSize;
  const bytes = await disk.read(start, (to - from + 2) * part.packetSize + OBJECT_HEAD_SIZE);
  const at = bytes.indexOf(Buffer.from(GUID.headerObject, 'hex'));
  return at === -1 ? undefined : start + at;
}
