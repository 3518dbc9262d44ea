import type { DatagramOutput } from '../../media/datagrams.js';
import { oneUnit, type PlayerOutput } from '../../media/wire.js';
import { headerPackets } from '../messages/data.js';
import type { EntryFacts } from './facts.js';

/**
 * The longest wait between two packets of a header, in ms; with content of 1 bit per second the header would never be
 * complete.
 */
const MAX_HEADER_GAP = 500;

/**
 * How long a header by UDP waits after the message that announces it, in ms. If it overtakes that message, VLC takes the
 * message for the answer to its next request.
 */
const HEADER_DELAY = 100;

/** Sends the ASF file header of the current entry as Data packets (MS-MMSP 3.2.5.8.1). */
export class HeaderSender {
  #header: Buffer = Buffer.alloc(0);
  /** The largest payload, in bytes. */
  #packetSize = 1;
  /** Bits per second. */
  #bitRate = 1;
  /** Timer of the remaining packets; CancelReadBlock drops them (3.2.5.9). */
  #timer: NodeJS.Timeout | undefined;

  /** Takes over the header of the entry that the client is about to learn of. */
  take({ header, facts }: EntryFacts): void {
    this.#header = header;
    this.#packetSize = facts.packetSize;
    this.#bitRate = facts.bitRate;
  }

  /**
   * Sends the header by the transport of the data; by UDP no faster than the content itself.
   *
   * @param incarnation of the packets; its low 8 bits count
   */
  send(incarnation: number, output: PlayerOutput | DatagramOutput): void {
    const packets = headerPackets(this.#header, incarnation & 0xff, this.#packetSize);
    if (output.framing === 'stream') {
      for (const packet of packets) output.put(oneUnit(packet));
      return;
    }
    const next = () => {
      const packet = packets.shift();
      if (!packet) return;
      output.put(oneUnit(packet));
      const milliseconds = (packet.length * 8_000) / this.#bitRate;
      this.#timer = setTimeout(next, Math.min(MAX_HEADER_GAP, milliseconds));
    };
    this.#timer = setTimeout(next, HEADER_DELAY);
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
