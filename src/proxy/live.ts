import { orAborted } from '../abort.js';
import { Broadcast, type BroadcastOptions } from '../media/broadcast.js';
import type { AsfSource } from '../media/events.js';
import type { PullChain } from '../receiving/pull-chain.js';
import { PulledBroadcast } from '../receiving/pulled-broadcast.js';
import { Refusal } from '../refusal.js';

/** How live streams of other servers are shared. */
export interface LiveStreamsOptions {
  readonly broadcast?: BroadcastOptions | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** The maximum number of streams at a time; default: 1000. */
  readonly max?: number | undefined;
}

/** A stream of an origin, for one player or for several. */
interface Stream {
  readonly broadcast: Broadcast;
  readonly pulled: PulledBroadcast;
  /** With a stream for one player: whether it has one, or waits for it after a Describe. */
  taken: boolean;
}

const MAX_STREAMS = 1_000;
/** How long a stream for one player that was only described waits for its Play, in ms. */
const DESCRIBED = 10_000;

/**
 * The live streams that a proxy passes on: one from the origin for all players where the origin allows that, otherwise
 * one for each.
 */
export class LiveStreams {
  readonly #options: LiveStreamsOptions;
  readonly #streams = new Map<string, Stream>();
  #count = 0;

  constructor(options: LiveStreamsOptions = {}) {
    this.#options = options;
  }

  /** Streams from origins at the moment. */
  get size(): number {
    return this.#streams.size;
  }

  /** True while the stream of a URL is received for all its players. */
  has(url: string): boolean {
    return this.#streams.get(url)?.broadcast.live ?? false;
  }

  get [Symbol.iterator]() {
    return () => [...this.#streams.values()].map(({ broadcast }) => broadcast)[Symbol.iterator]();
  }

  /**
   * Returns the stream of a URL that all its players share, once it is live.
   *
   * @param open opens it at the origin
   * @throws Refusal, WmError if the origin does not deliver it
   */
  async split(url: string, open: OpenStream, signal: AbortSignal, chain: PullChain): Promise<Broadcast> {
    const { pulled, broadcast } = this.#streams.get(url) ?? this.#begin(url, url, open);
    await this.#wait(pulled, signal, chain, url);
    return broadcast;
  }

  /**
   * Returns a stream of a URL for one player, who takes over the one that was described to the same player before.
   *
   * @param player names the player: its address and its program
   * @param plays false for a Describe
   */
  async own(
    url: string,
    player: string,
    plays: boolean,
    open: OpenStream,
    signal: AbortSignal,
    chain: PullChain,
  ): Promise<{ readonly broadcast: Broadcast; readonly release: () => void }> {
    const name = `${url} ${player}`;
    let found = [...this.#streams].find(([key, { taken }]) => !taken && key.startsWith(`${name} `));
    if (!found) {
      const key = `${name} ${++this.#count}`;
      found = [key, this.#begin(key, url, open)];
    }
    const [key, stream] = found;
    stream.taken = true;
    try {
      await this.#wait(stream.pulled, signal, chain, url);
    } catch (error) {
      this.#end(key, stream);
      throw error;
    }
    const release = () => {
      if (plays) this.#end(key, stream);
      else {
        stream.taken = false;
        setTimeout(() => {
          if (!stream.taken) this.#end(key, stream);
        }, DESCRIBED).unref();
      }
    };
    return { broadcast: stream.broadcast, release };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#streams.values()].map(({ pulled }) => pulled.close()));
  }

  #end(key: string, { pulled }: Stream): void {
    this.#streams.delete(key);
    void pulled.close();
  }

  async #wait(pulled: PulledBroadcast, signal: AbortSignal, chain: PullChain, url: string): Promise<void> {
    try {
      await orAborted(pulled.demand(chain), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Refusal) throw error;
      throw new Refusal('offline', `${url} is not live: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
  }

  #begin(key: string, url: string, open: OpenStream): Stream {
    const { onWarning, broadcast: options, max = MAX_STREAMS } = this.#options;
    if (this.#streams.size >= max) throw new Refusal('busy', 'The proxy passes on too many live streams.');
    const warn = (text: string) => onWarning?.(`${url}: ${text}`);
    const broadcast = new Broadcast({ onWarning: warn, ...options });
    const pulled = new PulledBroadcast({
      sources: [{ name: url, open }],
      policy: 'first-player',
      begin: () => broadcast,
      end: () => void broadcast.close(),
      wanted: () => broadcast.wanted,
      onFailure: (_, reason) => warn(reason),
      onStop: () => void this.#streams.delete(key),
    });
    const stream = { broadcast, pulled, taken: false };
    this.#streams.set(key, stream);
    return stream;
  }
}

type OpenStream = (chain: PullChain) => AsfSource | Promise<AsfSource>;
