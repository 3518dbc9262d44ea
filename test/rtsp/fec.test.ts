import fc from 'fast-check';
import { RtspError } from '../../src/rtsp/messages/error.js';
import { buildFec, fecRows, multiply, readFec, rebuild } from '../../src/rtsp/messages/fec.js';
import { type RtpPacket, readRtp } from '../../src/rtsp/messages/rtp.js';

/** Source packets of different sizes, from a number on. */
function sources(count: number, first = 65_530): RtpPacket[] {
  return Array.from({ length: count }, (_, index) => ({
    marker: true,
    payloadType: 96,
    sequence: (first + index) & 0xffff,
    timestamp: 1_000 + index * 40,
    ssrc: 7,
    payload: Buffer.from(Array.from({ length: 20 + index * 3 }, (__, at) => (at * 7 + index * 31) & 0xff)),
  }));
}

const HEAD = { payloadType: 98, sequence: 500, ssrc: 9 };
const COMMON = { payloadType: 96, ssrc: 7 };
const bySequence = (packets: readonly RtpPacket[]) => new Map(packets.map((packet) => [packet.sequence, packet]));

describe('forward error correction', () => {
  it('[RTSP-021] counts in GF(2^8) with the polynomial 0x11D, [RTSP-022] by the rows of the example', () => {
    let power = 1;
    const powers = [power];
    for (let count = 1; count < 256; count++) powers.push((power = multiply(power, 2)));
    expect([powers[8], powers[0x19], powers[255]]).toEqual([0x1d, 0x03, 1]);
    const [seventh, ...others] = fecRows(6, 4);
    expect([...seventh!]).toEqual([0xba, 0x69, 0xd3, 0xd2, 0x68, 0xbb]);
    expect(others).toHaveLength(3);
    // The sum of a row that reproduces a constant polynomial is 1.
    for (const row of fecRows(6, 4)) expect(row.reduce((sum, each) => sum ^ each, 0)).toBe(1);
  });

  it('[RTSP-024] makes packets of its own type and of the last time, [RTSP-019] and leaves the sources alone', () => {
    const span = sources(5);
    const before = span.map(({ payload }) => Buffer.from(payload));
    const packets = buildFec(span, 2, HEAD).map(readRtp);
    expect(packets.map(({ payload: _, ...head }) => head)).toEqual([
      { marker: true, payloadType: 98, sequence: 500, timestamp: 1_160, ssrc: 9 },
      { marker: true, payloadType: 98, sequence: 501, timestamp: 1_160, ssrc: 9 },
    ]);
    expect(span.map(({ payload }) => payload)).toEqual(before);
  });

  it('[RTSP-025] has a header of 16 bytes, [RTSP-026] with the numbers that it protects', () => {
    const [first, second] = buildFec(sources(5), 2, HEAD).map((bytes) => readRtp(bytes).payload);
    expect(first!.readUInt16BE(0)).toBe(65_530);
    expect(first!.readUIntBE(5, 3)).toBe(0b11111);
    expect(readFec(first!).sequences).toEqual([65_530, 65_531, 65_532, 65_533, 65_534]);
    // All FEC data, and nothing else, follows: as much as the longest payload.
    expect(first!.length).toBe(16 + 32);
    expect([...first!.subarray(12, 16)]).toEqual([0, 2, 0, 0]);
    expect([...second!.subarray(12, 16)]).toEqual([1, 2, 0, 0]);
    expect(readFec(buildFec(sources(8), 1, HEAD).map((bytes) => readRtp(bytes).payload)[0]!).sequences).toContain(1);
  });

  it('[RTSP-027] protects length, type and time too, [RTSP-028] and counts the packets of a span', () => {
    const span = sources(1);
    const [packet] = buildFec(span, 1, HEAD).map((bytes) => readRtp(bytes).payload);
    // Of a single source the first FEC packet is a copy.
    expect(packet!.readUInt16BE(2)).toBe(20);
    expect(packet![4]).toBe(96);
    expect(packet!.readUInt32BE(8)).toBe(1_000);
    expect(packet!.subarray(16)).toEqual(span[0]!.payload);
    expect([packet![12], packet![13]]).toEqual([0, 1]);
  });

  it('[RTSP-029] reads a packet whatever its reserved bits are', () => {
    const [packet] = buildFec(sources(4), 3, HEAD).map((bytes) => readRtp(bytes).payload);
    const noisy = Buffer.from(packet!);
    for (const at of [12, 13, 14]) noisy[at]! |= 0xe0;
    noisy[15] = 0xff;
    expect(readFec(noisy)).toEqual(readFec(packet!));
  });

  it('[RTSP-023] restores all sources from any of them that are enough, [RTSP-020] up to 24', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 24 }),
        fc.integer({ min: 1, max: 6 }),
        fc.infiniteStream(fc.nat()),
        (count, more, picks) => {
          const span = sources(count);
          const fec = buildFec(span, more, HEAD).map((bytes) => readFec(readRtp(bytes).payload));
          const known = bySequence(span);
          const lost: RtpPacket[] = [];
          for (const pick of picks) {
            if (lost.length === Math.min(more, count)) break;
            const packet = span[pick % count]!;
            if (known.delete(packet.sequence)) lost.push(packet);
            else if (pick % 5 === 0) break;
          }
          // Of the FEC packets the last ones are there.
          const rebuilt = rebuild(fec[0]!.sequences, known, fec.slice(more - lost.length), COMMON);
          if (lost.length === 0) expect(rebuilt).toBeUndefined();
          else {
            const order = (packets: readonly RtpPacket[]) => [...packets].sort((a, b) => a.timestamp - b.timestamp);
            expect(order(rebuilt!)).toEqual(order(lost));
          }
        },
      ),
    );
  });

  it('restores nothing from too little, or from what does not fit', () => {
    const span = sources(6);
    const fec = buildFec(span, 2, HEAD).map((bytes) => readFec(readRtp(bytes).payload));
    const known = bySequence(span.slice(3));
    expect(rebuild(fec[0]!.sequences, known, fec, COMMON)).toBeUndefined();
    const damaged = { ...fec[0]!, vector: Buffer.concat([Buffer.from([0xff, 0xff]), fec[0]!.vector.subarray(2)]) };
    expect(rebuild(fec[0]!.sequences, bySequence(span.slice(1)), [damaged], COMMON)).toBeUndefined();
  });

  it('throws only its own error, whatever arrives', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          const packet = readFec(Buffer.from(bytes));
          rebuild(packet.sequences, bySequence(sources(3, packet.sequences[0])), [packet], COMMON);
        } catch (error) {
          expect(error).toBeInstanceOf(RtspError);
        }
      }),
    );
  });
});
