import { AsfError } from '../asf/error.js';
import { type AsfHeader, parseHeader } from '../asf/header.js';
import { type DataPacket, parsePacket } from '../asf/packet.js';
import { printable, WmError } from '../errors.js';
import type { AddressGuard } from '../http/address-guard.js';
import { Continuity } from '../media/continuity.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { LiveStart } from '../media/live-start.js';
import type { Clock } from '../media/pacing.js';
import { type ReconnectPolicy, type ReconnectReport, Retries } from '../media/reconnect.js';
import { SingleReading, withEnd } from '../media/source.js';
import { DEFAULT_TIMEOUTS, type LinkEvent, MsbdLink, type MsbdTimeouts } from './client-link.js';
import { type MsbdUrl, parseMsbdUrl } from './client-url.js';
import type { Group } from './messages.js';
import { type StreamInfo, textOf } from './stream-info.js';

export interface MsbdClientOptions {
  /** `msbd://host[:port][/channel]`, with `?multicast` to have packets sent to a group; see parseMsbdUrl. */
  readonly url: string;
  /** The interface that joins a group, by its name or an address of it; goes before that of the URL. */
  readonly interface?: string | undefined;
  /** Leave out packets that cannot be read, and go on. Default true. */
  readonly tolerant?: boolean | undefined;
  readonly timeouts?: Partial<MsbdTimeouts> | undefined;
  /** Which addresses of the server may be connected to, when `led`. Default: all. */
  readonly guard?: AddressGuard | undefined;
  /** Another host named the URL, in an announcement. Default false. */
  readonly led?: boolean | undefined;
  /** Default: never. */
  readonly reconnect?: ReconnectPolicy | undefined;
  readonly clock?: Clock | undefined;
  /** 0 to 1; default Math.random. */
  readonly random?: (() => number) | undefined;
  /** Gets sentences that a person may want to know. */
  readonly onNote?: ((text: string) => void) | undefined;
  readonly onReconnect?: ((report: ReconnectReport) => void) | undefined;
}

/** What a server says of a stream. */
export interface MsbdDescription {
  readonly url: string;
  readonly transport: 'msbd';
  /** MSBD carries live streams only. */
  readonly live: true;
  readonly header: AsfHeader;
  readonly title: string;
  readonly description: string;
  readonly link: string;
  /** Bits per second. */
  readonly bitRate: number;
  /** Where packets are sent to when that is not the connection. */
  readonly group: Group | undefined;
}

/** What a client has received so far. */
export interface MsbdClientStats {
  /** ASF data packets that were passed on. */
  readonly packets: number;
  readonly bytes: number;
  /** Packets that could not be read and were left out. */
  readonly damagedPackets: number;
  /** Packets that are missing by their numbers: left out by the server, or lost on the way. */
  readonly lostPackets: number;
  /** Lost datagrams that parity packets brought back. */
  readonly recoveredPackets: number;
  readonly parityPackets: number;
  readonly reconnects: number;
}

/**
 * Receives a live stream by MSBD as a distribution server does (MS-MSBD 3.2): over TCP, or from a multicast group that a TCP
 * connection controls. It is a source of headers, packets as the server sent them, and an end.
 *
 * When the connection breaks it is made again as {@link MsbdClientOptions.reconnect} says; the stream then goes on as one, without
 * what was sent twice.
 */
export class MsbdClient implements AsfSource {
  readonly #options: MsbdClientOptions;
  readonly #url: MsbdUrl;
  readonly #continuity = new Continuity();
  readonly #closed = new AbortController();
  #link: MsbdLink | undefined;
  #description: MsbdDescription | undefined;
  #header: AsfHeader | undefined;
  #start: LiveStart | undefined;
  #location = 0;
  readonly #retries: Retries;
  readonly #reading = new SingleReading();
  #stats = {
    packets: 0,
    bytes: 0,
    damagedPackets: 0,
    lostPackets: 0,
    recoveredPackets: 0,
    parityPackets: 0,
  };

  /** @throws WmError WM_USAGE for a URL that cannot be used */
  constructor(options: MsbdClientOptions) {
    this.#options = options;
    this.#retries = new Retries(options, this.#closed.signal);
    const url = parseMsbdUrl(options.url);
    this.#url = { ...url, interface: options.interface ?? url.interface };
  }

  /**
   * Asks what is at a URL, and receives nothing of it.
   *
   * @throws WmError as the iteration of a client
   */
  static async describe(options: MsbdClientOptions): Promise<MsbdDescription> {
    const client = new MsbdClient(options);
    const link = client.#newLink();
    for await (const event of link.events()) {
      if (event.type === 'stream') return client.#describe(event.info, link);
    }
    throw new WmError('WM_NO_INPUT', `There is nothing at ${options.url} at the moment.`);
  }

  /** What the server said last; undefined before it did. Known when the first header comes. */
  get description(): MsbdDescription | undefined {
    return this.#description;
  }

  get stats(): MsbdClientStats {
    const { lost = 0, recovered = 0, parity = 0 } = this.#link?.losses ?? {};
    const { lostPackets, recoveredPackets, parityPackets } = this.#stats;
    return {
      ...this.#stats,
      reconnects: this.#retries.reconnects,
      lostPackets: lostPackets + lost,
      recoveredPackets: recoveredPackets + recovered,
      parityPackets: parityPackets + parity,
    };
  }

  /**
   * The iteration throws, after an end event if there was a header:
   * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_NO_INPUT, WM_AUTH_REFUSED, WM_PROTOCOL, WM_ASF_MALFORMED, WM_USAGE for an
   *   interface that is not there
   */
  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    this.#reading.begin();
    return withEnd(this.#stream(), () => this.#continuity.header !== undefined);
  }

  close(): Promise<void> {
    this.#closed.abort();
    this.#link?.close();
    return Promise.resolve();
  }

  /** Everything up to the last packet, over as many connections as it takes. */
  async *#stream(): AsyncGenerator<AsfEvent, void, undefined> {
    while (!this.#closed.signal.aborted) {
      const link = this.#newLink();
      this.#link = link;
      let first = true;
      try {
        for await (const event of link.events()) {
          yield* this.#take(event, link, first);
          first = false;
        }
        if (this.#continuity.header || this.#closed.signal.aborted) return;
        throw new WmError('WM_NO_INPUT', `There is nothing at ${this.#options.url} at the moment.`);
      } catch (error) {
        if (this.#closed.signal.aborted) return;
        await this.#retries.after(error, this.#continuity.header !== undefined);
      } finally {
        this.#settle(link);
      }
    }
  }

  *#take(event: LinkEvent, link: MsbdLink, first: boolean): Generator<AsfEvent, void, undefined> {
    if (event.type === 'stream') {
      const { header } = this.#describe(event.info, link);
      if (!this.#continuity.header) {
        const all = new Set(header.streams.map(({ number }) => number));
        this.#start = new LiveStart(header, all);
      }
      this.#header = header;
      yield* this.#continuity.take(header, !first, true);
    } else if (event.type === 'packet') {
      const packet = this.#readPacket(event.payload);
      if (packet) yield* this.#passOn(packet);
    }
  }

  *#passOn(packet: DataPacket): Generator<AsfEvent, void, undefined> {
    // What parity protects has been put right by now; a recording has no place for it.
    if (packet.parity) {
      this.#stats.parityPackets++;
      return;
    }
    const wanted = this.#start ? this.#start.packet(packet) : packet;
    const placed = wanted && this.#continuity.packet(this.#location++, wanted);
    if (!placed) return;
    this.#retries.progressed();
    this.#stats.packets++;
    this.#stats.bytes += placed.bytes.length;
    yield { type: 'packet', packet: placed };
  }

  #readPacket(bytes: Buffer): DataPacket | undefined {
    try {
      const size = this.#header?.packetSize ?? 0;
      if (bytes.length > size) throw new AsfError(`A packet of ${bytes.length} bytes is larger than ${size}.`);
      return parsePacket(bytes);
    } catch (error) {
      if (!(error instanceof AsfError)) throw error;
      if (this.#options.tolerant === false)
        throw new WmError('WM_PROTOCOL', `An IND_PACKET is malformed: ${error.message}`, { cause: error });
      if (this.#stats.damagedPackets++ === 0) this.#note(`A packet is left out: ${error.message}`);
      return undefined;
    }
  }

  #newLink(): MsbdLink {
    const { url: href, timeouts, guard, led } = this.#options;
    return new MsbdLink({
      url: this.#url,
      href,
      timeouts: { ...DEFAULT_TIMEOUTS, ...timeouts },
      guard: led ? guard : undefined,
      onNote: (text) => this.#note(text),
    });
  }

  #describe(info: StreamInfo, link: MsbdLink): MsbdDescription {
    this.#description = {
      url: this.#options.url,
      transport: 'msbd',
      live: true,
      header: parseHeader(info.header),
      title: textOf(info.title),
      description: textOf(info.description),
      link: textOf(info.link),
      bitRate: info.bitRate,
      group: link.group,
    };
    return this.#description;
  }

  /** Keeps the counts of a connection that is over. */
  #settle(link: MsbdLink): void {
    link.close();
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#stats.lostPackets += link.losses.lost;
    this.#stats.recoveredPackets += link.losses.recovered;
    this.#stats.parityPackets += link.losses.parity;
  }

  #note(text: string): void {
    this.#options.onNote?.(printable(text, 500));
  }
}
