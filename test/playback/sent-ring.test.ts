import { ResendBudget } from '../../src/playback/sent-ring.js';

const MiB = 1024 * 1024;
const packet = (location: number) => ({ bytes: Buffer.alloc(1_000), location, followed: true });

describe('what is kept to be sent again', () => {
  it('[RTSP-186] is much for one player, whose packets may have been sent fast', () => {
    const ring = new ResendBudget(64 * MiB).ring(() => 0);
    for (let number = 0; number < 6_000; number++) ring.add(number, 1, packet(number));
    expect(ring.find(0)).toMatchObject({ unit: 0, packet: { location: 0 } });
    for (let number = 6_000; number < 12_000; number++) ring.add(number, 1, packet(number));
    expect(ring.find(0)).toBeUndefined();
    expect(ring.bytes).toBeLessThanOrEqual(8 * MiB);
    expect(ring.find(11_999)).toBeDefined();
  });

  it('is less for each of many, and never more than all may have', () => {
    const budget = new ResendBudget(4 * MiB);
    const rings = Array.from({ length: 20 }, () => budget.ring(() => 0));
    for (let number = 0; number < 2_000; number++) for (const ring of rings) ring.add(number, 1, packet(number));
    expect(budget.used).toBeLessThanOrEqual(4 * MiB);
    for (const ring of rings) {
      expect(ring.bytes).toBeLessThanOrEqual(300 * 1024);
      expect(ring.find(1_999)).toBeDefined();
    }
  });

  it('is for ten seconds', () => {
    let now = 0;
    const budget = new ResendBudget();
    const ring = budget.ring(() => now);
    ring.add(5, 2, packet(5));
    now = 10_000;
    expect(ring.find(6)).toMatchObject({ unit: 1 });
    now = 10_001;
    expect(ring.find(6)).toBeUndefined();
    budget.sweep();
    expect(budget.used).toBe(0);
  });
});
