import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { HttpError } from '../../http/message.js';
import { isGrowing } from '../../media/growing.js';
import { ArchiveNames } from '../points/archive-names.js';
import type { PublishingPoints } from '../points/points.js';

/** A recording of a point. */
export interface ArchiveView {
  readonly point: string;
  /** The name of the file below the folder of the archive, with slashes. */
  readonly name: string;
  readonly bytes: number;
  /** When it was last written to. */
  readonly modified: string;
  /** True while it is being recorded. */
  readonly recording: boolean;
  /** True if its point is no longer there. */
  readonly removed: boolean;
  /** Where the API has the file, relative to its root. */
  readonly href: string;
}

/** A part of the list of recordings. */
export interface ArchiveList {
  readonly total: number;
  readonly archives: readonly ArchiveView[];
}

/** A file that is open for reading. */
export interface OpenedFile {
  readonly file: FileHandle;
  readonly bytes: number;
  readonly modified: Date;
  /** Without folders. */
  readonly name: string;
}

/** The most files that are looked at for one answer. */
const MAX_FILES = 5_000;
/** Files that are looked at together: more would keep the threads of the process from everything else. */
const AT_ONCE = 2;

/**
 * Lists recordings, the newest first, also those of points that were removed: of those that were while the server runs,
 * and of those whose name says so, in a folder that other points still record to.
 *
 * @param limit the most recordings to return
 * @param path of the point whose recordings are meant; undefined for all
 */
export async function listArchives(points: PublishingPoints, limit: number, path?: string): Promise<ArchiveList> {
  const isPresent = path !== undefined && points.get(path) !== undefined;
  const places = placesOf(points).filter((place) => !isPresent || place.path === path);
  const names = await namesInAll(new Set(places.map(({ folder }) => folder)));
  const found = new Map<string, Found>();
  for (const { path: point, folder, named } of places) {
    for (const name of names.get(folder) ?? []) {
      if (named.matches(name)) found.set(join(folder, name), { point, folder, name });
    }
  }
  for (const { folder, named } of isPresent ? [] : templatesOf(places)) {
    for (const name of names.get(folder) ?? []) {
      const point = found.has(join(folder, name)) ? undefined : named.pointOf(name);
      if (point !== undefined && !points.get(point)) found.set(join(folder, name), { point, folder, name });
    }
  }
  const meant = [...found.values()].filter(({ point }) => path === undefined || point === path);
  // Their names begin with the point and the time, unless a template says otherwise.
  const newest = meant.sort((a, b) => (a.name < b.name ? 1 : -1)).slice(0, MAX_FILES);
  const views: ArchiveView[] = [];
  const look = async () => {
    for (let next = newest.pop(); next; next = newest.pop()) {
      const view = await viewOf(next, points.get(next.point) === undefined).catch(() => undefined);
      if (view) views.push(view);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, look));
  views.sort((a, b) => (a.modified < b.modified ? 1 : -1));
  return { total: meant.length, archives: views.slice(0, limit) };
}

/** A file that is a recording. */
interface Found {
  readonly point: string;
  readonly folder: string;
  readonly name: string;
}

interface Place {
  readonly path: string;
  readonly folder: string;
  readonly template: string | undefined;
  readonly named: ArchiveNames;
}

/** Returns where recordings may be: those of the points that there are, and of those that were. */
function placesOf(points: PublishingPoints): Place[] {
  const present = [...points].flatMap(({ path, settings: { archive: folder, archiveFiles } }) =>
    folder === undefined ? [] : [{ path, folder, template: archiveFiles?.name }],
  );
  return [...present, ...points.formerArchives].map(({ path, folder, template }) => ({
    path,
    folder,
    template,
    named: new ArchiveNames(path, template),
  }));
}

/** Returns one place for each folder and template, whatever the number of points that record there. */
function templatesOf(places: readonly Place[]): Iterable<Place> {
  return new Map(places.map((place) => [JSON.stringify([place.folder, place.template]), place])).values();
}

async function namesInAll(folders: ReadonlySet<string>): Promise<ReadonlyMap<string, readonly string[]>> {
  return new Map(await Promise.all([...folders].map(async (folder) => [folder, await namesIn(folder)] as const)));
}

/** @throws HttpError 404 */
export async function openArchive(points: PublishingPoints, point: string, name: string): Promise<OpenedFile> {
  const file = await open(placeOf(points, point, name)).catch(() => {
    throw missing(point, name);
  });
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw missing(point, name);
    return { file, bytes: stats.size, modified: stats.mtime, name: basename(name) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** @throws HttpError 404, or 409 while it is being recorded */
export async function deleteArchive(points: PublishingPoints, point: string, name: string): Promise<void> {
  const place = placeOf(points, point, name);
  const stats = await stat(place).catch(() => undefined);
  if (!stats?.isFile()) throw missing(point, name);
  if (isGrowing(stats)) throw new HttpError(409, `${name} is still being recorded.`);
  await rm(place, { force: true });
}

async function namesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  return names.map((name) => name.replaceAll(sep, '/'));
}

/** Returns the path of a recording. Only names that the archive itself gives are files of it. */
function placeOf(points: PublishingPoints, path: string, name: string): string {
  const places = name.split('/').includes('..') ? [] : placesOf(points);
  const isKnown = points.get(path) !== undefined;
  const own = places.find((place) => place.path === path && place.named.matches(name));
  const place = own ?? (isKnown ? undefined : places.find(({ named }) => named.pointOf(name) === path));
  if (!place) throw missing(path, name);
  return join(place.folder, name);
}

function missing(path: string, name: string): HttpError {
  return new HttpError(404, `${path} has no recording ${name}.`);
}

async function viewOf({ point, folder, name }: Found, removed: boolean): Promise<ArchiveView | undefined> {
  const stats = await stat(join(folder, name));
  if (!stats.isFile()) return undefined;
  return {
    point,
    name,
    bytes: stats.size,
    modified: stats.mtime.toISOString(),
    recording: isGrowing(stats),
    removed,
    href: `api/points/${encodeURIComponent(point.slice(1))}/archives/${encodeURIComponent(name)}`,
  };
}
