import fc from 'fast-check';
import { WmError } from '../../src/errors.js';
import {
  type Frame,
  FrameReader,
  FramingError,
  frameHeader,
  framePacket,
  PACKET_ID,
  packetName,
} from '../../src/framing/framing.js';

function drain(reader: FrameReader): Frame[] {
  const frames: Frame[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame);
  return frames;
}

function readAll(slices: Buffer[]): Frame[] {
  const reader = new FrameReader();
  const frames: Frame[] = [];
  for (const slice of slices) {
    reader.push(slice);
    frames.push(...drain(reader));
  }
  return frames;
}

const plain = (frames: Frame[]) => frames.map(({ id, b, payload }) => ({ id, b, payload: payload.toString('hex') }));

describe('frameHeader', () => {
  it('[WMHTTP-032] [WMHTTP-033] writes 0x24, the PacketID and the length in little-endian order', () => {
    expect(frameHeader(PACKET_ID.data, 0x1234).toString('hex')).toBe('24443412');
    expect(frameHeader(PACKET_ID.filler, 0).toString('hex')).toBe('24460000');
    expect(frameHeader(PACKET_ID.header, 0xffff).toString('hex')).toBe('2448ffff');
  });

  it('sets the top bit for B', () => {
    expect(frameHeader(PACKET_ID.data, 1, true).toString('hex')).toBe('a4440100');
  });

  it('knows the letter of every packet type', () => {
    const letters = Object.values(PACKET_ID).map((id) => String.fromCharCode(id));
    expect(letters.join('')).toBe('CDEFHMPT');
    expect(packetName(PACKET_ID.packetPair)).toBe('$P');
    expect(packetName(0)).toBe('0x00');
  });

  it.each([-1, 65_536, 1.5, Number.NaN])('refuses a length of %p', (length) => {
    expect(() => frameHeader(PACKET_ID.data, length)).toThrow(FramingError);
  });

  it('puts header and payload into one buffer', () => {
    expect(framePacket(PACKET_ID.data, Buffer.from([1, 2])).toString('hex')).toBe('244402000102');
  });
});

describe('FrameReader', () => {
  const stream = Buffer.from('24480300010203a4440200ffee2446000024450400010000002458010007', 'hex');
  const expected = [
    { id: 0x48, b: false, payload: '010203' },
    { id: 0x44, b: true, payload: 'ffee' },
    { id: 0x46, b: false, payload: '' },
    { id: 0x45, b: false, payload: '01000000' },
    { id: 0x58, b: false, payload: '07' },
  ];

  it('reads packets with and without the B bit, empty ones and unknown ones', () => {
    expect(plain(readAll([stream]))).toEqual(expected);
  });

  it('reads the same packets split at every byte', () => {
    for (let at = 0; at <= stream.length; at++) {
      expect(plain(readAll([stream.subarray(0, at), stream.subarray(at)]))).toEqual(expected);
    }
    expect(plain(readAll([...stream].map((byte) => Buffer.from([byte]))))).toEqual(expected);
  });

  it('returns a view of the slice if a packet lies inside it, and a copy if it was split', () => {
    const slice = framePacket(PACKET_ID.data, Buffer.from('abcdef'));
    const [whole] = readAll([slice]);
    expect(whole!.payload.buffer).toBe(slice.buffer);
    slice[4] = 0x7a;
    expect(whole!.payload.toString()).toBe('zbcdef');
    const [split] = readAll([slice.subarray(0, 6), slice.subarray(6)]);
    slice[4] = 0x61;
    expect(split!.payload.toString()).toBe('zbcdef');
  });

  it('accepts a slice before all packets of the last one were read', () => {
    const reader = new FrameReader();
    reader.push(stream.subarray(0, 9));
    expect(reader.next()!.id).toBe(0x48);
    reader.push(stream.subarray(9, 10));
    reader.push(Buffer.alloc(0));
    reader.push(stream.subarray(10));
    expect(plain(drain(reader))).toEqual(expected.slice(1));
    expect(reader.midPacket).toBe(false);
  });

  it('knows if it is in the middle of a packet', () => {
    const reader = new FrameReader();
    expect(reader.midPacket).toBe(false);
    for (const [bytes, mid] of [
      ['24', true],
      ['4402', true],
      ['00', true],
      ['01', true],
      ['02', false],
    ] as const) {
      reader.push(Buffer.from(bytes, 'hex'));
      drain(reader);
      expect(reader.midPacket).toBe(mid);
    }
  });

  it('throws at the first byte that does not start a packet, and at every later call', () => {
    const reader = new FrameReader();
    reader.push(Buffer.from('2446000025', 'hex'));
    expect(reader.next()!.id).toBe(0x46);
    expect(() => reader.next()).toThrow(new FramingError('A packet starts with 0x25 instead of 0x24.'));
    reader.push(frameHeader(PACKET_ID.filler, 0));
    expect(() => reader.next()).toThrow(FramingError);
    expect(new FramingError('').code).toBe('WM_PROTOCOL');
  });

  it('reads any packets, however they are cut', () => {
    const packets = fc.array(
      fc.record({ id: fc.integer({ min: 0, max: 255 }), b: fc.boolean(), payload: fc.uint8Array({ maxLength: 300 }) }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(packets, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (wanted, sizes) => {
        const bytes = Buffer.concat(
          wanted.flatMap(({ id, b, payload }) => [frameHeader(id, payload.length, b), Buffer.from(payload)]),
        );
        const slices: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length]!;
          slices.push(bytes.subarray(at, at + size));
          at += size;
        }
        const frames = wanted.map(({ id, b, payload }) => ({ id, b, payload: Buffer.from(payload).toString('hex') }));
        expect(plain(readAll(slices))).toEqual(frames);
      }),
      { numRuns: 200 },
    );
  });

  it('only throws FramingError on random bytes, and never returns more than it got', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (slices) => {
        let given = 0;
        try {
          for (const { payload } of readAll(slices.map((slice) => Buffer.from(slice)))) given += 4 + payload.length;
        } catch (error) {
          expect(error).toBeInstanceOf(FramingError);
          expect(error).toBeInstanceOf(WmError);
        }
        expect(given).toBeLessThanOrEqual(slices.reduce((sum, slice) => sum + slice.length, 0));
      }),
      { numRuns: 300 },
    );
  });

  it('reads the largest packet in single bytes within linear time', () => {
    const packet = framePacket(PACKET_ID.data, Buffer.alloc(65_535, 7));
    const reader = new FrameReader();
    const started = process.hrtime.bigint();
    let frames = 0;
    for (let at = 0; at < packet.length; at++) {
      reader.push(packet.subarray(at, at + 1));
      if (reader.next()) frames++;
    }
    expect(frames).toBe(1);
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(2000);
  });
});
