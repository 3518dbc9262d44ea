import { AccessControl, type AccessRule, ruleOf } from '../../src/auth/access.js';
import type { AuthOutcome, AuthRequest, Scheme } from '../../src/auth/dialog.js';
import { callerOf, finishFields, type HeaderDialogOptions, headerRefusal } from '../../src/auth/header-dialog.js';
import { HttpServer } from '../../src/http/server.js';
import { field, Peer } from '../http/peer.js';

let server: HttpServer;
let port: number;
let peers: Peer[];
let asked: AuthRequest[];
let warnings: string[];
let rule: AccessRule;
let how: HeaderDialogOptions;
let outcome: AuthOutcome;
let options: { users?: boolean; basicWithoutTls?: boolean; schemes?: Scheme[] };

const CHALLENGE: AuthOutcome = {
  kind: 'challenge',
  challenges: [{ scheme: 'Digest', token: 'realm="x"' }],
  reason: 'missing',
};
const accepted = (name: string, ...groups: string[]): AuthOutcome => ({
  kind: 'accepted',
  user: { name, groups },
  finish: { scheme: 'Digest', token: 'nextnonce="1"' },
});

beforeEach(async () => {
  peers = [];
  asked = [];
  warnings = [];
  rule = {};
  how = { player: true };
  outcome = CHALLENGE;
  options = {};
  server = new HttpServer({
    onRequest: (exchange) => {
      const authenticator = {
        check: async (request: AuthRequest) => {
          asked.push(request);
          return outcome;
        },
      };
      const control = new AccessControl({
        authenticator: options.users === false ? undefined : authenticator,
        schemes: options.schemes ?? ['negotiate', 'ntlm', 'digest', 'basic'],
        basicWithoutTls: options.basicWithoutTls ?? false,
        onWarning: (message) => warnings.push(message),
      });
      void Promise.resolve(control.check(callerOf(exchange, how), ruleOf(rule), 'play /live')).then((access) => {
        const fields = finishFields(access.finish, exchange.request);
        if (access.granted) exchange.respond({ status: 200, fields: [...fields, ['X-User', access.user ?? '-']] });
        else {
          const { status, fields: more } = headerRefusal(access.refusal, exchange.request)!;
          exchange.respond({ status, fields: [...fields, ...more], body: Buffer.from(access.refusal.message) });
        }
      });
    },
  });
  port = await server.listen(0, '127.0.0.1');
});

afterEach(async () => {
  for (const peer of peers) peer.destroy();
  await server.close(0);
});

async function ask(...lines: string[]): Promise<{ status: number; head: string }> {
  const peer = await Peer.connect(port);
  peers.push(peer);
  peer.send(
    `${[lines[0]?.includes(' HTTP/') ? '' : 'GET /live HTTP/1.1\r\n', ...lines.map((line) => `${line}\r\n`)].join('')}\r\n`,
  );
  const head = await peer.head();
  return { status: Number(head.slice(9, 12)), head };
}

// As if the request came from another host.
const ELSEWHERE = 'X-Forwarded-For: 198.51.100.7';

describe('access', () => {
  it('is open to everyone without a rule, with no login', async () => {
    expect((await ask()).status).toBe(200);
    expect((await ask(ELSEWHERE)).status).toBe(200);
    expect(asked).toHaveLength(0);
  });

  it('can be limited to addresses', async () => {
    rule = { addresses: ['192.0.2.0/24'] };
    expect((await ask()).status).toBe(403);
    rule = { addresses: ['192.0.2.0/24', 'loopback'] };
    expect((await ask()).status).toBe(200);
    expect(asked).toHaveLength(0);
  });

  it('can be limited to users and groups', async () => {
    rule = { users: ['Anna'], groups: ['crew'] };
    expect((await ask()).status).toBe(401);
    outcome = accepted('anna');
    expect(field((await ask()).head, 'X-User')).toBe('anna');
    outcome = accepted('bert', 'crew');
    expect((await ask()).status).toBe(200);
    outcome = accepted('carl', 'guests');
    const { status, head } = await ask();
    expect(status).toBe(403);
    expect(field(head, 'Authentication-Info')).toBe('nextnonce="1"');
    rule = { users: ['*'] };
    expect((await ask()).status).toBe(200);
  });

  it('needs both the address and the user when a rule names both', async () => {
    outcome = accepted('anna');
    rule = { addresses: ['192.0.2.0/24'], users: ['anna'] };
    expect((await ask()).status).toBe(403);
    rule = { addresses: ['127.0.0.1'], users: ['anna'] };
    expect((await ask()).status).toBe(200);
  });

  it('needs no login from trusted addresses', async () => {
    rule = { users: ['anna'], trusted: ['loopback'] };
    expect((await ask()).status).toBe(200);
    expect(asked).toHaveLength(0);
    rule = { users: ['anna'], trusted: ['192.0.2.1'] };
    expect((await ask()).status).toBe(401);
  });

  it('does not take clients of a proxy on this host for local', async () => {
    rule = { users: ['anna'], trusted: ['loopback'] };
    expect((await ask(ELSEWHERE)).status).toBe(401);
    expect((await ask('X-Forwarded-For: 127.0.0.1, 198.51.100.7')).status).toBe(401);
    expect((await ask('Forwarded: for=127.0.0.1')).status).toBe(401);
    expect((await ask('X-Real-IP: 198.51.100.7')).status).toBe(401);
    expect((await ask('X-Forwarded-For: 127.0.0.1')).status).toBe(200);
  });

  it.each([
    'Via: 1.1 proxy',
    'CF-Connecting-IP: 198.51.100.7',
    'X-Client-IP: 198.51.100.7',
    'True-Client-IP: 2001:db8::7',
    'x-real-ip: 198.51.100.7',
    'Fastly-Client-IP: 198.51.100.7',
    'CloudFront-Viewer-Address: 198.51.100.7:1234',
    'X-Forwarded-Host: media.example.com',
    'X-Forwarded-For:',
    'X-Forwarded-For: unknown',
    'X-Forwarded-For: localhost.evil.example',
    'Forwarded: for=198.51.100.7',
  ])('does not take a client for local with %s', async (line) => {
    rule = { users: ['anna'], trusted: ['loopback'] };
    expect((await ask(line)).status).toBe(401);
  });

  it.each(['X-Client-IP: 127.0.0.1', 'X-Real-IP: ::1', 'X-Forwarded-For: 127.0.0.1, ::1', 'X-Tip: 7'])(
    'takes a client of a proxy for local with %s',
    async (line) => {
      rule = { users: ['anna'], trusted: ['loopback'] };
      expect((await ask(line)).status).toBe(200);
    },
  );

  it('does not trust a loopback address from which a proxy forwards others', async () => {
    rule = { users: ['anna'], trusted: ['127.0.0.0/8'] };
    expect((await ask()).status).toBe(200);
    expect((await ask(ELSEWHERE)).status).toBe(401);
  });

  it('is refused to everyone who would need a login if there are no users', async () => {
    options = { users: false };
    rule = { users: ['*'] };
    expect((await ask()).status).toBe(403);
  });

  it('reports wrong passwords, and nothing else', async () => {
    rule = { users: ['*'] };
    await ask();
    expect(warnings).toEqual([]);
    outcome = { ...CHALLENGE, reason: 'refused' };
    await ask('Authorization: Basic YTpi');
    expect(warnings).toEqual([expect.stringMatching(/^Login failed without a user name from 127\.0\.0\.1, to /)]);
    warnings.length = 0;
    outcome = { ...CHALLENGE, reason: 'refused', name: 'anna\u001b[2J' };
    await ask('Authorization: Basic YTpi');
    expect(warnings).toEqual([expect.stringMatching(/^Login failed as anna\?\[2J from 127\.0\.0\.1, to /)]);
  });

  it('tells clients that failed too often when to try again', async () => {
    rule = { users: ['*'] };
    outcome = { kind: 'blocked', retryAfter: 17 };
    const { status, head } = await ask();
    expect(status).toBe(429);
    expect(field(head, 'Retry-After')).toBe('17');
  });
});

describe('the challenge', () => {
  beforeEach(() => {
    rule = { users: ['*'] };
  });

  it('has all schemes on this host, and no Basic elsewhere without TLS', async () => {
    await ask();
    await ask(ELSEWHERE);
    options = { basicWithoutTls: true };
    await ask(ELSEWHERE);
    const all = ['negotiate', 'ntlm', 'digest', 'basic'];
    expect(asked.map(({ schemes }) => schemes)).toEqual([all, ['negotiate', 'ntlm', 'digest'], all]);
  });

  it('has no scheme that authenticates connections if a proxy may share them', async () => {
    await ask('Via: 1.1 proxy');
    expect(asked[0]!.schemes).toEqual(['digest']);
    options = { basicWithoutTls: true };
    await ask('Via: 1.1 proxy');
    expect(asked[1]!.schemes).toEqual(['digest', 'basic']);
    options = { schemes: ['negotiate', 'ntlm'] };
    await ask('Via: 1.1 proxy');
    expect(asked[2]!.schemes).toEqual(['negotiate', 'ntlm']);
  });

  it('[WMHTTP-096] [WMHTTP-001] has no NTLM for a PushStart', async () => {
    how = { schemes: ['digest', 'basic'] };
    await ask(ELSEWHERE);
    expect(asked[0]!.schemes).toEqual(['digest']);
  });

  it('follows X-Accept-Authentication', async () => {
    await ask('X-Accept-Authentication: Digest', 'X-Accept-Authentication: NTLM, Negotiate');
    expect(asked[0]!.credentials.accepts).toEqual(['Digest', 'NTLM, Negotiate']);
  });

  it('[WMSP-212] is Proxy-Authenticate if the request was sent to a proxy', async () => {
    outcome = { kind: 'challenge', challenges: [{ scheme: 'NTLM' }], reason: 'missing' };
    const { status, head } = await ask(
      'GET http://other/live HTTP/1.1',
      'Authorization: Basic YTpi',
      'Proxy-Authorization: NTLM abc',
    );
    expect(status).toBe(407);
    expect(field(head, 'Proxy-Authenticate')).toBe('NTLM');
    expect(asked[0]!.credentials).toMatchObject({ proxied: true, given: { scheme: 'NTLM', token: 'abc' } });
    await ask('Authorization: Basic YTpi', 'Proxy-Authorization: NTLM abc');
    expect(asked[1]!.credentials).toMatchObject({ proxied: false, given: { scheme: 'Basic', token: 'YTpi' } });
  });

  it('[WMSP-214] [WMHTTP-014] follows X-Accept-Proxy-Authentication as a proxy, but not for pushes', async () => {
    const lines = [
      'GET http://other/live HTTP/1.1',
      'X-Accept-Proxy-Authentication: NTLM',
      'X-Accept-Authentication: Digest',
    ];
    await ask(...lines);
    await ask(lines[0]!, lines[2]!);
    how = {};
    await ask(...lines);
    expect(asked.map(({ credentials }) => credentials.accepts)).toEqual([['NTLM'], ['Digest'], ['Digest']]);
  });

  it('comes once for all requests of a connection with the same identity', async () => {
    const peer = await Peer.connect(port);
    peers.push(peer);
    peer.send('GET /1 HTTP/1.1\r\n\r\n');
    await peer.bytes(Number(field(await peer.head(), 'Content-Length')));
    peer.send('GET /2 HTTP/1.1\r\n\r\n');
    await peer.head();
    await ask();
    expect(asked[1]!.credentials.connection).toBe(asked[0]!.credentials.connection);
    expect(asked[2]!.credentials.connection).not.toBe(asked[0]!.credentials.connection);
  });
});
