import { crc32 } from 'node:zlib';
import type { DataPacket } from '../asf/packet.js';
import { parsePacket } from '../asf/packet.js';

/** How many packets of the past one packet may be ahead of the one before it. */
const MAX_STEP = 100;

/**
 * Recognises packets that a source sends again. An encoder that does not know what arrived before its connection broke
 * sends the last seconds again; where another host takes over, players have them already.
 *
 * Compares the media of packets, because their times may differ. Looks only at the first packets: after one that is new,
 * everything counts as new.
 */
export class Repeats {
  #past: readonly string[];
  #next: number | undefined;

  /** @param past packets that players have, the oldest first, with or without padding */
  constructor(past: readonly Buffer[]) {
    this.#past = past.flatMap((bytes) => {
      const print = printOf(parsePacket(bytes));
      return print === '' ? [] : [print];
    });
  }

  /** True for a packet that was among the past ones. */
  has(packet: DataPacket): boolean {
    if (this.#past.length === 0) return false;
    const print = printOf(packet);
    // The first one is where it came last, so that pictures that stay the same are not taken for repeats.
    const at =
      this.#next === undefined
        ? this.#past.lastIndexOf(print)
        : this.#past.slice(this.#next, this.#next + MAX_STEP).indexOf(print);
    if (at === -1) {
      this.#past = [];
      return false;
    }
    this.#next = (this.#next ?? 0) + at + 1;
    return true;
  }
}

/** Names the media of a packet. */
function printOf({ bytes, payloads }: DataPacket): string {
  return payloads
    .map(({ stream, offset, dataStart, dataLength }) => {
      return `${stream}.${offset}.${dataLength}.${crc32(bytes.subarray(dataStart, dataStart + dataLength))}`;
    })
    .join(' ');
}
