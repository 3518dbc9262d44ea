import type { WireFormat, WireHead } from '../wire.js';
import { buffers } from './buffer-pool.js';
import type { PageStretch } from './page.js';

/** A format that writes a packet as a head and the packet as it is. */
export type HeadedFormat = WireFormat & { readonly head: WireHead };

/** Frames that are ready to send. */
export interface FramedStretch {
  /** Unchanged until {@link release}. */
  readonly bytes: Buffer;
  /** Call once, after the bytes have been sent or never will be. */
  release(): void;
}

/**
 * Writes the heads of packets into the page that they are in. Players whose frames are the same share its bytes; the
 * others get a copy with their own heads, unless they have the page for themselves.
 *
 * @param stretch the caller holds its page, whose gap is the size of the head
 * @param number the number of its first packet with payloads, unbounded
 * @param more true if other packets follow without a pause
 * @throws WmError if a packet is too large for the format
 */
export function framed(stretch: PageStretch, wire: HeadedFormat, number: number, more: boolean): FramedStretch {
  const { page, from, to } = stretch;
  const [start, end] = [page.start(from), page.start(to)];
  if (isFramedFor(stretch, wire, number, more)) {
    page.hold();
    return { bytes: page.bytes.subarray(start, end), release: () => page.release() };
  }
  const room = buffers.take(end - start);
  page.bytes.copy(room, 0, start, end);
  writeHeads(room, -start, stretch, wire.head, number, more);
  return { bytes: room.subarray(0, end - start), release: () => buffers.give(room) };
}

/** True if a page has the heads that a player needs, or has them now. */
function isFramedFor({ page, from, to }: PageStretch, wire: HeadedFormat, number: number, more: boolean): boolean {
  const { key, head, mask } = wire;
  // In the page every packet is followed, except the last one.
  const isLast = page.order(to) === page.order(page.count);
  if (head.marksFollowed && more === isLast) return false;
  const first = (number - page.order(from)) & mask;
  if (page.framing?.key === key && page.framing.number === first) return true;
  if (page.holders > 1) return false;
  page.framing = undefined;
  writeHeads(page.bytes, 0, { page, from: 0, to: page.count }, head, first, false);
  page.framing = { key, number: first };
  return true;
}

function writeHeads(
  into: Buffer,
  offset: number,
  { page, from, to }: PageStretch,
  head: WireHead,
  number: number,
  more: boolean,
): void {
  const [before, last] = [page.order(from), page.order(to) - 1];
  for (let index = from; index < to; index++) {
    const size = page.sizeOf(index);
    if (size === 0) continue;
    const order = page.order(index);
    head.write(
      into,
      offset + page.start(index),
      page.first + index,
      size,
      more || order < last,
      number + order - before,
    );
  }
}
