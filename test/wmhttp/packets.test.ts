import fc from 'fast-check';
import { WmError } from '../../src/errors.js';
import { type Frame, FrameReader } from '../../src/framing/framing.js';
import {
  dataPacket,
  endPacket,
  fillerPackets,
  headerPacket,
  parsePushPacket,
  streamChangePacket,
} from '../../src/wmhttp/messages/packets.js';

function frames(bytes: Buffer): Frame[] {
  const reader = new FrameReader();
  reader.push(bytes);
  const all: Frame[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) all.push(frame);
  return all;
}

const parse = (bytes: Buffer) => frames(bytes).map(parsePushPacket);

describe('packets of a push', () => {
  const body = Buffer.from('a1b2c3', 'hex');

  it('[WMHTTP-031] [WMHTTP-034] [WMHTTP-043] $H holds the ASF header right after the framing header', () => {
    expect(headerPacket(body).toString('hex')).toBe('24480300a1b2c3');
    expect(parse(headerPacket(body))).toEqual([{ type: 'header', header: body }]);
  });

  it('[WMHTTP-033] each begins with 24, never A4, its letter, and its length in 16 bits', () => {
    const packets = [
      headerPacket(body),
      dataPacket(body),
      streamChangePacket(body),
      endPacket(1),
      ...fillerPackets(70_000),
    ];
    expect(packets.map((packet) => packet.toString('latin1', 0, 2))).toEqual(['$H', '$D', '$C', '$E', '$F', '$F']);
    for (const packet of packets) expect(packet.readUInt16LE(2)).toBe(packet.length - 4);
  });

  it('[WMHTTP-031] [WMHTTP-037] $D holds one ASF data packet and no Reason', () => {
    expect(dataPacket(body).toString('hex')).toBe('24440300a1b2c3');
    expect(parse(dataPacket(body))).toEqual([{ type: 'data', packet: body }]);
  });

  it('[WMHTTP-034] [WMHTTP-035] $C holds a Reason of zero and the new ASF header', () => {
    expect(streamChangePacket(body).toString('hex')).toBe('2443070000000000a1b2c3');
    expect(parse(streamChangePacket(body))).toEqual([{ type: 'streamChange', header: body }]);
  });

  it('[WMHTTP-032] [WMHTTP-039] $E is 8 bytes with its Reason in little-endian order', () => {
    expect(endPacket(0).toString('hex')).toBe('2445040000000000');
    expect(endPacket(1).toString('hex')).toBe('2445040001000000');
    expect(endPacket(0x8000_4005).toString('hex')).toBe('2445040005400080');
    expect(endPacket(-0x7fff_bffb).toString('hex')).toBe('2445040005400080');
    expect(parse(endPacket(0xa000_0001))).toEqual([{ type: 'endOfStream', reason: 0xa000_0001 }]);
  });

  it('[WMHTTP-041] $F is as short as 4 bytes and holds zeros', () => {
    expect(fillerPackets(4).map((packet) => packet.toString('hex'))).toEqual(['24460000']);
    expect(fillerPackets(7)[0]!.toString('hex')).toBe('24460300000000');
    expect(fillerPackets(0)).toEqual([]);
    expect(parse(Buffer.from('24460100ff', 'hex'))).toEqual([{ type: 'filler' }]);
  });

  it('[WMHTTP-041] [WMHTTP-062] filler of any size adds up exactly, in packets of at most 65531 bytes of payload', () => {
    const check = (size: number) => {
      const packets = fillerPackets(size);
      expect(packets.reduce((sum, packet) => sum + packet.length, 0)).toBe(size);
      for (const packet of packets) {
        expect(frames(packet)).toHaveLength(1);
        expect(packet.length).toBeLessThanOrEqual(65_535);
        expect(packet.subarray(4).every((byte) => byte === 0)).toBe(true);
      }
    };
    for (let size = 65_530; size <= 65_545; size++) check(size);
    for (let size = 131_065; size <= 131_080; size++) check(size);
    fc.assert(fc.property(fc.integer({ min: 4, max: 400_000 }), check), { numRuns: 20 });
  });

  it('[WMHTTP-036] [WMHTTP-043] refuses to build a header that would have to be split', () => {
    expect(headerPacket(Buffer.alloc(65_531))).toHaveLength(65_535);
    expect(streamChangePacket(Buffer.alloc(65_527))).toHaveLength(65_535);
    const error = expect.objectContaining({ code: 'WM_BAD_INPUT' });
    expect(() => headerPacket(Buffer.alloc(65_532))).toThrow(error);
    expect(() => streamChangePacket(Buffer.alloc(65_528))).toThrow(error);
    expect(() => dataPacket(Buffer.alloc(65_536))).toThrow(error);
  });

  it('reads the $C of WMSP, which has no header', () => {
    const empty = Buffer.alloc(0);
    expect(parse(Buffer.from('2443040000000000', 'hex'))).toEqual([{ type: 'streamChange', header: empty }]);
  });

  it.each([
    ['a $E without Reason', '24450000'],
    ['a $E with a payload', '244505000000000000'],
    ['a $C with half a Reason', '244302000000'],
    ['[WMHTTP-119] a $C without Reason', '24430000'],
    ['[WMHTTP-119] a $C with Reason 5', '2443040005000000'],
    ['[WMHTTP-119] a $C with Reason S_FALSE', '2443040001000000'],
    ['[WMHTTP-117] a $D without a packet', '24440000'],
    ['[WMHTTP-116] a $H with the B bit', 'a4480000'],
    ['[WMHTTP-117] a $D with the B bit', 'a444010000'],
    ['[WMHTTP-118] a $E with the B bit', 'a445040000000000'],
    ['[WMHTTP-119] a $C with the B bit', 'a443040000000000'],
    ['[WMHTTP-120] a $F with the B bit', 'a4460000'],
    ['a $M of WMSP', '244d0000'],
    ['a $P of WMSP', '24500000'],
    ['a packet that is no letter', '24000000'],
  ])('refuses %s', (_what, bytes) => {
    expect(() => parse(Buffer.from(bytes, 'hex'))).toThrow(expect.objectContaining({ code: 'WM_PROTOCOL' }));
  });

  it('refuses headers larger than their packets allow', () => {
    expect(() => parsePushPacket({ id: 0x48, b: false, payload: Buffer.alloc(65_532) })).toThrow('65532');
    expect(() => parsePushPacket({ id: 0x43, b: false, payload: Buffer.alloc(65_532) })).toThrow('65532');
    expect(() => parsePushPacket({ id: 0x46, b: false, payload: Buffer.alloc(65_532) })).toThrow('65532');
  });

  it('throws nothing but WmError on random packets', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 12 }), (id, payload) => {
        try {
          parsePushPacket({ id, b: false, payload: Buffer.from(payload) });
        } catch (error) {
          expect(error).toBeInstanceOf(WmError);
        }
      }),
    );
  });
});
