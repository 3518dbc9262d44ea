import type { PlayerOutput, WireBatch } from './wire.js';

/** Called when the operating system has taken a datagram, or failed to. @public */
export type SendDone = (error: Error | null, bytes: number) => void;

/** The part of a `dgram.Socket` that sends datagrams. @public */
export interface DatagramSender {
  send(bytes: Buffer, offset: number, length: number, port: number, address: string, done: SendDone): void;
}

/** A clock and its timer, injected so that tests need not wait. @public */
export interface TickClock {
  /** Monotonic, in ms. */
  now(): number;
  /** Calls `tick` every `milliseconds`. @returns a function that stops it */
  every(milliseconds: number, tick: () => void): () => void;
}

/** @public */
export interface DatagramOutputOptions {
  readonly sender: DatagramSender;
  /** The destination of all datagrams: the address that the player's connection comes from. */
  readonly address: string;
  readonly port: number;
  readonly pacer: DatagramPacer;
  /** The highest rate in bits per second; default: the pacer's limit. */
  readonly rate?: number;
  /** Called when nothing can be sent to the player any more: nobody listens on its port, or it was too slow. */
  readonly onLost?: () => void;
  /** Called once, when units were dropped because they do not fit a datagram of the path. */
  readonly onTooLarge?: () => void;
}

/**
 * Interval of the timer in ms, and the bytes that a player may get in one turn: more would overflow the buffer of a
 * receiver.
 */
const TICK = 4;
const TICK_BYTES = 8_000;
/**
 * The rate of a burst in bits per second, unless the player was granted another one: what Windows Media Services grants.
 * A receiver with a buffer of 64 KiB, of which the system's overhead takes a third, may be late by nearly 100 ms.
 */
const BURST_RATE = 3_500_000;
/** Content may need more than that: the queue is never longer than what leaves within this time, in ms. */
const DRAIN_TIME = 300;
/** The same for a player that was granted a rate, which is kept as long as the content allows. */
const GRANTED_DRAIN_TIME = 2_000;
/** Bytes that may wait for their turn; anything beyond is dropped. */
const MAX_QUEUE = 32 * 1024 * 1024;
/** Bytes of units that may wait to be resent; further requests are ignored. */
const MAX_REPEATS = 256 * 1024;
/** Refused datagrams in a row that mean that nobody listens: a player's port may be closed for a moment. */
const MAX_REFUSALS = 20;
/** Turns that a late timer may make up for. */
const CATCH_UP_TICKS = 4;

const systemTicks: TickClock = {
  now: () => performance.now(),
  every: (milliseconds, tick) => {
    const timer = setInterval(tick, milliseconds);
    return () => clearInterval(timer);
  },
};

/** The one timer of all players that get datagrams; it runs while something is waiting. @public */
export class DatagramPacer {
  readonly #clock: TickClock;
  readonly #waiting = new Set<DatagramOutput>();
  #stop: (() => void) | undefined;

  constructor(clock: TickClock = systemTicks) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  /** Gives an output its turns until nothing is waiting. */
  add(output: DatagramOutput): void {
    this.#waiting.add(output);
    this.#stop ??= this.#clock.every(TICK, () => this.#tick());
  }

  remove(output: DatagramOutput): void {
    this.#waiting.delete(output);
    if (this.#waiting.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  #tick(): void {
    for (const output of this.#waiting) output.turn();
  }
}

/** A batch that is being sent. */
interface Queued {
  readonly batch: WireBatch;
  readonly done: (() => void) | undefined;
  /** The next unit. */
  next: number;
  /** Units that the operating system is taking. */
  flying: number;
}

/**
 * Sends datagrams to a player, one for each unit: at most 8 kB every 4 ms, and no faster than the granted rate as long as
 * the content needs no more; in order, but resent units first. Copies nothing: the queue holds references to batches that players share.
 *
 * @public
 */
export class DatagramOutput implements PlayerOutput {
  readonly framing = 'datagrams';
  /** Units dropped because the queue was full or they were too large. */
  lostUnits = 0;
  /** Bytes passed to the operating system. */
  sentBytes = 0;
  readonly #options: DatagramOutputOptions;
  readonly #queue: Queued[] = [];
  readonly #repeats: Queued[] = [];
  #queued = 0;
  #repeated = 0;
  #burstRate = BURST_RATE;
  #drainTime = DRAIN_TIME;
  // Bytes that may be sent now; below 0 after a larger unit.
  #allowance = TICK_BYTES;
  #allowedAt: number;
  #refusals = 0;
  #reportedTooLarge = false;
  #closed = false;
  readonly #whenDrained: Array<() => void> = [];
  readonly #sent: SendDone = (error) => this.#judge(error);

  constructor(options: DatagramOutputOptions) {
    this.#options = options;
    this.#allowedAt = options.pacer.now();
  }

  /** Bytes in the queue. */
  get backlog(): number {
    return this.#queued;
  }

  put(batch: WireBatch, done?: () => void): void {
    const size = batch.bytes.length;
    if (this.#closed || this.#queued + size > MAX_QUEUE) {
      this.lostUnits += batch.ends.length;
      done?.();
      return;
    }
    this.#queue.push({ batch, done, next: 0, flying: 0 });
    this.#queued += size;
    this.turn();
  }

  /**
   * Sets the rate of bursts in bits per second that the player was granted; without one it is that of Windows Media
   * Services. A queue that would take seconds at this rate leaves faster.
   */
  limit(bitsPerSecond: number | undefined): void {
    this.#burstRate = bitsPerSecond ?? BURST_RATE;
    this.#drainTime = bitsPerSecond === undefined ? DRAIN_TIME : GRANTED_DRAIN_TIME;
  }

  /** Resends units before all others. @returns false if too many are waiting already */
  repeat(batch: WireBatch): boolean {
    if (this.#closed || this.#repeated + batch.bytes.length > MAX_REPEATS) return false;
    this.#repeats.push({ batch, done: undefined, next: 0, flying: 0 });
    this.#repeated += batch.bytes.length;
    this.turn();
    return true;
  }

  drained(then: () => void): void {
    if (this.#queued === 0) queueMicrotask(then);
    else this.#whenDrained.push(then);
  }

  destroy(): void {
    const { onLost } = this.#options;
    if (this.#closed) return;
    this.close();
    onLost?.();
  }

  /** Drops the queue. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.pacer.remove(this);
    const waiting = [...this.#queue];
    this.#queue.length = 0;
    this.#repeats.length = 0;
    this.#queued = 0;
    this.#whenDrained.length = 0;
    for (const queued of waiting) {
      queued.next = queued.batch.ends.length;
      if (queued.flying === 0) queued.done?.();
    }
  }

  /** Sends what is due; called by the pacer. */
  turn(): void {
    this.#allow();
    while (this.#allowance > 0 && !this.#closed) {
      const again = this.#repeats.length > 0;
      const queued = again ? this.#repeats[0] : this.#queue[0];
      if (!queued) break;
      const size = this.#send(queued);
      if (again) this.#repeated -= size;
      else this.#queued -= size;
      if (queued.next < queued.batch.ends.length) continue;
      (again ? this.#repeats : this.#queue).shift();
    }
    if (this.#closed) return;
    const { pacer } = this.#options;
    if (this.#queue.length > 0 || this.#repeats.length > 0) pacer.add(this);
    else {
      pacer.remove(this);
      for (const then of this.#whenDrained.splice(0)) then();
    }
  }

  #allow(): void {
    const { pacer, rate = Number.POSITIVE_INFINITY } = this.#options;
    const now = pacer.now();
    const elapsed = Math.max(now - this.#allowedAt, 0);
    this.#allowedAt = now;
    const wanted = Math.max(this.#burstRate / 8 / 1000, this.#queued / this.#drainTime);
    const perMillisecond = Math.min(TICK_BYTES / TICK, rate / 8 / 1000, wanted);
    // A late timer may catch up a little, but never with a burst.
    const most = Math.min(TICK_BYTES, perMillisecond * TICK * CATCH_UP_TICKS);
    this.#allowance = Math.min(this.#allowance + elapsed * perMillisecond, most);
  }

  /** Sends one unit. @returns its size in bytes */
  #send(queued: Queued): number {
    const { batch, next } = queued;
    const from = next === 0 ? 0 : batch.ends[next - 1]!;
    const size = batch.ends[next]! - from;
    queued.next++;
    this.#allowance -= size;
    this.sentBytes += size;
    const { sender, port, address } = this.#options;
    const sent = queued.done ? this.#lands(queued) : this.#sent;
    try {
      sender.send(batch.bytes, from, size, port, address, sent);
    } catch (error) {
      sent(error as Error, 0);
    }
    return size;
  }

  /** The bytes may change once all units are sent. */
  #lands(queued: Queued): SendDone {
    queued.flying++;
    return (error) => {
      queued.flying--;
      if (queued.flying === 0 && queued.next === queued.batch.ends.length) queued.done?.();
      this.#judge(error);
    };
  }

  // Datagrams may be lost: a network that is down for a moment is no reason to stop.
  #judge(error: NodeJS.ErrnoException | null): void {
    if (this.#closed) return;
    if (!error) {
      this.#refusals = 0;
      return;
    }
    this.lostUnits++;
    if (error.code === 'EMSGSIZE' && !this.#reportedTooLarge) {
      this.#reportedTooLarge = true;
      this.#options.onTooLarge?.();
    }
    if (error.code === 'ERR_SOCKET_DGRAM_NOT_RUNNING') this.destroy();
    else if (error.code === 'ECONNREFUSED' && ++this.#refusals >= MAX_REFUSALS) this.destroy();
  }
}
