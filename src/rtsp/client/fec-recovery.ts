import { RtspError } from '../messages/error.js';
import { type FecPacket, readFec, rebuild } from '../messages/fec.js';
import type { RtpPacket } from '../messages/rtp.js';

/** Spans of which FEC packets are kept. */
const MAX_SPANS = 16;
/** The most packets that parameters can ask to keep (MS-RTSP 3.1.1). */
const MAX_KEPT = 24 * 12 + 24;

/** Rebuilds lost RTP packets of one SSRC from FEC packets (MS-RTSP 3.1.5.12.1). */
export class FecRecovery {
  /** Packets that were rebuilt. */
  rebuilt = 0;
  readonly #limit: number;
  readonly #sources = new Map<number, RtpPacket>();
  readonly #spans = new Map<string, FecPacket[]>();

  /** @param limit source packets that are kept (RTP-Queue-Limit): all of the spans that are on their way */
  constructor(limit: number) {
    this.#limit = Math.min(Math.max(limit, 1), MAX_KEPT);
  }

  /** The number of source packets of a span that are here. @param sequences 16 bits each */
  known(sequences: readonly number[]): number {
    return sequences.filter((sequence) => this.#sources.has(sequence)).length;
  }

  /** Takes a source packet. @returns what can be rebuilt with it */
  source(packet: RtpPacket): RtpPacket[] {
    this.#remember(packet);
    const rebuilt: RtpPacket[] = [];
    for (const [key, fec] of this.#spans) {
      if (fec[0]!.sequences.includes(packet.sequence)) rebuilt.push(...this.#attempt(key, fec));
    }
    return rebuilt;
  }

  /** Takes an FEC packet. @returns what can be rebuilt with it */
  fec(packet: FecPacket): RtpPacket[] {
    const key = packet.sequences.join();
    const fec = this.#spans.get(key) ?? [];
    if (fec.some(({ index }) => index === packet.index)) return [];
    fec.push(packet);
    this.#spans.set(key, fec);
    if (this.#spans.size > MAX_SPANS) this.#spans.delete(this.#spans.keys().next().value!);
    return this.#attempt(key, fec);
  }

  #attempt(key: string, fec: readonly FecPacket[]): RtpPacket[] {
    const { sequences } = fec[0]!;
    const missing = sequences.length - this.known(sequences);
    // FEC packets of a span that is complete, or becomes it, are of no more use.
    if (missing <= fec.length) this.#spans.delete(key);
    if (missing === 0 || missing > fec.length) return [];
    const any = sequences.map((sequence) => this.#sources.get(sequence)).find((source) => source !== undefined);
    const { payloadType = 0, ssrc = 0 } = any ?? {};
    const packets = any && rebuild(sequences, this.#sources, fec, { payloadType, ssrc });
    if (!packets) return [];
    this.rebuilt += packets.length;
    for (const packet of packets) this.#remember(packet);
    return packets.map((packet) => ({ ...packet, rebuilt: true }));
  }

  #remember(packet: RtpPacket): void {
    this.#sources.set(packet.sequence, packet);
    if (this.#sources.size > this.#limit) this.#sources.delete(this.#sources.keys().next().value!);
  }
}

/** Reads an FEC packet; undefined if it is malformed. */
export function fecOf({ payload }: RtpPacket): FecPacket | undefined {
  try {
    return readFec(payload);
  } catch (error) {
    if (error instanceof RtspError) return undefined;
    throw error;
  }
}
