import { describeStreams, type StreamDescription } from '../asf/describe.js';
import type { DataPacket, Payload } from '../asf/packet.js';
import type { AsfEvent } from './events.js';
import { MediaTime } from './media-time.js';

/** The figures of one stream. @public */
export interface StreamFigures {
  readonly number: number;
  readonly type: StreamDescription['type'];
  readonly codec: string;
  /** Bits per second that the header gives, with the overhead of packets; 0 if unknown. */
  readonly expectedBitrate: number;
  /** Bits per second over the whole time, with the overhead of packets. */
  readonly meanBitrate: number;
  /** Media objects: frames of a picture, blocks of sound, script commands. */
  readonly objects: number;
  /** Of these, those that are marked as key frames. */
  readonly keyFrames: number;
  /** Objects that were dropped on the way to the server. */
  readonly dropped: number;
  /** Objects that the source left out, by their numbers. */
  readonly missing: number;
}

interface Counted {
  readonly about: StreamDescription;
  bytes: number;
  objects: number;
  keyFrames: number;
  dropped: number;
  missing: number;
  /** The number of the last object; undefined at the beginning. */
  last: number | undefined;
}

/** More objects in a row are not missing: their numbers begin again. */
const LARGEST_GAP = 100;
/** The most streams that are told apart, under all headers. */
const MOST_STREAMS = 256;

/** Counts what each stream of a broadcast carries. Headers with the same streams count as one. @public */
export class StreamStatistics {
  readonly #media = new MediaTime();
  readonly #all = new Map<string, Counted>();
  #current = new Map<number, Counted>();

  take(event: AsfEvent): void {
    this.#media.count(event);
    if (event.type === 'header') this.#begin(describeStreams(event.header));
    else if (event.type === 'packet') this.#packet(event.packet);
  }

  /** Counts the objects that begin in a packet as dropped. */
  drop({ payloads }: DataPacket): void {
    for (const { stream, offset } of payloads) {
      const counted = this.#current.get(stream);
      if (counted && offset <= 0) counted.dropped++;
    }
  }

  /** Seconds of media so far. */
  get seconds(): number {
    return this.#media.milliseconds / 1000;
  }

  /** The figures so far, in the order of the headers. */
  get streams(): readonly StreamFigures[] {
    const { seconds } = this;
    return [...this.#all.values()].map(({ about, bytes, last: _, ...counts }) => ({
      ...{ number: about.number, type: about.type, codec: about.codec, expectedBitrate: about.bitrate },
      meanBitrate: seconds > 0 ? Math.round((bytes * 8) / seconds) : 0,
      ...counts,
    }));
  }

  #begin(streams: readonly StreamDescription[]): void {
    this.#current = new Map();
    for (const about of streams) {
      const { number, type, codec, width, height, samplesPerSecond, channels } = about;
      const key = JSON.stringify([number, type, codec, width, height, samplesPerSecond, channels]);
      const known = this.#all.get(key);
      const counted = known ?? { about, bytes: 0, objects: 0, keyFrames: 0, dropped: 0, missing: 0, last: undefined };
      counted.last = undefined;
      if (!known && this.#all.size >= MOST_STREAMS) continue;
      this.#all.set(key, counted);
      this.#current.set(number, counted);
    }
  }

  #packet(packet: DataPacket): void {
    if (packet.parity) return;
    const data = packet.payloads.reduce((sum, { dataLength }) => sum + dataLength, 0);
    const overhead = data > 0 ? packet.bytes.length / data : 0;
    // One byte wide in most packets.
    const modulus = 2 ** (8 * [0, 1, 2, 4][(packet.propertyFlags >> 4) & 3]!);
    for (const payload of packet.payloads) {
      const counted = this.#current.get(payload.stream);
      if (!counted) continue;
      counted.bytes += payload.dataLength * overhead;
      if (payload.compressed || payload.offset === 0) this.#object(packet, payload, counted, modulus);
    }
  }

  #object({ bytes }: DataPacket, payload: Payload, counted: Counted, modulus: number): void {
    const count = payload.compressed ? subObjects(bytes, payload) : 1;
    if (counted.last !== undefined && modulus > 1) {
      const step = (((payload.mediaObjectNumber - counted.last) % modulus) + modulus) % modulus;
      if (step > 1 && step <= Math.min(LARGEST_GAP, modulus / 2)) counted.missing += step - 1;
    }
    counted.last = payload.mediaObjectNumber + count - 1;
    counted.objects += count;
    if (payload.key) counted.keyFrames += count;
  }
}

/** Counts the objects of a compressed payload, each after a BYTE with its length. */
function subObjects(bytes: Buffer, { dataStart, dataLength }: Payload): number {
  let count = 0;
  for (let at = dataStart; at < dataStart + dataLength; at += 1 + bytes[at]!) count++;
  return count;
}
