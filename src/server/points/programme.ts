import { stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, posix, relative, resolve, sep } from 'node:path';
import { messageOf, WmError } from '../../errors.js';
import type { AsfEvent, AsfSource } from '../../media/events.js';
import { OnDemandFile } from '../../media/on-demand/file.js';
import { filePart } from '../../media/on-demand/file-part.js';
import { Playlist, type PlaylistMedia } from '../../media/playlist.js';
import { type OpenedEntry, Programme, type ProgrammeEntry, type ProgrammeRound } from '../../media/programme.js';
import type { PullChain } from '../../receiving/pull-chain.js';
import { RepeatedWarnings } from '../../receiving/repeated-warnings.js';
import { PacedSource } from '../../sources/paced.js';
import { type SourceSpec, sourceName } from '../../sources/spec.js';
import { type ContentItem, ContentRoot, type ContentSource } from '../content/content.js';

/** A point that plays files as a live programme. */
export interface PointProgrammeOptions {
  /** The path of the point. */
  readonly point: string;
  /** What to play, as the configuration writes it. */
  readonly place: string;
  /** The content folder; paths are relative to it. */
  readonly folder: string | undefined;
  /** Opens a point of this server, by its path, or a URL. */
  readonly connect: (source: Live, chain: PullChain) => AsfSource | Promise<AsfSource>;
  readonly onWarning: (message: string) => void;
}

type Live = Exclude<ContentSource, { readonly kind: 'file' }>;
/** Files are below `root`; default: where the programme is. */
type ProgrammeSource = ContentSource & { readonly root?: ContentRoot };

/** Where a configured path leads: a folder, and a path below it. */
interface Place {
  readonly root: ContentRoot;
  readonly path: string;
}

/** The maximum number of entries that one call can inject. */
const MAX_INJECTED = 100;

/** A file, a folder or a playlist as the source of a point. */
export class PointProgramme {
  readonly #options: PointProgrammeOptions;
  readonly #warnings = new RepeatedWarnings();
  readonly #programme: Programme<ProgrammeSource>;
  readonly #content: ContentRoot | undefined;
  #place: Place | undefined;
  #running = 0;

  constructor(options: PointProgrammeOptions) {
    this.#options = options;
    // Without the wrapper playlist of the server: that is played around the point, for each player.
    this.#content = options.folder === undefined ? undefined : new ContentRoot(options.folder);
    this.#programme = new Programme({
      round: () => this.#round(),
      onSkipped: (...skipped) => this.#skipped(...skipped),
    });
  }

  /** True while it plays. */
  get running(): boolean {
    return this.#running > 0;
  }

  /** Begins it. @param chain the pulls that wait for it */
  open(chain: PullChain): AsfSource {
    const run = this.#programme.run((source, entry) => this.#open(source, entry, chain));
    return {
      [Symbol.asyncIterator]: () => this.#counted(run),
      close: () => run.close(),
    };
  }

  /**
   * Plays something after the current entry, then goes on: a file, a folder, a playlist that ends, or a URL.
   *
   * @throws WmError WM_NO_INPUT if there is nothing to play, WM_USAGE if it is endless or has too many entries; Refusal
   *   if it cannot be read
   */
  async inject(spec: SourceSpec): Promise<void> {
    for (const entry of await this.#entriesOf(spec)) {
      if (!this.#programme.inject(entry)) throw new WmError('WM_USAGE', 'Too many entries are waiting to be played.');
    }
  }

  async *#counted(run: AsfSource): AsyncGenerator<AsfEvent, void, undefined> {
    this.#running++;
    try {
      yield* run;
    } finally {
      this.#running--;
    }
  }

  async #entriesOf(spec: SourceSpec): Promise<readonly PlaylistMedia<ProgrammeSource>[]> {
    if ('url' in spec) return [mediaOf({ kind: 'url', url: spec.url })];
    if (!('programme' in spec)) throw new WmError('WM_USAGE', `${sourceName(spec)} cannot be an entry of a programme.`);
    const { item, root } = await this.#itemAt(spec.programme);
    if (item.kind === 'file') return [mediaOf({ kind: 'file', path: item.path, root })];
    const entries: PlaylistMedia<ProgrammeSource>[] = [];
    const cursor = item.playlist.cursor();
    for (let entry = cursor.current; entry; entry = cursor.next()) {
      if (entries.length === MAX_INJECTED) {
        throw new WmError('WM_USAGE', `${spec.programme} has more than ${MAX_INJECTED} entries.`);
      }
      entries.push({ ...entry, sources: entry.sources.map((source) => ({ ...source, root })) });
    }
    return entries;
  }

  async #round(): Promise<ProgrammeRound<ProgrammeSource>> {
    const { item, root } = await this.#itemAt(this.#options.place);
    this.#place = { root, path: item.path };
    if (item.kind === 'playlist') return { playlist: item.playlist, again: item.origin !== 'wsx' };
    return { playlist: new Playlist([mediaOf({ kind: 'file', path: item.path, root })]), again: true };
  }

  async #itemAt(place: string): Promise<{ readonly item: ContentItem; readonly root: ContentRoot }> {
    const { root, path } = await this.#locate(place);
    const item = await root.resolve(path);
    if (!item)
      throw new WmError('WM_NO_INPUT', `${place} is no .asf, .wmv, .wma or .wsx file, and no folder of such files.`);
    return { item, root };
  }

  async #locate(place: string): Promise<Place> {
    const { folder } = this.#options;
    if (!isAbsolute(place)) {
      const path = `/${posix.normalize(place.replaceAll(sep, '/'))}`;
      if (this.#content) return { root: this.#content, path: path === '/.' ? '/' : path };
      throw new WmError('WM_CONFIG', `${place} is relative to the content folder, but no content folder is set.`);
    }
    // Within the content folder, entries of a playlist may name other folders of it.
    const below = folder === undefined ? '..' : relative(resolve(folder), place);
    if (this.#content && !isAbsolute(below) && !/^\.\.(?:$|[\\/])/.test(below)) {
      return { root: this.#content, path: `/${below.replaceAll(sep, '/')}` };
    }
    if (this.#place && place === this.#options.place) return this.#place;
    const isFolder = await stat(place).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (isFolder) return { root: new ContentRoot(place), path: '/' };
    return { root: new ContentRoot(dirname(place)), path: `/${basename(place)}` };
  }

  async #open(source: ProgrammeSource, entry: ProgrammeEntry<ProgrammeSource>, chain: PullChain): Promise<OpenedEntry> {
    if (source.kind !== 'file')
      return { source: new PacedSource(await this.#options.connect(source, chain)), live: true };
    const root = source.root ?? this.#place!.root;
    const path = await root.file(source.path);
    // A file of its own: programmes must not take the places of players among the files that the server keeps open.
    const file = await OnDemandFile.open(path);
    this.#warnings.clear(nameOf(entry));
    const { begin, duration } = entry;
    const texts = textsOf(entry);
    const part = filePart(file, {
      ...{ begin, duration, texts },
      open: (name, at) => OnDemandFile.open(name, { at }),
      release: () => void file.close(),
    });
    return { source: part, live: false, key: JSON.stringify([path, begin, duration, texts]) };
  }

  #skipped(error: unknown, entry: ProgrammeEntry<ProgrammeSource>): void {
    const name = nameOf(entry);
    const text = this.#warnings.due(name, `${name} cannot be played: ${messageOf(error)}`, performance.now());
    if (text !== undefined) this.#options.onWarning(`${this.#options.point}: ${text}`);
  }
}

function mediaOf(source: ProgrammeSource): PlaylistMedia<ProgrammeSource> {
  return { kind: 'media', sources: [source], noSkip: false, clientData: new Map() };
}

function nameOf({ place, sources }: ProgrammeEntry<ProgrammeSource>): string {
  const [first] = sources;
  return place ?? (first?.kind === 'url' ? sourceName({ url: first.url }) : (first?.path ?? 'An entry'));
}

/** What the playlist says instead of the header. */
function textsOf({ clientData }: ProgrammeEntry<ProgrammeSource>) {
  const [title, author, copyright] = ['title', 'author', 'copyright'].map((name) => clientData.get(name));
  return {
    ...(title === undefined ? {} : { title }),
    ...(author === undefined ? {} : { author }),
    ...(copyright === undefined ? {} : { copyright }),
  };
}
