import fc from 'fast-check';
import {
  BEACON,
  formatIdOf,
  MAX_MSB_PAYLOAD,
  MsbError,
  parseMsbDatagram,
  serialiseMsbPacket,
  streamIdOf,
} from '../../src/msb/messages/packet.js';

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex');

describe('MSB packets', () => {
  it('[MSB-001] [MSB-063] [MSB-071] are 8 bytes, little-endian, and one whole ASF packet', () => {
    const payload = Buffer.alloc(1450, 7);
    const datagram = serialiseMsbPacket(7, streamIdOf(0x39e, true), payload);
    expect(datagram.subarray(0, 8)).toEqual(hex('07000000 9e83 b205'));
    expect(datagram.subarray(8)).toEqual(payload);
    expect(parseMsbDatagram(datagram)).toEqual({ type: 'packet', id: 7, streamId: 0x839e, payload });
    const long = serialiseMsbPacket(0x01020304, 0x0506, Buffer.alloc(0x0102));
    expect(long.subarray(0, 8)).toEqual(hex('04030201 0605 0a01'));
  });

  it('[MSB-068] [MSB-070] keep the Format ID in the low 11 bits and leave bits 11 to 14 zero', () => {
    expect(streamIdOf(0x7ff, false)).toBe(0x07ff);
    expect(streamIdOf(0x7ff, true)).toBe(0x87ff);
    expect(streamIdOf(0xffff, true)).toBe(0x87ff);
    expect(formatIdOf(0x87ff)).toBe(0x7ff);
    expect(formatIdOf(0x8001)).toBe(1);
  });

  it('come back from their bytes', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.nat(0xffff), fc.uint8Array({ maxLength: 3000 }), (id, streamId, bytes) => {
        const payload = Buffer.from(bytes);
        expect(parseMsbDatagram(serialiseMsbPacket(id, streamId, payload))).toEqual({
          type: 'packet',
          id,
          streamId,
          payload,
        });
      }),
    );
  });

  it('[MSB-061] [MSB-062] recognise a Beacon by its length and its four characters', () => {
    expect(BEACON).toEqual(hex('4d534220'));
    expect(BEACON.readUInt32LE(0)).toBe(0x2042534d);
    expect(parseMsbDatagram(hex('4d534220'))).toEqual({ type: 'beacon' });
    const lookalike = parseMsbDatagram(serialiseMsbPacket(0x2042534d, 1, Buffer.from('x')));
    expect(lookalike).toMatchObject({ type: 'packet', id: 0x2042534d });
  });

  it('[MSB-108] have the size that they state, and at least 8 bytes', () => {
    const good = serialiseMsbPacket(1, 1, Buffer.from('abc'));
    for (const bad of [
      '',
      '4d',
      '4d534221',
      '4d534220 00',
      '00000000 0000 00',
      '00000000 0000 0000',
      'ffffffff ffff ffff',
    ]) {
      expect(() => parseMsbDatagram(hex(bad))).toThrow(MsbError);
    }
    expect(() => parseMsbDatagram(good.subarray(0, -1))).toThrow('An MSB packet of 10 bytes says it has 11.');
    expect(() => parseMsbDatagram(Buffer.concat([good, good]))).toThrow(MsbError);
    expect(() => serialiseMsbPacket(1, 1, Buffer.alloc(MAX_MSB_PAYLOAD + 1))).toThrow(MsbError);
    expect(serialiseMsbPacket(1, 1, Buffer.alloc(MAX_MSB_PAYLOAD)).readUInt16LE(6)).toBe(0xffff);
  });

  it('only throw an error of their own', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          parseMsbDatagram(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(MsbError);
        }
      }),
    );
  });
});
