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
 * The states of a session. `ready`: nothing is sent, but the session knows what and where it would play; `starting`: an
 * operation is looking for the place to send from; `waiting`: an entry was announced, and the player has to say whether
 * to go on.
 */
export type PlaybackState = 'init' | 'ready' | 'starting' | 'playing' | 'waiting';

/** An entry, or another header, that follows the player's data. */
export interface EntryChange {
  readonly header: AsfHeader;
  readonly entry: Entry;
  /** The streams that the player will get of it, as the server predicts them. */
  readonly selection: StreamSelection;
  /** The number of the next unit. */
  readonly number: number;
  /** `header`: the entry continues under another header. */
  readonly cause: 'next' | 'previous' | 'header';
  /** True if the player has confirmed the previous entry: it asked for it, or chose its streams. */
  readonly confirmed: boolean;
}

/**
 * `wait`: the player was told and says when to go on; `later`: it could not be told yet, and the port is asked again.
 */
export type ChangeAnswer = 'go on' | 'wait' | 'later';

/** The details of a start. */
export interface Started {
  /** The number of the first unit, unbounded. */
  readonly number: number;
  /**
   * The number of the first packet in the (virtual) ASF file; undefined for a broadcast that waits for its next key
   * frame.
   */
  readonly location: number | undefined;
  /** In ms from the start of a file; undefined for a broadcast, and if the player named a packet. */
  readonly position: number | undefined;
  /** As granted. */
  readonly pace: Pace;
  /** The startup profile that the player needs to start early, if it asked for one and it is known. */
  readonly profile: StartupProfile | undefined;
}

/**
 * Why a player gets nothing more for now. `rewound`: playing backwards, it reached the start of an entry; `kicked`: an
 * operator ended the session.
 */
export type Ending = 'done' | 'more-follows' | 'rewound' | 'failed' | 'kicked';

/** When another entry may be announced to a player. */
export interface ChangeTimes {
  /** How far the player lags, in ms, in playing the data that it has. */
  readonly lag: number;
  /** In ms, how long nothing changes after the player chose streams. */
  readonly quietAfterSelect: number;
  /** True if no entry is announced to it before it has confirmed the last one. */
  readonly confirmFirst: boolean;
}

/** One player's connection, as the session sees it: the interface that a protocol implements. */
export interface PlaybackPort {
  /** Where the player's units go. Read at each use, because it may change when the player reconnects. */
  readonly output: PlayerOutput;
  /** Returns how packets are written from now on; called at each start. @param header the header of the content */
  wire(header: AsfHeader): WireFormat;
  /** Tells the player that another entry, or another header, follows. */
  announce(change: EntryChange): ChangeAnswer;
  /** Called before the first byte of every start. */
  starting(first: Started): void;
  /**
   * Tells the player that nothing more comes. If the output sends datagrams, this is called once it is drained; on a
   * byte stream, data written now follows the rest anyway.
   *
   * @param number the number of the unit that would be next
   * @param reason the HRESULT that the source gave, or 0
   */
  ended(how: Ending, number: number, reason: number): void;
  /** Called when the session enters a state, or enters the same state again. */
  entered?(state: PlaybackState): void;
  readonly changes: ChangeTimes;
}

/** The services that a server offers its sessions. */
export interface PlaybackHost {
  readonly ticker: Ticker;
  /** Returns the time of a clock in ms. */
  now(): number;
  /** How far ahead of time packets of files may be sent, in ms. */
  readonly ahead: number | undefined;
  readonly limits: PaceLimits;
  readonly ready: ReadySessions;
  readonly resends: ResendBudget;
  /** The sessions that are sent something. */
  readonly playing: Set<AdaptingSession>;
  /** Counts a write of packets of a file. @param late true if one of them was due more than 500 ms before */
  sent?(late: boolean): void;
  /** Reports an error that no player caused. */
  failed(error: unknown): void;
}
