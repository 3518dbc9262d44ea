import { CommandReader } from '../asf/command-stream.js';
import { describeStreams } from '../asf/describe.js';
import type { AsfHeader } from '../asf/header.js';
import type { DataPacket, Payload } from '../asf/packet.js';
import { WmError } from '../errors.js';
import type { AsfEvent } from '../media/events.js';
import { MediaTime } from '../media/media-time.js';
import { MARK_SIZE, readMarkedObject } from './marked-object.js';

/** How a fact is compared. @public */
export type ExpectationOperator = '=' | '!=' | '<' | '<=' | '>' | '>=';

/** One thing that is expected of a stream. @public */
export interface Expectation {
  readonly name: string;
  readonly operator: ExpectationOperator;
  /** As written, without its unit; seconds, bits per second or a count if it is a number. */
  readonly value: string | number;
  readonly text: string;
}

/** How a value is written. @public */
export type ExpectationKind = 'text' | 'count' | 'seconds' | 'rate';

/** What can be expected, and what it is. */
const NAMES = {
  video: ['text', 'codec of a video stream, such as wmv2, or none'],
  audio: ['text', 'codec of an audio stream, such as wma2'],
  size: ['text', 'picture size, such as 640x360'],
  title: ['text', 'title in the header'],
  live: ['text', 'yes or no'],
  streams: ['count', 'streams in the header'],
  headers: ['count', 'headers that arrived'],
  bitrate: ['rate', 'sum of the rates that the header gives'],
  packets: ['count', 'data packets'],
  damaged: ['count', 'data packets that cannot be read, and objects of a synthetic stream that have changed'],
  frames: ['count', 'pictures'],
  keyframes: ['count', 'key frames of pictures'],
  objects: ['count', 'media objects of all streams'],
  commands: ['count', 'script commands'],
  duration: ['seconds', 'length of the media'],
  rate: ['rate', 'bits per second of media that arrived'],
  gap: ['seconds', 'longest time in which nothing arrived'],
  start: ['seconds', 'time from the beginning to the first packet'],
  jump: ['seconds', 'longest step between the send times of two packets'],
  end: ['text', 'how it ended: clean or broken'],
} as const satisfies Readonly<Record<string, readonly [ExpectationKind, string]>>;

/** What can be expected of a stream, by name. @public */
export const expectationTable: Readonly<Record<string, readonly [kind: ExpectationKind, meaning: string]>> = NAMES;

/** What cannot be known without receiving the stream. */
export const NEEDS_MEDIA: ReadonlySet<string> = new Set([
  ...[
    'packets',
    'damaged',
    'frames',
    'keyframes',
    'objects',
    'duration',
    'rate',
    'gap',
    'start',
    'jump',
    'end',
    'headers',
  ],
]);

/**
 * Parses expectations with commas between them, such as `video=wmv2,frames>=100,gap<2s`.
 *
 * @throws WmError WM_USAGE that names what can be expected
 * @public
 */
export function parseExpectations(text: string): Expectation[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const [, name = '', operator, rest = ''] = /^([a-z]{1,32})\s{0,8}(<=|>=|!=|=|<|>)(.*)$/is.exec(part) ?? [];
      const value = rest.trim();
      const known = Object.hasOwn(expectationTable, name) ? expectationTable[name] : undefined;
      if (operator === undefined || !known) {
        const names = Object.keys(NAMES).join(', ');
        throw new WmError(
          'WM_USAGE',
          `--expect "${part}" is not understood: write for example frames>=100; known are ${names}.`,
        );
      }
      const [kind] = known;
      if (kind === 'text' && operator !== '=' && operator !== '!=') {
        throw new WmError('WM_USAGE', `--expect "${part}": ${name} is a text, which can only be = or != another.`);
      }
      return {
        name,
        operator: operator as ExpectationOperator,
        value: kind === 'text' ? value : numberOf(value, kind, part),
        text: part,
      };
    });
}

function numberOf(value: string, kind: ExpectationKind, part: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)(k|M|ms|s|min)?$/.exec(value) ?? [];
  const factor = {
    count: { '': 1, k: 1e3 },
    seconds: { '': 1, s: 1, ms: 1e-3, min: 60 },
    rate: { '': 1, k: 1e3, M: 1e6 },
    text: {},
  }[kind] as Readonly<Record<string, number>>;
  const scale = factor[unit];
  if (digits === undefined || scale === undefined) {
    throw new WmError(
      'WM_USAGE',
      `--expect "${part}": "${value}" is not a number of ${kind === 'count' ? 'things' : kind}.`,
    );
  }
  return Number(digits) * scale;
}

type Fact = number | readonly string[] | undefined;

/** Collects what a stream is like while it passes. */
export class StreamFacts {
  readonly #now: () => number;
  readonly #begun: number;
  readonly #media = new MediaTime();
  #header: AsfHeader | undefined;
  #commands: CommandReader | undefined;
  #video: ReadonlySet<number> = new Set();
  #firstAt: number | undefined;
  #lastAt: number;
  #lastSendTime: number | undefined;
  #bytes = 0;
  #ended = false;
  readonly #parts = new Map<number, { readonly size: number; data: Buffer[]; length: number }>();
  readonly #counts = {
    headers: 0,
    packets: 0,
    damaged: 0,
    frames: 0,
    keyframes: 0,
    objects: 0,
    commands: 0,
    gap: 0,
    jump: 0,
  };

  /** @param now a monotonic clock in ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#begun = now();
    this.#lastAt = this.#begun;
  }

  take(event: AsfEvent): void {
    this.#media.count(event);
    this.#ended = event.type === 'end' && event.reason === 0;
    if (event.type === 'header') {
      this.#header = event.header;
      this.#counts.headers++;
      this.#commands = new CommandReader(event.header);
      this.#video = new Set(event.header.streams.filter(({ type }) => type === 'video').map(({ number }) => number));
      this.#parts.clear();
      this.#lastSendTime = undefined;
    } else if (event.type === 'packet') this.#packet(event.packet);
  }

  #packet(packet: DataPacket): void {
    const now = this.#now();
    if (this.#firstAt !== undefined) this.#counts.gap = Math.max(this.#counts.gap, (now - this.#lastAt) / 1000);
    this.#firstAt ??= now;
    this.#lastAt = now;
    this.#counts.packets++;
    this.#bytes += packet.bytes.length;
    if (packet.damaged) this.#counts.damaged++;
    const step = this.#lastSendTime === undefined ? 0 : Math.abs((packet.sendTime - this.#lastSendTime) | 0);
    this.#counts.jump = Math.max(this.#counts.jump, step / 1000);
    this.#lastSendTime = packet.sendTime;
    this.#counts.commands += this.#commands?.read(packet).length ?? 0;
    for (const payload of packet.payloads) this.#payload(packet, payload);
  }

  #payload(packet: DataPacket, payload: Payload): void {
    const { stream, offset, compressed, key, objectSize, dataStart, dataLength } = payload;
    if (offset !== 0) this.#whole(packet, payload);
    if (offset !== 0) return;
    this.#counts.objects++;
    if (this.#video.has(stream)) {
      this.#counts.frames++;
      if (key) this.#counts.keyframes++;
    }
    if (compressed) return;
    const head = packet.bytes.subarray(dataStart, dataStart + dataLength);
    this.#parts.delete(stream);
    // Only objects that claim to be synthetic are looked at further.
    if (objectSize < MARK_SIZE || head.toString('latin1', 0, 4) !== 'WMST') return;
    this.#parts.set(stream, { size: objectSize, data: [], length: 0 });
    this.#whole(packet, payload);
  }

  #whole(packet: DataPacket, { stream, dataStart, dataLength, offset }: Payload): void {
    const part = this.#parts.get(stream);
    if (!part) return;
    if (offset !== part.length) {
      this.#counts.damaged++;
      this.#parts.delete(stream);
      return;
    }
    part.data.push(packet.bytes.subarray(dataStart, dataStart + dataLength));
    part.length += dataLength;
    if (part.length < part.size) return;
    this.#parts.delete(stream);
    if (!readMarkedObject(Buffer.concat(part.data))) this.#counts.damaged++;
  }

  /** Returns what is known by a name: a number, or the texts of which one has to match. */
  fact(name: string): Fact {
    const counts: Readonly<Record<string, number>> = this.#counts;
    const counted = Object.hasOwn(counts, name) ? counts[name] : undefined;
    if (counted !== undefined) return counted;
    const seconds = this.#media.milliseconds / 1000;
    if (name === 'duration') return seconds;
    if (name === 'rate') return seconds === 0 ? 0 : (this.#bytes * 8) / seconds;
    if (name === 'start')
      return this.#firstAt === undefined ? Number.POSITIVE_INFINITY : (this.#firstAt - this.#begun) / 1000;
    if (name === 'end') return [this.#ended ? 'clean' : 'broken'];
    return this.#header && headerFact(this.#header, name);
  }
}

function headerFact(header: AsfHeader, name: string): Fact {
  const streams = describeStreams(header);
  const texts = (found: readonly string[]) => (found.length > 0 ? found : ['none']);
  switch (name) {
    case 'video':
    case 'audio':
      return texts(streams.filter(({ type }) => type === name).map(({ codec }) => codec));
    case 'size':
      return texts(streams.flatMap(({ width, height }) => (width === undefined ? [] : [`${width}x${height}`])));
    case 'title':
      return texts(header.objects.flatMap((object) => (object.type === 'contentDescription' ? [object.title] : [])));
    case 'live':
      return [header.broadcast ? 'yes' : 'no'];
    case 'streams':
      return streams.length;
    case 'bitrate':
      return streams.reduce((sum, { bitrate }) => sum + bitrate, 0);
    default:
      return undefined;
  }
}

/** Writes codec names alike: `WMA 2`, `wma2` and `wmav2` are one. */
const plain = (text: string) =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9.]/g, '')
    .replace(/^wmav/, 'wma');

/** An expectation and whether it is met. @public */
export interface Outcome {
  readonly expectation: string;
  readonly met: boolean;
  /** What was found instead. */
  readonly found: string;
}

/** Compares what is expected with what a stream is like. */
export function judge(expectations: readonly Expectation[], facts: StreamFacts): Outcome[] {
  return expectations.map(({ name, operator, value, text }) => {
    const fact = facts.fact(name);
    const found = typeof fact === 'number' ? String(Math.round(fact * 1000) / 1000) : (fact?.join(', ') ?? 'nothing');
    return { expectation: text, met: fact !== undefined && isMet(fact, operator, value), found: `${name} is ${found}` };
  });
}

function isMet(fact: number | readonly string[], operator: ExpectationOperator, value: string | number): boolean {
  if (typeof fact !== 'number') {
    const wanted = plain(String(value));
    return fact.some((text) => plain(text) === wanted || text === value) === (operator === '=');
  }
  const number = Number(value);
  switch (operator) {
    case '=':
      return fact === number;
    case '!=':
      return fact !== number;
    case '<':
      return fact < number;
    case '<=':
      return fact <= number;
    case '>':
      return fact > number;
    case '>=':
      return fact >= number;
  }
}
