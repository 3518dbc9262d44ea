import type { HttpAuthenticator } from '../auth/client.js';
import type { AddressGuard } from '../http/address-guard.js';
import { MAX_CHALLENGES } from '../http/authenticator.js';
import { HttpClient, type StreamedResponse } from '../http/client.js';
import type { TlsTrust } from '../http/connection.js';
import { endpointOf, type HttpUrl } from '../http/http-url.js';
import { type Field, keepsAlive } from '../http/message.js';
import type { ForwardedAnswer, ForwardedRequest } from '../playback/content.js';
import { type Relayed, relayedFields } from '../wms/relayed.js';

/** How a request of plain HTTP reaches an origin. */
export interface ForwardOptions {
  readonly url: HttpUrl;
  readonly relayed: Relayed;
  readonly authorize?: HttpAuthenticator | undefined;
  readonly tls?: TlsTrust | undefined;
  readonly guard?: AddressGuard | undefined;
  /** In ms, for each step, and for the next bytes of the answer. */
  readonly timeout: number;
}

/** The fields of a request that choose what is sent (RFC 9110 12.5, 13.1, 14.2). */
const REQUEST_FIELDS = ['Accept', 'Range', 'If-Range', 'If-Modified-Since', 'If-None-Match', 'User-Agent'];
/** The fields of an answer that describe what is sent. */
const ANSWER_FIELDS = [
  ...['Accept-Ranges', 'Allow', 'Cache-Control', 'Content-Disposition', 'Content-Language', 'Content-Range'],
  ...[
    'Content-Type',
    'ETag',
    'Expires',
    'Last-Modified',
    'Location',
    'Retry-After',
    'Server',
    'Vary',
    'WWW-Authenticate',
  ],
];
const MAX_VALUE = 2_048;

/**
 * Forwards a request of plain HTTP, and returns the answer, whatever its status. Its body is read at the pace of the
 * client.
 *
 * @param signal ends the connection to the origin
 * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_HTTP_MALFORMED, WM_TLS
 */
export async function forwardPlain(
  options: ForwardOptions,
  request: ForwardedRequest,
  signal: AbortSignal,
): Promise<ForwardedAnswer> {
  const { url, tls, guard, timeout } = options;
  const http = await HttpClient.connect({ ...endpointOf(url, tls), guard, timeout });
  const close = () => http.destroy();
  signal.addEventListener('abort', close, { once: true });
  try {
    signal.throwIfAborted();
    const response = await answered(http, options, request);
    const { head, body } = response;
    const length = /^\d{1,15}$/.exec(head.headers.get('Content-Length')?.trim() ?? '')?.[0];
    return {
      status: head.status,
      fields: fieldsOf(head.headers.entries),
      length: length === undefined ? undefined : Number(length),
      next: () => body.next(timeout),
      close: () => {
        signal.removeEventListener('abort', close);
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** Sends a request until it is answered by anything but a challenge that can be met. */
async function answered(
  http: HttpClient,
  { url, relayed, authorize, timeout }: ForwardOptions,
  { method, headers }: ForwardedRequest,
): Promise<StreamedResponse> {
  const about = { method, target: url.path, connection: http, origin: url.origin };
  const chosen = REQUEST_FIELDS.flatMap((name) => headers.all(name).map((value): Field => [name, value]));
  for (let challenges = 0; ; challenges++) {
    const login = authorize?.fields?.(about, [401]) ?? [];
    const own: Field[] = [
      ['Host', url.authority],
      ['Accept-Encoding', 'identity'],
      ...relayedFields(relayed),
      ['Connection', authorize ? 'keep-alive' : 'close'],
    ];
    http.send(method, url.path, [...own, ...chosen, ...login], undefined, { streamed: true });
    const response = await http.streamedResponse(timeout);
    const { head, body } = response;
    if (head.status !== 401 || !authorize || !keepsAlive(head) || challenges >= MAX_CHALLENGES) return response;
    const { status, headers: said } = head;
    if (!(await authorize.answer({ ...about, status, headers: said, persistent: true }))) return response;
    while (await body.next(timeout));
    if (!http.open) return response;
  }
}

function fieldsOf(entries: readonly Field[]): Field[] {
  const known = new Map(ANSWER_FIELDS.map((name) => [name.toLowerCase(), name]));
  return entries.flatMap(([name, value]): Field[] => {
    const passed = known.get(name.toLowerCase());
    return passed === undefined || value.length > MAX_VALUE ? [] : [[passed, value]];
  });
}
