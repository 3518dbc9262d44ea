import type { PointSettings } from './settings.js';

/** Removed points whose recordings are remembered; the oldest are forgotten first. */
const MOST = 1_000;

/** Where a point's recordings are. */
export interface ArchivePlace {
  /** The path of the point. */
  readonly path: string;
  readonly folder: string;
  /** The template of their names; undefined for the default. */
  readonly template: string | undefined;
}

/** Where the recordings of points are that were removed while the server runs. */
export class FormerArchives {
  readonly #places = new Map<string, ArchivePlace>();

  /** Remembers the archive of a point, if it has one. */
  add(path: string, { archive: folder, archiveFiles }: PointSettings): void {
    if (folder === undefined) return;
    this.#places.delete(path);
    this.#places.set(path, { path, folder, template: archiveFiles?.name });
    const [oldest] = this.#places.keys();
    if (this.#places.size > MOST && oldest !== undefined) this.#places.delete(oldest);
  }

  *[Symbol.iterator](): Iterator<ArchivePlace> {
    yield* this.#places.values();
  }
}
