import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { MAX_METAFILE_SIZE, type Metafile, type MetafileEntry } from '../announce/asx-read.js';
import { expandMetafile } from '../announce/expand.js';
import { isAnnouncementLocation, readAnnouncement } from '../announce/read.js';
import { messageOf, WmError } from '../errors.js';
import { fetchFile } from '../http/fetch.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { fileSource } from '../media/file-source.js';
import { Sequence } from '../media/sequence.js';
import { readSmallFile } from '../media/small-file.js';
import { isNscLocation } from '../msb/open-nsc.js';
import type { RemoteSource, SourceDescription, SourceOptions } from './source-url.js';

/** How a URL that an announcement names is received. */
export interface SourceTable {
  open(url: string, options: SourceOptions): RemoteSource;
  describe(url: string, options: SourceOptions): Promise<SourceDescription>;
}

/** References of one entry that are tried. */
const MAX_TRIED = 16;
const NO_COUNTS = { reconnects: 0, damagedPackets: 0, lostPackets: 0, recoveredPackets: 0 };

/** A reference as it can be received. */
type Place = { readonly url: string } | { readonly path: string };

/**
 * What an announcement (.asx, .m3u) names as a source: its entries one behind the other, of each the first reference that works. Local
 * files are taken from local announcements only.
 *
 * The iteration throws:
 * @throws WmError WM_NO_INPUT, WM_UNREACHABLE, WM_SERVER_GONE or WM_PROTOCOL when there is no announcement, WM_BAD_INPUT when it names
 *   nothing; what the last reference threw when none works
 */
export class AnnouncementSource implements RemoteSource {
  readonly #location: string;
  readonly #options: SourceOptions;
  readonly #table: SourceTable;
  #current: (AsfSource & Partial<RemoteSource>) | undefined;
  #before = NO_COUNTS;
  #sequence: Sequence | undefined;
  #closed = false;

  constructor(location: string, options: SourceOptions, table: SourceTable) {
    this.#location = location.trim();
    this.#options = options;
    this.#table = table;
  }

  /** What its first entry is, by the first reference that works. @throws WmError as the iteration */
  static describe(location: string, options: SourceOptions, table: SourceTable): Promise<SourceDescription> {
    return new AnnouncementSource(location, options, table).#describe();
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
      onSkipped: (error, index) => this.#note(`Entry ${index + 1} is passed over: ${messageOf(error)}`),
    });
    yield* this.#sequence;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#sequence?.close();
  }

  async #describe(): Promise<SourceDescription> {
    const [entry] = await this.#entries();
    return this.#firstThatWorks(entry!, (place) => {
      if ('path' in place) return describeFile(place.path);
      return this.#table.describe(place.url, { ...this.#options, announcements: this.#below(place.url) });
    });
  }

  async #firstThatWorks<T>(entry: MetafileEntry, attempt: (place: Place) => Promise<T>): Promise<T> {
    let failure = new WmError('WM_BAD_INPUT', `${this.#location} names nothing that can be received.`);
    for (const ref of entry.refs.slice(0, MAX_TRIED)) {
      try {
        return await attempt(this.#placeOf(ref));
      } catch (error) {
        if (!(error instanceof WmError) || this.#closed) throw error;
        this.#note(`${ref} does not work: ${error.message}`);
        failure = error;
      }
    }
    throw failure;
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

  /** Keeps the counts of a source that is over. */
  async #settle(source: AsfSource): Promise<void> {
    this.#before = { ...NO_COUNTS, ...this.stats };
    if (this.#current === source) this.#current = undefined;
    await source.close();
  }

  #open(place: Place, entry: MetafileEntry, index: number, isOnly: boolean): AsfSource & Partial<RemoteSource> {
    const { startTime = 0, reconnect, speed, onNote } = this.#options;
    if ('path' in place) return fileSource({ path: place.path, pace: speed === 1, warn: (text) => this.#note(text) });
    return this.#table.open(place.url, {
      ...this.#options,
      onNote,
      startTime: (index === 0 ? startTime : 0) + (entry.startTime ?? 0) * 1000,
      // A reference that does not work is no reason to wait while there are others.
      reconnect: reconnect && { ...reconnect, first: isOnly && reconnect.first === true },
      announcements: this.#below(place.url),
    });
  }

  /** How deep in announcements a reference is; what turned out to be none is not taken for one again. */
  #below(url: string): number {
    return url === this.#location ? Number.POSITIVE_INFINITY : (this.#options.announcements ?? 0) + 1;
  }

  async #entries(): Promise<readonly MetafileEntry[]> {
    const isRemote = /^https?:\/\//i.test(this.#location);
    const base = isRemote ? this.#location : pathToFileURL(resolve(this.#location)).href;
    const { metafile, url } = await this.#load(base).catch((error: unknown) => {
      // Perhaps it wants credentials, or is too long for an announcement.
      if (isRemote && error instanceof WmError && error.code === 'WM_PROTOCOL')
        return { metafile: undefined, url: base };
      throw error;
    });
    if (!metafile) {
      if (isRemote) return [{ title: '', refs: [this.#location] }];
      throw new WmError('WM_BAD_INPUT', `${this.#location} is no announcement.`);
    }
    const load = async (other: string) => {
      try {
        return (await this.#load(other)).metafile;
      } catch (error) {
        if (!(error instanceof WmError)) throw error;
        this.#note(`The entries of ${other} are left out: ${error.message}`);
        return undefined;
      }
    };
    const entries = await expandMetafile(metafile, { base: url, load });
    if (entries.length === 0)
      throw new WmError('WM_BAD_INPUT', `${this.#location} names nothing that can be received.`);
    return entries;
  }

  async #load(url: string): Promise<{ metafile: Metafile | undefined; url: string }> {
    const isM3u = /\.m3u(?:[?#]|$)/i.test(url);
    const place = this.#placeOf(url);
    const path = 'path' in place ? place.path : place.url;
    if (!/^https?:\/\//i.test(path)) {
      return { metafile: readAnnouncement(await readSmallFile(path, MAX_METAFILE_SIZE), isM3u), url };
    }
    const { body, url: found } = await fetchFile(url, { tls: this.#options.tls });
    return { metafile: readAnnouncement(body, isM3u), url: found };
  }

  /** @throws WmError WM_BAD_INPUT for a local file that an announcement on a server names */
  #placeOf(ref: string): Place {
    // A reference such as c:/a.asx is a path on this host, too.
    const isLocal = /^file:/i.test(ref) || !/^[a-z][a-z0-9+.-]+:\/\//i.test(ref);
    if (isLocal && /^https?:\/\//i.test(this.#location))
      throw new WmError('WM_BAD_INPUT', `${ref} is a file on this host, which is not for a server to name.`);
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
  throw new WmError('WM_BAD_INPUT', `${path} holds no ASF header.`);
}
