import { filterPacket } from '../../asf/filter.js';
import { type DataPacket, type Payload, parsePacket } from '../../asf/packet.js';
import { restorePadding, stripPadding } from '../../asf/padding.js';
import type { PayloadFilter } from './gate.js';
import type { DueCheck, OnDemandItem, ReaderOptions } from './options.js';
import type { PacketRun } from './packet-file.js';

/**
 * Returns the packet with the wanted payloads, with or without padding ([MS-WMSP] 2.2.3.3); undefined if no payload is
 * wanted.
 *
 * @param isWanted called once for each payload, in order; undefined keeps all
 * @throws AsfError if a packet that keeps its padding is longer than the packet size
 */
export function wirePacket(
  packet: DataPacket,
  packetSize: number,
  padding: ReaderOptions['padding'],
  isWanted?: (payload: Payload, order: number) => boolean,
): Buffer | undefined {
  let order = 0;
  // The filter asks once for each payload, in order, but only names the stream.
  const level = () => (isWanted?.(packet.payloads[order]!, order++) ? 0 : 2);
  const bytes = isWanted === undefined ? packet.bytes : filterPacket(packet, level);
  if (bytes === undefined) return undefined;
  if (bytes === packet.bytes) return padding === 'cut' ? stripPadding(packet) : restorePadding(packet, packetSize);
  return padding === 'cut' ? bytes : restorePadding(parsePacket(bytes), packetSize);
}

/** Returns the lowest presentation time of the payloads that begin an object, in ms; undefined if none does. */
function lowestTime({ payloads }: DataPacket): number | undefined {
  let lowest: number | undefined;
  for (const { offset, presentationTime } of payloads) {
    if (offset !== 0 || presentationTime === -1) continue;
    lowest = lowest === undefined || ((presentationTime - lowest) | 0) < 0 ? presentationTime : lowest;
  }
  return lowest;
}

/** Ends a run of packets when the media goes beyond a time. */
export class EndTime {
  readonly #duration: number;
  #limit: number | undefined;
  #beyondSince: number | undefined;

  /**
   * @param duration ms of media
   * @param start presentation time from which it counts, in ms; undefined counts from the first packet
   */
  constructor(duration: number, start: number | undefined) {
    this.#duration = duration;
    if (start !== undefined) this.#limit = (start + duration) >>> 0;
  }

  /**
   * Decides whether the packet is still to be sent. Streams are interleaved, so packets beyond the end may be among
   * others.
   *
   * @returns `over` if no later packet can be wanted
   */
  judge(packet: DataPacket): 'within' | 'beyond' | 'over' {
    const time = lowestTime(packet);
    if (time === undefined) return this.#beyondSince === undefined ? 'within' : this.#late(packet);
    this.#limit ??= (time + this.#duration) >>> 0;
    if (((time - this.#limit) | 0) < 0) return 'within';
    this.#beyondSince ??= packet.sendTime;
    return this.#late(packet);
  }

  #late(packet: DataPacket): 'beyond' | 'over' {
    return ((packet.sendTime - this.#beyondSince!) | 0) > INTERLEAVING ? 'over' : 'beyond';
  }
}

/** How far streams may be apart in the file, in ms of send time. */
const INTERLEAVING = 1000;

/** The packets of a run that are ready to send. */
export interface ReadyPackets {
  /** Views of the run, where packets did not have to be changed. */
  readonly items: readonly OnDemandItem[];
  /** Number of the next packet to examine: one that is not due, or the one after the run. */
  readonly next: number;
  /** True if no later packet can be wanted. */
  readonly over: boolean;
  /** True if not a single packet could be read. */
  readonly empty: boolean;
}

/**
 * Makes the packets of a run that are due ready to send. Drops packets without a wanted payload.
 *
 * @param end drops packets beyond it, if given
 */
export function prepare(
  run: PacketRun,
  packetSize: number,
  filter: PayloadFilter,
  padding: ReaderOptions['padding'],
  pacer: DueCheck,
  end?: EndTime,
): ReadyPackets {
  const items: OnDemandItem[] = [];
  const isWanted = (payload: Payload): boolean => filter.passes(payload);
  const takesWhole = padding === 'cut' && end === undefined;
  let empty = true;
  for (;;) {
    const whole = takesWhole && filter.open ? run.nextWhole() : undefined;
    if (whole) {
      empty = false;
      const { location } = run;
      const { bytes, sendTime } = whole;
      if (!pacer.due(sendTime)) return { items, next: location, over: false, empty };
      pacer.given(bytes.length);
      items.push({ location, bytes, sendTime });
      continue;
    }
    const packet = run.next();
    if (packet === undefined) break;
    const { location } = run;
    empty = false;
    const judged = end?.judge(packet) ?? 'within';
    if (judged === 'over') return { items, next: location, over: true, empty };
    if (judged === 'beyond') continue;
    // Checked before the filter, which may be called only once for every payload.
    if (!pacer.due(packet.sendTime)) return { items, next: location, over: false, empty };
    const wire = wirePacket(packet, packetSize, padding, filter.open ? undefined : isWanted);
    pacer.given(wire?.length ?? 0);
    if (wire !== undefined) items.push({ location, bytes: wire, sendTime: packet.sendTime });
  }
  return { items, next: run.end, over: false, empty };
}
