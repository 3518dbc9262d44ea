import { liveHeader, withFileProperties } from './edit.js';
import { type AsfHeader, buildHeader } from './header.js';
import { KeyFrameIndex } from './key-frame-index.js';
import { objectBytes } from './object-tree.js';
import { FILE_FLAG, type HeaderObject, STREAM_FLAG } from './objects.js';
import type { DataPacket, Payload } from './packet.js';
import { restorePadding } from './padding.js';
import { rebasePacket } from './rebase.js';
import { buildSimpleIndex } from './simple-index.js';

const EMPTY = Buffer.alloc(0);
const HUNDRED_NS_PER_MS = 10_000n;

/** A last object that would last longer than this is a jump in the times, milliseconds. */
const MAX_OBJECT_DURATION = 10_000;

/** A preroll that is longer than packets are really sent ahead, by more than this, is an error of the header. Milliseconds. */
export const LONGEST_PREROLL = 60_000;

export interface AsfFileOptions {
  /** Shift the times so that the file starts at 0 (asf.md 10.6); default true. A file from its start is not changed by it. */
  readonly rebase?: boolean;
}

/** A 32-bit time that goes on past 2^32: the value nearest to the one before. */
function unwrap(time: number, previous: number): number {
  return previous + ((time - previous) | 0);
}

/** Where the times of one stream have come to. */
class StreamClock {
  #last = -1;
  #duration = 0;

  add(presentationTime: number): void {
    if (this.#last === -1) this.#last = presentationTime;
    const time = unwrap(presentationTime, this.#last);
    // Of frames out of order only the one that is later than all others moves the end.
    if (time <= this.#last) return;
    this.#duration = time - this.#last > MAX_OBJECT_DURATION ? 0 : time - this.#last;
    this.#last = time;
  }

  /** When the last object ends, if it lasts as long as the one before. */
  get end(): number {
    return this.#last === -1 ? 0 : this.#last + this.#duration;
  }
}

/**
 * Makes a file of a header and packets: what `start` gives, what `packet` gives for every packet, then the trailer of
 * `finish`; last the header of `finish` at offset 0. It does no I/O, and its memory grows by one key frame a second only.
 */
export class AsfFileBuilder {
  /** The header that the file starts with: marked live, so that a file that was cut still plays. */
  readonly header: AsfHeader;
  readonly #rebase: boolean;
  readonly #keyFrames: KeyFrameIndex;
  readonly #clocks: ReadonlyMap<number, StreamClock>;
  #delta: number | undefined;
  #firstSendTime: number | undefined;
  #lastSendTime: number | undefined;
  #sendEnd = 0;

  /**
   * @param header of the packets; a file or a live one
   * @throws AsfError when a live header cannot be made of it
   */
  constructor(header: AsfHeader, options: AsfFileOptions = {}) {
    this.header = liveHeader(header);
    this.#rebase = options.rebase ?? true;
    this.#keyFrames = new KeyFrameIndex(this.#indexedStreams());
    this.#clocks = new Map(header.streams.map(({ number }) => [number, new StreamClock()]));
  }

  /** Packets written so far. */
  get packetCount(): number {
    return this.#keyFrames.packetCount;
  }

  /** Milliseconds of media written so far. */
  get duration(): number {
    return Math.max(this.#playDuration() - this.header.preroll, 0);
  }

  /** The header as it stands while the file grows. */
  start(): Buffer {
    return this.header.bytes;
  }

  /**
   * The packet as it goes into the file: of full size, its times counted from the start of the file. Empty for a parity
   * packet, which has no place in a file. The same Buffer when nothing had to change.
   * @throws AsfError when it is longer than the packet size; nothing is counted then
   */
  packet(packet: DataPacket): Buffer {
    if (packet.parity) return EMPTY;
    const delta = this.#rebase ? (this.#delta ?? this.#startDelta(packet)) : 0;
    const shifted = delta === 0 ? packet : { ...packet, bytes: rebasePacket(packet, delta) };
    const bytes = restorePadding(shifted, this.header.packetSize);
    this.#delta = delta;
    this.#keyFrames.add(
      delta === 0 ? packet : { ...packet, payloads: packet.payloads.map((each) => shift(each, delta)) },
    );
    this.#track(packet, delta);
    return bytes;
  }

  /**
   * What to append behind the last packet (a Simple Index for each visible video stream with key frames, in the order of
   * stream numbers), and the final header, as long as that of {@link start}.
   */
  finish(): { trailer: Buffer; header: Buffer } {
    const { header } = this;
    const playDuration = this.#playDuration();
    const indexed = this.#indexedStreams().filter((number) => this.#keyFrames.keyFrames(number).length > 0);
    const trailer = Buffer.concat(
      indexed.map((number) => buildSimpleIndex(this.#keyFrames.simpleIndex(number, header.fileId, playDuration))),
    );
    const dataSize = header.dataObject.size + BigInt(this.packetCount) * BigInt(header.packetSize);
    const packetCount = BigInt(this.packetCount);
    const isSeekable = indexed.length === this.#indexedStreams().length;
    const objects = withFileProperties(seekableObjects(header.objects, indexed), header.fileProperties, {
      fileSize: BigInt(header.bytes.length) - header.dataObject.size + dataSize + BigInt(trailer.length),
      dataPacketsCount: packetCount,
      playDuration: BigInt(playDuration) * HUNDRED_NS_PER_MS,
      sendDuration: BigInt(this.#sendEnd) * HUNDRED_NS_PER_MS,
      flags: isSeekable ? FILE_FLAG.seekable : 0,
    });
    return { trailer, header: buildHeader(objects, { fileId: header.fileId, size: dataSize, packetCount }).bytes };
  }

  /** Visible video streams in the order of their numbers. */
  #indexedStreams(): number[] {
    const video = this.header.streams.filter((stream) => stream.type === 'video' && !stream.hidden);
    return video.map(({ number }) => number).sort((a, b) => a - b);
  }

  /**
   * What brings the first packet to the start of the file: its Send Time to 0, but no presentation time of it below the
   * preroll, where it would be before the start.
   */
  #startDelta(packet: DataPacket): number {
    const leads = packet.payloads.flatMap(({ presentationTime }) =>
      presentationTime === -1 ? [] : [(presentationTime - packet.sendTime) | 0],
    );
    const declared = this.header.preroll;
    const lead = Math.max(
      leads.reduce((least, each) => Math.min(least, each), leads[0] ?? declared),
      0,
    );
    // A preroll that cannot be true must not move anything.
    if (declared > lead + LONGEST_PREROLL) return -packet.sendTime;
    return declared - Math.min(lead, declared) - packet.sendTime;
  }

  #track(packet: DataPacket, delta: number): void {
    const sendTime = (packet.sendTime + delta) >>> 0;
    this.#firstSendTime ??= sendTime;
    this.#lastSendTime = unwrap(sendTime, this.#lastSendTime ?? sendTime);
    this.#sendEnd = Math.max(this.#sendEnd, this.#lastSendTime - this.#firstSendTime + packet.duration);
    for (const { stream, presentationTime, offset } of packet.payloads) {
      const time = presentationTime === -1 ? sendTime + this.header.preroll : presentationTime + delta;
      if (offset === 0) this.#clocks.get(stream)?.add(time >>> 0);
    }
  }

  #playDuration(): number {
    return Math.max(0, ...[...this.#clocks.values()].map((clock) => clock.end));
  }
}

function shift(payload: Payload, delta: number): Payload {
  const { presentationTime } = payload;
  return presentationTime === -1 ? payload : { ...payload, presentationTime: (presentationTime + delta) >>> 0 };
}

/** The object with the Seekable flag in the Extended Stream Properties of the streams that have an index. */
function withSeekableStreams(object: HeaderObject, indexed: readonly number[]): HeaderObject {
  if (object.type === 'headerExtension') {
    return { ...object, objects: object.objects.map((each) => withSeekableStreams(each, indexed)) };
  }
  if (object.type !== 'extendedStreamProperties' || !indexed.includes(object.streamNumber)) return object;
  return { ...object, flags: object.flags | STREAM_FLAG.seekable };
}

/** The same, but what would become longer or shorter by being written anew stays as it is: the header keeps its size. */
function seekableObjects(objects: readonly HeaderObject[], indexed: readonly number[]): HeaderObject[] {
  // A signature covers what stands before it.
  if (objects.some((object) => object.type === 'digitalSignature')) return [...objects];
  return objects.map((object) => {
    const changed = withSeekableStreams(object, indexed);
    return objectBytes(changed).length === objectBytes(object).length ? changed : object;
  });
}
