import { WmError } from '../../errors.js';
import type { Field } from '../../http/message.js';
import type { StreamSwitch } from '../../playback/selection.js';
import { formatPullChain, PULL_CHAIN_FIELD, type PullChain } from '../../receiving/pull-chain.js';
import { type Feature, formatSupported } from '../../wms/features.js';
import { proxyClientAgent, type Relayed, relayedFields } from '../../wms/relayed.js';
import { remoteLogEvent } from '../../wms/remote-event.js';
import type { WmspRequestType } from '../messages/requests.js';
import type { ClientIdentity, ServerProduct } from './product.js';

/** A request, complete except for its request line. */
export interface ClientRequest {
  readonly type: WmspRequestType;
  readonly method: 'GET' | 'POST' | 'OPTIONS';
  /** True if it is for `*` rather than the URL of the content. */
  readonly wholeServer: boolean;
  readonly minorVersion: 0 | 1;
  readonly fields: readonly Field[];
  readonly body: Buffer | undefined;
}

/** What a session knows when it makes a request (MS-WMSP 3.1.1). */
export interface RequestContext {
  readonly identity: ClientIdentity;
  /** In registry format, with braces. */
  readonly guid: string;
  /** The value of the Host field. */
  readonly authority: string;
  readonly viaProxy: boolean;
  /** True if the proxy forwards only the first header of a given name. */
  readonly proxyKeepsOne: boolean;
  readonly cookie: string | undefined;
  /** In order of preference. */
  readonly authenticationSchemes: readonly string[];
  /** For a server that relays: the pulls that wait for the answer. */
  readonly pullChain?: PullChain | undefined;
  /** For a proxy: the request that it passes on. */
  readonly relayed?: Relayed | undefined;
  /** True for HTTP/1.1, with several requests on one connection; otherwise HTTP/1.0. */
  readonly http11: boolean;
  readonly clientId: number | undefined;
  /** 0 if unknown. */
  readonly playlistGenId: number;
  /** Undefined before the first response, or if the server does not speak this protocol. */
  readonly server: ServerProduct | undefined;
  /**
   * True after the first response; before it, tokens for newer servers are allowed, afterwards only for its version.
   */
  readonly serverKnown: boolean;
}

/** Where to start, and how fast. */
export interface PlayParameters {
  /** In ms; also if the position is a packet. */
  readonly startTime: number;
  /** The number of an ASF packet; takes precedence over `startTime`. */
  readonly startPacket?: number | undefined;
  /** The playlist entry of the position, if it may not be the current one; 0 or undefined for the current one. */
  readonly entryId?: number | undefined;
  /** The number of playlist entries to skip: 1 for the next, -1 for the previous. */
  readonly skip?: 1 | -1 | undefined;
  /** -5 to -1 and 1 to 5. */
  readonly rate: number;
  /** In ms of media from the start position; 0 to the end. */
  readonly maxDuration: number;
  /** The multiple of its bit rate at which the content is requested; 1 leaves it to the server. */
  readonly speed: number;
  readonly streams: readonly StreamSwitch[];
  readonly link: LinkParameters;
  /** True if the server may choose streams of the next playlist entry by itself. */
  readonly prediction: boolean;
}

/** How fast the start may be sent, in bits per second and ms of media (MS-WMSP 2.2.1.4.1 to 2.2.1.4.9). @public */
export interface LinkParameters {
  readonly linkBandwidth: number;
  readonly accelBandwidth: number;
  readonly accelDuration: number;
  readonly burstBandwidth: number;
  readonly burstDuration: number;
}

/** The parameters of a client that knows no limit of its link. */
export const DEFAULT_LINK: LinkParameters = {
  linkBandwidth: 0x7fffffff,
  accelBandwidth: 3_500_000,
  accelDuration: 18_000,
  burstBandwidth: 3_500_000,
  burstDuration: 5_000,
};

const IGNORED = 0xffffffff;
const LARGEST = 0xffffffff;

/** Describe (MS-WMSP 2.2.2.1). */
export function describeRequest(context: RequestContext, packetPair: boolean, pipelining: boolean): ClientRequest {
  return request(context, 'Describe', 'GET', [
    // The URL may be an announcement on a web server, and some of those compress unless told otherwise.
    ['Accept-Encoding', 'identity'],
    ...pragma(pipelining && 'version11-enabled=1'),
    ...pragma(
      'no-cache',
      'rate=1.000',
      'stream-time=0',
      'stream-offset=0:0',
      `packet-num=${IGNORED}`,
      'max-duration=0',
    ),
    ...pragma(packetPair && 'packet-pair-experiment=1'),
    ...pragma(pipelining && 'pipeline-experiment=1'),
    ...sessionFields(context),
    ...supported(context, true),
    ...connection(context, true),
  ]);
}

/** One of the two Pipeline requests (MS-WMSP 2.2.2.5). */
export function pipelineRequest(context: RequestContext): ClientRequest {
  return request({ ...context, http11: true }, 'Pipeline', 'GET', [
    ...pragma('no-cache'),
    ...pragma('pipeline-request=1'),
    ...sessionFields(context),
    ['Connection', 'keep-alive'],
  ]);
}

/**
 * Play (MS-WMSP 2.2.2.6, 3.1.4.3.1).
 *
 * @throws WmError WM_USAGE for a position, rate or speed that the tokens cannot hold
 */
export function playRequest(context: RequestContext, play: PlayParameters): ClientRequest {
  return request(context, 'Play', 'GET', [
    ...pragma(context.http11 && 'version11-enabled=1'),
    ...pragma('no-cache', ...position(play)),
    ...pragma('xPlayStrm=1'),
    ...sessionFields(context),
    ...entryFields(context, play),
    ...paceFields(context, play),
    ...supported(context, play.prediction),
    ...switchFields(play.streams),
    ...connection(context, false),
  ]);
}

/** PlayNextEntry (MS-WMSP 2.2.2.7), in pipelined mode only. */
export function playNextEntryRequest(context: RequestContext, play: PlayParameters): ClientRequest {
  return request({ ...context, http11: true }, 'PlayNextEntry', 'GET', [
    ...pragma('version11-enabled=1'),
    ...pragma('xPlayNextEntry=1'),
    ...pragma('no-cache', `rate=${play.rate.toFixed(3)}`),
    ...pragma('client-lag=0'),
    ...sessionFields(context),
    ...entryFields(context, play),
    ...paceFields(context, play),
    ...supported(context, play.prediction),
    ...switchFields(play.streams),
  ]);
}

/** SelectStream (MS-WMSP 2.2.2.8): a GET on the streaming connection in pipelined mode, otherwise a POST on its own. */
export function selectStreamRequest(
  context: RequestContext,
  streams: readonly StreamSwitch[],
  prediction: boolean,
): ClientRequest {
  return request(context, 'SelectStream', context.http11 ? 'GET' : 'POST', [
    ...pragma(context.http11 && 'version11-enabled=1'),
    ...pragma('no-cache'),
    ...sessionFields(context),
    ...supported(context, prediction),
    ...switchFields(streams),
    ...(context.http11 ? [] : emptyBody()),
  ]);
}

/** KeepAlive (MS-WMSP 2.2.2.3) on its own connection. */
export function keepAliveRequest(context: RequestContext): ClientRequest {
  return request({ ...context, http11: false }, 'KeepAlive', 'POST', [
    ...pragma('no-cache'),
    ...pragma('xKeepAliveInPause=1'),
    ...sessionFields(context),
    ...emptyBody(),
  ]);
}

/** KeepAlive on the streaming connection in pipelined mode (MS-WMSP 2.2.2.3.2). */
export function keepAliveOptions({ identity, authority, clientId }: RequestContext): ClientRequest {
  const fields: Field[] = [
    ['User-Agent', identity.text],
    ['Host', authority],
    ...pragma(clientId !== undefined && `client-id=${clientId}`),
  ];
  return { type: 'KeepAlive', method: 'OPTIONS', wholeServer: true, minorVersion: 1, fields, body: undefined };
}

/** Stop (MS-WMSP 2.2.2.10), in pipelined mode only. */
export function stopRequest(context: RequestContext): ClientRequest {
  return request({ ...context, http11: true }, 'Stop', 'POST', [
    ...pragma('no-cache'),
    ...pragma('xStopStrm=1'),
    ...sessionFields(context),
    ['Content-Length', '0'],
  ]);
}

/**
 * Log (MS-WMSP 2.2.2.4).
 *
 * @param form `xml` puts the text into the body, `line` into a Pragma header
 */
export function logRequest(context: RequestContext, form: 'xml' | 'line', text: string): ClientRequest {
  if (form === 'line') {
    // The only token of its header (2.2.1.4.10).
    const fields = [...pragma('no-cache'), ...sessionFields(context), ...pragma(`log-line=${text}`)];
    return request(context, 'Log', 'POST', [...fields, ...(context.http11 ? contentLength(0) : emptyBody())]);
  }
  const body = Buffer.from(text, 'utf8');
  const fields: Field[] = [
    ...pragma('no-cache'),
    ...sessionFields(context),
    ['Content-Type', 'application/x-wms-LogStats;charset=UTF-8'],
    ...contentLength(body.length),
    ...(context.http11 ? [] : [['Connection', 'close'] as const]),
  ];
  return { ...request(context, 'Log', 'POST', fields), body };
}

/**
 * SendEvent with a remote-log event (MS-WMSP 2.2.2.9, 2.2.5).
 *
 * @param url the URL of the content, `http://`
 * @param log a Rendering Log in XML format ([MS-WMLOG] 2.7.2)
 */
export function remoteLogRequest(context: RequestContext, url: string, log: string): ClientRequest {
  const { identity, guid } = context;
  return eventRequest(context, remoteLogEvent({ userAgent: identity.text, guid, url, log }));
}

/** SendEvent (MS-WMSP 2.2.2.9). @param body with one event */
export function eventRequest(context: RequestContext, body: Buffer): ClientRequest {
  const fields: Field[] = [
    ...pragma('no-cache'),
    ...sessionFields(context),
    ['Content-Type', 'application/x-wms-sendevent'],
    ...contentLength(body.length),
    ['Connection', 'close'],
  ];
  return { ...request({ ...context, http11: false }, 'SendEvent', 'POST', fields), body };
}

/**
 * GetContentInfo (MS-WMSP 2.2.2.2, 3.1.4.1), which only a proxy with a cache sends. Its body is one byte that means
 * nothing.
 */
export function contentInfoRequest(context: RequestContext): ClientRequest {
  const body = Buffer.from('0');
  const fields: Field[] = [
    // A server that knows it in this request keeps the connection for the next one; others ignore it.
    ...pragma(`xClientGUID=${context.guid}`, 'version11-enabled=1'),
    ['Content-Type', 'application/x-wms-getcontentinfo'],
    ...contentLength(body.length),
    ['Connection', 'Keep-Alive'],
  ];
  return { ...request({ ...context, http11: true }, 'GetContentInfo', 'POST', fields), body };
}

function request(
  context: RequestContext,
  type: WmspRequestType,
  method: ClientRequest['method'],
  own: readonly Field[],
): ClientRequest {
  const { identity, authority, cookie, authenticationSchemes: schemes, http11, pullChain = [], relayed } = context;
  const all = relayed ? [...pragma(proxyClientAgent(relayed)), ...own] : own;
  const accepted = schemes.join(', ');
  const fields: Field[] = [
    ['Accept', '*/*'],
    ['User-Agent', identity.text],
    ['Host', authority],
    ['Cache-Control', 'no-cache'],
    ...(schemes.length === 0
      ? []
      : ([
          ['X-Accept-Authentication', accepted],
          ['X-Accept-Proxy-Authentication', accepted],
        ] as const)),
    ...(cookie === undefined ? [] : [['Cookie', cookie] as const]),
    ...(pullChain.length === 0 ? [] : [[PULL_CHAIN_FIELD, formatPullChain(pullChain)] as const]),
    ...(relayed ? relayedFields(relayed) : []),
    ...(context.viaProxy ? joinPragma(all, context.proxyKeepsOne) : all),
  ];
  return { type, method, wholeServer: false, minorVersion: http11 ? 1 : 0, fields, body: undefined };
}

/**
 * Returns the same fields with fewer Pragma headers, which MS-WMSP 2.2.1.4 allows, because some proxies forward only
 * the first header of a given name.
 *
 * @param one true if the proxy is known for that; then even tokens that need their own header are appended to the
 * others
 */
function joinPragma(fields: readonly Field[], one: boolean): Field[] {
  const alone = one ? /^log-line=/ : /^(?:stream-switch-entry|log-line)=/;
  const joins = ([name, value]: Field) => name === 'Pragma' && !alone.test(value);
  const tokens = fields.filter(joins).map(([, value]) => value);
  return [...pragma(...tokens), ...fields.filter((field) => !joins(field))];
}

/** Returns one Pragma header of the tokens that are present; no header if there are none. */
function pragma(...tokens: ReadonlyArray<string | false>): Field[] {
  const present = tokens.filter((token) => token !== false);
  return present.length === 0 ? [] : [['Pragma', present.join(',')]];
}

/** Returns the fields that bind a request to its session (MS-WMSP 3.1.5.1). */
function sessionFields({ clientId, guid }: RequestContext): Field[] {
  return [...pragma(clientId !== undefined && `client-id=${clientId}`), ...pragma(`xClientGUID=${guid}`)];
}

function isAtLeast({ server, serverKnown }: RequestContext, major: number): boolean {
  return !serverKnown || (server !== undefined && server.major >= major);
}

/** Returns the tokens for servers from 5.0 that name the playlist entry. */
function entryFields(context: RequestContext, { entryId = 0, skip }: PlayParameters): Field[] {
  if (!isAtLeast(context, 5)) return [];
  const { playlistGenId } = context;
  // A position in an entry other than the server's current one names its entry (3.1.4.3.1).
  const seeks = (entryId !== 0 && entryId !== playlistGenId) || (skip !== undefined && playlistGenId !== 0);
  return [
    ...pragma(playlistGenId !== 0 && `playlist-gen-id=${playlistGenId}`),
    ...pragma(seeks && `playlist-seek-id=${entryId === 0 ? playlistGenId : entryId}`),
    ...pragma(skip !== undefined && `pl-offset=${skip}`),
  ];
}

/** True if a Play or PlayNextEntry has the Speed token (MS-WMSP 2.2.1.4.24). */
export function asksForSpeed(context: RequestContext, { speed }: PlayParameters): boolean {
  return speed !== 1 && isAtLeast(context, 5) && context.identity.major >= 8;
}

/**
 * Returns the tokens for servers from 5.0 about how fast to send; AccelBW needs a client from 8.0, BurstBW one from
 * 9.0.
 */
function paceFields(context: RequestContext, play: PlayParameters): Field[] {
  const { identity } = context;
  const { link, speed } = play;
  if (!isAtLeast(context, 5) || identity.major < 8) return [];
  const isRelay = identity.token !== 'NSPlayer' && identity.major >= 9;
  return pragma(
    `LinkBW=${link.linkBandwidth}`,
    `AccelBW=${link.accelBandwidth}`,
    `AccelDuration=${link.accelDuration}`,
    isRelay && `BurstBW=${link.burstBandwidth}`,
    isRelay && `BurstDuration=${link.burstDuration}`,
    asksForSpeed(context, play) && `Speed=${speed.toFixed(3)}`,
  );
}

/** Returns the features of this client; the header is for versions from 9.0 on both sides (MS-WMSP 2.2.1.7). */
function supported(context: RequestContext, prediction: boolean): Field[] {
  if (!isAtLeast(context, 9) || context.identity.major < 9) return [];
  const all: Feature[] = ['srvppair', 'sswitch', 'predstrm', 'startupprofile'];
  return [['Supported', formatSupported(all.filter((feature) => prediction || feature !== 'predstrm'))]];
}

/** Returns the streams with a level each, in their own Pragma header (MS-WMSP 2.2.1.4.27). */
function switchFields(streams: readonly StreamSwitch[]): Field[] {
  if (streams.length === 0) return [];
  const entries = streams.map(
    ({ source, destination, level }) => `${(source ?? 0xffff).toString(16)}:${destination.toString(16)}:${level}`,
  );
  return [...pragma(`stream-switch-count=${streams.length}`), ['Pragma', `stream-switch-entry=${entries.join(' ')}`]];
}

function connection({ http11, viaProxy }: RequestContext, keepAlive: boolean): Field[] {
  if (http11) return [];
  // An HTTP/1.0 proxy would forward Keep-Alive to a server that then waits for it (RFC 2068 19.7.1).
  return [['Connection', keepAlive && !viaProxy ? 'Keep-Alive' : 'close']];
}

function contentLength(length: number): Field[] {
  return [['Content-Length', String(length)]];
}

function emptyBody(): Field[] {
  return [...contentLength(0), ['Connection', 'close']];
}

function position({ startTime, startPacket, rate, maxDuration, speed }: PlayParameters): string[] {
  const size = Math.abs(rate);
  if (!(size >= 1 && size <= 5))
    throw new WmError('WM_USAGE', `A rate of ${rate} cannot be requested: it must be 1 to 5 or -5 to -1.`);
  if (!(speed >= 1 && speed <= LARGEST)) throw new WmError('WM_USAGE', `A speed of ${speed} cannot be requested.`);
  for (const [name, value] of Object.entries({ time: startTime, packet: startPacket ?? 0, duration: maxDuration })) {
    if (!Number.isInteger(value) || value < 0 || value >= IGNORED) {
      throw new WmError('WM_USAGE', `A start ${name} of ${value} cannot be requested.`);
    }
  }
  // A server looks at packet-num only if stream-time is 0 (MS-WMSP 3.2.5.6).
  return [
    `rate=${rate.toFixed(3)}`,
    `stream-time=${startPacket === undefined ? startTime : 0}`,
    `stream-offset=${IGNORED}:${IGNORED}`,
    `packet-num=${startPacket ?? IGNORED}`,
    `max-duration=${maxDuration}`,
  ];
}
