import { type AsfHeader, parseHeader } from '../../asf/header.js';
import { WmError } from '../../errors.js';
import type { Field } from '../../framing/text-head.js';
import {
  type LinkContext,
  type LinkEvent,
  type Losses,
  type PullLink,
  ServerFailure,
  type SourceFacts,
  type Wish,
} from '../../receiving/link.js';
import { chooseStreams } from '../../receiving/streams.js';
import { parseDescriptions } from '../../wms/content-description.js';
import { parseStartupProfile, type StartupParameters } from '../../wms/startup-profile.js';
import { RtspError } from '../messages/error.js';
import { type EndReason, type RtpInfo, readEndOfStream, readNumber, readRtpInfo } from '../messages/headers.js';
import type { RtspRequest } from '../messages/message.js';
import { readSdp, type Sdp } from '../messages/sdp.js';
import type { Announced, Arrival } from './arrivals.js';
import { RtspDialog } from './dialog.js';
import { MediaIntake } from './intake.js';
import { TcpPairMeasure } from './measure.js';
import type { RtspDescription } from './options.js';
import type { RtspPeer } from './peer.js';
import { playFields } from './play.js';
import { RtspReports } from './reports.js';
import { isSameUrl, keptStreams, urlOf, wantedMedia } from './streams.js';
import { isRtspUrl, parseRtspUrl } from './url.js';

/** The facts that an RTSP link finds out. */
export interface RtspFacts extends SourceFacts {
  readonly description: RtspDescription;
}

/** The playlist entry that a session is at. */
interface CurrentEntry {
  readonly sdp: Sdp;
  readonly header: AsfHeader;
  readonly live: boolean;
}

/** How often timers are looked at, in ms. */
const TICK = 250;
/** How long to wait for the last answers of a server, in ms. */
const FAREWELL = 3_000;

/** A session with an RTSP server of Windows Media (MS-RTSP 3.1) as a link of a {@link PullSource}. */
export class RtspPullLink implements PullLink<RtspFacts> {
  readonly #peer: RtspPeer;
  readonly #transport: 'tcp' | 'udp';
  readonly #dialog: RtspDialog;
  readonly #intake: MediaIntake;
  readonly #reports: RtspReports;
  readonly #note: (text: string) => void;
  #entry: CurrentEntry | undefined;
  #startupProfile: StartupParameters | undefined;
  #broadcastId = 0;
  #cacheControl: readonly string[] = [];
  #bandwidth: number | undefined;
  #state: 'idle' | 'playing' | 'ended' = 'idle';
  // X-Playlist-Change-Notice-Variable: nothing of this PLAY is streamed.
  #changeNotice = false;
  #stopping = false;
  #gone = false;
  #failure: WmError | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dataAt = 0;
  #wake: () => void = () => {};

  /** @param transport for media */
  constructor(peer: RtspPeer, context: LinkContext, transport: 'tcp' | 'udp', onNote: (text: string) => void) {
    this.#peer = peer;
    this.#note = onNote;
    this.#transport = transport;
    this.#dialog = new RtspDialog(peer, {
      request: (request) => this.#request(request),
      frame: (channel, bytes) => this.#intake.frame(channel, bytes),
      lost: (error) => this.#fail(error),
    });
    this.#intake = new MediaIntake(this.#dialog, peer, transport, () => {
      this.#dataAt = performance.now();
      this.#wake();
    });
    this.#reports = new RtspReports(peer, context, this.#dialog, transport, () => this.#intake.lossLog);
  }

  get losses(): Losses {
    return this.#intake.losses;
  }

  async open(): Promise<RtspFacts> {
    const response = await this.#peer.absence.reach(
      this.#transport,
      () => this.#dialog.describe(),
      (error) => this.#dialog.supported !== undefined || !isAbsence(error),
    );
    const { headers, body } = response;
    this.#entry = entryOf(sdpOf(body, this.#dialog.url.href));
    this.#broadcastId = readNumber(headers.get('X-Broadcast-Id')) ?? 0;
    this.#cacheControl = headers
      .all('Cache-Control')
      .join(',')
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== '');
    if (this.#peer.options.packetPair && this.#dialog.supported?.has('srvppair')) await this.#measure();
    const { live, header } = this.#entry;
    const description = this.#describe(this.#entry);
    const single = !this.#entry.sdp.features.includes('playlist');
    return { live, header, bandwidth: this.#bandwidth, single, resumable: true, description };
  }

  async *play(wish: () => Wish): AsyncGenerator<readonly LinkEvent[], 'ended' | 'stopped', undefined> {
    this.#stopping = false;
    await this.#start(wish());
    let isNew = !this.#changeNotice;
    try {
      for (;;) {
        if (isNew) {
          isNew = false;
          yield [{ type: 'header', header: this.#entry!.header, announced: false, entry: this.#dialog.genId }];
        }
        const arrival = await this.#arrival();
        switch (arrival.type) {
          case 'stop':
            await this.#pause();
            return 'stopped';
          case 'packets':
            yield arrival.packets.map(({ bytes, location }) => ({ type: 'packet', bytes, location }));
            break;
          case 'end':
            if (this.#ended(arrival.reason)) return 'ended';
            break;
          case 'announced':
            yield [this.#nextHeader(arrival.announced)];
            await this.#playNext(wish(), arrival.announced.predicted);
            break;
          case 'moved':
            throw this.#movedTo(arrival.location);
        }
      }
    } finally {
      if (this.#state === 'playing') this.#state = 'idle';
    }
  }

  pause(): void {
    this.#stopping = true;
    this.#wake();
  }

  stop(): void {
    if (this.#state === 'playing' && this.#dialog.isOpen) {
      this.#state = 'ended';
      void this.#dialog.tell('PAUSE');
      this.#reports.played();
      this.#reports.rendered();
    }
    this.destroy();
  }

  async finish(): Promise<void> {
    const isOpen = this.#dialog.isOpen && this.#dialog.session !== undefined;
    if (isOpen) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, FAREWELL);
      });
      await Promise.race([this.#dialog.tell('TEARDOWN', { named: true }), late]);
      clearTimeout(timer);
      this.#dialog.session = undefined;
    }
    this.destroy();
  }

  forward(body: Buffer, agent: string): void {
    this.#reports.forward(body, agent);
  }

  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    clearInterval(this.#timer);
    this.#intake.close();
    this.#dialog.end();
    this.#wake();
  }

  /** SETUP of the streams and PLAY, on another connection if the last one was lost. */
  async #start(wish: Wish): Promise<void> {
    this.#failure = undefined;
    await this.#dialog.connect();
    if (this.#gone) throw new WmError('WM_FAILED', 'The session is closed.');
    this.#watch();
    const { sdp } = this.#entry!;
    await this.#intake.open(sdp, this.#entry!.header.packetSize);
    await this.#intake.select(wantedMedia(sdp, wish.chosen).map((media) => ({ media, url: this.#urlOf(sdp, media) })));
    this.#intake.prepare();
    await this.#play(playFields(wish, this.#playFacts), []);
  }

  /** Another entry was announced: chooses its streams, and confirms (MS-RTSP 3.1.4.5). */
  async #playNext(wish: Wish, predicted: readonly RtpInfo[] | undefined): Promise<void> {
    const { sdp, header } = this.#entry!;
    await this.#intake.open(sdp, header.packetSize);
    const wanted = wantedMedia(sdp, wish.chosen).map((media) => ({ media, url: this.#urlOf(sdp, media) }));
    const isPredicted = (url: string) => predicted?.some((info) => isSameUrl(url, info.url)) ?? false;
    const all = sdp.media.map((media) => ({ media, url: this.#urlOf(sdp, media) }));
    const kept = wanted.filter(({ url }) => isPredicted(url));
    const unwanted = all.filter(({ url }) => isPredicted(url) && !wanted.some((each) => each.url === url));
    if (!predicted) this.#intake.prepare();
    this.#intake.changed(kept, predicted ?? []);
    await Promise.all([
      ...unwanted.map(({ url }) => this.#dialog.tell('TEARDOWN', { url, named: true })),
      this.#intake.select(wanted.filter(({ url }) => !isPredicted(url))),
    ]);
    const facts = { ...this.#playFacts, isNext: true };
    await this.#play(playFields({ ...wish, entry: undefined }, facts), keptStreams(kept.map(({ url }) => url)));
  }

  async #play(fields: readonly Field[], more: readonly Field[]): Promise<void> {
    const asking = this.#dialog.ask('PLAY', { fields: [...fields, ...more], supported: true });
    this.#reports.connected();
    const { headers } = await asking;
    this.#state = 'playing';
    this.#dataAt = performance.now();
    this.#changeNotice = /^\s*true\s*$/i.test(headers.get('X-Playlist-Change-Notice') ?? '');
    this.#startupProfile = parseStartupProfile(headers.get('X-StartupProfile')) ?? this.#startupProfile;
    const infos = headers.all('RTP-Info').join(',');
    this.#intake.begin(infos.trim() === '' ? [] : readRtpInfoOrNone(infos));
  }

  get #playFacts() {
    const { options } = this.#peer;
    const { genId, supported } = this.#dialog;
    const features = this.#entry!.sdp.features;
    return { options, genId, supported, features, bandwidth: this.#bandwidth, note: this.#note, isNext: false };
  }

  /** Waits for what comes next. @throws WmError the failure of the session */
  async #arrival(): Promise<Arrival | { readonly type: 'stop' }> {
    for (;;) {
      if (this.#stopping || this.#gone) return { type: 'stop' };
      const arrival = this.#intake.next();
      if (arrival) return arrival;
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** PAUSE and the log (MS-RTSP 3.1.4.7). */
  async #pause(): Promise<void> {
    if (this.#gone || this.#state !== 'playing' || !this.#dialog.isOpen) return;
    this.#state = 'idle';
    const paused = this.#dialog.tell('PAUSE');
    this.#reports.played();
    await paused;
    this.#intake.clear();
  }

  /** @returns true if nothing follows */
  #ended(reason: EndReason): boolean {
    if (!this.#changeNotice) {
      this.#reports.played();
      this.#reports.rendered();
    }
    this.#changeNotice = false;
    this.#dataAt = performance.now();
    if (reason === 'more-entries') return false;
    this.#state = 'ended';
    if (reason === 'kicked') throw new ServerFailure('The server ended the session: its operator stopped it.');
    return true;
  }

  #nextHeader({ sdp, genId }: Announced): LinkEvent {
    this.#entry = entryOf(sdp);
    if (genId !== 0) this.#dialog.genId = genId;
    return { type: 'header', header: this.#entry.header, announced: true, entry: this.#dialog.genId };
  }

  #movedTo(location: string): WmError {
    if (isRtspUrl(location)) this.#peer.moved = parseRtspUrl(location);
    return new WmError('WM_SERVER_GONE', `The server sends its clients to ${location.slice(0, 300)}.`);
  }

  /** Handles a request of the server. @returns the status to answer */
  #request(request: RtspRequest): number {
    const now = performance.now();
    this.#dataAt = now;
    const { method, headers, body } = request;
    try {
      switch (method) {
        case 'SET_PARAMETER': {
          const reason = readEndOfStream(body.toString('latin1'));
          if (reason === undefined) return 451;
          const infos = headers.all('RTP-Info').join(',');
          this.#intake.end(reason, infos.trim() === '' ? [] : readRtpInfo(infos), now);
          return 200;
        }
        case 'ANNOUNCE':
          this.#intake.request({ type: 'announced', announced: this.#announcementOf(request) });
          return 200;
        case 'REDIRECT':
          this.#intake.request({ type: 'moved', location: headers.get('Location')?.trim() ?? '' });
          return 200;
        case 'OPTIONS':
        case 'GET_PARAMETER':
          return 200;
        default:
          return 501;
      }
    } catch (error) {
      if (error instanceof WmError) return error instanceof RtspError ? error.status : 400;
      throw error;
    }
  }

  /** @throws WmError for an Announce without an SDP that can be played: it is answered with 400 (MS-RTSP 3.1.5.15) */
  #announcementOf({ headers, body }: RtspRequest): Announced {
    const sdp = readSdp(body.toString('utf8'));
    // Its packets may follow at once.
    this.#intake.allowPackets(parseHeader(sdp.header).packetSize);
    const infos = headers.all('X-RTP-Info').join(',');
    return {
      sdp,
      genId: readNumber(headers.get('X-Playlist-Gen-Id')) ?? 0,
      predicted: infos.trim() === '' ? undefined : readRtpInfo(infos),
    };
  }

  /** Looks at timers while there is a session. */
  #watch(): void {
    this.#timer ??= setInterval(() => this.#tick(performance.now()), TICK);
  }

  #tick(now: number): void {
    this.#intake.tick(now);
    const { dialog, timeouts } = { dialog: this.#dialog, timeouts: this.#peer.timeouts };
    if (!dialog.isOpen) return;
    const streams = this.#state === 'playing' && this.#intake.transport === 'tcp';
    // Servers end a session at the end of the interval.
    const interval = Math.max(dialog.keepAlive - 5_000, dialog.keepAlive / 2);
    if (!streams && dialog.session !== undefined && now - dialog.connection.sentAt >= interval)
      void dialog.tell('GET_PARAMETER');
    if (this.#state !== 'playing' || this.#intake.waits) this.#dataAt = Math.max(this.#dataAt, now - timeouts.data / 2);
    else if (now - this.#dataAt > timeouts.data) {
      this.#fail(new WmError('WM_SERVER_GONE', `${dialog.url.authority} sent nothing for ${timeouts.data / 1000} s.`));
    }
  }

  #fail(error: WmError): void {
    this.#failure ??= error;
    this.#wake();
  }

  #urlOf(sdp: Sdp, media: Sdp['media'][number]): string {
    return urlOf(sdp, media, this.#dialog.url.href);
  }

  async #measure(): Promise<void> {
    const measure = new TcpPairMeasure();
    const onBody = (received: number) => measure.received(received);
    const type = 'application/x-rtsp-packetpair';
    await this.#dialog.tell('GET_PARAMETER', { type, fields: [['Content-Length', '0']], onBody });
    this.#bandwidth = measure.bandwidth;
  }

  #describe({ sdp, header, live }: CurrentEntry): RtspDescription {
    const { streams, bandwidth = this.#bandwidth } = this.#peer.options;
    const { url, server, supported, genId } = this.#dialog;
    return {
      url: url.href,
      transport: 'rtsp',
      server: server === undefined ? undefined : { text: server },
      supported,
      features: sdp.features,
      cacheControl: this.#cacheControl,
      playlistGenId: genId,
      broadcastId: this.#broadcastId,
      descriptions: [...parseDescriptions(Buffer.from(sdp.contentDescription ?? '', 'utf8'))],
      startupProfile: this.#startupProfile,
      bandwidth: this.#bandwidth,
      live,
      header,
      chosen: chooseStreams(header, { streams, bandwidth }),
    };
  }
}

/** @throws WmError WM_PROTOCOL if it is not an SDP of Windows Media */
function sdpOf(body: Buffer, url: string): Sdp {
  try {
    return readSdp(body.toString('utf8'));
  } catch (error) {
    if (!(error instanceof RtspError)) throw error;
    throw new WmError('WM_PROTOCOL', `${url} is not a stream of Windows Media: ${error.message}`, { cause: error });
  }
}

/** @throws WmError for a header that cannot be read */
function entryOf(sdp: Sdp): CurrentEntry {
  const header = parseHeader(sdp.header);
  return { sdp, header, live: header.broadcast || sdp.features.includes('broadcast') };
}

/** A response is not rejected for its RTP-Info: packets show their numbers themselves. */
function readRtpInfoOrNone(value: string): readonly RtpInfo[] {
  try {
    return readRtpInfo(value);
  } catch (error) {
    if (error instanceof RtspError) return [];
    throw error;
  }
}

/** True if an error can mean that no RTSP server was asked. */
function isAbsence(error: unknown): boolean {
  return error instanceof WmError && /^WM_(?:UNREACHABLE|SERVER_GONE|PROTOCOL|HTTP_MALFORMED)$/.test(error.code);
}
