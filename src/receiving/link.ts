import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import { WmError } from '../errors.js';
import type { Received } from './received.js';

/** The facts that a link finds out when it opens. */
export interface SourceFacts {
  /** False for content that can be requested from any position. */
  readonly live: boolean;
  /** With all streams. */
  readonly header: AsfHeader;
  /** Measured, in bits per second. */
  readonly bandwidth?: number | undefined;
  /** True if the header's packet count covers everything: no other playlist entry follows. */
  readonly single: boolean;
  /** True if the same link can play again, after a pause, a seek or a break. */
  readonly resumable: boolean;
}

/** A source's current request to its link. */
export interface Wish {
  /** The header of the current entry, with all streams. */
  readonly header: AsfHeader;
  /** The numbers of its streams that are received. */
  readonly chosen: ReadonlySet<number>;
  readonly live: boolean;
  /** In ms from the start of the content. */
  readonly startTime: number;
  /** The number of an ASF packet; takes precedence over `startTime`. */
  readonly startPacket: number | undefined;
  /** The send time of the last forwarded packet, in ms: where to continue if packets have no numbers. */
  readonly lastSendTime: number | undefined;
  /** The link's identifier for the entry that the position is in; undefined at the start of an entry. */
  readonly entry: number | undefined;
  readonly rate: number;
  /** In ms of media that are still wanted; 0 for all. */
  readonly maxDuration: number;
}

/** An event that a link delivers. */
export type LinkEvent =
  /**
   * @property announced true for another entry, even if its header is the same
   * @property entry the link's identifier for it
   */
  | { readonly type: 'header'; readonly header: AsfHeader; readonly announced: boolean; readonly entry?: number }
  /** An ASF data packet as received. @property location its number in the content, if the protocol has one */
  | { readonly type: 'packet'; readonly bytes: Buffer; readonly location?: number | undefined }
  | { readonly type: 'parsed'; readonly packet: DataPacket; readonly location?: number | undefined }
  /** A number of packets that were unreadable and dropped by the link. */
  | { readonly type: 'damaged'; readonly packets: number };

/** The state of a source that its links need. */
export interface LinkContext {
  readonly received: Received;
  readonly header: AsfHeader | undefined;
  readonly reconnects: number;
}

/** The server reports a failure. There is more content, but not from this server. */
export class ServerFailure extends WmError {
  constructor(message: string) {
    super('WM_SERVER_GONE', message);
    this.name = 'ServerFailure';
  }
}

/** Packets lost in transit, as far as the protocol can tell. */
export interface Losses {
  readonly lost: number;
  readonly recovered: number;
  readonly parity: number;
}

/**
 * One session with a server, over any protocol. After {@link PullLink.destroy}, methods do nothing and pending
 * operations end.
 */
export interface PullLink<F extends SourceFacts = SourceFacts> {
  readonly losses?: Losses;
  /** Asks the server about the content. @throws WmError */
  open(): Promise<F>;
  /**
   * Plays; may be called repeatedly if the link is resumable. Each array contains events that arrived together. A link
   * that has to answer a header ends the array with it; when the next array is requested, the wish contains the chosen
   * streams.
   *
   * @returns `ended` after the last entry, `stopped` after {@link pause}
   * @throws WmError
   */
  play(wish: () => Wish): AsyncGenerator<readonly LinkEvent[], 'ended' | 'stopped', undefined>;
  /** Ends {@link play}; the session is kept alive. */
  pause(): void;
  /**
   * Ends {@link play} and the session, and tells the server what it has to know. If undefined: {@link destroy} instead.
   */
  stop?(): void;
  /** Waits briefly for the server's last answers, then does the same as {@link destroy}. */
  finish?(): Promise<void>;
  /**
   * Forwards the report of a client of this one, for proxies.
   * @param body an event (MS-WMSP 2.2.2.9)
   * @param agent the User-Agent of that client
   */
  forward?(body: Buffer, agent: string): void;
  destroy(): void;
}

/** A way to a source: a protocol, a transport, a host. */
export interface Way<F extends SourceFacts = SourceFacts> {
  /** For messages. */
  readonly name: string;
  connect(context: LinkContext): PullLink<F>;
  /** The maximum wait for {@link PullLink.open}, in ms; default: that of the link. */
  readonly openWithin?: number | undefined;
  /** The maximum wait for the first packet, in ms: datagrams fail after play, not at open. Default: unlimited. */
  readonly firstPacketWithin?: number | undefined;
  /** True if it is tried even if a way before it says that there is no such content. Default: false. */
  readonly evenIfMissing?: boolean | undefined;
}
