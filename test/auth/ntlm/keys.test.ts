import {
  computeResponseV2,
  des,
  desl,
  keyExchangeKeyV1,
  ntowfV1,
  ntowfV2,
  ntResponseV1,
  Signer,
  sealKey,
  signKey,
} from '../../../src/auth/ntlm/keys.js';
import { md4 } from '../../../src/auth/ntlm/md4.js';
import { Rc4 } from '../../../src/auth/ntlm/rc4.js';
import {
  CLIENT_CHALLENGE,
  DOMAIN,
  hex,
  NTOWF_V1,
  PASSWORD,
  PLAINTEXT,
  RANDOM_SESSION_KEY,
  SERVER_CHALLENGE,
  TIME,
  USER,
  V1,
  V1_WITH_CLIENT_CHALLENGE,
  V2,
} from './vectors.js';

const rc4k = (key: Buffer, message: Buffer) => new Rc4(key).update(message);

describe('MD4', () => {
  it.each([
    ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
    ['a', 'bde52cb31de33e46245e05fbdbd6fb24'],
    ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
    ['message digest', 'd9130a8164549fe818874806e1c7014b'],
    ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', '043f8582f241db351ce627e153e7f0e4'],
    [
      '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
      'e33b4ddc9c38f2199c3e7b164fcc0536',
    ],
  ])('hashes %j as in RFC 1320 A.5', (message, digest) => {
    expect(md4(Buffer.from(message)).toString('hex')).toBe(digest);
  });
});

describe('RC4', () => {
  it('produces the key stream of RFC 6229', () => {
    expect(rc4k(hex('0102030405'), Buffer.alloc(16))).toEqual(hex('b2396305f03dc027ccc3524a0a1118a8'));
  });

  it('continues the key stream in the next message', () => {
    const stream = new Rc4(hex('0102030405060708090a0b0c0d0e0f10'));
    expect(Buffer.concat([stream.update(Buffer.alloc(5)), stream.update(Buffer.alloc(11))])).toEqual(
      hex('9ac7cc9a609d1ef7b2932899cde41b97'),
    );
  });
});

describe('NTLM v1 (MS-NLMP 4.2.2)', () => {
  it('computes NTOWFv1', () => {
    expect(ntowfV1(PASSWORD)).toEqual(NTOWF_V1);
  });

  it('computes LMOWFv1 with its DES', () => {
    const password = Buffer.alloc(14);
    password.write(PASSWORD.toUpperCase(), 'latin1');
    const magic = Buffer.from('KGS!@#$%', 'latin1');
    const lmowf = Buffer.concat([des(password.subarray(0, 7), magic), des(password.subarray(7), magic)]);
    expect(lmowf).toEqual(V1.lmowf);
    expect(desl(lmowf, SERVER_CHALLENGE)).toEqual(V1.lmResponse);
  });

  it('computes the LM key exchange key and encrypts with it', () => {
    const rest = Buffer.concat([V1.lmowf.subarray(7, 8), Buffer.alloc(6, 0xbd)]);
    const head = V1.lmResponse.subarray(0, 8);
    const key = Buffer.concat([des(V1.lmowf.subarray(0, 7), head), des(rest, head)]);
    expect(key).toEqual(V1.lmKeyExchangeKey);
    expect(rc4k(key, RANDOM_SESSION_KEY)).toEqual(V1.encryptedSessionKeyLm);
    const nonNt = Buffer.concat([V1.lmowf.subarray(0, 8), Buffer.alloc(8)]);
    expect(rc4k(nonNt, RANDOM_SESSION_KEY)).toEqual(V1.encryptedSessionKeyNonNt);
  });

  it('computes the response and the session key', () => {
    expect(ntResponseV1(NTOWF_V1, SERVER_CHALLENGE, undefined)).toEqual(V1.ntResponse);
    const key = keyExchangeKeyV1(NTOWF_V1, SERVER_CHALLENGE, undefined);
    expect(key).toEqual(V1.sessionBaseKey);
    expect(rc4k(key, RANDOM_SESSION_KEY)).toEqual(V1.encryptedSessionKey);
  });
});

describe('NTLM v1 with a client challenge (MS-NLMP 4.2.3)', () => {
  const { flags, keyExchangeKey, lmResponse } = V1_WITH_CLIENT_CHALLENGE;

  it('computes the response and the key exchange key', () => {
    expect(ntResponseV1(NTOWF_V1, SERVER_CHALLENGE, CLIENT_CHALLENGE)).toEqual(V1_WITH_CLIENT_CHALLENGE.ntResponse);
    expect(keyExchangeKeyV1(NTOWF_V1, SERVER_CHALLENGE, lmResponse)).toEqual(keyExchangeKey);
  });

  it('seals and signs with 56 bits and without key exchange', () => {
    expect(sealKey(flags, keyExchangeKey, 'client')).toEqual(V1_WITH_CLIENT_CHALLENGE.sealKey);
    expect(signKey(keyExchangeKey, 'client')).toEqual(V1_WITH_CLIENT_CHALLENGE.signKey);
    expect(rc4k(V1_WITH_CLIENT_CHALLENGE.sealKey, PLAINTEXT)).toEqual(V1_WITH_CLIENT_CHALLENGE.sealed);
    expect(Signer.of(flags, keyExchangeKey, 'client').sign(PLAINTEXT)).toEqual(V1_WITH_CLIENT_CHALLENGE.signature);
  });
});

describe('NTLM v2 (MS-NLMP 4.2.4)', () => {
  const responses = () => computeResponseV2(V2.ntowf, SERVER_CHALLENGE, CLIENT_CHALLENGE, TIME, V2.targetInfo);

  it('computes NTOWFv2, with the user in upper case', () => {
    expect(ntowfV2(NTOWF_V1, USER, DOMAIN)).toEqual(V2.ntowf);
    expect(ntowfV2(NTOWF_V1, 'uSER', DOMAIN)).toEqual(V2.ntowf);
    expect(ntowfV2(NTOWF_V1, USER, 'domain')).not.toEqual(V2.ntowf);
  });

  it('computes the responses and the session base key', () => {
    expect(responses().ntChallengeResponse).toEqual(Buffer.concat([V2.proof, V2.temp]));
    expect(responses().lmChallengeResponse).toEqual(V2.lmResponse);
    expect(responses().sessionBaseKey).toEqual(V2.sessionBaseKey);
  });

  it('encrypts the session key', () => {
    expect(rc4k(V2.sessionBaseKey, RANDOM_SESSION_KEY)).toEqual(V2.encryptedSessionKey);
  });

  it('seals and signs with 128 bits and key exchange', () => {
    expect(sealKey(V2.flags, RANDOM_SESSION_KEY, 'client')).toEqual(V2.sealKey);
    expect(signKey(RANDOM_SESSION_KEY, 'client')).toEqual(V2.signKey);
    const handle = new Rc4(V2.sealKey);
    expect(handle.update(PLAINTEXT)).toEqual(V2.sealed);
    expect(new Signer(V2.signKey, handle).sign(PLAINTEXT)).toEqual(V2.signature);
  });

  it('counts the messages of a side', () => {
    const signer = Signer.of(V2.flags, RANDOM_SESSION_KEY, 'server');
    const [first, second] = [signer.sign(PLAINTEXT), signer.sign(PLAINTEXT)];
    expect([first.readUInt32LE(12), second.readUInt32LE(12)]).toEqual([0, 1]);
    expect(first.subarray(4, 12)).not.toEqual(second.subarray(4, 12));
  });
});
