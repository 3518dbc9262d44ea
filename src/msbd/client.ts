import { printable } from '../errors.js';
import type { AddressGuard } from '../http/address-guard.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import type { Clock } from '../media/pacing.js';
import type { ReconnectPolicy, ReconnectReport } from '../media/reconnect.js';
import { PullSource } from '../receiving/pull-source.js';
import { DEFAULT_TIMEOUTS, type MsbdTimeouts } from './client-link.js';
import { type MsbdDescription, type MsbdFacts, MsbdPullLink } from './client-pull-link.js';
import { parseMsbdUrl } from './client-url.js';

export type { MsbdDescription } from './client-pull-link.js';

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
  readonly #source: PullSource<MsbdFacts>;
  #link: MsbdPullLink | undefined;

  /** @throws WmError WM_USAGE for a URL that cannot be used */
  constructor(options: MsbdClientOptions) {
    const { url: href, timeouts, guard, led, onNote } = options;
    const url = parseMsbdUrl(href);
    const connect = () => {
      this.#link = new MsbdPullLink({
        url: { ...url, interface: options.interface ?? url.interface },
        href,
        timeouts: { ...DEFAULT_TIMEOUTS, ...timeouts },
        guard: led ? guard : undefined,
        onNote: (text) => onNote?.(printable(text, 500)),
      });
      return this.#link;
    };
    const { tolerant, reconnect, onReconnect, clock, random } = options;
    this.#source = new PullSource([{ name: href, connect }], {
      ...{ tolerant, reconnect, onReconnect, clock, random, onNote },
      packetName: 'An IND_PACKET',
      withoutParity: true,
    });
  }

  /**
   * Asks what is at a URL, and receives nothing of it.
   *
   * @throws WmError as the iteration of a client
   */
  static async describe(options: MsbdClientOptions): Promise<MsbdDescription> {
    return (await new MsbdClient(options).#source.describe()).description;
  }

  /** What the server said last; undefined before it did. Known when the first header comes. */
  get description(): MsbdDescription | undefined {
    return this.#link?.description ?? this.#source.facts?.description;
  }

  get stats(): MsbdClientStats {
    return this.#source.stats;
  }

  /**
   * The iteration throws, after an end event if there was a header:
   * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_NO_INPUT, WM_AUTH_REFUSED, WM_PROTOCOL, WM_ASF_MALFORMED, WM_USAGE for an
   *   interface that is not there
   */
  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    return this.#source[Symbol.asyncIterator]();
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
