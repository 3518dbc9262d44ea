import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Exchange } from '../../src/http/exchange.js';
import { HttpServer } from '../../src/http/server.js';
import { renewedTls, testTls } from '../support/tls.js';
import { until } from '../support/until.js';
import { Peer } from './peer.js';

let server: HttpServer;
let port: number;
let exchanges: Exchange[];

beforeEach(async () => {
  exchanges = [];
  server = new HttpServer({
    tls: testTls,
    headTimeout: 2_000,
    onRequest: (exchange) => {
      exchanges.push(exchange);
      exchange.respond({ status: 200 });
    },
  });
  port = await server.listen(0, '127.0.0.1');
});

afterEach(() => server.close(0));

async function secure() {
  const socket = connectTls({ port, host: '127.0.0.1', ca: [testTls.cert, renewedTls.cert] });
  await once(socket, 'secureConnect');
  return { peer: new Peer(socket), name: socket.getPeerCertificate().subject.CN };
}

describe('an HTTP server under TLS', () => {
  it('answers requests, and knows that they are secure', async () => {
    const { peer } = await secure();
    peer.send('GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n');
    expect(await peer.head()).toMatch(/^HTTP\/1.1 200 /);
    expect(await peer.head()).toMatch(/^HTTP\/1.1 200 /);
    expect(exchanges[0]!.secure).toBe(true);
    expect(exchanges[0]!.remoteAddress).toContain('127.0.0.1');
    expect(exchanges[0]!.connection).toBe(exchanges[1]!.connection);
    const other = await secure();
    other.peer.send('GET /3 HTTP/1.1\r\n\r\n');
    await other.peer.head();
    expect(exchanges[2]!.connection).not.toBe(exchanges[0]!.connection);
  });

  it('closes connections that do not speak TLS, and continues', async () => {
    const plain = await Peer.connect(port);
    plain.send('GET / HTTP/1.1\r\n\r\n');
    await plain.ended();
    const { peer } = await secure();
    peer.send('GET / HTTP/1.1\r\n\r\n');
    await peer.head();
  });

  it('closes connections in the middle of their handshake when it closes', async () => {
    const socket = connect({ port, host: '127.0.0.1' });
    await once(socket, 'connect');
    const other = await secure();
    await until('the server to have one connection', () => server.connections === 1);
    socket.on('error', () => {});
    const gone = once(socket, 'close');
    await server.close(50);
    await gone;
    await other.peer.ended();
  });

  it('uses a renewed certificate for new connections, and keeps it if the next one is bad', async () => {
    expect((await secure()).name).toBe('localhost');
    server.renewTls(renewedTls);
    expect((await secure()).name).toBe('renewed');
    expect(() => server.renewTls({ key: testTls.key, cert: renewedTls.cert })).toThrow(
      expect.objectContaining({ code: 'WM_CONFIG' }),
    );
    expect((await secure()).name).toBe('renewed');
  });

  it('does not start with a bad certificate', () => {
    const make = () => new HttpServer({ tls: { key: 'x', cert: testTls.cert }, onRequest: () => {} });
    expect(make).toThrow(expect.objectContaining({ code: 'WM_CONFIG' }));
  });
});
