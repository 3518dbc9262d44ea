import { appendFile, copyFile, readdir, readlink, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { jest } from '@jest/globals';
import type { OnDemandFile } from '../../../src/media/on-demand/file.js';
import { OnDemandFiles, type OnDemandFilesOptions } from '../../../src/media/on-demand/files.js';
import { temporaryFolder } from '../../capture/support.js';
import { testHeader } from '../../support/stream.js';
import { until } from '../../support/until.js';
import { everything, madePacket, play, writeAsf } from './support.js';

const folder = temporaryFolder();
const made: OnDemandFiles[] = [];

function registry(options: OnDemandFilesOptions = {}): OnDemandFiles {
  const files = new OnDemandFiles(options);
  made.push(files);
  return files;
}

function film(name: string, packets = 50): string {
  const path = join(folder, `${name}.wmv`);
  writeAsf(
    path,
    testHeader(),
    Array.from({ length: packets }, (_each, index) =>
      madePacket(index * 100, [{ stream: 1, key: true, time: index * 100 }]),
    ),
  );
  return path;
}

/** Descriptors of this process for files in the folder. */
async function descriptors(): Promise<string[]> {
  const numbers = await readdir('/proc/self/fd');
  const targets = await Promise.all(numbers.map((number) => readlink(`/proc/self/fd/${number}`).catch(() => '')));
  return targets.filter((target) => target.startsWith(folder)).map((target) => target.slice(folder.length + 1));
}

async function untilClosed(name: string): Promise<void> {
  await until(`${name} to be closed`, async () => !(await descriptors()).includes(name));
}

async function isClosed(file: OnDemandFile): Promise<boolean> {
  // Packets that others have read come from memory; a read that ends at a time always uses the file.
  const read = file.reader({ from: 0, choice: everything, rate: 1, padding: 'cut', maxDuration: 1000 }).next();
  return read.then(
    () => false,
    () => true,
  );
}

afterEach(async () => {
  await Promise.all(made.splice(0).map((files) => files.close()));
});

it('shares one open file between all players of a path', async () => {
  const files = registry();
  const path = film('shared');
  const [one, other] = await Promise.all([files.acquire(path), files.acquire(path)]);
  expect(other).toBe(one);
  expect(await files.acquire(join(folder, '.', 'x', '..', 'shared.wmv'))).toBe(one);
  expect(await descriptors()).toEqual(['shared.wmv']);
  expect(files.size).toBe(1);
});

it('closes a file some time after its last player', async () => {
  const files = registry({ linger: 5000 });
  const path = film('lingers');
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'performance'] });
  try {
    const one = await files.acquire(path);
    const other = await files.acquire(path);
    files.release(one);
    jest.advanceTimersByTime(60_000);
    expect(await isClosed(other)).toBe(false);
    files.release(other);
    jest.advanceTimersByTime(4999);
    expect(await files.acquire(path)).toBe(one);
    jest.advanceTimersByTime(60_000);
    expect(await isClosed(one)).toBe(false);
    files.release(one);
    // Once too often: nothing happens.
    files.release(one);
    jest.advanceTimersByTime(5000);
    await untilClosed('lingers.wmv');
    expect(await isClosed(one)).toBe(true);
    expect(files.size).toBe(0);
    expect(await files.acquire(path)).not.toBe(one);
  } finally {
    jest.useRealTimers();
  }
});

it('reopens a file for new players if it was changed, replaced or touched', async () => {
  const files = registry();
  const path = film('changes');
  const first = await files.acquire(path);
  await appendFile(path, madePacket(5000, [{ stream: 1, key: true, time: 5000 }]));
  const second = await files.acquire(path);
  expect([first.packetCount, second.packetCount]).toEqual([50, 51]);
  expect(await isClosed(first)).toBe(false);
  files.release(first);
  await setImmediate();
  expect(await isClosed(first)).toBe(true);

  await copyFile(film('replacement', 70), `${path}.new`);
  await rename(`${path}.new`, path);
  const third = await files.acquire(path);
  expect(third.packetCount).toBe(70);
  expect(await play(second)).toHaveLength(51);

  await utimes(path, 1, 1);
  const fourth = await files.acquire(path);
  expect(fourth).not.toBe(third);
  expect(fourth.modified.getTime()).toBe(1000);
  await rm(path);
  await expect(files.acquire(path)).rejects.toMatchObject({ code: 'WM_NO_INPUT' });
  expect(await play(fourth)).toHaveLength(70);
});

it('tells every player that a file cannot be opened, and tries again', async () => {
  const files = registry();
  const path = join(folder, 'later.wmv');
  const tries = await Promise.allSettled([files.acquire(path), files.acquire(path)]);
  expect(tries.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(files.size).toBe(0);
  await writeFile(path, 'not yet');
  await expect(files.acquire(path)).rejects.toMatchObject({ code: 'WM_ASF_MALFORMED' });
  film('later');
  expect((await files.acquire(path)).packetCount).toBe(50);
});

it('stays within its limit of open files: closes idle ones, and prefers an older state to none', async () => {
  const files = registry({ maxFiles: 2 });
  const [a, b, c] = [film('a'), film('b'), film('c')];
  const first = await files.acquire(a);
  const second = await files.acquire(b);
  await expect(files.acquire(c)).rejects.toMatchObject({
    code: 'WM_FAILED',
    message: expect.stringContaining('2 files'),
  });
  await appendFile(a, madePacket(5000, [{ stream: 1, key: true, time: 5000 }]));
  expect(await files.acquire(a)).toBe(first);
  files.release(second);
  const third = await files.acquire(c);
  expect(await isClosed(second)).toBe(true);
  await untilClosed('b.wmv');
  expect((await descriptors()).sort()).toEqual(['a.wmv', 'c.wmv']);
  expect(await isClosed(third)).toBe(false);
});

it('closes everything at the end, even files that are playing', async () => {
  const files = registry();
  const file = await files.acquire(film('open'));
  const opening = files.acquire(film('opening'));
  await files.close();
  await Promise.allSettled([opening]);
  expect(await isClosed(file)).toBe(true);
  expect(await descriptors()).toEqual([]);
  files.release(file);
  await expect(files.acquire(film('late'))).rejects.toMatchObject({ code: 'WM_FAILED' });
});
