import type { DataPacket } from '../asf/packet.js';

/** The fields of a packet that determine its time. */
export type TimedPacket = Pick<DataPacket, 'sendTime' | 'payloads'>;

/** A stream's presentation times may go back by less than this, as pictures are reordered. In ms. */
const REORDERING = 1000;
/** A longer step is accepted only if the next one confirms it: a damaged packet may contain anything. In ms. */
const LEAP = 10_000;
/** A source that restarts begins near 0; that is accepted at once. In ms, preroll included. */
const NEAR_START = 60_000;
/** Send times stand still if presentation times advance by more than this meanwhile. In ms. */
const STANDSTILL = 1000;

interface StreamTimes {
  latest: number;
  /** The time before an unconfirmed leap. */
  before: number | undefined;
  /** An unconfirmed time far back. */
  back: number | undefined;
}

/**
 * Detects where another run of a source begins, with times of its own: where the presentation times of a stream go back
 * (asf.md 10.6). Smaller send times without that are reordering: several muxers write blocks of audio and of video.
 */
export class RestartDetector {
  readonly #streams = new Map<number, StreamTimes>();
  #sendTime: number | undefined;

  /** @returns true if the packet begins another run; call for every packet, in order */
  begins(packet: TimedPacket): boolean {
    const restarts = this.#goesBack(packet);
    if (restarts) this.restart();
    this.#note(packet);
    return restarts;
  }

  /** The source itself says that another run begins with the next packet. */
  restart(): void {
    this.#streams.clear();
    this.#sendTime = undefined;
  }

  #goesBack({ sendTime, payloads }: TimedPacket): boolean {
    for (const { stream, presentationTime } of payloads) {
      const times = presentationTime < 0 ? undefined : this.#streams.get(stream);
      if (!times) continue;
      if (isBack(presentationTime, times) && isCertain(presentationTime, times)) return true;
    }
    // If no packet has a presentation time, only send times are left.
    const isTimeless = this.#streams.size === 0 && this.#sendTime !== undefined;
    return isTimeless && payloads.every(isUntimed) && difference(sendTime, this.#sendTime!) < -REORDERING;
  }

  #note({ sendTime, payloads }: TimedPacket): void {
    this.#sendTime = sendTime;
    for (const { stream, presentationTime } of payloads) {
      if (presentationTime < 0) continue;
      const times = this.#streams.get(stream);
      if (!times) {
        this.#streams.set(stream, { latest: presentationTime, before: undefined, back: undefined });
        continue;
      }
      const step = difference(presentationTime, times.latest);
      times.back = undefined;
      if (isBack(presentationTime, times)) {
        times.back = presentationTime;
      } else if (step > LEAP) {
        times.before = times.latest;
        times.latest = presentationTime;
      } else if (step > 0 || step < -REORDERING) {
        // A lower time continues from before the leap, which was damage.
        times.latest = presentationTime;
        times.before = undefined;
      }
    }
  }
}

/**
 * Assigns one time to each packet of a stream: when it is due after the first one, in ms, never earlier than the packet
 * before.
 *
 * The time is the send time, held at the highest so far, however far it goes back. If send times stand still or lag
 * while presentation times advance, it follows those. Another run continues where the last one ended.
 */
export class PacketClock {
  readonly #detector = new RestartDetector();
  #now = 0;
  // Of this run: when it began on this clock, its highest times, and the presentation time when the send time last
  // increased.
  #base = 0;
  #sent: Highest | undefined;
  #shown: Highest | undefined;
  #shownThen = 0;

  /** The time of the last packet. */
  get now(): number {
    return this.#now;
  }

  /** Returns the time of a packet; call once for every packet, in order. */
  of(packet: TimedPacket): number {
    if (this.#detector.begins(packet)) {
      this.#base = this.#now;
      this.#sent = undefined;
      this.#shown = undefined;
      this.#shownThen = 0;
    }
    this.#sent ??= new Highest(packet.sendTime);
    const before = this.#sent.value;
    const sent = this.#sent.take(packet.sendTime);
    const shown = this.#show(packet);
    if (sent > before) this.#shownThen = shown;
    const stood = sent + Math.max(shown - this.#shownThen - STANDSTILL, 0);
    this.#now = Math.max(this.#now, this.#base + Math.max(stood, shown - LEAP));
    return this.#now;
  }

  #show({ payloads }: TimedPacket): number {
    for (const { presentationTime } of payloads) {
      if (presentationTime < 0) continue;
      this.#shown ??= new Highest(presentationTime);
      this.#shown.take(presentationTime);
    }
    return this.#shown?.value ?? 0;
  }
}

/** Tracks the highest of times modulo 2^32, in ms since the first. */
class Highest {
  value = 0;
  #time: number;
  #leap: number | undefined;

  constructor(first: number) {
    this.#time = first;
  }

  take(time: number): number {
    const step = difference(time, this.#time);
    if (step > LEAP && !(this.#leap !== undefined && Math.abs(difference(time, this.#leap)) <= LEAP)) {
      this.#leap = time;
      return this.value;
    }
    // Times that are held say nothing about a leap.
    if (step > -LEAP) this.#leap = undefined;
    if (step > 0) {
      this.value += step;
      this.#time = time;
    }
    return this.value;
  }
}

function isUntimed({ presentationTime }: { readonly presentationTime: number }): boolean {
  return presentationTime < 0;
}

/** True if a stream's time is too far back for reordering, and not back where it was before a leap. */
function isBack(time: number, { latest, before }: StreamTimes): boolean {
  return difference(time, latest) < -REORDERING && !(before !== undefined && follows(time, before));
}

/** True if a time far back is not damage: it is near the start, or the one before agrees. */
function isCertain(time: number, { back }: StreamTimes): boolean {
  return time < NEAR_START || (back !== undefined && Math.abs(difference(time, back)) <= LEAP);
}

function follows(time: number, before: number): boolean {
  const step = difference(time, before);
  return step >= -REORDERING && step <= LEAP;
}

/** Returns the signed distance of two times modulo 2^32. */
function difference(a: number, b: number): number {
  return (a - b) | 0;
}
