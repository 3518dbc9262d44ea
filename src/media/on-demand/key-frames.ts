import { type Payload, startsKeyFrame } from '../../asf/packet.js';
import type { PacketStore } from './store.js';

/** Where a key frame begins. */
export interface KeyFramePlace {
  readonly stream: number;
  /** Counted from 0. */
  readonly packet: number;
  /** Which payload of the packet it is, counted from 0. */
  readonly order: number;
  /** Media Object Number. */
  readonly number: number;
  /** Presentation time, ms modulo 2^32, preroll included. */
  readonly time: number;
}

/** A place in the order of the file. */
export interface PacketPlace {
  readonly packet: number;
  readonly order: number;
}

interface Segment {
  /** Packets that were looked at. */
  readonly packets: number;
  /** One of them could be read. */
  readonly readable: boolean;
  readonly keys: readonly KeyFramePlace[];
}

/** What is read to find the key frames of a place. Bytes. */
const SEGMENT_SIZE = 128 * 1024;
/** Key frames and segments that are remembered for a file. */
const MAX_REMEMBERED = 100_000;
/** Packets in which the send time of a segment is looked for before all of it is read. */
const PROBE_PACKETS = 4;
/** How much is read at most to find one key frame. Bytes. */
const MAX_SEARCH = 64 * 1024 * 1024;

const isBefore = (a: PacketPlace, b: PacketPlace): boolean =>
  a.packet < b.packet || (a.packet === b.packet && a.order < b.order);

/**
 * Finds the key frames of the video streams of a file, and packets by time, in pieces of 128 KiB: the one that is asked for
 * is read, and what was found in it is remembered. So a jump to the end of a long file without an index costs some
 * milliseconds, and nothing is ever read to build an index. Memory: a bounded number of places for each file, shared by all
 * its players.
 */
export class KeyFrameMap {
  readonly #file: PacketStore;
  readonly #video: { has(stream: number): boolean };
  readonly #segmentPackets: number;
  readonly #segments = new Map<number, Segment | Promise<Segment>>();
  readonly #sendTimes = new Map<number, number | undefined>();
  #remembered = 0;

  /** @param isVideo tells the streams whose objects are not all key frames */
  constructor(file: PacketStore, isVideo: (stream: number) => boolean) {
    this.#file = file;
    this.#video = { has: isVideo };
    this.#segmentPackets = Math.max(file.batchPackets, Math.floor(SEGMENT_SIZE / file.packetSpan));
  }

  /**
   * The first key frame at or behind a place that is accepted; undefined also when there is none in the next 64 MiB.
   * @throws WmError WM_NO_INPUT when the disk fails
   */
  next(from: PacketPlace, accept: (key: KeyFramePlace) => boolean): Promise<KeyFramePlace | undefined> {
    const first = Math.floor(Math.max(from.packet, 0) / this.#segmentPackets);
    return this.#search(first, 1, ({ keys }) => keys.find((key) => !isBefore(key, from) && accept(key)));
  }

  /**
   * The last key frame before a place that is accepted; undefined also when there is none in 64 MiB before it.
   * @throws WmError WM_NO_INPUT when the disk fails
   */
  previous(before: PacketPlace, accept: (key: KeyFramePlace) => boolean): Promise<KeyFramePlace | undefined> {
    const last = Math.min(Math.floor(before.packet / this.#segmentPackets), this.#segmentCount - 1);
    return this.#search(last, -1, ({ keys }) => keys.findLast((key) => isBefore(key, before) && accept(key)));
  }

  /** Whether a search backwards from a packet may end before it has come to the start of the file. */
  isFar(packet: number): boolean {
    return packet * this.#file.packetSpan > MAX_SEARCH;
  }

  /**
   * Where to go on reading when nothing could be read before a packet: there, or behind a hole that it is in.
   * @throws WmError WM_NO_INPUT when the disk fails
   */
  async behindHole(packet: number): Promise<number> {
    const segment = Math.floor(packet / this.#segmentPackets);
    if (segment >= this.#segmentCount || (await this.#sendTimeOf(segment)) !== undefined) return packet;
    const readable = await this.#nextReadable(segment, 1);
    return readable === undefined ? this.#file.packetCount : readable * this.#segmentPackets;
  }

  /** Looks through segments; what cannot be read is passed over without being read as a whole. */
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
   * The nearest segment in which something can be read, behind one in which nothing can: by steps that become larger, then by
   * halving, so that a hole of any size costs some dozens of reads.
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

  /** The key frames of a stream that begin in a packet. @throws WmError WM_NO_INPUT when the disk fails */
  async inPacket(packet: number, stream: number): Promise<KeyFramePlace[]> {
    if (packet >= this.#file.packetCount) return [];
    const { keys } = await this.#keysOf(Math.floor(packet / this.#segmentPackets));
    return keys.filter((key) => key.packet === packet && key.stream === stream);
  }

  /**
   * A packet behind all those that are sent up to a time, at most a segment too far: found by halving, because packets are
   * in the order of their send times (asf.md 7.9).
   * @param sendTime ms modulo 2^32, not further than 24 days from those of the file
   * @throws WmError WM_NO_INPUT when the disk fails
   */
  async behind(sendTime: number): Promise<number> {
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
      // In a hole it is what follows it that tells on which side to go on.
      const readable = await this.#nextReadable(middle, 1);
      const next = readable === undefined ? undefined : await this.#sendTimeOf(readable);
      if (next === undefined || ((next - sendTime) | 0) > 0) high = middle;
      else low = readable! + 1;
    }
    return Math.min(low * this.#segmentPackets, this.#file.packetCount);
  }

  /**
   * The last packet before another in which a media object begins that is accepted; looks back no further than `limit`
   * bytes. Nothing of it is remembered.
   * @throws WmError WM_NO_INPUT when the disk fails
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

  /** Of the first packet in it that can be read; undefined when none can. */
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
    // The last one may be written yet.
    if (time !== undefined || segment < this.#segmentCount - 1) this.#sendTimes.set(segment, time);
    return time;
  }

  async #keysOf(segment: number): Promise<Segment> {
    const from = segment * this.#segmentPackets;
    const packets = Math.min(this.#segmentPackets, this.#file.packetCount - from);
    const known = await this.#segments.get(segment);
    // The last segment of a file that grows has more packets than before.
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
      // One that is being read is not counted yet.
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
