import { callerOf, finishFields, headerRefusal } from '../../auth/header-dialog.js';
import { plainAddress } from '../../http/addresses.js';
import type { Exchange, ResponseStream } from '../../http/exchange.js';
import { type Field, HttpError } from '../../http/message.js';
import { ALLOWED } from '../../http/methods.js';
import { rawQueryOf } from '../../http/target.js';
import { type ContentInfo, infoOf, isRedirect, type PlaylistPlace } from '../../playback/content.js';
import type { Pass } from '../../playback/entrance.js';
import { Playback } from '../../playback/host.js';
import type { Started } from '../../playback/port.js';
import { SessionRegistry } from '../../playback/registry.js';
import { NO_STREAMS, switched } from '../../playback/selection.js';
import { PULL_CHAIN_FIELD, parsePullChain } from '../../receiving/pull-chain.js';
import { parseLog, type WmLog } from '../../wmlog/log.js';
import { PACKET_PAIR_SIZE } from '../../wms/packet-pair.js';
import { changePacket, endPacket, packetPair } from '../messages/packets.js';
import { streamSwitches } from '../messages/pragma.js';
import { profileFields, Replies } from '../messages/replies.js';
import { classifyRequest, type WmspRequest } from '../messages/requests.js';
import { ENCODER_NAME, featuresOf, SERVER_NAME, type ServerIdentity } from '../messages/responses.js';
import {
  type Handling,
  needsHeaderAgain,
  proxyClientOf,
  relayedOf,
  statusOf,
  supportedBy,
  withAppended,
} from './handling.js';
import type { WmspServerOptions } from './options.js';
import { PipelineTest } from './pipeline-test.js';
import { askedPlay } from './play.js';
import { Plays } from './plays.js';
import { chooseEntry } from './preparation.js';
import { profileOf } from './profiles.js';
import { sendElsewhere } from './redirect.js';
import type { SessionHost, WmspSession } from './session.js';
import { Sessions } from './sessions.js';

export type { WmspServerOptions } from './options.js';

const SWEEP_INTERVAL = 1_000;
const MAX_LOG = 64 * 1024;
/** The purposes of the requests that are about content rather than a session. */
const PURPOSES = { Describe: 'describe', Play: 'play', GetContentInfo: 'info', SendEvent: 'event' } as const;

/** The server role of MS-WMSP. It owns the sessions (3.2.1); an {@link HttpServer} passes requests to it. */
export class WmspServer {
  readonly #options: WmspServerOptions;
  readonly #replies: Replies;
  readonly #now: () => number;
  readonly #host: SessionHost;
  readonly #playback: Playback;
  readonly #sessions: Sessions;
  readonly #plays: Plays;
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: WmspServerOptions) {
    this.#options = options;
    const identity: ServerIdentity = {
      name: options.encoder ? ENCODER_NAME : SERVER_NAME,
      encoder: options.encoder ?? false,
      events: options.onEvent !== undefined,
      get caching() {
        return options.caching;
      },
    };
    this.#replies = new Replies(identity);
    this.#playback = options.playback ?? new Playback(options);
    this.#now = this.#playback.now;
    this.#sessions = new Sessions(options.maxIdleSessions ?? 20_000, this.#now, options.ids);
    this.#plays = new Plays(options.registry ?? new SessionRegistry({ now: this.#now }));
    this.#host = {
      identity,
      playback: this.#playback,
      used: (session) => this.#sessions.touch(session),
      stopped: (session) => this.#plays.ended(session),
    };
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL);
    this.#sweeper.unref();
  }

  /** The number of clients that currently play. */
  get players(): number {
    return this.#plays.size;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /** Ends all playing sessions and accepts no more. */
  close(): void {
    clearInterval(this.#sweeper);
    for (const session of this.#sessions) session.stop();
  }

  /**
   * Answers a request if it comes from a client of this protocol.
   *
   * @returns false if the User-Agent is not one of this protocol's (MS-WMSP 3.2.5.1); then nothing was answered
   */
  handle(exchange: Exchange): boolean {
    const request = classifyRequest(exchange.request);
    if (request === 'foreign') return false;
    if (request === 'invalid') {
      const fields = [...this.#replies.common(), ALLOWED];
      this.#refuse(exchange, new HttpError(400, 'The request is of no known type.'), fields);
      return true;
    }
    void this.#handle(exchange, request);
    return true;
  }

  async #handle(exchange: Exchange, request: WmspRequest): Promise<void> {
    const profile = profileOf(request.client);
    try {
      const { target, headers } = exchange.request;
      const path = target === '*' ? '*' : this.#options.pathOf(target, headers.get('Host'));
      const handling = { ...request, exchange, profile, path };
      await this.#dispatch(handling);
    } catch (error) {
      const session = this.#sessionOf({ ...request, exchange });
      this.#refuse(exchange, error, session && this.#replies.of(session, profile));
    }
  }

  /** Forgets sessions whose Idle-Timeout has expired (MS-WMSP 3.2.6.2). Called once a second. */
  sweep(): void {
    this.#sessions.sweep(this.#plays.size);
    this.#playback.sweep();
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
      const head = this.#replies.head(profile, program);
      const experiments = this.#experiments(handling);
      const tokens = [...this.#replies.contentTokens(handling, session, program, found === undefined), ...experiments];
      const fields = this.#contentFields(handling, pass, infoOf(program), 'application/vnd.ms.wms-hdr.asfv1', tokens);
      const close = profile.closesAfterDescribe;
      if (experiments.includes('packet-pair-experiment=1')) {
        const parts = (headSize: number) => withAppended(packetPair(headSize), head);
        exchange.respond({ status: 200, fields, body: { length: PACKET_PAIR_SIZE + head.length, parts }, close });
      } else {
        exchange.respond({ status: 200, fields, body: head, close });
      }
      session.report = pass.report;
      session.recordDescribed(handling.path, program.current);
      this.#sessions.touch(session);
    } finally {
      program.close();
    }
  }

  /** Returns the tokens of the experiments that a Describe runs (MS-WMSP 3.2.5.4). */
  #experiments({ profile, pragma, exchange }: Handling): string[] {
    if (!profile.version9 || this.#replies.identity.encoder) return [];
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

  /** @returns true if a session plays and now owns the pass */
  async #playWith(handling: Handling, pass: Pass): Promise<boolean> {
    const { exchange, client, pragma, path, profile } = handling;
    const program = await pass.open(this.#placeOf(handling));
    let taken = false;
    try {
      const { entry, opening, selection, skipped } = await chooseEntry(handling, program, this.#replies.identity);
      const asked = askedPlay(entry, pragma, client);
      if (exchange.lost) return false;
      // Checked again, because it may have changed while the files were being opened.
      this.#refuseHijack(handling);
      if (exchange.queued) throw new HttpError(400, 'This connection is already streaming.');
      const found = this.#knownSession(handling);
      const session = found ?? this.#newSession(handling);
      session.pipelined = profile.version9 && pragma.flag('version11-enabled') && exchange.request.minorVersion === 1;
      session.clientLag = pragma.number('client-lag') ?? 0;
      const lost =
        found === undefined && pragma.has('client-id') && needsHeaderAgain(client, pragma.number('request-context'));
      const body = lost
        ? Buffer.concat([opening, endPacket(1), changePacket(), this.#replies.head(profile, program)])
        : opening;
      const wait = skipped && !session.features.has('predstrm');
      const order = { ...asked.order, selection, wait, profile: this.#wantsProfile(handling) };
      if (exchange.request.method === 'HEAD') {
        const tokens = this.#replies.contentTokens(handling, session, program, found === undefined);
        const fields = this.#contentFields(handling, pass, infoOf(program), 'application/x-mms-framed', tokens);
        exchange.startStream(200, fields, { chunked: session.pipelined });
        return false;
      }
      this.#sessions.touch(session);
      session.report = pass.report;
      this.#plays.begin(session, pass, { path, client: client.text, exchange, proxyClient: proxyClientOf(handling) });
      taken = true;
      const opened = await this.#try(session, found === undefined, () =>
        session.play(path, program, order, body, (first) => {
          if (exchange.lost || exchange.queued) return undefined;
          const tokens = this.#replies.contentTokens(handling, session, program, found === undefined);
          if (first) tokens.push(...asked.granted(first.pace));
          if (skipped && profile.version9) tokens.push('expect-new-header=1');
          const fields = this.#contentFields(handling, pass, infoOf(program), 'application/x-mms-framed', tokens);
          this.#plays.opened(session);
          return streamed(exchange, [...fields, ...profileFields(first)], session);
        }),
      );
      if (!opened) throw new HttpError(400, 'The Play was overtaken by another request.');
      return true;
    } finally {
      if (!taken) program.close();
    }
  }

  /** Starts a Play in a session; if that fails, the session is as it was before. */
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
    return profile.version9 && supportedBy(exchange)?.has('startupprofile') === true;
  }

  /** Refuses a Play for a session that is streaming, which could be an attempt to take it over (MS-WMSP 3.2.5.6). */
  #refuseHijack(handling: Handling): void {
    if (this.#sessionOf(handling)?.active) throw new HttpError(400, 'The session is streaming.');
  }

  async #selectStream(handling: Handling): Promise<void> {
    const { exchange, pragma, profile } = handling;
    const session = this.#requiredSession(handling);
    session.clientLag = pragma.number('client-lag') ?? 0;
    const switches = streamSwitches(pragma, session.streamNumbers) ?? [];
    session.select(switched(session.playback.asked, switches), true);
    if (session.pipelined && session.active && session.streamsBefore(exchange)) {
      const fields = this.#replies.framed(session, profile);
      session.moveTo(() => streamed(exchange, fields, session));
    } else {
      exchange.respond({ status: 200, fields: this.#replies.of(session, profile) });
    }
    if (!session.pipelined) await session.resume();
  }

  async #playNextEntry(handling: Handling): Promise<void> {
    const { exchange, client, pragma, profile } = handling;
    const session = this.#requiredSession(handling);
    const { program } = session.playback;
    if (!session.pipelined || !program || !session.streamsBefore(exchange) || session.playback.state === 'starting')
      throw new HttpError(400, 'No entry is waiting to be played.');
    session.clientLag = pragma.number('client-lag') ?? 0;
    const switches = streamSwitches(pragma, session.streamNumbers);
    const { awaited } = session;
    const asked = awaited && askedPlay(awaited, pragma, client);
    if (switches) session.select(switched(NO_STREAMS, switches), false);
    const open = (first?: Started) => {
      const features = `features="${featuresOf(program.current, program, profile).join(',')}"`;
      const granted = (first && asked?.granted(first.pace)) ?? [];
      const fields = [...this.#replies.framed(session, profile, features, ...granted), ...profileFields(first)];
      return streamed(exchange, fields, session);
    };
    if (!asked) {
      session.confirmNext(open);
      return;
    }
    const order = { ...asked.order, profile: this.#wantsProfile(handling) };
    const opened = await session.playNext(order, exchange, open);
    if (!opened) throw new HttpError(400, 'No entry is waiting to be played.');
  }

  #stop(handling: Handling): void {
    const session = this.#requiredSession(handling);
    session.stop();
    handling.exchange.respond({ status: 200, fields: this.#replies.of(session, handling.profile) });
  }

  /** Finds out whether two requests get through back to back on the way from the client (MS-WMSP 3.2.5.5). */
  #pipeline(handling: Handling): void {
    const { exchange, profile } = handling;
    const session = this.#requiredSession(handling);
    if (!profile.version9) throw new HttpError(400, 'Pipelining came with version 9.0.');
    if (exchange.request.minorVersion === 0) throw new HttpError(400, 'Pipelining needs HTTP/1.1.');
    const test = session.pipelineTest;
    if (!test) {
      if (exchange.queued) throw new HttpError(400, 'This connection is already streaming.');
      const stream = exchange.startStream(200, this.#replies.framed(session, profile), { chunked: true });
      session.pipelineTest = new PipelineTest(stream, this.#playback.ticker, this.#now);
      return;
    }
    session.pipelineTest = undefined;
    const result = test.running ? 1 : 0;
    test.end();
    const fields = this.#replies.of(session, profile, `pipeline-result=${result}`);
    exchange.respond({ status: 204, minorVersion: result, fields });
  }

  #keepAlive(handling: Handling): void {
    const { exchange, profile } = handling;
    const session = this.#knownSession(handling);
    if (!session && exchange.request.method !== 'OPTIONS') throw new HttpError(400, 'The client-id is unknown.');
    if (session) this.#sessions.touch(session);
    const allow = exchange.request.method === 'OPTIONS' ? [ALLOWED] : [];
    exchange.respond({
      status: 200,
      fields: [...this.#replies.of(session, profile), ...allow],
      close: !session?.pipelined,
    });
  }

  async #log(handling: Handling): Promise<void> {
    const { exchange, client, pragma, path, profile } = handling;
    const session = this.#requiredSession(handling);
    const line = pragma.text('log-line');
    const body = await exchange.readBody(MAX_LOG);
    const text = line ?? body.toString('utf8');
    const form = line === undefined ? 'xml' : 'log-line';
    const log = readLog(text);
    this.#options.onLog?.({
      protocol: 'WMSP',
      clientId: session.clientId,
      path,
      remoteAddress: session.address,
      client: client.text,
      form,
      text,
      log,
      peer: session,
    });
    if (log) session.report?.({ log, ...this.#reporterOf(handling) });
    exchange.respond({ status: 204, fields: this.#replies.of(session, profile) });
  }

  async #getContentInfo(handling: Handling): Promise<void> {
    const { exchange, profile } = handling;
    const session = this.#optionalSession(handling);
    const pass = await this.#enter(handling, 'GetContentInfo');
    if (!pass) return;
    const { cacheControl, validators } = this.#replies.cache(profile, await pass.info());
    const fields = this.#replies.common(profile, session ? this.#replies.idTokens(session) : [], cacheControl);
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
    pass.report({ event: body, ...this.#reporterOf(handling) });
    const fields = [...this.#replies.of(session, profile), ...finishFields(pass.finish, exchange.request)];
    exchange.respond({ status: 200, fields });
  }

  #reporterOf({ exchange, client }: Handling) {
    return { address: plainAddress(exchange.remoteAddress), agent: client.text };
  }

  /** Asks for permission to use the content of the URL; undefined if the client was redirected. */
  async #enter(handling: Handling, type: keyof typeof PURPOSES): Promise<Pass | undefined> {
    const { path, exchange, profile } = handling;
    const session = this.#sessionOf(handling);
    const caller = callerOf(exchange, { player: true });
    const { signal } = exchange;
    const pulls = parsePullChain(exchange.request.headers.get(PULL_CHAIN_FIELD));
    const found = await this.#options.entrance.enter({
      path,
      query: rawQueryOf(exchange.request.target),
      caller,
      purpose: PURPOSES[type],
      pulls,
      relayed: relayedOf(handling),
      signal,
    });
    if (!isRedirect(found)) return found;
    if (session && type === 'Describe') this.#sessions.delete(session);
    sendElsewhere(exchange, found, handling, {
      plain: this.#replies.common(profile),
      content: () => {
        const answering = this.#knownSession(handling) ?? this.#newSession(handling);
        return this.#replies.of(answering, profile, 'features="broadcast"');
      },
    });
    return undefined;
  }

  /**
   * Returns which entry of a playlist a Play applies to (MS-WMSP 2.2.1.4.18 and .19); all other requests are about the
   * first.
   */
  #placeOf(handling: Handling): PlaylistPlace {
    const { path, pragma } = handling;
    const id = pragma.number('playlist-seek-id') || pragma.number('playlist-gen-id') || 0;
    return this.#sessionOf(handling)?.placeIn(path, id) ?? { entry: id, reached: 0 };
  }

  /** Returns the fields of a response that delivers content. */
  #contentFields(
    { profile, exchange }: Handling,
    { finish }: Pass,
    info: ContentInfo,
    contentType: string,
    tokens: readonly string[],
  ): Field[] {
    return [...this.#replies.content(profile, info, contentType, tokens), ...finishFields(finish, exchange.request)];
  }

  /** Returns the session that a request names; sessions of other addresses are treated as unknown. */
  #sessionOf({ pragma, exchange }: Pick<Handling, 'pragma' | 'exchange'>): WmspSession | undefined {
    const session = this.#sessions.get(pragma.number('client-id') ?? 0);
    return session?.address === plainAddress(exchange.remoteAddress) ? session : undefined;
  }

  #knownSession(handling: Handling): WmspSession | undefined {
    const session = this.#sessionOf(handling);
    if (session) this.#use(session, handling);
    return session;
  }

  /** Updates a session to what the last request says about its client (MS-WMSP 3.2.5.1). */
  #use(session: WmspSession, { profile, exchange }: Handling): void {
    session.profile = profile;
    session.connections.add(exchange);
    session.features = supportedBy(exchange) ?? session.features;
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

  #newSession(handling: Handling): WmspSession {
    const session = this.#sessions.create(handling.profile, plainAddress(handling.exchange.remoteAddress), this.#host);
    this.#use(session, handling);
    return session;
  }

  #refuse(exchange: Exchange, error: unknown, fields: readonly Field[] = this.#replies.common()): void {
    if (exchange.lost) return;
    const refusal = headerRefusal(error, exchange.request);
    const status = refusal?.status ?? statusOf(error);
    if (status >= 500 && !refusal) this.#options.onError?.(error);
    exchange.respond({ status, fields: [...fields, ...(refusal?.fields ?? [])], close: !refusal?.challenge });
  }
}

/** Starts a Play response, which may last for days: the head of its request is not needed any more. */
function streamed(exchange: Exchange, fields: readonly Field[], { pipelined }: WmspSession): ResponseStream {
  return exchange.startStream(200, fields, { chunked: pipelined, forget: true });
}

/** Parses a client's log; undefined if it is malformed. */
function readLog(text: string): WmLog | undefined {
  try {
    return parseLog(text);
  } catch {
    // Clients are not refused for the contents of their logs (MS-WMSP 3.2.5.11).
    return undefined;
  }
}
