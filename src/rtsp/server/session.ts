import { randomInt } from 'node:crypto';
import type { AsfHeader } from '../../asf/header.js';
import type { Field } from '../../framing/text-head.js';
import type { PlayerOutput, WireFormat } from '../../media/wire.js';
import { infoOf, type Program } from '../../playback/content.js';
import type { Pass } from '../../playback/entrance.js';
import type { Entry } from '../../playback/entry.js';
import { broadcastIdOf, genIdOf } from '../../playback/entry-ids.js';
import type {
  ChangeAnswer,
  ChangeTimes,
  Ending,
  EntryChange,
  PlaybackPort,
  PlaybackState,
  Started,
} from '../../playback/port.js';
import { levelOf, NO_STREAMS, type StreamSelection, switched } from '../../playback/selection.js';
import { PlaybackSession } from '../../playback/session.js';
import { Refusal } from '../../refusal.js';
import type { Feature } from '../../wms/features.js';
import { formatStartupProfile } from '../../wms/startup-profile.js';
import { RtspError } from '../messages/error.js';
import { type EndReason, type StreamReplacement, type Transport, writeRtpInfo } from '../messages/headers.js';
import type { NackRequest } from '../messages/rtcp.js';
import { RTX_STREAM, type Sdp, type SdpFec, type SdpMedia } from '../messages/sdp.js';
import { Delivery } from './delivery.js';
import { describeEntry, type Teller } from './description.js';
import { cacheFields } from './fields.js';
import type { RtspHost } from './host.js';
import type { SessionLink } from './link.js';
import { announcement, endOfStream, type Notice, selectedMedia } from './notices.js';
import { type AskedPlay, checkPosition, endOf, grantedFields } from './order.js';
import { ssrcOf } from './playable.js';
import type { Reply } from './reply.js';
import { rtpWire } from './wire.js';

/** Largest X-Player-Lag-Time accepted, in ms (MS-RTSP 3.2.2). */
const MAX_LAG = 15_000;

/** How long a client that does not know EndOfStream keeps its connection after the end, ms. */
const FAREWELL = 1_500;

const END_REASONS: Readonly<Record<Ending, EndReason>> = {
  done: 'end',
  failed: 'end',
  'more-follows': 'more-entries',
  rewound: 'rewound',
  kicked: 'kicked',
};

/** What a SETUP without a session begins. */
export interface NewSession {
  readonly path: string;
  /** The URL of the presentation as the client writes it; ends in a slash. */
  readonly base: string;
  readonly pass: Pass;
  readonly program: Program;
  readonly client: string;
}

/** A client's session (MS-RTSP 3.2.1): what it has set up, and what it is sent. It outlives its connection. */
export class RtspSession implements PlaybackPort {
  readonly id: string;
  readonly playback: PlaybackSession;
  readonly base: string;
  readonly path: string;
  readonly client: string;
  readonly user: string | undefined;
  /** The address of its client, which it is bound to. */
  readonly address: string;
  readonly remoteAddress: string;
  readonly delivery: Delivery;
  /** When it was used last. */
  usedAt: number;
  /** Since when it has no connection. */
  detachedAt: number | undefined;
  features: ReadonlySet<Feature> = new Set();
  /** X-Player-Lag-Time, in ms. */
  lag = 0;
  readonly #host: RtspHost<RtspSession>;
  readonly #pass: Pass;
  readonly #began = new Date();
  readonly #info;
  #link: SessionLink | undefined;
  #sdp: Sdp;
  #entry: Entry;
  #gen: number;
  #previousGen = 0;
  #previousEntry = 0;
  #selection: StreamSelection = NO_STREAMS;
  /** The streams of another entry were announced, and the client has chosen none of them yet. */
  #unchosen = false;
  #play: { readonly asked: AskedPlay; readonly respond: (reply: Reply) => void } | undefined;
  /** FEC was set up before the last PLAY. */
  #isProtected = false;
  #endedEntry = false;
  /** Playing backwards, it reached the beginning of the entry. */
  #receding = false;
  /** The client was told that nothing more comes. */
  #endedAll = false;
  #bytesBefore = 0;
  #closed = false;
  #farewell: NodeJS.Timeout | undefined;

  constructor(
    { path, base, pass, program, client }: NewSession,
    header: AsfHeader,
    link: SessionLink,
    host: RtspHost<RtspSession>,
  ) {
    this.#host = host;
    this.id = host.newId();
    this.#pass = pass;
    this.path = path;
    this.base = base;
    this.client = client;
    this.user = pass.user;
    this.address = link.address;
    this.remoteAddress = link.remoteAddress;
    this.usedAt = host.now();
    this.#link = link;
    this.#entry = program.current;
    this.#gen = genIdOf(program.current);
    this.delivery = new Delivery(ssrcOf(program.current), link.address, host);
    this.#info = infoOf(program);
    this.#sdp = describeEntry(header, program.current, program, this.#teller(link));
    this.playback = new PlaybackSession(this, host.playback);
    this.playback.open(program, (place) => pass.open(place, AbortSignal.timeout(MAX_LAG)));
    // Lanes of broadcasts number their packets themselves, so that players share them.
    if (program.current.kind === 'file') this.playback.countFrom(randomInt(0x10000));
  }

  /** True while its client has a connection. */
  get connected(): boolean {
    return !this.#closed && this.#link !== undefined;
  }

  get link(): SessionLink | undefined {
    return this.#link;
  }

  get transport(): 'udp' | 'tcp' {
    return this.delivery.transport ?? 'tcp';
  }

  /** playlist-gen-id of the entry that was described or announced last. */
  get genId(): number {
    return this.#gen;
  }

  /** The entity tag of that entry, as in its SDP. */
  get tag(): string | undefined {
    return this.#sdp.etag;
  }

  get playlist(): boolean {
    return this.#info.playlist;
  }

  /** Bytes sent to the client, framing and answers included. */
  get bytes(): number {
    return this.#bytesBefore + (this.#link?.bytesWritten ?? 0) + this.delivery.sentBytes;
  }

  get cacheFields(): Field[] {
    return cacheFields(this.#info, this.#began);
  }

  /** The stream that has a control of the session's SDP. */
  stream(control: string): SdpMedia | undefined {
    return this.#sdp.media.find((media) => media.control === control);
  }

  /** The FEC packets that have a control of the session's SDP. */
  fec(control: string): SdpFec | undefined {
    return this.#sdp.media.find(({ fec }) => fec?.control === control)?.fec;
  }

  /** The connection is lost: nothing is sent until the client comes back (MS-RTSP 3.2.7.2). */
  detach(link: SessionLink): void {
    if (this.#link !== link) return;
    this.#bytesBefore += link.bytesWritten;
    this.#link = undefined;
    this.detachedAt = this.#host.now();
    this.usedAt = this.detachedAt;
    if (!this.#closed) this.#host.detached(this);
    this.#play = undefined;
    this.playback.pause();
  }

  /** The client is back on another connection. */
  attach(link: SessionLink): void {
    const before = this.#link;
    if (before === link) return;
    if (before) this.detach(before);
    this.#link = link;
    this.#bytesBefore -= link.bytesWritten;
    this.detachedAt = undefined;
    this.#host.attached(this);
  }

  /** Ends the session and gives everything back. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#farewell);
    this.#play = undefined;
    this.playback.stop('closed');
    this.#host.stopped(this);
    this.#pass.leave();
    this.delivery.close();
    this.#host.remove(this);
  }

  /**
   * Handles a client's refusal of a request. Clients without com.microsoft.wm.eosmsg only notice the end when their
   * connection is closed (MS-RTSP 2.2.6.10.1). A client that is about to seek sends a request before that.
   */
  misunderstood(): void {
    // For these, the end of an entry is the end: they would wait for ever for another one.
    if (!(this.#endedAll || this.#endedEntry) || this.features.has('eosmsg')) return;
    clearTimeout(this.#farewell);
    this.#farewell = setTimeout(() => {
      const link = this.#link;
      this.close();
      link?.end();
    }, FAREWELL);
  }

  /** The client asks for something. */
  used(): void {
    this.usedAt = this.#host.now();
    clearTimeout(this.#farewell);
  }

  /** Ends the session on an operator's wish: the client is told. */
  kick(): void {
    this.playback.stop('kicked');
    const link = this.#link;
    this.close();
    link?.end();
  }

  /**
   * SETUP of a stream (MS-RTSP 3.2.5.6).
   *
   * @param wishes ways of transport, the preferred first
   * @param body of a SelectStream that starts thinned
   * @throws RtspError 461
   */
  setUp(media: SdpMedia, wishes: readonly Transport[], body: StreamReplacement | undefined): Field[] {
    const isRtx = media.stream >= RTX_STREAM;
    const fields = this.delivery.setUp(wishes, isRtx, this.#link!.offersUdp);
    if (!isRtx) {
      const fresh = this.#unchosen ? NO_STREAMS : this.#selection;
      this.#unchosen = false;
      const level = body?.new === media.stream ? body.thinning : 0;
      this.#select(switched(fresh, [{ source: undefined, destination: media.stream, level }]));
    }
    return fields;
  }

  /** SETUP of the FEC packets of a stream (MS-RTSP 3.2.5.6.4). @throws RtspError 461 unless it is by UDP */
  setUpFec({ span, perSpan }: SdpFec, wishes: readonly Transport[]): Field[] {
    return this.delivery.setUpFec(wishes, { span, perSpan, burstMargin: 1 }, this.#link!.offersUdp);
  }

  /** TEARDOWN of a stream: it is sent no more (MS-RTSP 2.2.7.10.2). */
  deselect(media: SdpMedia): void {
    if (media.stream >= RTX_STREAM) {
      this.delivery.closeRtx();
      return;
    }
    this.#select(switched(this.#selection, [{ source: undefined, destination: media.stream, level: 2 }]));
  }

  /** SET_PARAMETER with a stream switch (MS-RTSP 2.2.7.10.3). @throws RtspError 400 for streams that there are not */
  switchStreams({ old, new: next, thinning }: StreamReplacement): void {
    const known = (stream: number | undefined) =>
      stream === undefined || this.#sdp.media.some((media) => media.stream === stream);
    if (!known(old) || !known(next)) throw new RtspError(400, 'There is no such stream.');
    const change =
      next === undefined
        ? old === undefined
          ? []
          : [{ source: undefined, destination: old, level: 2 as const }]
        : [{ source: old, destination: next, level: thinning }];
    this.#select(switched(this.#selection, change));
  }

  #select(selection: StreamSelection): void {
    this.#selection = selection;
    this.playback.select(selection, false);
  }

  /** Sends again what a client of UDP asks for, as far as that is kept (MS-RTSP 3.2.5.10). */
  resend({ sequences }: NackRequest): void {
    if (!this.delivery.hasRtx || !this.#link) return;
    const last = this.playback.number - 1;
    const numbers = sequences.map((sequence) => last - ((last - sequence) & 0xffff)).filter((number) => number >= 0);
    this.delivery.repeat(this.playback.resend(numbers));
  }

  /**
   * PLAY (MS-RTSP 3.2.5.8): starts, goes on, seeks, skips, or confirms an entry that was announced.
   *
   * @param respond writes the response; called before the first byte that is sent
   * @throws RtspError 455 without a stream; Refusal
   */
  async play(asked: AskedPlay, place: PlayPlace, respond: (reply: Reply) => void): Promise<void> {
    const chosen = this.#sdp.media.some(({ stream }) => stream < RTX_STREAM && levelOf(this.#selection, stream) < 2);
    if (!chosen) throw new RtspError(455, 'No stream is set up.');
    const { offset, seekId } = place;
    const { state } = this.playback;
    const { order } = asked;
    const isFile = this.playback.current?.kind === 'file';
    if (isFile) checkPosition(order, this.#sdp.range?.end ?? 0);
    // The client does not know yet that it is at the entry after that.
    const isLate = seekId !== undefined && seekId === this.#previousGen && seekId !== this.#gen;
    if (isLate && offset !== -1) {
      this.#previousGen = 0;
      respond(this.#changeNotice());
      this.#announceEnd('more-entries', this.playback.number);
      return;
    }
    const { program } = this.playback;
    if (offset !== undefined && program && !program.canSkip(offset)) {
      throw new RtspError(400, 'There is no such entry.');
    }
    if (offset === undefined && state === 'playing' && !(order.position && isFile)) {
      this.playback.confirm();
      respond(
        this.#playing(asked, { position: undefined, location: undefined, pace: { rate: 1 } }, this.playback.number),
      );
      return;
    }
    // What was sent before can only be sent again as it was.
    this.#isProtected = this.delivery.fec !== undefined;
    this.#play = { asked, respond };
    try {
      if (offset !== undefined) {
        this.playback.confirm();
        await this.playback.next(offset, isLate ? this.#previousEntry : undefined);
      } else if (state === 'waiting') await this.playback.resume(Object.keys(order).length > 0 ? order : undefined);
      else if (order.position) await this.playback.play({ position: order.position, ...order });
      else await this.playback.resume(order);
      if (this.#play) throw new Refusal('gone', 'What was asked for was given up.');
    } finally {
      this.#play = undefined;
    }
  }

  /** PAUSE. @throws RtspError 455 when nothing is sent (MS-RTSP 3.2.5.11) */
  pause(): void {
    if (!this.playback.active && !this.#endedEntry) throw new RtspError(455, 'Nothing is played.');
    this.playback.pause();
  }

  /** For the playback. */
  get output(): PlayerOutput {
    return this.delivery.output(this.#link?.tcp);
  }

  /** For the playback. */
  wire(_header: AsfHeader): WireFormat {
    return rtpWire({
      channel: this.delivery.channel,
      ssrc: this.delivery.ssrc,
      withLocation: this.features.has('locid'),
      isProtected: this.#isProtected,
    });
  }

  /** For the playback. */
  get changes(): ChangeTimes {
    return { lag: Math.min(this.lag, MAX_LAG), quietAfterSelect: 0, confirmFirst: true };
  }

  /** For the playback: Announce (MS-RTSP 3.2.4.2). */
  announce({ header, entry, selection, number }: EntryChange): ChangeAnswer {
    const link = this.#link;
    const { program } = this.playback;
    if (!link || !program) return 'wait';
    if (this.#play) this.ended('more-follows', number, 0);
    this.#previousEntry = this.#entry.id;
    this.#entry = entry;
    this.#previousGen = this.#gen;
    this.#gen = genIdOf(entry);
    this.#sdp = describeEntry(header, entry, program, this.#teller(link));
    this.#selection = selection;
    // Backwards, it goes on from where the client says.
    const isReceding = this.#receding;
    this.#receding = false;
    const predicts = !isReceding && this.features.has('predstrm') && this.#selected.length > 0;
    this.#unchosen = !predicts;
    // The client chooses the FEC packets again, too.
    if (!predicts) this.delivery.closeFec();
    const { granted: transport, fec } = this.delivery;
    const prediction = predicts ? { selection, transport, fec } : undefined;
    const more: Field[] = [
      ...(isReceding ? [['X-Receding-PlaylistChange', '1'] as const] : []),
      ...(entry.kind === 'live' ? [['X-Broadcast-Id', `${broadcastIdOf(entry.broadcast)}`] as const] : []),
      ...cacheFields(infoOf(program), this.#began),
    ];
    this.#tell(announcement(this.#facts(number), this.#sdp, prediction, more));
    return predicts ? 'go on' : 'wait';
  }

  /** For the playback. */
  starting(first: Started): void {
    const play = this.#play;
    this.#play = undefined;
    this.#endedEntry = false;
    this.#endedAll = false;
    play?.respond(this.#playing(play.asked, first, first.number, first.profile));
    if (this.#link) this.#host.started(this);
  }

  /** For the playback. */
  ended(how: Ending, number: number, _reason: number): void {
    // What was asked for begins with another entry.
    if (how === 'more-follows') this.#play?.respond(this.#changeNotice());
    this.#play = undefined;
    this.#announceEnd(END_REASONS[how], number);
    // The entry before is announced, and the client says whether it goes on there.
    if (how !== 'rewound' || !this.#link || !this.playback.program?.canSkip(-1)) return;
    this.#receding = true;
    const failed = (error: unknown) => {
      if (!(error instanceof Refusal)) this.#host.failed(error);
    };
    queueMicrotask(() => void this.playback.next(-1).catch(failed));
  }

  /** For the playback. */
  entered(state: PlaybackState): void {
    if (state === 'ready' || state === 'init') this.#host.stopped(this);
  }

  get #selected(): SdpMedia[] {
    return selectedMedia(this.#sdp, this.#selection);
  }

  #teller({ localAddress: address }: SessionLink): Teller {
    return { base: this.base, path: this.path, address, fecSpan: this.#host.fecSpan };
  }

  #facts(number: number) {
    return { session: this.id, genId: this.#gen, base: this.base, selected: this.#selected, number };
  }

  #announceEnd(reason: EndReason, number: number): void {
    this.#endedEntry = reason === 'more-entries';
    this.#endedAll = !this.#endedEntry;
    this.#tell(endOfStream(this.#facts(number), reason));
  }

  #tell({ method, fields, body }: Notice): void {
    this.#link?.request(method, this.base, fields, body);
  }

  /** A PLAY response that says that another entry comes instead (MS-RTSP 2.2.6.21). */
  #changeNotice(): Reply {
    return { status: 200, fields: [['X-Playlist-Change-Notice', 'true']] };
  }

  #playing(
    asked: AskedPlay,
    first: Pick<Started, 'position' | 'location' | 'pace'>,
    number: number,
    profile?: Started['profile'],
  ): Reply {
    const end = this.#entry.kind === 'file' ? (endOf(first.pace) ?? this.#sdp.range?.end) : undefined;
    const streams = this.#selected.map(({ control }) => ({
      url: this.base + control,
      sequence: number,
      rtpTime: 0,
    }));
    return {
      status: 200,
      supported: true,
      fields: [
        ...grantedFields(first, asked.burst, end),
        ...(profile ? [['X-StartupProfile', formatStartupProfile(profile)] as const] : []),
        ['RTP-Info', writeRtpInfo(streams)],
      ],
    };
  }
}

/** Where in a playlist a PLAY goes on. */
export interface PlayPlace {
  /** X-Playlist: pl-offset. */
  readonly offset: -1 | 1 | undefined;
  /** X-Playlist-Seek-Id. */
  readonly seekId: number | undefined;
}
