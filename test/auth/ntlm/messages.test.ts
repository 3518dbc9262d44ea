import * as fc from 'fast-check';
import { AuthError } from '../../../src/auth/error.js';
import { AV, avValue, buildAvPairs, parseAvPairs } from '../../../src/auth/ntlm/av-pairs.js';
import {
  buildAuthenticate,
  buildChallenge,
  buildNegotiate,
  messageType,
  micOf,
  parseAuthenticate,
  parseChallenge,
  parseNegotiate,
} from '../../../src/auth/ntlm/messages.js';
import { DOMAIN, hex, SERVER_CHALLENGE, USER, V1, V1_WITH_CLIENT_CHALLENGE, V2 } from './vectors.js';

// MS-WMHTTP 4.8
const NEGOTIATE_BLOB = 'TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAFASgKAAAADw==';
const CHALLENGE_BLOB =
  'TlRMTVNTUAACAAAADgAOADgAAAAFgoqio8hNyf74ihkAAAAAAAAAAFgAWABGAAAABgBkFgAAAA9XAE0AUwAyADIAMAA1AAIADgBXAE0AU' +
  'wAyADIAMAA1AAEADgBXAE0AUwAyADIAMAA1AAQADgBXAE0AUwAyADIAMAA1AAMADgBXAE0AUwAyADIAMAA1AAcACABEkqlgclfHAQAAAAA=';
const AUTHENTICATE_BLOB =
  'TlRMTVNTUAADAAAAGAAYAIIAAAAYABgAmgAAABAAEABIAAAAGgAaAFgAAAAQABAAcgAAAAAAAACyAAAABYKIogUBKAoAAAAPQwBSAE0AVQBS' +
  'AC0AWAAxAEEAZABtAGkAbgBpAHMAdAByAGEAdABvAHIAQwBSAE0AVQBSAC0AWAAxAOxCYicp6dvUAAAAAAAAAAAAAAAAAAAAAMBTLr8Doynv' +
  'ziDW1WTSjE40MItgYYsXDA==';

const base64 = (text: string) => Buffer.from(text, 'base64');
/** Without the VERSION, which is only for debugging. */
const unversioned = (message: Buffer, at: number) => Buffer.from(message).fill(0, at, at + 8);

describe('the messages of MS-NLMP 4.2', () => {
  it.each([
    ['4.2.2.3', V1, Buffer.alloc(0)],
    ['4.2.3.3', V1_WITH_CLIENT_CHALLENGE, Buffer.alloc(0)],
    ['4.2.4.3', V2, V2.targetInfo],
  ])('reads the CHALLENGE_MESSAGE of %s', (_, { flags, challenge }, targetInfo) => {
    expect(parseChallenge(challenge)).toEqual({
      flags,
      targetName: 'Server',
      serverChallenge: SERVER_CHALLENGE,
      targetInfo,
    });
  });

  it.each([
    ['4.2.2.3', V1.authenticate, V1.lmResponse, V1.ntResponse, V1.encryptedSessionKey],
    [
      '4.2.3.3',
      V1_WITH_CLIENT_CHALLENGE.authenticate,
      V1_WITH_CLIENT_CHALLENGE.lmResponse,
      V1_WITH_CLIENT_CHALLENGE.ntResponse,
      Buffer.alloc(0),
    ],
    ['4.2.4.3', V2.authenticate, V2.lmResponse, Buffer.concat([V2.proof, V2.temp]), V2.encryptedSessionKey],
  ])('reads and builds the AUTHENTICATE_MESSAGE of %s', (_, bytes, lm, nt, encryptedRandomSessionKey) => {
    const message = parseAuthenticate(bytes);
    expect(message).toEqual({
      flags: bytes.readUInt32LE(60),
      lmChallengeResponse: lm,
      ntChallengeResponse: nt,
      domainName: DOMAIN,
      userName: USER,
      workstation: 'COMPUTER',
      encryptedRandomSessionKey,
    });
    expect(unversioned(buildAuthenticate(message, false), 64)).toEqual(unversioned(bytes, 64));
  });

  it('builds the CHALLENGE_MESSAGE of 4.2.4.3', () => {
    expect(unversioned(buildChallenge(parseChallenge(V2.challenge)), 48)).toEqual(unversioned(V2.challenge, 48));
  });
});

describe('the blobs of MS-WMHTTP 4.8', () => {
  it('reads and builds the NEGOTIATE_MESSAGE', () => {
    const bytes = base64(NEGOTIATE_BLOB);
    expect(bytes).toHaveLength(40);
    expect(parseNegotiate(bytes)).toEqual({ flags: 0xa2088207 });
    const built = unversioned(buildNegotiate({ flags: 0xa2088207 }), 32);
    expect([built.subarray(0, 16), built.subarray(32)]).toEqual([
      bytes.subarray(0, 16),
      unversioned(bytes, 32).subarray(32),
    ]);
  });

  it('reads the CHALLENGE_MESSAGE', () => {
    const challenge = parseChallenge(base64(CHALLENGE_BLOB));
    expect(challenge).toMatchObject({ flags: 0xa28a8205, targetName: 'WMS2205' });
    expect(challenge.serverChallenge).toEqual(hex('a3c84dc9fef88a19'));
    const pairs = parseAvPairs(challenge.targetInfo);
    expect(pairs.map(([id]) => id)).toEqual([2, 1, 4, 3, 7]);
    expect(avValue(pairs, AV.DnsComputerName)!.toString('utf16le')).toBe('WMS2205');
    expect(avValue(pairs, AV.Timestamp)).toEqual(hex('4492a9607257c701'));
    expect(unversioned(buildChallenge(challenge), 48)).toEqual(unversioned(base64(CHALLENGE_BLOB), 48));
  });

  it('reads and builds the AUTHENTICATE_MESSAGE', () => {
    const bytes = base64(AUTHENTICATE_BLOB);
    const message = parseAuthenticate(bytes);
    expect(message).toMatchObject({
      flags: 0xa2888205,
      domainName: 'CRMUR-X1',
      userName: 'Administrator',
      workstation: 'CRMUR-X1',
    });
    expect(message.lmChallengeResponse).toEqual(hex('ec42622729e9dbd400000000000000000000000000000000'));
    expect(message.ntChallengeResponse).toHaveLength(24);
    expect(unversioned(buildAuthenticate(message, false), 64)).toEqual(unversioned(bytes, 64));
  });
});

describe('damaged messages', () => {
  const samples = [V2.challenge, V2.authenticate, base64(NEGOTIATE_BLOB), base64(AUTHENTICATE_BLOB)];

  it.each([parseNegotiate, parseChallenge, parseAuthenticate, micOf, parseAvPairs])(
    'only throw AuthError in $name',
    (parse: (bytes: Buffer) => unknown) => {
      const damaged = fc
        .tuple(
          fc.constantFrom(...samples, Buffer.from('NTLMSSP\0')),
          fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { maxLength: 6 }),
          fc.nat(300),
        )
        .map(([sample, changes, size]) => {
          const bytes = Buffer.from(sample);
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          return bytes.subarray(0, size);
        });
      fc.assert(
        fc.property(damaged, (bytes) => {
          try {
            parse(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(AuthError);
          }
        }),
        { numRuns: 400 },
      );
    },
  );

  it('are recognised by their type', () => {
    expect(messageType(V2.challenge)).toBe(2);
    expect(messageType(V2.challenge.subarray(0, 11))).toBeUndefined();
    expect(messageType(Buffer.from('NTLMSSP\0\x04\0\0\0', 'latin1'))).toBeUndefined();
    expect(messageType(Buffer.from('NTLMSSX\0\x01\0\0\0', 'latin1'))).toBeUndefined();
    expect(() => parseChallenge(V2.authenticate)).toThrow(AuthError);
    expect(() => parseNegotiate(Buffer.concat([base64(NEGOTIATE_BLOB), Buffer.alloc(40_000)]))).toThrow(AuthError);
  });

  it('may not point past their end', () => {
    const bytes = Buffer.from(V2.authenticate);
    bytes.writeUInt32LE(0xffff_fff0, 24);
    expect(() => parseAuthenticate(bytes)).toThrow('points past its end');
  });

  it('may lack what old ones lack', () => {
    expect(parseNegotiate(base64(NEGOTIATE_BLOB).subarray(0, 16)).flags).toBe(0xa2088207);
    const old = Buffer.from(V1.challenge.subarray(0, 32)).fill(0, 12, 20);
    expect(parseChallenge(old)).toMatchObject({ targetName: '', targetInfo: Buffer.alloc(0) });
  });
});

describe('AV_PAIR', () => {
  it('is read as it was built', () => {
    const pairs = fc.array(fc.tuple(fc.integer({ min: 1, max: 0xffff }), fc.uint8Array({ maxLength: 40 })));
    fc.assert(
      fc.property(pairs, (list) => {
        const built = list.map(([id, value]) => [id, Buffer.from(value)] as const);
        expect(parseAvPairs(buildAvPairs(built))).toEqual(built);
      }),
    );
  });

  it('needs its end', () => {
    expect(() => parseAvPairs(V2.targetInfo.subarray(0, -4))).toThrow(AuthError);
    expect(() => parseAvPairs(V2.targetInfo.subarray(0, 20))).toThrow(AuthError);
    expect(parseAvPairs(Buffer.concat([V2.targetInfo, Buffer.alloc(4)]))).toHaveLength(2);
  });
});
