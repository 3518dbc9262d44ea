import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { rehearse } from '../../src/server/rehearsal.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wmcast-rehearsal-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the rehearsal before a server is ready', () => {
  it('plays live and from a file, and removes its file', async () => {
    expect(await rehearse({ within: folder, patience: 25_000 })).toBe(16);
    expect(await readdir(folder)).toEqual([]);
  });

  it('does without, if no file can be written or there is no time', async () => {
    expect(await rehearse({ within: join(folder, 'missing') })).toBe(0);
    expect(await rehearse({ within: folder, patience: 0 })).toBeLessThan(16);
    expect(await readdir(folder)).toEqual([]);
  });
});
