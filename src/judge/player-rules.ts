import { PragmaTokens } from '../wmsp/messages/pragma.js';
import { classifyRequest, type WmspRequestType } from '../wmsp/messages/requests.js';
import { bodyOf, type Dialog, type Exchange } from './exchanges.js';
import { each, type Finding, type Rule } from './rule.js';
import { readStream, type StreamRecord } from './stream.js';
import { describedStream } from './wmsp-script.js';

/** A request of a player. */
export interface PlayerRequest {
  readonly exchange: Exchange;
  /** Counted from 1, by the time of the request. */
  readonly number: number;
  readonly type: WmspRequestType | 'foreign' | 'invalid';
  readonly pragma: PragmaTokens;
  /** Values of the Pragma headers, one for each header. */
  readonly lines: readonly string[];
}

/** What a player did. */
export interface PlayerObservation {
  readonly dialogs: readonly Dialog[];
  readonly requests: readonly PlayerRequest[];
  /** What each Play got. */
  readonly plays: ReadonlyArray<{ readonly request: PlayerRequest; readonly stream: StreamRecord }>;
  /** Streams that the header declares. */
  readonly streams: readonly number[];
}

type PlayerRule = Rule<PlayerObservation>;

/** Tokens that only responses have (MS-WMSP 2.2.1.4). */
const RESPONSE_TOKENS = [
  ...['expect-new-header', 'features', 'pipeline-result', 'timeout', 'version-info', 'version-url', 'xresetstrm'],
];
/** Tokens whose value is an unsigned 32-bit number. */
const NUMBERS = [
  ...['accelbw', 'accelduration', 'burstbw', 'burstduration', 'client-id', 'client-lag', 'linkbw', 'max-duration'],
  ...['packet-num', 'playlist-gen-id', 'playlist-seek-id', 'request-context', 'stream-switch-count', 'stream-time'],
];
/** Tokens that are 0 or 1. */
const FLAGS = [
  ...['packet-pair-experiment', 'pipeline-experiment', 'pipeline-request', 'version11-enabled', 'xkeepaliveinpause'],
  ...['xplaynextentry', 'xplaystrm', 'xstopstrm'],
];
const PLAY_TOKENS = ['packet-num', 'rate', 'stream-offset', 'stream-time', 'xplaystrm'];
const FEATURES = ['fastcache', 'predstrm', 'srvppair', 'sswitch', 'startupprofile'].map(
  (name) => `com.microsoft.wm.${name}`,
);
const AGENT =
  /^(?:NSPlayer|NSServer|WMCacheProxy)\/\d{1,2}\.\d{1,2}(?:\.\d{1,5}\.\d{1,5})?(?:; via WMCacheProxy)?(?:[ ;].*)?$/;
const NO_REQUEST = 'there was no request';
/** A player answers to another entry within this time, in ms. */
const ANSWER_TIME = 5_000;

/** @param until when the observation ended, in ms */
export function observePlayer(dialogs: readonly Dialog[], until: number): PlayerObservation {
  const exchanges = dialogs.flatMap((dialog) => dialog.exchanges).sort((a, b) => a.request.at - b.request.at);
  const requests = exchanges.map((exchange, index) => {
    const classified = classifyRequest(exchange.request);
    const lines = exchange.request.headers.all('Pragma');
    const type = typeof classified === 'string' ? classified : classified.type;
    return { exchange, number: index + 1, type, pragma: new PragmaTokens(lines), lines };
  });
  const plays = requests.flatMap((request) => {
    const { response, connection } = request.exchange;
    if (request.type !== 'Play' || response?.status !== 200) return [];
    const stopped = connection.end?.at ?? until;
    const end = { until: response.endedAt ?? stopped, closed: connection.end?.by === 'server' };
    return [{ request, stream: readStream('wmsp', [response.body], end) }];
  });
  const described = requests.find(({ type }) => type === 'Describe')?.exchange.response;
  const header = (plays[0]?.stream ?? describedStream(described))?.entries[0]?.header;
  return { dialogs, requests, plays, streams: header?.streams.map(({ number }) => number) ?? [] };
}

/** A rule about the requests of these types, or about all. */
function eachRequest(
  types: ReadonlyArray<PlayerRequest['type']> | undefined,
  find: (request: PlayerRequest, observed: PlayerObservation) => Finding | undefined,
): PlayerRule['check'] {
  return (observed) => {
    const requests = types ? observed.requests.filter(({ type }) => types.includes(type)) : observed.requests;
    return each(requests, types ? `there was no ${types.join(' or ')}` : NO_REQUEST, (request) => {
      const finding = find(request, observed);
      return finding && { where: `request ${request.number} (${request.type})`, ...finding };
    });
  };
}

const entriesOf = ({ pragma }: PlayerRequest) => pragma.text('stream-switch-entry');

/** Rules of players. */
export const PLAYER_RULES: readonly PlayerRule[] = [
  {
    id: 'http-syntax',
    section: 'RFC 9112 3',
    level: 'must',
    says: 'Requests are HTTP/1.',
    check: ({ dialogs }) =>
      each(dialogs, NO_REQUEST, ({ faults }) =>
        faults.filter(({ from }) => from === 'client').map(({ message }) => ({ seen: message, expected: 'a request' })),
      ),
  },
  {
    id: 'host',
    section: 'RFC 9112 3.2',
    level: 'must',
    says: 'A request of HTTP/1.1 has a Host.',
    check: eachRequest(undefined, ({ exchange: { request } }) =>
      request.minorVersion === 0 || request.headers.get('Host') !== undefined
        ? undefined
        : { seen: 'no Host', expected: 'Host' },
    ),
  },
  {
    id: 'user-agent',
    section: 'MS-WMSP 2.2.1.8',
    level: 'must',
    says: 'User-Agent is NSPlayer, NSServer or WMCacheProxy, a slash and a version.',
    check: eachRequest(undefined, ({ exchange: { request } }) => {
      const value = request.headers.get('User-Agent');
      return AGENT.test(value ?? '') ? undefined : { seen: value ?? 'no User-Agent', expected: 'NSPlayer/12.0.7680.0' };
    }),
  },
  {
    id: 'request-types',
    section: 'MS-WMSP 2.2.2',
    level: 'must',
    says: 'Each request is of one of the types of the protocol.',
    check: eachRequest(undefined, ({ type, exchange: { request } }) =>
      type === 'invalid' || type === 'foreign'
        ? { seen: `${request.method} ${request.target}`, expected: 'Describe, Play, Log …' }
        : undefined,
    ),
  },
  {
    id: 'describe-first',
    section: 'MS-WMSP 3.1.4.2',
    level: 'should',
    says: 'A session begins with Describe.',
    check: ({ requests }) => {
      const [first] = requests;
      if (!first) return { untested: NO_REQUEST };
      return first.type === 'Describe' ? [] : [{ seen: first.type, expected: 'Describe', where: 'request 1' }];
    },
  },
  {
    id: 'no-cache',
    section: 'MS-WMSP 2.2.2.1',
    level: 'must',
    says: 'Describe and Play have Pragma: no-cache.',
    check: eachRequest(['Describe', 'Play'], ({ pragma }) =>
      pragma.has('no-cache') ? undefined : { seen: 'no such token', expected: 'Pragma: no-cache' },
    ),
  },
  {
    id: 'play-tokens',
    section: 'MS-WMSP 2.2.2.6',
    level: 'must',
    says: 'A Play has packet-num, rate, stream-offset, stream-time and xPlayStrm=1.',
    check: eachRequest(['Play'], ({ pragma }) => {
      const missing = PLAY_TOKENS.filter((name) => !pragma.has(name));
      return missing.length === 0
        ? undefined
        : { seen: `no ${missing.join(', no ')}`, expected: PLAY_TOKENS.join(', ') };
    }),
  },
  {
    id: 'token-values',
    section: 'MS-WMSP 2.2.1.4',
    level: 'must',
    says: 'The values of Pragma tokens have their form: numbers are decimal, stream-offset is two of them.',
    check: eachRequest(undefined, ({ pragma }) => {
      const wrong = [...NUMBERS, ...FLAGS, 'stream-offset', 'rate'].find(
        (name) => pragma.has(name) && !hasForm(name, pragma.text(name)!),
      );
      return wrong === undefined ? undefined : { seen: `${wrong}=${pragma.text(wrong)}`, expected: formOf(wrong) };
    }),
  },
  {
    id: 'streams-listed',
    section: 'MS-WMSP 3.1.4.3.1',
    level: 'must',
    says: 'A Play lists every stream of the header in stream-switch-entry.',
    check: eachRequest(['Play'], (request, { streams }) => {
      const text = entriesOf(request);
      if (text === undefined) return { seen: 'no stream-switch-entry', expected: `streams ${streams.join(', ')}` };
      const listed = [...text.matchAll(/:([0-9a-f]{1,4}):/gi)].map(([, number]) => Number.parseInt(number!, 16));
      const missing = streams.filter((number) => !listed.includes(number));
      return missing.length === 0 ? undefined : { seen: text, expected: `streams ${missing.join(', ')} as well` };
    }),
  },
  {
    id: 'stream-switch-form',
    section: 'MS-WMSP 2.2.1.4.27',
    level: 'must',
    says: 'stream-switch-entry is triples such as ffff:1:0 with blanks between them.',
    check: eachRequest(['Play', 'SelectStream', 'PlayNextEntry'], (request) => {
      const text = entriesOf(request);
      const form = /^[0-9a-f]{1,4}:[0-9a-f]{1,4}:[012](?: [0-9a-f]{1,4}:[0-9a-f]{1,4}:[012])*$/i;
      return text === undefined || form.test(text.trim()) ? undefined : { seen: text, expected: 'ffff:1:0 ffff:2:0' };
    }),
  },
  {
    id: 'stream-switch-count',
    section: 'MS-WMSP 2.2.1.4.26',
    level: 'must',
    says: 'stream-switch-count is the number of triples.',
    check: eachRequest(['Play', 'SelectStream', 'PlayNextEntry'], (request) => {
      const triples = entriesOf(request)
        ?.split(' ')
        .filter((entry) => entry.split(':').length === 3).length;
      const count = request.pragma.number('stream-switch-count');
      if (triples === undefined || triples === count) return undefined;
      return { seen: `${count ?? 'no count'} for ${triples}`, expected: `stream-switch-count=${triples}` };
    }),
  },
  {
    id: 'tokens-alone',
    section: 'MS-WMSP 2.2.1.4.27',
    level: 'must',
    says: 'stream-switch-entry and log-line have a Pragma header of their own.',
    check: eachRequest(undefined, ({ lines }) => {
      const shared = lines.find((line) => /stream-switch-entry *=/i.test(line) && line.includes(','));
      const late = lines.find((line) => /, *log-line *=/i.test(line));
      const seen = shared ?? late;
      return seen === undefined ? undefined : { seen, expected: 'a header of its own' };
    }),
  },
  {
    id: 'client-id',
    section: 'MS-WMSP 3.1.5.1',
    level: 'must',
    says: 'Once a client-id was received, every request has it.',
    check: eachRequest(undefined, (request, { requests }) => {
      const { exchange, pragma, type } = request;
      const given = requests.flatMap(({ exchange: { response } }) =>
        response !== undefined && response.at < exchange.request.at ? (idIn(response.headers.all('Pragma')) ?? []) : [],
      );
      // A Describe may begin a session of its own, and these need none (MS-WMSP 3.2.5.1).
      const isFree = type === 'Describe' || type === 'GetContentInfo' || type === 'SendEvent';
      const sent = pragma.number('client-id');
      if (given.length === 0 || (isFree && sent === undefined) || given.includes(sent ?? -1)) return undefined;
      return { seen: sent === undefined ? 'no client-id' : `client-id=${sent}`, expected: `client-id=${given.at(-1)}` };
    }),
  },
  {
    id: 'client-guid',
    section: 'MS-WMSP 2.2.1.4.33',
    level: 'must',
    says: 'xClientGUID is in braces, and the same in all requests of a session.',
    check: (observed) => {
      const values = new Set<string>();
      return eachRequest(undefined, ({ pragma }) => {
        const value = pragma.text('xClientGUID');
        if (value === undefined) return undefined;
        if (!/^\{[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}$/i.test(value)) {
          return { seen: value, expected: '{3300AD50-2C39-46c0-AE0A-…}' };
        }
        values.add(value);
        return values.size === 1 ? undefined : { seen: value, expected: [...values][0]! };
      })(observed);
    },
  },
  {
    id: 'response-tokens',
    section: 'MS-WMSP 2.2.1.4',
    level: 'must',
    says: 'Requests have no Pragma tokens that only responses have.',
    check: eachRequest(undefined, ({ pragma }) => {
      const token = RESPONSE_TOKENS.find((name) => pragma.has(name));
      return token === undefined ? undefined : { seen: token, expected: 'none of them' };
    }),
  },
  {
    id: 'supported',
    section: 'MS-WMSP 2.2.1.7',
    level: 'must',
    says: 'Supported lists features of the protocol.',
    check: eachRequest(undefined, ({ exchange: { request } }) => {
      const strange = request.headers.tokens('Supported').find((name) => !FEATURES.includes(name));
      return strange === undefined ? undefined : { seen: strange, expected: FEATURES.join(', ') };
    }),
  },
  {
    id: 'pipeline-version',
    section: 'MS-WMSP 2.2.1.4.15',
    level: 'must',
    says: 'pipeline-experiment is for requests of HTTP/1.1.',
    check: eachRequest(undefined, ({ pragma, exchange: { request } }) =>
      pragma.has('pipeline-experiment') && request.minorVersion === 0
        ? { seen: 'HTTP/1.0', expected: 'HTTP/1.1' }
        : undefined,
    ),
  },
  {
    id: 'keep-alive-form',
    section: 'MS-WMSP 2.2.2.3',
    level: 'must',
    says: 'A KeepAlive is OPTIONS *, or POST with Content-Length: 0 and without Content-Type.',
    check: eachRequest(['KeepAlive'], ({ exchange: { request } }) => {
      if (request.method === 'OPTIONS') return undefined;
      const type = request.headers.get('Content-Type');
      const isRight = type === undefined && request.headers.get('Content-Length') === '0';
      return isRight ? undefined : { seen: type ?? 'no Content-Length: 0', expected: 'Content-Length: 0' };
    }),
  },
  {
    id: 'log-form',
    section: 'MS-WMSP 2.2.2.4',
    level: 'must',
    says: 'A Log has a log-line and an empty body, or an XML log as its body.',
    check: eachRequest(['Log'], ({ exchange: { request }, pragma }) => {
      const body = bodyOf(request).toString('utf8');
      if (pragma.has('log-line'))
        return body === '' ? undefined : { seen: `a body of ${body.length} bytes`, expected: 'none' };
      return /^\s*<XML>[\s\S]*<\/XML>/i.test(body) ? undefined : { seen: body.slice(0, 60), expected: '<XML>…</XML>' };
    }),
  },
  {
    id: 'log-sent',
    section: 'MS-WMSP 3.1.4.6',
    level: 'must',
    says: 'After a stream has ended or was stopped, the player sends a Log.',
    check: ({ requests, plays }) => {
      const over = plays.filter(
        ({ stream, request }) => stream.ends.length > 0 || request.exchange.connection.end !== undefined,
      );
      if (over.length === 0) return { untested: 'no stream ended' };
      const from = over[0]!.request.exchange.request.at;
      const isSent = requests.some(({ type, exchange }) => type === 'Log' && exchange.request.at > from);
      return isSent ? [] : [{ seen: 'no Log', expected: 'a Log' }];
    },
  },
  {
    id: 'entry-followed',
    section: 'MS-WMSP 3.1.4.5',
    level: 'must',
    says: 'After the header of a new entry, the player sends PlayNextEntry or SelectStream.',
    check: ({ requests, plays }) => {
      const changes = plays.flatMap(({ stream }) => stream.entries.slice(1).map(({ at }) => ({ at, stream })));
      return each(changes, 'there was no new entry', ({ at, stream }) => {
        const isFollowed = requests.some(
          ({ type, exchange: { request } }) =>
            (type === 'PlayNextEntry' || type === 'SelectStream') &&
            request.at >= at - 100 &&
            request.at < at + ANSWER_TIME,
        );
        if (isFollowed || stream.until < at + 1_000) return undefined;
        return { seen: 'neither', expected: 'PlayNextEntry or SelectStream' };
      });
    },
  },
];

function hasForm(name: string, text: string): boolean {
  if (name === 'stream-offset') return /^\d{1,10}:\d{1,10}$/.test(text);
  if (name === 'rate') return /^-?[0-5]\.\d{1,3}$|^-?[1-5]$/.test(text) && Number(text) !== 0;
  if (FLAGS.includes(name)) return text === '0' || text === '1';
  return /^\d{1,10}$/.test(text) && Number(text) <= 0xffff_ffff;
}

function formOf(name: string): string {
  if (name === 'stream-offset') return 'two numbers, such as 4294967295:4294967295';
  if (name === 'rate') return 'a number with at most three decimals, such as 1.000';
  return FLAGS.includes(name) ? '0 or 1' : 'a number of 32 bits';
}

const idIn = (lines: readonly string[]) => new PragmaTokens(lines).number('client-id');
