import { ReadQueue } from '../../../src/media/on-demand/read-queue.js';

describe('ReadQueue', () => {
  /** Tasks that end when told, and a log of how they began and ended. */
  function stage(limit: number, count: number, took = 10) {
    let now = 0;
    const queue = new ReadQueue(limit, () => (now += took));
    const begun: number[] = [];
    const ends: Array<{ resolve: (value: number) => void; reject: (error: Error) => void }> = [];
    const results = Array.from({ length: count }, (_each, index) =>
      queue.run(() => {
        begun.push(index);
        return new Promise<number>((resolve, reject) => {
          ends[index] = { resolve, reject };
        });
      }),
    );
    return { begun, ends, results };
  }

  it('runs a limited number of tasks at once, and begins them in order', async () => {
    const { begun, ends, results } = stage(2, 5);
    expect(begun).toEqual([0, 1]);
    ends[1]!.resolve(10);
    expect(await results[1]).toBe(10);
    expect(begun).toEqual([0, 1, 2]);
    for (const index of [0, 2, 3, 4]) {
      ends[index]!.resolve(index);
      expect(await results[index]).toBe(index);
    }
    expect(begun).toEqual([0, 1, 2, 3, 4]);
  });

  it('runs more while reads come from memory, until one takes long', async () => {
    const { begun, ends, results } = stage(2, 20, 0.5);
    ends[0]!.resolve(0);
    await results[0];
    expect(begun).toHaveLength(17);
    let now = 0;
    const queue = new ReadQueue(1, () => now);
    let count = 0;
    const tasks: Array<() => void> = [];
    const add = () =>
      queue.run(() => {
        count++;
        return new Promise<void>((resolve) => tasks.push(resolve));
      });
    const first = add();
    tasks[0]!();
    await first;
    const [slow] = [add(), add()];
    expect(count).toBe(3);
    now += 3;
    tasks[1]!();
    await slow;
    void add();
    expect(count).toBe(3);
  });

  it('goes on after a task that fails, which keeps its error to itself', async () => {
    const { begun, ends, results } = stage(1, 2);
    ends[0]!.reject(new Error('The disk fails.'));
    await expect(results[0]).rejects.toThrow('The disk fails.');
    ends[1]!.resolve(1);
    expect(await results[1]).toBe(1);
    expect(begun).toEqual([0, 1]);
  });
});
