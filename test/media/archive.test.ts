import { createReadStream, existsSync } from 'node:fs';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { liveHeader } from '../../src/asf/edit.js';
import type { AsfHeader } from '../../src/asf/header.js';
import { WmError } from '../../src/errors.js';
import { type ArchiveFile, ArchiveSink } from '../../src/media/archive.js';
import type { AsfEvent, PacketEvent } from '../../src/media/events.js';
import { fileSource } from '../../src/media/file-source.js';
import { collect, decode, ffmpegPath, temporaryFolder } from '../capture/support.js';
import { until } from '../support/until.js';
import { makeFile, makeHeader, makePacket } from './support.js';

const folder = temporaryFolder();
const film = join(folder, 'film.asf');
const end: AsfEvent = { type: 'end', moreEntries: false, reason: 0 };
let events: AsfEvent[];
let header: AsfHeader;

beforeAll(async () => {
  await makeFile(film);
  events = (await collect(fileSource({ path: film, live: true }))).events;
  header = liveHeader(await makeHeader());
});

const packet = (time: number): PacketEvent => ({ type: 'packet', packet: makePacket(time, [{ time: time + 3100 }]) });
const framesOf = async (path: string) => (await decode(await readFile(path))).frames.get(0)?.length;

/** A file in memory that fails as told. */
class FakeFile implements ArchiveFile {
  bytes = Buffer.alloc(0);
  room = Number.POSITIVE_INFINITY;
  isRegular = true;
  closed = false;
  /** Awaited before each write. */
  gate: Promise<void> | undefined;
  largestWrite = 0;

  async write(
    bytes: Buffer,
    offset: number,
    length: number,
    position: number | null,
  ): Promise<{ bytesWritten: number }> {
    await this.gate;
    this.largestWrite = Math.max(this.largestWrite, length);
    const at = position ?? this.bytes.length;
    const count = Math.min(length, Math.max(this.room - at, 0));
    if (count === 0) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const size = Math.max(this.bytes.length, at + count);
    this.bytes = Buffer.concat([this.bytes, Buffer.alloc(size - this.bytes.length)]);
    bytes.copy(this.bytes, at, offset, offset + count);
    return { bytesWritten: count };
  }

  async truncate(length: number): Promise<void> {
    this.bytes = this.bytes.subarray(0, length);
  }

  async sync(): Promise<void> {}

  async stat() {
    return { isFile: () => this.isRegular };
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

function fakeArchive(file = new FakeFile(), options = {}) {
  return { file, archive: new ArchiveSink('rec.asf', { open: async () => file, ...options }) };
}

describe('ArchiveSink', () => {
  it('completes the file at the end: counts, durations, an index', async () => {
    const path = join(folder, 'done.asf');
    const archive = new ArchiveSink(path);
    for (const event of events) await archive.write(event);
    const packets = events.length - 2;
    expect(archive.files).toEqual([{ path, packets, bytes: (await readFile(path)).length, finished: true }]);
    await archive.close();
    await archive.close();

    const { events: again } = await collect(fileSource({ path }));
    const [first] = again;
    if (first?.type !== 'header') throw new Error('No header.');
    expect(first.header.fileProperties).toMatchObject({
      flags: 2,
      dataPacketsCount: BigInt(packets),
      fileSize: BigInt((await readFile(path)).length),
    });
    expect(again).toHaveLength(events.length);
    expect(await framesOf(path)).toBe(50);
    const { stdout } = await execa(ffmpegPath, [
      '-v',
      'error',
      '-ss',
      '1',
      '-i',
      path,
      '-map',
      '0:v',
      '-f',
      'framemd5',
      '-',
    ]);
    // The last second; the times of the video start 46 ms late, after the priming of the audio.
    expect([25, 26]).toContain(stdout.split('\n').filter((line) => line.startsWith('0,')).length);
  });

  it('completes the file at close if there was no end', async () => {
    const path = join(folder, 'closed.asf');
    const archive = new ArchiveSink(path);
    for (const event of events.slice(0, -1)) await archive.write(event);
    await archive.close();
    expect(archive.files[0]?.finished).toBe(true);
    expect(await framesOf(path)).toBe(50);
    await expect(archive.write(events[1]!)).rejects.toThrow(/already closed/);
  });

  it('is playable at any moment, even if the process is killed', async () => {
    const path = join(folder, 'killed.asf');
    const archive = new ArchiveSink(path, { queue: 0 });
    const half = Math.floor(events.length / 2);
    // With no queue, each write waits until everything is on the disk; the file is now what a kill would leave.
    for (const event of events.slice(0, half)) await archive.write(event);
    const left = await readFile(path);
    const { frames, complaints } = await decode(left);
    expect(complaints).toBe('');
    expect(frames.get(0)!.length).toBeGreaterThan(15);
    const { events: again } = await collect(fileSource({ path }));
    expect(again).toHaveLength(half + 1);
    await archive.close();
  });

  it('opens a new file for each header', async () => {
    const path = join(folder, 'entries.asf');
    const archive = new ArchiveSink(path);
    for (const event of [...events, ...events, ...events.slice(0, 1), ...events]) await archive.write(event);
    await archive.close();
    const paths = [path, join(folder, 'entries-2.asf'), join(folder, 'entries-3.asf')];
    expect(archive.files.map((file) => file.path)).toEqual(paths);
    for (const each of paths) expect(await framesOf(each)).toBe(50);
  });

  it('starts a file at 0 even if the stream was joined late', async () => {
    const { file, archive } = fakeArchive();
    await archive.write({ type: 'header', header });
    for (let time = 3_600_000; time < 3_600_500; time += 40) await archive.write(packet(time));
    await archive.close();
    const path = join(folder, 'late.asf');
    await writeFile(path, file.bytes);
    const { events: again } = await collect(fileSource({ path }));
    expect(again[1]).toMatchObject({ packet: { sendTime: 0 } });
  });

  it('writes the live form to anything but a regular file, front to back', async () => {
    const file = new FakeFile();
    file.isRegular = false;
    const { archive } = fakeArchive(file);
    for (const event of events) await archive.write(event);
    await archive.close();
    const first = events[0]!;
    expect(
      first.type === 'header' && file.bytes.subarray(0, first.header.bytes.length).equals(first.header.bytes),
    ).toBe(true);
    expect((await decode(file.bytes)).frames.get(0)).toHaveLength(50);
    expect(file.closed).toBe(true);
  });

  it('asks its caller to wait while the disk is slow, and writes in large pieces', async () => {
    let openGate: () => void = () => undefined;
    const { file, archive } = fakeArchive(new FakeFile(), { queue: 4000 });
    await archive.write({ type: 'header', header });
    file.gate = new Promise((resolve) => {
      openGate = resolve;
    });
    let waits: Promise<void> | undefined;
    let count = 0;
    while (waits === undefined && count < 1000)
      waits = archive.write(packet(count++ * 40)) as Promise<void> | undefined;
    expect(count).toBe(12);
    let isWaiting = true;
    void waits!.then(() => {
      isWaiting = false;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isWaiting).toBe(true);
    openGate();
    await waits;
    await archive.close();
    expect(archive.files[0]).toMatchObject({ packets: count, finished: true });
    expect(file.largestWrite).toBeGreaterThan(4000);
  });

  it('fails rather than fill the memory for a caller that does not wait', async () => {
    const { file, archive } = fakeArchive(new FakeFile(), { queue: 4000, queueLimit: 8000 });
    await archive.write({ type: 'header', header });
    file.gate = new Promise(() => undefined);
    const results: Promise<void>[] = [];
    for (let index = 0; index < 40; index++) {
      const result = archive.write(packet(index * 40));
      if (result !== undefined) results.push(result);
    }
    const outcomes = await Promise.allSettled(results);
    const failed = outcomes.filter(({ status }) => status === 'rejected');
    expect(failed.length).toBeGreaterThan(0);
    for (const outcome of failed)
      expect(outcome).toMatchObject({
        reason: { code: 'WM_DISK', message: expect.stringContaining('the disk is slower than the stream') },
      });
    await archive.write(packet(0));
  });

  it('warns about packets that no file can hold, and goes on', async () => {
    const warnings: string[] = [];
    const { archive } = fakeArchive(new FakeFile(), { warn: (message: string) => warnings.push(message) });
    await archive.write(packet(0));
    await archive.write({ type: 'header', header });
    await archive.write({ type: 'packet', packet: makePacket(0, [{ time: 3100 }], 900) });
    await archive.write({ type: 'packet', packet: makePacket(0, [{ time: 3100, size: 600 }], 900) });
    await archive.write(packet(40));
    await archive.close();
    expect(warnings[0]).toMatch(/a packet is left out: no header came before it/);
    expect(warnings.at(-1)).toMatch(/^rec\.asf: 2 packets are missing/);
    expect(archive.files[0]?.packets).toBe(2);
  });

  it('leaves a file unchanged if it may not be replaced', async () => {
    const path = join(folder, 'kept.asf');
    await writeFile(path, 'precious');
    const archive = new ArchiveSink(path, { existing: 'refuse' });
    await expect(archive.write(events[0]!)).rejects.toMatchObject({
      code: 'WM_DISK',
      message: expect.stringContaining('exists already'),
    });
    await archive.close();
    expect(await readFile(path, 'utf8')).toBe('precious');
  });
});

describe('ArchiveSink on a disk that fails', () => {
  it('says once what is safe if the disk is full, and keeps it playable', async () => {
    const file = new FakeFile();
    const first = events[0]!;
    const headerSize = first.type === 'header' ? first.header.bytes.length : 0;
    file.room = headerSize + 20 * 1400 + 500;
    const { archive } = fakeArchive(file, { queue: 0 });
    const errors: unknown[] = [];
    for (const event of events) {
      try {
        await archive.write(event);
      } catch (error) {
        errors.push(error);
      }
    }
    await archive.close();
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeInstanceOf(WmError);
    expect(errors[0]).toMatchObject({
      code: 'WM_DISK',
      message:
        'The archive rec.asf cannot be written: the disk is full (ENOSPC); its first 20 packets (29 kB) are safe and play.',
    });
    expect(file.bytes).toHaveLength(headerSize + 20 * 1400);
    expect(file.closed).toBe(true);
    const { frames, complaints } = await decode(file.bytes);
    expect(complaints).toBe('');
    expect(frames.get(0)!.length).toBeGreaterThanOrEqual(5);
    expect(archive.files).toEqual([{ path: 'rec.asf', packets: 20, bytes: headerSize + 20 * 1400, finished: false }]);
  });

  it('reports at close what no write could report any more', async () => {
    const file = new FakeFile();
    file.room = header.bytes.length + 3 * 400;
    const { archive } = fakeArchive(file);
    await archive.write({ type: 'header', header });
    for (let index = 0; index < 5; index++) expect(archive.write(packet(index * 40))).toBeUndefined();
    await expect(archive.close()).rejects.toMatchObject({
      code: 'WM_DISK',
      message: expect.stringContaining('its first 3 packets'),
    });
    await archive.close();
  });

  it('keeps everything if only the index finds no room', async () => {
    const file = new FakeFile();
    file.room = header.bytes.length + 2 * 400;
    const { archive } = fakeArchive(file);
    await archive.write({ type: 'header', header });
    await archive.write(packet(0));
    await archive.write(packet(40));
    await expect(archive.write(end)).rejects.toMatchObject({
      code: 'WM_DISK',
      message: expect.stringContaining('its first 2 packets'),
    });
    expect(file.bytes).toHaveLength(header.bytes.length + 800);
    await archive.close();
  });

  it('says why a file cannot be created', async () => {
    const missing = new ArchiveSink(join(folder, 'no', 'such', 'folder.asf'));
    await expect(missing.write(events[0]!)).rejects.toMatchObject({
      code: 'WM_DISK',
      message: expect.stringContaining('cannot be created: no such file or folder (ENOENT)'),
    });
    await missing.close();
    await mkdir(join(folder, 'taken.asf'), { recursive: true });
    await expect(new ArchiveSink(join(folder, 'taken.asf')).write(events[0]!)).rejects.toThrow(
      /it is a folder \(EISDIR\)/,
    );
    const denied = new ArchiveSink('rec.asf', {
      open: () => Promise.reject(Object.assign(new Error('EACCES'), { code: 'EACCES' })),
    });
    await expect(denied.write(events[0]!)).rejects.toThrow(
      'The archive rec.asf cannot be created: permission denied (EACCES).',
    );
  });

  (existsSync('/dev/full') ? it : it.skip)('notices a full device (needs /dev/full)', async () => {
    const archive = new ArchiveSink('/dev/full');
    await expect(archive.write(events[0]!)).rejects.toMatchObject({
      code: 'WM_DISK',
      exitCode: 1,
      message: expect.stringMatching(/the disk is full \(ENOSPC\); nothing of it is safe/),
    });
    await archive.close();
  });

  it('releases the file', async () => {
    const path = join(folder, 'handle.asf');
    let handle: Awaited<ReturnType<typeof open>> | undefined;
    const archive = new ArchiveSink(path, {
      open: async (name, flags) => {
        handle = await open(name, flags);
        return handle;
      },
    });
    for (const event of events.slice(0, 5)) await archive.write(event);
    await archive.close();
    expect(handle?.fd).toBe(-1);
    createReadStream(path).destroy();
  });
});

describe('ArchiveSink on a disk that does not answer', () => {
  const never = new Promise<never>(() => {});

  /** Writes packets until the caller is asked to wait. */
  function untilItAsks(archive: ArchiveSink): Promise<void> {
    for (let time = 0; ; time += 40) {
      const wait = archive.write(packet(time));
      if (wait) return wait;
    }
  }

  it('fails when its patience is over, wherever the disk stops', async () => {
    const opening = new ArchiveSink('rec.asf', { open: () => never, patience: 20 });
    await expect(opening.write({ type: 'header', header })).rejects.toThrow(/has not answered for 0.02 s/);
    await opening.close();

    const { file, archive } = fakeArchive(new FakeFile(), { patience: 20, queue: 1000 });
    await archive.write({ type: 'header', header });
    file.gate = never;
    const wait = untilItAsks(archive);
    await expect(wait).rejects.toMatchObject({ code: 'WM_DISK', message: expect.stringContaining('has not answered') });
    // Nothing more is asked of the file, not even to close.
    expect(file.closed).toBe(false);
    expect(archive.write(packet(1000))).toBeUndefined();
    await archive.close();
  });

  it('closes a file that is opened late after all', async () => {
    const file = new FakeFile();
    let answer: () => void = () => {};
    const opened = new Promise<FakeFile>((resolve) => (answer = () => resolve(file)));
    const archive = new ArchiveSink('rec.asf', { open: () => opened, patience: 20 });
    await expect(archive.write({ type: 'header', header })).rejects.toThrow(/has not answered/);
    answer();
    await until('the file to be closed', () => file.closed);
    expect(archive.files).toEqual([]);
  });

  it('can be aborted', async () => {
    const { file, archive } = fakeArchive(new FakeFile(), { queue: 1000 });
    await archive.write({ type: 'header', header });
    let open: () => void = () => {};
    file.gate = new Promise((resolve) => (open = resolve));
    const wait = untilItAsks(archive);
    archive.abort('nobody wants it');
    await expect(wait).rejects.toThrow(/nobody wants it/);
    open();
    await archive.close();
    await until('the file to be closed', () => file.closed);
  });

  it('counts queued packets with the padding that they will have', async () => {
    const { file, archive } = fakeArchive(new FakeFile(), { queue: 4000 });
    await archive.write({ type: 'header', header });
    file.gate = never;
    const tiny = makePacket(0, [{ time: 3100, size: 1 }], 60);
    const waits = Array.from({ length: 12 }, () => archive.write({ type: 'packet', packet: tiny }) !== undefined);
    // The first one does not have to wait any more.
    expect(waits).toEqual([...Array(11).fill(false), true]);
  });

  it('does not become far larger than its input', async () => {
    const large = liveHeader(await makeHeader(60_000));
    const file = new FakeFile();
    file.write = async (_bytes, _offset, length) => ({ bytesWritten: length });
    const { archive } = fakeArchive(file, { maxExpansion: 100, queueLimit: 1e12 });
    await archive.write({ type: 'header', header: large });
    const tiny = makePacket(0, [{ time: 3100, size: 1 }], 60);
    let failure: unknown;
    for (let count = 0; count < 2000 && failure === undefined; count++) {
      await Promise.resolve(archive.write({ type: 'packet', packet: tiny })).catch((error) => (failure = error));
    }
    expect(failure).toMatchObject({ code: 'WM_DISK', message: expect.stringContaining('padding') });
    expect(archive.files[0]!.bytes).toBeLessThan(70 * 1024 * 1024);
  });
});
