import type { Socket } from 'node:net';
import type { AsfHeader } from '../../asf/header.js';
import { playerHeader } from '../../asf/lean-header.js';
import { stripPadding } from '../../asf/padding.js';
import type { HttpAuthenticator } from '../../auth/client.js';
import { messageOf, WmError } from '../../errors.js';
import { MAX_CHALLENGES } from '../../http/authenticator.js';
import { type ClientResponse, type HttpClient, StaleConnection } from '../../http/client.js';
import { CONNECT_TIMEOUT, type TlsTrust } from '../../http/connection.js';
import { keepsAlive, type ResponseHead } from '../../http/message.js';
import type { AsfEvent, AsfSink } from '../../media/events.js';
import { S_FALSE, S_OK } from '../messages/packets.js';
import { PushRoute } from './push-route.js';
import { PushRefusal } from './refusal.js';
import { PushClientSession } from './session.js';
import type { ClientAction, PushSessionState } from './session-actions.js';

/** The progress of a push. @public */
export interface PushStats {
  /** The number of ASF data packets. */
  readonly packets: number;
  /** The number of bytes in the bodies of the PushStart requests. */
  readonly bytes: number;
}

/** @public */
export interface PushOptions {
  /** `http://host[:port]/point`, or `https://`; a user and a password in it are not used. */
  readonly url: string;
  /** `http://host:port` of an HTTP proxy, or `https://`. */
  readonly proxy?: string | undefined;
  /** The certificates to trust for TLS. */
  readonly tls?: TlsTrust | undefined;
  /** The path of a publishing point on the server, such as `/template`, to copy the settings from. */
  readonly template?: string | undefined;
  /** True if the publishing point is to be removed at the end. */
  readonly autoDestroy?: boolean | undefined;
  readonly userAgent?: string | undefined;
  /** The size of each PushStart body in bytes; default: determined by `bodyDuration`. */
  readonly contentLength?: number | undefined;
  /**
   * How many seconds of the stream each PushStart body holds; the response acknowledges all of it. Default: 60 through
   * a proxy, else one body of 2147483647 bytes.
   */
  readonly bodyDuration?: number | undefined;
  /** The time that the server may take to connect and to answer, in ms; default: 10000. */
  readonly timeout?: number | undefined;
  /** Called about once a second while packets are sent, and at the end. */
  readonly onStats?: ((stats: PushStats) => void) | undefined;
  readonly authorize?: HttpAuthenticator | undefined;
  /** Receives the socket of each connection before anything is sent, to do faults to it for example. */
  readonly onSocket?: ((socket: Socket) => void) | undefined;
}

/** A push that broke, to be resumed by another client. @public */
export interface ResumablePush {
  readonly session: PushSessionState;
  readonly route: PushRoute;
}

const STATS_INTERVAL = 1_000;
const MAX_REDIRECTS = 5;
// The statuses with which servers say that they do not know a session (any longer).
const FORGOTTEN = new Set([400, 404, 410]);

interface Waiter {
  resolve(): void;
  reject(error: WmError): void;
}

/**
 * Pushes one stream to a publishing point (MS-WMHTTP 3.1): {@link PushClient.connect} sets it up, and the first header
 * starts it. Padding is removed from the packets.
 *
 * @public
 */
export class PushClient implements AsfSink {
  readonly #options: PushOptions;
  readonly #timeout: number;
  readonly #route: PushRoute;
  #session: PushClientSession;
  #http: HttpClient | undefined;
  #listening: HttpClient | undefined;
  #connecting = false;
  #failure: WmError | undefined;
  #failureSeen = false;
  #finished: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #answerTimer: NodeJS.Timeout | undefined;
  #challenges = 0;
  #waiters: Waiter[] = [];
  #statsDue = 0;

  private constructor(options: PushOptions, resume: ResumablePush | undefined) {
    this.#options = options;
    this.failed = new Promise((resolve) => {
      this.#signalFailure = resolve;
    });
    this.#timeout = options.timeout ?? CONNECT_TIMEOUT;
    const { url, proxy, tls, userAgent, authorize, onSocket } = options;
    this.#route =
      resume?.route ?? new PushRoute({ url, proxy, tls, userAgent, authorize, onSocket, timeout: this.#timeout });
    this.#session = this.#newSession(resume?.session);
  }

  /**
   * Connects and sends the PushSetup request; follows up to five redirects.
   *
   * @param resume the push to continue; if the server no longer knows it, another session begins ({@link resumed})
   * @throws WmError WM_USAGE for a bad URL or template, WM_UNREACHABLE, WM_TLS, WM_AUTH_REFUSED for 401, 403 and 407,
   * WM_PUSH_REFUSED for other error statuses, WM_PROTOCOL if the server is not a Windows Media server, WM_SERVER_GONE
   */
  static async connect(options: PushOptions, resume?: ResumablePush): Promise<PushClient> {
    const client = new PushClient(options, resume);
    try {
      await client.#setUp();
    } catch (error) {
      client.#http?.destroy();
      throw error;
    }
    return client;
  }

  /** For {@link connect}. */
  get resumable(): ResumablePush {
    return { session: this.#session.resumable, route: this.#route };
  }

  /** True if the server has resumed the requested session. */
  get resumed(): boolean {
    return this.#session.resumed;
  }

  /** The number of packets of the resumed session that the server says it has; undefined if it does not say. */
  get received(): number | undefined {
    return this.#session.received;
  }

  /** The number of packets of the session that responses have acknowledged. */
  get confirmed(): number {
    return this.#session.confirmed;
  }

  /** The number of packets of the session that were given to the network. */
  get packets(): number {
    return this.#session.packets;
  }

  /** After closing: true if everything was sent before the connection broke. */
  get delivered(): boolean {
    return this.#finished !== undefined && !this.#http?.broken;
  }

  /** The progress so far. */
  get stats(): PushStats {
    return { packets: this.#session.packets, bytes: this.#session.bytes };
  }

  /** Resolves if the push fails. */
  readonly failed: Promise<void>;
  #signalFailure: () => void = () => {};

  /** The reason why nothing more can be sent; every later write is rejected with it. */
  get failure(): WmError | undefined {
    return this.#failure;
  }

  /** The number of bytes that wait to be taken by the network. */
  get backlog(): number {
    return this.#http?.backlog ?? 0;
  }

  /**
   * Sends a header, a packet or an end.
   *
   * @returns a promise if the network is too slow, or the server has to answer before more can be sent. It rejects with
   * a WmError: WM_PUSH_REFUSED or WM_AUTH_REFUSED if the server ends the push, WM_SERVER_GONE, WM_UNREACHABLE,
   * WM_BAD_INPUT for a header or packet that does not fit the protocol
   */
  write(event: AsfEvent): void | Promise<void> {
    if (this.#failure) return this.#rejection();
    if (this.#session.state === 'End') {
      return Promise.reject(new WmError('WM_FAILED', 'The push has ended already.'));
    }
    let backlog: Promise<void> | undefined;
    try {
      backlog = this.#perform(this.#take(event));
    } catch (error) {
      this.#fail(error);
      return this.#rejection();
    }
    this.#reportStats(false);
    if (this.#failure) return this.#rejection();
    if (this.#finished) return this.#finished;
    if (this.#mustWait()) return this.#wait();
    return backlog?.then(() => this.#throwFailure());
  }

  /**
   * Continues in a session that was {@link resumed}, before anything is written.
   *
   * @param header the header of the packets that follow
   * @param packets the number of packets of the session that the server has
   * @param known true if the last of them belonged to that header
   */
  continue(header: AsfHeader, packets: number, known: boolean): void {
    this.#perform(
      this.#session.continue(playerHeader(header).bytes, header.packetSize, bitrateOf(header), packets, known),
    );
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#fail(new WmError('WM_FAILED', 'The push was broken off.'));
  }

  /**
   * Ends the push: sends $E with Reason 0 if no end was written, then closes the connection.
   *
   * @throws WmError if the push had failed and no write has reported it yet
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (!this.#failure && this.#session.needsEnd) {
      this.#perform(this.#session.end(S_OK));
      if (this.#mustWait()) await this.#wait();
    }
    await (this.#finished ?? this.#http?.close());
    clearTimeout(this.#answerTimer);
    if (this.#failure && !this.#failureSeen) await this.#rejection();
  }

  #take(event: AsfEvent): ClientAction[] {
    switch (event.type) {
      case 'header':
        return this.#session.header(playerHeader(event.header).bytes, event.header.packetSize, bitrateOf(event.header));
      case 'packet':
        return this.#session.packet(stripPadding(event.packet));
      case 'end':
        if (event.moreEntries) return this.#session.end(S_FALSE);
        return this.#session.end(event.reason === S_FALSE ? S_OK : event.reason);
    }
  }

  #newSession(resume: PushSessionState | undefined): PushClientSession {
    const { template, autoDestroy, userAgent, contentLength, bodyDuration, authorize } = this.#options;
    const session = new PushClientSession({
      name: this.#route.url,
      template,
      autoDestroy,
      userAgent,
      contentLength,
      bodyDuration,
      acceptAuthentication: authorize?.schemes,
      knows: (status) => authorize !== undefined && (authorize.knows?.(status) ?? true),
      resume,
    });
    session.setProxy(this.#route.usesProxy);
    return session;
  }

  async #setUp(): Promise<void> {
    let redirects = 0;
    for (;;) {
      const http = await this.#connection();
      const request = this.#session.pushSetup(this.#route.authority, this.#route.credentials(http));
      http.send('POST', this.#route.requestTarget, request.fields, request.body);
      const answer = await this.#unlessStale(http.response(this.#timeout));
      if (!answer) continue;
      const { head } = answer;
      const [action] = this.#responseToSetUp(head);
      if (!this.#staysOpen(head)) this.#drop();
      switch (action?.type) {
        case 'redirect':
          if (++redirects > MAX_REDIRECTS) {
            throw new WmError(
              'WM_PUSH_REFUSED',
              `The server redirects the push again and again, last to ${action.location}.`,
            );
          }
          this.#drop();
          this.#route.redirect(action.location, action.proxy);
          this.#session.setProxy(this.#route.usesProxy);
          break;
        case 'authenticate':
          if ((await this.#authenticate(head, http)) === 'new') this.#drop();
          break;
        case 'ready':
          this.#challenges = 0;
          if (!this.#route.reusesConnections) this.#drop();
          return;
        default:
          this.#drop();
      }
    }
  }

  /** @returns nothing if the connection was stale, so that the same request has to be sent on a new one */
  async #unlessStale(answer: Promise<ClientResponse>): Promise<ClientResponse | undefined> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      this.#route.wasStale();
      this.#drop();
      return undefined;
    }
  }

  /** @returns nothing if the session to resume no longer exists, so that another one has to be set up */
  #responseToSetUp(head: ResponseHead): ClientAction[] {
    const resuming = this.#session.resumed;
    try {
      return this.#session.response(head);
    } catch (error) {
      if (!resuming || !(error instanceof PushRefusal) || !FORGOTTEN.has(error.status)) throw error;
      this.#session = this.#newSession(undefined);
      return [];
    }
  }

  /**
   * @returns which connection the next attempt uses
   * @throws WmError WM_AUTH_REFUSED if there is no answer to the challenge
   */
  async #authenticate(head: ResponseHead, connection: object): Promise<'same' | 'new'> {
    const next =
      ++this.#challenges <= MAX_CHALLENGES && (await this.#route.challenged(head, connection, this.#staysOpen(head)));
    if (!next) throw this.#session.refusal(head);
    return next;
  }

  /**
   * True if the next request may use the connection. Some proxies close it without notice; the others say that they
   * keep it open.
   */
  #staysOpen(head: ResponseHead): boolean {
    if (!keepsAlive(head)) return false;
    const said = [...head.headers.tokens('Connection'), ...head.headers.tokens('Proxy-Connection')];
    return !this.#route.usesProxy || said.includes('keep-alive');
  }

  /** Returns the open connection, or a new one (MS-WMHTTP 3.1.4.2.1). */
  async #connection(): Promise<HttpClient> {
    if (this.#http?.open) return this.#http;
    this.#http = await this.#route.connect();
    return this.#http;
  }

  #drop(): void {
    this.#http?.destroy();
    this.#http = undefined;
  }

  #perform(actions: readonly ClientAction[]): Promise<void> | undefined {
    let backlog: Promise<void> | undefined;
    for (const action of actions) {
      switch (action.type) {
        case 'send':
          backlog = this.#http?.write(action.bytes) ?? backlog;
          break;
        case 'pushStart':
          this.#start();
          break;
        case 'awaitResponse':
          this.#answerTimer = setTimeout(() => this.#fail(this.#silence()), this.#timeout);
          break;
        case 'close':
          this.#finish();
          break;
        default:
          break;
      }
    }
    return backlog;
  }

  #silence(): WmError {
    return new WmError('WM_UNREACHABLE', `${this.#route.authority} did not answer within ${this.#timeout / 1000} s.`);
  }

  #start(): void {
    const http = this.#http;
    if (http?.open) {
      this.#connecting = false;
      this.#startOn(http);
      return;
    }
    this.#connecting = true;
    this.#connection()
      .then((connection) => {
        this.#connecting = false;
        this.#startOn(connection);
      })
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#releaseWaiters());
  }

  #startOn(http: HttpClient): void {
    const { request, actions } = this.#session.pushStart(this.#route.authority, this.#route.credentials(http));
    http.send('POST', this.#route.requestTarget, request.fields);
    this.#listen(http);
    this.#perform(actions);
  }

  #listen(http: HttpClient): void {
    if (this.#listening === http) return;
    this.#listening = http;
    http
      .response(Number.POSITIVE_INFINITY)
      .then((response) => this.#answered(http, response))
      .catch((error: unknown) => {
        if (!this.#startsAgainAfter(error)) this.#fail(error);
      })
      .finally(() => this.#releaseWaiters());
  }

  #answered(http: HttpClient, { head }: ClientResponse): void {
    this.#listening = undefined;
    clearTimeout(this.#answerTimer);
    const bodyComplete = this.#session.lengthRemaining === 0;
    const actions = this.#session.response(head);
    if (actions[0]?.type === 'authenticate') {
      this.#startAgain(head, http);
      return;
    }
    this.#challenges = 0;
    if (bodyComplete && !(this.#staysOpen(head) && this.#route.reusesConnections)) this.#drop();
    this.#perform(actions);
    if (!bodyComplete && this.#session.state !== 'End') this.#listen(http);
  }

  /**
   * Sends a PushStart once more on a new connection if its own was stale, unless packets were sent that the server may
   * have. Those are left to a push that resumes the session, which asks the server first.
   */
  #startsAgainAfter(error: unknown): boolean {
    if (!(error instanceof StaleConnection)) return false;
    const mayReuse = this.#route.reusesConnections;
    this.#route.wasStale();
    if (this.#finished || this.#failure || !mayReuse || this.#session.hasSentData || !this.#session.takeBack())
      return false;
    clearTimeout(this.#answerTimer);
    this.#listening = undefined;
    this.#drop();
    this.#start();
    return true;
  }

  /** Answers 401 or 407 to PushStart (MS-WMHTTP 3.1.5.2): on a new connection if its body was not complete. */
  #startAgain(head: ResponseHead, http: HttpClient): void {
    if (this.#session.bodyLeft > 0 || !this.#staysOpen(head)) this.#drop();
    this.#connecting = true;
    this.#authenticate(head, http)
      .then(() => this.#start())
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#releaseWaiters());
  }

  #finish(): void {
    const http = this.#http;
    this.#finished = (http ? http.close() : Promise.resolve()).then(() => {
      clearTimeout(this.#answerTimer);
      this.#reportStats(true);
    });
  }

  #fail(error: unknown): void {
    // Events after the last $E, such as a refusal or a cut connection, change nothing; some servers do either.
    if (this.#finished) return;
    clearTimeout(this.#answerTimer);
    this.#failure ??= error instanceof WmError ? error : new WmError('WM_FAILED', messageOf(error), { cause: error });
    this.#http?.destroy();
    this.#signalFailure();
    this.#releaseWaiters();
  }

  #mustWait(): boolean {
    return !this.#failure && !this.#finished && (this.#connecting || this.#session.queued > 0);
  }

  #wait(): Promise<void> {
    return new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject })).then(() => this.#finished);
  }

  #releaseWaiters(): void {
    if (this.#mustWait()) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (this.#failure) {
        this.#failureSeen = true;
        waiter.reject(this.#failure);
      } else {
        waiter.resolve();
      }
    }
  }

  #rejection(): Promise<never> {
    this.#failureSeen = true;
    return Promise.reject(this.#failure);
  }

  #throwFailure(): void {
    if (!this.#failure) return;
    this.#failureSeen = true;
    throw this.#failure;
  }

  #reportStats(last: boolean): void {
    const { onStats } = this.#options;
    if (!onStats) return;
    const now = Date.now();
    if (!last && now < this.#statsDue) return;
    this.#statsDue = now + STATS_INTERVAL;
    onStats(this.stats);
  }
}

/** Returns bits per second of all streams together; 0 if unknown. */
function bitrateOf(header: AsfHeader): number {
  let sum = 0;
  for (const rate of header.streamBitrates.values()) sum += rate;
  return Math.max(sum, header.fileProperties.maximumBitrate);
}
