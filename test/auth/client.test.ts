import { ClientAuthenticator, type ClientAuthenticatorOptions, type SignedRequest } from '../../src/auth/client.js';
import { HeaderFields } from '../../src/http/message.js';
import { challengesOf, headersOf, station } from './support.js';

const ALICE = { user: 'alice', password: 'sésame' };
const LINE = { method: 'GET', target: '/live' };

/** A client's answers to challenges, by their first word. */
function ask(
  client: ClientAuthenticator,
  challenges: readonly string[],
  about: Partial<SignedRequest> & { status?: number; secure?: boolean } = {},
) {
  const name = about.status === 407 ? 'Proxy-Authenticate' : 'WWW-Authenticate';
  const headers = new HeaderFields(challenges.map((value) => [name, value]));
  return client.answer({ ...LINE, status: 401, headers, ...about });
}

const make = (options: ClientAuthenticatorOptions = {}) => new ClientAuthenticator({ server: ALICE, ...options });
const MD5 = 'Digest realm="r", nonce="a", qop="auth", algorithm=MD5';
const SHA = 'Digest realm="r", nonce="b", qop="auth", algorithm=SHA-256';
const BASIC = 'Basic realm="r"';

describe('ClientAuthenticator', () => {
  it('lists its schemes, the strongest first, and never Basic', () => {
    expect(make().schemes).toEqual(['Negotiate', 'NTLM', 'Digest']);
    expect(make({ schemes: ['basic', 'digest'] }).schemes).toEqual(['Digest']);
  });

  it.each([
    [[BASIC, MD5, SHA, 'NTLM', 'Negotiate'], /^Negotiate YE/],
    [[BASIC, MD5, SHA, 'NTLM'], /^NTLM TlRMTVNTUAAB/],
    [[BASIC, MD5, SHA], /^Digest .*nonce="b".*algorithm=SHA-256/],
    [[BASIC, MD5], /^Digest .*algorithm=MD5/],
    [[`${BASIC}, ${MD5}`], /^Digest .*algorithm=MD5/],
    [['Digest realm="r", nonce="c", algorithm=SHA-512-256', BASIC], /^Basic /],
    [['"broken', BASIC], /^Basic YWxpY2U6c8Opc2FtZQ==$/],
    [['Bearer realm="x"'], undefined],
    [[], undefined],
  ])('answers %j with the strongest', (challenges, expected) => {
    const field = ask(make(), challenges, { secure: true });
    if (!expected) expect(field).toBeUndefined();
    else expect(field).toEqual(['Authorization', expect.stringMatching(expected)]);
  });

  it('[WMHTTP-048] answers 401 with Authorization and 407 with Proxy-Authorization, each with its password', () => {
    const client = make({ proxy: { user: 'p', password: 'q' } });
    expect(ask(client, [BASIC], { status: 407 })).toEqual(['Proxy-Authorization', 'Basic cDpx']);
    expect(ask(client, [BASIC], { secure: true })).toEqual(['Authorization', 'Basic YWxpY2U6c8Opc2FtZQ==']);
    expect(client.fields(LINE).map(([name]) => name)).toEqual(['Authorization', 'Proxy-Authorization']);
    expect(client.fields(LINE, [401]).map(([name]) => name)).toEqual(['Authorization']);
    expect(ask(make(), [BASIC], { status: 407 })).toBeUndefined();
    expect(ask(new ClientAuthenticator({ proxy: ALICE }), [BASIC], { secure: true })).toBeUndefined();
  });

  it('does not expose the password on the way unless allowed', () => {
    expect(() => ask(make(), [BASIC])).toThrow(expect.objectContaining({ code: 'WM_AUTH_REFUSED' }));
    expect(() => ask(make(), [BASIC])).toThrow(/^((?!sésame|alice).)*$/);
    expect(ask(make({ basicInClear: true }), [BASIC])).toBeDefined();
    expect(ask(make({ proxy: ALICE }), [BASIC], { status: 407 })).toBeDefined();
  });

  it('sends its password only to the first server', () => {
    const client = make();
    expect(ask(client, [SHA], { origin: 'one:80' })).toBeDefined();
    expect(ask(client, [SHA], { origin: 'two:80' })).toBeUndefined();
    expect(client.fields({ ...LINE, origin: 'two:80' })).toEqual([]);
    expect(client.fields({ ...LINE, origin: 'ONE:80' })).toHaveLength(1);
  });

  it.each([[BASIC], [MD5], [SHA]])('gives up after %s was refused', (challenge) => {
    const client = make();
    expect(ask(client, [challenge], { secure: true })).toBeDefined();
    expect(client.fields(LINE)).toHaveLength(1);
    expect(ask(client, [challenge], { secure: true })).toBeUndefined();
  });

  it('answers another nonce if the old one has worked, or is said to be stale', () => {
    const client = make();
    ask(client, [SHA]);
    client.fields(LINE);
    const stale = `${SHA.replace('"b"', '"c"')}, stale=TRUE`;
    expect(ask(client, [stale])![1]).toMatch(/nonce="c".*nc=00000001/);
    client.fields(LINE);
    expect(client.fields({ ...LINE, target: '/2' })[0]![1]).toMatch(/uri="\/2".*nc=00000002/);
    expect(ask(client, [SHA], { target: '/2' })![1]).toMatch(/nonce="b".*nc=00000001/);
    client.fields({ ...LINE, target: '/2' });
    expect(ask(client, [SHA], { target: '/2' })).toBeUndefined();
  });

  it('answers servers of RFC 2069 without a count', () => {
    const [, value] = ask(make(), ['Digest realm="r", nonce="a", opaque="o"'])!;
    expect(value).toMatch(/^Digest username="alice".*response="[0-9a-f]{32}", opaque="o"$/);
    expect(value).not.toMatch(/qop|nc=|cnonce/);
  });

  it('returns an answer once, for the request that it belongs to', () => {
    const client = make();
    const connection = {};
    const [, value] = ask(client, ['NTLM'], { connection })!;
    expect(client.fields({ ...LINE, connection })).toEqual([['Authorization', value]]);
    expect(client.fields({ ...LINE, connection })).toEqual([]);
    // The connection was closed, so the request goes over another one.
    const [, next] = ask(client, ['NTLM'], { connection: {} })!;
    expect(client.fields({ ...LINE, connection: {} })).toEqual([['Authorization', next]]);
  });

  it('keeps handshakes on several connections apart', async () => {
    const at = await station(['ntlm']);
    const client = make();
    const connections = [{}, {}, {}];
    const send = async (connection: object) => {
      const [field] = client.fields({ ...LINE, connection });
      return at.check(field?.[1], { connection });
    };
    const outcomes = await Promise.all(connections.map(send));
    for (let leg = 0; leg < 2; leg++) {
      for (const [i, connection] of connections.entries()) {
        expect(client.answer({ ...LINE, connection, status: 401, headers: headersOf(outcomes[i]!) })).toBeDefined();
      }
      for (const [i, connection] of connections.entries()) outcomes[i] = await send(connection);
    }
    expect(outcomes.map(({ kind }) => kind)).toEqual(['accepted', 'accepted', 'accepted']);
  });

  it('starts again on a new connection, and uses Digest if NTLM is not offered', async () => {
    const at = await station(['ntlm', 'digest']);
    const client = make();
    const run = async (connection: object, schemes?: readonly ['digest']) => {
      for (let tries = 0; ; tries++) {
        const outcome = await at.check(client.fields({ ...LINE, connection })[0]?.[1], {
          connection,
          ...(schemes && { schemes }),
        });
        if (outcome.kind !== 'challenge') return { kind: outcome.kind, tries };
        if (!client.answer({ ...LINE, connection, status: 401, headers: headersOf(outcome) }))
          return { kind: 'given up', tries };
      }
    };
    const first = {};
    expect(await run(first)).toEqual({ kind: 'accepted', tries: 2 });
    expect(await run(first)).toEqual({ kind: 'accepted', tries: 0 });
    expect(await run({})).toEqual({ kind: 'accepted', tries: 2 });
    expect(await run({}, ['digest'])).toEqual({ kind: 'accepted', tries: 1 });
  });

  it('continues with another scheme if the server does not know NTLM under Negotiate', () => {
    const client = make();
    expect(ask(client, ['Negotiate', SHA])![1]).toMatch(/^Negotiate/);
    client.fields(LINE);
    expect(ask(client, ['Negotiate', SHA])![1]).toMatch(/^Digest/);
    client.fields(LINE);
    expect(ask(client, ['Negotiate', SHA])).toBeUndefined();
  });

  it('continues with another scheme if the challenge is malformed', () => {
    const client = make();
    ask(client, ['NTLM', SHA]);
    client.fields(LINE);
    expect(ask(client, ['NTLM AAAA', SHA])![1]).toMatch(/^Digest/);
  });

  it.each(['ntlm', 'negotiate'] as const)('does not prove a refused password again by %s', async (scheme) => {
    const at = await station([scheme]);
    const client = make({ server: { user: 'STUDIO\\alice', password: 'wrong' } });
    let outcome = await at.check(undefined);
    for (let leg = 0; leg < 2; leg++) {
      expect(client.answer({ ...LINE, status: 401, headers: headersOf(outcome) })).toBeDefined();
      outcome = await at.check(client.fields(LINE)[0]?.[1]);
    }
    expect(client.answer({ ...LINE, status: 401, headers: headersOf(outcome) })).toBeUndefined();
  });

  it('accepts a domain before the name for NTLM', async () => {
    const at = await station(['ntlm']);
    const client = make({ server: { user: 'STUDIO\\alice', password: 'sésame' } });
    let outcome = await at.check(undefined);
    while (outcome.kind === 'challenge') {
      const [, value] = client.answer({ ...LINE, status: 401, headers: headersOf(outcome) })!;
      outcome = await at.check(value);
    }
    expect(outcome).toMatchObject({ kind: 'accepted', user: { name: 'alice' } });
  });

  it('sends the password of a proxy only with CONNECT if it was asked for there', () => {
    const client = make({ proxy: ALICE });
    const tunnel = { method: 'CONNECT', target: 'server:443' };
    expect(ask(client, [BASIC], { ...tunnel, status: 407 })).toBeDefined();
    expect(client.fields({ ...LINE, target: '/live' })).toEqual([]);
    // The next tunnel starts over.
    expect(ask(client, [BASIC], { ...tunnel, status: 407 })).toBeDefined();
    expect(ask(client, [BASIC], { ...tunnel, status: 407 })).toBeUndefined();
    expect(client.fields({ ...tunnel })).toHaveLength(1);
  });

  it('answers the challenges of our own server in several fields', async () => {
    const at = await station(['digest', 'basic']);
    const [, value] = ask(make(), challengesOf(await at.check(undefined)))!;
    expect(await at.check(value)).toMatchObject({ kind: 'accepted' });
  });
});
