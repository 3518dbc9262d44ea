import { connect, type Server } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { HttpChallenge } from '../../src/http/authenticator.js';
import type { HttpClient } from '../../src/http/client.js';
import { takeCredentials } from '../../src/http/credentials.js';
import { connectRoute, type Route, type RouteOptions } from '../../src/http/tunnel.js';
import { renewedTls, testTls } from '../support/tls.js';
import { field, Peer, PeerServer } from './peer.js';

let server: Server;
let port: number;
let proxy: PeerServer;
let names: Array<string | false | null>;
const closing: Array<() => void> = [];

beforeEach(async () => {
  names = [];
  server = createServer({ ...testTls, ALPNProtocols: ['http/1.1'] }, (socket: TLSSocket) => {
    names.push(socket.servername ?? null, socket.alpnProtocol);
    closing.push(() => socket.destroy());
    const peer = new Peer(socket);
    void peer.head().then(
      (head) => peer.send(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Line: ${head.split('\r\n')[0]}\r\n\r\nhi`),
      () => {},
    );
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  port = typeof address === 'object' && address ? address.port : 0;
  proxy = await PeerServer.listen();
});

afterEach(async () => {
  for (const close of closing.splice(0)) close();
  await proxy.close();
  await new Promise((resolve) => server.close(resolve));
});

async function open(route: Route, options: RouteOptions = {}): Promise<HttpClient> {
  const client = await connectRoute(route, { timeout: 30_000, ...options });
  closing.push(() => client.destroy());
  return client;
}

/** Sends a request and returns its first line as the server saw it. */
async function ask(client: HttpClient): Promise<string | undefined> {
  client.send('GET', '/x', [['Host', 'h']]);
  const { head, body } = await client.response(1_000);
  expect(body.toString()).toBe('hi');
  return head.headers.get('X-Line');
}

const here = (tls: Route['server']['tls']) => ({ host: '127.0.0.1', port, tls });
const viaProxy = () => ({ host: '127.0.0.1', port: proxy.port });

/** Connects a proxy's client, after its CONNECT, to the server. */
function join(peer: Peer, answer: string) {
  const socket = connect({ host: '127.0.0.1', port });
  closing.push(() => socket.destroy());
  socket.on('error', () => {});
  peer.send(answer);
  peer.socket.removeAllListeners('data');
  peer.socket.pipe(socket).pipe(peer.socket);
}

describe('TLS', () => {
  it('trusts a certificate that it was given, and speaks HTTP/1.1', async () => {
    expect(await ask(await open({ server: here({ ca: testTls.cert }) }))).toBe('GET /x HTTP/1.1');
    expect(names[1]).toBe('http/1.1');
  });

  it('trusts any certificate if told to', async () => {
    expect(await ask(await open({ server: here({ insecure: true }) }))).toBe('GET /x HTTP/1.1');
  });

  it.each([
    ['another certificate', { ca: renewedTls.cert }],
    ['none', {}],
  ])('trusts no other certificate, given %s', async (_, tls) => {
    await expect(open({ server: here(tls) })).rejects.toMatchObject({
      code: 'WM_TLS',
      message: `127.0.0.1:${port} cannot be trusted: its certificate is signed by itself.`,
    });
  });

  it('says that a certificate is for another name', async () => {
    // Connected to under another name than it is asked for, as with a tunnel.
    const opening = open({ server: { host: 'other.invalid', port, tls: { ca: testTls.cert } }, proxy: viaProxy() });
    const peer = await proxy.accept();
    await peer.head();
    join(peer, 'HTTP/1.1 200 OK\r\n\r\n');
    await expect(opening).rejects.toMatchObject({
      code: 'WM_TLS',
      message: `other.invalid:${port} cannot be trusted: its certificate is for another name.`,
    });
  });

  it('says that a server speaks something else, or nothing', async () => {
    const plain = open({ server: { ...viaProxy(), tls: {} } });
    (await proxy.accept()).send('HTTP/1.1 400 Bad Request\r\n\r\n');
    await expect(plain).rejects.toMatchObject({ code: 'WM_TLS', message: expect.stringContaining('is not TLS') });
    const silent = open({ server: { ...viaProxy(), tls: {} } }, { timeout: 30 });
    await expect(silent).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
    const closed = open({ server: { ...viaProxy(), tls: {} } });
    const peers = [await proxy.accept(), await proxy.accept()];
    for (const peer of peers) peer.destroy();
    await expect(closed).rejects.toMatchObject({ code: 'WM_SERVER_GONE' });
  });

  it('reports a trusted certificate that is not one', async () => {
    await expect(open({ server: here({ ca: 'nonsense' }) })).rejects.toMatchObject({ code: 'WM_TLS' });
  });
});

describe('a proxy on the way to a server that speaks TLS', () => {
  it('is asked to connect, and then only forwards', async () => {
    const opening = open({ server: here({ ca: testTls.cert }), proxy: viaProxy() }, { userAgent: 'WMEncoder/12.0' });
    const peer = await proxy.accept();
    const head = await peer.head();
    expect(head).toBe(
      `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: WMEncoder/12.0\r\n\r\n`,
    );
    join(peer, 'HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n');
    expect(await ask(await opening)).toBe('GET /x HTTP/1.1');
  });

  it('gets its credentials on a new connection if it closed the old one silently', async () => {
    const authorize = { schemes: [], answer: () => ['Proxy-Authorization', 'Basic x'] as const };
    const opening = open({ server: here({ ca: testTls.cert }), proxy: viaProxy() }, { authorize });
    const first = await proxy.accept();
    await first.head();
    first.send('HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n');
    await first.head();
    first.destroy();
    const second = await proxy.accept();
    expect(field(await second.head(), 'Proxy-Authorization')).toBe('Basic x');
    join(second, 'HTTP/1.1 200 OK\r\n\r\n');
    expect(await ask(await opening)).toBe('GET /x HTTP/1.1');
  });

  it('gets its credentials, on another connection if it closes the first', async () => {
    const challenges: HttpChallenge[] = [];
    const authorize = {
      schemes: [],
      answer: (challenge: HttpChallenge) => {
        challenges.push(challenge);
        return ['Proxy-Authorization', `Basic ${challenges.length}`] as const;
      },
    };
    const opening = open({ server: here({ ca: testTls.cert }), proxy: viaProxy() }, { authorize });
    const first = await proxy.accept();
    expect(field(await first.head(), 'Proxy-Authorization')).toBeUndefined();
    first.send('HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno');
    expect(field(await first.head(), 'Proxy-Authorization')).toBe('Basic 1');
    first.send('HTTP/1.1 407 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    const second = await proxy.accept();
    expect(field(await second.head(), 'Proxy-Authorization')).toBe('Basic 2');
    join(second, 'HTTP/1.0 200 OK\r\n\r\n');
    await ask(await opening);
    expect(challenges[0]).toMatchObject({ status: 407, method: 'CONNECT', target: `127.0.0.1:${port}` });
  });

  it.each([
    ['407 Proxy Authentication Required', 'WM_AUTH_REFUSED'],
    ['403 Forbidden', 'WM_AUTH_REFUSED'],
    ['502 Bad Gateway', 'WM_UNREACHABLE'],
  ])('may refuse: %s', async (status, code) => {
    const opening = open({ server: here({ insecure: true }), proxy: viaProxy() });
    const peer = await proxy.accept();
    await peer.head();
    peer.send(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`);
    const message = `The proxy 127.0.0.1:${proxy.port} does not connect to 127.0.0.1:${port}: ${status}.`;
    await expect(opening).rejects.toMatchObject({ code, message });
    await peer.ended();
  });

  it('does not ask for a tunnel to a server that speaks plain HTTP', async () => {
    const client = await open({ server: { host: 'nowhere.invalid', port: 80 }, proxy: viaProxy() });
    client.send('GET', 'http://nowhere.invalid/', []);
    expect(await (await proxy.accept()).head()).toMatch(/^GET http:\/\/nowhere.invalid\/ /);
  });
});

describe('credentials in a URL', () => {
  it.each([
    ['http://host/x', 'http://host/x', undefined],
    ['http://me:pw@host:1/x', 'http://host:1/x', { user: 'me', password: 'pw' }],
    ['https://dom%5Cme:p%40%3Aw@host', 'https://host', { user: 'dom\\me', password: 'p@:w' }],
    ['http://me@host', 'http://host', { user: 'me', password: '' }],
    ['http://a@b:c@host/', 'http://host/', { user: 'a@b', password: 'c' }],
    ['http://me:50%@host', 'http://host', { user: 'me', password: '50%' }],
    ['http://@host', 'http://host', undefined],
    ['http://host/a@b', 'http://host/a@b', undefined],
    ['me:pw@host', 'me:pw@host', undefined],
  ])('are taken out of %s', (text, url, credentials) => {
    expect(takeCredentials(text)).toEqual({ url, credentials });
  });
});
