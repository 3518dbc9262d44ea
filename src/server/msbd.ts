import { orAborted } from '../abort.js';
import { WmError } from '../errors.js';
import type { Broadcast } from '../media/broadcast.js';
import { NETSHOW } from '../msbd/messages.js';
import { MsbdServer } from '../msbd/server.js';
import { MSBD_PORT, type MsbdContent, type MsbdPeer, type MsbdServerOptions } from '../msbd/server-options.js';
import { isRedirect } from '../playback/content.js';
import type { Entrance, Pass } from '../playback/entrance.js';
import { Refusal } from '../refusal.js';
import type { Listener, ServerPorts } from './listener.js';
import { named } from './names.js';
import type { PointFeeder } from './points.js';

/** Where MSBD is spoken: a port, 0 for a free one; `auto` is 7007 unless another program has it; `none` is nowhere. */
export type MsbdPort = number | 'auto' | 'none';

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

  /** As {@link Listener.start}; with `auto` it goes without a port that another program has. */
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

/** A publishing point, as far as it matters here. */
interface NamedPoint {
  readonly path: string;
  readonly broadcast: Broadcast;
  readonly feeder: PointFeeder | undefined;
}

/** The publishing points of a server as the channels of MSBD, which knows no users: only addresses let somebody in. */
export class PointChannels implements MsbdContent {
  readonly #points: Iterable<NamedPoint>;
  readonly #entrance: Pick<Entrance, 'enter'>;
  readonly #netShow: string | undefined;

  /** @param netShow the path of the point that the channel `NetShow` means */
  constructor(points: Iterable<NamedPoint>, entrance: Pick<Entrance, 'enter'>, netShow?: string) {
    this.#points = points;
    this.#entrance = entrance;
    this.#netShow = netShow;
  }

  async open(channel: string, peer: MsbdPeer): Promise<Broadcast | undefined> {
    const point = pointOfChannel(this.#points, channel, this.#netShow);
    if (!point) return undefined;
    await enterByMsbd(this.#entrance, point.path, peer);
    // MSBD has no place for the pulls of servers that wait.
    if (point.feeder) await orAborted(point.feeder.demand([]), peer.signal);
    return point.broadcast;
  }

  /** The path of a broadcast. @param channel what it was asked for as */
  pathOf(broadcast: Broadcast, channel: string): string {
    for (const point of this.#points) if (point.broadcast === broadcast) return point.path;
    return pathOfChannel(channel);
  }
}

/**
 * Lets a client of MSBD in, and takes a place for it until it has gone.
 *
 * @throws Refusal
 */
export async function enterByMsbd(entrance: Pick<Entrance, 'enter'>, path: string, peer: MsbdPeer): Promise<Pass> {
  const { remoteAddress, local, connection, signal } = peer;
  const credentials = { connection, accepts: [], schemes: [], proxied: false, via: false };
  const caller = { remoteAddress, local, secure: false, credentials };
  const pass = await entrance.enter({ path, caller, purpose: 'play', signal });
  if (isRedirect(pass)) throw new Refusal('gone', `${path} is at ${pass.redirect} now.`);
  if (signal.aborted) pass.leave();
  else signal.addEventListener('abort', () => pass.leave(), { once: true });
  return pass;
}

/** @param channel szChannel, with or without a slash before it */
function pathOfChannel(channel: string): string {
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
  const find = (path: string) => named(all, path);
  if (channel !== '' && channel.toLowerCase() !== NETSHOW.toLowerCase()) return find(pathOfChannel(channel));
  if (netShow !== undefined) return find(netShow);
  const live = all.filter(({ broadcast }) => broadcast.live);
  return find(pathOfChannel(channel)) ?? (live.length === 1 ? live[0] : undefined);
}
