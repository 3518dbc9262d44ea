import { ClientAuthenticator, type HttpAuthenticator } from '../../src/auth/client.js';
import { HttpServer } from '../../src/http/server.js';
import { testTls } from '../support/tls.js';
import {
  CLIENT_ID,
  COUGAR,
  dataPackets,
  described,
  ENTRY,
  head,
  media,
  ordinary,
  packets,
  playing,
  type Reply,
  receive,
  type Script,
  ScriptedServer,
} from './client-support.js';
import { Station } from './station.js';

let servers: ScriptedServer[] = [];
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

async function serve(script: Script): Promise<ScriptedServer> {
  const server = await ScriptedServer.listen(script);
  servers.push(server);
  return server;
}

const USER = { user: 'ann', password: 'geheim' };
const DIGEST = 'WWW-Authenticate: Digest realm="r", nonce="n1", qop="auth", algorithm=MD5';
const SENT = media(5);

function refuse(reply: Reply, ...challenges: string[]): void {
  reply.send(head('HTTP/1.0 401 No', COUGAR, ...challenges, 'Connection: Keep-Alive', 'Content-Length: 0'));
}

/** A session for clients with credentials. */
function guarded(...challenges: string[]): Script {
  const session = ordinary((reply) => {
    reply.send(playing(COUGAR, CLIENT_ID), ENTRY, dataPackets(SENT), packets.E(0)).end();
  });
  return (request, reply) => {
    if (request.field('Authorization') === undefined) refuse(reply, ...challenges);
    else session(request, reply);
  };
}

describe('credentials', () => {
  it('[WMSP-176] are sent with every request, also on separate connections, once they were required', async () => {
    const server = await serve(guarded('WWW-Authenticate: Basic realm="r"'));
    const authorize = new ClientAuthenticator({ server: USER, basicInClear: true });
    expect((await receive({ url: server.url(), authorize })).shape).toBe('H 5 E0');
    expect(server.requests.map(({ type, field }) => [type, field('Authorization')])).toEqual([
      ['Describe', undefined],
      ['Describe', 'Basic YW5uOmdlaGVpbQ=='],
      ['Play', 'Basic YW5uOmdlaGVpbQ=='],
      ['Log', 'Basic YW5uOmdlaGVpbQ=='],
    ]);
    expect(server.requests[1]!.connection).toBe(0);
  });

  it('of Digest are computed for each request', async () => {
    const server = await serve(guarded(DIGEST));
    const authorize = new ClientAuthenticator({ server: USER });
    expect((await receive({ url: server.url('/x?y=1'), authorize })).shape).toBe('H 5 E0');
    const answers = server.requests.slice(1).map(({ field }) => field('Authorization')!);
    expect(answers.map((answer) => /\bnc="?(\d+)/.exec(answer)![1])).toEqual(['00000001', '00000002', '00000003']);
    for (const answer of answers) expect(answer).toContain('uri="/x?y=1"');
    expect(new Set(answers.map((answer) => /response="(\w+)"/.exec(answer)![1])).size).toBe(3);
  });

  it('are added to a Log that was refused, which is sent again', async () => {
    const server = await serve((request, reply) => {
      if (request.type === 'Log' && request.field('Authorization') === undefined) refuse(reply, DIGEST);
      else if (request.type === 'Describe') reply.send(described(ENTRY, COUGAR, CLIENT_ID)).end();
      else if (request.type === 'Play') reply.send(playing(COUGAR, CLIENT_ID), ENTRY, packets.E(0)).end();
      else reply.send(head('HTTP/1.0 200 OK', COUGAR, 'Content-Length: 0')).end();
    });
    const notes: string[] = [];
    const authorize = new ClientAuthenticator({ server: USER });
    await receive({ url: server.url(), authorize, onNote: (text) => notes.push(text) });
    expect(server.of('Log')).toHaveLength(2);
    expect(server.of('Log')[1]!.connection).toBe(server.of('Log')[0]!.connection);
    expect(notes).toEqual([]);
  });

  it('are not sent to a server that the first one redirects to', async () => {
    const other = await serve((_request, reply) => refuse(reply, 'WWW-Authenticate: Basic realm="r"'));
    const first = await serve((request, reply) => {
      if (request.field('Authorization') === undefined) refuse(reply, 'WWW-Authenticate: Basic realm="r"');
      else reply.send(head('HTTP/1.0 302 Elsewhere', COUGAR, `Location: ${other.url()}`, 'Content-Length: 0')).end();
    });
    const authorize = new ClientAuthenticator({ server: USER, basicInClear: true });
    const simple: HttpAuthenticator = { schemes: [], answer: () => ['Authorization', 'Basic YW5uOmdlaGVpbQ=='] };
    for (const each of [authorize, simple]) {
      const { error } = await receive({ url: first.url(), authorize: each });
      expect(error).toMatchObject({ code: 'WM_AUTH_REFUSED' });
    }
    expect(other.requests).toHaveLength(2);
    for (const { field } of other.requests) expect(field('Authorization')).toBeUndefined();
  });

  it('are given up if they are refused', async () => {
    const server = await serve((_request, reply) => refuse(reply, DIGEST));
    const { error } = await receive({ url: server.url(), authorize: new ClientAuthenticator({ server: USER }) });
    expect(error).toMatchObject({ code: 'WM_AUTH_REFUSED' });
    expect(server.requests).toHaveLength(2);
  });

  it('[WMSP-172] of NTLM keep the connection open, with HTTP/1.0 too', async () => {
    const server = await serve(guarded('WWW-Authenticate: NTLM'));
    const authorize: HttpAuthenticator = { schemes: ['NTLM'], answer: () => ['Authorization', 'NTLM TlRM'] };
    await receive({ url: server.url(), authorize });
    const withThem = server.requests.filter(({ field }) => field('Authorization') !== undefined);
    expect(withThem.map(({ type }) => type)).toEqual(['Describe', 'Play', 'Log']);
    for (const { line, fields } of withThem) {
      expect(line).toMatch(/HTTP\/1\.0$/);
      expect(fields.filter(([name]) => name === 'Connection')).toEqual([['Connection', 'Keep-Alive']]);
    }
  });
});

describe('https://', () => {
  let station: Station;
  let tls: HttpServer;
  let url: string;
  beforeEach(async () => {
    station = await Station.open();
    tls = new HttpServer({ tls: testTls, onRequest: (exchange) => void station.server.handle(exchange) });
    url = `https://localhost:${await tls.listen(0, '127.0.0.1')}/live`;
    station.key();
  });
  afterEach(async () => {
    await tls.close(100);
    await station.close();
  });

  it('is received over TLS', async () => {
    const { shape, error, client } = await receive({ url, tls: { ca: testTls.cert } }, ({ type }) => {
      if (type === 'packet') station.end();
    });
    expect(error).toBeUndefined();
    expect(shape).toBe('H 1 E0');
    expect(client.description!.url).toBe(url);
  });

  it('is not received from an untrusted server', async () => {
    const { error } = await receive({ url });
    expect(error).toMatchObject({ code: 'WM_TLS' });
    expect(
      (await receive({ url, tls: { insecure: true } }, (_event, client) => void client.close())).error,
    ).toBeUndefined();
  });
});
