import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { ruleOf } from '../auth/access.js';
import type { AddressGuard } from '../http/address-guard.js';
import { takeCredentials } from '../http/credentials.js';
import { readHttpUrl } from '../http/http-url.js';
import type { BroadcastOptions } from '../media/broadcast.js';
import { ReadQueue } from '../media/on-demand/read-queue.js';
import type { Content } from '../playback/content.js';
import { DiskCache } from '../proxy/cache/disk-cache.js';
import { ProxyContent } from '../proxy/content.js';
import { Targets } from '../proxy/targets.js';
import { Upstream } from '../proxy/upstream.js';
import type { ServerConfig } from './config.js';
import { pathOf } from './content/paths.js';
import { isOwnAddress, type OwnPorts, ownPathOf } from './points/own-addresses.js';

/** What a proxy has to know of its server. */
export interface ProxyHost {
  readonly config: ServerConfig;
  /** The content of the server itself. */
  readonly local: Content;
  readonly ports: () => OwnPorts;
  readonly clients: () => number;
  /** Where requests of strangers may lead. */
  readonly guard: AddressGuard;
  readonly broadcast: BroadcastOptions;
  readonly onWarning: (message: string) => void;
}

type ProxyConfig = NonNullable<ServerConfig['proxy']>;

/** The proxy of a server, as its configuration says: what that allows can change while the server runs. */
export class Proxying {
  readonly content: ProxyContent;
  readonly #host: ProxyHost;
  readonly #targets: Targets;
  readonly #cache: DiskCache | undefined;
  #config: ServerConfig;
  #settings: ProxySettings;

  /** @param cache from {@link openCache} */
  constructor(host: ProxyHost, cache: DiskCache | undefined) {
    const { config, local, ports, clients, guard, broadcast, onWarning } = host;
    this.#host = host;
    this.#cache = cache;
    this.#config = config;
    this.#settings = settingsOf(config, config.proxy!);
    const settings = () => this.#settings;
    this.#targets = new Targets({
      get forward() {
        return settings().forward;
      },
      get transparent() {
        return settings().transparent;
      },
      get hosts() {
        return settings().hosts;
      },
      isOwn: (target, port, protocol) => {
        const own = ports();
        const ours = protocol === 'http' ? [own.http, own.https] : [own[protocol]];
        if (port !== undefined && !ours.includes(port)) return false;
        return isIP(target) === 0 ? settings().names.has(target.toLowerCase()) : isOwnAddress(target);
      },
    });
    this.content = new ProxyContent({
      local,
      get origin() {
        return settings().origin;
      },
      upstream: new Upstream({
        name: config.proxy!.name ?? `${hostname()}-${randomBytes(4).toString('hex')}`,
        get accounts() {
          return settings().accounts;
        },
        // The operator named the origin; whatever else is asked for, strangers name.
        guard: (url) => (url && url.origin === settings().origin ? undefined : guard),
        onNote: onWarning,
      }),
      get rule() {
        return settings().rule;
      },
      cache,
      reads: new ReadQueue(),
      own: (url) => ownPathOf(url, ports()),
      clients,
      live: { broadcast, max: config.limits.points },
      onWarning,
    });
  }

  /** Takes over a new configuration of the server, as far as that needs no restart. */
  reloaded(): void {
    const { config } = this.#host;
    if (config === this.#config || !config.proxy) return;
    this.#config = config;
    this.#settings = settingsOf(config, config.proxy);
    if (config.proxy.cache) void this.#cache?.limit(config.proxy.cache.maxSize * BYTES_PER_MB);
  }

  /** Returns the path of a request, or the URL of the other server that it is meant for. @throws Refusal */
  pathOf(target: string, host?: string): string {
    return this.#targets.of(target, host) ?? pathOf(target);
  }

  /** Returns the URL of content that a player of MMS wants from another server. @throws Refusal */
  mmsTarget(path: string, host: string | undefined): string | undefined {
    return this.#targets.ofPlayer('mms', path, host);
  }

  /** Returns the URL of content that a player of RTSP wants from another server. @throws Refusal */
  rtspTarget(path: string, url: string): string | undefined {
    const authority = /^rtsp[tu]?:\/\/([^/?#]+)/i.exec(url)?.[1];
    return this.#targets.ofPlayer('rtsp', path, authority);
  }

  /** True if a request is meant for another server. */
  isForOthers(target: string, host?: string): boolean {
    try {
      return this.#targets.of(target, host) !== undefined;
    } catch {
      return true;
    }
  }
}

/** What a proxy allows, and where it leads. */
type ProxySettings = ReturnType<typeof settingsOf>;

function settingsOf({ access, names }: ServerConfig, proxy: ProxyConfig) {
  const { origin, forward, transparent, hosts, accounts } = proxy;
  const given = origin === undefined ? undefined : takeCredentials(origin);
  const logins = [...accounts, ...(origin === undefined ? [] : [origin])].flatMap((text) => {
    const { url, credentials } = takeCredentials(text);
    const known = readHttpUrl(url);
    return known && credentials ? [[known.origin, credentials] as const] : [];
  });
  return {
    forward,
    transparent,
    hosts,
    origin: given && readHttpUrl(given.url)?.origin,
    accounts: new Map(logins),
    rule: ruleOf(proxy.access ?? access.play),
    names: new Set([...names, 'localhost'].map((each) => each.toLowerCase())),
  };
}

const BYTES_PER_MB = 1_000_000;

/** Opens the cache of a proxy; undefined if it has none. @throws WmError WM_CONFIG */
export async function openCache(
  { proxy }: ServerConfig,
  onWarning: (message: string) => void,
): Promise<DiskCache | undefined> {
  if (!proxy?.cache) return undefined;
  return DiskCache.open({ folder: proxy.cache.folder, maxSize: proxy.cache.maxSize * BYTES_PER_MB, onWarning });
}
