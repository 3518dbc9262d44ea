import type { AsfHeader } from '../asf/header.js';
import type { Ticker } from '../media/on-demand/flow.js';
import type { StartupProfile } from '../media/on-demand/options.js';
import type { PlayerOutput, WireFormat } from '../media/wire.js';
import type { AdaptingSession } from './adaptation.js';
import type { Entry } from './entry.js';
import type { Pace, PaceLimits } from './pace.js';
import type { ReadySessions } from './ready.js';
import type { StreamSelection } from './selection.js';
import type { ResendBudget } from './sent-ring.js';

/**
 * The states of a session. `ready`: nothing is sent, but it knows what and where it would; `starting`: an operation looks for the
 * place to send from; `waiting`: the player was told of an entry and has to say whether it goes on.
 */
export type PlaybackState = 'init' | 'ready' | 'starting' | 'playing' | 'waiting';

/** What comes after what a player has. */
export interface EntryChange {
  readonly header: AsfHeader;
  readonly entry: Entry;
  /** The streams that the player will get of it, as the server predicts them. */
  readonly selection: StreamSelection;
  /** Number of the next unit. */
  readonly number: number;
  /** `header`: the entry goes on under another header. */
  readonly cause: 'next' | 'previous' | 'header';
  /** True if the player has confirmed the entry before this one: it asked for it, or chose its streams. */
  readonly confirmed: boolean;
}

/** `wait`: the player has been told, and says when it goes on; `later`: it could not be told yet, and is asked again. */
export type ChangeAnswer = 'go on' | 'wait' | 'later';

/** How something starts that is sent. */
export interface Started {
  /** Number of the first unit, unbounded. */
  readonly number: number;
  /** Number of the first packet in the (virtual) ASF file; undefined for a broadcast whose next key frame has yet to come. */
  readonly location: number | undefined;
  /** Milliseconds from the start of a file; undefined for a broadcast, and when the player named a packet. */
  readonly position: number | undefined;
  /** As it was granted. */
  readonly pace: Pace;
  /** What the player needs to start early, if it asked for it and there is something to say. */
  readonly profile: StartupProfile | undefined;
}

/**
 * Why a player gets nothing more for now. `rewound`: it came to the start of an entry backwards; `kicked`: an operator ended the
 * session.
 */
export type Ending = 'done' | 'more-follows' | 'rewound' | 'failed' | 'kicked';

/** When a player may be told of another entry. */
export interface ChangeTimes {
  /** Milliseconds that the player is behind with what it has. */
  readonly lag: number;
  /** Milliseconds for which nothing changes after the player chose streams. */
  readonly quietAfterSelect: number;
  /** It is told of no entry before it has confirmed the last one. */
  readonly confirmFirst: boolean;
}

/** One player's connection, as the session sees it: what a protocol has to implement. */
export interface PlaybackPort {
  /** Where the player's units go. Asked for at each use: it may be another one after the player has reconnected. */
  readonly output: PlayerOutput;
  /** How packets are written from now on; asked for at each start. @param header of what is sent */
  wire(header: AsfHeader): WireFormat;
  /** Tells the player that another entry, or another header, follows. */
  announce(change: EntryChange): ChangeAnswer;
  /** Something is about to be sent: called before the first byte of every start. */
  starting(first: Started): void;
  /**
   * Tells the player that nothing more comes. Called once the output has let out what was put, if it sends datagrams; on a byte
   * stream what is written now comes after that anyway.
   *
   * @param number of the unit that would be next
   * @param reason the HRESULT that the source gave; 0 for none
   */
  ended(how: Ending, number: number, reason: number): void;
  /** The session is in another state, or begins the same again. */
  entered?(state: PlaybackState): void;
  readonly changes: ChangeTimes;
}

/** What sessions need of their server. */
export interface PlaybackHost {
  readonly ticker: Ticker;
  /** A clock in ms. */
  now(): number;
  /** Milliseconds by which packets of files may leave before they are due. */
  readonly ahead: number | undefined;
  readonly limits: PaceLimits;
  readonly ready: ReadySessions;
  readonly resends: ResendBudget;
  /** The sessions that are sent a broadcast. */
  readonly live: Set<AdaptingSession>;
  /** Something failed that no player caused. */
  failed(error: unknown): void;
}
