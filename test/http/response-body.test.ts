import { HttpClient } from '../../src/http/client.js';
import { PeerServer, pour, settled, turns } from './peer.js';

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

/** A client that has sent a streamed request, and the peer that received it. */
async function asked() {
  client = await HttpClient.connect({ host: '127.0.0.1', port: server.port });
  const peer = await server.accept();
  client.send('GET', '/x', [['Host', 'a']], undefined, { minorVersion: 0, streamed: true });
  const head = await peer.head();
  return { client, peer, head };
}

describe('a response that is read as it arrives', () => {
  it('begins with its head, long before its end', async () => {
    const { client: http, peer, head } = await asked();
    expect(head.startsWith('GET /x HTTP/1.0\r\n')).toBe(true);
    const text = 'HTTP/1.0 200 OK\r\nServer: s\r\n\r\n';
    peer.send(text);
    const response = await http.streamedResponse(1_000);
    expect(response.head.status).toBe(200);
    expect(response.headSize).toBe(text.length);
    peer.send('abc');
    expect((await response.body.next(1_000))!.toString()).toBe('abc');
    expect(response.body.complete).toBe(false);
    peer.socket.end();
    expect(await response.body.next(1_000)).toBeUndefined();
    expect(response.body.complete).toBe(true);
  });

  it('returns everything that has arrived at once, however small the chunks', async () => {
    const { client: http, peer } = await asked();
    peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n');
    const { body } = await http.streamedResponse(1_000);
    expect((await body.next(1_000))!.toString()).toBe('abc');
    expect(await body.next(1_000)).toBeUndefined();
    expect(http.open).toBe(true);
  });

  it('is followed by the responses to the next requests on the same connection', async () => {
    const { client: http, peer } = await asked();
    http.send('POST', '/log', []);
    http.send('GET', '/y', [], undefined, { streamed: true });
    peer.send(
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none',
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo',
    );
    const first = await http.streamedResponse(1_000);
    expect((await first.body.next(1_000))!.toString()).toBe('one');
    expect((await http.response(1_000)).head.status).toBe(204);
    const second = await http.streamedResponse(1_000);
    expect((await second.body.next(1_000))!.toString()).toBe('two');
  });

  it('slows the server down while it is not read, and loses nothing', async () => {
    const { client: http, peer } = await asked();
    const size = 64 * 1024 * 1024;
    peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const { body } = await http.streamedResponse(1_000);
    const taken = pour(peer, size);
    expect(await settled(taken)).toBeLessThan(size / 2);
    let received = 0;
    for (let piece = await body.next(5_000); piece; piece = await body.next(5_000)) received += piece.length;
    expect(received).toBe(size);
  });

  it('counts the pieces too, so that chunks of one byte cannot fill the memory', async () => {
    const { client: http, peer } = await asked();
    peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const { body } = await http.streamedResponse(1_000);
    const chunks = Buffer.from('1\r\na\r\n'.repeat(10_000));
    peer.send(chunks);
    await turns(50);
    // 10000 one-byte pieces are more than may wait, so the connection is paused; reading resumes it.
    let received = 0;
    while (received < 10_000) received += (await body.next(1_000))!.length;
    expect(received).toBe(10_000);
  });

  it('returns what arrived before the connection broke, and then fails', async () => {
    const { client: http, peer } = await asked();
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
    const { body } = await http.streamedResponse(1_000);
    await turns(20);
    peer.socket.end();
    await turns(20);
    expect((await body.next(1_000))!.toString()).toBe('abc');
    await expect(body.next(1_000)).rejects.toMatchObject({ code: 'WM_SERVER_GONE' });
  });

  it('fails after a time of silence, and the connection with it', async () => {
    const { client: http, peer } = await asked();
    peer.send('HTTP/1.1 200 OK\r\n\r\n');
    const { body } = await http.streamedResponse(1_000);
    await expect(body.next(20)).rejects.toMatchObject({ code: 'WM_SERVER_GONE', message: /nothing for 0.02 s/ });
    expect(http.open).toBe(false);
    await expect(body.next(20)).rejects.toMatchObject({ code: 'WM_SERVER_GONE' });
  });

  it('fails at a bad chunk', async () => {
    const { client: http, peer } = await asked();
    peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n');
    const { body } = await http.streamedResponse(1_000);
    await expect(body.next(1_000)).rejects.toMatchObject({ code: 'WM_HTTP_MALFORMED' });
  });
});
