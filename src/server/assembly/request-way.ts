import { callerOf } from '../../auth/header-dialog.js';
import type { Exchange } from '../../http/exchange.js';
import { PushServer } from '../../wmhttp/server/server.js';
import { SERVER_NAME } from '../../wmsp/messages/responses.js';
import { WmspServer } from '../../wmsp/server/server.js';
import type { AdminApi } from '../admin/api.js';
import { pathOf } from '../content/paths.js';
import { Hls } from '../hls/hls.js';
import { PushPoints } from '../points/push-points.js';
import { Stills } from '../stills.js';
import { WebServer } from '../web/web.js';
import type { ContentWay } from './content-way.js';
import type { ServerCore } from './core.js';

// The minimum limit of push sessions: even with few points, an encoder that comes back briefly needs a second one.
const MIN_SESSIONS = 1_000;
const PROXY_IS_FOR_MEDIA = Buffer.from('This proxy passes on requests of Windows Media players only.\n');

/** Finds out which part of the server a request over HTTP is for: pushes, the API, logs, players or pages. */
export class RequestWay {
  readonly stills: Stills;
  readonly #core: ServerCore;
  readonly #content: ContentWay;
  readonly #hls: Hls;
  readonly #push: PushServer;
  readonly #wmsp: WmspServer;
  readonly #web: WebServer;

  constructor(core: ServerCore, content: ContentWay) {
    const { settings, registry, onWarning } = core;
    this.#core = core;
    this.#content = content;
    this.stills = new Stills({ enabled: () => settings.config.stills });
    this.#hls = new Hls({ points: () => settings.config.hls?.points, registry, onWarning });
    this.#push = this.#newPush();
    this.#wmsp = this.#newWmsp();
    this.#web = this.#newWeb();
  }

  /** Answers a request. @param api of the administration */
  handle(exchange: Exchange, api: AdminApi): void {
    const { cluster, logs, means } = this.#core;
    if (means.part?.passOn(exchange) || cluster?.elsewhere.passOn(exchange)) return;
    if (this.#push.handle(exchange) || api.handle(exchange) || logs?.handle(exchange)) return;
    const { target, headers } = exchange.request;
    const isForOthers = this.#content.proxying?.isForOthers(target, headers.get('Host')) ?? false;
    if ((isForOthers || !this.#web.announces(exchange)) && this.#wmsp.handle(exchange)) return;
    if (isForOthers) exchange.respond({ status: 501, body: PROXY_IS_FOR_MEDIA, close: true });
    else this.#web.handle(exchange);
  }

  /** Ends what runs for viewers of pages, which is not bound to a connection. */
  closePages(): void {
    this.stills.close();
    this.#hls.close();
  }

  /** Ends the sessions of encoders and players. */
  closeSessions(): void {
    this.#push.close();
    this.#wmsp.close();
  }

  #newPush(): PushServer {
    const { settings, points, ids, means, hooks, onWarning, onInternalError } = this.#core;
    const { config } = settings;
    const gate = new PushPoints({
      points,
      access: means.access,
      get rule() {
        return settings.rules.push;
      },
      get redirects() {
        return settings.redirects;
      },
      get names() {
        return settings.names;
      },
      onWarning,
      admit: async (encoder) => {
        this.#core.cluster?.refuseWhileDraining();
        await hooks.mayPublish(encoder);
      },
      get authenticateStart() {
        return settings.config.push.authenticateStart ?? false;
      },
    });
    return new PushServer(gate, {
      ids,
      pathOf,
      serverName: SERVER_NAME,
      maxSessions: Math.max(config.limits.points, MIN_SESSIONS),
      ...(config.push.idleTimeout === undefined ? {} : { idleTimeout: config.push.idleTimeout * 1000 }),
      onError: onInternalError,
    });
  }

  #newWmsp(): WmspServer {
    const { settings, registry, ids, events, onLog, onError } = this.#core;
    const { entrance, playback, proxying } = this.#content;
    return new WmspServer({
      entrance,
      playback,
      onError,
      pathOf: (target, host) => (proxying ? proxying.pathOf(target, host) : pathOf(target)),
      registry,
      ids,
      get caching() {
        return settings.caching;
      },
      onLog,
      ...(events.event ? { onEvent: (path: string, body: string) => events.event?.(path, body) } : {}),
    });
  }

  #newWeb(): WebServer {
    const core = this.#core;
    const { settings, points, means, registry, onWarning, onError } = core;
    return new WebServer(points, () => settings.content, {
      entrance: this.#content.entrance,
      multicast: (path) => core.multicasts.get(path),
      loggingUrl: (authority) => core.logs?.loggingUrl(authority),
      ports: () => core.ports,
      guide: () => settings.config.guide,
      accelRedirect: () => settings.accelRedirect,
      hls: this.#hls,
      onAttempt: (attempt) => core.logs?.attempted(attempt),
      stills: this.stills,
      isPublic: async (exchange, { settings: { play }, path }) => {
        const caller = callerOf(exchange);
        const asked = { ...caller, credentials: { ...caller.credentials, given: undefined } };
        return (await means.access.check(asked, play ?? settings.rules.play, `play ${path}`)).granted;
      },
      registry,
      onWarning,
      onError,
    });
  }
}
