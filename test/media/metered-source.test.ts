import type { AsfEvent, AsfSource } from '../../src/media/events.js';
import { MeteredSource } from '../../src/media/metered-source.js';
import { testHeader, testPacket } from '../support/stream.js';

/** A packet that arrives at a time on the clock, or this long after it was requested. */
interface Coming {
  readonly at: number;
  readonly after?: number;
  readonly sendTime: number;
  /** Default: the send time. */
  readonly presentationTime?: number;
}

/**
 * Reads packets that take their time on a clock of the test's. @returns the reports, and the speed after each packet
 */
async function read(packets: readonly Coming[], consumer = () => 0) {
  let now = 0;
  const source: AsfSource = {
    async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
      yield { type: 'header', header: testHeader() };
      for (const { at, after = 0, sendTime, presentationTime = sendTime } of packets) {
        now = Math.max(now + after, at);
        yield { type: 'packet', packet: testPacket(sendTime >>> 0, { preroll: presentationTime - sendTime }) };
      }
    },
    close: () => Promise.resolve(),
  };
  const behind: number[] = [];
  const speeds: (number | undefined)[] = [];
  const metered = new MeteredSource(source, { now: () => now, onBehind: (speed) => behind.push(speed) });
  for await (const event of metered) {
    if (event.type === 'packet') speeds.push(metered.speed);
    now += consumer();
  }
  return { behind, speeds, metered, wait: (ms: number) => (now += ms) };
}

/** Packets of 100 ms that arrive at a speed. */
const steady = (seconds: number, speed: number, sendTime = (index: number) => index * 100): Coming[] =>
  Array.from({ length: seconds * 10 * speed }, (_, index) => ({
    at: (index * 100) / speed,
    sendTime: sendTime(index),
  }));

describe('MeteredSource', () => {
  it('measures the speed of its media, and has none in the first second', async () => {
    const { speeds, behind } = await read(steady(20, 1));
    expect(speeds.slice(0, 10)).toEqual(Array(10).fill(undefined));
    expect(speeds.slice(10).every((speed) => speed === 1)).toBe(true);
    expect(behind).toEqual([]);
  });

  it('reports once, after 5 s, that it is too slow', async () => {
    const packets = steady(30, 0.2);
    const { speeds, behind } = await read(packets);
    expect(behind).toEqual([0.2]);
    expect(speeds.at(-1)).toBeCloseTo(0.2, 2);
    expect((await read(packets.filter(({ at }) => at < 5_000))).behind).toEqual([]);
    expect((await read(packets.filter(({ at }) => at <= 5_500))).behind).toEqual([0.2]);
  });

  it('forgets everything older than 10 s', async () => {
    const slow = steady(10, 0.5);
    const fast = steady(12, 1).map(({ at, sendTime }) => ({ at: at + 10_000, sendTime: sendTime + 5_000 }));
    expect((await read([...slow, ...fast])).speeds.at(-1)).toBeCloseTo(1, 1);
  });

  it('does not count the time that the consumer takes', async () => {
    const packets = steady(8, 1).map(({ sendTime }) => ({ at: 0, after: 100, sendTime }));
    const { speeds, behind } = await read(packets, () => 900);
    expect(behind).toEqual([]);
    expect(speeds.at(-1)).toBeCloseTo(1, 5);
  });

  it('goes by presentation times if send times stand still', async () => {
    const packets = steady(12, 1).map(({ at, sendTime }) => ({ at, sendTime: 0, presentationTime: sendTime }));
    expect(await read(packets)).toMatchObject({ behind: [], speeds: expect.arrayContaining([1]) });
  });

  it('is not misled by jumps, reordering, or times that wrap', async () => {
    const times = [
      (index: number) => (index < 60 ? index * 100 : index * 100 - 3_600_000),
      (index: number) => (index < 60 ? index * 100 : index * 100 + 3_600_000),
      (index: number) => index * 100 + (index % 2 === 0 ? 0 : -300),
      (index: number) => index * 100 - 6_000,
    ];
    for (const sendTime of times) {
      const { speeds, behind } = await read(steady(12, 1, sendTime));
      expect(behind).toEqual([]);
      expect(speeds.at(-1)).toBeGreaterThan(0.95);
      expect(speeds.at(-1)).toBeLessThan(1.05);
    }
  });

  it('has no speed after its end', async () => {
    const { metered, wait } = await read(steady(3, 1));
    wait(60_000);
    expect(metered.speed).toBeUndefined();
  });
});
