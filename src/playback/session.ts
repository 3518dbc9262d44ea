import type { AsfHeader } from '../asf/header.js';
import type { StartPosition } from '../media/on-demand/options.js';
import type { HeaderCause, WireBatch, WireFormat } from '../media/wire.js';
import { Refusal } from '../refusal.js';
import type { Program } from './content.js';
import { type Entry, headerOf, type LiveEntry } from './entry.js';
import type { PacketCounts } from './feed.js';
import { FeedSlot } from './feed-slot.js';
import { FileFeed } from './file-feed.js';
import { Grant } from './grant.js';
import { offersRates } from './ladder.js';
import { Lead } from './lead.js';
import { LiveFeed, type LiveListener } from './live-feed.js';
import { beginsEntry, burstRate, NORMAL_PACE, type Pace } from './pace.js';
import { AT_START, findPlace, orderFrom, type Place, type PlayOrder, startedAt } from './place.js';
import type { ChangeAnswer, Ending, EntryChange, PlaybackHost, PlaybackPort, PlaybackState, Started } from './port.js';
import { ProgramSlot, type Reopen } from './program-slot.js';
import { predicted, type StreamSelection } from './selection.js';
import { writeUnits } from './sent-ring.js';
import { Wait } from './wait.js';

// For one request.
const MAX_RESENT = 128;

/**
 * One player's way through the content of a URL, for every unicast protocol: its place in a playlist, its streams, its
 * speed, and its feed.
 *
 * Operations may be called at any time. Each one that changes what is sent takes a turn: it ends the feed at once, and
 * what an earlier operation was waiting for has no effect. The promise of that operation resolves to undefined.
 */
export class PlaybackSession implements LiveListener {
  readonly #port: PlaybackPort;
  readonly #host: PlaybackHost;
  readonly #programs = new ProgramSlot();
  readonly #feeds = new FeedSlot();
  readonly #lead: Lead;
  readonly #grant = new Grant();
  readonly #pause: Wait;
  /** For a live entry that ends before its broadcast. */
  readonly #liveEnd: Wait;
  #state: PlaybackState = 'init';
  #turn = 0;
  /** The last announced header, and the id of its entry. */
  #header: AsfHeader | undefined;
  #entry = 0;
  /**
   * The order that is being started, or where a paused or waiting player goes on; undefined for the start of the entry.
   */
  #order: PlayOrder | undefined;
  /** The turn whose start the port was told last. */
  #startedTurn = -1;
  /** That start, until the operation that caused it has returned it. */
  #started: Started | undefined;
  /** True if the player knows the current entry: it asked for it, or chose its streams. */
  #confirmed = false;
  /** A change that could not be announced yet. */
  #later: EntryChange['cause'] | undefined;
  /** The header of a broadcast that the player gets next, or has to confirm; the broadcast may be further. */
  #due: AsfHeader | undefined;
  #pace: Pace = NORMAL_PACE;
  #startedAt: number | undefined;
  #liveEndAt: number | undefined;
  #played = false;

  constructor(port: PlaybackPort, host: PlaybackHost) {
    this.#port = port;
    this.#host = host;
    this.#lead = new Lead(host.now);
    this.#pause = new Wait(host.ticker, host.now);
    this.#liveEnd = new Wait(host.ticker, host.now);
  }

  get state(): PlaybackState {
    return this.#state;
  }

  /** True while something is sent, about to be sent, or awaited. */
  get active(): boolean {
    return this.#state !== 'init' && this.#state !== 'ready';
  }

  /** Undefined before {@link open}, and after the program was given back. */
  get program(): Program | undefined {
    return this.#programs.program;
  }

  get current(): Entry | undefined {
    return this.#programs.current;
  }

  /** The streams that the player asked for. */
  get asked(): StreamSelection {
    return this.#grant.asked;
  }

  /** The streams that the player gets. */
  get granted(): StreamSelection {
    return this.#grant.granted;
  }

  /** The number of the next unit; unbounded, since the wire masks it. */
  get number(): number {
    return this.#feeds.number ?? 0;
  }

  /** Where the last start was, in ms from the start of a file; undefined for a broadcast. */
  get startedAt(): number | undefined {
    return this.#startedAt;
  }

  /** Data packets sent and dropped since the last {@link play}. */
  get packets(): PacketCounts {
    return this.#feeds.packets;
  }

  /** Sets the number of the next unit; has no effect while something is sent. */
  countFrom(number: number): void {
    this.#feeds.countFrom(number);
  }

  /**
   * Takes a program, which it closes at the end. The player knows the header of its entry.
   *
   * @param reopen opens the program again where the player is; without it, a session that gave it back cannot go on
   */
  open(program: Program, reopen?: Reopen): void {
    this.#take();
    this.#programs.open(program, reopen);
    this.#header = headerOf(program.current);
    this.#entry = program.current.id;
    this.#order = undefined;
    this.#enter('ready');
  }

  /**
   * Starts the current entry of the program.
   *
   * @returns undefined if another operation intervened, or if the player has to resume first
   * @throws Refusal offline, gone; WmError WM_NO_INPUT if the file cannot be read; the session is then ready again
   */
  play(order: PlayOrder): Promise<Started | undefined> {
    return this.#operate('ready', async (turn) => {
      this.#order = order;
      if (order.selection) this.#grant.ask(order.selection, this.#header);
      const program = await this.#reach(turn);
      if (!program) return;
      this.#feeds.reset();
      this.#confirmed = true;
      await this.#playEntry(turn, program, order);
    });
  }

  /** Stops sending; {@link resume} continues from there. */
  pause(): void {
    if (!this.active) return;
    const { wait: _, ...pending } = this.#order ?? { position: AT_START };
    const position = this.#feeds.feed?.position;
    this.#take();
    this.#order = position === undefined ? pending : orderFrom(position, this.#pace);
    this.#enter('ready');
  }

  /** Moves to another position in a file: at once if something is sent, otherwise at the next start. */
  async seek(position: StartPosition): Promise<Started | undefined> {
    const sending = this.#state === 'playing' || this.#state === 'starting';
    if (!sending) {
      if (this.#state !== 'init') this.#order = { ...(this.#order ?? orderFrom(0, this.#pace)), position };
      return undefined;
    }
    if (this.current?.kind === 'live') return undefined;
    const order = { ...(this.#order ?? orderFrom(0, this.#pace)), position };
    return this.#operate('ready', async (turn) => {
      this.#order = order;
      const program = await this.#reach(turn);
      if (program) await this.#playEntry(turn, program, order);
    });
  }

  /**
   * Starts the entry that was announced to the player, or continues after a pause; either confirms the entry.
   *
   * @param how default: from the current position, as fast as before
   */
  async resume(how?: Partial<PlayOrder>): Promise<Started | undefined> {
    this.#confirmed = true;
    if (this.#state === 'ready') return this.play({ position: AT_START, ...this.#order, ...how });
    if (this.#state !== 'waiting') return undefined;
    const [later, due] = [this.#later, this.#due];
    const order = how || this.#order ? { position: AT_START, ...this.#order, ...how } : undefined;
    return this.#operate('waiting', async (turn) => {
      this.#order = order;
      const program = await this.#reach(turn);
      if (!program) return;
      this.#due = due;
      const entry = this.#here(program);
      if (later || !this.#knows(entry)) await this.#change(turn, program, later ?? this.#causeOf(entry));
      else if (order && entry.kind === 'file') await this.#playEntry(turn, program, order);
      else await this.#startEntry(turn, entry, order);
    });
  }

  /** The player has confirmed the announced entry. A change that was held back until now is announced. */
  confirm(): void {
    this.#confirmed = true;
    const cause = this.#later;
    const { program } = this;
    if (!cause || this.#state !== 'waiting' || !program) return;
    this.#later = undefined;
    this.#change(this.#turn, program, cause).catch((error: unknown) => this.fail(error));
  }

  /** @param timed true if nothing changes for a while after it, as the port says */
  select(asked: StreamSelection, timed: boolean): void {
    if (timed) this.#lead.selected();
    this.#grant.ask(asked, this.#header);
    this.#feeds.select(this.granted);
  }

  /** Writes the following packets as the port says now. */
  rewire(): void {
    if (this.#header) this.#feeds.rewire(this.#port.wire(this.#header));
  }

  /**
   * Skips in a playlist; continues in the current entry if there is no such entry.
   *
   * @param place the id of the entry from which `offset` counts; default: the current one
   */
  next(offset: -1 | 0 | 1, place?: number): Promise<Started | undefined> {
    const { feed } = this.#feeds;
    const here = feed?.position === undefined ? this.#order : orderFrom(feed.position, this.#pace);
    return this.#operate('ready', async (turn) => {
      this.#order = here;
      const program = await this.#reach(turn);
      if (!program) return;
      const { current } = program;
      const entry = await this.#programs.move(program.seek(place ?? current.id, offset));
      if (turn !== this.#turn) return;
      if (!entry || entry === current) return this.#playEntry(turn, program, here ?? { position: AT_START });
      this.#order = undefined;
      this.#liveEndAt = undefined;
      if (feed) await this.#announceEnd(turn);
      if (turn === this.#turn) await this.#change(turn, program, offset < 0 ? 'previous' : 'next');
    });
  }

  /**
   * Writes sent units again, as far as they are kept; only those of the last two feeds are.
   *
   * @param numbers the unbounded numbers under which the player got them; at most 128 are looked for
   * @param wire default: as the port says now
   */
  resend(numbers: readonly number[], wire?: WireFormat): WireBatch {
    const units = numbers.slice(0, MAX_RESENT).flatMap((number) => {
      const unit = this.#feeds.recent(number);
      return unit ? [{ ...unit, number }] : [];
    });
    return this.#header
      ? writeUnits(wire ?? this.#port.wire(this.#header), units)
      : { bytes: Buffer.alloc(0), ends: [] };
  }

  /**
   * Stops sending.
   *
   * @param how `stopped` keeps the program for another start; `closed` gives everything back; `kicked` tells the player
   * first
   */
  stop(how: 'stopped' | 'closed' | 'kicked'): void {
    if (this.#state === 'init') return;
    this.#take();
    this.#order = undefined;
    if (this.#state !== 'ready') this.#enter('ready');
    if (how === 'stopped') return;
    if (how === 'kicked') this.#port.ended('kicked', this.number, 0);
    // The call may have closed the session.
    if (!this.#programs.any) return;
    this.#programs.close();
    this.#feeds.forget();
    this.#enter('init');
  }

  get takesLive(): boolean {
    return this.#feeds.takesLive && this.#header !== undefined && offersRates(this.#header);
  }

  /** Gives the player more or less of what it asked for. Called by the playback about once a second. */
  adapt(): boolean {
    if (this.#grant.adapt(this.#feeds.strain(this.#host.now()), this.#header)) this.#feeds.select(this.granted);
    return this.#grant.isWary;
  }

  /** Gives the program back and keeps only the player's place. Called for sessions that are ready. */
  giveBack(): void {
    if (this.#state !== 'ready') return;
    this.#programs.giveBack();
    this.#feeds.forget();
  }

  /** Reports a failure that the player did not cause; the player is told if it is waiting for anything. */
  fail(error: unknown): void {
    this.#host.failed(error);
    if (this.active) this.#finish('failed', 0);
  }

  /** Called by the feed before it sends a broadcast. */
  feedStarts(first: Started): void {
    this.#announceStart(first);
  }

  /** Called by the feed when the broadcast continues under another header. */
  feedChanged(header: AsfHeader, cause: HeaderCause): StreamSelection | undefined {
    const program = this.program!;
    const change = cause === 'entry' ? 'next' : 'header';
    if (this.#port.output.framing === 'datagrams' || this.#changeDue() > this.#host.now()) {
      // It continues with the history, like a player that joins, or with what the broadcast keeps of a run that is over
      // by then.
      const later = this.#take();
      this.#due = header;
      if (program.current.kind === 'live') this.#endLater(program.current);
      this.#changeLater(later, program, change).catch((error: unknown) => this.fail(error));
      return undefined;
    }
    const turn = this.#turn;
    void this.#announceEnd(turn);
    if (turn !== this.#turn) return undefined;
    this.#due = header;
    const answer = this.#announce(header, this.#here(program), change);
    if (turn !== this.#turn) return undefined;
    if (answer === 'go on') {
      this.#due = undefined;
      return this.granted;
    }
    this.#leaveFeed();
    this.#await(answer, change);
    return undefined;
  }

  feedEnded(how: 'end' | 'rewound' | 'failed', reason: number): void {
    const asked = this.#pace.limit?.asked;
    const turn = this.#take();
    if (how === 'rewound') this.#finish('rewound', 0);
    else if (how === 'failed' || reason !== 0) this.#finish('failed', reason);
    else if (asked) this.#finish('done', 0);
    else this.#advance(turn, this.program!).catch((error: unknown) => this.fail(error));
  }

  /** Takes a turn: ends the feed, and makes what earlier turns wait for ineffective. */
  #take(): number {
    this.#leaveFeed();
    this.#pause.cancel();
    this.#later = undefined;
    this.#due = undefined;
    return ++this.#turn;
  }

  /** @param fallback the state if the operation fails */
  async #operate(fallback: 'ready' | 'waiting', work: (turn: number) => Promise<void>): Promise<Started | undefined> {
    if (!this.#programs.any) throw new Refusal('gone', 'There is nothing to play.');
    const turn = this.#take();
    this.#enter('starting');
    try {
      await work(turn);
    } catch (error) {
      // A newer operation has taken care of the state.
      if (turn !== this.#turn) return undefined;
      this.#enter(fallback);
      throw error;
    }
    if (this.#startedTurn !== turn) return undefined;
    const started = this.#started;
    this.#started = undefined;
    return started;
  }

  #reach(turn: number): Promise<Program | undefined> {
    return this.#programs.reach(() => turn === this.#turn);
  }

  async #playEntry(turn: number, program: Program, order: PlayOrder): Promise<void> {
    const entry = program.current;
    if (!this.#knows(entry)) return this.#change(turn, program, this.#causeOf(entry));
    if (entry.kind === 'live' && !entry.broadcast.live)
      throw new Refusal('offline', 'It is offline: nothing feeds it at the moment.');
    const place = await findPlace(entry, order, this.#host.limits, this.#current(turn));
    if (!place) return;
    const delay = this.#played || order.wait || !beginsEntry(entry, place.from, place.pace) ? 0 : (entry.delay ?? 0);
    this.#played = true;
    this.#liveEndAt = undefined;
    if (!order.wait && delay === 0) return this.#start(entry, place);
    this.#pace = place.pace;
    this.#announceStart(startedAt(this.number, entry, place));
    if (turn !== this.#turn) return;
    if (order.wait) {
      this.#order = undefined;
      this.#enter('waiting');
    } else {
      this.#enter('playing');
      this.#pause.until(this.#host.now() + delay, () => this.#start(entry, place));
    }
  }

  /** Returns a function that returns the choice of streams as long as that turn lasts. */
  #current(turn: number): () => StreamSelection | undefined {
    return () => (turn === this.#turn ? this.granted : undefined);
  }

  async #advance(turn: number, program: Program): Promise<void> {
    const entry = await this.#programs.move(program.next());
    if (turn !== this.#turn) return;
    if (!entry) {
      this.#finish('done', 0);
      return;
    }
    await this.#announceEnd(turn);
    if (turn !== this.#turn) return;
    await this.#pauseUntil(this.#changeDue(entry.delay));
    if (turn !== this.#turn) return;
    this.#liveEndAt = undefined;
    await this.#change(turn, program, 'next');
  }

  async #changeLater(turn: number, program: Program, cause: EntryChange['cause']): Promise<void> {
    await this.#announceEnd(turn);
    if (turn !== this.#turn) return;
    await this.#pauseUntil(this.#changeDue());
    if (turn !== this.#turn) return;
    this.#liveEnd.cancel();
    await this.#change(turn, program, cause);
  }

  /** Continues with another entry, or with another header of a live one, as soon as the player may have it. */
  async #change(turn: number, program: Program, cause: EntryChange['cause']): Promise<void> {
    const entry = this.#here(program);
    const header = headerOf(entry);
    if (!header) {
      this.#finish('done', 0);
      return;
    }
    const answer = this.#announce(header, entry, cause);
    if (turn !== this.#turn) return;
    if (answer === 'go on') await this.#startEntry(turn, entry);
    else this.#await(answer, cause);
  }

  /** Announces an entry, with the streams that the player will want of it. */
  #announce(header: AsfHeader, entry: Entry, cause: EntryChange['cause']): ChangeAnswer {
    const confirmed = this.#confirmed;
    if (!confirmed && this.#port.changes.confirmFirst) return 'later';
    const wanted = this.#header ? predicted(this.asked, this.#header, header) : this.asked;
    const selection = this.#grant.of(wanted, header);
    const answer = this.#port.announce({ header, entry, selection, number: this.number, cause, confirmed });
    if (answer === 'later') return answer;
    this.#header = header;
    this.#grant.ask(wanted, header);
    this.#entry = entry.id;
    this.#programs.given(entry);
    this.#confirmed = false;
    return answer;
  }

  #await(answer: ChangeAnswer, cause: EntryChange['cause']): void {
    this.#later = answer === 'later' ? cause : undefined;
    this.#order = undefined;
    this.#enter('waiting');
  }

  /** Tells the player that another entry follows, once the output is drained. */
  async #announceEnd(turn: number): Promise<void> {
    const { output } = this.#port;
    if (output.framing === 'datagrams') await new Promise<void>((resolve) => output.drained(resolve));
    if (turn === this.#turn) this.#port.ended('more-follows', this.number, 0);
  }

  #finish(how: Ending, reason: number): void {
    const turn = this.#take();
    this.#order = undefined;
    this.#enter('ready');
    const announce = () => {
      if (turn === this.#turn) this.#port.ended(how, this.number, reason);
    };
    const { output } = this.#port;
    if (output.framing === 'datagrams') output.drained(announce);
    else announce();
  }

  #changeDue(delay?: number): number {
    return this.#lead.changeDue(this.#preroll, this.#pace, this.#port.changes, delay);
  }

  #pauseUntil(due: number): Promise<void> {
    return new Promise((resolve) => this.#pause.until(due, resolve));
  }

  get #preroll(): number {
    return this.#header?.preroll ?? 0;
  }

  /** Starts an entry from its beginning, in continuation of what was sent before. */
  async #startEntry(turn: number, entry: Entry, wish?: PlayOrder): Promise<void> {
    const begin = (entry.kind === 'file' && entry.begin) || 0;
    const rate = Math.max(0, this.#pace.rate) || 1;
    const order = wish ?? { position: { kind: 'time', milliseconds: begin }, rate };
    const place = await findPlace(entry, order, this.#host.limits, this.#current(turn));
    if (place) this.#start(entry, { ...place, burst: this.#lead.burst(this.#preroll) });
  }

  #start(entry: Entry, place: Place): void {
    if (entry.kind === 'live' && !entry.broadcast.live && !entry.run) {
      this.feedEnded('end', 0);
      return;
    }
    const { from, pace, burst } = place;
    this.#pace = pace;
    this.#order = undefined;
    this.#enter('playing');
    const header = headerOf(entry)!;
    const { number } = this.#feeds;
    const port = this.#port;
    const host = this.#host;
    const selection = this.granted;
    // Without spreads: V8 would keep a shape of its own for each of these objects.
    if (entry.kind === 'live') {
      this.#lead.live();
      const { broadcast } = entry;
      this.#feeds.take(new LiveFeed({ port, header, selection, listener: this, number, place, broadcast }));
    } else {
      this.#lead.file(entry, from, pace, burst !== undefined);
      const first = number ?? 0;
      this.#feeds.take(new FileFeed({ port, header, selection, listener: this, number: first, entry, place, host }));
      this.#announceStart(startedAt(this.number, entry, place));
    }
    // The announcement may have ended the feed.
    this.#feeds.feed?.start();
    if (entry.kind === 'live' && this.#feeds.feed) this.#endLater(entry);
  }

  /** Ends a live entry after its duration, which another header of its broadcast does not extend. */
  #endLater({ duration }: LiveEntry): void {
    if (duration === undefined) return;
    this.#liveEndAt ??= this.#host.now() + duration;
    this.#liveEnd.until(this.#liveEndAt, () => this.feedEnded('end', 0));
  }

  #leaveFeed(): void {
    this.#liveEnd.cancel();
    this.#feeds.leave();
  }

  /** Returns the entry that the player is at: the source of a live one may be at another already. */
  #here({ current }: Program): Entry {
    const run = current.kind === 'live' && this.#due && current.broadcast.pastRun(this.#due);
    return run ? { ...current, run } : current;
  }

  /** True if an entry and its header were announced to the player. */
  #knows(entry: Entry): boolean {
    const header = headerOf(entry);
    if (entry.id !== this.#entry) return false;
    if (header === this.#header) return true;
    return entry.kind === 'file' && header !== undefined && this.#header?.bytes.equals(header.bytes) === true;
  }

  /** Returns why an entry that the player does not know has to be announced. */
  #causeOf({ id }: Entry): EntryChange['cause'] {
    if (id === this.#entry) return 'header';
    return id < this.#entry ? 'previous' : 'next';
  }

  /** Tells the port of a start, once per turn. */
  #announceStart(first: Started): void {
    if (this.#startedTurn === this.#turn) return;
    this.#startedTurn = this.#turn;
    this.#started = first;
    const header = this.current && headerOf(this.current);
    if (header) this.#port.output.limit?.(burstRate(first.pace, header));
    this.#startedAt = first.position;
    this.#port.starting(first);
  }

  #enter(state: PlaybackState): void {
    this.#state = state;
    if (state === 'ready') this.#host.ready.add(this);
    else this.#host.ready.delete(this);
    if (state === 'playing') this.#host.playing.add(this);
    else this.#host.playing.delete(this);
    this.#port.entered?.(state);
  }
}
