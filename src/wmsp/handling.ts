import type { AsfHeader } from '../asf/header.js';
import { WmError } from '../errors.js';
import type { Exchange } from '../http/exchange.js';
import { type Field, HttpError } from '../http/message.js';
import { startPosition } from './play.js';
import { streamSwitches } from './pragma.js';
import type { ClientProfile } from './profiles.js';
import { type Entry, headerOf, type Program, type Redirect } from './program.js';
import type { ClientProduct, WmspRequest } from './requests.js';
import { FEATURE_PREFIX, formatStartupProfile } from './responses.js';
import { ALL_STREAMS, levelOf, NO_STREAMS, type StreamSelection, switched } from './selection.js';
import type { Pace } from './session.js';

/** One request on its way through the server. */
export interface Handling extends WmspRequest {
  readonly exchange: Exchange;
  readonly profile: ClientProfile;
  readonly path: string;
}

/** $C Reason when the server moves to the entry before (MS-WMSP 2.2.3.2). */
export const PREVIOUS_ENTRY = 0x400d14be;

/** The HTTP status that tells a client of an error. */
export function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  if (error instanceof WmError && error.code === 'WM_NO_INPUT') return 404;
  return 500;
}

/** Whether a URL's content is elsewhere. */
export function isRedirect(found: Program | Redirect): found is Redirect {
  return 'redirect' in found;
}

/** The header of an entry that can be played now. */
export function playableHeader(entry: Entry): AsfHeader {
  const header = headerOf(entry);
  if (!header || (entry.kind === 'live' && !entry.broadcast.live))
    throw new HttpError(503, 'Nobody feeds it at the moment.');
  return header;
}

/** Hangs what follows the packet pair on its last packet, since only the first two need segments of their own. */
export function withBehind([first, second, third]: readonly Buffer[], behind: Buffer): Buffer[] {
  return [first!, second!, Buffer.concat([third!, behind])];
}

/** The extensions that a request lists (MS-WMSP 2.2.1.7). */
export function supportedBy(exchange: Exchange): ReadonlySet<string> {
  return new Set(exchange.request.headers.tokens('Supported'));
}

/** Whether a request names streams. */
export function hasSelection({ pragma }: Handling): boolean {
  return pragma.has('stream-switch-entry') || pragma.has('switch-stream-entry');
}

/** Which streams a Play asks for (MS-WMSP 3.2.5.6); a client that names streams gets only those. */
export function selectionOf({ pragma, profile }: Handling, streams: readonly number[]): StreamSelection {
  const switches = streamSwitches(pragma, new Set(streams));
  if (!switches) return profile.withoutSelection === 'all' ? ALL_STREAMS : NO_STREAMS;
  return switched(NO_STREAMS, switches);
}

/** The packet of a file that a Play starts with, and the time there in ms. */
export async function locate(
  entry: Entry,
  { pragma }: Handling,
  selection: StreamSelection,
): Promise<{ from: number; start: number }> {
  if (entry.kind === 'live') return { from: 0, start: 0 };
  let position = startPosition(pragma);
  const begin = entry.begin ?? 0;
  if (begin > 0 && position.kind === 'start') position = { kind: 'time', milliseconds: begin };
  const choice = { level: (stream: number) => levelOf(selection, stream) };
  const from = await entry.file.locate(position, choice);
  return { from, start: position.kind === 'time' ? position.milliseconds : 0 };
}

/** X-StartupProfile, for a client that understands it and a Play that is accelerated (MS-WMSP 3.2.5.6). */
export async function startupProfile(
  { exchange }: Handling,
  entry: Entry,
  from: number,
  selection: StreamSelection,
  { acceleration, rate }: Pace,
): Promise<Field[]> {
  if (entry.kind === 'live' || !acceleration || rate !== 1) return [];
  if (!supportedBy(exchange).has(`${FEATURE_PREFIX}startupprofile`)) return [];
  const choice = { level: (stream: number) => levelOf(selection, stream) };
  const profile = await entry.file.startupProfile(from, { choice, duration: acceleration.milliseconds });
  return profile ? [['X-StartupProfile', formatStartupProfile(profile)]] : [];
}

/** pl-offset: -1, 0 or 1 (MS-WMSP 2.2.1.4.20). */
export function plOffset({ pragma }: Handling): -1 | 0 | 1 {
  const text = pragma.text('pl-offset')?.trim() ?? '';
  if (text.startsWith('-1')) return -1;
  return text.startsWith('1') ? 1 : 0;
}

/** Clients below 7.0 that lost their session are told with a repeated header (MS-WMSP 3.2.5.6). */
export function needsHeaderAgain({ token, major }: ClientProduct, requestContext: number | undefined): boolean {
  if (major >= 7 || major === 0) return false;
  return (token === 'NSPlayer' && requestContext === 2) || (token === 'NSServer' && requestContext === 3);
}
