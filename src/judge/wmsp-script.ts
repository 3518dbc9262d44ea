import { randomBytes, randomInt } from 'node:crypto';
import { pause } from '../abort.js';
import { steadyNow } from '../clock.js';
import type { Field } from '../framing/text-head.js';
import { serialiseRequestHead } from '../http/message.js';
import { clientLogXml, legacyLogLine } from '../wmlog/client-log.js';
import { parseServerProduct } from '../wmsp/client/product.js';
import { PragmaTokens } from '../wmsp/messages/pragma.js';
import { JudgeConnection } from './connection.js';
import type { Exchange, ResponseMessage } from './exchanges.js';
import type { ConnectionRecord, Recorder } from './recording.js';
import { readStream, type StreamRecord } from './stream.js';

/** A server that is to be judged. */
export interface ServerTarget {
  readonly host: string;
  readonly port: number;
  /** With its query. */
  readonly path: string;
  /** What the Host field says. */
  readonly authority: string;
}

/** How long each part of a session may take. */
export interface ScriptTimes {
  /** Reception of media at normal speed, in ms. */
  readonly play: number;
  /** The longest wait for a response, in ms. */
  readonly answer: number;
}

/** One step of the session: what was asked, and what came of it. */
export interface Step {
  readonly name: StepName;
  readonly exchanges: readonly Exchange[];
  /** Undefined if there was none. */
  readonly connection?: ConnectionRecord | undefined;
  /** The response that the step is about. */
  readonly response: ResponseMessage | undefined;
  readonly pragma: PragmaTokens;
  /** Media that came in it. */
  readonly stream?: StreamRecord | undefined;
  /** Why nothing could be asked. */
  readonly failed?: string | undefined;
  /** The values that the rules compare with. */
  readonly asked?: Readonly<Record<string, number>> | undefined;
}

export type StepName =
  | 'Describe'
  | 'second Describe'
  | 'Describe of an old player'
  | 'Describe with packet pair'
  | 'Describe with an unknown client-id'
  | 'Describe of an unknown path'
  | 'Play'
  | 'second Play'
  | 'Play of a session that is streaming'
  | 'Play of one stream'
  | 'Play from the middle'
  | 'Play of the end'
  | 'Log'
  | 'Log with an unknown client-id'
  | 'KeepAlive'
  | 'GetContentInfo'
  | 'HEAD'
  | 'no Host'
  | 'no User-Agent'
  | 'a browser'
  | 'malformed request'
  | 'unknown method'
  | 'request of two types'
  | 'pipelined Describe'
  | 'Pipeline'
  | 'pipelined Play';

/** What came of a whole session with a server. */
export interface ServerObservation {
  readonly steps: ReadonlyMap<StepName, Step>;
  /** Every exchange of all steps. */
  readonly exchanges: readonly Exchange[];
}

const PLAYER = 'NSPlayer/12.0.7680.0';
const OLD_PLAYER = 'NSPlayer/7.1.0.3055';
/** What a player of 9.0 and later can; without startupprofile, so that a server must not send one. */
const SUPPORTED = 'com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm';
const NOWHERE = 'stream-offset=4294967295:4294967295,packet-num=4294967295,max-duration=0';
const NO_TOKENS = new PragmaTokens([]);

interface Session {
  readonly guid: string;
  readonly id: number | undefined;
  readonly streams: readonly number[];
}

/** Drives the requests of a scripted session; it judges nothing itself. */
export class WmspScript {
  readonly #recorder: Recorder;
  readonly #target: ServerTarget;
  readonly #times: ScriptTimes;
  readonly #onStep: (name: StepName) => void;
  readonly #signal: AbortSignal;
  readonly #steps = new Map<StepName, Step>();
  readonly #exchanges: Exchange[] = [];
  #keepsNine = false;

  constructor(
    recorder: Recorder,
    target: ServerTarget,
    { times, signal, onStep }: { times: ScriptTimes; signal: AbortSignal; onStep: (name: StepName) => void },
  ) {
    this.#recorder = recorder;
    this.#target = target;
    this.#times = times;
    this.#signal = signal;
    this.#onStep = onStep;
  }

  /** Runs the session. @returns the reason if the server cannot be reached at all */
  async run(): Promise<ServerObservation | string> {
    const guid = newGuid();
    const described = await this.#get('Describe', this.#describeFields(PLAYER, guid));
    if (described.failed !== undefined) return described.failed;
    const session = sessionOf(described, guid);
    this.#keepsNine = (parseServerProduct(described.response?.headers.get('Server'), true)?.major ?? 0) >= 9;
    await this.#requests(session.id);
    await this.#media(session, described);
    await this.#pipelined();
    return { steps: this.#steps, exchanges: this.#exchanges };
  }

  /** The requests that need no media. */
  async #requests(id: number | undefined): Promise<void> {
    const { path } = this.#target;
    const unknown = randomInt(0x7000_0000, 0x7fff_ffff);
    const describe = this.#describeFields(PLAYER, newGuid());
    await this.#get('Describe of an old player', this.#describeFields(OLD_PLAYER, newGuid(), undefined));
    await this.#get('Describe with packet pair', [...describe, ['Pragma', 'packet-pair-experiment=1']]);
    await this.#get('Describe with an unknown client-id', [...describe, ['Pragma', `client-id=${unknown}`]]);
    const nowhere = `${path.split('?')[0]!.replace(/\/$/, '')}-${randomBytes(4).toString('hex')}`;
    await this.#get('Describe of an unknown path', describe, nowhere);
    await this.#ask('HEAD', 'HEAD', describe);
    await this.#ask('GetContentInfo', 'POST', this.#postFields('application/x-wms-getcontentinfo', 1), Buffer.alloc(1));
    const log = this.#log(unknown);
    await this.#ask('Log with an unknown client-id', 'POST', log.fields, log.body);
    if (id !== undefined) {
      await this.#ask('KeepAlive', 'POST', [
        ...this.#agent(PLAYER),
        ['Pragma', `no-cache,xKeepAliveInPause=1,client-id=${id}`],
        ['Content-Length', '0'],
      ]);
      await this.#ask('request of two types', 'POST', [
        ...this.#agent(PLAYER),
        ['Pragma', `no-cache,xStopStrm=1,xKeepAliveInPause=1,client-id=${id}`],
        ['Pragma', 'stream-switch-count=1'],
        ['Pragma', 'stream-switch-entry=ffff:1:0'],
        ['Content-Length', '0'],
      ]);
    }
    const host: Field = ['Host', this.#target.authority];
    await this.#ask(
      'no Host',
      'GET',
      [
        ['User-Agent', PLAYER],
        ['Pragma', 'no-cache'],
      ],
      undefined,
      1,
    );
    await this.#ask('no User-Agent', 'GET', [host, ['Pragma', 'no-cache,xPlayStrm=1']]);
    await this.#ask('a browser', 'GET', [host, ['User-Agent', 'Mozilla/5.0'], ['Pragma', 'no-cache']]);
    await this.#ask('unknown method', 'BREW', describe);
    await this.#raw('malformed request', Buffer.from(`GET ${path}\u0001 HTTP\r\n\r\n`, 'latin1'));
  }

  /** Two players at the same time, then seeking and the end of a file. */
  async #media(session: Session, described: Step): Promise<void> {
    if (session.streams.length === 0) return;
    const guid = newGuid();
    const other = sessionOf(await this.#get('second Describe', this.#describeFields(PLAYER, guid)), guid);
    await Promise.all([
      this.#play('Play', session, { time: this.#times.play }),
      this.#play('second Play', other, { time: this.#times.play * 0.8 }),
      this.#playAgain(other),
    ]);
    const log = this.#log(session.id ?? 0);
    await this.#ask('Log', 'POST', log.fields, log.body);
    if (session.streams.length > 1) {
      await this.#play('Play of one stream', session, { time: 1_200, streams: session.streams.slice(-1) });
    }
    const duration = durationOf(described);
    const isSeekable = described.pragma.text('features')?.includes('seekable') ?? false;
    if (duration === undefined) return;
    if (isSeekable) await this.#play('Play from the middle', session, { time: 1_200, from: Math.round(duration / 2) });
    const last = isSeekable ? Math.max(0, duration - 1_500) : 0;
    if (duration - last < this.#times.play) {
      await this.#play('Play of the end', session, { time: duration - last + 4_000, from: last });
    }
  }

  /** Asks again for what the other connection of a session streams. */
  async #playAgain(session: Session): Promise<void> {
    await pause(this.#times.play * 0.3, this.#signal);
    // Only a server that gave out an id can know the session.
    if (session.id !== undefined)
      await this.#play('Play of a session that is streaming', session, { time: this.#times.play * 0.2 });
  }

  /** A session on one connection with HTTP/1.1 (MS-WMSP 3.1.4.2.1, 3.1.4.3). */
  async #pipelined(): Promise<void> {
    const connection = await this.#open('pipelined Describe');
    if (!connection) return;
    const guid = newGuid();
    this.#send(connection, 'GET', [...this.#describeFields(PLAYER, guid), ['Pragma', 'pipeline-experiment=1']], 1);
    await connection.answered(1, this.#times.answer);
    const described = this.#note('pipelined Describe', connection);
    const session = sessionOf(described, guid);
    if (described.pragma.number('pipeline-experiment') !== 1 || session.id === undefined || connection.closed) {
      connection.close();
      return;
    }
    const pipeline: Field[] = [
      ...this.#agent(PLAYER),
      ['Pragma', `no-cache,pipeline-request=1,client-id=${session.id}`],
      ['Connection', 'keep-alive'],
    ];
    this.#send(connection, 'GET', pipeline, 1);
    this.#send(connection, 'GET', pipeline, 1);
    await connection.answered(3, this.#times.answer);
    this.#note('Pipeline', connection, 1);
    if (session.streams.length > 0 && !connection.closed) await this.#pipelinedPlay(connection, session);
    connection.close();
    this.#exchanges.push(...connection.read().exchanges);
  }

  async #pipelinedPlay(connection: JudgeConnection, session: Session): Promise<void> {
    const before = connection.read().exchanges.length;
    const begun = steadyNow();
    this.#send(connection, 'GET', [...this.#playFields(session, {}), ['Pragma', 'version11-enabled=1']], 1);
    await connection.receive(800);
    const id = `client-id=${session.id}`;
    this.#send(connection, 'OPTIONS', [...this.#agent(PLAYER), ['Pragma', id]], 1, '*');
    await connection.receive(500);
    const stopped = steadyNow();
    this.#send(
      connection,
      'POST',
      [...this.#agent(PLAYER), ['Pragma', `xStopStrm=1,${id}`], ['Content-Length', '0']],
      1,
    );
    await connection.answered(before + 3, this.#times.answer);
    const asked = { before, begun, stopped };
    const { exchanges } = this.#note('pipelined Play', connection, before, asked);
    const body = exchanges[0]?.response?.body ?? [];
    const stream = readStream('wmsp', [body], { until: stopped, closed: true });
    this.#steps.set('pipelined Play', { ...this.#steps.get('pipelined Play')!, stream });
  }

  async #play(
    name: StepName,
    session: Session,
    how: { readonly time: number; readonly from?: number; readonly streams?: readonly number[] },
  ): Promise<void> {
    if (this.#signal.aborted) return;
    const connection = await this.#open(name);
    if (!connection) return;
    this.#send(connection, 'GET', this.#playFields(session, how));
    await connection.receive(how.time);
    const closed = connection.closed;
    const until = steadyNow();
    connection.close();
    const { from = 0, streams = session.streams } = how;
    const step = this.#note(name, connection, 0, { from, only: streams.length === 1 ? streams[0]! : 0 });
    const bodies = step.exchanges.map(({ response }) => response?.body ?? []);
    this.#steps.set(name, { ...step, stream: readStream('wmsp', bodies, { until, closed }) });
    this.#exchanges.push(...step.exchanges);
  }

  async #get(name: StepName, fields: readonly Field[], path?: string): Promise<Step> {
    return this.#ask(name, 'GET', fields, undefined, 0, path);
  }

  /** One request on a connection of its own. */
  async #ask(
    name: StepName,
    method: string,
    fields: readonly Field[],
    body?: Buffer,
    minorVersion: 0 | 1 = 0,
    path?: string,
  ): Promise<Step> {
    const target = path ?? this.#target.path;
    const head = serialiseRequestHead(method, target, fields, minorVersion);
    return this.#raw(name, body ? Buffer.concat([head, body]) : head);
  }

  async #raw(name: StepName, bytes: Buffer): Promise<Step> {
    if (this.#signal.aborted)
      return { name, exchanges: [], response: undefined, pragma: NO_TOKENS, failed: 'interrupted' };
    this.#onStep(name);
    const opened = await JudgeConnection.open(this.#recorder, {
      ...this.#target,
      label: name,
      timeout: this.#times.answer,
    });
    if (typeof opened === 'string') {
      const step: Step = { name, exchanges: [], response: undefined, pragma: NO_TOKENS, failed: opened };
      this.#steps.set(name, step);
      return step;
    }
    opened.send(bytes);
    await opened.answered(1, this.#times.answer);
    // Something may follow that nobody asked for: the body of a response to HEAD.
    if (name === 'HEAD') await opened.receive(200);
    opened.close();
    const step = this.#note(name, opened);
    this.#exchanges.push(...step.exchanges);
    return step;
  }

  async #open(label: StepName): Promise<JudgeConnection | undefined> {
    if (this.#signal.aborted) return undefined;
    this.#onStep(label);
    const { answer } = this.#times;
    const opened = await JudgeConnection.open(this.#recorder, { ...this.#target, label, timeout: answer });
    if (typeof opened !== 'string') return opened;
    this.#steps.set(label, { name: label, exchanges: [], response: undefined, pragma: NO_TOKENS, failed: opened });
    return undefined;
  }

  #send(
    connection: JudgeConnection,
    method: string,
    fields: readonly Field[],
    minorVersion: 0 | 1 = 0,
    path?: string,
  ): void {
    connection.send(serialiseRequestHead(method, path ?? this.#target.path, fields, minorVersion));
  }

  /** Writes down a step. @param from the number of exchanges of the connection that belong to earlier steps */
  #note(name: StepName, connection: JudgeConnection, from = 0, asked?: Readonly<Record<string, number>>): Step {
    const exchanges = connection.read().exchanges.slice(from);
    const response = exchanges[0]?.response;
    const step: Step = { name, exchanges, connection: connection.record, response, pragma: pragmaOf(response), asked };
    this.#steps.set(name, step);
    return step;
  }

  #agent(product: string): Field[] {
    return [
      ['User-Agent', product],
      ['Host', this.#target.authority],
    ];
  }

  #describeFields(product: string, guid: string, supported: string | undefined = SUPPORTED): Field[] {
    return [
      ...this.#agent(product),
      ['Accept', '*/*'],
      ...(product === OLD_PLAYER || supported === undefined ? [] : [['Supported', supported] as const]),
      ['Pragma', `no-cache,rate=1.000,stream-time=0,${NOWHERE}`],
      ['Pragma', `xClientGUID={${guid}}`],
    ];
  }

  #playFields(
    { guid, id, streams: all }: Session,
    { from = 0, streams = all }: { readonly from?: number; readonly streams?: readonly number[] },
  ): Field[] {
    const entries = all.map((number) => `ffff:${number.toString(16)}:${streams.includes(number) ? 0 : 2}`);
    return [
      ...this.#agent(PLAYER),
      ['Accept', '*/*'],
      ['Supported', SUPPORTED],
      ['Pragma', `no-cache,rate=1.000,stream-time=${from},${NOWHERE}`],
      ['Pragma', `xPlayStrm=1`],
      ['Pragma', `xClientGUID={${guid}}`],
      ...(id === undefined ? [] : [['Pragma', `client-id=${id}`] as const]),
      ['Pragma', `AccelBW=${ACCELERATION},AccelDuration=3000`],
      ['Pragma', `stream-switch-count=${all.length}`],
      ['Pragma', `stream-switch-entry=${entries.join(' ')}`],
    ];
  }

  #postFields(type: string, length: number): Field[] {
    return [...this.#agent(PLAYER), ['Pragma', 'no-cache'], ['Content-Type', type], ['Content-Length', String(length)]];
  }

  /** A log as a server of this version takes it (MS-WMSP 3.1.4.6). */
  #log(id: number): { fields: Field[]; body: Buffer | undefined } {
    const report = logFields(`http://${this.#target.authority}${this.#target.path}`);
    const common: Field[] = [...this.#agent(PLAYER), ['Pragma', `no-cache,client-id=${id}`]];
    if (!this.#keepsNine) {
      return {
        fields: [...common, ['Pragma', `log-line=${legacyLogLine(report)}`], ['Content-Length', '0']],
        body: undefined,
      };
    }
    const body = Buffer.from(clientLogXml('legacy', report), 'utf8');
    const type: Field = ['Content-Type', 'application/x-wms-LogStats;charset=UTF-8'];
    return { fields: [...common, type, ['Content-Length', String(body.length)]], body };
  }
}

/** What is asked for as AccelBW, in bits per second. */
export const ACCELERATION = 3_500_000;

function logFields(url: string) {
  return {
    now: new Date(),
    usedUrl: url,
    requestedUrl: url,
    startTime: 0,
    duration: 1_000,
    receiving: 1_000,
    rate: 1,
    reconnected: false,
    playerId: `{${newGuid()}}`,
    playerVersion: '12.0.7680.0',
    userAgent: PLAYER,
    fileLength: 0,
    fileSize: 0,
    averageBandwidth: undefined,
    audioCodecs: [],
    videoCodecs: [],
    bytes: 0,
    packets: 0,
    descriptions: [],
  } as const;
}

function newGuid(): string {
  return randomBytes(16)
    .toString('hex')
    .toUpperCase()
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export function pragmaOf(response: ResponseMessage | undefined): PragmaTokens {
  return new PragmaTokens(response?.headers.all('Pragma') ?? []);
}

/** Returns what a Describe says for the requests after it. */
function sessionOf({ response, pragma }: Step, guid: string): Session {
  const stream = describedStream(response);
  const streams = stream?.entries[0]?.header?.streams.map(({ number }) => number) ?? [];
  return { guid, id: pragma.number('client-id'), streams };
}

/** Reads the body of a Describe response. */
export function describedStream(response: ResponseMessage | undefined): StreamRecord | undefined {
  if (response?.status !== 200) return undefined;
  return readStream('wmsp', [response.body], { until: response.endedAt ?? response.at, closed: true });
}

/** Returns the length of what was described in ms; undefined for a broadcast. */
function durationOf({ response }: Step): number | undefined {
  const header = describedStream(response)?.entries[0]?.header;
  if (!header || header.broadcast) return undefined;
  return Math.max(0, Math.round(Number(header.fileProperties.playDuration) / 1e4) - header.preroll);
}
