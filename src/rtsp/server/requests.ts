import { randomBytes } from 'node:crypto';
import type { Field } from '../../framing/text-head.js';
import { type ContentRequest, isRedirect, type Redirect } from '../../playback/content.js';
import type { Pass } from '../../playback/entrance.js';
import { broadcastIdOf, genIdOf } from '../../playback/entry-ids.js';
import { parseSupported } from '../../wms/features.js';
import { MAX_PAIRED_HEAD, PACKET_PAIR_LENGTHS, packetPairPayloads } from '../../wms/packet-pair.js';
import { RtspError } from '../messages/error.js';
import { readNumber, readRtpInfo, readStreamSwitch, readTransports } from '../messages/headers.js';
import type { RtspRequest } from '../messages/message.js';
import { writeSdp } from '../messages/sdp.js';
import { isKnown } from './conditions.js';
import { describeEntry } from './description.js';
import { cacheFields, PUBLIC } from './fields.js';
import type { RtspHost } from './host.js';
import type { SessionLink } from './link.js';
import { readPlay } from './order.js';
import { playable } from './playable.js';
import type { Reply } from './reply.js';
import { RtspSession } from './session.js';

/** The connection that a request came over. */
export interface Answers extends SessionLink {
  readonly host: RtspHost<RtspSession>;
  /** Aborted once the connection is closed. */
  readonly signal: AbortSignal;
  readonly session: RtspSession | undefined;
  /** The content that was described last, and the permission for that. */
  described: { readonly path: string; readonly pass: Pass } | undefined;
  enter(request: RtspRequest, path: string, purpose: ContentRequest['purpose']): Promise<Pass | Redirect>;
  finish(pass: Pass, request: RtspRequest): Field[];
  sessionOf(request: RtspRequest): Promise<RtspSession | undefined>;
  hold(session: RtspSession): void;
}

type Respond = (reply: Reply) => void;

const OK: Reply = { status: 200 };
/** What a request may require (RFC 2326 12.32). */
const KNOWN_FEATURE = /^com\.microsoft\.wm\.[a-z]{1,32}$/i;

/**
 * Answers a request of a client (MS-RTSP 3.2.5).
 *
 * @param respond for a response that has to be written at a certain moment; another one after it is of no effect
 * @throws RtspError, Refusal
 */
export async function handle(to: Answers, request: RtspRequest, respond: Respond): Promise<Reply | undefined> {
  const unknown = request.headers.tokens('Require').filter((token) => !KNOWN_FEATURE.test(token));
  if (unknown.length > 0) return { status: 551, fields: [['Unsupported', unknown.join(', ').slice(0, 200)]] };
  if (request.url !== '*' && !/^[\x21-\x7e]{1,4096}$/.test(request.url))
    throw new RtspError(400, 'The URL is malformed.');
  // An event is taken without a session, and whatever session it names (MS-RTSP 3.2.5.1).
  if (request.method === 'SET_PARAMETER' && kindOf(request) === 'application/x-wms-sendevent')
    return event(to, request);
  const session = await to.sessionOf(request);
  if (session) listen(session, request);
  switch (request.method) {
    case 'OPTIONS':
      return { status: 200, supported: true, fields: [['Public', PUBLIC]] };
    case 'DESCRIBE':
      return describe(to, request);
    case 'SETUP':
      return session ? setUp(to, session, request) : begin(to, request);
    case 'PLAY':
      return play(to, needed(session), request, respond);
    case 'PAUSE':
      aggregate(to, needed(session), request);
      session!.pause();
      return { status: 200, supported: true };
    case 'TEARDOWN':
      return tearDown(to, needed(session), request);
    case 'GET_PARAMETER':
      return getParameter(to, request);
    case 'SET_PARAMETER':
      return setParameter(to, session, request);
    case 'ANNOUNCE':
    case 'RECORD':
    case 'REDIRECT':
      return { status: 405, fields: [['Allow', PUBLIC]] };
    default:
      throw new RtspError(501, 'There is no such method.');
  }
}

function needed(session: RtspSession | undefined): RtspSession {
  if (!session) throw new RtspError(454, 'The request names no session.');
  return session;
}

/** What every request of a session may say (MS-RTSP 3.2.5.1). @throws RtspError 412 */
function listen(session: RtspSession, request: RtspRequest): void {
  const { method, headers } = request;
  const features = parseSupported(headers.all('Supported'));
  if (features) session.features = features;
  const genId = readNumber(headers.get('X-Playlist-Gen-Id')) ?? 0;
  if (genId !== 0 && genId !== session.genId && method !== 'PLAY' && method !== 'TEARDOWN') {
    throw new RtspError(412, 'The request is for another playlist entry.');
  }
  // A description, and what is asked of content, may be of another one.
  if (method !== 'DESCRIBE' && method !== 'GET_PARAMETER') isKnown(request, session.tag);
}

/** A media type without its parameters. */
function kindOf({ headers }: RtspRequest): string {
  return (headers.get('Content-Type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

/** Returns the product of a client without its GUID. */
export function clientOf({ headers }: RtspRequest): string {
  const product = /^[^\s/]{1,40}(?:\/[^\s]{1,40})?/.exec(headers.get('User-Agent') ?? '')?.[0] ?? '';
  return product.replace(/[^\x20-\x7e]/g, '?');
}

function baseOf(url: string): string {
  return url.split(/[?#]/, 1)[0]!.replace(/\/?$/, '/');
}

function moved({ redirect, proxy }: Redirect): Reply {
  // What leads elsewhere by HTTP is most likely served by RTSP too, on its own port.
  const location = redirect.replace(/^(?:https?|mms[htu]?):\/\/([^/:]+|\[[^\]]+\])(?::\d+)?/i, 'rtsp://$1');
  return { status: proxy ? 305 : 302, fields: [['Location', location]], last: true };
}

/** DESCRIBE (MS-RTSP 3.2.5.4). Nobody takes a place among the players by it. */
async function describe(to: Answers, request: RtspRequest): Promise<Reply> {
  const path = to.host.pathOf(request.url);
  const pass = await to.enter(request, path, 'describe');
  if (isRedirect(pass)) return moved(pass);
  try {
    const [info, program] = [await pass.info(), await pass.open()];
    try {
      const header = playable(program, path);
      const entry = program.current;
      const location = { base: baseOf(request.url), path, address: to.localAddress, fecSpan: to.host.fecSpan };
      const sdp = describeEntry(header, entry, program, location);
      if (isKnown(request, sdp.etag)) return { status: 304, supported: true, fields: cacheFields(info, new Date()) };
      const body = Buffer.from(writeSdp(sdp), 'utf8');
      to.described = { path, pass };
      return {
        status: 200,
        supported: true,
        body,
        fields: [
          ['Content-Type', 'application/sdp'],
          ['Vary', 'Accept'],
          ['X-Playlist-Gen-Id', `${genIdOf(entry)}`],
          ...(entry.kind === 'live' ? [['X-Broadcast-Id', `${broadcastIdOf(entry.broadcast)}`] as const] : []),
          ...cacheFields(info, new Date()),
          ...to.finish(pass, request),
        ],
      };
    } finally {
      program.close();
    }
  } finally {
    pass.leave();
  }
}

/** SETUP of a first stream: a session begins (MS-RTSP 3.2.5.6.4). */
async function begin(to: Answers, request: RtspRequest): Promise<Reply> {
  const wishes = transportsOf(request);
  const whole = to.host.pathOf(request.url);
  if (to.described && isAggregate(whole, to.described.path)) throw aggregateOnly(459);
  // No control of an SDP of this server holds a slash.
  const plain = request.url.split(/[?#]/, 1)[0]!;
  const cut = plain.replace(/\/$/, '').lastIndexOf('/') + 1;
  const base = plain.slice(0, cut);
  if (!/:\/\/[^/]/.test(base)) throw aggregateOnly(459);
  const path = to.host.pathOf(base.slice(0, -1));
  const control = whole.slice(whole.replace(/\/$/, '').lastIndexOf('/') + 1).replace(/\/$/, '');
  const pass = await enterToPlay(to, request, path);
  if (isRedirect(pass)) return moved(pass);
  let session: RtspSession | undefined;
  try {
    const program = await pass.open();
    try {
      to.signal.throwIfAborted();
      const header = playable(program, path);
      session = new RtspSession({ path, base, pass, program, client: clientOf(request) }, header, to, to.host);
    } catch (error) {
      program.close();
      throw error;
    }
    listen(session, request);
    const fields = setUpStream(session, control, wishes, request);
    to.hold(session);
    to.host.add(session);
    return { status: 200, supported: true, fields: [...fields, ...session.cacheFields, ...to.finish(pass, request)] };
  } catch (error) {
    session?.close();
    pass.leave();
    throw error;
  }
}

/** Clients of Windows Media log in by DESCRIBE only (MS-RTSP 3.2.5.4): what follows on its connection is theirs. */
function enterToPlay(to: Answers, request: RtspRequest, path: string): Promise<Pass | Redirect> {
  const { described } = to;
  const knows = described?.path === path && described.pass.user !== undefined;
  if (!knows || request.headers.get('Authorization') !== undefined) return to.enter(request, path, 'play');
  return described.pass.play(to.signal);
}

function setUp(to: Answers, session: RtspSession, request: RtspRequest): Reply {
  const wishes = transportsOf(request);
  const control = controlIn(to, session, request);
  if (control === '') throw aggregateOnly(459);
  const fields = setUpStream(session, control, wishes, request);
  return { status: 200, supported: true, fields: [...fields, ...session.cacheFields] };
}

function transportsOf({ headers }: RtspRequest) {
  const wishes = readTransports(headers.all('Transport').join(','));
  if (wishes.length === 0) throw new RtspError(461, 'There is no transport that is spoken here.');
  return wishes;
}

function setUpStream(
  session: RtspSession,
  control: string,
  wishes: ReturnType<typeof readTransports>,
  request: RtspRequest,
): Field[] {
  const fec = session.fec(control);
  if (fec) return session.setUpFec(fec, wishes);
  const media = session.stream(control);
  if (!media) throw new RtspError(400, 'There is no such stream.');
  const isSwitch = request.body.length > 0 && kindOf(request) === 'application/x-wms-streamswitch';
  return session.setUp(media, wishes, isSwitch ? readStreamSwitch(request.body.toString('latin1')) : undefined);
}

function aggregateOnly(status: 459 | 460): RtspError {
  return new RtspError(status, status === 459 ? 'The URL names no stream.' : 'The URL names one stream.');
}

function isAggregate(whole: string, path: string): boolean {
  return whole.replace(/\/$/, '') === path.replace(/\/$/, '');
}

/** The control of the stream that a URL names, empty for the presentation. @throws RtspError 400 for other content */
function controlIn(to: Answers, { path }: RtspSession, { url }: RtspRequest): string {
  if (url === '*') return '';
  const whole = to.host.pathOf(url);
  if (isAggregate(whole, path)) return '';
  const start = path.replace(/\/?$/, '/');
  if (!whole.startsWith(start)) throw new RtspError(400, 'The session is of other content.');
  return whole.slice(start.length).replace(/\/$/, '');
}

/** @throws RtspError 460 for one stream, 400 for what is neither */
function aggregate(to: Answers, session: RtspSession, request: RtspRequest): void {
  const control = controlIn(to, session, request);
  if (control === '') return;
  throw session.stream(control) || session.fec(control)
    ? aggregateOnly(460)
    : new RtspError(400, 'There is no such stream.');
}

async function play(
  to: Answers,
  session: RtspSession,
  request: RtspRequest,
  respond: Respond,
): Promise<Reply | undefined> {
  aggregate(to, session, request);
  const { headers } = request;
  const asked = readPlay(headers, session.features.has('startupprofile'));
  const kept = headers.all('X-RTP-Info');
  if (kept.length > 0) readRtpInfo(kept.join(','));
  const skip = headers.get('X-Playlist');
  const offset = skip === undefined ? undefined : /^\s*pl-offset\s*=\s*(-?1)\s*$/i.exec(skip)?.[1];
  if (skip !== undefined && offset === undefined) throw new RtspError(400, 'X-Playlist is malformed.');
  session.lag = readNumber(headers.get('X-Player-Lag-Time')) ?? 0;
  const place = {
    offset: offset === undefined ? undefined : (Number(offset) as -1 | 1),
    seekId: readNumber(headers.get('X-Playlist-Seek-Id')),
  };
  await session.play(asked, place, respond);
  return undefined;
}

function tearDown(to: Answers, session: RtspSession, request: RtspRequest): Reply {
  const control = controlIn(to, session, request);
  if (control === '') {
    session.close();
    return { status: 200, last: true };
  }
  if (session.fec(control)) {
    session.delivery.closeFec();
    return { status: 200, supported: true };
  }
  const media = session.stream(control);
  if (!media) throw new RtspError(400, 'There is no such stream.');
  const isSwitch = request.body.length > 0 && kindOf(request) === 'application/x-wms-streamswitch';
  const change = isSwitch ? readStreamSwitch(request.body.toString('latin1')) : undefined;
  // Another stream may have taken the place of the one of this URL (MS-RTSP 2.2.7.10.2).
  if (change?.old === undefined) session.deselect(media);
  else session.switchStreams({ ...change, new: undefined });
  return { status: 200, supported: true };
}

async function getParameter(to: Answers, request: RtspRequest): Promise<Reply> {
  switch (kindOf(request)) {
    case '':
      return OK;
    case 'application/x-rtsp-packetpair':
      return { status: 200, fields: [['Content-Type', 'application/x-rtsp-packetpair']], apart: tcpPacketPair() };
    case 'application/x-wms-getcontentinfo': {
      const pass = await to.enter(request, to.host.pathOf(request.url), 'info');
      if (isRedirect(pass)) return moved(pass);
      const info = await pass.info();
      pass.leave();
      const status = isKnown(request, info.file && `"${info.file.version}"`) ? 304 : 200;
      return { status, fields: cacheFields(info, new Date()) };
    }
    default:
      return request.body.length === 0 ? OK : { status: 451 };
  }
}

const PAIR_HEAD = Buffer.from([0x24, 0x50]);

/** Returns three $P packets ([MS-WMSP] 2.2.3.7); Reason is the size of the response's head, at most {@link MAX_PAIRED_HEAD}. */
function tcpPacketPair(): Buffer[] {
  const payloads = packetPairPayloads(MAX_PAIRED_HEAD);
  return PACKET_PAIR_LENGTHS.map((length, index) => {
    const head = Buffer.alloc(8);
    PAIR_HEAD.copy(head);
    head.writeUInt16LE(length, 2);
    head.writeUInt32LE(MAX_PAIRED_HEAD, 4);
    return Buffer.concat([head, randomBytes(payloads[index]!)]);
  });
}

function setParameter(to: Answers, session: RtspSession | undefined, request: RtspRequest): Reply {
  const kind = kindOf(request);
  switch (kind) {
    case 'application/x-wms-logconnectstats':
    case 'application/x-wms-logplaystats':
      return log(to, needed(session), request);
    case 'application/x-rtsp-udp-packetpair': {
      const wish = /^\s*type:\s*high-entropy-packetpair(\s+variable-size)?\s*$/i.exec(request.body.toString('latin1'));
      if (!wish) throw new RtspError(451, 'There is no such packet pair.');
      needed(session).delivery.sendPacketPair(wish[1] !== undefined);
      return { status: 200, fields: [['Content-Type', request.headers.get('Content-Type')!]], body: request.body };
    }
    case 'application/x-wms-streamswitch':
      needed(session).switchStreams(readStreamSwitch(request.body.toString('latin1')));
      return { status: 200, supported: true };
    case 'application/x-wms-extension-cmd':
      // Some clients send EndOfStream back.
      return OK;
    case '':
      return request.body.length === 0 ? OK : { status: 451 };
    default:
      return { status: 451 };
  }
}

/** Logs are never refused for their syntax (MS-RTSP 3.2.5.9). */
function log(to: Answers, session: RtspSession, request: RtspRequest): Reply {
  to.host.log(session.path, to.remoteAddress, clientOf(request), kindOf(request), request.body, session);
  return OK;
}

/** An event is about content, whatever session it names; a stranger may report on nothing that he may not play. */
async function event(to: Answers, request: RtspRequest): Promise<Reply> {
  const path = to.session?.path ?? to.host.pathOf(request.url);
  let fields: Field[] = [];
  if (!to.session) {
    const pass = await to.enter(request, path, 'event');
    if (isRedirect(pass)) return moved(pass);
    pass.leave();
    fields = to.finish(pass, request);
  }
  to.host.log(path, to.remoteAddress, clientOf(request), kindOf(request), request.body, undefined);
  return { status: 200, fields };
}
