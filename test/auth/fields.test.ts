import * as fc from 'fast-check';
import { decodeBasic, encodeBasic } from '../../src/auth/basic.js';
import { AuthError } from '../../src/auth/error.js';
import { decodeToken, parseChallenges, parseCredentials, quote } from '../../src/auth/fields.js';

const plain = (value: string) =>
  parseChallenges(value).map(({ scheme, token, parameters }) => [scheme, token ?? Object.fromEntries(parameters)]);

describe('parseChallenges', () => {
  it.each([
    ['NTLM', [['ntlm', {}]]],
    [
      'Negotiate, NTLM',
      [
        ['negotiate', {}],
        ['ntlm', {}],
      ],
    ],
    ['Negotiate TlRM==', [['negotiate', 'TlRM==']]],
    [
      'Negotiate TlRM==, NTLM',
      [
        ['negotiate', 'TlRM=='],
        ['ntlm', {}],
      ],
    ],
    ['Basic realm="a"', [['basic', { realm: 'a' }]]],
    ['basic REALM = a , charset="UTF-8"', [['basic', { realm: 'a', charset: 'UTF-8' }]]],
    [
      'Digest realm="a, \\"b\\" \\\\", nonce=x,NTLM',
      [
        ['digest', { realm: 'a, "b" \\', nonce: 'x' }],
        ['ntlm', {}],
      ],
    ],
    [
      'Digest realm="a", nonce="n", Basic realm="b"',
      [
        ['digest', { realm: 'a', nonce: 'n' }],
        ['basic', { realm: 'b' }],
      ],
    ],
    [
      ' , NTLM ,, Basic realm=""',
      [
        ['ntlm', {}],
        ['basic', { realm: '' }],
      ],
    ],
    ['Digest realm=a, opaque=, nonce=n', [['digest', { realm: 'a', opaque: '', nonce: 'n' }]]],
    // The sample of RFC 9110 11.6.1.
    [
      'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""',
      [
        ['basic', { realm: 'simple' }],
        ['newauth', { realm: 'apps', type: '1', title: 'Login to "apps"' }],
      ],
    ],
    ['', []],
  ])('reads %s', (value, expected) => {
    expect(plain(value)).toEqual(expected);
  });

  it.each([
    ['an unfinished quote', 'Digest realm="a'],
    ['a parameter twice', 'Digest realm=a, Realm=b'],
    ['a parameter after a token', 'Negotiate abc, realm=x'],
    ['parameters without a comma', 'Digest a=b c=d'],
    ['no scheme', '"abc"'],
    ['no value', 'Digest realm="a", nonce=@'],
    ['too many challenges', Array(20).fill('NTLM').join(',')],
    ['too many parameters', `X ${Array.from({ length: 40 }, (_, i) => `p${i}=1`).join(',')}`],
    ['too long a field', `NTLM ${'A'.repeat(20_000)}`],
  ])('refuses %s', (_, value) => {
    expect(() => parseChallenges(value)).toThrow(AuthError);
  });

  it('only throws AuthError, for any input', () => {
    const piece = fc.constantFrom('Digest', 'NTLM', ' ', ',', '=', '"', '\\', 'realm', 'a==', 'é', '\t', ';', '"x"');
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (value) => {
        try {
          parseChallenges(value);
        } catch (error) {
          expect(error).toBeInstanceOf(AuthError);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('reads the output of quote, as bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const [{ parameters } = { parameters: new Map<string, string>() }] = parseChallenges(`X realm=${quote(text)}`);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: what quote replaces
        const expected = text.replace(/[\x00-\x1f\x7f]/g, ' ');
        expect(Buffer.from(parameters.get('realm')!, 'latin1').toString()).toBe(expected);
      }),
    );
  });
});

describe('parseCredentials', () => {
  it('accepts one set of credentials', () => {
    expect(parseCredentials('Basic dTpw')).toMatchObject({ scheme: 'basic', token: 'dTpw' });
    expect(() => parseCredentials('Basic dTpw, NTLM')).toThrow(AuthError);
    expect(() => parseCredentials('')).toThrow(AuthError);
  });
});

describe('decodeToken', () => {
  it('reads base64 with and without padding, and nothing else', () => {
    expect(decodeToken('dTpw').toString()).toBe('u:p');
    expect(decodeToken('dQ==').toString()).toBe('u');
    expect(decodeToken('dQ').toString()).toBe('u');
    for (const token of ['a', 'dTp-', 'd Tp', 'dQ===', '*']) expect(() => decodeToken(token)).toThrow(AuthError);
  });
});

describe('Basic', () => {
  it('has the token of RFC 7617 2', () => {
    expect(encodeBasic({ user: 'Aladdin', password: 'open sesame' })).toBe('QWxhZGRpbjpvcGVuIHNlc2FtZQ==');
    expect(encodeBasic({ user: 'test', password: '123£' })).toBe('dGVzdDoxMjPCow==');
  });

  it('reads UTF-8 and Latin-1, and colons in a password', () => {
    expect(decodeBasic('dGVzdDoxMjPCow==')).toEqual({ user: 'test', password: '123£' });
    expect(decodeBasic(Buffer.from('test:123£', 'latin1').toString('base64'))).toEqual({
      user: 'test',
      password: '123£',
    });
    expect(decodeBasic(Buffer.from('a:b:c').toString('base64'))).toEqual({ user: 'a', password: 'b:c' });
  });

  it.each(['dTp', 'u', Buffer.from('none').toString('base64'), Buffer.from('a:b\0').toString('base64')])(
    'refuses %s',
    (token) => {
      const parse = () => decodeBasic(token);
      if (token === 'dTp') expect(parse()).toEqual({ user: 'u', password: '' });
      else expect(parse).toThrow(AuthError);
    },
  );

  it('refuses a token that is too long', () => {
    expect(() => decodeBasic(Buffer.from(`a:${'b'.repeat(2_000)}`).toString('base64'))).toThrow(AuthError);
  });

  it('does not quote malformed credentials', () => {
    expect(() => decodeBasic(Buffer.from('secret\0:x').toString('base64'))).toThrow(
      /^The Basic credentials are malformed\.$/,
    );
  });
});
