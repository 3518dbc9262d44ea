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
  it('passes the first run unchanged', () => {
    const timeline = new Timeline();
    timeline.restart();
    const packets = run(3, 7000);
    expect(place(timeline, packets).every((packet, index) => packet === packets[index])).toBe(true);
    expect(timeline.shifted).toBe(false);
  });

  it('goes on where the last object of the previous run ended', () => {
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

  it('changes nothing if the source continues on its own', () => {
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
    // Otherwise it would be 1080 - 3000.
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

  describe('that looks for restarts', () => {
    const detecting = () => new Timeline({ detectsRestarts: true });
    /** A block of one stream, whose send times are those of its objects. */
    const block = (stream: number, from: number, to: number) =>
      Array.from({ length: (to - from) / 100 }, (_, index) => {
        const time = from + index * 100;
        return makePacket(time, [{ stream, number: time / 100, time: time + 3000 }]);
      });

    it('finds one where the presentation times of a stream go back', () => {
      expect(sendTimes(place(detecting(), [...run(3, 5000), ...run(3)]))).toEqual([5000, 5040, 5080, 5120, 5160, 5200]);
      expect(sendTimes(place(new Timeline(), [...run(3, 5000), ...run(3)]))).toEqual([5000, 5040, 5080, 0, 40, 80]);
    });

    it('leaves blocks of audio and video unchanged, however far send times go back between them', () => {
      const blocks = [block(1, 0, 15_000), block(2, 0, 15_000), block(1, 15_000, 30_000), block(2, 15_000, 30_000)];
      const packets = blocks.flat();
      const timeline = detecting();
      expect(place(timeline, packets).every((packet, index) => packet === packets[index])).toBe(true);
      expect(timeline.shifted).toBe(false);
    });

    it('leaves reordered send times unchanged', () => {
      const late = run(50).map((packet, index) =>
        makePacket(index % 5 === 4 ? packet.sendTime : packet.sendTime + 4000, [
          { number: index, time: packet.sendTime + 8000 },
        ]),
      );
      expect(place(detecting(), late).every((packet, index) => packet === late[index])).toBe(true);
    });

    it('leaves a hole where it is, and pictures that are shown in another order', () => {
      const packets = [...run(3), ...run(3, 60_000)];
      expect(presentationTimes(place(detecting(), packets))).toEqual(presentationTimes(packets));
      const order = [3000, 3200, 3080, 3120, 3400].map((time, number) => makePacket(number, [{ number, time }]));
      expect(presentationTimes(place(detecting(), order))).toEqual([3000, 3200, 3080, 3120, 3400]);
    });

    it('is not misled by a damaged packet, neither then nor at the next restart', () => {
      const timeline = detecting();
      const packets = [...run(3), makePacket(120, [{ number: 3, time: 2_000_000_000 }]), ...run(3, 160)];
      expect(presentationTimes(place(timeline, packets))).toEqual(presentationTimes(packets));
      timeline.restart();
      expect(presentationTimes(place(timeline, run(1)))).toEqual([3280]);
    });

    it('finds it by the send times if there is nothing else to go by', () => {
      const bare = (sendTime: number) => {
        const packet = makePacket(sendTime, [{ time: 0 }]);
        return { ...packet, payloads: packet.payloads.map((payload) => ({ ...payload, presentationTime: -1 })) };
      };
      const timeline = detecting();
      place(timeline, [bare(90_000), bare(90_040), bare(0), bare(40)]);
      expect(timeline.shifted).toBe(true);
    });

    it("counts the source's announcement as one restart, not as two", () => {
      const timeline = detecting();
      place(timeline, run(5, 5000));
      timeline.restart();
      expect(numbers(place(timeline, run(3)))).toEqual([5, 6, 7]);
      expect(presentationTimes(place(timeline, run(3, 120)))).toEqual([8320, 8360, 8400]);
    });
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
