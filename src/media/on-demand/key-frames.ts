import { type Payload, startsKeyFrame } from '../../asf/packet.js';
import type { PacketStore } from './store.js';

/** The place where a key frame begins. */
export interface KeyFramePlace {
  readonly stream: number;
  /** Packet number, from 0. */
  readonly packet: number;
  /** Index of the payload within the packet, from 0. */
  readonly order: number;
  /** Media Object Number. */
  readonly number: number;
  /** Presentation time in ms modulo 2^32, preroll included. */
  readonly time: number;
}

/** A place in file order. */
export interface PacketPlace {
  readonly packet: number;
  readonly order: number;
}

interface Segment {
  /** Packets examined. */
  readonly packets: number;
  /** True if at least one of them could be read. */
  readonly readable: boolean;
  readonly keys: readonly KeyFramePlace[];
}

/** Bytes read at once to find key frames. */
const SEGMENT_SIZE = 128 * 1024;
/** Key frames and segments that are remembered for a file. */
const MAX_REMEMBERED = 100_000;
/** Packets searched for the send time of a segment before all of it is read. */
const PROBE_PACKETS = 4;
/** The most bytes read to find one key frame. */
const MAX_SEARCH = 64 * 1024 * 1024;

const isBefore = (a: PacketPlace, b: PacketPlace): boolean =>
  a.packet < b.packet || (a.packet === b.packet && a.order < b.order);

/**
 * Finds the key frames of a file's video streams, and packets by time, in segments of 128 KiB. Reads the segment in
 * question, and remembers what it found there. So a jump to the end of a long file without an index costs a few
 * milliseconds, and no index is ever built. Memory: a bounded number of places for each file, shared by all its
 * players.
 */
export class KeyFrameMap {
  readonly #file: PacketStore;
  readonly #video: { has(stream: number): boolean };
  readonly #segmentPackets: number;
  readonly #segments = new Map<number, Segment | Promise<Segment>>();
  readonly #sendTimes = new Map<number, number | undefined>();
  #remembered = 0;

  /** @param isVideo true for streams whose objects are not all key frames */
  constructor(file: PacketStore, isVideo: (stream: number) => boolean) {
    this.#file = file;
    this.#video = { has: isVideo };
    this.#segmentPackets = Math.max(file.batchPackets, Math.floor(SEGMENT_SIZE / file.packetSpan));
  }

  /**
   * Finds the first accepted key frame at or after a place; undefined if there is no such frame within 64 MiB.
   *
   * @throws WmError WM_NO_INPUT if the disk fails
   */
  next(from: PacketPlace, accept: (key: KeyFramePlace) => boolean): Promise<KeyFramePlace | undefined> {
    const first = Math.floor(Math.max(from.packet, 0) / this.#segmentPackets);
    return this.#search(first, 1, ({ keys }) => keys.find((key) => !isBefore(key, from) && accept(key)));
  }

  /**
   * Finds the last accepted key frame before a place; undefined if there is no such frame within 64 MiB.
   *
   * @throws WmError WM_NO_INPUT if the disk fails
   */
  previous(before: PacketPlace, accept: (key: KeyFramePlace) => boolean): Promise<KeyFramePlace | undefined> {
    const last = Math.min(Math.floor(before.packet / this.#segmentPackets), this.#segmentCount - 1);
    return this.#search(last, -1, ({ keys }) => keys.findLast((key) => isBefore(key, before) && accept(key)));
  }

  /** True if a search backwards from a packet may end before it reaches the start of the file. */
  isFar(packet: number): boolean {
    return packet * this.#file.packetSpan > MAX_SEARCH;
  }

  /**
   * Returns where to go on if nothing could be read before a packet: there, or after the hole that contains it.
   *
   * @throws WmError WM_NO_INPUT if the disk fails
   */
  async afterHole(packet: number): Promise<number> {
    const segment = Math.floor(packet / this.#segmentPackets);
    if (segment >= this.#segmentCount || (await this.#sendTimeOf(segment)) !== undefined) return packet;
    const readable = await this.#nextReadable(segment, 1);
    return readable === undefined ? this.#file.packetCount : readable * this.#segmentPackets;
  }

  /** Searches segments; skips unreadable stretches without reading all of them. */
  async #search(
    from: number,
    direction: 1 | -1,
    find: (segment: Segment) => KeyFramePlace | undefined,
  ): Promise<KeyFramePlace | undefined> {
    let left = Math.ceil(MAX_SEARCH / (this.#segmentPackets * this.#file.packetSpan));
    for (let at = from; at >= 0 && at < this.#segmentCount && left > 0; at += direction, left--) {
      const segment = await this.#keysOf(at);
      const found = find(segment);
      if (found !== undefined) return found;
      if (segment.readable) continue;
      const readable = await this.#nextReadable(at, direction);
      if (readable === undefined) return undefined;
      at = readable - direction;
    }
    return undefined;
  }

  /**
   * Finds the nearest readable segment after an unreadable one, by growing steps and then by bisection, so that a hole
   * of any size costs only some dozens of reads.
   */
  async #nextReadable(from: number, direction: 1 | -1): Promise<number | undefined> {
    const last = direction === 1 ? this.#segmentCount - 1 : 0;
    let hole = from;
    for (let step = 1; hole !== last; step *= 2) {
      let found = direction === 1 ? Math.min(hole + step, last) : Math.max(hole - step, last);
      if ((await this.#sendTimeOf(found)) === undefined) {
        hole = found;
        continue;
      }
      while (Math.abs(found - hole) > 1) {
        const middle = Math.floor((found + hole) / 2);
        if ((await this.#sendTimeOf(middle)) === undefined) hole = middle;
        else found = middle;
      }
      return found;
    }
    return undefined;
  }

  /** Returns the key frames of a stream that begin in a packet. @throws WmError WM_NO_INPUT if the disk fails */
  async inPacket(packet: number, stream: number): Promise<KeyFramePlace[]> {
    if (packet >= this.#file.packetCount) return [];
    const { keys } = await this.#keysOf(Math.floor(packet / this.#segmentPackets));
    return keys.filter((key) => key.packet === packet && key.stream === stream);
  }

  /**
   * Finds a packet after all those sent up to a time, at most a segment too far. Uses bisection, because packets are in
   * the order of their send times (asf.md 7.9).
   *
   * @param sendTime ms modulo 2^32, within 24 days of those of the file
   * @throws WmError WM_NO_INPUT if the disk fails
   */
  async firstSentAfter(sendTime: number): Promise<number> {
    let low = 0;
    let high = this.#segmentCount;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const time = await this.#sendTimeOf(middle);
      if (time !== undefined) {
        if (((time - sendTime) | 0) > 0) high = middle;
        else low = middle + 1;
        continue;
      }
      // In a hole, the readable segment after it tells on which side to go on.
      const readable = await this.#nextReadable(middle, 1);
      const next = readable === undefined ? undefined : await this.#sendTimeOf(readable);
      if (next === undefined || ((next - sendTime) | 0) > 0) high = middle;
      else low = readable! + 1;
    }
    return Math.min(low * this.#segmentPackets, this.#file.packetCount);
  }

  /**
   * Finds the last packet before another one in which an accepted media object begins, within the last `limit` bytes.
   * Remembers nothing of the search.
   *
   * @throws WmError WM_NO_INPUT if the disk fails
   */
  async objectBefore(
    before: number,
    limit: number,
    accept: (payload: Payload, sendTime: number) => boolean,
  ): Promise<number | undefined> {
    const lowest = Math.max(before - Math.ceil(limit / this.#file.packetSpan), 0);
    for (let end = before; end > lowest; ) {
      const from = Math.max(end - this.#segmentPackets, lowest);
      let found: number | undefined;
      await this.#file.visit(from, end - from, (packet, location) => {
        const starts = packet.payloads.some((payload) => payload.offset === 0 && accept(payload, packet.sendTime));
        if (starts) found = location;
      });
      if (found !== undefined) return found;
      end = from;
    }
    return undefined;
  }

  get #segmentCount(): number {
    return Math.ceil(this.#file.packetCount / this.#segmentPackets);
  }

  /** Returns the send time of the first readable packet in a segment; undefined if no packet can be read. */
  async #sendTimeOf(segment: number): Promise<number | undefined> {
    if (this.#sendTimes.has(segment)) return this.#sendTimes.get(segment);
    let time: number | undefined;
    const from = segment * this.#segmentPackets;
    for (const count of [Math.min(PROBE_PACKETS, this.#segmentPackets), this.#segmentPackets]) {
      await this.#file.visit(from, count, (packet) => {
        time = packet.sendTime;
        return false;
      });
      if (time !== undefined) break;
    }
    if (this.#sendTimes.size >= MAX_REMEMBERED) this.#sendTimes.clear();
    // The last segment may still be growing.
    if (time !== undefined || segment < this.#segmentCount - 1) this.#sendTimes.set(segment, time);
    return time;
  }

  async #keysOf(segment: number): Promise<Segment> {
    const from = segment * this.#segmentPackets;
    const packets = Math.min(this.#segmentPackets, this.#file.packetCount - from);
    const known = await this.#segments.get(segment);
    // The last segment of a growing file has more packets than before.
    if (known !== undefined && known.packets >= packets) return known;
    const scan = this.#scan(from, packets);
    this.#segments.set(segment, scan);
    try {
      const found = await scan;
      if (known !== undefined) this.#remembered -= 1 + known.keys.length;
      this.#remember(segment, found);
      return found;
    } catch (error) {
      this.#segments.delete(segment);
      throw error;
    }
  }

  #remember(segment: number, found: Segment): void {
    this.#segments.set(segment, found);
    this.#remembered += 1 + found.keys.length;
    for (const [oldest, entry] of this.#segments) {
      if (this.#remembered <= MAX_REMEMBERED) break;
      // A segment that is being read is not counted yet.
      if (entry instanceof Promise || oldest === segment) continue;
      this.#segments.delete(oldest);
      this.#remembered -= 1 + entry.keys.length;
    }
  }

  async #scan(from: number, packets: number): Promise<Segment> {
    const keys: KeyFramePlace[] = [];
    const { preroll } = this.#file;
    let readable = false;
    await this.#file.visit(from, packets, (packet, location) => {
      readable = true;
      packet.payloads.forEach((payload, order) => {
        const { stream, mediaObjectNumber, presentationTime } = payload;
        if (!startsKeyFrame(payload, this.#video)) return;
        const time = presentationTime === -1 ? (packet.sendTime + preroll) >>> 0 : presentationTime;
        keys.push({ stream, packet: location, order, number: mediaObjectNumber, time });
      });
    });
    return { packets, readable, keys };
  }
}
