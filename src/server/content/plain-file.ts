import { type FileHandle, open, realpath } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { streamKindsIn } from '../../asf/kinds.js';
import { trimBlanks } from '../../framing/text-head.js';
import type { Exchange, ResponseStream } from '../../http/exchange.js';
import { type Field, HttpError } from '../../http/message.js';
import { mediaType } from '../../media/names.js';
import { webFields } from '../web/fields.js';

/** A range of the bytes of a file. */
export interface Range {
  readonly start: number;
  /** Inclusive, as in HTTP. */
  readonly end: number;
}

const BACKLOG = 256 * 1024;
// How many bytes of a file to read to determine its media type.
const SNIFFED = 64 * 1024;

/**
 * Sends a file unchanged, or one range of it (RFC 9110 14), to a player that does not speak the protocol.
 *
 * @throws HttpError 404 if the file is gone
 */
export async function sendFile(exchange: Exchange, path: string): Promise<void> {
  // An open file stays the same, whatever happens to its name.
  const file = await open(path).catch(() => {
    throw new HttpError(404, 'The file is gone.');
  });
  let sending = false;
  try {
    sending = await answer(exchange, file, path);
  } finally {
    if (!sending) await file.close();
  }
}

/** What an nginx in front of the server has. */
export interface AccelRedirect {
  /** The internal location, with a slash at its end. */
  readonly location: string;
  /** The content folder, which is its alias. */
  readonly folder: string;
}

/**
 * Has the proxy that asked send a file, or the range of it that its client wants: `X-Accel-Redirect` of nginx. A proxy
 * says that it can with the field `X-Sendfile-Type`, so that other clients get the file.
 *
 * @param path without symbolic links
 * @returns false for a client that wants the file itself
 */
export async function leaveToProxy(
  exchange: Exchange,
  path: string,
  { location, folder }: AccelRedirect,
): Promise<boolean> {
  if (exchange.request.headers.get('X-Sendfile-Type')?.toLowerCase() !== 'x-accel-redirect') return false;
  const steps = relative(await realpath(folder), path).split(sep);
  if (steps[0] === '..') return false;
  const target = location + steps.map(encodeURIComponent).join('/');
  exchange.respond({ status: 200, fields: [...webFields(mediaType([], path)), ['X-Accel-Redirect', target]] });
  return true;
}

/** @returns true if the file is being sent and will be closed afterwards */
async function answer(exchange: Exchange, file: FileHandle, path: string): Promise<boolean> {
  const begun = beginFile(exchange, await factsOf(file, path));
  if (!begun) return false;
  const { stream, start, end } = begun;
  const source = file.createReadStream({ start, end });
  stream.onLost = () => source.destroy();
  // The Content-Length tells the client that something is missing.
  source.on('error', () => stream.destroy());
  source.on('end', () => stream.end());
  source.on('data', (chunk) => {
    stream.write(chunk as Buffer);
    if (stream.backlog < BACKLOG) return;
    source.pause();
    stream.drained(() => source.resume());
  });
  return true;
}

/**
 * Begins the response with a file, or with the range of it that is asked for.
 *
 * @returns the stream, and the first and the last byte to send; undefined if there is nothing to send
 */
export function beginFile(
  exchange: Exchange,
  { size, modified, type }: Facts,
): { readonly stream: ResponseStream; readonly start: number; readonly end: number } | undefined {
  const { method, minorVersion } = exchange.request;
  const lastModified = modified.toUTCString();
  const asked = method === 'HEAD' ? undefined : rangeAsked(exchange, lastModified);
  const range = asked === undefined ? undefined : parseRange(asked, size);
  const fields: Field[] = [
    ...webFields(type),
    // A player of HTTP/1.0 may take this field as a sign that the server cannot seek, and stop.
    ...(minorVersion === 0 ? [] : [['Accept-Ranges', 'bytes'] as const]),
    ['Last-Modified', lastModified],
  ];
  if (range === 'unsatisfiable') {
    exchange.respond({ status: 416, fields: [...fields, ['Content-Range', `bytes */${size}`]], close: true });
    return undefined;
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  if (range) fields.push(['Content-Range', `bytes ${start}-${end}/${size}`]);
  fields.push(['Content-Length', String(end - start + 1)]);
  if (exchange.queued || exchange.lost) return undefined;
  const stream = exchange.startStream(range ? 206 : 200, fields, { chunked: false });
  if (method === 'HEAD') return undefined;
  if (end >= start) return { stream, start, end };
  stream.end();
  return undefined;
}

/** A file, as HTTP describes it. */
export interface Facts {
  /** Bytes. */
  readonly size: number;
  readonly modified: Date;
  /** Content-Type. */
  readonly type: string;
}

async function factsOf(file: FileHandle, path: string): Promise<Facts> {
  const stats = await file.stat();
  if (!stats.isFile()) throw new HttpError(404, 'The file is gone.');
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(SNIFFED), 0, SNIFFED, 0);
  return {
    size: stats.size,
    modified: stats.mtime,
    type: mediaType(streamKindsIn(buffer.subarray(0, bytesRead)), path),
  };
}

/** Returns the Range field, unless it is for another version of the file (RFC 9110 13.1.5). */
function rangeAsked({ request: { headers } }: Exchange, lastModified: string): string | undefined {
  const condition = headers.get('If-Range');
  return condition === undefined || condition === lastModified ? headers.get('Range') : undefined;
}

/**
 * Parses the single range of a Range header; undefined if the header has to be ignored: other units, malformed, or
 * several ranges.
 */
export function parseRange(text: string, size: number): Range | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(trimBlanks(text));
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  if (match[1] === '') {
    const suffix = Number(match[2]);
    return suffix === 0 || size === 0 ? 'unsatisfiable' : { start: Math.max(0, size - suffix), end: size - 1 };
  }
  const start = Number(match[1]);
  const end = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== '' && Number(match[2]) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end };
}
