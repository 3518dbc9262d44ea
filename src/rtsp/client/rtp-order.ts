/** How long to wait for what is missing, and how often to ask for it. */
export interface OrderOptions<T = unknown> {
  /** In ms after the first sign that a packet is missing; 0 over a connection, which loses nothing. */
  readonly window: number;
  /** The number of packets that may wait for missing ones, and of their bytes. */
  readonly maxWaiting: number;
  readonly maxBytes?: number | undefined;
  /**
   * Returns false if a packet is not of the same entry as the one before it. It is then held, since the notice of the
   * end of an entry travels another way and may be slower. Default: all are.
   */
  readonly follows?: ((packet: T, previous: T) => boolean) | undefined;
}

/** Counts of a sequence so far. */
export interface OrderCounts {
  /** Packets that never came. */
  readonly lost: number;
  /** The longest run of packets that were missing at one time, whether they came later or not. */
  readonly longestGap: number;
  /** Packets that came after they were asked for. */
  readonly resent: number;
  /** Packets that came after later ones, without being asked for. */
  readonly reordered: number;
  /** Packets that came again, or too late. */
  readonly dropped: number;
}

/** A packet in its order, or a number of packets that are lost in that place. */
export type Ordered<T> = { readonly packet: T } | { readonly lost: number };

interface Missing {
  readonly since: number;
  askedAt: number;
  asks: number;
}

/** The order of the network may differ for so long before a packet counts as missing, in ms. */
const REORDERING = 15;
/** The interval between requests for a packet, in ms: at first, and limits once a round trip is known. */
const FIRST_RETRY = 150;
const RETRY_LIMITS = { least: 40, most: 500 } as const;
/** How long to wait for the notice of an end that a packet shows, in ms. */
const NOTICE_WAIT = 1_000;
/** A jump of so many packets, and more, is another beginning and not a loss. */
const LARGEST_GAP = 8_192;
/** Packets that may be missing at one time; if there are more, nothing is waited for. */
const MAX_MISSING = 4_096;
/**
 * So many packets in a row before the expected one mean that the numbers began again: if the server named the first
 * one, packets of an earlier position may still be on their way.
 */
const MAX_STRAYS = { named: 512, guessed: 32 } as const;

/**
 * Packets of one SSRC, in the order of their 16-bit sequence numbers (MS-RTSP 3.1.5.12.2): drops duplicates, knows what
 * is missing, and skips that when its time is over. Without sockets and clocks; times are in ms of any monotonic clock.
 */
export class RtpOrder<T> {
  readonly #options: OrderOptions<T>;
  readonly #waiting = new Map<number, { readonly packet: T; readonly size: number }>();
  #waitingBytes = 0;
  readonly #missing = new Map<number, Missing>();
  // Numbers without wrap; #next is the one that is due, #end is one after the highest seen.
  #next: number | undefined;
  #end = 0;
  #limit: number | undefined;
  // When a packet showed that its entry is another one, before the server said so.
  #heldAt: number | undefined;
  #previous: T | undefined;
  #now = 0;
  // True if the server named the first number.
  #named = false;
  #strays = 0;
  #lastStray = 0;
  #roundTrip: number | undefined;
  #counts = { lost: 0, longestGap: 0, resent: 0, reordered: 0, dropped: 0 };

  constructor(options: OrderOptions<T>) {
    this.#options = options;
  }

  get counts(): OrderCounts {
    return this.#counts;
  }

  /** True if nothing is missing up to the limit, if there is one. */
  get complete(): boolean {
    return this.#limit === undefined || this.#next === undefined || this.#next >= this.#limit;
  }

  /** True if a packet is missing. */
  get hasMissing(): boolean {
    return this.#missing.size > 0;
  }

  /** True if a packet waits for another one, or for the notice of an end. */
  get isWaiting(): boolean {
    return this.hasMissing || this.#heldAt !== undefined;
  }

  /** Begins at a number that the server named, such as that of RTP-Info. @param sequence 16 bits */
  begin(sequence: number): void {
    this.#restart(sequence);
    this.#named = true;
  }

  /** Forgets the position: the next packet is the first. */
  forget(): void {
    this.#next = undefined;
    this.#waiting.clear();
    this.#waitingBytes = 0;
    this.#missing.clear();
    this.#limit = undefined;
    this.#heldAt = undefined;
    this.#previous = undefined;
  }

  /**
   * Takes a packet.
   *
   * @param sequence 16 bits
   * @param size bytes
   * @param rebuilt true if it was not received but worked out, and so is not one that was resent
   * @returns what can be delivered now, in order
   */
  push(sequence: number, packet: T, now: number, size = 0, rebuilt = false): Ordered<T>[] {
    this.#now = now;
    if (this.#next === undefined) {
      this.#next = sequence;
      this.#end = sequence;
    }
    const number = this.#extend(sequence);
    if (number < this.#next) return rebuilt ? [] : this.#stray(sequence, packet, now, size);
    this.#strays = 0;
    const gap = Math.max(number - this.#end, 0);
    if (gap >= LARGEST_GAP || (gap > 0 && this.#missing.size + gap > MAX_MISSING)) {
      const before = this.#skipAll();
      this.#restart(sequence);
      return [...before, ...this.push(sequence, packet, now, size, rebuilt)];
    }
    if (this.#waiting.has(number) || this.#isFull) {
      this.#counts.dropped++;
      return [];
    }
    this.#waiting.set(number, { packet, size });
    this.#waitingBytes += size;
    if (number >= this.#end) {
      for (let missed = this.#end; missed < number; missed++) this.#miss(missed, now);
      this.#counts.longestGap = Math.max(this.#counts.longestGap, number - this.#end);
      this.#end = number + 1;
    } else if (rebuilt) this.#missing.delete(number);
    else this.#arrived(number, now);
    return this.#options.window === 0 ? [...this.#deliver(), ...this.skipped(now)] : this.#deliver();
  }

  /** Everything before this number has been sent, and nothing from it on belongs to the same entry. @param sequence 16 bits */
  endAt(sequence: number, now: number): void {
    if (this.#next === undefined) return;
    const limit = this.#extend(sequence);
    if (Math.abs(limit - this.#end) > LARGEST_GAP) return;
    for (let number = this.#end; number < limit; number++) this.#miss(number, now);
    this.#end = Math.max(this.#end, limit);
    this.#limit = limit;
    this.#heldAt = undefined;
  }

  /** The next entry may be delivered. */
  continue(): Ordered<T>[] {
    this.#limit = undefined;
    this.#heldAt = undefined;
    this.#previous = undefined;
    return this.#deliver();
  }

  /** Gives up on what has been missing for too long. @returns what can be delivered now */
  skipped(now: number): Ordered<T>[] {
    this.#now = now;
    const isOverdue = this.#heldAt !== undefined && now - this.#heldAt >= NOTICE_WAIT;
    const ordered: Ordered<T>[] = isOverdue ? this.continue() : [];
    for (;;) {
      const first = this.#next === undefined ? undefined : this.#missing.get(this.#next);
      if (!first || this.#isAtLimit || (!this.#isFull && now - first.since < this.#options.window)) return ordered;
      ordered.push(this.#skip(), ...this.#deliver());
    }
  }

  /** Gives up on all that is missing before the limit. */
  flush(): Ordered<T>[] {
    const ordered: Ordered<T>[] = [];
    while (this.#next !== undefined && this.#missing.has(this.#next) && !this.#isAtLimit) {
      ordered.push(this.#skip(), ...this.#deliver());
    }
    return ordered;
  }

  /** Returns the numbers to ask for now, in order; each is asked for again until it comes. @param most at most so many */
  wanted(now: number, most: number): number[] {
    const numbers: number[] = [];
    for (const [number, missing] of this.#missing) {
      if (numbers.length >= most) break;
      const due = missing.asks === 0 ? missing.since + REORDERING : missing.askedAt + this.#retryAfter(missing.asks);
      if (now < due) continue;
      missing.asks++;
      missing.askedAt = now;
      numbers.push(number & 0xffff);
    }
    return numbers;
  }

  get #isFull(): boolean {
    const { maxWaiting, maxBytes = Number.POSITIVE_INFINITY } = this.#options;
    return this.#waiting.size >= maxWaiting || this.#waitingBytes > maxBytes;
  }

  get #isAtLimit(): boolean {
    return this.#limit !== undefined && this.#next! >= this.#limit;
  }

  #retryAfter(asks: number): number {
    const base = this.#roundTrip === undefined ? FIRST_RETRY : this.#roundTrip * 2 + REORDERING;
    return Math.min(Math.max(base, RETRY_LIMITS.least) * (1 + (asks - 1) / 2), RETRY_LIMITS.most);
  }

  #extend(sequence: number): number {
    return this.#next! + (((sequence - this.#next!) << 16) >> 16);
  }

  #miss(number: number, now: number): void {
    this.#missing.set(number, { since: now, askedAt: 0, asks: 0 });
  }

  #arrived(number: number, now: number): void {
    const missing = this.#missing.get(number);
    this.#missing.delete(number);
    if (!missing) return;
    if (missing.asks === 0) this.#counts.reordered++;
    else this.#counts.resent++;
    if (missing.asks !== 1) return;
    const sample = now - missing.askedAt;
    this.#roundTrip = this.#roundTrip === undefined ? sample : this.#roundTrip * 0.8 + sample * 0.2;
  }

  /** A packet before the one that is due: late, or the first ones of other numbers. */
  #stray(sequence: number, packet: T, now: number, size: number): Ordered<T>[] {
    this.#counts.dropped++;
    this.#strays = this.#strays > 0 && sequence === ((this.#lastStray + 1) & 0xffff) ? this.#strays + 1 : 1;
    this.#lastStray = sequence;
    if (this.#strays < MAX_STRAYS[this.#named ? 'named' : 'guessed']) return [];
    const before = this.#skipAll();
    this.#restart(sequence);
    return [...before, ...this.push(sequence, packet, now, size)];
  }

  #restart(sequence: number): void {
    this.forget();
    this.#next = sequence;
    this.#end = sequence;
    this.#named = false;
    this.#strays = 0;
  }

  #skipAll(): Ordered<T>[] {
    this.#limit = undefined;
    return this.flush();
  }

  #skip(): Ordered<T> {
    let lost = 0;
    while (this.#missing.delete(this.#next!) && !this.#isAtLimit) {
      this.#next!++;
      lost++;
    }
    this.#counts.lost += lost;
    return { lost };
  }

  #deliver(): Ordered<T>[] {
    const ordered: Ordered<T>[] = [];
    while (!this.#isAtLimit) {
      const waiting = this.#waiting.get(this.#next!);
      if (waiting === undefined) break;
      const { packet, size } = waiting;
      if (this.#isOfAnotherEntry(packet)) {
        this.#limit = this.#next;
        this.#heldAt = this.#now;
        break;
      }
      this.#previous = packet;
      this.#waiting.delete(this.#next!);
      this.#waitingBytes -= size;
      this.#next!++;
      ordered.push({ packet });
    }
    return ordered;
  }

  #isOfAnotherEntry(packet: T): boolean {
    const { follows } = this.#options;
    return follows !== undefined && this.#previous !== undefined && !follows(packet, this.#previous);
  }
}
