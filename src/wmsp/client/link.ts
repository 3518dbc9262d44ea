import { LeadsElsewhere } from '../../announce/elsewhere.js';
import { ANNOUNCEMENT_START_SIZE, MAX_ANNOUNCEMENT_SIZE, readAnnouncement } from '../../announce/read.js';
import { GUID } from '../../asf/guid.js';
import type { SignedRequest as Asked, HttpAuthenticator } from '../../auth/client.js';
import { ClientCredentials } from '../../auth/client-credentials.js';
import { messageOf, WmError } from '../../errors.js';
import { PACKET_ID } from '../../framing/framing.js';
import type { AddressGuard } from '../../http/address-guard.js';
import { isLoopback } from '../../http/addresses.js';
import { MAX_CHALLENGES } from '../../http/authenticator.js';
import { type ConnectionReuse, type HttpClient, StaleConnection, type StreamedResponse } from '../../http/client.js';
import type { TlsTrust } from '../../http/connection.js';
import { decodeContent } from '../../http/content-coding.js';
import { loginHint, refusedCredentials } from '../../http/credentials.js';
import { keepsAlive, type ResponseHead, responseBodyFraming } from '../../http/message.js';
import type { ResponseBody } from '../../http/response-body.js';
import { statusError } from '../../http/status-error.js';
import { asksProxy, connectRoute, type Route } from '../../http/tunnel.js';
import { incompatibleError } from './errors.js';
import { type WmspPacket, WmspPacketReader } from './packets.js';
import { PlainAsf } from './plain.js';
import type { ClientRequest, PlayParameters } from './requests.js';
import type { ClientAction, WmspClientSession } from './session.js';
import { endpointOf, parseWmspUrl, type WmspUrl } from './url.js';

/** The maximum waits, each in ms. @public */
export interface WmspTimeouts {
  /** For establishing a connection. */
  readonly connect: number;
  /** For the head of a response. */
  readonly answer: number;
  /** For the next bytes of a body. */
  readonly data: number;
  /** For the answer to a Log, and to other requests that nothing depends on. */
  readonly side: number;
}

/** A connection to a WMSP server, and how long to wait for it. */
export interface LinkOptions {
  readonly session: WmspClientSession;
  readonly proxy: WmspUrl | undefined;
  readonly timeouts: WmspTimeouts;
  readonly tolerant: boolean;
  readonly tls: TlsTrust | undefined;
  readonly authorize: HttpAuthenticator | undefined;
  /** The scheme and authority of the server that gets credentials; apart from it, only proxies get theirs. */
  readonly credentialsFor: string;
  readonly userAgent: string;
  /** Shared by all links of a client. */
  readonly reuse: ConnectionReuse;
  /** Where redirects of other hosts may lead; with `led` also where the URL itself may. */
  readonly guard?: AddressGuard | undefined;
  readonly led?: boolean | undefined;
  readonly onNote: (text: string) => void;
}

/** The result of a Describe: WMSP, or plain ASF in the body. */
export type Described =
  | { readonly kind: 'wmsp'; readonly header: Buffer; readonly bandwidth: number | undefined }
  | { readonly kind: 'asf'; readonly plain: PlainAsf };

/** The output of {@link ClientLink.play}: $D packets that arrived together in one array, everything else separately. */
export type WmspEvent = Extract<ClientAction, { readonly type: 'metadata' | 'header' | 'data' | 'end' | 'movedBack' }>;

const MAX_REDIRECTS = 5;
const MAX_SIDE_REQUESTS = 8;
const MAX_BACKLOG = 256 * 1024;
const MAX_REFUSED_BODY = 64 * 1024;
const GUID_SIZE = 16;
const ASF_START = Buffer.from(GUID.headerObject, 'hex');

/**
 * The connections of one session: performs the actions of the {@link WmspClientSession} and feeds it with what arrives.
 */
export class ClientLink {
  readonly session: WmspClientSession;
  readonly #options: LinkOptions;
  readonly #abort = new AbortController();
  readonly #side = new Set<Promise<void>>();
  readonly #credentials: ClientCredentials;
  #proxy: WmspUrl | undefined;
  #guard: AddressGuard | undefined;
  #proxyGuard: AddressGuard | undefined;
  #http: HttpClient | undefined;
  // True if the last response on the streaming connection was read to its end, so that another request may follow on
  // it.
  #reusable = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #lastSent: ClientRequest['type'] | undefined;
  // Requests on the streaming connection whose answer has not begun.
  #unanswered: ClientRequest[] = [];
  // The body of the response that is being read.
  #body: ResponseBody | undefined;
  #bandwidth: number | undefined;
  #playing = false;
  // Reads the answers to KeepAlive requests while nothing is played.
  #rest: Promise<void> = Promise.resolve();

  constructor(options: LinkOptions) {
    this.#options = options;
    this.session = options.session;
    this.#proxy = options.proxy;
    if (options.led) this.#guard = options.guard;
    this.#credentials = new ClientCredentials(options.authorize, options.credentialsFor);
    this.session.peer.viaProxy = asksProxy(this.#route);
  }

  /** True while {@link play} is running. */
  get playing(): boolean {
    return this.#playing;
  }

  /**
   * Asks about the content of the URL (MS-WMSP 3.1.4.2). Follows up to five redirects and answers challenges.
   *
   * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_PROTOCOL, WM_HTTP_MALFORMED, WM_NO_INPUT, WM_AUTH_REFUSED
   * @throws LeadsElsewhere for an announcement, or a redirect to another protocol; WM_BAD_INPUT for an unreadable
   * announcement
   */
  async describe(): Promise<Described> {
    let redirects = 0;
    let challenges = 0;
    for (;;) {
      await this.#carryOut(this.session.describe());
      const response = await this.#nextResponse();
      const [action] = await this.#describeResponse(response);
      if (action?.type === 'redirect') {
        if (++redirects > MAX_REDIRECTS) {
          throw new WmError('WM_PROTOCOL', `The server redirects again and again, last to ${action.location}.`);
        }
        this.#redirect(action.location, action.proxy);
      } else if (action?.type === 'challenge') {
        await this.#answerChallenge(response, ++challenges);
      } else return this.#describedBy(response);
    }
  }

  /**
   * Streams (MS-WMSP 3.1.4.3); every call uses the same session.
   *
   * @returns `ended` after the $E of the last entry, `stopped` after {@link stop}
   * @throws WmError as {@link describe}
   */
  async *play(parameters: PlayParameters): AsyncGenerator<readonly WmspEvent[], 'ended' | 'stopped', undefined> {
    this.#stopped = false;
    this.#playing = true;
    let challenges = 0;
    try {
      await this.#rest;
      if (this.session.mode === 'pipelined') await this.#readBody();
      await this.#carryOut(this.session.startStreaming(parameters));
      for (;;) {
        try {
          const response = await this.#nextResponse();
          const http = this.#http;
          const actions = this.session.streamResponse(response.head, performance.now());
          if (actions[0]?.type === 'challenge') {
            await this.#answerChallenge(response, ++challenges);
            await this.#carryOut(this.session.startStreaming(parameters));
            continue;
          }
          if (actions[0]?.type === 'redirect') throw statusError(response.head, this.session.peer.url.href);
          await this.#carryOut(actions);
          if (yield* this.#read(response, http)) return 'ended';
        } catch (error) {
          const instead = this.#stopped ? [] : this.session.pipelineTestFailed();
          if (instead.length === 0) throw error;
          this.#cut();
          await this.#carryOut(instead);
        }
        if (this.#stopped && this.session.responsesDue === 0) return 'stopped';
      }
    } catch (error) {
      if (this.#stopped) return 'stopped';
      this.#dropStream();
      throw error;
    } finally {
      this.#playing = false;
    }
  }

  /** Records that the player has finished the playlist entry (MS-WMSP 3.1.4.8). */
  renderingFinished(): void {
    for (const action of this.session.renderingFinished()) this.#perform(action);
  }

  /** Forwards a remote event of a client of this one, in the name of that client (MS-WMSP 2.2.2.9). */
  forward(body: Buffer, agent: string): void {
    for (const action of this.session.forward(body, agent)) this.#perform(action);
  }

  /** Selects the streams of a new playlist entry (MS-WMSP 3.1.4.5), after a header with the cause `change`. */
  nextEntry(parameters: PlayParameters): Promise<void> {
    return this.#carryOut(this.session.nextEntry(parameters));
  }

  /** Selects other streams from now on (MS-WMSP 3.1.4.4). */
  selectStreams(changes: PlayParameters['streams']): Promise<void> {
    return this.#carryOut(this.session.selectStreams(changes));
  }

  /** Ends {@link play} (MS-WMSP 3.1.4.6); the session is kept alive until {@link destroy}. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const open = this.#http?.open ?? false;
    this.#carryOut(this.session.stopStreaming(performance.now(), open)).catch(() => this.#dropStream());
  }

  /** Waits briefly for the answers to the last requests, which are logs. */
  async finish(): Promise<void> {
    if (this.session.mode !== 'pipelined') this.#dropStream();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, this.#options.timeouts.side);
    });
    const rest = this.#readRest().catch(() => undefined);
    await Promise.race([Promise.all([rest, ...this.#side]), late]);
    clearTimeout(timer);
    this.destroy();
  }

  /** Cuts all connections at once. */
  destroy(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#dropStream();
  }

  async #describedBy({ head, body }: StreamedResponse): Promise<Described> {
    const first = await body.next(this.#options.timeouts.data);
    if (!first) {
      // Some servers answer like this as long as they have no header.
      throw new WmError('WM_UNREACHABLE', `${this.session.peer.url.authority} has nothing to send yet.`);
    }
    if ((first[0]! & 0x7f) === 0x24) return this.#describedByPackets(head, body, first);
    const start = await this.#atLeast(first, body, GUID_SIZE);
    if (this.#options.tolerant && start.subarray(0, GUID_SIZE).equals(ASF_START)) {
      this.session.connectionLost();
      return { kind: 'asf', plain: await PlainAsf.open(start, body, this.#options.timeouts.data, isDelimited(head)) };
    }
    await this.#readRedirection(start, head, body);
    throw incompatibleError(head, this.session.peer.url.href);
  }

  /** A server that a strict client rejects may still redirect: any web server can have announcements. */
  async #describeResponse({ head, body }: StreamedResponse): Promise<ClientAction[]> {
    try {
      return this.session.streamResponse(head, performance.now());
    } catch (error) {
      const { answer } = this.#options.timeouts;
      const first = isSuccess(head) && !this.#options.tolerant ? await body.next(answer) : undefined;
      if (first) await this.#readRedirection(first, head, body);
      throw error;
    }
  }

  /** @throws LeadsElsewhere or WM_BAD_INPUT if the body is an announcement */
  async #readRedirection(start: Buffer, head: ResponseHead, body: ResponseBody): Promise<void> {
    const hints = { location: this.session.peer.url.href, type: head.headers.get('Content-Type') };
    const coding = head.headers.get('Content-Encoding');
    const until = performance.now() + this.#options.timeouts.answer;
    const read = (bytes: Buffer) => readAnnouncement(decodeContent(bytes, coding, MAX_ANNOUNCEMENT_SIZE), hints);
    const beginning = await this.#atLeast(start, body, ANNOUNCEMENT_START_SIZE, until);
    if (!read(beginning)) return;
    const announcement = read(await this.#atLeast(beginning, body, MAX_ANNOUNCEMENT_SIZE, until));
    const { href } = this.session.peer.url;
    if (announcement?.kind === 'unreadable') {
      throw new WmError('WM_BAD_INPUT', `The announcement at ${href} cannot be read: ${announcement.why}.`);
    }
    if (announcement) throw new LeadsElsewhere(href, this.#isRemote, announcement);
  }

  async #describedByPackets(head: StreamedResponse['head'], body: ResponseBody, first: Buffer): Promise<Described> {
    const reader = new WmspPacketReader(!this.#options.tolerant);
    const headerOf = (actions: readonly ClientAction[]): Described | undefined => {
      for (const action of actions) {
        if (action.type === 'bandwidth') this.#bandwidth = action.bitsPerSecond;
        if (action.type !== 'header') continue;
        // Some continue with $D for ever; the connection is then useless.
        const { reuse } = this.#options;
        this.#reusable = body.complete && keepsAlive(head) && reuse.allows(this.session.peer.url.origin);
        if (!this.#reusable) this.#dropStream();
        return { kind: 'wmsp', header: action.bytes, bandwidth: this.#bandwidth };
      }
      return undefined;
    };
    for (let piece: Buffer | undefined = first; piece; piece = await body.next(this.#options.timeouts.data)) {
      reader.push(piece);
      for (let packet = reader.next(); packet; packet = reader.next()) {
        const described = headerOf(this.session.packet(packet, performance.now()));
        if (described) return described;
      }
    }
    const described = headerOf(this.session.describeEnded());
    if (described) return described;
    throw new WmError('WM_PROTOCOL', `The answer of ${this.session.peer.url.authority} ends before an ASF header.`);
  }

  /** @param until the deadline for all of it, on the clock of `performance.now()` */
  async #atLeast(start: Buffer, body: ResponseBody, size: number, until = Number.POSITIVE_INFINITY): Promise<Buffer> {
    const pieces = [start];
    const { data } = this.#options.timeouts;
    for (let total = start.length; total < size; ) {
      const left = until - performance.now();
      if (left <= 0) {
        throw new WmError('WM_UNREACHABLE', `${this.session.peer.url.authority} took too long to answer.`);
      }
      const piece = await body.next(Math.min(data, left));
      if (!piece) break;
      pieces.push(piece);
      total += piece.length;
    }
    return Buffer.concat(pieces);
  }

  /** Yields the events of the body; returns true at the end of everything. */
  async *#read(
    { head, body }: StreamedResponse,
    http: HttpClient | undefined,
  ): AsyncGenerator<readonly WmspEvent[], boolean, undefined> {
    const reader = new WmspPacketReader(!this.#options.tolerant);
    const batches = new PacketBatches(reader, (packet) => this.#eventsOf(packet));
    const { data } = this.#options.timeouts;
    this.#body = body;
    for (let piece = await body.next(data); piece; piece = await body.next(data)) {
      reader.push(piece);
      for (let events = batches.next(); events; events = batches.next()) {
        yield events;
        if (isLast(events)) return true;
        if (this.#stopped && !this.#http) return false;
      }
      this.#arm();
    }
    this.#body = undefined;
    this.#reusable = this.#http === http && keepsAlive(head);
    this.session.bodyEnded();
    return !this.#stopped && this.session.responsesDue === 0 && this.session.state !== 'STREAMING';
  }

  /** Performs the actions for a packet, and returns what it brings for the player. */
  #eventsOf(packet: WmspPacket): WmspEvent[] {
    const events: WmspEvent[] = [];
    for (const action of this.session.packet(packet, performance.now())) {
      const event = this.#perform(action);
      if (event) events.push(event);
    }
    return events;
  }

  /**
   * Returns the next answer on the streaming connection. If the connection was stale, all waiting requests are sent
   * once more.
   */
  async #nextResponse(timeout = this.#options.timeouts.answer): Promise<StreamedResponse> {
    if (!this.#http) throw this.#closedError();
    try {
      const response = await this.#http.streamedResponse(timeout);
      this.#unanswered.shift();
      return response;
    } catch (error) {
      if (!(error instanceof StaleConnection) || this.#unanswered.length === 0) throw error;
      await this.#sendAgain();
      // A new connection is never stale.
      return this.#nextResponse(timeout);
    }
  }

  async #sendAgain(): Promise<void> {
    this.#options.reuse.broke(this.session.peer.url.origin);
    const requests = this.#unanswered;
    this.#cut();
    const http = await this.#connect();
    // Stopped meanwhile: the requests are abandoned.
    if (this.session.responsesDue < requests.length) {
      http.destroy();
      throw this.#closedError();
    }
    this.#http = http;
    for (const request of requests) this.#sendOnStream(request);
  }

  #closedError(): WmError {
    return new WmError('WM_SERVER_GONE', `The connection to ${this.session.peer.url.authority} is closed.`);
  }

  async #carryOut(actions: readonly ClientAction[]): Promise<void> {
    for (const action of actions) {
      if (action.type === 'send' && action.on === 'stream') await this.#openStream(action.request);
      this.#perform(action);
    }
    this.#arm();
  }

  /** Performs an action; returns it if it is for the player. */
  #perform(action: ClientAction): WmspEvent | undefined {
    switch (action.type) {
      case 'send':
        if (action.on === 'own') this.#sendAside(action.request);
        else this.#sendOnStream(action.request);
        return undefined;
      case 'closeStream':
        this.#dropStream();
        return undefined;
      case 'note':
        this.#options.onNote(action.text);
        return undefined;
      case 'bandwidth':
      case 'redirect':
      case 'challenge':
        return undefined;
      default:
        return action;
    }
  }

  /** Gets a streaming connection that can take the request (MS-WMSP 3.1.4.3): the open one, or a new one. */
  async #openStream({ type }: ClientRequest): Promise<void> {
    const begins = type === 'Describe' || type === 'Play' || type === 'Pipeline';
    const goesOn = type === 'Play' ? this.session.mode === 'pipelined' : this.#lastSent === type && type === 'Pipeline';
    this.#lastSent = type;
    if (!begins || (this.#http?.open && (goesOn || this.#reusable))) {
      this.#reusable = false;
      return;
    }
    const outstanding = this.session.responsesDue;
    this.#cut();
    this.#http = await this.#connect();
    if (this.session.responsesDue !== outstanding) throw new WmError('WM_SERVER_GONE', 'The connection was given up.');
  }

  #sendOnStream(request: ClientRequest): void {
    const http = this.#http;
    if (!http) throw this.#closedError();
    if (http.backlog > MAX_BACKLOG) {
      throw new WmError('WM_PROTOCOL', `${this.session.peer.url.authority} asks for more requests than it reads.`);
    }
    this.#send(http, request, true);
    this.#unanswered.push(request);
  }

  /** @returns the subject of a challenge to it */
  #send(http: HttpClient, request: ClientRequest, streamed: boolean): Asked {
    const { method, minorVersion, body } = request;
    const target = this.#target(request);
    const fields = this.#credentials.fields(request, target, this.session.peer.url, http);
    http.send(method, target, fields, body, { minorVersion, streamed });
    return { method, target, connection: http };
  }

  get #route(): Route {
    const { tls } = this.#options;
    return {
      server: { ...endpointOf(this.session.peer.url, tls), guard: this.#guard },
      proxy: this.#proxy && { ...endpointOf(this.#proxy, tls), guard: this.#proxyGuard },
    };
  }

  #target(request: ClientRequest): string {
    if (request.wholeServer) return '*';
    const { url } = this.session.peer;
    return asksProxy(this.#route) ? url.href : url.path;
  }

  async #connect(): Promise<HttpClient> {
    const { signal } = this.#abort;
    const { timeouts, authorize, userAgent } = this.#options;
    let giveUp = () => {};
    const aborted = new Promise<undefined>((resolve) => {
      giveUp = () => resolve(undefined);
    });
    signal.addEventListener('abort', giveUp, { once: true });
    const connecting = connectRoute(this.#route, { timeout: timeouts.connect, authorize, userAgent });
    try {
      const http = await Promise.race([connecting, aborted]);
      if (http && !signal.aborted) return http;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
    connecting.then((late) => late.destroy()).catch(() => undefined);
    throw new WmError('WM_SERVER_GONE', 'The connection was given up.');
  }

  /** Sends a request on its own connection, on which nothing depends. */
  #sendAside(request: ClientRequest): void {
    if (this.#side.size >= MAX_SIDE_REQUESTS || this.#abort.signal.aborted) return;
    const task = this.#ask(request).catch((error: unknown) =>
      this.#options.onNote(`A ${request.type} request went unanswered: ${messageOf(error)}`),
    );
    this.#side.add(task);
    void task.then(() => this.#side.delete(task));
  }

  async #ask(request: ClientRequest): Promise<void> {
    let http = await this.#connect();
    const cut = () => http.destroy();
    this.#abort.signal.addEventListener('abort', cut, { once: true });
    try {
      for (let challenges = 1; ; challenges++) {
        let about = this.#send(http, request, false);
        const { head } = await http.response(this.#options.timeouts.side).catch(async (error: unknown) => {
          if (!(error instanceof StaleConnection)) throw error;
          http = await this.#connect();
          about = this.#send(http, request, false);
          return http.response(this.#options.timeouts.side);
        });
        if (!isChallenge(head) || !(await this.#mayAnswer(head, about, challenges))) {
          await this.#carryOut(this.session.sideResponse(request.type, head));
          return;
        }
        if (keepsAlive(head) && http.open) continue;
        http.destroy();
        http = await this.#connect();
      }
    } finally {
      this.#abort.signal.removeEventListener('abort', cut);
      http.destroy();
    }
  }

  /** True if another host answers, and not a program on this one. */
  get #isRemote(): boolean {
    return this.#proxy !== undefined || !isLoopback(this.#http?.remoteAddress ?? '');
  }

  #redirect(location: string, proxy: boolean): void {
    const isRemote = this.#isRemote;
    this.#dropStream();
    const { peer } = this.session;
    let url: WmspUrl;
    try {
      url = parseWmspUrl(location, peer.url);
    } catch {
      throw new LeadsElsewhere(location, isRemote);
    }
    if (proxy) {
      this.#proxy = url;
      if (isRemote) this.#proxyGuard = this.#options.guard;
    } else {
      peer.url = url;
      if (isRemote) this.#guard = this.#options.guard;
    }
    peer.viaProxy = asksProxy(this.#route);
  }

  /** Answers on the same connection if it stays open (MS-WMSP 3.1.5.3). */
  async #answerChallenge({ head, body }: StreamedResponse, count: number): Promise<void> {
    const { url } = this.session.peer;
    const target = asksProxy(this.#route) ? url.href : url.path;
    const about = { method: 'GET', target, ...(this.#http ? { connection: this.#http } : {}) };
    if (!(await this.#mayAnswer(head, about, count))) {
      const known = this.#credentials.knows(head.status);
      const sentence = `${refusedCredentials(head.status, known)}: ${head.status} for ${url.href}.`;
      throw new WmError('WM_AUTH_REFUSED', sentence, { hint: loginHint(head.status, known) });
    }
    const rest = await this.#atLeast(Buffer.alloc(0), body, MAX_REFUSED_BODY);
    this.#reusable = rest.length < MAX_REFUSED_BODY && body.complete && keepsAlive(head);
  }

  /** @returns true if the request can be sent again, with other credentials */
  async #mayAnswer(head: ResponseHead, about: Asked, count: number): Promise<boolean> {
    if (count > MAX_CHALLENGES) return false;
    const { status, headers } = head;
    const persistent = keepsAlive(head);
    return this.#credentials.answer({ ...about, status, headers, persistent }, this.session.peer.url);
  }

  /** Reads the responses that are still due in pipelined mode, so that the server can complete them. */
  async #readRest(): Promise<void> {
    const http = this.#http;
    if (!http?.open || this.session.mode !== 'pipelined') return;
    const { side } = this.#options.timeouts;
    await this.#readBody();
    while (this.session.responsesDue > 0) {
      const { head, body } = await this.#nextResponse(side);
      this.session.streamResponse(head, performance.now());
      while (await body.next(side));
    }
  }

  /** Reads the rest of a body that is irrelevant after a $E. */
  async #readBody(): Promise<void> {
    while (await this.#body?.next(this.#options.timeouts.side));
    this.#body = undefined;
  }

  #dropStream(): void {
    this.#cut();
    this.session.connectionLost();
  }

  #cut(): void {
    this.#reusable = false;
    this.#body = undefined;
    this.#unanswered = [];
    const http = this.#http;
    this.#http = undefined;
    http?.destroy();
  }

  /** Sets the KeepAlive timer as the session wants it (MS-WMSP 3.1.6.1). */
  #arm(): void {
    clearTimeout(this.#timer);
    const due = this.session.keepAliveDue;
    if (due === undefined || this.#abort.signal.aborted) return;
    this.#timer = setTimeout(
      () => {
        const open = this.#http?.open ?? false;
        this.#carryOut(this.session.keepAliveExpired(performance.now(), open)).catch(() => undefined);
        if (!this.#playing) this.#rest = this.#readRest().catch(() => this.#dropStream());
      },
      Math.max(due - performance.now(), 0),
    );
  }
}

function isSuccess({ status }: ResponseHead): boolean {
  return status >= 200 && status < 300;
}

/**
 * Yields the events of the packets of a body, in arrays: $D packets that arrived together in one, everything else
 * separately. A packet other than $D is handled only when those before it have been taken, because a log counts them,
 * and because what follows a header depends on the taker.
 */
class PacketBatches {
  readonly #reader: WmspPacketReader;
  readonly #eventsOf: (packet: WmspPacket) => WmspEvent[];
  readonly #ready: WmspEvent[][] = [];
  #next: WmspPacket | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(reader: WmspPacketReader, eventsOf: (packet: WmspPacket) => WmspEvent[]) {
    this.#reader = reader;
    this.#eventsOf = eventsOf;
  }

  /**
   * @returns undefined if more bytes are needed
   * @throws the errors of reader or session, after the events before them
   */
  next(): readonly WmspEvent[] | undefined {
    const ready = this.#ready.shift();
    if (ready) return ready;
    if (this.#failure) throw this.#failure.error;
    const data: WmspEvent[] = [];
    try {
      while (this.#ready.length === 0) {
        this.#next ??= this.#reader.next();
        if (!this.#next || (this.#next.id !== PACKET_ID.data && data.length > 0)) break;
        const events = this.#eventsOf(this.#next);
        this.#next = undefined;
        for (const event of events) {
          if (event.type === 'data' && this.#ready.length === 0) data.push(event);
          else this.#ready.push([event]);
        }
      }
    } catch (error) {
      if (data.length === 0) throw error;
      this.#failure = { error };
    }
    return data.length > 0 ? data : this.#ready.shift();
  }
}

/** True if nothing follows the end of the last entry. */
function isLast(events: readonly WmspEvent[]): boolean {
  const [event] = events;
  return event?.type === 'end' && event.reason !== 1;
}

/** True if the head says where the body ends. */
function isDelimited(head: ResponseHead): boolean {
  return responseBodyFraming(head, 'GET').kind !== 'close';
}

function isChallenge({ status }: ResponseHead): boolean {
  return status === 401 || status === 407;
}
