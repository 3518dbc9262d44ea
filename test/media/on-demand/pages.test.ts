import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { PacketScanner } from '../../../src/asf/scan.js';
import { DiskFile } from '../../../src/media/on-demand/disk-file.js';
import { OnDemandFile } from '../../../src/media/on-demand/file.js';
import { OnDemandFlow } from '../../../src/media/on-demand/flow.js';
import { framed, type HeadedFormat } from '../../../src/media/on-demand/framed.js';
import type { DueCheck } from '../../../src/media/on-demand/options.js';
import type { PageStretch } from '../../../src/media/on-demand/page.js';
import { PageCache } from '../../../src/media/on-demand/page-cache.js';
import type { OnDemandReader } from '../../../src/media/on-demand/reader.js';
import { contentsOf, everything, makeMedia, only } from './support.js';

const folder = mkdtempSync(join(tmpdir(), 'wmcast-pages-'));
const path = join(folder, 'film.wmv');
const opened: OnDemandFile[] = [];

async function open(options: { cache?: PageCache } = {}): Promise<OnDemandFile> {
  const file = await OnDemandFile.open(path, options);
  opened.push(file);
  return file;
}

const HEAD = 8;

/** A format whose head is the location, the number, and whether a packet is followed. */
function headed(more: Partial<HeadedFormat['head']> = {}, key = 'headed'): HeadedFormat {
  const head: HeadedFormat['head'] = {
    size: HEAD,
    marksFollowed: false,
    write: (into, at, location, length, followed, number) => {
      into.writeUInt32LE(location, at);
      into[at + 4] = number;
      into[at + 5] = followed && head.marksFollowed ? 1 : 0;
      into.writeUInt16LE(length, at + 6);
    },
    ...more,
  };
  const none = () => {
    throw new Error('Written one by one.');
  };
  return { key, numbers: 'player', mask: 255, head, size: none, write: none };
}

interface Frame {
  readonly location: number;
  readonly number: number;
  readonly followed: boolean;
  readonly bytes: Buffer;
}

function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + HEAD + bytes.readUInt16LE(at + 6);
    const [location, number, followed] = [bytes.readUInt32LE(at), bytes[at + 4]!, bytes[at + 5] === 1];
    frames.push({ location, number, followed, bytes: bytes.subarray(at + HEAD, end) });
    at = end;
  }
  return frames;
}

function readerOf(file: OnDemandFile, choice = everything, from = 0): OnDemandReader {
  const reader = file.reader({ from, choice, rate: 1, padding: 'cut', exact: true });
  reader.gap = HEAD;
  return reader;
}

/** Returns the next packets of a reader, at most `count`, which stay held. */
async function stretchOf(reader: OnDemandReader, count = Number.POSITIVE_INFINITY): Promise<PageStretch> {
  let given = 0;
  const pacer: DueCheck = { span: 250, due: () => given < count, given: () => given++ };
  const { stretch } = await reader.next(pacer);
  return stretch!;
}

/** Reads all of a file in pages, and gives each back at once. */
async function readThrough(file: OnDemandFile, cache?: PageCache): Promise<number> {
  const reader = readerOf(file);
  for (let most = 0; ; ) {
    const batch = await reader.next();
    most = Math.max(most, cache?.used ?? 0);
    batch.release?.();
    if (batch.end) return most;
  }
}

beforeAll(() => makeMedia(path, { seconds: 60, gops: [25], videoBitrate: '600k' }));
afterAll(async () => {
  await Promise.all(opened.map((file) => file.close()));
  rmSync(folder, { recursive: true });
});
afterEach(() => jest.restoreAllMocks());

describe('players of one file', () => {
  it('share what is read, parsed and framed', async () => {
    const file = await open();
    const fill = jest.spyOn(DiskFile.prototype, 'fill');
    const parse = jest.spyOn(PacketScanner.prototype, 'read');
    const [one, other] = [readerOf(file), readerOf(file)];
    const wire = headed();
    const first = framed(await stretchOf(one), wire, 0, false).bytes;
    expect(fill).toHaveBeenCalledTimes(1);
    expect(parse.mock.calls.length).toBeGreaterThan(0);
    parse.mockClear();
    const second = framed(await stretchOf(other), wire, 0, false).bytes;
    expect(second.buffer).toBe(first.buffer);
    expect([second.byteOffset, second.length]).toEqual([first.byteOffset, first.length]);
    expect([fill.mock.calls.length, parse.mock.calls.length]).toEqual([1, 0]);
    // One that comes between takes its part of the same bytes.
    const third = framed(await stretchOf(readerOf(file, everything, 7)), wire, 7, false).bytes;
    expect(third.buffer).toBe(first.buffer);
    expect(framesOf(third)[0]!.number).toBe(7);
  });

  it('wait for one read if they come at the same time', async () => {
    const file = await open();
    const fill = jest.spyOn(DiskFile.prototype, 'fill');
    const stretches = await Promise.all([1, 2, 3].map(() => stretchOf(readerOf(file))));
    expect(new Set(stretches.map(({ page }) => page)).size).toBe(1);
    expect(stretches[0]!.page.holders).toBe(3);
    expect(fill).toHaveBeenCalledTimes(1);
  });

  it('get the same packets with numbers of their own, and nobody gets those of another', async () => {
    const file = await open();
    const { packets } = contentsOf(path);
    const readers = [0, 3, 9].map((from) => readerOf(file, everything, from));
    const got = readers.map((): Frame[] => []);
    const numbers = [0, 0, 250];
    for (let round = 0; round < 4; round++) {
      const held: Array<() => void> = [];
      const bytes: Buffer[] = [];
      for (const [index, reader] of readers.entries()) {
        const batch = await reader.next({ span: 250, due: () => true, given: () => undefined });
        const frames = framed(batch.stretch!, headed(), numbers[index]!, false);
        bytes.push(frames.bytes);
        numbers[index]! += framesOf(frames.bytes).length;
        batch.release!();
        held.push(frames.release);
      }
      for (const [index, each] of bytes.entries()) got[index]!.push(...framesOf(Buffer.from(each)));
      for (const release of held) release();
    }
    for (const [index, frames] of got.entries()) {
      const from = [0, 3, 9][index]!;
      const begin = [0, 0, 250][index]!;
      expect(frames.map(({ location }) => location)).toEqual(frames.map((_, order) => from + order));
      expect(frames.map(({ number }) => number)).toEqual(frames.map((_, order) => (begin + order) & 255));
      for (const { location, bytes } of frames.filter(({ bytes: { length } }) => length === file.packetSize))
        expect(bytes.equals(packets[location]!.bytes)).toBe(true);
    }
  });

  it('share per choice of streams, and packets without a chosen one take no number', async () => {
    const file = await open();
    const [sound, all] = [await stretchOf(readerOf(file, only({ 2: 0 }))), await stretchOf(readerOf(file))];
    const again = await stretchOf(readerOf(file, only({ 2: 0 })));
    expect(again.page).toBe(sound.page);
    expect(all.page).not.toBe(sound.page);
    const frames = framesOf(framed(sound, headed(), 0, false).bytes);
    expect(frames.length).toBeLessThan(all.page.count);
    expect(frames.map(({ number }) => number)).toEqual(frames.map((_, order) => order & 255));
  });

  it('have a page to themselves framed in place, with no copy', async () => {
    const file = await open();
    const stretch = await stretchOf(readerOf(file));
    const own = framed(stretch, headed(), 5, false);
    expect(own.bytes.buffer).toBe(stretch.page.bytes.buffer);
    own.release();
    const again = framed(stretch, headed({}, 'another'), 9, false);
    expect(again.bytes.buffer).toBe(stretch.page.bytes.buffer);
    expect(framesOf(again.bytes)[0]!.number).toBe(9);
  });

  it('[WMSP-101] have no packet marked as followed that is not', async () => {
    const file = await open();
    const reader = readerOf(file);
    const wire = headed({ marksFollowed: true });
    const marks = (bytes: Buffer) => framesOf(bytes).map(({ followed }) => followed);
    const part = framed(await stretchOf(reader, 5), wire, 0, false).bytes;
    expect(marks(part)).toEqual([true, true, true, true, false]);
    const rest = await stretchOf(reader);
    const followed = framed(rest, wire, 5, true).bytes;
    expect(marks(followed).every((mark) => mark)).toBe(true);
    const last = framed(rest, wire, 5, false).bytes;
    expect(marks(last).indexOf(false)).toBe(rest.to - rest.from - 1);
  });
});

describe('a flow', () => {
  it('sends a page at a time to a player that is ahead, and its task rests until the next is due', async () => {
    const file = await open();
    const writes: Array<{ from: number; to: number; count: number; at: number; more: boolean }> = [];
    const rests: number[] = [];
    let now = 0;
    let tick: () => void = () => {};
    let pending = 0;
    let isOver = false;
    const pages = readerOf(file);
    const next = async (pacer: DueCheck) => {
      pending++;
      return pages.next(pacer).finally(() => pending--);
    };
    const ended = new Promise<void>((resolve, reject) => {
      const flow = new OnDemandFlow({
        reader: { next, preroll: pages.preroll, readSpan: pages.readSpan },
        rate: 1,
        burst: 3000,
        now: () => now,
        ticker: {
          add: (task) => {
            tick = task;
          },
          delete: () => undefined,
          rest: (_task, until) => rests.push(until),
        },
        output: {
          backlog: 0,
          write: () => reject(new Error('Written one by one.')),
          writePage: ({ page, from, to }, more) => writes.push({ from, to, count: page.count, at: now, more }),
        },
        onEnd: () => resolve(),
        onError: reject,
      });
      flow.start();
    }).finally(() => {
      isOver = true;
    });
    for (; now < 80_000 && !isOver; now += 50) {
      tick();
      // The disk takes its time while the clock waits.
      do await setImmediate();
      while (pending > 0);
    }
    await ended;
    const later = writes.filter(({ at }) => at > 3000);
    // The last page of the file is shorter.
    for (const { from, to, count } of later) expect([from, to]).toEqual([0, count]);
    for (const { more } of later) expect(more).toBe(false);
    expect(later.length).toBeGreaterThan(20);
    expect(rests.length).toBeGreaterThanOrEqual(later.length - 1);
  });
});

describe('PageCache', () => {
  it('bounds the bytes in memory, over all files and choices', async () => {
    const cache = new PageCache(1024 * 1024);
    const files = [await open({ cache }), await open({ cache })];
    for (let round = 0; round < 3; round++) {
      for (const file of files) expect(await readThrough(file, cache)).toBeLessThanOrEqual(1024 * 1024 + 128 * 1024);
    }
    expect(cache.used).toBeLessThanOrEqual(1024 * 1024);
    expect(cache.used).toBeGreaterThan(0);
    await Promise.all(files.map((file) => file.close()));
    expect(cache.used).toBe(0);
  });

  it('keeps what several players read, however much others read once', async () => {
    const cache = new PageCache(1024 * 1024);
    const [popular, other] = [await open({ cache }), await open({ cache })];
    for (const reader of [readerOf(popular), readerOf(popular)]) (await stretchOf(reader)).page.release();
    await readThrough(other);
    const fill = jest.spyOn(DiskFile.prototype, 'fill');
    (await stretchOf(readerOf(popular))).page.release();
    expect(fill).not.toHaveBeenCalled();
  });

  it('does not give away the memory of a page that somebody holds', async () => {
    const cache = new PageCache(0);
    const file = await open({ cache });
    const stretch = await stretchOf(readerOf(file));
    const { bytes } = framed(stretch, headed(), 0, false);
    const before = Buffer.from(bytes);
    stretch.page.release();
    await readThrough(await open({ cache }));
    await file.close();
    expect(bytes.equals(before)).toBe(true);
    expect(cache.used).toBeGreaterThan(0);
    stretch.page.release();
    expect(cache.used).toBe(0);
  });

  it('forgets a page that could not be read', async () => {
    const file = await open();
    const fill = jest.spyOn(DiskFile.prototype, 'fill').mockRejectedValueOnce(new Error('The disk fails.'));
    await expect(readerOf(file).next()).rejects.toThrow('The disk fails.');
    fill.mockRestore();
    expect((await stretchOf(readerOf(file))).page.first).toBe(0);
  });
});
