import { Patience } from '../../../src/server/workers/patience.js';

const SHORT = 500;
const LONG = 60_000;

describe('the patience with workers that end', () => {
  it('starts one again at once, and later and later, at most a minute, if they keep ending soon after their start', () => {
    const patience = new Patience();
    const waits = Array.from({ length: 40 }, () => patience.ended(SHORT));
    expect(waits.slice(0, 9)).toEqual([0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    expect(waits.at(-1)).toBe(60_000);
  });

  it('forgets that once a worker has lived for a minute', () => {
    const patience = new Patience();
    for (let time = 0; time < 5; time++) patience.ended(SHORT);
    expect([patience.ended(LONG), patience.ended(SHORT), patience.ended(SHORT)]).toEqual([0, 0, 1_000]);
  });
});
