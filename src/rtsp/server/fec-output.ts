import type { PlayerOutput, WireBatch } from '../../media/wire.js';
import { FecSpan } from '../messages/fec.js';
import type { FecParameters } from '../messages/headers.js';
import { RTP_HEAD_SIZE, readRtp } from '../messages/rtp.js';
import { BLOCK_SIZE } from './wire.js';

/** The payload type of FEC packets in every SDP. */
export const FEC_PAYLOAD_TYPE = 98;
/** Numbers that the mask of an FEC packet covers. */
const MASK_BITS = 24;
const MAX_PER_SPAN = 4;

/** FEC packets have an SSRC of their own, which follows from that of the packets that they protect. */
export function fecSsrcOf(ssrc: number): number {
  return (ssrc ^ 0x46454300) >>> 0;
}

/**
 * Returns what is granted of the parameters that a client asks for (MS-RTSP 2.2.6.11): at most 4 FEC packets of a span,
 * each of which takes the time to multiply every byte. The text allows spans of 25 numbers, but the mask of an FEC packet
 * covers only 24; such spans lie closer together.
 */
export function grantedFec({ span, perSpan, burstMargin }: FecParameters): FecParameters {
  const closest = span === 1 ? burstMargin : Math.floor((MASK_BITS - 1) / (span - 1));
  return { span, perSpan: Math.min(perSpan, MAX_PER_SPAN), burstMargin: Math.min(burstMargin, closest) };
}

/** How far the FEC packets of a sequence of RTP packets are; does not change. */
class Progress {
  /** What follows after a batch: players whose batches have been the same so far share it. */
  readonly #steps = new WeakMap<WireBatch, Step>();
  /** The spans in the making, which take packets in turn, and the packets that they have. */
  readonly #spans: readonly FecSpan[];
  readonly #count: number;
  readonly #parameters: FecParameters;
  /** The number of the last source packet; undefined if the next one may have any. */
  readonly #last: number | undefined;
  /** The number of the next FEC packet. */
  readonly #sequence: number;

  private constructor(
    parameters: FecParameters,
    spans: readonly FecSpan[],
    count: number,
    last: number | undefined,
    sequence: number,
  ) {
    this.#parameters = parameters;
    this.#spans = spans;
    this.#count = count;
    this.#last = last;
    this.#sequence = sequence;
  }

  static begin(parameters: FecParameters): Progress {
    return new Progress(parameters, spansOf(parameters), 0, undefined, 0);
  }

  /** Returns the batch with FEC packets after each span that it completes. */
  after(batch: WireBatch): Step {
    let step = this.#steps.get(batch);
    if (!step) {
      step = this.#take(batch);
      this.#steps.set(batch, step);
    }
    return step;
  }

  #take(batch: WireBatch): Step {
    const batches: WireBatch[] = [];
    let spans = this.#spans.map((span) => span.copy());
    let [count, last, sequence] = [this.#count, this.#last, this.#sequence];
    let [start, unitsBefore] = [0, 0];
    const cut = (end: number, units: number) => {
      if (units > unitsBefore) {
        const ends = batch.ends.slice(unitsBefore, units).map((each) => each - start);
        batches.push({ bytes: batch.bytes.subarray(start, end), ends });
      }
      [start, unitsBefore] = [end, units];
    };
    let from = 0;
    for (const [unit, end] of batch.ends.entries()) {
      const packet = readRtp(batch.bytes.subarray(from, end));
      from = end;
      // After a gap, a span would have numbers that were never sent.
      if (last !== undefined && packet.sequence !== ((last + 1) & 0xffff) && count > 0) {
        spans = spansOf(this.#parameters);
        count = 0;
      }
      last = packet.sequence;
      spans[count % spans.length]!.add(packet);
      count++;
      if (!spans.every(({ complete }) => complete)) continue;
      cut(end, unit + 1);
      const ssrc = fecSsrcOf(packet.ssrc);
      const packets = interleaved(spans, (span, index) =>
        span.packet(index, { payloadType: FEC_PAYLOAD_TYPE, ssrc, sequence: sequence++ }),
      );
      batches.push(batchOf(packets));
      spans = spansOf(this.#parameters);
      count = 0;
    }
    // The units of a batch without FEC packets go on as they are.
    if (batches.length === 0) batches.push(batch);
    else cut(batch.bytes.length, batch.ends.length);
    return { batches, next: new Progress(this.#parameters, spans, count, last, sequence & 0xffff) };
  }
}

interface Step {
  readonly batches: readonly WireBatch[];
  readonly next: Progress;
}

function spansOf({ span, perSpan, burstMargin }: FecParameters): FecSpan[] {
  return Array.from({ length: burstMargin }, () => new FecSpan(span, perSpan, BLOCK_SIZE - RTP_HEAD_SIZE));
}

/** The first FEC packet of each span, then the second of each, and so on (MS-RTSP 3.2.4.3). */
function interleaved(spans: readonly FecSpan[], make: (span: FecSpan, index: number) => Buffer): Buffer[] {
  return Array.from({ length: spans[0]!.count }, (_, index) => spans.map((span) => make(span, index))).flat();
}

function batchOf(packets: readonly Buffer[]): WireBatch {
  let end = 0;
  return { bytes: Buffer.concat(packets), ends: packets.map(({ length }) => (end += length)) };
}

/** By their parameters, of which there are less than a thousand. */
const beginnings = new Map<string, Progress>();

function beginningOf(parameters: FecParameters): Progress {
  const key = `${parameters.span} ${parameters.perSpan} ${parameters.burstMargin}`;
  const beginning = beginnings.get(key) ?? Progress.begin(parameters);
  beginnings.set(key, beginning);
  return beginning;
}

/**
 * Sends FEC packets after each span of RTP packets, to one player that has asked for them in SETUP (MS-RTSP 3.2.4.3).
 * Players that began with the same batch, with the same parameters, share the FEC packets as they share the batches.
 */
export class FecOutput implements PlayerOutput {
  readonly framing = 'datagrams';
  readonly #inner: PlayerOutput;
  #progress: Progress;

  /** @param parameters as {@link grantedFec} returns them */
  constructor(inner: PlayerOutput, parameters: FecParameters) {
    this.#inner = inner;
    this.#progress = beginningOf(parameters);
  }

  get backlog(): number {
    return this.#inner.backlog;
  }

  put(batch: WireBatch, done?: () => void): void {
    const { batches, next } = this.#progress.after(batch);
    this.#progress = next;
    let pending = batches.length;
    const part = done && (() => --pending === 0 && done());
    for (const each of batches) this.#inner.put(each, part);
  }

  drained(then: () => void): void {
    this.#inner.drained(then);
  }

  limit(bitsPerSecond: number | undefined): void {
    this.#inner.limit?.(bitsPerSecond);
  }

  destroy(): void {
    this.#inner.destroy();
  }
}
