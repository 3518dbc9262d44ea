import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { WmError } from '../errors.js';
import { systemErrorCode, systemErrorReason } from '../media/system-error.js';

const CHUNK = 1024 * 1024;
/** The names of log files in a folder. */
const LOG_NAME = /\.log(?:\.gz)?$/i;

/**
 * Returns the files that names stand for: of a folder, the log files in it in the order of their names.
 *
 * @param names paths, or `-` for standard input
 * @throws WmError WM_NO_INPUT
 */
export async function logFiles(names: readonly string[]): Promise<string[]> {
  const files = await Promise.all(names.map((name) => (name === '-' ? ['-'] : filesOf(name))));
  return files.flat();
}

async function filesOf(name: string): Promise<string[]> {
  let found: string[];
  try {
    if (!(await stat(name)).isDirectory()) return [name];
    found = (await readdir(name)).filter((each) => LOG_NAME.test(each)).sort();
  } catch (error) {
    throw new WmError('WM_NO_INPUT', `${name} cannot be read: ${systemErrorReason(error)}.`, { cause: error });
  }
  if (found.length === 0)
    throw new WmError('WM_NO_INPUT', `The folder ${name} has no files that end in .log or .log.gz.`);
  return found.map((each) => join(name, each));
}

/**
 * Yields the bytes of a log file: uncompressed if it is gzip, as UTF-8 if it is UTF-16.
 *
 * @param name a path, or `-` for standard input
 * @throws WmError WM_NO_INPUT, WM_BAD_INPUT
 */
export async function* logBytes(name: string, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  const file = name === '-' ? process.stdin : createReadStream(name, { highWaterMark: CHUNK, signal });
  try {
    const chunks = file[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const { value: first, done } = await chunks.next();
    if (done) return;
    const all = (async function* () {
      yield first;
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
    })();
    if (first[0] === 0x1f && first[1] === 0x8b) yield* decoded(gunzipped(all));
    else yield* decoded(all);
  } catch (error) {
    if (signal.aborted) throw error;
    if (systemErrorCode(error) === 'Z_DATA_ERROR' || systemErrorCode(error) === 'Z_BUF_ERROR') {
      throw new WmError('WM_BAD_INPUT', `${name} is damaged: ${systemErrorReason(error)}.`, { cause: error });
    }
    if (systemErrorCode(error) === undefined) throw error;
    throw new WmError('WM_NO_INPUT', `${name} cannot be read: ${systemErrorReason(error)}.`, { cause: error });
  }
}

async function* gunzipped(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const source = Readable.from(chunks);
  const gunzip = createGunzip({ chunkSize: CHUNK });
  source.on('error', (error) => gunzip.destroy(error));
  yield* source.pipe(gunzip) as AsyncIterable<Buffer>;
}

/** Turns UTF-16, which servers mark with a byte order mark, into UTF-8. */
async function* decoded(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let decoder: InstanceType<typeof TextDecoder> | undefined;
  let isFirst = true;
  for await (const chunk of chunks) {
    if (isFirst && chunk[0] === 0xff && chunk[1] === 0xfe) decoder = new TextDecoder('utf-16le');
    isFirst = false;
    yield decoder ? Buffer.from(decoder.decode(chunk, { stream: true }), 'utf8') : chunk;
  }
}
