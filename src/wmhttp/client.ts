import type { AsfHeader } from '../asf/header.js';
import { stripPadding } from '../asf/padding.js';
import { messageOf, WmError } from '../errors.js';
import { type ClientResponse, HttpClient } from '../http/client.js';
import { type Field, type HeaderFields, keepsAlive } from '../http/message.js';
import type { AsfEvent, AsfSink } from '../media/events.js';
import { type ClientAction, ClientSession } from './client-session.js';
import { S_FALSE, S_OK } from './packets.js';
import { formatPushUrl, type PushTarget, parsePushUrl } from './push-url.js';

/** What a push has sent so far. */
export interface PushStats {
  /** ASF data packets. */
  readonly packets: number;
  /** Bytes of the bodies of the PushStart requests. */
  readonly bytes: number;
}

/** Answers the challenges of servers and proxies to the PushSetup request. */
export interface PushAuthenticator {
  /** For X-Accept-Authentication, in order of preference. */
  readonly schemes: readonly string[];
  /**
   * @param challenge the response with status 401 or 407
   * @returns the Authorization or Proxy-Authorization field of the next try; undefined gives up
   */
  answer(challenge: PushChallenge): Field | undefined | Promise<Field | undefined>;
}

export interface PushChallenge {
  readonly status: number;
  readonly headers: HeaderFields;
  readonly method: string;
  /** The request-target of the request that was refused. */
  readonly target: string;
}

export interface PushOptions {
  /** `http://host[:port]/point` */
  readonly url: string;
  /** Path of a publishing point on the server, such as `/template`, to make the new point from. */
  readonly template?: string | undefined;
  /** Have the publishing point removed at the end. */
  readonly autoDestroy?: boolean | undefined;
  readonly userAgent?: string | undefined;
  /** Bytes of each PushStart body; default 2147483647, or a minute's worth when a proxy is on the way. */
  readonly contentLength?: number | undefined;
  /** How long the server may take to connect and to answer, in ms; default 10000. */
  readonly timeout?: number | undefined;
  /** Called about once a second while packets are sent, and at the end. */
  readonly onStats?: ((stats: PushStats) => void) | undefined;
  readonly authorize?: PushAuthenticator | undefined;
}

const DEFAULT_TIMEOUT = 10_000;
const STATS_INTERVAL = 1_000;
const MAX_REDIRECTS = 5;
const MAX_CHALLENGES = 4;

interface Waiter {
  resolve(): void;
  reject(error: WmError): void;
}

/**
 * Pushes one stream to a publishing point (MS-WMHTTP 3.1): {@link PushClient.connect} sets it up; the first header that is
 * written starts it. Padding of packets is removed on the way.
 */
export class PushClient implements AsfSink {
  readonly #options: PushOptions;
  readonly #session: ClientSession;
  readonly #timeout: number;
  #target: PushTarget;
  #proxy: PushTarget | undefined;
  #http: HttpClient | undefined;
  #listening: HttpClient | undefined;
  #connecting = false;
  #failure: WmError | undefined;
  #failureSeen = false;
  #finished: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #answerTimer: NodeJS.Timeout | undefined;
  #waiters: Waiter[] = [];
  #statsDue = 0;

  private constructor(options: PushOptions) {
    this.#options = options;
    this.#timeout = options.timeout ?? DEFAULT_TIMEOUT;
    this.#target = parsePushUrl(options.url);
    this.#session = new ClientSession({
      name: formatPushUrl(this.#target),
      template: options.template,
      autoDestroy: options.autoDestroy,
      userAgent: options.userAgent,
      contentLength: options.contentLength,
      acceptAuthentication: options.authorize?.schemes ?? [],
    });
  }

  /**
   * Connects and sends the PushSetup request; up to five redirects are followed.
   *
   * @throws WmError WM_USAGE for a bad URL or template, WM_UNREACHABLE, WM_AUTH_REFUSED for 401, 403 and 407,
   *   WM_PUSH_REFUSED for other error statuses, WM_PROTOCOL when the server is no Windows Media server, WM_SERVER_GONE
   */
  static async connect(options: PushOptions): Promise<PushClient> {
    const client = new PushClient(options);
    try {
      await client.#setUp();
    } catch (error) {
      client.#http?.destroy();
      throw error;
    }
    return client;
  }

  /** What was sent so far. */
  get stats(): PushStats {
    return { packets: this.#session.packets, bytes: this.#session.bytes };
  }

  /** Why nothing more can be sent; every later write is rejected with it. */
  get failure(): WmError | undefined {
    return this.#failure;
  }

  /** Bytes that wait to be taken by the network. */
  get backlog(): number {
    return this.#http?.backlog ?? 0;
  }

  /**
   * Sends a header, a packet or an end.
   *
   * @returns a promise while the network is behind, or the server has to answer before more can be sent. It rejects with
   *   a WmError: WM_PUSH_REFUSED or WM_AUTH_REFUSED when the server ends the push, WM_SERVER_GONE, WM_UNREACHABLE,
   *   WM_BAD_INPUT for a header or packet that does not fit the protocol
   */
  write(event: AsfEvent): void | Promise<void> {
    if (this.#failure) return this.#rejection();
    if (this.#session.state === 'End') {
      return Promise.reject(new WmError('WM_FAILED', 'The push has ended already.'));
    }
    let behind: Promise<void> | undefined;
    try {
      behind = this.#perform(this.#take(event));
    } catch (error) {
      this.#fail(error);
      return this.#rejection();
    }
    this.#reportStats(false);
    if (this.#failure) return this.#rejection();
    if (this.#finished) return this.#finished;
    if (this.#mustWait()) return this.#wait();
    return behind?.then(() => this.#throwFailure());
  }

  /**
   * Ends the push: $E with Reason 0 if no end was written, then the connection is closed.
   *
   * @throws WmError when the push had failed and no write has told so yet
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
        return this.#session.header(event.header.bytes, event.header.packetSize, bitrateOf(event.header));
      case 'packet':
        return this.#session.packet(stripPadding(event.packet));
      case 'end':
        if (event.moreEntries) return this.#session.end(S_FALSE);
        return this.#session.end(event.reason === S_FALSE ? S_OK : event.reason);
    }
  }

  async #setUp(): Promise<void> {
    const { authorize } = this.#options;
    let authorization: Field | undefined;
    let redirects = 0;
    let challenges = 0;
    for (;;) {
      const http = await this.#connection();
      const request = this.#session.pushSetup(this.#target.authority, authorization);
      http.send('POST', this.#requestTarget, request.fields, request.body);
      const { head } = await http.response(this.#timeout);
      const [action] = this.#session.response(head);
      if (!keepsAlive(head)) this.#drop();
      switch (action?.type) {
        case 'redirect':
          if (++redirects > MAX_REDIRECTS) {
            throw new WmError(
              'WM_PUSH_REFUSED',
              `The server redirects the push again and again, last to ${action.location}.`,
            );
          }
          this.#redirect(action.location, action.proxy);
          break;
        case 'authenticate': {
          const challenge = { status: head.status, headers: head.headers, method: 'POST', target: this.#requestTarget };
          authorization = ++challenges <= MAX_CHALLENGES ? await authorize?.answer(challenge) : undefined;
          if (!authorization) {
            const name = formatPushUrl(this.#target);
            throw new WmError(
              'WM_AUTH_REFUSED',
              `The server refused the push to ${name}: ${head.status} ${head.reason}.`,
            );
          }
          break;
        }
        default:
          return;
      }
    }
  }

  get #requestTarget(): string {
    return this.#proxy ? formatPushUrl(this.#target) : this.#target.path;
  }

  /** The connection that is open, or a new one (MS-WMHTTP 3.1.4.2.1). */
  async #connection(): Promise<HttpClient> {
    if (this.#http?.open) return this.#http;
    const { host, port } = this.#proxy ?? this.#target;
    this.#http = await HttpClient.connect({ host, port, timeout: this.#timeout });
    return this.#http;
  }

  #drop(): void {
    this.#http?.destroy();
    this.#http = undefined;
  }

  #redirect(location: string, proxy: boolean): void {
    this.#drop();
    let target: PushTarget;
    try {
      target = parsePushUrl(location, formatPushUrl(this.#target));
    } catch (error) {
      throw new WmError('WM_PUSH_REFUSED', `The server redirects the push to ${location}, where it cannot go.`, {
        cause: error,
      });
    }
    if (proxy) this.#proxy = target;
    else this.#target = target;
    this.#session.setProxy(this.#proxy !== undefined);
  }

  #perform(actions: readonly ClientAction[]): Promise<void> | undefined {
    let behind: Promise<void> | undefined;
    for (const action of actions) {
      switch (action.type) {
        case 'send':
          behind = this.#http?.write(action.bytes) ?? behind;
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
    return behind;
  }

  #silence(): WmError {
    const { authority } = this.#target;
    return new WmError('WM_UNREACHABLE', `${authority} did not answer within ${this.#timeout / 1000} s.`);
  }

  #start(): void {
    const http = this.#http;
    if (http?.open) {
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
    const { request, actions } = this.#session.pushStart(this.#target.authority);
    http.send('POST', this.#requestTarget, request.fields);
    this.#listen(http);
    this.#perform(actions);
  }

  #listen(http: HttpClient): void {
    if (this.#listening === http) return;
    this.#listening = http;
    http
      .response(Number.POSITIVE_INFINITY)
      .then((response) => this.#answered(http, response))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#releaseWaiters());
  }

  #answered(http: HttpClient, { head }: ClientResponse): void {
    this.#listening = undefined;
    clearTimeout(this.#answerTimer);
    const bodyComplete = this.#session.lengthRemaining === 0;
    const actions = this.#session.response(head);
    if (bodyComplete && !keepsAlive(head)) this.#drop();
    this.#perform(actions);
    if (!bodyComplete && this.#session.state !== 'End') this.#listen(http);
  }

  #finish(): void {
    const http = this.#http;
    this.#finished = (http ? http.close() : Promise.resolve()).then(() => {
      clearTimeout(this.#answerTimer);
      this.#reportStats(true);
    });
  }

  #fail(error: unknown): void {
    // What happens behind the last $E, a refusal or a cut connection, changes nothing: some servers do either.
    if (this.#finished) return;
    clearTimeout(this.#answerTimer);
    this.#failure ??= error instanceof WmError ? error : new WmError('WM_FAILED', messageOf(error), { cause: error });
    this.#http?.destroy();
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

/** Bits per second of all streams together; 0 unknown. */
function bitrateOf(header: AsfHeader): number {
  let sum = 0;
  for (const rate of header.streamBitrates.values()) sum += rate;
  return Math.max(sum, header.fileProperties.maximumBitrate);
}
