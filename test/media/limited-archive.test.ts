import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AsfEvent } from '../../src/media/events.js';
import { fileSource } from '../../src/media/file-source.js';
import { LimitedArchive, type LimitedArchiveOptions } from '../../src/media/limited-archive.js';
import { collect, decode, temporaryFolder } from '../capture/support.js';
import { makeFile } from './support.js';

const folder = temporaryFolder();
let events: AsfEvent[];
let packets: number;

beforeAll(async () => {
  const film = join(folder, 'film.asf');
  await makeFile(film, { seconds: 8 });
  events = (await collect(fileSource({ path: film, live: true }))).events;
  packets = events.filter(({ type }) => type === 'packet').length;
});

async function record(name: string, options: LimitedArchiveOptions, each: (index: number) => void = () => {}) {
  const warnings: string[] = [];
  const archive = new LimitedArchive(join(folder, name), {
    existing: 'number',
    warn: (message) => warnings.push(message),
    ...options,
  });
  for (const [index, event] of events.entries()) {
    each(index);
    await archive.write(event);
    // The answer about the free space comes in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await archive.close();
  const frames = await Promise.all(
    archive.files.map(async ({ path }) => {
      const { frames: decoded, complaints } = await decode(await readFile(path));
      expect(complaints).toBe('');
      return decoded.get(0)?.length ?? 0;
    }),
  );
  return { files: archive.files, frames, warnings };
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

describe('a recording with limits', () => {
  it('begins another file at a key frame before one becomes too large, and loses nothing', async () => {
    const { files, frames, warnings } = await record('size.asf', { limits: { size: 110_000 } });
    expect(files.length).toBeGreaterThan(2);
    for (const { bytes, finished } of files) expect([finished, bytes <= 115_000]).toEqual([true, true]);
    expect(sum(files.map((file) => file.packets))).toBeGreaterThanOrEqual(packets);
    expect(sum(frames)).toBe(200);
    // A key frame a second.
    expect(frames.slice(0, -1).every((count) => Math.abs(count - 25 * Math.round(count / 25)) <= 1)).toBe(true);
    expect(warnings).toEqual([]);
  });

  it('begins another file after a time, and replaces none that exists', async () => {
    const kept = join(folder, 'time-2.asf');
    await writeFile(kept, 'kept');
    const { files, frames } = await record('time.asf', { limits: { duration: 3 } });
    expect(files.map(({ path }) => path)).toEqual(
      ['time.asf', 'time-3.asf', 'time-4.asf'].map((each) => join(folder, each)),
    );
    expect(await readFile(kept, 'utf8')).toBe('kept');
    expect(sum(frames)).toBe(200);
    expect(frames[0]).toBeGreaterThanOrEqual(74);
    expect(frames[0]).toBeLessThanOrEqual(101);
  });

  it('ends at its limit if it is told to, and says so', async () => {
    const { files, warnings } = await record('stop.asf', { limits: { duration: 3, full: 'stop' } });
    expect(files).toMatchObject([{ finished: true }]);
    expect(warnings).toEqual([`${join(folder, 'stop.asf')} has reached its limit; the rest is not recorded.`]);
  });

  it('pauses while the disk has too little room, and goes on in another file', async () => {
    let [free, now] = [1000, 0];
    const options = { limits: { free: 500 }, freeBytes: () => Promise.resolve(free), now: () => now };
    const { files, frames, warnings } = await record('free.asf', options, (index) => {
      now = index * 1000;
      if (index === 50) free = 400;
      // Too little more for it to go on.
      if (index === 80) free = 510;
      if (index === 110) free = 600;
    });
    expect(files.map(({ path }) => path)).toEqual(['free.asf', 'free-2.asf'].map((each) => join(folder, each)));
    expect(warnings).toEqual([expect.stringContaining('left; nothing is recorded until there is more.')]);
    expect(sum(frames)).toBeLessThan(200);
    expect(sum(files.map((file) => file.packets))).toBeLessThan(packets - 50);
    expect(files.every(({ finished }) => finished)).toBe(true);
  });

  it('reports a file that cannot be created in the middle', async () => {
    let opened = 0;
    const { open } = await import('node:fs/promises');
    const archive = new LimitedArchive(join(folder, 'broken.asf'), {
      limits: { duration: 2 },
      open: (path, flags) => {
        if (++opened > 1) throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
        return open(path, flags);
      },
    });
    const errors: unknown[] = [];
    for (const event of events) {
      try {
        await archive.write(event);
      } catch (error) {
        errors.push(error);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await archive.close().catch((error: unknown) => errors.push(error));
    expect(errors).toEqual([expect.objectContaining({ code: 'WM_DISK' })]);
    expect(archive.files).toMatchObject([{ finished: true }]);
  });
});
