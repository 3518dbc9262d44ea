import fc from 'fast-check';
import { Pacer, systemClock } from '../../src/media/pacing.js';
import { PacketClock } from '../../src/media/packet-clock.js';
import { FakeClock } from './support.js';

/** Returns when packets with these send times leave. */
async function timesOf(sendTimes: readonly number[], options: { rate?: number } = {}): Promise<number[]> {
  const clock = new FakeClock();
  const pacer = new Pacer(clock, options);
  const packets = new PacketClock();
  const times: number[] = [];
  for (const sendTime of sendTimes) {
    await pacer.wait(packets.of({ sendTime: sendTime >>> 0, payloads: [] }));
    times.push(clock.time - 1000);
  }
  return times;
}

describe('Pacer', () => {
  it('starts at once and follows the send times, whatever the first one is', async () => {
    expect(await timesOf([5000, 5040, 5100, 6000])).toEqual([0, 40, 100, 1000]);
  });

  it('lets packets of one send time go together', async () => {
    const clock = new FakeClock();
    const pacer = new Pacer(clock);
    for (const sendTime of [0, 0, 0, 50, 50]) await pacer.wait(sendTime);
    expect(clock.sleeps).toEqual([50]);
  });

  it('goes faster by the rate', async () => {
    expect(await timesOf([0, 1000, 2000], { rate: 4 })).toEqual([0, 250, 500]);
  });

  it('starts over at a jump back, and at one forward of more than 10 s', async () => {
    expect(await timesOf([0, 100, 60_000, 60_100, 60_200, 0, 100])).toEqual([0, 100, 100, 100, 200, 200, 300]);
    expect(await timesOf([0, 10_000])).toEqual([0, 10_000]);
  });

  it('sends at once what is a little out of order, and keeps the schedule', async () => {
    expect(await timesOf([0, 500, 480, 600])).toEqual([0, 500, 500, 600]);
  });

  it('goes on over the wrap at 2^32 and from a negative start', async () => {
    expect(await timesOf([2 ** 32 - 100, 0, 100])).toEqual([0, 100, 200]);
    expect(await timesOf([-46, 0, 40])).toEqual([0, 46, 86]);
  });

  it('catches up after a short delay, but not with a flood after a long one', async () => {
    const clock = new FakeClock();
    const pacer = new Pacer(clock);
    await pacer.wait(0);
    clock.time += 3000;
    await pacer.wait(1000);
    await pacer.wait(3500);
    expect(clock.sleeps).toEqual([500]);
    clock.time += 60_000;
    await pacer.wait(4000);
    await pacer.wait(4040);
    expect(clock.sleeps).toEqual([500, 40]);
  });

  it('keeps its schedule for months', async () => {
    const clock = new FakeClock();
    const pacer = new Pacer(clock);
    const packets = new PacketClock();
    const step = 9000;
    const steps = Math.ceil((2 ** 33 + 5) / step);
    for (let index = 0; index <= steps; index++) {
      const due = pacer.due(packets.of({ sendTime: (index * step) >>> 0, payloads: [] }));
      if (due !== 1000 + index * step) throw new Error(`Step ${index} is due at ${due}.`);
      clock.time = due;
    }
  });

  it('never sleeps for more than 10 s, whatever the send times are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2 ** 32 - 1), { maxLength: 50 }), async (sendTimes) => {
        const clock = new FakeClock();
        const pacer = new Pacer(clock);
        const packets = new PacketClock();
        for (const sendTime of sendTimes) await pacer.wait(packets.of({ sendTime, payloads: [] }));
        expect(Math.max(0, ...clock.sleeps)).toBeLessThanOrEqual(11_000);
      }),
    );
  });
});

describe('systemClock', () => {
  it('wakes when it is told to', async () => {
    const controller = new AbortController();
    const sleep = systemClock.sleep(60_000, controller.signal);
    controller.abort();
    await sleep;
    const before = systemClock.now();
    await systemClock.sleep(5);
    expect(systemClock.now()).toBeGreaterThanOrEqual(before + 4);
  });
});
