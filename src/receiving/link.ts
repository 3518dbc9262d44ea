import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import { WmError } from '../errors.js';
import type { Received } from './received.js';

/** What a link finds when it opens. */
export interface SourceFacts {
  /** Otherwise it can be asked for from any place. */
  readonly live: boolean;
  /** With all streams. */
  readonly header: AsfHeader;
  /** Measured, in bits per second. */
  readonly bandwidth?: number | undefined;
  /** The header's count of packets is that of everything: no other playlist entry follows. */
  readonly single: boolean;
  /** The same link can play again, after a pause, a seek or a break. */
  readonly resumable: boolean;
}

/** What is wanted of a link, as of now. */
export interface Wish {
  /** That of what comes at present, with all streams. */
  readonly header: AsfHeader;
  /** Its streams that are taken. */
  readonly chosen: ReadonlySet<number>;
  readonly live: boolean;
  /** Milliseconds from the start of the content. */
  readonly startTime: number;
  /** Number of an ASF packet; goes before `startTime`. */
  readonly startPacket: number | undefined;
  /** Send time of the last packet that was passed on, ms: where to go on when packets have no numbers. */
  readonly lastSendTime: number | undefined;
  /** What the link called the entry that the position is in; undefined at the start of one. */
  readonly entry: number | undefined;
  readonly rate: number;
  /** Milliseconds of media that are still wanted; 0 all. */
  readonly maxDuration: number;
}

/** What comes over a link. */
export type LinkEvent =
  /** @property announced of another entry, even when it is the same. @property entry what the link calls it */
  | { readonly type: 'header'; readonly header: AsfHeader; readonly announced: boolean; readonly entry?: number }
  /** An ASF data packet as it came. @property location its number in the content, if the protocol has one */
  | { readonly type: 'packet'; readonly bytes: Buffer; readonly location?: number | undefined }
  | { readonly type: 'parsed'; readonly packet: DataPacket; readonly location?: number | undefined }
  /** Packets that could not be read, and were left out below. */
  | { readonly type: 'damaged'; readonly packets: number };

/** What a source knows that its links need. */
export interface LinkContext {
  readonly received: Received;
  readonly header: AsfHeader | undefined;
  readonly reconnects: number;
}

/** The server says that it failed; there is more, but not from it. */
export class ServerFailure extends WmError {
  constructor(message: string) {
    super('WM_SERVER_GONE', message);
    this.name = 'ServerFailure';
  }
}

/** What was lost on the way, as far as the protocol tells. */
export interface Losses {
  readonly lost: number;
  readonly recovered: number;
  readonly parity: number;
}

/**
 * One session with a server, of any protocol. A method of a link that was destroyed does nothing, and what is under way ends.
 */
export interface PullLink<F extends SourceFacts = SourceFacts> {
  readonly losses?: Losses;
  /** Asks what there is. @throws WmError */
  open(): Promise<F>;
  /**
   * Plays, as often as it is called if it is resumable. Arrays hold what came at once. A link that has to answer a header ends the array
   * with it: when it is asked for the next one, the wish says which streams were chosen.
   *
   * @returns `ended` after the last entry, `stopped` after {@link pause}
   * @throws WmError
   */
  play(wish: () => Wish): AsyncGenerator<readonly LinkEvent[], 'ended' | 'stopped', undefined>;
  /** Ends {@link play}; the session is kept, and kept alive. */
  pause(): void;
  /** Ends {@link play} for good, with what the server is to be told. Undefined: as {@link destroy}. */
  stop?(): void;
  /** Waits, not long, for what the server still has to say; then as {@link destroy}. */
  finish?(): Promise<void>;
  /** Passes on what a client of this one reports: for proxies. @param body of an event (MS-WMSP 2.2.2.9) @param agent that client's */
  forward?(body: Buffer, agent: string): void;
  destroy(): void;
}

/** A way to a source: a protocol, a transport, a host. */
export interface Way<F extends SourceFacts = SourceFacts> {
  /** For people. */
  readonly name: string;
  connect(context: LinkContext): PullLink<F>;
  /** Longest wait for {@link PullLink.open}, ms; default: what the link has. */
  readonly openWithin?: number | undefined;
  /** Longest wait for the first packet, ms: datagrams fail after play, not at open. Default: none. */
  readonly firstPacketWithin?: number | undefined;
}
