import type { AsfHeader } from '../asf/header.js';
import type { WmError } from '../errors.js';
import type { Broadcast } from '../media/broadcast.js';
import type { EndEvent } from '../media/events.js';
import { buffers } from '../media/on-demand/buffer-pool.js';
import { OnDemandFlow, type Ticker } from '../media/on-demand/flow.js';
import type { OnDemandItem } from '../media/on-demand/options.js';
import type { OnDemandReader } from '../media/on-demand/reader.js';
import type { Player } from '../media/player.js';
import { oneUnit, type PlayerOutput, type PlayerSession, type Wanted } from '../media/wire.js';
import { laneChoice } from '../playback/lane-choice.js';
import { choiceOf, type StreamSelection } from '../playback/selection.js';
import { dataPacketsSize, dataWire, writeDataPackets } from './packets.js';
import type { ClientProfile } from './profiles.js';

/** What carries the $D packets of one entry to one player. */
export interface Feed {
  /** Number of the next packet, unbounded; AFFlags has its lowest byte. */
  readonly number: number;
  readonly packets: { readonly sent: number; readonly skipped: number };
  start(): void;
  /** Another choice of streams: one that is turned on begins at a key frame (MS-WMSP 3.2.5.7). */
  select(selection: StreamSelection): void;
  stop(): void;
}

/** What a feed tells its session. */
export interface FeedListener {
  /** The broadcast goes on under another header. @returns the selection for it, or undefined to send nothing for now */
  changed(header: AsfHeader): StreamSelection | undefined;
  /** The entry is over. @param reason 0, or the HRESULT for $E */
  ended(reason: number): void;
}

export interface LiveFeedOptions {
  readonly broadcast: Broadcast;
  readonly output: PlayerOutput;
  readonly padding: ClientProfile['padding'];
  readonly selection: StreamSelection;
  readonly number: number;
  readonly listener: FeedListener;
}

/** A broadcast, as one player gets it. */
export class LiveFeed implements Feed, PlayerSession {
  readonly output: PlayerOutput;
  readonly #options: LiveFeedOptions;
  #player: Player | undefined;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
    this.output = options.output;
  }

  get number(): number {
    return this.#player?.number ?? this.#options.number;
  }

  get packets(): { sent: number; skipped: number } {
    return { sent: this.#player?.sent ?? 0, skipped: this.#player?.skipped ?? 0 };
  }

  start(): void {
    const { broadcast, selection, number } = this.#options;
    const { choice, wire } = this.#wanted(broadcast.header!, selection);
    this.#player = broadcast.join(this, choice, wire, { number });
  }

  select(selection: StreamSelection): void {
    const { broadcast } = this.#options;
    if (this.#player) broadcast.change(this.#player, laneChoice(broadcast.header!, selection));
  }

  stop(): void {
    if (this.#player) this.#options.broadcast.leave(this.#player);
  }

  changed(header: AsfHeader): Wanted | undefined {
    const selection = this.#options.listener.changed(header);
    return selection && this.#wanted(header, selection);
  }

  ended({ reason }: EndEvent): void {
    this.#options.listener.ended(reason);
  }

  #wanted(header: AsfHeader, selection: StreamSelection): Wanted {
    return { choice: laneChoice(header, selection), wire: dataWire(header.packetSize, this.#options.padding) };
  }
}

export interface FileFeedOptions {
  readonly reader: OnDemandReader;
  readonly output: PlayerOutput;
  readonly ticker: Ticker;
  /** A clock in ms. */
  readonly now: () => number;
  /** Milliseconds by which packets may leave before they are due. */
  readonly ahead: number | undefined;
  /** Milliseconds of media that leave at once; default the preroll and some seconds. */
  readonly burst: number | undefined;
  /** Set the B bit of packets behind which the next one follows without a pause. */
  readonly marksUnpaced: boolean;
  readonly rate: number;
  readonly speed: number | undefined;
  readonly acceleration: { readonly bitsPerSecond: number; readonly milliseconds: number } | undefined;
  readonly number: number;
  readonly listener: FeedListener;
  readonly onError: (error: WmError) => void;
}

/** $E Reason: rewinding came to the start of the entry (MS-WMSP 2.2.3.4). */
export const REWOUND = 0x000d2f09;
/** $E Reason: the entry cannot be sent on (E_UNEXPECTED). */
export const UNEXPECTED = 0x8000ffff;

/** A file, as one player gets it. */
export class FileFeed implements Feed {
  readonly #options: FileFeedOptions;
  readonly #flow: OnDemandFlow;
  #sent = 0;

  constructor(options: FileFeedOptions) {
    this.#options = options;
    const { reader, output, ticker, now, rate, ahead, burst, speed, acceleration, listener } = options;
    this.#flow = new OnDemandFlow({
      reader,
      ticker,
      now,
      rate,
      ...(ahead === undefined ? {} : { ahead }),
      ...(burst === undefined ? {} : { burst }),
      ...(speed === undefined ? {} : { speed }),
      ...(acceleration === undefined ? {} : { acceleration }),
      output: {
        write: (items, more) => this.#write(items, more),
        get backlog() {
          return output.backlog;
        },
      },
      onEnd: ({ rewound }) => listener.ended(rewound ? REWOUND : 0),
      onError: (error) => {
        options.onError(error);
        listener.ended(UNEXPECTED);
      },
    });
  }

  get number(): number {
    return this.#options.number + this.#sent;
  }

  get packets(): { sent: number; skipped: number } {
    return { sent: this.#sent, skipped: 0 };
  }

  #write(items: readonly OnDemandItem[], more: boolean): void {
    const size = dataPacketsSize(items);
    const room = buffers.take(size);
    const unpaced = this.#options.marksUnpaced ? items.length - (more ? 0 : 1) : 0;
    writeDataPackets(room, items, this.number & 255, unpaced);
    this.#sent += items.length;
    this.#options.output.put(oneUnit(room.subarray(0, size)), () => buffers.give(room));
  }

  start(): void {
    this.#flow.start();
  }

  select(selection: StreamSelection): void {
    this.#options.reader.choose(choiceOf(selection));
  }

  stop(): void {
    this.#flow.stop();
  }
}
