import { formatPullChain, newPullName, parsePullChain } from '../../src/receiving/pull-chain.js';
import { RepeatedWarnings } from '../../src/receiving/repeated-warnings.js';

describe('chains of pulls', () => {
  it('survive formatting and parsing', () => {
    const chain = [newPullName(), newPullName(), 'ab12.7'];
    expect(new Set(chain).size).toBe(3);
    expect(parsePullChain(formatPullChain(chain))).toEqual(chain);
  });

  it('are bounded, and contain only names', () => {
    expect(parsePullChain(undefined)).toEqual([]);
    expect(parsePullChain(' , a.1,<b>, a.2 ,a, a.1.2, é.1')).toEqual(['a.1', 'a.2']);
    expect(parsePullChain(Array(500).fill('a.1').join(','))).toHaveLength(9);
    expect(parsePullChain('a.1,'.repeat(100_000)).length).toBeLessThanOrEqual(9);
  });
});

describe('RepeatedWarnings', () => {
  it('are given at once, after a minute, two, four, at most an hour', () => {
    const warnings = new RepeatedWarnings();
    const told: number[] = [];
    for (let minute = 0; minute <= 400; minute++) {
      for (const half of [0, 0.5]) if (warnings.due('a', 'x', (minute + half) * 60_000)) told.push(minute);
    }
    expect(told).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363]);
  });

  it('are given soon for another reason, separately for each subject, and at once if it had worked again', () => {
    const warnings = new RepeatedWarnings();
    expect(warnings.due('a', 'x', 0)).toBe('x');
    expect(warnings.due('b', 'x', 0)).toBe('x');
    expect(warnings.due('a', 'y', 5_000)).toBeUndefined();
    expect(warnings.due('a', 'y', 10_000)).toBe('y (1 more failures since the last message)');
    expect(warnings.clear('a')).toBe(true);
    expect(warnings.clear('a')).toBe(false);
    expect(warnings.due('a', 'y', 10_001)).toBe('y');
  });
});
