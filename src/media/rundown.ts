import { WmError } from '../errors.js';
import type { AsfEvent, AsfSource } from './events.js';
import { type Clock, systemClock } from './pacing.js';
import { Feed } from './rundown-feed.js';
import type { RundownEntry, RundownOptions, RundownStatus } from './rundown-options.js';
import { RundownOutput } from './rundown-output.js';
import { SingleReading, withEnd } from './source.js';

export type { RundownEntry, RundownOptions, RundownStatus } from './rundown-options.js';

/** What is being opened to go on the air. */
interface Candidate {
  readonly index: number;
  readonly from: number;
  readonly feed: Feed;
  readonly asked?: { resolve(): void; reject(error: unknown): void } | undefined;
}

/** How long nothing may be on the air before the filler comes, in ms: the next source usually is there by then. */
const COVER_AFTER = 700;
/** Waits before a source is tried again, in ms. */
const RETRIES = [500, 1_000, 2_000, 4_000, 8_000, 10_000] as const;
const PATIENCE = 2_000;
/** How long the first source may take before the filler comes, in ms: whatever is first decides the size of the picture. */
const START_PATIENCE = 8_000;
/** The most entries of a list. */
const MOST_ENTRIES = 10_000;

/**
 * Plays sources in turn as one stream, and lets somebody switch between them while it is live. Sources with the same
 * streams become one stream under the first header: each begins at a key frame where the one before it ended, and times
 * keep rising. Sources with other streams are announced as a playlist's next entry (MS-WMHTTP 3.1.4.4). A source goes on
 * the air once it has data, until then the one before it continues, so a mistake never interrupts the broadcast.
 *
 * The iteration throws, after an end event if there was a header, the error of an entry if nothing could be played.
 *
 * @public
 */
export class Rundown implements AsfSource {
  readonly #options: RundownOptions;
  readonly #clock: Clock;
  readonly #reading = new SingleReading();
  readonly #entries: RundownEntry[];
  readonly #output: RundownOutput;
  #round = 1;
  #isFruitful = false;
  #failure: { readonly error: unknown } | undefined;
  #index = 0;
  /** Position of the current entry at which its feed was opened, in ms. */
  #from = 0;
  /** The feed of the current entry, even while something else is on the air. */
  #main: Feed | undefined;
  #cover: Feed | undefined;
  #candidate: Candidate | undefined;
  #onAir: Feed | undefined;
  /** A pause; its position counts once nobody waits for it to begin. */
  #paused: { readonly asked?: Candidate['asked']; readonly position: number } | undefined;
  #heardAt: number;
  #coverAt = 0;
  /** When the entry {@link #next} is tried again. */
  #retryAt: number | undefined;
  #next = 0;
  #retries = 0;
  #isOver = false;
  /** True if it ended by itself. */
  #hasPlayedOut = false;
  #changed: () => void = () => {};
  #hasChanged = false;

  constructor(options: RundownOptions) {
    if (options.entries.length === 0) throw new WmError('WM_USAGE', 'There is nothing to play.');
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#entries = [...options.entries];
    this.#output = new RundownOutput(this.#clock, (options.duration ?? Number.POSITIVE_INFINITY) * 1000);
    this.#heardAt = this.#clock.now();
  }

  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    this.#reading.begin();
    return withEnd(this.#events(), () => this.#output.started);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    this.#change();
    const ended = new WmError('WM_FAILED', 'The broadcast has ended.');
    this.#candidate?.asked?.reject(ended);
    this.#paused?.asked?.reject(ended);
    await Promise.all([this.#main, this.#cover, this.#candidate?.feed].map((feed) => feed?.close()));
  }

  get status(): RundownStatus {
    const entry = this.#entries[this.#index]!;
    return {
      state: this.#state,
      input: entry.name,
      number: this.#index + 1,
      position: Math.round(this.#position / 100) / 10,
      inputs: this.#entries.map(({ name }) => name),
      ...(this.#candidate && { next: this.#entries[this.#candidate.index]!.name }),
    };
  }

  /** Switches to the next entry. Resolves when it is on the air. @throws WmError WM_USAGE if it is the last one */
  next(): Promise<void> {
    const index = this.#following(this.#target);
    if (index === undefined) return refused(`${this.#entries[this.#target]!.name} is the last input.`);
    return this.#switch(index);
  }

  /** Switches to the previous entry. Resolves when it is on the air. @throws WmError WM_USAGE if it is the first one */
  previous(): Promise<void> {
    const index = this.#target - 1;
    if (index >= 0) return this.#switch(index);
    if (this.#rounds > 1) return this.#switch(this.#entries.length - 1);
    return refused(`${this.#entries[0]!.name} is the first input.`);
  }

  /**
   * Switches to an entry. Resolves when it is on the air.
   *
   * @param what its number, from 1, or another entry, which is inserted after the current one
   * @throws WmError WM_USAGE if there is no such entry; what it fails with if it cannot be opened, then the one on the
   *   air continues
   */
  play(what: number | RundownEntry): Promise<void> {
    if (typeof what !== 'number') {
      const index = this.#target + 1;
      if (!this.#add(what, index)) return refused('There are too many inputs.');
      return this.#switch(index).catch((error: unknown) => {
        this.#remove(what);
        throw error;
      });
    }
    if (!Number.isInteger(what) || what < 1 || what > this.#entries.length) {
      return refused(`There is no input ${what}; there are ${this.#entries.length}.`);
    }
    return this.#switch(what - 1);
  }

  /** Adds an entry at the end. @throws WmError WM_USAGE if there are too many */
  add(entry: RundownEntry): void {
    if (!this.#add(entry, this.#entries.length)) throw new WmError('WM_USAGE', 'There are too many inputs.');
  }

  /**
   * Shows the still instead of the current entry. Resolves when it is on the air.
   *
   * @throws WmError WM_USAGE without a still or a filler, or if nothing plays; what the still fails with
   */
  pause(): Promise<void> {
    const { still, filler } = this.#options;
    if (still === undefined && filler === undefined) return refused('There is nothing to show during a pause.');
    if (this.#paused) return refused('It is paused already.');
    if (this.#main === undefined || this.#candidate?.asked) return refused('Nothing plays that could be paused.');
    const entry = this.#entries[this.#index]!;
    const position = this.#position;
    return new Promise((resolve, reject) => {
      this.#paused = { asked: { resolve, reject }, position };
      if (this.#onAir === this.#cover) this.#onAir = undefined;
      this.#dropCover();
      this.#cover = this.#feed(() => (still ? still(entry, position) : filler!()));
      this.#change();
    });
  }

  /** Continues after a pause. Resolves when the entry is on the air. @throws WmError WM_USAGE if it is not paused */
  resume(): Promise<void> {
    if (!this.#paused || this.#paused.asked) return refused('It is not paused.');
    // A live source has gone on.
    if (this.#main && !this.#main.finished) {
      this.#main.restart();
      return this.#await({ index: this.#index, from: this.#from, feed: this.#main });
    }
    const entry = this.#entries[this.#index]!;
    return this.#switch(this.#index, entry.seekable ? this.#paused.position : 0);
  }

  get #rounds(): number {
    return this.#options.rounds ?? 1;
  }

  get #state(): RundownStatus['state'] {
    if (this.#isOver) return 'ended';
    if (this.#onAir === undefined) return 'waiting';
    if (this.#onAir !== this.#cover) return 'playing';
    return this.#paused ? 'paused' : 'filler';
  }

  /** Of the current entry, in ms. */
  get #position(): number {
    if (this.#paused && !this.#paused.asked) return this.#paused.position;
    return this.#from + (this.#main?.position ?? 0);
  }

  /** The entry that switches count from: the one that was asked for last. */
  get #target(): number {
    return this.#candidate?.index ?? this.#index;
  }

  /** Returns the entry after another one, in this round or the next. */
  #following(index: number): number | undefined {
    if (index + 1 < this.#entries.length) return index + 1;
    return this.#round < this.#rounds ? 0 : undefined;
  }

  #add(entry: RundownEntry, at: number): boolean {
    if (this.#entries.length >= MOST_ENTRIES) return false;
    this.#entries.splice(at, 0, entry);
    return true;
  }

  /** Removes an entry that could not be opened. */
  #remove(entry: RundownEntry): void {
    const index = this.#entries.indexOf(entry);
    const isUsed = index === this.#index || index === this.#candidate?.index;
    if (index < 0 || isUsed || this.#entries.length === 1) return;
    this.#entries.splice(index, 1);
    if (index < this.#index) this.#index--;
    if (this.#candidate && index < this.#candidate.index)
      this.#candidate = { ...this.#candidate, index: this.#candidate.index - 1 };
    if (index < this.#next) this.#next--;
  }

  #switch(index: number, from = 0): Promise<void> {
    const entry = this.#entries[index]!;
    return this.#await({ index, from, feed: this.#feed(() => entry.open(from), entry.unclean) });
  }

  #await(candidate: Omit<Candidate, 'asked'>): Promise<void> {
    if (this.#isOver) {
      if (candidate.feed !== this.#main) void candidate.feed.close();
      return refused('The broadcast has ended.');
    }
    return new Promise((resolve, reject) => {
      this.#dropCandidate(new WmError('WM_FAILED', 'Another input was asked for meanwhile.'));
      this.#retryAt = undefined;
      this.#candidate = { ...candidate, asked: { resolve, reject } };
      this.#change();
    });
  }

  #dropCandidate(reason: unknown): void {
    const { feed, asked } = this.#candidate ?? {};
    this.#candidate = undefined;
    if (feed && feed !== this.#main) void feed.close();
    asked?.reject(reason);
  }

  #feed(open: () => AsfSource | Promise<AsfSource>, unclean = false): Feed {
    return new Feed(open, { unclean, onChange: () => this.#change() });
  }

  #change(): void {
    this.#hasChanged = true;
    this.#changed();
  }

  async *#events(): AsyncGenerator<AsfEvent, void, undefined> {
    try {
      this.#open(0);
      this.#coverAt = this.#clock.now() + START_PATIENCE;
      while (!this.#isOver) {
        this.#hasChanged = false;
        this.#look();
        if (this.#isOver) break;
        const wait = yield* this.#send();
        if (wait !== 0) await this.#wait(wait);
      }
      const isFailed = !this.#isFruitful || this.#entries.length === 1;
      if (this.#hasPlayedOut && isFailed && this.#failure) throw this.#failure.error;
    } finally {
      this.#isOver = true;
      await this.close();
    }
  }

  /** Sends what is due. @returns how long to wait, in ms: 0 for not at all, undefined for a change */
  *#send(): Generator<AsfEvent, number | undefined, undefined> {
    const { busy } = this.#output;
    const wait = yield* this.#output.send();
    if (wait !== undefined) return wait;
    const event = this.#onAir?.take();
    if (event?.type === 'header') this.#output.cut(event.header, this.#isPaced);
    if (event?.type === 'packet') {
      if (this.#onAir === this.#main) this.#isFruitful = true;
      this.#heardAt = this.#clock.now();
      if (!this.#output.put(event.packet)) {
        this.#failure = undefined;
        this.#playedOut();
      }
    }
    return event || busy ? 0 : undefined;
  }

  #playedOut(): void {
    this.#hasPlayedOut = true;
    this.#isOver = true;
  }

  get #isPaced(): boolean {
    return this.#onAir !== this.#main || !this.#entries[this.#index]!.live;
  }

  /** Waits for a change, or for as many ms. */
  async #wait(milliseconds: number | undefined): Promise<void> {
    const now = this.#clock.now();
    const deadlines = [
      ...(milliseconds === undefined ? [] : [now + milliseconds]),
      ...(this.#retryAt === undefined ? [] : [this.#retryAt]),
      ...(this.#mayCover ? [this.#coverDue] : []),
    ].filter((time) => time > now);
    if (this.#hasChanged) return;
    const over = new AbortController();
    const changed = new Promise<void>((resolve) => {
      this.#changed = resolve;
    });
    const timeout = deadlines.length === 0 ? [] : [this.#clock.sleep(Math.min(...deadlines) - now, over.signal)];
    await Promise.race([changed, ...timeout]);
    over.abort();
  }

  /** Decides what is on the air. */
  #look(): void {
    this.#lookAtCandidate();
    this.#lookAtMain();
    this.#lookAtCover();
  }

  #lookAtCandidate(): void {
    if (this.#retryAt !== undefined && !this.#candidate && this.#clock.now() >= this.#retryAt) this.#open(this.#next);
    const candidate = this.#candidate;
    if (candidate === undefined) return;
    const { feed, asked, index } = candidate;
    if (feed.ready) {
      this.#candidate = undefined;
      const before = this.#main;
      this.#main = feed;
      this.#index = index;
      this.#from = candidate.from;
      this.#retries = 0;
      this.#endPause();
      this.#cut(feed);
      if (before !== feed) void before?.close();
      this.#dropCover();
      asked?.resolve();
    } else if (feed.finished) {
      this.#candidate = undefined;
      const error = feed.failure?.error ?? new WmError('WM_BAD_INPUT', 'It ended before there was anything to send.');
      void feed.close();
      if (asked) {
        asked.reject(error);
        this.#coverAt = this.#clock.now() + COVER_AFTER;
      } else {
        this.#failure = { error };
        this.#coverAt = Math.min(this.#coverAt, this.#clock.now());
        this.#options.onSkipped?.(error, this.#entries[index]!);
        this.#rollOver(index);
      }
    }
  }

  #lookAtMain(): void {
    const main = this.#main;
    if (!main || this.#paused) return;
    if (main.finished && !this.#output.busy && !this.#candidate && this.#retryAt === undefined) {
      const { failure } = main;
      this.#failure = failure;
      const entry = this.#entries[this.#index]!;
      if (failure) this.#options.onSkipped?.(failure.error, entry);
      this.#main = undefined;
      if (this.#onAir === main) this.#onAir = undefined;
      this.#coverAt = this.#clock.now() + COVER_AFTER;
      void main.close();
      this.#rollOver(this.#index);
    } else if (this.#onAir === this.#cover && this.#cover && main.ready) {
      this.#cut(main);
      this.#dropCover();
    }
  }

  /** Opens the entry after another one, at once or after a while, or ends. */
  #rollOver(index: number): void {
    const entry = this.#entries[index]!;
    const isAlone = this.#entries.length === 1 && this.#options.filler && entry.returns;
    const following = isAlone ? index : this.#following(index);
    if (following === undefined) {
      this.#playedOut();
      return;
    }
    const isNewRound = following <= index;
    if (isNewRound && !isAlone) this.#round++;
    if (isNewRound && !isAlone && !this.#isFruitful && this.#options.filler === undefined) {
      this.#playedOut();
      return;
    }
    const isHopeless = isNewRound && (!this.#isFruitful || isAlone);
    if (isNewRound) this.#isFruitful = false;
    if (!isHopeless) {
      this.#open(following);
      return;
    }
    const wait = RETRIES[Math.min(this.#retries++, RETRIES.length - 1)]!;
    this.#next = following;
    this.#retryAt = this.#clock.now() + wait;
  }

  #open(index: number): void {
    this.#retryAt = undefined;
    const entry = this.#entries[index]!;
    this.#candidate = { index, from: 0, feed: this.#feed(() => entry.open(0), entry.unclean) };
  }

  #lookAtCover(): void {
    const cover = this.#cover;
    if (cover === undefined) {
      if (this.#mayCover && this.#clock.now() >= this.#coverDue) this.#cover = this.#feed(this.#options.filler!);
      return;
    }
    if (cover.ready && this.#onAir !== cover) {
      const pause = this.#paused;
      const wanted = pause?.asked !== undefined || !this.#onAir || this.#isSilent;
      if (!wanted) return;
      if (pause?.asked) {
        pause.asked.resolve();
        this.#paused = { position: this.#position };
      }
      this.#cut(cover);
      this.#hold(pause !== undefined);
    } else if (cover.finished && !this.#output.busy) {
      const error = cover.failure?.error ?? new WmError('WM_BAD_INPUT', 'There is nothing to show meanwhile.');
      const { asked } = this.#paused ?? {};
      this.#cover = undefined;
      void cover.close();
      if (asked) {
        this.#paused = undefined;
        asked.reject(error);
        return;
      }
      if (this.#onAir === cover) this.#onAir = undefined;
      this.#coverAt = this.#clock.now() + RETRIES[1];
    }
  }

  /** Keeps the source for when it goes on the air again. */
  #hold(isPause: boolean): void {
    const main = this.#main;
    if (!main) return;
    if (isPause && this.#entries[this.#index]!.seekable) {
      this.#main = undefined;
      void main.close();
    } else if (isPause) main.discard();
    else main.restart();
  }

  get #isSilent(): boolean {
    if (this.#onAir !== this.#main || this.#main === undefined) return false;
    const entry = this.#entries[this.#index]!;
    const isQuiet = this.#clock.now() - this.#heardAt >= (this.#options.patience ?? PATIENCE);
    return isQuiet && (entry.live || (entry.returns ?? false)) && !this.#main.ready;
  }

  /** True if the filler would come if this lasts. */
  get #mayCover(): boolean {
    if (this.#options.filler === undefined || this.#cover || this.#output.busy) return false;
    if (this.#paused && !this.#paused.asked) return true;
    if (this.#onAir === undefined) return true;
    const entry = this.#entries[this.#index]!;
    return this.#onAir === this.#main && (entry.live || (entry.returns ?? false));
  }

  get #coverDue(): number {
    if (this.#onAir === undefined) return this.#coverAt;
    return this.#heardAt + (this.#options.patience ?? PATIENCE);
  }

  #endPause(): void {
    this.#paused?.asked?.reject(new WmError('WM_FAILED', 'Another input was asked for meanwhile.'));
    this.#paused = undefined;
  }

  #dropCover(): void {
    void this.#cover?.close();
    this.#cover = undefined;
  }

  /** Puts a feed on the air, from its next packet on. */
  #cut(feed: Feed): void {
    if (this.#onAir === feed) return;
    this.#onAir = feed;
    this.#heardAt = this.#clock.now();
    this.#output.cut(feed.header, this.#isPaced);
    this.#options.onChange?.(this.status, this.#entries[this.#index]!);
  }
}

function refused(message: string): Promise<never> {
  return Promise.reject(new WmError('WM_USAGE', message));
}
