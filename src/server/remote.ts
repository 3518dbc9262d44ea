import { orAborted } from '../abort.js';
import { ClientAuthenticator } from '../auth/client.js';
import { steadyNow } from '../clock.js';
import { messageOf, WmError } from '../errors.js';
import type { AddressGuard } from '../http/address-guard.js';
import { takeCredentials } from '../http/credentials.js';
import { Broadcast, type BroadcastOptions } from '../media/broadcast.js';
import type { AsfSource } from '../media/events.js';
import { pump } from '../media/pump.js';
import { openSourceUrl } from '../sources/table.js';
import type { RemoteContent } from './programs.js';

export interface RemotesOptions {
  readonly broadcast?: BroadcastOptions;
  /** Opens a URL; default {@link connectRemote}. */
  readonly connect?: (url: string, onNote: (text: string) => void) => AsfSource;
  readonly onWarning?: (message: string) => void;
  readonly maxRemotes?: number;
}

interface Remote {
  readonly broadcast: Broadcast;
  readonly source: AsfSource;
  /** Settles when the pull has ended; never rejects. */
  readonly ended: Promise<void>;
  failure: unknown;
  idleSince: number;
}

// How long the first player waits for another server's header, and how long a pull goes on without players.
const START_TIMEOUT = 15_000;
const LINGER = 30_000;
const SWEEP_INTERVAL = 5_000;

/**
 * Another server's content, pulled as a distribution server pulls it, over any number of broken connections.
 *
 * @param location its URL, which may have a user and a password in it
 * @param guard where announcements and redirects of other hosts may lead; default anywhere
 * @throws WmError WM_USAGE when it is no URL of a source
 */
export function connectRemote(location: string, onNote: (text: string) => void, guard?: AddressGuard): AsfSource {
  const { url, credentials } = takeCredentials(location);
  const authorize = credentials && new ClientAuthenticator({ server: credentials });
  const reconnect = { retries: Number.POSITIVE_INFINITY };
  return openSourceUrl(url, { identity: 'NSServer', reconnect, onNote, guard, ...(authorize ? { authorize } : {}) });
}

/** Content of other servers, pulled once for all players of this one and only while there are any. */
export class Remotes implements RemoteContent {
  readonly #options: RemotesOptions;
  readonly #remotes = new Map<string, Remote>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: RemotesOptions = {}) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL);
    this.#sweeper.unref();
  }

  get size(): number {
    return this.#remotes.size;
  }

  async open(url: string, signal: AbortSignal): Promise<Broadcast> {
    signal.throwIfAborted();
    const remote = this.#remotes.get(url) ?? this.#pull(url);
    const { broadcast } = remote;
    remote.idleSince = steadyNow();
    if (!broadcast.live) {
      await orAborted(Promise.race([broadcast.nextHeader(START_TIMEOUT), remote.ended]), signal);
    }
    if (broadcast.live) return broadcast;
    throw remote.failure ?? new WmError('WM_UNREACHABLE', `${url} gave nothing within ${START_TIMEOUT / 1000} s.`);
  }

  /** Lets go what nobody plays any more; called every few seconds. */
  sweep(now: number = steadyNow()): void {
    for (const remote of this.#remotes.values()) {
      if (remote.broadcast.wanted) remote.idleSince = now;
      else if (now - remote.idleSince > LINGER) void remote.source.close();
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    const all = [...this.#remotes.values()];
    await Promise.all(all.map(({ source }) => source.close()));
    await Promise.all(all.map(({ ended }) => ended));
  }

  #pull(url: string): Remote {
    if (this.#remotes.size >= (this.#options.maxRemotes ?? 100)) {
      throw new WmError('WM_FAILED', 'Too much is pulled from other servers already.');
    }
    const { url: name } = takeCredentials(url);
    const warn = (text: string) => this.#options.onWarning?.(`${name}: ${text}`);
    const source = (this.#options.connect ?? connectRemote)(url, warn);
    const broadcast = new Broadcast({ onWarning: warn, ...this.#options.broadcast });
    const remote: Remote = {
      broadcast,
      source,
      ended: this.#run(url, source, broadcast),
      failure: undefined,
      idleSince: steadyNow(),
    };
    this.#remotes.set(url, remote);
    return remote;
  }

  async #run(url: string, source: AsfSource, broadcast: Broadcast): Promise<void> {
    try {
      await pump(source, [broadcast]);
    } catch (error) {
      const remote = this.#remotes.get(url);
      if (remote) remote.failure = error;
      this.#options.onWarning?.(`${takeCredentials(url).url}: ${messageOf(error)}`);
    } finally {
      this.#remotes.delete(url);
      await source.close();
      await broadcast.close();
    }
  }
}
