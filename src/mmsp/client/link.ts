import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import { LeadsElsewhere } from '../../announce/elsewhere.js';
import type { HttpAuthenticator } from '../../auth/client.js';
import { messageOf, WmError } from '../../errors.js';
import type { AddressGuard } from '../../http/address-guard.js';
import { isLoopback, plainAddress } from '../../http/addresses.js';
import { openConnection } from '../../http/connection.js';
import { MmspError, splitMessages } from '../messages/base.js';
import { TcpPacketReader, wrapMessages } from '../messages/frame.js';
import type { ClientAction, PlayOrder } from './actions.js';
import { MmspCredentials } from './credentials.js';
import { MmspClientSession } from './session.js';
import { isMmsUrl, type MmsUrl, parseMmsUrl } from './url.js';

/** The maximum waits, each in ms. @public */
export interface MmspTimeouts {
  /** For the TCP connection. */
  readonly connect: number;
  /** For the next answer of the server. */
  readonly answer: number;
  /** For the next packet. */
  readonly data: number;
  /** For the answer to a stop. */
  readonly side: number;
}

/** The waits of a client that sets none. */
export const DEFAULT_TIMEOUTS: MmspTimeouts = { connect: 10_000, answer: 15_000, data: 30_000, side: 3_000 };

/** The server to connect to, and how long to wait for it. */
export interface LinkOptions {
  readonly url: MmsUrl;
  readonly transport: 'tcp' | 'udp';
  /** subscriberName. */
  readonly subscriber: string;
  /** The proxies that the request came through, this one included; the server is then named as well. */
  readonly via?: string | undefined;
  readonly packetPair: boolean;
  readonly timeouts: MmspTimeouts;
  /** For the first message of the server; default: as for any answer. */
  readonly greetWithin?: number | undefined;
  readonly authorize?: HttpAuthenticator | undefined;
  /** Where redirects of other hosts may lead; with `led` also where the URL itself may. */
  readonly guard?: AddressGuard | undefined;
  readonly led?: boolean | undefined;
  readonly buildLog: (openFileId: number) => Buffer | undefined;
  readonly onNote: (text: string) => void;
}

/** Something received while playing. */
export type LinkItem = Extract<ClientAction, { readonly type: 'packet' | 'change' | 'ended' | 'stopped' }>;

const MAX_REDIRECTS = 5;
/** Bytes that may wait for the consumer; beyond that the connection pauses, or datagrams are lost. */
const MAX_WAITING = 8 * 1024 * 1024;
/** The memory that an item takes besides its bytes. */
const ITEM_OVERHEAD = 100;
/** Bytes of requests that a server may leave unread. */
const MAX_UNREAD = 64 * 1024;
/** Between two looks at the clock, in ms: often enough for resend requests, or for time limits. */
const TICKS = { udp: 20, tcp: 250 } as const;
/** The port in funnelName of the TCP connection: made up, and ignored by servers. */
const TCP_FUNNEL_PORT = 1037;
/** What is asked of the operating system for datagrams, in bytes. */
const UDP_BUFFER = 1024 * 1024;
/** Until a connection that ends is cut, in ms. */
const END_GRACE = 1_000;

/** The connection of an {@link MmspClientSession}, and its UDP port. It can play repeatedly. */
export class MmspLink {
  readonly #options: LinkOptions;
  #url: MmsUrl;
  #proxy: MmsUrl | undefined;
  #guard: AddressGuard | undefined;
  #proxyGuard: AddressGuard | undefined;
  #session: MmspClientSession | undefined;
  #socket: Socket | undefined;
  #udp: UdpSocket | undefined;
  #reader = new TcpPacketReader({ takesData: true });
  #sequence = 0;
  #since = 0;
  #timer: NodeJS.Timeout | undefined;
  #deadline = Number.POSITIVE_INFINITY;
  #silence = 'does not answer';
  #waiting: LinkItem[] = [];
  #waitingBytes = 0;
  #opened: 'opened' | Extract<ClientAction, { type: 'redirect' }> | undefined;
  #credentials: MmspCredentials;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;
  #wake: () => void = () => {};

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#url = options.url;
    if (options.led) this.#guard = options.guard;
    this.#credentials = new MmspCredentials(options.authorize, options.url.href);
  }

  /** Known once {@link open} has returned. */
  get session(): MmspClientSession {
    return this.#session!;
  }

  /** True if an MMS server has answered. */
  get isGreeted(): boolean {
    return this.#session !== undefined && this.#session.version.text !== '';
  }

  /** True if the connection was lost: this link cannot play any longer. */
  get isBroken(): boolean {
    return this.#failure !== undefined;
  }

  /** The last URL, after redirects. */
  get url(): MmsUrl {
    return this.#url;
  }

  /**
   * Connects and opens the file, through redirects and challenges (MS-MMSP 3.1.4.1).
   *
   * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_PROTOCOL, WM_NO_INPUT, WM_AUTH_REFUSED
   * @throws LeadsElsewhere for a redirect to another protocol
   */
  async open(): Promise<void> {
    if (this.#closed) throw this.#gone();
    for (let redirects = 0; ; redirects++) {
      await this.#connect();
      await this.#until(() => this.#opened !== undefined);
      const opened = this.#opened;
      if (this.#closed || opened === undefined) throw this.#gone();
      if (opened === 'opened') {
        this.#deadline = Number.POSITIVE_INFINITY;
        return;
      }
      if (redirects === MAX_REDIRECTS) {
        throw new WmError('WM_PROTOCOL', `The server redirects again and again, last to ${opened.location}.`);
      }
      this.#redirect(opened);
    }
  }

  /**
   * Plays; in one array what arrived together. After a `change` that ends its array, {@link nextEntry} is to be called.
   *
   * @returns `ended` after the last entry, `stopped` after {@link stop}
   * @throws WmError WM_SERVER_GONE, WM_PROTOCOL, WM_NO_INPUT …
   */
  async *play(order: PlayOrder): AsyncGenerator<readonly LinkItem[], void, undefined> {
    this.#waiting = [];
    this.#tookAll();
    this.#perform(this.session.play(order, performance.now()));
    this.#await(this.#options.timeouts.answer, 'does not answer');
    for (;;) {
      await this.#until(() => this.#waiting.length > 0);
      if (this.#closed) return;
      const items = this.#nextItems();
      const { type } = items.at(-1)!;
      if (type === 'ended' || type === 'stopped') this.#deadline = Number.POSITIVE_INFINITY;
      yield items;
      if (type === 'ended' || type === 'stopped') return;
    }
  }

  /** Reports what was received of an entry that has ended by itself. */
  report(): void {
    this.#perform(this.session.report());
  }

  /** Asks for the entry that a `change` has announced. */
  nextEntry(order: PlayOrder): void {
    this.#perform(this.session.nextEntry(order, performance.now()));
  }

  /** Ends {@link play}; the session stays. */
  stop(): void {
    if (this.#closed || !this.#session) return;
    this.#waiting = [];
    this.#tookAll();
    this.#perform(this.#session.stop());
    this.#await(this.#options.timeouts.side, 'does not stop');
  }

  /** Ends the session, if there is one, and the connection. */
  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (this.#session) this.#perform(this.#session.finish());
    } catch {
      // The session ends either way.
    }
    this.#disconnect();
    this.#wake();
  }

  async #connect(): Promise<void> {
    const { timeouts, transport, subscriber, via, packetPair, buildLog } = this.#options;
    const to = this.#proxy ?? this.#url;
    const guard = this.#proxy ? this.#proxyGuard : this.#guard;
    const socket = await openConnection({ host: to.host, port: to.port, guard }, timeouts.connect);
    this.#socket = socket;
    socket.on('error', (error) => this.#lost(error));
    socket.setNoDelay(true);
    if (this.#closed) {
      socket.destroy();
      throw this.#gone();
    }
    const port = transport === 'udp' ? await this.#listen(socket, to.port) : TCP_FUNNEL_PORT;
    const address = plainAddress(socket.localAddress ?? '127.0.0.1').split('%', 1)[0]!;
    this.#reader = new TcpPacketReader({ takesData: true });
    this.#sequence = 0;
    this.#since = performance.now();
    this.#opened = undefined;
    this.#session = new MmspClientSession({
      subscriber,
      host: this.#proxy || via !== undefined ? `${this.#url.host}:${this.#url.port}` : undefined,
      via,
      fileName: this.#url.fileName,
      href: this.#url.href,
      funnel: { transport, address, port },
      packetPair,
      buildLog,
    });
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('close', () => this.#lost(undefined));
    this.#timer = setInterval(() => this.#tick(), TICKS[transport]);
    this.#perform(this.#session.connected());
    const { greetWithin = timeouts.answer } = this.#options;
    this.#await(greetWithin, 'accepted the connection but does not answer as an MMS server');
  }

  /** Opens the UDP port for Data packets. Those of other hosts than the server are ignored. @returns its number */
  async #listen(socket: Socket, serverPort: number): Promise<number> {
    const server = socket.remoteAddress ?? '';
    const udp = createSocket({ type: server.includes(':') ? 'udp6' : 'udp4' });
    this.#udp = udp;
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject);
      udp.bind(0, () => resolve());
    }).catch((error: unknown) => {
      throw new WmError('WM_FAILED', `No UDP port can be opened: ${messageOf(error)}.`, { cause: error });
    });
    if (this.#closed) throw this.#gone();
    udp.removeAllListeners('error');
    // An answer that nothing listens on the port for resend requests.
    udp.on('error', () => undefined);
    try {
      udp.setRecvBufferSize(UDP_BUFFER);
    } catch {
      // Without it more datagrams are lost, and asked for again.
    }
    const expected = plainAddress(server);
    udp.on('message', (bytes, from) => {
      if (plainAddress(from.address) === expected) this.#datagram(bytes);
    });
    this.#toServer = (bytes) => void udp.send(bytes, serverPort, server, () => undefined);
    return udp.address().port;
  }

  #toServer: (bytes: Buffer) => void = () => undefined;

  #receive(bytes: Buffer): void {
    this.#attempt(() => {
      const now = performance.now();
      const before = this.session.state;
      for (const packet of this.#reader.push(bytes)) {
        if (this.#failure || this.#closed) return;
        if (packet.type === 'data') this.#perform(this.session.data(packet.bytes, now));
        else for (const raw of splitMessages(packet.field)) this.#perform(this.session.receive(raw, now));
      }
      const { state } = this.session;
      if (state !== before && state === 'streaming') this.#await(this.#options.timeouts.data, 'sends nothing');
    });
    if (this.#waitingBytes <= MAX_WAITING) return;
    // Nothing can arrive until the consumer has caught up.
    this.#socket?.pause();
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  /** A datagram may come from anybody who knows the server's address: a malformed one is ignored. */
  #datagram(bytes: Buffer): void {
    if (this.#waitingBytes > MAX_WAITING) return;
    try {
      this.#perform(this.session.data(bytes, performance.now()));
    } catch (error) {
      if (!(error instanceof MmspError)) this.#fail(error);
    }
  }

  #perform(actions: readonly ClientAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case 'send':
          this.#send(action.message);
          break;
        case 'datagram':
          this.#toServer(action.bytes);
          break;
        case 'note':
          this.#options.onNote(action.text);
          break;
        case 'challenge':
          void this.#answer(action.token);
          break;
        case 'opened':
          this.#opened = 'opened';
          this.#wake();
          break;
        case 'redirect':
          this.#opened = action;
          this.#wake();
          break;
        default:
          this.#give(action);
      }
    }
  }

  #send(message: Buffer): void {
    const socket = this.#socket;
    if (!socket || socket.destroyed) return;
    if (socket.writableLength > MAX_UNREAD) {
      this.#fail(new WmError('WM_PROTOCOL', `${this.#url.authority} keeps asking and does not read the answers.`));
      return;
    }
    socket.write(wrapMessages(message, this.#sequence++, performance.now() - this.#since));
    if (this.#session?.state !== 'streaming' && this.#deadline !== Number.POSITIVE_INFINITY) {
      this.#await(this.#options.timeouts.answer, 'does not answer');
    }
  }

  async #answer(token: Buffer): Promise<void> {
    const { session } = this;
    const socket = this.#socket!;
    const { version, scheme } = session;
    const challenge = { token, scheme, major: version.major, connection: socket };
    try {
      const isLocal = isLoopback(socket.remoteAddress ?? '');
      const answer = await this.#credentials.answer({ ...challenge, isLocal });
      if (session === this.#session && !this.#closed) this.#perform(session.respond(answer));
    } catch (error) {
      this.#fail(error);
    }
  }

  #redirect({ location, proxy }: Extract<ClientAction, { type: 'redirect' }>): void {
    const isRemote = this.#proxy !== undefined || !isLoopback(this.#socket?.remoteAddress ?? '');
    this.#disconnect();
    const { guard, url } = this.#options;
    if (proxy) {
      this.#proxy = location === '' ? undefined : parseMmsUrl(isMmsUrl(location) ? location : `mms://${location}`);
      if (isRemote) this.#proxyGuard = guard;
      return;
    }
    if (!isMmsUrl(location)) throw new LeadsElsewhere(location, isRemote);
    this.#url = parseMmsUrl(location);
    if (isRemote) this.#guard = guard;
    // Another server gets no password.
    const isSame = this.#url.host === url.host && this.#url.port === url.port;
    this.#credentials = new MmspCredentials(isSame ? this.#options.authorize : undefined, this.#url.href);
  }

  #give(item: LinkItem): void {
    const size = item.type === 'packet' ? item.bytes.length : item.type === 'change' ? item.header.length : 0;
    this.#waitingBytes += size + ITEM_OVERHEAD;
    this.#waiting.push(item);
    if (this.#session?.state !== 'stopping') this.#await(this.#options.timeouts.data, 'sends nothing more');
    this.#wake();
  }

  /** Returns what has arrived up to the first change, which needs an answer. */
  #nextItems(): readonly LinkItem[] {
    const change = this.#waiting.findIndex(({ type }) => type !== 'packet');
    const items = this.#waiting.splice(0, change === -1 ? this.#waiting.length : change + 1);
    if (this.#waiting.length === 0) this.#tookAll();
    return items;
  }

  #tookAll(): void {
    this.#waitingBytes = 0;
    if (!this.#socket?.isPaused()) return;
    this.#socket.resume();
    this.#await(this.#options.timeouts.data, 'sends nothing more');
  }

  /** Sets the time until which something has to arrive. @param silence what the server does otherwise, for a message */
  #await(milliseconds: number, silence: string): void {
    this.#deadline = performance.now() + milliseconds;
    this.#silence = silence;
  }

  #tick(): void {
    const now = performance.now();
    this.#attempt(() => this.#perform(this.session.tick(now)));
    if (now < this.#deadline) return;
    const isNew =
      this.session.state === 'greeting' || this.session.state === 'opening' || this.session.state === 'header';
    this.#fail(new WmError(isNew ? 'WM_UNREACHABLE' : 'WM_SERVER_GONE', `${this.#url.authority} ${this.#silence}.`));
  }

  async #until(isReached: () => boolean): Promise<void> {
    while (!isReached() && !this.#closed) {
      if (this.#failure) throw this.#failure.error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #gone(): WmError {
    return new WmError('WM_SERVER_GONE', `The connection to ${this.#url.authority} was given up.`);
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #lost(error: Error | undefined): void {
    if (this.#closed || this.#failure || typeof this.#opened === 'object') return;
    const last = this.#session?.connectionLost() ?? [];
    this.#perform(last);
    if (last.some(({ type }) => type === 'ended' || type === 'stopped')) return;
    if (this.#session?.state === 'stopping') {
      this.#give({ type: 'stopped' });
      return;
    }
    const why = error ? `: ${messageOf(error)}` : '';
    const isGreeted = this.#session !== undefined && this.#session.state !== 'greeting';
    this.#fail(
      isGreeted
        ? new WmError('WM_SERVER_GONE', `The connection to ${this.#url.authority} was lost${why}.`, { cause: error })
        : new WmError(
            'WM_UNREACHABLE',
            `${this.#url.authority} closed the connection${why}: no MMS server listens there.`,
          ),
    );
  }

  #fail(error: unknown): void {
    if (this.#closed || this.#failure) return;
    this.#failure = { error };
    clearInterval(this.#timer);
    this.#socket?.destroy();
    this.#wake();
  }

  #disconnect(): void {
    clearInterval(this.#timer);
    this.#udp?.close();
    this.#udp = undefined;
    this.#toServer = () => undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket || socket.destroyed) return;
    socket.removeAllListeners('data');
    socket.removeAllListeners('close');
    socket.resume();
    socket.end();
    const cut = setTimeout(() => socket.destroy(), END_GRACE);
    cut.unref();
    socket.once('close', () => clearTimeout(cut));
  }
}
