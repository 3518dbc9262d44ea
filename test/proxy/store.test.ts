import { parseHeader } from '../../src/asf/header.js';
import { findHeaderEnd, joinHeader } from '../../src/asf/top-level.js';
import { WmError } from '../../src/errors.js';
import { DiskCache } from '../../src/proxy/cache/disk-cache.js';
import { CachedStore, type CachedStoreOptions } from '../../src/proxy/cached-store.js';
import { ContentChanged, type FetchedPacket, type FetchStart } from '../../src/proxy/fetch.js';
import { rawPackets } from '../../src/proxy/raw.js';
import { madeFile } from '../wmsp/content.js';
import { closeAll, folder } from './house.js';

afterEach(closeAll);

const FILE = madeFile({ seconds: 40, index: false });
const end = findHeaderEnd(FILE);
const HEADER = parseHeader(joinHeader(FILE, 'data' in end ? end.data : 0));
const SIZE = HEADER.packetSize;
const COUNT = Number(HEADER.dataObject.packetCount);
const bytesOf = (location: number) =>
  FILE.subarray(HEADER.bytes.length + location * SIZE, HEADER.bytes.length + (location + 1) * SIZE);
const NEVER = new AbortController().signal;

/** A store over an origin that gives packets one by one, as the test allows. */
function storeOver(
  options: Partial<CachedStoreOptions> = {},
  fetch: (from: number) => AsyncGenerator<readonly FetchedPacket[]> = all,
) {
  const starts: FetchStart[] = [];
  const store = new CachedStore({
    url: 'http://origin/clip.wmv',
    header: HEADER,
    version: '1',
    modified: new Date(0),
    onFetch: (start) => starts.push(start),
    origin: async () => ({
      header: HEADER,
      seekable: true,
      fetch: (start) => fetch('packet' in start ? start.packet : 0),
      close: () => {},
    }),
    ...options,
  });
  return { store, starts };
}

async function* all(from: number): AsyncGenerator<readonly FetchedPacket[]> {
  for (let location = from; location < COUNT; location += 3) {
    const many = Math.min(3, COUNT - location);
    yield Array.from({ length: many }, (_, index) => ({
      location: location + index,
      bytes: bytesOf(location + index),
    }));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Reads packets one after the other, as a player does. */
async function readAll(store: CachedStore, from = 0, until = COUNT): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = from; at < until; ) {
    expect(await store.want(at, NEVER)).toBe('there');
    const run = await store.borrow(at, store.available(at, until - at));
    for (let packet = run.next(); packet; packet = run.next()) pieces.push(Buffer.from(packet.bytes));
    at += run.count;
    run.release();
  }
  return Buffer.concat(pieces);
}

const WHOLE = FILE.subarray(HEADER.bytes.length, HEADER.bytes.length + COUNT * SIZE);

describe('content with holes', () => {
  it('is given while it is fetched, once for all', async () => {
    const { store, starts } = storeOver();
    const both = await Promise.all([readAll(store), readAll(store)]);
    for (const one of both) expect(one.equals(WHOLE)).toBe(true);
    expect(starts).toEqual([{ packet: 0 }]);
    await store.close();
  });

  it('goes on from memory when the disk takes no more in the middle of it, and says so once', async () => {
    const cache = await DiskCache.open({ folder: await folder(), maxSize: 100_000_000 });
    const known = { cacheControl: '', features: [], guarded: false, checkedAt: 0 };
    const held = (await cache.create({ url: 'http://origin/clip.wmv' }, HEADER, known))!;
    const told: string[] = [];
    let left = 3;
    const write = held.copy.write.bind(held.copy);
    held.copy.write = (from, bytes) =>
      left-- > 0 ? write(from, bytes) : Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));
    const { store } = storeOver({ copy: held.copy, onDiskFull: (reason) => told.push(reason) });
    expect((await readAll(store)).equals(WHOLE)).toBe(true);
    expect(told).toEqual(['full']);
    expect(held.copy.have.size).toBe(9);
    await store.close();
    await cache.close();
  });

  it('is fetched no faster than it is played where nothing keeps it', async () => {
    let furthest = 0;
    const { store } = storeOver({ memory: 30 * SIZE }, async function* (from) {
      for await (const packets of all(from)) {
        furthest = packets.at(-1)!.location;
        yield packets;
      }
    });
    expect((await readAll(store, 0, 30)).equals(WHOLE.subarray(0, 30 * SIZE))).toBe(true);
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(furthest).toBeLessThan(60);
    expect((await readAll(store, 30)).equals(WHOLE.subarray(30 * SIZE))).toBe(true);
    await store.close();
  });

  it('is asked for three times when the origin fails, and then every player that waits is told', async () => {
    const { store, starts } = storeOver({}, async function* () {
      yield [];
      throw new WmError('WM_SERVER_GONE', 'The origin broke.');
    });
    const waits = await Promise.allSettled([store.want(0, NEVER), store.want(1, NEVER), store.want(2, NEVER)]);
    for (const wait of waits) expect(wait).toMatchObject({ status: 'rejected', reason: { code: 'WM_NO_INPUT' } });
    expect(starts).toHaveLength(3);
    await store.close();
  });

  it('ends for everybody when the origin has other content', async () => {
    let changed = 0;
    const { store } = storeOver({ onChanged: () => changed++ }, async function* () {
      yield [];
      throw new ContentChanged('x');
    });
    await expect(store.want(0, NEVER)).rejects.toMatchObject({ code: 'WM_NO_INPUT' });
    expect(changed).toBe(1);
    await store.close();
  });

  it('does not wait for packets that the origin leaves out', async () => {
    const { store } = storeOver({}, async function* () {
      yield [{ location: 0, bytes: bytesOf(0) }];
      yield [{ location: 5, bytes: bytesOf(5) }];
    });
    const read = await readAll(store, 0, 6);
    expect(read.equals(Buffer.concat([bytesOf(0), bytesOf(5)]))).toBe(true);
    expect(await store.want(7, NEVER)).toBe('there');
    await store.close();
  });

  it('is not zeros, for a client of plain bytes, where the origin has ended early', async () => {
    const { store } = storeOver({}, async function* (from) {
      if (from < 5)
        yield Array.from({ length: 5 - from }, (_, at) => ({ location: from + at, bytes: bytesOf(from + at) }));
    });
    const raw = rawPackets(store);
    const first = await raw.read(0, NEVER);
    expect(first?.equals(WHOLE.subarray(0, 5 * SIZE))).toBe(true);
    expect(await raw.read(5, NEVER)).toBeUndefined();
  });

  it('is not waited for without end from an origin that repeats itself', async () => {
    let sent = 0;
    const { store } = storeOver({}, async function* () {
      for (; sent < 1_000_000; sent += 100) {
        yield Array.from({ length: 100 }, () => ({ location: 0, bytes: bytesOf(0) }));
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    expect(await store.want(0, NEVER)).toBe('there');
    await expect(store.want(1, NEVER)).rejects.toThrow(/again and again/);
    expect(sent).toBeLessThan(100_000);
  }, 20_000);

  it('is no longer wanted by a player that has gone', async () => {
    const { store } = storeOver({}, async function* () {
      await new Promise(() => {});
      yield [];
    });
    const gone = new AbortController();
    const wait = store.want(0, gone.signal);
    gone.abort();
    expect(await wait).toBe('end');
    expect(await store.want(COUNT, NEVER)).toBe('end');
    store.setIdle(true);
    await store.close();
  });
});
