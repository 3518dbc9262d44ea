import { join } from 'node:path';
import { jest } from '@jest/globals';
import { parsePacket } from '../../../src/asf/index.js';
import { OnDemandFile } from '../../../src/media/on-demand/file.js';
import type { OnDemandItem } from '../../../src/media/on-demand/options.js';
import { WholePackets } from '../../../src/media/on-demand/whole-packets.js';
import { temporaryFolder } from '../../capture/support.js';
import { testHeader } from '../../support/stream.js';
import {
  contentsOf,
  digest,
  everything,
  keysOf,
  locations,
  type MadePayload,
  madePacket,
  makeMedia,
  only,
  payloadsOf,
  play,
  readAll,
  writeAsf,
} from './support.js';

const folder = temporaryFolder();
const path = join(folder, 'two.wmv');
const opened: OnDemandFile[] = [];

async function open(name: string): Promise<OnDemandFile> {
  const file = await OnDemandFile.open(name);
  opened.push(file);
  return file;
}

/** A file of the payloads: one packet, and 100 ms, for each list. */
async function made(name: string, lists: readonly (readonly MadePayload[])[], packetSize = 400): Promise<OnDemandFile> {
  const target = join(folder, `${name}.wmv`);
  const packets = lists.map((payloads, index) => madePacket(index * 100, payloads, packetSize));
  writeAsf(target, testHeader({ packetSize }), packets);
  return open(target);
}

const streamsOf = (bytes: Buffer): number[] => parsePacket(bytes).payloads.map(({ stream }) => stream);

beforeAll(() => makeMedia(path, { seconds: 20, gops: [25, 60] }));
afterAll(() => Promise.all(opened.map((file) => file.close())));

describe('all streams', () => {
  it('are parsed for the first reader of a file only, if nothing has to be changed', async () => {
    const file = await open(path);
    const noted = jest.spyOn(WholePackets.prototype, 'note');
    try {
      const items = await play(file);
      // One that lost its padding to a length of its own is as long, but was changed.
      const whole = items.filter(({ bytes }) => {
        const { paddingLength, explicitLength } = parsePacket(bytes);
        return paddingLength === 0 && !explicitLength && bytes.length === file.packetSize;
      });
      expect(whole.length).toBeGreaterThan(items.length / 2);
      expect(noted).toHaveBeenCalledTimes(whole.length);
    } finally {
      noted.mockRestore();
    }
  });

  it('[WMSP-108] have the numbers of their packets in the file, and its send times', async () => {
    const { packets } = contentsOf(path);
    const items = await play(await open(path));
    expect(locations(items)).toEqual(packets.map((_each, index) => index));
    expect(items.map(({ sendTime }) => sendTime)).toEqual(packets.map(({ sendTime }) => sendTime));
    expect(payloadsOf(items.map(({ bytes }) => bytes))).toEqual(payloadsOf(packets.map(({ bytes }) => bytes)));
  });

  it('[WMSP-117] [WMSP-118] come without padding, or at full size on request', async () => {
    const file = await made(
      'padded',
      Array.from({ length: 50 }, () => [{ stream: 1, key: true, time: 0, size: 60 }]),
    );
    for (const { bytes } of await play(file)) {
      expect(bytes.length).toBeLessThan(110);
      expect(parsePacket(bytes)).toMatchObject({ paddingLength: 0, explicitLength: true });
    }
    const { packets } = contentsOf(file.path);
    const kept = await play(file, { padding: 'kept' });
    expect(kept.map(({ bytes }) => bytes)).toEqual(packets.map(({ bytes }) => bytes));
  });

  it('come in reads of up to 128 KiB, or as much as is about due, for large and for tiny packets', async () => {
    for (const [name, packetSize] of [
      ['large', 60_000],
      ['tiny', 120],
    ] as const) {
      const count = packetSize === 120 ? 1000 : 8;
      const lists = Array.from({ length: count }, (_each, index) => [{ stream: 1, key: true, number: index, time: 0 }]);
      const file = await made(name, lists, packetSize);
      const reader = file.reader({ from: 0, choice: everything, rate: 1, padding: 'kept' });
      for (let total = 0; total < count; ) {
        const { items } = await reader.next();
        expect(items.length).toBeGreaterThan(0);
        expect(items.length * packetSize).toBeLessThanOrEqual(128 * 1024);
        total += items.length;
      }
    }
  });

  it('come up to the first that is not due, and go on from there with the next read', async () => {
    const file = await open(path);
    const { packets } = contentsOf(path);
    const reader = file.reader({ from: 0, choice: everything, rate: 1, padding: 'kept' });
    const items: OnDemandItem[] = [];
    for (let until = 0; items.length < packets.length; until += 250) {
      const asked: number[] = [];
      const due = (sendTime: number): boolean => {
        asked.push(sendTime);
        return sendTime <= until;
      };
      const batch = await reader.next({ span: 250, due, given: () => undefined });
      items.push(...batch.items);
      expect(asked.length - batch.items.length).toBeLessThanOrEqual(1);
      expect(batch.items.every(({ sendTime }) => sendTime <= until)).toBe(true);
      expect(reader.position).toBe(items.length);
      // A read of what is due in a quarter of a second does not take all of the file.
      expect(asked.length).toBeLessThan(packets.length / 10);
    }
    expect(items.map(({ bytes }) => bytes)).toEqual(packets.map(({ bytes }) => bytes));
  });

  it('skip packets that cannot be read, and go on', async () => {
    const lists = Array.from({ length: 60 }, (_each, index) => [{ stream: 1, key: true, number: index, time: index }]);
    const target = join(folder, 'damaged.wmv');
    const packets = lists.map((payloads, index) => madePacket(index, payloads));
    for (const index of [0, 7, 8, 59]) packets[index]!.fill(0xff);
    writeAsf(target, testHeader(), packets);
    const items = await play(await open(target));
    const readable = lists.map((_each, index) => index).filter((index) => ![0, 7, 8, 59].includes(index));
    expect(locations(items)).toEqual(readable);
  });
});

describe('chosen streams', () => {
  it('[WMSP-249] [WMSP-050] are all that packets hold; packets left empty are dropped', async () => {
    const file = await open(path);
    const { packets } = contentsOf(path);
    for (const choice of [only({ 1: 0 }), only({ 3: 0 }), only({ 2: 0, 3: 0 }), only({ 1: 1, 3: 0 }), only({ 3: 1 })]) {
      const isWanted = (stream: number, key: boolean): boolean =>
        choice.level(stream) === 0 || (choice.level(stream) === 1 && (key || stream === 3));
      const wanted = packets.flatMap(({ bytes, payloads }, location) => {
        const kept = payloads.filter(({ stream, key }) => isWanted(stream, key));
        return kept.length === 0 ? [] : [{ location, payloads: kept, bytes }];
      });
      for (const padding of ['cut', 'kept'] as const) {
        const items = await play(file, { choice, padding });
        expect(locations(items)).toEqual(wanted.map(({ location }) => location));
        const text = items.flatMap(({ bytes }) =>
          parsePacket(bytes).payloads.map((each) => `${each.stream} ${each.offset}`),
        );
        expect(text).toEqual(wanted.flatMap(({ payloads }) => payloads.map((each) => `${each.stream} ${each.offset}`)));
        for (const { bytes } of padding === 'kept' ? items : []) expect(bytes).toHaveLength(1400);
      }
    }
  });

  it('may be none: then nothing is sent, but the file takes its time', async () => {
    const file = await open(path);
    const reader = file.reader({ from: 0, choice: only({}), rate: 1, padding: 'cut' });
    const asked: number[] = [];
    const due = (sendTime: number): boolean => {
      asked.push(sendTime);
      return asked.length % 10 !== 0;
    };
    for (let end = false; !end; ) {
      const batch = await reader.next({ span: 1000, due, given: (size) => expect(size).toBe(0) });
      expect(batch.items).toEqual([]);
      end = batch.end;
    }
    expect(new Set(asked)).toEqual(new Set(contentsOf(path).packets.map(({ sendTime }) => sendTime)));
  });

  it('begin with a key frame, and others with a whole object, if playback begins in the middle', async () => {
    const file = await made('middle', [
      [{ stream: 1, key: true, number: 1, time: 0, size: 50, objectSize: 90 }],
      [
        { stream: 1, key: true, number: 1, offset: 50, time: 0, objectSize: 90 },
        { stream: 2, number: 1, time: 0, size: 50, objectSize: 90 },
        { stream: 1, number: 2, time: 40 },
      ],
      [
        { stream: 2, number: 1, offset: 50, time: 0, objectSize: 90 },
        { stream: 1, number: 3, time: 80 },
      ],
      [{ stream: 1, number: 4, time: 120 }],
      [
        { stream: 2, number: 2, time: 100 },
        { stream: 1, key: true, number: 5, time: 160 },
      ],
      [{ stream: 1, number: 6, time: 200 }],
    ]);
    const from = (packet: number, exact = false): Promise<string[]> =>
      play(file, { from: packet, exact }).then((items) =>
        items.map(({ location, bytes }) => {
          const { payloads } = parsePacket(bytes);
          return `${location}: ${payloads.map((each) => `${each.stream}/${each.mediaObjectNumber}+${each.offset}`)}`;
        }),
      );
    expect(await from(0)).toEqual([
      '0: 1/1+0',
      '1: 1/1+50,2/1+0,1/2+0',
      '2: 2/1+50,1/3+0',
      '3: 1/4+0',
      '4: 2/2+0,1/5+0',
      '5: 1/6+0',
    ]);
    expect(await from(1)).toEqual(['1: 2/1+0', '2: 2/1+50', '4: 2/2+0,1/5+0', '5: 1/6+0']);
    expect(await from(2)).toEqual(['4: 2/2+0,1/5+0', '5: 1/6+0']);
    expect(await from(5)).toEqual([]);
    // A player that named the packet has what precedes it.
    expect(await from(2, true)).toEqual(['2: 2/1+50,1/3+0', '3: 1/4+0', '4: 2/2+0,1/5+0', '5: 1/6+0']);
    expect(await from(5, true)).toEqual(['5: 1/6+0']);
    for (const packet of [6, 7, 2 ** 40]) expect(await from(packet)).toEqual([]);
  });

  it('begin at the key frame that a seek finds', async () => {
    const file = await open(path);
    const keys = keysOf(contentsOf(path), 2);
    for (const time of [3000, 7777, 15_000]) {
      const choice = only({ 2: 0, 3: 0 });
      const from = await file.locate({ kind: 'time', milliseconds: time }, choice);
      const [first] = await play(file, { from, choice });
      expect(first!.location).toBe(from);
      const video = parsePacket(first!.bytes).payloads.find(({ stream }) => stream === 2)!;
      expect([video.key, video.offset, video.presentationTime - 3100]).toEqual([
        true,
        0,
        keys.findLast((key) => key.time <= time)!.time,
      ]);
    }
  });
});

describe('another choice while playing', () => {
  /** Videos 1 and 3 with key frames at every 10th and 25th packet, audio 2 and 4. */
  const lists = (count: number): MadePayload[][] =>
    Array.from({ length: count }, (_each, index) => [
      { stream: 1, key: index % 10 === 0, number: index, time: index * 100 },
      { stream: 3, key: index % 25 === 0, number: index, time: index * 100 },
      { stream: 2, number: index, time: index * 100 },
    ]);

  async function twoVideos(name: string, count = 400): Promise<OnDemandFile> {
    const header = contentsOf(path).header;
    // ffmpeg's header of two videos and sound, streams 1, 2, 3.
    const packets = lists(count).map((payloads, index) =>
      madePacket(
        index * 100,
        payloads.map((each) => ({ ...each, stream: each.stream === 2 ? 3 : each.stream === 3 ? 2 : 1 })),
        1400,
      ),
    );
    const target = join(folder, `${name}.wmv`);
    writeAsf(target, header, packets);
    return open(target);
  }

  it('[WMSP-251] [WMSP-254] begins a stream at a key frame, and continues the one it replaces until then', async () => {
    const file = await twoVideos('switch');
    const reader = file.reader({ from: 0, choice: only({ 1: 0, 3: 0 }), rate: 1, padding: 'cut' });
    const before = await readAll(reader, 30);
    const from = reader.position;
    reader.choose(only({ 2: 0, 3: 0 }));
    const after = await readAll(reader);
    for (const { bytes } of before.items) expect(streamsOf(bytes)).toEqual([1, 3]);
    const start = Math.ceil(from / 25) * 25;
    expect(start).toBeGreaterThan(from);
    for (const { location, bytes } of after.items) {
      const streams = streamsOf(bytes);
      // In the packet of the switch, the old stream precedes the new one's key frame.
      expect(streams).toEqual(location < start ? [1, 3] : location === start ? [1, 2, 3] : [2, 3]);
    }
    expect(locations([...before.items, ...after.items])).toEqual(Array.from({ length: 400 }, (_each, index) => index));
  });

  it('turns a stream off at once if none replaces it', async () => {
    const file = await twoVideos('off');
    const reader = file.reader({ from: 0, choice: everything, rate: 1, padding: 'cut' });
    await readAll(reader, 30);
    reader.choose(only({ 3: 0 }));
    for (const { bytes } of (await readAll(reader, 30)).items) expect(streamsOf(bytes)).toEqual([3]);
    reader.choose(only({ 1: 0, 3: 2 }));
    const { items } = await readAll(reader);
    expect(items[0]!.location % 10).toBe(0);
    for (const { bytes } of items) expect(streamsOf(bytes)).toEqual([1]);
  });

  it('thins at once, and stops thinning at a key frame', async () => {
    const file = await twoVideos('thin');
    const reader = file.reader({ from: 0, choice: only({ 1: 0 }), rate: 1, padding: 'cut' });
    await readAll(reader, 30);
    reader.choose(only({ 1: 1 }));
    const thinned = await readAll(reader, 5);
    for (const { location } of thinned.items) expect(location % 10).toBe(0);
    const from = reader.position;
    reader.choose(only({ 1: 0 }));
    const again = locations((await readAll(reader)).items);
    expect(again[0]).toBe(Math.ceil(from / 10) * 10);
    expect(again[1]).toBe(again[0]! + 1);
  });

  it('counts from the last choice if it comes before the previous one has taken effect', async () => {
    const file = await twoVideos('undone');
    const reader = file.reader({ from: 0, choice: only({ 1: 0 }), rate: 1, padding: 'cut' });
    await readAll(reader, 26);
    reader.choose(only({ 2: 0 }));
    reader.choose(only({ 1: 0 }));
    for (const { bytes } of (await readAll(reader)).items) expect(streamsOf(bytes)).toEqual([1]);
  });

  it('[WMSP-251] takes effect with the next packet that is sent, even while it is being read', async () => {
    const file = await twoVideos('next');
    const reader = file.reader({ from: 0, choice: everything, rate: 1, padding: 'cut' });
    let left = 7;
    const pacer = { span: 5000, due: () => left-- > 0, given: () => undefined };
    const before = await reader.next(pacer);
    expect(locations(before.items)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    left = 5;
    const reading = reader.next(pacer);
    reader.choose(only({ 3: 0 }));
    const { items } = await reading;
    expect(locations(items)).toEqual([7, 8, 9, 10, 11]);
    for (const { bytes } of items) expect(streamsOf(bytes)).toEqual([3]);
  });
});

describe('max-duration', () => {
  const timesOf = (items: readonly { bytes: Buffer }[]): number[] =>
    items.flatMap(({ bytes }) => parsePacket(bytes).payloads.map((each) => each.presentationTime - 3100));

  it('[WMSP-034] ends that much media after the start, and never before the end of the file', async () => {
    const file = await open(path);
    for (const [from, milliseconds] of [
      [0, 4000],
      [8000, 5000],
      [15_000, 100],
    ] as const) {
      const packet = await file.locate({ kind: 'time', milliseconds: from }, everything);
      const times = timesOf(await play(file, { from: packet, start: from, maxDuration: milliseconds }));
      expect(Math.max(...times)).toBeGreaterThanOrEqual(from + milliseconds - 100);
      expect(Math.max(...times)).toBeLessThan(from + milliseconds + 300);
    }
    const all = digest(await play(file));
    for (const maxDuration of [20_500, 2 ** 31 - 1]) expect(digest(await play(file, { maxDuration }))).toBe(all);
    expect(Math.max(...timesOf(await play(file, { maxDuration: 2000 })))).toBeLessThan(2300);
  });

  it('[WMSP-034] holds for trick play too', async () => {
    const file = await open(path);
    const times = timesOf(await play(file, { rate: 3, maxDuration: 5000 }));
    expect(Math.max(...times)).toBeLessThan(5100);
    const back = await play(file, { rate: -1, from: file.packetCount, start: 20_000, maxDuration: 5000 });
    expect(Math.min(...timesOf(back))).toBeGreaterThan(15_000 - 1100);
  });
});
