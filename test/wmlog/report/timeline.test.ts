import fc from 'fast-check';
import { Timeline } from '../../../src/wmlog/report/timeline.js';

const START = 1_700_000_000;

/** The highest number of views at the same time, and the seconds of all. */
function measured(views: ReadonlyArray<readonly [number, number]>) {
  const edges = views.flatMap(([from, to]) => [
    [from, 1],
    [to, -1],
  ]);
  edges.sort(([a, first], [b, second]) => a! - b! || first! - second!);
  let [level, peak] = [0, 0];
  for (const [, step] of edges) {
    level += step!;
    peak = Math.max(peak, level);
  }
  return { peak, seconds: views.reduce((sum, [from, to]) => sum + to - from, 0) };
}

describe('the viewers over time', () => {
  it('are exact to the second for short periods, in whatever order views come', () => {
    const view = fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 1, max: 50_000 }));
    fc.assert(
      fc.property(fc.array(view, { minLength: 1, maxLength: 60 }), (drawn) => {
        const views = drawn.map(([from, length]) => [START + from, START + from + length] as const);
        const timeline = new Timeline();
        for (const [from, to] of views) timeline.add(from, to);
        const { peak, seconds } = measured(views);
        const first = Math.min(...views.map(([from]) => from));
        const last = Math.max(...views.map(([, to]) => to));
        const total = timeline.total()!;
        expect(total.peak).toBe(peak);
        expect(total.average * (last - first)).toBeCloseTo(seconds, 3);
        expect(Math.max(...[...timeline.points(50)].map((point) => point.peak))).toBe(peak);
      }),
      { numRuns: 40 },
    );
  });

  it('keep their average over years, in slots that get wider', () => {
    const timeline = new Timeline();
    const year = 366 * 86_400;
    for (let day = 0; day < 366; day++) timeline.add(START + day * 86_400, START + (day + 1) * 86_400);
    timeline.add(START - year, START - year + 3_600);
    expect(timeline.resolution).toBeGreaterThan(1);
    expect(timeline.total()!.peak).toBe(1);
    const points = [...timeline.points(100)];
    expect(points.length).toBeLessThanOrEqual(100);
    expect(points.at(-2)!.average).toBeCloseTo(1, 1);
    expect(points[0]!.average).toBeGreaterThan(0);
    expect(points[20]!.average).toBe(0);
  });

  it('are none without views', () => {
    const timeline = new Timeline();
    timeline.add(5, 5);
    expect(timeline.total()).toBeUndefined();
    expect([...timeline.points(5)]).toEqual([]);
  });
});
