import type { AsfHeader } from '../asf/header.js';
import type { MediaTimes } from '../media/on-demand/measure.js';
import type { PacketStore } from '../media/on-demand/store.js';

/** The beginning of content, as if it ended there: it can be searched although the rest is not there. */
export function beginningOf(store: PacketStore, packetCount: number): PacketStore {
  const { path, header, packetSize, packetSpan, batchPackets, times, durationMs, preroll } = store;
  const { size, modified, version } = store;
  const left = (from: number, count: number) => Math.max(Math.min(count, packetCount - from), 0);
  return {
    ...{ path, header, packetSize, packetSpan, batchPackets, packetCount, times, durationMs, preroll },
    ...{ size, modified, version },
    complete: false,
    available: (from, count) => store.available(from, left(from, count)),
    borrow: (from, count, reserve) => store.borrow(from, count, reserve),
    visit: (from, count, visit) => store.visit(from, left(from, count), visit),
    want: () => Promise.resolve('end'),
    readIndexes: () => store.readIndexes(),
    close: () => Promise.resolve(),
  };
}

const HUNDRED_NS_PER_MS = 10_000;

/** Returns the times of media by its header alone: its packets may be elsewhere. */
export function timesOf({ preroll, fileProperties: { playDuration, sendDuration } }: AsfHeader): MediaTimes {
  const end = Math.max(Math.floor(Number(playDuration) / HUNDRED_NS_PER_MS), preroll);
  const sendEnd = Math.floor(Number(sendDuration) / HUNDRED_NS_PER_MS);
  return { start: preroll, end, sendStart: 0, sendEnd, preroll };
}

/** How much later something may be sent than it is shown, in ms. */
const SEND_SLACK = 2_000;

/** True if the packets from the start up to one reach beyond a time, in ms of media. */
export async function reachesBeyond(store: PacketStore, packetCount: number, milliseconds: number): Promise<boolean> {
  if (packetCount === 0) return false;
  let sent = -1;
  const from = Math.max(packetCount - store.batchPackets, 0);
  await store.visit(from, packetCount - from, ({ sendTime }) => {
    sent = Math.max(sent, sendTime);
    return true;
  });
  return sent >= milliseconds + store.preroll + SEND_SLACK;
}
