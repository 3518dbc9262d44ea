import type { RequestHead } from '../../http/message.js';
import { PragmaTokens } from './pragma.js';

/** The request types of MS-WMSP 2.2.2. */
export type WmspRequestType =
  | 'Describe'
  | 'GetContentInfo'
  | 'KeepAlive'
  | 'Log'
  | 'Pipeline'
  | 'Play'
  | 'PlayNextEntry'
  | 'SelectStream'
  | 'SendEvent'
  | 'Stop';

/** The product that a User-Agent names, and its version (MS-WMSP 2.2.1.8). */
export interface ClientProduct {
  readonly token: 'NSPlayer' | 'NSServer' | 'WMCacheProxy';
  /** 0.0 if the client gave no version, as some pullers do. */
  readonly major: number;
  readonly minor: number;
  /** The whole header. */
  readonly text: string;
}

/**
 * Reads a User-Agent header. Tolerates leading zeros.
 *
 * @returns undefined if it is not one of this protocol's products
 */
export function parseClientProduct(userAgent: string | undefined): ClientProduct | undefined {
  const match = /^\s*(NSPlayer|NSServer|WMCacheProxy)(?:\/(\d{1,3})(?:\.(\d{1,5}))?|(?=[\s;]|$))/i.exec(
    userAgent ?? '',
  );
  if (!match) return undefined;
  const token = { nsplayer: 'NSPlayer', nsserver: 'NSServer', wmcacheproxy: 'WMCacheProxy' } as const;
  return {
    token: token[match[1]!.toLowerCase() as keyof typeof token],
    major: Number(match[2] ?? 0),
    minor: Number(match[3] ?? 0),
    text: userAgent!,
  };
}

/** A request of this protocol. */
export interface WmspRequest {
  readonly type: WmspRequestType;
  readonly pragma: PragmaTokens;
  readonly client: ClientProduct;
}

/** A request of this protocol, of another client, or of a WMSP client but of no known type. */
export type Classified = WmspRequest | 'foreign' | 'invalid';

/** Determines the type of a request by its method, tokens and Content-Type (MS-WMSP 2.2.2). */
export function classifyRequest(head: RequestHead): Classified {
  const client = parseClientProduct(head.headers.get('User-Agent'));
  if (!client) return 'foreign';
  const pragma = new PragmaTokens(head.headers.all('Pragma'));
  const type = requestType(head, pragma);
  return type ? { type, pragma, client } : 'invalid';
}

function requestType(head: RequestHead, pragma: PragmaTokens): WmspRequestType | undefined {
  switch (head.method) {
    case 'GET':
      return getType(pragma);
    case 'HEAD':
      return headType(pragma);
    case 'POST':
      return postType(head, pragma);
    case 'OPTIONS':
      return head.target === '*' ? 'KeepAlive' : undefined;
    default:
      return undefined;
  }
}

/** Returns the type whose mark a request has; undefined if it has none, or those of several types (MS-WMSP 3.2.5.1). */
function only(marks: ReadonlyArray<readonly [marked: boolean, type: WmspRequestType]>): WmspRequestType | undefined {
  const [first, second] = marks.filter(([marked]) => marked);
  return second ? undefined : first?.[1];
}

function getType(pragma: PragmaTokens): WmspRequestType | undefined {
  // With stream-switch-entry, each of these keeps its type and also selects streams.
  const marks = [
    [pragma.has('pipeline-request'), 'Pipeline'],
    [pragma.has('xPlayNextEntry'), 'PlayNextEntry'],
    [pragma.flag('xPlayStrm'), 'Play'],
  ] as const;
  if (marks.some(([marked]) => marked)) return only(marks);
  // These tokens belong to POST requests.
  if (pragma.has('xStopStrm') || pragma.has('xKeepAliveInPause')) return undefined;
  return hasStreamSwitch(pragma) ? 'SelectStream' : 'Describe';
}

/** HEAD is GET without a body. It is allowed only for requests about content, not for those that change a session. */
function headType(pragma: PragmaTokens): WmspRequestType | undefined {
  const type = getType(pragma);
  return type === 'Describe' || type === 'Play' ? type : undefined;
}

function hasStreamSwitch(pragma: PragmaTokens): boolean {
  return pragma.has('stream-switch-entry') || pragma.has('switch-stream-entry');
}

function postType(head: RequestHead, pragma: PragmaTokens): WmspRequestType | undefined {
  const contentType = (head.headers.get('Content-Type') ?? '').split(';')[0]!.trim().toLowerCase();
  // These tokens belong to GET requests.
  if (pragma.has('pipeline-request') || pragma.has('xPlayNextEntry') || pragma.flag('xPlayStrm')) return undefined;
  return only([
    [pragma.has('xStopStrm'), 'Stop'],
    [pragma.has('xKeepAliveInPause'), 'KeepAlive'],
    [hasStreamSwitch(pragma), 'SelectStream'],
    [pragma.has('log-line') || contentType === 'application/x-wms-logstats', 'Log'],
    [contentType === 'application/x-wms-sendevent', 'SendEvent'],
    [contentType === 'application/x-wms-getcontentinfo', 'GetContentInfo'],
  ]);
}
