import { hostname } from 'node:os';
import type { OwnedPoint } from '../../cluster/directory.js';
import { NatsBus } from '../../cluster/nats-bus.js';
import { type ClusterHost, ClusterNode } from '../../cluster/node.js';
import type { Claimant } from '../../cluster/ownership.js';
import type { SharedPoint } from '../../cluster/sender.js';
import { formatPullChain, type PullChain, parsePullChain } from '../../receiving/pull-chain.js';
import { Refusal } from '../../refusal.js';
import type { Publisher } from '../../wmhttp/server/push-gate.js';
import type { ServerConfig } from '../config.js';
import type { PointEvent, PointFeeder, PublishingPoint, PublishingPoints } from '../points/points.js';
import { readSettings, sharedSettings } from './shared-settings.js';

/** How often points that other nodes no longer have are looked for, in ms. */
const SWEEP = 5_000;

/**
 * Joins the cluster of a configuration.
 *
 * @returns undefined if the configuration has none
 * @throws WmError WM_CONFIG if a file cannot be read, or another node has the same name
 */
export async function joinCluster(
  { cluster }: ServerConfig,
  onWarning: (message: string) => void,
): Promise<ClusterNode | undefined> {
  if (!cluster) return undefined;
  const { servers, tls, credentials, replicas, name: prefix } = cluster;
  const name = cluster.node ?? hostname();
  const bus = await NatsBus.open({
    servers,
    bucket: prefix,
    name,
    tls: withoutGaps(tls),
    credentials,
    replicas,
    onWarning,
  });
  try {
    return await ClusterNode.join({ bus, name, prefix, onWarning });
  } catch (error) {
    await bus.close();
    throw error;
  }
}

/** The server of a node, as its cluster sees it. */
export interface ServerClusterOptions {
  readonly node: ClusterNode;
  readonly points: PublishingPoints;
  readonly config: () => ServerConfig;
  readonly onWarning: (message: string) => void;
}

/** The points of a server that belongs to a cluster. */
export class ServerCluster implements ClusterHost {
  readonly node: ClusterNode;
  readonly #options: ServerClusterOptions;
  /** Points that are here only because another node has them. */
  readonly #mirrored = new Set<PublishingPoint>();
  readonly #timer: NodeJS.Timeout;
  #tooMany = false;

  constructor(options: ServerClusterOptions) {
    this.#options = options;
    this.node = options.node;
    this.#timer = setInterval(() => this.#sweep(), SWEEP).unref();
  }

  /** Begins to share the points of the server, once it listens. */
  start(): void {
    this.node.attend(this);
    this.pointsChanged();
  }

  /** Gives its points back to the cluster, and leaves it. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.node.close();
  }

  /** Somebody wants to feed a point here. @throws Refusal `taken` if another node has it */
  async claim(point: PublishingPoint, publisher: Publisher): Promise<void> {
    const { remoteAddress, user, session, formerSessions } = publisher;
    const claimant = { remoteAddress, user, session, formerSessions: formerSessions ?? [] };
    await this.node.claim(point.path, point.broadcast, claimant, { settings: this.#settingsFor(point) });
    this.#mirrored.delete(point);
  }

  /** Points have come or gone, or have other sources. */
  pointsChanged(): void {
    for (const point of this.#options.points) {
      if (point.feeder && !(point.feeder instanceof NodeFeeder)) this.#offer(point);
      else point.feeder ??= new NodeFeeder(point, this.node);
    }
  }

  /** Takes note of what happens to a point. */
  noted({ point: path, what }: PointEvent): void {
    const point = this.#options.points.get(path);
    if (what === 'created' && point) point.feeder ??= new NodeFeeder(point, this.node);
    if (what === 'unpublished' && !isFedFromElsewhere(point)) this.node.release(path);
    if (what === 'removed') {
      this.node.release(path);
      this.node.forget(path);
    }
  }

  find(path: string): Pick<SharedPoint, 'broadcast' | 'demand'> | undefined {
    const point = this.#options.points.get(path);
    if (!point) return undefined;
    const { broadcast } = point;
    return { broadcast, demand: async (pulls) => point.feeder?.demand(parsePullChain(pulls)) };
  }

  yields(path: string, claimant: Claimant): boolean {
    return this.#options.points.get(path)?.yieldsTo(claimant) ?? true;
  }

  lost(path: string): void {
    const { points, onWarning } = this.#options;
    const point = points.get(path);
    // What is pulled here goes on for the players of this node.
    if (!point || isFedFromElsewhere(point)) return;
    if (point.lose()) {
      onWarning(`${path}: its encoder was disconnected, because another node of the cluster has one now.`);
      points.notify({ point: path, what: 'unpublished', clean: false });
    }
    const { broadcast } = point;
    if (broadcast.live && broadcast.wanted) this.node.following(path, broadcast).takeOver();
    else void broadcast.close();
  }

  pointChanged(path: string, owner: OwnedPoint | undefined): void {
    const { points } = this.#options;
    const point = points.get(path);
    if (!owner || owner.run === this.node.self.run) {
      if (point && !owner && isFedFromElsewhere(point)) this.#offer(point);
      return;
    }
    if (!point) this.#mirror(path, owner);
  }

  #mirror(path: string, { node, settings: shared }: OwnedPoint): void {
    const { points, config, onWarning } = this.#options;
    const settings = readSettings(shared);
    const { workers, limits } = config();
    if (!settings) {
      onWarning(`${path} of ${node} is not played here: this version does not understand its settings.`);
      return;
    }
    // Workers know the settings of their own configuration only; without its rule the point would be open to everybody.
    if (shared !== undefined && workers !== undefined) {
      onWarning(
        `${path} of ${node} is not played here: with workers, its settings have to be in this configuration, too.`,
      );
      return;
    }
    if (this.#mirrored.size >= limits.points) {
      if (!this.#tooMany) onWarning('The cluster has more points than limits.points: the rest is not played here.');
      this.#tooMany = true;
      return;
    }
    this.#mirrored.add(points.add(path, settings));
  }

  /** Lets the other nodes play what this one pulls. */
  #offer({ path, broadcast }: PublishingPoint): void {
    if (this.node.ownership.holds(path)) return;
    const facts = { offered: true, settings: this.#settingsFor(this.#options.points.get(path)!) };
    this.node.claim(path, broadcast, { remoteAddress: '' }, facts).catch((error: unknown) => {
      // Another node offers it already.
      if (!(error instanceof Refusal)) this.#options.onWarning(String(error));
    });
  }

  #settingsFor(point: PublishingPoint): unknown {
    return sharedSettings(point, this.#options.config());
  }

  #sweep(): void {
    const { points } = this.#options;
    for (const point of this.#mirrored) {
      if (points.get(point.path) !== point || point.configured) this.#mirrored.delete(point);
      else if (!this.node.directory.ownerOf(point.path) && !point.broadcast.wanted && !point.publisher) {
        this.#mirrored.delete(point);
        points.remove(point);
      }
    }
    if (this.#mirrored.size < this.#options.config().limits.points) this.#tooMany = false;
  }
}

/** Feeds a point from the node that owns it, while there are players. */
class NodeFeeder implements PointFeeder {
  readonly #point: PublishingPoint;
  readonly #node: ClusterNode;

  constructor(point: PublishingPoint, node: ClusterNode) {
    this.#point = point;
    this.#node = node;
  }

  async demand(chain: PullChain): Promise<void> {
    const { path, broadcast, publisher } = this.#point;
    if (publisher || !this.#node.remoteOwner(path)) return;
    await this.#node.following(path, broadcast).demand(formatPullChain(chain));
  }
}

function isFedFromElsewhere(point: PublishingPoint | undefined): boolean {
  return point?.feeder !== undefined && !(point.feeder instanceof NodeFeeder);
}

function withoutGaps(tls: NonNullable<ServerConfig['cluster']>['tls']) {
  if (!tls) return undefined;
  return Object.fromEntries(Object.entries(tls).filter(([, file]) => file !== undefined));
}
