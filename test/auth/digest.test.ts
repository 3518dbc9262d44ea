import {
  type DigestInput,
  digestResponse,
  digestSecret,
  formatDigest,
  formatDigestChallenge,
  parseAlgorithm,
  readDigest,
  readDigestChallenge,
} from '../../src/auth/digest.js';
import { AuthError } from '../../src/auth/error.js';
import { parseCredentials } from '../../src/auth/fields.js';
import { Nonces } from '../../src/auth/nonces.js';

/** RFC 7616 3.9.1 */
const MUFASA = {
  user: 'Mufasa',
  realm: 'http-auth@example.org',
  password: 'Circle of Life',
  nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
  cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
  uri: '/dir/index.html',
} as const;

function mufasa(algorithm: string): DigestInput {
  const { nonce, cnonce, uri } = MUFASA;
  return { algorithm: parseAlgorithm(algorithm)!, nonce, uri, protection: { nc: '00000001', cnonce } };
}

describe('digestResponse', () => {
  it.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ] as const)('computes the response of RFC 7616 3.9.1 with %s', (hash, response) => {
    const { user, realm, password } = MUFASA;
    expect(digestResponse(digestSecret(hash, user, realm, password), 'GET', mufasa(hash))).toBe(response);
  });

  it('computes the response of RFC 2617 3.5', () => {
    const secret = digestSecret('MD5', 'Mufasa', 'testrealm@host.com', 'Circle Of Life');
    const input: DigestInput = {
      algorithm: { hash: 'MD5', session: false },
      nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093',
      uri: '/dir/index.html',
      protection: { nc: '00000001', cnonce: '0a4f113b' },
    };
    expect(digestResponse(secret, 'GET', input)).toBe('6629fae49393a05397450978507c4ef1');
  });

  it('computes the response without qop of RFC 2069 2.4, as corrected in its errata', () => {
    const secret = digestSecret('MD5', 'Mufasa', 'testrealm@host.com', 'CircleOfLife');
    const input: DigestInput = {
      algorithm: { hash: 'MD5', session: false },
      nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093',
      uri: '/dir/index.html',
      protection: undefined,
    };
    expect(digestResponse(secret, 'GET', input)).toBe('1949323746fe6a43ef61f9606e7febea');
  });

  it('covers the nonces with -sess', () => {
    const { user, realm, password, nonce, cnonce } = MUFASA;
    const secret = digestSecret('MD5', user, realm, password);
    const session = digestResponse(secret, 'GET', mufasa('MD5-sess'));
    // HA1 of RFC 7616 3.4.2, computed by hand.
    const ha1 = digestSecret('MD5', secret, nonce, cnonce);
    expect(session).toBe(digestResponse(ha1, 'GET', mufasa('MD5')));
    expect(session).not.toBe(digestResponse(secret, 'GET', mufasa('MD5')));
  });
});

describe('Digest credentials', () => {
  // RFC 7616 3.9.1
  const FIELD =
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=SHA-256, ' +
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", ' +
    'qop=auth, response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", ' +
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';

  it('are read from RFC 7616 3.9.1, and as they were written', () => {
    const read = readDigest(parseCredentials(FIELD));
    expect(read).toEqual({
      ...mufasa('SHA-256'),
      user: 'Mufasa',
      realm: 'http-auth@example.org',
      response: '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
    });
    expect(readDigest(parseCredentials(formatDigest(read, 'x')))).toEqual(read);
  });

  it('accept names in UTF-8, in Latin-1 and in username*', () => {
    const withName = (name: string) => readDigest(parseCredentials(FIELD.replace('username="Mufasa"', name))).user;
    expect(withName(`username="${Buffer.from('Jäsøn').toString('latin1')}"`)).toBe('Jäsøn');
    expect(withName('username="J\xe4s\xf8n"')).toBe('Jäsøn');
    // RFC 7616 3.9.2
    expect(withName("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe")).toBe('Jäsøn Doe');
    expect(() => withName("username*=UTF-8''%C3")).toThrow(AuthError);
    expect(() => withName("username*=iso-8859-1''a")).toThrow(AuthError);
  });

  it.each([
    ['response', 'response="', 'x="'],
    ['cnonce', 'cnonce="', 'y="'],
    ['a readable count', 'nc=00000001', 'nc=1'],
    ['a known algorithm', 'algorithm=SHA-256', 'algorithm=SHA-512-256'],
    ['a known qop', 'qop=auth', 'qop=auth-int'],
  ])('need %s', (_, from, to) => {
    expect(() => readDigest(parseCredentials(FIELD.replace(from, to)))).toThrow(AuthError);
  });

  it('read a challenge as it was written', () => {
    const challenge = {
      realm: 'Jäsøn "x"',
      nonce: 'n',
      opaque: 'o',
      algorithm: { hash: 'SHA-256', session: false },
      qop: true,
      stale: true,
    } as const;
    expect(readDigestChallenge(parseCredentials(`Digest ${formatDigestChallenge(challenge)}`))).toEqual(challenge);
  });

  it('ignore challenges that they cannot answer', () => {
    const read = (text: string) => readDigestChallenge(parseCredentials(text));
    expect(read('Digest realm="a", nonce="n", algorithm=SHA-512-256')).toBeUndefined();
    expect(read('Digest realm="a", nonce="n", qop="auth-int"')).toBeUndefined();
    expect(read('Digest realm="a"')).toBeUndefined();
    expect(read('Digest realm="a", nonce="n", qop="auth-int, auth"')).toMatchObject({ qop: true });
    expect(read('Digest realm="a", nonce="n"')).toMatchObject({ qop: false, algorithm: { hash: 'MD5' } });
  });
});

describe('Nonces', () => {
  const START = 1_700_000_000_000;
  let now = START;
  beforeEach(() => {
    now = START;
  });
  const make = (limit?: number) => new Nonces({ now: () => now, lifetime: 1_000, limit });

  it('are valid once for each count', () => {
    const nonces = make();
    const nonce = nonces.issue();
    expect([1, 2, 2, 4, 3, 3, 1, 0].map((count) => nonces.use(nonce, count))).toEqual([
      true,
      true,
      false,
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it('tolerate late counts, within limits', () => {
    const nonces = make();
    const nonce = nonces.issue();
    expect([100, 37, 36, 0xffff_ffff, 0xffff_ffff - 63, 100].map((count) => nonces.use(nonce, count))).toEqual([
      true,
      true,
      false,
      true,
      true,
      false,
    ]);
  });

  it('expire', () => {
    const nonces = make();
    const nonce = nonces.issue();
    expect(nonces.use(nonce, 1)).toBe(true);
    now += 999;
    expect(nonces.use(nonce, 2)).toBe(true);
    now += 1;
    expect(nonces.use(nonce, 3)).toBe(false);
  });

  it('are valid for one request without a count', () => {
    const nonces = make();
    const nonce = nonces.issue();
    expect(nonces.use(nonce, undefined)).toBe(true);
    expect(nonces.use(nonce, undefined)).toBe(false);
    expect(nonces.use(nonce, 1)).toBe(false);
    const counted = nonces.issue();
    expect(nonces.use(counted, 1)).toBe(true);
    expect(nonces.use(counted, undefined)).toBe(false);
  });

  it('cannot be made by others', () => {
    const nonces = make();
    const nonce = nonces.issue();
    const forged = Buffer.from(nonce, 'base64url');
    forged[5]! ^= 1;
    for (const bad of [forged.toString('base64url'), '', 'x', `${nonce}A`, `${nonce}=`, make().issue()]) {
      expect(nonces.use(bad, 1)).toBe(false);
    }
  });

  it('cannot be used again after they were forgotten', () => {
    const nonces = make(10);
    const early = nonces.issue();
    const used = Array.from({ length: 10 }, () => nonces.issue());
    for (const nonce of used) expect(nonces.use(nonce, 1)).toBe(true);
    // The first nonce is forgotten to make room for this one, and nonces as old count as used.
    now += 1;
    expect(nonces.use(nonces.issue(), 1)).toBe(true);
    expect(nonces.use(used[0]!, 1)).toBe(false);
    expect(nonces.use(used[0]!, 2)).toBe(false);
    expect(nonces.use(early, 1)).toBe(false);
    expect(nonces.use(used[9]!, 2)).toBe(true);
  });

  it('are valid at once if others were forgotten in the same millisecond', () => {
    const nonces = make(1);
    for (let i = 0; i < 5; i++) expect(nonces.use(nonces.issue(), 1)).toBe(true);
  });
});
