import * as fc from 'fast-check';
import { AuthError } from '../../src/auth/error.js';
import { NegotiateAcceptor, SpnegoClient } from '../../src/auth/negotiate.js';
import { NtlmAcceptor } from '../../src/auth/ntlm/acceptor.js';
import { avFlags, avValue, parseAvPairs } from '../../src/auth/ntlm/av-pairs.js';
import { CLIENT_FLAGS, NtlmClient } from '../../src/auth/ntlm/client.js';
import { FLAGS } from '../../src/auth/ntlm/flags.js';
import { computeResponseV2, ntowfV1, ntowfV2, ntResponseV1 } from '../../src/auth/ntlm/keys.js';
import { buildAuthenticate, buildNegotiate, parseAuthenticate, parseChallenge } from '../../src/auth/ntlm/messages.js';
import {
  buildNegTokenInit,
  buildNegTokenResp,
  NEG_STATE,
  type NegTokenInit,
  type NegTokenResp,
  parseNegToken,
} from '../../src/auth/spnego.js';
import {
  CLIENT_CHALLENGE,
  DOMAIN,
  hex,
  NTOWF_V1,
  RANDOM_SESSION_KEY,
  SERVER_CHALLENGE,
  USER,
  V1,
  V2,
} from './ntlm/vectors.js';

const identity = { user: USER, domain: DOMAIN, ntHash: NTOWF_V1, workstation: 'COMPUTER' };
const random = (size: number) => (size === 8 ? CLIENT_CHALLENGE : RANDOM_SESSION_KEY);

function reply(acceptor: { step(token: Buffer): unknown }, token: Buffer): Buffer {
  const step = acceptor.step(token) as { kind: string; token: Buffer };
  if (step.kind !== 'reply') throw new Error(`It is ${step.kind}.`);
  return step.token;
}

/** Returns the result of the last token: undefined if it does not prove the user. */
function finish(acceptor: NegotiateAcceptor, token: Buffer, ntHash = NTOWF_V1) {
  const step = acceptor.step(token);
  if (step.kind !== 'authenticate') throw new Error('The handshake goes on.');
  return step.verify(ntHash);
}

describe('an NTLM client', () => {
  it('answers the challenge of MS-NLMP 4.2.4 byte for byte', () => {
    const flags = CLIENT_FLAGS | FLAGS.NEGOTIATE_SEAL;
    // 1601, as in the specification.
    const client = new NtlmClient(identity, { flags, now: () => -11_644_473_600_000, random });
    const { message } = client.authenticate(V2.challenge);
    expect(Buffer.from(message).fill(0, 64, 72)).toEqual(Buffer.from(V2.authenticate).fill(0, 64, 72));
  });

  it('sends a MIC, and no LM response, to a server that sends the time', () => {
    const acceptor = new NtlmAcceptor({ now: () => 0 });
    const client = new NtlmClient(identity);
    const message = parseAuthenticate(client.authenticate(acceptor.challenge(client.negotiate)).message);
    expect(message.lmChallengeResponse).toEqual(Buffer.alloc(24));
    const pairs = parseAvPairs(message.ntChallengeResponse.subarray(44));
    expect(avFlags(pairs)).toBe(2);
    expect([avValue(pairs, 10), avValue(pairs, 9)]).toEqual([Buffer.alloc(16), Buffer.alloc(0)]);
    expect(message.ntChallengeResponse.subarray(24, 32)).toEqual(avValue(pairs, 7));
  });

  it('does not answer a malformed challenge', () => {
    const client = new NtlmClient(identity);
    const noCharacters = Buffer.from(V2.challenge);
    noCharacters.writeUInt32LE(0, 20);
    const badTime = Buffer.concat([V2.challenge.subarray(0, 68), hex('0700010041 00000000')]);
    badTime.writeUInt16LE(9, 40);
    for (const bad of [V2.authenticate, noCharacters, badTime, Buffer.alloc(0)]) {
      expect(() => client.authenticate(bad)).toThrow(AuthError);
    }
  });
});

describe('an NTLM server', () => {
  const bytes = (acceptor: NtlmAcceptor, message: Buffer, hash = NTOWF_V1) =>
    acceptor.verify(acceptor.read(message), message, hash);

  it('answers with the supported flags that the client asked for, its name and the time', () => {
    const acceptor = new NtlmAcceptor({ serverName: 'Studio', now: () => 0, random: () => SERVER_CHALLENGE });
    const challenge = parseChallenge(acceptor.challenge(buildNegotiate({ flags: 0xa2088207 })));
    expect(challenge).toMatchObject({ flags: 0xa28a8205, targetName: 'Studio', serverChallenge: SERVER_CHALLENGE });
    const pairs = parseAvPairs(challenge.targetInfo);
    expect(pairs.map(([id]) => id)).toEqual([2, 1, 4, 3, 7]);
    expect(avValue(pairs, 7)).toEqual(hex('00803ed5deb19d01'));
  });

  it('uses OEM for clients without Unicode, and refuses those with neither', () => {
    const acceptor = new NtlmAcceptor();
    expect(parseChallenge(acceptor.challenge(buildNegotiate({ flags: FLAGS.NEGOTIATE_OEM }))).flags & 3).toBe(2);
    expect(() => acceptor.challenge(buildNegotiate({ flags: FLAGS.NEGOTIATE_NTLM }))).toThrow(AuthError);
  });

  it('refuses a message that was changed on the way', () => {
    for (const at of [0, 1]) {
      const acceptor = new NtlmAcceptor();
      const client = new NtlmClient(identity);
      const { message } = client.authenticate(acceptor.challenge(client.negotiate));
      // The flags, which only the MIC protects.
      if (at === 1) message[60]! ^= FLAGS.NEGOTIATE_SEAL;
      expect(bytes(acceptor, message) === undefined).toBe(at === 1);
    }
  });

  it.each([
    ['with the domain that it names', 'ELSEWHERE', true],
    ['without the domain that it names', '', true],
    ['with another domain', 'OTHER', false],
  ])('accepts a response without a MIC that was computed %s: %s', (_, domain, good) => {
    const acceptor = new NtlmAcceptor({ random: () => SERVER_CHALLENGE });
    acceptor.challenge(buildNegotiate({ flags: V2.flags }));
    const key = ntowfV2(NTOWF_V1, USER, domain);
    const responses = computeResponseV2(key, SERVER_CHALLENGE, CLIENT_CHALLENGE, Buffer.alloc(8), V2.targetInfo);
    const message = { ...parseAuthenticate(V2.authenticate), ...responses, domainName: 'ELSEWHERE' };
    expect(bytes(acceptor, buildAuthenticate(message, false)) !== undefined).toBe(good);
  });

  it('requires the negotiated session key', () => {
    const acceptor = new NtlmAcceptor();
    const client = new NtlmClient(identity);
    const parsed = parseAuthenticate(client.authenticate(acceptor.challenge(client.negotiate)).message);
    const message = buildAuthenticate({ ...parsed, encryptedRandomSessionKey: Buffer.alloc(8) }, true);
    expect(() => bytes(acceptor, message)).toThrow('lacks its session key');
  });

  it('accepts one answer to a challenge', () => {
    const acceptor = new NtlmAcceptor();
    const client = new NtlmClient(identity);
    const { message } = client.authenticate(acceptor.challenge(client.negotiate));
    expect(bytes(acceptor, message)).toBeDefined();
    expect(() => acceptor.read(message)).toThrow(AuthError);
  });

  it.each([
    [false, undefined],
    [true, expect.anything()],
  ])('accepts NTLM v1 only if allowed: %s', (version1, expected) => {
    const acceptor = new NtlmAcceptor({ version1, random: () => SERVER_CHALLENGE });
    acceptor.challenge(buildNegotiate({ flags: V1.flags }));
    expect(bytes(acceptor, V1.authenticate)).toEqual(expected);
    acceptor.challenge(buildNegotiate({ flags: V1.flags }));
    expect(bytes(acceptor, V1.authenticate, ntowfV1('other'))).toBeUndefined();
    acceptor.challenge(buildNegotiate({ flags: 0xa2088207 }));
    const lm = Buffer.concat([CLIENT_CHALLENGE, Buffer.alloc(16)]);
    const withClientChallenge = {
      ...parseAuthenticate(V1.authenticate),
      flags: 0xa2088205,
      lmChallengeResponse: lm,
      ntChallengeResponse: ntResponseV1(NTOWF_V1, SERVER_CHALLENGE, CLIENT_CHALLENGE),
      encryptedRandomSessionKey: Buffer.alloc(0),
    };
    expect(bytes(acceptor, buildAuthenticate(withClientChallenge, false))).toEqual(expected);
  });

  it.each([
    ['nobody', { userName: '', ntChallengeResponse: Buffer.alloc(0), lmChallengeResponse: Buffer.alloc(1) }],
    ['only an LM response', { ntChallengeResponse: Buffer.alloc(0) }],
    ['a short response', { ntChallengeResponse: Buffer.alloc(10) }],
    ['a response of zeros', { ntChallengeResponse: Buffer.alloc(100) }],
  ])('refuses %s', (_, change) => {
    const acceptor = new NtlmAcceptor({ version1: true, random: () => SERVER_CHALLENGE });
    acceptor.challenge(buildNegotiate({ flags: V1.flags }));
    const message = buildAuthenticate({ ...parseAuthenticate(V1.authenticate), ...change }, false);
    expect(bytes(acceptor, message)).toBeUndefined();
  });
});

describe('SPNEGO', () => {
  it('carries NTLM with MICs over the list of mechanisms', () => {
    const acceptor = new NegotiateAcceptor({});
    const client = new SpnegoClient(new NtlmClient(identity));
    const challenge = reply(acceptor, client.negotiate);
    expect(parseNegToken(challenge)).toMatchObject({ negState: NEG_STATE.acceptIncomplete });
    const proof = client.authenticate(challenge);
    expect((parseNegToken(proof) as NegTokenResp).mechListMic).toHaveLength(16);
    const done = finish(acceptor, proof);
    expect(parseNegToken(done!.token!)).toMatchObject({ negState: NEG_STATE.acceptCompleted });
    expect((parseNegToken(done!.token!) as NegTokenResp).mechListMic).toHaveLength(16);
  });

  it('also accepts bare NTLM messages, as sent by Windows (MS-WMHTTP 4.8)', () => {
    const acceptor = new NegotiateAcceptor({});
    const client = new NtlmClient(identity);
    const challenge = reply(acceptor, client.negotiate);
    expect(challenge.toString('latin1', 0, 7)).toBe('NTLMSSP');
    expect(finish(acceptor, new SpnegoClient(client).authenticate(challenge))).toEqual({ token: undefined });
  });

  // Kerberos first, NTLM second, as Windows offers them.
  const KERBEROS = hex('06092a864882f712010202');
  const NTLM = hex('060a2b06010401823702020a');
  const list = Buffer.concat([hex('3017'), KERBEROS, NTLM]);
  const favouringKerberos = Buffer.concat([
    hex('6030 06062b0601050502 a026 3024 a019'),
    list,
    hex('a207 0405'),
    Buffer.from('krb5?'),
  ]);

  it('falls back to NTLM if the client prefers Kerberos, and then requires the MIC', () => {
    expect(parseNegToken(favouringKerberos)).toEqual({
      kind: 'init',
      mechTypeList: list,
      ntlmAt: 1,
      mechToken: Buffer.from('krb5?'),
    });
    const run = (protect: boolean, over = list) => {
      const acceptor = new NegotiateAcceptor({});
      expect(reply(acceptor, favouringKerberos)).toEqual(hex('a1153013 a0030a0103 a10c 060a2b06010401823702020a'));
      const client = new NtlmClient(identity);
      const challenge = reply(acceptor, buildNegTokenResp({ responseToken: client.negotiate }));
      const { responseToken } = parseNegToken(challenge) as NegTokenResp;
      const { message, signer } = client.authenticate(responseToken!);
      const mechListMic = protect ? signer!.sign(over) : undefined;
      return finish(acceptor, buildNegTokenResp({ responseToken: message, mechListMic }));
    };
    expect(run(true)).toBeDefined();
    expect(run(false)).toBeUndefined();
    expect(run(true, Buffer.concat([hex('300c'), NTLM]))).toBeUndefined();
  });

  it('refuses tokens that are out of order, or without NTLM', () => {
    const kerberosOnly = buildNegTokenInit(Buffer.from('x'));
    kerberosOnly.set([0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x1e], kerberosOnly.indexOf(NTLM) + 2);
    expect((parseNegToken(kerberosOnly) as NegTokenInit).ntlmAt).toBe(-1);
    expect(() => new NegotiateAcceptor({}).step(kerberosOnly)).toThrow(AuthError);
    expect(() => new NegotiateAcceptor({}).step(buildNegTokenResp({ responseToken: V2.authenticate }))).toThrow(
      AuthError,
    );
    expect(() => new SpnegoClient(new NtlmClient(identity)).authenticate(kerberosOnly)).toThrow(AuthError);
  });

  it('refuses tokens that would take much memory', () => {
    const many = (count: number) => Buffer.concat(Array<Buffer>(count).fill(NTLM));
    const init = (list: Buffer) => {
      const wrap = (tag: string, bytes: Buffer) =>
        Buffer.concat([hex(tag), hex('82'), Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
      const fields = wrap('a0', wrap('30', wrap('a0', wrap('30', list))));
      return wrap('60', Buffer.concat([hex('06062b0601050502'), fields]));
    };
    expect((parseNegToken(init(many(16))) as NegTokenInit).ntlmAt).toBe(0);
    expect(() => parseNegToken(init(many(17)))).toThrow('too many mechanisms');
    const huge = Buffer.concat([hex('06820400'), Buffer.alloc(1_024)]);
    expect(() => parseNegToken(init(huge))).toThrow('too many mechanisms');
    const long = Buffer.concat([buildNegotiate({ flags: 7 }), Buffer.alloc(1_000)]);
    expect(() => new NegotiateAcceptor({}).step(long)).toThrow(AuthError);
  });

  it('only throws AuthError for damaged tokens', () => {
    const client = new NtlmClient(identity);
    const init = buildNegTokenInit(client.negotiate);
    const resp = buildNegTokenResp({ negState: 1, responseToken: V2.challenge, mechListMic: Buffer.alloc(16) }, true);
    const damaged = fc
      .tuple(
        fc.constantFrom(init, resp, favouringKerberos),
        fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }),
      )
      .map(([sample, changes]) => {
        const token = Buffer.from(sample);
        for (const [at, value] of changes) if (at < token.length) token[at] = value;
        return token;
      });
    const acceptor = new NegotiateAcceptor({});
    const spnego = new SpnegoClient(client);
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array().map(Buffer.from)), (token) => {
        for (const take of [() => acceptor.step(token), () => spnego.authenticate(token), () => parseNegToken(token)]) {
          try {
            take();
          } catch (error) {
            expect(error).toBeInstanceOf(AuthError);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
