import type { Exchange, ResponseStream } from '../../http/exchange.js';
import { type Field, HttpError } from '../../http/message.js';
import { mediaType } from '../../media/names.js';
import type { OnDemandFile } from '../../media/on-demand/file.js';
import type { ForwardedAnswer, Program } from '../../playback/content.js';
import type { Pass } from '../../playback/entrance.js';
import type { RawPackets } from '../../playback/entry.js';
import { Refusal } from '../../refusal.js';
import { mayCache, parseCacheControl } from '../../wms/cache-control.js';
import { beginFile } from '../content/plain-file.js';

const BACKLOG = 256 * 1024;

/**
 * Opens content of another server for a client of plain HTTP: a stream, or a file that the cache may keep.
 *
 * @returns undefined for content that the other server has to send itself: what may not be kept, playlists, and what is
 *   not ASF
 * @throws Refusal
 */
export async function openedPlain(pass: Pass): Promise<Program | undefined> {
  const { live, playlist, origin } = await pass.info();
  if (playlist || (!live && !(origin && mayCache(parseCacheControl(origin.cacheControl))))) return undefined;
  let program: Program;
  try {
    program = await pass.open();
  } catch (error) {
    // It may be a picture or a page: the other server knows.
    if (error instanceof Refusal && (error.kind === 'offline' || error.kind === 'unsupported')) return undefined;
    throw error;
  }
  const { current } = program;
  if (current.kind === 'live' || (current.raw && current.raw.count > 0)) return program;
  program.close();
  return undefined;
}

/** Sends cached content as the file that it is: its header and its packets, or a range of that. @param close when it is over */
export function sendRaw(exchange: Exchange, file: OnDemandFile, raw: RawPackets, close: () => void): void {
  const { header, packetSize, modified } = file;
  const size = header.bytes.length + raw.count * packetSize;
  const type = mediaType(
    header.streams.map((stream) => stream.type),
    file.path.split('?', 1)[0]!,
  );
  const begun = beginFile(exchange, { size, modified, type });
  if (!begun) {
    close();
    return;
  }
  const { stream, start, end } = begun;
  const gone = new AbortController();
  stream.onLost = () => gone.abort();
  const send = async () => {
    for (let at = start; at <= end && !stream.ended; ) {
      const piece = await pieceAt(at, header.bytes, packetSize, raw, gone.signal);
      if (!piece) throw new Error('The content ends early.');
      const bytes = piece.subarray(0, end + 1 - at);
      at += bytes.length;
      await written(stream, bytes, gone.signal);
    }
    stream.end();
  };
  // The Content-Length tells the client that something is missing.
  send()
    .catch(() => stream.destroy())
    .finally(close);
}

/** Returns the bytes from a position on, at least one; undefined if they cannot be had. */
async function pieceAt(
  at: number,
  header: Buffer,
  packetSize: number,
  raw: RawPackets,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  if (at < header.length) return header.subarray(at);
  const beyond = at - header.length;
  const packet = Math.floor(beyond / packetSize);
  const packets = await raw.read(packet, signal);
  return packets?.subarray(beyond - packet * packetSize);
}

/** Sends what the other server answers, at the pace of the client. @throws Refusal */
export async function sendForwarded(exchange: Exchange, pass: Pass): Promise<void> {
  const { headers, method } = exchange.request;
  if (exchange.queued) throw new HttpError(400, 'This connection is already streaming.');
  const gone = new AbortController();
  const lost = () => gone.abort();
  exchange.signal.addEventListener('abort', lost, { once: true });
  const answer = await pass.forward!({ method: method === 'HEAD' ? 'HEAD' : 'GET', headers }, gone.signal);
  const { status, length } = answer;
  const fields: Field[] = [
    ...answer.fields,
    ...(length === undefined ? [] : [['Content-Length', String(length)] as const]),
  ];
  const isEmpty = method === 'HEAD' || length === 0 || status === 204 || status === 304;
  if (isEmpty || exchange.lost) {
    answer.close();
    if (!exchange.lost) exchange.startStream(status, fields, { chunked: false }).end();
    return;
  }
  const stream = exchange.startStream(status, fields, { chunked: false });
  stream.onLost = lost;
  void pumped(stream, answer, gone.signal);
}

async function pumped(stream: ResponseStream, answer: ForwardedAnswer, signal: AbortSignal): Promise<void> {
  try {
    for (let piece = await answer.next(); piece && !stream.ended; piece = await answer.next()) {
      await written(stream, piece, signal);
    }
    stream.end();
  } catch {
    stream.destroy();
  } finally {
    answer.close();
  }
}

/** Waits while the client is slow. */
function written(stream: ResponseStream, bytes: Buffer, signal: AbortSignal): Promise<void> | undefined {
  stream.write(bytes);
  if (stream.backlog < BACKLOG) return undefined;
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener('abort', done);
      resolve();
    };
    signal.addEventListener('abort', done, { once: true });
    stream.drained(done);
  });
}
