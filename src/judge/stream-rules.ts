import { restorePadding } from '../asf/padding.js';
import { objectFaults } from './object-faults.js';
import { each, type Finding, type Rule, type Verdict } from './rule.js';
import type { EntryRecord, PacketRecord, StreamRecord } from './stream.js';

/** Silence of more than this is a gap, in ms. */
const MAX_SILENCE = 3_000;
/** Media may arrive this much later than by the clock, in ms, and this much of it at least. */
const MAX_DELAY = 2_500;
const LEAST_PACE = 0.85;
/** Send times of packets that follow each other differ by less, in ms. */
const MAX_STEP = 5_000;
/** How far send times may go back: writers of several streams round. In ms. */
const SEND_TIME_SLACK = 50;
/** A difference of 32-bit times, in ms. */
const step = (from: number, to: number): number => (to - from) | 0;

/** What the rules of media are about: a stream, and what is known of it. */
export interface MediaObservation {
  readonly stream: StreamRecord;
  /** True if media come no faster than they are played, after a beginning. */
  readonly live: boolean;
  /** True if all streams were asked for at normal speed. */
  readonly whole: boolean;
}

const packetsOf = ({ entries }: StreamRecord): PacketRecord[] => entries.flatMap(({ packets }) => packets);
const NO_PACKETS = 'no data packet came';

/** Checks each packet of each entry with the one before it. */
function eachPair(
  stream: StreamRecord,
  find: (before: PacketRecord, packet: PacketRecord, entry: EntryRecord) => Finding | undefined,
): Verdict {
  if (packetsOf(stream).length < 2) return { untested: 'fewer than two data packets came' };
  return stream.entries.flatMap((entry) =>
    entry.packets.slice(1).flatMap((packet, index) => find(entry.packets[index]!, packet, entry) ?? []),
  );
}

/** Rules of the container and of its timing, whatever carries it. */
export const MEDIA_RULES: readonly Rule<MediaObservation>[] = [
  {
    id: 'header-whole',
    section: 'ASF 3.1, MS-WMSP 2.2.3.5',
    level: 'must',
    says: 'An ASF header is whole: the Header Object and the first 50 bytes of the Data Object.',
    check: ({ stream }) =>
      each(stream.entries, 'no header came', ({ headerFault }) =>
        headerFault === undefined ? undefined : { seen: headerFault, expected: 'a whole ASF header' },
      ),
  },
  {
    id: 'packets-readable',
    section: 'ASF 5.2',
    level: 'must',
    says: 'Every data packet can be read: its fields, and all of its payloads.',
    check: ({ stream }) =>
      each(packetsOf(stream), NO_PACKETS, ({ number, packet, fault }) => {
        if (packet && !packet.damaged) return undefined;
        return { seen: `packet ${number}: ${fault ?? 'a payload is broken'}`, expected: 'a sound packet' };
      }),
  },
  {
    id: 'packet-length',
    section: 'ASF 3.2',
    level: 'must',
    says: 'No data packet is longer than the header says.',
    check: ({ stream }) =>
      each(
        stream.entries.flatMap(({ header, packets }) => (header ? packets.map((packet) => ({ header, packet })) : [])),
        NO_PACKETS,
        ({ header, packet: { number, bytes } }) =>
          bytes.length <= header.packetSize
            ? undefined
            : { seen: `packet ${number} of ${bytes.length} bytes`, expected: `at most ${header.packetSize}` },
      ),
  },
  {
    id: 'streams-declared',
    section: 'ASF 3.3',
    level: 'must',
    says: 'Payloads are of streams that the header declares.',
    check: ({ stream }) =>
      each(
        stream.entries.flatMap(({ header, packets }) => (header ? packets.map((packet) => ({ header, packet })) : [])),
        NO_PACKETS,
        ({ header, packet: { number, packet } }) => {
          const known = new Set(header.streams.map((each_) => each_.number));
          const strange = packet?.payloads.find((payload) => !known.has(payload.stream));
          return strange && { seen: `stream ${strange.stream} in packet ${number}`, expected: [...known].join(', ') };
        },
      ),
  },
  {
    id: 'send-times-rise',
    section: 'ASF 5.2.2',
    level: 'must',
    says: 'Send times do not go back.',
    check: ({ stream }) => {
      let latest: number | undefined;
      let entryNow: EntryRecord | undefined;
      return eachPair(stream, (before, { number, packet }, entry) => {
        if (entry !== entryNow) latest = before.packet?.sendTime;
        entryNow = entry;
        if (!packet) return undefined;
        const back = latest === undefined ? 0 : step(packet.sendTime, latest);
        latest = back > 0 ? latest : packet.sendTime;
        if (back <= SEND_TIME_SLACK) return undefined;
        return {
          seen: `packet ${number} is ${back} ms earlier than one before it`,
          expected: 'the same or a later time',
        };
      });
    },
  },
  {
    id: 'send-times-steady',
    section: 'ASF 5.2.2',
    level: 'must',
    says: 'Send times do not jump: they follow each other as the packets do.',
    check: ({ stream }) =>
      eachPair(stream, (before, { number, packet, at }) => {
        if (!packet || !before.packet) return undefined;
        const size = step(before.packet.sendTime, packet.sendTime);
        // A pause of the source is one in the arrival, too.
        if (Math.abs(size) - (at - before.at) <= MAX_STEP) return undefined;
        return { seen: `${size} ms from packet ${number - 1} to ${number}`, expected: `less than ${MAX_STEP} ms` };
      }),
  },
  {
    id: 'packets-once',
    section: 'ASF 5.2',
    level: 'must',
    says: 'No data packet comes twice.',
    check: ({ stream }) =>
      eachPair(stream, (before, { number, bytes }) =>
        bytes.equals(before.bytes)
          ? { seen: `packet ${number} is packet ${number - 1} again`, expected: 'each packet once' }
          : undefined,
      ),
  },
  {
    id: 'objects-whole',
    section: 'ASF 5.2.3',
    level: 'must',
    says: 'Media objects are whole: all of their bytes come, each once and in order.',
    check: ({ stream, whole }) =>
      whole ? objectFaults(stream).fragments : { untested: 'not all packets were asked for' },
  },
  {
    id: 'objects-numbered',
    section: 'ASF 5.2.3',
    level: 'must',
    says: 'The media objects of a stream are numbered one after the other.',
    check: ({ stream, whole }) =>
      whole ? objectFaults(stream).numbers : { untested: 'not all packets were asked for' },
  },
  {
    id: 'objects-unchanged',
    section: 'docs/testing.md',
    level: 'must',
    says: 'Media objects of a synthetic stream arrive unchanged.',
    check: ({ stream }) => objectFaults(stream).marks,
  },
  {
    id: 'begins-with-key-frame',
    section: 'MS-WMSP 3.2.5.6',
    level: 'should',
    says: 'The first picture of an entry is a key frame.',
    check: ({ stream }) =>
      each(
        stream.entries.flatMap(({ header, packets }) => {
          const video = header?.streams.find(({ type }) => type === 'video')?.number;
          const first = packets
            .flatMap(({ packet }) => packet?.payloads ?? [])
            .find((payload) => payload.stream === video);
          return video !== undefined && first ? [first] : [];
        }),
        'no picture came',
        ({ key, stream: number }) =>
          key ? undefined : { seen: `stream ${number} begins without one`, expected: 'a key frame' },
      ),
  },
  {
    id: 'keeps-pace',
    section: 'MS-WMSP 3.2.4.1',
    level: 'must',
    says: 'Media arrive as fast as they are to be played.',
    check: ({ stream, whole }) => (whole ? paceOf(stream) : { untested: 'the speed was not the normal one' }),
  },
  {
    id: 'no-silence',
    section: 'MS-WMSP 3.2.4.1',
    level: 'must',
    says: `While media are sent, none of the pauses is longer than ${MAX_SILENCE / 1000} s.`,
    check: ({ stream }) => silenceOf(stream),
  },
];

function paceOf({ entries, ends, until }: StreamRecord): Verdict {
  const packets = entries.at(-1)?.packets ?? [];
  const [first] = packets;
  const last = packets.findLast(({ packet }) => packet !== undefined);
  if (!first?.packet || !last?.packet || entries.length !== 1) return { untested: 'there is no single run of packets' };
  const stopped = ends.length > 0 ? last.at : until;
  const elapsed = stopped - first.at;
  const media = step(first.packet.sendTime, last.packet.sendTime);
  if (elapsed < MAX_DELAY) return { untested: 'it was not received for long enough' };
  if (media >= elapsed * LEAST_PACE || elapsed - media < MAX_DELAY) return [];
  return [
    {
      seen: `${Math.round(media)} ms of media within ${Math.round(elapsed)} ms`,
      expected: `at least ${Math.round(elapsed * LEAST_PACE)} ms`,
    },
  ];
}

function silenceOf({ frames, ends, until }: StreamRecord): Verdict {
  if (frames.length === 0) return { untested: 'no packet came' };
  const last = frames.at(-1)!.at;
  const times = [...frames.map(({ at }) => at), ...(ends.length > 0 ? [] : [until])];
  return times.slice(1).flatMap((at, index) => {
    const pause = at - times[index]!;
    if (pause <= MAX_SILENCE) return [];
    const when = times[index] === last ? 'at the end' : `after packet ${index + 1}`;
    return { seen: `nothing for ${Math.round(pause)} ms ${when}`, expected: `at most ${MAX_SILENCE} ms` };
  });
}

/** Returns the bytes of a packet with its padding, so that two servers' packets can be compared. */
export function paddedBytes({ packet, bytes }: PacketRecord, packetSize: number): Buffer {
  if (!packet || bytes.length > packetSize) return bytes;
  try {
    return restorePadding(packet, packetSize);
  } catch {
    return bytes;
  }
}
