import type { EndReason, RtpInfo } from '../messages/headers.js';
import type { Sdp } from '../messages/sdp.js';
import type { ReceivedPacket } from './asf-assembler.js';
import type { RtpReception } from './reception.js';

/** Another playlist entry (MS-RTSP 2.2.7.1). */
export interface Announced {
  readonly sdp: Sdp;
  readonly genId: number;
  /** The streams that the server has selected; undefined if it waits for the client to choose. */
  readonly predicted: readonly RtpInfo[] | undefined;
}

/** What arrives while a session plays. */
export type Arrival =
  | { readonly type: 'packets'; readonly packets: ReceivedPacket[] }
  | { readonly type: 'end'; readonly reason: EndReason }
  | { readonly type: 'announced'; readonly announced: Announced }
  /** REDIRECT (RFC 2326 10.10). */
  | { readonly type: 'moved'; readonly location: string };

/** How long to wait for datagrams after an EndOfStream that does not say how many there are, in ms. */
const BLIND_WAIT = 300;
/** Requests of a server that wait for packets before them. */
const MAX_DEFERRED = 16;

/**
 * The packets of a session and the requests of its server, in the order of the content: an EndOfStream comes after the
 * last packet of its entry, although that may travel another way (MS-RTSP 3.1.5.13). Without sockets and clocks.
 */
export class Arrivals {
  /** Bytes of packets that nobody has taken yet. */
  waitingBytes = 0;
  readonly #queue: Arrival[] = [];
  readonly #window: number;
  readonly #wake: () => void;
  #reception: RtpReception;
  #ending: { readonly reason: EndReason; readonly until: number; readonly isBlind: boolean } | undefined;
  #deferred: Arrival[] = [];

  /** @param window how long to wait for the last packets of an entry, in ms @param wake called when something arrives */
  constructor(reception: RtpReception, window: number, wake: () => void) {
    this.#reception = reception;
    this.#window = window;
    this.#wake = wake;
  }

  /** True while the last packets of an entry are awaited. */
  get isEnding(): boolean {
    return this.#ending !== undefined;
  }

  /** Returns what arrived next; undefined if nothing did. */
  next(): Arrival | undefined {
    const first = this.#queue.shift();
    if (first?.type === 'packets') this.waitingBytes = 0;
    return first;
  }

  /** Drops everything: another PLAY follows. */
  clear(): void {
    this.#queue.length = 0;
    this.waitingBytes = 0;
    this.#ending = undefined;
    this.#deferred = [];
  }

  /** Takes ASF packets in their order. */
  packets(packets: readonly ReceivedPacket[], now: number): void {
    this.#add(packets);
    this.#settle(now);
  }

  /** @param ends the numbers of the next packets by SSRC, if the server says */
  end(reason: EndReason, ends: ReadonlyMap<number, number>, now: number): void {
    this.#reception.endAt(ends, now);
    const isBlind = ends.size === 0 && this.#window > 0;
    this.#ending = { reason, until: now + (isBlind ? BLIND_WAIT : this.#window), isBlind };
    this.#settle(now);
  }

  /** Takes a request of the server that belongs after all packets before it. */
  request(arrival: Extract<Arrival, { type: 'announced' | 'moved' }>): void {
    if (!this.#ending) this.#request(arrival);
    else if (this.#deferred.length < MAX_DEFERRED) this.#deferred.push(arrival);
  }

  /** To be called often: gives up on what is missing for too long. */
  tick(now: number): void {
    this.packets(this.#reception.tick(now), now);
  }

  #settle(now: number): void {
    const ending = this.#ending;
    if (!ending || (now < ending.until && (ending.isBlind || !this.#reception.complete))) return;
    this.#add(this.#reception.flush());
    this.#ending = undefined;
    this.#queue.push({ type: 'end', reason: ending.reason });
    for (const arrival of this.#deferred.splice(0)) this.#request(arrival);
    this.#wake();
  }

  #request(arrival: Arrival): void {
    this.#queue.push(arrival);
    // What follows an Announce belongs to its entry.
    if (arrival.type === 'announced') this.#add(this.#reception.continue());
    this.#wake();
  }

  #add(packets: readonly ReceivedPacket[]): void {
    if (packets.length === 0) return;
    for (const { bytes } of packets) this.waitingBytes += bytes.length;
    const last = this.#queue.at(-1);
    if (last?.type === 'packets') last.packets.push(...packets);
    else this.#queue.push({ type: 'packets', packets: [...packets] });
    this.#wake();
  }
}
