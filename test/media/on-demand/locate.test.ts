import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import fc from 'fast-check';
import { GUID } from '../../../src/asf/index.js';
import { buildSimpleIndex } from '../../../src/asf/simple-index.js';
import { OnDemandFile } from '../../../src/media/on-demand/file.js';
import { temporaryFolder } from '../../capture/support.js';
import { testHeader } from '../../support/stream.js';
import {
  type Contents,
  contentsOf,
  cutIndex,
  everything,
  keyPacketAt,
  keysOf,
  madePacket,
  makeMedia,
  only,
  PREROLL,
  patch,
  writeAsf,
} from './support.js';

const folder = temporaryFolder();
const opened: OnDemandFile[] = [];
const ffprobe = '/usr/bin/ffprobe';

async function open(path: string): Promise<OnDemandFile> {
  const file = await OnDemandFile.open(path);
  opened.push(file);
  return file;
}

const at = (file: OnDemandFile, milliseconds: number, choice = everything): Promise<number> =>
  file.locate({ kind: 'time', milliseconds }, choice);

afterAll(() => Promise.all(opened.map((file) => file.close())));

/** Returns the packet of the last audio object up to a time. */
function audioPacketAt({ header, packets }: Contents, stream: number, time: number): number {
  const found = packets.findLastIndex(({ payloads }) =>
    payloads.some(
      (each) => each.stream === stream && each.offset === 0 && each.presentationTime <= time + header.preroll,
    ),
  );
  return Math.max(found, 0);
}

describe('a time', () => {
  const sizes = [
    { packetSize: 320, index: true },
    { packetSize: 1400, index: true },
    { packetSize: 1400, index: false },
    { packetSize: 8000, index: false },
    { packetSize: 40_000, index: true },
  ];
  it.each(sizes)(
    'is found at the key frame before it ($packetSize bytes, index: $index)',
    async ({ packetSize, index }) => {
      const path = join(folder, `video-${packetSize}-${index}.wmv`);
      await makeMedia(path, { seconds: 30, packetSize });
      if (!index) cutIndex(path);
      const keys = keysOf(contentsOf(path), 1);
      expect(keys.length).toBeGreaterThan(15);
      const file = await open(path);
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 32_000 }), async (time) => {
          expect(await at(file, time)).toBe(keyPacketAt(keys, time));
        }),
        { numRuns: 200 },
      );
      for (const { time } of keys.slice(1)) {
        expect(await at(file, time)).toBe(keyPacketAt(keys, time));
        expect(await at(file, time - 1)).toBe(keyPacketAt(keys, time - 1));
      }
    },
  );

  // ffprobe is not a dependency of the package; without it, the AsfReader of the other tests is the only judge.
  (existsSync(ffprobe) ? it : it.skip)('is found where ffprobe sees the key frames', async () => {
    const path = join(folder, 'probed.wmv');
    await makeMedia(path, { seconds: 30 });
    const entries = ['-show_entries', 'packet=pts,pos,flags', '-of', 'json'];
    const { stdout } = await execa(ffprobe, ['-v', 'error', '-select_streams', 'v:0', ...entries, path]);
    const probed = JSON.parse(stdout) as { packets: { pts: number; pos: string; flags: string }[] };
    const { bytes, packetSize } = contentsOf(path).header;
    const keys = probed.packets
      .filter(({ flags }) => flags.startsWith('K'))
      .map(({ pts, pos }) => ({ time: pts, packet: (Number(pos) - bytes.length) / packetSize }));
    const file = await open(path);
    for (let time = 1; time < 31_000; time += 97) expect(await at(file, time)).toBe(keyPacketAt(keys, time));
  });

  it('is found in each of two videos, and in the one that begins first if both are chosen', async () => {
    for (const index of [true, false]) {
      const path = join(folder, `two-${index}.wmv`);
      await makeMedia(path, { seconds: 30, gops: [25, 140] });
      if (!index) cutIndex(path);
      const contents = contentsOf(path);
      const [short, long] = [keysOf(contents, 1), keysOf(contents, 2)];
      const file = await open(path);
      for (let time = 1; time < 31_000; time += 331) {
        expect(await at(file, time, only({ 1: 0, 3: 0 }))).toBe(keyPacketAt(short, time));
        expect(await at(file, time, only({ 2: 1, 3: 0 }))).toBe(keyPacketAt(long, time));
        const both = Math.min(keyPacketAt(short, time), keyPacketAt(long, time));
        expect(await at(file, time)).toBe(both);
      }
    }
  });

  it('is found at the nearest audio object if there is no video, or it is not chosen', async () => {
    const path = join(folder, 'audio.wma');
    await makeMedia(path, { gops: [], packetSize: 800 });
    const contents = contentsOf(path);
    const file = await open(path);
    expect(file.stridable).toBe(false);
    for (let time = 1; time < 21_000; time += 177) expect(await at(file, time)).toBe(audioPacketAt(contents, 1, time));

    const video = join(folder, 'with-video.wmv');
    await makeMedia(video, { gops: [250] });
    const both = contentsOf(video);
    const other = await open(video);
    for (let time = 1; time < 21_000; time += 177) {
      expect(await at(other, time, only({ 2: 0 }))).toBe(audioPacketAt(both, 2, time));
    }
  });

  it('beyond the end counts as the end, before the start as the start', async () => {
    const path = join(folder, 'ends.wmv');
    await makeMedia(path, { seconds: 5 });
    const last = keysOf(contentsOf(path), 1).at(-1)!;
    const file = await open(path);
    for (const time of [5000, 60_000, 2 ** 31, 2 ** 32 - 1, 2 ** 40, Number.POSITIVE_INFINITY]) {
      expect(await at(file, time)).toBe(last.packet);
    }
    for (const time of [0, -1, -(2 ** 32), Number.NaN, Number.NEGATIVE_INFINITY]) expect(await at(file, time)).toBe(0);
  });

  it('is found by its position in the middle of a file, whose index is read only once', async () => {
    const path = join(folder, 'concurrent.wmv');
    await makeMedia(path, { seconds: 20 });
    const keys = keysOf(contentsOf(path), 1);
    const file = await open(path);
    const times = Array.from({ length: 200 }, (_each, index) => 1 + index * 100);
    const found = await Promise.all(times.map((time) => at(file, time)));
    expect(found).toEqual(times.map((time) => keyPacketAt(keys, time)));
  });
});

describe('an index that is wrong', () => {
  const packets = Array.from({ length: 3000 }, (_each, index) =>
    madePacket(index * 40, [
      { stream: 1, key: index % 50 === 0, number: index, time: index * 40 },
      { stream: 2, number: index, time: index * 40 },
    ]),
  );
  const expected = (time: number): number => Math.floor(time / 2000) * 50;

  function indexOf(packetOf: (seconds: number) => number, entries = 122): Buffer {
    const packetNumbers = Uint32Array.from({ length: entries }, (_each, entry) => packetOf(entry));
    const packetCounts = new Uint16Array(entries).fill(1);
    const fileId = '0'.repeat(32);
    return buildSimpleIndex({ fileId, interval: 10_000_000n, maximumPacketCount: 1, packetNumbers, packetCounts });
  }
  const right = (seconds: number): number => Math.floor(Math.max(seconds * 1000 - PREROLL, 0) / 2000) * 50;

  const indexes: readonly [string, Buffer][] = [
    ['right', indexOf(right)],
    ['of another edit of the file', indexOf((seconds) => right(seconds) + 50)],
    ['of an earlier edit of the file', indexOf((seconds) => Math.max(right(seconds) - 50, 0))],
    ['before the key frames', indexOf((seconds) => right(seconds) + 1)],
    ['beyond the file', indexOf(() => 0xffff_fff0)],
    ['falling', indexOf((seconds) => Math.max(2950 - right(seconds), 0))],
    ['shorter than the file', indexOf(right, 30)],
    ['all the same', indexOf(() => 1000)],
    ['cut', indexOf(right).subarray(0, 100)],
    ['without a length', Buffer.concat([Buffer.from(GUID.simpleIndexObject, 'hex'), Buffer.alloc(40)])],
    ['not there, but something else is', Buffer.alloc(5000, 0x5a)],
  ];
  it.each(indexes)('does no harm (%s)', async (name, trailer) => {
    const path = join(folder, `wrong ${name}.wmv`);
    writeAsf(path, testHeader(), packets, trailer);
    const file = await open(path);
    expect(file.packetCount).toBe(3000);
    for (let time = 1; time < 119_900; time += 1013) expect(await at(file, time)).toBe(expected(time));
  });

  /** An Index Object of two streams with blocks of 40 entries; only the cleanpoints of the second specifier count. */
  function indexObject(packetOf: (seconds: number) => number): Buffer {
    const block = (number: number): Buffer => {
      const entries = Buffer.alloc(4 + 16 + 40 * 8, 0xff);
      entries.writeUInt32LE(40, 0);
      entries.writeBigUInt64LE(0n, 4);
      entries.writeBigUInt64LE(400n, 12);
      for (let row = 0; row < 40; row++) {
        const offset = packetOf(number * 40 + row) * 400 - 400;
        if (offset >= 0) entries.writeUInt32LE(offset, 20 + row * 8 + 4);
      }
      return entries;
    };
    const head = Buffer.alloc(24 + 10 + 8);
    head.write(GUID.indexObject, 'hex');
    head.writeUInt32LE(1000, 24);
    head.writeUInt16LE(2, 28);
    head.writeUInt32LE(4, 30);
    for (const [place, value] of [2, 1, 1, 3].entries()) head.writeUInt16LE(value, 34 + place * 2);
    const object = Buffer.concat([head, block(0), block(1), block(2), block(3)]);
    object.writeBigUInt64LE(BigInt(object.length), 16);
    return object;
  }

  it('is not needed; an Index Object is used too', async () => {
    for (const [name, trailer] of [
      ['object', indexObject(right)],
      ['wrong-object', indexObject((seconds) => right(seconds) + 7)],
    ] as const) {
      const path = join(folder, `${name}.wmv`);
      writeAsf(path, testHeader(), packets, trailer);
      const file = await open(path);
      for (let time = 1; time < 119_900; time += 1013) expect(await at(file, time)).toBe(expected(time));
    }
  });

  it('is not trusted if send times say nothing either', async () => {
    const path = join(folder, 'no-send-times.wmv');
    const still = packets.map((_each, index) =>
      madePacket(0, [{ stream: 1, key: index % 50 === 0, number: index, time: index * 40 }]),
    );
    writeAsf(path, testHeader(), still);
    const file = await open(path);
    for (let time = 1; time < 119_900; time += 5003) expect(await at(file, time)).toBe(expected(time));
  });
});

describe('odd files', () => {
  it('finds the start if the first key frame comes later, and any object of a video without key frames', async () => {
    const late = join(folder, 'late.wmv');
    const packetOf = (index: number, key: boolean): Buffer =>
      madePacket(index * 100, [{ stream: 1, key, number: index, time: index * 100 }]);
    writeAsf(
      late,
      testHeader(),
      Array.from({ length: 500 }, (_each, index) => packetOf(index, index >= 300)),
    );
    const file = await open(late);
    expect(await at(file, 10_000)).toBe(0);
    expect(await at(file, 31_000)).toBe(310);

    const never = join(folder, 'never.wmv');
    writeAsf(
      never,
      testHeader(),
      Array.from({ length: 500 }, (_each, index) => packetOf(index, false)),
    );
    expect(await at(await open(never), 10_050)).toBe(100);
  });

  it('finds its way around damaged packets and through times that wrap', async () => {
    const base = 2 ** 32 - 30_000;
    const path = join(folder, 'wraps.wmv');
    const packets = Array.from({ length: 1000 }, (_each, index) =>
      madePacket(base + index * 100, [{ stream: 1, key: index % 10 === 0, number: index, time: base + index * 100 }]),
    );
    writeAsf(path, testHeader(), packets);
    const file = await open(path);
    // A whole segment and more of damaged packets, where the search looks.
    patch(path, testHeader().bytes.length + 327 * 400, Buffer.alloc(350 * 400, 0xee));
    expect(file.durationMs).toBe(100_000);
    expect(await at(file, 5_050)).toBe(50);
    expect(await at(file, 31_050)).toBe(310);
    expect(await at(file, 90_050)).toBe(900);
    expect(await at(file, 1000)).toBe(10);
  });
});

describe('a packet and a byte', () => {
  it('give exactly that packet, within the file', async () => {
    const path = join(folder, 'positions.wmv');
    await makeMedia(path, { seconds: 5 });
    const file = await open(path);
    const { packetCount, packetSize } = file;
    const packet = (value: number): Promise<number> => file.locate({ kind: 'packet', packet: value }, everything);
    const offset = (bytes: number): Promise<number> => file.locate({ kind: 'offset', bytes }, everything);
    expect(await file.locate({ kind: 'start' }, everything)).toBe(0);
    expect(await packet(17)).toBe(17);
    expect(await packet(17.9)).toBe(17);
    for (const value of [-1, Number.NaN, -Infinity]) expect(await packet(value)).toBe(0);
    for (const value of [packetCount, 2 ** 32 - 1, 2 ** 53, Infinity]) expect(await packet(value)).toBe(packetCount);

    const start = file.header.bytes.length;
    expect(start % packetSize).not.toBe(0);
    // libmms counts the header, VLC does not.
    for (const number of [0, 1, 33]) {
      expect(await offset(start + number * packetSize)).toBe(number);
      expect(await offset(number * packetSize)).toBe(number);
    }
    expect(await offset(start + 10 * packetSize + 5)).toBe(10);
    for (const value of [-1, -packetSize, 3, Number.NaN]) expect(await offset(value)).toBe(0);
    for (const value of [2 ** 64, start + packetCount * packetSize]) expect(await offset(value)).toBe(packetCount);
  });

  it('counts the header if both readings name a packet', async () => {
    const path = join(folder, 'even.wmv');
    const length = testHeader().bytes.length + 44;
    const header = testHeader({ ballast: 400 - (length % 400) });
    expect(header.bytes.length % 400).toBe(0);
    writeAsf(
      path,
      header,
      Array.from({ length: 20 }, (_each, index) => madePacket(index, [{ stream: 1, time: index }])),
    );
    const file = await open(path);
    expect(await file.locate({ kind: 'offset', bytes: header.bytes.length + 800 }, everything)).toBe(2);
  });
});
