import { WmError } from '../errors.js';
import { MAX_CHALLENGES, type ProxyAuthenticator } from './authenticator.js';
import { HttpClient, StaleConnection } from './client.js';
import { authorityOf, CONNECT_TIMEOUT, type Endpoint, startTls } from './connection.js';
import { type Field, keepsAlive } from './message.js';

/** How to reach a server. */
export interface Route {
  /** The server; with `proxy`, what the proxy is to connect to. */
  readonly server: Endpoint;
  /** An HTTP proxy on the way. */
  readonly proxy?: Endpoint | undefined;
}

/** How to reach a server, directly or through a proxy. */
export interface RouteOptions {
  /** In ms, for each step; default 10000. */
  readonly timeout?: number | undefined;
  readonly userAgent?: string | undefined;
  /** Answers the proxy if it asks for credentials for CONNECT. */
  readonly authorize?: ProxyAuthenticator | undefined;
}

/**
 * True if requests on this route go to the proxy, with the whole URL as their target (RFC 9112 3.2.2). TLS needs a
 * tunnel instead.
 */
export function asksProxy({ server, proxy }: Route): boolean {
  return proxy !== undefined && server.tls === undefined;
}

/**
 * Opens a connection for the requests of a route: to the server, to the proxy ({@link asksProxy}), or, if the server
 * speaks TLS, through the proxy by CONNECT (RFC 9110 9.3.6).
 * @throws WmError WM_UNREACHABLE, WM_TLS, WM_SERVER_GONE, WM_HTTP_MALFORMED; WM_AUTH_REFUSED if the proxy wants other
 *   credentials
 */
export async function connectRoute(route: Route, options: RouteOptions = {}): Promise<HttpClient> {
  const { timeout = CONNECT_TIMEOUT } = options;
  const { server, proxy } = route;
  if (!proxy || asksProxy(route)) return HttpClient.connect({ ...(proxy ?? server), timeout });
  const socket = await tunnel(proxy, server, { ...options, timeout });
  return HttpClient.over(await startTls(socket, server, timeout), authorityOf(server));
}

async function tunnel(proxy: Endpoint, server: Endpoint, options: RouteOptions & { readonly timeout: number }) {
  const { timeout, userAgent, authorize } = options;
  const target = authorityOf(server);
  let http = await HttpClient.connect({ ...proxy, timeout });
  try {
    let credentials: Field | undefined;
    for (let challenges = 0; ; challenges++) {
      const fields: Field[] = [['Host', target]];
      if (userAgent !== undefined) fields.push(['User-Agent', userAgent]);
      if (credentials) fields.push(credentials);
      http.send('CONNECT', target, fields);
      const { head } = await http.response(timeout).catch(async (error: unknown) => {
        if (!(error instanceof StaleConnection)) throw error;
        http = await HttpClient.connect({ ...proxy, timeout });
        http.send('CONNECT', target, fields);
        return http.response(timeout);
      });
      if (head.status >= 200 && head.status < 300) return http.detach();
      const challenge = { status: head.status, headers: head.headers, method: 'CONNECT', target, connection: http };
      credentials = head.status === 407 && challenges < MAX_CHALLENGES ? await authorize?.answer(challenge) : undefined;
      if (!credentials) throw refusal(authorityOf(proxy), target, head.status, head.reason);
      if (!keepsAlive(head) || !http.open) {
        http.destroy();
        http = await HttpClient.connect({ ...proxy, timeout });
      }
    }
  } catch (error) {
    http.destroy();
    throw error;
  }
}

function refusal(proxy: string, target: string, status: number, reason: string): WmError {
  const sentence = `The proxy ${proxy} does not connect to ${target}: ${`${status} ${reason}`.trim()}.`;
  if (status === 401 || status === 403 || status === 407) {
    return new WmError('WM_AUTH_REFUSED', sentence, {
      hint: 'Log in to the proxy with WMCAST_PROXY_USER and WMCAST_PROXY_PASSWORD, or ask for the host to be allowed.',
    });
  }
  return new WmError('WM_UNREACHABLE', sentence);
}
