import type { Socket } from 'node:net';
import { callerOf, finishFields, headerRefusal } from '../../auth/header-dialog.js';
import { messageOf, WmError } from '../../errors.js';
import { type Field, serialiseHead } from '../../framing/text-head.js';
import { plainAddress } from '../../http/addresses.js';
import type { RequestHead } from '../../http/message.js';
import { peerOf } from '../../http/peer.js';
import { gather, socketOutput } from '../../media/socket-output.js';
import type { PlayerOutput } from '../../media/wire.js';
import { type ContentRequest, isRedirect, type Redirect } from '../../playback/content.js';
import type { Pass } from '../../playback/entrance.js';
import { PULL_CHAIN_FIELD, parsePullChain } from '../../receiving/pull-chain.js';
import { Refusal } from '../../refusal.js';
import { relayedOf } from '../../wms/relayed.js';
import { RtspError } from '../messages/error.js';
import { readNumber, readSession } from '../messages/headers.js';
import { RtspReader, type RtspRequest, serialiseRequest, serialiseResponse } from '../messages/message.js';
import { REFUSAL_STATUS, RTSP_SERVER_NAME, SUPPORTED } from './fields.js';
import type { RtspHost } from './host.js';
import type { SessionLink } from './link.js';
import type { Reply } from './reply.js';
import { type Answers, clientOf, handle } from './requests.js';
import type { RtspSession } from './session.js';

/** Requests that wait for those before them; the client is read no further while there are more. */
const MAX_WAITING = 32;
/** The longest body of a request: logs are far below. */
const MAX_BODY = 256 * 1024;
/** Answers that a client does not read may take so many bytes, besides media. */
const MAX_ANSWERS_BEHIND = 1024 * 1024;
/** Requests that are answered in one heartbeat, and its length in ms (MS-RTSP 3.2.5.1). */
const MAX_TRANSACTIONS = 240;
const HEARTBEAT = 30_000;
/** What a session's clients are told, in seconds. */
const TIMEOUT = 60;

/** Milliseconds. */
export interface RtspTimers {
  /** For a session that plays by UDP, or that has lost its connection, to send its next request (MS-RTSP 3.2.6.2). */
  readonly idle: number;
  /** The same for a paused session on its connection: many players send no requests while they are paused. */
  readonly paused: number;
  /** A connection without a session is closed after so long without a request. */
  readonly setUp: number;
}

/** One client's TCP connection: requests are answered in their order, whatever they wait for. */
export class RtspConnection implements SessionLink, Answers {
  readonly socket: Socket;
  readonly host: RtspHost<RtspSession>;
  readonly tcp: PlayerOutput;
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly address: string;
  session: RtspSession | undefined;
  described: Answers['described'];
  readonly #gone = new AbortController();
  readonly #reader = new RtspReader({ maxBody: MAX_BODY });
  readonly #waiting: RtspRequest[] = [];
  readonly #local: boolean;
  #working = false;
  #broken: RtspError | undefined;
  #ending = false;
  /** True once another process has the connection. */
  #passedOn = false;
  #usedAt: number;
  #sequence = 0;
  #transactions = 0;
  #heartbeatAt = Number.NEGATIVE_INFINITY;

  constructor(socket: Socket, host: RtspHost<RtspSession>) {
    this.socket = socket;
    this.host = host;
    const peer = peerOf(socket);
    this.remoteAddress = plainAddress(peer.remoteAddress);
    this.#local = peer.local;
    this.address = plainAddress(socket.remoteAddress ?? '');
    this.localAddress = plainAddress(socket.localAddress ?? '');
    this.#usedAt = host.now();
    this.tcp = socketOutput(socket);
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#close());
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get offersUdp(): boolean {
    return this.remoteAddress === this.address;
  }

  get bytesWritten(): number {
    return this.socket.bytesWritten;
  }

  request(method: string, url: string, fields: readonly Field[], body: Buffer): void {
    if (this.#ending) return;
    const all: Field[] = [
      ['CSeq', `${++this.#sequence}`],
      ['Date', new Date().toUTCString()],
      ['Server', RTSP_SERVER_NAME],
      ...fields,
    ];
    this.#write(serialiseRequest(method, url, all, body));
  }

  end(): void {
    this.#ending = true;
    this.#waiting.length = 0;
    this.socket.end();
    // What the client goes on to say has nobody to read it.
    this.socket.resume();
  }

  /** Looks at the timers. */
  tick(now: number, { setUp }: RtspTimers): void {
    if (this.#passedOn) return;
    if (this.#ending || (!this.session && !this.#working && now - this.#usedAt > setUp)) this.socket.destroy();
  }

  /**
   * Asks whether the client may have content.
   *
   * @throws Refusal
   */
  enter(request: RtspRequest, path: string, purpose: ContentRequest['purpose']): Promise<Pass | Redirect> {
    const { remoteAddress } = this;
    const from = {
      request: headOf(request),
      connection: this.socket,
      remoteAddress,
      local: this.#local,
      secure: false,
    };
    const caller = callerOf(from, { player: true });
    const pulls = parsePullChain(request.headers.get(PULL_CHAIN_FIELD));
    const visitor = { protocol: 'RTSP', transport: 'tcp', client: clientOf(request) };
    const { headers, method } = request;
    const agent = headers.get('X-Proxy-Client-Agent') ?? headers.get('User-Agent') ?? '';
    const relayed = relayedOf(headers, method, agent);
    return this.host.entrance.enter({ path, caller, purpose, pulls, visitor, relayed, signal: this.signal });
  }

  /** The fields that tell a client the last step of its login. */
  finish(pass: Pass, request: RtspRequest): Field[] {
    return finishFields(pass.finish, headOf(request));
  }

  /**
   * Returns the session that a request names. It may belong to another connection of the same client (MS-RTSP 3.2.5.1).
   *
   * @throws RtspError 454 without such a session
   */
  async sessionOf(request: RtspRequest): Promise<RtspSession | undefined> {
    const field = request.headers.get('Session');
    if (field === undefined) return undefined;
    const { id } = readSession(field);
    const unknown = () => new RtspError(454, 'There is no such session.');
    const session = this.session?.id === id ? this.session : this.host.find(id);
    if (!session || session.address !== this.address) throw unknown();
    if (session.link !== this) {
      if (session.user !== undefined) {
        const pass = await this.enter(request, session.path, 'info');
        if (isRedirect(pass) || pass.user !== session.user) throw unknown();
        pass.leave();
        if (this.host.find(id) !== session) throw unknown();
      }
      this.hold(session);
      session.attach(this);
    }
    session.used();
    return session;
  }

  /** From now on this is the connection of a session; the one before is over. */
  hold(session: RtspSession): void {
    if (this.session !== session) this.session?.close();
    this.session = session;
  }

  #receive(bytes: Buffer): void {
    if (this.#ending || this.#broken) return;
    this.#usedAt = this.host.now();
    try {
      // Frames are RTCP that nobody needs over TCP.
      for (const input of this.#reader.push(bytes)) {
        if (input.type === 'request') this.#waiting.push(input);
        else if (input.type === 'response' && input.status >= 400) this.session?.misunderstood();
      }
    } catch (error) {
      this.#broken = error instanceof RtspError ? error : new RtspError(400, messageOf(error));
    }
    if (this.#waiting.length > MAX_WAITING) this.socket.pause();
    void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    for (let request = this.#waiting.shift(); request && !this.#ending; request = this.#waiting.shift()) {
      if (this.#isElsewhere(request)) return this.#passOn(request);
      if (this.#waiting.length <= MAX_WAITING / 2) this.socket.resume();
      await this.#answer(request);
    }
    this.#working = false;
    if (!this.#broken || this.#ending) return;
    this.#respond({ status: this.#broken.status }, undefined);
    this.end();
  }

  /** True if another process has the session that a request names, and nothing ties the connection to this one. */
  #isElsewhere({ headers }: RtspRequest): boolean {
    const field = headers.get('Session');
    return field !== undefined && !this.session && (this.host.elsewhere?.has(readSession(field).id) ?? false);
  }

  /** Gives the connection away, with a request and everything after it. */
  #passOn(request: RtspRequest): void {
    const unread = [request, ...this.#waiting].flatMap(({ method, url, headers, body }) => [
      serialiseHead(`${method} ${url} RTSP/1.0`, headers.entries),
      body,
    ]);
    this.#passedOn = this.#ending = true;
    this.#waiting.length = 0;
    this.socket.pause().removeAllListeners('data');
    const { id } = readSession(request.headers.get('Session')!);
    this.host.elsewhere!.passOn(this.socket, Buffer.concat([...unread, this.#reader.unread]), id);
  }

  async #answer(request: RtspRequest): Promise<void> {
    let answered = false;
    const respond = (reply: Reply) => {
      if (answered || this.#ending) return;
      answered = true;
      this.#respond(reply, request);
    };
    try {
      if (!this.#counts()) throw new RtspError(503, 'Too many requests.');
      if (!/^\s*\d{1,10}\s*$/.test(request.headers.get('CSeq') ?? '')) throw new RtspError(400, 'CSeq is missing.');
      const reply = await handle(this, request, respond);
      if (reply) respond(reply);
    } catch (error) {
      respond(this.#refusal(error, request));
    }
  }

  #counts(): boolean {
    const now = this.host.now();
    if (now - this.#heartbeatAt >= HEARTBEAT) {
      this.#heartbeatAt = now;
      this.#transactions = 0;
    }
    return ++this.#transactions <= MAX_TRANSACTIONS;
  }

  #refusal(error: unknown, request: RtspRequest): Reply {
    if (this.signal.aborted) return { status: 408 };
    if (error instanceof RtspError) return { status: error.status, supported: true };
    const isRefusal = error instanceof Refusal;
    if (!isRefusal && !(error instanceof WmError)) this.host.failed(error);
    this.host.refused(request.url, this.remoteAddress, messageOf(error));
    const http = isRefusal ? headerRefusal(error, headOf(request)) : undefined;
    return {
      status: isRefusal ? REFUSAL_STATUS[error.kind] : 500,
      fields: http?.fields ?? [],
      supported: true,
    };
  }

  #respond(
    { status, fields = [], body, apart = [], supported = false, last = false }: Reply,
    request: RtspRequest | undefined,
  ): void {
    const { session } = this;
    const sequence = readNumber(request?.headers.get('CSeq'), Number.MAX_SAFE_INTEGER);
    const named = status !== 454 && session && !last;
    const sent = new Set(fields.map(([name]) => name.toLowerCase()));
    const all: Field[] = [
      ...fields,
      ['Date', new Date().toUTCString()],
      ...(sequence === undefined ? [] : [['CSeq', `${sequence}`] as const]),
      ...(named ? [['Session', `${session.id};timeout=${TIMEOUT}`] as const] : []),
      ...(named && session.playlist && !sent.has('x-playlist-gen-id')
        ? [['X-Playlist-Gen-Id', `${session.genId}`] as const]
        : []),
      ['Server', RTSP_SERVER_NAME],
      ...(supported ? [SUPPORTED] : []),
    ];
    if (apart.length > 0) this.#writeApart(status, all, apart);
    else this.#write(serialiseResponse(status, all, body));
    if (last) this.end();
  }

  /** The client measures the time between the parts of the body. */
  #writeApart(status: number, fields: readonly Field[], parts: readonly Buffer[]): void {
    const others = parts.slice(1);
    const whole = serialiseResponse(status, fields, Buffer.concat(parts));
    const rest = others.reduce((size, part) => size + part.length, 0);
    for (const bytes of [whole.subarray(0, whole.length - rest), ...others]) {
      if (this.socket.writableLength > MAX_ANSWERS_BEHIND) this.socket.destroy();
      else this.socket.write(bytes);
    }
  }

  #write(bytes: Buffer): void {
    if (this.socket.writableLength > MAX_ANSWERS_BEHIND && !this.session?.playback.active) this.socket.destroy();
    else gather(this.socket).write(bytes);
  }

  #close(): void {
    this.#ending = true;
    this.#waiting.length = 0;
    this.#gone.abort();
    const { session } = this;
    this.session = undefined;
    session?.detach(this);
  }
}

/** RTSP requests as the readers of credentials take them. */
function headOf({ method, url, headers }: RtspRequest): RequestHead {
  return { method, target: url, minorVersion: 1, headers };
}
