import { hostname } from 'node:os';
import { buildNsc } from '../../announce/nsc.js';
import type { AsfHeader } from '../../asf/header.js';
import { type DataPacket, parsePacket } from '../../asf/packet.js';
import { messageOf, WmError } from '../../errors.js';
import type { Broadcast, Follower } from '../../media/broadcast.js';
import type { EndEvent } from '../../media/events.js';
import type { BroadcastPacket } from '../../media/wire.js';
import { MulticastSender } from '../../msb/server/sender.js';
import type { Listener, ServerPorts } from './listener.js';

/** How to multicast a point: the settings from the configuration. @public */
export interface MulticastConfig {
  readonly group: string;
  readonly port: number;
  /** How many routers datagrams may pass. */
  readonly ttl: number;
  /** The network interface, by name or address. */
  readonly interface?: string | undefined;
  /** The number of data packets per parity packet; 0 for no parity packets. */
  readonly fec: number;
  /** Where receivers submit their logs, by HTTP. */
  readonly logUrl?: string | undefined;
}

/** A point that is multicast. */
interface MulticastPoint {
  readonly path: string;
  readonly broadcast: Broadcast;
}

/** Sends a publishing point to a multicast group for as long as the server runs. */
export class PointMulticast implements Follower {
  readonly #point: MulticastPoint;
  readonly #config: MulticastConfig;
  readonly #sender: MulticastSender;

  private constructor(point: MulticastPoint, config: MulticastConfig, sender: MulticastSender) {
    this.#point = point;
    this.#config = config;
    this.#sender = sender;
    point.broadcast.follow(this);
  }

  /** @throws WmError as {@link MulticastSender.open} */
  static async start(
    point: MulticastPoint,
    config: MulticastConfig,
    onWarning: (message: string) => void,
  ): Promise<PointMulticast> {
    const { group: address, port, ttl, interface: own, fec: span } = config;
    const warn = (message: string) => onWarning(`${point.path}: ${message}`);
    const sender = await MulticastSender.open({ address, port, ttl, interface: own, span, warn });
    return new PointMulticast(point, config, sender);
  }

  get broadcast(): Broadcast {
    return this.#point.broadcast;
  }

  get group(): string {
    return this.#config.group;
  }

  get port(): number {
    return this.#config.port;
  }

  /** The number of bytes sent in datagrams. */
  get bytes(): number {
    return this.#sender.stats.bytes;
  }

  /** The group and its figures, for the administrator. */
  get view(): object {
    const { group, port, ttl, fec } = this.#config;
    return { path: this.#point.path, group, port, ttl, fec, live: this.broadcast.live, ...this.#sender.stats };
  }

  /**
   * Returns the current .nsc file.
   *
   * @param unicastUrl the URL of the point for clients that the multicast does not reach
   * @param loggingUrl where receivers submit their logs, unless the configuration names another URL
   * @returns undefined before the first header
   */
  nsc(unicastUrl: string, loggingUrl?: string): string | undefined {
    if (this.#sender.formats.length === 0) return undefined;
    const logUrl = this.#config.logUrl ?? loggingUrl;
    const more = {
      name: `${hostname()}, ${this.#point.path.slice(1)}`,
      unicastUrl,
      allowSplitting: true,
      allowCaching: false,
      ...(logUrl === undefined ? {} : { logUrl }),
    };
    return buildNsc(this.#sender.announcement(more));
  }

  started(header: AsfHeader): void {
    this.#sender.write({ type: 'header', header });
  }

  packet({ wire }: BroadcastPacket, placed: DataPacket): number {
    const { bytes } = this.#sender.stats;
    // The padding is removed once for all followers.
    const packet = wire === placed.bytes ? placed : parsePacket(wire);
    this.#sender.write({ type: 'packet', packet });
    return this.#sender.stats.bytes - bytes;
  }

  ended(event: EndEvent): void {
    this.#sender.write(event);
  }

  async close(): Promise<void> {
    this.#point.broadcast.unfollow(this);
    await this.#sender.close();
  }
}

/** A point and its multicast settings. */
export interface WantedMulticast {
  readonly point: MulticastPoint;
  readonly config: MulticastConfig;
}

/** All multicast points: those of the configuration, and those that pushes make from templates. */
export class Multicasts implements Listener {
  readonly name = 'multicast';
  readonly connections = 0;
  readonly #wanted: readonly WantedMulticast[];
  readonly #onWarning: (message: string) => void;
  readonly #points = new Map<string, PointMulticast>();
  // Points are added and removed one after the other.
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(wanted: readonly WantedMulticast[], onWarning: (message: string) => void) {
    this.#wanted = wanted;
    this.#onWarning = onWarning;
  }

  get groupBytes(): number {
    let bytes = 0;
    for (const point of this.#points.values()) bytes += point.bytes;
    return bytes;
  }

  /**
   * Starts the points of the configuration. If one of them fails, none stays open. @throws WmError WM_CONFIG with the
   * path of the point that cannot be multicast
   */
  async start(): Promise<ServerPorts> {
    for (const { point, config } of this.#wanted) {
      try {
        this.#points.set(point.path, await PointMulticast.start(point, config, this.#onWarning));
      } catch (error) {
        await this.close();
        if (!(error instanceof WmError)) throw error;
        throw new WmError('WM_CONFIG', `${point.path} cannot be multicast: ${error.message}`, { cause: error });
      }
    }
    return {};
  }

  /**
   * Multicasts a point like the template that it was made from (MS-WMHTTP 2.2.2.1.1): to the same group, on the next
   * port that no other point uses there, because receivers could not tell two senders apart. The point's .nsc file
   * names the port. Does nothing if the point is already multicast.
   */
  copy(point: MulticastPoint, template: MulticastConfig): void {
    this.#inTurn(async () => {
      if (this.#closed || this.#points.has(point.path)) return;
      const port = this.#freePort(template);
      if (port === undefined) {
        this.#onWarning(`${point.path} is not multicast: ${template.group} has no free port above ${template.port}.`);
        return;
      }
      this.#points.set(point.path, await PointMulticast.start(point, { ...template, port }, this.#onWarning));
    });
  }

  /** Multicasts a point from now on; a failure is reported as a warning. */
  add(point: MulticastPoint, config: MulticastConfig): void {
    this.#inTurn(async () => {
      if (!this.#closed) this.#points.set(point.path, await PointMulticast.start(point, config, this.#onWarning));
    });
  }

  /** Ends the multicast of a point that was removed, or is no longer multicast. */
  remove(path: string): void {
    this.#inTurn(async () => {
      const point = this.#points.get(path);
      this.#points.delete(path);
      await point?.close();
    });
  }

  #inTurn(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(work).catch((error: unknown) => this.#onWarning(messageOf(error)));
  }

  #freePort({ group, port }: MulticastConfig): number | undefined {
    const taken = new Set(
      [...this.#points.values()].filter((point) => point.group === group).map((point) => point.port),
    );
    for (let free = port + 1; free <= 65_535; free++) if (!taken.has(free)) return free;
    return undefined;
  }

  /** Lists the groups and their figures, for the administrator. */
  *[Symbol.iterator](): Generator<object, void, undefined> {
    for (const point of this.#points.values()) yield point.view;
  }

  get(path: string): PointMulticast | undefined {
    return this.#points.get(path);
  }

  /** True if a broadcast is multicast, so that its headers are in an .nsc file. */
  has(broadcast: Broadcast): boolean {
    return [...this.#points.values()].some((point) => point.broadcast === broadcast);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#turn;
    await Promise.all([...this.#points.values()].map((point) => point.close()));
  }
}
