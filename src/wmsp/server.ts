import { callerOf, finishFields, headerRefusal } from '../auth/header-dialog.js';
import type { Exchange } from '../http/exchange.js';
import { type Field, HttpError } from '../http/message.js';
import { ALLOWED } from '../http/methods.js';
import { Ticker } from '../media/on-demand/flow.js';
import { infoOf, isRedirect, type PlaylistPlace, type Program } from '../playback/content.js';
import type { Pass } from '../playback/entrance.js';
import { DEFAULT_LIMITS } from '../playback/pace.js';
import type { PlaybackHost, Started } from '../playback/port.js';
import { ReadySessions } from '../playback/ready.js';
import { NO_STREAMS, switched } from '../playback/selection.js';
import { ResendBudget } from '../playback/sent-ring.js';
import { type Handling, needsHeaderAgain, playableHeader, statusOf, supportedBy, withBehind } from './handling.js';
import { changePacket, endPacket, PACKET_PAIR_SIZE, packetPair } from './packets.js';
import { PipelineTest } from './pipeline-test.js';
import { askedPlay } from './play.js';
import { streamSwitches } from './pragma.js';
import { chooseEntry } from './preparation.js';
import { profileOf } from './profiles.js';
import { sendElsewhere } from './redirect.js';
import { classifyRequest, type WmspRequest } from './requests.js';
import {
  cacheFields,
  commonFields,
  ENCODER_NAME,
  entryHead,
  FEATURE_PREFIX,
  featuresOf,
  formatStartupProfile,
  genIdOf,
  SERVER_NAME,
  type ServerIdentity,
} from './responses.js';
import type { WmspServerOptions } from './server-options.js';
import type { SessionHost, WmspSession } from './session.js';
import { Sessions } from './sessions.js';

export type { PlayReport, SubmittedLog, WmspServerOptions } from './server-options.js';

// The Idle-Timeout as clients are told it (MS-WMSP 2.2.1.4.29).
const ANNOUNCED_TIMEOUT = 60_000;
const SWEEP_INTERVAL = 1_000;
const MAX_LOG = 64 * 1024;
/** What the requests that are about content, not about a session, want of it. */
const PURPOSES = { Describe: 'describe', Play: 'play', GetContentInfo: 'info', SendEvent: 'event' } as const;

interface Playing {
  readonly path: string;
  readonly client: string;
  readonly remoteAddress: string;
  readonly since: number;
  /** Its place among the players. */
  readonly pass: Pass;
  /** Its response was opened. */
  told: boolean;
}

/** The server role of MS-WMSP. It owns the sessions (3.2.1); requests come from an {@link HttpServer}. */
export class WmspServer {
  readonly #options: WmspServerOptions;
  readonly #identity: ServerIdentity;
  readonly #now: () => number;
  readonly #host: SessionHost;
  readonly #ticker: Ticker;
  readonly #playback: PlaybackHost;
  readonly #sessions: Sessions;
  readonly #playing = new Map<WmspSession, Playing>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: WmspServerOptions) {
    this.#options = options;
    this.#identity = {
      name: options.encoder ? ENCODER_NAME : SERVER_NAME,
      encoder: options.encoder ?? false,
      events: options.onEvent !== undefined,
    };
    this.#now = options.now ?? (() => performance.now());
    this.#ticker = options.ticker ?? new Ticker();
    this.#playback = {
      ticker: this.#ticker,
      now: this.#now,
      ahead: options.ahead,
      limits: options.limits ?? DEFAULT_LIMITS,
      ready: new ReadySessions(this.#now),
      resends: new ResendBudget(),
      failed: (error) => options.onError?.(error),
    };
    this.#sessions = new Sessions(options.maxIdleSessions ?? 20_000, this.#now);
    this.#host = {
      identity: this.#identity,
      playback: this.#playback,
      used: (session) => this.#sessions.touch(session),
      stopped: (session) => this.#report(session),
    };
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL);
    this.#sweeper.unref();
  }

  /** Clients that play at the moment. */
  get players(): number {
    return this.#playing.size;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /** Ends what plays and takes no more. */
  close(): void {
    clearInterval(this.#sweeper);
    for (const session of this.#sessions) session.stop();
  }

  /**
   * Answers a request if it comes from a client of this protocol.
   *
   * @returns false when the User-Agent is not one of this protocol's (MS-WMSP 3.2.5.1); nothing was answered then
   */
  handle(exchange: Exchange): boolean {
    const request = classifyRequest(exchange.request);
    if (request === 'foreign') return false;
    if (request === 'invalid') {
      const fields = [...commonFields(this.#identity, undefined, []), ALLOWED];
      this.#refuse(exchange, new HttpError(400, 'The request is of no type that there is.'), fields);
      return true;
    }
    void this.#handle(exchange, request);
    return true;
  }

  async #handle(exchange: Exchange, request: WmspRequest): Promise<void> {
    const profile = profileOf(request.client);
    try {
      const path = exchange.request.target === '*' ? '*' : this.#options.pathOf(exchange.request.target);
      const handling = { ...request, exchange, profile, path };
      await this.#dispatch(handling);
    } catch (error) {
      const session = this.#sessions.get(request.pragma.number('client-id') ?? 0);
      this.#refuse(exchange, error, session && commonFields(this.#identity, profile, this.#idTokens(session)));
    }
  }

  /** Forgets sessions whose Idle-Timeout is over (MS-WMSP 3.2.6.2). Called once a second. */
  sweep(): void {
    this.#sessions.sweep(this.#playing.size);
    this.#playback.ready.sweep();
    this.#playback.resends.sweep();
  }

  #dispatch(handling: Handling): Promise<void> | void {
    switch (handling.type) {
      case 'Describe':
        return this.#describe(handling);
      case 'Play':
        return this.#play(handling);
      case 'KeepAlive':
        return this.#keepAlive(handling);
      case 'Log':
        return this.#log(handling);
      case 'GetContentInfo':
        return this.#getContentInfo(handling);
      case 'SendEvent':
        return this.#sendEvent(handling);
      case 'Pipeline':
        return this.#pipeline(handling);
      case 'PlayNextEntry':
        return this.#playNextEntry(handling);
      case 'SelectStream':
        return this.#selectStream(handling);
      case 'Stop':
        return this.#stop(handling);
    }
  }

  async #describe(handling: Handling): Promise<void> {
    const { exchange, profile } = handling;
    const pass = await this.#enter(handling, 'Describe');
    if (!pass) return;
    const program = await pass.open();
    try {
      const found = this.#knownSession(handling);
      if (found?.active) throw new HttpError(400, 'The session is streaming.');
      const session = found ?? this.#newSession(handling);
      const head = this.#head(handling, program);
      const experiments = this.#experiments(handling);
      const tokens = [...this.#tokens(handling, session, program, found === undefined), ...experiments];
      const fields = this.#contentFields(handling, pass, program, 'application/vnd.ms.wms-hdr.asfv1', tokens);
      const close = profile.closesAfterDescribe;
      if (experiments.includes('packet-pair-experiment=1')) {
        const parts = (headSize: number) => withBehind(packetPair(headSize), head);
        exchange.respond({ status: 200, fields, body: { length: PACKET_PAIR_SIZE + head.length, parts }, close });
      } else {
        exchange.respond({ status: 200, fields, body: head, close });
      }
      session.tell(handling.path, program.current);
      this.#sessions.touch(session);
    } finally {
      program.close();
    }
  }

  /** The experiments of a Describe that are run (MS-WMSP 3.2.5.4). */
  #experiments({ profile, pragma, exchange }: Handling): string[] {
    if (!profile.version9 || this.#identity.encoder) return [];
    const pipeline = pragma.flag('pipeline-experiment') && exchange.request.minorVersion === 1;
    return [
      ...(pragma.flag('packet-pair-experiment') ? ['packet-pair-experiment=1'] : []),
      ...(pipeline ? ['pipeline-experiment=1'] : []),
    ];
  }

  async #play(handling: Handling): Promise<void> {
    this.#refuseHijack(handling);
    const pass = await this.#enter(handling, 'Play');
    if (!pass) return;
    const isTaken = await this.#playWith(handling, pass).catch((error: unknown) => {
      pass.leave();
      throw error;
    });
    if (!isTaken) pass.leave();
  }

  /** @returns true if a session plays and has the pass now */
  async #playWith(handling: Handling, pass: Pass): Promise<boolean> {
    const { exchange, client, pragma, path } = handling;
    const program = await pass.open(this.#placeOf(handling));
    let taken = false;
    try {
      const { entry, opening, selection, skipped } = await chooseEntry(handling, program, this.#identity);
      const asked = askedPlay(entry, pragma, client);
      if (exchange.lost) return false;
      // What was true before the files were opened need not be true any more.
      this.#refuseHijack(handling);
      if (exchange.queued) throw new HttpError(400, 'This connection streams already.');
      const found = this.#knownSession(handling);
      const session = found ?? this.#newSession(handling);
      session.pipelined = pragma.flag('version11-enabled') && exchange.request.minorVersion === 1;
      session.clientLag = pragma.number('client-lag') ?? 0;
      const lost =
        found === undefined && pragma.has('client-id') && needsHeaderAgain(client, pragma.number('request-context'));
      const body = lost
        ? Buffer.concat([opening, endPacket(1), changePacket(), this.#head(handling, program)])
        : opening;
      const wait = skipped && !session.features.has(`${FEATURE_PREFIX}predstrm`);
      const order = { ...asked.order, selection, wait, profile: this.#wantsProfile(handling) };
      if (exchange.request.method === 'HEAD') {
        const tokens = this.#tokens(handling, session, program, found === undefined);
        const fields = this.#contentFields(handling, pass, program, 'application/x-mms-framed', tokens);
        exchange.startStream(200, fields, { chunked: session.pipelined });
        return false;
      }
      this.#begin(session, handling, pass);
      taken = true;
      const opened = await this.#try(session, found === undefined, () =>
        session.play(path, program, order, body, (first) => {
          if (exchange.lost || exchange.queued) return undefined;
          const tokens = this.#tokens(handling, session, program, found === undefined);
          if (first) tokens.push(...asked.granted(first.pace));
          if (skipped) tokens.push('expect-new-header=1');
          const fields = this.#contentFields(handling, pass, program, 'application/x-mms-framed', tokens);
          this.#told(session);
          return exchange.startStream(200, [...fields, ...profileFields(first)], { chunked: session.pipelined });
        }),
      );
      if (!opened) throw new HttpError(400, 'The Play was overtaken by another request.');
      return true;
    } finally {
      if (!taken) program.close();
    }
  }

  /** Has a session start what a Play asks for; one that cannot is as it was before. */
  async #try(session: WmspSession, isNew: boolean, play: () => Promise<boolean>): Promise<boolean> {
    try {
      return await play();
    } catch (error) {
      if (isNew) this.#sessions.delete(session);
      else session.stop();
      throw error;
    }
  }

  /** True for a client that understands X-StartupProfile (MS-WMSP 3.2.5.6). */
  #wantsProfile({ exchange, profile }: Handling): boolean {
    return profile.version9 && supportedBy(exchange).has(`${FEATURE_PREFIX}startupprofile`);
  }

  #head({ profile }: Handling, program: Program): Buffer {
    const entry = program.current;
    return entryHead(playableHeader(entry), entry, program, profile, this.#identity);
  }

  /** A Play for a session that streams could be somebody who takes it over (MS-WMSP 3.2.5.6). */
  #refuseHijack({ pragma }: Handling): void {
    if (this.#sessions.get(pragma.number('client-id') ?? 0)?.active)
      throw new HttpError(400, 'The session is streaming.');
  }

  #begin(session: WmspSession, { path, client, exchange }: Handling, pass: Pass): void {
    this.#sessions.touch(session);
    const { remoteAddress } = exchange;
    this.#playing.get(session)?.pass.leave();
    this.#playing.set(session, { path, client: client.text, remoteAddress, since: this.#now(), pass, told: false });
  }

  #told(session: WmspSession): void {
    const playing = this.#playing.get(session);
    if (!playing) return;
    playing.told = true;
    this.#options.onPlay?.(playing.path, playing.client, playing.remoteAddress, session.clientId);
  }

  #report(session: WmspSession): void {
    const playing = this.#playing.get(session);
    if (!playing) return;
    this.#playing.delete(session);
    playing.pass.leave();
    if (!playing.told) return;
    const { path, client, remoteAddress, since } = playing;
    const { sent, skipped } = session.playback.packets;
    const milliseconds = this.#now() - since;
    const { clientId } = session;
    this.#options.onPlayed?.({
      clientId,
      path,
      client,
      remoteAddress,
      milliseconds,
      packets: sent,
      skippedPackets: skipped,
    });
  }

  async #selectStream(handling: Handling): Promise<void> {
    const { exchange, pragma } = handling;
    const session = this.#requiredSession(handling);
    session.clientLag = pragma.number('client-lag') ?? 0;
    const switches = streamSwitches(pragma, session.streamNumbers) ?? [];
    session.select(switched(session.playback.asked, switches), true);
    const fields = commonFields(this.#identity, handling.profile, this.#idTokens(session));
    if (session.pipelined && session.active && session.streamsBefore(exchange)) {
      session.moveTo(() => exchange.startStream(200, this.#framed(fields), { chunked: true }));
    } else {
      exchange.respond({ status: 200, fields });
    }
    if (!session.pipelined) await session.resume();
  }

  async #playNextEntry(handling: Handling): Promise<void> {
    const { exchange, client, pragma, profile } = handling;
    const session = this.#requiredSession(handling);
    const { program } = session.playback;
    if (!session.pipelined || !program || !session.streamsBefore(exchange) || session.playback.state === 'starting')
      throw new HttpError(400, 'No entry waits to be played.');
    session.clientLag = pragma.number('client-lag') ?? 0;
    const switches = streamSwitches(pragma, session.streamNumbers);
    const { awaited } = session;
    const asked = awaited && askedPlay(awaited, pragma, client);
    if (switches) session.select(switched(NO_STREAMS, switches), false);
    const open = (first?: Started) => {
      const features = `features="${featuresOf(program.current, program, profile).join(',')}"`;
      const tokens = [...this.#idTokens(session), features, ...((first && asked?.granted(first.pace)) ?? [])];
      const fields = [...commonFields(this.#identity, profile, tokens), ...profileFields(first)];
      return exchange.startStream(200, this.#framed(fields), { chunked: true });
    };
    if (!asked) {
      session.confirmNext(open);
      return;
    }
    const order = { ...asked.order, profile: this.#wantsProfile(handling) };
    const opened = await session.playNext(order, exchange, open);
    if (!opened) throw new HttpError(400, 'No entry waits to be played.');
  }

  #framed(fields: readonly Field[]): Field[] {
    return [['Content-Type', 'application/x-mms-framed'], ...fields];
  }

  #stop(handling: Handling): void {
    const session = this.#requiredSession(handling);
    session.stop();
    handling.exchange.respond({
      status: 200,
      fields: commonFields(this.#identity, handling.profile, this.#idTokens(session)),
    });
  }

  /** Finds out whether what is on the way lets two requests through back to back (MS-WMSP 3.2.5.5). */
  #pipeline(handling: Handling): void {
    const { exchange, profile } = handling;
    const session = this.#requiredSession(handling);
    if (exchange.request.minorVersion === 0) throw new HttpError(400, 'Pipelining needs HTTP/1.1.');
    const fields = commonFields(this.#identity, profile, this.#idTokens(session));
    const test = session.pipelineTest;
    if (!test) {
      if (exchange.queued) throw new HttpError(400, 'This connection streams already.');
      const stream = exchange.startStream(200, this.#framed(fields), { chunked: true });
      session.pipelineTest = new PipelineTest(stream, this.#ticker, this.#now);
      return;
    }
    session.pipelineTest = undefined;
    const result = test.running ? 1 : 0;
    test.end();
    const tokens = [...this.#idTokens(session), `pipeline-result=${result}`];
    exchange.respond({ status: 204, minorVersion: result, fields: commonFields(this.#identity, profile, tokens) });
  }

  #keepAlive(handling: Handling): void {
    const { exchange, profile } = handling;
    const session = this.#knownSession(handling);
    if (!session && exchange.request.method !== 'OPTIONS') throw new HttpError(400, 'The client-id is unknown.');
    if (session) this.#sessions.touch(session);
    const tokens = session ? this.#idTokens(session) : [];
    const allow = exchange.request.method === 'OPTIONS' ? [ALLOWED] : [];
    exchange.respond({
      status: 200,
      fields: [...commonFields(this.#identity, profile, tokens), ...allow],
      close: !session?.pipelined,
    });
  }

  async #log(handling: Handling): Promise<void> {
    const { exchange, pragma, path, profile } = handling;
    const session = this.#requiredSession(handling);
    const line = pragma.text('log-line');
    const body = await exchange.readBody(MAX_LOG);
    const text = line ?? body.toString('utf8');
    this.#options.onLog?.({ clientId: session.clientId, path, form: line === undefined ? 'xml' : 'log-line', text });
    exchange.respond({ status: 204, fields: commonFields(this.#identity, profile, this.#idTokens(session)) });
  }

  async #getContentInfo(handling: Handling): Promise<void> {
    const { exchange, profile } = handling;
    const session = this.#optionalSession(handling);
    const pass = await this.#enter(handling, 'GetContentInfo');
    if (!pass) return;
    const { cacheControl, validators } = cacheFields(await pass.info(), this.#identity);
    const fields = [...commonFields(this.#identity, profile, session ? this.#idTokens(session) : [], cacheControl)];
    fields.push(...validators, ...finishFields(pass.finish, exchange.request));
    exchange.respond({ status: 200, fields, close: !session?.pipelined });
  }

  async #sendEvent(handling: Handling): Promise<void> {
    const { exchange, profile, path } = handling;
    const session = this.#optionalSession(handling);
    const pass = await this.#enter(handling, 'SendEvent');
    if (!pass) return;
    const body = await exchange.readBody(MAX_LOG);
    this.#options.onEvent?.(path, body.toString('utf8'));
    const fields = [...commonFields(this.#identity, profile, session ? this.#idTokens(session) : [])];
    fields.push(...finishFields(pass.finish, exchange.request));
    exchange.respond({ status: 200, fields });
  }

  /** Asks for leave to have what the URL names; undefined when the client was sent elsewhere. */
  async #enter(handling: Handling, type: keyof typeof PURPOSES): Promise<Pass | undefined> {
    const { path, exchange, pragma, profile } = handling;
    const session = this.#sessions.get(pragma.number('client-id') ?? 0);
    const caller = callerOf(exchange, { player: true });
    const { signal } = exchange;
    const found = await this.#options.entrance.enter({ path, caller, purpose: PURPOSES[type], signal });
    if (!isRedirect(found)) return found;
    if (session && type === 'Describe') this.#sessions.delete(session);
    sendElsewhere(exchange, found, handling, {
      plain: commonFields(this.#identity, profile, []),
      content: () => {
        const tokens = this.#idTokens(this.#knownSession(handling) ?? this.#newSession(handling));
        return commonFields(this.#identity, profile, [...tokens, 'features="broadcast"']);
      },
    });
    return undefined;
  }

  /** Which entry of a playlist a Play applies to (MS-WMSP 2.2.1.4.18 and .19); all other requests are about the first. */
  #placeOf({ path, pragma }: Handling): PlaylistPlace {
    const session = this.#sessions.get(pragma.number('client-id') ?? 0);
    const id = pragma.number('playlist-seek-id') || pragma.number('playlist-gen-id') || 0;
    return session?.placeIn(path, id) ?? { entry: id, reached: 0 };
  }

  #knownSession({ pragma, profile, exchange }: Handling): WmspSession | undefined {
    const clientId = pragma.number('client-id');
    const session = clientId === undefined ? undefined : this.#sessions.get(clientId);
    if (session) {
      session.profile = profile;
      session.lastExchange = new WeakRef(exchange);
      if (exchange.request.headers.get('Supported') !== undefined) session.features = supportedBy(exchange);
    }
    return session;
  }

  #requiredSession(handling: Handling): WmspSession {
    const session = this.#knownSession(handling);
    if (!session) throw new HttpError(400, 'The client-id is unknown.');
    this.#sessions.touch(session);
    return session;
  }

  #optionalSession(handling: Handling): WmspSession | undefined {
    return handling.pragma.has('client-id') ? this.#requiredSession(handling) : undefined;
  }

  #newSession({ profile, exchange }: Handling): WmspSession {
    const session = this.#sessions.create(profile, this.#host);
    session.lastExchange = new WeakRef(exchange);
    if (exchange.request.headers.get('Supported') !== undefined) session.features = supportedBy(exchange);
    return session;
  }

  #idTokens(session: WmspSession): string[] {
    const entry =
      session.playlistGenId > 0 && session.profile.version9 ? [`playlist-gen-id=${session.playlistGenId}`] : [];
    return [`client-id=${session.clientId}`, `timeout=${ANNOUNCED_TIMEOUT}`, ...entry];
  }

  #tokens({ pragma, profile }: Handling, session: WmspSession, program: Program, isNew: boolean): string[] {
    const entry = program.current;
    const tokens = [`client-id=${session.clientId}`, `timeout=${ANNOUNCED_TIMEOUT}`];
    tokens.push(`features="${featuresOf(entry, program, profile).join(',')}"`);
    if (isNew && pragma.has('client-id')) tokens.push('xResetStrm=1');
    if (profile.version9) tokens.push(`playlist-gen-id=${genIdOf(entry)}`);
    return tokens;
  }

  #contentFields(
    { profile, exchange }: Handling,
    { finish }: Pass,
    program: Program,
    contentType: string,
    tokens: readonly string[],
  ): Field[] {
    const { cacheControl, validators } = cacheFields(infoOf(program), this.#identity);
    const fields = commonFields(this.#identity, profile, tokens, cacheControl);
    return [['Content-Type', contentType], ...fields, ...validators, ...finishFields(finish, exchange.request)];
  }

  #refuse(
    exchange: Exchange,
    error: unknown,
    fields: readonly Field[] = commonFields(this.#identity, undefined, []),
  ): void {
    if (exchange.lost) return;
    const refusal = headerRefusal(error, exchange.request);
    const status = refusal?.status ?? statusOf(error);
    if (status >= 500 && !refusal) this.#options.onError?.(error);
    exchange.respond({ status, fields: [...fields, ...(refusal?.fields ?? [])], close: !refusal?.challenge });
  }
}

/** X-StartupProfile, where there is something to say (MS-WMSP 3.2.5.6). */
function profileFields(first: Started | undefined): Field[] {
  return first?.profile ? [['X-StartupProfile', formatStartupProfile(first.profile)]] : [];
}
