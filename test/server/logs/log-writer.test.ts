import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkLogFolder, type LogFile, LogWriter, type LogWriterOptions } from '../../../src/server/logs/log-writer.js';

const HEAD = (started: Date, ended: Date) => `#StartDate: ${started.toISOString()}\n#EndDate: ${ended.toISOString()}\n`;

/** A disk with room for so many bytes, which writes what fits before it fails. */
class SmallDisk {
  readonly files = new Map<string, Buffer>();
  room = Number.POSITIVE_INFINITY;

  readonly create = async (path: string): Promise<LogFile> => {
    if (this.files.has(path)) throw Object.assign(new Error('there'), { code: 'EEXIST' });
    this.files.set(path, Buffer.alloc(0));
    return {
      write: async (bytes, offset, length, position) => {
        const file = this.files.get(path)!;
        const grown = Math.max(0, position + length - file.length);
        const written = length - Math.max(0, grown - this.room);
        if (written <= 0) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
        const next = Buffer.alloc(Math.max(file.length, position + written));
        file.copy(next);
        bytes.copy(next, position, offset, offset + written);
        this.room -= next.length - file.length;
        this.files.set(path, next);
        return { bytesWritten: written };
      },
      truncate: async (length) => {
        const file = this.files.get(path)!;
        this.room += Math.max(0, file.length - length);
        this.files.set(path, file.subarray(0, length));
      },
      datasync: async () => {},
      close: async () => {},
    };
  };

  get texts(): string[] {
    return [...this.files.values()].map(String);
  }
}

describe('a writer of log files', () => {
  let folder: string;
  const warnings: string[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wmcast-logs-'));
    warnings.length = 0;
  });
  afterEach(() => rm(folder, { recursive: true }));

  const writer = (options: Partial<LogWriterOptions> = {}) =>
    new LogWriter({ folder, head: HEAD, onWarning: (message) => warnings.push(message), ...options });
  const names = async () => (await readdir(folder)).sort();
  const text = (name: string) => readFile(join(folder, name), 'utf8');

  it('names its file after the day, begins it with the head, and dates its end', async () => {
    let now = new Date('2026-11-30T23:59:58Z');
    const log = writer({ now: () => now });
    expect(await names()).toEqual([]);
    log.write('one\n');
    await log.settled();
    expect(await text('WMS_20261130.log')).toBe(`${HEAD(now, now)}one\n`);
    const started = now;
    now = new Date('2026-11-30T23:59:59Z');
    log.write('two\n');
    await log.close();
    expect(await text('WMS_20261130.log')).toBe(`${HEAD(started, now)}one\ntwo\n`);
  });

  it('can begin its first file before there is a line', async () => {
    const now = () => new Date('2026-11-30T12:00:00Z');
    const log = writer({ now });
    const opening = log.open();
    log.write('one\n');
    await opening;
    await log.close();
    expect(await names()).toEqual(['WMS_20261130.log']);
    expect(await text('WMS_20261130.log')).toBe(`${HEAD(now(), now())}one\n`);
    const disk = new SmallDisk();
    disk.room = 0;
    await writer({ create: disk.create }).open();
    expect(warnings).toHaveLength(1);
  });

  it('begins another file each day', async () => {
    let now = new Date('2026-11-30T23:59:59Z');
    const log = writer({ now: () => now });
    log.write('old\n');
    await log.settled();
    now = new Date('2026-12-01T00:00:00Z');
    log.write('new\n');
    await log.close();
    expect(await names()).toEqual(['WMS_20261130.log', 'WMS_20261201.log']);
    expect(await text('WMS_20261201.log')).toMatch(/\nnew\n$/);
  });

  it('begins another file when one is full, with whole lines in each', async () => {
    const log = writer({ maxSize: 300, now: () => new Date('2026-11-30T12:00:00Z') });
    const lines = Array.from({ length: 40 }, (_, index) => `line ${index}, which is a little longer\n`);
    for (const line of lines) log.write(line);
    await log.close();
    const files = await Promise.all((await names()).map(text));
    expect(files.length).toBeGreaterThan(5);
    expect(await names()).toContain('WMS_20261130_001.log');
    for (const file of files) expect(file.length).toBeLessThanOrEqual(300);
    expect(files.flatMap((file) => file.split('\n').filter((line) => line.startsWith('line'))).join('')).toHaveLength(
      lines.join('').length - 40,
    );
  });

  it('writes a line that is larger than a file may be', async () => {
    const log = writer({ maxSize: 10 });
    log.write(`${'x'.repeat(50)}\n`);
    log.write(`${'y'.repeat(50)}\n`);
    await log.close();
    expect(await names()).toHaveLength(2);
  });

  it('never touches a file that exists', async () => {
    const now = () => new Date('2026-11-30T12:00:00Z');
    await writeFile(join(folder, 'WMS_20261130.log'), 'precious');
    const first = writer({ now });
    const second = writer({ now });
    first.write('first\n');
    second.write('second\n');
    await Promise.all([first.close(), second.close()]);
    expect(await names()).toEqual(['WMS_20261130.log', 'WMS_20261130_001.log', 'WMS_20261130_002.log']);
    expect(await text('WMS_20261130.log')).toBe('precious');
  });

  it('stops with one warning on a full disk, leaves no torn line, and goes on once there is room', async () => {
    const disk = new SmallDisk();
    const log = writer({ create: disk.create, retryAfter: 0 });
    log.write('a line\n');
    await log.settled();
    disk.room = 3;
    for (let line = 0; line < 5; line++) {
      log.write('another line\n');
      await log.settled();
    }
    expect(disk.texts[0]).toMatch(/\na line\n$/);
    expect(warnings).toEqual([expect.stringMatching(/has stopped: the disk is full \(ENOSPC\)\. Serving goes on/)]);
    disk.room = 1_000;
    log.write('the last line\n');
    await log.settled();
    expect(disk.texts).toEqual([expect.stringMatching(/\na line\nthe last line\n$/)]);
    expect(warnings[1]).toMatch(/goes on in .*; 5 lines were lost\./);
    await log.close();
  });

  it('writes the head again if the disk was full when the file was begun', async () => {
    const disk = new SmallDisk();
    disk.room = 10;
    const log = writer({ create: disk.create, retryAfter: 0 });
    log.write('lost\n');
    await log.settled();
    disk.room = 1_000;
    log.write('kept\n');
    await log.close();
    expect(disk.texts).toEqual([expect.stringMatching(/^#StartDate: .*\n#EndDate: .*\nkept\n$/)]);
  });

  it('waits before it tries again, and bounds what waits for a disk that does not answer', async () => {
    const disk = new SmallDisk();
    disk.room = 0;
    let tries = 0;
    const create = (path: string) => {
      tries++;
      return disk.create(path);
    };
    const log = writer({ create, retryAfter: 60_000 });
    for (let line = 0; line < 100; line++) {
      log.write('line\n');
      await log.settled();
    }
    expect(tries).toBe(1);
    const stuck = writer({ create: () => new Promise(() => {}) });
    for (let line = 0; line < 100_000; line++) stuck.write(`${'x'.repeat(100)}\n`);
    expect(stuck.written).toBe(0);
  });
});

describe('a log folder', () => {
  it('is created if it is missing, and refused if that is impossible', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wmcast-logs-'));
    await checkLogFolder(join(folder, 'a/b'));
    expect(await readdir(folder)).toEqual(['a']);
    await writeFile(join(folder, 'file'), '');
    await expect(checkLogFolder(join(folder, 'file/b'))).rejects.toMatchObject({
      code: 'WM_CONFIG',
      message: expect.stringMatching(
        /The log folder .*file\/b cannot be written: it, or a part of its path, is not a folder/,
      ),
    });
    await rm(folder, { recursive: true });
  });
});
