import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { HttpError } from '../../http/message.js';
import { isGrowing } from '../../media/growing.js';
import { ArchiveNames } from '../points/archive-names.js';
import type { PublishingPoint } from '../points/points.js';

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
  /** Where the API has the file, relative to its root. */
  readonly href: string;
}

/** A part of the list of recordings. */
export interface ArchiveList {
  readonly total: number;
  readonly archives: readonly ArchiveView[];
}

/** A recording that is open for reading. */
export interface OpenedArchive {
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
 * Lists recordings, the newest first.
 *
 * @param points those whose recordings are meant
 * @param limit the most recordings to return
 */
export async function listArchives(points: Iterable<PublishingPoint>, limit: number): Promise<ArchiveList> {
  const folders = new Map<string, Promise<readonly string[]>>();
  const found: { readonly point: string; readonly folder: string; readonly name: string }[] = [];
  for (const point of points) {
    const { archive: folder } = point.settings;
    if (folder === undefined) continue;
    if (!folders.has(folder)) folders.set(folder, namesIn(folder));
    const names = namesOf(point);
    for (const name of await folders.get(folder)!) {
      if (names.matches(name)) found.push({ point: point.path, folder, name });
    }
  }
  // Their names begin with the point and the time, unless a template says otherwise.
  const newest = found.sort((a, b) => (a.name < b.name ? 1 : -1)).slice(0, MAX_FILES);
  const views: ArchiveView[] = [];
  const look = async () => {
    for (let next = newest.pop(); next; next = newest.pop()) {
      const view = await viewOf(next).catch(() => undefined);
      if (view) views.push(view);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, look));
  views.sort((a, b) => (a.modified < b.modified ? 1 : -1));
  return { total: found.length, archives: views.slice(0, limit) };
}

/** @throws HttpError 404 */
export async function openArchive(point: PublishingPoint, name: string): Promise<OpenedArchive> {
  const file = await open(placeOf(point, name)).catch(() => {
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
export async function deleteArchive(point: PublishingPoint, name: string): Promise<void> {
  const place = placeOf(point, name);
  const stats = await stat(place).catch(() => undefined);
  if (!stats?.isFile()) throw missing(point, name);
  if (isGrowing(stats)) throw new HttpError(409, `${name} is still being recorded.`);
  await rm(place, { force: true });
}

async function namesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  return names.map((name) => name.replaceAll(sep, '/'));
}

function namesOf({ path, settings }: PublishingPoint): ArchiveNames {
  return new ArchiveNames(path, settings.archiveFiles?.name);
}

/** Returns the path of a recording. Only names that the archive itself gives are files of it. */
function placeOf(point: PublishingPoint, name: string): string {
  const { archive: folder } = point.settings;
  if (folder === undefined || !namesOf(point).matches(name) || name.split('/').includes('..'))
    throw missing(point, name);
  return join(folder, name);
}

function missing({ path }: PublishingPoint, name: string): HttpError {
  return new HttpError(404, `${path} has no recording ${name}.`);
}

async function viewOf(found: { point: string; folder: string; name: string }): Promise<ArchiveView | undefined> {
  const { point, folder, name } = found;
  const stats = await stat(join(folder, name));
  if (!stats.isFile()) return undefined;
  return {
    point,
    name,
    bytes: stats.size,
    modified: stats.mtime.toISOString(),
    recording: isGrowing(stats),
    href: `api/points/${encodeURIComponent(point.slice(1))}/archives/${encodeURIComponent(name)}`,
  };
}
