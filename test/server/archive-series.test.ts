import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArchiveNames } from '../../src/server/points/archive-names.js';
import { type ArchiveLimits, ArchiveSeries } from '../../src/server/points/archive-series.js';
import { temporaryFolder } from '../capture/support.js';
import { readBack } from '../cli/run.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';

const root = temporaryFolder();
let made = 0;

function series(limits: ArchiveLimits, more: { free?: () => Promise<number> } = {}) {
  const folder = join(root, String(made++));
  const clock = { now: Date.UTC(2026, 10, 30, 12) };
  const files: string[] = [];
  const warnings: string[] = [];
  const archive = new ArchiveSeries(folder, '/live', {
    limits,
    onFile: (file) => files.push(file.slice(folder.length + 1)),
    onWarning: (message) => warnings.push(message),
    now: () => clock.now,
    ...more,
  });
  return { folder, clock, files, warnings, archive };
}

const header = { type: 'header', header: testHeader() } as const;

/** Writes packets every 100 ms of media, with a key frame every second; the clock goes with them. */
async function feed(archive: ArchiveSeries, clock: { now: number }, from: number, to: number): Promise<void> {
  for (let time = from; time < to; time += 100) {
    clock.now += 100;
    await archive.write({ type: 'packet', packet: testPacket(time, { key: time % 1000 === 0 }) });
  }
}

describe('the names of an archive', () => {
  const time = new Date(Date.UTC(2026, 10, 30, 12, 34, 56, 789));

  it.each([
    [undefined, '/live', 'live-2026-11-30T12-34-56.789Z.asf'],
    ['{point}/{date}/{time}', '/a/b', 'a%2Fb/2026-11-30/12-34-56.789Z.asf'],
    ['x+{time}', '/live', 'x+12-34-56.789Z.asf'],
  ])('by the template %s', (template, point, name) => {
    const names = new ArchiveNames(point, template);
    expect(names.at(time)).toBe(name);
    expect(names.matches(name)).toBe(true);
    expect(names.matches(name.replace('.asf', '-2.asf'))).toBe(true);
    expect(names.matches(`other-${name}`)).toBe(false);
  });

  it('match no file of another point, and none of another kind', () => {
    const names = new ArchiveNames('/live');
    for (const name of ['live2-2026-11-30T12-34-56.789Z.asf', 'film.asf', 'live-2026-11-30T12-34-56.789Z.wmv']) {
      expect(names.matches(name)).toBe(false);
    }
  });
});

describe('the archive of a point', () => {
  it('begins a new file at a key frame, by the length of the media, and each file plays', async () => {
    const { archive, clock, files, folder } = series({ maxMinutes: 0.05, name: '{point}/{time}' });
    archive.write(header);
    await feed(archive, clock, 0, 7_000);
    await archive.close();
    expect(files).toHaveLength(3);
    const shapes = await Promise.all(files.map((file) => readBack(join(folder, file))));
    for (const { warnings, live } of shapes) expect([warnings, live]).toEqual([[], false]);
    const counts = shapes.map(({ shape }) => shape.match(/p|D/g)?.length ?? shape.length);
    expect(counts[0]).toBe(counts[1]);
  });

  it('begins a new file by size', async () => {
    const { archive, clock, files } = series({ maxSize: 0.01 });
    archive.write(header);
    await feed(archive, clock, 0, 10_000);
    await archive.close();
    expect(files.length).toBeGreaterThan(2);
  });

  it('is one file without limits', async () => {
    const { archive, clock, files } = series({});
    archive.write(header);
    await feed(archive, clock, 0, 3_000);
    await archive.close();
    expect(files).toEqual(['live-2026-11-30T12-00-00.000Z.asf']);
  });

  it('deletes its own files when they are old, and nothing else', async () => {
    const { archive, clock, folder } = series({ keepDays: 1 });
    await mkdir(folder, { recursive: true });
    const old = ['live-2026-11-28T12-00-00.000Z.asf', 'live2-2026-11-28T12-00-00.000Z.asf', 'film.asf'];
    for (const name of old) {
      await writeFile(join(folder, name), '');
      await utimes(join(folder, name), new Date(clock.now), (clock.now - 2 * 86_400_000) / 1000);
    }
    archive.write(header);
    await feed(archive, clock, 0, 1_000);
    await archive.close();
    expect((await readdir(folder)).sort()).toEqual(['film.asf', 'live-2026-11-30T12-00-00.000Z.asf', old[1]]);
  });

  it('records nothing while the disk is nearly full, says so once, and goes on when there is room', async () => {
    let bytes = 1_000_000;
    const { archive, clock, files, warnings } = series({ minFree: 10 }, { free: async () => bytes });
    archive.write(header);
    await until('the warning', () => warnings.length > 0);
    expect(warnings[0]).toContain('has less than 10 MB of free space, so nothing is recorded.');
    await feed(archive, clock, 0, 1_000);
    bytes = 100_000_000;
    clock.now += 40_000;
    await feed(archive, clock, 1_000, 1_100);
    await new Promise((resolve) => setImmediate(resolve));
    await feed(archive, clock, 2_000, 3_000);
    await archive.close();
    expect(files).toHaveLength(2);
    expect(warnings).toHaveLength(1);
  });
});
