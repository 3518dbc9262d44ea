import { startPacket } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import { type DataPacket, parsePacket, startsKeyFrame } from '../asf/packet.js';

/** Longest wait for a key frame, in ms of the stream: some encoders mark none. */
const LONGEST_WAIT = 10_000;

/**
 * Lets a live stream begin where a decoder can. Some servers, and encoders, let a client in at any packet.
 * Drops everything before the first key frame; without video, passes everything.
 */
export class LiveStart {
  readonly #video: ReadonlySet<number>;
  #waiting: boolean;
  #firstSendTime: number | undefined;

  /** @param chosen the streams that are received */
  constructor(header: AsfHeader, chosen: ReadonlySet<number>) {
    const video = header.streams.filter(({ number, type }) => type === 'video' && chosen.has(number));
    this.#video = new Set(video.map(({ number }) => number));
    this.#waiting = video.length > 0;
  }

  /** Returns the packet, or the part of it from the key frame on; undefined before the first key frame. */
  packet(packet: DataPacket): DataPacket | undefined {
    if (!this.#waiting) return packet;
    this.#firstSendTime ??= packet.sendTime;
    const isKey = packet.payloads.some((payload) => startsKeyFrame(payload, this.#video));
    const waited = (packet.sendTime - this.#firstSendTime) | 0;
    if (!isKey && waited < LONGEST_WAIT && waited > -LONGEST_WAIT) return undefined;
    this.#waiting = false;
    if (!isKey) return packet;
    const bytes = startPacket(packet, this.#video);
    if (bytes === undefined || bytes === packet.bytes) return packet;
    return parsePacket(bytes);
  }
}
