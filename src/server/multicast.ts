import { hostname } from 'node:os';
import { buildNsc } from '../announce/nsc.js';
import { parsePacket } from '../asf/packet.js';
import { WmError } from '../errors.js';
import type { Broadcast } from '../media/broadcast.js';
import type { EndEvent } from '../media/events.js';
import type { LaneFormat, Player, PlayerOutput, PlayerSession } from '../media/lane.js';
import { MulticastSender, type MulticastStats } from '../msb/sender.js';

/** How a point is multicast, as the configuration has it. */
export interface MulticastConfig {
  readonly group: string;
  readonly port: number;
  /** How many networks datagrams may pass. */
  readonly ttl: number;
  /** The name of a network interface or an address of it. */
  readonly interface?: string | undefined;
  /** Data packets for each parity packet; 0 for none. */
  readonly fec: number;
  /** Where receivers submit what they got, by HTTP. */
  readonly logUrl?: string | undefined;
}

/** A point that is multicast. */
interface MulticastPoint {
  readonly path: string;
  readonly broadcast: Broadcast;
}

/** Packets as they are, each with its length before it, so that what is delivered at once can be taken apart again. */
const multicastFormat: LaneFormat = {
  key: 'msb',
  phases: 1,
  select: ({ wire }) => wire,
  wrap: (items) => {
    const out = Buffer.allocUnsafe(items.reduce((sum, { bytes }) => sum + LENGTH_SIZE + bytes.length, 0));
    let at = 0;
    for (const { bytes } of items) {
      at = out.writeUInt32LE(bytes.length, at);
      at += bytes.copy(out, at);
    }
    return out;
  },
};
const LENGTH_SIZE = 4;
/** How long a header is waited for before it is asked again whether it is there, ms. */
const WAIT = 60_000;

/** Sends a publishing point to a multicast group for as long as the server runs. */
export class PointMulticast implements PlayerSession {
  readonly output: PlayerOutput;
  readonly #point: MulticastPoint;
  readonly #config: MulticastConfig;
  readonly #sender: MulticastSender;
  #player: Player | undefined;
  /** What a new player gets at once came before it was asked for, and would be a flood to a group. */
  #late = false;
  #closed = false;

  private constructor(point: MulticastPoint, config: MulticastConfig, sender: MulticastSender) {
    this.#point = point;
    this.#config = config;
    this.#sender = sender;
    this.output = { write: (bytes) => this.#take(bytes), backlog: 0, destroy: () => this.#leave() };
    void this.#follow();
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

  get stats(): Readonly<MulticastStats> {
    return this.#sender.stats;
  }

  /**
   * The .nsc file as of now.
   *
   * @param unicastUrl where the point is for those that the multicast does not reach
   * @returns undefined while there has been no header
   */
  nsc(unicastUrl: string): string | undefined {
    if (this.#sender.formats.length === 0) return undefined;
    const more = {
      name: `${hostname()}, ${this.#point.path.slice(1)}`,
      unicastUrl,
      allowSplitting: true,
      allowCaching: false,
      ...(this.#config.logUrl === undefined ? {} : { logUrl: this.#config.logUrl }),
    };
    return buildNsc(this.#sender.announcement(more));
  }

  changed(): LaneFormat {
    this.#sender.write({ type: 'header', header: this.#point.broadcast.header! });
    return multicastFormat;
  }

  ended(event: EndEvent): void {
    this.#player = undefined;
    this.#sender.write(event);
    void this.#follow();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#leave();
    await this.#sender.close();
  }

  /** Joins the broadcast as soon as it is fed. */
  async #follow(): Promise<void> {
    const { broadcast } = this.#point;
    this.#late = broadcast.live;
    while (!broadcast.live && !this.#closed) await broadcast.nextHeader(WAIT);
    if (this.#closed || this.#player) return;
    this.changed();
    this.#player = broadcast.join(this, multicastFormat);
    this.#late = false;
  }

  #leave(): void {
    if (this.#player) this.#point.broadcast.leave(this.#player);
    this.#player = undefined;
  }

  #take(bytes: Buffer): void {
    if (this.#late) return;
    for (let at = 0; at < bytes.length; ) {
      const start = at + LENGTH_SIZE;
      at = start + bytes.readUInt32LE(at);
      this.#sender.write({ type: 'packet', packet: parsePacket(bytes.subarray(start, at)) });
    }
  }
}

/** Starts what the configuration says of multicasts; nothing stays open when one of them cannot be. */
export class Multicasts {
  readonly #points: ReadonlyMap<string, PointMulticast>;

  private constructor(points: ReadonlyMap<string, PointMulticast>) {
    this.#points = points;
  }

  /** @throws WmError WM_CONFIG with the path of the point that cannot be multicast */
  static async start(
    wanted: ReadonlyArray<{ readonly point: MulticastPoint; readonly config: MulticastConfig }>,
    onWarning: (message: string) => void,
  ): Promise<Multicasts> {
    const points = new Map<string, PointMulticast>();
    const all = new Multicasts(points);
    for (const { point, config } of wanted) {
      try {
        points.set(point.path, await PointMulticast.start(point, config, onWarning));
      } catch (error) {
        await all.close();
        if (!(error instanceof WmError)) throw error;
        throw new WmError('WM_CONFIG', `${point.path} cannot be multicast: ${error.message}`, { cause: error });
      }
    }
    return all;
  }

  get(path: string): PointMulticast | undefined {
    return this.#points.get(path);
  }

  /** Whether a broadcast is multicast, so that its headers are in an .nsc file. */
  has(broadcast: Broadcast): boolean {
    return [...this.#points.values()].some((point) => point.broadcast === broadcast);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#points.values()].map((point) => point.close()));
  }
}
