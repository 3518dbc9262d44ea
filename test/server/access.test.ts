import type { AuthOutcome, AuthRequest, Scheme } from '../../src/auth/exchange.js';
import { HttpServer } from '../../src/http/server.js';
import { AccessControl, type AccessRule, type Purpose, ruleOf } from '../../src/server/access.js';
import { field, Peer } from '../http/peer.js';

let server: HttpServer;
let port: number;
let peers: Peer[];
let asked: AuthRequest[];
let warnings: string[];
let rule: AccessRule;
let purpose: Purpose;
let outcome: AuthOutcome;
let options: { users?: boolean; basicWithoutTls?: boolean; schemes?: Scheme[] };

const CHALLENGE: AuthOutcome = {
  kind: 'challenge',
  fields: [['WWW-Authenticate', 'Digest realm="x"']],
  reason: 'missing',
};
const accepted = (name: string, ...groups: string[]): AuthOutcome => ({
  kind: 'accepted',
  user: { name, groups },
  fields: [['Authentication-Info', 'nextnonce="1"']],
});

beforeEach(async () => {
  peers = [];
  asked = [];
  warnings = [];
  rule = {};
  purpose = 'play';
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
        origin: options.users === false ? undefined : authenticator,
        proxy: options.users === false ? undefined : authenticator,
        schemes: options.schemes ?? ['negotiate', 'ntlm', 'digest', 'basic'],
        basicWithoutTls: options.basicWithoutTls ?? false,
        onWarning: (message) => warnings.push(message),
      });
      void Promise.resolve(control.check(exchange, ruleOf(rule), purpose)).then((access) => {
        const { fields } = access;
        if (access.granted) exchange.respond({ status: 200, fields: [...fields, ['X-User', access.user ?? '-']] });
        else exchange.respond({ status: access.status, fields, body: Buffer.from(access.message) });
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

// As if this host were another one.
const ELSEWHERE = 'X-Forwarded-For: 198.51.100.7';

describe('access', () => {
  it('is for everybody without a rule, and nobody is asked', async () => {
    expect((await ask()).status).toBe(200);
    expect((await ask(ELSEWHERE)).status).toBe(200);
    expect(asked).toHaveLength(0);
  });

  it('is for some addresses', async () => {
    rule = { addresses: ['192.0.2.0/24'] };
    expect((await ask()).status).toBe(403);
    rule = { addresses: ['192.0.2.0/24', 'loopback'] };
    expect((await ask()).status).toBe(200);
    expect(asked).toHaveLength(0);
  });

  it('is for users and groups that are named', async () => {
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

  it('asks nobody at trusted addresses', async () => {
    rule = { users: ['anna'], trusted: ['loopback'] };
    expect((await ask()).status).toBe(200);
    expect(asked).toHaveLength(0);
    rule = { users: ['anna'], trusted: ['192.0.2.1'] };
    expect((await ask()).status).toBe(401);
  });

  it('takes nobody for local whom a proxy on this host brings from elsewhere', async () => {
    rule = { users: ['anna'], trusted: ['loopback'] };
    expect((await ask(ELSEWHERE)).status).toBe(401);
    expect((await ask('X-Forwarded-For: 127.0.0.1, 198.51.100.7')).status).toBe(401);
    expect((await ask('Forwarded: for=127.0.0.1')).status).toBe(401);
    expect((await ask('X-Real-IP: 198.51.100.7')).status).toBe(401);
    expect((await ask('X-Forwarded-For: 127.0.0.1')).status).toBe(200);
    expect((await ask('Via: 1.1 proxy')).status).toBe(200);
  });

  it('is for nobody who would have to be asked when no users are known', async () => {
    options = { users: false };
    rule = { users: ['*'] };
    expect((await ask()).status).toBe(403);
  });

  it('tells of wrong passwords, and of nothing else', async () => {
    rule = { users: ['*'] };
    await ask();
    expect(warnings).toEqual([]);
    outcome = { ...CHALLENGE, reason: 'refused' };
    await ask('Authorization: Basic YTpi');
    expect(warnings).toEqual(['127.0.0.1 gave a wrong user name or password.']);
  });

  it('says when to try again to those who failed too often', async () => {
    rule = { users: ['*'] };
    outcome = { kind: 'blocked', retryAfter: 17 };
    const { status, head } = await ask();
    expect(status).toBe(429);
    expect(field(head, 'Retry-After')).toBe('17');
  });
});

describe('what clients are asked for', () => {
  beforeEach(() => {
    rule = { users: ['*'] };
  });

  it('is everything on this host, and no Basic elsewhere without TLS', async () => {
    await ask();
    await ask(ELSEWHERE);
    options = { basicWithoutTls: true };
    await ask(ELSEWHERE);
    const all = ['negotiate', 'ntlm', 'digest', 'basic'];
    expect(asked.map(({ schemes }) => schemes)).toEqual([all, ['negotiate', 'ntlm', 'digest'], all]);
  });

  it('is nothing that authenticates connections behind a proxy, where they may be shared', async () => {
    await ask('Via: 1.1 proxy');
    expect(asked[0]!.schemes).toEqual(['digest', 'basic']);
    options = { schemes: ['negotiate', 'ntlm'] };
    await ask('Via: 1.1 proxy');
    expect(asked[1]!.schemes).toEqual(['negotiate', 'ntlm']);
  });

  it('[WMHTTP-096] [WMHTTP-001] is not NTLM for a PushStart', async () => {
    purpose = 'pushStart';
    await ask(ELSEWHERE);
    expect(asked[0]!.schemes).toEqual(['digest']);
  });

  it('follows X-Accept-Authentication', async () => {
    await ask('X-Accept-Authentication: Digest', 'X-Accept-Authentication: NTLM, Negotiate');
    expect(asked[0]!.accepts).toEqual(['Digest', 'NTLM, Negotiate']);
  });

  it('[WMSP-212] is Proxy-Authorization when it was sent to a proxy', async () => {
    outcome = { kind: 'challenge', fields: [['Proxy-Authenticate', 'NTLM']], reason: 'missing' };
    const { status } = await ask(
      'GET http://other/live HTTP/1.1',
      'Authorization: Basic YTpi',
      'Proxy-Authorization: NTLM abc',
    );
    expect(status).toBe(407);
    expect(asked[0]!.authorization).toBe('NTLM abc');
    await ask('Authorization: Basic YTpi', 'Proxy-Authorization: NTLM abc');
    expect(asked[1]!.authorization).toBe('Basic YTpi');
  });

  it('[WMSP-214] [WMHTTP-014] follows X-Accept-Proxy-Authentication as a proxy, but not for pushes', async () => {
    const lines = [
      'GET http://other/live HTTP/1.1',
      'X-Accept-Proxy-Authentication: NTLM',
      'X-Accept-Authentication: Digest',
    ];
    await ask(...lines);
    await ask(lines[0]!, lines[2]!);
    purpose = 'push';
    await ask(...lines);
    expect(asked.map(({ accepts }) => accepts)).toEqual([['NTLM'], ['Digest'], ['Digest']]);
  });

  it('is asked once for all requests of a connection with the same identity', async () => {
    const peer = await Peer.connect(port);
    peers.push(peer);
    peer.send('GET /1 HTTP/1.1\r\n\r\n');
    await peer.bytes(Number(field(await peer.head(), 'Content-Length')));
    peer.send('GET /2 HTTP/1.1\r\n\r\n');
    await peer.head();
    await ask();
    expect(asked[1]!.connection).toBe(asked[0]!.connection);
    expect(asked[2]!.connection).not.toBe(asked[0]!.connection);
  });
});
