import {
  AsfError,
  AsfFileBuilder,
  type AsfHeader,
  buildPacket,
  buildSimpleIndex,
  GUID,
  KeyFrameIndex,
  parseHeader,
  parseIndexObject,
  parsePacket,
  parseSimpleIndex,
  rebasePacket,
  restorePadding,
  stripPadding,
} from '../../src/asf/index.js';
import { frameObject } from '../../src/asf/object-tree.js';
import {
  audio,
  FILE_ID,
  fileProperties,
  header,
  hex,
  liveAv,
  type Piece,
  packetOf,
  packetsOf,
  readAll,
  video,
} from './support.js';

const SIZE = 200;
const PREROLL = 3000;

interface Made {
  bytes: Buffer;
  header: AsfHeader;
  trailer: Buffer;
}

function makeFile(source: AsfHeader, packets: readonly Buffer[], rebase?: boolean): Made {
  const builder = new AsfFileBuilder(source, rebase === undefined ? {} : { rebase });
  const start = builder.start();
  const body = packets.map((bytes) => builder.packet(parsePacket(bytes)));
  const { trailer, header: final } = builder.finish();
  expect(final).toHaveLength(start.length);
  return { bytes: Buffer.concat([final, ...body, trailer]), header: parseHeader(final), trailer };
}

/** Video at 25 frames a second with a key frame every second, one frame per packet, and audio. */
function frames(count: number, from = 0): Buffer[] {
  return Array.from({ length: count }, (_, i) => {
    const time = from + i * 40;
    const pieces: Piece[] = [
      { stream: 1, time: time + PREROLL, data: 'audio' },
      { stream: 2, key: i % 25 === 0, number: i & 0xff, time: time + PREROLL, data: `frame ${i}` },
    ];
    return packetOf(time, pieces, SIZE);
  });
}

describe('AsfFileBuilder', () => {
  it('builds a file whose header has sizes, counts, durations and Seekable', () => {
    const { bytes, header: made, trailer } = makeFile(liveAv(), frames(50));
    expect(made.fileProperties).toMatchObject({
      fileId: FILE_ID,
      fileSize: BigInt(bytes.length),
      dataPacketsCount: 50n,
      playDuration: BigInt(PREROLL + 49 * 40 + 40) * 10_000n,
      sendDuration: BigInt(49 * 40 + 40) * 10_000n,
      flags: 2,
    });
    expect(made.dataObject).toEqual({ fileId: FILE_ID, size: 50n + BigInt(50 * SIZE), packetCount: 50n });
    const { items, reader } = readAll(bytes);
    expect(packetsOf(items)).toHaveLength(50);
    expect(items.at(-1)).toEqual({ type: 'index', bytes: trailer });
    expect(reader.truncated).toBe(false);
  });

  it('indexes the key frames once a second, preroll included (asf.md 6)', () => {
    const { trailer } = makeFile(liveAv(), frames(76));
    const index = parseSimpleIndex(trailer);
    expect(index).toMatchObject({ fileId: FILE_ID, interval: 10_000_000n, maximumPacketCount: 1 });
    expect([...index.packetNumbers]).toEqual([0, 0, 0, 0, 25, 50, 75, 75]);
  });

  it('counts the packets that a key frame spans', () => {
    const part = (offset: number, data: string): Piece => ({ stream: 2, key: true, offset, time: PREROLL, data });
    const { trailer } = makeFile(liveAv(), [
      packetOf(0, [part(0, 'abc')], SIZE),
      packetOf(10, [part(3, 'def')], SIZE),
      packetOf(20, [part(6, 'ghi'), { stream: 2, number: 2, time: PREROLL + 40, data: 'next' }], SIZE),
    ]);
    expect(parseSimpleIndex(trailer)).toMatchObject({
      maximumPacketCount: 3,
      packetCounts: Uint16Array.of(3, 3, 3, 3, 3),
    });
  });

  it('starts with a header that plays even if the file is cut', () => {
    const builder = new AsfFileBuilder(liveAv({ flags: 2 }));
    const packets = frames(3).map((bytes) => builder.packet(parsePacket(bytes)));
    const { items, reader } = readAll(Buffer.concat([builder.start(), ...packets]));
    expect(packetsOf(items)).toHaveLength(3);
    expect(reader.header!.broadcast).toBe(true);
  });

  it('restores the padding of packets that were stripped on the way', () => {
    const source = frames(3);
    const { bytes } = makeFile(
      liveAv(),
      source.map((each) => stripPadding(parsePacket(each))),
    );
    expect(packetsOf(readAll(bytes).items).map((packet) => packet.bytes)).toEqual(source);
  });

  it('removes even a byte of padding, and restores the packet', () => {
    const payload = (size: number) => ({
      ...{ stream: 1, key: true, mediaObjectNumber: 1, offset: 0, replicated: Buffer.alloc(8) },
      data: Buffer.alloc(size, 7),
    });
    const build = (size: number) =>
      buildPacket({ sendTime: 0, duration: 0, packetSize: SIZE, payloads: [payload(size)] });
    const paddings = new Set<number>();
    for (let size = 120; size <= SIZE - 28; size++) {
      const source = parsePacket(build(size));
      if (source.paddingLength === 0) continue;
      paddings.add(source.paddingLength);
      const stripped = parsePacket(stripPadding(source));
      expect(stripped).toMatchObject({ paddingLength: 0, explicitLength: true });
      expect(stripped.bytes.length).toBeLessThanOrEqual(SIZE);
      expect(restorePadding(stripped, SIZE)).toEqual(source.bytes);
    }
    expect(Math.min(...paddings)).toBe(1);
  });

  it('does not change or copy packets of a file that starts at 0', () => {
    const builder = new AsfFileBuilder(liveAv());
    for (const bytes of frames(3)) expect(builder.packet(parsePacket(bytes))).toBe(bytes);
  });

  it('counts the times of a stream that was joined late from the start of the file', () => {
    const { bytes, header: made } = makeFile(liveAv(), frames(50, 1_000_000));
    const [first] = packetsOf(readAll(bytes).items);
    expect(first!.sendTime).toBe(0);
    expect(first!.payloads[0]!.presentationTime).toBe(PREROLL);
    expect(made.fileProperties.playDuration).toBe(BigInt(PREROLL + 50 * 40) * 10_000n);
    expect(
      parseSimpleIndex(readAll(bytes).items.flatMap((item) => (item.type === 'index' ? [item.bytes] : []))[0]!)
        .packetNumbers,
    ).toHaveLength(6);
  });

  it('never moves a presentation time below the preroll', () => {
    const late = [packetOf(50_000, [{ stream: 1, time: 50_500, data: 'a' }], SIZE)];
    const [first] = packetsOf(readAll(makeFile(liveAv(), late).bytes).items);
    expect([first!.sendTime, first!.payloads[0]!.presentationTime]).toEqual([2500, PREROLL]);
  });

  it('ignores an impossible preroll', () => {
    for (const preroll of [2 ** 64, 3_600_000]) {
      const { bytes } = makeFile(liveAv({ preroll }), frames(3, 1_000_000));
      const [first] = packetsOf(readAll(bytes).items);
      expect([first!.sendTime, first!.payloads[0]!.presentationTime]).toEqual([0, PREROLL]);
    }
  });

  it('keeps the times if asked to', () => {
    const source = frames(2, 1_000_000);
    expect(packetsOf(readAll(makeFile(liveAv(), source, false).bytes).items).map(({ bytes }) => bytes)).toEqual(source);
  });

  it('continues where 32-bit times wrap', () => {
    const wrapping = frames(50).map((bytes) => rebasePacket(parsePacket(bytes), -800));
    const { header: made } = makeFile(liveAv(), wrapping, false);
    expect(made.fileProperties.sendDuration).toBe(2000n * 10_000n);
  });

  it('leaves parity packets out', () => {
    const { header: made } = makeFile(liveAv(), [...frames(1), hex('92 1a05 aabb')]);
    expect(made.dataObject.packetCount).toBe(1n);
  });

  it('refuses a packet that is too long and continues', () => {
    const builder = new AsfFileBuilder(liveAv());
    expect(() => builder.packet(parsePacket(packetOf(0, [{ stream: 1, time: 0, data: 'x'.repeat(300) }])))).toThrow(
      AsfError,
    );
    expect(builder.packetCount).toBe(0);
    for (const bytes of frames(1)) builder.packet(parsePacket(bytes));
    expect(builder.packetCount).toBe(1);
    expect(builder.duration).toBe(0);
  });

  it('makes a file seekable if it has only audio, but not if video has no key frames', () => {
    const audioOnly = header([fileProperties(), audio(1)]);
    expect(makeFile(audioOnly, [packetOf(0, [{ stream: 1, time: PREROLL, data: 'a' }], SIZE)])).toMatchObject({
      header: { fileProperties: { flags: 2 } },
      trailer: Buffer.alloc(0),
    });
    expect(
      makeFile(liveAv(), [packetOf(0, [{ stream: 2, time: PREROLL, data: 'p' }], SIZE)]).header.fileProperties.flags,
    ).toBe(0);
  });

  it('writes an index for each visible video stream, in the order of their numbers', () => {
    const source = header([fileProperties(), video(3), video(2)]);
    const key = (stream: number): Piece => ({ stream, key: true, time: PREROLL, data: 'k' });
    const { trailer } = makeFile(source, [packetOf(0, [key(2)], SIZE), packetOf(0, [key(3)], SIZE)]);
    const first = parseSimpleIndex(trailer);
    const second = parseSimpleIndex(trailer.subarray(trailer.length / 2));
    expect([first.packetNumbers[0], second.packetNumbers[0]]).toEqual([0, 1]);
  });

  it('builds an empty file without packets', () => {
    const { header: made, trailer } = makeFile(liveAv(), []);
    expect(made.fileProperties).toMatchObject({ playDuration: 0n, dataPacketsCount: 0n, flags: 0 });
    expect(trailer).toHaveLength(0);
  });

  it('does not let a jump in the times make a large index (asf.md 16.10)', () => {
    const key = (time: number): Buffer => packetOf(0, [{ stream: 2, key: true, time, data: 'k' }], SIZE);
    const { trailer } = makeFile(liveAv(), [key(PREROLL), key(0x7fff_ffff), key(0xffff_fffe)], false);
    expect(trailer.length).toBeLessThan(1_000_000);
    expect(parseSimpleIndex(trailer).interval).toBeGreaterThan(10_000_000n);
  });
});

describe('KeyFrameIndex', () => {
  it('finds the key frame for a time', () => {
    const index = new KeyFrameIndex([2]);
    for (const bytes of frames(76)) index.add(parsePacket(bytes));
    expect(index.keyFrames(2).map(({ packetNumber }) => packetNumber)).toEqual([0, 25, 50, 75]);
    expect(index.find(2, PREROLL + 1999)!.packetNumber).toBe(25);
    expect(index.find(2, PREROLL + 2000)!.packetNumber).toBe(50);
    expect(index.find(2, 0)!.packetNumber).toBe(0);
    expect(index.find(2, 1e9)!.packetNumber).toBe(75);
    expect(index.find(1, 0)).toBeUndefined();
  });

  it('keeps the last key frame of each second', () => {
    const index = new KeyFrameIndex([2]);
    for (const time of [1100, 1200, 1900, 2100])
      index.add(parsePacket(packetOf(0, [{ stream: 2, key: true, time, data: 'k' }])));
    expect(index.keyFrames(2).map(({ presentationTime }) => presentationTime)).toEqual([1900, 2100]);
  });
});

describe('index objects', () => {
  it('match their bytes: Simple Index', () => {
    const bytes = hex(`${GUID.simpleIndexObject} 4400000000000000 ${FILE_ID} 8096980000000000 02000000 02000000
      00000000 0200  07000000 0100`);
    const index = parseSimpleIndex(bytes);
    expect(index).toEqual({
      fileId: FILE_ID,
      interval: 10_000_000n,
      maximumPacketCount: 2,
      packetNumbers: Uint32Array.of(0, 7),
      packetCounts: Uint16Array.of(2, 1),
    });
    expect(buildSimpleIndex(index)).toEqual(bytes);
    expect(parseSimpleIndex(bytes.subarray(0, -1)).packetNumbers).toHaveLength(1);
  });

  it('match their bytes: Index Object', () => {
    const body = hex(`e8030000 0200 01000000  0100 0300 0200 0300
      02000000 0000000000000000 8000000000000000  00000000 01000000 02000000 ffffffff`);
    expect(parseIndexObject(frameObject(GUID.indexObject, body))).toEqual({
      kind: 'index',
      interval: 1000,
      specifiers: [
        { streamNumber: 1, indexType: 3 },
        { streamNumber: 2, indexType: 3 },
      ],
      blocks: [{ positions: BigUint64Array.of(0n, 128n), offsets: Uint32Array.of(0, 1, 2, 0xffff_ffff) }],
    });
    expect(parseIndexObject(frameObject(GUID.mediaObjectIndexObject, body)).kind).toBe('mediaObjectIndex');
  });

  it('that promise more than they have are read as far as possible', () => {
    const none = hex('e8030000 0000 ffffffff');
    expect(parseIndexObject(frameObject(GUID.indexObject, none)).blocks).toEqual([]);
    const many = hex('e8030000 0100 ffffffff 0100 0300 ffffffff 0000000000000000 01000000');
    expect(parseIndexObject(frameObject(GUID.indexObject, many)).blocks[0]!.offsets).toEqual(Uint32Array.of(1));
  });

  it('of another kind, or cut in the head, are refused', () => {
    expect(() => parseSimpleIndex(frameObject(GUID.paddingObject, Buffer.alloc(40)))).toThrow(AsfError);
    expect(() => parseSimpleIndex(frameObject(GUID.simpleIndexObject, Buffer.alloc(10)))).toThrow(AsfError);
    expect(() => parseIndexObject(frameObject(GUID.indexObject, hex('e8030000 ff00 01000000')))).toThrow(AsfError);
    expect(() => parseIndexObject(Buffer.alloc(5))).toThrow(AsfError);
  });
});
