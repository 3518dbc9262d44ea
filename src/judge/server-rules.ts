import { bodyOf, readDialog } from './exchanges.js';
import type { ConnectionRecord } from './recording.js';
import { each, type Finding, type Verdict } from './rule.js';
import { about, isConfirmed, isRefused, isSuccess, NOT_ASKED, type ServerRule, where } from './server-checks.js';
import { HEAD_RULES } from './server-head-rules.js';
import type { ServerObservation, Step } from './wmsp-script.js';
import { pragmaOf } from './wmsp-script.js';

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
