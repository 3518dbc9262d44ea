import { liveHeader } from '../asf/edit.js';
import { steadyNow } from '../clock.js';
import { plainAddress } from '../http/addresses.js';
import { Broadcast, type BroadcastOptions } from '../media/broadcast.js';
import type { AsfEvent, AsfSink } from '../media/events.js';
import { withoutMediaSuffix } from '../media/names.js';
import type { SessionRegistry } from '../playback/registry.js';
import type { PullChain } from '../receiving/pull-chain.js';
import { Refusal } from '../refusal.js';
import type { Publisher } from '../wmhttp/push-gate.js';
import { folded, named } from './names.js';
import { PointArchive } from './point-archive.js';
import type { PointSettings } from './point-settings.js';
import { addCounters, newCounters, type TotalCounters } from './totals.js';

/** Which points a push may make. */
type NewPointPolicy = 'any' | 'loopback' | 'template' | 'none';

export interface PointsOptions {
  /**
   * `any`: whoever may push may push to a new name; `loopback`: from this host alone, else as the next; `template`: a new name
   * needs a Template-URL that names an existing point (MS-WMHTTP 2.2.2.1.1); `none`: only points that are there take pushes.
   */
  readonly newPoints: NewPointPolicy;
  readonly broadcast?: BroadcastOptions;
  readonly maxPoints?: number;
  /** Where publishers are known. */
  readonly registry?: SessionRegistry;
  /** Something that an operator wants to know about a point. */
  readonly onEvent?: (event: PointEvent) => void;
  /** Something went wrong that an operator can mend, such as a full disk. */
  readonly onWarning?: (message: string) => void;
}

export interface PointEvent {
  readonly point: string;
  readonly what: 'created' | 'publishing' | 'unpublished' | 'removed';
  readonly remoteAddress?: string;
  /** For `unpublished`: the encoder said $E, or was lost. */
  readonly clean?: boolean;
}

// What fits the packets of every protocol (MS-WMSP 2.2.3.1.2); WMHTTP alone could carry a few bytes more.
const MAX_PACKET_SIZE = 65_527;

// A publisher that was silent for this long may be displaced: after a network loss the encoder comes back while the old
// connection still looks alive.
const TAKEOVER_SILENCE = 5_000;

// So long the end of the server waits for an archive to be completed.
const ARCHIVE_TIMEOUT = 5_000;

/** What feeds a point from elsewhere. */
export interface PointFeeder {
  /**
   * Somebody asks for the point: has it pulled if that waits for players, and waits until it is live.
   *
   * @param chain the pulls of servers that wait for it
   * @throws Refusal `failed` when servers would wait for each other in a ring, `offline` when nothing comes
   */
  demand(chain: PullChain): Promise<void>;
}

/** A broadcast publishing point: a name, a live hub, and at most one publisher. */
export class PublishingPoint {
  /** The path, with its leading slash. */
  readonly path: string;
  /** The path as people compare names: without regard to case, and to how accents are written. */
  readonly foldedPath: string;
  /** Stands in the configuration, so no push session removes it. */
  readonly configured: boolean;
  readonly broadcast: Broadcast;
  readonly settings: PointSettings;
  /** What feeds it from elsewhere, if anything does. */
  feeder: PointFeeder | undefined;
  readonly #onWarning: (message: string) => void;
  readonly #registry: SessionRegistry | undefined;
  #publisher: Publisher | undefined;
  /** Ends the session of the publisher in the registry. */
  #over: (() => void) | undefined;
  #publishingSince = 0;
  #fedAt = 0;
  #archive: PointArchive | undefined;
  // Completes the archives of publishers that have gone.
  #archiving: Promise<void> = Promise.resolve();

  constructor(
    path: string,
    configured: boolean,
    how: {
      readonly broadcast: Broadcast;
      readonly settings?: PointSettings;
      readonly onWarning?: ((message: string) => void) | undefined;
      readonly registry?: SessionRegistry | undefined;
    },
  ) {
    this.path = path;
    this.foldedPath = folded(path);
    this.configured = configured;
    this.broadcast = how.broadcast;
    this.settings = how.settings ?? {};
    this.#onWarning = how.onWarning ?? (() => {});
    this.#registry = how.registry;
  }

  get publisher(): Publisher | undefined {
    return this.#publisher;
  }

  /** When the publisher began, ms since 1970. */
  get publishingSince(): number {
    return this.#publishingSince;
  }

  /**
   * Lets a publisher feed the point. It takes the place of one that is lost or silent, and of one that it was itself: of the same
   * user at the same address, or of a session that it knows the push-id of.
   *
   * @throws Refusal `taken` while another one does
   */
  publish(publisher: Publisher): AsfSink {
    const previous = this.#publisher;
    if (previous && !this.#mayReplace(previous, publisher)) {
      throw new Refusal('taken', `${this.path} has a publisher already.`);
    }
    this.#publisher = publisher;
    this.#publishingSince = Date.now();
    this.#fedAt = steadyNow();
    previous?.disconnect('taken');
    this.#over?.();
    this.#over = this.#register(publisher);
    return {
      write: (event: AsfEvent) => (this.#publisher === publisher ? this.#take(event) : undefined),
      close: async () => {},
    };
  }

  #register(publisher: Publisher): (() => void) | undefined {
    const { bytesIn, packetsIn } = this.broadcast.counters;
    return this.#registry?.begin({
      role: 'publisher',
      protocol: publisher.protocol ?? 'WMHTTP',
      transport: 'tcp',
      path: this.path,
      client: publisher.client ?? '',
      remoteAddress: plainAddress(publisher.remoteAddress),
      user: publisher.user,
      counts: () => {
        const { counters } = this.broadcast;
        return { bytes: counters.bytesIn - bytesIn, packets: counters.packetsIn - packetsIn, lost: 0 };
      },
      stop: () => publisher.disconnect('forbidden'),
    });
  }

  /** The publisher is gone; players are told unless another one has taken over. */
  unpublish(publisher: Publisher): boolean {
    if (this.#publisher !== publisher) return false;
    this.#publisher = undefined;
    this.#over?.();
    this.#over = undefined;
    void this.broadcast.close();
    this.#endArchive();
    return true;
  }

  /** Sends the publisher away, ends the broadcast, and completes the archive. */
  async close(): Promise<void> {
    this.#publisher?.disconnect('busy');
    await this.broadcast.close();
    this.#endArchive();
    await this.#archived();
  }

  /** Waits until the archives are complete, but not for a disk that does not answer. */
  async #archived(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve('The archive is not complete: its disk has not answered.'), ARCHIVE_TIMEOUT);
    });
    const warning = await Promise.race([this.#archiving.then(() => undefined), late]);
    clearTimeout(timer);
    if (warning) this.#onWarning(`${this.path}: ${warning}`);
  }

  #mayReplace(previous: Publisher, publisher: Publisher): boolean {
    // One whose connection broke would have to come back as a new session anyway, if its program was started again.
    if (previous.lost || steadyNow() - this.#fedAt >= TAKEOVER_SILENCE) return true;
    if (previous.session !== undefined && publisher.formerSessions?.includes(previous.session)) return true;
    if (previous.user === undefined || previous.user !== publisher.user) return false;
    return plainAddress(previous.remoteAddress) === plainAddress(publisher.remoteAddress);
  }

  #take(event: AsfEvent): void | Promise<void> {
    this.#fedAt = steadyNow();
    if (event.type === 'header' && event.header.packetSize > MAX_PACKET_SIZE) {
      throw new Refusal('bad-request', `Packets of ${event.header.packetSize} bytes are too large to be served.`);
    }
    const told = this.#withTexts(event);
    this.broadcast.write(told);
    const { archive } = this.settings;
    if (archive !== undefined) this.#archive ??= new PointArchive(archive, this.path, { onWarning: this.#onWarning });
    return this.#archive?.write(told);
  }

  #withTexts(event: AsfEvent): AsfEvent {
    const { texts } = this.settings;
    if (event.type !== 'header' || !texts) return event;
    return { type: 'header', header: liveHeader(event.header, texts) };
  }

  #endArchive(): void {
    const archive = this.#archive;
    this.#archive = undefined;
    if (archive) this.#archiving = Promise.all([this.#archiving, archive.close()]).then(() => {});
  }
}

/** The publishing points of a server, by path. */
export class PublishingPoints {
  readonly #options: PointsOptions;
  readonly #points = new Map<string, PublishingPoint>();
  /** Of points that were removed. */
  readonly #before = newCounters();

  constructor(options: PointsOptions) {
    this.#options = options;
  }

  *[Symbol.iterator](): Iterator<PublishingPoint> {
    yield* this.#points.values();
  }

  get(path: string): PublishingPoint | undefined {
    return this.#points.get(path);
  }

  /** The point of that name, or of that name without the suffix of a media file, which some players insist on. */
  find(path: string): PublishingPoint | undefined {
    const stem = withoutMediaSuffix(path);
    return this.get(path) ?? this.get(stem) ?? this.named(path) ?? (stem === path ? undefined : this.named(stem));
  }

  /**
   * The point of that name, also with a slash at its end, and in another case when no point has exactly that name and one alone has
   * it in another.
   */
  named(path: string): PublishingPoint | undefined {
    return this.get(path) ?? named(this.#points.values(), path);
  }

  /** Adds a point that stays. */
  configure(path: string, settings?: PointSettings): PublishingPoint {
    return this.#create(path, true, settings);
  }

  /**
   * The point that a push is judged by: the one that is there, or the template of the one that is to be made; undefined when there
   * is neither.
   */
  modelFor(path: string, template: string | undefined): PublishingPoint | undefined {
    return this.named(path) ?? (template === undefined ? undefined : this.named(template));
  }

  /**
   * The point for a push, made if that is allowed.
   *
   * @param local whether the push comes from this host
   * @throws Refusal `not-found` when the point does not exist and is not to be made, `busy` when there are too many
   */
  forPush(path: string, template: string | undefined, local: boolean): PublishingPoint {
    const present = this.named(path);
    if (present) return present;
    const model = this.modelFor(path, template);
    if (path === '/') throw new Refusal('not-found', 'The URL names no publishing point.');
    const { newPoints } = this.#options;
    const needsTemplate = newPoints === 'template' || (newPoints === 'loopback' && !local);
    if (newPoints === 'none' || (needsTemplate && !model)) throw new Refusal('not-found', `There is no point ${path}.`);
    if (!this.#makeRoom()) throw new Refusal('busy', 'There are too many points.');
    return this.#create(path, false, model?.settings);
  }

  /** What all points took in and left out since the start, also those that were removed. */
  get counters(): TotalCounters {
    const total = { ...this.#before };
    for (const { broadcast } of this) addCounters(total, broadcast.counters);
    return total;
  }

  /**
   * Lets a publisher feed a point, which is there from now on, even if a session that never began has taken it away meanwhile.
   * Asynchronous, because other hosts may have to be asked whose the point is.
   *
   * @throws Refusal `taken` while another one feeds it, or when another point has taken its place
   */
  async publish(point: PublishingPoint, publisher: Publisher): Promise<AsfSink> {
    this.#keep(point);
    return point.publish(publisher);
  }

  #keep(point: PublishingPoint): void {
    const present = this.#points.get(point.path);
    if (present && present !== point) throw new Refusal('taken', `${point.path} has a publisher already.`);
    this.#points.set(point.path, point);
  }

  /** Makes room for another point: those go that pushes made, that nobody feeds and nobody plays, the oldest first. */
  #makeRoom(): boolean {
    const limit = this.#options.maxPoints ?? 1_000;
    for (const point of this.#points.values()) {
      if (this.#points.size < limit) break;
      if (!point.publisher && point.broadcast.players === 0) this.remove(point);
    }
    return this.#points.size < limit;
  }

  /** Removes a point that a push session made. */
  remove(point: PublishingPoint): void {
    if (point.configured || this.#points.get(point.path) !== point) return;
    this.#points.delete(point.path);
    addCounters(this.#before, point.broadcast.counters);
    this.tell({ point: point.path, what: 'removed' });
  }

  tell(event: PointEvent): void {
    this.#options.onEvent?.(event);
  }

  #create(path: string, configured: boolean, settings: PointSettings = {}): PublishingPoint {
    const { burst } = settings;
    const { onWarning = () => {}, registry } = this.#options;
    const broadcast = new Broadcast({
      onWarning: (message) => onWarning(`${path}: ${message}`),
      ...this.#options.broadcast,
      ...(burst === undefined ? {} : { burst }),
    });
    const point = new PublishingPoint(path, configured, { broadcast, settings, onWarning, registry });
    this.#points.set(path, point);
    this.tell({ point: path, what: 'created' });
    return point;
  }
}
