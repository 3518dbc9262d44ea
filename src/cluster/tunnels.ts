import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { Refusal } from '../refusal.js';
import type { Calls } from './calls.js';
import type { NodeRun } from './subjects.js';

/** The most connections that a node passes on, and takes from others. */
const MAX_TUNNELS = 1_000;
/** How long the other node waits for its end of a connection to take more, in ms; then it is cut. */
const STALL = 30_000;
/** How long a node may take to say so, in ms. */
const DATA_TIMEOUT = STALL + 5_000;
/** How long a node may take to accept a connection, in ms. */
const OPEN_TIMEOUT = 3_000;
/** The most bytes of one message. */
const MAX_BYTES = 128 * 1024;

/** What is used of a connection. */
export interface TunnelOptions {
  readonly calls: Calls;
  readonly self: NodeRun;
}

/**
 * Connections of clients that go on at another node, byte by byte over the bus: for requests about a session of that
 * node. Each message is acknowledged once its bytes were taken, so a slow client delays only itself.
 */
export class Tunnels {
  readonly #options: TunnelOptions;
  readonly #ends = new Map<string, TunnelEnd>();

  constructor(options: TunnelOptions) {
    this.#options = options;
    const { calls } = options;
    calls.answer('tunnel-data', ({ id }: { id?: unknown }, bytes) => this.#endOf(id).take(bytes));
    calls.answer('tunnel-end', ({ id }: { id?: unknown }) => this.#ends.get(String(id))?.finish());
    calls.answer('tunnel-cut', ({ id }: { id?: unknown }) => this.#ends.get(String(id))?.stream.destroy());
  }

  /** The number of connections that go on elsewhere, or come from elsewhere. */
  get count(): number {
    return this.#ends.size;
  }

  /**
   * Takes the connections that other nodes pass on.
   *
   * @param take opens this node's end. May throw a Refusal
   */
  serve(take: (about: unknown) => Promise<Duplex>): void {
    this.#options.calls.answer(
      'tunnel',
      async ({ id, from, about }: { id?: unknown; from?: unknown; about?: unknown }) => {
        if (typeof id !== 'string' || !/^[\da-f]{24}$/.test(id) || this.#ends.has(id)) throw malformed();
        const { node, run } = (from ?? {}) as Partial<NodeRun>;
        if (typeof node !== 'string' || typeof run !== 'string' || !/^[\da-z]{1,32}$/.test(run)) throw malformed();
        if (this.#ends.size >= MAX_TUNNELS) throw new Refusal('busy', 'There are too many connections of other nodes.');
        this.#begin(id, { node, run }, await take(about));
      },
    );
  }

  /**
   * Passes a connection on.
   *
   * @param unread what was read of it already
   * @param about what the other node has to know
   * @returns false if the other node does not take it: it is as it was
   */
  async open(to: NodeRun, client: Duplex, unread: Buffer, about: unknown): Promise<boolean> {
    const { calls, self } = this.#options;
    const id = randomBytes(12).toString('hex');
    client.on('error', () => client.destroy());
    try {
      if (this.#ends.size >= MAX_TUNNELS) throw new Refusal('busy', 'Too many connections go on at other nodes.');
      await calls.ask(to, 'tunnel', { id, from: self, about }, { timeout: OPEN_TIMEOUT });
      if (unread.length > 0) client.unshift(unread);
      this.#begin(id, to, client);
      return true;
    } catch {
      return false;
    }
  }

  /** Cuts the connections with nodes that are gone. */
  sweep(isAlive: (node: NodeRun) => boolean): void {
    for (const end of this.#ends.values()) if (!isAlive(end.to)) end.stream.destroy();
  }

  /** Cuts all connections. */
  close(): void {
    for (const { stream } of this.#ends.values()) stream.destroy();
  }

  #begin(id: string, to: NodeRun, stream: Duplex): void {
    if (stream.destroyed) throw new Refusal('gone', 'The connection was closed.');
    const end = new TunnelEnd(id, to, stream, this.#options.calls);
    this.#ends.set(id, end);
    stream.once('close', () => this.#ends.delete(id));
    void end.send();
  }

  #endOf(id: unknown): TunnelEnd {
    const end = this.#ends.get(String(id));
    if (!end) throw new Refusal('gone', 'The connection was closed.');
    return end;
  }
}

/** This node's end of a connection. */
class TunnelEnd {
  readonly id: string;
  /** The node of the other end. */
  readonly to: NodeRun;
  readonly stream: Duplex;
  readonly #calls: Calls;

  constructor(id: string, to: NodeRun, stream: Duplex, calls: Calls) {
    this.id = id;
    this.to = to;
    this.stream = stream;
    this.#calls = calls;
    stream.on('error', () => stream.destroy());
  }

  /** Sends what arrives to the other end, until there is no more. */
  async send(): Promise<void> {
    const { id } = this;
    try {
      for await (const chunk of this.stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        for (let at = 0; at < chunk.length; at += MAX_BYTES) {
          const bytes = chunk.subarray(at, at + MAX_BYTES);
          await this.#calls.ask(this.to, 'tunnel-data', { id }, { bytes, timeout: DATA_TIMEOUT });
        }
      }
      await this.#calls.ask(this.to, 'tunnel-end', { id });
    } catch {
      this.stream.destroy();
      await this.#calls.ask(this.to, 'tunnel-cut', { id }).catch(() => undefined);
    }
  }

  /** Writes bytes of the other end. Resolves when more may come. */
  async take(bytes: Buffer): Promise<void> {
    const { stream } = this;
    if (stream.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        stream.removeListener('drain', done).removeListener('close', done);
        resolve();
      };
      const timer = setTimeout(() => stream.destroy(), STALL);
      stream.on('drain', done).on('close', done);
    });
    if (stream.destroyed) throw new Refusal('gone', 'The connection was closed.');
  }

  /** The other end sends no more. */
  finish(): void {
    this.stream.end();
  }
}

function malformed(): Refusal {
  return new Refusal('bad-request', 'A connection of another node is not described.');
}
