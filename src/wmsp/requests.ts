import type { RequestHead } from '../http/message.js';
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
  /** 0.0 when the client gave none, as some pullers do. */
  readonly major: number;
  readonly minor: number;
  /** The whole header. */
  readonly text: string;
}

/**
 * Reads a User-Agent header. Leading zeros are tolerated.
 *
 * @returns undefined when it is not one of this protocol's products
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

/** What a request is: of this protocol, from somebody else, or from a WMSP client but of no type that there is. */
export type Classified = WmspRequest | 'foreign' | 'invalid';

/** Sorts a request into the types of MS-WMSP 2.2.2 by its method, tokens and Content-Type. */
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

function getType(pragma: PragmaTokens): WmspRequestType {
  if (pragma.has('pipeline-request')) return 'Pipeline';
  if (pragma.has('xPlayNextEntry')) return 'PlayNextEntry';
  // Some samples of a SelectStream have xPlayStrm=1; they are Play requests.
  if (pragma.flag('xPlayStrm')) return 'Play';
  return hasStreamSwitch(pragma) ? 'SelectStream' : 'Describe';
}

/** HEAD is GET without its body, for what is asked of content; what changes a session cannot be tried. */
function headType(pragma: PragmaTokens): WmspRequestType | undefined {
  const type = getType(pragma);
  return type === 'Describe' || type === 'Play' ? type : undefined;
}

function hasStreamSwitch(pragma: PragmaTokens): boolean {
  return pragma.has('stream-switch-entry') || pragma.has('switch-stream-entry');
}

function postType(head: RequestHead, pragma: PragmaTokens): WmspRequestType | undefined {
  const contentType = (head.headers.get('Content-Type') ?? '').split(';')[0]!.trim().toLowerCase();
  if (pragma.has('xStopStrm')) return 'Stop';
  if (pragma.has('xKeepAliveInPause')) return 'KeepAlive';
  if (hasStreamSwitch(pragma)) return 'SelectStream';
  if (pragma.has('log-line') || contentType === 'application/x-wms-logstats') return 'Log';
  if (contentType === 'application/x-wms-sendevent') return 'SendEvent';
  if (contentType === 'application/x-wms-getcontentinfo') return 'GetContentInfo';
  return undefined;
}
