import { join } from 'node:path';
import { OnDemandFile } from '../../../src/media/on-demand/file.js';
import { temporaryFolder } from '../../capture/support.js';
import { testHeader } from '../../support/stream.js';
import { contentsOf, everything, type MadePayload, madePacket, makeMedia, only, PREROLL, writeAsf } from './support.js';

const folder = temporaryFolder();
const opened: OnDemandFile[] = [];

async function open(path: string): Promise<OnDemandFile> {
  const file = await OnDemandFile.open(path);
  opened.push(file);
  return file;
}

async function made(name: string, lists: readonly (readonly MadePayload[])[]): Promise<OnDemandFile> {
  const path = join(folder, `${name}.wmv`);
  writeAsf(
    path,
    testHeader(),
    lists.map((payloads, index) => madePacket(index * 100, payloads)),
  );
  return open(path);
}

afterAll(() => Promise.all(opened.map((file) => file.close())));

it('[WMSP-070] [WMSP-071] says how much a decoder needs ahead at each rate', async () => {
  // 100 bytes every 100 ms, but 300 at 500 ms: 1300 bytes in the 1000 ms up to the last object.
  const sizes = [100, 100, 100, 100, 100, 300, 100, 100, 100, 100, 100];
  const lists = sizes.map((size, index) => [{ stream: 1, key: index === 0, number: index, time: index * 100, size }]);
  const file = await made('steady', lists);
  const profile = await file.startupProfile(0, { choice: everything, duration: 5000 });
  const average = 1300;
  const worst = (rate: number): { bytes: number; time: number } => {
    let sum = 0;
    const needs = sizes.map((size, index) => ({
      bytes: (sum += size) - (average * rate * index) / 10,
      time: index * 100,
    }));
    return needs.reduce((most, each) => (each.bytes > most.bytes ? each : most));
  };
  const rates = [10, 12, 15, 20, 30];
  expect(profile).toEqual({
    rate: rates,
    maxBytes: rates.map((rate) => Math.ceil(worst(rate / 10).bytes)),
    time: rates.map((rate) => worst(rate / 10).time),
    startTime: PREROLL,
    lastTime: 1000,
    maxDiffTime: 0,
    maxDiffSndTime: 0,
    byteRate: rates.map(() => average),
  });
  expect(profile!.time[0]).toBe(500);
});

it('[WMSP-071] [RTSP-221] includes only what is sent faster, of the chosen streams', async () => {
  const path = join(folder, 'film.wmv');
  await makeMedia(path, { seconds: 20 });
  const file = await open(path);
  const { header, packets } = contentsOf(path);
  const profile = (await file.startupProfile(0, { choice: only({ 2: 0 }), duration: 4000 }))!;
  const sound = packets.flatMap(({ payloads }) =>
    payloads.filter(({ stream, offset }) => stream === 2 && offset === 0),
  );
  const early = sound.filter(({ presentationTime }) => presentationTime < header.preroll + 4000);
  expect(profile.startTime).toBe(header.preroll);
  expect(profile.lastTime).toBeGreaterThan(3900);
  expect(profile.lastTime).toBeLessThan(4300);
  const rate = (early.reduce((sum, { objectSize }) => sum + objectSize, 0) * 1000) / profile.lastTime;
  expect(Math.abs(profile.byteRate[0]! / rate - 1)).toBeLessThan(0.1);

  const from = await file.locate({ kind: 'time', milliseconds: 10_000 }, everything);
  const later = (await file.startupProfile(from, { choice: everything, duration: 4000 }))!;
  expect(later.startTime).toBeGreaterThan(header.preroll + 8000);
  expect(later.startTime).toBeLessThanOrEqual(header.preroll + 10_000);
  for (const list of [later.rate, later.maxBytes, later.time, later.byteRate]) expect(list).toHaveLength(5);
  for (const value of later.maxBytes) expect(value).toBeGreaterThanOrEqual(1);
});

it('[WMSP-071] says how far the sound lags, or else how far the picture always does', async () => {
  const pair = (picture: number, sound: number): MadePayload[] => [
    { stream: 1, key: true, number: picture, time: picture },
    { stream: 2, number: sound, time: sound },
  ];
  const late = await made('late-sound', [pair(0, 0), pair(100, 40), pair(200, 50), pair(300, 280), pair(400, 400)]);
  expect(await late.startupProfile(0, { choice: everything, duration: 5000 })).toMatchObject({
    maxDiffSndTime: 150,
    maxDiffTime: 50,
  });
  const early = await made('late-picture', [pair(0, 100), pair(50, 200), pair(180, 300), pair(250, 400)]);
  expect(await early.startupProfile(0, { choice: everything, duration: 5000 })).toMatchObject({
    maxDiffSndTime: -50,
    maxDiffTime: 50,
  });
});

it('says nothing about what cannot be known', async () => {
  const file = await made('still', [[{ stream: 1, key: true, time: 0 }], [{ stream: 1, key: true, time: 0 }]]);
  expect(await file.startupProfile(0, { choice: everything, duration: 5000 })).toBeUndefined();
  expect(await file.startupProfile(0, { choice: only({}), duration: 5000 })).toBeUndefined();
  expect(await file.startupProfile(99, { choice: everything, duration: 5000 })).toBeUndefined();
});

it('is computed once for all players that start at the same place', async () => {
  const file = await made(
    'once',
    Array.from({ length: 20 }, (_each, index) => [{ stream: 1, key: true, time: index * 100 }]),
  );
  const profiles = await Promise.all(
    Array.from({ length: 5 }, () => file.startupProfile(0, { choice: everything, duration: 1000 })),
  );
  for (const profile of profiles) expect(profile).toBe(profiles[0]);
  for (let duration = 100; duration < 150; duration++) await file.startupProfile(0, { choice: everything, duration });
  expect(await file.startupProfile(0, { choice: everything, duration: 1000 })).toEqual(profiles[0]);
});
