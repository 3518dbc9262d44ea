import { appendFile, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseHeader } from '../../src/asf/header.js';
import { findHeaderEnd, joinHeader } from '../../src/asf/top-level.js';
import { DiskCache } from '../../src/proxy/cache/disk-cache.js';
import { RECORD_SIZE, readRecords, writeRecord } from '../../src/proxy/cache/map-file.js';
import { Ranges } from '../../src/proxy/cache/ranges.js';
import { madeFile } from '../wmsp/content.js';
import { closeAll, folder } from './house.js';

afterEach(closeAll);

const FILE = madeFile({ seconds: 4 });
const end = findHeaderEnd(FILE);
const HEADER = parseHeader(joinHeader(FILE, 'data' in end ? end.data : 0));
const SIZE = HEADER.packetSize;
const COUNT = Number(HEADER.dataObject.packetCount);
const packets = (from: number, count: number) =>
  FILE.subarray(HEADER.bytes.length + from * SIZE, HEADER.bytes.length + (from + count) * SIZE);
const KNOWN = { cacheControl: 'proxy-public', features: ['seekable'], guarded: false, checkedAt: 1 };

describe('a set of ranges', () => {
  it('is the same as a plain set, whatever is added', () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    for (let round = 0; round < 50; round++) {
      const [ranges, plain] = [new Ranges(), new Set<number>()];
      for (let step = 0; step < 20; step++) {
        const from = random(60);
        const to = from + random(12);
        ranges.add(from, to);
        for (let number = from; number < to; number++) plain.add(number);
      }
      expect(ranges.size).toBe(plain.size);
      for (let number = 0; number < 80; number++) {
        expect(ranges.has(number)).toBe(plain.has(number));
        let [last, next] = [number, number];
        while (plain.has(last)) last++;
        while (!plain.has(next) && next < 80) next++;
        expect(ranges.endOf(number)).toBe(last);
        expect(ranges.nextOf(number)).toBe(next < 80 ? next : Number.POSITIVE_INFINITY);
      }
    }
  });
});

describe('the map of a copy', () => {
  it('is read up to the first record that is cut, damaged, impossible or of another copy', () => {
    const good = Buffer.concat([writeRecord('a', 0, 3), writeRecord('a', 10, 2)]);
    const damaged = writeRecord('a', 4, 1);
    damaged[0]! ^= 1;
    for (const bad of [
      writeRecord('a', 4, 1).subarray(0, 7),
      damaged,
      writeRecord('b', 4, 1),
      writeRecord('a', 99, 2),
    ]) {
      const { have, good: size } = readRecords(Buffer.concat([good, bad, writeRecord('a', 50, 1)]), 'a', 100);
      expect([...have]).toEqual([
        { from: 0, end: 3 },
        { from: 10, end: 12 },
      ]);
      expect(size).toBe(2 * RECORD_SIZE);
    }
  });
});

describe('a cache on the disk', () => {
  const openIn = (path: string, maxSize = 100_000_000) => DiskCache.open({ folder: path, maxSize });
  const made = async (cache: DiskCache, url: string, count = COUNT) => {
    const held = (await cache.create({ url, etag: '"1"' }, HEADER, KNOWN))!;
    await held.copy.write(0, packets(0, count));
    return held;
  };

  it('finds its copies again, with what was written', async () => {
    const path = await folder();
    const first = await openIn(path);
    await first.release(await made(first, 'http://a/1', 10));
    await first.close();
    const second = await openIn(path);
    const held = (await second.hold('http://a/1'))!;
    expect([...held.copy.have]).toEqual([{ from: 0, end: 10 }]);
    expect(held.copy.header.bytes.equals(HEADER.bytes)).toBe(true);
    const room = Buffer.alloc(10 * SIZE);
    expect(await held.copy.read(room, 0, 10)).toBe(room.length);
    expect(room.equals(packets(0, 10))).toBe(true);
    await second.close();
  });

  it('drops what a killed program has left, half written in any of the three files', async () => {
    for (const [ending, harm] of [
      ['asf', (name: string) => truncate(name, HEADER.bytes.length + SIZE)],
      ['map', (name: string) => appendFile(name, 'half a record')],
      ['json', (name: string) => truncate(name, 20)],
      ['json', (name: string) => writeFile(name, '{}')],
    ] as const) {
      const path = await folder();
      const first = await openIn(path);
      await first.release(await made(first, 'http://a/1', 10));
      await first.close();
      const name = (await readdir(path)).find((each) => each.endsWith(`.${ending}`))!;
      await harm(join(path, name));
      const second = await openIn(path);
      const held = await second.hold('http://a/1');
      if (ending === 'map') expect([...held!.copy.have]).toEqual([{ from: 0, end: 10 }]);
      else expect([held, (await readdir(path)).filter((each) => each !== 'in-use')]).toEqual([undefined, []]);
      await second.close();
    }
  });

  it('removes what was used least recently, and never what is in use', async () => {
    const path = await folder();
    const one = HEADER.bytes.length + COUNT * SIZE + 64 * 1024;
    const cache = await openIn(path, one * 2 + 1_000);
    const first = await made(cache, 'http://a/1');
    await cache.release(await made(cache, 'http://a/2'));
    expect(await cache.makeRoom(one)).toBe(true);
    expect([cache.facts('http://a/1') !== undefined, cache.facts('http://a/2')]).toEqual([true, undefined]);
    await made(cache, 'http://a/3');
    expect(await cache.makeRoom(one)).toBe(false);
    await cache.release(first);
    expect(await cache.makeRoom(one)).toBe(true);
    expect(cache.facts('http://a/1')).toBeUndefined();
    await cache.close();
  });

  it('takes no content that is larger than all of it, and none that nobody asked for', async () => {
    const cache = await openIn(await folder(), 10_000);
    expect(await cache.create({ url: 'http://a/1' }, HEADER, KNOWN)).toBeUndefined();
    expect(await cache.hold('http://a/1')).toBeUndefined();
    await cache.close();
  });

  it('is for one server at a time', async () => {
    const path = await folder();
    const cache = await openIn(path);
    await cache.close();
    await writeFile(join(path, 'in-use'), '1');
    await expect(openIn(path)).rejects.toMatchObject({
      code: 'WM_CONFIG',
      message: expect.stringContaining('process 1'),
    });
    await writeFile(join(path, 'in-use'), '999999999');
    await (await openIn(path)).close();
    expect(await readFile(join(path, 'in-use'), 'utf8').catch(() => undefined)).toBeUndefined();
  });
});
