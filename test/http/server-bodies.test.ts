import { connect } from 'node:net';
import { jest } from '@jest/globals';
import type { Exchange } from '../../src/http/exchange.js';
import { HttpServer, type HttpServerOptions } from '../../src/http/server.js';
import { until } from '../support/until.js';
import { field, Peer, turns } from './peer.js';

let server: HttpServer;
let port: number;
let peers: Peer[] = [];
let targets: string[] = [];
let later = 0;

async function start(onRequest: (exchange: Exchange) => void, options: Partial<HttpServerOptions> = {}) {
  server = new HttpServer({
    onRequest: (exchange) => {
      targets.push(exchange.request.target);
      onRequest(exchange);
    },
    ...options,
  });
  port = await server.listen(0, '127.0.0.1');
}

async function peer(): Promise<Peer> {
  const made = await Peer.connect(port);
  peers.push(made);
  return made;
}

beforeEach(() => {
  targets = [];
  later = 0;
  const { now } = Date;
  jest.spyOn(Date, 'now').mockImplementation(() => now() + later);
});

afterEach(async () => {
  jest.restoreAllMocks();
  for (const each of peers) each.destroy();
  peers = [];
  await server.close(0);
});

const fine = (exchange: Exchange) => exchange.respond({ status: 200, body: Buffer.from('fine') });

describe('an unwanted body', () => {
  it.each([
    ['its length', 'Content-Length: 900000000000000'],
    ['chunks without an end', 'Transfer-Encoding: chunked'],
  ])('ends with the response, however long it is by %s', async (_, framing) => {
    await start(fine);
    const client = await peer();
    client.send(`GET /live HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
    const head = await client.head();
    expect(head).toMatch(/^HTTP\/1\.1 200 /);
    expect(field(head, 'Connection')).toBe('close');
    const drip = setInterval(() => client.send('1'), 20);
    await client.ended();
    clearInterval(drip);
    await until('the server to have no connections', () => server.connections === 0);
  });

  it('is read to its end if it is short, so that the connection stays open', async () => {
    await start(fine);
    const client = await peer();
    client.send('GET /1 HTTP/1.1\r\nContent-Length: 5\r\n\r\n');
    expect(field(await client.head(), 'Connection')).toBe('Keep-Alive');
    await client.bytes(4);
    client.send('GET /GET /2 HTTP/1.1\r\n\r\n');
    expect(await client.head()).toMatch(/^HTTP\/1\.1 200 /);
    expect(targets).toEqual(['/1', '/2']);
  });

  it('does not keep the connection open by arriving byte by byte', async () => {
    await start(fine);
    const client = await peer();
    client.send('GET / HTTP/1.1\r\nContent-Length: 60000\r\n\r\n');
    await client.head();
    for (let time = 8_000; time < 40_000 && server.connections > 0; time += 8_000) {
      later = time;
      client.send('x');
      await turns(20);
    }
    await client.ended();
    await until('the server to have no connections', () => server.connections === 0);
  });

  it('does not save a client that does not read its stream from being cut', async () => {
    const exchanges: Exchange[] = [];
    await start(
      (exchange) => {
        exchanges.push(exchange);
        exchange.startStream(200, [], { chunked: true }).write(Buffer.alloc(16 * 1024 * 1024));
      },
      { stallTimeout: 100 },
    );
    const client = await peer();
    client.socket.pause();
    client.send('GET / HTTP/1.1\r\nContent-Length: 60000\r\n\r\n');
    const drip = setInterval(() => client.send('x'), 20);
    await until('the exchange to be lost', () => exchanges[0]?.lost === true);
    clearInterval(drip);
  });

  it('is cut if it keeps arriving at full speed after the response', async () => {
    await start((exchange) => exchange.respond({ status: 404, close: true }));
    // A client that tolerates that the server has closed its side.
    const client = new Peer(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
    peers.push(client);
    const size = 256 * 1024 * 1024;
    client.send(`PUT / HTTP/1.1\r\nContent-Length: ${size}\r\n\r\n`);
    let taken = 0;
    const piece = Buffer.alloc(65_536);
    const more = () => {
      client.socket.write(piece, (error) => {
        if (error || taken >= size) return;
        taken += piece.length;
        more();
      });
    };
    more();
    expect(await client.head()).toMatch(/^HTTP\/1\.1 404 /);
    await until('the connection to be gone', () => server.connections === 0);
    expect(taken).toBeLessThan(64 * 1024 * 1024);
  });

  it('does not end a stream that is sent meanwhile, but then the connection', async () => {
    let end = () => {};
    await start((exchange) => {
      const stream = exchange.startStream(200, [], { chunked: true });
      stream.write(Buffer.from('data'));
      end = () => stream.end();
    });
    const client = await peer();
    client.send('GET / HTTP/1.1\r\nContent-Length: 900000\r\n\r\n');
    expect(field(await client.head(), 'Connection')).toBe('close');
    later = 60_000;
    client.send('x');
    await turns(20);
    end();
    expect((await client.rest()).toString()).toBe('4\r\ndata\r\n0\r\n\r\n');
  });

  it('leaves the connection open on request, unless the client closes it', async () => {
    await start((exchange) => exchange.respond({ status: 401, keep: true }));
    for (const [version, more, connection] of [
      ['1.1', '', 'Keep-Alive'],
      ['1.0', '', 'Keep-Alive'],
      ['1.0', 'Connection: close\r\n', 'close'],
    ]) {
      const client = await peer();
      client.send(`POST / HTTP/${version}\r\n${more}Content-Length: 2147483647\r\n\r\n`);
      expect(field(await client.head(), 'Connection')).toBe(connection);
    }
  });
});

describe('Expect: 100-continue', () => {
  const ask = 'POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n';

  it('gets permission when the body is wanted', async () => {
    await start((exchange) => {
      void exchange.readBody(10).then((body) => exchange.respond({ status: 200, body }));
    });
    const client = await peer();
    client.send(ask);
    expect(await client.head()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    client.send('hi');
    await client.head();
    expect((await client.bytes(2)).toString()).toBe('hi');
  });

  it('gets only the response otherwise, and nothing that follows is taken for a request', async () => {
    await start((exchange) => exchange.respond({ status: 405 }));
    const client = await peer();
    client.send(ask);
    const head = await client.head();
    expect(head).toMatch(/^HTTP\/1\.1 405 /);
    expect(field(head, 'Connection')).toBe('close');
    client.send('GET /smuggled HTTP/1.1\r\n\r\n');
    await client.ended();
    expect(targets).toEqual(['/']);
  });

  it('gets no permission for a body that is announced as too large', async () => {
    await start((exchange) => void exchange.readBody(1).catch(() => exchange.respond({ status: 413 })));
    const client = await peer();
    client.send(ask);
    expect(await client.head()).toMatch(/^HTTP\/1\.1 413 /);
  });
});

describe('chunked requests', () => {
  const chunked = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n';
  const echo = (exchange: Exchange) => {
    exchange.readBody(1_000_000).then(
      (body) => exchange.respond({ status: 200, body }),
      () => exchange.respond({ status: 413, close: true }),
    );
  };

  it.each([
    ['a bare LF after the size', '1\nx\r\n0\r\n\r\n'],
    ['a bare LF after the data', '1\r\nx\n0\r\n\r\n'],
    ['a bare CR in an extension', '1;a\rb\r\nx\r\n0\r\n\r\n'],
    ['a NUL in an extension', '1;\0\r\nx\r\n0\r\n\r\n'],
    ['a sign', '+1\r\nx\r\n0\r\n\r\n'],
    ['0x', '0x1\r\nx\r\n0\r\n\r\n'],
    ['a no-break space', '1\xa0\r\nx\r\n0\r\n\r\n'],
    ['a size of 13 digits', '1000000000001\r\nx\r\n0\r\n\r\n'],
    ['no size', '\r\nx\r\n0\r\n\r\n'],
    ['data longer than the size', '1\r\nxy\r\n0\r\n\r\n'],
    ['an extension without an end', `1;${'a'.repeat(2_000)}`],
    ['endless extensions', `1;${'a'.repeat(1_000)}\r\nx\r\n`.repeat(20)],
    ['endless trailers', `0\r\n${'A: b\r\n'.repeat(40)}`],
  ])('with %s are refused, and nothing after them is served', async (_, body) => {
    await start(echo);
    const client = await peer();
    client.send(chunked, body, 'GET /smuggled HTTP/1.1\r\n\r\n');
    expect((await client.rest()).toString('latin1')).toMatch(/^HTTP\/1\.1 400 /);
    expect(targets).toEqual(['/']);
  });

  it('may have extensions and trailers', async () => {
    await start(echo);
    const client = await peer();
    client.send(chunked, '1;a=b\r\nx\r\n0;c\r\nTrailer: 1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n');
    expect(await client.head()).toMatch(/^HTTP\/1\.1 200 /);
    expect((await client.bytes(1)).toString()).toBe('x');
    await client.head();
    expect(targets).toEqual(['/', '/2']);
  });
});

describe('HEAD', () => {
  it('gets only the head of a stream', async () => {
    await start((exchange) => {
      const stream = exchange.startStream(200, [['Content-Type', 'x/y']], { chunked: true });
      stream.write(Buffer.from('data'));
      stream.end();
    });
    const client = await peer();
    client.send('HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n');
    const [head, get] = [await client.head(), await client.head()];
    expect(head).toBe(get);
    expect(field(head, 'Content-Length')).toBeUndefined();
    expect((await client.bytes(9)).toString()).toBe('4\r\ndata\r\n');
  });
});
