import { encodeBasic } from '../../src/auth/basic.js';
import { ClientAuthenticator } from '../../src/auth/client.js';
import type { Scheme } from '../../src/auth/dialog.js';
import { ADDRESS_POLICY, USER_POLICY } from '../../src/auth/login-memory.js';
import { ServerAuthenticator } from '../../src/auth/server.js';
import { challengesOf, dialog, headersOf, MemoryStore, REALM, type Station, station } from './support.js';

const ALICE = { name: 'alice', groups: ['encoders'] };
const PASSWORD = 'sésame';
const basic = (user: string, password: string) => `Basic ${encodeBasic({ user, password })}`;

/** Sends requests as a client does until it logs in or gives up; returns the values that it sent. */
async function converse(
  at: Station,
  {
    user = 'alice',
    password = PASSWORD,
    schemes,
  }: { user?: string; password?: string; schemes?: readonly Scheme[] } = {},
  request: { connection?: object; target?: string; accepts?: readonly string[]; remoteAddress?: string } = {},
) {
  const client = new ClientAuthenticator({ server: { user, password }, schemes, basicInClear: true });
  const line = { method: 'GET', target: request.target ?? '/live' };
  const sent: string[] = [];
  let outcome = await at.check(undefined, request);
  while (outcome.kind === 'challenge' && sent.length < 6) {
    const field = client.answer({ ...line, status: 401, headers: headersOf(outcome) });
    if (!field) break;
    sent.push(field[1]);
    outcome = await at.check(client.fields(line, [401])[0]?.[1], { ...request, ...line });
  }
  return { outcome, sent, client };
}

describe('ServerAuthenticator', () => {
  it('[WMHTTP-085] challenges with WWW-Authenticate', async () => {
    const server = await station(['negotiate', 'ntlm', 'digest', 'basic']);
    const outcome = await server.check(undefined);
    expect(outcome).toMatchObject({ kind: 'challenge', reason: 'missing' });
    expect(new Set(headersOf(outcome).entries.map(([name]) => name))).toEqual(new Set(['WWW-Authenticate']));
  });

  it('keeps logins as a client of a proxy and as a client of a server apart', async () => {
    const at = await station(['ntlm']);
    const connection = {};
    await converse(at, {}, { connection });
    expect(await at.check(undefined, { connection, proxied: true })).toMatchObject({ reason: 'missing' });
    expect(await at.check(undefined, { connection })).toMatchObject({ kind: 'accepted' });
  });

  it('lists its schemes in order, Digest with SHA-256 first', async () => {
    const at = await station(['negotiate', 'ntlm', 'digest', 'basic']);
    expect(challengesOf(await at.check(undefined))).toEqual([
      'Negotiate',
      'NTLM',
      expect.stringMatching(
        /^Digest realm="wmcast", qop="auth", algorithm=SHA-256, nonce="[\w-]{43}", opaque="[\w-]+", charset="UTF-8"$/,
      ),
      expect.stringMatching(/^Digest .*algorithm=MD5, nonce=/),
      'Basic realm="wmcast", charset="UTF-8"',
    ]);
  });

  it('[WMHTTP-086] [WMSP-213] challenges with the schemes of X-Accept-Authentication, in their order', async () => {
    const at = await station(['negotiate', 'ntlm', 'digest', 'basic']);
    const names = async (...accepts: string[]) =>
      challengesOf(await at.check(undefined, { accepts })).map((value) => value.split(' ')[0]);
    expect(await names('NTLM, Negotiate')).toEqual(['NTLM', 'Negotiate']);
    expect(await names('Kerberos, digest', 'ntlm')).toEqual(['Digest', 'Digest', 'NTLM']);
    expect(await names('Kerberos')).toEqual(['Negotiate', 'NTLM', 'Digest', 'Digest', 'Basic']);
    expect(await names()).toEqual(['Negotiate', 'NTLM', 'Digest', 'Digest', 'Basic']);
  });

  it('[WMHTTP-096] leaves out schemes that a request may not use', async () => {
    const at = await station(['ntlm', 'digest']);
    const start = { schemes: ['digest', 'basic'] as const, accepts: ['NTLM, Digest'] };
    expect(challengesOf(await at.check(undefined, start))).toEqual([
      expect.stringContaining('algorithm=MD5'),
      expect.stringContaining('algorithm=SHA-256'),
    ]);
    expect(challengesOf(await at.check('NTLM TlRMTVNTUAABAAAAB4IIog==', start)).join()).not.toContain('NTLM');
  });

  it.each<[Scheme, number]>([
    ['basic', 1],
    ['digest', 1],
    ['ntlm', 2],
    ['negotiate', 2],
  ])('accepts a user by %s, and no other password', async (scheme, tries) => {
    const at = await station([scheme]);
    const good = await converse(at);
    expect(good.outcome).toMatchObject({ kind: 'accepted', user: ALICE });
    expect(good.sent).toHaveLength(tries);
    const connection = {};
    for (const wrong of [{ password: 'sesame' }, { user: 'bob' }, { user: '' }]) {
      const { outcome, sent } = await converse(at, wrong, { connection });
      expect(outcome).toMatchObject({ kind: 'challenge', reason: 'refused' });
      expect(sent).toHaveLength(tries);
    }
    expect(await at.check(undefined, { connection })).toMatchObject({ kind: 'challenge', reason: 'missing' });
  });

  it('refuses logins by a scheme that is not enabled', async () => {
    const at = await station(['digest']);
    expect(await at.check(basic('alice', PASSWORD))).toMatchObject({ kind: 'challenge', reason: 'missing' });
  });

  it('refuses logins by a scheme without a secret', async () => {
    const at = await station(['basic', 'digest', 'ntlm']);
    at.store.users.set('carol', { name: 'carol', groups: [] });
    for (const scheme of ['basic', 'digest', 'ntlm'] as const) {
      const { outcome } = await converse(at, { user: 'carol', password: '', schemes: [scheme] });
      expect(outcome).toMatchObject({ kind: 'challenge', reason: 'refused' });
    }
  });

  describe('Basic', () => {
    it('accepts names in any case and with a domain, and passwords in Latin-1', async () => {
      const at = await station(['basic']);
      const latin1 = `Basic ${Buffer.from(`alice:${PASSWORD}`, 'latin1').toString('base64')}`;
      for (const value of [basic('ALICE', PASSWORD), basic('STUDIO\\alice', PASSWORD), latin1]) {
        expect(await at.check(value)).toMatchObject({ kind: 'accepted', user: ALICE });
      }
    });

    it('hashes a repeated password only once, and notices a new one', async () => {
      const at = await station(['basic']);
      await at.check(basic('alice', PASSWORD));
      // More at once than may be hashed.
      const again = await Promise.all(Array.from({ length: 50 }, () => at.check(basic('alice', PASSWORD))));
      expect(new Set(again.map(({ kind }) => kind))).toEqual(new Set(['accepted']));
      await at.store.add('alice', 'new');
      expect(await at.check(basic('alice', PASSWORD))).toMatchObject({ kind: 'challenge' });
      expect(await at.check(basic('alice', 'new'))).toMatchObject({ kind: 'accepted' });
    });

    it('refuses a flood of passwords', async () => {
      const at = await station(['basic'], { addressPolicy: { ...ADDRESS_POLICY, free: 1_000 } });
      const outcomes = await Promise.all(
        Array.from({ length: 40 }, (_, i) => at.check(basic(`user${i}`, 'x'), { connection: {} })),
      );
      const kinds = outcomes.map(({ kind }) => kind);
      expect(kinds.filter((kind) => kind === 'blocked')).toHaveLength(8);
      expect(outcomes.find(({ kind }) => kind === 'blocked')).toEqual({ kind: 'blocked', retryAfter: 1 });
    });
  });

  describe('Digest', () => {
    it('refuses replayed credentials, and says that only the nonce is bad', async () => {
      const at = await station(['digest']);
      const { sent } = await converse(at);
      const again = await at.check(sent[0], { connection: {} });
      expect(again).toMatchObject({ kind: 'challenge', reason: 'stale' });
      expect(challengesOf(again)).toEqual([
        expect.stringContaining('stale=true'),
        expect.stringContaining('stale=true'),
      ]);
    });

    it('continues the count on any connection', async () => {
      const at = await station(['digest']);
      const { client } = await converse(at);
      for (const target of ['/live', '/other']) {
        const [field] = client.fields({ method: 'GET', target });
        expect(await at.check(field?.[1], { connection: {}, target })).toMatchObject({ kind: 'accepted' });
      }
    });

    it('lets a client whose nonce expired try again without asking a person', async () => {
      const at = await station(['digest']);
      const { client } = await converse(at);
      at.clock.now += 300_000;
      const line = { method: 'GET', target: '/live' };
      const outcome = await at.check(client.fields(line)[0]?.[1]);
      expect(outcome).toMatchObject({ kind: 'challenge', reason: 'stale' });
      expect(client.answer({ ...line, status: 401, headers: headersOf(outcome) })).toBeDefined();
      expect(await at.check(client.fields(line)[0]?.[1])).toMatchObject({ kind: 'accepted' });
    });

    it('refuses credentials for another resource, method or realm', async () => {
      const at = await station(['digest']);
      const { client } = await converse(at);
      const field = () => client.fields({ method: 'GET', target: '/live' })[0]?.[1];
      expect(await at.check(field(), { target: '/secret' })).toMatchObject({ reason: 'refused' });
      expect(await at.check(field(), { method: 'POST' })).toMatchObject({ reason: 'refused' });
      expect(await at.check(field()?.replace('realm="wmcast"', 'realm="other"'))).toMatchObject({ reason: 'refused' });
      expect(await at.check(field(), { target: 'http://server:80/live' })).toMatchObject({ kind: 'accepted' });
    });

    it('gives clients without qop a nonce for the next request', async () => {
      const at = await station(['digest']);
      const old = async (outcome: { readonly nonce: string }) => {
        const { digestResponse } = await import('../../src/auth/digest.js');
        const secret = at.store.users.get('alice')!.digest!.md5;
        const algorithm = { hash: 'MD5', session: false } as const;
        const response = digestResponse(secret, 'GET', { ...outcome, algorithm, uri: '/live', protection: undefined });
        return at.check(
          `Digest username="alice", realm="${REALM}", nonce="${outcome.nonce}", uri="/live", response="${response}"`,
        );
      };
      const nonce = /nonce="([^"]+)"/.exec(challengesOf(await at.check(undefined))[1]!)![1]!;
      const first = await old({ nonce });
      expect(first).toMatchObject({ kind: 'accepted' });
      expect(await old({ nonce })).toMatchObject({ kind: 'challenge', reason: 'stale' });
      const [name, value] = headersOf(first).entries[0]!;
      expect(name).toBe('Authentication-Info');
      expect(await old({ nonce: /^nextnonce="([^"]+)"$/.exec(value)![1]! })).toMatchObject({ kind: 'accepted' });
    });
  });

  describe('NTLM and Negotiate', () => {
    it.each(['ntlm', 'negotiate'] as const)('authenticate only the connection by %s', async (scheme) => {
      const at = await station([scheme]);
      const connection = {};
      await converse(at, {}, { connection });
      expect(await at.check(undefined, { connection, target: '/other' })).toEqual({
        kind: 'accepted',
        user: ALICE,
      });
      expect(await at.check(undefined, { connection: {} })).toMatchObject({ kind: 'challenge' });
    });

    it('end when the user is removed or the password changes', async () => {
      const at = await station(['ntlm']);
      const connection = {};
      await converse(at, {}, { connection });
      await at.store.add('alice', 'new');
      expect(await at.check(undefined, { connection })).toMatchObject({ kind: 'challenge' });
    });

    it('accept another user on the same connection, and none after a refusal', async () => {
      const at = await station(['ntlm']);
      await at.store.add('bob', 'b');
      const connection = {};
      await converse(at, {}, { connection });
      const client = new ClientAuthenticator({ server: { user: 'bob', password: 'b' } });
      const line = { method: 'GET', target: '/live', connection };
      const headers = headersOf(await at.check(undefined, { connection: {} }));
      const first = client.answer({ ...line, status: 401, headers })![1];
      const challenge = await at.check(first, { connection });
      expect(challenge).toMatchObject({ reason: 'continue' });
      expect(await at.check(undefined, { connection })).toMatchObject({ kind: 'challenge' });
      const proof = client.answer({ ...line, status: 401, headers: headersOf(challenge) })![1];
      expect(await at.check(proof, { connection })).toMatchObject({ user: { name: 'bob' } });
      expect(await at.check('NTLM x', { connection })).toMatchObject({ reason: 'refused' });
      expect(await at.check(undefined, { connection })).toMatchObject({ kind: 'challenge', reason: 'missing' });
    });

    it('refuse a proof that is replayed, on another connection, or too late', async () => {
      const at = await station(['ntlm']);
      const connection = {};
      const { sent } = await converse(at, {}, { connection });
      expect(await at.check(sent[1], { connection })).toMatchObject({ reason: 'refused' });
      expect(await at.check(sent[1], { connection: {} })).toMatchObject({ reason: 'refused' });
      const client = new ClientAuthenticator({ server: { user: 'alice', password: PASSWORD } });
      const line = { method: 'GET', target: '/live', status: 401 };
      const first = client.answer({ ...line, headers: headersOf(await at.check(undefined, { connection: {} })) });
      const challenge = await at.check(first?.[1], { connection });
      const proof = client.answer({ ...line, headers: headersOf(challenge) });
      at.clock.now += 121_000;
      expect(await at.check(proof?.[1], { connection })).toMatchObject({ reason: 'refused' });
    });
  });

  describe('limits', () => {
    const wrong = basic('alice', 'wrong');
    const policy = { free: 3, pause: 1_000, longestPause: 8_000, memory: 60_000 };

    it('make an address wait longer and longer, and forget', async () => {
      const at = await station(['basic'], { addressPolicy: policy });
      const wait = async () => {
        const outcome = await at.check('Basic QQ==');
        return outcome.kind === 'blocked' ? outcome.retryAfter : 0;
      };
      for (let i = 0; i < 3; i++) expect(await wait()).toBe(0);
      for (const seconds of [1, 2, 4, 8, 8]) {
        expect(await wait()).toBe(0);
        expect(await wait()).toBe(seconds);
        at.clock.now += seconds * 1_000;
      }
      expect(await wait()).toBe(0);
      expect(await at.check(basic('alice', PASSWORD), { remoteAddress: '192.0.2.2' })).toMatchObject({
        kind: 'accepted',
      });
      at.clock.now += 60_000;
      expect(await at.check(basic('alice', PASSWORD))).toMatchObject({ kind: 'accepted' });
    });

    it('ignore good credentials from an address that has to wait, but challenge requests without any', async () => {
      const at = await station(['basic'], { addressPolicy: { ...policy, free: 0 } });
      await at.check(wrong);
      expect(await at.check(basic('alice', PASSWORD))).toEqual({ kind: 'blocked', retryAfter: 1 });
      expect(await at.check(undefined)).toMatchObject({ kind: 'challenge' });
    });

    it('count an IPv6 network as one address', async () => {
      const at = await station(['basic'], { addressPolicy: { ...policy, free: 0 } });
      await at.check(wrong, { remoteAddress: '2001:db8::1' });
      expect(await at.check(wrong, { remoteAddress: '2001:db8:0:0:ffff::2' })).toMatchObject({ kind: 'blocked' });
      expect(await at.check(wrong, { remoteAddress: '2001:db8:0:1::1' })).toMatchObject({ kind: 'challenge' });
      await at.check(wrong, { remoteAddress: '::ffff:192.0.2.7' });
      expect(await at.check(wrong, { remoteAddress: '192.0.2.7' })).toMatchObject({ kind: 'blocked' });
    });

    it.each(['basic', 'digest', 'ntlm'] as const)(
      'count failures for a user from all addresses, by %s',
      async (scheme) => {
        const at = await station([scheme], { userPolicy: { ...USER_POLICY, free: 1 } });
        for (const user of ['alice', 'ALICE'])
          await converse(at, { user, password: 'no', schemes: [scheme] }, { connection: {} });
        const { outcome } = await converse(at, {}, { connection: {} });
        expect(outcome).toMatchObject({ kind: 'blocked', retryAfter: 1 });
      },
    );

    const FAR = { free: 0, pause: 60_000, longestPause: 60_000, memory: 900_000 };

    it.each(['basic', 'digest', 'ntlm'] as const)(
      'do not lock a user out at an address of an earlier login, by %s',
      async (scheme) => {
        const at = await station([scheme], { userPolicy: FAR });
        const home = { remoteAddress: '192.0.2.1' };
        const login = (more: object) => converse(at, { schemes: [scheme] }, { connection: {}, ...more });
        expect((await login(home)).outcome).toMatchObject({ kind: 'accepted' });
        for (let i = 0; i < 30; i++) {
          const stranger = { connection: {}, remoteAddress: `198.51.100.${i}` };
          await converse(at, { password: 'no', schemes: [scheme] }, stranger);
        }
        expect((await login({ remoteAddress: '203.0.113.9' })).outcome).toMatchObject({ kind: 'blocked' });
        expect((await login(home)).outcome).toMatchObject({ kind: 'accepted' });
      },
    );

    it('accept a known user at an address where others fail, and still count guesses for that user there', async () => {
      const at = await station(['basic'], { addressPolicy: { ...policy, free: 1 } });
      await at.check(basic('alice', PASSWORD));
      for (let i = 0; i < 5; i++) await at.check(basic(`stranger${i}`, 'no'));
      expect(await at.check(basic('stranger', 'no'))).toMatchObject({ kind: 'blocked' });
      expect(await at.check(basic('alice', PASSWORD))).toMatchObject({ kind: 'accepted' });
      await at.check(wrong);
      await at.check(wrong);
      expect(await at.check(basic('alice', PASSWORD))).toMatchObject({ kind: 'blocked' });
      at.clock.now += 1_000;
      expect(await at.check(basic('alice', PASSWORD))).toMatchObject({ kind: 'accepted' });
    });

    it('never let one address lock a user out elsewhere', async () => {
      const at = await station(['digest']);
      for (let i = 0; i < 200; i++) {
        const stranger = { remoteAddress: '198.51.100.7' };
        const { outcome } = await converse(at, { password: 'no', schemes: ['digest'] }, stranger);
        if (outcome.kind === 'blocked') at.clock.now += outcome.retryAfter * 1_000;
      }
      expect((await converse(at, { schemes: ['digest'] })).outcome).toMatchObject({ kind: 'accepted' });
    });

    it('are not extended by a clock that goes back', async () => {
      const at = await station(['basic'], { addressPolicy: { ...policy, free: 0 } });
      await at.check(wrong);
      at.clock.now -= 86_400_000;
      expect(await at.check(wrong)).toEqual({ kind: 'blocked', retryAfter: 1 });
    });

    it('count other spellings of a name, and impossible names, as one', async () => {
      const at = await station(['basic'], { userPolicy: { ...USER_POLICY, free: 0 } });
      const long = 'x'.repeat(400);
      for (const [first, second] of [
        ['chlo\u00e9', 'CHLOE\u0301'],
        [`${long}a`, `${long}b`],
      ]) {
        expect(await at.check(basic(first!, 'no'))).toMatchObject({ reason: 'refused' });
        expect(await at.check(basic(second!, 'no'))).toMatchObject({ kind: 'blocked' });
      }
    });

    it('do not count requests that are not guesses', async () => {
      const at = await station(['digest', 'ntlm'], { addressPolicy: { ...policy, free: 0 } });
      const { sent } = await converse(at, { schemes: ['digest'] });
      await at.check(sent[0]);
      await at.check(basic('alice', 'x'));
      await converse(at, { schemes: ['ntlm'] });
      expect((await converse(at, { schemes: ['digest'] })).outcome).toMatchObject({ kind: 'accepted' });
    });
  });

  it.each([
    'Basic',
    'Basic !!!',
    'Basic QQ==',
    'Digest',
    'Digest username="alice"',
    'NTLM',
    'NTLM AAAA',
    'Negotiate YIIB',
    'Negotiate oQcwBaADCgEB',
    '"',
    'NTLM TlRMTVNTUAADAAAA',
    `NTLM ${'A'.repeat(20_000)}`,
  ])('refuses %s and continues', async (value) => {
    const at = await station(['negotiate', 'ntlm', 'digest', 'basic']);
    expect(await at.check(value)).toMatchObject({ kind: 'challenge', reason: 'refused' });
    expect((await converse(at)).outcome).toMatchObject({ kind: 'accepted' });
  });

  it('reports a store that cannot be read', async () => {
    const store = new MemoryStore();
    store.find = () => Promise.reject(new Error('disk'));
    const server = new ServerAuthenticator({ store, realm: REALM, schemes: ['basic'] });
    const request = { remoteAddress: '::1', credentials: dialog(basic('a', 'b')) };
    await expect(server.check(request)).rejects.toThrow('disk');
  });
});
