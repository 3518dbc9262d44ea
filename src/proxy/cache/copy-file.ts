import { randomUUID } from 'node:crypto';
import { type FileHandle, open, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type AsfHeader, parseHeader } from '../../asf/header.js';
import { DiskFile } from '../../media/on-demand/disk-file.js';
import { readRecords, writeRecord } from './map-file.js';
import type { Ranges } from './ranges.js';

/** What the disk says about a copy, besides its packets. */
const factsSchema = z.object({
  format: z.literal(1),
  /** Changes with each copy, so that what was left by another one is not taken for a part of it. */
  generation: z.string().min(1).max(100),
  url: z.string().min(1).max(4096),
  etag: z.string().max(1024).optional(),
  lastModified: z.string().max(1024).optional(),
  /** As the origin sent it. */
  cacheControl: z.string().max(4096),
  /** The features of the content, as the origin says. */
  features: z.array(z.string().max(100)).max(20),
  /** True if the origin asked somebody for credentials. */
  guarded: z.boolean(),
  headerSize: z.number().int().min(1),
  packetSize: z.number().int().min(1).max(65_535),
  packetCount: z.number().int().min(1).max(0xffff_ffff),
  /** When the origin last said that the copy is right, in ms since 1970. */
  checkedAt: z.number(),
});

/** @see factsSchema */
export type CopyFacts = z.output<typeof factsSchema>;

/** Packets are synced to the disk once this many bytes wait for that, or after {@link SYNC_AFTER}. */
const SYNC_BYTES = 4 * 1024 * 1024;
/** In ms. */
const SYNC_AFTER = 1_000;

/**
 * A copy of content on the disk, whole or in parts. It has three files: the header and the packets, each at its place,
 * as in an ASF file; a map of the packets that are there; and a description, which comes last and makes it valid. So
 * nothing that a killed program leaves is ever taken for a part of the content.
 */
export class CopyFile {
  readonly header: AsfHeader;
  /** The packets that are there. */
  readonly have: Ranges;
  readonly #base: string;
  readonly #disk: DiskFile;
  readonly #data: FileHandle;
  readonly #map: FileHandle;
  #facts: CopyFacts;
  #unsynced: Array<{ readonly from: number; readonly count: number }> = [];
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  private constructor(base: string, facts: CopyFacts, header: AsfHeader, have: Ranges, files: CopyFiles) {
    this.#base = base;
    this.#facts = facts;
    this.header = header;
    this.have = have;
    this.#disk = files.disk;
    this.#data = files.data;
    this.#map = files.map;
  }

  /** Creates a copy without packets. @throws the errors of the file system */
  static async create(
    folder: string,
    name: string,
    header: AsfHeader,
    known: Omit<CopyFacts, 'format' | 'generation' | 'headerSize' | 'packetSize' | 'packetCount'>,
  ): Promise<CopyFile> {
    const base = join(folder, name);
    await CopyFile.remove(folder, name);
    const facts: CopyFacts = {
      ...known,
      format: 1,
      generation: randomUUID(),
      headerSize: header.bytes.length,
      packetSize: header.packetSize,
      packetCount: Number(header.dataObject.packetCount),
    };
    try {
      const data = await open(`${base}.asf`, 'w');
      try {
        await data.write(header.bytes, 0, header.bytes.length, 0);
        await data.datasync();
      } finally {
        await data.close();
      }
      await writeFile(`${base}.map`, '');
      await writeFacts(base, facts);
      return await CopyFile.open(folder, name);
    } catch (error) {
      await CopyFile.remove(folder, name);
      throw error;
    }
  }

  /**
   * Opens a copy that an earlier run left.
   *
   * @throws if it does not exist, or is damaged
   */
  static async open(folder: string, name: string): Promise<CopyFile> {
    const base = join(folder, name);
    const facts = factsSchema.parse(JSON.parse(await readFile(`${base}.json`, 'utf8')));
    const { have, good } = readRecords(await readFile(`${base}.map`), facts.generation, facts.packetCount);
    if ((await stat(`${base}.map`)).size > good) await truncate(`${base}.map`, good);
    const files: Partial<CopyFiles> = {};
    try {
      files.disk = await DiskFile.open(`${base}.asf`);
      const header = parseHeader(await files.disk.read(0, facts.headerSize));
      const { packetSize, dataObject } = header;
      if (packetSize !== facts.packetSize || Number(dataObject.packetCount) !== facts.packetCount) {
        throw new Error(`${base}.asf does not fit its description.`);
      }
      let end = 0;
      for (const range of have) end = range.end;
      const size = facts.headerSize + end * packetSize;
      if (files.disk.stats.size < size) throw new Error(`${base}.asf is shorter than its map says.`);
      files.data = await open(`${base}.asf`, 'r+');
      files.map = await open(`${base}.map`, 'a');
      return new CopyFile(base, facts, header, have, files as CopyFiles);
    } catch (error) {
      await Promise.all([files.disk?.close(), files.data?.close(), files.map?.close()]);
      throw error;
    }
  }

  /** Removes the files of a copy, the description first. */
  static async remove(folder: string, name: string): Promise<void> {
    for (const ending of ['json', 'json.new', 'map', 'asf'])
      await rm(join(folder, `${name}.${ending}`), { force: true });
  }

  get path(): string {
    return `${this.#base}.asf`;
  }

  get facts(): CopyFacts {
    return this.#facts;
  }

  /** Bytes on the disk. */
  get size(): number {
    const { headerSize, packetSize } = this.#facts;
    return headerSize + this.have.size * packetSize;
  }

  get complete(): boolean {
    return this.have.size === this.#facts.packetCount;
  }

  /** Changes what the origin says about it. @throws the errors of the file system */
  async describe(changes: Partial<Pick<CopyFacts, 'cacheControl' | 'checkedAt' | 'guarded'>>): Promise<void> {
    this.#facts = { ...this.#facts, ...changes };
    await writeFacts(this.#base, this.#facts);
  }

  /** Records that it is being used, for the choice of what to remove. */
  async touch(): Promise<void> {
    const now = new Date();
    await utimes(`${this.#base}.json`, now, now).catch(() => undefined);
  }

  /**
   * Writes packets that follow one another; from then on they can be read.
   *
   * @param bytes whole packets
   * @throws the errors of the file system, such as ENOSPC
   */
  async write(from: number, bytes: Buffer): Promise<void> {
    const { headerSize, packetSize } = this.#facts;
    const position = headerSize + from * packetSize;
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#data.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
    const count = bytes.length / packetSize;
    this.have.add(from, from + count);
    this.#unsynced.push({ from, count });
    this.#unsyncedBytes += bytes.length;
    if (this.#unsyncedBytes >= SYNC_BYTES) await this.sync();
    else if (!this.#closing)
      this.#timer ??= setTimeout(() => void this.sync().catch(() => undefined), SYNC_AFTER).unref();
  }

  /** Reads packets into a buffer. @throws WmError WM_NO_INPUT if the disk fails */
  read(into: Buffer, from: number, count: number): Promise<number> {
    const { headerSize, packetSize } = this.#facts;
    return this.#disk.fill(into, headerSize + from * packetSize, count * packetSize);
  }

  /** Syncs what was written to the disk, and then records it in the map. @throws the errors of the file system */
  async sync(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#syncing) await this.#syncing;
    if (this.#unsynced.length === 0) return;
    this.#syncing = this.#sync().finally(() => {
      this.#syncing = undefined;
    });
    await this.#syncing;
  }

  async #sync(): Promise<void> {
    const written = this.#unsynced;
    this.#unsynced = [];
    this.#unsyncedBytes = 0;
    await this.#data.datasync();
    const { generation } = this.#facts;
    const records = joined(written).map(({ from, count }) => writeRecord(generation, from, count));
    await this.#map.write(Buffer.concat(records));
    await this.#map.datasync();
  }

  /** Syncs and closes it; may be called more than once. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.sync().catch(() => undefined);
    await Promise.all([this.#disk.close(), this.#data.close(), this.#map.close()]);
  }
}

interface CopyFiles {
  disk: DiskFile;
  data: FileHandle;
  map: FileHandle;
}

/** Joins what follows one another. */
function joined(written: ReadonlyArray<{ readonly from: number; readonly count: number }>) {
  const all: Array<{ from: number; count: number }> = [];
  for (const { from, count } of written) {
    const last = all.at(-1);
    if (last && last.from + last.count === from) last.count += count;
    else all.push({ from, count });
  }
  return all;
}

/** Replaces the description in one step. */
async function writeFacts(base: string, facts: CopyFacts): Promise<void> {
  const file = await open(`${base}.json.new`, 'w');
  try {
    await file.writeFile(`${JSON.stringify(facts)}\n`);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${base}.json.new`, `${base}.json`);
}
