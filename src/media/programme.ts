import { sameLayout } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import type { AsfEvent, AsfSource, EndEvent } from './events.js';
import { type Clock, Pacer, systemClock } from './pacing.js';
import { PacketClock } from './packet-clock.js';
import type { Playlist, PlaylistCursor, PlaylistMedia } from './playlist.js';
import { SingleReading, withEnd } from './source.js';
import { Timeline } from './timeline.js';

/** An entry of a programme. @public */
export type ProgrammeEntry<S> = PlaylistMedia<S> & { readonly duration?: number };

/** An entry that has been opened. @public */
export interface OpenedEntry {
  readonly source: AsfSource;
  /** True if the source sets the pace itself, as live streams do. */
  readonly live: boolean;
  /** Equal for entries that play the same media in the same way, which become one continuous stream in a row. */
  readonly key?: string | undefined;
}

/** What is played in one round. @public */
export interface ProgrammeRound<S> {
  readonly playlist: Playlist<S>;
  /** True to ask for another round after this one; false if the programme ends with the playlist. */
  readonly again: boolean;
}

/** @public */
export interface ProgrammeOptions<S> {
  /** Reads what to play, at the start of each round. */
  readonly round: () => Promise<ProgrammeRound<S>>;
  /** Called when an entry cannot be opened, or breaks off; the next one follows. */
  readonly onSkipped?: ((error: unknown, entry: ProgrammeEntry<S>) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/** Opens one of the sources of an entry. @public */
export type OpenEntry<S> = (source: S, entry: ProgrammeEntry<S>) => OpenedEntry | Promise<OpenedEntry>;

const MORE: EndEvent = { type: 'end', moreEntries: true, reason: 1 };
/** Paced packets leave up to this much early, in ms, so that several go out together. */
const EARLY = 100;
/** Least time from one entry to the next, in ms, so that a programme of tiny files does not keep the disk busy. */
const SHORTEST_ENTRY = 200;
/** The maximum number of injected entries that wait. */
const MAX_INJECTED = 1_000;

/**
 * A playlist that is played once for everybody, at its own pace: all who take it are at the same moment of the same
 * entry. Entries follow one another as an encoder sends them (MS-WMHTTP 3.1.4.4): an end that announces more entries,
 * then the next header.
 *
 * @public
 */
export class Programme<S> {
  readonly #options: ProgrammeOptions<S>;
  readonly #injected: ProgrammeEntry<S>[] = [];

  constructor(options: ProgrammeOptions<S>) {
    this.#options = options;
  }

  /**
   * Plays an entry after the current one; then the playlist continues. Entries that are injected together play in their
   * order. An entry that is injected while nothing runs is the first of the next run.
   *
   * @returns false if too many entries are waiting
   */
  inject(entry: ProgrammeEntry<S>): boolean {
    return this.#injected.length < MAX_INJECTED && this.#injected.push(entry) > 0;
  }

  /**
   * Plays the programme from its beginning. It ends with its playlist, or never.
   *
   * The iteration throws, after an end event if there was a header:
   * @throws what the last entry failed with, once a whole round of entries could not be played; what `round` throws
   */
  run(open: OpenEntry<S>): AsfSource {
    return new Run({ clock: systemClock, ...this.#options }, this.#injected, open);
  }
}

type RunOptions<S> = ProgrammeOptions<S> & { readonly clock?: Clock | undefined };

/** One run of a programme. */
class Run<S> implements AsfSource {
  readonly #options: RunOptions<S>;
  readonly #clock: Clock;
  readonly #injected: ProgrammeEntry<S>[];
  readonly #open: OpenEntry<S>;
  readonly #closed = new AbortController();
  readonly #reading = new SingleReading();
  #current: AsfSource | undefined;
  #header: AsfHeader | undefined;
  #key: string | undefined;
  #pacer: Pacer;
  /** When the current header's packets begin, in ms of the programme. */
  #base = 0;
  #stretch = new Stretch();

  constructor(options: RunOptions<S>, injected: ProgrammeEntry<S>[], open: OpenEntry<S>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#injected = injected;
    this.#open = open;
    this.#pacer = this.#newPacer();
  }

  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    this.#reading.begin();
    return withEnd(this.#events(), () => this.#header !== undefined);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#current?.close();
  }

  get #isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  #newPacer(): Pacer {
    return new Pacer(this.#clock, { early: EARLY });
  }

  async *#events(): AsyncGenerator<AsfEvent, void, undefined> {
    for (let again = true; again && !this.#isClosed; ) {
      const round = await this.#options.round();
      again = round.again;
      yield* this.#round(round.playlist);
    }
  }

  async *#round(playlist: Playlist<S>): AsyncGenerator<AsfEvent, void, undefined> {
    const cursor = playlist.cursor();
    let failures = 0;
    let failure: unknown;
    const failed = (error: unknown, entry: ProgrammeEntry<S>) => {
      if (this.#isClosed) return;
      failure = error;
      this.#options.onSkipped?.(error, entry);
    };
    while (!this.#isClosed) {
      const injected = this.#injected.shift();
      const entry = injected ?? cursor.current;
      if (!entry) break;
      const plays = yield* this.#entry(entry, failed);
      if (plays) failures = 0;
      else if (!injected) failures++;
      if (!injected) advance(cursor, plays);
    }
    const isHopeless = failures >= playlist.entryCount;
    if (isHopeless && failure !== undefined && !this.#isClosed) throw failure;
  }

  /** Plays the first source of an entry that works. @returns true if there were packets */
  async *#entry(
    entry: ProgrammeEntry<S>,
    failed: (error: unknown, entry: ProgrammeEntry<S>) => void,
  ): AsyncGenerator<AsfEvent, boolean, undefined> {
    const beganAt = this.#clock.now();
    if (entry.delay !== undefined && entry.delay > 0) await this.#pause(entry.delay);
    for (const source of entry.sources) {
      if (this.#isClosed) return false;
      let plays = false;
      try {
        for await (const event of this.#opened(await this.#open(source, entry), entry.dur)) {
          plays ||= event.type === 'packet';
          yield event;
        }
      } catch (error) {
        failed(error, entry);
      }
      if (!plays) continue;
      const left = SHORTEST_ENTRY - (this.#clock.now() - beganAt);
      if (left > 0 && !this.#isClosed) await this.#clock.sleep(left, this.#closed.signal);
      return true;
    }
    return false;
  }

  /** Waits until the previous entry is over, and then for a time in ms. */
  async #pause(delay: number): Promise<void> {
    await this.#pacer.wait(this.#base + this.#stretch.length, this.#closed.signal);
    if (delay > 0 && !this.#isClosed) await this.#clock.sleep(delay, this.#closed.signal);
    this.#pacer = this.#newPacer();
  }

  /** @param dur how long a live source plays, in ms */
  async *#opened({ source, live, key }: OpenedEntry, dur?: number): AsyncGenerator<AsfEvent, void, undefined> {
    this.#current = source;
    const over = new AbortController();
    let header: AsfHeader | undefined;
    let mayJoin = key !== undefined && key === this.#key;
    try {
      if (live) await this.#pause(0);
      if (this.#isClosed) return;
      if (live && dur !== undefined) void this.#clock.sleep(dur, over.signal).then(() => source.close());
      for await (const event of source) {
        if (this.#isClosed) return;
        if (event.type === 'header') header = event.header;
        if (event.type !== 'packet') continue;
        if (header) {
          // A header counts only with its first packet, so that an empty file leaves no trace.
          if (mayJoin && this.#header && sameLayout(this.#header, header)) this.#stretch.timeline.restart();
          else yield* this.#begin(header);
          mayJoin = false;
          header = undefined;
          this.#key = key;
        }
        const packet = this.#stretch.packet(event.packet);
        if (!live) await this.#pacer.wait(this.#base + this.#stretch.time, this.#closed.signal);
        if (this.#isClosed) return;
        yield { type: 'packet', packet };
      }
    } finally {
      this.#current = undefined;
      over.abort();
      if (live) this.#pacer = this.#newPacer();
      await source.close();
    }
  }

  *#begin(header: AsfHeader): Generator<AsfEvent, void, undefined> {
    if (this.#header) yield MORE;
    this.#header = header;
    this.#base += this.#stretch.length;
    this.#stretch = new Stretch();
    yield { type: 'header', header };
  }
}

/** The packets under one header: the same file again and again goes on in times and numbers. */
class Stretch {
  readonly timeline = new Timeline();
  readonly #clock = new PacketClock();
  #first: number | undefined;

  packet(packet: DataPacket): DataPacket {
    const placed = this.timeline.packet(packet);
    this.#clock.of(placed);
    if (this.#first === undefined) {
      const times = placed.payloads.map(({ presentationTime }) => presentationTime).filter((time) => time >= 0);
      if (times.length > 0) this.#first = Math.min(...times);
    }
    return placed;
  }

  /** When the last packet is due, in ms after the first. */
  get time(): number {
    return this.#clock.now;
  }

  /** How long it plays, in ms: up to the end of its last object. */
  get length(): number {
    const { end } = this.timeline;
    const shown = end === undefined || this.#first === undefined ? 0 : (end - this.#first) | 0;
    return Math.max(this.time, shown);
  }
}

function advance<S>(cursor: PlaylistCursor<S>, plays: boolean): void {
  if (plays) cursor.next();
  else cursor.fail();
}
