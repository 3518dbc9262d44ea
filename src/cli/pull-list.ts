import { appendFile, link, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { readM3u } from '../announce/m3u.js';
import { messageOf, WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import { ArchiveSink } from '../media/archive.js';
import { MediaTime } from '../media/media-time.js';
import { systemErrorCode, systemErrorReason } from '../media/system-error.js';
import { defaultFileName } from './file-name.js';
import { Interrupted, type Interruption } from './program.js';
import { openClient, type ReceiveOptions } from './receive-options.js';
import { asClock, type Reporter, withUnit } from './reporter.js';

/** The options of a batch. */
export interface ListOptions {
  /** A file of URLs. */
  readonly list?: string;
  readonly jobs?: number;
  /** A file that remembers what is done. */
  readonly manifest?: string;
}

/** An entry of a list. */
export interface ListEntry {
  /** May have a user and a password. */
  readonly url: string;
  /** The name that the list gives to the file. */
  readonly name: string | undefined;
}

/** A line of the manifest. */
interface ManifestLine {
  readonly url: string;
  readonly status: 'done' | 'failed';
  readonly output?: string;
  readonly bytes?: number;
  readonly packets?: number;
  readonly mediaSeconds?: number;
  readonly code?: string;
  readonly message?: string;
  readonly at: string;
}

const DEFAULT_JOBS = 4;
/** The most entries of a list. */
const MOST_ENTRIES = 100_000;
/** The most files of one name. */
const MOST_NAMES = 10_000;

/**
 * Reads a list: a URL a line, and after a blank the name of its file if it is not to be that of the URL. Lines that begin
 * with # are comments, so .m3u lists are read as well.
 *
 * @throws WmError WM_USAGE for a name that leads out of the folder
 */
export function parseList(text: string): ListEntry[] {
  return readM3u(text)
    .slice(0, MOST_ENTRIES)
    .map(({ url: line }, index) => {
      const [url = '', ...rest] = line.split(/\s+/);
      const name = rest.join(' ');
      if (/[/\\]|^\.\.?$/.test(name)) {
        throw new WmError('WM_USAGE', `Entry ${index + 1} of the list: "${name}" is no name of a file.`);
      }
      return { url, name: name === '' ? undefined : name };
    });
}

/** Returns the lines of a manifest by URL; the last one counts. A line that was cut off is ignored. */
export function parseManifest(text: string): Map<string, ManifestLine> {
  const records = new Map<string, ManifestLine>();
  for (const line of text.split('\n')) {
    try {
      const record = JSON.parse(line) as ManifestLine;
      if (typeof record.url === 'string') records.set(record.url, record);
    } catch {
      // The process was killed while it wrote it.
    }
  }
  return records;
}

/**
 * Receives all streams of a list, several at a time. What the manifest says is done, and is still there, is not received
 * again. A stream is written to `name.part` until it is complete, so that nothing unfinished looks finished.
 *
 * @param folder for the files
 * @returns the exit code: that of the first failure, else 0
 * @throws WmError WM_NO_INPUT for a list that cannot be read or is empty, WM_USAGE, WM_DISK
 */
export async function pullList(
  { list, jobs = DEFAULT_JOBS, manifest = `${list}.manifest` }: ListOptions,
  {
    folder,
    options,
    reporter,
    interruption,
  }: {
    readonly folder: string;
    readonly options: ReceiveOptions;
    readonly reporter: Reporter;
    readonly interruption: Interruption;
  },
): Promise<number> {
  const entries = parseList(await contentsOf(list!));
  if (entries.length === 0) throw new WmError('WM_NO_INPUT', `The list ${list} has no entries.`);
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw new WmError('WM_DISK', `The folder ${folder} cannot be made: ${systemErrorReason(error)}.`);
  });
  const batch = new Batch({ folder, options, reporter, interruption, manifest, known: await knownOf(manifest) });
  const waiting = entries.values();
  const work = async () => {
    for (const entry of waiting) {
      if (interruption.signal.aborted) return;
      await batch.receive(entry);
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, entries.length) }, work));
  return batch.report(entries.length);
}

interface BatchOptions {
  readonly folder: string;
  readonly options: ReceiveOptions;
  readonly reporter: Reporter;
  readonly interruption: Interruption;
  readonly manifest: string;
  readonly known: ReadonlyMap<string, ManifestLine>;
}

class Batch {
  readonly #options: BatchOptions;
  /** Names in use, of files that are being written. */
  readonly #names = new Set<string>();
  readonly #failures: Array<{ readonly url: string; readonly error: unknown }> = [];
  readonly #seen = new Set<string>();
  #done = 0;
  #skipped = 0;

  constructor(options: BatchOptions) {
    this.#options = options;
  }

  async receive(entry: ListEntry): Promise<void> {
    const { url } = takeCredentials(entry.url);
    const { known, reporter, interruption } = this.#options;
    if (this.#seen.has(url)) return;
    this.#seen.add(url);
    if (await isThere(known.get(url))) {
      this.#skipped++;
      reporter.event('item', { url, status: 'skipped', output: known.get(url)?.output });
      return;
    }
    try {
      const received = await this.#receive(entry, url);
      if (interruption.signal.aborted) return;
      this.#done++;
      await this.#note({ url, status: 'done', ...received, at: new Date().toISOString() });
      const { output, bytes, mediaSeconds } = received;
      reporter.info(`${url}: ${asClock(mediaSeconds)}, ${withUnit(bytes, 'B')} in ${output}`);
    } catch (error) {
      if (error instanceof Interrupted || interruption.signal.aborted) return;
      this.#failures.push({ url, error });
      const code = error instanceof WmError ? error.code : 'WM_FAILED';
      await this.#note({ url, status: 'failed', code, message: messageOf(error), at: new Date().toISOString() });
      reporter.warn(`${url}: ${messageOf(error)}`);
    }
  }

  /** @returns the exit code */
  report(entries: number): number {
    const { reporter, interruption } = this.#options;
    const failures = this.#failures.map(({ url, error }) => ({ url, message: messageOf(error) }));
    const left = entries - this.#done - this.#skipped - failures.length;
    reporter.event('done', { done: this.#done, skipped: this.#skipped, failed: failures.length, failures });
    const parts = [
      `${this.#done} received`,
      ...(this.#skipped > 0 ? [`${this.#skipped} received earlier`] : []),
      ...(failures.length > 0 ? [`${failures.length} failed`] : []),
      ...(interruption.signal.aborted && left > 0 ? [`${left} not tried to the end`] : []),
    ];
    reporter.info(`${parts.join(', ')}${failures.length > 0 ? ':' : '.'}`);
    for (const { url, message } of failures) reporter.info(`  ${url}: ${message}`);
    if (interruption.exitCode !== 0) return interruption.exitCode;
    const [first] = this.#failures;
    if (!first) return 0;
    return first.error instanceof WmError ? first.error.exitCode : 1;
  }

  async #receive({ url: given, name = defaultFileName(given) }: ListEntry, url: string) {
    const { folder, options, reporter, interruption } = this.#options;
    const path = await this.#free(join(folder, name));
    const part = `${path}.part`;
    const client = openClient(given, options, reporter);
    const archive = new ArchiveSink(part, { warn: (message) => reporter.warn(`${url}: ${message}`) });
    const media = new MediaTime();
    const stop = () => void client.close();
    interruption.signal.addEventListener('abort', stop);
    try {
      for await (const event of client) {
        media.count(event);
        await archive.write(event);
        if (options.duration !== undefined && media.milliseconds >= options.duration * 1000) await client.close();
      }
    } finally {
      interruption.signal.removeEventListener('abort', stop);
      await client.close();
      await archive.close();
      this.#names.delete(path);
    }
    const files = archive.files.filter(({ packets }) => packets > 0);
    if (files.length === 0) throw new WmError('WM_BAD_INPUT', 'The stream ended before its first packet.');
    const outputs: string[] = [];
    // A complete file gets its name even if the others are interrupted.
    if (!interruption.signal.aborted) for (const file of files) outputs.push(await named(file.path, path));
    const sum = (of: (file: (typeof files)[number]) => number) => files.reduce((total, file) => total + of(file), 0);
    return {
      output: outputs[0] ?? part,
      bytes: files[0]!.bytes,
      packets: sum(({ packets }) => packets),
      mediaSeconds: Math.round(media.milliseconds / 100) / 10,
    };
  }

  /** Returns a path that neither a file nor another job has. */
  async #free(path: string): Promise<string> {
    for (let number = 1; number < MOST_NAMES; number++) {
      const each = numbered(path, number);
      if (this.#names.has(each)) continue;
      this.#names.add(each);
      if (!(await exists(each))) return each;
      this.#names.delete(each);
    }
    throw new WmError('WM_DISK', `There are too many files of the name ${path}.`);
  }

  async #note(record: ManifestLine): Promise<void> {
    const { manifest, reporter } = this.#options;
    reporter.event('item', { ...record });
    await appendFile(manifest, `${JSON.stringify(record)}\n`).catch((error: unknown) => {
      throw new WmError('WM_DISK', `The manifest ${manifest} cannot be written: ${systemErrorReason(error)}.`);
    });
  }
}

/** Gives a complete file its name, or the next free one; never replaces another. */
async function named(part: string, path: string): Promise<string> {
  for (let number = 1; number < MOST_NAMES; number++) {
    const target = numbered(path, number);
    try {
      await link(part, target);
      await rm(part);
      return target;
    } catch (error) {
      if (systemErrorCode(error) === 'EEXIST') continue;
      throw new WmError('WM_DISK', `${part} cannot be renamed to ${target}: ${systemErrorReason(error)}.`);
    }
  }
  throw new WmError('WM_DISK', `There are too many files of the name ${path}.`);
}

/** True if the file that a line of the manifest names is complete. */
async function isThere(record: ManifestLine | undefined): Promise<boolean> {
  if (record?.status !== 'done' || typeof record.output !== 'string') return false;
  const found = await stat(record.output).catch(() => undefined);
  return found?.isFile() === true && found.size === record.bytes;
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function numbered(path: string, number: number): string {
  const { dir, name, ext } = parse(path);
  return number === 1 ? path : join(dir, `${name}-${number}${ext}`);
}

async function contentsOf(list: string): Promise<string> {
  return readFile(list, 'utf8').catch((error: unknown) => {
    throw new WmError('WM_NO_INPUT', `The list ${list} cannot be read: ${systemErrorReason(error)}.`);
  });
}

async function knownOf(manifest: string): Promise<Map<string, ManifestLine>> {
  const text = await readFile(manifest, 'utf8').catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return '';
    throw new WmError('WM_DISK', `The manifest ${manifest} cannot be read: ${systemErrorReason(error)}.`);
  });
  return parseManifest(text);
}
