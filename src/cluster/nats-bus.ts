import { readFile } from 'node:fs/promises';
import type { KV, KvWatchEntry } from '@nats-io/kv';
import type { ConnectionOptions, Msg, NatsConnection, QueuedIterator } from '@nats-io/transport-node';
import { messageOf, WmError } from '../errors.js';
import { type BusChange, BusError, type BusMessage, type BusWatcher, type ClusterBus } from './bus.js';
import { mayDecideAlone, reach } from './silence.js';

/** How a node connects to NATS. */
export interface NatsOptions {
  /** URLs such as `nats://user:password@host:4222`. */
  readonly servers: readonly string[];
  /** The name of the bucket of keys. */
  readonly bucket: string;
  /** The name of this node, for the monitoring of NATS. */
  readonly name: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined;
  /** A file of credentials (.creds), as `nsc` writes them. */
  readonly credentials?: string | undefined;
  /** How many servers keep a copy of the keys; default: three if there are that many, else one. */
  readonly replicas?: number | undefined;
  readonly onWarning: (message: string) => void;
}

/** In ms: how long the store may take, and how soon a broken connection is tried again. */
const STORE_TIMEOUT = 2_000;
const RECONNECT = 250;
/** A server that does not answer two pings is gone; in ms between pings. */
const PING = 2_000;
/** How long a server may take to accept a connection, in ms. */
const REACH_TIMEOUT = 1_000;
/** Bytes that may be under way to the server; beyond it messages are left out. */
const MAX_UNDER_WAY = 32 * 1024 * 1024;
/** Bytes after which the server is asked whether it has got them. */
const CHECK_AFTER = 512 * 1024;
const DEFAULT_PAYLOAD = 1024 * 1024;
/** Marks of removed keys are removed after a while; both in ms. */
const TIDY_INTERVAL = 3_600_000;
const TIDY_AGE = 600_000;
/** The answer of JetStream to a write whose key has another revision. */
const WRONG_SEQUENCE = new Set([10_071, 10_164]);

/** The bus of a cluster on NATS. Its packages are loaded only here, so that a server without a cluster needs none. */
export class NatsBus implements ClusterBus {
  readonly #options: NatsOptions;
  readonly #listeners = new Set<(connected: boolean) => void>();
  readonly #subscriptions = new Set<{ start(connection: NatsConnection): void }>();
  #connection: NatsConnection | undefined;
  #kv: KV | undefined;
  #opening: Promise<KV> | undefined;
  #connected = false;
  #closed = false;
  #underWay = 0;
  #checking = false;
  #tidyTimer: NodeJS.Timeout | undefined;

  private constructor(options: NatsOptions) {
    this.#options = options;
  }

  /**
   * Connects, as soon as a server can be reached.
   *
   * @throws WmError WM_CONFIG if a file cannot be read
   */
  static async open(options: NatsOptions): Promise<NatsBus> {
    const bus = new NatsBus(options);
    const how = await bus.#connectionOptions();
    void bus.#connect(how);
    return bus;
  }

  get connected(): boolean {
    return this.#connected;
  }

  get maxPayload(): number {
    return this.#connection?.info?.max_payload ?? DEFAULT_PAYLOAD;
  }

  onConnection(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(subject: string, data: Uint8Array): boolean {
    const connection = this.#connection;
    if (!connection || !this.#connected || this.#underWay > MAX_UNDER_WAY) return false;
    connection.publish(subject, data);
    this.#underWay += data.length;
    if (this.#underWay > CHECK_AFTER && !this.#checking) this.#check(connection);
    return true;
  }

  subscribe(subject: string, take: (message: BusMessage) => void): () => void {
    let stop = () => {};
    const subscription = {
      start: (connection: NatsConnection) => {
        const started = connection.subscribe(subject, {
          callback: (error, message) => {
            if (!error) take(messageFrom(message));
          },
        });
        stop = () => started.unsubscribe();
      },
    };
    this.#subscriptions.add(subscription);
    if (this.#connection) subscription.start(this.#connection);
    return () => {
      this.#subscriptions.delete(subscription);
      if (this.#connection && !this.#connection.isClosed()) stop();
    };
  }

  async request(subject: string, data: Uint8Array, timeout: number): Promise<Buffer> {
    const connection = this.#connection;
    if (!connection || !this.#connected) throw new BusError('unavailable', 'There is no connection to NATS.');
    try {
      const { data: answer } = await connection.request(subject, data, { timeout });
      return Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength);
    } catch (error) {
      throw requestError(error);
    }
  }

  async create(key: string, value: Uint8Array): Promise<number> {
    return this.#stored((kv) => kv.create(key, value));
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number> {
    return this.#stored((kv) => kv.update(key, value, revision, STORE_TIMEOUT));
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    return this.#stored((kv) => kv.put(key, value, { timeout: STORE_TIMEOUT }));
  }

  async remove(key: string, revision: number): Promise<void> {
    await this.#stored((kv) => kv.delete(key, { previousSeq: revision }));
  }

  async get(key: string): Promise<BusChange | undefined> {
    const entry = await this.#stored((kv) => kv.get(key));
    if (!entry) return undefined;
    const { revision, operation, value } = entry;
    return { key, revision, value: operation === 'PUT' ? Buffer.from(value) : undefined };
  }

  watch(watcher: BusWatcher): () => void {
    let over = false;
    let current: QueuedIterator<KvWatchEntry> | undefined;
    const run = async () => {
      while (!over && !this.#closed) {
        try {
          current = await (await this.#store()).watch();
          // It was ended meanwhile.
          if (over) current.stop();
          watcher.restart();
          await watchAll(current, watcher, () => over);
        } catch (error) {
          this.#noteStore(error);
        }
        if (!over) await new Promise((resolve) => setTimeout(resolve, RECONNECT).unref());
      }
    };
    void run();
    return () => {
      over = true;
      current?.stop();
    };
  }

  move(): void {
    // Without a connection it looks for a server anyway.
    this.#connection?.reconnect().catch(() => undefined);
  }

  async othersMayDecide(): Promise<boolean> {
    const tried = this.#options.servers.map((server) => {
      const { hostname, port } = new URL(withoutLogin(server));
      return reach(hostname.replace(/^\[|\]$/g, ''), Number(port), REACH_TIMEOUT);
    });
    return mayDecideAlone(await Promise.all(tried));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#tidyTimer);
    const connection = this.#connection;
    if (!connection) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STORE_TIMEOUT);
    });
    // What was published last still goes out, if the server answers.
    if (this.#connected) await Promise.race([connection.flush().catch(() => undefined), late]);
    clearTimeout(timer);
    await connection.close().catch(() => undefined);
  }

  async #connect(how: ConnectionOptions): Promise<void> {
    const { connect } = await import('@nats-io/transport-node');
    let told = '';
    for (let pause = RECONNECT; !this.#closed; pause = Math.min(2 * pause, 5_000)) {
      try {
        this.#connection = await connect(how);
        break;
      } catch (error) {
        const message = `NATS cannot be reached at ${this.#options.servers.map(withoutLogin).join(', ')}: ${messageOf(error)}`;
        if (message !== told) this.#options.onWarning(message);
        told = message;
        await new Promise((resolve) => setTimeout(resolve, pause).unref());
      }
    }
    const connection = this.#connection;
    if (!connection) return;
    if (this.#closed) {
      await connection.close();
      return;
    }
    for (const subscription of this.#subscriptions) subscription.start(connection);
    this.#tidyTimer = setInterval(() => void this.#tidy(), TIDY_INTERVAL).unref();
    void this.#followStatus(connection);
    this.#setConnected(true);
  }

  async #followStatus(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') this.#setConnected(false);
      else if (status.type === 'reconnect') this.#setConnected(true);
      else if (status.type === 'error') this.#options.onWarning(`NATS: ${messageOf(status.error)}`);
    }
  }

  #setConnected(connected: boolean): void {
    if (connected === this.#connected || this.#closed) return;
    this.#connected = connected;
    this.#underWay = 0;
    for (const listener of [...this.#listeners]) listener(connected);
  }

  /** Counts what the server has not got yet. */
  #check(connection: NatsConnection): void {
    this.#checking = true;
    const before = this.#underWay;
    const done = () => {
      this.#checking = false;
      this.#underWay = Math.max(0, this.#underWay - before);
    };
    connection.flush().then(done, done);
  }

  async #stored<T>(work: (kv: KV) => Promise<T>): Promise<T> {
    if (!this.#connected) throw new BusError('unavailable', 'There is no connection to NATS.');
    try {
      return await work(await this.#store());
    } catch (error) {
      if (error instanceof BusError) throw error;
      const code = (error as { code?: unknown }).code;
      if (typeof code === 'number' && WRONG_SEQUENCE.has(code)) {
        throw new BusError('conflict', 'Another node has changed the key.', { cause: error });
      }
      throw new BusError('unavailable', `The keys cannot be reached: ${messageOf(error)}`, { cause: error });
    }
  }

  #store(): Promise<KV> {
    if (this.#kv) return Promise.resolve(this.#kv);
    this.#opening ??= this.#openStore().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** Opens the bucket, and creates it if it is not there. */
  async #openStore(): Promise<KV> {
    const connection = this.#connection;
    if (!connection || !this.#connected) throw new BusError('unavailable', 'There is no connection to NATS.');
    const [{ jetstream }, { Kvm }] = await Promise.all([import('@nats-io/jetstream'), import('@nats-io/kv')]);
    const buckets = new Kvm(jetstream(connection, { timeout: STORE_TIMEOUT }));
    const { bucket, replicas } = this.#options;
    try {
      this.#kv = await buckets.open(bucket);
      await this.#kv.status();
    } catch {
      // It is not there, or must not be looked at: creating it shows which.
      const known = connection.info?.connect_urls?.length ?? 0;
      const wanted = replicas ?? (known >= 3 ? 3 : 1);
      this.#kv = undefined;
      this.#kv = await buckets.create(bucket, { history: 1, replicas: wanted, timeout: STORE_TIMEOUT });
    }
    return this.#kv;
  }

  #noteStore(error: unknown): void {
    if (error instanceof BusError || !this.#connected) return;
    // Without a leader it comes back by itself; a bucket that is gone is made again.
    if ((error as { code?: unknown }).code === 10_059) this.#kv = undefined;
  }

  /** Removes the marks of keys that were removed, which would pile up. */
  async #tidy(): Promise<void> {
    const kv = this.#kv as (KV & { purgeDeletes?(age: number): Promise<unknown> }) | undefined;
    await kv?.purgeDeletes?.(TIDY_AGE).catch(() => undefined);
  }

  async #connectionOptions(): Promise<ConnectionOptions> {
    const { servers, tls, credentials, name } = this.#options;
    const read = async (file: string) => {
      try {
        return await readFile(file);
      } catch (error) {
        throw new WmError('WM_CONFIG', `The file ${file} of the cluster cannot be read: ${messageOf(error)}`, {
          cause: error,
        });
      }
    };
    const login = loginOf(servers);
    const files = tls && {
      ...(tls.ca === undefined ? {} : { ca: (await read(tls.ca)).toString('utf8') }),
      ...(tls.cert === undefined ? {} : { cert: (await read(tls.cert)).toString('utf8') }),
      ...(tls.key === undefined ? {} : { key: (await read(tls.key)).toString('utf8') }),
    };
    const authenticator = credentials === undefined ? undefined : await read(credentials);
    const { credsAuthenticator } = await import('@nats-io/transport-node');
    return {
      servers: servers.map(withoutLogin),
      name: `wmcast ${name}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT,
      reconnectJitter: RECONNECT,
      reconnectJitterTLS: RECONNECT,
      pingInterval: PING,
      maxPingOut: 2,
      timeout: STORE_TIMEOUT,
      ...login,
      ...(files ? { tls: files } : {}),
      ...(authenticator ? { authenticator: credsAuthenticator(new Uint8Array(authenticator)) } : {}),
    };
  }
}

/** Passes the entries of a watch on, until it ends. */
async function watchAll(
  entries: QueuedIterator<KvWatchEntry>,
  watcher: BusWatcher,
  isOver: () => boolean,
): Promise<void> {
  let ready = false;
  for await (const { key, value, revision, operation, isUpdate, delta } of entries) {
    if (isOver()) return;
    watcher.change({ key, revision, value: operation === 'PUT' ? Buffer.from(value) : undefined });
    // The last of those that were there counts as an update.
    if (ready || !(isUpdate || delta === 0)) continue;
    ready = true;
    watcher.ready();
  }
}

function messageFrom(message: Msg): BusMessage {
  const { subject, data, reply } = message;
  return { subject, data, respond: reply ? (answer) => message.respond(answer) : undefined };
}

function requestError(error: unknown): BusError {
  const { name, message, cause } = error as Error & { cause?: Error };
  const names = [name, cause?.name];
  if (names.includes('NoRespondersError') || message?.startsWith('no responders')) {
    return new BusError('no-responders', 'No node listens.', { cause: error });
  }
  if (names.includes('TimeoutError')) return new BusError('silent', 'The node does not answer.', { cause: error });
  return new BusError('unavailable', messageOf(error), { cause: error });
}

/** The user and password, or the token, of the first URL that has any. */
function loginOf(servers: readonly string[]): Pick<ConnectionOptions, 'user' | 'pass' | 'token'> {
  for (const server of servers) {
    const { username, password } = new URL(server);
    const [user, pass] = [decodeURIComponent(username), decodeURIComponent(password)];
    if (user !== '') return password === '' ? { token: user } : { user, pass };
  }
  return {};
}

function withoutLogin(server: string): string {
  const { hostname, port, protocol } = new URL(server);
  return `${protocol}//${hostname}:${port === '' ? 4222 : port}`;
}
