import type { DataPacket, Payload } from './packet.js';
import type { SimpleIndex } from './simple-index.js';

/** One key frame: where it starts and how many packets it spans. @public */
export interface KeyFrame {
  /** Milliseconds, preroll included; continues past 2^32. */
  readonly presentationTime: number;
  /** Counted from 0. */
  readonly packetNumber: number;
  packetCount: number;
}

/** The time between two entries of a Simple Index, in ms; key frames are thinned to it too. */
const INTERVAL = 1000;
const HUNDRED_NS_PER_MS = 10_000;

/** However far times jump, the size of an index stays in proportion to the packets of the file. */
const MIN_ENTRIES = 86_400;
const ENTRIES_PER_PACKET = 16;

const LARGEST_WORD = 0xffff;

/** The key frames of one video stream, at most one a second, in ascending order. */
class StreamKeyFrames {
  readonly keys: KeyFrame[] = [];
  /** The key frame whose payloads are still arriving. */
  #open: KeyFrame | undefined;
  #last: number | undefined;

  add(payload: Payload, packetNumber: number): void {
    if (payload.offset !== 0) {
      if (this.#open !== undefined) this.#open.packetCount = packetNumber - this.#open.packetNumber + 1;
      return;
    }
    this.#open = undefined;
    if (payload.presentationTime === -1) return;
    // Signed difference: 32-bit times wrap after 49.7 days.
    const last = this.#last ?? payload.presentationTime;
    const time = last + ((payload.presentationTime - last) | 0);
    if (!payload.key || time < 0) return;
    const newest = this.keys.at(-1);
    const slot = Math.ceil(time / INTERVAL);
    const newestSlot = newest === undefined ? -1 : Math.ceil(newest.presentationTime / INTERVAL);
    if (slot < newestSlot) return;
    // An entry names the last key frame before its time, so of two in one second the later replaces the earlier.
    if (slot === newestSlot) this.keys.pop();
    this.#last = time;
    this.#open = { presentationTime: time, packetNumber, packetCount: 1 };
    this.keys.push(this.#open);
  }
}

/**
 * Collects the key frames of video streams as packets pass (asf.md 12), to index a file while it is written and to seek
 * in one without an index. Keeps at most one key frame per stream and second of time stamps.
 *
 * @public
 */
export class KeyFrameIndex {
  readonly #streams: ReadonlyMap<number, StreamKeyFrames>;
  #packets = 0;

  /** @param videoStreams the numbers of the streams to watch */
  constructor(videoStreams: Iterable<number>) {
    this.#streams = new Map([...videoStreams].map((number) => [number, new StreamKeyFrames()]));
  }

  /** Packets so far. */
  get packetCount(): number {
    return this.#packets;
  }

  /** Adds the next packet; its number is the count of those before it. */
  add(packet: DataPacket): void {
    const { payloads } = packet;
    for (let i = 0; i < payloads.length; i++) {
      const payload = payloads[i]!;
      this.#streams.get(payload.stream)?.add(payload, this.#packets);
    }
    this.#packets++;
  }

  /** Returns the key frames of a stream in ascending order; empty if the stream is not watched. */
  keyFrames(stream: number): readonly Readonly<KeyFrame>[] {
    return this.#streams.get(stream)?.keys ?? [];
  }

  /**
   * Returns the last key frame at or before a time, or the first one if all are later; undefined without key frames.
   * @param presentationTime milliseconds, preroll included
   */
  find(stream: number, presentationTime: number): Readonly<KeyFrame> | undefined {
    const keys = this.keyFrames(stream);
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (keys[middle]!.presentationTime <= presentationTime) low = middle + 1;
      else high = middle;
    }
    return keys[Math.max(low - 1, 0)];
  }

  /**
   * Builds the Simple Index of a stream: one entry a second, or fewer if a file of few packets seems to last for
   * months.
   * @param playDuration milliseconds, preroll included
   */
  simpleIndex(stream: number, fileId: string, playDuration: number): SimpleIndex {
    const keys = this.keyFrames(stream);
    const seconds = Math.ceil(playDuration / INTERVAL) + 1;
    const step = Math.ceil(seconds / (MIN_ENTRIES + this.#packets * ENTRIES_PER_PACKET));
    const count = keys.length === 0 ? 0 : Math.ceil(seconds / step);
    const packetNumbers = new Uint32Array(count);
    const packetCounts = new Uint16Array(count);
    let maximumPacketCount = 0;
    let key = 0;
    for (let entry = 0; entry < count; entry++) {
      while (key + 1 < keys.length && keys[key + 1]!.presentationTime <= entry * step * INTERVAL) key++;
      const packetCount = Math.min(keys[key]!.packetCount, LARGEST_WORD);
      packetNumbers[entry] = keys[key]!.packetNumber;
      packetCounts[entry] = packetCount;
      maximumPacketCount = Math.max(maximumPacketCount, packetCount);
    }
    const interval = BigInt(step * INTERVAL * HUNDRED_NS_PER_MS);
    return { fileId, interval, maximumPacketCount, packetNumbers, packetCounts };
  }
}
