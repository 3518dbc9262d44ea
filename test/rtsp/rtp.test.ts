import fc from 'fast-check';
import { RtspError } from '../../src/rtsp/messages/error.js';
import { buildNacks, readNacks } from '../../src/rtsp/messages/rtcp.js';
import * as rtp from '../../src/rtsp/messages/rtp.js';

const framing = { payloadType: 96, ssrc: 0x4b1bac1a, largest: 1_452, withLocation: false };
const unitOf = (size: number, more: Partial<rtp.AsfUnit> = {}): rtp.AsfUnit => ({
  bytes: Buffer.from(Array.from({ length: size }, (_, index) => (index * 7) & 255)),
  sendTime: 158_473,
  keyFrame: false,
  location: 41,
  ...more,
});

function written(unit: rtp.AsfUnit, sequence: number, options: rtp.AsfFraming = framing): Buffer[] {
  return Array.from({ length: rtp.rtpUnits(unit.bytes.length, options) }, (_, index) => {
    const size = rtp.rtpUnitSize(unit.bytes.length, index, options);
    const bytes = Buffer.alloc(size + 2, 0xee);
    expect(rtp.writeRtpUnit(bytes, 1, unit, index, sequence + index, options)).toBe(size + 1);
    // Nothing is written outside its place.
    expect([bytes[0], bytes.at(-1)]).toEqual([0xee, 0xee]);
    return bytes.subarray(1, size + 1);
  });
}

describe('RTP packets', () => {
  it('of a packet that is too large are cut as a real server cuts 2759 bytes', () => {
    const packets = written(unitOf(2_759), 51_804);
    expect(packets.map((packet) => packet.subarray(0, 16).toString('hex'))).toEqual([
      '8060ca5c00026b094b1bac1a00000000',
      '80e0ca5d00026b094b1bac1a00000564',
    ]);
    expect(packets.map((packet) => packet.length)).toEqual([1_396, 1_395]);
  });

  it('[RTSP-006] have the marker on the last fragment, [RTSP-007] and the send time in all of them', () => {
    const packets = written(unitOf(5_000), 0xffff).map(rtp.readRtp);
    expect(packets.map(({ marker }) => marker)).toEqual([false, false, false, true]);
    expect(new Set(packets.map(({ timestamp }) => timestamp))).toEqual(new Set([158_473]));
    expect(packets.map(({ sequence }) => sequence)).toEqual([0xffff, 0, 1, 2]);
  });

  it('[RTSP-012] of a whole packet state its length, which includes the payload header', () => {
    const [packet] = written(unitOf(1_450, { keyFrame: true }), 0, { ...framing, largest: 1_500 });
    expect(packet!.subarray(12, 16).toString('hex')).toBe('c00005ae');
  });

  it('[RTSP-011] mark a key frame in each fragment', () => {
    const flags = (keyFrame: boolean) =>
      written(unitOf(3_000, { keyFrame }), 0).map(
        (packet) => rtp.readAsfPieces(rtp.readRtp(packet).payload)[0]!.keyFrame,
      );
    expect(flags(true)).toEqual([true, true, true]);
    expect(flags(false)).toEqual([false, false, false]);
  });

  it('[RTSP-076] have no LocationId unless it is wanted, [RTSP-077] and then where an ASF packet ends', () => {
    const locations = (withLocation: boolean) =>
      [
        ...written(unitOf(3_000), 0, { ...framing, withLocation }),
        ...written(unitOf(100), 9, { ...framing, withLocation }),
      ].map((packet) => rtp.readAsfPieces(rtp.readRtp(packet).payload)[0]!.location);
    expect(locations(false)).toEqual([undefined, undefined, undefined, undefined]);
    expect(locations(true)).toEqual([undefined, undefined, 41, 41]);
  });

  it('are never larger than allowed, and can be reassembled', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70_000 }),
        fc.integer({ min: 100, max: 2_000 }),
        fc.boolean(),
        fc.nat(0xffffffff),
        (size, largest, withLocation, sequence) => {
          const unit = unitOf(size);
          const packets = written(unit, sequence, { ...framing, largest, withLocation });
          const whole = Buffer.alloc(size);
          for (const packet of packets) {
            expect(packet.length).toBeLessThanOrEqual(largest);
            const [piece, ...more] = rtp.readAsfPieces(rtp.readRtp(packet).payload);
            expect(more).toEqual([]);
            piece!.bytes.copy(whole, piece!.offset ?? 0);
          }
          expect(whole.equals(unit.bytes)).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('the payload of RTP', () => {
  const piece = (flags: number, length: number, ...rest: Buffer[]) => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(((flags << 24) | length) >>> 0, 0);
    return Buffer.concat([head, ...rest]);
  };
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value >>> 0, 0);
    return bytes;
  };

  it.each([
    ['counting its header, as real servers do', 4],
    ['not counting it, as the text has it', 0],
  ])('[RTSP-013] may hold several ASF packets, their length %s', (_, counted) => {
    const payload = Buffer.concat([
      piece(0xc0, 5 + counted, Buffer.from('first')),
      piece(0x60, 6 + (counted ? 8 : 0), u32(-20), Buffer.from('second')),
    ]);
    const pieces = rtp.readAsfPieces(payload);
    expect(
      pieces.map(({ bytes, keyFrame, relativeTime, offset }) => [bytes.toString(), keyFrame, relativeTime, offset]),
    ).toEqual([
      ['first', true, 0, undefined],
      ['second', false, -20, undefined],
    ]);
  });

  it('[RTSP-010] has optional fields in their order, [RTSP-016] among them a duration', () => {
    const [read] = rtp.readAsfPieces(piece(0xf8, 16 + 3, u32(10), u32(40), u32(77), Buffer.from('abc')));
    expect(read).toMatchObject({ relativeTime: 10, duration: 40, location: 77, keyFrame: true });
    expect(read!.bytes.toString()).toBe('abc');
    const [fragment] = rtp.readAsfPieces(piece(0x08, 1_380, u32(77), Buffer.from('abc')));
    expect(fragment).toMatchObject({ offset: 1_380, location: 77, relativeTime: 0, duration: undefined });
  });

  it('[RTSP-014] may have reserved bits set, [RTSP-009] below the flags', () => {
    expect(rtp.readAsfPieces(piece(0x47, 7, Buffer.from('abc')))[0]!.bytes.toString()).toBe('abc');
  });

  it('[RTSP-009] say by one bit each whether they begin a key frame, and hold a whole packet', () => {
    const of = (flags: number) =>
      rtp.readAsfPieces(Buffer.concat([Buffer.from([flags, 0, 0, 7]), Buffer.from('abc')]))[0]!;
    expect([0x80, 0xc0, 0x40, 0x00].map((flags) => [of(flags).keyFrame, of(flags).offset])).toEqual([
      [true, 7],
      [true, undefined],
      [false, undefined],
      [false, 7],
    ]);
  });

  it('[RTSP-015] may have a time before that of the RTP packet', () => {
    const head = Buffer.from([0x60, 0, 0, 11, 0xff, 0xff, 0xff, 0xfe]);
    expect(rtp.readAsfPieces(Buffer.concat([head, Buffer.from('abc')]))[0]!.relativeTime).toBe(-2);
  });

  it('throws only its own error, whatever arrives', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        for (const read of [rtp.readAsfPieces, rtp.readRtp]) {
          try {
            read(Buffer.from(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(RtspError);
          }
        }
      }),
    );
  });

  it('is found after CSRC entries and an extension, and before padding', () => {
    const head = Buffer.alloc(12);
    rtp.writeRtpHead(head, 0, { marker: true, payloadType: 97, sequence: 1, timestamp: 2, ssrc: 3 });
    head[0] = 0x80 | 0x20 | 0x10 | 2;
    const extension = Buffer.from('beefdead', 'hex');
    extension.writeUInt16BE(1, 2);
    const packet = Buffer.concat([
      head,
      Buffer.alloc(8),
      extension,
      Buffer.alloc(4),
      Buffer.from('data'),
      Buffer.from([0, 2]),
    ]);
    expect(rtp.readRtp(packet)).toMatchObject({ marker: true, payloadType: 97, sequence: 1, timestamp: 2, ssrc: 3 });
    expect(rtp.readRtp(packet).payload.toString()).toBe('data');
    packet[packet.length - 1] = 200;
    expect(() => rtp.readRtp(packet)).toThrow(RtspError);
  });
});

describe('a packet pair over UDP', () => {
  let filled = 0;
  const packets = (variable: boolean) =>
    rtp.packetPair({ payloadType: 96, ssrc: 0xa1713e1d, firstSequence: 0xffff }, variable, (size) =>
      Buffer.alloc(size, ++filled),
    );

  it('[RTSP-032] has timestamp 0 and S only in its first packet, [RTSP-033] and fixed sizes', () => {
    const read = packets(false).map(rtp.readRtp);
    expect(read.map(({ marker, timestamp, sequence }) => [marker, timestamp, sequence])).toEqual([
      [true, 0, 0xffff],
      [true, 0, 0],
      [true, 0, 1],
    ]);
    expect(read.map(({ payload }) => payload.subarray(0, 4).toString('hex'))).toEqual([
      'c00005b2',
      '400005b3',
      '400005b4',
    ]);
    expect(read.map(({ payload }) => payload.length - 4)).toEqual([1_454, 1_455, 1_456]);
    expect(new Set(read.map(({ payload }) => payload[4])).size).toBe(3);
  });

  it('[RTSP-034] identifies the last by its size, [RTSP-206] where that may vary', () => {
    const sizes = packets(true).map((packet) => packet.length - 16);
    expect(sizes[0]).toBe(1_283);
    expect(sizes.map((size) => size % 3)).toEqual([2, 0, 1]);
  });
});

describe('RTCP', () => {
  it('[RTSP-035] asks by number and by bits for those after it, [RTSP-036] with E set', () => {
    const [packet] = buildNacks({ mediaSsrc: 0x01020304, rtxSsrc: 0x2f73682b, sequences: [0xfffe, 0, 15, 16, 100] });
    expect(packet!.subarray(0, 24).toString('hex')).toBe('91cd00052f73682b01020304fffe0002000f000100640000');
    expect(readNacks(packet!)).toEqual({
      mediaSsrc: 0x01020304,
      rtxSsrc: 0x2f73682b,
      sequences: [0xfffe, 0, 15, 16, 100],
    });
  });

  it('[RTSP-038] names the retransmission stream, [RTSP-039] by its SSRC in decimal', () => {
    const [packet] = buildNacks({ mediaSsrc: 1, rtxSsrc: 0x2f73682b, sequences: [7] });
    expect(packet!.includes('796092459@WMS:7ff42e07-3c7c-4eb5-9c17-6bdd11ad90de')).toBe(true);
    expect(packet!.length % 4).toBe(0);
  });

  it('[RTSP-037] is read with E and without', () => {
    const [packet] = buildNacks({ mediaSsrc: 1, rtxSsrc: 2, sequences: [7] });
    for (const [first, sequences] of [
      [0x91, [7]],
      [0x81, [7]],
      // Another FMT is no NACK.
      [0x82, undefined],
      [0x9f, undefined],
    ] as const) {
      packet![0] = first;
      expect([first, readNacks(packet!)?.sequences]).toEqual([first, sequences]);
    }
  });

  it('[RTSP-140] holds at most 32 messages, [RTSP-214] of which 128 numbers are looked up', () => {
    const apart = Array.from({ length: 70 }, (_, index) => index * 20);
    const packets = buildNacks({ mediaSsrc: 1, rtxSsrc: 2, sequences: apart });
    expect(packets.map((packet) => readNacks(packet)!.sequences.length)).toEqual([32, 32, 6]);
    const row = Array.from({ length: 500 }, (_, index) => index);
    expect(readNacks(buildNacks({ mediaSsrc: 1, rtxSsrc: 2, sequences: row })[0]!)!.sequences).toHaveLength(128);
  });

  it('[RTSP-213] without a NACK, without a CNAME or with another one is ignored', () => {
    const [packet] = buildNacks({ mediaSsrc: 1, rtxSsrc: 2, sequences: [7] });
    const nack = packet!.subarray(0, 16);
    const sdes = packet!.subarray(16);
    expect(readNacks(nack)).toBeUndefined();
    expect(readNacks(sdes)).toBeUndefined();
    expect(readNacks(Buffer.concat([sdes, nack]))?.sequences).toEqual([7]);
    const other = Buffer.from(packet!);
    other.write('0', other.indexOf('7ff42e07'), 'latin1');
    expect(readNacks(other)).toBeUndefined();
    for (let cut = 1; cut < packet!.length; cut++) expect(readNacks(packet!.subarray(0, cut))).toBeUndefined();
  });

  it('of any content never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(() => readNacks(Buffer.from(bytes))).not.toThrow();
      }),
    );
  });
});
