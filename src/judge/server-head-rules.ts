import type { ResponseMessage } from './exchanges.js';
import { each, type Finding } from './rule.js';
import {
  about,
  DESCRIBES,
  eachSuccess,
  NOT_ASKED,
  PLAYS,
  type ServerRule,
  stepsOf,
  successes,
  where,
} from './server-checks.js';
import type { StepName } from './wmsp-script.js';
import { ACCELERATION, describedStream, pragmaOf } from './wmsp-script.js';

/** Tokens of Pragma that only requests have (MS-WMSP 2.2.1.4). */
const REQUEST_TOKENS = [
  ...['log-line', 'max-duration', 'packet-num', 'pipeline-request', 'pl-offset', 'playlist-seek-id', 'rate'],
  ...['request-context', 'stream-offset', 'stream-switch-count', 'stream-switch-entry', 'stream-time'],
  ...['version11-enabled', 'xclientguid', 'xkeepaliveinpause', 'xplaynextentry', 'xplaystrm', 'xstopstrm'],
];
const FEATURES = ['broadcast', 'last', 'live', 'playlist', 'seekable', 'skipbackward', 'skipforward', 'stridable'];
const SERVER = /^(?:Cougar|Rex)\/\d{1,2}\.\d{1,2}(?:\.\d{1,5}\.\d{1,5})?(?: .*)?$/;
/** The requests that are right, on a path that exists. */
const RIGHT: readonly StepName[] = [
  ...(['Describe', 'second Describe', 'Describe of an old player', 'Describe with packet pair'] as const),
  ...(['Describe with an unknown client-id', 'Play', 'second Play', 'Play of one stream'] as const),
  ...(['Play from the middle', 'Play of the end', 'pipelined Describe'] as const),
];

/** Rules of the heads of responses. */
export const HEAD_RULES: readonly ServerRule[] = [
  {
    id: 'content-served',
    section: 'MS-WMSP 3.2.5.4',
    level: 'must',
    says: 'What exists is described and played, each time.',
    check: (observed) =>
      each(
        stepsOf(observed, RIGHT).filter(({ response }) => response !== undefined),
        NOT_ASKED,
        ({ name, response }) =>
          response!.status === 200 ? undefined : { seen: `status ${response!.status}`, expected: '200', where: name },
      ),
  },
  {
    id: 'server-product',
    section: 'MS-WMSP 2.2.1.5',
    level: 'must',
    says: 'Every response names the server: Cougar or Rex, a slash and a version.',
    check: ({ exchanges }) =>
      each(exchanges, NOT_ASKED, (exchange) => {
        const server = exchange.response?.headers.get('Server');
        if (!exchange.response || SERVER.test(server ?? '')) return undefined;
        return { seen: server ?? 'no Server header', expected: 'Cougar/9.6.7600.16385', where: where(exchange) };
      }),
  },
  {
    id: 'client-id',
    section: 'MS-WMSP 2.2.2.1',
    level: 'must',
    says: 'Responses to Describe and Play have a client-id, a 32-bit number.',
    check: eachSuccess([...DESCRIBES, ...PLAYS], ({ pragma }) =>
      pragma.number('client-id') === undefined
        ? { seen: pragma.text('client-id') ?? 'no client-id', expected: 'client-id=N' }
        : undefined,
    ),
  },
  {
    id: 'client-id-kept',
    section: 'MS-WMSP 3.2.5.2',
    level: 'must',
    says: 'The responses of a session have its client-id.',
    check: (observed) => {
      const id = observed.steps.get('Describe')?.pragma.number('client-id');
      if (id === undefined) return { untested: 'there was no client-id' };
      return each(successes(observed, ['Play', 'Play of one stream']), 'nothing was played', ({ name, pragma }) => {
        const seen = pragma.number('client-id');
        return seen === id ? undefined : { seen: String(seen), expected: String(id), where: name };
      });
    },
  },
  {
    id: 'client-ids-differ',
    section: 'MS-WMSP 3.2.3',
    level: 'must',
    says: 'No two sessions have the same client-id.',
    check: (observed) => {
      const ids = successes(observed, DESCRIBES).map(({ pragma }) => pragma.number('client-id'));
      const known = ids.filter((id) => id !== undefined);
      if (known.length < 2) return { untested: 'there were no two sessions' };
      return new Set(known).size === known.length ? [] : [{ seen: known.join(', '), expected: 'different numbers' }];
    },
  },
  {
    id: 'no-cache',
    section: 'MS-WMSP 2.2.2.1',
    level: 'must',
    says: 'Responses to Describe and Play have Pragma: no-cache.',
    check: eachSuccess([...DESCRIBES, ...PLAYS], ({ pragma }) =>
      pragma.has('no-cache') ? undefined : { seen: 'no such token', expected: 'Pragma: no-cache' },
    ),
  },
  {
    id: 'cache-control',
    section: 'MS-WMSP 2.2.1.1',
    level: 'should',
    says: 'Cache-Control is there, and begins with no-cache.',
    check: eachSuccess([...DESCRIBES, ...PLAYS], ({ response }) => {
      const value = response.headers.get('Cache-Control');
      return /^no-cache(?: *,|$)/i.test(value ?? '')
        ? undefined
        : { seen: value ?? 'no Cache-Control', expected: 'no-cache, …' };
    }),
  },
  {
    id: 'features',
    section: 'MS-WMSP 2.2.1.4.8',
    level: 'must',
    says: 'Responses to Describe and Play list the features, and none that does not exist.',
    check: eachSuccess([...DESCRIBES, ...PLAYS], ({ pragma }) => {
      const text = pragma.text('features');
      if (text === undefined) return { seen: 'no features', expected: 'features="…"' };
      const strange = text
        .split(',')
        .map((each_) => each_.trim())
        .find((each_) => each_ !== '' && !FEATURES.includes(each_));
      return strange === undefined ? undefined : { seen: strange, expected: FEATURES.join(', ') };
    }),
  },
  {
    id: 'timeout',
    section: 'MS-WMSP 2.2.1.4.29',
    level: 'should',
    says: 'A response with a client-id has a timeout, of 1000 ms or more.',
    check: eachSuccess([...DESCRIBES, ...PLAYS], ({ pragma }) => {
      const value = pragma.number('timeout');
      if (value !== undefined && value >= 1000) return undefined;
      return { seen: pragma.text('timeout') ?? 'no timeout', expected: 'timeout=60000' };
    }),
  },
  {
    id: 'describe-type',
    section: 'MS-WMSP 3.2.5.4',
    level: 'should',
    says: 'The type of a Describe response is application/vnd.ms.wms-hdr.asfv1.',
    check: eachSuccess(DESCRIBES, ({ response }) =>
      typeFinding(response, ['application/vnd.ms.wms-hdr.asfv1', 'application/octet-stream']),
    ),
  },
  {
    id: 'play-type',
    section: 'MS-WMSP 3.2.5.4',
    level: 'should',
    says: 'The type of a Play response is application/x-mms-framed.',
    check: eachSuccess(PLAYS, ({ response }) =>
      typeFinding(response, ['application/x-mms-framed', 'application/octet-stream']),
    ),
  },
  {
    id: 'response-tokens',
    section: 'MS-WMSP 2.2.1.4',
    level: 'must',
    says: 'Responses have no Pragma tokens that only requests have.',
    check: ({ exchanges }) =>
      each(exchanges, NOT_ASKED, (exchange) => {
        const pragma = pragmaOf(exchange.response);
        const token = REQUEST_TOKENS.find((each_) => pragma.has(each_));
        return token === undefined ? undefined : { seen: token, expected: 'none of them', where: where(exchange) };
      }),
  },
  {
    id: 'describe-not-chunked',
    section: 'MS-WMSP 2.2.2.1',
    level: 'must',
    says: 'A Describe response is not chunked.',
    check: eachSuccess(DESCRIBES, ({ response }) =>
      response.framing.kind === 'chunked'
        ? { seen: 'Transfer-Encoding: chunked', expected: 'Content-Length' }
        : undefined,
    ),
  },
  {
    id: 'describe-length',
    section: 'MS-WMSP 2.2.2.1',
    level: 'should',
    says: 'A Describe response has a Content-Length.',
    check: eachSuccess(DESCRIBES, ({ response }) =>
      response.framing.kind === 'length' ? undefined : { seen: 'none', expected: 'Content-Length' },
    ),
  },
  {
    id: 'old-players',
    section: 'MS-WMSP 3.2.5.2',
    level: 'must',
    says: 'A player below 9.0 gets nothing that came with 9.0: no playlist-gen-id, no Supported, no $M.',
    check: about('Describe of an old player', (response, { pragma }) => {
      if (response.status !== 200) return undefined;
      const seen = [
        ...(pragma.has('playlist-gen-id') ? ['playlist-gen-id'] : []),
        ...(response.headers.get('Supported') === undefined ? [] : ['Supported']),
        ...(describedStream(response)?.frames.some(({ name }) => name === '$M') ? ['$M'] : []),
      ];
      return seen.length === 0 ? undefined : { seen: seen.join(', '), expected: 'none of them' };
    }),
  },
  {
    id: 'startup-profile-asked',
    section: 'MS-WMSP 3.2.5.6',
    level: 'must',
    says: 'X-StartupProfile is for players that list com.microsoft.wm.startupprofile.',
    check: eachSuccess(PLAYS, ({ response }) => {
      const value = response.headers.get('X-StartupProfile');
      return value === undefined ? undefined : { seen: value, expected: 'no X-StartupProfile' };
    }),
  },
  {
    id: 'acceleration',
    section: 'MS-WMSP 3.2.5.6',
    level: 'must',
    says: 'AccelBW of a response is not more than was asked for.',
    check: eachSuccess(PLAYS, ({ pragma }) => {
      const value = pragma.number('AccelBW');
      if (value === undefined || value <= ACCELERATION) return undefined;
      return { seen: `AccelBW=${value}`, expected: `at most ${ACCELERATION}` };
    }),
  },
  {
    id: 'plain-play-not-chunked',
    section: 'MS-WMSP 3.2.5.6',
    level: 'must',
    says: 'A Play without version11-enabled is not answered in chunks.',
    check: eachSuccess(PLAYS, ({ response }) =>
      response.framing.kind === 'chunked' ? { seen: 'Transfer-Encoding: chunked', expected: 'no coding' } : undefined,
    ),
  },
];

function typeFinding(response: ResponseMessage, types: readonly string[]): Finding | undefined {
  const value = response.headers.get('Content-Type');
  const isOne = types.includes((value ?? '').split(';')[0]!.trim().toLowerCase());
  return isOne ? undefined : { seen: value ?? 'no Content-Type', expected: types.join(' or ') };
}
