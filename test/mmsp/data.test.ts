import fc from 'fast-check';
import { MmspError } from '../../src/mmsp/messages/base.js';
import * as data from '../../src/mmsp/messages/data.js';
import { buildResendRequest, readResendRequest } from '../../src/mmsp/messages/resend.js';
import * as token from '../../src/mmsp/messages/token.js';

describe('a Data packet', () => {
  it('[MMSP-016] has an 8-byte head that its PacketSize counts', () => {
    const bytes = data.buildData({ location: 0x01020304, incarnation: 9, flags: 0x1fe }, Buffer.from('abc'));
    expect(bytes.toString('hex')).toBe('0403020109fe0b00616263');
    expect(data.readData(bytes)).toEqual({
      location: 0x01020304,
      incarnation: 9,
      flags: 0xfe,
      payload: Buffer.from('abc'),
    });
  });

  it('[MMSP-185] is checked before it is used', () => {
    const bytes = data.buildData({ location: 0, incarnation: 1, flags: 0 }, Buffer.alloc(10));
    expect(() => data.readData(bytes.subarray(0, 17))).toThrow(MmspError);
    expect(() => data.readData(bytes.subarray(0, 7))).toThrow(MmspError);
    expect(() => data.buildData({ location: 0, incarnation: 1, flags: 0 }, Buffer.alloc(65_528))).toThrow(MmspError);
    expect(data.readData(Buffer.concat([bytes, Buffer.alloc(5)])).payload).toHaveLength(10);
  });

  it('[MMSP-018] carries a header in parts counted from 0, [MMSP-024] the last of them marked', () => {
    const header = Buffer.from(Array.from({ length: 2_500 }, (_, index) => index & 255));
    const parts = data.headerPackets(header, 2, 1_000).map(data.readData);
    expect(
      parts.map(({ location, incarnation, flags, payload }) => [location, incarnation, flags, payload.length]),
    ).toEqual([
      [0, 2, 0x04, 1_000],
      [1, 2, 0x04, 1_000],
      [2, 2, 0x0c, 500],
    ]);
    expect(Buffer.concat(parts.map(({ payload }) => payload)).equals(header)).toBe(true);
    expect(data.headerPackets(header, 2, 5_000).map((packet) => data.readData(packet).flags)).toEqual([0x0c]);
    expect(parts.map(({ flags }) => data.isLastHeaderPart(flags))).toEqual([false, false, true]);
    expect(data.isLastHeaderPart(0x08)).toBe(true);
  });

  it('[MMSP-166] carries no more of a header than fits', () => {
    fc.assert(
      fc.property(fc.nat(200_000), fc.integer({ min: 1, max: 70_000 }), (size, largest) => {
        const packets = data.headerPackets(Buffer.alloc(size), 0x102, Math.max(largest, size / 500));
        expect(packets.reduce((sum, packet) => sum + packet.length - 8, 0)).toBe(size);
        for (const packet of packets) expect(packet.length).toBeLessThanOrEqual(65_535);
      }),
    );
  });

  it('[MMSP-020] of a packet pair, [MMSP-165] with 1464 random bytes', () => {
    let next = 0;
    const pair = data.packetPair((size) => Buffer.alloc(size, ++next)).map(data.readData);
    expect(
      pair.map(({ location, incarnation, flags, payload }) => [location, incarnation, flags, payload.length]),
    ).toEqual([
      [0xf0f0f000, 0xff, 0x10, 1_464],
      [0xf0f0f001, 0xff, 0x10, 1_464],
    ]);
    expect(pair[0]!.payload.equals(pair[1]!.payload)).toBe(false);
    expect(pair.every(data.isPacketPair)).toBe(true);
    expect(data.isPacketPair({ location: 16, incarnation: 4, flags: 0x10 })).toBe(false);
  });
});

describe('a resend request', () => {
  it('[MMSP-105] names packets by 32-bit numbers', () => {
    const bytes = buildResendRequest({ clientId: 0x12345678, sourceId: 1, numbers: [0x101, 0x102] });
    expect(bytes.toString('hex')).toBe('0df0efbe78563412010002000101000002010000');
    expect(readResendRequest(bytes)).toEqual({ clientId: 0x12345678, sourceId: 1, numbers: [0x101, 0x102] });
  });

  it('[MMSP-106] names 1 to 32 packets', () => {
    const request = (count: number) => ({ clientId: 1, sourceId: 1, numbers: Array.from({ length: count }, () => 7) });
    expect(readResendRequest(buildResendRequest(request(32)))?.numbers).toHaveLength(32);
    expect(() => buildResendRequest(request(0))).toThrow(MmspError);
    expect(() => buildResendRequest(request(33))).toThrow(MmspError);
    const bytes = buildResendRequest(request(32));
    for (const count of [0, 33, 0xffff]) {
      bytes.writeUInt16LE(count, 10);
      expect(readResendRequest(bytes)).toBeUndefined();
    }
  });

  it('[MMSP-149] is distinguished from anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(readResendRequest(Buffer.from(bytes))).toBeUndefined();
      }),
    );
  });
});

describe('tokens', () => {
  const ntlm = Buffer.from('NTLMSSP\0\x01\0\0\0rest', 'latin1');

  it('[MMSP-069] of a challenge by Basic are a realm in UTF-16', () => {
    expect(token.basicChallenge('media').toString('utf16le')).toBe('realm="media"\0');
    expect(token.basicChallenge('').toString('utf16le')).toBe('realm=""\0');
    expect(token.readChallengeToken(token.basicChallenge('media'))).toEqual({ scheme: 'basic', realm: 'media' });
  });

  it('[MMSP-070] of NTLM begin with two zero bytes', () => {
    const bytes = token.ntlmToken(ntlm, false);
    expect(bytes.subarray(0, 2).toString('hex')).toBe('0000');
    expect(token.readChallengeToken(bytes)).toEqual({ scheme: 'ntlm', token: ntlm, wrapped: false });
    expect(token.readChallengeToken(Buffer.alloc(2))).toEqual({
      scheme: 'ntlm',
      token: Buffer.alloc(0),
      wrapped: false,
    });
  });

  it('[MMSP-071] of NTLM may be in an NTLM_AUTH structure', () => {
    const bytes = token.ntlmToken(ntlm, true);
    expect(bytes.subarray(2, 26).toString('hex')).toBe(
      `${'00000000'}01000000${'00000000'}10000000${'02000000'}00000000`,
    );
    expect(token.readChallengeToken(bytes)).toEqual({ scheme: 'ntlm', token: ntlm, wrapped: true });
    bytes.writeUInt32LE(1_000, 14);
    expect(() => token.readChallengeToken(bytes)).toThrow(MmspError);
  });

  it('[MMSP-094] of a response: credentials in ASCII, or NTLM after two zero bytes', () => {
    const basic = token.basicResponse('dXNlcjpwYXNz');
    expect(basic.toString('latin1')).toBe('dXNlcjpwYXNz\0');
    expect(token.readResponseToken(basic)).toEqual({ scheme: 'basic', credentials: 'dXNlcjpwYXNz' });
    for (const wrapped of [false, true]) {
      const read = { scheme: 'ntlm', token: ntlm, wrapped };
      expect(token.readResponseToken(token.ntlmToken(ntlm, wrapped))).toEqual(read);
      // [MMSP-089] tokenData of an OpenFile has no such bytes.
      expect(token.readResponseToken(token.ntlmTokenData(ntlm, wrapped))).toEqual(read);
    }
  });

  it('that are neither cause only a MmspError', () => {
    expect(() => token.readResponseToken(Buffer.from('not base64!'))).toThrow(MmspError);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        for (const read of [token.readResponseToken, token.readChallengeToken]) {
          try {
            read(Buffer.from(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(MmspError);
          }
        }
      }),
    );
  });
});
