import { LeadsElsewhere } from '../../announce/elsewhere.js';
import { printable, WmError } from '../../errors.js';
import type { Field } from '../../framing/text-head.js';
import { loginHint, refusedCredentials } from '../../http/credentials.js';
import { statusError } from '../../http/status-error.js';
import { formatPullChain, PULL_CHAIN_FIELD } from '../../receiving/pull-chain.js';
import { type Feature, formatSupported, parseSupported } from '../../wms/features.js';
import type { Relayed } from '../../wms/relayed.js';
import { readNumber, readSession } from '../messages/headers.js';
import type { RtspResponse } from '../messages/message.js';
import { type ConnectionEvents, RtspClientConnection } from './connection.js';
import type { RtspPeer } from './peer.js';
import { isRtspUrl, parseRtspUrl, type RtspUrl } from './url.js';

/** A request, without the fields of every request. */
export interface Asked {
  /** The URL of a stream; default: that of the presentation. */
  readonly url?: string;
  readonly fields?: readonly Field[];
  readonly type?: string;
  readonly body?: Buffer;
  /** True to say what this client supports (MS-RTSP 3.1.5.1). */
  readonly supported?: boolean;
  /** True to name the playlist entry. */
  readonly named?: boolean;
  /** Called as the body of the response arrives, with its bytes so far. */
  readonly onBody?: (received: number) => void;
}

/** Challenges and redirects in a row. */
const MAX_CHALLENGES = 4;
const MAX_REDIRECTS = 5;

/** Features of this client (MS-RTSP 3.1.5.1); what another protocol forwards needs LocationIds. */
const FEATURES: readonly Feature[] = ['srvppair', 'sswitch', 'eosmsg', 'locid'];

/** The requests of a session and what its responses say, whatever connection they travel on (MS-RTSP 3.1.5.1, 3.1.5.2). */
export class RtspDialog {
  /** The server and the content, after redirects. */
  url: RtspUrl;
  server: string | undefined;
  /** The server's features; undefined if it lists none. */
  supported: ReadonlySet<Feature> | undefined;
  /** Playlist-gen-id; 0 if unknown. */
  genId = 0;
  /** The id of the session; undefined in state INIT. */
  session: string | undefined;
  /** The interval of keep-alive requests, in ms. */
  keepAlive = 60_000;
  /** The events of x-wms-event-subscription. */
  subscription: ReadonlySet<string> = new Set();
  readonly #peer: RtspPeer;
  readonly #events: ConnectionEvents;
  #connection: RtspClientConnection | undefined;
  #guard;
  // The proxy of a 305.
  #via: RtspUrl | undefined;
  #closed = false;

  constructor(peer: RtspPeer, events: ConnectionEvents) {
    this.#peer = peer;
    this.#events = events;
    this.url = peer.moved ?? peer.url;
    this.#guard = peer.options.led || peer.moved ? peer.options.guard : undefined;
  }

  /** True while requests can be sent. */
  get isOpen(): boolean {
    return this.#connection !== undefined && !this.#connection.isOver;
  }

  get connection(): RtspClientConnection {
    if (!this.#connection) throw new WmError('WM_SERVER_GONE', `There is no connection to ${this.url.authority}.`);
    return this.#connection;
  }

  /** Connects, unless that is done. @throws WmError as {@link RtspClientConnection.open} */
  async connect(): Promise<void> {
    if (this.isOpen) return;
    const { host, port, authority } = this.#via ?? this.url;
    const endpoint = { host, port, guard: this.#guard };
    const connection = await RtspClientConnection.open(endpoint, authority, this.#peer.timeouts.connect, this.#events);
    this.#connection = connection;
    if (this.#closed) connection.end();
  }

  /**
   * Describes the content, wherever redirects lead (MS-RTSP 3.1.5.4).
   *
   * @throws WmError as {@link ask}; LeadsElsewhere for a redirect to another protocol
   */
  async describe(): Promise<RtspResponse> {
    for (let hops = 0; ; hops++) {
      await this.connect();
      const fields: Field[] = [['Accept', 'application/sdp']];
      const { pullChain = [] } = this.#peer.options;
      if (pullChain.length > 0) fields.push([PULL_CHAIN_FIELD, formatPullChain(pullChain)]);
      const response = await this.#answer('DESCRIBE', { fields, supported: true, named: true });
      if (response.status < 300 || response.status > 305) return this.#accepted(response, 'DESCRIBE');
      if (hops >= MAX_REDIRECTS) throw new WmError('WM_PROTOCOL', `${this.#peer.url.href} redirects too often.`);
      this.#follow(response);
    }
  }

  /**
   * Sends a request that has to succeed.
   *
   * @throws WmError WM_NO_INPUT, WM_AUTH_REFUSED, WM_UNREACHABLE, WM_PROTOCOL for its status; those of the connection
   */
  async ask(method: string, asked: Asked = {}): Promise<RtspResponse> {
    return this.#accepted(await this.#answer(method, asked), method);
  }

  /** Sends a request whose failure changes nothing, such as a log (MS-RTSP 3.1.5.2). */
  async tell(method: string, asked: Asked = {}): Promise<RtspResponse | undefined> {
    return this.#answer(method, asked).catch(() => undefined);
  }

  /** Says farewell, if there is a session, and ends the connection. */
  end(): void {
    this.#closed = true;
    if (this.isOpen && this.session !== undefined) void this.tell('TEARDOWN', { named: true });
    this.session = undefined;
    this.#connection?.end();
  }

  async #answer(method: string, asked: Asked): Promise<RtspResponse> {
    const { body, onBody } = asked;
    const url = asked.url ?? this.url.href;
    for (let challenges = 0; ; challenges++) {
      const { connection } = this;
      const fields = this.#fields(method, asked, url, connection);
      const response = await connection.ask(method, url, fields, body, this.#peer.timeouts.answer, onBody);
      this.#learn(response);
      const { status, headers } = response;
      if (status !== 401 && status !== 407) return response;
      const challenge = { method, target: url, connection, status, headers, persistent: !connection.isOver };
      const goesOn = challenges < MAX_CHALLENGES && (await this.#peer.credentials.answer(challenge, this.#recipient));
      if (!goesOn) {
        const known = this.#peer.credentials.knows(status);
        const sentence = `${refusedCredentials(status, known)}: ${status} for ${this.url.href}.`;
        throw new WmError('WM_AUTH_REFUSED', sentence, { hint: loginHint(status, known) });
      }
    }
  }

  get #recipient() {
    const { origin, host } = this.url;
    return { origin, host, secure: false };
  }

  #fields(
    method: string,
    { fields = [], type, supported, named }: Asked,
    url: string,
    connection: object,
  ): readonly Field[] {
    const { identity, options, cookies, credentials } = this.#peer;
    const schemes = options.authorize?.schemes ?? [];
    const cookie = method === 'DESCRIBE' ? cookies.header(this.url) : undefined;
    const all: Field[] = [['User-Agent', identity.text]];
    if (options.relayed) all.push(...relayedFieldsOf(options.relayed));
    if (schemes.length > 0) all.push(['X-Accept-Authentication', schemes.join(', ')]);
    if (this.session !== undefined) all.push(['Session', this.session]);
    if (supported) all.push(['Supported', formatSupported(this.#features())]);
    if (named && this.genId !== 0) all.push(['X-Playlist-Gen-Id', `${this.genId}`]);
    if (cookie !== undefined) all.push(['Cookie', cookie]);
    all.push(...fields);
    if (type !== undefined) all.push(['Content-Type', type]);
    return credentials.fields({ method, minorVersion: 1, fields: all }, url, this.#recipient, connection);
  }

  #features(): Feature[] {
    const { prediction = true } = this.#peer.options;
    const more: Feature[] = prediction ? ['predstrm'] : [];
    if (this.supported?.has('startupprofile')) more.push('startupprofile');
    return [...FEATURES, ...more];
  }

  /** Notes what every response says (MS-RTSP 3.1.5.2). */
  #learn({ headers }: RtspResponse): void {
    this.supported = parseSupported(headers.all('Supported')) ?? this.supported;
    const server = headers.get('Server');
    if (server !== undefined) this.server = printable(server, 200);
    this.genId = readNumber(headers.get('X-Playlist-Gen-Id')) ?? this.genId;
    const session = headers.get('Session');
    if (session !== undefined) {
      const { id, timeout } = readSession(session);
      if (/^[\x21-\x7e]{1,100}$/.test(id)) this.session = id;
      this.keepAlive = timeout * 1_000;
    }
    const cacheControl = headers.all('Cache-Control').join(',');
    if (cacheControl !== '') this.subscription = subscribedEvents(cacheControl);
    this.#peer.cookies.store(this.url, headers.all('Set-Cookie'));
  }

  #accepted(response: RtspResponse, method: string): RtspResponse {
    const { status } = response;
    if (status >= 200 && status < 300) return response;
    throw statusError(
      { ...response, minorVersion: 1 },
      method === 'DESCRIBE' ? this.url.href : `${method} of ${this.url.href}`,
    );
  }

  /** Another server has the content, or a proxy leads to it. */
  #follow({ status, headers }: RtspResponse): void {
    const location = headers.get('Location')?.trim() ?? '';
    if (!URL.canParse(location, this.url.href)) {
      throw new WmError('WM_PROTOCOL', `${this.url.href} redirects nowhere: ${status}.`);
    }
    const target = new URL(location, this.url.href).href;
    if (!isRtspUrl(target)) throw new LeadsElsewhere(target, true);
    const url = parseRtspUrl(target);
    this.#connection?.end();
    this.#connection = undefined;
    this.#guard = this.#peer.options.guard;
    if (status === 305) this.#via = url;
    else {
      this.#via = undefined;
      this.url = url;
    }
    this.genId = 0;
    this.session = undefined;
  }
}

/** Returns the events of x-wms-event-subscription (MS-RTSP 2.2.6.2.10). */
function subscribedEvents(cacheControl: string): ReadonlySet<string> {
  const list = /\bx-wms-event-subscription="([^"]{0,200})"/i.exec(cacheControl)?.[1] ?? '';
  return new Set(list.split(',').map((name) => name.trim().toLowerCase()));
}

/** Returns the fields of a request that a proxy passes on (MS-RTSP 2.2.6.24, 2.2.6.25). */
function relayedFieldsOf({ via, agent, verb }: Relayed): Field[] {
  return [
    ['Via', via.join(', ')],
    ...(agent === '' ? [] : [['X-Proxy-Client-Agent', printable(agent, 500)] as const]),
    ['X-Proxy-Client-Verb', verb],
  ];
}
