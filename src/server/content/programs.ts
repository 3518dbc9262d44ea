import { stat } from 'node:fs/promises';
import { orAborted } from '../../abort.js';
import type { Rule } from '../../auth/access.js';
import { messageOf } from '../../errors.js';
import type { Broadcast } from '../../media/broadcast.js';
import { versionOf } from '../../media/on-demand/disk-file.js';
import type { OnDemandFiles } from '../../media/on-demand/files.js';
import { MAX_PLAYLIST_ENTRIES, type Playlist, type PlaylistCursor, type PlaylistEntry } from '../../media/playlist.js';
import { systemErrorReason } from '../../media/system-error.js';
import type {
  Content,
  ContentInfo,
  ContentRequest,
  Found,
  Missing,
  PlaylistPlace,
  Program,
  Redirect,
} from '../../playback/content.js';
import type { Entry, FileEntry } from '../../playback/entry.js';
import { singleFileId } from '../../playback/entry-ids.js';
import { liveProgram, singleProgram } from '../../playback/single.js';
import type { PullChain } from '../../receiving/pull-chain.js';
import { Refusal } from '../../refusal.js';
import type { PublishingPoint, PublishingPoints } from '../points/points.js';
import type { ContentRoot, ContentSource, LocatedItem } from './content.js';
import { JoinedProgram } from './joined.js';

/** Streams from other servers, as broadcasts of this one. */
export interface RemoteContent {
  /**
   * Pulls a stream, unless it is being pulled already.
   *
   * @param signal ends the wait
   * @param chain the pulls of servers that are waiting for it
   * @returns the broadcast once it is live
   * @throws WmError if the other server does not deliver it
   */
  open(url: string, signal: AbortSignal, chain: PullChain): Promise<Broadcast>;
}

/** Everything that a URL can name on one server. */
export interface ProgramsOptions {
  readonly points: PublishingPoints;
  /** Who may play content, and points without a rule of their own. */
  readonly rule: Rule;
  readonly files: OnDemandFiles;
  readonly content?: ContentRoot | undefined;
  readonly remote?: RemoteContent | undefined;
  /** Content that has moved elsewhere, by path. */
  readonly redirects?: ReadonlyMap<string, Redirect>;
  /** Called when an entry of a playlist cannot be played and is skipped. */
  readonly onWarning?: (message: string) => void;
}

/** The options of one player's course through a playlist. */
interface PlaylistOptions extends ProgramsOptions {
  /** The pulls of servers that are waiting for it. */
  readonly chain: PullChain;
}

/** A file that joins recordings of different streams. */
const JOINED_INFO: ContentInfo = { live: false, playlist: true };

const FIRST_ENTRY: PlaylistPlace = { entry: 0, reached: 0 };

/** Resolves the URLs of a server: redirects, publishing points, and the content folder. */
export class Programs implements Content {
  readonly #options: ProgramsOptions;

  constructor(options: ProgramsOptions) {
    this.#options = options;
  }

  async find({ path, pulls = [] }: Pick<ContentRequest, 'path' | 'pulls'>): Promise<Found | Missing | Redirect> {
    const { points, content, redirects, rule } = this.#options;
    const redirect = redirects?.get(path);
    if (redirect) return redirect;
    const point = points.get(path);
    if (point) return this.#point(point, pulls);
    try {
      // A file takes precedence over a point whose name is only similar to the request.
      const item = await content?.locate(path);
      if (item) return this.#item(path, item, pulls);
    } catch (error) {
      if (error instanceof Refusal) return { rule, missing: error };
      throw error;
    }
    const similar = points.find(path);
    return similar ? this.#point(similar, pulls) : { rule, missing: nothingAt(path) };
  }

  #point(point: PublishingPoint, chain: PullChain): Found {
    const { path, broadcast, settings } = point;
    const split = settings.proxySplit ?? true;
    const wrapped = async () => this.#options.content?.wrap({ kind: 'point', path }, settings.wrapper);
    return {
      path,
      rule: settings.play ?? this.#options.rule,
      limits: settings.limits,
      bitRate: broadcast.header?.fileProperties.maximumBitrate,
      closed: closedReason(point),
      info: async () => {
        const playlist = await wrapped();
        return playlist ? playlistInfo(playlist) : { live: true, playlist: false, split };
      },
      open: async (signal, place = FIRST_ENTRY) => {
        await demand(point, chain, signal);
        const playlist = await wrapped();
        return playlist ? this.#open(playlist, place, chain, signal) : liveProgram(broadcast, split);
      },
    };
  }

  #item(path: string, located: LocatedItem, chain: PullChain): Found {
    const { content, files, rule } = this.#options;
    const resolve = async () => {
      const item = await content?.resolve(path);
      if (!item) throw nothingAt(path);
      return item;
    };
    return {
      path,
      rule,
      info: async () => {
        if (located.kind === 'file') {
          const joined = (await files.peek(located.file))?.next !== undefined;
          return joined ? JOINED_INFO : fileInfo(located.file, path);
        }
        const item = await resolve();
        return item.kind === 'playlist' ? playlistInfo(item.playlist) : fileInfo(item.file, path);
      },
      open: async (signal, place = FIRST_ENTRY) => {
        const item = await resolve();
        if (item.kind === 'playlist') return this.#open(item.playlist, place, chain, signal);
        const whole = { entry: singleFileId(place.entry), reached: singleFileId(place.reached) };
        return JoinedProgram.open(whole, this.#options, async () => {
          const file = await files.acquire(item.file);
          return singleProgram({ kind: 'file', id: 1, file }, () => files.release(file));
        });
      },
    };
  }

  #open(
    playlist: Playlist<ContentSource>,
    place: PlaylistPlace,
    chain: PullChain,
    signal: AbortSignal,
  ): Promise<Program> {
    const options = { ...this.#options, chain };
    return JoinedProgram.open(place, options, (at) => PlaylistProgram.open(playlist, options, at, signal));
  }
}

/** Returns the reason why nobody may play a point at the moment. */
export function closedReason({ path, stopped, acceptsPlayers }: PublishingPoint): Refusal | undefined {
  if (stopped) return new Refusal('offline', `${path} was stopped by its administrator.`);
  return acceptsPlayers ? undefined : new Refusal('busy', `${path} accepts no new players.`);
}

/** Starts the pull of a point that waits for players. */
async function demand({ feeder }: PublishingPoint, chain: PullChain, signal: AbortSignal): Promise<void> {
  if (feeder) await orAborted(feeder.demand(chain), signal);
}

function nothingAt(path: string): Refusal {
  return new Refusal('not-found', `There is nothing at ${path}.`);
}

async function fileInfo(file: string, path: string): Promise<ContentInfo> {
  try {
    const stats = await stat(file);
    const { size, mtime: modified } = stats;
    return { live: false, playlist: false, file: { size, modified, version: versionOf(stats) } };
  } catch (error) {
    throw new Refusal('gone', `${path} cannot be read: ${systemErrorReason(error)}.`, { cause: error });
  }
}

function playlistInfo(playlist: Playlist<ContentSource>): ContentInfo {
  const [first] = playlist.cursor().current?.sources ?? [];
  return { live: first !== undefined && first.kind !== 'file', playlist: true };
}

/** One player's course through a server-side playlist. */
class PlaylistProgram implements Program {
  readonly playlist = true;
  readonly #cursor: PlaylistCursor<ContentSource>;
  readonly #options: PlaylistOptions;
  readonly #closing = new AbortController();
  #current: Entry;

  private constructor(cursor: PlaylistCursor<ContentSource>, current: Entry, options: PlaylistOptions) {
    this.#cursor = cursor;
    this.#current = current;
    this.#options = options;
  }

  /** @throws Refusal `busy` if no entry can be played */
  static async open(
    playlist: Playlist<ContentSource>,
    options: PlaylistOptions,
    place: PlaylistPlace,
    signal: AbortSignal,
  ): Promise<PlaylistProgram> {
    const cursor = playlist.cursor();
    goTo(cursor, playlist, place);
    const first = await firstPlayable(cursor, options, signal);
    if (!first) throw new Refusal('busy', 'Nothing in the playlist can be played.');
    return new PlaylistProgram(cursor, first, options);
  }

  get current(): Entry {
    return this.#current;
  }

  canSkip(offset: -1 | 1): boolean {
    return this.#cursor.canSkip(offset);
  }

  async next(): Promise<Entry | undefined> {
    return this.#move(() => this.#cursor.next());
  }

  async previous(): Promise<Entry | undefined> {
    return this.#move(() => this.#cursor.previous());
  }

  async seek(id: number, offset: -1 | 0 | 1): Promise<Entry | undefined> {
    return this.#move(() => this.#cursor.skip(offset, id));
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#release(this.#current);
  }

  async #move(step: () => PlaylistEntry<ContentSource> | undefined): Promise<Entry | undefined> {
    if (!step()) return undefined;
    const { signal } = this.#closing;
    const entry = await firstPlayable(this.#cursor, this.#options, signal).catch((error: unknown) => {
      if (signal.aborted) return undefined;
      throw error;
    });
    if (!entry) return undefined;
    if (signal.aborted) {
      this.#release(entry);
      return undefined;
    }
    this.#release(this.#current);
    this.#current = entry;
    return entry;
  }

  #release(entry: Entry): void {
    if (entry.kind === 'file') this.#options.files.release(entry.file);
  }
}

/**
 * Moves the cursor to where a player wants to continue, or to the first entry if that is not allowed. A cursor passes
 * entries that must not be skipped only if it has been there, so it walks there first.
 */
function goTo(
  cursor: PlaylistCursor<ContentSource>,
  { hasNoSkip }: Playlist<ContentSource>,
  place: PlaylistPlace,
): void {
  const first = cursor.current;
  if (!first) return;
  for (let steps = 0; hasNoSkip && steps < MAX_PLAYLIST_ENTRIES; steps++) {
    const next = cursor.peek(1);
    if (!next || next.id > place.reached) break;
    cursor.next();
  }
  if (place.entry === 0 || !cursor.seek(place.entry)) cursor.seek(first.id);
}

/**
 * Opens the cursor's entry, or, if it cannot be played, the next one that can.
 *
 * @throws the reason of the signal once that is aborted
 */
async function firstPlayable(
  cursor: PlaylistCursor<ContentSource>,
  options: PlaylistOptions,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  for (let entry = cursor.current; entry; entry = cursor.fail()) {
    for (const source of entry.sources) {
      try {
        const opened = await openSource(entry, source, options, signal);
        if (opened) return opened;
      } catch (error) {
        // A player that is gone needs no other entry.
        signal.throwIfAborted();
        options.onWarning?.(`${entry.place ?? 'A playlist entry'} cannot be played: ${messageOf(error)}`);
      }
    }
  }
  return undefined;
}

async function openSource(
  entry: PlaylistEntry<ContentSource>,
  source: ContentSource,
  { points, files, content, remote, chain }: PlaylistOptions,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  const { id, clientData, noSkip, delay, dur } = entry;
  const common = { id, descriptions: [...clientData], ...(delay === undefined ? {} : { delay }) };
  if (source.kind === 'file') {
    const file = await files.acquire(await content!.file(source.path));
    const opened: FileEntry = { ...common, kind: 'file', file, noSkip };
    return {
      ...opened,
      ...(entry.begin === undefined ? {} : { begin: entry.begin }),
      ...(entry.duration === undefined ? {} : { duration: entry.duration }),
    };
  }
  const point = source.kind === 'point' ? points.get(source.path) : undefined;
  if (point) await demand(point, chain, signal);
  const broadcast = source.kind === 'url' ? await remote?.open(source.url, signal, chain) : point?.broadcast;
  if (!broadcast?.live) return undefined;
  return { ...common, kind: 'live', broadcast, ...(dur === undefined ? {} : { duration: dur }) };
}
