import { liveHeader, withFileProperties } from './edit.js';
import { guidFromString } from './guid.js';
import { type AsfHeader, buildHeader } from './header.js';
import { KeyFrameIndex } from './key-frame-index.js';
import { OBJECT_HEAD_SIZE, objectBytes } from './object-tree.js';
import { FILE_FLAG, type HeaderObject, type MarkerEntry, STREAM_FLAG } from './objects.js';
import type { DataPacket, Payload } from './packet.js';
import { restorePadding } from './padding.js';
import { rebasePacket } from './rebase.js';
import { buildSimpleIndex } from './simple-index.js';

const EMPTY = Buffer.alloc(0);
const HUNDRED_NS_PER_MS = 10_000n;

/** A last object longer than this is taken for a jump in the times. Milliseconds. */
const MAX_OBJECT_DURATION = 10_000;

/** A preroll that exceeds the real lead of the packets by more than this is an error in the header. Milliseconds. */
export const LONGEST_PREROLL = 60_000;

/** @public */
export interface AsfFileOptions {
  /** Shifts the times so that the file starts at 0 (asf.md 10.6); default true. A complete file stays unchanged. */
  readonly rebase?: boolean;
  /** Bytes to keep free in the header for markers (see {@link AsfFileBuilder.mark}); default 0. */
  readonly markerSpace?: number;
}

/** Extends a 32-bit time past 2^32: returns the value nearest to the previous one. */
function unwrap(time: number, previous: number): number {
  return previous + ((time - previous) | 0);
}

/** The latest time of one stream. */
class StreamClock {
  #last = -1;
  #duration = 0;

  add(presentationTime: number): void {
    if (this.#last === -1) this.#last = presentationTime;
    const time = unwrap(presentationTime, this.#last);
    // When frames are out of order, only the latest one moves the end.
    if (time <= this.#last) return;
    this.#duration = time - this.#last > MAX_OBJECT_DURATION ? 0 : time - this.#last;
    this.#last = time;
  }

  /** The end of the last object if it lasts as long as the one before. */
  get end(): number {
    return this.#last === -1 ? 0 : this.#last + this.#duration;
  }
}

/**
 * Builds a file from a header and packets. Write what `start` returns, then what `packet` returns for each packet, then
 * the trailer of `finish`; last, overwrite offset 0 with the header of `finish`. Does no I/O; its memory grows only by
 * one key frame per second.
 *
 * @public
 */
export class AsfFileBuilder {
  /** The header that the file starts with. It is marked live so that a truncated file still plays. */
  readonly header: AsfHeader;
  readonly #rebase: boolean;
  readonly #markerSpace: number;
  readonly #markers: MarkerEntry[] = [];
  readonly #keyFrames: KeyFrameIndex;
  readonly #clocks: ReadonlyMap<number, StreamClock>;
  #delta: number | undefined;
  #firstSendTime: number | undefined;
  #lastSendTime: number | undefined;
  #sendEnd = 0;

  /**
   * @param header of the packets, from a file or a live stream
   * @throws AsfError if no live header can be made from it
   */
  constructor(header: AsfHeader, options: AsfFileOptions = {}) {
    this.header = liveHeader(withSpace(header, options.markerSpace ?? 0));
    this.#markerSpace = options.markerSpace ?? 0;
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

  /**
   * Adds a marker at the newest packet.
   *
   * @returns false if the header has no room for it
   */
  mark(description: string): boolean {
    const sendTime = this.#sendEnd;
    const presentationTime = BigInt(sendTime + this.header.preroll) * HUNDRED_NS_PER_MS;
    const marker = { offset: BigInt(this.packetCount), presentationTime, sendTime, flags: 0, description };
    const left = this.#markerSpace - objectBytes(markerObject([...this.#markers, marker])).length;
    // What is left becomes a Padding object again.
    if (left < OBJECT_HEAD_SIZE) return false;
    this.#markers.push(marker);
    return true;
  }

  /** The header to write while the file grows. */
  start(): Buffer {
    return this.header.bytes;
  }

  /**
   * Returns the packet as it goes into the file: at full size, its times counted from the start of the file. Empty for
   * a parity packet, which has no place in a file. The same Buffer if nothing had to change.
   * @throws AsfError if it is longer than the packet size; nothing is counted then
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
   * Returns what to append after the last packet, and the final header. The trailer has a Simple Index for each visible
   * video stream with key frames, in order of stream numbers. The header is as long as that of {@link start}.
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
    const marked = withMarkers(seekableObjects(header.objects, indexed), this.#markers, this.#markerSpace);
    const objects = withFileProperties(marked, header.fileProperties, {
      fileSize: BigInt(header.bytes.length) - header.dataObject.size + dataSize + BigInt(trailer.length),
      dataPacketsCount: packetCount,
      playDuration: BigInt(playDuration) * HUNDRED_NS_PER_MS,
      sendDuration: BigInt(this.#sendEnd) * HUNDRED_NS_PER_MS,
      flags: isSeekable ? FILE_FLAG.seekable : 0,
    });
    return { trailer, header: buildHeader(objects, { fileId: header.fileId, size: dataSize, packetCount }).bytes };
  }

  /** Visible video streams, in order of their numbers. */
  #indexedStreams(): number[] {
    const video = this.header.streams.filter((stream) => stream.type === 'video' && !stream.hidden);
    return video.map(({ number }) => number).sort((a, b) => a - b);
  }

  /**
   * The shift that moves the first packet to the start of the file: its Send Time to 0, but none of its presentation
   * times below the preroll, which would be before the start.
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
    // An impossible preroll must not move anything.
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

/** The reserved GUID of a Marker Object (asf.md 3.6). */
const MARKER_RESERVED = guidFromString('4CFEDB20-75F6-11CF-9C0F-00A0C90349CB');

function markerObject(markers: readonly MarkerEntry[]): HeaderObject {
  return { type: 'marker', reserved: MARKER_RESERVED, name: '', markers };
}

/** The header with a Padding object of a size at its end; the same header for 0. */
function withSpace(header: AsfHeader, size: number): AsfHeader {
  if (size <= OBJECT_HEAD_SIZE) return header;
  const padding = { type: 'padding' as const, data: Buffer.alloc(size - OBJECT_HEAD_SIZE) };
  return buildHeader([...header.objects, padding], header.dataObject);
}

/** The objects with markers in place of the padding that was kept for them, as long as before. */
function withMarkers(objects: HeaderObject[], markers: readonly MarkerEntry[], space: number): HeaderObject[] {
  if (markers.length === 0) return objects;
  const at = objects.findLastIndex(({ type }) => type === 'padding');
  const marker = markerObject(markers);
  const left = space - objectBytes(marker).length;
  const rest: HeaderObject = { type: 'padding', data: Buffer.alloc(left - OBJECT_HEAD_SIZE) };
  return [...objects.slice(0, at), marker, rest, ...objects.slice(at + 1)];
}

function shift(payload: Payload, delta: number): Payload {
  const { presentationTime } = payload;
  return presentationTime === -1 ? payload : { ...payload, presentationTime: (presentationTime + delta) >>> 0 };
}

/** The object with the Seekable flag set in the Extended Stream Properties of the streams that have an index. */
function withSeekableStreams(object: HeaderObject, indexed: readonly number[]): HeaderObject {
  if (object.type === 'headerExtension') {
    return { ...object, objects: object.objects.map((each) => withSeekableStreams(each, indexed)) };
  }
  if (object.type !== 'extendedStreamProperties' || !indexed.includes(object.streamNumber)) return object;
  return { ...object, flags: (object.flags | STREAM_FLAG.seekable) >>> 0 };
}

/**
 * The same for all objects. Objects whose length would change are left as they are, so that the header keeps its size.
 */
function seekableObjects(objects: readonly HeaderObject[], indexed: readonly number[]): HeaderObject[] {
  // A signature covers what precedes it.
  if (objects.some((object) => object.type === 'digitalSignature')) return [...objects];
  return objects.map((object) => {
    const changed = withSeekableStreams(object, indexed);
    return objectBytes(changed).length === objectBytes(object).length ? changed : object;
  });
}
