import { GUID } from '../../asf/guid.js';
import type { HttpAuthenticator } from '../../auth/client.js';
import { WmError } from '../../errors.js';
import type { AddressGuard } from '../../http/address-guard.js';
import { isLoopback } from '../../http/addresses.js';
import { type ConnectionReuse, type HttpClient, StaleConnection, type StreamedResponse } from '../../http/client.js';
import type { TlsTrust } from '../../http/connection.js';
import { loginHint, refusedCredentials } from '../../http/credentials.js';
import { keepsAlive, type ResponseHead, responseBodyFraming } from '../../http/message.js';
import type { ResponseBody } from '../../http/response-body.js';
import { statusError } from '../../http/status-error.js';
import { isLast, PacketBatches, type WmspEvent } from './batches.js';
import { atLeast, readRedirection } from './bodies.js';
import { incompatibleError } from './errors.js';
import { type WmspPacket, WmspPacketReader } from './packets.js';
import { PlainAsf } from './plain.js';
import type { ClientRequest, PlayParameters } from './requests.js';
import { ServerAccess } from './server-access.js';
import type { WmspClientSession } from './session.js';
import type { ClientAction } from './session-actions.js';
import { SideRequests } from './side-requests.js';
import type { WmspUrl } from './url.js';

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

const MAX_REDIRECTS = 5;
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
  readonly #side: SideRequests;
  readonly #access: ServerAccess;
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
    this.#access = new ServerAccess(options.session.peer, options);
    this.#side = new SideRequests({
      access: this.#access,
      signal: this.#abort.signal,
      patience: options.timeouts.side,
      onAnswer: (request, head) => this.#carryOut(this.session.sideResponse(request.type, head)),
      onNote: options.onNote,
    });
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
    await Promise.race([Promise.all([rest, this.#side.ended]), late]);
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
      return {
        kind: 'asf',
        plain: await PlainAsf.open(
          start,
          body,
          this.#options.timeouts.data,
          responseBodyFraming(head, 'GET').kind !== 'close',
        ),
      };
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

  #atLeast(start: Buffer, body: ResponseBody, size: number): Promise<Buffer> {
    return atLeast(start, body, size, {
      piece: this.#options.timeouts.data,
      authority: this.session.peer.url.authority,
    });
  }

  /** @throws LeadsElsewhere or WM_BAD_INPUT if the body is an announcement */
  #readRedirection(start: Buffer, head: ResponseHead, body: ResponseBody): Promise<void> {
    const { data, answer } = this.#options.timeouts;
    const { url } = this.session.peer;
    const waits = { piece: data, until: performance.now() + answer, authority: url.authority };
    return readRedirection({ start, head, body, href: url.href, isRemote: this.#isRemote }, waits);
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
    const http = await this.#access.connect(this.#abort.signal);
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
        if (action.on === 'own') this.#side.send(action.request);
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
    this.#http = await this.#access.connect(this.#abort.signal);
    if (this.session.responsesDue !== outstanding) throw new WmError('WM_SERVER_GONE', 'The connection was given up.');
  }

  #sendOnStream(request: ClientRequest): void {
    const http = this.#http;
    if (!http) throw this.#closedError();
    if (http.backlog > MAX_BACKLOG) {
      throw new WmError('WM_PROTOCOL', `${this.session.peer.url.authority} asks for more requests than it reads.`);
    }
    this.#access.send(http, request, true);
    this.#unanswered.push(request);
  }

  /** True if another host answers, and not a program on this one. */
  get #isRemote(): boolean {
    return this.#access.hasProxy || !isLoopback(this.#http?.remoteAddress ?? '');
  }

  #redirect(location: string, proxy: boolean): void {
    const isRemote = this.#isRemote;
    this.#dropStream();
    this.#access.redirect(location, proxy, isRemote);
  }

  /** Answers on the same connection if it stays open (MS-WMSP 3.1.5.3). */
  async #answerChallenge({ head, body }: StreamedResponse, count: number): Promise<void> {
    const { url } = this.session.peer;
    const target = this.#access.contentTarget;
    const about = { method: 'GET', target, ...(this.#http ? { connection: this.#http } : {}) };
    if (!(await this.#access.mayAnswer(head, about, count))) {
      const known = this.#access.knows(head.status);
      const sentence = `${refusedCredentials(head.status, known)}: ${head.status} for ${url.href}.`;
      throw new WmError('WM_AUTH_REFUSED', sentence, { hint: loginHint(head.status, known) });
    }
    const rest = await this.#atLeast(Buffer.alloc(0), body, MAX_REFUSED_BODY);
    this.#reusable = rest.length < MAX_REFUSED_BODY && body.complete && keepsAlive(head);
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
