import type { AsfHeader } from '../../asf/header.js';
import { STREAM_FLAG } from '../../asf/objects.js';
import type { StreamProperties } from '../../asf/stream.js';
import type { KeyFrameMap, KeyFramePlace } from './key-frames.js';
import type { StartPosition, StreamChoice } from './options.js';
import type { PacketStore } from './store.js';
import { NO_PACKET, type TimeIndex } from './time-index.js';

/** An object is sent before it is shown (asf.md 8); some encoders are late by some milliseconds. */
const SEND_SLACK = 1000;
/** How far back to search for the start of an audio object, in bytes. */
const MAX_AUDIO_WALK = 8 * 1024 * 1024;
/** An index that names no other key frame for longer is not relied on, because reading that much is cheap. In ms. */
const LONGEST_RUN = 60_000;

/**
 * Returns the streams whose objects must begin at a key frame: those of video, unless the header says that it has no
 * cleanpoints. Every object of other streams is one (asf.md 7.8).
 */
export function keyFrameStreams(header: AsfHeader): ReadonlySet<number> {
  const streams = header.streams.filter(
    ({ type, extended }) => type === 'video' && ((extended?.flags ?? 0) & STREAM_FLAG.noCleanpoints) === 0,
  );
  return new Set(streams.map(({ number }) => number));
}

/** A search is never aborted: it is bounded. */
const NEVER = new AbortController().signal;

/** Signed: is the 32-bit time `a` at or before `b`? */
const isUpTo = (a: number, b: number): boolean => ((a - b) | 0) <= 0;

/** Finds the packet to begin with. */
export class Seeker {
  readonly #file: PacketStore;
  readonly #keys: KeyFrameMap;
  readonly #headerSize: number;
  readonly #videoStreams: ReadonlySet<number>;
  #indexes: Promise<ReadonlyMap<number, TimeIndex>> | undefined;

  readonly #onKeyless: (stream: number) => void;

  /**
   * @param header the header for players: byte positions count its size
   * @param onKeyless called with a video stream in which no key frame was found
   */
  constructor(file: PacketStore, keys: KeyFrameMap, header: AsfHeader, onKeyless: (stream: number) => void) {
    this.#file = file;
    this.#keys = keys;
    this.#onKeyless = onKeyless;
    this.#headerSize = header.bytes.length;
    this.#videoStreams = keyFrameStreams(header);
  }

  /**
   * For a time, returns the packet in which the last key frame up to it begins: of several chosen video streams, the
   * key frame that begins first; without video, the last object up to the time. A time beyond the end counts as the
   * end. A packet or byte position gives exactly that packet, or, beyond the end, the packet count, with which nothing
   * is played.
   *
   * @throws WmError WM_NO_INPUT if the disk fails
   */
  async locate(position: StartPosition, choice: StreamChoice): Promise<number> {
    switch (position.kind) {
      case 'start':
        return 0;
      case 'packet':
        return this.#clamp(position.packet);
      case 'offset':
        return this.#atOffset(position.bytes);
      case 'time':
        return position.milliseconds > 0 ? this.#atTime(position.milliseconds, choice) : 0;
    }
  }

  #clamp(packet: number): number {
    return packet > 0 ? Math.min(Math.floor(packet), this.#file.packetCount) : 0;
  }

  #atOffset(bytes: number): number {
    const { packetSize } = this.#file;
    const isPlain = (bytes - this.#headerSize) % packetSize !== 0 && bytes % packetSize === 0;
    return this.#clamp((isPlain ? bytes : bytes - this.#headerSize) / packetSize);
  }

  async #atTime(milliseconds: number, choice: StreamChoice): Promise<number> {
    const wanted = milliseconds + this.#file.preroll;
    // A recording in progress may have reached that time by now.
    if (wanted > this.#file.times.end) await this.#file.want(this.#file.packetCount, NEVER);
    const { start, end } = this.#file.times;
    const target = Math.min(Math.max(wanted, start), end);
    const chosen = this.#file.header.streams.filter(({ number }) => choice.level(number) !== 2);
    const videos = chosen.filter(({ number }) => this.#videoStreams.has(number));
    const places = await Promise.all(videos.map(({ number }) => this.#keyFrame(number, target)));
    const found = places.filter((packet) => packet !== undefined);
    if (found.length > 0) return Math.min(...found);
    const audio = chosen.filter(({ type }) => type === 'audio');
    return (await this.#anyObject(target, audio)) ?? (await this.#anyObject(target, chosen)) ?? 0;
  }

  /** Returns when everything shown up to a time has been sent, in ms modulo 2^32. */
  #sentBy(target: number): number {
    const { start, sendStart } = this.#file.times;
    // In some files all send times are later than the presentation times.
    const late = Math.max(sendStart - start, 0);
    return (target + late + SEND_SLACK) >>> 0;
  }

  /** Before the first key frame, returns the start of the file; for a stream without key frames, undefined. */
  async #keyFrame(stream: number, target: number): Promise<number | undefined> {
    const packet = (await this.#indexed(stream, target)) ?? (await this.#keys.firstSentAfter(this.#sentBy(target)));
    const isOfStream = (key: KeyFramePlace): boolean => key.stream === stream;
    const isBefore = (key: KeyFramePlace): boolean => isOfStream(key) && isUpTo(key.time, target);
    const key = await this.#keys.previous({ packet, order: 0 }, isBefore);
    if (key !== undefined) return key.packet;
    // The key frame is too far back to find; the next one is better than a picture that cannot be decoded.
    const isFar = this.#keys.isFar(packet);
    const next = await this.#keys.next({ packet: isFar ? packet : 0, order: 0 }, isOfStream);
    if (next === undefined) this.#onKeyless(stream);
    if (next === undefined) return undefined;
    return isFar ? next.packet : 0;
  }

  /**
   * By the file's index, returns a packet shortly after the key frame; undefined without a usable index. The entry
   * before the time is checked against the file: indexes go stale when a file is edited, and some encoders mix the key
   * frames of all streams in one.
   */
  async #indexed(stream: number, target: number): Promise<number | undefined> {
    this.#indexes ??= this.#file.readIndexes().catch((error: unknown) => {
      this.#indexes = undefined;
      throw error;
    });
    const index = (await this.#indexes).get(stream);
    if (index === undefined) return undefined;
    const { interval, packets } = index;
    const entry = Math.floor(target / interval);
    const [packet = NO_PACKET, , following = NO_PACKET] = packets.subarray(entry, entry + 3);
    if (following >= this.#file.packetCount || following < packet) return undefined;
    let first = entry;
    while (first > 0 && packets[first - 1] === packet && (entry - first) * interval < LONGEST_RUN) first--;
    if ((entry - first) * interval >= LONGEST_RUN) return undefined;
    const isRight =
      first === 0
        ? this.#isFirstKey(packet, stream)
        : this.#isKeyBetween(packet, stream, (first - 1) * interval, target);
    return (await isRight) ? following + 1 : undefined;
  }

  /** The entries before the first key frame name it too, though it comes later. */
  async #isFirstKey(packet: number, stream: number): Promise<boolean> {
    return (await this.#keys.next({ packet: 0, order: 0 }, (key) => key.stream === stream))?.packet === packet;
  }

  async #isKeyBetween(packet: number, stream: number, after: number, upTo: number): Promise<boolean> {
    const keys = await this.#keys.inPacket(packet, stream);
    // Encoders round differently.
    return keys.some(({ time }) => isUpTo(time, upTo) && time > after - 1);
  }

  async #anyObject(target: number, streams: readonly StreamProperties[]): Promise<number | undefined> {
    const numbers = new Set(streams.map(({ number }) => number));
    if (numbers.size === 0) return undefined;
    const { preroll } = this.#file;
    const after = await this.#keys.firstSentAfter(this.#sentBy(target));
    return this.#keys.objectBefore(after, MAX_AUDIO_WALK, ({ stream, presentationTime }, sendTime) => {
      if (!numbers.has(stream)) return false;
      return isUpTo(presentationTime === -1 ? (sendTime + preroll) >>> 0 : presentationTime, target);
    });
  }
}
