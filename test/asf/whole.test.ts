import fc from 'fast-check';
import { AsfError } from '../../src/asf/error.js';
import { parsePacket } from '../../src/asf/packet.js';
import { buildPacket } from '../../src/asf/packet-build.js';
import { restorePadding, stripPadding } from '../../src/asf/padding.js';
import { writeWhole } from '../../src/asf/whole.js';

const lengthType = fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const);

describe('a packet written whole', () => {
  it('is the same as with restored padding, wherever it is written', () => {
    const arbitrary = fc.record({
      sizes: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 4 }),
      sequenceType: lengthType,
      correction: fc.constantFrom(Buffer.alloc(0), Buffer.from([0x82, 0, 0]), Buffer.from([0x80])),
      room: fc.integer({ min: 0, max: 70_000 }),
      strip: fc.boolean(),
      at: fc.nat(20),
    });
    fc.assert(
      fc.property(arbitrary, ({ sizes, sequenceType, correction, room, strip, at }) => {
        const payloads = sizes.map((size, index) => ({
          stream: 1 + index,
          mediaObjectNumber: index,
          offset: 0,
          replicated: Buffer.alloc(8, index),
          data: Buffer.alloc(size, index + 1),
        }));
        const fields = { sendTime: 7, duration: 3, sequenceType, sequence: 0, errorCorrection: correction, payloads };
        const packetSize = buildPacket(fields).length + room;
        const padded = buildPacket({ ...fields, packetSize });
        const bytes = strip ? stripPadding(parsePacket(padded)) : padded;
        const into = Buffer.alloc(at + packetSize + 5, 0xee);
        expect(writeWhole(into, at, bytes, packetSize)).toBe(packetSize);
        const whole = into.subarray(at, at + packetSize);
        expect(whole.equals(restorePadding(parsePacket(bytes), packetSize))).toBe(true);
        const around = [into.subarray(0, at), into.subarray(at + packetSize)];
        expect(Buffer.concat(around).equals(Buffer.alloc(at + 5, 0xee))).toBe(true);
      }),
    );
  });

  it('keeps a parity packet unchanged', () => {
    const parity = Buffer.concat([Buffer.from([0x92, 0, 0]), Buffer.alloc(50, 9)]);
    const into = Buffer.alloc(60, 0xee);
    writeWhole(into, 0, parity, 60);
    expect(into).toEqual(restorePadding(parsePacket(parity), 60));
  });

  it('is refused if it does not fit', () => {
    const bytes = buildPacket({
      sendTime: 0,
      duration: 0,
      payloads: [{ stream: 1, mediaObjectNumber: 0, offset: 0, replicated: Buffer.alloc(8), data: Buffer.alloc(90) }],
    });
    expect(() => writeWhole(Buffer.alloc(50), 0, bytes, 50)).toThrow(AsfError);
  });
});
