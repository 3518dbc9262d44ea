import { WmError } from '../errors.js';
import type { Broadcast } from '../media/broadcast.js';
import { NETSHOW } from '../msbd/messages.js';
import { MsbdServer } from '../msbd/server.js';
import { MSBD_PORT, type MsbdContent, type MsbdPeer, type MsbdServerOptions } from '../msbd/server-options.js';
import { Refusal } from '../refusal.js';
import type { Rule } from './access.js';
import type { PlayingClient } from './players.js';

/** Where MSBD is spoken: a port, 0 for a free one; `auto` is 7007 unless another program has it; `none` is nowhere. */
export type MsbdPort = number | 'auto' | 'none';

export interface MsbdListenerOptions extends MsbdServerOptions {
  readonly port: MsbdPort;
  readonly host?: string | undefined;
}

/** The MSBD side of a server. */
export class MsbdListener {
  readonly #server: MsbdServer;
  readonly #port: number | undefined;

  private constructor(server: MsbdServer, port: number | undefined) {
    this.#server = server;
    this.#port = port;
  }

  /** @throws WmError WM_PORT_IN_USE, or WM_FAILED when it cannot listen there; with `auto` it then goes without */
  static async start({ port, host, ...options }: MsbdListenerOptions): Promise<MsbdListener> {
    const server = new MsbdServer(options);
    if (port === 'none') return new MsbdListener(server, undefined);
    try {
      return new MsbdListener(server, await server.listen(port === 'auto' ? MSBD_PORT : port, host));
    } catch (error) {
      if (port === 'auto' && error instanceof WmError) return new MsbdListener(server, undefined);
      throw error;
    }
  }

  /** For the `ports` of a server: nothing when it does not listen. */
  get ports(): { msbd?: number } {
    return this.#port === undefined ? {} : { msbd: this.#port };
  }

  get clients(): number {
    return this.#server.clients;
  }

  /** Who plays. @param pathOf the point that has a broadcast */
  *playing(pathOf: (broadcast: Broadcast) => string | undefined): Generator<PlayingClient, void, undefined> {
    for (const { broadcast, channel, remoteAddress, delivery, milliseconds } of this.#server.playing()) {
      const path = (broadcast && pathOf(broadcast)) ?? pathOfChannel(channel);
      const client = delivery === 'multicast' ? 'MSBD, multicast' : 'MSBD';
      yield { path, client, remoteAddress, since: Date.now() - milliseconds };
    }
  }

  async close(): Promise<void> {
    if (this.#port !== undefined) await this.#server.close();
  }
}

/** A publishing point, as far as it matters here. */
interface NamedPoint {
  readonly path: string;
  readonly broadcast: Broadcast;
  readonly settings: { readonly play?: Rule | undefined; readonly maxPlayers?: number | undefined };
}

/** The publishing points of a server as the channels of MSBD, which knows no users: only addresses let somebody in. */
export class PointChannels implements MsbdContent {
  readonly #points: Iterable<NamedPoint>;
  readonly #rule: Rule;
  readonly #netShow: string | undefined;

  /**
   * @param rule who may play points that have none of their own
   * @param netShow the path of the point that the channel `NetShow` means
   */
  constructor(points: Iterable<NamedPoint>, rule: Rule, netShow?: string) {
    this.#points = points;
    this.#rule = rule;
    this.#netShow = netShow;
  }

  async open(channel: string, { remoteAddress, local }: MsbdPeer): Promise<Broadcast | undefined> {
    const point = pointOfChannel(this.#points, channel, this.#netShow);
    if (!point) return undefined;
    const { broadcast, settings } = point;
    const { addresses, users, trusted } = settings.play ?? this.#rule;
    const isAllowed = addresses?.includes(remoteAddress, local) ?? true;
    if (!isAllowed || (users && !trusted.includes(remoteAddress, local))) {
      throw new Refusal('forbidden', `${remoteAddress} may not play ${point.path} by MSBD.`);
    }
    if (broadcast.players >= (settings.maxPlayers ?? Number.POSITIVE_INFINITY)) {
      throw new Refusal('busy', `${point.path} has as many players as it may.`);
    }
    return broadcast;
  }
}

/** @param channel szChannel, with or without a slash before it */
export function pathOfChannel(channel: string): string {
  return channel.startsWith('/') ? channel : `/${channel}`;
}

/**
 * Returns the point that a client means: the one of that name. Old clients and Windows servers ask for `NetShow` whatever they want
 * (MS-MSBD 2.2.7), and so does a client that names no channel: it means the point that is set, else the point of that name, else
 * the only point that is live.
 *
 * @param netShow the path of the point that is set
 */
function pointOfChannel(
  points: Iterable<NamedPoint>,
  channel: string,
  netShow: string | undefined,
): NamedPoint | undefined {
  const all = [...points];
  const named = (path: string) => all.find((point) => point.path === path);
  if (channel !== '' && channel.toLowerCase() !== NETSHOW.toLowerCase()) return named(pathOfChannel(channel));
  if (netShow !== undefined) return named(netShow);
  const live = all.filter(({ broadcast }) => broadcast.live);
  return named(pathOfChannel(channel)) ?? (live.length === 1 ? live[0] : undefined);
}
