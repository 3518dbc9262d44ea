import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Exchange } from '../http/exchange.js';
import { type Field, HttpError } from '../http/message.js';
import { webFields } from './web-fields.js';

interface Range {
  readonly start: number;
  /** Inclusive, as HTTP counts. */
  readonly end: number;
}

const BACKLOG = 256 * 1024;

/**
 * Sends a file as it is, or one range of it (RFC 9110 14), to a player that does not speak the protocol.
 *
 * @throws HttpError 404 when the file is gone
 */
export async function sendFile(exchange: Exchange, path: string): Promise<void> {
  const stats = await stat(path).catch(() => undefined);
  if (!stats?.isFile()) throw new HttpError(404, 'The file is gone.');
  const { size } = stats;
  const asked = exchange.request.headers.get('Range');
  const range = asked === undefined ? undefined : parseRange(asked, size);
  const fields: Field[] = [
    ...webFields('video/x-ms-asf'),
    ['Accept-Ranges', 'bytes'],
    ['Last-Modified', stats.mtime.toUTCString()],
  ];
  if (range === 'unsatisfiable') {
    exchange.respond({ status: 416, fields: [...fields, ['Content-Range', `bytes */${size}`]], close: true });
    return;
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  if (range) fields.push(['Content-Range', `bytes ${start}-${end}/${size}`]);
  fields.push(['Content-Length', String(end - start + 1)]);
  const status = range ? 206 : 200;
  if (exchange.queued || exchange.lost) return;
  const stream = exchange.startStream(status, fields, { chunked: false });
  if (exchange.request.method === 'HEAD' || end < start) {
    stream.end();
    return;
  }
  const file = createReadStream(path, { start, end });
  stream.onLost = () => file.destroy();
  // Cut short, the length tells the client that something is missing.
  file.on('error', () => stream.destroy());
  file.on('end', () => stream.end());
  file.on('data', (chunk) => {
    stream.write(chunk as Buffer);
    if (stream.backlog < BACKLOG) return;
    file.pause();
    stream.drained(() => file.resume());
  });
}

/** The one range of a Range header; undefined when it is to be ignored: not bytes, malformed, or several. */
function parseRange(text: string, size: number): Range | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(text.trim());
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  if (match[1] === '') {
    const suffix = Number(match[2]);
    return suffix === 0 || size === 0 ? 'unsatisfiable' : { start: Math.max(0, size - suffix), end: size - 1 };
  }
  const start = Number(match[1]);
  const end = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (start >= size) return 'unsatisfiable';
  return end < start ? undefined : { start, end };
}
