import type { AsfHeader } from '../asf/header.js';
import type { WmError } from '../errors.js';
import type { ResponseStream } from '../http/exchange.js';
import type { PlayerOutput } from '../media/lane.js';
import type { Ticker } from '../media/on-demand/flow.js';
import { type Feed, type FeedListener, FileFeed, LiveFeed } from './feed.js';
import { changePacket, endPacket } from './packets.js';
import type { ClientProfile } from './profiles.js';
import { type Entry, headerOf, type Program } from './program.js';
import { entryHead, FEATURE_PREFIX, genIdOf, type ServerIdentity } from './responses.js';
import { levelOf, NO_STREAMS, predicted, type StreamSelection } from './selection.js';

/** The states of MS-WMSP 3.2.1. */
export type SessionState = 'INIT' | 'STREAMING' | 'WAITING' | 'IDLE';

/** What sessions need of their server. */
export interface SessionHost {
  readonly identity: ServerIdentity;
  readonly ticker: Ticker;
  now(): number;
  /** The session began or ended to stream. */
  streaming(session: WmspSession, active: boolean): void;
  failed(error: WmError): void;
}

/** How a Play begins. */
export interface PlayOrder {
  readonly stream: ResponseStream;
  readonly program: Program;
  /** What opens the body: the head of the entry, or of several when the player skips (MS-WMSP 3.2.5.6). */
  readonly opening: Buffer;
  readonly selection: StreamSelection;
  /** For a file: the packet to start with. */
  readonly from: number;
  readonly pace: Pace;
  /** The streams of the entry are not chosen yet: wait for SelectStream or PlayNextEntry. */
  readonly wait: boolean;
}

/** How fast a file is sent, and how much of it. */
export interface Pace {
  readonly rate: number;
  readonly speed?: number;
  readonly acceleration?: { readonly bitsPerSecond: number; readonly milliseconds: number };
  /** Milliseconds of media. */
  readonly maxDuration?: number;
}

const NORMAL_PACE: Pace = { rate: 1 };

// MS-WMSP 3.2.4.2: $C waits for what the client says it lags, up to a bound, and for this long after a SelectStream.
const MAX_LAG = 15_000;
const SELECTION_PAUSE = 8_000;

/** A streaming session (MS-WMSP 3.2.1): what a client-id stands for, across connections. */
export class WmspSession implements FeedListener {
  readonly clientId: number;
  state: SessionState = 'INIT';
  profile: ClientProfile;
  /** When it was last used; it is forgotten some time later unless it streams. */
  usedAt = 0;
  /** Client-features; until a Supported header comes, prediction and stream selection are taken for supported (3.2.3). */
  features: ReadonlySet<string> = new Set([`${FEATURE_PREFIX}predstrm`, `${FEATURE_PREFIX}sswitch`]);
  /** KeepAlive-Mode. */
  pipelined = false;
  clientLag = 0;
  /** What a running Pipeline test has open (3.2.5.5). */
  pipelineTest: { readonly stream: ResponseStream; readonly timer: NodeJS.Timeout; running: boolean } | undefined;
  readonly #host: SessionHost;
  readonly #output: PlayerOutput;
  #stream: ResponseStream | undefined;
  #program: Program | undefined;
  #feed: Feed | undefined;
  #pace: Pace = NORMAL_PACE;
  #selection: StreamSelection = NO_STREAMS;
  #selectedAt = Number.NEGATIVE_INFINITY;
  // AFFlags of the next $D; goes on from one Play to the next (2.2.3.1.2).
  #sequence = 0;
  #sent = 0;
  #skipped = 0;
  #changeTimer: NodeJS.Timeout | undefined;

  constructor(clientId: number, profile: ClientProfile, host: SessionHost) {
    this.clientId = clientId;
    this.profile = profile;
    this.#host = host;
    const stream = () => this.#stream;
    this.#output = {
      write: (bytes) => this.#stream?.write(bytes),
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

  /** Playlist-gen-id of the entry that plays; 0 when there is none. */
  get playlistGenId(): number {
    return this.active && this.#program ? genIdOf(this.#program.current) : 0;
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

  /** Begins the body of a Play response. */
  play({ stream, program, opening, selection, from, pace, wait }: PlayOrder): void {
    this.#program = program;
    this.#selection = selection;
    this.#pace = pace;
    this.#sent = 0;
    this.#skipped = 0;
    this.#takeStream(stream);
    this.#nextResponse();
    this.#host.streaming(this, true);
    stream.write(opening);
    if (wait) this.#setState('WAITING');
    else this.#startFeed(program.current, from);
  }

  /** SelectStream, or the selection of a PlayNextEntry (MS-WMSP 3.2.5.7 and 3.2.5.9). */
  select(selection: StreamSelection): void {
    this.#selection = selection;
    this.#selectedAt = this.#host.now();
    this.#feed?.select(selection);
  }

  /** Starts the entry whose streams were awaited. */
  async resume(): Promise<void> {
    if (this.state !== 'WAITING' || !this.#program) return;
    this.#setState('STREAMING');
    await this.#startEntry(this.#program.current);
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
    this.#nextResponse();
  }

  /** Stops for good: a Stop request, the client's connection, the server's end. */
  stop(): void {
    if (!this.active) return;
    this.#leaveFeed();
    clearTimeout(this.#changeTimer);
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

  /** For the feed: the broadcast has another header. */
  changed(header: AsfHeader): StreamSelection | undefined {
    const entry = this.#program!.current;
    this.#announce(header, entry);
    if (!this.#predicts) {
      this.#leaveFeed();
      this.#setState('WAITING');
      return undefined;
    }
    return this.#selection;
  }

  /** For the feed: the entry is over. */
  ended(reason: number): void {
    this.#leaveFeed();
    if (reason !== 0) this.#finish(reason);
    else this.#advance().catch((error: WmError) => this.#fail(error));
  }

  async #advance(): Promise<void> {
    const program = this.#program!;
    const previous = headerOf(program.current);
    const entry = this.#pace.rate < 0 ? undefined : await program.next();
    if (!this.active) return;
    const header = entry && headerOf(entry);
    if (!entry || !header) {
      this.#finish(0);
      return;
    }
    if (this.profile.endBeforeChange) this.#output.write(endPacket(1));
    await this.#pauseBeforeChange();
    if (!this.active) return;
    this.#output.write(Buffer.concat([changePacket(), this.#head(header, entry)]));
    if (previous) this.#selection = predicted(this.#selection, previous, header);
    this.#pace = NORMAL_PACE;
    if (this.#predicts) await this.#startEntry(entry);
    else this.#setState('WAITING');
  }

  /** MS-WMSP 3.2.4.2: not before the client has had time for what it has, and for what it chose. */
  #pauseBeforeChange(): Promise<void> {
    const sinceSelection = this.#host.now() - this.#selectedAt;
    const pause = Math.max(Math.min(this.clientLag, MAX_LAG), SELECTION_PAUSE - sinceSelection);
    if (!(pause > 0)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#changeTimer = setTimeout(resolve, pause);
    });
  }

  #announce(header: AsfHeader, entry: Entry): void {
    if (this.profile.endBeforeChange) this.#output.write(endPacket(1));
    this.#output.write(Buffer.concat([changePacket(), this.#head(header, entry)]));
  }

  #head(header: AsfHeader, entry: Entry): Buffer {
    return entryHead(header, entry, this.#program!, this.profile, this.#host.identity);
  }

  /** Whether streams of a new entry are chosen by the server, without waiting for the client (MS-WMSP 3.2.4.2). */
  get #predicts(): boolean {
    return this.features.has(`${FEATURE_PREFIX}predstrm`);
  }

  async #startEntry(entry: Entry): Promise<void> {
    let from = 0;
    if (entry.kind === 'file') {
      const choice = { level: (stream: number) => levelOf(this.#selection, stream) };
      const position = { kind: 'time', milliseconds: entry.begin ?? 0 } as const;
      from = await entry.file.locate(position, choice);
    }
    if (this.active) this.#startFeed(entry, from);
  }

  #startFeed(entry: Entry, from: number): void {
    this.#setState('STREAMING');
    const common = { output: this.#output, sequence: this.#sequence, listener: this };
    if (entry.kind === 'live') {
      const { padding } = this.profile;
      this.#feed = new LiveFeed({ ...common, broadcast: entry.broadcast, padding, selection: this.#selection });
    } else {
      const { rate, speed, acceleration, maxDuration } = this.#pace;
      const lasts = Math.min(maxDuration ?? Number.POSITIVE_INFINITY, entry.duration ?? Number.POSITIVE_INFINITY);
      const reader = entry.file.reader({
        from,
        rate,
        choice: { level: (stream) => levelOf(this.#selection, stream) },
        padding: this.profile.padding,
        ...(Number.isFinite(lasts) ? { maxDuration: lasts } : {}),
      });
      const { ticker } = this.#host;
      const onError = (error: WmError) => this.#host.failed(error);
      this.#feed = new FileFeed({ ...common, reader, ticker, rate, speed, acceleration, onError });
    }
    this.#feed.start();
  }

  #leaveFeed(): void {
    const feed = this.#feed;
    if (!feed) return;
    this.#feed = undefined;
    feed.stop();
    this.#sequence = feed.sequence;
    this.#sent += feed.packets.sent;
    this.#skipped += feed.packets.skipped;
  }

  #finish(reason: number): void {
    this.#output.write(endPacket(reason));
    this.stop();
  }

  #fail(error: WmError): void {
    this.#host.failed(error);
    if (this.active) this.#finish(0x8000ffff);
  }

  #takeStream(stream: ResponseStream): void {
    this.#stream = stream;
    stream.onLost = () => this.stop();
  }

  // The client would take 255 for a packet of the response before (2.2.3.1.2).
  #nextResponse(): void {
    if (this.#feed) return;
    if (this.#sequence === 255) this.#sequence = 0;
  }

  #setState(state: SessionState): void {
    this.state = state;
    this.usedAt = this.#host.now();
  }
}
