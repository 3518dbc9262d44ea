import { orAborted } from '../../abort.js';
import { WmError } from '../../errors.js';
import type { Broadcast } from '../../media/broadcast.js';
import { NETSHOW } from '../../msbd/messages/messages.js';
import { MSBD_PORT, type MsbdContent, type MsbdPeer, type MsbdServerOptions } from '../../msbd/server/options.js';
import { MsbdServer } from '../../msbd/server/server.js';
import { isRedirect } from '../../playback/content.js';
import type { Entrance, Pass } from '../../playback/entrance.js';
import { Refusal } from '../../refusal.js';
import { named } from '../content/names.js';
import type { PointFeeder } from '../points/points.js';
import type { Listener, ServerPorts } from './listener.js';

/** The port for MSBD: 0 picks a free one, `auto` is 7007 unless another program has it, `none` opens none. */
export type MsbdPort = number | 'auto' | 'none';

/** The port of an MSBD server, and its options. */
export interface MsbdListenerOptions extends MsbdServerOptions {
  readonly port: MsbdPort;
  readonly host?: string | undefined;
}

/** The MSBD side of a server. */
export class MsbdListener implements Listener {
  readonly name = 'msbd';
  readonly #server: MsbdServer;
  readonly #port: MsbdPort;
  readonly #host: string | undefined;
  #listens = false;

  constructor({ port, host, ...options }: MsbdListenerOptions) {
    this.#server = new MsbdServer(options);
    this.#port = port;
    this.#host = host;
  }

  get connections(): number {
    return this.#server.connections;
  }

  get groupBytes(): number {
    return this.#server.groupBytes;
  }

  get clients(): number {
    return this.#server.clients;
  }

  /** Starts like {@link Listener.start}; with `auto` it runs without a port if another program has it. */
  async start(): Promise<ServerPorts> {
    if (this.#port === 'none') return {};
    try {
      const msbd = await this.#server.listen(this.#port === 'auto' ? MSBD_PORT : this.#port, this.#host);
      this.#listens = true;
      return { msbd };
    } catch (error) {
      if (this.#port === 'auto' && error instanceof WmError) return {};
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#listens) await this.#server.close();
  }
}

/** The properties of a publishing point that MSBD needs. */
interface NamedPoint {
  readonly path: string;
  readonly broadcast: Broadcast;
  readonly feeder: PointFeeder | undefined;
}

/** The publishing points of a server as the channels of MSBD. MSBD knows no users, so only addresses grant access. */
export class PointChannels implements MsbdContent {
  readonly #points: Iterable<NamedPoint>;
  readonly #entrance: Pick<Entrance, 'enter'>;
  readonly #netShow: string | undefined;

  /** @param netShow the path of the point that the channel `NetShow` names */
  constructor(points: Iterable<NamedPoint>, entrance: Pick<Entrance, 'enter'>, netShow?: string) {
    this.#points = points;
    this.#entrance = entrance;
    this.#netShow = netShow;
  }

  async open(channel: string, peer: MsbdPeer): Promise<Broadcast | undefined> {
    const point = pointOfChannel(this.#points, channel, this.#netShow);
    if (!point) return undefined;
    await enterByMsbd(this.#entrance, point.path, peer);
    // MSBD cannot carry the chain of waiting pulls.
    if (point.feeder) await orAborted(point.feeder.demand([]), peer.signal);
    return point.broadcast;
  }

  /** Returns the path of a broadcast. @param channel the channel that was requested */
  pathOf(broadcast: Broadcast, channel: string): string {
    for (const point of this.#points) if (point.broadcast === broadcast) return point.path;
    return pathOfChannel(channel);
  }
}

/**
 * Admits an MSBD client and reserves a place for it until it leaves.
 *
 * @throws Refusal
 */
export async function enterByMsbd(entrance: Pick<Entrance, 'enter'>, path: string, peer: MsbdPeer): Promise<Pass> {
  const { remoteAddress, local, connection, signal } = peer;
  const credentials = { connection, accepts: [], schemes: [], proxied: false, via: false };
  const caller = { remoteAddress, local, secure: false, credentials };
  const visitor = { protocol: 'MSBD', transport: 'tcp', client: 'MSBD' };
  const pass = await entrance.enter({ path, caller, purpose: 'play', visitor, signal });
  if (isRedirect(pass)) throw new Refusal('gone', `${path} is at ${pass.redirect} now.`);
  if (signal.aborted) pass.leave();
  else signal.addEventListener('abort', () => pass.leave(), { once: true });
  return pass;
}

/** @param channel szChannel, with or without a leading slash */
function pathOfChannel(channel: string): string {
  return channel.startsWith('/') ? channel : `/${channel}`;
}

/**
 * Returns the point that a client asks for by name. Old clients and Windows servers always ask for `NetShow` (MS-MSBD
 * 2.2.7). For them, and for clients that name no channel, it is the configured point, else the point of that name, else
 * the only live point.
 *
 * @param netShow the path of the configured point
 */
function pointOfChannel(
  points: Iterable<NamedPoint>,
  channel: string,
  netShow: string | undefined,
): NamedPoint | undefined {
  const all = [...points];
  const find = (path: string) => named(all, path);
  if (channel !== '' && channel.toLowerCase() !== NETSHOW.toLowerCase()) return find(pathOfChannel(channel));
  if (netShow !== undefined) return find(netShow);
  const live = all.filter(({ broadcast }) => broadcast.live);
  return find(pathOfChannel(channel)) ?? (live.length === 1 ? live[0] : undefined);
}
