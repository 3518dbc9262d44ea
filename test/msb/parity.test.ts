import fc from 'fast-check';
import { AsfError } from '../../src/asf/error.js';
import { parsePacket } from '../../src/asf/packet.js';
import { buildPacket } from '../../src/asf/packet-build.js';
import { stripPadding } from '../../src/asf/padding.js';
import { MsbError } from '../../src/msb/messages/packet.js';
import {
  markPacket,
  ParitySpan,
  protectionOf,
  recoverPacket,
  withErrorCorrection,
} from '../../src/msb/messages/parity.js';
import { packetFieldsArbitrary, packetOf } from '../asf/support.js';

/** Data packets as they are sent: without padding, each of a different length. */
function packets(count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const data = Buffer.alloc(30 + ((index * 37) % 90), index + 1);
    return stripPadding(parsePacket(packetOf(index * 40, [{ stream: 1, time: index * 40, data }], 200)));
  });
}

function xor(buffers: readonly Buffer[]): Buffer {
  const out = Buffer.alloc(Math.max(...buffers.map(({ length }) => length)));
  for (const each of buffers) for (let at = 3; at < each.length; at++) out[at]! ^= each[at]!;
  return out;
}

/** Returns the packet as it is sent, and leaves the given one unchanged. */
function added(span: ParitySpan, packet: Buffer): Buffer {
  const sent = Buffer.from(packet);
  span.add(sent);
  return sent;
}

describe('spans and parity packets', () => {
  it('[MSB-045] [MSB-049] [MSB-051] XOR all bytes after the Error Correction Data, and pad shorter packets with zeros', () => {
    const span = new ParitySpan(4);
    const own = packets(4);
    expect(new Set(own.map(({ length }) => length)).size).toBe(4);
    for (const packet of own) added(span, packet);
    const parity = span.close()!;
    expect(parity.length).toBe(Math.max(...own.map(({ length }) => length)));
    expect(parity.subarray(3)).toEqual(xor(own).subarray(3));
  });

  it.each([1, 2, 3, 4, 15])(
    '[MSB-049] XOR every byte from the fourth on, and none of the first three, of %i packets',
    (count) => {
      const span = new ParitySpan(count);
      // All bytes of all packets differ, so that an equal byte cannot hide one that is omitted or counted twice.
      const own = Array.from({ length: count }, (_, number) =>
        Buffer.from(
          Array.from({ length: 12 + number }, (_, at) =>
            at === 0 ? 0x82 : (7 + 31 * at + 97 * number * number) & 255,
          ),
        ),
      );
      const sent = own.map((packet) => added(span, packet));
      for (const [index, packet] of sent.entries()) expect(packet.subarray(3)).toEqual(own[index]!.subarray(3));
      const parity = span.close()!;
      expect(parity).toHaveLength(12 + count - 1);
      for (let at = 3; at < parity.length; at++) {
        expect(parity[at]).toBe(own.reduce((sum, packet) => sum ^ (packet[at] ?? 0), 0));
      }
      expect(parity[0]).toBe(0x92);
      expect(parity[1]! & 0x0f).toBe(2);
      expect(parity[2]).toBe(0);
    },
  );

  it('[MSB-050] [MSB-053] [MSB-054] [MSB-055] mark data with 82 x1 and parity with 92 x2', () => {
    const span = new ParitySpan(2);
    const [first, second] = packets(2);
    expect(added(span, first!).subarray(0, 3)).toEqual(Buffer.from([0x82, 0x11, 0x00]));
    expect(added(span, second!).subarray(0, 3)).toEqual(Buffer.from([0x82, 0x21, 0x00]));
    expect(span.full).toBe(true);
    expect(span.close()!.subarray(0, 3)).toEqual(Buffer.from([0x92, 0x32, 0x00]));
    expect(protectionOf(markPacket(first!))).toBeUndefined();
    expect(markPacket(markPacket(first!, { parity: false, number: 3, cycle: 9 })).subarray(0, 3)).toEqual(
      Buffer.from([0x82, 0, 0]),
    );
  });

  it('[MSB-046] [MSB-056] [MSB-058] [MSB-059] [MSB-060] number the packets of a span of 10 from 1 to 11, and cycles from 0, modulo 256', () => {
    const span = new ParitySpan();
    const own = packets(10);
    for (let cycle = 0; cycle < 258; cycle++) {
      own.forEach((packet, index) => {
        expect(protectionOf(added(span, packet))).toEqual({ parity: false, number: index + 1, cycle: cycle & 255 });
      });
      expect(span.full).toBe(true);
      expect(protectionOf(span.close()!)).toEqual({ parity: true, number: 11, cycle: cycle & 255 });
    }
  });

  it('[MSB-047] [MSB-057] cover 1 to 15 packets; with 15, where the parity packet could not be numbered, all have number 1', () => {
    for (const bad of [0, -1, 16, 2.5, Number.NaN]) expect(() => new ParitySpan(bad)).toThrow(MsbError);
    for (let size = 1; size <= 15; size++) {
      const span = new ParitySpan(size);
      const marked = packets(size).map((packet) => {
        expect(span.full).toBe(false);
        return added(span, packet);
      });
      expect(span.full).toBe(true);
      const numbers = [...marked, span.close()!].map((packet) => protectionOf(packet)!.number);
      expect(numbers).toEqual(size === 15 ? Array(16).fill(1) : Array.from({ length: size + 1 }, (_, i) => i + 1));
    }
  });

  it('[MSB-098] rebuild any single packet of a span, with its own length', () => {
    fc.assert(
      fc.property(fc.array(packetFieldsArbitrary, { minLength: 1, maxLength: 15 }), fc.nat(), (fields, which) => {
        const own = fields.map((each) =>
          buildPacket({
            ...each,
            errorCorrection: Buffer.from([0x82, 0, 0]),
            packetLengthType: 2,
            filler: Buffer.alloc(0),
          }),
        );
        const span = new ParitySpan(own.length);
        const sent = own.map((packet) => added(span, packet));
        const lost = which % own.length;
        const recovered = recoverPacket(
          span.close()!,
          sent.filter((_, index) => index !== lost),
        );
        expect(recovered.bytes.equals(own[lost]!)).toBe(true);
      }),
    );
  });

  it('throw an error of the container if the packets are not of one span', () => {
    const span = new ParitySpan(2);
    const [a, b, c] = packets(3);
    added(span, a!);
    added(span, b!);
    const parity = span.close()!;
    expect(() => recoverPacket(parity, [c!])).toThrow(AsfError);
    expect(() => recoverPacket(parity, [Buffer.alloc(2000, 1)])).toThrow(AsfError);
    expect(() => recoverPacket(parity.subarray(0, 3), [])).toThrow(AsfError);
  });

  it('give packets without Error Correction Data the three bytes, if there is room', () => {
    const fields = { sendTime: 5, duration: 0, errorCorrection: Buffer.alloc(0), packetLengthType: 2 as const };
    const payload = {
      stream: 1,
      mediaObjectNumber: 1,
      offset: 0,
      replicated: Buffer.alloc(8),
      data: Buffer.alloc(40, 3),
    };
    const bare = parsePacket(buildPacket({ ...fields, payloads: [payload] }));
    const guarded = withErrorCorrection(bare, bare.bytes.length + 3)!;
    expect(guarded.length).toBe(bare.bytes.length + 3);
    expect(parsePacket(guarded)).toMatchObject({ sendTime: 5, errorCorrectionLength: 3, length: guarded.length });
    expect(withErrorCorrection(bare, bare.bytes.length + 2)).toBeUndefined();
  });
});
