import type { DataPacket } from '../asf/packet.js';

/** What is read of a packet to tell its time. */
export type TimedPacket = Pick<DataPacket, 'sendTime' | 'payloads'>;

/** A stream's presentation times may go back by less, as pictures are reordered. Milliseconds. */
const REORDERING = 1000;
/** A longer step is believed only when the next one confirms it: a damaged packet may say anything. Milliseconds. */
const LEAP = 10_000;
/** A source that begins again begins near 0; that is believed at once. Milliseconds, preroll included. */
const NEAR_START = 60_000;
/** Send times stand still when presentation times go on for longer than this meanwhile. Milliseconds. */
const STANDSTILL = 1000;

interface StreamTimes {
  latest: number;
  /** The time before a leap that nothing has confirmed yet. */
  before: number | undefined;
  /** A time far back that nothing has confirmed yet. */
  back: number | undefined;
}

/**
 * Tells where another run of a source begins, with times of its own: where the presentation times of a stream go back (asf.md 10.6).
 * Smaller send times without that are reordering: several muxers write blocks of audio and of video.
 */
export class RestartDetector {
  readonly #streams = new Map<number, StreamTimes>();
  #sendTime: number | undefined;

  /** @returns true if the packet begins another run; to be called for every packet, in order */
  begins(packet: TimedPacket): boolean {
    const restarts = this.#goesBack(packet);
    if (restarts) this.restart();
    this.#note(packet);
    return restarts;
  }

  /** Another run begins with the next packet, as the source itself says. */
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
    // Where no packet says when anything is presented, send times are all there is.
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
        // If it is less, it follows what was before the leap, which was damage.
        times.latest = presentationTime;
        times.before = undefined;
      }
    }
  }
}

/**
 * One time for each packet of a stream: how long after the first one it is due, ms, never less than for the packet before.
 *
 * It is the send time, held at the highest that was seen, however far it goes back. Where send times stand still, or fall behind, while
 * presentation times go on, it follows those. Another run goes on where the last one was.
 */
export class PacketClock {
  readonly #detector = new RestartDetector();
  #now = 0;
  // Of this run: when it began on this clock, its highest times, and the presentation time when the send time last grew.
  #base = 0;
  #sent: Highest | undefined;
  #shown: Highest | undefined;
  #shownThen = 0;

  /** The time of the last packet. */
  get now(): number {
    return this.#now;
  }

  /** Returns the time of a packet; to be called once for every packet, in order. */
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

/** The highest of times modulo 2^32, in ms since the first. */
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
    // Times that are held say nothing of a leap.
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

/** True if a stream's time is too far back to be reordering, and not back where it was before a leap. */
function isBack(time: number, { latest, before }: StreamTimes): boolean {
  return difference(time, latest) < -REORDERING && !(before !== undefined && follows(time, before));
}

/** True if a time far back is no damage: it is near the start, or the one before says the same. */
function isCertain(time: number, { back }: StreamTimes): boolean {
  return time < NEAR_START || (back !== undefined && Math.abs(difference(time, back)) <= LEAP);
}

function follows(time: number, before: number): boolean {
  const step = difference(time, before);
  return step >= -REORDERING && step <= LEAP;
}

/** Signed distance of two times modulo 2^32. */
function difference(a: number, b: number): number {
  return (a - b) | 0;
}
