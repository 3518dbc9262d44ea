import { type DataPacket, type Payload, parsePacket } from '../asf/packet.js';
import { rebasePacket } from '../asf/rebase.js';
import { RestartDetector } from './packet-clock.js';

/** @public */
export interface TimelineOptions {
  /**
   * True to treat presentation times of a stream that go back as a restart of the source (asf.md 10.6), like {@link
   * RestartDetector}. Default false: only `restart` is one.
   */
  readonly detectsRestarts?: boolean;
}

/** The state of a stream, in times and numbers of the timeline, not of the source. */
interface StreamState {
  /** The latest presentation time, ms modulo 2^32. */
  presentationTime: number;
  /** The duration of an object in ms, estimated from the distance of the last two. */
  objectDuration: number;
  mediaObjectNumber: number;
  /** Added to the source's media object numbers. */
  numberDelta: number;
  /** The run that `numberDelta` belongs to. */
  run: number;
  /** An unconfirmed presentation time far ahead. */
  leap: number | undefined;
}

/** A longer step forward is accepted only if the next packet confirms it; a damaged one may contain anything. In ms. */
const FORWARD_JUMP = 10_000;

/**
 * Joins runs of packets of one layout, each with times and numbers of its own (the iterations of a loop, an encoder
 * that came back), to one run (asf.md 10.6): presentation times continue where the last object ended, send times never
 * go back, and media object numbers continue, so that half an object of one run never meets a fragment of the next.
 * Times are in ms modulo 2^32. Packets of the first run pass unchanged.
 *
 * @public
 */
export class Timeline {
  readonly #streams = new Map<number, StreamState>();
  #run = 0;
  #delta = 0;
  #restarting = false;
  /** Times of the timeline; undefined before the first packet. */
  #sendTime: number | undefined;
  readonly #detector: RestartDetector | undefined;

  constructor(options: TimelineOptions = {}) {
    this.#detector = options.detectsRestarts ? new RestartDetector() : undefined;
  }

  /** True if packets are currently changed, because a later run is not where its source puts it. */
  get shifted(): boolean {
    return this.#delta !== 0;
  }

  /** When the last object of all streams ends, in ms modulo 2^32; undefined before the first with a time. */
  get end(): number | undefined {
    let end: number | undefined;
    for (const { presentationTime, objectDuration } of this.#streams.values()) {
      const streamEnd = (presentationTime + objectDuration) >>> 0;
      if (end === undefined || difference(streamEnd, end) > 0) end = streamEnd;
    }
    return end;
  }

  /** The next packet begins a new run. Before the first packet this has no effect. */
  restart(): void {
    this.#restarting = this.#sendTime !== undefined;
  }

  /**
   * Returns the packet in its place on the timeline: the same object if nothing changes, else a copy. Never throws for
   * a packet from {@link parsePacket}.
   */
  packet(packet: DataPacket): DataPacket {
    // XORed data cannot be shifted; a receiver can use it only in the first run.
    if (packet.parity) return packet;
    if (this.#restarting) this.#detector?.restart();
    if (this.#detector?.begins(packet)) this.restart();
    if (this.#restarting) this.#splice(packet);
    const sendTime = this.#placeSendTime(packet.sendTime);
    const numbers = this.#numberDeltas(packet.payloads, 2 ** (8 * mediaObjectNumberSize(packet)));
    const placed = this.#rebase(packet, sendTime, numbers);
    this.#note(placed);
    return placed;
  }

  /** Finds the shift that moves the first object of a new run to where the last one of the old run ends. */
  #splice(packet: DataPacket): void {
    this.#restarting = false;
    this.#run++;
    const { end } = this;
    const first = firstPresentationTime(packet.payloads);
    if (end !== undefined && first !== undefined) this.#delta = difference(end, first);
    else this.#delta = difference(this.#sendTime ?? 0, packet.sendTime);
  }

  #placeSendTime(sourceTime: number): number {
    const time = (sourceTime + this.#delta) >>> 0;
    if (this.#sendTime === undefined || this.#run === 0) return time;
    // The first packets of the new run may be due before the last ones of the old run, and wait for them. A larger step
    // back is no such overlap.
    const step = difference(time, this.#sendTime);
    return step < 0 && step >= -FORWARD_JUMP ? this.#sendTime : time;
  }

  #numberDeltas(payloads: readonly Payload[], modulus: number): Map<number, number> | undefined {
    if (this.#run === 0) return undefined;
    const deltas = new Map<number, number>();
    for (const payload of payloads) {
      const state = this.#streams.get(payload.stream);
      if (state === undefined) continue;
      if (state.run !== this.#run) {
        state.run = this.#run;
        state.numberDelta = (state.mediaObjectNumber + 1 - payload.mediaObjectNumber) % modulus;
      }
      if (state.numberDelta !== 0) deltas.set(payload.stream, state.numberDelta);
    }
    return deltas;
  }

  #rebase(packet: DataPacket, sendTime: number, numbers: Map<number, number> | undefined): DataPacket {
    if (this.#delta === 0 && sendTime === packet.sendTime && (numbers === undefined || numbers.size === 0))
      return packet;
    const bytes = rebasePacket(packet, this.#delta, numbers === undefined ? {} : { mediaObjectNumbers: numbers });
    bytes.writeUInt32LE(sendTime, packet.sendTimeStart);
    return parsePacket(bytes);
  }

  #note(packet: DataPacket): void {
    this.#sendTime = packet.sendTime;
    for (const payload of packet.payloads) {
      const state = this.#stateOf(payload);
      state.mediaObjectNumber = payload.mediaObjectNumber;
      if (payload.presentationTime < 0) continue;
      const last = lastSubObjectTime(packet.bytes, payload);
      const step = difference(last, state.presentationTime);
      if (step <= 0) continue;
      if (
        step > FORWARD_JUMP &&
        !(state.leap !== undefined && Math.abs(difference(last, state.leap)) <= FORWARD_JUMP)
      ) {
        state.leap = last;
        continue;
      }
      state.leap = undefined;
      state.presentationTime = last;
      if (payload.compressed && payload.presentationTimeDelta > 0) state.objectDuration = payload.presentationTimeDelta;
      else if (step <= FORWARD_JUMP) state.objectDuration = step;
    }
  }

  #stateOf(payload: Payload): StreamState {
    let state = this.#streams.get(payload.stream);
    if (state === undefined) {
      // One millisecond separates a run of one object from the next run.
      state = {
        presentationTime: Math.max(payload.presentationTime, 0),
        objectDuration: Math.max(payload.presentationTimeDelta, 1),
        mediaObjectNumber: payload.mediaObjectNumber,
        numberDelta: 0,
        run: this.#run,
        leap: undefined,
      };
      this.#streams.set(payload.stream, state);
    }
    return state;
  }
}

/** Returns the signed distance of two times modulo 2^32. */
function difference(a: number, b: number): number {
  return (a - b) | 0;
}

function firstPresentationTime(payloads: readonly Payload[]): number | undefined {
  let first: number | undefined;
  for (const { presentationTime } of payloads) {
    if (presentationTime < 0) continue;
    if (first === undefined || difference(presentationTime, first) < 0) first = presentationTime;
  }
  return first;
}

/** A compressed payload holds several objects, each after a BYTE with its length, at equal distances in time. */
function lastSubObjectTime(bytes: Buffer, payload: Payload): number {
  if (!payload.compressed) return payload.presentationTime;
  const end = payload.dataStart + payload.dataLength;
  let count = 0;
  for (let at = payload.dataStart; at < end; at += 1 + bytes[at]!) count++;
  return (payload.presentationTime + Math.max(count - 1, 0) * payload.presentationTimeDelta) >>> 0;
}

/** Bytes of the Media Object Number field: bits 4 and 5 of the property flags (asf.md 7.2). */
function mediaObjectNumberSize(packet: DataPacket): number {
  return [0, 1, 2, 4][(packet.propertyFlags >> 4) & 3]!;
}
