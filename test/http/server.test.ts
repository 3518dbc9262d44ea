import { once } from 'node:events';
import { connect } from 'node:net';
import { jest } from '@jest/globals';
import type { Exchange, ResponseStream } from '../../src/http/exchange.js';
import { HttpServer, type HttpServerOptions } from '../../src/http/server.js';
import { until } from '../support/until.js';
import { field, Peer, pour, settled, turns } from './peer.js';

let server: HttpServer;
let port: number;
let peers: Peer[] = [];

async function start(onRequest: (exchange: Exchange) => void, options: Partial<HttpServerOptions> = {}) {
  server = new HttpServer({ onRequest, ...options });
  port = await server.listen(0, '127.0.0.1');
}

async function peer(): Promise<Peer> {
  const made = await Peer.connect(port);
  peers.push(made);
  return made;
}

afterEach(async () => {
  for (const each of peers) each.destroy();
  peers = [];
  await server.close(0);
});

const echo = (exchange: Exchange) => {
  exchange.readBody(100).then(
    (body) =>
      exchange.respond({ status: 200, body: Buffer.concat([Buffer.from(`${exchange.request.target} `), body]) }),
    () => exchange.respond({ status: 413, close: true }),
  );
};

async function answer(client: Peer): Promise<string> {
  const head = await client.head();
  return (await client.bytes(Number(field(head, 'Content-Length')))).toString();
}

describe('HttpServer', () => {
  it('answers simultaneous requests in order', async () => {
    await start(echo);
    const client = await peer();
    client.send(
      'POST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc',
      'GET /2 HTTP/1.1\r\n\r\n',
      'POST /3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n',
      '\r\n\r\nGET /4 HTTP/1.0\r\n\r\n',
    );
    expect(await answer(client)).toBe('/1 abc');
    expect(await answer(client)).toBe('/2 ');
    expect(await answer(client)).toBe('/3 def');
    expect(await answer(client)).toBe('/4 ');
    await client.ended();
  });

  it('refuses a body that is announced as too large before it arrives', async () => {
    await start(echo);
    const client = await peer();
    client.send('POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n');
    expect(await client.head()).toMatch(/^HTTP\/1.1 413 /);
  });

  it('reads a head and a body that are split at every byte', async () => {
    await start(echo);
    const client = await peer();
    const request = Buffer.from('POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi');
    for (let at = 1; at < request.length; at++) {
      client.send(request.subarray(0, at));
      await turns(2);
      client.send(request.subarray(at));
      expect(await answer(client)).toBe('/x hi');
    }
    for (const byte of request) {
      client.send(Buffer.from([byte]));
      await turns(1);
    }
    expect(await answer(client)).toBe('/x hi');
  });

  it('queues responses while an earlier one is streaming', async () => {
    const streams: ResponseStream[] = [];
    await start((exchange) => {
      if (exchange.request.target === '/live') streams.push(exchange.startStream(200, [], { chunked: true }));
      else exchange.respond({ status: 204, fields: [['X-Target', exchange.request.target]] });
    });
    const client = await peer();
    client.send('GET /live HTTP/1.1\r\n\r\n');
    expect(field(await client.head(), 'Transfer-Encoding')).toBe('chunked');
    client.send('POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx', 'POST /b HTTP/1.1\r\n\r\n');
    await turns();
    streams[0]!.write(Buffer.from('data'));
    expect((await client.bytes(9)).toString()).toBe('4\r\ndata\r\n');
    streams[0]!.end();
    expect((await client.bytes(5)).toString()).toBe('0\r\n\r\n');
    expect(field(await client.head(), 'X-Target')).toBe('/a');
    expect(field(await client.head(), 'X-Target')).toBe('/b');
  });

  it('lets a body wait until it is wanted, then delivers all of it', async () => {
    const exchanges: Exchange[] = [];
    await start((exchange) => exchanges.push(exchange));
    const client = await peer();
    const size = 32 * 1024 * 1024;
    client.send(`POST / HTTP/1.1\r\nContent-Length: ${size}\r\n\r\n`);
    const taken = pour(client, size);
    await until('the request', () => exchanges.length === 1);
    expect(await settled(taken)).toBeLessThan(size);
    expect((await exchanges[0]!.readBody(size)).length).toBe(size);
    exchanges[0]!.respond({ status: 204 });
    expect(await client.head()).toContain('204 No Content');
  });

  it('reports the end of an empty body even to a late receiver', async () => {
    const exchanges: Exchange[] = [];
    await start((exchange) => exchanges.push(exchange));
    const client = await peer();
    client.send('POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n');
    await until('the request', () => exchanges.length === 1);
    await turns();
    const ended = new Promise<string>((resolve) => {
      exchanges[0]!.receive({ data: () => {}, end: () => resolve('end'), aborted: () => resolve('aborted') }, 1000);
    });
    expect(await ended).toBe('end');
  });

  it('reports a body that was cut, early or late', async () => {
    const exchanges: Exchange[] = [];
    await start((exchange) => exchanges.push(exchange));
    const client = await peer();
    client.send('POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc');
    await until('the request', () => exchanges.length === 1);
    client.destroy();
    await until('the server to have no connections', () => server.connections === 0);
    await expect(exchanges[0]!.readBody(100)).rejects.toMatchObject({ status: 400 });
  });

  it('cuts a client that does not read its stream, but not one whose stream is idle', async () => {
    const streams = new Map<string, ResponseStream>();
    const exchanges = new Map<string, Exchange>();
    await start(
      (exchange) => {
        exchanges.set(exchange.request.target, exchange);
        streams.set(exchange.request.target, exchange.startStream(200, [], { chunked: true }));
      },
      { stallTimeout: 100 },
    );
    const [stalled, idle] = [await peer(), await peer()];
    stalled.socket.pause();
    stalled.send('GET /stalled HTTP/1.1\r\n\r\n');
    idle.send('GET /idle HTTP/1.1\r\n\r\n');
    await until('two streams', () => streams.size === 2);
    streams.get('/stalled')!.write(Buffer.alloc(16 * 1024 * 1024));
    await until('the stalled connection to be lost', () => exchanges.get('/stalled')!.lost);
    expect(exchanges.get('/idle')!.lost).toBe(false);
    streams.get('/idle')!.write(Buffer.from('data'));
    await idle.head();
    expect((await idle.bytes(9)).toString()).toBe('4\r\ndata\r\n');
  });

  it('stops reading while the body is paused', async () => {
    let received = 0;
    let exchange: Exchange | undefined;
    await start((incoming) => {
      exchange = incoming;
      const data = (chunk: Buffer) => {
        received += chunk.length;
      };
      incoming.receive({ data, end: () => incoming.respond({ status: 204 }), aborted: () => {} }, 60_000);
      incoming.pauseBody();
    });
    const client = await peer();
    const size = 16 * 1024 * 1024;
    client.send(`POST / HTTP/1.1\r\nContent-Length: ${size}\r\n\r\n`, Buffer.alloc(size));
    await until('the request', () => exchange !== undefined);
    await turns(50);
    expect(received).toBeLessThan(1024 * 1024);
    exchange!.resumeBody();
    expect(await client.head()).toContain('204');
    expect(received).toBe(size);
  });

  it('lets the client read a refusal in the middle of its body', async () => {
    await start((exchange) => exchange.respond({ status: 409, close: true }));
    const client = await peer();
    client.send('POST / HTTP/1.1\r\nContent-Length: 2147483647\r\n\r\n');
    for (let count = 0; count < 50; count++) client.send(Buffer.alloc(8192));
    const head = await client.head();
    expect(head).toMatch(/^HTTP\/1.1 409 Conflict\r\n/);
    expect(field(head, 'Connection')).toBe('close');
    await client.ended();
  });

  it('closes the connection of an exchange only if no later request came over it', async () => {
    const exchanges: Exchange[] = [];
    await start((exchange) => {
      exchanges.push(exchange);
      exchange.respond({ status: 204 });
    });
    const client = await peer();
    client.send('GET /1 HTTP/1.1\r\n\r\n');
    await client.head();
    client.send('GET /2 HTTP/1.1\r\n\r\n');
    await client.head();
    exchanges[0]!.closeConnection();
    client.send('GET /3 HTTP/1.1\r\n\r\n');
    await client.head();
    exchanges[2]!.closeConnection();
    await client.ended();
  });

  it.each([
    ['two lengths', 'POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n', 400],
    ['length and chunked', 'POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['a blank before the colon', 'POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n', 400],
    ['chunked in HTTP/1.0', 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['another coding', 'POST / HTTP/1.1\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n', 501],
    ['a malformed chunk', 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 400],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\n\n', 400],
    ['another major version', 'GET / HTTP/2.0\r\n\r\n', 505],
  ])('refuses %s, and serves nothing after it', async (_what, bytes, status) => {
    const targets: string[] = [];
    await start((exchange) => {
      targets.push(exchange.request.target);
      echo(exchange);
    });
    const client = await peer();
    client.send(bytes, 'GET /smuggled HTTP/1.1\r\n\r\n');
    const all = (await client.rest()).toString('latin1');
    expect(all.startsWith(`HTTP/1.1 ${status} `) || all.startsWith(`HTTP/1.0 ${status} `)).toBe(true);
    expect(targets).not.toContain('/smuggled');
  });

  it('refuses a head larger than 16 KiB with 431, whole or growing', async () => {
    await start(echo);
    for (const end of ['\r\n\r\n', '']) {
      const client = await peer();
      client.send(`GET / HTTP/1.1\r\nX: ${'a'.repeat(17_000)}${end}`);
      expect(await client.head()).toMatch(/^HTTP\/1.1 431 /);
      await client.ended();
    }
  });

  it.each([
    ['a TLS hello', Buffer.from('16030100c8010000c40303', 'hex')],
    ['MMS over TCP', Buffer.from('01000000cefa0bb0', 'hex')],
  ])('closes at once when %s comes', async (_, bytes) => {
    await start(echo);
    const client = await peer();
    client.send(bytes);
    expect(await client.head()).toMatch(/^HTTP\/1.1 400 /);
    await client.ended();
  });

  it('answers 408 to a head that drips', async () => {
    await start(echo, { headTimeout: 50 });
    const client = await peer();
    client.send('GET / HTT');
    const drip = setInterval(() => client.send('P'), 20);
    expect(await client.head()).toMatch(/^HTTP\/1.1 408 /);
    clearInterval(drip);
    await client.ended();
  });

  it('answers 408 to a small body that drips', async () => {
    const read: Exchange[] = [];
    await start((exchange) => {
      read.push(exchange);
      echo(exchange);
    });
    const { now } = Date;
    let later = 0;
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => now() + later);
    try {
      const client = await peer();
      client.send('POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\na');
      await until('the first piece of the body', () => read.length === 1);
      later = 20_000;
      client.send('b');
      await turns(20);
      later = 31_000;
      client.send('c');
      expect(await client.head()).toMatch(/^HTTP\/1.1 408 /);
    } finally {
      clock.mockRestore();
    }
  });

  it('closes silent connections, and answers 408 to a body that stops', async () => {
    await start((exchange) => exchange.receive({ data: () => {}, end: () => {}, aborted: () => {} }, 50), {
      headTimeout: 50,
    });
    const silent = await peer();
    const stalled = await peer();
    stalled.send('POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab');
    expect(await stalled.head()).toMatch(/^HTTP\/1.1 408 /);
    await silent.ended();
  });

  it('stops reading requests of a client that does not read its responses', async () => {
    let handled = 0;
    const body = Buffer.alloc(64 * 1024);
    await start((exchange) => {
      handled++;
      exchange.respond({ status: 200, body });
    });
    const client = await peer();
    client.socket.pause();
    const requests = 2_000;
    client.send('GET / HTTP/1.1\r\n\r\n'.repeat(requests));
    let before = -1;
    while (handled === 0 || before !== handled) {
      before = handled;
      await turns(50);
    }
    // The system's own buffers for the connection come on top of the server's.
    expect(handled).toBeLessThan(requests / 2);
    let received = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk) => {
      received += chunk.length;
    });
    client.socket.resume();
    await until('all answers', () => received > requests * body.length);
    expect(handled).toBe(requests);
  });

  it('closes if a request after a stream contradicts itself about its body, without an internal error', async () => {
    const errors: unknown[] = [];
    const streams: ResponseStream[] = [];
    const onRequest = (exchange: Exchange) => void streams.push(exchange.startStream(200, [], { chunked: true }));
    await start(onRequest, { onError: (error) => errors.push(error) });
    const client = await peer();
    client.send('GET /live HTTP/1.1\r\n\r\n');
    await client.head();
    client.send('POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n');
    await turns(3);
    client.send('x');
    await client.ended();
    expect(errors).toEqual([]);
    expect(streams).toHaveLength(1);
  });

  it('answers 500 if a response cannot be sent', async () => {
    await start((exchange) => exchange.respond({ status: 302, fields: [['Location', 'http://\u65e5/']] }));
    const client = await peer();
    client.send('GET / HTTP/1.1\r\n\r\n');
    expect(await client.head()).toMatch(/^HTTP\/1\.1 500 /);
  });

  it('answers 500 if a handler throws', async () => {
    const errors: unknown[] = [];
    await start(
      () => {
        throw new Error('a fault');
      },
      { onError: (error) => errors.push(error) },
    );
    const client = await peer();
    client.send('GET / HTTP/1.1\r\n\r\n');
    expect(await client.head()).toMatch(/^HTTP\/1.1 500 /);
    expect(errors).toHaveLength(1);
  });

  it('forgets the head of a request whose stream asks for that, and no other', async () => {
    const exchanges: Exchange[] = [];
    await start((exchange) => {
      exchanges.push(exchange);
      const forget = exchange.request.target === '/long';
      exchange.startStream(200, [], { chunked: true, forget }).end();
    });
    const client = await peer();
    client.send('GET /long HTTP/1.1\r\nX-Field: x\r\n\r\n', 'GET /short HTTP/1.1\r\nX-Field: x\r\n\r\n');
    await until('both requests', () => exchanges.length === 2);
    expect(exchanges.map(({ request }) => request.target)).toEqual(['', '/short']);
    expect(exchanges.map(({ request }) => request.headers.get('X-Field'))).toEqual([undefined, 'x']);
  });

  it('says that its port is in use', async () => {
    await start(echo);
    const second = new HttpServer({ onRequest: echo });
    await expect(second.listen(port, '127.0.0.1')).rejects.toMatchObject({ code: 'WM_PORT_IN_USE' });
  });

  it('holds 1000 idle connections and still answers', async () => {
    await start(echo);
    const sockets = Array.from({ length: 1000 }, () => connect({ port, host: '127.0.0.1' }));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    await until('the server to have 1000 connections', () => server.connections === 1000);
    const client = await peer();
    client.send('GET /still HTTP/1.1\r\n\r\n');
    expect(await answer(client)).toBe('/still ');
    for (const socket of sockets) socket.destroy();
    await until('the server to have one connection', () => server.connections === 1);
  });
});
