import { BufferPool } from '../../../src/media/on-demand/buffer-pool.js';

describe('BufferPool', () => {
  it('returns buffers that are large enough, and reuses them', () => {
    const pool = new BufferPool();
    for (const size of [1, 8192, 8193, 100_000, 128 * 1024, 256 * 1024, 300_000, 1_000_000]) {
      const buffer = pool.take(size);
      expect(buffer.length).toBeGreaterThanOrEqual(size);
      expect(buffer.length).toBeLessThanOrEqual(Math.max(8192, 2 * size));
    }
    const one = pool.take(50_000);
    const other = pool.take(50_000);
    expect(other).not.toBe(one);
    pool.give(one);
    expect(pool.take(40_000)).toBe(one);
    expect(pool.take(40_000)).not.toBe(one);
  });

  it('keeps no more than 2 MiB of a size, and nothing very large', () => {
    const pool = new BufferPool();
    for (let count = 0; count < 100; count++) pool.give(pool.take(1_000_000));
    expect(pool.size).toBe(0);
    const taken = Array.from({ length: 100 }, () => pool.take(128 * 1024));
    for (const buffer of taken) pool.give(buffer);
    expect(pool.size).toBe(2 * 1024 * 1024);
  });
});
