import { OnDemandFiles } from '../../media/on-demand/files.js';
import { type Attempt, Entrance } from '../../playback/entrance.js';
import { Playback } from '../../playback/host.js';
import type { ProxyContent } from '../../proxy/content.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';
import { Programs } from '../content/programs.js';
import { PointPulls } from '../points/pulls.js';
import { connectRemote, Remotes } from '../points/remote.js';
import { Proxying } from '../proxying.js';
import type { ServerCore } from './core.js';

/** The way from a URL to content, which is the same for players of all protocols. */
export class ContentWay {
  readonly pulls: PointPulls;
  readonly remotes: Remotes;
  readonly proxying: Proxying | undefined;
  readonly entrance: Entrance;
  readonly playback: Playback;
  readonly #files = new OnDemandFiles();

  constructor(core: ServerCore) {
    const { settings, points, hooks, onWarning } = core;
    const { guard } = settings;
    this.pulls = new PointPulls({
      points,
      ports: () => core.ports,
      folder: () => settings.config.content?.folder,
      guard,
      onWarning,
      onLost: (...lost) => hooks.sourceLost(...lost),
    });
    this.remotes = new Remotes({
      onWarning,
      connect: (url, onNote, chain) => connectRemote(url, { onNote, chain, guard }),
      own: (url, chain) => this.pulls.ownBroadcast(url, chain),
    });
    const programs = this.#newPrograms(core);
    this.proxying = this.#newProxying(core, programs);
    this.entrance = new Entrance({
      content: this.proxying?.content ?? programs,
      access: core.means.access,
      limits: core.limits,
      admit: async (guest) => {
        core.cluster?.refuseWhileDraining();
        await hooks.mayPlay(guest);
      },
      ...(core.logs ? { onAttempt: (attempt: Attempt) => core.logs?.attempted(attempt) } : {}),
    });
    this.playback = new Playback({ onError: core.onError });
  }

  get proxy(): ProxyContent | undefined {
    return this.proxying?.content;
  }

  /** Passes the log of a player on to the origin; those of WMSP take the way of their session. */
  forward({ protocol, path, remoteAddress, client, log }: SubmittedLog): void {
    if (!this.proxy || !log || (protocol !== 'MMSP' && protocol !== 'RTSP')) return;
    this.proxy.report(path, { log, address: remoteAddress, agent: client }).catch(() => undefined);
  }

  /** Closes what is open for players: after the listeners, and after {@link pulls}. */
  async close(): Promise<void> {
    await this.remotes.close();
    await this.proxy?.close();
    await this.#files.close();
  }

  #newPrograms({ settings, points, onWarning }: ServerCore): Programs {
    return new Programs({
      points,
      get rule() {
        return settings.rules.play;
      },
      files: this.#files,
      get content() {
        return settings.content;
      },
      remote: this.remotes,
      get redirects() {
        return settings.redirects;
      },
      onWarning,
    });
  }

  #newProxying(core: ServerCore, local: Programs): Proxying | undefined {
    const { settings, means, onWarning } = core;
    if (!settings.config.proxy) return undefined;
    const host = {
      get config() {
        return settings.config;
      },
      local,
      ports: () => core.ports,
      clients: () => core.registry.players,
      guard: settings.guard,
      broadcast: { burst: settings.config.live.burst * 1000 },
      onWarning,
    };
    return new Proxying(host, means.cache);
  }
}
