import type { AsfHeader } from '../asf/header.js';
import type { Broadcast } from '../media/broadcast.js';
import type { EndEvent } from '../media/events.js';
import type { Player } from '../media/group.js';
import { lateness } from '../media/lateness.js';
import {
  type FirstPacket,
  type HeaderCause,
  NOWHERE,
  type PlayerOutput,
  type PlayerSession,
  type SentUnit,
  type Wanted,
  type WireFormat,
} from '../media/wire.js';
import type { Feed, FeedListener, KeepsUp, PacketCounts } from './feed.js';
import { rateOf } from './ladder.js';
import { laneChoice } from './lane-choice.js';
import { liveStartupProfile } from './live-profile.js';
import type { Place } from './place.js';
import type { PlaybackPort, Started } from './port.js';
import type { StreamSelection } from './selection.js';

/** The events that the feed of a broadcast reports to its session. */
export interface LiveListener extends FeedListener {
  /** Called before the player gets its first packet. */
  feedStarts(first: Started): void;
  /**
   * Called when the broadcast continues under another header.
   * @returns the choice of streams, or undefined if the feed was stopped
   */
  feedChanged(header: AsfHeader, cause: HeaderCause): StreamSelection | undefined;
}

/** A live entry on its way to one player. */
export interface LiveFeedOptions {
  readonly broadcast: Broadcast;
  readonly port: PlaybackPort;
  readonly header: AsfHeader;
  readonly selection: StreamSelection;
  /** The number of the first unit; default: as the broadcast numbers them. */
  readonly number: number | undefined;
  /** How it is sent; an acceleration applies only to the history of the broadcast. */
  readonly place: Place;
  readonly listener: LiveListener;
}

/**
 * What may wait in the connection of a player, in ms of its streams and in bytes. Whatever is there is sent as it is, so
 * the less there is, the sooner does another choice of streams help a slow player.
 */
const ROOM = 500;
const [LEAST_ROOM, MOST_ROOM] = [16 * 1024, 1024 * 1024];

/** Sends a broadcast to one player. */
export class LiveFeed implements Feed, PlayerSession {
  readonly position = undefined;
  readonly #options: LiveFeedOptions;
  #header: AsfHeader;
  #selection: StreamSelection;
  #player: Player | undefined;
  #stopped = false;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
    this.#header = options.header;
    this.#selection = options.selection;
  }

  get output(): PlayerOutput {
    return this.#stopped ? NOWHERE : this.#options.port.output;
  }

  get number(): number {
    return this.#player?.number ?? this.#options.number ?? 0;
  }

  get packets(): PacketCounts {
    return { sent: this.#player?.sent ?? 0, skipped: this.#player?.skipped ?? 0 };
  }

  get takesLive(): boolean {
    return this.output.framing === 'stream';
  }

  keepsUp(): KeepsUp {
    if (!this.#player || !this.takesLive) return { late: 0 };
    const { late, isOld } = lateness(this.#player);
    return { late, switching: isOld || this.#player.successor !== undefined };
  }

  start(): void {
    const { broadcast, number, place } = this.#options;
    const choice = laneChoice(this.#header, this.#selection);
    const lead = place.pace.acceleration?.milliseconds;
    const options = {
      header: this.#header,
      ...(number === undefined ? {} : { number }),
      ...(lead === undefined ? {} : { lead }),
    };
    this.#player = broadcast.join(this, choice, this.#wire, options);
    this.#makeRoom();
    // An event reported while it started may have ended it.
    if (this.#stopped) broadcast.leave(this.#player);
    else broadcast.goOn(this.#player);
  }

  select(selection: StreamSelection): void {
    this.#selection = selection;
    this.#makeRoom();
    if (this.#player) this.#options.broadcast.change(this.#player, laneChoice(this.#header, selection));
  }

  rewire(wire: WireFormat): void {
    if (this.#player) this.#options.broadcast.rewire(this.#player, wire);
  }

  recent(number: number): SentUnit | undefined {
    return this.#player?.recent(number);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#player) this.#options.broadcast.leave(this.#player);
  }

  forget(): void {
    this.#player = undefined;
  }

  starting({ number, location, lead }: FirstPacket): void {
    if (this.#stopped) return;
    const { broadcast, place, listener } = this.#options;
    const { acceleration, ...rest } = place.pace;
    // Only the history can be sent faster than real time.
    const milliseconds = Math.min(acceleration?.milliseconds ?? 0, lead);
    const granted = acceleration && milliseconds > 0 ? { acceleration: { ...acceleration, milliseconds } } : {};
    const profile =
      place.profiled && location !== undefined && milliseconds > 0
        ? liveStartupProfile(broadcast, this.#header, this.#selection, location, milliseconds)
        : undefined;
    listener.feedStarts({ number, location, position: undefined, pace: { ...rest, ...granted }, profile });
  }

  changed(header: AsfHeader, cause: HeaderCause): Wanted | undefined {
    const selection = this.#options.listener.feedChanged(header, cause);
    if (!selection || this.#stopped) return undefined;
    this.#header = header;
    this.#selection = selection;
    this.#makeRoom();
    return { choice: laneChoice(header, selection), wire: this.#wire };
  }

  ended({ reason }: EndEvent): void {
    if (!this.#stopped) this.#options.listener.feedEnded('end', reason);
  }

  #makeRoom(): void {
    if (!this.#player || this.output.framing === 'datagrams') return;
    const bytes = (rateOf(this.#selection, this.#header) * ROOM) / 8_000;
    this.#player.room = Math.min(Math.max(bytes, LEAST_ROOM), MOST_ROOM);
  }

  get #wire(): WireFormat {
    return this.#options.port.wire(this.#header);
  }
}
