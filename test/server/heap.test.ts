import { jest } from '@jest/globals';

const young = { space_name: 'new_space', space_size: 1024 * 1024 };
const flags: string[] = [];
jest.unstable_mockModule('node:v8', () => ({
  getHeapSpaceStatistics: () => [{ space_name: 'old_space', space_size: 64 * 1024 * 1024 }, young],
  setFlagsFromString: (flag: string) => flags.push(flag),
}));
const { youngSpaceLimit } = await import('../../src/server/heap.js');

describe('youngSpaceLimit', () => {
  it('stops the growth of the space, and lets it grow again after V8 has shrunk it', () => {
    const check = youngSpaceLimit();
    check();
    expect(flags).toEqual([]);
    young.space_size = 2 * 1024 * 1024;
    check();
    check();
    expect(flags).toEqual(['--semi-space-growth-factor=1']);
    young.space_size = 512 * 1024;
    check();
    expect(flags).toEqual(['--semi-space-growth-factor=1', '--semi-space-growth-factor=2']);
  });
});
