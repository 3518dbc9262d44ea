import { PACKET_ID } from '../framing/framing.js';
import { bodyOf, type Dialog, type Exchange } from './exchanges.js';
import type { TimedFrame } from './frames.js';
import { each, type Finding, type Rule, type Verdict } from './rule.js';
import { readStream, type StreamRecord } from './stream.js';
import { MEDIA_RULES } from './stream-rules.js';

/** What an encoder did. */
export interface EncoderObservation {
  readonly dialogs: readonly Dialog[];
  readonly exchanges: readonly Exchange[];
  readonly setups: readonly Exchange[];
  readonly starts: readonly Exchange[];
  /** The packets of all PushStarts. */
  readonly stream: StreamRecord;
}

type EncoderRule = Rule<EncoderObservation>;

const NO_SETUP = 'there was no PushSetup';
const NO_START = 'there was no PushStart';
const MORE_FOLLOWS = 1;
const NAMES = new Set(['$C', '$D', '$E', '$F', '$H']);
/** Content-Length of a push of unknown size (MS-WMHTTP 3.1.4.2.1). */
const UNKNOWN_LENGTH = 2_147_483_647;

/** @param until when the observation ended, in ms */
export function observeEncoder(dialogs: readonly Dialog[], until: number): EncoderObservation {
  const exchanges = dialogs.flatMap((dialog) => dialog.exchanges);
  const starts = exchanges.filter((exchange) => typeOf(exchange) === 'application/x-wms-pushstart');
  const bodies = starts.map(({ request }) => request.body);
  const last = starts.at(-1)?.connection.end;
  const end = { until: last?.at ?? until, closed: last?.by === 'client' };
  return {
    dialogs,
    exchanges,
    setups: exchanges.filter((exchange) => typeOf(exchange) === 'application/x-wms-pushsetup'),
    starts,
    stream: readStream('push', bodies, end),
  };
}

function typeOf({ request }: Exchange): string {
  return (request.headers.get('Content-Type') ?? '').split(';')[0]!.trim().toLowerCase();
}

/** A rule about each PushSetup or each PushStart. */
function eachRequest(
  which: 'setups' | 'starts' | 'exchanges',
  find: (exchange: Exchange, index: number, observed: EncoderObservation) => Finding | undefined,
): EncoderRule['check'] {
  return (observed) =>
    each(observed[which], which === 'starts' ? NO_START : NO_SETUP, (exchange, index) => {
      const finding = find(exchange, index, observed);
      return finding && { where: `request ${observed.exchanges.indexOf(exchange) + 1}`, ...finding };
    });
}

/** Makes a rule about a header that has to be there, and has a form. */
const hasField = (name: string, form: RegExp, expected: string) => {
  return ({ request }: Exchange): Finding | undefined => {
    const value = request.headers.get(name);
    return form.test(value ?? '') ? undefined : { seen: value ?? `no ${name}`, expected };
  };
};

const pushId = (text: string | undefined) => /(?:^|[;,\s])push-id=([^;,\s]+)/.exec(text ?? '')?.[1];

const REQUEST_RULES: readonly EncoderRule[] = [
  {
    id: 'http-syntax',
    section: 'RFC 9112 3',
    level: 'must',
    says: 'Requests are HTTP/1.',
    check: ({ dialogs }) =>
      each(dialogs, NO_SETUP, ({ faults }) =>
        faults.filter(({ from }) => from === 'client').map(({ message }) => ({ seen: message, expected: 'a request' })),
      ),
  },
  {
    id: 'request-types',
    section: 'MS-WMHTTP 2.2.2',
    level: 'must',
    says: 'Requests are PushSetup or PushStart: POST, with the Content-Type of one of them.',
    check: eachRequest('exchanges', (exchange) => {
      const type = typeOf(exchange);
      const isRight = /^application\/x-wms-push(?:setup|start)$/.test(type) && exchange.request.method === 'POST';
      return isRight
        ? undefined
        : { seen: `${exchange.request.method}, ${type || 'no type'}`, expected: 'POST, x-wms-push…' };
    }),
  },
  {
    id: 'setup-first',
    section: 'MS-WMHTTP 3.1.4.1',
    level: 'must',
    says: 'The first request is a PushSetup.',
    check: ({ exchanges, setups }) => {
      if (exchanges.length === 0) return { untested: 'there was no request' };
      return exchanges[0] === setups[0]
        ? []
        : [{ seen: typeOf(exchanges[0]!), expected: 'application/x-wms-pushsetup' }];
    },
  },
  {
    id: 'user-agent',
    section: 'MS-WMHTTP 2.2.1.8',
    level: 'must',
    says: 'User-Agent is WMEncoder, a slash and a version.',
    check: eachRequest(
      'exchanges',
      hasField(
        'User-Agent',
        /^WMEncoder\/\d{1,2}\.\d{1,2}(?:\.\d{1,5}\.\d{1,5})?(?:[ ;].*)?$/,
        'WMEncoder/12.0.7600.16385',
      ),
    ),
  },
  {
    id: 'host',
    section: 'MS-WMHTTP 2.2.2.1',
    level: 'must',
    says: 'Requests have a Host.',
    check: eachRequest('exchanges', hasField('Host', /./, 'Host')),
  },
  {
    id: 'response-headers',
    section: 'MS-WMHTTP 2.2.1',
    level: 'must',
    says: 'Requests have no headers that only responses have, and no X-Accept-Proxy-Authentication.',
    check: eachRequest('exchanges', ({ request }) => {
      const names = ['Server', 'Set-Cookie', 'Supported', 'Pragma', 'X-Accept-Proxy-Authentication'];
      const found = names.find((name) => request.headers.get(name) !== undefined);
      return found === undefined ? undefined : { seen: found, expected: 'none of them' };
    }),
  },
  {
    id: 'not-chunked',
    section: 'MS-WMHTTP 3.1.4.1.1',
    level: 'must',
    says: 'Requests have a Content-Length and are not chunked.',
    check: eachRequest('exchanges', ({ request }) =>
      request.headers.get('Content-Length') !== undefined && request.framing.kind === 'length'
        ? undefined
        : { seen: request.headers.get('Transfer-Encoding') ?? 'no Content-Length', expected: 'Content-Length' },
    ),
  },
  {
    id: 'setup-cookie',
    section: 'MS-WMHTTP 3.1.4.1.1',
    level: 'should',
    says: 'The first PushSetup has the Cookie push-id=0.',
    check: ({ setups }) => {
      const [first] = setups;
      if (!first) return { untested: NO_SETUP };
      const value = first.request.headers.get('Cookie');
      return pushId(value) === '0' ? [] : [{ seen: value ?? 'no Cookie', expected: 'push-id=0' }];
    },
  },
  {
    id: 'setup-body',
    section: 'MS-WMHTTP 2.2.2.1',
    level: 'must',
    says: 'The body of a PushSetup is empty, or the line AutoDestroy, after a line Template-URL if there is one.',
    check: eachRequest('setups', ({ request }) => {
      const text = bodyOf(request).toString('latin1');
      const form = /^(?:(?:Template-URL: ?"\/[\x21\x23-\x7e]*"\r\n)?AutoDestroy: ?[01]\r\n)?$/;
      return form.test(text) ? undefined : { seen: text, expected: 'AutoDestroy: 0 or 1' };
    }),
  },
  {
    id: 'start-after-setup',
    section: 'MS-WMHTTP 3.1.4.2',
    level: 'must',
    says: 'The first PushStart waits for the response to PushSetup.',
    check: ({ setups, starts }) => {
      const confirmed = setups.find(({ response }) => response !== undefined && response.status < 300)?.response;
      const [first] = starts;
      if (!confirmed || !first) return { untested: NO_START };
      return first.request.at >= confirmed.at ? [] : [{ seen: 'a PushStart before it', expected: 'to wait' }];
    },
  },
  {
    id: 'start-cookie',
    section: 'MS-WMHTTP 3.1.4.2.1',
    level: 'must',
    says: 'A PushStart has the push-id that the server gave.',
    check: eachRequest('starts', ({ request }, _, { setups }) => {
      const given = setups.flatMap(({ response }) => pushId(response?.headers.get('Set-Cookie')) ?? []);
      const value = request.headers.get('Cookie');
      return given.includes(pushId(value) ?? '')
        ? undefined
        : { seen: value ?? 'no Cookie', expected: `push-id=${given.at(-1)}` };
    }),
  },
  {
    id: 'start-length',
    section: 'MS-WMHTTP 3.1.4.2.1',
    level: 'must',
    says: 'Content-Length of a PushStart is enough for three packets, and for the header and 4 bytes.',
    check: eachRequest('starts', ({ request }, _, { stream }) => {
      const length = request.framing.kind === 'length' ? request.framing.length : 0;
      const [entry] = stream.entries;
      const least = Math.max(3 * (entry?.header?.packetSize ?? 0), (entry?.headerBytes.length ?? 0) + 8);
      return length >= least ? undefined : { seen: String(length), expected: `at least ${least}` };
    }),
  },
  {
    id: 'start-length-unknown',
    section: 'MS-WMHTTP 3.1.4.2.1',
    level: 'should',
    says: 'Content-Length of a PushStart without a proxy is 2147483647.',
    check: eachRequest('starts', ({ request }) => {
      const length = request.framing.kind === 'length' ? request.framing.length : 0;
      return length === UNKNOWN_LENGTH ? undefined : { seen: String(length), expected: String(UNKNOWN_LENGTH) };
    }),
  },
];

const STREAM_RULES: readonly EncoderRule[] = [
  {
    id: 'framing',
    section: 'MS-WMHTTP 2.2.3.1.1',
    level: 'must',
    says: 'A body consists of packets that begin with 0x24, and are as long as PacketLength says.',
    check: ({ stream }) => {
      if (stream.frames.length === 0 && stream.framingFault === undefined) return { untested: 'no packet came' };
      return [
        ...(stream.framingFault === undefined ? [] : [{ seen: stream.framingFault, expected: 'the next packet' }]),
        ...stream.frames
          .filter(({ name, b }) => b || !NAMES.has(name))
          .map(({ name, b }) => ({
            seen: b ? `${name} with the B bit` : name,
            expected: '0x24, then C, D, E, F or H',
          })),
      ];
    },
  },
  {
    id: 'header-first',
    section: 'MS-WMHTTP 2.2.2.2',
    level: 'must',
    says: 'The first PushStart of a session begins with $H, which comes once.',
    check: ({ stream, setups }) => {
      if (stream.frames.length === 0) return { untested: 'no packet came' };
      const headers = stream.frames.filter(({ id }) => id === PACKET_ID.header).length;
      const first = stream.frames[0]!.name;
      return [
        ...(first === '$H' ? [] : [{ seen: `${first} first`, expected: '$H' }]),
        // An encoder that comes back in another session begins it with a header again.
        ...(headers <= Math.max(1, setups.length) ? [] : [{ seen: `${headers} $H`, expected: 'one for each session' }]),
      ];
    },
  },
  {
    id: 'change-reason',
    section: 'MS-WMHTTP 2.2.3.2',
    level: 'must',
    says: 'Reason of $C is 0, and the new header follows it.',
    check: ({ stream }) =>
      each(
        stream.frames.filter(({ id }) => id === PACKET_ID.streamChange),
        'there was no $C',
        ({ payload }) =>
          payload.length > 4 && payload.readUInt32LE(0) === 0
            ? undefined
            : { seen: `$C of ${payload.length} bytes`, expected: 'Reason 0 and a header' },
      ),
  },
  {
    id: 'end-form',
    section: 'MS-WMHTTP 2.2.3.4',
    level: 'must',
    says: 'A $E is 8 bytes.',
    check: ({ stream }) =>
      each(
        stream.frames.filter(({ id }) => id === PACKET_ID.endOfStream),
        'there was no $E',
        ({ length }) => (length === 4 ? undefined : { seen: `PacketLength ${length}`, expected: '4' }),
      ),
  },
  {
    id: 'order',
    section: 'MS-WMHTTP 3.1.4.5',
    level: 'must',
    says: '$C comes after $E with Reason 1, and nothing else but $E and $F does.',
    check: orderFaults,
  },
  {
    id: 'header-needed',
    section: 'MS-WMHTTP 3.1.4.5',
    level: 'should',
    says: 'A new header has other streams than the last: players take it for another programme, and WMP 9 disconnects.',
    check: ({ stream }) => {
      if (stream.entries.length < 2) return { untested: 'the header did not change' };
      return stream.entries.slice(1).flatMap(({ header }, index) => {
        const before = stream.entries[index]!.header;
        const same = header !== undefined && before !== undefined && streamsIn(header) === streamsIn(before);
        return same
          ? { seen: `header ${index + 2} with the same streams`, expected: 'a script command for a title' }
          : [];
      });
    },
  },
  {
    id: 'padding-cut',
    section: 'MS-WMHTTP 2.2.3.3',
    level: 'should',
    says: 'Data packets are sent without their padding.',
    check: ({ stream }) =>
      each(
        stream.entries.flatMap(({ packets }) => packets),
        'no data packet came',
        ({ packet, number }) =>
          (packet?.paddingLength ?? 0) > 0
            ? { seen: `${packet!.paddingLength} bytes in packet ${number}`, expected: 'none' }
            : undefined,
      ),
  },
  {
    id: 'end',
    section: 'MS-WMHTTP 3.1.4.4',
    level: 'must',
    says: 'A push ends with $E, and then with the connection.',
    check: endsProperly,
  },
  {
    id: 'whole-packets',
    section: 'MS-WMHTTP 2.2.3.1.1',
    level: 'must',
    says: 'The last packet of a push is whole.',
    check: ({ starts, stream }) => {
      if (starts.length === 0) return { untested: NO_START };
      const isCut = stream.closed && stream.rest > 0 && stream.framingFault === undefined;
      return isCut ? [{ seen: `${stream.rest} bytes of a packet, then the end`, expected: 'a whole packet' }] : [];
    },
  },
  {
    id: 'one-connection',
    section: 'MS-WMHTTP 3.1.7.1',
    level: 'must',
    says: 'A push keeps its connection up to its end.',
    check: ({ starts }) =>
      each(starts.slice(0, -1), 'there was one PushStart', ({ request, connection }) =>
        request.complete || connection.end?.by === 'server'
          ? undefined
          : { seen: `the end of the connection in a PushStart`, expected: 'the rest of it' },
      ),
  },
];

/** Follows the order of packets in a push (MS-WMHTTP 2.2.2.2, 4.7.1). */
function orderFaults({ stream: { frames, ends } }: EncoderObservation): Verdict {
  if (frames.length === 0) return { untested: 'no packet came' };
  const reasons = new Map(ends.map(({ frame, reason }) => [frame, reason]));
  const findings: Finding[] = [];
  let before: TimedFrame | undefined;
  let reason: number | undefined;
  for (const [index, frame] of frames.entries()) {
    if (frame.id === PACKET_ID.filler) continue;
    const isAfterEnd = before?.id === PACKET_ID.endOfStream;
    if (frame.id === PACKET_ID.streamChange && !(isAfterEnd && reason === MORE_FOLLOWS)) {
      findings.push({ seen: `$C after ${before?.name ?? 'nothing'}`, expected: '$E with Reason 1 before it' });
    } else if (isAfterEnd && frame.id === PACKET_ID.data) {
      findings.push({ seen: '$D after $E', expected: reason === MORE_FOLLOWS ? '$C' : 'nothing' });
    }
    before = frame;
    reason = reasons.get(index);
  }
  return findings;
}

function endsProperly({ starts, stream }: EncoderObservation): Verdict {
  if (starts.length === 0) return { untested: NO_START };
  const isEnded = stream.ends.some(({ reason }) => reason !== MORE_FOLLOWS);
  if (isEnded) return [];
  if (!stream.closed) return { untested: 'the push went on to the end of the session' };
  return [{ seen: `the end of the connection after ${stream.frames.at(-1)?.name ?? 'nothing'}`, expected: '$E' }];
}

function streamsIn({ streams }: NonNullable<StreamRecord['entries'][number]['header']>): string {
  return streams.map(({ number, type }) => `${number} ${type}`).join();
}

/** Rules of encoders that push. */
export const ENCODER_RULES: readonly EncoderRule[] = [
  ...REQUEST_RULES,
  ...STREAM_RULES,
  ...MEDIA_RULES.map((rule) => ({
    ...rule,
    section: rule.section.startsWith('MS-WMSP 3') ? 'MS-WMHTTP 3.1.4.3' : rule.section,
    check: ({ stream }: EncoderObservation) =>
      stream.entries.length === 0 ? { untested: NO_START } : rule.check({ stream, live: true, whole: true }),
  })),
];
