import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { liveHeader, withFileProperties } from '../../../src/asf/edit.js';
import { type AsfHeader, buildHeader, buildSimpleIndex, parsePacket } from '../../../src/asf/index.js';
import { ArchiveSink } from '../../../src/media/archive.js';
import { DiskFile } from '../../../src/media/on-demand/disk-file.js';
import { OnDemandFile } from '../../../src/media/on-demand/file.js';
import { temporaryFolder } from '../../capture/support.js';
import { testHeader } from '../../support/stream.js';
import { until } from '../../support/until.js';
import { everything, locations, madePacket, only, PREROLL, play } from './support.js';

const folder = temporaryFolder();
const opened: OnDemandFile[] = [];
const SIZE = 400;
/** A packet every so many ms, and a key frame in every tenth. */
const STEP = 100;
const GOP = 10;

async function open(path: string): Promise<OnDemandFile> {
  const file = await OnDemandFile.open(path);
  opened.push(file);
  return file;
}

afterAll(() => Promise.all(opened.map((file) => file.close())));

interface FilmOptions {
  /** Added to all times, in ms. */
  readonly from?: number;
  readonly keys?: boolean;
  readonly packetSize?: number;
}

/** Packets with one picture and one sound each, which nearly fill them. */
function film(count: number, { from = 0, keys = true, packetSize = SIZE }: FilmOptions = {}): Buffer[] {
  const size = Math.min(Math.floor(packetSize * 0.43), 60_000);
  return Array.from({ length: count }, (_each, number) => {
    const time = from + number * STEP;
    const picture = { stream: 1, key: keys && number % GOP === 0, number, time, size };
    return madePacket(time, [picture, { stream: 2, number, time, size }], packetSize);
  });
}

function complete(header: AsfHeader, packets: number, changes = {}): AsfHeader {
  const { packetSize } = header;
  const properties = { flags: 2, dataPacketsCount: BigInt(packets), ...changes };
  return buildHeader(withFileProperties(header.objects, header.fileProperties, properties), {
    fileId: header.fileId,
    size: BigInt(50 + packets * packetSize),
    packetCount: BigInt(packets),
  });
}

function write(name: string, ...pieces: readonly (Buffer | readonly Buffer[])[]): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(pieces.flat()));
  return path;
}

/**
 * The media times of each packet's objects, in steps of packets from the start; every packet must have all its objects.
 */
function times(items: Awaited<ReturnType<typeof play>>): number[] {
  return items.map(({ bytes }) => {
    const { payloads } = parsePacket(bytes);
    const found = new Set(payloads.map(({ presentationTime }) => (presentationTime - PREROLL) / STEP));
    expect(found.size).toBe(1);
    return [...found][0]!;
  });
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_each, at) => from + at);

const at = (file: OnDemandFile, milliseconds: number): Promise<number> =>
  file.locate({ kind: 'time', milliseconds }, everything);

/** The media time of the first packet after a seek, in steps. */
async function firstAt(file: OnDemandFile, milliseconds: number): Promise<number> {
  const from = await at(file, milliseconds);
  return times(await play(file, { from }))[0]!;
}

describe('bytes that were lost or added in the middle of a file', () => {
  const packets = film(300);
  const cut = [...packets.slice(0, 100), packets[100]!.subarray(0, 300), ...packets.slice(101, 200)];
  const body = Buffer.concat([...cut, Buffer.alloc(170, 0x55), ...packets.slice(200)]);
  // The recorder wrote the counts that it assumed, or was stopped before it wrote any.
  const files = [
    ['a finished file', complete(testHeader(), 300)],
    ['a recording', testHeader()],
  ] as const;

  it.each(files)('cost %s the packet that is not whole, and nothing else', async (name, header) => {
    const file = await open(write(`${name}.asf`, header.bytes, body));
    const items = await play(file);
    // Half of the packet that was cut is there.
    expect(times(items.filter(({ bytes }) => parsePacket(bytes).payloads.length === 2))).toEqual([
      ...range(0, 100),
      ...range(101, 300),
    ]);
    expect(items.length).toBeLessThanOrEqual(300);
    const numbers = locations(items);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    expect(file.durationMs).toBe(30_000);
  });

  it.each(files)(
    'leave %s its last packet, wherever a player begins and however much is due at a time',
    async (name, header) => {
      // Less was added than a packet, so that the data ends in the middle of a place.
      const pieces = [...packets.slice(0, 20), Buffer.alloc(80, 0x55), ...packets.slice(20, 40)];
      const file = await open(write(`added to ${name}.asf`, header.bytes, pieces));
      for (const from of [0, 37, 38, 39]) {
        for (const most of [1, 2, 3, 7]) {
          const reader = file.reader({ from, choice: everything, rate: 1, padding: 'cut' });
          const got: number[] = [];
          for (let end = false; !end; ) {
            let count = 0;
            const pacer = { span: most * STEP, due: () => count++ < most, given: () => undefined };
            const batch = await reader.next(pacer);
            got.push(...times([...batch.items]));
            ({ end } = batch);
          }
          expect(got.at(-1)).toBe(39);
        }
      }
    },
  );

  it.each(files)('leave %s its seeks', async (name, header) => {
    const file = await open(write(`seeks in ${name}.asf`, header.bytes, body));
    for (const seconds of [3, 9, 10.5, 15, 19.5, 25, 29]) {
      expect(await firstAt(file, seconds * 1000)).toBe(Math.floor(seconds) * GOP);
    }
  });

  it('do not matter to reverse playback', async () => {
    const file = await open(write('backwards.asf', testHeader().bytes, body));
    const items = await play(file, { from: file.packetCount, rate: -1, choice: only({ 1: 0 }) });
    // The key frame in the cut packet is whole.
    expect(times(items)).toEqual(range(0, 30).map((second) => (29 - second) * GOP));
  });
});

it('sends no noise, however much it looks like packets', async () => {
  const packets = film(100);
  packets[40] = madePacket(4000, [{ stream: 99, time: 4000, size: 300 }]);
  packets[50] = madePacket(2_000_000_000, [{ stream: 1, key: true, time: 2_000_000_000, size: 300 }]);
  packets[60] = Buffer.alloc(SIZE, 0x82);
  const file = await open(write('noise.asf', complete(testHeader(), 100).bytes, packets));
  expect(locations(await play(file))).toEqual(range(0, 100).filter((each) => ![40, 50, 60].includes(each)));
  expect(file.durationMs).toBe(10_000);
});

it('plays the whole objects of a last packet that is cut, and all of one that is cut in its padding', async () => {
  const packets = film(10);
  const path = write('cut.asf', complete(testHeader(), 10).bytes, packets);
  const { length } = readFileSync(path);
  truncateSync(path, length - 5);
  expect(times(await play(await open(path)))).toEqual(range(0, 10));
  truncateSync(path, length - 100);
  const items = await play(await open(path));
  expect(items.map(({ bytes }) => parsePacket(bytes).payloads.length)).toEqual([2, 2, 2, 2, 2, 2, 2, 2, 2, 1]);
});

describe('recordings that were joined', () => {
  const live = testHeader().bytes;
  const first = film(100);
  const second = film(50, { from: 3_600_000 });
  const third = film(70);
  const index = buildSimpleIndex({
    fileId: testHeader().fileId,
    interval: 10_000_000n,
    maximumPacketCount: 1,
    packetNumbers: Uint32Array.of(0, 0, 0),
    packetCounts: Uint16Array.of(1, 1, 1),
  });
  const files = [
    ['without sizes', [live, ...first, live, ...second, live, ...third]],
    [
      'that are complete',
      [
        ...[complete(testHeader(), 100).bytes, ...first, index],
        ...[complete(testHeader(), 50).bytes, ...second, index],
        ...[complete(testHeader(), 70).bytes, ...third],
      ],
    ],
    // The last packet of the first one is cut in its second object.
    [
      'of which one is cut',
      [live, ...first.slice(0, -1), first.at(-1)!.subarray(0, 300), live, ...second, live, ...third],
    ],
  ] as const;

  it.each(files)('%s are one that lasts as long as all of them', async (name, pieces) => {
    const file = await open(write(`joined ${name}.asf`, ...pieces));
    const played = times(await play(file));
    expect(played).toEqual(range(0, 220));
    expect(file.durationMs).toBe(22_000);
    expect(Number(file.header.fileProperties.playDuration)).toBe((22_000 + PREROLL) * 10_000);
    expect(file.header.dataObject.packetCount).toBe(BigInt(file.packetCount));
    for (const seconds of [4, 9.5, 10, 12, 14.9, 15, 21]) {
      expect(await firstAt(file, seconds * 1000)).toBe(Math.floor(seconds) * GOP);
    }
  });

  it('are found by the times that go back, if the second header leaves the packets at the same distances', async () => {
    const padded = testHeader({ ballast: SIZE - ((live.length + 44) % SIZE) });
    const pieces = [padded.bytes, ...first, padded.bytes, ...third];
    expect(padded.bytes.length % SIZE).toBe(0);
    const file = await open(write('aligned.asf', ...pieces));
    expect(times(await play(file))).toEqual(range(0, 170));
  });

  it('of which one has other streams are played up to it', async () => {
    const file = await open(write('foreign.asf', live, ...first, testHeader({ commands: 3 }).bytes, ...third));
    expect(times(await play(file))).toEqual(range(0, 100));
  });
});

it('lasts as long as its times say if the header says something else', async () => {
  const packets = [...film(100), ...film(100, { from: 70_000 })];
  const declared = { playDuration: BigInt((20_000 + PREROLL) * 10_000) };
  const file = await open(write('hole in time.asf', complete(testHeader(), 200, declared).bytes, packets));
  expect(file.durationMs).toBe(80_000);
  expect(await firstAt(file, 75_000)).toBe(750);
});

describe('times that do not begin at 0', () => {
  it.each([
    ['ten hours in', 36_000_000],
    ['so that they wrap after five seconds', 2 ** 32 - 5000 - PREROLL],
    ['some seconds early', -PREROLL - 3000],
  ])('%s', async (name, from) => {
    const packets = film(200, { from });
    for (const header of [testHeader(), complete(testHeader(), 200)]) {
      const file = await open(write(`${name}.asf`, header.bytes, packets));
      expect(times(await play(file))).toEqual(range(0, 200));
      expect(file.durationMs).toBe(20_000);
      for (const seconds of [0, 3, 7, 19.5])
        expect(await firstAt(file, seconds * 1000)).toBe(Math.floor(seconds) * GOP);
      const [item] = await play(file);
      expect(item!.sendTime).toBe(0);
    }
  });

  it('replaces an implausible preroll by how far ahead packets are sent', async () => {
    for (const preroll of [2 ** 53, 4_000_000]) {
      const file = await open(write('preroll.asf', complete(testHeader({ preroll }), 100).bytes, film(100)));
      expect(file.header.preroll).toBe(PREROLL);
      expect(file.durationMs).toBe(10_000);
      expect(await firstAt(file, 5000)).toBe(50);
    }
  });

  it('serves a header in which every flag is set, on demand and live', async () => {
    const header = complete(testHeader(), 20, { flags: 0xffff_ffff });
    const file = await open(write('flags.asf', header.bytes, film(20)));
    expect(file.header.fileProperties.flags).toBe(0xffff_fff6);
    expect(liveHeader(header).fileProperties.flags).toBe(0xffff_fffd);
    expect(await play(file)).toHaveLength(20);
  });

  it('replaces send times that stand still by times from the presentation times', async () => {
    const packets = film(200).map((bytes) => {
      const still = Buffer.from(bytes);
      still.writeUInt32LE(0, parsePacket(bytes).sendTimeStart);
      return still;
    });
    const file = await open(write('still.asf', complete(testHeader(), 200).bytes, packets));
    expect((await play(file)).map(({ sendTime }) => sendTime / STEP)).toEqual(range(0, 200));
    expect(await firstAt(file, 12_000)).toBe(120);
  });
});

describe('a file of which a part was never written', () => {
  const header = complete(testHeader(), 1000).bytes;

  it('ends with what is there, even for seeks beyond it', async () => {
    const file = await open(write('half.asf', header, film(500), Buffer.alloc(500 * SIZE)));
    expect(file.packetCount).toBe(500);
    expect(file.durationMs).toBe(50_000);
    expect(await firstAt(file, 80_000)).toBe(490);
  });

  it('is followed while it is written into reserved space', async () => {
    const path = write('reserved.asf', testHeader().bytes, film(20), Buffer.alloc(80 * SIZE));
    const file = await open(path);
    const reader = file.reader({ from: 10, choice: everything, rate: 1, padding: 'cut' });
    await reader.next({ span: 0, due: () => true, given: () => undefined });
    const handle = openSync(path, 'r+');
    const more = Buffer.concat(film(40).slice(20));
    writeSync(handle, more, 0, more.length, testHeader().bytes.length + 20 * SIZE);
    closeSync(handle);
    const got: number[] = [];
    for (let round = 0, end = false; !end && round < 100; round++) {
      const batch = await reader.next();
      got.push(...locations(batch.items));
      ({ end } = batch);
    }
    expect(got.at(-1)).toBe(39);
  });

  it('costs seeks and players few reads, however large the hole is', async () => {
    const path = join(folder, 'hole.asf');
    const length = 12_000_000;
    const packets = complete(testHeader(), length);
    const handle = openSync(path, 'w');
    const head = Buffer.concat([packets.bytes, ...film(5000)]);
    const tail = Buffer.concat(film(5000, { from: 2_000_000 }));
    writeSync(handle, head, 0, head.length, 0);
    writeSync(handle, tail, 0, tail.length, packets.bytes.length + (length - 5000) * SIZE);
    closeSync(handle);
    const fill = jest.spyOn(DiskFile.prototype, 'fill');
    const file = await open(path);
    const seeks = [
      [100, 1000],
      [1000, 4990],
      [2200, 22_000],
      [499, 4990],
    ] as const;
    for (const [seconds, first] of seeks) expect(await firstAt(file, seconds * 1000)).toBe(first);
    expect(times(await play(file, { from: 4998 }))).toEqual([4998, 4999, ...range(20_000, 25_000)]);
    const bytes = fill.mock.calls.reduce((sum, [, , size]) => sum + size, 0);
    fill.mockRestore();
    expect(bytes).toBeLessThan(200 * 1024 * 1024);
  });
});

describe('video without key frames that are marked', () => {
  it('costs a seek no more than a part of the file, and is played', async () => {
    const file = await open(write('keyless.asf', complete(testHeader(), 1000).bytes, film(1000, { keys: false })));
    const from = await at(file, 50_000);
    expect(from).toBe(500);
    const [item] = await play(file, { from });
    expect(parsePacket(item!.bytes).payloads.map(({ stream }) => stream)).toEqual([1, 2]);
  });

  it('with only one at the start begins after some seconds if a player resumes', async () => {
    const packets = film(1000, { keys: false });
    packets[0] = film(1)[0]!;
    const file = await open(write('first only.asf', complete(testHeader(), 1000).bytes, packets));
    const items = await play(file, { from: 300 });
    const begin = items.find(({ bytes }) => parsePacket(bytes).payloads.some(({ stream }) => stream === 1));
    expect(begin!.location).toBeLessThanOrEqual(300 + 110);
  });
});

it('splits packets that no protocol carries, and loses nothing', async () => {
  const packets = film(30, { packetSize: 100_000 });
  const file = await open(write('large.asf', complete(testHeader({ packetSize: 100_000 }), 30).bytes, packets));
  expect(file.packetSize).toBeLessThan(65_000);
  expect(file.header.packetSize).toBe(file.packetSize);
  const sizes = new Map<string, number>();
  const items = await play(file, { padding: 'kept' });
  for (const { bytes } of items) {
    expect(bytes).toHaveLength(file.packetSize);
    for (const { stream, mediaObjectNumber, offset, dataLength } of parsePacket(bytes).payloads) {
      const name = `${stream} ${mediaObjectNumber}`;
      expect(offset).toBe(sizes.get(name) ?? 0);
      sizes.set(name, offset + dataLength);
    }
  }
  expect([...sizes.values()]).toEqual(Array.from({ length: 60 }, () => 43_000));
  const numbers = locations(items);
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  expect(new Set(numbers).size).toBe(numbers.length);
  expect(await firstAt(file, 2000)).toBe(20);
  // A player that resumes at a number in the middle of a packet gets the rest.
  const middle = items[7]!.location;
  expect(locations(await play(file, { from: middle, exact: true }))).toEqual(numbers.slice(7));
});

describe('a recording that goes on', () => {
  it('is played from its first packet on, waited for at its end, and ends when it is finished', async () => {
    const path = join(folder, 'goes on.asf');
    const archive = new ArchiveSink(path);
    const packets = film(40).map((bytes) => parsePacket(bytes));
    await archive.write({ type: 'header', header: testHeader() });
    for (const packet of packets.slice(0, 20)) await archive.write({ type: 'packet', packet });
    await until('20 packets to be written', () => archive.files[0]?.packets === 20);
    const file = await open(path);
    const reader = file.reader({ from: 0, choice: everything, rate: 1, padding: 'cut' });
    const first = await reader.next();
    expect(locations(first.items)).toEqual(range(0, 20));
    expect(first).toMatchObject({ end: false, idle: true });
    expect(await reader.next()).toMatchObject({ items: [], end: false, idle: true });
    for (const packet of packets.slice(20)) await archive.write({ type: 'packet', packet });
    await until('40 packets to be written', () => archive.files[0]?.packets === 40);
    expect(locations((await reader.next()).items)).toEqual(range(20, 40));
    await archive.close();
    expect(await reader.next()).toMatchObject({ items: [], end: true });
    expect((await play(await open(path))).length).toBe(40);
  });

  it('ends with its last packet if nobody writes it any more', async () => {
    const file = await open(write('left.asf', testHeader().bytes, film(20)));
    const reader = file.reader({ from: 0, choice: everything, rate: 1, padding: 'cut' });
    expect(await reader.next()).toMatchObject({ end: true });
  });
});
