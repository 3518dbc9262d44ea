import { LeadsElsewhere } from '../../announce/elsewhere.js';
import { ANNOUNCEMENT_START_SIZE, MAX_ANNOUNCEMENT_SIZE, readAnnouncement } from '../../announce/read.js';
import { WmError } from '../../errors.js';
import { decodeContent } from '../../http/content-coding.js';
import type { ResponseHead } from '../../http/message.js';
import type { ResponseBody } from '../../http/response-body.js';

/** How long to wait for a body. */
export interface BodyWaits {
  /** For the next bytes, in ms. */
  readonly piece: number;
  /** The deadline for all of it, on the clock of `performance.now()`; default: none. */
  readonly until?: number | undefined;
  /** Names the server in messages. */
  readonly authority: string;
}

/**
 * Reads a body up to a size, or to its end.
 *
 * @param start what was read of it before
 * @throws WmError WM_UNREACHABLE after the deadline
 */
export async function atLeast(
  start: Buffer,
  body: ResponseBody,
  size: number,
  { piece: patience, until = Number.POSITIVE_INFINITY, authority }: BodyWaits,
): Promise<Buffer> {
  const pieces = [start];
  for (let total = start.length; total < size; ) {
    const left = until - performance.now();
    if (left <= 0) throw new WmError('WM_UNREACHABLE', `${authority} took too long to answer.`);
    const piece = await body.next(Math.min(patience, left));
    if (!piece) break;
    pieces.push(piece);
    total += piece.length;
  }
  return Buffer.concat(pieces);
}

/** A response that may be an announcement. */
export interface PossibleRedirection {
  /** What was read of the body before. */
  readonly start: Buffer;
  readonly head: ResponseHead;
  readonly body: ResponseBody;
  /** The URL that it answers. */
  readonly href: string;
  /** True if another host sent it. */
  readonly isRemote: boolean;
}

/** @throws LeadsElsewhere or WM_BAD_INPUT if the body is an announcement */
export async function readRedirection(
  { start, head, body, href, isRemote }: PossibleRedirection,
  waits: BodyWaits,
): Promise<void> {
  const hints = { location: href, type: head.headers.get('Content-Type') };
  const coding = head.headers.get('Content-Encoding');
  const read = (bytes: Buffer) => readAnnouncement(decodeContent(bytes, coding, MAX_ANNOUNCEMENT_SIZE), hints);
  const beginning = await atLeast(start, body, ANNOUNCEMENT_START_SIZE, waits);
  if (!read(beginning)) return;
  const announcement = read(await atLeast(beginning, body, MAX_ANNOUNCEMENT_SIZE, waits));
  if (announcement?.kind === 'unreadable') {
    throw new WmError('WM_BAD_INPUT', `The announcement at ${href} cannot be read: ${announcement.why}.`);
  }
  if (announcement) throw new LeadsElsewhere(href, isRemote, announcement);
}
