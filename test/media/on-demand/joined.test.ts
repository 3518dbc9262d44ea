import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withFileProperties } from '../../../src/asf/edit.js';
import { type AsfHeader, buildHeader, buildSimpleIndex } from '../../../src/asf/index.js';
import type { AsfEvent } from '../../../src/media/events.js';
import { OnDemandFile } from '../../../src/media/on-demand/file.js';
import { filePart } from '../../../src/media/on-demand/file-part.js';
import { temporaryFolder } from '../../capture/support.js';
import { type TestHeaderOptions, testHeader } from '../../support/stream.js';
import { everything, madePacket, play } from './support.js';

const folder = temporaryFolder();
/** The ms from one packet to the next. */
const STEP = 100;

interface Recording extends TestHeaderOptions {
  readonly packets: number;
  /** True if its header gives the number of packets. */
  readonly finished?: boolean;
  /** Bytes that are missing at the end. */
  readonly cut?: number;
  readonly index?: boolean;
}

function finished(header: AsfHeader, packets: number): AsfHeader {
  const properties = { flags: 2, dataPacketsCount: BigInt(packets) };
  return buildHeader(withFileProperties(header.objects, header.fileProperties, properties), {
    fileId: header.fileId,
    size: BigInt(50 + packets * header.packetSize),
    packetCount: BigInt(packets),
  });
}

function recording({ packets, cut = 0, index = false, ...options }: Recording): Buffer {
  const header = testHeader(options);
  const { packetSize, streams } = header;
  const size = Math.floor((packetSize * 0.6) / streams.length);
  const body = Array.from({ length: packets }, (_each, number) => {
    const time = number * STEP;
    const payloads = streams.map((stream) => ({ stream: stream.number, key: true, number, time, size }));
    return madePacket(time, payloads, packetSize);
  });
  const indexes = index
    ? [
        buildSimpleIndex({
          fileId: header.fileId,
          interval: 10_000_000n,
          maximumPacketCount: 0,
          packetNumbers: new Uint32Array(),
          packetCounts: new Uint16Array(),
        }),
      ]
    : [];
  const { bytes } = options.finished ? finished(header, packets) : header;
  const whole = Buffer.concat([bytes, ...body, ...indexes]);
  return whole.subarray(0, whole.length - cut);
}

let files = 0;
function write(...pieces: readonly Buffer[]): string {
  const path = join(folder, `${++files}.asf`);
  writeFileSync(path, Buffer.concat(pieces));
  return path;
}

/** Returns how many packets there are under each header that players get. */
async function entriesOf(path: string): Promise<number[]> {
  const counts: number[] = [];
  for (let at: number | undefined = 0; at !== undefined; ) {
    const file: OnDemandFile = await OnDemandFile.open(path, { at });
    counts.push((await play(file)).length);
    expect(file.durationMs).toBe(file.packetCount * STEP);
    expect(Number(file.header.dataObject.packetCount)).toBe(file.packetCount);
    at = file.next;
    await file.close();
  }
  return counts;
}

const FILM = { packets: 30 };
const LARGE = { packets: 20, packetSize: 700 };
const SOUND = { packets: 25, video: false };
const TINY = { packets: 90, packetSize: 120, video: false };
const DONE = { finished: true };

describe('joined recordings with other streams or another packet size', () => {
  it.each<[string, readonly Buffer[], readonly number[]]>([
    ['a larger packet size', [recording(FILM), recording(LARGE)], [30, 20]],
    ['a smaller packet size', [recording(LARGE), recording(FILM)], [20, 30]],
    ['a much smaller packet size', [recording(LARGE), recording(TINY)], [20, 90]],
    ['fewer streams', [recording(FILM), recording(SOUND)], [30, 25]],
    ['more streams', [recording(SOUND), recording(FILM)], [25, 30]],
    [
      'another packet size, finished',
      [
        recording({ ...FILM, ...DONE }),
        recording({ ...LARGE, ...DONE, index: true }),
        recording({ ...SOUND, ...DONE }),
      ],
      [30, 20, 25],
    ],
    ['an index in between', [recording({ ...FILM, index: true }), recording(LARGE)], [30, 20]],
    ['a cut packet in between', [recording({ ...FILM, cut: 150 }), recording(LARGE)], [30, 20]],
    ['a promise that is not kept', [recording({ ...FILM, ...DONE, cut: 4150 }), recording(LARGE)], [20, 20]],
    ['zeros in between', [recording(FILM), Buffer.alloc(777), recording(LARGE)], [30, 20]],
    ['a header without packets first', [recording({ packets: 0 }), recording(LARGE)], [20]],
    ['parts of the same kind', [FILM, FILM, LARGE, LARGE, FILM].map((each) => recording(each)), [60, 40, 30]],
    [
      'many parts',
      Array.from({ length: 12 }, (_each, at) => recording(at % 2 ? FILM : LARGE)),
      Array.from({ length: 12 }, (_each, at) => (at % 2 ? 30 : 20)),
    ],
    [
      'a short part among long ones',
      [recording({ packets: 5000 }), recording({ ...LARGE, packets: 3 }), recording({ packets: 5000 })],
      [5000, 3, 5000],
    ],
    ['noise at the end', [recording(FILM), recording(LARGE), Buffer.alloc(5000, 0x77)], [30, 20]],
  ])('are all found after %s', async (_what, pieces, expected) => {
    expect(await entriesOf(write(...pieces))).toEqual(expected);
  });

  it('are no end of a recording that goes on while it is played', async () => {
    const file = await OnDemandFile.open(write(recording(FILM), recording(LARGE)));
    writeFileSync(file.path, recording({ ...LARGE, packets: 5 }), { flag: 'a' });
    expect(await play(file)).toHaveLength(30);
    await file.close();
  });

  it.each([
    ['other streams', LARGE],
    ['the same streams', FILM],
  ])('are found when one with %s is added while the file is open', async (_what, added) => {
    const file = await OnDemandFile.open(write(recording(FILM)));
    const reader = file.reader({ from: 0, choice: everything, rate: 1, padding: 'cut' });
    const first = await reader.next({ span: 0, due: () => true, given: () => undefined });
    expect(first.items.length).toBeLessThan(30);
    writeFileSync(file.path, recording(added), { flag: 'a' });
    let count = first.items.length;
    for (let end = first.end, round = 0; !end && round < 100; round++) {
      const batch = await reader.next();
      count += batch.items.length;
      ({ end } = batch);
    }
    expect(count).toBe(30);
    const next = await OnDemandFile.open(file.path, { at: file.next! });
    expect(await play(next)).toHaveLength(added.packets);
    await Promise.all([file.close(), next.close()]);
  });

  it('follow one another in a live source, each under its header', async () => {
    const file = await OnDemandFile.open(write(...[FILM, LARGE, SOUND].map((each) => recording(each))));
    const opened: OnDemandFile[] = [];
    const read = async (duration?: number): Promise<string> => {
      const part = filePart(file, {
        duration,
        release: () => undefined,
        open: async (path, at) => {
          const next = await OnDemandFile.open(path, { at });
          opened.push(next);
          return next;
        },
      });
      const events: AsfEvent[] = [];
      for await (const event of part) events.push(event);
      const shape = events.map((event) =>
        event.type === 'end' ? (event.moreEntries ? 'M' : 'E') : event.type === 'header' ? 'H' : 'D',
      );
      return shape.join('').replace(/D+/g, (run) => `D${run.length} `);
    };
    expect(await read()).toBe('HD30 MHD20 MHD25 E');
    expect(await read(4000)).toBe('HD30 MHD10 E');
    expect(await read(3000)).toBe('HD30 E');
    // They are closed again.
    for (const each of opened) await expect(play(each)).rejects.toThrow();
    await file.close();
  });
});
