import { AsfError } from '../../asf/error.js';
import type { AsfHeader } from '../../asf/header.js';
import { type DataPacket, startsKeyFrame } from '../../asf/packet.js';
import type { AsfEvent } from '../../media/events.js';

/** @public */
export interface PushBufferOptions {
  /** The maximum duration of the waiting packets in ms, by send times. */
  readonly duration: number;
  /** The maximum size of the waiting packets in bytes, including their overhead. */
  readonly bytes: number;
  /** True if waiting packets are never dropped; the writer then checks {@link PushBuffer.full}. Default: false. */
  readonly keepsWaiting?: boolean | undefined;
  /** Receives each waiting packet that is dropped. */
  readonly onDrop?: ((packet: DataPacket) => void) | undefined;
}

/** An event of a stream, as the buffer keeps it. */
export interface BufferedEvent {
  readonly event: AsfEvent;
  /** The header that the event belongs to, or is. */
  readonly header: AsfHeader;
  /** For a packet: true if a decoder can start there. */
  readonly cleanStart: boolean;
  /** For a sent packet: its number among the packets of its session, from 0. */
  index: number | undefined;
}

// The cost of an event, in bytes, in addition to the bytes of its packet.
const OVERHEAD = 400;

/**
 * Holds the packets that wait to be sent, and as many of the last sent ones, which may have to be sent again after a
 * break. Both parts are bounded in time and bytes. Beyond the bound, sent packets are forgotten. Waiting packets are
 * dropped and counted, from the oldest up to a key frame, so that the rest can be decoded.
 */
export class PushBuffer {
  readonly #options: PushBufferOptions;
  #events: BufferedEvent[] = [];
  // The start of the buffer in #events; earlier events have been forgotten.
  #head = 0;
  // The next event to send.
  #next = 0;
  #sentBytes = 0;
  #waitingBytes = 0;
  #header: AsfHeader | undefined;
  #videoStreams: ReadonlySet<number> = new Set();
  #waiting = 0;
  #dropped = 0;
  // The header of the last packet that was forgotten.
  #forgottenHeader: AsfHeader | undefined;

  constructor(options: PushBufferOptions) {
    this.#options = options;
  }

  /** The number of packets that have never been sent, or are to be sent again. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The number of packets that were dropped unsent, or that {@link resumeAt} missed. */
  get dropped(): number {
    return this.#dropped;
  }

  /** True if everything is sent. */
  get empty(): boolean {
    return this.#next === this.#events.length;
  }

  /** True if there is no room for more without dropping. */
  get full(): boolean {
    return this.#waiting > 0 && this.#isOver(this.#waitingBytes, this.#next, this.#events.length);
  }

  /** @throws AsfError for a packet without a header before it */
  add(event: AsfEvent): void {
    if (event.type === 'header') {
      this.#header = event.header;
      this.#videoStreams = new Set(
        event.header.streams.filter(({ type }) => type === 'video').map(({ number }) => number),
      );
    }
    const header = this.#header;
    if (!header) {
      if (event.type === 'packet') throw new AsfError('A data packet came before the header.');
      return;
    }
    this.#events.push({ event, header, cleanStart: this.#isCleanStart(event), index: undefined });
    this.#waitingBytes += costOf(event);
    if (event.type === 'packet') this.#waiting++;
    this.#trim();
  }

  /** Returns the next event to send; undefined if everything is sent. */
  peek(): BufferedEvent | undefined {
    return this.#events[this.#next];
  }

  /** Marks the next event as sent. @param index for a packet, its number in the session */
  sent(index: number): void {
    const buffered = this.#events[this.#next++]!;
    const cost = costOf(buffered.event);
    this.#sentBytes += cost;
    this.#waitingBytes -= cost;
    if (buffered.event.type === 'packet') {
      buffered.index = index;
      this.#waiting--;
    }
    while (this.#isOver(this.#sentBytes, this.#head, this.#next)) this.#forget();
    this.#compact();
  }

  /** Forgets the packets before that number of the session, which a response has acknowledged. */
  confirm(index: number): void {
    while (this.#head < this.#next) {
      const { event, index: own } = this.#events[this.#head]!;
      if (event.type === 'packet' && own !== undefined && own >= index) break;
      this.#forget();
    }
    this.#compact();
  }

  /**
   * Goes back to the packet with that number in the resumed session; the server has all packets before it.
   *
   * @param sent how many packets were sent in that session
   * @returns the number of packets that the server lacks and that are no longer here. They count as dropped, like those
   * that cannot be decoded without them.
   */
  resumeAt(index: number, sent: number): number {
    let at = this.#next;
    while (at > this.#head) {
      const { event, index: own } = this.#events[at - 1]!;
      if (event.type === 'packet' && own !== undefined && own < index) break;
      at--;
    }
    const first = this.#events.slice(at, this.#next).find(({ event }) => event.type === 'packet')?.index ?? sent;
    this.#back(at);
    const missing = Math.max(first - index, 0);
    if (missing > 0) {
      this.#dropped += missing;
      this.#dropToCleanStart(this.#next);
    }
    return missing;
  }

  /**
   * Goes back to where a decoder can start, at least that many milliseconds of the stream before the last sent packet,
   * as far as the buffer reaches. For a session that knows nothing of the previous one.
   */
  resumeBefore(milliseconds: number): void {
    let at = this.#head;
    let last: number | undefined;
    for (let index = this.#next - 1; index >= this.#head; index--) {
      const { event, cleanStart } = this.#events[index]!;
      if (event.type !== 'packet') continue;
      last ??= event.packet.sendTime;
      if (!cleanStart || ((last - event.packet.sendTime) | 0) < milliseconds) continue;
      at = index;
      break;
    }
    this.#back(at);
    for (const buffered of this.#events) buffered.index = undefined;
  }

  /** True if all packets from that number of the session on are here. */
  has(index: number): boolean {
    for (let at = this.#head; at < this.#next; at++) {
      const { event, index: own } = this.#events[at]!;
      if (event.type === 'packet') return own !== undefined && own <= index;
    }
    return false;
  }

  /** The header of the packet before the next event; undefined if there was no packet. */
  get previousHeader(): AsfHeader | undefined {
    for (let index = this.#next - 1; index >= this.#head; index--) {
      const { event, header } = this.#events[index]!;
      if (event.type === 'packet') return header;
    }
    return this.#forgottenHeader;
  }

  #isCleanStart(event: AsfEvent): boolean {
    if (event.type !== 'packet') return false;
    if (this.#videoStreams.size === 0) return true;
    return event.packet.payloads.some((payload) => startsKeyFrame(payload, this.#videoStreams));
  }

  /** Sets the place where sending continues. */
  #back(at: number): void {
    for (let index = at; index < this.#next; index++) {
      const { event } = this.#events[index]!;
      if (event.type === 'packet') this.#waiting++;
      this.#sentBytes -= costOf(event);
      this.#waitingBytes += costOf(event);
    }
    this.#next = at;
  }

  #isOver(bytes: number, from: number, to: number): boolean {
    return bytes > this.#options.bytes || this.#duration(from, to) > this.#options.duration;
  }

  /** Returns the ms between the first packet from there on and the last one; 0 if they have different headers. */
  #duration(from: number, to: number): number {
    const newest = this.#events[to - 1];
    if (newest?.event.type !== 'packet') return 0;
    for (let index = from; index < to; index++) {
      const { event, header } = this.#events[index]!;
      if (event.type !== 'packet') continue;
      if (header !== newest.header) return 0;
      return (newest.event.packet.sendTime - event.packet.sendTime) | 0;
    }
    return 0;
  }

  #trim(): void {
    if (this.#options.keepsWaiting || !this.full) return;
    let first = this.#next;
    while (this.#events[first]!.event.type !== 'packet') first++;
    this.#dropToCleanStart(first + 1);
  }

  /** Forgets the oldest event. */
  #forget(): void {
    const { event, header } = this.#events[this.#head]!;
    if (event.type === 'packet') this.#forgottenHeader = header;
    this.#sentBytes -= costOf(event);
    this.#head++;
  }

  /**
   * Drops waiting packets, from the next event up to the first clean start at or after `from`; headers and ends stay.
   */
  #dropToCleanStart(from: number): void {
    let end = from;
    while (end < this.#events.length && !this.#events[end]!.cleanStart) end++;
    const kept: BufferedEvent[] = [];
    for (const buffered of this.#events.slice(this.#next, end)) {
      if (buffered.event.type !== 'packet') {
        kept.push(buffered);
        continue;
      }
      this.#waitingBytes -= costOf(buffered.event);
      this.#waiting--;
      this.#dropped++;
      this.#options.onDrop?.(buffered.event.packet);
    }
    this.#events.splice(this.#next, end - this.#next, ...kept);
  }

  #compact(): void {
    if (this.#head < 1024 || this.#head * 2 < this.#events.length) return;
    this.#events = this.#events.slice(this.#head);
    this.#next -= this.#head;
    this.#head = 0;
  }
}

function costOf(event: AsfEvent): number {
  return OVERHEAD + (event.type === 'packet' ? event.packet.bytes.length : 0);
}
