import { parseServerProduct } from '../wmsp/client/product.js';
import type { TimedFrame } from './frames.js';
import { each, type Finding, type Rule, type Verdict } from './rule.js';
import { DESCRIBES, PLAYS } from './server-checks.js';
import { MMS_HEAD, mmsHead, type PacketRecord, type StreamRecord } from './stream.js';
import { MEDIA_RULES, paddedBytes } from './stream-rules.js';
import { describedStream, type ServerObservation, type Step, type StepName } from './wmsp-script.js';

const NAMES = new Set(['$C', '$D', '$E', '$H', '$M', '$P', '$T']);
const END_OF_STREAM = 0;
const MORE_FOLLOWS = 1;
/** A seek ends at the key frame before the time, which is at most this much earlier, in ms. */
const MAX_KEY_FRAME_GAP = 15_000;

interface Seen {
  readonly step: Step;
  readonly stream: StreamRecord;
}

/** Returns the streams of steps, those of Describe included where they are asked for. */
function streamsOf({ steps }: ServerObservation, names: readonly StepName[]): Seen[] {
  return names.flatMap((name) => {
    const step = steps.get(name);
    const stream = step?.stream ?? (DESCRIBES.includes(name) ? describedStream(step?.response) : undefined);
    return step && stream && step.response?.status === 200 ? [{ step, stream }] : [];
  });
}

const NO_STREAM = 'no stream came';
const packetsOf = ({ entries }: StreamRecord): PacketRecord[] => entries.flatMap(({ packets }) => packets);

/** A rule about each stream of these steps. */
function eachStream(
  names: readonly StepName[],
  find: (stream: StreamRecord, step: Step) => readonly Finding[],
): (observed: ServerObservation) => Verdict {
  return (observed) =>
    each(streamsOf(observed, names), NO_STREAM, ({ step, stream }) =>
      find(stream, step).map((finding) => ({ where: step.name, ...finding })),
    );
}

const ALL: readonly StepName[] = [...DESCRIBES, ...PLAYS, 'pipelined Play'];
const MEDIA: readonly StepName[] = [...PLAYS, 'pipelined Play'];

/** Applies a rule of media to the streams of a session. */
function ofMedia(rule: (typeof MEDIA_RULES)[number]): Rule<ServerObservation> {
  return {
    ...rule,
    check: (observed) => {
      const seen = streamsOf(observed, ['Play', 'Play of the end']).filter(({ stream }) => stream.entries.length > 0);
      const verdicts = seen.map(({ step, stream }) => {
        const live = stream.entries[0]?.header?.broadcast ?? false;
        return { step, verdict: rule.check({ stream, live, whole: true }) };
      });
      const tested = verdicts.flatMap(({ step, verdict }) =>
        'untested' in verdict ? [] : [verdict.map((finding) => ({ where: step.name, ...finding }))],
      );
      const [first] = verdicts.map(({ verdict }) => verdict);
      if (tested.length === 0) return first ?? { untested: NO_STREAM };
      return tested.flat();
    },
  };
}

/** Rules of the packets that a server sends. */
export const WMSP_STREAM_RULES: readonly Rule<ServerObservation>[] = [
  {
    id: 'framing',
    section: 'MS-WMSP 2.2.3.1.1',
    level: 'must',
    says: 'A body consists of packets that begin with 0x24 or 0xA4, and are as long as PacketLength says.',
    check: eachStream(ALL, ({ framingFault, frames }) => [
      ...(framingFault === undefined ? [] : [{ seen: framingFault, expected: 'the next packet' }]),
      ...frames
        .filter(({ name }) => !NAMES.has(name))
        .map(({ name, offset }) => ({ seen: `${name} at byte ${offset}`, expected: [...NAMES].join(', ') })),
    ]),
  },
  {
    id: 'mms-packet-size',
    section: 'MS-WMSP 2.2.3.1.2',
    level: 'must',
    says: 'PacketSize of $D, $H and $M is PacketLength.',
    check: eachStream(ALL, ({ frames }) =>
      frames.flatMap((frame) => {
        if (!'$D $H $M'.includes(frame.name)) return [];
        const size = mmsHead(frame)?.size;
        if (size === frame.length) return [];
        return {
          seen: `PacketSize ${size ?? 'missing'} in ${frame.name}`,
          expected: `${frame.length}, its PacketLength`,
        };
      }),
    ),
  },
  {
    id: 'pieces',
    section: 'MS-WMSP 2.2.3.1.2',
    level: 'must',
    says: 'LocationId of $H and $M numbers the pieces from 0; AFFlags marks the first and the last.',
    check: eachStream(ALL, ({ pieceFaults }) => pieceFaults),
  },
  {
    id: 'order',
    section: 'MS-WMSP 2.2.2.6',
    level: 'must',
    says: 'A stream is $M, $H, $D and $E in this order; $C comes before each further header.',
    check: eachStream(MEDIA, orderFaults),
  },
  {
    id: 'notices',
    section: 'MS-WMSP 2.2.3.2',
    level: 'must',
    says: '$C and $E are 8 bytes: PacketLength is 4, and a Reason follows.',
    check: eachStream(MEDIA, ({ frames }) =>
      frames
        .filter(({ name, length }) => (name === '$C' || name === '$E') && length !== 4)
        .map(({ name, length }) => ({ seen: `${name} with PacketLength ${length}`, expected: '4' })),
    ),
  },
  {
    id: 'metadata',
    section: 'MS-WMSP 3.2.4.2',
    level: 'must',
    says: 'A Cougar of 9.0 and later sends $M before each $H, to players of 9.0 and later.',
    check: eachStream([...DESCRIBES, ...PLAYS], ({ entries }, { response }) => {
      const product = parseServerProduct(response?.headers.get('Server'), true);
      if (product?.token !== 'Cougar' || product.major < 9) return [];
      return entries.flatMap(({ metadata }) => (metadata ? [] : [{ seen: '$H without $M', expected: '$M before it' }]));
    }),
  },
  {
    id: 'metadata-form',
    section: 'MS-WMSP 2.2.3.6',
    level: 'must',
    says: '$M has playlist-gen-id, broadcast-id and features, a NUL, and descriptions.',
    check: (observed) => {
      const texts = streamsOf(observed, ALL).flatMap(({ stream }) =>
        stream.entries.flatMap(({ metadata }) => metadata?.toString('utf8') ?? []),
      );
      const form = /^playlist-gen-id=\d{1,10}, ?broadcast-id=\d{1,10}, ?features="[a-z, ]*"\0/;
      return each([...new Set(texts)], 'no $M came', (text) =>
        form.test(text) ? undefined : { seen: text, expected: 'playlist-gen-id=N, broadcast-id=N, features="…"' },
      );
    },
  },
  {
    id: 'packet-pair',
    section: 'MS-WMSP 2.2.3.7',
    level: 'must',
    says: 'The body of a Describe begins with three $P exactly if the response says packet-pair-experiment=1.',
    check: ({ steps }) => {
      const step = steps.get('Describe with packet pair');
      if (step?.response?.status !== 200) return { untested: 'it was not described' };
      const names = describedStream(step.response)?.frames.map(({ name }) => name) ?? [];
      const pairs = names.filter((name) => name === '$P').length;
      const expected = step.pragma.flag('packet-pair-experiment') ? 3 : 0;
      const isFirst = names.slice(0, pairs).every((name) => name === '$P');
      if (pairs === expected && isFirst) return [];
      return [{ seen: names.join(' '), expected: `${expected} $P`, where: step.name }];
    },
  },
  {
    id: 'location-ids',
    section: 'MS-WMSP 2.2.3.1.2',
    level: 'must',
    says: 'LocationId of $D is the number of the packet: it rises, by one for a broadcast.',
    check: eachStream(['Play', 'second Play', 'pipelined Play'], ({ entries }) =>
      entries.flatMap(({ packets, header }) =>
        packets.slice(1).flatMap(({ mms, number }, index) => {
          const before = packets[index]!.mms?.location;
          if (before === undefined || mms === undefined) return [];
          const isRight = header?.broadcast ? mms.location === before + 1 : mms.location > before;
          if (isRight) return [];
          return { seen: `${mms.location} after ${before}, in packet ${number}`, expected: String(before + 1) };
        }),
      ),
    ),
  },
  {
    id: 'sequence',
    section: 'MS-WMSP 2.2.3.1.2',
    level: 'must',
    says: 'AFFlags of $D counts them, modulo 256.',
    check: eachStream(MEDIA, (stream) => {
      const packets = packetsOf(stream);
      return packets.slice(1).flatMap(({ mms, number }, index) => {
        const before = packets[index]!.mms?.flags;
        // Windows starts again after 254 in some cases (MS-WMSP 2.2.3.1.2).
        if (before === undefined || mms === undefined || mms.flags === ((before + 1) & 255)) return [];
        return { seen: `${mms.flags} after ${before}, in packet ${number}`, expected: String((before + 1) & 255) };
      });
    }),
  },
  {
    id: 'incarnation',
    section: 'MS-WMSP 2.2.3.1.2',
    level: 'should',
    says: 'The packets of an entry have the same Incarnation.',
    check: eachStream(MEDIA, (stream) =>
      stream.entries.flatMap(({ packets }) => {
        const values = new Set(packets.flatMap(({ mms }) => mms?.incarnation ?? []));
        return values.size <= 1 ? [] : [{ seen: [...values].join(', '), expected: 'one value' }];
      }),
    ),
  },
  {
    id: 'padding-cut',
    section: 'MS-WMSP 2.2.3.3',
    level: 'should',
    says: 'Data packets are sent without their padding.',
    check: eachStream(['Play'], (stream) =>
      packetsOf(stream)
        .filter(({ packet }) => (packet?.paddingLength ?? 0) > 0)
        .map(({ number, packet }) => ({
          seen: `${packet!.paddingLength} bytes in packet ${number}`,
          expected: 'none',
        })),
    ),
  },
  {
    id: 'one-packet',
    section: 'MS-WMSP 2.2.3.3',
    level: 'must',
    says: 'A $D holds one data packet, and nothing after it.',
    check: eachStream(['Play'], (stream) =>
      packetsOf(stream)
        .filter(({ packet, bytes }) => packet?.explicitLength && packet.length !== bytes.length)
        .map(({ number, packet, bytes }) => ({
          seen: `${bytes.length} bytes in packet ${number}`,
          expected: String(packet!.length),
        })),
    ),
  },
  {
    id: 'same-for-all',
    section: 'MS-WMSP 2.2.3.1.2',
    level: 'must',
    says: 'Two players get the same packets: what has the same LocationId has the same bytes.',
    check: sameForAll,
  },
  {
    id: 'only-selected',
    section: 'MS-WMSP 3.2.5.6',
    level: 'must',
    says: 'Streams that a Play does not select are left out.',
    check: eachStream(['Play of one stream'], (stream, { asked }) =>
      packetsOf(stream).flatMap(({ packet, number }) => {
        const other = packet?.payloads.find((payload) => payload.stream !== asked?.['only']);
        return other
          ? { seen: `stream ${other.stream} in packet ${number}`, expected: `stream ${asked?.['only']}` }
          : [];
      }),
    ),
  },
  {
    id: 'seek-position',
    section: 'MS-WMSP 3.2.5.6',
    level: 'must',
    says: 'A Play from a time begins there, or at the key frame before it.',
    check: eachStream(['Play from the middle'], (stream, { asked }) => {
      const [entry] = stream.entries;
      const times = packetsOf(stream).flatMap(({ packet }) =>
        (packet?.payloads ?? []).flatMap(({ presentationTime }) => (presentationTime < 0 ? [] : presentationTime)),
      );
      if (!entry?.header || times.length === 0) return [{ seen: 'no packet', expected: 'media' }];
      const first = Math.min(...times.slice(0, 50)) - entry.header.preroll;
      const wanted = asked?.['from'] ?? 0;
      if (first <= wanted + 1_000 && first >= wanted - MAX_KEY_FRAME_GAP) return [];
      return [{ seen: `${Math.round(first)} ms`, expected: `${wanted} ms` }];
    }),
  },
  {
    id: 'end',
    section: 'MS-WMSP 3.2.4.1',
    level: 'must',
    says: 'After the last data packet comes $E, before the connection is closed.',
    check: (observed) => {
      const seen = streamsOf(observed, PLAYS);
      const isTested = seen.some(({ stream, step }) => stream.closed || step.name === 'Play of the end');
      if (!isTested) return { untested: 'the stream did not end' };
      return seen.flatMap(({ stream, step }) => {
        if (!stream.closed && step.name !== 'Play of the end') return [];
        if (stream.ends.some(({ reason }) => reason !== MORE_FOLLOWS)) return [];
        const how = stream.closed ? 'the connection was closed' : 'nothing followed';
        return { seen: `${how} after ${packetsOf(stream).length} packets`, expected: '$E', where: step.name };
      });
    },
  },
  {
    id: 'whole-packets',
    section: 'MS-WMSP 2.2.3.1.1',
    level: 'must',
    says: 'The last packet of a stream is whole.',
    check: eachStream(PLAYS, ({ rest, closed, framingFault }) =>
      rest > 0 && closed && framingFault === undefined
        ? [{ seen: `${rest} bytes of a packet, then the end`, expected: 'a whole packet' }]
        : [],
    ),
  },
  ...MEDIA_RULES.map(ofMedia),
];

/** Follows the order of packets in a stream (MS-WMSP 2.2.2.6, 4.14). */
function orderFaults({ frames, ends }: StreamRecord): Finding[] {
  const findings: Finding[] = [];
  const reasons = new Map(ends.map(({ frame, reason }) => [frame, reason]));
  let expected: readonly string[] = ['$M', '$H'];
  for (const [index, frame] of frames.entries()) {
    const { name } = frame;
    if (!expected.includes(name)) {
      const after = index === 0 ? 'at the beginning' : `after ${frames[index - 1]!.name}`;
      findings.push({ seen: `${name} ${after}`, expected: expected.join(' or ') });
    }
    expected = followers(frame, reasons.get(index)) ?? expected;
  }
  return findings;
}

/** Returns the packets that may come after one. @param reason of a $E */
function followers({ name, payload }: TimedFrame, reason: number | undefined): readonly string[] | undefined {
  const isLastPiece = ((payload[5] ?? 0) & 0x08) !== 0;
  switch (name) {
    case '$M':
      return isLastPiece ? ['$H'] : ['$M'];
    case '$H':
      return isLastPiece ? ['$D', '$C', '$E'] : ['$H'];
    case '$D':
      return ['$D', '$C', '$E'];
    case '$C':
      return ['$M', '$H'];
    case '$E':
      return reason === END_OF_STREAM ? ['$E'] : ['$C', '$E'];
    default:
      return undefined;
  }
}

function sameForAll(observed: ServerObservation): Verdict {
  const [first, second] = streamsOf(observed, ['Play', 'second Play']);
  const size = first?.stream.entries[0]?.header?.packetSize;
  if (!first || !second || size === undefined) return { untested: 'there were no two players' };
  const numbered = (stream: StreamRecord) =>
    new Map(
      (stream.entries[0]?.packets ?? []).flatMap((each_) =>
        each_.mms && each_.bytes.length >= MMS_HEAD ? [[each_.mms.location, each_] as const] : [],
      ),
    );
  const others = numbered(second.stream);
  const pairs = [...numbered(first.stream)].flatMap(([location, packet]) => {
    const other = others.get(location);
    return other ? [{ location, packet, other }] : [];
  });
  return each(pairs, 'the players have no packet in common', ({ location, packet, other }) =>
    paddedBytes(packet, size).equals(paddedBytes(other, size))
      ? undefined
      : { seen: `two different packets with LocationId ${location}`, expected: 'the same bytes' },
  );
}
