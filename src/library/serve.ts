import { orAborted } from '../abort.js';
import type { SessionInfo, SessionReport } from '../playback/registry.js';
import { defaultConfig, type ServerConfig } from '../server/config.js';
import type { ServerEvents } from '../server/events.js';
import type { ServerPorts } from '../server/listeners/listener.js';
import { MediaServer } from '../server/server.js';
import { Moments } from './moments.js';

/** How to run a server for a test. @public */
export interface ServeOptions {
  /** Default: free ports for HTTP, RTSP and MMS on 127.0.0.1. */
  readonly config?: Partial<ServerConfig> | undefined;
  /** The folder of on-demand files. */
  readonly content?: string | undefined;
  /** Faults to commit, as for `--fault`. */
  readonly faults?: string | undefined;
  readonly events?: ServerEvents | undefined;
  /** Closes the server. */
  readonly signal?: AbortSignal | undefined;
}

/** A server that runs. @public */
export interface ServedHandle extends AsyncDisposable {
  readonly server: MediaServer;
  readonly ports: ServerPorts;
  /** Warnings so far. */
  readonly warnings: readonly string[];
  /** Returns the URL of a point or a file. @param protocol default `http` */
  url(path: string, protocol?: 'http' | 'mmsh' | 'rtsp' | 'mms'): string;
  /** Resolves when a point has a header and players can play it; at once if it has one. */
  live(path: string): Promise<void>;
  /** Resolves with the next player, or with one that is there, of a path or of all. */
  playerJoined(path?: string): Promise<SessionInfo>;
  /** Resolves with the next player that leaves. */
  playerLeft(path?: string): Promise<SessionReport>;
  /** Ends all broadcasts properly and stops. */
  close(): Promise<void>;
}

/**
 * Runs a media server.
 *
 * @throws WmError as {@link MediaServer.start}; the reason of an aborted signal
 * @public
 */
export async function serve(options: ServeOptions = {}): Promise<ServedHandle> {
  const { content, faults, events = {}, signal } = options;
  signal?.throwIfAborted();
  const players = new Moments<SessionInfo>();
  const leavers = new Moments<SessionReport>();
  const lives = new Moments<string>();
  const warnings: string[] = [];
  const config: ServerConfig = {
    ...defaultConfig(),
    ...{ host: '127.0.0.1', httpPort: 0, rtsp: { port: 0 }, mms: { port: 0 } },
    ...(content === undefined ? {} : { content: { folder: content } }),
    ...(faults === undefined ? {} : { faults }),
    ...options.config,
  };
  const server = await MediaServer.start(config, {
    ...events,
    point: (event) => {
      if (event.what === 'publishing') lives.happened(event.point);
      events.point?.(event);
    },
    play: (session) => {
      players.happened(session);
      events.play?.(session);
    },
    played: (report) => {
      leavers.happened(report);
      events.played?.(report);
    },
    warning: (message) => {
      warnings.push(message);
      events.warning?.(message);
    },
  });
  const ended = new AbortController();
  let closing: Promise<void> | undefined;
  const close = () => {
    ended.abort(new Error('The server was closed.'));
    signal?.removeEventListener('abort', close);
    closing ??= server.close();
    return closing;
  };
  signal?.addEventListener('abort', close, { once: true });
  if (signal?.aborted) await close();
  const isAt = (path: string | undefined) => (session: { readonly path: string }) =>
    path === undefined || session.path === path;
  const untilLive = async (path: string) => {
    while (!isLive(path)) {
      await orAborted(
        lives.next((each) => each === path),
        ended.signal,
      );
      await server.points.find(path)?.broadcast.nextHeader(1_000);
    }
  };
  const isLive = (path: string) => server.points.find(path)?.broadcast.live ?? false;
  return {
    server,
    warnings,
    ports: server.ports,
    url: (path, protocol = 'http') => {
      const port = { http: server.ports.http, mmsh: server.ports.http, rtsp: server.ports.rtsp, mms: server.ports.mms }[
        protocol
      ];
      return `${protocol}://127.0.0.1:${port}${path.startsWith('/') ? path : `/${path}`}`;
    },
    live: (path) => guarded(untilLive(path)),
    playerJoined: (path) => guarded(orAborted(players.next(isAt(path), true), ended.signal)),
    playerLeft: (path) => guarded(orAborted(leavers.next(isAt(path)), ended.signal)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A test that ended early does not look at all its promises. */
function guarded<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
