import { execFileSync } from 'node:child_process';
import { appendFile, copyFile, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AsfFileBuilder, liveHeader, parseHeader, parsePacket } from '../../../src/asf/index.js';
import { WmError } from '../../../src/errors.js';
import { OnDemandFile } from '../../../src/media/on-demand/file.js';
import { temporaryFolder } from '../../capture/support.js';
import { testHeader } from '../../support/stream.js';
import {
  contentsOf,
  everything,
  locations,
  madePacket,
  makeMedia,
  only,
  patch,
  play,
  readAll,
  writeAsf,
} from './support.js';

const folder = temporaryFolder();
const whole = join(folder, 'whole.wmv');
const opened: OnDemandFile[] = [];

async function open(path: string): Promise<OnDemandFile> {
  const file = await OnDemandFile.open(path);
  opened.push(file);
  return file;
}

async function failure(path: string): Promise<string> {
  const error = await OnDemandFile.open(path).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(WmError);
  const { code, message } = error as WmError;
  return `${code} ${message.replace(folder, '')}`;
}

const frames = (count: number, from = 0): Buffer[] =>
  Array.from({ length: count }, (_each, index) =>
    madePacket((from + index) * 100, [{ stream: 1, key: true, number: from + index, time: (from + index) * 100 }]),
  );

beforeAll(() => makeMedia(whole, { seconds: 6 }));
afterAll(() => Promise.all(opened.map((file) => file.close())));

describe('open', () => {
  it('reports what is wrong in one sentence', async () => {
    const path = (name: string): string => join(folder, name);
    await mkdir(path('folder.wmv'));
    await writeFile(path('empty.wmv'), '');
    await writeFile(path('text.wmv'), 'This is a text, not a film.');
    execFileSync('mkfifo', [path('pipe.wmv')]);
    const header = testHeader().bytes;
    await writeFile(path('cut.wmv'), header.subarray(0, 100));
    await writeFile(path('header.wmv'), header);
    await writeFile(path('half.wmv'), Buffer.concat([header, frames(1)[0]!.subarray(0, 20)]));
    await writeFile(path('headless.wmv'), header.subarray(0, header.length - 50));
    await writeFile(path('other.wmv'), Buffer.concat([header.subarray(0, header.length - 50), Buffer.alloc(900)]));
    expect(await failure(path('missing.wmv'))).toBe('WM_NO_INPUT /missing.wmv does not exist.');
    expect(await failure(path('whole.wmv/x'))).toMatch(/^WM_NO_INPUT .*cannot be read: .*ENOTDIR/);
    expect(await failure(path('folder.wmv'))).toBe('WM_BAD_INPUT /folder.wmv is a folder, not a file.');
    expect(await failure(path('pipe.wmv'))).toBe('WM_BAD_INPUT /pipe.wmv is not a regular file.');
    expect(await failure(path('empty.wmv'))).toBe('WM_BAD_INPUT /empty.wmv is empty.');
    expect(await failure(path('text.wmv'))).toMatch(/^WM_ASF_MALFORMED \/text.wmv cannot be played: This is not ASF/);
    expect(await failure(path('cut.wmv'))).toMatch(/^WM_ASF_MALFORMED .*ends inside the ASF header\.$/);
    for (const name of ['header.wmv', 'half.wmv', 'headless.wmv']) {
      expect(await failure(path(name))).toBe(`WM_BAD_INPUT /${name} holds a header but no packets.`);
    }
    expect(await failure(path('other.wmv'))).toMatch(/^WM_ASF_MALFORMED .*not followed by a Data Object/);
  });

  it('reads a header of half a megabyte', async () => {
    const path = join(folder, 'large-header.wmv');
    writeAsf(path, testHeader({ ballast: 500_000 }), frames(20));
    expect(locations(await play(await open(path)))).toHaveLength(20);
  });
});

describe('the header', () => {
  it('is that of the file', async () => {
    const file = await open(whole);
    const stored = contentsOf(whole);
    expect(file.header.bytes.equals(stored.header.bytes)).toBe(true);
    expect(file.packetCount).toBe(stored.packets.length);
    expect(file.packetSize).toBe(1400);
    expect(file.size).toBe((await readFile(whole)).length);
    expect(Math.abs(file.durationMs - 6000)).toBeLessThan(100);
    expect([file.seekable, file.stridable]).toEqual([true, true]);
    expect(file.path).toBe(whole);
  });

  it('says Seekable even for a file without an index, and changes nothing else', async () => {
    const path = join(folder, 'not-seekable.wmv');
    await copyFile(whole, path);
    const stored = contentsOf(whole).header;
    const flagsAt = stored.bytes.indexOf(Buffer.from('a1dcab8c47a9cf118ee400c00c205365', 'hex')) + 88;
    patch(path, flagsAt, Buffer.from([0]));
    const { header } = await open(path);
    expect(header.bytes.equals(stored.bytes)).toBe(true);
  });

  it('of a truncated file describes what is there', async () => {
    const path = join(folder, 'cut-data.wmv');
    await copyFile(whole, path);
    const { header: stored } = contentsOf(whole);
    await truncate(path, stored.bytes.length + 60 * 1400 + 20);
    const file = await open(path);
    expect(file.packetCount).toBe(60);
    const { fileProperties, dataObject, bytes } = file.header;
    expect(fileProperties.dataPacketsCount).toBe(60n);
    expect(fileProperties.fileSize).toBe(BigInt(stored.bytes.length + 60 * 1400 + 20));
    expect(dataObject).toMatchObject({ packetCount: 60n, size: BigInt(50 + 60 * 1400) });
    expect(bytes).toHaveLength(stored.bytes.length);
    const times = contentsOf(path).packets.flatMap(({ payloads }) => payloads.map((each) => each.presentationTime));
    expect(file.durationMs).toBeGreaterThanOrEqual(Math.max(...times) - stored.preroll);
    expect(file.durationMs).toBeLessThan(Math.max(...times) - stored.preroll + 100);
    expect(locations(await play(file))).toEqual(Array.from({ length: 60 }, (_each, index) => index));
  });

  it('of a recording that was never finished is like that of a file', async () => {
    const path = join(folder, 'recording.wmv');
    const { header, packets } = contentsOf(whole);
    const builder = new AsfFileBuilder(header);
    const parts = [builder.start(), ...packets.map((packet) => builder.packet(packet))];
    await writeFile(path, Buffer.concat(parts));
    expect(parseHeader(await readFile(path)).broadcast).toBe(true);
    const file = await open(path);
    expect(file.packetCount).toBe(packets.length);
    const { broadcast, fileProperties, dataObject, preroll } = file.header;
    expect(broadcast).toBe(false);
    expect(fileProperties.flags).toBe(2);
    expect(fileProperties.dataPacketsCount).toBe(BigInt(packets.length));
    expect(dataObject.packetCount).toBe(BigInt(packets.length));
    expect(Number(fileProperties.playDuration) / 10_000 - preroll).toBe(file.durationMs);
    expect(Math.abs(file.durationMs - 6000)).toBeLessThan(100);

    // The index, but not the header, was written when the program was killed.
    await appendFile(path, builder.finish().trailer);
    expect((await open(path)).packetCount).toBe(packets.length);
  });

  it.each([
    ['the trailer of a pipe', Buffer.from('244508000000000000000800', 'hex')],
    ['reserved space', Buffer.alloc(40_000)],
    ['megabytes of reserved space', Buffer.alloc(20 * 1024 * 1024)],
    ['bytes that look a little like packets', Buffer.alloc(4000, 0x82)],
  ])('of a live file does not count %s', async (_name, trailer) => {
    const path = join(folder, 'trailer.wmv');
    writeAsf(path, liveHeader(testHeader()), frames(300), trailer);
    const file = await open(path);
    expect(file.packetCount).toBe(300);
    expect(file.durationMs).toBe(30_000);
  });
});

describe('a file that changes while it plays', () => {
  const read = (file: OnDemandFile) => file.reader({ from: 0, choice: everything, rate: 1, padding: 'cut' });

  it('ends where it was truncated', async () => {
    const path = join(folder, 'shrinks.wmv');
    await copyFile(whole, path);
    const file = await open(path);
    const reader = read(file);
    await readAll(reader, 20);
    await truncate(path, file.header.bytes.length + 40 * 1400 + 3);
    await readAll(reader);
    expect(reader.position).toBe(40);
    expect((await reader.next()).end).toBe(true);

    for (const rate of [5, -5]) {
      const trick = file.reader({ from: rate < 0 ? file.packetCount : 0, choice: everything, rate, padding: 'cut' });
      for (const location of locations((await readAll(trick)).items)) expect(location).toBeLessThan(40);
    }
    await truncate(path, 0);
    expect(await play(await Promise.resolve(file), { from: 10 })).toEqual([]);
  });

  it('is followed as it grows, and ends when it is finished', async () => {
    const path = join(folder, 'grows.wmv');
    const header = testHeader();
    const builder = new AsfFileBuilder(header);
    const made = frames(200).map((bytes) => builder.packet(parsePacket(bytes)));
    writeAsf(path, builder.header, made.slice(0, 100));
    const file = await open(path);
    const reader = read(file);
    await readAll(reader, 60);
    // A packet does not count until all of it is written.
    await appendFile(path, Buffer.concat([...made.slice(100, 170), made[170]!.subarray(0, 100)]));
    const batch = await readAll(reader, 60);
    await appendFile(path, Buffer.concat([made[170]!.subarray(100), ...made.slice(171)]));
    const { trailer, header: finished } = builder.finish();
    await appendFile(path, trailer);
    patch(path, 0, finished);
    const rest = await readAll(reader);
    expect(reader.position).toBe(200);
    expect(locations(batch.items).concat(locations(rest.items)).at(-1)).toBe(199);
    expect(file.packetCount).toBe(200);
    expect(await file.locate({ kind: 'time', milliseconds: 19_950 }, only({ 1: 0 }))).toBe(file.packetCount - 1);
  });

  it('plays on after it is deleted', async () => {
    const path = join(folder, 'vanishes.wmv');
    await copyFile(whole, path);
    const file = await open(path);
    const reader = read(file);
    await readAll(reader, 20);
    await rm(path);
    await readAll(reader);
    expect(reader.position).toBe(file.packetCount);
  });

  it('fails with an error message after it was closed', async () => {
    const file = await OnDemandFile.open(whole);
    const reader = read(file);
    await file.close();
    await file.close();
    const closed = { code: 'WM_NO_INPUT', message: `${whole} was closed.` };
    await expect(reader.next()).rejects.toMatchObject(closed);
    await expect(file.locate({ kind: 'time', milliseconds: 3000 }, everything)).rejects.toMatchObject(closed);
    await expect(file.startupProfile(0, { choice: everything, duration: 1000 })).rejects.toMatchObject(closed);
  });

  it('may be overwritten with anything', async () => {
    const path = join(folder, 'overwritten.wmv');
    await copyFile(whole, path);
    const file = await open(path);
    const reader = read(file);
    await reader.next();
    patch(path, file.header.bytes.length, Buffer.alloc(100_000, 0x5d));
    const { items } = await readAll(reader);
    for (const { location } of items) expect(location).toBeLessThan(file.packetCount);
    expect(reader.position).toBe(file.packetCount);
  });
});
