import { hostname } from 'node:os';
import type { OwnedPoint } from '../../cluster/directory.js';
import { NatsBus } from '../../cluster/nats-bus.js';
import { type ClusterHost, ClusterNode } from '../../cluster/node.js';
import type { Claimant } from '../../cluster/ownership.js';
import type { SharedPoint } from '../../cluster/sender.js';
import { messageOf } from '../../errors.js';
import type { LocalLimits } from '../../playback/limits.js';
import type { SessionRegistry } from '../../playback/registry.js';
import type { SessionIds } from '../../playback/session-ids.js';
import { formatPullChain, type PullChain, parsePullChain } from '../../receiving/pull-chain.js';
import { Refusal } from '../../refusal.js';
import type { Publisher } from '../../wmhttp/server/push-gate.js';
import type { ServerConfig } from '../config.js';
import type { PointEvent, PointFeeder, PublishingPoint, PublishingPoints } from '../points/points.js';
import type { ReloadReport } from '../reload.js';
import { SessionsElsewhere } from './elsewhere.js';
import { Peers } from './peers.js';
import { readSettings, sharedSettings } from './shared-settings.js';

/** How long another node may take to read its configuration, in ms. */
const RELOAD_TIMEOUT = 10_000;
/** Between two warnings about a point that cannot be played, in ms. */
const WARNING_INTERVAL = 30_000;
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
  readonly registry: SessionRegistry;
  readonly limits: LocalLimits;
  readonly ids: SessionIds;
  /** Reads the configuration of this node again; undefined if there is no file to read. */
  readonly reload?: (() => Promise<ReloadReport>) | undefined;
  readonly onWarning: (message: string) => void;
}

/** A node, as administrators see it. */
export interface NodeView {
  readonly name: string;
  /** The first number in the ids of its sessions. */
  readonly number: number;
  /** True for the node that was asked. */
  readonly self: boolean;
  readonly alive: boolean;
  readonly draining: boolean;
  /** Null if it has not said yet. */
  readonly players: number | null;
  /** The points that it owns. */
  readonly points: number;
}

/** The points of a server that belongs to a cluster. */
export class ServerCluster implements ClusterHost {
  readonly node: ClusterNode;
  readonly peers: Peers;
  readonly elsewhere: SessionsElsewhere;
  readonly #options: ServerClusterOptions;
  /** Points that are here only because another node has them. */
  readonly #mirrored = new Set<PublishingPoint>();
  readonly #timer: NodeJS.Timeout;
  #tooMany = false;

  constructor(options: ServerClusterOptions) {
    this.#options = options;
    const { node, registry, limits, ids, reload } = options;
    this.node = node;
    this.peers = new Peers(node, registry, limits);
    this.elsewhere = new SessionsElsewhere(node, ids);
    node.calls.answer('drain', ({ draining }: { draining?: unknown }) => this.#drain(draining === true));
    node.calls.answer('reload', async () => reload?.() ?? null);
    node.calls.answer('disconnect', ({ path }: { path?: unknown }) => this.#disconnect(String(path)));
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
    this.peers.close();
    await this.node.close();
  }

  /** The name of the node that owns a point; undefined without one. */
  ownerName(path: string): string | undefined {
    if (this.node.ownership.holds(path)) return this.node.self.node;
    return this.node.remoteOwner(path)?.node;
  }

  /** True while this node takes no new players and encoders. */
  get draining(): boolean {
    return this.node.directory.draining;
  }

  /** @throws Refusal `busy` while this node is drained */
  refuseWhileDraining(): void {
    if (this.draining) throw new Refusal('busy', 'This node takes no new sessions: it is being drained.');
  }

  /** The nodes of the cluster, by number. */
  nodes(): NodeView[] {
    const { directory, self } = this.node;
    const owned = new Map<string, number>();
    for (const { run } of directory.points) owned.set(run, (owned.get(run) ?? 0) + 1);
    const views = directory.members.map((member) => {
      const isSelf = member.run === self.run;
      const players = isSelf ? this.#options.limits.all.players : this.peers.playersOf(member);
      const { node: name, number, alive, draining, run } = member;
      return { name, number, self: isSelf, alive, draining, players: players ?? null, points: owned.get(run) ?? 0 };
    });
    return views.sort((a, b) => a.number - b.number);
  }

  /**
   * Lets a node take no new sessions, and hand its encoders to the others; or lets it take new ones again.
   *
   * @throws Refusal `not-found` if there is no such node; BusError if it does not answer
   */
  async drain(name: string, draining: boolean): Promise<void> {
    const member = this.node.directory.members.find(({ node, alive }) => alive && node === name);
    if (!member) throw new Refusal('not-found', `There is no node ${name}.`);
    if (member.run === this.node.self.run) await this.#drain(draining);
    else await this.node.calls.ask(member, 'drain', { draining });
  }

  /** Lets all other nodes read their configurations again. @returns what each says, by name */
  async reloadOthers(): Promise<Record<string, ReloadReport | { readonly error: string }>> {
    const results = await Promise.all(
      this.node.others.map(async (member) => {
        try {
          const { text } = await this.node.calls.ask<ReloadReport | null>(member, 'reload', null, {
            timeout: RELOAD_TIMEOUT,
          });
          return [member.node, text ?? { error: 'It has no configuration file.' }] as const;
        } catch (error) {
          return [member.node, { error: messageOf(error) }] as const;
        }
      }),
    );
    return Object.fromEntries(results);
  }

  /** Disconnects an encoder of another node. @returns false if no other node has one for that point */
  async disconnectElsewhere(path: string): Promise<boolean> {
    const owner = this.node.remoteOwner(path);
    if (!owner) return false;
    return (await this.node.calls.ask<boolean>(owner, 'disconnect', { path })).text === true;
  }

  #disconnect(path: string): boolean {
    const publisher = this.#options.points.get(path)?.publisher;
    publisher?.disconnect('forbidden');
    return publisher !== undefined;
  }

  async #drain(draining: boolean): Promise<void> {
    await this.node.directory.drain(draining).catch(() => undefined);
    if (draining) this.#giveAway();
  }

  /** Disconnects the encoders of this node, so that they go to another one. */
  #giveAway(): void {
    const { points } = this.#options;
    for (const point of [...points]) {
      if (isFedFromElsewhere(point) || !point.lose('busy')) continue;
      points.notify({ point: point.path, what: 'unpublished', clean: false });
      this.#letGo(point);
    }
  }

  /** Players of a point wait for its next owner. */
  #letGo({ path, broadcast }: PublishingPoint): void {
    if (broadcast.live && broadcast.wanted) this.node.following(path, broadcast).takeOver();
    else void broadcast.close();
  }

  isolated(isolated: boolean): void {
    if (isolated) this.#giveAway();
  }

  /**
   * Somebody wants to feed a point here.
   *
   * @throws Refusal `taken` if another node has it; `busy` while this node must own nothing
   */
  async claim(point: PublishingPoint, publisher: Publisher): Promise<void> {
    this.refuseWhileDraining();
    if (this.node.isolated) throw new Refusal('busy', 'This node is cut off from its cluster.');
    const { remoteAddress, user, session, formerSessions } = publisher;
    const claimant = { remoteAddress, user, session, formerSessions: formerSessions ?? [] };
    await this.node.claim(point.path, point.broadcast, claimant, { settings: this.#settingsFor(point) });
    this.#mirrored.delete(point);
  }

  /** Points have come or gone, or have other sources. */
  pointsChanged(): void {
    for (const point of this.#options.points) {
      if (point.feeder && !(point.feeder instanceof NodeFeeder)) this.#offer(point);
      else point.feeder ??= new NodeFeeder(point, this.node, this.#options.onWarning);
    }
  }

  /** Takes note of what happens to a point. */
  noted({ point: path, what }: PointEvent): void {
    const point = this.#options.points.get(path);
    if (what === 'created' && point) point.feeder ??= new NodeFeeder(point, this.node, this.#options.onWarning);
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
    this.#letGo(point);
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
  readonly #onWarning: (message: string) => void;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(point: PublishingPoint, node: ClusterNode, onWarning: (message: string) => void) {
    this.#point = point;
    this.#node = node;
    this.#onWarning = onWarning;
  }

  async demand(chain: PullChain): Promise<void> {
    const { path, broadcast, publisher } = this.#point;
    if (publisher || !this.#node.remoteOwner(path)) return;
    try {
      await this.#node.following(path, broadcast).demand(formatPullChain(chain));
    } catch (error) {
      // Players learn only that it is offline.
      const now = performance.now();
      if (now - this.#warnedAt > WARNING_INTERVAL) this.#onWarning(messageOf(error));
      this.#warnedAt = now;
      throw error;
    }
  }
}

function isFedFromElsewhere(point: PublishingPoint | undefined): boolean {
  return point?.feeder !== undefined && !(point.feeder instanceof NodeFeeder);
}

function withoutGaps(tls: NonNullable<ServerConfig['cluster']>['tls']) {
  if (!tls) return undefined;
  return Object.fromEntries(Object.entries(tls).filter(([, file]) => file !== undefined));
}
