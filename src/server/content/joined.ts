import { messageOf } from '../../errors.js';
import type { OnDemandFile } from '../../media/on-demand/file.js';
import type { OnDemandFiles } from '../../media/on-demand/files.js';
import type { PlaylistPlace, Program } from '../../playback/content.js';
import type { Entry, FileEntry } from '../../playback/entry.js';
import { partId, partOfId, wholeId } from '../../playback/entry-ids.js';

/** A file of several recordings, as a playlist. */
export interface JoinedOptions {
  readonly files: OnDemandFiles;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * A program in which each file that joins recordings of different streams or packet sizes becomes an entry a recording:
 * players learn of another header only between entries.
 */
export class JoinedProgram implements Program {
  readonly #inner: Program;
  readonly #options: JoinedOptions;
  /** The current recording, unless it is the first of its file, which the inner program holds. */
  #part: FileEntry | undefined;
  #closed = false;

  constructor(inner: Program, options: JoinedOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  /**
   * Opens a program at a place.
   *
   * @param open opens the program with whole files
   */
  static async open(
    place: PlaylistPlace,
    options: JoinedOptions,
    open: (place: PlaylistPlace) => Program | Promise<Program>,
  ): Promise<Program> {
    const inner = await open({ entry: wholeId(place.entry), reached: wholeId(place.reached) });
    if (!inner.playlist && nextOf(inner.current) === undefined) return inner;
    const program = new JoinedProgram(inner, options);
    const part = partOfId(place.entry);
    if (part > 0 && inner.current.id === wholeId(place.entry)) await program.#goTo(part);
    return program;
  }

  get playlist(): boolean {
    return true;
  }

  get current(): Entry {
    return this.#part ?? this.#inner.current;
  }

  canSkip(offset: -1 | 1): boolean {
    const { current } = this;
    const isInside = offset < 0 ? this.#part !== undefined : nextOf(current) !== undefined;
    if (isInside) return current.kind === 'file' && current.noSkip !== true;
    return this.#inner.canSkip(offset);
  }

  async next(): Promise<Entry | undefined> {
    const part = partOfId(this.current.id) + 1;
    if (nextOf(this.current) !== undefined && (await this.#goTo(part))) return this.current;
    return this.#leave(await this.#inner.next());
  }

  async previous(): Promise<Entry | undefined> {
    const part = partOfId(this.current.id);
    if (part > 0 && (await this.#goTo(part - 1))) return this.current;
    return this.#leave(await this.#inner.previous());
  }

  async seek(id: number, offset: -1 | 0 | 1): Promise<Entry | undefined> {
    const wanted = partOfId(id) + offset;
    if (wholeId(id) === this.#inner.current.id) {
      if (offset !== 0 && !this.canSkip(offset)) return undefined;
      if (wanted >= 0 && (await this.#goTo(wanted))) return this.current;
      if (offset === 0) return undefined;
    }
    const entry = this.#leave(await this.#inner.seek(wholeId(id), wanted < 0 || offset !== 0 ? offset : 0));
    if (entry && offset === 0 && wanted > 0) await this.#goTo(wanted);
    return entry && this.current;
  }

  close(): void {
    this.#closed = true;
    this.#release();
    this.#inner.close();
  }

  /** Gives back the current recording once the inner program has moved to another entry. */
  #leave(entry: Entry | undefined): Entry | undefined {
    if (!entry) return undefined;
    this.#release();
    return entry;
  }

  /** Moves to a recording of the current file, counted from 0; false if it cannot be played. */
  async #goTo(wanted: number): Promise<boolean> {
    const whole = this.#inner.current;
    if (whole.kind !== 'file') return wanted === 0;
    if (wanted === 0) {
      this.#release();
      return true;
    }
    const path = whole.file.path;
    let reached: FileEntry = whole;
    const leave = () => {
      if (reached !== whole) this.#options.files.release(reached.file);
    };
    try {
      for (let part = 1; part <= wanted; part++) {
        const at = nextOf(reached);
        if (at === undefined) break;
        const file = await this.#options.files.acquire(path, at);
        leave();
        reached = entryOf(reached, file, partId(whole.id, part));
      }
    } catch (error) {
      this.#options.onWarning?.(`A recording inside ${path} cannot be played: ${messageOf(error)}`);
      leave();
      return false;
    }
    if (partOfId(reached.id) !== wanted || this.#closed || this.#inner.current !== whole) {
      leave();
      return false;
    }
    this.#release();
    this.#part = reached;
    return true;
  }

  #release(): void {
    if (this.#part) this.#options.files.release(this.#part.file);
    this.#part = undefined;
  }
}

/** Where the next recording of an entry's file begins that the entry goes on with; undefined without one. */
function nextOf(entry: Entry): number | undefined {
  if (entry.kind !== 'file') return undefined;
  const { file, begin = 0, duration = Number.POSITIVE_INFINITY } = entry;
  return begin + duration > file.durationMs ? file.next : undefined;
}

/** The entry for a recording, after the one before it. */
function entryOf(before: FileEntry, file: OnDemandFile, id: number): FileEntry {
  const { delay: _delay, begin = 0, duration, ...common } = before;
  const rest = duration === undefined ? undefined : duration - Math.max(before.file.durationMs - begin, 0);
  return {
    ...common,
    id,
    file,
    begin: Math.max(begin - before.file.durationMs, 0),
    ...(rest === undefined ? {} : { duration: rest }),
  };
}
