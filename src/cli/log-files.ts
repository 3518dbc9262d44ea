import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { WmError } from '../errors.js';
import { systemErrorCode, systemErrorReason } from '../media/system-error.js';

const CHUNK = 1024 * 1024;

/**
 * Yields the bytes of a log file: uncompressed if it is gzip, as UTF-8 if it is UTF-16.
 *
 * @param name a path, or `-` for standard input
 * @throws WmError WM_NO_INPUT, WM_BAD_INPUT
 */
export async function* logBytes(name: string, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  const isStdin = name === '-';
  if (!isStdin) await checkFile(name);
  const file = isStdin ? process.stdin : createReadStream(name, { highWaterMark: CHUNK, signal });
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

async function checkFile(name: string): Promise<void> {
  try {
    if ((await stat(name)).isDirectory()) {
      throw new WmError('WM_NO_INPUT', `${name} is a folder: name the files in it, such as ${name}/*.log.`);
    }
  } catch (error) {
    if (error instanceof WmError) throw error;
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
