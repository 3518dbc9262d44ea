import type { AsfHeader } from '../../asf/header.js';
import { printable, WmError } from '../../errors.js';
import type { Exchange } from '../../http/exchange.js';
import { HttpError } from '../../http/message.js';
import { type Entry, headerOf } from '../../playback/entry.js';
import type { ProxyClient } from '../../playback/registry.js';
import { ALL_STREAMS, NO_STREAMS, type StreamSelection, switched } from '../../playback/selection.js';
import { type Feature, parseSupported } from '../../wms/features.js';
import { MAX_PAYLOAD } from '../messages/packets.js';
import { streamSwitches } from '../messages/pragma.js';
import type { ClientProduct, WmspRequest } from '../messages/requests.js';
import type { ClientProfile } from './profiles.js';

/** The longest text about a proxy's client that is kept, in characters. */
const MAX_TEXT = 200;

/** One request on its way through the server. */
export interface Handling extends WmspRequest {
  readonly exchange: Exchange;
  readonly profile: ClientProfile;
  readonly path: string;
}

/** Returns the HTTP status for an error that is not a refusal. */
export function statusOf(error: unknown): number {
  if (error instanceof WmError && error.code === 'WM_NO_INPUT') return 404;
  return 500;
}

/** Returns the header of an entry that can be played now. @throws HttpError 500, 503 otherwise */
export function playableHeader(entry: Entry): AsfHeader {
  const header = headerOf(entry);
  if (!header || (entry.kind === 'live' && !entry.broadcast.live))
    throw new HttpError(503, 'It is offline: nothing feeds it at the moment.');
  if (header.packetSize > MAX_PAYLOAD) throw new HttpError(500, 'Its packets are too large for this protocol.');
  return header;
}

/** Appends data to the last packet of the packet pair, since only the first two need segments of their own. */
export function withAppended([first, second, third]: readonly Buffer[], appended: Buffer): Buffer[] {
  return [first!, second!, Buffer.concat([third!, appended])];
}

/** Returns the features that a request lists (MS-WMSP 2.2.1.7); undefined if it has no Supported header. */
export function supportedBy({ request }: Exchange): ReadonlySet<Feature> | undefined {
  return parseSupported(request.headers.all('Supported'));
}

/**
 * Returns the streams that a Play asks for (MS-WMSP 3.2.5.6); a client that names streams, and says how many, gets only
 * those.
 */
export function selectionOf(
  { pragma, profile }: Handling,
  streams: ReadonlyArray<{ readonly number: number }>,
): StreamSelection {
  const isCounted = (pragma.number('stream-switch-count') ?? 0) > 0;
  const switches = isCounted ? streamSwitches(pragma, new Set(streams.map(({ number }) => number))) : undefined;
  if (!switches) return profile.withoutSelection === 'all' ? ALL_STREAMS : NO_STREAMS;
  return switched(NO_STREAMS, switches);
}

/** Returns pl-offset: -1, 0 or 1 (MS-WMSP 2.2.1.4.20). */
export function plOffset({ pragma }: Handling): -1 | 0 | 1 {
  const text = pragma.text('pl-offset')?.trim() ?? '';
  if (text.startsWith('-1')) return -1;
  return text.startsWith('1') ? 1 : 0;
}

/** True for clients below 7.0 that lost their session, which learn it from a repeated header (MS-WMSP 3.2.5.6). */
export function needsHeaderAgain({ token, major }: ClientProduct, requestContext: number | undefined): boolean {
  if (major >= 7 || major === 0) return false;
  return (token === 'NSPlayer' && requestContext === 2) || (token === 'NSServer' && requestContext === 3);
}

/** Returns what a proxy says about its client (MS-WMSP 2.2.1.4.21, 2.2.1.11); undefined for a direct request. */
export function proxyClientOf({ pragma, exchange }: Pick<Handling, 'pragma' | 'exchange'>): ProxyClient | undefined {
  const agent = pragma.text('proxy-client-agent');
  const verb = exchange.request.headers.get('X-Proxy-Client-Verb');
  if (agent === undefined && verb === undefined) return undefined;
  return {
    ...(agent === undefined ? {} : { agent: printable(agent, MAX_TEXT) }),
    ...(verb === undefined ? {} : { verb: printable(verb, MAX_TEXT) }),
  };
}
