import { type Command, commandPacket } from '../../asf/command.js';
import { withCommandStream } from '../../asf/command-stream.js';
import { liveHeader } from '../../asf/edit.js';
import type { AsfHeader } from '../../asf/header.js';
import { parsePacket } from '../../asf/packet.js';
import { steadyNow } from '../../clock.js';
import { plainAddress } from '../../http/addresses.js';
import { Broadcast, type BroadcastOptions } from '../../media/broadcast.js';
import type { AsfEvent, AsfSink } from '../../media/events.js';
import { withoutMediaSuffix } from '../../media/names.js';
import { Repeats } from '../../media/repeats.js';
import type { SessionRegistry } from '../../playback/registry.js';
import type { PullChain } from '../../receiving/pull-chain.js';
import { Refusal } from '../../refusal.js';
import type { Publisher } from '../../wmhttp/server/push-gate.js';
import { addCounters, newCounters, type TotalCounters } from '../admin/totals.js';
import { folded, named } from '../content/names.js';
import { ArchiveSeries } from './archive-series.js';
import { FormerArchives } from './former-archives.js';
import type { PointSettings } from './settings.js';

/** Which points a push may create. @public */
export type NewPointPolicy = 'any' | 'loopback' | 'template' | 'none';

/** @public */
export interface PointsOptions {
  /**
   * `any`: a push may use any new name; `loopback`: only a push from this host may, for others `template` applies;
   * `template`: a new name needs a Template-URL that names an existing point (MS-WMHTTP 2.2.2.1.1); `none`: pushes go
   * to existing points only.
   */
  readonly newPoints: NewPointPolicy;
  readonly broadcast?: BroadcastOptions;
  readonly maxPoints?: number;
  /** The registry of publishers. */
  readonly registry?: SessionRegistry;
  /**
   * Asked before somebody feeds a point, because another host may feed it.
   *
   * @throws Refusal `taken`
   */
  readonly claim?: (point: PublishingPoint, publisher: Publisher) => Promise<void>;
  /** True for a point that another host feeds, which a push session must not remove. */
  readonly keeps?: (path: string) => boolean;
  /** Called about events of a point that interest an operator. */
  readonly onEvent?: (event: PointEvent) => void;
  /** Called when the recording of a point is complete. */
  readonly onArchive?: (path: string, file: string) => void;
  /** Called about problems that an operator can fix, such as a full disk. */
  readonly onWarning?: (message: string) => void;
}

/** @public */
export interface PointEvent {
  readonly point: string;
  readonly what: 'created' | 'publishing' | 'unpublished' | 'removed';
  readonly remoteAddress?: string;
  /** For `unpublished`: true if the encoder said $E, false if it was lost. */
  readonly clean?: boolean;
}

// The largest packet that every protocol can carry (MS-WMSP 2.2.3.1.2); WMHTTP itself could carry a few bytes more.
const MAX_PACKET_SIZE = 65_527;

// A publisher that has been silent for this long may be displaced, in ms: after a network failure the encoder comes
// back while its old connection still seems alive.
const TAKEOVER_SILENCE = 5_000;

// How long the end of the server waits for an archive to be completed, in ms.
const ARCHIVE_TIMEOUT = 5_000;

/** The part of a publisher that decides if it may take over a point. @public */
export type PublisherCandidate = Pick<Publisher, 'remoteAddress' | 'user' | 'formerSessions'>;

/** Feeds a point from elsewhere. @public */
export interface PointFeeder {
  /**
   * Handles a request for the point: starts the pull if it waits for players, and waits until the point is live.
   *
   * @param chain the pulls of servers that are waiting for it
   * @throws Refusal `failed` if servers would wait for each other in a ring, `offline` if nothing arrives
   */
  demand(chain: PullChain): Promise<void>;
}

/** A broadcast publishing point: a name, a live hub, and at most one publisher. @public */
export class PublishingPoint {
  /** The path, with its leading slash. */
  readonly path: string;
  /** The path folded for comparison: ignores case, and how accents are encoded. */
  readonly foldedPath: string;
  /** True if the point is in the configuration, so that no push session removes it. */
  configured: boolean;
  readonly broadcast: Broadcast;
  /** The path of the point whose settings it copied when a push created it. */
  readonly model: string | undefined;
  #settings: PointSettings;
  /** Feeds the point from elsewhere, if anything does. */
  feeder: PointFeeder | undefined;
  readonly #onWarning: (message: string) => void;
  readonly #registry: SessionRegistry | undefined;
  readonly #onArchive: PointsOptions['onArchive'];
  #publisher: Publisher | undefined;
  /** Ends the publisher's session in the registry. */
  #over: (() => void) | undefined;
  #stopped = false;
  #publishingSince = 0;
  #fedAt = 0;
  #archive: ArchiveSeries | undefined;
  // What the encoder sends: its header and the time of its newest packet, in ms.
  #fed: { readonly header: AsfHeader; sendTime: number; commands: number } | undefined;
  // Resolves when the archives of earlier publishers are complete.
  #archiving: Promise<void> = Promise.resolve();

  constructor(
    path: string,
    configured: boolean,
    how: {
      readonly broadcast: Broadcast;
      readonly settings?: PointSettings;
      readonly model?: string | undefined;
      readonly onWarning?: ((message: string) => void) | undefined;
      readonly onArchive?: PointsOptions['onArchive'];
      readonly registry?: SessionRegistry | undefined;
    },
  ) {
    this.path = path;
    this.foldedPath = folded(path);
    this.configured = configured;
    this.broadcast = how.broadcast;
    this.model = how.model;
    this.#settings = how.settings ?? {};
    this.#stopped = this.#settings.enabled === false;
    this.acceptsPlayers = this.#settings.acceptPlayers !== false;
    this.#onWarning = how.onWarning ?? (() => {});
    this.#registry = how.registry;
    this.#onArchive = how.onArchive;
  }

  get settings(): PointSettings {
    return this.#settings;
  }

  /** True while the administrator has stopped the point. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** True if new players are accepted. */
  acceptsPlayers = true;

  /** Refuses pushes and players from now on: disconnects the encoder, ends the broadcast, completes the archive. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#publisher?.disconnect('forbidden');
    await this.broadcast.close();
    this.#endArchive();
  }

  /** Accepts pushes and players again. */
  start(): void {
    this.#stopped = false;
  }

  /** Changes the settings. Players stay; texts and the archive's folder count from the next header. */
  configure(settings: PointSettings): void {
    const { burst } = settings;
    if (burst !== this.#settings.burst) this.broadcast.setBurst(burst);
    const { acceptPlayers } = settings;
    // Otherwise it stays as the administrator has set it.
    if (acceptPlayers !== this.#settings.acceptPlayers) this.acceptsPlayers = acceptPlayers !== false;
    this.#settings = settings;
  }

  get publisher(): Publisher | undefined {
    return this.#publisher;
  }

  /** When the publisher began, in ms since 1970. */
  get publishingSince(): number {
    return this.#publishingSince;
  }

  /**
   * Lets a publisher feed the point. It displaces a publisher that is lost or silent, and an earlier connection of its
   * own: of the same user at the same address, or of a session whose push-id it knows.
   *
   * @throws Refusal `taken` if another publisher feeds it
   */
  publish(publisher: Publisher): AsfSink {
    this.refuseUnfit(publisher);
    const previous = this.#publisher;
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

  /** @throws Refusal `busy` if the point was stopped, `taken` if another publisher feeds it */
  refuseUnfit(publisher: PublisherCandidate): void {
    if (this.#stopped) throw new Refusal('busy', `${this.path} was stopped by its administrator.`);
    if (!this.yieldsTo(publisher)) throw new Refusal('taken', `${this.path} has a publisher already.`);
  }

  /** True if a publisher may take over the point. */
  yieldsTo(publisher: PublisherCandidate): boolean {
    return this.#publisher === undefined || this.#mayReplace(this.#publisher, publisher);
  }

  /** Another host is to feed the point: disconnects the encoder and completes the archive. The broadcast goes on. */
  lose(reason: 'taken' | 'busy' = 'taken'): boolean {
    const publisher = this.#publisher;
    this.#publisher = undefined;
    this.#over?.();
    this.#over = undefined;
    this.#endArchive();
    publisher?.disconnect(reason);
    return publisher !== undefined;
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

  /** Handles the end of a publisher. Players are informed unless another publisher has taken over. */
  unpublish(publisher: Publisher): boolean {
    if (this.#publisher !== publisher) return false;
    this.#publisher = undefined;
    this.#over?.();
    this.#over = undefined;
    void this.broadcast.close();
    this.#endArchive();
    return true;
  }

  /** Disconnects the publisher, ends the broadcast, and completes the archive. */
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

  #mayReplace(previous: Publisher, publisher: PublisherCandidate): boolean {
    // After its connection broke, a restarted program would come back as a new session anyway.
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
    const labelled = this.#withTexts(event);
    if (labelled.type === 'header') this.#fed = { header: labelled.header, sendTime: 0, commands: 0 };
    else if (labelled.type === 'packet' && this.#fed) this.#fed.sendTime = labelled.packet.sendTime;
    this.broadcast.write(labelled);
    const { archive } = this.settings;
    if (archive !== undefined) this.#archive ??= this.#newArchive(archive);
    return this.#archive?.write(labelled);
  }

  /**
   * Sends the players a script command, and records it.
   *
   * @returns false if nothing is live, or the header has no stream for commands (see the setting `scripts`)
   * @throws AsfError if it does not fit a packet
   */
  command(command: Command): boolean {
    if (!this.broadcast.insert(command)) return false;
    const fed = this.#fed;
    const stream = fed?.header.streams.find(({ type }) => type === 'command')?.number;
    if (!this.#archive || !fed || stream === undefined) return true;
    const { sendTime, header } = fed;
    const fields = { stream, sendTime, presentationTime: sendTime + header.preroll, packetSize: header.packetSize };
    const packet = parsePacket(commandPacket(command, { ...fields, mediaObjectNumber: fed.commands++ }));
    void this.#archive.write({ type: 'packet', packet });
    return true;
  }

  #withTexts(event: AsfEvent): AsfEvent {
    const { texts, scripts } = this.settings;
    if (event.type !== 'header' || !(texts || scripts)) return event;
    const header = texts ? liveHeader(event.header, texts) : event.header;
    return { type: 'header', header: scripts ? withCommandStream(header) : header };
  }

  #newArchive(folder: string): ArchiveSeries {
    return new ArchiveSeries(folder, this.path, {
      limits: this.settings.archiveFiles,
      onWarning: (message) => this.#onWarning(message),
      onFile: (file) => this.#onArchive?.(this.path, file),
    });
  }

  #endArchive(): void {
    const archive = this.#archive;
    this.#archive = undefined;
    if (!archive) return;
    this.#archiving = Promise.all([this.#archiving, archive.close()]).then(() => {});
  }
}

/** The publishing points of a server, by path. @public */
export class PublishingPoints {
  readonly #options: PointsOptions;
  readonly #points = new Map<string, PublishingPoint>();
  /** The counters of removed points. */
  readonly #before = newCounters();
  readonly #formerArchives = new FormerArchives();

  constructor(options: PointsOptions) {
    this.#options = options;
  }

  *[Symbol.iterator](): Iterator<PublishingPoint> {
    yield* this.#points.values();
  }

  /** Where the recordings of removed points are. */
  get formerArchives(): Iterable<{ path: string; folder: string; template: string | undefined }> {
    return this.#formerArchives;
  }

  get(path: string): PublishingPoint | undefined {
    return this.#points.get(path);
  }

  /** Finds the point of that name, or of that name without a media file suffix, which some players insist on. */
  find(path: string): PublishingPoint | undefined {
    const stem = withoutMediaSuffix(path);
    return this.get(path) ?? this.get(stem) ?? this.named(path) ?? (stem === path ? undefined : this.named(stem));
  }

  /**
   * Finds the point of that name, ignoring a final slash. If no name matches exactly, a single match that differs only
   * in case counts.
   */
  named(path: string): PublishingPoint | undefined {
    return this.get(path) ?? named(this.#points.values(), path);
  }

  /** Adds a permanent point, or makes a point permanent that a push has created. */
  configure(path: string, settings: PointSettings = {}): PublishingPoint {
    const point = this.#points.get(path);
    if (!point) return this.#create(path, true, settings);
    point.configured = true;
    point.configure(settings);
    return point;
  }

  /** Removes a permanent point, unless an encoder pushes to it: then it stays like one that a push has created. */
  async unconfigure(path: string): Promise<void> {
    const point = this.#points.get(path);
    if (!point) return;
    point.configured = false;
    if (point.publisher) return;
    await point.close();
    this.remove(point);
  }

  /** Adds a point that a push has created in another process or on another host. */
  add(path: string, settings: PointSettings): PublishingPoint {
    return this.#create(path, false, settings);
  }

  /**
   * Returns the point whose settings apply to a push: the existing one, or the template for a new one; undefined if
   * there is neither.
   */
  modelFor(path: string, template: string | undefined): PublishingPoint | undefined {
    return this.named(path) ?? (template === undefined ? undefined : this.named(template));
  }

  /**
   * Returns the point for a push; creates it if that is allowed.
   *
   * @param local true if the push comes from this host
   * @throws Refusal `not-found` if the point does not exist and may not be created, `busy` if there are too many
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
    return this.#create(path, false, model?.settings, model?.path);
  }

  /** The total counters of all points since the start, including removed ones. */
  get counters(): TotalCounters {
    const total = { ...this.#before };
    for (const { broadcast } of this) addCounters(total, broadcast.counters);
    return total;
  }

  /**
   * Lets a publisher feed a point. From now on the point exists, even if a session that never began has removed it
   * meanwhile. Asynchronous, because the owner of the point may have to be looked up on other hosts.
   *
   * @throws Refusal `taken` if another publisher feeds it, or another point has taken its place
   */
  async publish(point: PublishingPoint, publisher: Publisher): Promise<AsfSink> {
    this.#keep(point);
    const { claim } = this.#options;
    if (!claim) return point.publish(publisher);
    point.refuseUnfit(publisher);
    await claim(point, publisher);
    this.#keep(point);
    const { broadcast } = point;
    // Fed from another host until now: its encoder may send again what players have.
    const wasElsewhere = broadcast.live && !point.publisher;
    const sink = point.publish(publisher);
    return wasElsewhere ? withoutRepeats(sink, new Repeats(broadcast.since(0).map(({ wire }) => wire))) : sink;
  }

  #keep(point: PublishingPoint): void {
    const present = this.#points.get(point.path);
    if (present && present !== point) throw new Refusal('taken', `${point.path} has a publisher already.`);
    this.#points.set(point.path, point);
    if (!present) this.notify({ point: point.path, what: 'created' });
  }

  /** Makes room for a new point: removes points that pushes created and that nobody feeds or plays, oldest first. */
  #makeRoom(): boolean {
    const limit = this.#options.maxPoints ?? 1_000;
    for (const point of this.#points.values()) {
      if (this.#points.size < limit) break;
      if (!point.publisher && !point.broadcast.wanted) this.remove(point);
    }
    return this.#points.size < limit;
  }

  /** Removes a point that a push session created. */
  remove(point: PublishingPoint): void {
    if (point.configured || this.#points.get(point.path) !== point) return;
    if (this.#options.keeps?.(point.path)) return;
    this.#points.delete(point.path);
    this.#formerArchives.add(point.path, point.settings);
    addCounters(this.#before, point.broadcast.counters);
    this.notify({ point: point.path, what: 'removed' });
  }

  notify(event: PointEvent): void {
    this.#options.onEvent?.(event);
  }

  #create(path: string, configured: boolean, settings: PointSettings = {}, model?: string): PublishingPoint {
    const { burst } = settings;
    const { onWarning = () => {}, onArchive, registry } = this.#options;
    const broadcast = new Broadcast({
      onWarning: (message) => onWarning(`${path}: ${message}`),
      ...this.#options.broadcast,
      ...(burst === undefined ? {} : { burst }),
    });
    const point = new PublishingPoint(path, configured, { broadcast, settings, model, onWarning, onArchive, registry });
    this.#points.set(path, point);
    this.notify({ point: path, what: 'created' });
    return point;
  }
}

function withoutRepeats(sink: AsfSink, repeats: Repeats): AsfSink {
  return {
    write: (event) => (event.type === 'packet' && repeats.has(event.packet) ? undefined : sink.write(event)),
    close: () => sink.close(),
  };
}
