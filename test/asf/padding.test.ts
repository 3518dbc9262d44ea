import fc from 'fast-check';
import {
  AsfError,
  buildPacket,
  type DataPacket,
  markLength,
  type Payload,
  packetFields,
  parsePacket,
  restorePadding,
  stripPadding,
} from '../../src/asf/index.js';
import { contents, hex, packetArbitrary, packetOf } from './support.js';

const SIZE = 200;
const single = (): Buffer => packetOf(1000, [{ stream: 2, key: true, time: 4000, data: 'one object' }], SIZE);
const several = (): Buffer =>
  packetOf(
    1000,
    [
      { stream: 1, time: 4000, data: 'audio' },
      { stream: 2, time: 4040, data: 'video' },
    ],
    SIZE,
  );

/** What libmms and ffmpeg do with the packets they receive. */
const zeroFilled = (bytes: Buffer, size = SIZE): Buffer => Buffer.concat([bytes, Buffer.alloc(size - bytes.length)]);

/** The Padding Length as a receiver reads it: 0 if the field is absent. */
const paddingOf = (bytes: Buffer): number => parsePacket(bytes).paddingLength;

/** The payload that fills the packet: in the single form it extends up to the padding. */
const onlyPayload = (packet: DataPacket): Payload => packet.payloads[0]!;

describe('removing padding', () => {
  it.each([
    ['single', single],
    ['multiple', several],
  ])(
    '[WMSP-118] [WMHTTP-038] rewrites the lengths to say that no padding is present: %s payload form',
    (_form, make) => {
      const packet = parsePacket(make());
      expect(packet.paddingLength).toBeGreaterThan(0);
      const stripped = stripPadding(packet);
      expect(stripped.length).toBe(packet.end + 1);
      expect((stripped[3]! >> 3) & 3).toBe(0);
      expect(paddingOf(stripped)).toBe(0);
      expect(contents(parsePacket(stripped))).toEqual(contents(packet));
    },
  );

  it('adds the length, so that a receiver that pads with zeros still finds the end of a single payload', () => {
    const packet = parsePacket(single());
    const filled = parsePacket(zeroFilled(stripPadding(packet)));
    expect(filled).toMatchObject({ explicitLength: true, paddingLength: 0 });
    expect(onlyPayload(filled).dataLength).toBe('one object'.length);
    expect(contents(filled)).toEqual(contents(packet));
  });

  it('writes the bytes of asf.md 10.1: padding field out, Packet Length WORD in', () => {
    const packet = parsePacket(hex('820000 08 5d 03 e8030000 2a00 82 07 00000000 08 02000000 b80b0000 aabb 000000'));
    expect(stripPadding(packet)).toEqual(
      hex('820000 40 5d 1e00 e8030000 2a00 82 07 00000000 08 02000000 b80b0000 aabb'),
    );
  });

  it('returns the same buffer if nothing is gained', () => {
    const bare = packetOf(0, [{ stream: 1, time: 0, data: 'x' }]);
    expect(stripPadding(parsePacket(bare))).toBe(bare);
    // One byte of padding after a BYTE field: the WORD that replaces the field takes the same space.
    const little = packetOf(0, [{ stream: 1, time: 0, data: 'x' }], bare.length + 1);
    expect(stripPadding(parsePacket(little))).toBe(little);
  });

  it('cuts the filler of the transport after an explicit length', () => {
    const stripped = stripPadding(parsePacket(single()));
    expect(stripPadding(parsePacket(zeroFilled(stripped)))).toEqual(stripped);
  });

  it('does not change parity packets or the packets that they protect', () => {
    const parity = Buffer.concat([hex('92 1a05'), Buffer.alloc(50)]);
    expect(stripPadding(parsePacket(parity))).toBe(parity);
    const spanned = single();
    spanned[1] = 0x1a;
    expect(stripPadding(parsePacket(spanned))).toBe(spanned);
  });

  it('uses a DWORD above 65 535 bytes', () => {
    const big = packetOf(0, [{ stream: 1, time: 0, data: Buffer.alloc(70_000) }], 80_000);
    const stripped = parsePacket(stripPadding(parsePacket(big)));
    expect((stripped.lengthTypeFlags >> 5) & 3).toBe(3);
    expect(onlyPayload(stripped).dataLength).toBe(70_000);
  });
});

describe('restoring padding', () => {
  it('restores the original bytes', () => {
    for (const bytes of [single(), several()]) {
      expect(restorePadding(parsePacket(stripPadding(parsePacket(bytes))), SIZE)).toEqual(bytes);
    }
  });

  it('returns the same buffer if the packet has its full size', () => {
    const bytes = single();
    expect(restorePadding(parsePacket(bytes), SIZE)).toBe(bytes);
  });

  it('removes the Packet Length from a packet that was padded', () => {
    const bytes = several();
    const filled = zeroFilled(stripPadding(parsePacket(bytes)));
    expect(restorePadding(parsePacket(filled), SIZE)).toEqual(bytes);
  });

  it('refuses a packet that is too long', () => {
    expect(() => restorePadding(parsePacket(single()), 30)).toThrow(AsfError);
    expect(() => restorePadding(parsePacket(hex('92 1a05 aabbccdd')), 5)).toThrow(AsfError);
  });

  it('pads a parity packet with zeros', () => {
    expect(restorePadding(parsePacket(hex('92 1a05 aabb')), 8)).toEqual(hex('92 1a05 aabb 000000'));
  });
});

describe('marking the length of packets that others stripped to the letter', () => {
  /** Only Padding Data removed and Padding Length 0, as the protocol specifications ask for. */
  const byTheLetter = (bytes: Buffer): Buffer => {
    const packet = parsePacket(bytes);
    const cut = Buffer.from(bytes.subarray(0, packet.end));
    cut.writeUIntLE(0, 5, (packet.lengthTypeFlags >> 3) & 3);
    return cut;
  };

  it('makes them safe to pad with zeros', () => {
    const cut = byTheLetter(single());
    expect(contents(parsePacket(zeroFilled(cut)))).not.toEqual(contents(parsePacket(single())));
    const marked = markLength(parsePacket(cut), SIZE);
    expect(contents(parsePacket(zeroFilled(marked)))).toEqual(contents(parsePacket(single())));
  });

  it.each([1, 2, 3])('finds a way if only %i bytes are missing', (missing) => {
    const bare = packetOf(0, [{ stream: 2, time: 0, data: 'object' }]);
    const size = bare.length + missing;
    const marked = markLength(parsePacket(bare), size);
    expect(marked.length).toBeLessThanOrEqual(size);
    expect(contents(parsePacket(zeroFilled(marked, size)))).toEqual(contents(parsePacket(bare)));
  });

  it('does not change full packets, marked packets and parity', () => {
    const bytes = single();
    expect(markLength(parsePacket(bytes), SIZE)).toBe(bytes);
    const stripped = stripPadding(parsePacket(bytes));
    expect(markLength(parsePacket(stripped), SIZE)).toBe(stripped);
    const parity = hex('92 1a05 aabb');
    expect(markLength(parsePacket(parity), SIZE)).toBe(parity);
  });
});

describe('any packet', () => {
  it('has the same content after stripping, padding, restoring and marking', () => {
    fc.assert(
      fc.property(packetArbitrary, fc.nat({ max: 300 }), (packet, more) => {
        const inSpan = packet.errorCorrectionLength >= 2 && packet.bytes[1] !== 0;
        const stripped = stripPadding(packet);
        expect(stripped.length).toBeLessThanOrEqual(packet.bytes.length);
        if (inSpan) expect(stripped).toBe(packet.bytes);
        expect(contents(parsePacket(stripped))).toEqual(contents(packet));
        const size = packet.bytes.length + more;
        expect(contents(parsePacket(restorePadding(parsePacket(stripped), size)))).toEqual(contents(packet));
        expect(restorePadding(packet, size)).toHaveLength(size);
        if (stripped.length < packet.bytes.length || packet.explicitLength) {
          expect(contents(parsePacket(zeroFilled(stripped, size)))).toEqual(contents(packet));
        }
        const marked = markLength(packet, size);
        expect(marked.length).toBeLessThanOrEqual(size);
        if (!inSpan) expect(contents(parsePacket(zeroFilled(marked, size)))).toEqual(contents(packet));
      }),
      { numRuns: 500 },
    );
  });

  it('is restored bit for bit if it was padded with zeros as specified', () => {
    fc.assert(
      fc.property(packetArbitrary, fc.nat({ max: 700 }), (packet, room) => {
        const { padding: _padding, paddingType: _type, ...fields } = packetFields(packet);
        const plain = { ...fields, packetLengthType: 0 as const, filler: Buffer.alloc(0) };
        const { errorCorrection: _parity, ...unprotected } = plain;
        const packetSize = buildPacket(unprotected).length + room;
        const bytes = buildPacket({ ...unprotected, packetSize });
        expect(restorePadding(parsePacket(stripPadding(parsePacket(bytes))), packetSize)).toEqual(bytes);
      }),
      { numRuns: 300 },
    );
  });
});
