import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AsfEvent } from '../../../src/media/events.js';
import { OnDemandFile } from '../../../src/media/on-demand/file.js';
import { type FilePartOptions, filePart } from '../../../src/media/on-demand/file-part.js';
import { makeFile } from '../support.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wmcast-'));
  await makeFile(join(folder, 'film.wmv'), { seconds: 6 });
  await makeFile(join(folder, 'large.wmv'), { seconds: 2, packetSize: 65_536 });
});
afterAll(() => rm(folder, { recursive: true }));

async function read(name: string, options: Partial<FilePartOptions> = {}, stopAfter = Number.POSITIVE_INFINITY) {
  const file = await OnDemandFile.open(join(folder, name));
  let released = 0;
  const part = filePart(file, { ...options, release: () => void released++ });
  const events: AsfEvent[] = [];
  for await (const event of part) {
    events.push(event);
    if (events.length === stopAfter) await part.close();
  }
  await part.close();
  await file.close();
  const packets = events.flatMap((event) => (event.type === 'packet' ? [event.packet] : []));
  return { events, packets, file, released };
}

describe('a part of a file', () => {
  it('is by default all of it, under a live header with other texts if they are given', async () => {
    const { events, packets, file, released } = await read('film.wmv', { texts: { title: 'The news' } });
    expect(packets).toHaveLength(file.packetCount);
    const [first] = events;
    expect(first?.type === 'header' && [first.header.broadcast, first.header.packetSize]).toEqual([
      true,
      file.packetSize,
    ]);
    const texts = first?.type === 'header' && first.header.objects.find(({ type }) => type === 'contentDescription');
    expect(texts).toMatchObject({ title: 'The news' });
    expect(events.at(-1)).toEqual({ type: 'end', moreEntries: false, reason: 0 });
    expect(released).toBe(1);
  });

  it('begins with a key frame and ends after its duration', async () => {
    const { packets, file } = await read('film.wmv', { begin: 2_500, duration: 1_500 });
    const times = packets.flatMap(({ payloads }) => payloads.map(({ presentationTime }) => presentationTime));
    const preroll = file.header.preroll;
    expect(packets[0]!.payloads[0]!.key).toBe(true);
    expect(Math.min(...times) - preroll).toBeLessThanOrEqual(2_500);
    expect(Math.min(...times) - preroll).toBeGreaterThan(500);
    expect(Math.max(...times) - preroll).toBeLessThanOrEqual(4_100);
    expect(Math.max(...times) - preroll).toBeGreaterThan(3_500);
  });

  it('has packets that all protocols carry', async () => {
    const { events, packets } = await read('large.wmv');
    const [first] = events;
    const size = first?.type === 'header' ? first.header.packetSize : 0;
    expect(size).toBe(16_000);
    expect(packets.length).toBeGreaterThan(0);
    for (const { bytes } of packets) expect(bytes.length).toBeLessThanOrEqual(size);
  });

  it('ends when it is closed, and releases the file once', async () => {
    const { events, released } = await read('film.wmv', {}, 3);
    expect(events.map(({ type }) => type)).toEqual(['header', 'packet', 'packet', 'end']);
    expect(released).toBe(1);
  });
});
