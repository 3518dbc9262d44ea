import type { DataMessage } from '../messages/data.js';

/** What came of the Data packets of a session by UDP. */
export interface ReceptionCounts {
  /** Packets that arrived at the first attempt. */
  received: number;
  /** Packets that never arrived. */
  lost: number;
  /** The longest run of packets that did not arrive at the first attempt. */
  longestGap: number;
  /** Packets that arrived because they were asked for again. */
  recovered: number;
  /** Packets that were sent again, wanted or not. */
  resent: number;
  /** Requests to send packets again: one for each packet and attempt. */
  requests: number;
}

interface Missing {
  readonly since: number;
  /** When to ask for it, and how often it was asked for. */
  askAt: number;
  asked: number;
  /** When it was asked for first. */
  askedAt: number;
}

/** How long a packet may be out of order before it is asked for, in ms. */
const REORDER_TIME = 40;
/** Until a packet is asked for once more: twice what the last answers took, within these limits, in ms. */
const ASK_AGAIN = { first: 150, least: 60, most: 500 } as const;
/** How long packets are held back for a missing one, in ms. */
const PATIENCE = 2_500;
/** Packets asked for in one go. */
const MAX_ASKED = 128;
/** Missing packets that are remembered; the oldest are given up beyond that. */
const MAX_MISSING = 1_024;
/** Bytes of packets that wait for an earlier one. */
const MAX_HELD = 4 * 1024 * 1024;
/** Packets that are remembered to recognise those that come twice. */
const REMEMBERED = 2_048;
/** A first packet that is further from the expected number begins another count: its server does not start from 0. */
const FIRST_STEP = 64;

/**
 * Puts the Data packets of a session in order that arrive as datagrams, and says which to ask for again (MS-MMSP
 * 3.1.4.7). Holds packets back for at most {@link PATIENCE} and {@link MAX_HELD}. Times are in ms.
 *
 * A datagram has only the low 8 bits of its number (AFFlags). They are extended by LocationId, which grows with the
 * number, so that a packet that is sent again more than 256 packets later still finds its place.
 */
export class DatagramReception {
  readonly counts: ReceptionCounts = { received: 0, lost: 0, longestGap: 0, recovered: 0, resent: 0, requests: 0 };
  /** Packets that wait for an earlier one; undefined for one of an earlier start, which is not delivered. */
  readonly #held = new Map<number, DataMessage | undefined>();
  readonly #missing = new Map<number, Missing>();
  /** LocationIds of the last packets, by number. */
  readonly #known = new Map<number, number>();
  #heldBytes = 0;
  /** Number of the packet to deliver next. */
  #next = 0;
  /** The highest number that arrived, and its LocationId. */
  #highest = -1;
  #location = 0;
  /** 1 if LocationId grows, -1 in reverse. */
  #direction: 1 | -1 = 1;
  #begins = true;
  /** Number of the first packet that arrived after a start; those before it may be of the previous one. */
  #firstOfStart = 0;
  #arrivedAt = 0;
  /** How long an answer takes, in ms. */
  #answerTime: number = ASK_AGAIN.first / 2;

  /** True if packets are missing that may still come. */
  get isWaiting(): boolean {
    return this.#missing.size > 0;
  }

  /** When the last packet arrived. */
  get arrivedAt(): number {
    return this.#arrivedAt;
  }

  /** LocationId of the newest packet; undefined before the first one of a start. */
  get location(): number | undefined {
    return this.#begins ? undefined : this.#location;
  }

  /** The client has asked for a start: what is missing is given up, and the numbers go on (2.2.2). */
  begin(reverse: boolean, now: number): void {
    this.#countLost([...this.#missing.keys()].filter((number) => number < this.#highest).length);
    this.#held.clear();
    this.#missing.clear();
    this.#known.clear();
    this.#heldBytes = 0;
    this.#next = this.#highest + 1;
    // A packet that begins a start never has the AFFlags 255 (2.2.2).
    if ((this.#next & 0xff) === 0xff) this.#next++;
    this.#direction = reverse ? -1 : 1;
    this.#begins = true;
    this.#arrivedAt = now;
  }

  /** Takes a packet of the current start. @returns the packets that are now in order */
  packet(packet: DataMessage, now: number): DataMessage[] {
    this.#arrivedAt = now;
    const number = this.#begins ? this.#first(packet.flags) : this.#numberOf(packet);
    if (number === undefined) {
      this.counts.resent++;
      return [];
    }
    if (this.#begins) this.#firstOfStart = number;
    this.#begins = false;
    const missing = this.#missing.get(number);
    this.#missing.delete(number);
    if (missing && missing.asked > 0) {
      // With several requests, it is not known which was answered.
      if (missing.asked === 1) this.#answerTime = (3 * this.#answerTime + now - missing.askedAt) / 4;
      this.counts.recovered++;
      this.counts.resent++;
    } else this.counts.received++;
    if (number > this.#highest) this.#advance(number, packet.location, now);
    this.#known.set(number, packet.location);
    this.#known.delete(number - REMEMBERED);
    this.#held.set(number, packet);
    this.#heldBytes += packet.payload.length;
    return this.#inOrder(now);
  }

  /** Takes a packet of an earlier start, which may be one that seems to be missing before the current one. */
  stale({ flags }: DataMessage, now: number): DataMessage[] {
    if (this.#begins) return [];
    for (const number of this.#missing.keys()) {
      if ((number & 0xff) !== flags || number >= this.#firstOfStart) continue;
      this.#missing.delete(number);
      this.#held.set(number, undefined);
      break;
    }
    return this.#inOrder(now);
  }

  /** Gives up packets that have been missing for too long; to be called regularly. */
  tick(now: number): DataMessage[] {
    return this.#inOrder(now);
  }

  /** Returns the numbers of packets to ask for now, at most {@link MAX_ASKED}. */
  due(now: number): number[] {
    const numbers: number[] = [];
    for (const [number, missing] of this.#missing) {
      if (now < missing.askAt) continue;
      if (missing.asked++ === 0) missing.askedAt = now;
      missing.askAt = now + Math.min(ASK_AGAIN.most, Math.max(ASK_AGAIN.least, 2 * this.#answerTime));
      numbers.push(number);
      if (numbers.length === MAX_ASKED) break;
    }
    this.counts.requests += numbers.length;
    return numbers;
  }

  /** Supposes that the last packets before the end are missing: nothing after them shows it. */
  expect(count: number, now: number): void {
    for (let number = this.#highest + 1; number <= this.#highest + count; number++) {
      this.#missing.set(number, { since: now, askAt: now, asked: 0, askedAt: 0 });
    }
  }

  /** Gives up all missing packets. @returns the rest */
  flush(): DataMessage[] {
    const rest: DataMessage[] = [];
    while (this.#skip()) this.#deliver(rest);
    this.#missing.clear();
    return rest;
  }

  #first(flags: number): number {
    const step = (flags - this.#next) & 0xff;
    const number = this.#next + step;
    if (step <= FIRST_STEP) this.#highest = this.#next - 1;
    else {
      this.#highest = number - 1;
      this.#next = number;
    }
    return number;
  }

  /** Returns the number of a packet; undefined if it was received before, or comes too late. */
  #numberOf({ flags, location }: DataMessage): number | undefined {
    const ahead = this.#highest + 1 + ((flags - this.#highest - 1) & 0xff);
    const step = ((location - this.#location) | 0) * this.#direction;
    // LocationId counts at least every packet that is sent; a server where it does not has no numbers.
    if (step > 0) return ahead - this.#highest > step ? this.#highest + 1 : ahead;
    for (let number = ahead - 256; number > this.#highest - REMEMBERED && number >= 0; number -= 256) {
      if (this.#known.get(number) === location) return undefined;
      if (this.#missing.has(number) && this.#fits(number, location)) return number;
    }
    // LocationId does not grow on this server, so that it says nothing.
    const isNear = ahead - this.#highest <= 127 && !this.#missing.has(ahead - 256);
    return step === 0 && isNear ? ahead : undefined;
  }

  /** True if LocationId lies between those of the packets before and after a missing one. */
  #fits(number: number, location: number): boolean {
    const isAfter = (other: number | undefined, sign: number) =>
      other === undefined || ((location - other) | 0) * this.#direction * sign > 0;
    let before = number - 1;
    while (before > number - 256 && this.#missing.has(before)) before--;
    let after = number + 1;
    while (after < number + 256 && this.#missing.has(after)) after++;
    return isAfter(this.#known.get(before), 1) && isAfter(this.#known.get(after), -1);
  }

  #advance(number: number, location: number, now: number): void {
    const gap = number - this.#highest - 1;
    for (let missing = this.#highest + 1; missing < number; missing++) {
      if (!this.#missing.has(missing)) {
        this.#missing.set(missing, { since: now, askAt: now + REORDER_TIME, asked: 0, askedAt: 0 });
      }
    }
    this.counts.longestGap = Math.max(this.counts.longestGap, gap);
    this.#highest = number;
    this.#location = location;
  }

  #inOrder(now: number): DataMessage[] {
    const ready: DataMessage[] = [];
    for (;;) {
      this.#deliver(ready);
      const missing = this.#missing.get(this.#next);
      const isTooMuch = this.#heldBytes > MAX_HELD || this.#missing.size > MAX_MISSING;
      if (!missing || (now - missing.since < PATIENCE && !isTooMuch) || !this.#skip()) break;
    }
    // Those that were supposed at the end.
    if (this.#held.size === 0) {
      for (const [number, { since }] of this.#missing) if (now - since >= PATIENCE) this.#missing.delete(number);
    }
    return ready;
  }

  #deliver(into: DataMessage[]): void {
    for (; this.#held.has(this.#next); this.#next++) {
      const held = this.#held.get(this.#next);
      this.#held.delete(this.#next);
      if (!held) continue;
      this.#heldBytes -= held.payload.length;
      into.push(held);
    }
  }

  /** Gives up the packets before the next one that is there. @returns false if no packet is there */
  #skip(): boolean {
    if (this.#held.size === 0) return false;
    let lost = 0;
    for (; !this.#held.has(this.#next); this.#next++) {
      this.#missing.delete(this.#next);
      lost++;
    }
    this.#countLost(lost);
    return true;
  }

  #countLost(packets: number): void {
    this.counts.lost += packets;
  }
}
