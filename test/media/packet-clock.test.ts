import fc from 'fast-check';
import { PacketClock } from '../../src/media/packet-clock.js';
import { makePacket } from './support.js';

const PREROLL = 3000;

/** Returns the times of packets with one object each. */
function timesOf(packets: ReadonlyArray<{ sent: number; shown: number; stream?: number }>): number[] {
  const clock = new PacketClock();
  return packets.map(({ sent, shown, stream = 1 }) => clock.of(makePacket(sent, [{ stream, time: shown + PREROLL }])));
}

/** From 0 on, every 100 ms. */
const every100 = (count: number) => Array.from({ length: count }, (_, index) => index * 100);

describe('the time of a packet', () => {
  it('is its send time, counted from the first', () => {
    expect(timesOf(every100(5).map((time) => ({ sent: time + 7000, shown: time })))).toEqual(every100(5));
  });

  it('is that of the packet before, at least, however far send times go back', () => {
    const block = (stream: number, from: number) =>
      every100(200).map((time) => ({ sent: from + time, shown: from + time, stream }));
    const times = timesOf([...block(1, 0), ...block(2, 0), ...block(1, 20_000), ...block(2, 20_000)]);
    expect(times.slice(200, 400)).toEqual(Array.from({ length: 200 }, () => 19_900));
    expect(times[400]).toBe(20_000);
    expect(times.at(-1)).toBe(39_900);
  });

  it('follows the presentation times if send times stand still, and catches no time up twice', () => {
    const still = timesOf(every100(120).map((time) => ({ sent: 0, shown: time })));
    expect(still.at(-1)).toBe(11_900 - 1000);
    const goingOn = timesOf(every100(120).map((time) => ({ sent: time < 6000 ? 0 : time, shown: time })));
    expect(goingOn.at(-1)).toBe(11_900);
    expect(Math.max(...goingOn.map((time, index) => time - (goingOn[index - 1] ?? 0)))).toBeLessThanOrEqual(1100);
  });

  it('follows them if send times advance too slowly', () => {
    const times = timesOf(every100(600).map((time) => ({ sent: time / 100, shown: time })));
    expect(times.at(-1)).toBeGreaterThanOrEqual(59_900 - 10_000);
  });

  it('ignores a damaged packet', () => {
    const sound = every100(20).map((time) => ({ sent: time, shown: time }));
    for (const damage of [{ sent: 2_000_000_000 }, { shown: 2_000_000_000 }, { sent: 3e9, shown: 3e9 }]) {
      const packets = sound.map((packet, index) => (index === 10 ? { ...packet, ...damage } : packet));
      expect(timesOf(packets).at(-1)).toBe(1900);
    }
  });

  it('goes on with a source that restarts, and across a hole', () => {
    const first = every100(10).map((time) => ({ sent: time + 50_000, shown: time + 50_000 }));
    const second = every100(10).map((time) => ({ sent: time, shown: time }));
    expect(timesOf([...first, ...second])).toEqual([...every100(10), ...every100(10).map((time) => time + 900)]);
    const hole = every100(10).map((time) => ({ sent: time + 60_000, shown: time + 60_000 }));
    expect(timesOf([...second, ...hole]).at(-1)).toBe(60_900);
  });

  it('never goes back and is finite, whatever packets contain', () => {
    const arbitrary = fc.array(fc.tuple(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1), fc.integer({ min: 1, max: 3 })));
    fc.assert(
      fc.property(arbitrary, (packets) => {
        const times = timesOf(packets.map(([sent, shown, stream]) => ({ sent, shown, stream })));
        for (const [index, time] of times.entries()) {
          expect(Number.isSafeInteger(time)).toBe(true);
          expect(time).toBeGreaterThanOrEqual(times[index - 1] ?? 0);
        }
      }),
    );
  });
});
