import { printable } from '../../errors.js';
import type { AddressGuard } from '../../http/address-guard.js';
import type { AsfEvent, AsfSource } from '../../media/events.js';
import type { Clock } from '../../media/pacing.js';
import type { ReconnectPolicy, ReconnectReport } from '../../media/reconnect.js';
import { PullSource } from '../../receiving/pull-source.js';
import { DEFAULT_TIMEOUTS, type MsbdTimeouts } from './link.js';
import { type MsbdDescription, type MsbdFacts, MsbdPullLink } from './pull-link.js';
import { parseMsbdUrl } from './url.js';

export type { MsbdDescription } from './pull-link.js';

/** @public */
export interface MsbdClientOptions {
  /** `msbd://host[:port][/channel]`, with `?multicast` to request delivery to a group; see parseMsbdUrl. */
  readonly url: string;
  /** The interface that joins a group, by its name or an address of it; takes precedence over that of the URL. */
  readonly interface?: string | undefined;
  /** True to drop packets that cannot be read, and go on. Default true. */
  readonly tolerant?: boolean | undefined;
  readonly timeouts?: Partial<MsbdTimeouts> | undefined;
  /** Limits the addresses of the server that may be connected to when `led`. Default: all. */
  readonly guard?: AddressGuard | undefined;
  /** True if another host named the URL, in an announcement. Default false. */
  readonly led?: boolean | undefined;
  /** Default: never. */
  readonly reconnect?: ReconnectPolicy | undefined;
  readonly clock?: Clock | undefined;
  /** 0 to 1; default Math.random. */
  readonly random?: (() => number) | undefined;
  /** Receives sentences for the user. */
  readonly onNote?: ((text: string) => void) | undefined;
  readonly onReconnect?: ((report: ReconnectReport) => void) | undefined;
}

/** Counts of a client so far. @public */
export interface MsbdClientStats {
  /** ASF data packets that were passed on. */
  readonly packets: number;
  readonly bytes: number;
  /** Packets that could not be read and were dropped. */
  readonly damagedPackets: number;
  /** Packets that are missing by their numbers: dropped by the server, or lost on the way. */
  readonly lostPackets: number;
  /** Lost datagrams that were rebuilt from parity packets. */
  readonly recoveredPackets: number;
  readonly parityPackets: number;
  readonly reconnects: number;
}

/**
 * Receives a live stream by MSBD as a distribution server does (MS-MSBD 3.2): over TCP, or from a multicast group that
 * a TCP connection controls. It is a source of headers, packets as the server sent them, and an end.
 *
 * If the connection breaks, reconnects as {@link MsbdClientOptions.reconnect} says. The stream then goes on as one,
 * without the packets that were sent twice.
 *
 * @public
 */
export class MsbdClient implements AsfSource {
  readonly #source: PullSource<MsbdFacts>;
  #link: MsbdPullLink | undefined;

  /** @throws WmError WM_USAGE for an unusable URL */
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
   * Describes the stream at a URL without receiving it.
   *
   * @throws WmError as the iteration of a client
   */
  static async describe(options: MsbdClientOptions): Promise<MsbdDescription> {
    return (await new MsbdClient(options).#source.describe()).description;
  }

  /** The server's latest description. Known once the first header arrives. */
  get description(): MsbdDescription | undefined {
    return this.#link?.description ?? this.#source.facts?.description;
  }

  get stats(): MsbdClientStats {
    return this.#source.stats;
  }

  /**
   * The iteration throws, after an end event if there was a header:
   * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_NO_INPUT, WM_AUTH_REFUSED, WM_PROTOCOL, WM_ASF_MALFORMED,
   *   WM_USAGE for an interface that does not exist
   */
  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    return this.#source[Symbol.asyncIterator]();
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
