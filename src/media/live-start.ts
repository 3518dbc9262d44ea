import { startPacket } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import { type DataPacket, parsePacket, startsKeyFrame } from '../asf/packet.js';

/** Longest wait for a key frame, in ms of the stream: some encoders mark none. */
const LONGEST_WAIT = 10_000;
/** The most that is kept while waiting, in bytes of packets. */
const MAX_HELD = 16 * 1024 * 1024;
/** How much sound before the key frame is passed on, in ms. */
const LONGEST_SOUND = 1000;
const NONE: readonly DataPacket[] = [];

/**
 * Lets a live stream begin where a decoder can. Servers such as VLC's, and encoders, let a client in at any packet.
 * Drops what is before the first key frame, except for packets directly before it that have no video. If no key frame
 * comes for ten seconds, or before the end, nothing is dropped. Without video, passes everything.
 */
export class LiveStart {
  readonly #video: ReadonlySet<number>;
  #waiting: boolean;
  #held: DataPacket[] = [];
  #heldSize = 0;

  /** @param chosen the streams that are received */
  constructor(header: AsfHeader, chosen: ReadonlySet<number>) {
    const video = header.streams.filter(({ number, type }) => type === 'video' && chosen.has(number));
    this.#video = new Set(video.map(({ number }) => number));
    this.#waiting = video.length > 0;
  }

  /** True before the first packet that is passed on. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** Takes the next packet; returns what is passed on: nothing while it waits, then all that is needed at once. */
  packets(packet: DataPacket): readonly DataPacket[] {
    if (!this.#waiting) return [packet];
    if (packet.payloads.some((payload) => startsKeyFrame(payload, this.#video))) {
      const before = this.#soundBefore(packet);
      this.#stop();
      return before.length > 0 ? [...before, packet] : [this.#startOf(packet)];
    }
    this.#held.push(packet);
    this.#heldSize += packet.bytes.length;
    while (this.#heldSize > MAX_HELD) this.#heldSize -= this.#held.shift()!.bytes.length;
    const waited = (packet.sendTime - (this.#held[0] ?? packet).sendTime) | 0;
    return waited < LONGEST_WAIT && waited > -LONGEST_WAIT ? NONE : this.end();
  }

  /** The stream ends, or goes on under another header: returns what was kept. */
  end(): readonly DataPacket[] {
    const held = this.#held;
    this.#stop();
    return held;
  }

  #stop(): void {
    this.#waiting = false;
    this.#held = [];
    this.#heldSize = 0;
  }

  /** Returns the part of a packet from its key frame on. */
  #startOf(packet: DataPacket): DataPacket {
    const bytes = startPacket(packet, this.#video);
    return bytes === undefined || bytes === packet.bytes ? packet : parsePacket(bytes);
  }

  /** Returns the packets without video before a key frame, beginning with a whole object. */
  #soundBefore(key: DataPacket): readonly DataPacket[] {
    const first = key.payloads.find(({ stream }) => this.#video.has(stream));
    // Otherwise the packet must be cut, so it has to be the first one.
    if (first === undefined || !startsKeyFrame(first, this.#video)) return NONE;
    const isSound = ({ payloads, sendTime }: DataPacket) =>
      ((key.sendTime - sendTime) | 0) <= LONGEST_SOUND && payloads.every(({ stream }) => !this.#video.has(stream));
    const from = this.#held.findLastIndex((packet) => !isSound(packet)) + 1;
    const sound = this.#held.slice(from);
    return sound.slice(sound.findIndex(({ payloads }) => payloads[0]?.offset === 0) >>> 0);
  }
}
