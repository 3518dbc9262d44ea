import { join } from 'node:path';
import { parsePacket } from '../../../src/asf/index.js';
import { OnDemandFile } from '../../../src/media/on-demand/file.js';
import type { OnDemandItem } from '../../../src/media/on-demand/options.js';
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
  play,
  readAll,
  writeAsf,
} from './support.js';

const folder = temporaryFolder();
const path = join(folder, 'film.wmv');
const opened: OnDemandFile[] = [];

async function open(name: string): Promise<OnDemandFile> {
  const file = await OnDemandFile.open(name);
  opened.push(file);
  return file;
}

beforeAll(() => makeMedia(path, { seconds: 30, gops: [25], packetSize: 800, videoBitrate: '300k' }));
afterAll(() => Promise.all(opened.map((file) => file.close())));

/** Assembles the objects in the packets; fails if a fragment is missing or out of place. */
function assemble(items: readonly OnDemandItem[]): { stream: number; time: number; packet: number; data: Buffer }[] {
  const objects: { stream: number; time: number; packet: number; size: number; parts: Buffer[]; filled: number }[] = [];
  for (const { bytes, location } of items) {
    for (const payload of parsePacket(bytes).payloads) {
      expect(payload.key).toBe(true);
      if (payload.offset === 0) {
        const { stream, presentationTime: time, objectSize: size } = payload;
        objects.push({ stream, time, packet: location, size, parts: [], filled: 0 });
      }
      const object = objects.at(-1)!;
      expect([payload.stream, payload.offset]).toEqual([object.stream, object.filled]);
      object.parts.push(bytes.subarray(payload.dataStart, payload.dataStart + payload.dataLength));
      object.filled += payload.dataLength;
    }
  }
  for (const { filled, size } of objects) expect(filled).toBe(size);
  return objects.map(({ stream, time, packet, parts }) => ({ stream, time, packet, data: Buffer.concat(parts) }));
}

describe('forwards', () => {
  it.each([2, 3, 5])('gives all of every key frame, and nothing else, at rate %p', async (rate) => {
    const file = await open(path);
    const contents = contentsOf(path);
    const keys = keysOf(contents, 1);
    for (const [from, expected] of [
      [0, keys],
      [keys[7]!.packet, keys.slice(7)],
      [keys[7]!.packet + 1, keys.slice(8)],
    ] as const) {
      const items = await play(file, { rate, from });
      const objects = assemble(items);
      expect(objects.map(({ packet }) => packet)).toEqual(expected.map(({ packet }) => packet));
      expect(objects.map(({ time }) => time - 3100)).toEqual(expected.map(({ time }) => time));
      for (const { location, sendTime } of items) expect(sendTime).toBe(contents.packets[location]!.sendTime);
    }
  });

  it('ends without having rewound', async () => {
    const file = await open(path);
    const reader = file.reader({ from: 0, choice: everything, rate: 5, padding: 'cut' });
    expect((await readAll(reader)).rewound).toBe(false);
    expect(await reader.next()).toEqual({ items: [], end: true });
  });

  it('returns all packets of a file without video, and of one whose video is not chosen', async () => {
    const audio = join(folder, 'sound.wma');
    await makeMedia(audio, { gops: [], seconds: 5 });
    expect(locations(await play(await open(audio), { rate: 3 }))).toHaveLength(contentsOf(audio).packets.length);
    const file = await open(path);
    const sound = only({ 2: 0 });
    expect(digest(await play(file, { rate: 5, choice: sound }))).toBe(digest(await play(file, { choice: sound })));
  });
});

describe('backwards', () => {
  it.each([-1, -2, -5])('gives the key frames in falling order, each whole, at rate %p', async (rate) => {
    const file = await open(path);
    const keys = keysOf(contentsOf(path), 1);
    for (const padding of ['cut', 'kept'] as const) {
      const items = await play(file, { rate, from: file.packetCount, padding });
      const objects = assemble(items);
      expect(objects.map(({ packet }) => packet)).toEqual(keys.map(({ packet }) => packet).reverse());
      const forwards = assemble(await play(file, { rate: 2 }));
      expect(objects.map(({ data }) => data)).toEqual(forwards.map(({ data }) => data).reverse());
      if (padding === 'kept') for (const { bytes } of items) expect(bytes).toHaveLength(800);
    }
  });

  it('[WMSP-120] ends at the start of the file, and says so', async () => {
    const file = await open(path);
    const from = await file.locate({ kind: 'time', milliseconds: 10_500 }, everything);
    const reader = file.reader({ from, choice: everything, rate: -5, padding: 'cut' });
    const { items, rewound } = await readAll(reader);
    expect(rewound).toBe(true);
    expect(items[0]!.location).toBe(from);
    expect(assemble(items)).toHaveLength(11);
    const again = file.reader({ from: 0, choice: everything, rate: -1, padding: 'cut' });
    const start = await readAll(again);
    expect([assemble(start.items).length, start.rewound]).toEqual([1, true]);
  });

  it('returns nothing of a file without video', async () => {
    const audio = join(folder, 'sound-back.wma');
    await makeMedia(audio, { gops: [], seconds: 2 });
    const file = await open(audio);
    const reader = file.reader({ from: file.packetCount, choice: everything, rate: -1, padding: 'cut' });
    expect(await reader.next()).toEqual({ items: [], end: true, rewound: true });
  });
});

describe('odd key frames', () => {
  async function made(name: string, lists: readonly (readonly MadePayload[])[]): Promise<OnDemandFile> {
    const target = join(folder, `${name}.wmv`);
    writeAsf(
      target,
      testHeader(),
      lists.map((payloads, index) => madePacket(index * 1000, payloads)),
    );
    return open(target);
  }

  it('share a packet', async () => {
    const file = await made('beside', [
      [
        { stream: 1, key: true, number: 1, time: 0, size: 50, objectSize: 100 },
        { stream: 2, number: 1, time: 0 },
      ],
      [
        { stream: 1, key: true, number: 1, time: 0, offset: 50, size: 50, objectSize: 100 },
        { stream: 1, key: true, number: 2, time: 1000, size: 40 },
        { stream: 1, key: true, number: 3, time: 2000, size: 30 },
      ],
    ]);
    const back = assemble(await play(file, { rate: -1, from: 2 }));
    expect(back.map(({ time, data }) => `${time} ${data.length}`)).toEqual(['3000 30', '2000 40', '1000 100']);
    const forth = assemble(await play(file, { rate: 2 }));
    expect(forth.map(({ time }) => time)).toEqual([1000, 2000, 3000]);
  });

  it('that are cut end where they do', async () => {
    const filler: MadePayload[][] = Array.from({ length: 20 }, (_each, index) => [
      { stream: 2, number: index, time: 0 },
    ]);
    const file = await made('broken', [
      [{ stream: 1, key: true, number: 1, time: 0, size: 50, objectSize: 1000 }],
      ...filler,
      [{ stream: 1, key: true, number: 2, time: 5000, size: 50, objectSize: 150 }],
      [{ stream: 1, key: true, number: 2, time: 5000, size: 50, offset: 100, objectSize: 150 }],
      [{ stream: 1, key: true, number: 3, time: 9000, size: 50, objectSize: 150 }],
      ...filler,
    ]);
    expect(locations(await play(file, { rate: 5 }))).toEqual([0, 21, 23]);
    expect(locations(await play(file, { rate: -5, from: 99 }))).toEqual([23, 21, 0]);
  });

  it('are skipped where a viewer would see more than ten a second', async () => {
    const lists = Array.from({ length: 200 }, (_each, index) => [
      { stream: 1, key: true, number: index, time: index * 40 },
    ]);
    const file = await made('dense', lists);
    const times = (rate: number): Promise<number[]> =>
      play(file, { rate, from: rate < 0 ? 200 : 0 }).then((items) => items.map(({ location }) => location * 40));
    expect(await times(5)).toEqual(Array.from({ length: 16 }, (_each, index) => index * 520));
    const back = await times(-1);
    expect(back[0]! - back[1]!).toBe(120);
  });

  it('follow another choice', async () => {
    const film = join(folder, 'angles.wmv');
    await makeMedia(film, { seconds: 20, gops: [25, 50], packetSize: 1400 });
    const file = await open(film);
    const reader = file.reader({ from: 0, choice: only({ 1: 0, 3: 0 }), rate: 2, padding: 'cut' });
    const first = await readAll(reader, 10);
    reader.choose(only({ 2: 0, 3: 0 }));
    const second = await readAll(reader);
    const streams = (items: readonly OnDemandItem[]): Set<number> =>
      new Set(items.flatMap(({ bytes }) => parsePacket(bytes).payloads.map(({ stream }) => stream)));
    expect(streams(first.items)).toEqual(new Set([1]));
    // The key frame that was begun is finished.
    expect(streams(second.items.slice(4))).toEqual(new Set([2]));
  });
});
