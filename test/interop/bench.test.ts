import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './support/child.js';
import { newFolder } from './support/content.js';

const SUITE = fileURLToPath(new URL('../../bench/suite.mjs', import.meta.url));
/** In ms. */
const PATIENCE = 220_000;

interface Results {
  readonly failed: object;
  readonly parts: Readonly<Record<string, readonly Record<string, number>[]>>;
}

describe('the suite of benchmarks', () => {
  const folder = newFolder();

  it('runs with a handful of players, and writes figures and a page', async () => {
    const parts = ['asf', 'players'];
    const suite = new Child(process.execPath, [SUITE, '--smoke', '--only', parts.join(','), '--out', folder]);
    const end = await suite.ends(PATIENCE);
    expect([end, suite.log]).toEqual([{ code: 0, signal: null }, expect.anything()]);
    const results = JSON.parse(await readFile(join(folder, 'bench.json'), 'utf8')) as Results;
    expect(results.failed).toEqual({});
    expect(Object.keys(results.parts)).toEqual(parts);
    expect(results.parts['players']).toMatchObject([{ players: 3, playing: 3, lost: 0 }]);
    expect(results.parts['asf']!.every(({ readMBps, rewriteMBps }) => readMBps! > 0 && rewriteMBps! > 0)).toBe(true);
    expect(await readFile(join(folder, 'bench.html'), 'utf8')).toContain('<h2>Live players by WMSP</h2>');
  });
});
