import { jest } from '@jest/globals';
import fc from 'fast-check';
import {
  AsfError,
  buildHeader,
  FILE_FLAG,
  GUID,
  type HeaderObject,
  MAX_HEADER_SIZE,
  parseHeader,
} from '../../src/asf/index.js';
import { frameObject, objectBytes } from '../../src/asf/object-tree.js';
import { everyObject, extended, extension, headerWith, readBack, utf16 } from './object-support.js';
import {
  audio,
  FILE_ID,
  failsOnlyWithAsfError,
  fileProperties,
  header,
  hex,
  liveAv,
  mutation,
  stream,
  video,
  WMA2,
  WMV3,
  ZERO_ID,
} from './support.js';

describe('streams', () => {
  it('have their WAVEFORMATEX and BITMAPINFOHEADER read', () => {
    const { streams } = liveAv();
    expect(streams[0]).toMatchObject({
      number: 1,
      type: 'audio',
      hidden: false,
      encrypted: false,
      format: {
        kind: 'audio',
        formatTag: 0x161,
        channels: 2,
        samplesPerSecond: 44_100,
        averageBytesPerSecond: 8001,
        blockAlign: 2973,
        bitsPerSample: 16,
        codecData: WMA2.subarray(18),
      },
    });
    expect(streams[1]).toMatchObject({
      number: 2,
      type: 'video',
      format: { kind: 'video', width: 320, height: 240, bitCount: 24, fourCC: 'WMV3', codecData: WMV3.subarray(-4) },
    });
  });

  it('are found in Extended Stream Properties too, and are hidden then', () => {
    const { streams } = header([fileProperties(), audio(1), extension(extended({ streamProperties: video(2) }))]);
    expect(streams.map(({ number, type, hidden }) => [number, type, hidden])).toEqual([
      [1, 'audio', false],
      [2, 'video', true],
    ]);
    expect(streams[1]!.extended!.averageTimePerFrame).toBe(400_000n);
  });

  it('have the formats of the other media types', () => {
    const { streams } = header([
      fileProperties(),
      stream(GUID.commandMedia, 1),
      stream(GUID.jfifMedia, 2, hex('80020000 e0010000 00000000')),
      stream(GUID.degradableJPEGMedia, 3, hex('80020000 e0010000 0000 0200 0400 0000 00')),
      stream(
        GUID.fileTransferMedia,
        4,
        Buffer.concat([
          hex(
            `${GUID.none}${GUID.webStreamMediaSubtype} 00000000 00000000 00000000 ${GUID.webStreamFormat} 08000000 0800 0a00 0100 0000`,
          ),
        ]),
      ),
      stream(GUID.binaryMedia, 5, Buffer.alloc(10)),
      stream('ab'.repeat(16), 6),
    ]);
    expect(streams.map(({ type, format }) => [type, format?.kind])).toEqual([
      ['command', undefined],
      ['image', 'image'],
      ['image', 'image'],
      ['file', 'binary'],
      ['binary', undefined],
      ['unknown', undefined],
    ]);
    expect(streams[2]!.format).toEqual({ kind: 'image', width: 640, height: 480, degradable: true });
    expect(streams[3]!.format).toMatchObject({
      subtype: GUID.webStreamMediaSubtype,
      formatData: hex('0800 0a00 0100 0000'),
    });
  });

  it('count once if a number is declared twice; number 0 does not count (asf.md 16.9)', () => {
    const { streams } = header([fileProperties(), audio(1), video(1), video(0)]);
    expect(streams.map(({ number, type }) => [number, type])).toEqual([[1, 'audio']]);
  });

  it('may be encrypted', () => {
    expect(header([fileProperties(), { ...audio(1), flags: 0x8001 }]).streams[0]).toMatchObject({
      number: 1,
      encrypted: true,
    });
  });
});

describe('bit rates of the streams', () => {
  const rates = (...objects: HeaderObject[]): unknown =>
    Object.fromEntries(
      header([fileProperties({ minimumPacketSize: 2800, maximumPacketSize: 2800 }), audio(1), video(2), ...objects])
        .streamBitrates,
    );

  it('come from Stream Bitrate Properties', () => {
    const listed = {
      type: 'streamBitrateProperties',
      records: [
        { flags: 1, averageBitrate: 70_000 },
        { flags: 2, averageBitrate: 400_000 },
      ],
    } as const;
    expect(rates(listed, extension(extended()))).toEqual({ 1: 70_000, 2: 400_000 });
  });

  it('else from Extended Stream Properties, the larger rate, with the packet overhead', () => {
    expect(rates(extension(extended()))).toMatchObject({ 2: 355_250 });
  });

  it('else audio from its average, and video what Maximum Bitrate leaves', () => {
    expect(rates()).toEqual({
      1: Math.round(64_008 * 1.015),
      2: Math.round(500_000 * 1.015) - Math.round(64_008 * 1.015),
    });
  });

  it('are unknown without Maximum Bitrate', () => {
    for (const maximumBitrate of [0, 64_000, 0xffff_ffff]) {
      expect(liveAv({ maximumBitrate }).streamBitrates.get(2)).toBeUndefined();
    }
  });
});

describe('the Data Object after the header', () => {
  it('is read if it is there', () => {
    expect(header([fileProperties(), audio(1)], { size: 450n, packetCount: 2n }).dataObject).toEqual({
      fileId: FILE_ID,
      size: 450n,
      packetCount: 2n,
    });
  });

  it('is added as a live one if it is absent or cut', () => {
    const { bytes } = liveAv();
    for (const missing of [50, 20, 1]) {
      const parsed = parseHeader(bytes.subarray(0, bytes.length - missing));
      expect(parsed.bytes).toEqual(bytes);
      expect(parsed.dataObject).toEqual({ fileId: FILE_ID, size: 50n, packetCount: 0n });
    }
  });

  it('ends the header, whatever follows', () => {
    const { bytes } = liveAv();
    expect(parseHeader(Buffer.concat([bytes, Buffer.alloc(100, 1)])).bytes).toEqual(bytes);
  });
});

describe('damaged headers (asf.md 16)', () => {
  const refused = (bytes: Buffer, message: RegExp): void => {
    expect(() => parseHeader(bytes)).toThrow(AsfError);
    expect(() => parseHeader(bytes)).toThrow(message);
  };

  it.each([0n, 23n, 1n << 40n, 1n << 63n])('1: an object of %d bytes ends where the next known one begins', (size) => {
    const wrong = (object: Buffer) => {
      const changed = Buffer.from(object);
      changed.writeBigUInt64LE(size, 16);
      return changed;
    };
    const padding = frameObject(GUID.paddingObject, Buffer.alloc(40));
    expect(parseHeader(headerWith(wrong(padding))).objects).toHaveLength(3);
    expect(parseHeader(headerWith(wrong(padding), padding)).objects).toHaveLength(4);
    // Each object of a whole header in turn.
    const { bytes, objects, streams, fileProperties, dataObject } = liveAv();
    let at = 30;
    for (const object of objects) {
      const changed = Buffer.from(bytes);
      changed.writeBigUInt64LE(size, at + 16);
      at += objectBytes(object).length;
      const read = parseHeader(changed);
      expect(read.streams.map(({ number }) => number)).toEqual(streams.map(({ number }) => number));
      expect(read.fileProperties).toEqual(fileProperties);
      // Written again, it is whole; the objects in an extension are beside it then.
      if (object.type === 'headerExtension') continue;
      expect(buildHeader(read.objects, read.dataObject).bytes).toEqual(buildHeader(objects, dataObject).bytes);
    }
  });

  it('1: an unknown object that is too small or too large ends the list, and what was read is used', () => {
    const unknown = frameObject('00112233445566778899aabbccddeeff', Buffer.alloc(40));
    unknown.writeBigUInt64LE(2n ** 63n, 16);
    expect(parseHeader(headerWith(unknown)).objects).toHaveLength(2);
  });

  it('1: many objects of impossible sizes cost little, also in a header of 16 MiB', () => {
    const zero = Buffer.alloc(24);
    zero.write(GUID.paddingObject, 0, 'hex');
    const many = Buffer.concat(
      new Array<Buffer>(1_000).fill(Buffer.concat([zero, frameObject(GUID.paddingObject, zero)])),
    );
    // The bytes searched, over all objects, are 2 MiB, once for each kind.
    const search = jest.spyOn(Buffer.prototype, 'indexOf');
    parseHeader(headerWith(many, Buffer.alloc(16 * 1024 * 1024, 0xa1)));
    expect(search.mock.calls.length).toBeGreaterThan(0);
    const searched = search.mock.contexts.reduce((sum: number, bytes) => sum + (bytes as Buffer).length, 0);
    search.mockRestore();
    expect(searched).toBeLessThanOrEqual(50 * 2 * 1024 * 1024);
  });

  it('1: without File Properties or a stream it is refused', () => {
    refused(
      Buffer.concat([
        frameObject(
          GUID.headerObject,
          Buffer.concat([hex('01000000 01 02'), frameObject(GUID.paddingObject, hex(''))]),
        ),
      ]),
      /File Properties/,
    );
    const { bytes } = liveAv();
    const lost = Buffer.from(bytes);
    lost.fill(0xee, 30 + 104, 30 + 104 + 16);
    lost.fill(0xee, bytes.length - 50 - 78 - WMV3.length, bytes.length - 50 - 78 - WMV3.length + 16);
    refused(lost, /no stream/);
  });

  it('2: a wrong Number of Header Objects is ignored, and corrected when written', () => {
    const { bytes, dataObject } = liveAv();
    const wrong = Buffer.from(bytes);
    wrong.writeUInt32LE(1, 24);
    const parsed = parseHeader(wrong);
    expect(parsed.objects).toHaveLength(3);
    expect(buildHeader(parsed.objects, dataObject).bytes).toEqual(bytes);
  });

  it('3: lengths inside an object that exceed it are cut', () => {
    const title = Buffer.concat([hex('f0ff 0000 0000 0000 0000'), utf16('Title')]);
    expect(readBack(GUID.contentDescriptionObject, title)).toMatchObject({ title: 'Title' });
    const records = hex('ff00 0100 10270000 0200');
    expect(readBack(GUID.streamBitratePropertiesObject, records)).toEqual({
      type: 'streamBitrateProperties',
      records: [{ flags: 1, averageBitrate: 10_000 }],
    });
  });

  it('3: an unreadable object is kept unchanged', () => {
    expect(readBack(GUID.codecListObject, hex('0011'))).toMatchObject({ type: 'unknown', guid: GUID.codecListObject });
  });

  it('4: of two packet sizes the one counts that fills the Data Object', () => {
    const size = (minimumPacketSize: number, maximumPacketSize: number): number => {
      const { objects } = liveAv({ minimumPacketSize, maximumPacketSize });
      return buildHeader(objects, { fileId: '00'.repeat(16), size: 50n + 7n * 3_200n, packetCount: 7n }).packetSize;
    };
    expect(size(3_200, 3_072)).toBe(3_200);
    expect(size(3_200, 200_000)).toBe(3_200);
    expect(size(3_072, 3_200)).toBe(3_200);
    expect(size(3_000, 3_100)).toBe(3_100);
  });

  it('4: the larger packet size counts, else the smaller; zero or an absurd one is refused', () => {
    const size = (minimumPacketSize: number, maximumPacketSize: number): number =>
      liveAv({ minimumPacketSize, maximumPacketSize }).packetSize;
    expect(size(100, 200)).toBe(200);
    expect(size(100, 0)).toBe(100);
    expect(() => size(0, 0)).toThrow(AsfError);
    expect(() => size(0, 0x7fff_ffff)).toThrow(AsfError);
  });

  it('refuses what is incomplete, too large or something else, and names it', () => {
    const { bytes } = liveAv();
    refused(bytes.subarray(0, 200), /ends after 200 of/);
    const huge = Buffer.from(bytes);
    huge.writeBigUInt64LE(BigInt(MAX_HEADER_SIZE + 1), 16);
    refused(huge, /limit/);
    refused(Buffer.from('<html><head><title>404 Not Found'), /text that starts with "<html>/);
    refused(hex('52494646 00000000 41564920 4c495354 00000000 00000000'), /RIFF/);
    refused(hex('1a45dfa3 00000000 00000000 00000000 00000000 00000000'), /Matroska/);
    refused(hex('00000020 66747970 69736f6d 00000000 00000000 00000000'), /MP4/);
    refused(hex(''), /nothing/);
    refused(hex('0102'), /bytes that start with 0102/);
  });

  it('limits recursion: nested Header Extensions', () => {
    let inner: Buffer = Buffer.alloc(0);
    for (let depth = 0; depth < 5000; depth++) {
      const size = Buffer.alloc(4);
      size.writeUInt32LE(inner.length);
      inner = frameObject(GUID.headerExtensionObject, Buffer.concat([hex(`${GUID.reserved1} 0600`), size, inner]));
    }
    expect(parseHeader(headerWith(inner)).streams).toHaveLength(1);
  });

  it('limits recursion: nested Extended Stream Properties', () => {
    let inner: Buffer = Buffer.alloc(0);
    for (let depth = 0; depth < 5000; depth++) {
      inner = frameObject(GUID.extendedStreamPropertiesObject, Buffer.concat([Buffer.alloc(64), inner]));
    }
    expect(parseHeader(headerWith(inner)).streams).toHaveLength(1);
  });

  it('only throws AsfError if changed or cut anywhere', () => {
    const { bytes } = header([fileProperties(), audio(1), video(2), ...everyObject]);
    fc.assert(
      fc.property(mutation, (mutate) => {
        failsOnlyWithAsfError(() => {
          const parsed = parseHeader(mutate(bytes));
          const again = buildHeader(parsed.objects, parsed.dataObject);
          expect(again.streams.length).toBe(parsed.streams.length);
          buildHeader(
            parsed.objects.map((object) => ({ ...object })),
            parsed.dataObject,
          );
        });
      }),
      { numRuns: 1000 },
    );
  });
});

describe('building', () => {
  it('refuses values that do not fit', () => {
    const data = { fileId: FILE_ID, size: 50n, packetCount: 0n };
    expect(() => buildHeader([fileProperties({ flags: -1 }), audio(1)], data)).toThrow(AsfError);
    expect(() => buildHeader([fileProperties({ fileSize: 1n << 64n }), audio(1)], data)).toThrow(AsfError);
    expect(() => buildHeader([fileProperties({ fileId: 'abc' }), audio(1)], data)).toThrow(AsfError);
    expect(() =>
      buildHeader(
        [
          fileProperties(),
          audio(1),
          {
            type: 'contentDescription',
            title: 'x'.repeat(40_000),
            author: '',
            copyright: '',
            description: '',
            rating: '',
          },
        ],
        data,
      ),
    ).toThrow(AsfError);
    expect(() => buildHeader([audio(1)], data)).toThrow(AsfError);
    expect(() =>
      buildHeader([fileProperties(), audio(1), { type: 'padding', data: Buffer.alloc(MAX_HEADER_SIZE) }], data),
    ).toThrow(AsfError);
  });

  it('reports the missing size of a header that ffmpeg could not complete on a pipe', () => {
    const bytes = Buffer.from(liveAv().bytes);
    bytes.writeBigUInt64LE(2n ** 64n - 1n, 16);
    expect(() => parseHeader(bytes)).toThrow('An ASF header was not completed: it does not say its size.');
  });

  it('writes count, sizes and reserved fields', () => {
    const { bytes } = liveAv();
    expect(bytes.readBigUInt64LE(16)).toBe(BigInt(bytes.length - 50));
    expect(bytes.readUInt32LE(24)).toBe(3);
    expect(bytes.subarray(28, 30)).toEqual(hex('0102'));
    expect(bytes.subarray(-50)).toEqual(hex(`${GUID.dataObject} 3200000000000000 ${FILE_ID} 0000000000000000 0101`));
    expect(FILE_FLAG.broadcast | FILE_FLAG.seekable).toBe(3);
    expect(ZERO_ID).toHaveLength(32);
  });
});
