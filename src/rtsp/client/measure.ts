import { MAX_PAIRED_HEAD, PACKET_PAIR_LENGTHS, packetPairPayloads } from '../../wms/packet-pair.js';

/** Bytes of a $P packet before its payload: `$P`, PacketLength and Reason. */
const PAIR_HEAD = 8;
/** A line faster than this cannot be measured so, in bits per second. */
const FASTEST = 10_000_000_000;

/**
 * Measures the bandwidth by the three $P packets of a TcpPacketPair response: the time between the first and the
 * second (MS-RTSP 3.1.5.5).
 */
export class TcpPairMeasure {
  readonly #now: () => number;
  #first: number | undefined;
  #second: number | undefined;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Takes the number of bytes of the body that have arrived. */
  received(bytes: number): void {
    const [first, second] = packetPairPayloads(MAX_PAIRED_HEAD).map((payload) => payload + PAIR_HEAD) as [
      number,
      number,
    ];
    if (bytes >= first) this.#first ??= this.#now();
    if (bytes >= first + second) this.#second ??= this.#now();
  }

  /** Bits per second; undefined if both arrived at once. */
  get bandwidth(): number | undefined {
    return bandwidthOf(PACKET_PAIR_LENGTHS[1] + PAIR_HEAD, this.#first, this.#second);
  }
}

/** Returns the bits per second at which so many bytes arrived between two moments; undefined if that was no time. */
export function bandwidthOf(bytes: number, from: number | undefined, to: number | undefined): number | undefined {
  if (from === undefined || to === undefined || to <= from) return undefined;
  return Math.min(Math.round((bytes * 8_000) / (to - from)), FASTEST);
}
