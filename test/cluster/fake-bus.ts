import { type BusChange, BusError, type BusMessage, type BusWatcher, type ClusterBus } from '../../src/cluster/bus.js';

/** What all buses of a test share: the subjects, and the keys with their history. */
export class FakeHub {
  readonly buses = new Set<FakeBus>();
  readonly keys = new Map<string, BusChange>();
  revision = 0;
  /** True while the store has no leader: keys can be neither read nor written. */
  storeGone = false;
  /** Returns true for a message that gets lost. */
  loses: (subject: string, data: Uint8Array) => boolean = () => false;

  bus(): FakeBus {
    const bus = new FakeBus(this);
    this.buses.add(bus);
    return bus;
  }

  write(key: string, value: Uint8Array | undefined): number {
    const change = { key, value: value && Buffer.from(value), revision: ++this.revision };
    this.keys.set(key, change);
    for (const bus of this.buses) bus.changed(change);
    return change.revision;
  }
}

/** A bus of this process. Messages arrive in later turns of the event loop, in order. */
export class FakeBus implements ClusterBus {
  readonly maxPayload = 1024 * 1024;
  readonly #hub: FakeHub;
  readonly #subscriptions = new Set<{ pattern: string[]; take: (message: BusMessage) => void }>();
  readonly #watchers = new Set<BusWatcher>();
  readonly #listeners = new Set<(connected: boolean) => void>();
  connected = true;
  /** True if servers that cannot be reached from here may decide. */
  silent = false;
  /** True to see no changes of keys. */
  deaf = false;
  published = 0;

  constructor(hub: FakeHub) {
    this.#hub = hub;
  }

  /** Cuts the connection, or mends it. */
  cut(connected = false): void {
    this.connected = connected;
    for (const listener of [...this.#listeners]) listener(connected);
  }

  onConnection(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(subject: string, data: Uint8Array): boolean {
    if (!this.connected) return false;
    this.published++;
    if (!this.#hub.loses(subject, data)) this.#deliver(subject, data, undefined);
    return true;
  }

  subscribe(subject: string, take: (message: BusMessage) => void): () => void {
    const subscription = { pattern: subject.split('.'), take };
    this.#subscriptions.add(subscription);
    return () => this.#subscriptions.delete(subscription);
  }

  async request(subject: string, data: Uint8Array, timeout: number): Promise<Buffer> {
    if (!this.connected) throw new BusError('unavailable', 'cut');
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new BusError('silent', 'no answer')), timeout).unref();
      const done = () => clearTimeout(timer);
      const respond = (answer: Uint8Array) => {
        done();
        setImmediate(() => resolve(Buffer.from(answer)));
      };
      if (this.#deliver(subject, data, respond)) return;
      done();
      reject(new BusError('no-responders', 'nobody'));
    });
  }

  async create(key: string, value: Uint8Array): Promise<number> {
    await this.#store();
    if (this.#hub.keys.get(key)?.value) throw new BusError('conflict', 'it exists');
    return this.#hub.write(key, value);
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number> {
    await this.#store();
    if (this.#hub.keys.get(key)?.revision !== revision) throw new BusError('conflict', 'it was changed');
    return this.#hub.write(key, value);
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    await this.#store();
    return this.#hub.write(key, value);
  }

  async remove(key: string, revision: number): Promise<void> {
    await this.#store();
    if (this.#hub.keys.get(key)?.revision !== revision) throw new BusError('conflict', 'it was changed');
    this.#hub.write(key, undefined);
  }

  async get(key: string): Promise<BusChange | undefined> {
    await this.#store();
    return this.#hub.keys.get(key);
  }

  watch(watcher: BusWatcher): () => void {
    setImmediate(() => {
      watcher.restart();
      for (const change of this.#hub.keys.values()) watcher.change(change);
      watcher.ready();
      this.#watchers.add(watcher);
    });
    return () => this.#watchers.delete(watcher);
  }

  changed(change: BusChange): void {
    if (!this.connected || this.deaf) return;
    for (const watcher of this.#watchers) setImmediate(() => this.#watchers.has(watcher) && watcher.change(change));
  }

  move(): void {}

  async othersMayDecide(): Promise<boolean> {
    return this.silent;
  }

  async close(): Promise<void> {
    this.cut();
    this.#hub.buses.delete(this);
    this.#subscriptions.clear();
    this.#watchers.clear();
  }

  async #store(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.connected || this.#hub.storeGone) throw new BusError('unavailable', 'no store');
  }

  #deliver(subject: string, data: Uint8Array, respond: BusMessage['respond']): boolean {
    const tokens = subject.split('.');
    const copy = Buffer.from(data);
    let found = false;
    for (const bus of this.#hub.buses) {
      if (!bus.connected) continue;
      for (const { pattern, take } of bus.#subscriptions) {
        if (pattern.length !== tokens.length || !pattern.every((each, at) => each === '*' || each === tokens[at]))
          continue;
        found = true;
        setImmediate(() => bus.connected && take({ subject, data: copy, respond }));
      }
    }
    return found;
  }
}
