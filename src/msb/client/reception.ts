import { AsfError } from '../../asf/error.js';
import type { MsbPacket } from '../messages/packet.js';
import { MAX_SPAN, markPacket, type Protection, protectionOf, recoverPacket } from '../messages/parity.js';

/** @public */
export interface ReceptionOptions {
  /** Packets that may arrive ahead of a missing one before it counts as lost; default 48. */
  readonly window?: number | undefined;
  /** Longest wait for a packet that may be out of order, in ms; default 300. */
  readonly hold?: number | undefined;
  /** Longest wait for a packet whose span has no parity packet yet, in ms; default 3000. */
  readonly parityHold?: number | undefined;
}

/** Counts since the start. @public */
export interface ReceptionStats {
  /** Data packets received, each counted once. */
  packets: number;
  parityPackets: number;
  /** Packets rebuilt from parity. */
  recovered: number;
  /** Packets that arrived after a later one, but still in time. */
  reordered: number;
  /** Packets that were sent, never arrived and could not be rebuilt. */
  lost: number;
  /** The longest run of packets that never arrived, rebuilt or not. */
  longestGap: number;
  duplicates: number;
  /** Packets that arrived after they had been given up. */
  late: number;
}

/** A packet in sequence. */
export interface ReceivedPayload {
  readonly streamId: number;
  /** An ASF data packet, marked as belonging to no span. */
  readonly payload: Buffer;
  /** Arrived in order, arrived after a later packet, or rebuilt from a parity packet. */
  readonly how: 'received' | 'reordered' | 'rebuilt';
  /** Number of packets directly before it that were given up. */
  readonly missing: number;
}

interface Slot {
  readonly streamId: number;
  readonly payload: Buffer;
  readonly how: ReceivedPayload['how'];
  /** The cycle of its span; undefined if it is unprotected. */
  readonly cycle: number | undefined;
}

interface Span {
  readonly first: number;
  readonly last: number;
  readonly streamId: number;
  readonly cycle: number;
  readonly parity: Buffer;
}

const DEFAULTS = { window: 48, hold: 300, parityHold: 3_000 };
/** Number of recent packets kept, to rebuild others and to recognise duplicates. */
const HISTORY = 64;
/** A larger step of the ids means another sender, or one that was restarted. */
const LARGEST_STEP = 3_000;
/** Where the Error Correction Data ends. */
const PROTECTED_FROM = 3;

/**
 * Puts the MSB packets of a group in order: waits briefly for missing packets, rebuilds them from parity packets
 * ([MS-MSB] 3.2.5.3), and counts the rest as lost. Holds at most one window of packets. Times are in ms.
 */
export class MsbReception {
  readonly stats: ReceptionStats = {
    packets: 0,
    parityPackets: 0,
    recovered: 0,
    reordered: 0,
    lost: 0,
    longestGap: 0,
    duplicates: 0,
    late: 0,
  };
  readonly #options: typeof DEFAULTS;
  readonly #slots = new Map<number, Slot>();
  #spans: Span[] = [];
  /** The id to deliver next; undefined before the first packet. */
  #next: number | undefined;
  #highest = 0;
  /** The highest id received; undefined before the first packet. */
  #newest: number | undefined;
  /** Packets given up since the last delivery, and packets that never arrived since the last one that did. */
  #missing = 0;
  #run = 0;
  /** When `next` went missing while later packets were there. */
  #missingSince: number | undefined;
  /** A packet outside the sequence; if the next one follows it, the sender has restarted. */
  #stranger: MsbPacket | undefined;
  /** The id that ended the newest known span. */
  #lastSpanEnd: number | undefined;

  constructor(options: ReceptionOptions = {}) {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    this.#options = { ...DEFAULTS, ...Object.fromEntries(given) };
  }

  /** Takes the next MSB packet. @returns the packets that are now in order */
  packet(packet: MsbPacket, now: number): ReceivedPayload[] {
    const protection = protectionOf(packet.payload);
    if (protection?.parity) this.#parity(packet, protection);
    else if (!this.#data(packet, protection)) return this.#foreign(packet, now);
    return this.#ready(now);
  }

  /**
   * Gives up packets that have been missing for too long; call it regularly. @returns the packets that are now in order
   */
  tick(now: number): ReceivedPayload[] {
    return this.#ready(now);
  }

  /** Gives up all missing packets, at the end. @returns the rest */
  flush(): ReceivedPayload[] {
    const rest: ReceivedPayload[] = [];
    while (this.#skip(rest)) this.#deliver(rest);
    if (this.#next === undefined || this.#lastSpanEnd === undefined) return rest;
    // The parity packet covers packets that never arrived.
    const missing = ((this.#lastSpanEnd - this.#next) | 0) + 1;
    if (missing > 0) this.#countLost(missing);
    this.#missing = 0;
    return rest;
  }

  /** @returns false if its id cannot belong to this sequence */
  #data(packet: MsbPacket, protection: Protection | undefined): boolean {
    this.#next ??= packet.id;
    const distance = (packet.id - this.#next) | 0;
    const present = this.#slots.get(packet.id);
    if (present) {
      if (!sameContent(present.payload, packet.payload)) return false;
      this.stats.duplicates++;
      return true;
    }
    if (distance > LARGEST_STEP || distance < -HISTORY) return false;
    if (distance < 0) {
      this.stats.late++;
      return true;
    }
    this.#stranger = undefined;
    this.stats.packets++;
    const isLater = this.#newest === undefined || ((packet.id - this.#newest) | 0) > 0;
    if (isLater) this.#newest = packet.id;
    else this.stats.reordered++;
    const how = isLater ? 'received' : 'reordered';
    this.#put(packet.id, { streamId: packet.streamId, payload: packet.payload, how, cycle: protection?.cycle });
    const span = this.#spans.find(({ first, last }) => within(packet.id, first, last));
    if (span) this.#rebuild(span);
    return true;
  }

  /** Handles a packet outside the sequence: two in a row begin a new one. */
  #foreign(packet: MsbPacket, now: number): ReceivedPayload[] {
    const previous = this.#stranger;
    this.#stranger = packet;
    if (!previous || packet.id !== (previous.id + 1) >>> 0) return [];
    const rest = this.flush();
    this.#slots.clear();
    this.#spans = [];
    this.#lastSpanEnd = undefined;
    this.#missingSince = undefined;
    this.#next = undefined;
    this.#newest = undefined;
    this.#run = 0;
    return [...rest, ...this.packet(previous, now), ...this.packet(packet, now)];
  }

  #put(id: number, slot: Slot): void {
    if (this.#slots.size === 0 || ((id - this.#highest) | 0) > 0) this.#highest = id;
    this.#slots.set(id, slot);
  }

  #parity({ id, streamId, payload }: MsbPacket, { number, cycle }: Protection): void {
    if (this.#next === undefined) return;
    const distance = (id - this.#next) | 0;
    if (distance > LARGEST_STEP || distance < -HISTORY) return;
    this.stats.parityPackets++;
    const first = this.#firstOfSpan(id, number, cycle);
    if (this.#lastSpanEnd === undefined || ((id - this.#lastSpanEnd) | 0) > 0) this.#lastSpanEnd = id;
    // Everything up to the end of the span has been delivered or given up.
    if (first === undefined || distance < 0) return;
    if (this.#spans.some(({ last }) => last === id)) return;
    const span = { first, last: id, streamId, cycle, parity: payload };
    this.#spans.push(span);
    this.#rebuild(span);
  }

  /** Returns the id of the first packet in a parity packet's span; undefined if unknown. */
  #firstOfSpan(last: number, number: number, cycle: number): number | undefined {
    if (number > 1) return (last - number + 2) >>> 0;
    // A server may leave its packets unnumbered. The span starts after the previous one, or where the packets show it.
    const before = this.#lastSpanEnd;
    if (before !== undefined && within((before + 1) >>> 0, (last - MAX_SPAN + 1) >>> 0, last))
      return (before + 1) >>> 0;
    for (let id = last, count = 0; count < MAX_SPAN; count++, id = (id - 1) >>> 0) {
      const slot = this.#slots.get(id);
      if (!slot) return undefined;
      if (slot.cycle !== cycle) return (id + 1) >>> 0;
    }
    return (last - MAX_SPAN + 1) >>> 0;
  }

  /** Rebuilds the only missing packet of a span. */
  #rebuild(span: Span): void {
    const { first, last, streamId, cycle, parity } = span;
    let missing: number | undefined;
    const present: Buffer[] = [];
    for (let id = first; ; id = (id + 1) >>> 0) {
      const slot = this.#slots.get(id);
      if (slot) {
        if (slot.cycle !== cycle || slot.streamId !== streamId) {
          this.#forget(span);
          return;
        }
        present.push(slot.payload);
      } else if (missing === undefined) missing = id;
      else return;
      if (id === last) break;
    }
    this.#forget(span);
    if (missing === undefined || ((missing - this.#next!) | 0) < 0) return;
    try {
      const payload = recoverPacket(parity, present).bytes;
      this.#put(missing, { streamId, payload, how: 'rebuilt', cycle });
      this.stats.recovered++;
    } catch (error) {
      // It was not the parity packet of these packets, whatever its fields say.
      if (!(error instanceof AsfError)) throw error;
    }
  }

  #forget(span: Span): void {
    this.#spans = this.#spans.filter((each) => each !== span);
  }

  #ready(now: number): ReceivedPayload[] {
    const ready: ReceivedPayload[] = [];
    for (;;) {
      this.#deliver(ready);
      if (this.#next === undefined || !this.#pending) {
        this.#missingSince = undefined;
        return ready;
      }
      this.#missingSince ??= now;
      const lag = (this.#highest - this.#next) | 0;
      if (lag < this.#options.window && now - this.#missingSince < this.#patience) return ready;
      this.#skip(ready);
    }
  }

  get #pending(): boolean {
    return this.#slots.size > 0 && ((this.#highest - this.#next!) | 0) >= 0;
  }

  /** How long to wait for the missing packet: longer while a parity packet may still bring it back. */
  get #patience(): number {
    const isProtected = this.#slots.get(this.#highest)?.cycle !== undefined;
    const parityCame = this.#lastSpanEnd !== undefined && ((this.#lastSpanEnd - this.#next!) | 0) >= 0;
    return isProtected && !parityCame ? this.#options.parityHold : this.#options.hold;
  }

  /** Delivers the packets that are in order. */
  #deliver(into: ReceivedPayload[]): void {
    if (this.#next === undefined) return;
    for (let slot = this.#slots.get(this.#next); slot; slot = this.#slots.get(this.#next)) {
      const { streamId, payload, how, cycle } = slot;
      if (how === 'rebuilt') this.#countRun(1);
      else this.#run = 0;
      into.push({
        streamId,
        payload: cycle === undefined ? payload : markPacket(payload),
        how,
        missing: this.#missing,
      });
      this.#missing = 0;
      this.#slots.delete((this.#next - HISTORY) >>> 0);
      this.#next = (this.#next + 1) >>> 0;
      this.#missingSince = undefined;
    }
    if (this.#spans.length > 0) this.#spans = this.#spans.filter(({ last }) => ((last - this.#next!) | 0) >= 0);
  }

  /** Gives up the gap before the next packet received. @returns false if there is no such packet */
  #skip(into: ReceivedPayload[]): boolean {
    if (this.#next === undefined || !this.#pending) return false;
    let gap = 0;
    while (!this.#slots.has(this.#next)) {
      this.#slots.delete((this.#next - HISTORY) >>> 0);
      this.#next = (this.#next + 1) >>> 0;
      gap++;
    }
    this.#countLost(gap);
    this.#deliver(into);
    return true;
  }

  #countLost(packets: number): void {
    this.stats.lost += packets;
    this.#missing += packets;
    this.#countRun(packets);
  }

  #countRun(packets: number): void {
    this.#run += packets;
    this.stats.longestGap = Math.max(this.stats.longestGap, this.#run);
  }
}

function within(id: number, first: number, last: number): boolean {
  return (id - first) >>> 0 <= (last - first) >>> 0;
}

/** True if both are the same ASF packet; one of them may have been rebuilt. */
function sameContent(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && a.subarray(PROTECTED_FROM).equals(b.subarray(PROTECTED_FROM));
}
