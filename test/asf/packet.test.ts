import fc from 'fast-check';
import { AsfError, buildPacket, packetFields, packetStartsKeyFrame, parsePacket } from '../../src/asf/index.js';
import { tidyPacket } from '../../src/asf/repair.js';
import {
  failsOnlyWithAsfError,
  hex,
  mutation,
  packetArbitrary,
  packetFieldsArbitrary,
  packetOf,
  replicated,
} from './support.js';

describe('a single payload with a BYTE of padding length, as Microsoft encoders write it', () => {
  const bytes = hex(`82 0000  08 5d  03  e8030000 2a00
    82 07 10000000 08 20000000 b80b0000  aabbccdd
    000000`);
  const packet = parsePacket(bytes);

  it('has its head read', () => {
    expect(packet).toMatchObject({
      sendTime: 1000,
      duration: 42,
      lengthTypeFlags: 0x08,
      propertyFlags: 0x5d,
      errorCorrectionLength: 3,
      parity: false,
      explicitLength: false,
      length: bytes.length,
      paddingLength: 3,
      multiple: false,
      damaged: false,
    });
    expect(packet.end).toBe(bytes.length - 3);
  });

  it('has its payload up to the padding', () => {
    expect(packet.payloads).toEqual([
      {
        stream: 2,
        key: true,
        mediaObjectNumber: 7,
        offset: 16,
        objectSize: 32,
        presentationTime: 3000,
        compressed: false,
        presentationTimeDelta: 0,
        headerStart: 12,
        replicatedStart: 19,
        replicatedLength: 8,
        dataStart: 27,
        dataLength: 4,
      },
    ]);
  });

  it('is rebuilt byte for byte', () => {
    expect(buildPacket(packetFields(packet))).toEqual(bytes);
  });
});

describe('several payloads, as ffmpeg writes them', () => {
  const bytes = hex(`82 0000  09 5d  01  00000000 2800
    82
    01 01 00000000 08 03000000 1c0c0000 0300 010203
    82 01 00000000 08 09000000 300c0000 0200 0405
    00`);

  it('are separated by their lengths', () => {
    const { payloads, multiple } = parsePacket(bytes);
    expect(multiple).toBe(true);
    expect(
      payloads.map(({ stream, key, dataLength, presentationTime }) => [stream, key, dataLength, presentationTime]),
    ).toEqual([
      [1, false, 3, 3100],
      [2, true, 2, 3120],
    ]);
  });

  it('are kept up to a broken one (asf.md 16.7)', () => {
    const broken = Buffer.from(bytes);
    broken.writeUInt16LE(900, bytes.length - 5);
    const packet = parsePacket(broken);
    expect(packet.damaged).toBe(true);
    expect(packet.payloads).toHaveLength(1);
  });

  it.each([
    ['no payload length field', 12, 0x02],
    ['a replicated length of 5', 19, 5],
    ['a first payload that is longer than the packet', 28, 99],
  ])('is refused with %s', (_name, at, value) => {
    const broken = Buffer.from(bytes);
    broken[at] = value;
    expect(() => parsePacket(broken)).toThrow(AsfError);
  });
});

describe('a payload without data (asf.md 16.7)', () => {
  const bytes = hex(`82 0000  09 5d  00  00000000 2800
    83
    01 01 00000000 08 03000000 1c0c0000 0300 010203
    02 07 00000000 08 00000000 1c0c0000 0000
    82 01 00000000 08 09000000 300c0000 0200 0405`);

  it('is skipped by its length, and those that follow it are read', () => {
    const packet = parsePacket(bytes);
    expect(packet.payloads.map(({ stream, dataLength }) => [stream, dataLength])).toEqual([
      [1, 3],
      [2, 2],
    ]);
    expect(packet).toMatchObject({ damaged: false, emptyPayloads: 1 });
  });

  it('is left out when the packet is prepared for players', () => {
    const tidy = tidyPacket(parsePacket(bytes), 100)!;
    expect(tidy).toMatchObject({ damaged: false, emptyPayloads: 0 });
    expect(tidy.bytes).toHaveLength(100);
    expect(tidy.payloads.map(({ stream, dataLength }) => [stream, dataLength])).toEqual([
      [1, 3],
      [2, 2],
    ]);
  });

  it.each([
    ['a single one up to the padding', '82 0000 08 5d 02 e8030000 2a00 02 01 00000000 08 02000000 b80b0000 0000'],
    ['no payload at all', '82 0000 00 5d e8030000 2a00'],
    ['a count of 0', '82 0000 09 5d 03 e8030000 2a00 80 000000'],
    ['padding right after the times', '82 0000 09 5d 04 e8030000 2a00 00000000'],
  ])('may be the only one: %s', (_name, text) => {
    expect(parsePacket(hex(text))).toMatchObject({ payloads: [], damaged: false, sendTime: 1000 });
  });
});

describe('compressed payloads', () => {
  it('have the presentation time where others have the offset', () => {
    const bytes = hex(`82 0000  00 5d  e8030000 2a00   01 05 b80b0000 01 14  02aabb 01cc`);
    expect(parsePacket(bytes).payloads[0]).toMatchObject({
      stream: 1,
      mediaObjectNumber: 5,
      offset: 0,
      objectSize: -1,
      presentationTime: 3000,
      compressed: true,
      presentationTimeDelta: 20,
      replicatedLength: 1,
      dataStart: 19,
      dataLength: 5,
    });
    expect(buildPacket(packetFields(parsePacket(bytes)))).toEqual(bytes);
  });
});

describe('fields of other widths', () => {
  it('reads an explicit Packet Length and ignores what follows', () => {
    const bytes = hex(`82 0000  40 5d  1e00  e8030000 2a00  02 01 00000000 08 02000000 b80b0000 aabb  0000000000`);
    const packet = parsePacket(bytes);
    expect(packet).toMatchObject({ explicitLength: true, length: 30, end: 30, paddingLength: 0 });
    expect(packet.payloads[0]!.dataLength).toBe(2);
  });

  it('reads a packet without error correction and with DWORDs', () => {
    const bytes = hex(`7e 7f  24000000 07000000 02000000  01000000 0000
      05 0a000000 0b000000 00000000  11 0000`);
    const packet = parsePacket(bytes);
    expect(packet).toMatchObject({ errorCorrectionLength: 0, sequence: 7, paddingLength: 2, length: 36 });
    expect(packet.payloads[0]).toMatchObject({
      mediaObjectNumber: 10,
      offset: 11,
      objectSize: -1,
      presentationTime: -1,
    });
  });

  it('keeps 32-bit times unsigned', () => {
    const packet = parsePacket(packetOf(0xffff_fff0, [{ stream: 1, time: 0xffff_ff00, data: 'x' }]));
    expect(packet.sendTime).toBe(0xffff_fff0);
    expect(packet.payloads[0]!.presentationTime).toBe(0xffff_ff00);
  });
});

describe('a parity packet', () => {
  it('is recognised by Opaque Data Present and has no payloads', () => {
    const packet = parsePacket(hex('92 1a05 00ff00ff00ff'));
    expect(packet.parity).toBe(true);
    expect(packet.payloads).toEqual([]);
    expect(() => packetFields(packet)).toThrow(AsfError);
  });
});

describe('packets with a broken head are refused', () => {
  it.each([
    ['nothing', ''],
    ['one byte', '82'],
    ['an unknown error correction length type', 'a2 0000 00 5d e8030000 2a00 02 01 00000000 08 02000000 b80b0000 aabb'],
    ['property flags without a stream number', '82 0000 00 1d e8030000 2a00 02 01 00000000 08 02000000 b80b0000 aabb'],
    [
      'a second byte that should be length type flags',
      '82 0000 80 5d e8030000 2a00 02 01 00000000 08 02000000 b80b0000 aabb',
    ],
    [
      'a Packet Length beyond the transport',
      '82 0000 40 5d ff00 e8030000 2a00 02 01 00000000 08 02000000 b80b0000 aabb',
    ],
    ['a Packet Length of 0', '82 0000 40 5d 0000 e8030000 2a00 02 01 00000000 08 02000000 b80b0000 aabb'],
    ['more padding than room', '82 0000 08 5d 50 e8030000 2a00 02 01 00000000 08 02000000 b80b0000 aabb'],
  ])('%s', (_name, text) => {
    expect(() => parsePacket(hex(text))).toThrow(AsfError);
  });
});

describe('building', () => {
  const one = { stream: 1, mediaObjectNumber: 1, offset: 0, replicated: replicated(1, 0), data: hex('aa') };

  it.each([
    ['gap 0: no field', 28, 0x00, 0],
    ['gap 1: a BYTE of 0', 29, 0x08, 0],
    ['gap 256: a BYTE of 255', 284, 0x08, 255],
    ['gap 257: a WORD of 255', 285, 0x10, 255],
    ['gap 70 000: a DWORD', 70_028, 0x18, 69_996],
  ])('pads to a size, %s (asf.md 7.6)', (_name, packetSize, flags, padding) => {
    const empty = buildPacket({ sendTime: 0, duration: 0, payloads: [one] });
    const bytes = buildPacket({
      sendTime: 0,
      duration: 0,
      payloads: [one],
      packetSize: packetSize - 28 + empty.length,
    });
    expect(bytes.length).toBe(packetSize - 28 + empty.length);
    expect(bytes[3]).toBe(flags);
    expect(parsePacket(bytes).paddingLength).toBe(padding);
  });

  it.each([
    ['an object number that is too large', { payloads: [{ ...one, mediaObjectNumber: 256 }] }],
    ['replicated data of 4 bytes', { payloads: [{ ...one, replicated: Buffer.alloc(4) }] }],
    ['an empty payload', { payloads: [{ ...one, data: Buffer.alloc(0) }] }],
    ['stream 128', { payloads: [{ ...one, stream: 128 }] }],
    ['no payload', { payloads: [] }],
    ['64 payloads', { payloads: Array.from({ length: 64 }, () => one) }],
    ['a duration over 65 535', { payloads: [one], duration: 65_536 }],
    ['a negative send time', { payloads: [one], sendTime: -1 }],
    ['a packet size that is too small', { payloads: [one], packetSize: 20 }],
    ['two payloads in the single form', { payloads: [one, one], multiple: false }],
    ['padding without a field', { payloads: [one], padding: Buffer.alloc(2), paddingType: 0 as const }],
    ['wrong error correction', { payloads: [one], errorCorrection: hex('8300') }],
  ])('refuses %s', (_name, fields) => {
    expect(() => buildPacket({ sendTime: 0, duration: 0, ...fields })).toThrow(AsfError);
  });
});

describe('packetStartsKeyFrame', () => {
  const starts = (pieces: Parameters<typeof packetOf>[1], video: number[]): boolean =>
    packetStartsKeyFrame(parsePacket(packetOf(0, pieces)), new Set(video));

  it('requires the key bit and offset 0 in a video stream', () => {
    expect(starts([{ stream: 2, key: true, time: 0, data: 'k' }], [2])).toBe(true);
    expect(starts([{ stream: 2, key: true, offset: 5, time: 0, data: 'k' }], [2])).toBe(false);
    expect(starts([{ stream: 2, time: 0, data: 'p' }], [2])).toBe(false);
  });

  it('finds it after audio, in the middle of the packet', () => {
    expect(
      starts(
        [
          { stream: 1, time: 0, data: 'a' },
          { stream: 2, key: true, time: 0, data: 'k' },
        ],
        [2],
      ),
    ).toBe(true);
  });

  it('does not take audio for video, but accepts every object if there is no video', () => {
    expect(starts([{ stream: 1, key: true, time: 0, data: 'a' }], [2])).toBe(false);
    expect(starts([{ stream: 1, time: 0, data: 'a' }], [])).toBe(true);
    expect(starts([{ stream: 1, offset: 3, time: 0, data: 'a' }], [])).toBe(false);
  });
});

describe('any packet', () => {
  it('is the same after build, parse and build, for all forms and length types', () => {
    fc.assert(
      fc.property(packetFieldsArbitrary, (fields) => {
        const bytes = buildPacket(fields);
        const packet = parsePacket(bytes);
        expect(packet.damaged).toBe(false);
        expect(packet.payloads).toHaveLength(fields.payloads.length);
        expect(packet.sendTime).toBe(fields.sendTime);
        expect(buildPacket(packetFields(packet))).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });

  it('that was changed or cut only throws AsfError, and stays inside its bytes', () => {
    fc.assert(
      fc.property(packetArbitrary, mutation, (packet, mutate) => {
        const bytes = mutate(packet.bytes);
        failsOnlyWithAsfError(() => {
          const parsed = parsePacket(bytes);
          let last = parsed.payloadsStart;
          for (const payload of parsed.payloads) {
            expect(payload.headerStart).toBeGreaterThanOrEqual(last);
            last = payload.dataStart + payload.dataLength;
            expect(last).toBeLessThanOrEqual(parsed.end);
          }
          expect(parsed.end).toBeLessThanOrEqual(parsed.length);
          expect(parsed.length).toBeLessThanOrEqual(bytes.length);
          if (!parsed.damaged && !parsed.parity) expect(buildPacket(packetFields(parsed))).toEqual(bytes);
        });
      }),
      { numRuns: 2000 },
    );
  });

  it('of random bytes only throws AsfError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (array) => {
        failsOnlyWithAsfError(() => parsePacket(Buffer.concat([hex('820000'), Buffer.from(array)])));
        failsOnlyWithAsfError(() => parsePacket(Buffer.from(array)));
      }),
      { numRuns: 2000 },
    );
  });
});
