import type { PlayerOutput, WireBatch } from './wire.js';

/** The operating system has taken a datagram, or not. */
type SendDone = (error: Error | null, bytes: number) => void;

/** What sends datagrams; a `dgram.Socket` is one. */
export interface DatagramSender {
  send(bytes: Buffer, offset: number, length: number, port: number, address: string, done: SendDone): void;
}

/** A clock and its timer, given from outside so that tests need not wait. */
export interface TickClock {
  /** Milliseconds that only go forward. */
  now(): number;
  /** Calls `tick` every `milliseconds`. @returns stops it */
  every(milliseconds: number, tick: () => void): () => void;
}

export interface DatagramOutputOptions {
  readonly sender: DatagramSender;
  /** Where all datagrams go: the address that the player's connection comes from. */
  readonly address: string;
  readonly port: number;
  readonly pacer: DatagramPacer;
  /** Most bits a second; default as many as the pacer lets through. */
  readonly rate?: number;
  /** The player can be sent nothing any more: nobody listens on its port, or it was too slow. */
  readonly onLost?: () => void;
  /** Units that do not fit a datagram of the path were left out; called once. */
  readonly onTooLarge?: () => void;
}

/** Milliseconds between two turns of the timer, and what a player may get in one: more would overflow the buffer of a receiver. */
const TICK = 4;
const TICK_BYTES = 8_000;
/** Bytes that wait for their turn; what comes on top is left out. */
const MAX_QUEUE = 32 * 1024 * 1024;
/** Bytes of units that wait to be sent again; requests for more are not answered. */
const MAX_REPEATS = 256 * 1024;
/** Nobody listens when so many datagrams in a row were refused: a player's port may be closed for a moment. */
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

/** The one timer of all players that get datagrams; it runs while something waits. */
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

  /** Gives an output its turns until it has nothing left. */
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

/** A batch on its way. */
interface Queued {
  readonly batch: WireBatch;
  readonly done: (() => void) | undefined;
  /** The unit that is next. */
  next: number;
  /** Units that the operating system is taking. */
  flying: number;
}

/**
 * A player that gets datagrams, one a unit: at most 8 kB every 4 ms and at most the rate that it was granted, in the order in which they
 * were put, units that are sent again first. Nothing is copied: what waits are references to batches that players share.
 */
export class DatagramOutput implements PlayerOutput {
  readonly framing = 'datagrams';
  /** Units that were left out, because too much waited or they were too large. */
  lostUnits = 0;
  /** Bytes that were given to the operating system. */
  sentBytes = 0;
  readonly #options: DatagramOutputOptions;
  readonly #queue: Queued[] = [];
  readonly #repeats: Queued[] = [];
  #queued = 0;
  #repeated = 0;
  // Bytes that may be sent now; below 0 after a unit that was larger.
  #allowance = TICK_BYTES;
  #allowedAt: number;
  #refusals = 0;
  #toldTooLarge = false;
  #closed = false;
  readonly #whenDrained: Array<() => void> = [];
  readonly #sent: SendDone = (error) => this.#judge(error);

  constructor(options: DatagramOutputOptions) {
    this.#options = options;
    this.#allowedAt = options.pacer.now();
  }

  /** Bytes that wait for their turn. */
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

  /** Sends units again, before all others. @returns false when too many wait already */
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

  /** Forgets what waits. */
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

  /** For the pacer: sends what is due. */
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
    const perMillisecond = Math.min(TICK_BYTES / TICK, rate / 8 / 1000);
    // A timer that is late may catch up a little, never with a burst.
    const most = Math.min(TICK_BYTES, perMillisecond * TICK * CATCH_UP_TICKS);
    this.#allowance = Math.min(this.#allowance + elapsed * perMillisecond, most);
  }

  /** Sends one unit. @returns its bytes */
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

  /** The bytes may change once all units are out. */
  #lands(queued: Queued): SendDone {
    queued.flying++;
    return (error) => {
      queued.flying--;
      if (queued.flying === 0 && queued.next === queued.batch.ends.length) queued.done?.();
      this.#judge(error);
    };
  }

  // Datagrams may be lost: a network that is away for a moment is no reason to end.
  #judge(error: NodeJS.ErrnoException | null): void {
    if (this.#closed) return;
    if (!error) {
      this.#refusals = 0;
      return;
    }
    this.lostUnits++;
    if (error.code === 'EMSGSIZE' && !this.#toldTooLarge) {
      this.#toldTooLarge = true;
      this.#options.onTooLarge?.();
    }
    if (error.code === 'ERR_SOCKET_DGRAM_NOT_RUNNING') this.destroy();
    else if (error.code === 'ECONNREFUSED' && ++this.#refusals >= MAX_REFUSALS) this.destroy();
  }
}
