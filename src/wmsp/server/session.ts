import type { AsfHeader } from '../../asf/header.js';
import type { Exchange, ResponseStream } from '../../http/exchange.js';
import { NOWHERE, oneUnit, type PlayerOutput, type WireFormat } from '../../media/wire.js';
import type { PlayerReport, PlaylistPlace, Program } from '../../playback/content.js';
import { type Entry, headerOf } from '../../playback/entry.js';
import { genIdOf } from '../../playback/entry-ids.js';
import type { PlayOrder } from '../../playback/place.js';
import type {
  ChangeAnswer,
  ChangeTimes,
  Ending,
  EntryChange,
  PlaybackHost,
  PlaybackPort,
  PlaybackState,
  Started,
} from '../../playback/port.js';
import type { StreamSelection } from '../../playback/selection.js';
import { PlaybackSession } from '../../playback/session.js';
import type { Feature } from '../../wms/features.js';
import { changePacket, dataWire, endPacket } from '../messages/packets.js';
import { entryHead, type ServerIdentity } from '../messages/responses.js';
import { Connections } from './connections.js';
import type { PipelineTest } from './pipeline-test.js';
import type { ClientProfile } from './profiles.js';

/** The states of MS-WMSP 3.2.1. */
export type SessionState = 'INIT' | 'STREAMING' | 'WAITING' | 'IDLE';

/** The services that a server offers its sessions. */
export interface SessionHost {
  readonly identity: ServerIdentity;
  readonly playback: PlaybackHost;
  /** Called when the session is used, which restarts its Idle-Timeout. */
  used(session: WmspSession): void;
  /** Called when nothing is sent or awaited any longer. */
  stopped(session: WmspSession): void;
}

/**
 * Opens the response that carries what starts; undefined if that is no longer possible.
 *
 * @param first undefined if another header is announced to the client first
 */
export type OpenResponse = (first: Started | undefined) => ResponseStream | undefined;

// In ms: $C waits for this long after a SelectStream (MS-WMSP 3.2.4.2).
const SELECTION_PAUSE = 8_000;
// $C Reason: rewinding reached the start of an entry that another one precedes (MS-WMSP 2.2.3.2).
const RECEDING = 0x400d14be;
// $E Reason: rewinding reached the start of the entry (MS-WMSP 2.2.3.4).
const REWOUND = 0x000d2f09;
// $E Reason: the rest of the entry cannot be sent (E_UNEXPECTED).
const UNEXPECTED = 0x8000ffff;

/** The position that the client last learned. */
interface Described {
  readonly path: string;
  readonly playlistGenId: number;
  readonly entry: number;
  /** The furthest entry of the path that it was given. */
  readonly reached: number;
}

const ASSUMED_FEATURES: ReadonlySet<Feature> = new Set(['predstrm', 'sswitch'] as const);

/** A streaming session (MS-WMSP 3.2.1), identified by a client-id across connections. */
export class WmspSession implements PlaybackPort {
  readonly clientId: number;
  /** The address of its requests; those from elsewhere are not from this client. */
  readonly address: string;
  readonly playback: PlaybackSession;
  profile: ClientProfile;
  /** When it was last used; unless it streams, it is forgotten some time later. */
  usedAt = 0;
  /**
   * Client-features; until a Supported header arrives, prediction and stream selection are assumed to be supported
   * (3.2.3).
   */
  features: ReadonlySet<Feature> = ASSUMED_FEATURES;
  /** KeepAlive-Mode. */
  pipelined = false;
  clientLag = 0;
  /** Takes the reports of its player about what was described or played last. */
  report: ((report: PlayerReport) => void) | undefined;
  /** The open response of a running Pipeline test (3.2.5.5). */
  pipelineTest: PipelineTest | undefined;
  /** Its connections, which are closed with it. */
  readonly connections = new Connections();
  readonly #host: SessionHost;
  #stream: ResponseStream | undefined;
  /** The number of bytes in completed responses. */
  #bytesBefore = 0;
  #described: Described | undefined;
  /** Opens the response for what is about to start. */
  #opens: OpenResponse | undefined;
  #wasActive = false;

  constructor(clientId: number, profile: ClientProfile, address: string, host: SessionHost) {
    this.clientId = clientId;
    this.address = address;
    this.profile = profile;
    this.#host = host;
    this.playback = new PlaybackSession(this, host.playback);
  }

  /** The body of its Play response. */
  get output(): PlayerOutput {
    return this.#stream ?? NOWHERE;
  }

  get state(): SessionState {
    const { state } = this.playback;
    if (state === 'waiting') return 'WAITING';
    if (this.playback.active) return 'STREAMING';
    return this.#described ? 'IDLE' : 'INIT';
  }

  /** True while a Play response is open: data flows, or a choice of streams is awaited. */
  get active(): boolean {
    return this.playback.active;
  }

  /** The number of bytes in its responses so far. */
  get bytes(): number {
    return this.#bytesBefore + (this.#stream?.bytes ?? 0);
  }

  /** The playlist-gen-id of the entry that was announced last; 0 before there is one. */
  get playlistGenId(): number {
    return this.#described?.playlistGenId ?? 0;
  }

  /** The entry for which a choice of streams, or a PlayNextEntry, is awaited. */
  get awaited(): Entry | undefined {
    return this.state === 'WAITING' ? this.playback.current : undefined;
  }

  /** The stream numbers of the current entry, which stream-switch-entry may name. */
  get streamNumbers(): ReadonlySet<number> {
    const { current } = this.playback;
    return new Set(current && headerOf(current)?.streams.map(({ number }) => number));
  }

  /** Records that the client was told about an entry of that path. */
  recordDescribed(path: string, entry: Entry): void {
    const reached = this.#described?.path === path ? Math.max(this.#described.reached, entry.id) : entry.id;
    this.#described = { path, playlistGenId: genIdOf(entry), entry: entry.id, reached };
  }

  /**
   * Returns where in a playlist the client wants to continue.
   * @param id a playlist-gen-id that it was told; 0 for the first entry
   */
  placeIn(path: string, id: number): PlaylistPlace {
    if (this.#described?.path !== path) return { entry: id, reached: 0 };
    // Once the source of a live entry has changed its header, the playlist-gen-id is no longer the place in the
    // playlist.
    const entry = id === this.#described.playlistGenId ? this.#described.entry : id;
    return { entry, reached: this.#described.reached };
  }

  /**
   * Starts a Play.
   *
   * @param program closed by the session at the end
   * @param opens opens the response, whose body the session begins with `opening`
   * @returns true if the response was opened
   */
  async play(path: string, program: Program, order: PlayOrder, opening: Buffer, opens: OpenResponse): Promise<boolean> {
    this.playback.open(program);
    this.recordDescribed(path, program.current);
    this.#nextResponse();
    return this.#answer(
      (first) => {
        const stream = opens(first);
        stream?.write(opening);
        return stream;
      },
      () => this.playback.play(order),
    );
  }

  /**
   * Handles SelectStream, or the selection of a PlayNextEntry (MS-WMSP 3.2.5.7 and 3.2.5.9).
   *
   * @param timed true for SelectStream, after which the next $C waits for a while (3.2.4.2)
   */
  select(selection: StreamSelection, timed: boolean): void {
    this.playback.select(selection, timed);
    this.playback.confirm();
  }

  /** Starts the awaited entry, now that its streams are chosen. */
  async resume(): Promise<void> {
    try {
      await this.playback.resume();
    } catch (error) {
      this.playback.fail(error);
    }
  }

  /**
   * Handles PlayNextEntry for the awaited entry, which begins in its own response (MS-WMSP 3.2.5.9).
   *
   * @returns true if that response was opened
   */
  playNext(order: PlayOrder, exchange: Exchange, opens: OpenResponse): Promise<boolean> {
    this.#nextResponse();
    return this.#answer(
      (first) => {
        if (!this.streamsBefore(exchange)) return undefined;
        this.#leaveStream();
        return opens(first);
      },
      () => this.playback.resume(order),
    );
  }

  /** Handles PlayNextEntry for the current entry: the rest is sent in its own response (MS-WMSP 3.2.5.9). */
  confirmNext(next: () => ResponseStream): void {
    this.moveTo(next);
    this.playback.confirm();
  }

  /**
   * True if an exchange is queued after the current response, on the same connection. Only there may the rest continue:
   * somebody who guesses a client-id must not get what another client was let in for.
   */
  streamsBefore(exchange: Exchange): boolean {
    return exchange.queued && this.#stream?.connection === exchange.connection;
  }

  /**
   * Sends the rest of the data in another response, in pipelined mode (MS-WMSP 3.2.5.7 and 3.2.5.9).
   * @param next opens that response, once this one has ended and the waiting ones have been sent
   */
  moveTo(next: () => ResponseStream): void {
    this.#leaveStream();
    this.#takeStream(next());
  }

  /** Stops and closes the program, after a Stop request, the loss of the connection, or the end of the server. */
  stop(): void {
    this.#opens = undefined;
    this.playback.stop('closed');
    this.#leaveStream();
  }

  /** Tells the client that the session is over, and closes its connections. */
  kick(): void {
    this.playback.stop('kicked');
    this.disconnect();
  }

  /** Stops, and closes the client's connections even if they could be reused (MS-WMSP 3.2.6.2). */
  disconnect(): void {
    this.stop();
    this.connections.close();
  }

  /** For the playback. */
  wire(header: AsfHeader): WireFormat {
    return dataWire(header.packetSize, this.profile);
  }

  /** For the playback: when $C may be sent (MS-WMSP 3.2.4.2). */
  get changes(): ChangeTimes {
    return { lag: this.clientLag, quietAfterSelect: SELECTION_PAUSE, confirmFirst: false };
  }

  /**
   * For the playback: sends $C and the head of an entry. The entry starts at once if the client accepts that without
   * asking for it (MS-WMSP 3.2.4.2), and for clients below 9.0, which would otherwise wait for ever.
   */
  announce({ header, entry, confirmed }: EntryChange): ChangeAnswer {
    this.#open(undefined);
    const head = entryHead(header, entry, this.playback.program!, this.profile, this.#host.identity);
    this.#write(Buffer.concat([changePacket(), head]));
    this.recordDescribed(this.#described!.path, entry);
    const known = confirmed || !this.profile.version9;
    return known && this.features.has('predstrm') ? 'go on' : 'wait';
  }

  /** For the playback. */
  starting(first: Started): void {
    this.#open(first);
  }

  /** For the playback. */
  ended(how: Ending, _number: number, reason: number): void {
    if (how === 'more-follows') {
      if (this.profile.endBeforeChange) this.#write(endPacket(1));
      return;
    }
    const end = endPacket(how === 'rewound' ? REWOUND : how === 'failed' ? reason || UNEXPECTED : 0);
    // The client has to say whether it continues in the previous entry (MS-WMSP 3.1.5.14), so nothing more is sent.
    const another = how === 'rewound' && this.profile.version9 && this.playback.program?.canSkip(-1);
    this.#write(another ? Buffer.concat([end, changePacket(RECEDING)]) : end);
    this.stop();
  }

  /** For the playback. */
  entered(_state: PlaybackState): void {
    this.#host.used(this);
    const { active } = this.playback;
    if (this.#wasActive && !active) this.#host.stopped(this);
    this.#wasActive = active;
  }

  /** Runs an operation that opens a response. @returns true if it was opened */
  async #answer(opens: OpenResponse, operate: () => Promise<unknown>): Promise<boolean> {
    let opened = false;
    const open: OpenResponse = (first) => {
      const stream = opens(first);
      opened = stream !== undefined;
      return stream;
    };
    this.#opens = open;
    try {
      await operate();
    } finally {
      if (this.#opens === open) this.#opens = undefined;
    }
    return opened;
  }

  #open(first: Started | undefined): void {
    const opens = this.#opens;
    if (!opens) return;
    this.#opens = undefined;
    const stream = opens(first);
    if (stream) this.#takeStream(stream);
    else this.stop();
  }

  #write(bytes: Buffer): void {
    this.output.put(oneUnit(bytes));
  }

  #takeStream(stream: ResponseStream): void {
    this.#stream = stream;
    stream.onLost = () => this.stop();
  }

  #leaveStream(): void {
    const stream = this.#stream;
    if (!stream) return;
    this.#stream = undefined;
    this.#bytesBefore += stream.bytes;
    stream.onLost = undefined;
    stream.end();
  }

  /** Skips a number that the client would take for a packet of the previous response, 255 (MS-WMSP 2.2.3.1.2). */
  #nextResponse(): void {
    const { number } = this.playback;
    if ((number & 255) === 255) this.playback.countFrom(number + 1);
  }
}
