import fc from 'fast-check';
import type { DataPacket } from '../../src/asf/packet.js';
import { Timeline } from '../../src/media/timeline.js';
import { makePacket } from './support.js';

/** 25 frames a second with preroll 3000, each its own packet, from media time `start`. */
function run(frames: number, start = 0): DataPacket[] {
  return Array.from({ length: frames }, (_, index) => {
    const time = start + index * 40;
    return makePacket(time, [{ number: index, time: time + 3000 }]);
  });
}

const place = (timeline: Timeline, packets: readonly DataPacket[]) => packets.map((packet) => timeline.packet(packet));
const sendTimes = (packets: readonly DataPacket[]) => packets.map(({ sendTime }) => sendTime);
const presentationTimes = (packets: readonly DataPacket[]) =>
  packets.flatMap(({ payloads }) => payloads.map(({ presentationTime }) => presentationTime));
const numbers = (packets: readonly DataPacket[]) =>
  packets.flatMap(({ payloads }) => payloads.map(({ mediaObjectNumber }) => mediaObjectNumber));

describe('Timeline', () => {
  it('passes the first run on as it is', () => {
    const timeline = new Timeline();
    timeline.restart();
    const packets = run(3, 7000);
    expect(place(timeline, packets).every((packet, index) => packet === packets[index])).toBe(true);
    expect(timeline.shifted).toBe(false);
  });

  it('goes on where the last object of the run before ended', () => {
    const timeline = new Timeline();
    const first = place(timeline, run(5));
    timeline.restart();
    const second = place(timeline, run(5));
    expect(presentationTimes([...first, ...second])).toEqual(
      Array.from({ length: 10 }, (_, index) => 3000 + index * 40),
    );
    expect(sendTimes([...first, ...second])).toEqual(Array.from({ length: 10 }, (_, index) => index * 40));
    expect(numbers([...first, ...second])).toEqual(Array.from({ length: 10 }, (_, index) => index));
    expect(timeline.shifted).toBe(true);
    expect(second.every(({ bytes }) => bytes.length === 400)).toBe(true);
  });

  it('goes back in time for a source that has moved on', () => {
    const timeline = new Timeline();
    place(timeline, run(5));
    timeline.restart();
    expect(presentationTimes(place(timeline, run(2, 500_000)))).toEqual([3200, 3240]);
  });

  it('changes nothing when the source goes on by itself', () => {
    const timeline = new Timeline();
    place(timeline, run(5));
    timeline.restart();
    const next = makePacket(200, [{ number: 5, time: 3200 }]);
    expect(timeline.packet(next)).toBe(next);
  });

  it('waits for the longest stream, and continues the numbers of each', () => {
    const timeline = new Timeline();
    const packets = () => [
      makePacket(0, [
        { stream: 1, number: 9, time: 3000 },
        { stream: 2, number: 200, time: 3000 },
      ]),
      makePacket(40, [
        { stream: 1, number: 10, time: 3040 },
        { stream: 2, number: 201, time: 3100 },
      ]),
    ];
    place(timeline, packets());
    timeline.restart();
    const second = place(timeline, packets());
    expect(presentationTimes(second)).toEqual([3200, 3200, 3240, 3300]);
    expect(numbers(second)).toEqual([11, 202, 12, 203]);
    timeline.restart();
    expect(numbers(place(timeline, packets()))).toEqual([13, 204, 14, 205]);
  });

  it('wraps the media object numbers of one byte', () => {
    const timeline = new Timeline();
    place(timeline, run(256));
    timeline.restart();
    expect(numbers(place(timeline, run(2)))).toEqual([0, 1]);
  });

  it('holds send times that would go back', () => {
    const timeline = new Timeline();
    // The first run was sent late: 1000 ms before it is shown. The second is sent 3000 ms before.
    const late = [0, 40].map((time) => makePacket(time, [{ time: time + 1000 }]));
    place(timeline, late);
    timeline.restart();
    const second = place(timeline, run(60));
    // Without the hold it would be 1080 - 3000.
    expect(sendTimes(second).slice(0, 3)).toEqual([40, 40, 40]);
    expect(sendTimes(second).at(-1)).toBe(59 * 40 - 1920);
    expect(presentationTimes(second)[0]).toBe(1080);
  });

  it('goes on over the wrap at 2^32', () => {
    const timeline = new Timeline();
    place(timeline, run(2, 2 ** 32 - 3040));
    timeline.restart();
    const second = place(timeline, run(2));
    expect(presentationTimes(second)).toEqual([40, 80]);
    expect(sendTimes(second)).toEqual([2 ** 32 - 2960, 2 ** 32 - 2920]);
  });

  it('takes jumps for restarts when it is told to', () => {
    const jumping = [...run(3), ...run(3, 90_000), ...run(3)];
    expect(sendTimes(place(new Timeline({ spliceJumps: true }), jumping))).toEqual([
      0, 40, 80, 120, 160, 200, 240, 280, 320,
    ]);
    expect(sendTimes(place(new Timeline(), jumping))).toEqual(sendTimes(jumping));
  });

  it('never goes back over any runs, and keeps the distances within one', () => {
    const aRun = fc.record({
      start: fc.nat(2 ** 32 - 1),
      steps: fc.array(fc.nat(200), { minLength: 1, maxLength: 20 }),
      lead: fc.nat(5000),
      firstNumber: fc.nat(255),
    });
    fc.assert(
      fc.property(fc.array(aRun, { minLength: 1, maxLength: 6 }), (runs) => {
        const timeline = new Timeline();
        let last: DataPacket | undefined;
        for (const { start, steps, lead, firstNumber } of runs) {
          timeline.restart();
          let time = start;
          let shift: number | undefined;
          for (const [index, step] of steps.entries()) {
            const source = makePacket(time, [{ time: time + lead, number: firstNumber + index }]);
            const placed = timeline.packet(source);
            shift ??= (placed.payloads[0]!.presentationTime - source.payloads[0]!.presentationTime) | 0;
            expect((placed.payloads[0]!.presentationTime - source.payloads[0]!.presentationTime) | 0).toBe(shift);
            if (last !== undefined) {
              expect((placed.sendTime - last.sendTime) | 0).toBeGreaterThanOrEqual(0);
              expect(
                (placed.payloads[0]!.presentationTime - last.payloads[0]!.presentationTime) | 0,
              ).toBeGreaterThanOrEqual(0);
              expect(placed.payloads[0]!.mediaObjectNumber).toBe((last.payloads[0]!.mediaObjectNumber + 1) & 0xff);
            }
            last = placed;
            time = (time + step) >>> 0;
          }
        }
      }),
    );
  });
});
