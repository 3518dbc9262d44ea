import { callerOf, finishFields } from '../../auth/header-dialog.js';
import { plainAddress } from '../../http/addresses.js';
import type { Exchange, ResponseStream } from '../../http/exchange.js';
import { type Field, HttpError } from '../../http/message.js';
import { rawQueryOf } from '../../http/target.js';
import { type ContentInfo, isRedirect, type PlaylistPlace } from '../../playback/content.js';
import type { Pass } from '../../playback/entrance.js';
import { Playback } from '../../playback/host.js';
import { SessionRegistry } from '../../playback/registry.js';
import { PULL_CHAIN_FIELD, parsePullChain } from '../../receiving/pull-chain.js';
import { relayedOf } from '../../wms/relayed.js';
import { Replies } from '../messages/replies.js';
import { ENCODER_NAME, SERVER_NAME, type ServerIdentity } from '../messages/responses.js';
import { type Handling, supportedBy } from './handling.js';
import type { WmspServerOptions } from './options.js';
import { Plays } from './plays.js';
import { sendElsewhere } from './redirect.js';
import type { SessionHost, WmspSession } from './session.js';
import { Sessions } from './sessions.js';

/** The maximum size of a log or an event, in bytes. */
export const MAX_LOG = 64 * 1024;
/** The purposes of the requests that are about content rather than a session. */
const PURPOSES = { Describe: 'describe', Play: 'play', GetContentInfo: 'info', SendEvent: 'event' } as const;

/** What all requests of a server need: its sessions, what plays, and the way to content. */
export class ServerRequests {
  readonly options: WmspServerOptions;
  readonly replies: Replies;
  readonly now: () => number;
  readonly playback: Playback;
  readonly sessions: Sessions;
  readonly plays: Plays;
  readonly host: SessionHost;

  constructor(options: WmspServerOptions) {
    this.options = options;
    const identity: ServerIdentity = {
      name: options.encoder ? ENCODER_NAME : SERVER_NAME,
      encoder: options.encoder ?? false,
      events: options.onEvent !== undefined,
      get caching() {
        return options.caching;
      },
    };
    this.replies = new Replies(identity);
    this.playback = options.playback ?? new Playback(options);
    this.now = this.playback.now;
    this.sessions = new Sessions(options.maxIdleSessions ?? 20_000, this.now, options.ids);
    this.plays = new Plays(options.registry ?? new SessionRegistry({ now: this.now }));
    this.host = {
      identity,
      playback: this.playback,
      used: (session) => this.sessions.touch(session),
      stopped: (session) => this.plays.ended(session),
    };
  }

  reporterOf({ exchange, client }: Handling) {
    return { address: plainAddress(exchange.remoteAddress), agent: client.text };
  }

  /** Asks for permission to use the content of the URL; undefined if the client was redirected. */
  async enter(handling: Handling, type: keyof typeof PURPOSES): Promise<Pass | undefined> {
    const { path, exchange, profile, client, pragma } = handling;
    const session = this.sessionOf(handling);
    const caller = callerOf(exchange, { player: true });
    const { signal, request } = exchange;
    const pulls = parsePullChain(exchange.request.headers.get(PULL_CHAIN_FIELD));
    const found = await this.options.entrance.enter({
      path,
      query: rawQueryOf(exchange.request.target),
      caller,
      purpose: PURPOSES[type],
      visitor: { protocol: 'WMSP', transport: exchange.secure ? 'tls' : 'tcp', client: client.text },
      pulls,
      relayed: relayedOf(request.headers, request.method, pragma.text('proxy-client-agent') ?? client.text),
      signal,
    });
    if (!isRedirect(found)) return found;
    if (session && type === 'Describe') this.sessions.delete(session);
    sendElsewhere(exchange, found, handling, {
      plain: this.replies.common(profile),
      content: () => {
        const answering = this.knownSession(handling) ?? this.newSession(handling);
        return this.replies.of(answering, profile, 'features="broadcast"');
      },
    });
    return undefined;
  }

  /**
   * Returns which entry of a playlist a Play applies to (MS-WMSP 2.2.1.4.18 and .19); all other requests are about the
   * first.
   */
  placeOf(handling: Handling): PlaylistPlace {
    const { path, pragma } = handling;
    const id = pragma.number('playlist-seek-id') || pragma.number('playlist-gen-id') || 0;
    return this.sessionOf(handling)?.placeIn(path, id) ?? { entry: id, reached: 0 };
  }

  /** Returns the fields of a response that delivers content. */
  contentFields(
    { profile, exchange }: Handling,
    { finish }: Pass,
    info: ContentInfo,
    contentType: string,
    tokens: readonly string[],
  ): Field[] {
    return [...this.replies.content(profile, info, contentType, tokens), ...finishFields(finish, exchange.request)];
  }

  /** Returns the session that a request names; sessions of other addresses are treated as unknown. */
  sessionOf({ pragma, exchange }: Pick<Handling, 'pragma' | 'exchange'>): WmspSession | undefined {
    const session = this.sessions.get(pragma.number('client-id') ?? 0);
    return session?.address === plainAddress(exchange.remoteAddress) ? session : undefined;
  }

  knownSession(handling: Handling): WmspSession | undefined {
    const session = this.sessionOf(handling);
    if (session) this.use(session, handling);
    return session;
  }

  /** Updates a session to what the last request says about its client (MS-WMSP 3.2.5.1). */
  use(session: WmspSession, { profile, exchange }: Handling): void {
    session.profile = profile;
    session.connections.add(exchange);
    session.features = supportedBy(exchange) ?? session.features;
  }

  requiredSession(handling: Handling): WmspSession {
    const session = this.knownSession(handling);
    if (!session) throw new HttpError(400, 'The client-id is unknown.');
    this.sessions.touch(session);
    return session;
  }

  optionalSession(handling: Handling): WmspSession | undefined {
    return handling.pragma.has('client-id') ? this.requiredSession(handling) : undefined;
  }

  newSession(handling: Handling): WmspSession {
    const session = this.sessions.create(handling.profile, plainAddress(handling.exchange.remoteAddress), this.host);
    this.use(session, handling);
    return session;
  }

  /** True for a client that understands X-StartupProfile (MS-WMSP 3.2.5.6). */
  wantsProfile({ exchange, profile }: Handling): boolean {
    return profile.version9 && supportedBy(exchange)?.has('startupprofile') === true;
  }

  /** Refuses a Play for a session that is streaming, which could be an attempt to take it over (MS-WMSP 3.2.5.6). */
  refuseHijack(handling: Handling): void {
    if (this.sessionOf(handling)?.active) throw new HttpError(400, 'The session is streaming.');
  }
}

/** Starts a Play response, which may last for days: the head of its request is not needed any more. */
export function streamed(exchange: Exchange, fields: readonly Field[], { pipelined }: WmspSession): ResponseStream {
  return exchange.startStream(200, fields, { chunked: pipelined, forget: true });
}
