import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isMap, isSeq, type YAMLMap, type YAMLSeq } from 'yaml';
import { messageOf, WmError } from '../errors.js';
import { HttpError } from '../http/message.js';
import { systemErrorReason } from '../media/system-error.js';
import { sourceSpec } from '../sources/spec.js';
import { parseYamlFile } from '../yaml-file.js';
import { configSchema, type ServerConfig } from './config.js';
import { pointSchema } from './config-fields.js';
import { isCommand } from './points/encoded.js';
import type { Reloader } from './reloader.js';

/** A point of the configuration. */
export type PointFields = ServerConfig['points'][number];

/** The server whose points are edited. */
export interface PointEditorHost {
  /** The configuration file; undefined if points cannot be saved. */
  readonly file: string | undefined;
  readonly config: () => ServerConfig;
  readonly reloader: () => Reloader;
}

/** Fields that name a file or a folder. */
const PLACES = ['archive', 'filler'] as const;
/** What is shown in place of a password, or of a secret parameter. */
const HIDDEN = /\*\*\*@|=\*\*\*/;

/** Creates, changes, saves and removes configured points while the server runs. */
export class PointEditor {
  readonly #host: PointEditorHost;
  /** Saving reads, changes and replaces the file, one after the other. */
  #saving: Promise<void> = Promise.resolve();

  constructor(host: PointEditorHost) {
    this.#host = host;
  }

  /** Returns the fields of a point. @throws HttpError 404 if it is not in the configuration */
  fieldsOf(path: string): PointFields {
    const point = this.#find(path);
    if (!point) throw new HttpError(404, `${path} is not in the configuration.`);
    return point;
  }

  /** True if the configuration file does not have the point as it is. */
  isUnsaved(path: string): boolean {
    return this.#host.reloader().unsaved.has(path);
  }

  /** Adds a point. @throws HttpError 400 for mistakes, 409 if the configuration has it already */
  async create(given: unknown): Promise<string> {
    const point = this.#parsed(given);
    if (this.#find(point.path)) throw new HttpError(409, `${point.path} is in the configuration already.`);
    await this.#apply(point);
    return point.path;
  }

  /**
   * Changes fields of a point; null removes one.
   *
   * @throws HttpError 400 for mistakes, 404 if the configuration does not have it
   */
  async change(path: string, given: unknown): Promise<void> {
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw new HttpError(400, 'The body must be an object with the fields to change.');
    }
    const merged = Object.entries({ ...this.fieldsOf(path), ...given, path });
    await this.#apply(this.#parsed(Object.fromEntries(merged.filter(([, value]) => value !== null))));
  }

  /**
   * Removes a point from the configuration.
   *
   * @param saved true to remove it from the file, too
   * @throws HttpError 404 if the configuration does not have it, 409 if the file has it and `saved` is false
   */
  async remove(path: string, saved: boolean): Promise<void> {
    this.fieldsOf(path);
    if (!saved && !(this.isUnsaved(path) && !(await this.#isInFile(path)))) {
      throw new HttpError(409, `${path} is part of the configuration; "saved=true" removes it from the file, too.`);
    }
    if (saved) await this.#edit((points) => drop(points, path));
    await this.#host.reloader().changePoint(path, undefined);
  }

  /** Writes a point to the configuration file; comments there stay. @throws HttpError 404; 409 without a file */
  async save(path: string): Promise<void> {
    const point = this.fieldsOf(path);
    const { file } = this.#host;
    await this.#edit((points, node) => {
      const existing = entryOf(points, path);
      if (!existing) points.add(node(point));
      else merge(existing, point, dirname(resolve(file!)), node);
    });
    this.#host.reloader().unsaved.delete(path);
  }

  #find(path: string): PointFields | undefined {
    return this.#host.config().points.find((point) => point.path === path);
  }

  async #isInFile(path: string): Promise<boolean> {
    const { file } = this.#host;
    if (file === undefined) return false;
    const { data } = parseYamlFile(await readFile(file, 'utf8'), file, configSchema);
    return data.points.some((point) => point.path === path);
  }

  async #apply(point: PointFields): Promise<void> {
    try {
      await this.#host.reloader().changePoint(point.path, point);
    } catch (error) {
      throw error instanceof WmError ? new HttpError(400, messageOf(error)) : error;
    }
  }

  /** @throws HttpError 400 with all mistakes */
  #parsed(given: unknown): PointFields {
    const parsed = pointSchema.safeParse(given);
    if (!parsed.success) {
      const sentences = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'The body'}: ${message}`);
      throw new HttpError(400, `${sentences.join('; ')}.`);
    }
    const point = parsed.data;
    for (const written of [point.source ?? []].flat()) {
      const spec = sourceSpec(written);
      // Who may administer the server need not be one who may run programs on it.
      if ('encode' in spec && (isCommand(spec.encode.trim()) || spec.packager !== undefined)) {
        throw new HttpError(400, 'source: a command can only be written into the configuration file.');
      }
      if (HIDDEN.test('url' in spec ? spec.url : 'encode' in spec ? spec.encode : '')) {
        throw new HttpError(400, 'source: *** hides a password; write the password itself.');
      }
    }
    for (const name of PLACES) {
      const place = point[name];
      if (place !== undefined && !isAbsolute(place)) throw new HttpError(400, `${name}: must be an absolute path.`);
    }
    return point;
  }

  /** Changes the points in the file. The new file replaces the old one at once. */
  #edit(change: (points: YAMLSeq, node: (value: unknown) => unknown) => void): Promise<void> {
    const edited = this.#saving.then(() => this.#replace(change));
    this.#saving = edited.catch(() => {});
    return edited;
  }

  async #replace(change: (points: YAMLSeq, node: (value: unknown) => unknown) => void): Promise<void> {
    const { file } = this.#host;
    if (file === undefined) throw new HttpError(409, 'The server was started without a configuration file.');
    const temporary = `${file}.new`;
    try {
      const { document } = parseYamlFile(await readFile(file, 'utf8'), file, configSchema);
      const node = (value: unknown) => document.createNode(value);
      if (!isMap(document.contents)) document.contents = document.createNode({}) as YAMLMap;
      let points = document.get('points');
      if (!isSeq(points)) document.set('points', (points = document.createNode([]) as YAMLSeq));
      change(points as YAMLSeq, node);
      // An empty list in one line would put everything that is added to it into that line.
      (points as YAMLSeq).flow = (points as YAMLSeq).items.length === 0;
      const text = document.toString({ lineWidth: 0 });
      parseYamlFile(text, file, configSchema);
      await writeFile(temporary, text, { mode: (await stat(file)).mode & 0o777 });
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      if (error instanceof WmError) throw new HttpError(409, `${file} was not changed: ${messageOf(error)}`);
      throw new HttpError(409, `${file} was not changed: ${systemErrorReason(error)}.`);
    }
  }
}

function entryOf(points: YAMLSeq, path: string): YAMLMap | undefined {
  return points.items.find((item): item is YAMLMap => isMap(item) && item.get('path') === path);
}

function drop(points: YAMLSeq, path: string): void {
  const entry = entryOf(points, path);
  if (entry) points.items.splice(points.items.indexOf(entry), 1);
}

/** Changes the fields of an entry that differ, so that the others keep their comments and relative paths. */
function merge(entry: YAMLMap, point: PointFields, folder: string, node: (value: unknown) => unknown): void {
  const old = entry.toJSON() as Record<string, unknown>;
  for (const name of Object.keys(old)) if (!(name in point)) entry.delete(name);
  for (const [name, value] of Object.entries(point)) {
    const before = old[name];
    const isSamePlace = typeof before === 'string' && typeof value === 'string' && resolve(folder, before) === value;
    if (!isSamePlace && !isDeepStrictEqual(before, value)) entry.set(name, node(value));
  }
}
