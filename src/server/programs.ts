import { messageOf } from '../errors.js';
import type { Broadcast } from '../media/broadcast.js';
import type { OnDemandFiles } from '../media/on-demand/files.js';
import { MAX_PLAYLIST_ENTRIES, type Playlist, type PlaylistCursor, type PlaylistEntry } from '../media/playlist.js';
import type { Content, PlaylistPlace, Program, Redirect } from '../playback/content.js';
import type { Entry, FileEntry } from '../playback/entry.js';
import { Refusal } from '../refusal.js';
import type { ContentRoot, ContentSource } from './content.js';
import type { PublishingPoint, PublishingPoints } from './points.js';

/** Something on another server, as a broadcast of this one. */
export interface RemoteContent {
  /**
   * Has it pulled from there, if it is not already.
   *
   * @returns the broadcast once it is live
   * @throws WmError when the other server does not give it
   */
  open(url: string): Promise<Broadcast>;
}

export interface ProgramsOptions {
  readonly points: PublishingPoints;
  readonly files: OnDemandFiles;
  readonly content?: ContentRoot | undefined;
  readonly remote?: RemoteContent | undefined;
  /** What is somewhere else, by path. */
  readonly redirects?: ReadonlyMap<string, Redirect>;
  /** An entry of a playlist cannot be played and is passed over. */
  readonly onWarning?: (message: string) => void;
}

/** A broadcast on its own: one entry that begins anew with each header of its source. */
export function liveProgram(broadcast: Broadcast): Program {
  return singleProgram({ kind: 'live', id: 1, broadcast }, () => {});
}

function singleProgram(current: Entry, close: () => void): Program {
  const nothing = () => Promise.resolve(undefined);
  return { playlist: false, current, canSkip: () => false, next: nothing, previous: nothing, seek: nothing, close };
}

const FIRST_ENTRY: PlaylistPlace = { entry: 0, reached: 0 };

/** What the URLs of a server name: redirects, publishing points, and what is in the content folder. */
export class Programs implements Content {
  readonly #options: ProgramsOptions;

  constructor(options: ProgramsOptions) {
    this.#options = options;
  }

  async open(path: string, place: PlaylistPlace = FIRST_ENTRY): Promise<Program | Redirect | undefined> {
    const { points, content, files, redirects } = this.#options;
    const redirect = redirects?.get(path);
    if (redirect) return redirect;
    const point = points.get(path);
    if (point) return this.#openPoint(point, place);
    const item = await content?.resolve(path);
    if (item?.kind === 'file') {
      const file = await files.acquire(item.file);
      return singleProgram({ kind: 'file', id: 1, file }, () => files.release(file));
    }
    if (item?.kind === 'playlist') return PlaylistProgram.open(item.playlist, this.#options, place);
    // A file goes before a point whose name is only like what was asked for.
    const similar = points.find(path);
    return similar && this.#openPoint(similar, place);
  }

  async #openPoint({ path, broadcast }: PublishingPoint, place: PlaylistPlace): Promise<Program> {
    const wrapped = await this.#options.content?.wrap({ kind: 'point', path });
    return wrapped ? PlaylistProgram.open(wrapped, this.#options, place) : liveProgram(broadcast);
  }
}

/** One player's way through a server-side playlist. */
class PlaylistProgram implements Program {
  readonly playlist = true;
  readonly #cursor: PlaylistCursor<ContentSource>;
  readonly #options: ProgramsOptions;
  #current: Entry;
  #closed = false;

  private constructor(cursor: PlaylistCursor<ContentSource>, current: Entry, options: ProgramsOptions) {
    this.#cursor = cursor;
    this.#current = current;
    this.#options = options;
  }

  /** @throws Refusal `busy` when not one entry can be played */
  static async open(
    playlist: Playlist<ContentSource>,
    options: ProgramsOptions,
    place: PlaylistPlace,
  ): Promise<PlaylistProgram> {
    const cursor = playlist.cursor();
    goTo(cursor, playlist, place);
    const first = await firstPlayable(cursor, options);
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
    if (this.#closed) return;
    this.#closed = true;
    this.#release(this.#current);
  }

  async #move(step: () => PlaylistEntry<ContentSource> | undefined): Promise<Entry | undefined> {
    if (!step()) return undefined;
    const entry = await firstPlayable(this.#cursor, this.#options);
    if (!entry) return undefined;
    if (this.#closed) {
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
 * Goes to where a player wants to go on, or to the first entry where that is not allowed. Only where a cursor has been does it
 * let a player go past entries that must not be skipped, so it walks there first.
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

/** Opens the entry that the cursor is on, or, when it cannot be played, what comes instead. */
async function firstPlayable(
  cursor: PlaylistCursor<ContentSource>,
  options: ProgramsOptions,
): Promise<Entry | undefined> {
  for (let entry = cursor.current; entry; entry = cursor.fail()) {
    for (const source of entry.sources) {
      try {
        const opened = await openSource(entry, source, options);
        if (opened) return opened;
      } catch (error) {
        options.onWarning?.(`${entry.place ?? 'A playlist entry'} cannot be played: ${messageOf(error)}`);
      }
    }
  }
  return undefined;
}

async function openSource(
  entry: PlaylistEntry<ContentSource>,
  source: ContentSource,
  { points, files, content, remote }: ProgramsOptions,
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
  const broadcast = source.kind === 'point' ? points.get(source.path)?.broadcast : await remote?.open(source.url);
  if (!broadcast?.live) return undefined;
  return { ...common, kind: 'live', broadcast, ...(dur === undefined ? {} : { duration: dur }) };
}
