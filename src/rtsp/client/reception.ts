import { RtspError } from '../messages/error.js';
import { buildNacks } from '../messages/rtcp.js';
import { type RtpPacket, readRtp } from '../messages/rtp.js';
import { AsfAssembler, type ReceivedPacket } from './asf-assembler.js';
import { FecRecovery, fecOf } from './fec-recovery.js';
import { type OrderCounts, type Ordered, type OrderOptions, RtpOrder } from './rtp-order.js';

/** A sequence of RTP packets, and the ASF packets that it carries. */
interface Sequence {
  readonly order: RtpOrder<RtpPacket>;
  readonly assembler: AsfAssembler;
  /** Undefined without FEC. */
  readonly recovery: FecRecovery | undefined;
  /** Numbers from a PLAY response were given, and must not begin another time. */
  begun: boolean;
}

/** Sequences of one session; a server uses one for all streams, or one each. */
const MAX_SEQUENCES = 128;
/** Numbers that are asked for at one time: what a server looks up (MS-RTSP 3.2.5.10). */
const MAX_ASKED = 128;
/** Packets that wait for a PLAY response; a datagram may be faster. */
const MAX_EARLY = 2_000;

/**
 * The RTP packets of a session (MS-RTSP 3.1.5.12), by their SSRCs, as ASF packets in their order. Without sockets and
 * clocks; times are in ms of any monotonic clock.
 */
export class RtpReception {
  /** Datagrams that are not RTP, or of an unknown SSRC. */
  strays = 0;
  /** Requests for lost packets. */
  requests = 0;
  readonly #options: OrderOptions<RtpPacket>;
  #limit: number;
  readonly #sequences = new Map<number, Sequence>();
  // SSRCs from Transport headers; without any, all are accepted.
  readonly #known = new Set<number>();
  #early: RtpPacket[] | undefined;
  // Of FEC packets, negotiated or not.
  #fecTypes: ReadonlySet<number> = new Set();
  #fecLimit = 0;

  /** @param limit the largest ASF packet, in bytes */
  constructor(options: OrderOptions<RtpPacket>, limit: number) {
    this.#options = options;
    this.#limit = limit;
  }

  get counts(): OrderCounts {
    const counts = { lost: 0, longestGap: 0, resent: 0, reordered: 0, dropped: 0 };
    for (const { order } of this.#sequences.values()) {
      counts.lost += order.counts.lost;
      counts.longestGap = Math.max(counts.longestGap, order.counts.longestGap);
      counts.resent += order.counts.resent;
      counts.reordered += order.counts.reordered;
      counts.dropped += order.counts.dropped;
    }
    return counts;
  }

  /** ASF packets of which something is missing. */
  get damaged(): number {
    return [...this.#sequences.values()].reduce((sum, { assembler }) => sum + assembler.damaged, 0);
  }

  /** Packets that were rebuilt from FEC packets. */
  get rebuilt(): number {
    return [...this.#sequences.values()].reduce((sum, { recovery }) => sum + (recovery?.rebuilt ?? 0), 0);
  }

  /** Packets of these types are FEC packets, of no use without {@link useFec}. */
  knowFec(payloadTypes: Iterable<number>): void {
    this.#fecTypes = new Set(payloadTypes);
  }

  /** FEC was negotiated. @param limit RTP-Queue-Limit, in packets (MS-RTSP 3.1.5.9) */
  useFec(limit: number): void {
    this.#fecLimit = Math.max(this.#fecLimit, limit);
  }

  /** True if all packets before the announced end have come. */
  get complete(): boolean {
    return [...this.#sequences.values()].every(({ order }) => order.complete);
  }

  /** ASF packets may be so large from now on, in bytes; the limit is never lowered. */
  allowPackets(size: number): void {
    this.#limit = Math.max(this.#limit, size);
    for (const { assembler } of this.#sequences.values()) assembler.limit = this.#limit;
  }

  /** True if something is missing, or waits for the notice of an end: {@link tick} has to be called often. */
  get isWaiting(): boolean {
    for (const { order } of this.#sequences.values()) if (order.isWaiting) return true;
    return false;
  }

  /** Accepts an SSRC, from the response to a SETUP. */
  allow(ssrc: number): void {
    this.#known.add(ssrc);
  }

  /** Another PLAY is sent: until its response, packets are kept and not delivered. */
  prepare(): void {
    this.#early = [];
    for (const sequence of this.#sequences.values()) {
      sequence.order.forget();
      sequence.assembler.gap();
      sequence.begun = false;
    }
  }

  /**
   * The response to PLAY: each SSRC begins at its number.
   *
   * @param starts by SSRC, from RTP-Info; those of streams that the server sends under another SSRC never come true
   */
  begin(starts: ReadonlyMap<number, number>, now: number): ReceivedPacket[] {
    const early = this.#early ?? [];
    this.#early = undefined;
    const packets: ReceivedPacket[] = [];
    for (const [ssrc, start] of starts) {
      const sequence = this.#sequenceOf(ssrc);
      if (!sequence || sequence.begun) continue;
      sequence.begun = true;
      sequence.order.begin(start);
    }
    for (const packet of early) packets.push(...this.#take(packet, now));
    return packets;
  }

  /** Takes a datagram or a frame. @returns the ASF packets that can be delivered now */
  push(bytes: Buffer, now: number): ReceivedPacket[] {
    let packet: RtpPacket;
    try {
      packet = readRtp(bytes);
    } catch (error) {
      if (!(error instanceof RtspError)) throw error;
      this.strays++;
      return [];
    }
    if (this.#known.size > 0 && !this.#known.has(packet.ssrc)) {
      this.strays++;
      return [];
    }
    if (!this.#early) return this.#take(packet, now);
    if (this.#early.length < MAX_EARLY) this.#early.push(packet);
    return [];
  }

  /** EndOfStream: the numbers of the next packets by SSRC (MS-RTSP 3.1.5.13). */
  endAt(ends: ReadonlyMap<number, number>, now: number): void {
    for (const [ssrc, end] of ends) this.#sequences.get(ssrc)?.order.endAt(end, now);
  }

  /** Gives up on what is missing before the announced end, or on all. */
  flush(): ReceivedPacket[] {
    const packets: ReceivedPacket[] = [];
    for (const sequence of this.#sequences.values()) {
      packets.push(...this.#assembled(sequence, sequence.order.flush()));
      sequence.assembler.gap();
    }
    return packets;
  }

  /** Packets after the announced end may be delivered. */
  continue(): ReceivedPacket[] {
    return [...this.#sequences.values()].flatMap((sequence) => this.#assembled(sequence, sequence.order.continue()));
  }

  /** To be called every few ms. @returns what can be delivered since something missing is given up */
  tick(now: number): ReceivedPacket[] {
    const packets: ReceivedPacket[] = [];
    for (const sequence of this.#sequences.values()) {
      if (sequence.order.isWaiting) packets.push(...this.#assembled(sequence, sequence.order.skipped(now)));
    }
    return packets;
  }

  /** Returns the RTCP packets that ask for lost ones now. @param rtxSsrc of the retransmission stream */
  nacks(rtxSsrc: number, now: number): Buffer[] {
    const packets: Buffer[] = [];
    for (const [mediaSsrc, { order }] of this.#sequences) {
      if (!order.hasMissing) continue;
      const sequences = order.wanted(now, MAX_ASKED);
      if (sequences.length === 0) continue;
      this.requests += sequences.length;
      packets.push(...buildNacks({ mediaSsrc, rtxSsrc, sequences }));
    }
    return packets;
  }

  #take(packet: RtpPacket, now: number): ReceivedPacket[] {
    if (this.#fecTypes.has(packet.payloadType)) return this.#rebuild(packet, now);
    const sequence = this.#sequenceOf(packet.ssrc);
    if (!sequence) {
      this.strays++;
      return [];
    }
    const packets = this.#ordered(sequence, packet, now);
    for (const rebuilt of sequence.recovery?.source(packet) ?? [])
      packets.push(...this.#ordered(sequence, rebuilt, now));
    return packets;
  }

  /** An FEC packet protects the SSRC of which most of its span is here. */
  #rebuild(packet: RtpPacket, now: number): ReceivedPacket[] {
    const fec = this.#fecLimit > 0 ? fecOf(packet) : undefined;
    if (!fec) return [];
    let best: Sequence | undefined;
    let most = 0;
    for (const sequence of this.#sequences.values()) {
      const known = sequence.recovery?.known(fec.sequences) ?? 0;
      if (known > most) [best, most] = [sequence, known];
    }
    const rebuilt = best?.recovery?.fec(fec) ?? [];
    return rebuilt.flatMap((each) => this.#ordered(best!, each, now));
  }

  #ordered(sequence: Sequence, packet: RtpPacket, now: number): ReceivedPacket[] {
    const { sequence: number, payload, rebuilt } = packet;
    return this.#assembled(sequence, sequence.order.push(number, packet, now, payload.length, rebuilt));
  }

  #sequenceOf(ssrc: number): Sequence | undefined {
    const known = this.#sequences.get(ssrc);
    if (known) return known;
    if (this.#sequences.size >= MAX_SEQUENCES) return undefined;
    const made: Sequence = {
      order: new RtpOrder(this.#options),
      assembler: new AsfAssembler(this.#limit),
      recovery: this.#fecLimit > 0 ? new FecRecovery(this.#fecLimit) : undefined,
      begun: false,
    };
    this.#sequences.set(ssrc, made);
    return made;
  }

  #assembled({ assembler }: Sequence, ordered: ReadonlyArray<Ordered<RtpPacket>>): ReceivedPacket[] {
    const packets: ReceivedPacket[] = [];
    for (const each of ordered) {
      if ('lost' in each) assembler.gap();
      else packets.push(...assembler.add(each.packet));
    }
    return packets;
  }
}
