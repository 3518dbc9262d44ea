import type { AsfHeader } from '../asf/header.js';
import { buffers } from '../media/on-demand/buffer-pool.js';
import { OnDemandFlow, type OnDemandOutput } from '../media/on-demand/flow.js';
import { framed, type HeadedFormat } from '../media/on-demand/framed.js';
import type { OnDemandItem } from '../media/on-demand/options.js';
import type { PageStretch } from '../media/on-demand/page.js';
import type { OnDemandReader } from '../media/on-demand/reader.js';
import type { SentUnit } from '../media/wire.js';
import { unitsOf, type WireFormat } from '../media/wire.js';
import type { FileEntry } from './entry.js';
import type { Feed, FeedListener, KeepsUp, PacketCounts } from './feed.js';
import type { Place } from './place.js';
import type { PlaybackHost, PlaybackPort } from './port.js';
import { choiceOf, type StreamSelection } from './selection.js';
import type { SentRing } from './sent-ring.js';

/** An entry of a file on its way to one player. */
export interface FileFeedOptions {
  readonly entry: FileEntry;
  readonly place: Place;
  readonly port: PlaybackPort;
  readonly header: AsfHeader;
  readonly selection: StreamSelection;
  /** The number of the first unit. */
  readonly number: number;
  readonly listener: FeedListener;
  readonly host: PlaybackHost;
}

// How far ahead datagrams may be sent, in ms: their receivers have smaller buffers than those of a connection.
const DATAGRAMS_AHEAD = 1000;
// Byte streams do not need the ends of units.
const NO_ENDS: readonly number[] = [];

/** Sends a file to one player. */
export class FileFeed implements Feed {
  readonly takesLive = false;
  readonly #options: FileFeedOptions;
  readonly #reader: OnDemandReader;
  readonly #flow: OnDemandFlow;
  readonly #ring: SentRing | undefined;
  #wire: WireFormat;
  #number: number;
  #sent = 0;

  constructor(options: FileFeedOptions) {
    const { entry, place, port, header, selection, number, listener, host } = options;
    const { rate, speed, acceleration, start, limit } = place.pace;
    this.#options = options;
    this.#number = number;
    this.#wire = port.wire(header);
    const isPaced = port.output.framing === 'datagrams';
    const ahead = host.ahead ?? (isPaced ? DATAGRAMS_AHEAD : undefined);
    this.#ring = isPaced ? host.resends.ring(host.now) : undefined;
    this.#reader = entry.file.reader({
      from: place.from,
      exact: start === undefined,
      rate,
      choice: choiceOf(selection),
      padding: 'cut',
      ...(limit ? { maxDuration: limit.milliseconds } : {}),
      ...(limit?.start === undefined ? {} : { start: limit.start }),
    });
    this.#leaveGaps();
    this.#flow = new OnDemandFlow({
      reader: this.#reader,
      ticker: host.ticker,
      now: host.now,
      rate,
      ...(ahead === undefined ? {} : { ahead }),
      ...(place.burst === undefined ? {} : { burst: place.burst }),
      ...(speed === undefined ? {} : { speed }),
      ...(acceleration === undefined ? {} : { acceleration }),
      output: new FeedOutput(
        port,
        (items, more) => this.#write(items, more),
        (stretch, more) => this.#writePage(stretch, more),
      ),
      onSend: (late) => host.sent?.(late),
      onEnd: ({ rewound }) => listener.feedEnded(rewound ? 'rewound' : 'end', 0),
      onError: (error) => {
        host.failed(error);
        listener.feedEnded('failed', 0);
      },
    });
  }

  get number(): number {
    return this.#number;
  }

  get packets(): PacketCounts {
    return { sent: this.#sent, skipped: 0 };
  }

  keepsUp(): KeepsUp {
    return { late: this.#flow.late };
  }

  get position(): number {
    return this.#reader.position;
  }

  start(): void {
    this.#flow.start();
  }

  select(selection: StreamSelection): void {
    this.#reader.choose(choiceOf(selection));
  }

  rewire(wire: WireFormat): void {
    this.#wire = wire;
    this.#leaveGaps();
  }

  recent(number: number): SentUnit | undefined {
    return this.#ring?.find(number);
  }

  stop(): void {
    this.#flow.stop();
  }

  forget(): void {
    this.#ring?.clear();
  }

  /** Lets the reader return pages if the format writes heads before packets, and nobody asks for packets again. */
  #leaveGaps(): void {
    this.#reader.gap = this.#ring ? undefined : this.#wire.head?.size;
  }

  #writePage(stretch: PageStretch, more: boolean): void {
    const { page, from, to } = stretch;
    const wire = this.#wire;
    if (!isHeaded(wire) || wire.head.size !== page.gap) {
      // The format changed after the page was requested.
      this.#write(page.items(from, to), more);
      return;
    }
    const { bytes, release } = framed(stretch, wire, this.#number, more);
    const count = page.order(to) - page.order(from);
    this.#number += count;
    this.#sent += count;
    this.#options.port.output.put({ bytes, ends: NO_ENDS }, release);
  }

  /**
   * Writes items, whose bytes are valid only during the call. Their copies are released once the output has sent them.
   */
  #write(items: readonly OnDemandItem[], more: boolean): void {
    const { output } = this.#options.port;
    const wire = this.#wire;
    let size = 0;
    for (const item of items) {
      for (let unit = unitsOf(wire, item) - 1; unit >= 0; unit--) size += wire.size(item, unit);
    }
    const room = buffers.take(size);
    const ends: number[] | undefined = output.framing === 'datagrams' ? [] : undefined;
    let at = 0;
    for (const [index, item] of items.entries()) {
      const packet = { location: item.location, bytes: item.bytes, followed: more || index < items.length - 1 };
      const units = unitsOf(wire, packet);
      this.#ring?.add(this.#number, units, packet);
      for (let unit = 0; unit < units; unit++) {
        at += wire.write(room, at, packet, unit, this.#number++);
        ends?.push(at);
      }
    }
    this.#sent += items.length;
    output.put({ bytes: room.subarray(0, size), ends: ends ?? NO_ENDS }, () => buffers.give(room));
  }
}

function isHeaded(wire: WireFormat): wire is HeadedFormat {
  return wire.head !== undefined;
}

/** The output of a port, for a flow. */
class FeedOutput implements OnDemandOutput {
  readonly write: OnDemandOutput['write'];
  readonly writePage: (stretch: PageStretch, more: boolean) => void;
  readonly #port: PlaybackPort;

  constructor(
    port: PlaybackPort,
    write: OnDemandOutput['write'],
    writePage: (stretch: PageStretch, more: boolean) => void,
  ) {
    this.#port = port;
    this.write = write;
    this.writePage = writePage;
  }

  get backlog(): number {
    return this.#port.output.backlog;
  }
}
