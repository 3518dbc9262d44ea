import type { Exchange, ResponseMessage } from './exchanges.js';
import { bodyOf, readDialog } from './exchanges.js';
import type { ConnectionRecord } from './recording.js';
import { each, type Finding, type Rule, type Verdict } from './rule.js';
import type { ServerObservation, Step, StepName } from './wmsp-script.js';
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
const PLAYS: readonly StepName[] = [
  ...(['Play', 'second Play', 'Play of one stream', 'Play from the middle', 'Play of the end'] as const),
];
const DESCRIBES: readonly StepName[] = ['Describe', 'second Describe', 'pipelined Describe'];

type ServerRule = Rule<ServerObservation>;
type Answered = Step & { readonly response: ResponseMessage };

const NOT_ASKED = 'it was not asked';
const isSuccess = ({ status }: ResponseMessage) => status >= 200 && status < 300;

function stepsOf({ steps }: ServerObservation, names: readonly StepName[]): Step[] {
  return names.flatMap((name) => steps.get(name) ?? []);
}

/** Returns the steps whose response is a success. */
function successes(observed: ServerObservation, names: readonly StepName[]): Answered[] {
  return stepsOf(observed, names).filter((step): step is Answered => step.response?.status === 200);
}

/** A rule about the steps of these names that were answered with success. */
function eachSuccess(names: readonly StepName[], find: (step: Answered) => Finding | undefined): ServerRule['check'] {
  return (observed) =>
    each(successes(observed, names), 'no such request succeeded', (step) => {
      const finding = find(step);
      return finding && { where: step.name, ...finding };
    });
}

/** A rule about one step that was answered. */
function about(
  name: StepName,
  find: (response: ResponseMessage, step: Step) => Finding | undefined,
): ServerRule['check'] {
  return ({ steps }) => {
    const step = steps.get(name);
    if (!step) return { untested: NOT_ASKED };
    if (step.failed !== undefined || !step.response) return { untested: step.failed ?? 'there was no answer' };
    const finding = find(step.response, step);
    return finding ? [{ where: name, ...finding }] : [];
  };
}

/** A rule that a step is answered with an error. */
const isRefused = (name: StepName): ServerRule['check'] =>
  about(name, ({ status }) => (status >= 400 ? undefined : { seen: `status ${status}`, expected: '400 or more' }));

/** A rule that a step is answered with success and nothing in the body. */
const isConfirmed = (name: StepName): ServerRule['check'] =>
  about(name, (response) => {
    const length = bodyOf(response).length;
    if (!isSuccess(response)) return { seen: `status ${response.status}`, expected: '200 or 204' };
    return length > 0 ? { seen: `a body of ${length} bytes`, expected: 'an empty one' } : undefined;
  });

function where({ request }: Exchange): string {
  return `${request.method} ${request.target}`;
}

const connectionsOf = ({ exchanges }: ServerObservation): ConnectionRecord[] => [
  ...new Set(exchanges.map(({ connection }) => connection)),
];

/** Rules of HTTP. */
const HTTP_RULES: readonly ServerRule[] = [
  {
    id: 'answers',
    section: 'RFC 9110 3.4',
    level: 'must',
    says: 'Every request gets a response.',
    check: ({ steps }) =>
      each([...steps.values()], NOT_ASKED, ({ name, response, failed, exchanges }) => {
        // Nothing is expected for what is no request, and the connection may be closed instead.
        if (response || name === 'malformed request') return undefined;
        const closed = exchanges[0]?.connection.end?.by === 'server';
        return {
          seen: failed ?? (closed ? 'the connection was closed' : 'nothing'),
          expected: 'a response',
          where: name,
        };
      }),
  },
  {
    id: 'http-syntax',
    section: 'RFC 9112 4',
    level: 'must',
    says: 'Responses are HTTP/1.',
    check: (observed) =>
      each(connectionsOf(observed), NOT_ASKED, (connection) =>
        readDialog(connection)
          .faults.filter(({ from }) => from === 'server')
          .map(({ message }) => ({ seen: message, expected: 'a response', where: connection.label })),
      ),
  },
  {
    id: 'body-length',
    section: 'RFC 9112 6.3',
    level: 'must',
    says: 'A body is as long as its head says.',
    check: ({ exchanges }) =>
      each(exchanges, NOT_ASKED, (exchange) => {
        const { response, connection } = exchange;
        if (!response || response.complete || connection.end?.by !== 'server') return undefined;
        const got = bodyOf(response).length;
        const expected = response.framing.kind === 'length' ? `${response.framing.length} bytes` : 'a last chunk';
        return { seen: `${got} bytes, then the end of the connection`, expected, where: where(exchange) };
      }),
  },
  {
    id: 'head-without-body',
    section: 'RFC 9110 9.3.2',
    level: 'must',
    says: 'A response to HEAD has no body.',
    check: about('HEAD', (_, { exchanges }) => {
      const surplus = exchanges[0] ? readDialog(exchanges[0].connection).surplus : 0;
      return surplus === 0 ? undefined : { seen: `${surplus} bytes after the head`, expected: 'none' };
    }),
  },
  {
    id: 'host-required',
    section: 'RFC 9112 3.2',
    // The RFC says must; but servers of players that know no better have reasons to be tolerant.
    level: 'should',
    says: 'An HTTP/1.1 request without Host is answered with 400.',
    check: about('no Host', ({ status }) =>
      status === 400 ? undefined : { seen: `status ${status}`, expected: '400' },
    ),
  },
  {
    id: 'malformed-refused',
    section: 'RFC 9112 3',
    level: 'should',
    says: 'A request line that is malformed is answered with 400, or the connection is closed.',
    check: ({ steps }) => {
      const step = steps.get('malformed request');
      if (!step?.connection) return { untested: step?.failed ?? NOT_ASKED };
      // It cannot be read as an exchange.
      const answer = step.connection.chunks.find(({ from }) => from === 'server')?.bytes.toString('latin1') ?? '';
      const status = /^HTTP\/1\.\d (\d{3})/.exec(answer)?.[1];
      return status === undefined || status >= '400' ? [] : [{ seen: `status ${status}`, expected: '400' }];
    },
  },
  {
    id: 'method-known',
    section: 'MS-WMSP 3.2.5.1',
    level: 'must',
    says: 'A method that no request type has is refused.',
    check: isRefused('unknown method'),
  },
];

/** Rules of the heads of responses. */
const HEAD_RULES: readonly ServerRule[] = [
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

/** Rules of the other requests. */
const REQUEST_RULES: readonly ServerRule[] = [
  {
    id: 'unknown-path',
    section: 'MS-WMSP 3.2.5.3',
    level: 'must',
    says: 'A path that does not exist is answered with an error.',
    check: isRefused('Describe of an unknown path'),
  },
  {
    id: 'agent-required',
    section: 'MS-WMSP 3.2.5.1',
    level: 'must',
    says: 'Who is neither NSPlayer, NSServer nor WMCacheProxy gets no stream.',
    check: ({ steps }) => {
      const answered = (['no User-Agent', 'a browser'] as const).flatMap((name) => steps.get(name) ?? []);
      return each(answered, NOT_ASKED, ({ name, response }) => {
        const isStream = response?.status === 200 && (bodyOf(response)[0] ?? 0) % 0x80 === 0x24;
        return isStream
          ? { seen: 'a stream of $ packets', expected: 'an error, or something else', where: name }
          : undefined;
      });
    },
  },
  {
    id: 'one-request-type',
    section: 'MS-WMSP 3.2.5.1',
    level: 'must',
    says: 'A request that is of two types is refused.',
    check: isRefused('request of two types'),
  },
  {
    id: 'session-known',
    section: 'MS-WMSP 3.2.5.1',
    level: 'must',
    says: 'A Log with an unknown client-id is refused.',
    check: isRefused('Log with an unknown client-id'),
  },
  {
    id: 'session-reset',
    section: 'MS-WMSP 3.2.5.4',
    level: 'must',
    says: 'A Describe with an unknown client-id begins a session, and says so by xResetStrm=1.',
    check: about('Describe with an unknown client-id', ({ status }, { pragma }) => {
      if (status !== 200 || pragma.flag('xResetStrm')) return undefined;
      return { seen: 'no xResetStrm', expected: 'xResetStrm=1' };
    }),
  },
  {
    id: 'streaming-once',
    section: 'MS-WMSP 3.2.5.6',
    level: 'should',
    says: 'A Play is refused while its session is streaming.',
    check: (observed) => {
      const ended = observed.steps.get('second Play')?.stream?.ends.length !== 0;
      return ended ? { untested: 'the stream had ended' } : isRefused('Play of a session that is streaming')(observed);
    },
  },
  { ...confirmed('log-confirmed', 'Log', '3.2.5.11'), check: isConfirmed('Log') },
  { ...confirmed('keep-alive-confirmed', 'KeepAlive', '2.2.2.3'), check: isConfirmed('KeepAlive') },
  { ...confirmed('content-info-confirmed', 'GetContentInfo', '3.2.5.3'), check: isConfirmed('GetContentInfo') },
];

function confirmed(id: string, name: string, section: string) {
  const says = `A ${name} is confirmed by a response without a body.`;
  return { id, section: `MS-WMSP ${section}`, level: 'must', says } as const;
}

/** Rules of the session on one connection. */
const PIPELINE_RULES: readonly ServerRule[] = [
  {
    id: 'pipeline-test',
    section: 'MS-WMSP 3.2.5.5',
    level: 'must',
    says: 'Two Pipeline requests are answered with $T in chunks, and with 204 and pipeline-result.',
    check: ({ steps }) => pipelineTest(steps.get('Pipeline')),
  },
  {
    id: 'pipelined-play',
    section: 'MS-WMSP 3.2.5.6',
    level: 'should',
    says: 'A Play with version11-enabled=1 is answered in chunks.',
    check: about('pipelined Play', (response) =>
      response.framing.kind === 'chunked' ? undefined : { seen: 'no chunks', expected: 'Transfer-Encoding: chunked' },
    ),
  },
  {
    id: 'answers-in-order',
    section: 'MS-WMSP 3.2.5.3',
    level: 'must',
    says: 'What is asked while a response streams is answered after it.',
    check: ({ steps }) => {
      const step = steps.get('pipelined Play');
      const [play, options] = step?.exchanges ?? [];
      if (play?.response?.framing.kind !== 'chunked') return { untested: NOT_ASKED };
      if (!play.response.complete || options?.response?.status !== 200) {
        const status = options?.response?.status ?? 'no response';
        return [{ seen: `${status} to OPTIONS`, expected: '200 after the last chunk', where: 'pipelined Play' }];
      }
      return [];
    },
  },
  {
    id: 'stop',
    section: 'MS-WMSP 3.2.5.10',
    level: 'must',
    says: 'Stop ends the stream with the last chunk, and is confirmed.',
    check: ({ steps }) => {
      const step = steps.get('pipelined Play');
      const [play, , stop] = step?.exchanges ?? [];
      if (play?.response?.framing.kind !== 'chunked') return { untested: NOT_ASKED };
      if (play.response.complete && stop?.response && isSuccess(stop.response)) return [];
      const seen = play.response.complete ? `status ${stop?.response?.status ?? 'none'}` : 'the stream goes on';
      return [{ seen, expected: 'a last chunk and 200', where: 'pipelined Play' }];
    },
  },
];

function pipelineTest(step: Step | undefined): Verdict {
  if (!step) return { untested: 'the server does not offer it' };
  const [first, second] = step.exchanges;
  const findings: Finding[] = [];
  const test = first?.response;
  if (test?.framing.kind !== 'chunked' || bodyOf(test).toString('hex') !== '24540000') {
    findings.push({
      seen: test ? `status ${test.status}` : 'no response',
      expected: '$T in a chunk',
      where: 'Pipeline',
    });
  }
  const result = second?.response;
  const value = pragmaOf(result).number('pipeline-result');
  if (result?.status !== 204 || (value !== 0 && value !== 1)) {
    const seen = result ? `status ${result.status}, pipeline-result ${value ?? 'none'}` : 'no response';
    findings.push({ seen, expected: '204 and pipeline-result=1', where: 'Pipeline' });
  }
  if (value === 1 && result?.minorVersion === 0) {
    findings.push({ seen: 'HTTP/1.0', expected: 'HTTP/1.1 for pipeline-result=1', where: 'Pipeline' });
  }
  return findings;
}

/** Rules of servers, except of the streams that they send. */
export const SERVER_RULES: readonly ServerRule[] = [...HTTP_RULES, ...HEAD_RULES, ...REQUEST_RULES, ...PIPELINE_RULES];
