import { randomInt } from 'node:crypto';
import type { Exchange } from '../http/exchange.js';
import { type Field, HttpError } from '../http/message.js';
import type { Broadcast } from '../media/broadcast.js';
import { entryHead, LivePlayer, type StreamSelection } from './live.js';
import { streamSwitches } from './pragma.js';
import { type ClientProfile, profileOf } from './profiles.js';
import { type ClientProduct, classifyRequest, type WmspRequest } from './requests.js';

/** What this server calls itself (MS-WMSP 2.2.1.5). */
export const SERVER_NAME = 'Cougar/9.6.7600.16385';

/** Where the server finds what it serves. */
export interface WmspContent {
  /**
   * @param path the decoded path of the URL, with its leading slash
   * @returns the broadcast there, which may not be live at the moment; undefined when nothing has that name
   */
  find(path: string): Broadcast | undefined;
}

/** A client's log as it was submitted (MS-WMSP 2.2.2.4). */
export interface SubmittedLog {
  readonly clientId: number;
  readonly path: string;
  readonly form: 'log-line' | 'xml';
  readonly text: string;
}

/** One stream that a client played, told when it ends. */
export interface PlayReport {
  readonly clientId: number;
  readonly path: string;
  readonly client: string;
  readonly remoteAddress: string;
  readonly milliseconds: number;
  readonly packets: number;
  readonly skippedPackets: number;
}

export interface WmspServerOptions {
  readonly content: WmspContent;
  /** Decodes and checks the path of a request-target; throws HttpError. */
  readonly pathOf: (target: string) => string;
  readonly maxPlayers?: number;
  /** Sessions that do not stream; when there are more, those that were used longest ago are forgotten. */
  readonly maxIdleSessions?: number;
  readonly onLog?: (log: SubmittedLog) => void;
  readonly onPlay?: (path: string, client: string, remoteAddress: string) => void;
  readonly onPlayed?: (report: PlayReport) => void;
  /** A clock in ms. */
  readonly now?: () => number;
}

// The Idle-Timeout that is announced, and the one that is kept: a few seconds are for the way (MS-WMSP 3.2.5.2).
const ANNOUNCED_TIMEOUT = 60_000;
const IDLE_TIMEOUT = 65_000;
const SWEEP_INTERVAL = 1_000;
const MAX_LOG = 64 * 1024;

interface Session {
  readonly clientId: number;
  player: LivePlayer | undefined;
  /** When the session was last used; it is forgotten IDLE_TIMEOUT later unless it streams. */
  usedAt: number;
}

/** One request on its way through the server. */
interface Handling extends WmspRequest {
  readonly exchange: Exchange;
  readonly profile: ClientProfile;
  readonly path: string;
}

/**
 * The server role of MS-WMSP in non-pipelined mode, for live broadcasts. It owns the sessions (3.2.1); requests come from an
 * {@link HttpServer}.
 */
export class WmspServer {
  readonly #options: WmspServerOptions;
  readonly #now: () => number;
  // In the order of their last use, which is what makes the oldest idle one cheap to find.
  readonly #sessions = new Map<number, Session>();
  readonly #sweeper: NodeJS.Timeout;
  #players = 0;

  constructor(options: WmspServerOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL);
    this.#sweeper.unref();
  }

  /** Clients that play at the moment. */
  get players(): number {
    return this.#players;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  close(): void {
    clearInterval(this.#sweeper);
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
      this.#refuse(exchange, 400);
      return true;
    }
    try {
      const path = exchange.request.target === '*' ? '*' : this.#options.pathOf(exchange.request.target);
      this.#dispatch({ ...request, exchange, profile: profileOf(request.client), path });
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refuse(exchange, error.status);
    }
    return true;
  }

  /** Forgets sessions whose Idle-Timeout is over (MS-WMSP 3.2.6.2). Called once a second. */
  sweep(): void {
    const limit = this.#now() - IDLE_TIMEOUT;
    const maxIdle = this.#options.maxIdleSessions ?? 20_000;
    let excess = this.#sessions.size - this.#players - maxIdle;
    for (const session of this.#sessions.values()) {
      if (session.player) continue;
      if (session.usedAt > limit && excess <= 0) break;
      this.#sessions.delete(session.clientId);
      excess--;
    }
  }

  #dispatch(handling: Handling): void {
    switch (handling.type) {
      case 'Describe':
        this.#describe(handling);
        break;
      case 'Play':
        this.#play(handling);
        break;
      case 'KeepAlive':
        this.#keepAlive(handling);
        break;
      case 'Log':
        this.#log(handling);
        break;
      case 'GetContentInfo':
        this.#getContentInfo(handling);
        break;
      case 'SendEvent':
        this.#sendEvent(handling);
        break;
      case 'Pipeline':
      case 'PlayNextEntry':
      case 'SelectStream':
      case 'Stop':
        // These belong to the pipelined mode and to playlists, which are not offered: no client may expect them.
        this.#refuse(handling.exchange, 501);
    }
  }

  #describe(handling: Handling): void {
    const { exchange, profile } = handling;
    const broadcast = this.#liveContent(handling);
    const found = this.#knownSession(handling);
    if (found?.player) throw new HttpError(400, 'The session is streaming.');
    const session = found ?? this.#newSession();
    this.#touch(session);
    const tokens = this.#sessionTokens(handling, session, broadcast, found === undefined);
    const body = entryHead(broadcast.header!, broadcast.generation, profile);
    const fields: Field[] = [['Content-Type', 'application/vnd.ms.wms-hdr.asfv1'], ...liveCacheFields(tokens)];
    exchange.respond({ status: 200, fields, body, close: profile.closesAfterDescribe });
  }

  #play(handling: Handling): void {
    const { exchange, profile, client, path, pragma } = handling;
    const broadcast = this.#liveContent(handling);
    if (exchange.queued) throw new HttpError(400, 'This connection streams already.');
    const found = this.#knownSession(handling);
    // A second Play for a session that streams could be somebody who takes it over (3.2.5.6).
    if (found?.player) throw new HttpError(400, 'The session is streaming.');
    if (this.#players >= (this.#options.maxPlayers ?? Number.POSITIVE_INFINITY)) {
      throw new HttpError(503, 'The server is full.');
    }
    const session = found ?? this.#newSession();
    this.#touch(session);
    const tokens = this.#sessionTokens(handling, session, broadcast, found === undefined);
    const fields: Field[] = [['Content-Type', 'application/x-mms-framed'], ...liveCacheFields(tokens)];
    const lostSession = found === undefined && pragma.has('client-id');
    const startedAt = this.#now();
    const { remoteAddress } = exchange;
    const player = new LivePlayer({
      stream: exchange.startStream(200, fields, { chunked: false }),
      broadcast,
      profile,
      selection: selectionOf(handling, broadcast),
      onGone: ({ packets }) => {
        session.player = undefined;
        this.#players--;
        this.#touch(session);
        this.#options.onPlayed?.({
          clientId: session.clientId,
          path,
          client: client.text,
          remoteAddress,
          milliseconds: this.#now() - startedAt,
          packets: packets.sent,
          skippedPackets: packets.skipped,
        });
      },
    });
    session.player = player;
    this.#players++;
    this.#options.onPlay?.(path, client.text, remoteAddress);
    player.start(lostSession && needsHeaderAgain(client, pragma.number('request-context')));
  }

  #keepAlive(handling: Handling): void {
    const session = this.#knownSession(handling);
    if (!session && handling.exchange.request.method !== 'OPTIONS')
      throw new HttpError(400, 'The client-id is unknown.');
    if (session) this.#touch(session);
    const tokens = session ? this.#idTokens(session) : [];
    handling.exchange.respond({ status: 200, fields: commonFields(tokens), close: true });
  }

  #log(handling: Handling): void {
    const { exchange, pragma, path } = handling;
    const session = this.#knownSession(handling);
    if (!session) throw new HttpError(400, 'The client-id is unknown.');
    this.#touch(session);
    const line = pragma.text('log-line');
    this.#withBody(exchange, (body) => {
      const text = line ?? body.toString('utf8');
      this.#options.onLog?.({ clientId: session.clientId, path, form: line === undefined ? 'xml' : 'log-line', text });
      exchange.respond({ status: 204, fields: commonFields(this.#idTokens(session)) });
    });
  }

  #getContentInfo(handling: Handling): void {
    this.#liveContent(handling);
    const session = this.#knownSession(handling);
    if (handling.pragma.has('client-id') && !session) throw new HttpError(400, 'The client-id is unknown.');
    const tokens = session ? this.#idTokens(session) : [];
    handling.exchange.respond({ status: 200, fields: liveCacheFields(tokens), close: true });
  }

  #sendEvent(handling: Handling): void {
    this.#liveContent(handling);
    const session = this.#knownSession(handling);
    if (handling.pragma.has('client-id') && !session) throw new HttpError(400, 'The client-id is unknown.');
    const tokens = session ? this.#idTokens(session) : [];
    this.#withBody(handling.exchange, () => handling.exchange.respond({ status: 200, fields: commonFields(tokens) }));
  }

  #withBody(exchange: Exchange, use: (body: Buffer) => void): void {
    exchange.readBody(MAX_LOG).then(use, (error) => {
      this.#refuse(exchange, error instanceof HttpError ? error.status : 500);
    });
  }

  #liveContent({ path }: Handling): Broadcast {
    const broadcast = this.#options.content.find(path);
    if (!broadcast) throw new HttpError(404, `There is nothing at ${path}.`);
    if (!broadcast.live || !broadcast.header) throw new HttpError(503, `Nobody feeds ${path} at the moment.`);
    return broadcast;
  }

  #knownSession({ pragma }: Handling): Session | undefined {
    const clientId = pragma.number('client-id');
    return clientId === undefined ? undefined : this.#sessions.get(clientId);
  }

  #newSession(): Session {
    let clientId: number;
    // Below 2^31, since some clients read it as a signed number; 0 would look like none.
    do clientId = randomInt(1, 0x7fffffff);
    while (this.#sessions.has(clientId));
    return { clientId, player: undefined, usedAt: 0 };
  }

  #touch(session: Session): void {
    session.usedAt = this.#now();
    this.#sessions.delete(session.clientId);
    this.#sessions.set(session.clientId, session);
  }

  #idTokens(session: Session): string[] {
    return [`client-id=${session.clientId}`, `timeout=${ANNOUNCED_TIMEOUT}`];
  }

  #sessionTokens({ pragma, profile }: Handling, session: Session, broadcast: Broadcast, isNew: boolean): string[] {
    const tokens = [...this.#idTokens(session), `features="${profile.liveFeatures.join(',')}"`];
    if (isNew && pragma.has('client-id')) tokens.push('xResetStrm=1');
    if (profile.version9) tokens.push(`playlist-gen-id=${broadcast.generation}`);
    return tokens;
  }

  #refuse(exchange: Exchange, status: number): void {
    exchange.respond({ status, fields: commonFields([]), close: true });
  }
}

/** Which streams a Play asks for (MS-WMSP 3.2.5.6); a client that names streams gets only those. */
function selectionOf({ pragma, profile }: Handling, broadcast: Broadcast): StreamSelection {
  const known = new Set(broadcast.header!.streams.map(({ number }) => number));
  const switches = streamSwitches(pragma, known);
  if (!switches) return { levels: new Map(), others: profile.withoutSelection === 'all' ? 0 : 2 };
  return { levels: new Map(switches.map(({ destination, level }) => [destination, level])), others: 2 };
}

/** Clients below 7.0 that lost their session are told with a repeated header (MS-WMSP 3.2.5.6). */
function needsHeaderAgain({ token, major }: ClientProduct, requestContext: number | undefined): boolean {
  if (major >= 7 || major === 0) return false;
  return (token === 'NSPlayer' && requestContext === 2) || (token === 'NSServer' && requestContext === 3);
}

/** The fields of every response (MS-WMSP 3.2.5.2). */
function commonFields(tokens: readonly string[], cacheControl = 'no-cache'): Field[] {
  return [
    ['Server', SERVER_NAME],
    ['Cache-Control', cacheControl],
    ['Pragma', ['no-cache', ...tokens].join(', ')],
  ];
}

function liveCacheFields(tokens: readonly string[]): Field[] {
  return commonFields(tokens, 'no-cache, x-wms-stream-type="broadcast"');
}
