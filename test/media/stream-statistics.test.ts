import type { AsfEvent } from '../../src/media/events.js';
import { StreamStatistics } from '../../src/media/stream-statistics.js';
import { testHeader } from '../support/stream.js';
import { makePacket } from './support.js';

const header = (title = ''): AsfEvent => ({ type: 'header', header: testHeader({ title }) });
/** A packet of 400 bytes with a picture of 200 and a block of sound of 100. */
const packet = (index: number) =>
  makePacket(index * 100, [
    { stream: 1, time: index * 100, key: index % 5 === 0, number: index, size: 200 },
    { stream: 2, time: index * 100, key: true, number: index, size: 100 },
  ]);

describe('the figures of streams', () => {
  it('are rates, objects, key frames, and what is missing or was dropped', () => {
    const statistics = new StreamStatistics();
    statistics.take(header());
    for (const index of [0, 1, 2, 5, 6, 7, 8, 9, 10]) statistics.take({ type: 'packet', packet: packet(index) });
    statistics.drop(packet(6));
    expect(statistics.seconds).toBe(1);
    const share = (bytes: number) => Math.round((9 * 400 * 8 * bytes) / 300);
    expect(statistics.streams).toEqual([
      {
        ...{ number: 1, type: 'video', codec: 'WMV2', expectedBitrate: 300_000, meanBitrate: share(200) },
        ...{ objects: 9, keyFrames: 3, dropped: 1, missing: 2 },
      },
      {
        ...{ number: 2, type: 'audio', codec: 'WMA 2', expectedBitrate: 64_000, meanBitrate: share(100) },
        ...{ objects: 9, keyFrames: 9, dropped: 1, missing: 2 },
      },
    ]);
  });

  it('go on under another header with the same streams, whose numbers begin again', () => {
    const statistics = new StreamStatistics();
    for (const title of ['one', 'two']) {
      statistics.take(header(title));
      for (let index = 0; index < 5; index++) statistics.take({ type: 'packet', packet: packet(index) });
    }
    expect(statistics.streams).toHaveLength(2);
    expect(statistics.streams[0]).toMatchObject({ objects: 10, missing: 0 });
  });

  it('count numbers of one byte across their end', () => {
    const statistics = new StreamStatistics();
    statistics.take(header());
    for (const index of [254, 255, 256, 258]) statistics.take({ type: 'packet', packet: packet(index) });
    expect(statistics.streams[0]).toMatchObject({ objects: 4, missing: 1 });
  });
});
