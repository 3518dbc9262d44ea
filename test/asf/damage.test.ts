import { AsfError, GUID } from '../../src/asf/index.js';
import { frameObject } from '../../src/asf/object-tree.js';
import {
  audio,
  fileProperties,
  header,
  headerOf,
  liveAv,
  type Piece,
  packetOf,
  packetsOf,
  readAll,
} from './support.js';

const SIZE = 200;
/** Large enough for a loss to hit the payloads, not the padding. */
const DATA = 60;

const piece = (number: number, stream: number): Piece => ({
  stream,
  time: 3000 + number * 40,
  data: Buffer.alloc(DATA, number + 1),
});
/** Two objects, and hardly any padding. */
const packet = (number: number): Buffer => packetOf(number * 40, [piece(number, 1), piece(number, 2)], SIZE);
const packets = (from: number, to: number): Buffer[] =>
  Array.from({ length: to - from }, (_, index) => packet(from + index));

/** The same data as a live pipe and as a file whose header declares `count` packets. */
function forms(data: readonly Buffer[], count: number): ReadonlyArray<readonly [name: string, bytes: Buffer]> {
  const body = Buffer.concat(data);
  const file = header([fileProperties({ flags: 2 }), audio(1), audio(2)], {
    size: 50n + BigInt(count * SIZE),
    packetCount: BigInt(count),
  });
  return [
    ['a live pipe', Buffer.concat([liveAv().bytes, body])],
    ['a file', Buffer.concat([file.bytes, body])],
  ];
}

/** The send times of the packets, and the number of payloads in each. */
function readIn(bytes: Buffer, chunkSize?: number) {
  const { items, reader } = readAll(bytes, chunkSize);
  const all = packetsOf(items);
  return {
    numbers: all.map(({ sendTime }) => sendTime / 40),
    payloads: all.map(({ payloads }) => payloads.length),
    whole: all.every(({ bytes: { length }, damaged }) => length === SIZE && !damaged),
    reader,
  };
}

describe('bytes that were lost or added (asf.md 16.6)', () => {
  it.each(forms([...packets(0, 5), packet(5).subarray(0, 120), ...packets(6, 10)], 10))(
    'in %s: finds the next packet after one without its end',
    (_name, bytes) => {
      for (const chunkSize of [bytes.length, 64, 333]) {
        const { numbers, payloads, whole, reader } = readIn(bytes, chunkSize);
        expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        // The cut packet keeps its complete object.
        expect(payloads).toEqual([2, 2, 2, 2, 2, 1, 2, 2, 2, 2]);
        expect(whole).toBe(true);
        expect(reader).toMatchObject({ damagedPackets: 1, leftOutPackets: 0, skippedBytes: 0, truncated: false });
      }
    },
  );

  it.each(forms([...packets(0, 5), packet(5).subarray(110), ...packets(6, 10)], 10))(
    'in %s: skips a packet without its start',
    (_name, bytes) => {
      const { numbers, reader } = readIn(bytes, 77);
      expect(numbers).toEqual([0, 1, 2, 3, 4, 6, 7, 8, 9]);
      expect(reader).toMatchObject({ skippedBytes: SIZE - 110 });
    },
  );

  it.each(forms([...packets(0, 5), Buffer.alloc(70, 0x55), ...packets(5, 10)], 10))(
    'in %s: skips foreign bytes between two packets',
    (_name, bytes) => {
      const { numbers, whole, reader } = readIn(bytes);
      expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(whole).toBe(true);
      expect(reader).toMatchObject({ damagedPackets: 0, skippedBytes: 70, truncated: false });
    },
  );

  it.each(
    forms(
      [...packets(0, 5), ...packets(5, 10).flatMap((each) => [Buffer.from('24440000000000000000', 'hex'), each])],
      10,
    ),
  )('in %s: skips foreign bytes before each packet', (_name, bytes) => {
    const { numbers, payloads, whole } = readIn(bytes, 333);
    expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(payloads.every((count) => count === 2)).toBe(true);
    expect(whole).toBe(true);
  });

  it.each(forms([...packets(0, 5), Buffer.alloc(11 * SIZE + 7), ...packets(5, 10)], 21))(
    'in %s: leaves out many packets of zeros and counts them',
    (_name, bytes) => {
      const { numbers, reader } = readIn(bytes, 1000);
      expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(reader).toMatchObject({ damagedPackets: 11, leftOutPackets: 11 });
    },
  );

  it('keeps reading when packets no longer have error correction data', () => {
    const bare = packets(5, 10).map((each) => {
      const body = each.subarray(3);
      return Buffer.concat([body, Buffer.alloc(3)]);
    });
    // Their Padding Length grows by three bytes.
    for (const each of bare) each[2] = each[2]! + 3;
    const { numbers, reader } = readIn(Buffer.concat([liveAv().bytes, ...packets(0, 5), ...bare]));
    expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(reader.damagedPackets).toBe(0);
  });
});

describe('noise that can be read as a packet', () => {
  const foreign = packetOf(200, [piece(5, 77), piece(5, 78)], SIZE);
  const far = packetOf(2_000_000_000, [piece(50_000_000, 1), piece(50_000_000, 2)], SIZE);

  it.each([
    ['of streams that the header does not declare', foreign],
    ['with times weeks away', far],
  ])('%s is left out', (_name, noise) => {
    for (const [, bytes] of forms([...packets(0, 5), noise, ...packets(6, 10)], 10)) {
      const { numbers, reader } = readIn(bytes);
      expect(numbers).toEqual([0, 1, 2, 3, 4, 6, 7, 8, 9]);
      expect(reader).toMatchObject({ damagedPackets: 1, leftOutPackets: 1, truncated: false });
    }
  });

  it('leaves out only the payload whose time is far away', () => {
    const half = packetOf(200, [piece(5, 1), piece(50_000_000, 2)], SIZE);
    const { numbers, payloads, reader } = readIn(Buffer.concat([liveAv().bytes, ...packets(0, 5), half, packet(6)]));
    expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(payloads).toEqual([2, 2, 2, 2, 2, 1, 2]);
    expect(reader).toMatchObject({ damagedPackets: 1, leftOutPackets: 0 });
  });

  it('does not include packets that continue at another time', () => {
    const later = packets(100_000, 100_005);
    const { numbers, reader } = readIn(Buffer.concat([liveAv().bytes, ...packets(0, 5), ...later]));
    expect(numbers).toEqual([0, 1, 2, 3, 4, 100_000, 100_001, 100_002, 100_003, 100_004]);
    expect(reader.damagedPackets).toBe(0);
  });

  it('may look like a header in the middle of the data', () => {
    const broken = Buffer.from(liveAv().bytes);
    broken.fill(0, 30, 60);
    const { numbers, reader } = readIn(Buffer.concat([liveAv().bytes, ...packets(0, 5), broken, ...packets(5, 8)]));
    expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(headerOf([{ type: 'header', header: reader.header! }]).bytes).toEqual(liveAv().bytes);
  });
});

describe('packets that are tidied', () => {
  it('lose payloads without data; only padding is not damage', () => {
    const empty = packetOf(200, [piece(5, 1), piece(5, 2)], SIZE);
    const second = empty.indexOf(Buffer.alloc(DATA, 6)) - 2;
    empty.writeUInt16LE(0, second);
    empty[second - 9] = 8;
    // The first payload has no data; its former data is read as part of the next one, so the count is one less.
    empty[empty.indexOf(0x82, 3)] = 0x81;
    const padding = packetOf(200, [piece(5, 1), piece(5, 2)], SIZE);
    padding[12] = 0x80;
    const bytes = Buffer.concat([liveAv().bytes, ...packets(0, 5), padding, empty, ...packets(6, 8)]);
    const { numbers, reader } = readIn(bytes);
    expect(numbers).toEqual([0, 1, 2, 3, 4, 6, 7]);
    expect(reader.damagedPackets).toBe(0);
  });

  it('lose what cannot be read', () => {
    const broken = packet(5);
    broken.writeUInt16LE(900, broken.lastIndexOf(Buffer.alloc(DATA, 6)) - 2);
    const { numbers, payloads, whole, reader } = readIn(
      Buffer.concat([liveAv().bytes, ...packets(0, 5), broken, packet(6)]),
    );
    expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(payloads).toEqual([2, 2, 2, 2, 2, 1, 2]);
    expect(whole).toBe(true);
    expect(reader).toMatchObject({ damagedPackets: 1, leftOutPackets: 0 });
  });
});

describe('slightly wrong headers', () => {
  const plain = liveAv().bytes;
  const body = plain.subarray(0, -50);
  const data = plain.subarray(-50);
  const sized = (size: number): Buffer => {
    const bytes = Buffer.from(body);
    bytes.writeBigUInt64LE(BigInt(size), 16);
    return bytes;
  };
  const unknown = frameObject('ab'.repeat(16), Buffer.from('what a tagger left'));
  const index = frameObject(GUID.simpleIndexObject, Buffer.alloc(80));

  it.each([
    ['a size that leaves the last object out', Buffer.concat([sized(body.length), unknown, data])],
    ['a size that ends inside an object', Buffer.concat([sized(body.length - 10), data])],
    ['a size that reaches into the data', Buffer.concat([sized(body.length + 60), data])],
    ['several objects between header and data', Buffer.concat([body, unknown, unknown, data])],
  ])('%s', (_name, start) => {
    for (const chunkSize of [10_000, 50]) {
      const { items } = readAll(Buffer.concat([start, ...packets(0, 4)]), chunkSize);
      expect(packetsOf(items).map(({ sendTime }) => sendTime)).toEqual([0, 40, 80, 120]);
      const { bytes, streams } = headerOf(items);
      expect(bytes.readBigUInt64LE(16)).toBe(BigInt(bytes.length - 50));
      expect(bytes.subarray(-50)).toEqual(data);
      expect(streams.map(({ number }) => number)).toEqual([1, 2]);
    }
  });

  it('do not absorb an index between header and data', () => {
    const { items } = readAll(Buffer.concat([body, index, data, ...packets(0, 4)]));
    expect(headerOf(items).bytes).toEqual(plain);
    expect(packetsOf(items)).toHaveLength(4);
  });

  it('are refused if no data follows', () => {
    expect(() => readAll(Buffer.concat([sized(body.length - 10), Buffer.alloc(50), ...packets(0, 4)]))).toThrow(
      AsfError,
    );
  });
});
