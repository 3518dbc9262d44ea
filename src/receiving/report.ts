import { describeStreams } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import {
  type ClientLogFields,
  type ClientLogKind,
  clientLogXml,
  type LossLogFields,
  legacyLogLine,
} from '../wmlog/client-log.js';
import type { LogPair } from '../wmlog/xml.js';
import type { Received } from './received.js';

/** The facts about a player that its logs repeat. */
export interface ReportContext {
  /** The whole User-Agent. */
  readonly userAgent: string;
  readonly playerId: string;
  readonly requestedUrl: string;
}

/** The state that is reported in addition to the counts. */
export interface ReportState {
  readonly usedUrl: string;
  readonly header: AsfHeader | undefined;
  /** From the server's content description. */
  readonly descriptions: readonly LogPair[];
  readonly live: boolean;
  readonly reconnected: boolean;
  readonly rate: number;
  /** Default: HTTP. */
  readonly protocol?: ClientLogFields['protocol'];
  /** Default: TCP. */
  readonly transport?: ClientLogFields['transport'];
  /** For datagrams only. */
  readonly losses?: LossLogFields | undefined;
}

/** Builds the logs of a session from what was received. */
export class StreamReport {
  readonly #context: ReportContext;
  readonly #received: Received;

  constructor(context: ReportContext, received: Received) {
    this.#context = context;
    this.#received = received;
  }

  /** Returns the text of a log in the form that the server wants; only a Legacy Log can be a `line`. */
  text(kind: ClientLogKind, form: 'xml' | 'line', state: ReportState): string {
    const fields = this.#fields(state);
    if (form === 'line') return legacyLogLine(fields);
    if (kind !== 'rendering') return clientLogXml(kind, fields);
    const { start, duration } = this.#received.entry;
    return clientLogXml(kind, { ...fields, startTime: state.live ? 0 : start / 1000, duration });
  }

  #fields({ header, descriptions, ...state }: ReportState): ClientLogFields {
    const { userAgent, playerId, requestedUrl } = this.#context;
    const { live } = state;
    const { packets, bytes, firstSendTime, duration, receiving, averageBandwidth } = this.#received;
    const streams = header === undefined ? [] : describeStreams(header);
    const codecs = (type: string) => streams.filter((stream) => stream.type === type).map(({ codec }) => codec);
    const file = live ? undefined : header?.fileProperties;
    const length = file === undefined ? 0 : Number(file.playDuration) / 1e7 - file.preroll / 1000;
    return {
      ...state,
      now: new Date(),
      requestedUrl,
      startTime: live ? 0 : firstSendTime / 1000,
      duration,
      receiving,
      playerId,
      playerVersion: /\/([\d.]+)/.exec(userAgent)?.[1] ?? '-',
      userAgent,
      fileLength: length,
      fileSize: file === undefined ? 0 : Number(file.fileSize),
      averageBandwidth,
      audioCodecs: codecs('audio'),
      videoCodecs: codecs('video'),
      bytes,
      packets,
      descriptions,
    };
  }
}
