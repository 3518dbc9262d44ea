import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { listOf, type Metafile, type MetafileEntry } from '../announce/asx-read.js';
import { LeadsElsewhere } from '../announce/elsewhere.js';
import { expandMetafile } from '../announce/expand.js';
import { isAnnouncementLocation, MAX_ANNOUNCEMENT_SIZE, readAnnouncement } from '../announce/read.js';
import { messageOf, WmError } from '../errors.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { fileSource } from '../media/file-source.js';
import { Sequence } from '../media/sequence.js';
import { readSmallFile } from '../media/small-file.js';
import { isNscLocation } from '../msb/client/open-nsc.js';
import { WmspClient } from '../wmsp/client/client.js';
import { isWmspUrl } from '../wmsp/client/url.js';
import type { RemoteSource, SourceDescription, SourceOptions, SourceTable } from './source.js';

/** A list of entries and where it was found. */
export interface FoundList {
  readonly metafile: Metafile;
  /** A URL or a path; references in the list are relative to it. */
  readonly location: string;
}

/** The maximum number of references to try for one entry. */
const MAX_TRIED = 16;
/** The maximum number of references to try in all, however many announcements they come from. */
const MAX_TRIED_IN_ALL = 256;
const NO_COUNTS = { reconnects: 0, damagedPackets: 0, lostPackets: 0, recoveredPackets: 0 };

/** A reference in a form that can be received. */
type Place = { readonly url: string } | { readonly path: string };

/**
 * The entries of an announcement as one source: one after the other, each by the first of its references that works.
 * Local files are accepted from local announcements only.
 *
 * The iteration throws:
 * @throws WmError WM_NO_INPUT if there is no announcement, WM_BAD_INPUT if it cannot be read or names nothing; the
 *   error of the last reference if none works
 */
export class AnnouncementSource implements RemoteSource {
  readonly #find: () => Promise<FoundList>;
  readonly #location: string;
  readonly #options: SourceOptions;
  readonly #table: SourceTable;
  #current: (AsfSource & Partial<RemoteSource>) | undefined;
  #before = NO_COUNTS;
  #sequence: Sequence | undefined;
  #closed = false;
  // True once another host has named some of the entries.
  #led: boolean;

  constructor(found: FoundList, options: SourceOptions, table: SourceTable, find = () => Promise.resolve(found)) {
    this.#find = find;
    this.#location = found.location;
    this.#options = { ...options, tries: options.tries ?? { left: MAX_TRIED_IN_ALL } };
    this.#led = options.led ?? false;
    this.#table = table;
  }

  /** Opens the announcement in a file of this host, which is read when the source is. */
  static at(path: string, options: SourceOptions, table: SourceTable): AnnouncementSource {
    const location = path.trim();
    const find = async () => ({ metafile: await readLocal(location), location });
    return new AnnouncementSource({ metafile: listOf([]), location }, options, table, find);
  }

  get description(): RemoteSource['description'] {
    return this.#current?.description;
  }

  get stats(): RemoteSource['stats'] {
    const { reconnects, damagedPackets, lostPackets = 0, recoveredPackets = 0 } = this.#current?.stats ?? NO_COUNTS;
    return {
      reconnects: this.#before.reconnects + reconnects,
      damagedPackets: this.#before.damagedPackets + damagedPackets,
      lostPackets: this.#before.lostPackets + lostPackets,
      recoveredPackets: this.#before.recoveredPackets + recoveredPackets,
    };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    const entries = await this.#entries();
    if (this.#closed) return;
    this.#sequence = new Sequence({
      entries: entries.map((entry, index) => () => this.#entrySource(entry, index, entries.length === 1)),
      onSkipped: (error, index) => this.#note(`Entry ${index + 1} is skipped: ${messageOf(error)}`),
    });
    yield* this.#sequence;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#sequence?.close();
  }

  /** Describes the first entry by the first of its references that works. @throws WmError as the iteration does */
  async describe(): Promise<SourceDescription> {
    const [entry] = await this.#entries();
    return this.#firstThatWorks(entry!, (place) => {
      if ('path' in place) return describeFile(place.path);
      return this.#table.describe(place.url, this.#below());
    });
  }

  get #isRemote(): boolean {
    return isWmspUrl(this.#location);
  }

  async #firstThatWorks<T>(entry: MetafileEntry, attempt: (place: Place) => Promise<T>): Promise<T> {
    let failure = new WmError('WM_BAD_INPUT', `${this.#location} names nothing that can be received.`);
    const tries = this.#options.tries!;
    for (const ref of entry.refs.slice(0, MAX_TRIED)) {
      if (--tries.left < 0) throw new WmError('WM_PROTOCOL', `${this.#location} leads to too many others.`);
      try {
        return await attempt(this.#placeOf(ref));
      } catch (error) {
        if (!(error instanceof WmError) || this.#closed) throw error;
        this.#note(`${ref} does not work: ${error.message}`);
        // An unsupported URL says less than the error of a reference that was tried.
        if (error.code !== 'WM_USAGE' || failure.code === 'WM_BAD_INPUT') failure = error;
      }
    }
    throw failure.code === 'WM_USAGE' ? new WmError('WM_BAD_INPUT', failure.message, { cause: failure }) : failure;
  }

  #entrySource(entry: MetafileEntry, index: number, isOnly: boolean): AsfSource {
    const source: AsfSource = {
      [Symbol.asyncIterator]: () => this.#entryEvents(entry, index, isOnly),
      close: async () => {
        if (this.#closed) await this.#current?.close();
      },
    };
    const { duration } = entry;
    return duration ? new Sequence({ entries: [() => source], duration }) : source;
  }

  async *#entryEvents(entry: MetafileEntry, index: number, isOnly: boolean): AsyncGenerator<AsfEvent, void, undefined> {
    const { source, first, rest } = await this.#firstThatWorks(entry, async (place) => {
      const opened = this.#open(place, entry, index, isOnly && entry.refs.length === 1);
      this.#current = opened;
      const events = opened[Symbol.asyncIterator]();
      try {
        return { source: opened, first: await events.next(), rest: { [Symbol.asyncIterator]: () => events } };
      } catch (error) {
        await this.#settle(opened);
        throw error;
      }
    });
    try {
      if (!first.done) yield first.value;
      yield* rest;
    } finally {
      await this.#settle(source);
    }
  }

  /** Keeps the counts of a finished source. */
  async #settle(source: AsfSource): Promise<void> {
    this.#before = { ...NO_COUNTS, ...this.stats };
    if (this.#current === source) this.#current = undefined;
    await source.close();
  }

  #open(place: Place, entry: MetafileEntry, index: number, isOnly: boolean): AsfSource & Partial<RemoteSource> {
    const { startTime = 0, reconnect, speed } = this.#options;
    if ('path' in place) return fileSource({ path: place.path, pace: speed === 1, warn: (text) => this.#note(text) });
    return this.#table.open(place.url, {
      ...this.#below(),
      startTime: (index === 0 ? startTime : 0) + (entry.startTime ?? 0) * 1000,
      // While there are other references, do not wait for one that does not work.
      reconnect: reconnect && { ...reconnect, first: isOnly && reconnect.first === true },
    });
  }

  #below(): SourceOptions {
    return { ...this.#options, depth: (this.#options.depth ?? 0) + 1, led: this.#led };
  }

  async #entries(): Promise<readonly MetafileEntry[]> {
    const { metafile, location } = await this.#find();
    const base = this.#isRemote ? location : pathToFileURL(resolve(location)).href;
    const load = async (other: string) => {
      try {
        return await this.#load(other);
      } catch (error) {
        if (!(error instanceof WmError)) throw error;
        this.#note(`The entries of ${other} are left out: ${error.message}`);
        return undefined;
      }
    };
    const entries = await expandMetafile(metafile, { base, load });
    if (entries.length === 0)
      throw new WmError('WM_BAD_INPUT', `${this.#location} names nothing that can be received.`);
    return entries;
  }

  /** Returns the contents of another announcement (ENTRYREF); anything else is an entry. */
  async #load(url: string): Promise<Metafile> {
    const place = this.#placeOf(url);
    const path = 'path' in place ? place.path : place.url;
    if (!isWmspUrl(path)) return readLocal(path);
    try {
      await WmspClient.describe({ ...this.#below(), url: path });
    } catch (error) {
      if (!(error instanceof LeadsElsewhere)) throw error;
      const { announcement, location, isRemote } = error;
      this.#led ||= isRemote;
      if (announcement?.kind === 'list') return { ...announcement.metafile, location };
    }
    return listOf([{ title: '', refs: [url] }]);
  }

  /** @throws WmError WM_BAD_INPUT for a local file that a server's announcement names */
  #placeOf(ref: string): Place {
    // A reference such as c:/a.asx is a path on this host, too.
    const isLocal = /^file:/i.test(ref) || !/^[a-z][a-z0-9+.-]+:\/\//i.test(ref);
    if (isLocal && (this.#isRemote || this.#led))
      throw new WmError('WM_BAD_INPUT', `${ref} is a file on this host, which a server may not name.`);
    if (!/^file:/i.test(ref)) return { url: ref };
    try {
      const path = fileURLToPath(ref);
      return isNscLocation(path) || isAnnouncementLocation(path) ? { url: path } : { path };
    } catch (error) {
      throw new WmError('WM_NO_INPUT', `${ref} names no file on this host.`, { cause: error });
    }
  }

  #note(text: string): void {
    this.#options.onNote?.(text);
  }
}

/**
 * Reads the announcement in a file.
 *
 * @throws WmError WM_NO_INPUT if there is no such file, WM_BAD_INPUT if it is not an announcement or cannot be read
 */
async function readLocal(path: string): Promise<Metafile> {
  const announcement = readAnnouncement(await readSmallFile(path, MAX_ANNOUNCEMENT_SIZE), { location: path });
  if (announcement?.kind === 'unreadable')
    throw new WmError('WM_BAD_INPUT', `The announcement ${path} cannot be read: ${announcement.why}.`);
  if (announcement?.kind !== 'list') throw new WmError('WM_BAD_INPUT', `${path} is not an announcement.`);
  return announcement.metafile;
}

/** True if a file of this host is a list of other places, whatever its name. */
export async function isAnnouncementFile(path: string): Promise<boolean> {
  const bytes = await readSmallFile(path, MAX_ANNOUNCEMENT_SIZE).catch(() => Buffer.alloc(0));
  return readAnnouncement(bytes)?.kind === 'list';
}

async function describeFile(path: string): Promise<SourceDescription> {
  const source = fileSource({ path });
  try {
    for await (const event of source) {
      if (event.type === 'header') {
        return { url: path, transport: 'file', live: event.header.broadcast, header: event.header };
      }
    }
  } finally {
    await source.close();
  }
  throw new WmError('WM_BAD_INPUT', `${path} contains no ASF header.`);
}
