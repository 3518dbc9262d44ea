import { describeStreams } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import { type ClientLogFields, type ClientLogKind, clientLogXml, legacyLogLine } from '../wmlog/client-log.js';
import type { ReceivedMetadata } from './client-packets.js';
import type { ClientIdentity } from './client-product.js';

export interface ReportContext {
  readonly identity: ClientIdentity;
  readonly playerId: string;
  readonly requestedUrl: string;
}

/** What is reported beside the counts. */
export interface ReportState {
  readonly usedUrl: string;
  readonly header: AsfHeader | undefined;
  readonly metadata: ReceivedMetadata | undefined;
  readonly live: boolean;
  readonly reconnected: boolean;
  readonly rate: number;
}

/**
 * Counts what was streamed since the last Play or playlist entry, for the Log that follows it ([MS-WMLOG] 2.5, 2.6), and what was
 * passed on of the entry in all, for the Rendering Log (2.7).
 */
export class StreamReport {
  readonly #context: ReportContext;
  #packets = 0;
  #bytes = 0;
  #firstSendTime = 0;
  #lastSendTime = 0;
  #firstAt = 0;
  #lastAt = 0;
  // Of earlier Plays of the session, pauses left out: bytes, and ms.
  #bytesBefore = 0;
  #receivingBefore = 0;
  // Of earlier Plays of the entry.
  #renderedBefore = 0;
  #renderedFrom: number | undefined;

  constructor(context: ReportContext) {
    this.#context = context;
  }

  /** The server knows nothing of what came before: another session begins. */
  newSession(): void {
    this.restart('same');
    this.#bytesBefore = 0;
    this.#receivingBefore = 0;
  }

  /** Counts from 0 again. @param entry for a Play of the `same` playlist entry or for `another` one */
  restart(entry: 'same' | 'another'): void {
    this.#renderedBefore = entry === 'same' ? this.#renderedBefore + this.#duration : 0;
    if (entry === 'another') this.#renderedFrom = undefined;
    this.#bytesBefore += this.#bytes;
    this.#receivingBefore += this.#receiving;
    this.#packets = 0;
    this.#bytes = 0;
  }

  /** @param now ms of a clock that only goes forward */
  packet(size: number, sendTime: number, now: number): void {
    if (this.#packets === 0) {
      this.#renderedFrom ??= sendTime;
      this.#firstSendTime = sendTime;
      this.#firstAt = now;
    }
    this.#packets++;
    this.#bytes += size;
    this.#lastSendTime = sendTime;
    this.#lastAt = now;
  }

  /** The text of a log, in the form that the server wants; only a Legacy Log can be a `line`. */
  text(kind: ClientLogKind, form: 'xml' | 'line', state: ReportState): string {
    const fields = this.#fields(state);
    if (form === 'line') return legacyLogLine(fields);
    if (kind !== 'rendering') return clientLogXml(kind, fields);
    const duration = this.#renderedBefore + this.#duration;
    const startTime = state.live ? 0 : (this.#renderedFrom ?? 0) / 1000;
    return clientLogXml(kind, { ...fields, startTime, duration });
  }

  /** Milliseconds of content since the last restart. */
  get #duration(): number {
    return this.#packets === 0 ? 0 : Math.abs((this.#lastSendTime - this.#firstSendTime) | 0);
  }

  /** Milliseconds in which the content came, since the last restart. */
  get #receiving(): number {
    return this.#packets === 0 ? 0 : this.#lastAt - this.#firstAt;
  }

  /** Bits per second since the session began, without the pauses in it ([MS-WMLOG] 2.1.2); undefined while nothing has come. */
  get #averageBandwidth(): number | undefined {
    const milliseconds = this.#receivingBefore + this.#receiving;
    return milliseconds <= 0 ? undefined : ((this.#bytesBefore + this.#bytes) * 8000) / milliseconds;
  }

  #fields({ usedUrl, header, metadata, live, reconnected, rate }: ReportState): ClientLogFields {
    const { identity, playerId, requestedUrl } = this.#context;
    const streams = header === undefined ? [] : describeStreams(header);
    const codecs = (type: string) => streams.filter((stream) => stream.type === type).map(({ codec }) => codec);
    const file = live ? undefined : header?.fileProperties;
    const length = file === undefined ? 0 : Number(file.playDuration) / 1e7 - file.preroll / 1000;
    return {
      now: new Date(),
      usedUrl,
      requestedUrl,
      startTime: live || this.#packets === 0 ? 0 : this.#firstSendTime / 1000,
      duration: this.#duration,
      receiving: this.#receiving,
      rate,
      reconnected,
      playerId,
      playerVersion: /\/([\d.]+)/.exec(identity.text)?.[1] ?? '-',
      userAgent: identity.text,
      fileLength: length,
      fileSize: file === undefined ? 0 : Number(file.fileSize),
      averageBandwidth: this.#averageBandwidth,
      audioCodecs: codecs('audio'),
      videoCodecs: codecs('video'),
      bytes: this.#bytes,
      packets: this.#packets,
      descriptions: metadata?.descriptions ?? [],
    };
  }
}
