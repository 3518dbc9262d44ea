import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { chmod, mkdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { WmError } from '../../src/errors.js';
import type { AsfEvent, PacketEvent } from '../../src/media/events.js';
import { type FileSourceOptions, fileSource } from '../../src/media/file-source.js';
import { collect, decode, fileOf, temporaryFolder } from '../capture/support.js';
import { until } from '../support/until.js';
import { FakeClock, makeFile, makeHeader, makePacket } from './support.js';

const folder = temporaryFolder();
const film = join(folder, 'film.asf');

beforeAll(() => makeFile(film));

const packetsOf = (events: readonly AsfEvent[]) =>
  events.filter((event): event is PacketEvent => event.type === 'packet').map(({ packet }) => packet);

async function failureOf(options: FileSourceOptions): Promise<WmError> {
  const { error } = await collect(fileSource(options));
  if (error instanceof WmError) return error;
  throw new Error('No WmError was thrown.', { cause: error });
}

/** Opens the writer's end of a pipe once the reader's end is open; before that it cannot be opened. */
async function openedByReader(pipe: string): Promise<number> {
  return until('somebody to read the pipe', () => {
    try {
      return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      return undefined;
    }
  });
}

describe('fileSource', () => {
  it('yields header, packets and end of a file unchanged', async () => {
    const { events, error } = await collect(fileSource({ path: film }));
    expect(error).toBeUndefined();
    const bytes = await readFile(film);
    const copy = fileOf(events);
    expect(copy.equals(bytes.subarray(0, copy.length))).toBe(true);
    const [header] = events;
    expect(header?.type === 'header' && BigInt(packetsOf(events).length) === header.header.dataObject.packetCount).toBe(
      true,
    );
    expect(events.at(-1)).toEqual({ type: 'end', moreEntries: false, reason: 0 });
  });

  it('makes a live header on request', async () => {
    const { events } = await collect(fileSource({ path: film, live: { title: 'Now live' } }));
    const [first] = events;
    if (first?.type !== 'header') throw new Error('No header.');
    expect(first.header.broadcast).toBe(true);
    expect(first.header.fileProperties.playDuration).toBe(0n);
    expect(first.header.objects.find(({ type }) => type === 'contentDescription')).toMatchObject({ title: 'Now live' });
  });

  it.each(['title', 'author', 'copyright', 'description', 'rating'])(
    'refuses a %s that no header holds before it opens anything',
    (name) => {
      const open = () => fileSource({ path: '/nowhere.asf', live: { [name]: 'x'.repeat(32_767) } });
      const message = `${name} has 32767 characters; an ASF header holds at most 32766.`;
      expect(open).toThrow(expect.objectContaining({ code: 'WM_USAGE', message }));
    },
  );

  it('yields packets when they are due, or up to 250 ms earlier, several together', async () => {
    const clock = new FakeClock();
    const start = clock.time;
    let first: number | undefined;
    for await (const event of fileSource({ path: film, pace: true, clock })) {
      if (event.type !== 'packet') continue;
      first ??= event.packet.sendTime;
      const early = event.packet.sendTime - first - (clock.time - start);
      expect(early).toBeGreaterThanOrEqual(0);
      expect(early).toBeLessThan(250);
    }
    expect(clock.time - start).toBeGreaterThan(1800);
    expect(clock.sleeps.length).toBeLessThan(10);
  });

  it('reads all of a named pipe, however late its writer comes', async () => {
    const pipe = join(folder, 'pipe.asf');
    execFileSync('mkfifo', [pipe]);
    const reading = collect(fileSource({ path: pipe }));
    await writeFile(pipe, await readFile(film));
    const whole = await collect(fileSource({ path: film }));
    expect(fileOf((await reading).events).equals(fileOf(whole.events))).toBe(true);
  });

  it('can be closed while its pipe has no writer', async () => {
    const pipe = join(folder, 'silent.asf');
    execFileSync('mkfifo', [pipe]);
    const source = fileSource({ path: pipe });
    const reading = collect(source);
    const writer = await openedByReader(pipe);
    await source.close();
    expect(await reading).toEqual({ events: [], error: undefined });
    closeSync(writer);
  });

  it('ends after the requested duration', async () => {
    const { events } = await collect(fileSource({ path: film, duration: 0.5 }));
    const last = packetsOf(events).at(-1)!;
    expect(last.sendTime).toBeLessThan(500);
    expect(last.sendTime).toBeGreaterThan(350);
    expect(events.at(-1)?.type).toBe('end');
  });

  it('loops as one stream that decodes without a fault', async () => {
    const { events, error } = await collect(fileSource({ path: film, loop: true, duration: 5.5 }));
    expect(error).toBeUndefined();
    expect(events.filter(({ type }) => type === 'header')).toHaveLength(1);
    const packets = packetsOf(events);
    for (const [index, { sendTime }] of packets.entries()) {
      expect(sendTime).toBeGreaterThanOrEqual(packets[index - 1]?.sendTime ?? 0);
    }
    const { frames, complaints } = await decode(fileOf(events));
    expect(complaints).toBe('');
    const video = frames.get(0)!;
    expect(video.length).toBeGreaterThan(130);
    for (const [index, time] of video.entries()) {
      if (index === 0) continue;
      // 25 frames a second, except where audio outlasts video at the seam.
      expect(time - video[index - 1]!).toBeGreaterThan(0.03);
      expect(time - video[index - 1]!).toBeLessThan(0.25);
    }
  });

  it('keeps its pace across the seam of a loop', async () => {
    const clock = new FakeClock();
    const start = clock.time;
    await collect(fileSource({ path: film, loop: true, duration: 5, pace: true, clock }));
    expect(clock.time - start).toBeGreaterThan(4800);
    expect(clock.time - start).toBeLessThan(5100);
    expect(Math.max(...clock.sleeps)).toBeLessThan(300);
  });

  it('announces a new entry if the file was replaced between two rounds', async () => {
    const path = join(folder, 'replaced.asf');
    await makeFile(path, { seconds: 1 });
    const source = fileSource({ path, loop: true });
    const events: AsfEvent[] = [];
    for await (const event of source) {
      if (events.length === 1) await makeFile(path, { seconds: 1, packetSize: 900 });
      events.push(event);
      if (event.type === 'header' && events.length > 1) break;
    }
    expect(events.slice(-2)).toMatchObject([
      { type: 'end', moreEntries: true, reason: 1 },
      { type: 'header', header: { packetSize: 900 } },
    ]);
  });

  it('reads standard input', async () => {
    const bytes = await readFile(film);
    const slices = Array.from({ length: Math.ceil(bytes.length / 777) }, (_, index) =>
      bytes.subarray(index * 777, (index + 1) * 777),
    );
    const { events } = await collect(fileSource({ path: '-', stdin: Readable.from(slices, { objectMode: false }) }));
    const copy = fileOf(events);
    expect(copy.equals(bytes.subarray(0, copy.length))).toBe(true);
    expect(() => fileSource({ path: '-', loop: true })).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
  });

  it('holds no more than it needs of a large input', async () => {
    const header = await makeHeader();
    const block = Buffer.concat(
      Array.from({ length: 1000 }, (_, index) => makePacket(index, [{ time: index + 3100 }]).bytes),
    );
    let given = 0;
    let taken = 0;
    const stdin = new Readable({
      highWaterMark: 1,
      read() {
        given += block.length;
        this.push(given <= 100 * block.length ? block : null);
      },
    });
    stdin.unshift(header.bytes);
    for await (const event of fileSource({ path: '-', stdin })) {
      if (event.type !== 'packet') continue;
      taken += event.packet.bytes.length;
      expect(given - taken).toBeLessThanOrEqual(4 * block.length);
    }
    expect(taken).toBe(100 * block.length);
  });
});

describe('closing a fileSource', () => {
  it('wakes it from its sleep, and it ends with an end event', async () => {
    let asleep: () => void = () => undefined;
    const sleeping = new Promise<void>((resolve) => {
      asleep = resolve;
    });
    const clock = {
      now: () => 0,
      sleep: (_: number, signal?: AbortSignal) =>
        new Promise<void>((resolve) => {
          signal?.addEventListener('abort', () => resolve());
          asleep();
        }),
    };
    const source = fileSource({ path: film, pace: true, clock });
    const reading = collect(source);
    await sleeping;
    await source.close();
    await source.close();
    const { events, error } = await reading;
    expect(error).toBeUndefined();
    expect(events.at(0)?.type).toBe('header');
    expect(events.at(-1)?.type).toBe('end');
  });

  it('ends its wait for standard input', async () => {
    const stdin = new PassThrough();
    const source = fileSource({ path: '-', stdin });
    const reading = collect(source);
    stdin.write((await readFile(film)).subarray(0, 3000));
    await new Promise((resolve) => setImmediate(resolve));
    await source.close();
    expect((await reading).error).toBeUndefined();
    expect(stdin.destroyed).toBe(true);
  });

  it('closes the file when the consumer stops', async () => {
    const stdin = Readable.from([await readFile(film)], { objectMode: false });
    for await (const event of fileSource({ path: '-', stdin })) if (event.type === 'packet') break;
    expect(stdin.destroyed).toBe(true);
  });
});

describe('fileSource and a bad file', () => {
  it('says that it is missing, a folder, empty or unreadable', async () => {
    const path = join(folder, 'none.asf');
    expect(await failureOf({ path })).toMatchObject({ code: 'WM_NO_INPUT', message: `${path} does not exist.` });
    await mkdir(join(folder, 'folder'), { recursive: true });
    expect(await failureOf({ path: join(folder, 'folder') })).toMatchObject({
      code: 'WM_BAD_INPUT',
      message: expect.stringContaining('is a folder'),
    });
    await writeFile(join(folder, 'empty'), '');
    expect(await failureOf({ path: join(folder, 'empty') })).toMatchObject({
      code: 'WM_BAD_INPUT',
      message: expect.stringContaining('is empty'),
    });
    expect(await failureOf({ path: '-', stdin: Readable.from([], { objectMode: false }) })).toMatchObject({
      message: 'Standard input is empty.',
    });
    if (process.getuid?.() === 0) return;
    await writeFile(join(folder, 'closed'), 'x');
    await chmod(join(folder, 'closed'), 0);
    expect(await failureOf({ path: join(folder, 'closed') })).toMatchObject({
      code: 'WM_NO_INPUT',
      message: expect.stringContaining('permission denied'),
    });
  });

  it('says what a file is if it is not ASF', async () => {
    const path = join(folder, 'note.asf');
    await writeFile(path, 'Dear reader,\nthis is not a film.\n'.repeat(10));
    const error = await failureOf({ path });
    expect(error.code).toBe('WM_ASF_MALFORMED');
    expect(error.message).toMatch(/note\.asf cannot be played: This is not ASF but text that starts with "Dear reader/);
    await writeFile(path, 'Hi');
    expect((await failureOf({ path })).message).toMatch(/text that starts with "Hi"/);
  });

  it('plays the available part of a truncated file, and says what is missing', async () => {
    const path = join(folder, 'cut.asf');
    await makeFile(path);
    const warnings: string[] = [];
    const whole = packetsOf((await collect(fileSource({ path }))).events);
    const [first] = (await collect(fileSource({ path }))).events;
    const headerSize = first?.type === 'header' ? first.header.bytes.length : 0;
    const kept = Math.floor(whole.length / 2);
    for (const extra of [0, 20]) {
      await truncate(path, headerSize + 1400 * kept + extra);
      const size = (await stat(path)).size;
      if (extra > 0) await writeFile(path, (await readFile(film)).subarray(0, size));
      const { events, error } = await collect(fileSource({ path, warn: (message) => warnings.push(message) }));
      expect(error).toBeUndefined();
      expect(packetsOf(events)).toHaveLength(kept);
      expect(events.at(-1)?.type).toBe('end');
    }
    const missing = whole.length - kept;
    const sentence = `${path} is cut: the last ${missing} of ${whole.length} packets (${Math.round((100 * missing) / whole.length)} %) are missing.`;
    expect(warnings).toEqual([sentence, sentence]);
  });

  it('says that packets are damaged, and plays the others', async () => {
    const path = join(folder, 'damaged.asf');
    const bytes = Buffer.from(await readFile(film));
    const headerSize = Number(bytes.readBigUInt64LE(16)) + 50;
    bytes.fill(0xff, headerSize + 1400, headerSize + 2 * 1400);
    await writeFile(path, bytes);
    const warnings: string[] = [];
    const { events } = await collect(fileSource({ path, warn: (message) => warnings.push(message) }));
    expect(packetsOf(events).length).toBe(packetsOf((await collect(fileSource({ path: film }))).events).length - 1);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/damaged\.asf is damaged: 1 of/);
  });

  it('fails if the file is cut off in its header, and does not loop for ever without packets', async () => {
    const bytes = await readFile(film);
    const path = join(folder, 'head.asf');
    await writeFile(path, bytes.subarray(0, 300));
    expect(await failureOf({ path })).toMatchObject({
      code: 'WM_ASF_MALFORMED',
      message: expect.stringContaining('ends inside the ASF header'),
    });
    await writeFile(path, bytes.subarray(0, Number(bytes.readBigUInt64LE(16)) + 50));
    expect(await failureOf({ path, loop: true })).toMatchObject({
      code: 'WM_BAD_INPUT',
      message: expect.stringContaining('no packets'),
    });
  });

  it('ends what was begun if reading fails in the middle', async () => {
    const bytes = await readFile(film);
    const stdin = new Readable({
      read() {
        if (this.push(bytes.subarray(0, 5000)))
          this.destroy(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }));
      },
    });
    const { events, error } = await collect(fileSource({ path: '-', stdin }));
    expect(error).toMatchObject({ code: 'WM_NO_INPUT', message: 'Standard input cannot be read: EIO: i/o error.' });
    if (events.length > 0) expect(events.at(-1)?.type).toBe('end');
  });
});
