import fc from 'fast-check';
import { AsfError, AsfReader, buildSimpleIndex, GUID, MAX_HEADER_SIZE } from '../../src/asf/index.js';
import { frameObject } from '../../src/asf/object-tree.js';
import { slowness } from '../support/patience.js';
import {
  audio,
  FILE_ID,
  failsOnlyWithAsfError,
  fileProperties,
  header,
  headerOf,
  hex,
  liveAv,
  mutation,
  packetOf,
  packetsOf,
  readAll,
} from './support.js';

const SIZE = 200;
const packet = (number: number): Buffer =>
  packetOf(number * 40, [{ stream: 1, time: 3000 + number * 40, data: `object ${number}` }], SIZE);
const packets = (count: number): Buffer => Buffer.concat(Array.from({ length: count }, (_, number) => packet(number)));
const index = buildSimpleIndex({
  fileId: FILE_ID,
  interval: 10_000_000n,
  maximumPacketCount: 1,
  packetNumbers: Uint32Array.of(0, 1),
  packetCounts: Uint16Array.of(1, 1),
});
const END_CHUNK = hex('2445 0800 00000000 0000 0800');

const live = (): Buffer => Buffer.concat([liveAv().bytes, packets(4)]);
const file = (count = 4): Buffer =>
  Buffer.concat([
    header([fileProperties({ flags: 2 }), audio(1)], { size: 50n + BigInt(count * SIZE), packetCount: BigInt(count) })
      .bytes,
    packets(count),
    index,
  ]);

const sendTimes = (bytes: Buffer, chunkSize?: number): number[] =>
  packetsOf(readAll(bytes, chunkSize).items).map(({ sendTime }) => sendTime);

describe('a live pipe', () => {
  it('returns the header and then every packet', () => {
    const { items, reader } = readAll(live());
    expect(items.map(({ type }) => type)).toEqual(['header', 'packet', 'packet', 'packet', 'packet']);
    expect(headerOf(items).bytes).toEqual(liveAv().bytes);
    expect(packetsOf(items).map(({ bytes }) => bytes)).toEqual([0, 1, 2, 3].map(packet));
    expect(reader).toMatchObject({ truncated: false, damagedPackets: 0 });
    expect(reader.header).toBe(headerOf(items));
  });

  it('drops the index object and the end chunk that ffmpeg writes last', () => {
    const { items, reader } = readAll(Buffer.concat([live(), index, END_CHUNK]));
    expect(items.filter(({ type }) => type !== 'packet')).toHaveLength(1);
    expect(packetsOf(items)).toHaveLength(4);
    expect(reader).toMatchObject({ truncated: false, damagedPackets: 0 });
  });

  it.each([
    ['only an index', index],
    ['only the end chunk', END_CHUNK],
    ['half an index', index.subarray(0, 30)],
    ['an index and half an end chunk', Buffer.concat([index, END_CHUNK.subarray(0, 5)])],
    ['two indexes longer than a packet', Buffer.concat([frameObject(GUID.indexObject, Buffer.alloc(700)), index])],
  ])('ends cleanly with %s', (_name, tail) => {
    for (const chunkSize of [1, 7, 100_000]) {
      const { items, reader } = readAll(Buffer.concat([live(), tail]), chunkSize);
      expect(packetsOf(items)).toHaveLength(4);
      expect(reader.truncated).toBe(false);
    }
  });

  it('takes nothing after the end chunk', () => {
    expect(sendTimes(Buffer.concat([live(), END_CHUNK, packets(2)]))).toHaveLength(4);
  });

  it('starts over at another header', () => {
    const { items } = readAll(Buffer.concat([live(), index, liveAv({ preroll: 1 }).bytes, packets(1)]), 11);
    expect(items.map(({ type }) => type)).toEqual([
      'header',
      'packet',
      'packet',
      'packet',
      'packet',
      'header',
      'packet',
    ]);
  });

  it('also starts with a header without Broadcast but with an empty Data Object: a file being written', () => {
    const written = header([fileProperties({ flags: 2 }), audio(1)]).bytes;
    expect(sendTimes(Buffer.concat([written, packets(3)]))).toHaveLength(3);
  });

  it('reports a cut inside a packet', () => {
    const { items, reader } = readAll(live().subarray(0, -(SIZE - 30)));
    expect(packetsOf(items)).toHaveLength(3);
    expect(reader.truncated).toBe(true);
  });

  it('is complete if it was cut in the padding of its last packet', () => {
    const { items, reader } = readAll(live().subarray(0, -10));
    expect(packetsOf(items).map(({ bytes }) => bytes.length)).toEqual([SIZE, SIZE, SIZE, SIZE]);
    expect(reader.truncated).toBe(false);
  });

  it('drops an unreadable packet and continues with the next', () => {
    const damaged = packet(1);
    damaged[4] = 0;
    const { items, reader } = readAll(Buffer.concat([liveAv().bytes, packet(0), damaged, packet(2)]));
    expect(packetsOf(items).map(({ sendTime }) => sendTime)).toEqual([0, 80]);
    expect(reader.damagedPackets).toBe(1);
  });

  it('finds the next packet after bytes were lost', () => {
    const { items, reader } = readAll(
      Buffer.concat([liveAv().bytes, packet(0), packet(1).subarray(33), packet(2), packet(3), packet(4)]),
    );
    expect(packetsOf(items).map(({ sendTime }) => sendTime)).toEqual([0, 80, 120, 160]);
    expect(reader.damagedPackets).toBeGreaterThan(0);
  });
});

describe('a file', () => {
  it('returns as many packets as the Data Object says, then the index', () => {
    const { items, reader } = readAll(file());
    expect(items.map(({ type }) => type)).toEqual(['header', 'packet', 'packet', 'packet', 'packet', 'index']);
    expect(items.at(-1)).toEqual({ type: 'index', bytes: index });
    expect(reader.truncated).toBe(false);
  });

  it('may have unknown objects after the data, which are skipped', () => {
    const { items } = readAll(
      Buffer.concat([file().subarray(0, -index.length), frameObject('ab'.repeat(16), Buffer.alloc(5000)), index]),
      64,
    );
    expect(items.at(-1)).toEqual({ type: 'index', bytes: index });
  });

  it('may have bytes after its last whole packet in the Data Object', () => {
    const start = header([fileProperties({ flags: 2 }), audio(1)], {
      size: 50n + BigInt(SIZE + 33),
      packetCount: 1n,
    }).bytes;
    const { items } = readAll(Buffer.concat([start, packet(0), Buffer.alloc(33), index]));
    expect(items.map(({ type }) => type)).toEqual(['header', 'packet', 'index']);
  });

  it('that was cut returns its whole packets and reports the cut', () => {
    const bytes = file();
    const dataStart = bytes.length - index.length - 4 * SIZE;
    for (const keep of [dataStart, dataStart + 3 * SIZE + 1, dataStart + 3 * SIZE, bytes.length - 1]) {
      const { items, reader } = readAll(bytes.subarray(0, keep));
      expect(packetsOf(items)).toHaveLength(Math.min(Math.floor((keep - dataStart) / SIZE), 4));
      expect(reader.truncated).toBe(true);
    }
  });

  it('without its index does not count as cut', () => {
    const bytes = file();
    expect(readAll(bytes.subarray(0, -index.length)).reader.truncated).toBe(false);
  });

  it('may claim a huge index, which is skipped', () => {
    const huge = frameObject(GUID.simpleIndexObject, Buffer.alloc(100));
    huge.writeBigUInt64LE(2n ** 62n, 16);
    expect(readAll(Buffer.concat([file(), huge, Buffer.alloc(10_000)])).items.at(-1)).toEqual({
      type: 'index',
      bytes: index,
    });
  });

  it('ends where garbage follows', () => {
    expect(readAll(Buffer.concat([file(), Buffer.alloc(300)])).items).toHaveLength(6);
  });
});

describe('chunks', () => {
  it('may be split at every byte', () => {
    for (const bytes of [Buffer.concat([live(), index, END_CHUNK]), file()]) {
      const whole = readAll(bytes).items;
      for (let at = 0; at <= bytes.length; at++) {
        const reader = new AsfReader();
        const items = [...reader.push(bytes.subarray(0, at)), ...reader.push(bytes.subarray(at)), ...reader.end()];
        expect(items).toHaveLength(whole.length);
        expect(packetsOf(items).map((each) => each.sendTime)).toEqual([0, 40, 80, 120]);
      }
    }
  });

  it('may have any sizes', () => {
    const bytes = Buffer.concat([live(), index, END_CHUNK]);
    const expected = packetsOf(readAll(bytes).items).map((each) => each.bytes.toString('hex'));
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 300 }), { minLength: 1, maxLength: 40 }), (sizes) => {
        const reader = new AsfReader();
        const items = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length]! + (i >= sizes.length ? 1 : 0);
          items.push(...reader.push(bytes.subarray(at, at + size)));
          at += size;
        }
        items.push(...reader.end());
        expect(packetsOf(items).map((each) => each.bytes.toString('hex'))).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  it('are not copied for packets that lie inside one', () => {
    const bytes = live();
    for (const { bytes: view } of packetsOf(readAll(bytes).items)) expect(view.buffer).toBe(bytes.buffer);
  });

  it('do not change packets that were returned before', () => {
    const { items } = readAll(live(), 130);
    expect(packetsOf(items).map((each) => each.bytes)).toEqual([0, 1, 2, 3].map(packet));
  });
});

describe('input that is not ASF', () => {
  const refused = (bytes: Buffer, message: RegExp): void => {
    expect(() => readAll(bytes)).toThrow(AsfError);
    expect(() => readAll(bytes)).toThrow(message);
  };

  it('is refused by name', () => {
    refused(Buffer.from('HTTP/1.1 404 Not Found\r\n\r\n'), /an HTTP answer/);
    refused(Buffer.from('#EXTM3U\n'), /text that starts with "#EXTM3U/);
    refused(Buffer.concat([hex('1a45dfa3'), Buffer.alloc(100)]), /Matroska/);
    refused(Buffer.alloc(0), /nothing/);
    refused(liveAv().bytes.subarray(0, 10), /ends inside the ASF header/);
    refused(liveAv().bytes.subarray(0, 300), /ends inside the ASF header/);
  });

  it('may be a header of too many bytes, which is refused at once', () => {
    const start = Buffer.from(liveAv().bytes);
    start.writeBigUInt64LE(BigInt(MAX_HEADER_SIZE) + 1n, 16);
    expect(() => new AsfReader().push(start.subarray(0, 24))).toThrow(/limit/);
  });

  it('may be a header followed by something else', () => {
    const bytes = Buffer.from(liveAv().bytes);
    bytes.fill(0, bytes.length - 50);
    refused(bytes, /not followed by a Data Object/);
  });

  it('is not read any further after it was refused', () => {
    const reader = new AsfReader();
    expect(() => reader.push(Buffer.alloc(40))).toThrow(AsfError);
    expect(reader.push(live())).toEqual([]);
    expect(reader.end()).toEqual([]);
  });
});

describe('only a header', () => {
  it('is returned at the end', () => {
    const { items } = readAll(liveAv().bytes.subarray(0, -50));
    expect(headerOf(items).bytes).toEqual(liveAv().bytes);
  });
});

describe('input that was changed or cut', () => {
  it('only throws AsfError, ends, and returns no more bytes than it got', () => {
    const bytes = Buffer.concat([live(), index, END_CHUNK]);
    fc.assert(
      fc.property(
        fc.constantFrom(bytes, file()),
        mutation,
        fc.integer({ min: 1, max: 400 }),
        (original, mutate, chunkSize) => {
          const input = mutate(original);
          failsOnlyWithAsfError(() => {
            const { items } = readAll(input, chunkSize);
            expect(packetsOf(items).reduce((sum, each) => sum + each.bytes.length, 0)).toBeLessThanOrEqual(
              input.length,
            );
          });
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('takes linear time for a live stream without any packets', () => {
    const evil = Buffer.concat([
      liveAv({ maximumPacketSize: 65_536 }).bytes,
      Buffer.alloc(8 * 1024 * 1024, hex('820000 7f 5d')),
    ]);
    const start = performance.now();
    readAll(evil, 65_536);
    expect(performance.now() - start).toBeLessThan(5000 * slowness());
  });
});
