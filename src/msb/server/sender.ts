import type { Socket } from 'node:dgram';
import type { NscFile, NscFormat } from '../../announce/nsc.js';
import { messageOf } from '../../errors.js';
import type { AsfEvent, AsfSink } from '../../media/events.js';
import { isCongested, openSendingSocket, type SendingOptions } from '../group-socket.js';
import { BEACON, MsbError } from '../messages/packet.js';
import { MsbTransmission } from './transmission.js';

/** @public */
export interface MulticastOptions extends SendingOptions {
  /** Data packets for each parity packet, 1 to 15; 0 (default) sends none. */
  readonly span?: number | undefined;
  /** Milliseconds between two Beacon packets while there is nothing else to send, 1000 to 10000; default 5000. */
  readonly beaconInterval?: number | undefined;
  /** Called when the set of ASF headers that receivers need has changed, so the .nsc file must be rewritten. */
  readonly onFormats?: (() => void) | undefined;
  /** Receives a sentence about datagrams that could not be sent; once for each kind of error. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** Counts since the start. @public */
export interface MulticastStats {
  /** Data packets sent. */
  packets: number;
  parityPackets: number;
  beacons: number;
  /** Of all datagrams, without IP and UDP headers. */
  bytes: number;
  /** Datagrams that could not be sent. */
  failed: number;
}

const DEFAULT_BEACON_INTERVAL = 5_000;
const BEACON_INTERVALS = { least: 1_000, most: 10_000 };

/**
 * Sends a stream to a multicast group ([MS-MSB] 3.1). Sends at once: write each packet when it is due. While the stream
 * is idle, Beacon packets tell receivers to keep waiting.
 *
 * @public
 */
export class MulticastSender implements AsfSink {
  readonly stats: MulticastStats = { packets: 0, parityPackets: 0, beacons: 0, bytes: 0, failed: 0 };
  /** The address that datagrams leave from. */
  readonly source: string;
  readonly #options: MulticastOptions;
  readonly #socket: Socket;
  readonly #transmission: MsbTransmission;
  readonly #beacon: NodeJS.Timeout;
  readonly #warned = new Set<string>();
  /** True if MSB packets were sent since the Beacon timer last expired. */
  #busy = false;
  #closed = false;

  private constructor(options: MulticastOptions, transmission: MsbTransmission, socket: Socket, source: string) {
    this.#options = options;
    this.#socket = socket;
    this.source = source;
    this.#transmission = transmission;
    socket.on('error', (error) => this.#failed(messageOf(error)));
    this.#beacon = setInterval(() => this.#beaconTimer(), options.beaconInterval ?? DEFAULT_BEACON_INTERVAL);
    this.#sendBeacon();
  }

  /**
   * @throws WmError WM_USAGE if the address is not that of a group or the interface does not exist, WM_UNREACHABLE if
   *   no network leads to the group, WM_PROTOCOL for a span or an interval that the specification does not allow
   */
  static async open(options: MulticastOptions): Promise<MulticastSender> {
    const { span, beaconInterval = DEFAULT_BEACON_INTERVAL } = options;
    if (!(beaconInterval >= BEACON_INTERVALS.least && beaconInterval <= BEACON_INTERVALS.most)) {
      throw new MsbError(`A Beacon packet is sent every 1 to 10 seconds, not every ${beaconInterval / 1000}.`);
    }
    const transmission = new MsbTransmission({ span });
    const { socket, source } = await openSendingSocket(options);
    return new MulticastSender(options, transmission, socket, source);
  }

  /** The ASF headers that receivers may need, with their Format IDs. */
  get formats(): readonly NscFormat[] {
    return this.#transmission.formats;
  }

  /**
   * Describes this multicast for an .nsc file; `more` adds fields to it.
   *
   * The Multicast Adapter, by which receivers recognise the datagrams, is included only if the interface was named.
   */
  announcement(more: Partial<NscFile> = {}): NscFile {
    const { address, port, ttl, span, interface: own } = this.#options;
    return {
      address,
      port,
      ttl: ttl ?? 1,
      ...(span ? { ecc: span } : {}),
      ...(own === undefined ? {} : { adapter: this.source }),
      formats: this.formats,
      ...more,
    };
  }

  write(event: AsfEvent): void {
    if (this.#closed) return;
    const transmission = this.#transmission;
    if (event.type === 'header') {
      const before = transmission.formats;
      this.#send(transmission.header(event.header));
      if (transmission.formats !== before) this.#options.onFormats?.();
    } else if (event.type === 'packet') {
      try {
        const datagrams = transmission.packet(event.packet);
        if (datagrams.length > 0) this.stats.packets++;
        this.#send(datagrams);
      } catch (error) {
        if (!(error instanceof MsbError)) throw error;
        this.#failed(error.message);
      }
    } else {
      this.#send(transmission.end());
      if (!event.moreEntries) this.#idle();
    }
  }

  /** Ends the last span and closes the socket; everything sent has reached the system by then. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#send(this.#transmission.end());
    this.#closed = true;
    clearInterval(this.#beacon);
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #send(datagrams: readonly Buffer[]): void {
    if (datagrams.length === 0) return;
    this.#busy = true;
    this.stats.parityPackets = this.#transmission.parityPackets;
    if (isCongested(this.#socket)) {
      this.#failed('the network takes no more at the moment.');
      return;
    }
    for (const datagram of datagrams) {
      this.#socket.send(datagram);
      this.stats.bytes += datagram.length;
    }
  }

  /** The stream is idle from now on: starts the Beacon timer ([MS-MSB] 3.1.5.3). */
  #idle(): void {
    this.#busy = false;
    this.#beacon.refresh();
  }

  #beaconTimer(): void {
    // A source that went silent without an end is idle too.
    if (!this.#busy) this.#sendBeacon();
    this.#busy = false;
  }

  #sendBeacon(): void {
    this.stats.beacons++;
    this.#socket.send(BEACON);
  }

  #failed(reason: string): void {
    this.stats.failed++;
    if (this.#warned.has(reason) || this.#warned.size >= 8) return;
    this.#warned.add(reason);
    const { address, port } = this.#options;
    this.#options.warn?.(`Not everything can be sent to the group ${address}, port ${port}: ${reason}`);
  }
}
