import { orAborted } from '../../abort.js';
import { ClientAuthenticator } from '../../auth/client.js';
import { hidePasswords, WmError } from '../../errors.js';
import type { AddressGuard } from '../../http/address-guard.js';
import { takeCredentials } from '../../http/credentials.js';
import { Broadcast, type BroadcastOptions } from '../../media/broadcast.js';
import type { AsfSource } from '../../media/events.js';
import type { PullChain } from '../../receiving/pull-chain.js';
import { PulledBroadcast } from '../../receiving/pulled-broadcast.js';
import { openSourceUrl } from '../../sources/table.js';
import { addCounters, newCounters, type TotalCounters } from '../admin/totals.js';
import type { RemoteContent } from '../content/programs.js';

/** How remote content is opened. */
export interface RemotesOptions {
  readonly broadcast?: BroadcastOptions;
  /** Opens a URL; default {@link connectRemote}. */
  readonly connect?: (url: string, onNote: (text: string) => void, chain: PullChain) => AsfSource;
  /** Returns the broadcast that a URL names if it is on this very server. */
  readonly own?: ((url: string, chain: PullChain) => Promise<Broadcast | undefined>) | undefined;
  readonly onWarning?: (message: string) => void;
  readonly maxRemotes?: number;
}

interface Remote {
  readonly broadcast: Broadcast;
  readonly pulled: PulledBroadcast;
}

/** Limits of one pull from another server. */
export interface ConnectRemoteOptions {
  readonly onNote: (text: string) => void;
  /** Where announcements and redirects of other hosts may lead; default: anywhere. */
  readonly guard?: AddressGuard | undefined;
  /** The pulls that are waiting for it. */
  readonly chain?: PullChain | undefined;
  /** How often to reconnect after a failure; default: without limit. */
  readonly retries?: number | undefined;
}

/**
 * Opens the content of another server, pulled as a distribution server does.
 *
 * @param location its URL, which may contain a user and a password
 * @throws WmError WM_USAGE if it is not the URL of a source
 */
export function connectRemote(location: string, options: ConnectRemoteOptions): AsfSource {
  const { onNote, guard, chain: pullChain, retries = Number.POSITIVE_INFINITY } = options;
  const { url, credentials } = takeCredentials(location);
  const authorize = credentials && new ClientAuthenticator({ server: credentials });
  const how = { identity: 'NSServer', reconnect: { retries }, onNote, guard, pullChain } as const;
  return openSourceUrl(url, { ...how, ...(authorize ? { authorize } : {}) });
}

/** Content of other servers, each pulled once for all players of this one, and only while there are any. */
export class Remotes implements RemoteContent {
  readonly #options: RemotesOptions;
  readonly #remotes = new Map<string, Remote>();
  /** The counters of pulls that have ended. */
  readonly #before = newCounters();

  constructor(options: RemotesOptions = {}) {
    this.#options = options;
  }

  /** The total counters of all pulls since the start. */
  get counters(): TotalCounters {
    const total = { ...this.#before };
    for (const { broadcast } of this.#remotes.values()) addCounters(total, broadcast.counters);
    return total;
  }

  get size(): number {
    return this.#remotes.size;
  }

  async open(url: string, signal: AbortSignal, chain: PullChain = []): Promise<Broadcast> {
    signal.throwIfAborted();
    const own = await this.#options.own?.(takeCredentials(url).url, chain);
    if (own) return own;
    const { pulled, broadcast } = this.#remotes.get(url) ?? this.#pull(url);
    await orAborted(pulled.demand(chain), signal);
    return broadcast;
  }

  /** Ends pulls that nobody plays any more; each pull also does so once a second by itself. */
  sweep(now: number): void {
    for (const { pulled } of this.#remotes.values()) pulled.sweep(now);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#remotes.values()].map(({ pulled }) => pulled.close()));
  }

  #pull(url: string): Remote {
    if (this.#remotes.size >= (this.#options.maxRemotes ?? 100)) {
      throw new WmError('WM_FAILED', 'Too many streams are being pulled from other servers.');
    }
    const { connect = (location, onNote, chain) => connectRemote(location, { onNote, chain }), onWarning } =
      this.#options;
    const name = hidePasswords(takeCredentials(url).url);
    const warn = (text: string) => onWarning?.(`${name}: ${text}`);
    const broadcast = new Broadcast({ onWarning: warn, ...this.#options.broadcast });
    const pulled = new PulledBroadcast({
      sources: [{ name, open: (chain) => connect(url, warn, chain) }],
      policy: 'first-player',
      begin: () => broadcast,
      end: () => void broadcast.close(),
      wanted: () => broadcast.wanted,
      onFailure: (_, reason) => warn(reason),
      onStop: () => {
        if (this.#remotes.delete(url)) addCounters(this.#before, broadcast.counters);
      },
    });
    const remote = { broadcast, pulled };
    this.#remotes.set(url, remote);
    return remote;
  }
}
