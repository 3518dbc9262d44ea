import type { AsfHeader } from '../asf/header.js';
import type { Exchange, ResponseStream } from '../http/exchange.js';
import type { Ticker } from '../media/on-demand/flow.js';
import { oneUnit, type PlayerOutput } from '../media/wire.js';
import type { PlaylistPlace, Program } from '../playback/content.js';
import { type Entry, headerOf, type LiveEntry } from '../playback/entry.js';
import { lengthOf, NORMAL_PACE, type Pace } from '../playback/pace.js';
import { choiceOf, NO_STREAMS, predicted, type StreamSelection } from '../playback/selection.js';
import { Wait } from '../playback/wait.js';
import { type Feed, type FeedListener, FileFeed, LiveFeed, REWOUND, UNEXPECTED } from './feed.js';
import { changePacket, endPacket } from './packets.js';
import type { PipelineTest } from './pipeline-test.js';
import type { ClientProfile } from './profiles.js';
import { entryHead, FEATURE_PREFIX, genIdOf, type ServerIdentity } from './responses.js';

/** The states of MS-WMSP 3.2.1. */
export type SessionState = 'INIT' | 'STREAMING' | 'WAITING' | 'IDLE';

/** What sessions need of their server. */
export interface SessionHost {
  readonly identity: ServerIdentity;
  readonly ticker: Ticker;
  /** A clock in ms. */
  now(): number;
  /** Milliseconds by which packets of files may leave before they are due. */
  readonly ahead: number | undefined;
  /** The session was used just now, which starts its Idle-Timeout anew. */
  used(session: WmspSession): void;
  /** The session began or ended to stream. */
  streaming(session: WmspSession, active: boolean): void;
  failed(error: unknown): void;
}

/** How a Play begins. */
export interface PlayOrder {
  readonly stream: ResponseStream;
  readonly program: Program;
  readonly path: string;
  /** What opens the body: the head of the entry, or of several when the player skips (MS-WMSP 3.2.5.6). */
  readonly opening: Buffer;
  readonly selection: StreamSelection;
  /** For a file: the packet to start with. */
  readonly from: number;
  readonly pace: Pace;
  /** The streams of the entry are not chosen yet: wait for SelectStream or PlayNextEntry. */
  readonly wait: boolean;
}

// MS-WMSP 3.2.4.2: $C waits for what the client says it lags, up to a bound, and for this long after a SelectStream.
const MAX_LAG = 15_000;
const SELECTION_PAUSE = 8_000;
// $C Reason: rewinding came to the start of an entry that another one stands before (MS-WMSP 2.2.3.2).
const RECEDING = 0x400d14be;
// A player is kept ahead by the preroll and this, in ms of media, also from one entry of a playlist to the next.
const LEAD = 2_000;
// Entries without a duration, such as pictures, take as long, in ms; a playlist of them would otherwise be sent at once.
const SHORTEST_ENTRY = 1_000;

/** What the client of a session was told last of where it is. */
interface Told {
  readonly path: string;
  readonly playlistGenId: number;
  readonly entry: number;
  /** The furthest entry of the path that it was given. */
  readonly reached: number;
}

const ASSUMED_FEATURES: ReadonlySet<string> = new Set([`${FEATURE_PREFIX}predstrm`, `${FEATURE_PREFIX}sswitch`]);

/** A streaming session (MS-WMSP 3.2.1): what a client-id stands for, across connections. */
export class WmspSession implements FeedListener {
  readonly clientId: number;
  state: SessionState = 'INIT';
  profile: ClientProfile;
  /** When it was last used; it is forgotten some time later unless it streams. */
  usedAt = 0;
  /** Client-features; until a Supported header comes, prediction and stream selection are taken for supported (3.2.3). */
  features: ReadonlySet<string> = ASSUMED_FEATURES;
  /** KeepAlive-Mode. */
  pipelined = false;
  clientLag = 0;
  /** What a running Pipeline test has open (3.2.5.5). */
  pipelineTest: PipelineTest | undefined;
  /** The last request of the session; its connection is closed with the session, if it is still there. */
  lastExchange: WeakRef<Exchange> | undefined;
  readonly #host: SessionHost;
  readonly #output: PlayerOutput;
  #stream: ResponseStream | undefined;
  #program: Program | undefined;
  #told: Told | undefined;
  // The header that the client was given last.
  #header: AsfHeader | undefined;
  // The client knows the entry that plays: it asked for it, or chose its streams.
  #confirmed = false;
  // When the client, if it plays in real time, will be through with what it was given.
  #playsUntil = Number.NEGATIVE_INFINITY;
  #feed: Feed | undefined;
  #pace: Pace = NORMAL_PACE;
  #selection: StreamSelection = NO_STREAMS;
  #selectedAt = Number.NEGATIVE_INFINITY;
  // Number of the next $D, of which AFFlags has the lowest byte; goes on from one Play to the next (2.2.3.1.2).
  #number = 0;
  #sent = 0;
  #skipped = 0;
  readonly #pause: Wait;
  // Of a live entry that does not last as long as its broadcast.
  readonly #liveEnd: Wait;
  #liveEndAt: number | undefined;
  #played = false;

  constructor(clientId: number, profile: ClientProfile, host: SessionHost) {
    this.clientId = clientId;
    this.profile = profile;
    this.#host = host;
    this.#pause = new Wait(host.ticker, host.now);
    this.#liveEnd = new Wait(host.ticker, host.now);
    const stream = () => this.#stream;
    this.#output = {
      framing: 'stream',
      put: (batch, done) => this.#stream?.put(batch, done),
      drained: (then) => this.#stream?.drained(then),
      get backlog() {
        return stream()?.backlog ?? 0;
      },
      destroy: () => this.#stream?.destroy(),
    };
  }

  /** A Play response is open, be it that data flows or that the streams of an entry are awaited. */
  get active(): boolean {
    return this.state === 'STREAMING' || this.state === 'WAITING';
  }

  /** Playlist-gen-id: that of the entry that the client was told of last; 0 before there is one. */
  get playlistGenId(): number {
    return this.#told?.playlistGenId ?? 0;
  }

  /** The entry whose streams, or whose PlayNextEntry, are awaited. */
  get awaited(): Entry | undefined {
    return this.state === 'WAITING' ? this.#program?.current : undefined;
  }

  /** What plays, if something does. */
  get program(): Program | undefined {
    return this.#program;
  }

  /** Data packets sent and left out in the current or last Play. */
  get packets(): { readonly sent: number; readonly skipped: number } {
    const { sent = 0, skipped = 0 } = this.#feed?.packets ?? {};
    return { sent: this.#sent + sent, skipped: this.#skipped + skipped };
  }

  get selection(): StreamSelection {
    return this.#selection;
  }

  /** Streams of the entry that plays, as stream-switch-entry may name them. */
  get streamNumbers(): ReadonlySet<number> {
    const header = this.#program && headerOf(this.#program.current);
    return new Set(header?.streams.map(({ number }) => number));
  }

  /** The client is told of an entry of what the path names. */
  tell(path: string, entry: Entry): void {
    const reached = this.#told?.path === path ? Math.max(this.#told.reached, entry.id) : entry.id;
    this.#told = { path, playlistGenId: genIdOf(entry), entry: entry.id, reached };
  }

  /** Where in a playlist the client wants to go on. @param id a playlist-gen-id that it was told; 0 for the first entry */
  placeIn(path: string, id: number): PlaylistPlace {
    if (this.#told?.path !== path) return { entry: id, reached: 0 };
    // That of a live entry is not its place in the playlist once its source has changed its header.
    const entry = id === this.#told.playlistGenId ? this.#told.entry : id;
    return { entry, reached: this.#told.reached };
  }

  /** Begins the body of a Play response. */
  play({ stream, program, path, opening, selection, from, pace, wait }: PlayOrder): void {
    this.#program = program;
    this.#selection = selection;
    this.#pace = pace;
    this.#sent = 0;
    this.#skipped = 0;
    this.#confirmed = true;
    this.#header = headerOf(program.current);
    this.tell(path, program.current);
    this.#takeStream(stream);
    this.#nextResponse();
    this.#host.streaming(this, true);
    stream.write(opening);
    const isFirst = !this.#played;
    this.#played = true;
    this.#liveEndAt = undefined;
    if (wait) this.#setState('WAITING');
    else if (isFirst && beginsEntry(program.current, from, pace)) this.#startLater(program.current, from, pace);
    else this.#startFeed(program.current, from);
  }

  /** The first entry of a playlist may have a delay as the others. */
  #startLater(entry: Entry, from: number, pace: Pace): void {
    this.#setState('STREAMING');
    if (entry.delay) this.#pause.until(this.#host.now() + entry.delay, () => this.#start(entry, from, pace));
    else this.#startFeed(entry, from);
  }

  /**
   * SelectStream, or the selection of a PlayNextEntry (MS-WMSP 3.2.5.7 and 3.2.5.9).
   *
   * @param timed SelectStream, behind which the next $C waits for a while (3.2.4.2)
   */
  select(selection: StreamSelection, timed: boolean): void {
    this.#selection = selection;
    this.#confirmed = true;
    if (timed) this.#selectedAt = this.#host.now();
    this.#feed?.select(selection);
  }

  /**
   * Starts the entry that was awaited.
   *
   * @param how from where and how fast, as the client asks it; by default from its start in real time
   */
  async resume(how?: { readonly from: number; readonly pace: Pace }): Promise<void> {
    const program = this.#program;
    if (this.state !== 'WAITING' || !program) return;
    this.#setState('STREAMING');
    try {
      const entry = program.current;
      if (entry.kind === 'live' && entry.broadcast.header !== this.#header) await this.#change(program, entry);
      else if (how) this.#start(entry, how.from, how.pace);
      else await this.#startEntry(program, entry);
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Whether an exchange is behind what is sent, on the same connection. Only there the rest may go on: whoever guesses a client-id
   * must not get what another one was let in for.
   */
  streamsBefore(exchange: Exchange): boolean {
    return exchange.queued && this.#stream?.connection === exchange.connection;
  }

  /**
   * The rest of the data leaves in another response, in pipelined mode (MS-WMSP 3.2.5.7 and 3.2.5.9).
   * @param next opens that response, once this one has ended and those that waited have been sent
   */
  moveTo(next: () => ResponseStream): void {
    const previous = this.#stream;
    this.#stream = undefined;
    if (previous) {
      previous.onLost = undefined;
      previous.end();
    }
    this.#takeStream(next());
  }

  /** A PlayNextEntry begins a response of its own. */
  nextEntryRequested(): void {
    this.#confirmed = true;
    this.#nextResponse();
  }

  /** Stops for good: a Stop request, the client's connection, the server's end. */
  stop(): void {
    if (!this.active) return;
    this.#leaveFeed();
    this.#pause.cancel();
    this.#setState('IDLE');
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream) {
      stream.onLost = undefined;
      stream.end();
    }
    this.#program?.close();
    this.#program = undefined;
    this.#host.streaming(this, false);
  }

  /** Stops, and closes the client's connection even if it could be used again. */
  disconnect(): void {
    this.stop();
    this.lastExchange?.deref()?.closeConnection();
  }

  /** For the feed: the broadcast has another header. */
  changed(header: AsfHeader): StreamSelection | undefined {
    if (this.profile.endBeforeChange) this.#write(endPacket(1));
    const program = this.#program!;
    if (this.#changeDue() > this.#host.now()) {
      // What comes meanwhile is not kept for one player; it goes on with what the broadcast keeps for those that join.
      this.#leaveFeed();
      if (program.current.kind === 'live') this.#endLater(program.current);
      this.#changeLater(program).catch((error: unknown) => this.#fail(error));
      return undefined;
    }
    if (this.#announce(header, program.current)) return this.#selection;
    this.#leaveFeed();
    this.#setState('WAITING');
    return undefined;
  }

  /** For the feed: the entry is over. */
  ended(reason: number): void {
    this.#leaveFeed();
    this.#pause.cancel();
    if (reason === REWOUND) this.#rewound();
    else if (reason !== 0 || this.#pace.limit?.asked) this.#finish(reason);
    else this.#advance(this.#program!).catch((error: unknown) => this.#fail(error));
  }

  /** The client has to say whether it goes on in the entry before (MS-WMSP 3.1.5.14), so nothing more is sent. */
  #rewound(): void {
    const another = this.#program!.canSkip(-1) && this.profile.version9;
    if (another) this.#write(Buffer.concat([endPacket(REWOUND), changePacket(RECEDING)]));
    else this.#write(endPacket(REWOUND));
    this.stop();
  }

  async #advance(program: Program): Promise<void> {
    const entry = await program.next();
    if (this.#program !== program) return;
    if (!entry) {
      this.#finish(0);
      return;
    }
    if (this.profile.endBeforeChange) this.#write(endPacket(1));
    await this.#pauseUntil(this.#changeDue(entry.delay));
    if (this.#program !== program) return;
    this.#liveEndAt = undefined;
    await this.#change(program, entry);
  }

  /** Goes on with another entry, or with another header of a live one, as soon as its streams are known. */
  async #change(program: Program, entry: Entry): Promise<void> {
    const header = headerOf(entry);
    if (!header) this.#finish(0);
    else if (this.#announce(header, entry)) await this.#startEntry(program, entry);
    else this.#setState('WAITING');
  }

  /**
   * $C and the head of an entry, with the streams that fit best. @returns whether they may be sent without being asked for
   * (MS-WMSP 3.2.4.2). Clients below 9.0 know nothing of that: they would wait for ever.
   */
  #announce(header: AsfHeader, entry: Entry): boolean {
    this.#write(Buffer.concat([changePacket(), this.#head(header, entry)]));
    if (this.#header) this.#selection = predicted(this.#selection, this.#header, header);
    this.#header = header;
    this.tell(this.#told!.path, entry);
    const confirmed = this.#confirmed || !this.profile.version9;
    this.#confirmed = false;
    return confirmed && this.features.has(`${FEATURE_PREFIX}predstrm`);
  }

  /**
   * When $C may be sent for what comes now (MS-WMSP 3.2.4.2): not before the client has had time for what it has, and for what it chose. Nor long before it is through with
   * the entry: the leads of many short ones would add up.
   */
  #changeDue(delay = 0): number {
    const now = this.#host.now();
    const { acceleration } = this.#pace;
    const lead = Math.max(this.#lead, acceleration?.milliseconds ?? 0);
    const lag = now + Math.min(this.clientLag, MAX_LAG);
    const wanted = delay ? Math.max(now, this.#playsUntil) + delay : this.#playsUntil - lead;
    return Math.max(lag, this.#selectedAt + SELECTION_PAUSE, wanted);
  }

  #pauseUntil(due: number): Promise<void> {
    return new Promise((resolve) => this.#pause.until(due, resolve));
  }

  async #changeLater(program: Program): Promise<void> {
    await this.#pauseUntil(this.#changeDue());
    if (this.#program !== program) return;
    this.#liveEnd.cancel();
    await this.#change(program, program.current);
  }

  /** Milliseconds of media that a player is ahead. */
  get #lead(): number {
    return (this.#header?.preroll ?? 0) + LEAD;
  }

  #head(header: AsfHeader, entry: Entry): Buffer {
    return entryHead(header, entry, this.#program!, this.profile, this.#host.identity);
  }

  /** Starts an entry from its beginning, in continuation of what was sent before. */
  async #startEntry(program: Program, entry: Entry): Promise<void> {
    if (entry.kind === 'live') {
      this.#start(entry, 0, NORMAL_PACE);
      return;
    }
    const { begin = 0, duration } = entry;
    const from = await entry.file.locate({ kind: 'time', milliseconds: begin }, choiceOf(this.#selection));
    if (this.#program !== program) return;
    const { rate } = this.#pace;
    const ahead = this.#playsUntil - this.#host.now();
    this.#start(
      entry,
      from,
      {
        rate: rate > 0 && entry.file.stridable && !entry.noSkip ? rate : 1,
        start: begin,
        ...(duration === undefined
          ? {}
          : { limit: { start: begin, milliseconds: Math.max(1, duration), asked: false } }),
      },
      Math.min(Math.max(0, this.#lead - ahead), this.#lead),
    );
  }

  #start(entry: Entry, from: number, pace: Pace, burst?: number): void {
    if (entry.kind === 'live' && !entry.broadcast.live) {
      this.ended(0);
      return;
    }
    this.#pace = pace;
    this.#startFeed(entry, from, burst);
  }

  #startFeed(entry: Entry, from: number, burst?: number): void {
    this.#setState('STREAMING');
    const common = { output: this.#output, number: this.#number, listener: this };
    if (entry.kind === 'live') {
      this.#playsUntil = Number.NEGATIVE_INFINITY;
      const { padding } = this.profile;
      this.#feed = new LiveFeed({ ...common, broadcast: entry.broadcast, padding, selection: this.#selection });
    } else {
      const { rate, speed, acceleration, start, limit } = this.#pace;
      const reader = entry.file.reader({
        from,
        exact: start === undefined,
        rate,
        choice: choiceOf(this.#selection),
        padding: this.profile.padding,
        ...(limit ? { maxDuration: limit.milliseconds } : {}),
        ...(limit?.start === undefined ? {} : { start: limit.start }),
      });
      const { ticker, now, ahead } = this.#host;
      const begun = burst === undefined ? now() : Math.max(now(), this.#playsUntil);
      this.#playsUntil = begun + Math.max(lengthOf(entry, from, this.#pace), SHORTEST_ENTRY);
      const onError = (error: unknown) => this.#host.failed(error);
      const { marksUnpaced } = this.profile;
      this.#feed = new FileFeed({
        ...common,
        marksUnpaced,
        reader,
        ticker,
        now,
        rate,
        ahead,
        burst,
        speed,
        acceleration,
        onError,
      });
    }
    this.#feed.start();
    if (entry.kind === 'live' && this.#feed) this.#endLater(entry);
  }

  /** Under another header of its broadcast an entry lasts no longer. */
  #endLater({ duration }: LiveEntry): void {
    if (duration === undefined) return;
    this.#liveEndAt ??= this.#host.now() + duration;
    this.#liveEnd.until(this.#liveEndAt, () => this.ended(0));
  }

  #leaveFeed(): void {
    this.#liveEnd.cancel();
    const feed = this.#feed;
    if (!feed) return;
    this.#feed = undefined;
    feed.stop();
    this.#number = feed.number;
    this.#sent += feed.packets.sent;
    this.#skipped += feed.packets.skipped;
  }

  #finish(reason: number): void {
    this.#write(endPacket(reason));
    this.stop();
  }

  #fail(error: unknown): void {
    this.#host.failed(error);
    if (this.active) this.#finish(UNEXPECTED);
  }

  #write(bytes: Buffer): void {
    this.#output.put(oneUnit(bytes));
  }

  #takeStream(stream: ResponseStream): void {
    this.#stream = stream;
    stream.onLost = () => this.stop();
  }

  // The client would take 255 for a packet of the response before (2.2.3.1.2).
  #nextResponse(): void {
    if (this.#feed) return;
    if ((this.#number & 255) === 255) this.#number++;
  }

  #setState(state: SessionState): void {
    this.state = state;
    this.#host.used(this);
  }
}

function beginsEntry(entry: Entry, from: number, { start }: Pace): boolean {
  if (entry.kind === 'live') return true;
  return start === undefined ? from === 0 : start <= (entry.begin ?? 0);
}
