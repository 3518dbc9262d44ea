import { HttpClient } from '../../src/http/client.js';
import { until } from '../support/until.js';
import { PeerServer, turns } from './peer.js';

let server: PeerServer;
let client: HttpClient | undefined;

beforeEach(async () => {
  server = await PeerServer.listen();
});

afterEach(async () => {
  client?.destroy();
  client = undefined;
  await server.close();
});

async function connected() {
  client = await HttpClient.connect({ host: '127.0.0.1', port: server.port });
  return { client, peer: await server.accept() };
}

describe('HttpClient', () => {
  it('matches responses to requests in order, however they are split', async () => {
    const { client: http, peer } = await connected();
    http.send('POST', '/1', [['Host', 'a']]);
    http.send('HEAD', '/2', []);
    http.send('GET', '/3', []);
    await peer.head();
    const bytes = Buffer.from(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi' +
        'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    );
    for (const byte of bytes) {
      peer.send(Buffer.from([byte]));
      await turns(1);
    }
    expect((await http.response(1000)).body.toString()).toBe('hi');
    expect((await http.response(1000)).head.status).toBe(200);
    expect((await http.response(1000)).body.toString()).toBe('abc');
  });

  it('returns an early response while the body is still being sent', async () => {
    const { client: http, peer } = await connected();
    http.send('POST', '/', [['Content-Length', '2147483647']]);
    const answer = http.response(Number.POSITIVE_INFINITY);
    await peer.head();
    peer.send('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    expect((await answer).head.status).toBe(404);
  });

  it('waits for the other side when it falls behind', async () => {
    const { client: http, peer } = await connected();
    peer.socket.pause();
    http.send('POST', '/', [['Content-Length', '2147483647']]);
    let waiting: Promise<void> | undefined;
    while (!waiting) waiting = http.write(Buffer.alloc(65_536));
    let done = false;
    const released = waiting.then(() => {
      done = true;
    });
    await turns();
    expect(done).toBe(false);
    peer.socket.resume();
    await released;
  });

  it('tells readers and writers that the server is gone', async () => {
    const { client: http, peer } = await connected();
    http.send('POST', '/', [['Content-Length', '5']]);
    const answer = http.response(Number.POSITIVE_INFINITY);
    await peer.head();
    peer.destroy();
    await expect(answer).rejects.toMatchObject({ code: 'WM_SERVER_GONE' });
    expect(http.open).toBe(false);
    expect(http.write(Buffer.alloc(1))).toBeUndefined();
    await expect(http.response(10)).rejects.toBe(http.failure);
  });

  it.each([
    ['WM_HTTP_MALFORMED', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['WM_HTTP_MALFORMED', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(17_000)}`],
    ['WM_HTTP_MALFORMED', 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n'],
    ['WM_PROTOCOL', `HTTP/1.1 200 OK\r\n\r\n${'a'.repeat(1_100_000)}`],
  ])('fails with %s at a bad response', async (code, bytes) => {
    const { client: http, peer } = await connected();
    http.send('GET', '/', []);
    const answer = http.response(5000);
    peer.send(bytes);
    await expect(answer).rejects.toMatchObject({ code });
  });

  it('fails if there is no response in time', async () => {
    const { client: http } = await connected();
    http.send('GET', '/', []);
    await expect(http.response(20)).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
  });

  it('says why it cannot connect', async () => {
    const { port } = server;
    await server.close();
    await expect(HttpClient.connect({ host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'WM_UNREACHABLE',
      message: `127.0.0.1:${port} cannot be reached: nobody listens on that port.`,
    });
    server = await PeerServer.listen();
  });

  it('delivers everything that was written before it closes', async () => {
    const { client: http, peer } = await connected();
    const size = 4 * 1024 * 1024;
    http.send('POST', '/', [['Content-Length', String(size)]]);
    http.write(Buffer.alloc(size));
    const closed = http.close(200);
    await peer.head();
    expect((await peer.bytes(size)).length).toBe(size);
    await closed;
    await until('the connection to be closed', () => peer.socket.destroyed);
  });
});
