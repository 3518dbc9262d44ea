import { messageOf, WmError } from '../../errors.js';
import type { AddressGuard } from '../../http/address-guard.js';
import { takeCredentials } from '../../http/credentials.js';
import type { Broadcast } from '../../media/broadcast.js';
import type { AsfSource } from '../../media/events.js';
import { fileSource } from '../../media/file-source.js';
import type { PullChain } from '../../receiving/pull-chain.js';
import type { PulledSource } from '../../receiving/pulled-broadcast.js';
import { Refusal } from '../../refusal.js';
import { type SourceSpec, sourceName, sourceSpec } from '../../sources/spec.js';
import type { ServerConfig } from '../config.js';
import type { ServerPorts } from '../listeners/listener.js';
import { encodedSource, isList, listedPoints } from './encoded.js';
import { FollowedPoint } from './followed.js';
import { ownPathOf } from './own-addresses.js';
import type { PublishingPoint, PublishingPoints } from './points.js';
import { PointProgramme } from './programme.js';
import { PointPull } from './pull.js';
import { connectRemote } from './remote.js';

/** The part of the configuration that says where points come from. */
export type PointSources = Pick<
  ServerConfig['points'][number],
  'path' | 'source' | 'filler' | 'onDemand' | 'multicast'
>;

/** The server as its pulls see it. */
export interface PointPullsHost {
  readonly points: PublishingPoints;
  /** The ports of the server, by which it recognises its own addresses. */
  readonly ports: () => ServerPorts;
  /** The content folder, which paths of sources are relative to. */
  readonly folder: () => string | undefined;
  /** Where announcements and redirects of other hosts may lead. */
  readonly guard: AddressGuard;
  readonly onWarning: (message: string) => void;
  /** Called when a source of a point fails. */
  readonly onLost?: (path: string, source: string, reason: string) => void;
}

// How long an encoder runs on after its last player, who may come back, in ms.
const ENCODER_LINGER = 5_000;
// How long the previous sources of a point may feed it while new ones begin, in ms.
const HANDOVER = 15_000;

/** Feeds the points of a configuration that have sources. */
export class PointPulls {
  readonly #host: PointPullsHost;
  readonly #pulls = new Map<string, PointPull>();
  /** Pulls that feed their point until their successor does. */
  readonly #retiring = new Map<PointPull, NodeJS.Timeout>();
  /** By the paths of their points; in order of preference. */
  readonly #programmes = new Map<string, PointProgramme[]>();
  /** The points that lists have made, by the path of the list: how each is encoded, by its path. */
  readonly #children = new Map<string, ReadonlyMap<string, string>>();

  constructor(host: PointPullsHost) {
    this.#host = host;
  }

  /**
   * Feeds a point from its sources. If it has had other ones, players stay: the previous sources feed it until the new
   * ones deliver a header, but no longer than 15 s. Without sources the point waits for an encoder.
   */
  set(sources: PointSources): void {
    const { path, source = [], filler, onDemand, multicast } = sources;
    const previous = this.#pulls.get(path);
    this.#pulls.delete(path);
    this.#programmes.delete(path);
    const point = this.#host.points.get(path)!;
    // A worker's points are fed from the main process, whatever their sources are.
    if (point.feeder === previous) point.feeder = undefined;
    if (point.stopped) {
      this.#setChildren(path, new Map());
      void previous?.close();
      return;
    }
    const listed = this.#setList(sources);
    // Pushes are always accepted.
    const pulled = [source].flat().flatMap((written) => {
      const spec = sourceSpec(written);
      return 'push' in spec || listed.includes(written) ? [] : [spec];
    });
    if (pulled.length > 0 || filler !== undefined) {
      const alone = pulled.length === 1 && filler === undefined;
      const pull = new PointPull({
        point,
        sources: pulled.map((spec) => this.#pulledSource(spec, path, alone)),
        ...(filler === undefined ? {} : { filler: fillerFrom(filler, this.#host.onWarning) }),
        // A multicast group has no players that could ask. An encoder runs only while somebody plays, unless told otherwise.
        onDemand: (onDemand ?? pulled.every((spec) => 'encode' in spec)) && !multicast,
        ...(pulled.every((spec) => 'encode' in spec) && { timers: { linger: ENCODER_LINGER } }),
        replaces: previous,
        onWarning: this.#host.onWarning,
        onLost: (name, reason) => this.#host.onLost?.(path, name, reason),
      });
      point.feeder = pull;
      this.#pulls.set(path, pull);
      if (previous) this.#retire(previous, pull);
    } else if (previous) void previous.close();
  }

  /** Makes a point of each entry of the lists among the sources. @returns the lists */
  #setList({ path, source = [] }: PointSources): unknown[] {
    const { points, onWarning } = this.#host;
    const before = this.#children.get(path) ?? new Map<string, string>();
    const now = new Map<string, string>();
    const lists = [source].flat().filter((written) => {
      const spec = sourceSpec(written);
      if (!('encode' in spec) || !isList(spec.encode)) return false;
      try {
        const { profile, packager } = spec;
        for (const { name, encode } of listedPoints(spec.encode)) {
          const child = `${path.replace(/\/$/, '')}/${name}`;
          const how = JSON.stringify([encode, profile, packager]);
          // A point of the configuration keeps its settings, and stays when the list goes.
          if (before.has(child) || !points.get(child)) {
            points.configure(child, points.get(path)!.settings);
            now.set(child, how);
          }
          if (before.get(child) !== how) this.set({ path: child, source: { encode, profile, packager } });
        }
      } catch (error) {
        onWarning(`${path}: ${messageOf(error)}`);
        // A list that is being written must not end its points.
        for (const [child, how] of before) now.set(child, how);
      }
      return true;
    });
    this.#setChildren(path, now);
    return lists;
  }

  /** Removes the points of a list that are no longer in it. */
  #setChildren(path: string, now: ReadonlyMap<string, string>): void {
    const before = this.#children.get(path);
    if (now.size > 0) this.#children.set(path, now);
    else this.#children.delete(path);
    for (const child of before?.keys() ?? []) if (!now.has(child)) void this.#removeChild(child);
  }

  async #removeChild(path: string): Promise<void> {
    try {
      await this.stop(path);
      await this.#host.points.unconfigure(path);
    } catch (error) {
      this.#host.onWarning(`${path}: ${messageOf(error)}`);
    }
  }

  /** Reads the lists among the sources of a point again: their points come and go, those that stay are not touched. */
  readLists(sources: PointSources): void {
    if (this.#children.has(sources.path)) this.#setList(sources);
  }

  /** Ends the sources of a point, and with them what they feed. */
  async stop(path: string): Promise<void> {
    this.#setChildren(path, new Map());
    const pull = this.#pulls.get(path);
    this.#pulls.delete(path);
    this.#programmes.delete(path);
    const point = this.#host.points.get(path);
    if (point && point.feeder === pull) point.feeder = undefined;
    await pull?.close();
  }

  #retire(previous: PointPull, next: PointPull): void {
    const done = () => {
      clearTimeout(this.#retiring.get(previous));
      this.#retiring.delete(previous);
      void previous.close();
    };
    this.#retiring.set(previous, setTimeout(done, HANDOVER).unref());
    previous.retire(done);
    next.resume();
  }

  /**
   * Plays something next on a point whose source is a file, a folder or a playlist.
   *
   * @throws WmError as {@link PointProgramme.inject}; WM_USAGE if the point has no programme
   */
  async inject(path: string, source: string): Promise<void> {
    const programmes = this.#programmes.get(path) ?? [];
    // Of several, the one that plays at the moment; while none does, the one that is preferred.
    const programme = programmes.find(({ running }) => running) ?? programmes[0];
    if (!programme) throw new WmError('WM_USAGE', `The source of ${path} is no file, folder or playlist.`);
    await programme.inject(sourceSpec(source));
  }

  /** Returns the broadcast that a URL names if it is on this server. @throws Refusal `offline` if nothing feeds it */
  async ownBroadcast(url: string, chain: PullChain): Promise<Broadcast | undefined> {
    const point = await this.#ownPoint(url);
    await point?.feeder?.demand(chain);
    if (point && !point.broadcast.live) throw new Refusal('offline', `${point.path} is offline.`);
    return point?.broadcast;
  }

  async close(): Promise<void> {
    for (const timer of this.#retiring.values()) clearTimeout(timer);
    const pulls = [...this.#pulls.values(), ...this.#retiring.keys()];
    this.#pulls.clear();
    this.#retiring.clear();
    await Promise.all(pulls.map((pull) => pull.close()));
  }

  /** @param alone true if there is no other source, so that waiting for it to come back is worthwhile */
  #pulledSource(spec: SourceSpec, path: string, alone: boolean): PulledSource {
    const name = sourceName(spec);
    const { onWarning, folder } = this.#host;
    if ('url' in spec) {
      return { name, open: (chain) => this.#connect(spec.url, path, { alone, chain }) };
    }
    if ('encode' in spec) return encodedSource(spec, (message) => onWarning(`${path}: ${message}`));
    const programme = new PointProgramme({
      point: path,
      place: name,
      folder: folder(),
      connect: (source, chain) => {
        if (source.kind === 'point') {
          return this.#follow(this.#host.points.get(source.path), path, { alone: false, chain });
        }
        return this.#connect(source.url, path, { alone: false, chain });
      },
      onWarning,
    });
    this.#programmes.set(path, [...(this.#programmes.get(path) ?? []), programme]);
    return { name, ends: true, pauses: true, open: (chain) => programme.open(chain) };
  }

  /** Opens a source of a point: another point of this server directly, anything else as a client. */
  async #connect(
    location: string,
    path: string,
    { alone, chain }: { alone: boolean; chain: PullChain },
  ): Promise<AsfSource> {
    const own = await this.#ownPoint(takeCredentials(location).url);
    if (own) return this.#follow(own, path, { alone, chain });
    const retries = alone ? Number.POSITIVE_INFINITY : 1;
    const { guard, onWarning } = this.#host;
    return connectRemote(location, { onNote: onWarning, chain, retries, guard });
  }

  async #follow(
    own: PublishingPoint | undefined,
    path: string,
    { alone, chain }: { alone: boolean; chain: PullChain },
  ): Promise<AsfSource> {
    if (!own) throw new WmError('WM_UNREACHABLE', 'There is no such point.');
    if (own.path === path) throw new WmError('WM_CONFIG', `${path} names itself as its source.`);
    await own.feeder?.demand(chain);
    return new FollowedPoint(own.broadcast, alone);
  }

  async #ownPoint(url: string): Promise<PublishingPoint | undefined> {
    const path = await ownPathOf(url, this.#host.ports());
    return path === undefined ? undefined : this.#host.points.find(path);
  }
}

/** Opens a file that is repeated while no source of a point has any content. */
function fillerFrom(path: string, warn: (message: string) => void) {
  return { name: path, open: () => fileSource({ path, loop: true, pace: true, live: true, warn }) };
}
