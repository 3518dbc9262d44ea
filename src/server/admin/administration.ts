import type { AccessControl, Rule } from '../../auth/access.js';
import type { SessionRegistry } from '../../playback/registry.js';
import { AdminListener, type AdminPort } from '../listeners/admin.js';
import type { ServerPorts } from '../listeners/listener.js';
import type { ServerStats } from '../stats.js';
import type { Stills } from '../stills.js';
import { packageVersion as version } from '../version.js';
import { AdminActions, type AdminHost } from './actions.js';
import { AdminApi } from './api.js';
import type { AdminFeed } from './feed.js';
import { PlayerTotals } from './player-totals.js';

/** The parts of a server that its administration is made of. */
export interface AdministrationOptions extends Omit<AdminHost, 'recent' | 'status'> {
  readonly feed: AdminFeed;
  readonly registry: SessionRegistry;
  readonly stills: Stills;
  readonly access: AccessControl;
  readonly rule: () => Rule;
  /** Returns the names under which the server may be addressed. */
  readonly names: () => ReadonlySet<string>;
  readonly stats: () => ServerStats;
  readonly ports: () => ServerPorts;
  /** Returns the host of the URLs that people get. */
  readonly hostName: () => string;
  /** Returns the configuration in effect, without passwords. */
  readonly config: () => object;
  readonly ready: () => boolean;
  readonly onError: (error: unknown) => void;
  /** Its own port, and the address to listen on. */
  readonly port: AdminPort;
  readonly host: string;
}

/** What administrators see of a server, on its own port and on that of the players. */
export class Administration {
  readonly actions: AdminActions;
  /** The API on the port of the players. */
  readonly api: AdminApi;
  readonly listener: AdminListener;
  readonly #totals = new PlayerTotals();
  readonly #startedAt = Date.now();

  constructor(options: AdministrationOptions) {
    const { feed, registry, stats, ports, hostName, access, rule, names, config, ready, onError } = options;
    this.actions = new AdminActions({
      ...options,
      recent: (limit) => feed.recent(limit),
      status: () => ({
        uptime: Math.round((Date.now() - this.#startedAt) / 1000),
        version,
        host: hostName(),
        ports: { ...ports() },
        playersPeak: this.#totals.peak,
        ...stats(),
      }),
    });
    const shared = { actions: this.actions, access, rule, names, onError };
    this.api = new AdminApi(shared);
    const { port, host } = options;
    const figures = { sessions: registry, totals: this.#totals, cluster: options.cluster?.node };
    this.listener = new AdminListener({ ...shared, port, host, feed, figures, config, ready, version });
  }

  /** Counts a player that has started. */
  started(protocol: string, players: number): void {
    this.#totals.started(protocol, players);
  }
}
