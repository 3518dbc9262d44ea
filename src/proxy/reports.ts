import { availableParallelism, hostname, loadavg } from 'node:os';
import type { ContentWish, PlayerReport } from '../playback/content.js';
import { forwardedLog } from '../wmlog/forward.js';
import { buildXmlLog, parseLog, type WmLog } from '../wmlog/log.js';
import type { CacheRules } from '../wms/cache-control.js';
import { readRemoteLog, remoteCacheEvent, remoteLogEvent } from '../wms/remote-event.js';
import type { Upstream } from './upstream.js';

/** Where the reports about players go. */
export interface ReportsOptions {
  readonly upstream: Upstream;
  /** Returns the number of clients of this server. */
  readonly clients: () => number;
  /** Called if an origin does not take a report. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

const NO_GUID = '{00000000-0000-0000-0000-000000000000}';
/** The maximum number of reports that wait for an origin; further ones are dropped. */
const MAX_WAITING = 100;

/**
 * What a proxy tells the origins about its players (MS-WMSP 3.2.5.11, 4.12): rendering logs, at once and whatever else
 * goes on, never streaming logs; a legacy log as the rendering log that is in it; and the events that an origin wants.
 * Nobody waits for an answer.
 */
export class Reports {
  readonly #options: ReportsOptions;
  #waiting = 0;

  constructor(options: ReportsOptions) {
    this.#options = options;
  }

  /** @param rules what the origin says about the content; undefined if that is not known */
  player(url: string, wish: ContentWish, rules: CacheRules | undefined, report: PlayerReport): void {
    const wantsLogs = rules?.events.has('remote-log') ?? false;
    const { log, event, address, agent } = report;
    if (event) {
      const remote = readRemoteLog(event);
      if (!remote || !wantsLogs) return;
      const given = parsed(remote.log);
      if (given) this.#log(url, wish, given, address, remote.userAgent, remote.guid);
      return;
    }
    if (!log || log.kind === 'streaming' || log.kind === 'connect-time') return;
    if (log.kind === 'legacy' && !wantsLogs) return;
    this.#log(url, wish, { ...log, kind: 'rendering' }, address, agent, log.values['c-playerid'] ?? NO_GUID);
  }

  /** The proxy opens or closes content of its cache. */
  cache(url: string, wish: ContentWish, rules: CacheRules, what: 'open' | 'close'): void {
    if (rules.events.has(`remote-${what}`)) this.#send(url, wish, remoteCacheEvent(what));
  }

  #log(url: string, wish: ContentWish, log: WmLog, address: string, userAgent: string, guid: string): void {
    const { upstream, clients } = this.#options;
    const forwarded = forwardedLog(log, {
      product: upstream.product,
      clientAddress: address,
      ownAddress: upstream.addressTowards(url),
      hostName: hostname(),
      cpuPercent: Math.round((loadavg()[0]! / availableParallelism()) * 100),
      clients: clients(),
    });
    this.#send(url, wish, remoteLogEvent({ userAgent, guid, url, log: buildXmlLog(forwarded) }), userAgent);
  }

  #send(url: string, wish: ContentWish, body: Buffer, agent?: string): void {
    if (this.#waiting >= MAX_WAITING) return;
    const { upstream, onWarning } = this.#options;
    this.#waiting++;
    upstream
      .send(url, wish, body, agent)
      .catch((error: unknown) => onWarning?.(`${url} does not take a report: ${String(error)}`))
      .finally(() => {
        this.#waiting--;
      });
  }
}

function parsed(text: string): WmLog | undefined {
  try {
    return { ...parseLog(text), kind: 'rendering' };
  } catch {
    return undefined;
  }
}
