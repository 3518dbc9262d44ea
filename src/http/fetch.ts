import { printable, WmError } from '../errors.js';
import { HttpClient } from './client.js';
import type { TlsTrust } from './connection.js';
import { PLAYER_PRODUCT } from './product.js';
import { statusError } from './status-error.js';

/** @public */
export interface FetchOptions {
  /** Time limit for connecting, and for the response, in ms; default 10000. */
  readonly timeout?: number | undefined;
  /** For https://. */
  readonly tls?: TlsTrust | undefined;
}

const TIMEOUT = 10_000;
const MAX_REDIRECTS = 5;

/**
 * Downloads a small file from a web server, as a player would, following up to five redirects.
 * @returns its bytes, at most 1 MiB, and its final URL
 * @throws WmError WM_USAGE for another kind of URL, WM_UNREACHABLE, WM_SERVER_GONE, WM_TLS, WM_HTTP_MALFORMED, or
 *   WM_PROTOCOL if the server does not send it
 */
export async function fetchFile(location: string, options: FetchOptions = {}): Promise<{ body: Buffer; url: string }> {
  const { timeout = TIMEOUT, tls = {} } = options;
  let url = urlOf(location);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const secure = url.protocol === 'https:';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port || (secure ? 443 : 80));
    const client = await HttpClient.connect({ host, port, timeout, ...(secure ? { tls } : {}) });
    try {
      const fields = [
        ['Host', url.host],
        ['User-Agent', PLAYER_PRODUCT],
        ['Accept', '*/*'],
        ['Accept-Encoding', 'identity'],
        ['Connection', 'close'],
      ] as const;
      client.send('GET', `${url.pathname}${url.search}`, fields);
      const { head, body } = await client.response(timeout);
      if (head.status === 200) return { body, url: url.href };
      const target = head.status >= 300 && head.status < 400 ? head.headers.get('Location') : undefined;
      if (target === undefined) {
        const text = body.length < 200 ? printable(body.toString('utf8').trim().replace(/\s+/g, ' '), 200) : '';
        const said = text === '' ? '' : `: ${text}`;
        const { code, passing, retryIn } = statusError(head, url.href);
        throw new WmError(code, `${url.href} answered with status ${head.status}${said}`, { passing, retryIn });
      }
      url = urlOf(target, url);
    } finally {
      client.destroy();
    }
  }
  throw new WmError('WM_PROTOCOL', `${location} is redirected again and again.`);
}

function urlOf(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new WmError('WM_USAGE', `${text} is not an http:// or https:// URL.`);
}
