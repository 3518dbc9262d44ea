import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { filterPacket, parsePacket, type ThinningLevel } from '../../../src/asf/index.js';
import { WmError } from '../../../src/errors.js';
import { OnDemandFile } from '../../../src/media/on-demand/file.js';
import type { OnDemandItem, StartPosition } from '../../../src/media/on-demand/options.js';
import { temporaryFolder } from '../../capture/support.js';
import { testHeader } from '../../support/stream.js';
import { contentsOf, digest, everything, madePacket, makeMedia, play, readAll, writeAsf } from './support.js';

const folder = temporaryFolder();
const film = join(folder, 'film.wmv');
let bytes: Buffer;

beforeAll(async () => {
  await makeMedia(film, { seconds: 4, gops: [10, 25] });
  const { header, packets } = contentsOf(film);
  bytes = Buffer.concat([header.bytes, ...packets.slice(0, 60).map((packet) => packet.bytes), Buffer.alloc(200, 0x90)]);
});

const position: fc.Arbitrary<StartPosition> = fc.oneof(
  fc.constant({ kind: 'start' as const }),
  fc.record({ kind: fc.constant('time' as const), milliseconds: fc.double() }),
  fc.record({ kind: fc.constant('packet' as const), packet: fc.double() }),
  fc.record({ kind: fc.constant('offset' as const), bytes: fc.double() }),
);
const level = fc.constantFrom<ThinningLevel>(0, 1, 2);
const levels = fc.array(level, { minLength: 128, maxLength: 128 });
const rate = fc.constantFrom(1, 2, 5, 1.5, -1, -2.5, -5);

it('fails only with an error message, whatever a file holds, and never returns packets that are not in it', async () => {
  const path = join(folder, 'mutated.wmv');
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    value: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 12 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      position,
      rate,
      levels,
      async (changes, cut, start, speed, chosen) => {
        const copy = Buffer.from(bytes.subarray(0, cut < 0.7 ? bytes.length : Math.floor(bytes.length * cut)));
        for (const { at, value } of changes) copy.set(value, Math.floor(at * Math.max(copy.length - value.length, 0)));
        writeFileSync(path, copy);
        const choice = { level: (stream: number) => chosen[stream]! };
        let file: OnDemandFile | undefined;
        try {
          file = await OnDemandFile.open(path);
          const from = await file.locate(start, choice);
          expect(from).toBeGreaterThanOrEqual(0);
          expect(from).toBeLessThanOrEqual(file.packetCount);
          const items = await play(file, { from, choice, rate: speed, padding: 'kept', maxDuration: 60_000 });
          for (const { location, bytes: packet } of items) {
            expect(location).toBeLessThan(file.packetCount);
            expect(packet).toHaveLength(file.packetSize);
          }
          await play(file, { from });
          await file.startupProfile(from, { choice, duration: 3000 });
        } catch (error) {
          expect(error).toBeInstanceOf(WmError);
        } finally {
          await file?.close();
        }
      },
    ),
    { numRuns: 300 },
  );
});

it('returns from the start exactly what the filter leaves of every packet, whatever is chosen', async () => {
  const file = await OnDemandFile.open(film);
  const { packets } = contentsOf(film);
  await fc.assert(
    fc.asyncProperty(fc.tuple(level, level, level), async ([first, second, third]) => {
      // At level 1 sound is not thinned.
      const of = (stream: number): ThinningLevel =>
        stream === 1 ? first : stream === 2 ? second : stream === 3 ? third : 2;
      const items = await play(file, { choice: { level: of } });
      const expected = packets.flatMap((packet, location) => {
        const left = filterPacket(packet, (stream) => (stream === 3 && third === 1 ? 0 : of(stream)));
        return left === undefined ? [] : [{ location, payloads: parsePacket(left).payloads.length }];
      });
      const found = items.map(({ location, bytes: packet }) => ({
        location,
        payloads: parsePacket(packet).payloads.length,
      }));
      expect(found).toEqual(expected);
    }),
    { numRuns: 27 },
  );
  await file.close();
});

it('begins every stream with a whole object, wherever playback begins and however often the choice changes', async () => {
  const file = await OnDemandFile.open(film);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(file.packetCount),
      fc.array(fc.tuple(level, level, level), { minLength: 1, maxLength: 5 }),
      async (from, choices) => {
        const choiceOf = ([first, second, third]: readonly ThinningLevel[]) => ({
          level: (stream: number): ThinningLevel => ([2, first, second, third] as const)[stream] ?? 2,
        });
        const reader = file.reader({ from, choice: choiceOf(choices[0]!), rate: 1, padding: 'cut' });
        const items = [];
        for (const choice of choices) {
          reader.choose(choiceOf(choice));
          items.push(...(await readAll(reader, 3)).items);
        }
        items.push(...(await readAll(reader)).items);
        const begun = new Set<number>();
        for (const { bytes: packet } of items) {
          for (const { stream, key, offset } of parsePacket(packet).payloads) {
            if (!begun.has(stream) && from > 0) expect([offset, key || stream === 3]).toEqual([0, true]);
            begun.add(stream);
          }
        }
      },
    ),
    { numRuns: 100 },
  );
  await file.close();
});

it('returns the same in whatever steps it is due', async () => {
  const file = await OnDemandFile.open(film);
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        from: fc.nat(file.packetCount),
        levels: fc.tuple(level, level, level),
        rate: fc.constantFrom(1, 1, 3, -2),
        padding: fc.constantFrom('cut', 'kept'),
        exact: fc.boolean(),
      }),
      fc.array(fc.nat(60), { minLength: 1, maxLength: 8 }),
      async ({ levels, ...options }, steps) => {
        const choice = { level: (stream: number): ThinningLevel => ([2, ...levels] as const)[stream] ?? 2 };
        const expected = digest(await play(file, { ...options, choice }));
        const reader = file.reader({ ...options, choice });
        const items: OnDemandItem[] = [];
        for (let step = 0, end = false; !end; step++) {
          let left = steps[step % steps.length]! + (step % 2);
          const given: number[] = [];
          const batch = await reader.next({ span: 500, due: () => left-- > 0, given: (size) => given.push(size) });
          // Copies what is valid only until the batch is released.
          items.push(...batch.items.map((item) => ({ ...item, bytes: Buffer.from(item.bytes) })));
          expect(given.filter((size) => size > 0)).toEqual(batch.items.map(({ bytes }) => bytes.length));
          batch.release?.();
          end = batch.end;
        }
        expect(digest(items)).toBe(expected);
      },
    ),
    { numRuns: 40 },
  );
  await file.close();
});

it('finds the same packet by bisection as by looking at every one', async () => {
  const path = join(folder, 'steps.wmv');
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ step: fc.nat(300), key: fc.boolean() }), { minLength: 1, maxLength: 1500 }),
      fc.array(fc.nat(200_000), { minLength: 5, maxLength: 5 }),
      async (steps, targets) => {
        let sendTime = 0;
        const keys: { packet: number; time: number }[] = [];
        const packets = steps.map(({ step, key }, packet) => {
          sendTime += step;
          if (key) keys.push({ packet, time: sendTime });
          return madePacket(sendTime, [{ stream: 1, key, number: packet, time: sendTime }]);
        });
        writeAsf(path, testHeader(), packets);
        const file = await OnDemandFile.open(path);
        for (const milliseconds of keys.length === 0 ? [] : targets) {
          // A time before the first object means that of the first object.
          const end = Math.min(Math.max(milliseconds, steps[0]!.step), file.durationMs);
          const expected = keys.findLast(({ time }) => time <= end)?.packet ?? 0;
          expect(await file.locate({ kind: 'time', milliseconds }, everything)).toBe(milliseconds === 0 ? 0 : expected);
        }
        await file.close();
      },
    ),
    { numRuns: 60 },
  );
});
