import { ClientAuthenticator } from '../../src/auth/client.js';
import {
  CLIENT_ID,
  COUGAR,
  chunk,
  dataPackets,
  ENTRY,
  HEADER,
  head,
  LAST_CHUNK,
  LIVE_HEADER,
  media,
  packets,
  type Reply,
  receive,
  type Script,
  ScriptedServer,
  type SeenRequest,
} from './client-support.js';

let server: ScriptedServer;
afterEach(() => server?.close());

const SENT = media(20);
const METADATA = packets.M('playlist-gen-id=7, broadcast-id=0, features="seekable"\0');

async function serve(script: Script): Promise<void> {
  server = await ScriptedServer.listen(script);
}

/** An answer that claims that the connection stays open. */
function kept(body: Buffer, ...lines: string[]): Buffer {
  return Buffer.concat([
    Buffer.from(head('HTTP/1.1 200 OK', COUGAR, CLIENT_ID, `Content-Length: ${body.length}`, ...lines)),
    body,
  ]);
}

/** Breaks each connection at its second request, in the way that the test says, without a byte of an answer. */
function closing(end: (reply: Reply) => void, answer: (request: SeenRequest, reply: Reply) => void): Script {
  const used = new Set<number>();
  return (request, reply) => {
    if (used.has(request.connection)) {
      end(reply);
      return;
    }
    used.add(request.connection);
    answer(request, reply);
  };
}

const WAYS: ReadonlyArray<readonly [string, (reply: Reply) => void]> = [
  ['is ended', (reply) => reply.end()],
  ['is cut', (reply) => reply.destroy()],
  ['is reset', (reply) => reply.socket.resetAndDestroy()],
  ['is answered with 408, as load balancers do', (reply) => reply.send(head('HTTP/1.1 408 Request Timeout')).end()],
];

describe('a connection that a server closes after Describe without notice', () => {
  it.each(WAYS)('is replaced by a new one for Play if it %s', async (_, end) => {
    await serve(
      closing(end, (request, reply) => {
        if (request.type === 'Describe') reply.send(kept(ENTRY));
        else if (request.type === 'Play') reply.send(kept(Buffer.concat([ENTRY, dataPackets(SENT), packets.E(0)])));
        else reply.send(kept(Buffer.alloc(0)));
      }),
    );
    const { shape, error, client } = await receive({ url: server.url() });
    expect([shape, error, client.stats.reconnects]).toEqual(['H 20 E0', undefined, 0]);
    expect(server.of('Play').map(({ connection }) => connection)).toEqual([0, 1]);
    expect(server.of('Play')[1]!.text).toBe(server.of('Play')[0]!.text);
  });

  it('does not break again at the next reconnection of a live stream', async () => {
    const live = Buffer.concat([METADATA, packets.H(LIVE_HEADER.bytes)]);
    let plays = 0;
    await serve(
      closing(
        (reply) => reply.destroy(),
        (request, reply) => {
          if (request.type === 'Describe') reply.send(kept(live));
          else if (request.type === 'Play') {
            const from = 10 * plays++;
            const last = plays === 3 ? packets.E(0) : Buffer.alloc(0);
            const body = Buffer.concat([live, dataPackets(media(10, from), from), last]);
            reply.send(head('HTTP/1.1 200 OK', COUGAR, CLIENT_ID), body).end();
          } else reply.send(kept(Buffer.alloc(0)));
        },
      ),
    );
    const { shape, error } = await receive({
      url: server.url(),
      reconnect: { retries: 1, initialDelay: 1 },
      random: () => 0,
    });
    expect([shape, error]).toEqual(['H 30 E0', undefined]);
    // Once a connection has broken because it was reused, no other is reused.
    expect(server.requests.filter(({ type }) => type === 'Play')).toHaveLength(4);
  });

  it('is replaced for every request of the pipelined mode', async () => {
    await serve(
      closing(
        (reply) => reply.destroy(),
        (request, reply) => {
          const chunks = (...parts: Buffer[]) =>
            reply.send(
              head('HTTP/1.1 200 OK', COUGAR, 'Pragma: client-id=5, pipeline-result=1', 'Transfer-Encoding: chunked'),
              ...parts,
              LAST_CHUNK,
            );
          if (request.type === 'Describe') reply.send(kept(ENTRY, 'Pragma: pipeline-experiment=1'));
          else if (request.type === 'Play') chunks(chunk(ENTRY, dataPackets(SENT), packets.E(0)));
          else chunks();
        },
      ),
    );
    const { shape, error } = await receive({ url: server.url(), pipelined: true });
    expect([shape, error]).toEqual(['H 20 E0', undefined]);
    const tests = server.of('Pipeline').map(({ connection }) => connection);
    expect(tests[0]).toBe(0);
    expect(tests.at(-1)).toBeGreaterThan(0);
  });

  it('is replaced after a challenge, also for plain ASF', async () => {
    const file = Buffer.concat([HEADER.bytes, ...SENT]);
    await serve(
      closing(
        (reply) => reply.destroy(),
        (request, reply) => {
          if (request.field('Authorization') !== undefined) reply.send(kept(file, 'Content-Type: video/x-ms-wmv'));
          else {
            const basic = 'WWW-Authenticate: Basic realm="r"';
            reply.send(head('HTTP/1.1 401 No', 'Server: nginx', basic, 'Content-Length: 0'));
          }
        },
      ),
    );
    const authorize = new ClientAuthenticator({ server: { user: 'ann', password: 'x' }, basicInClear: true });
    const { shape, error } = await receive({ url: server.url('/a.wmv'), authorize });
    expect([shape, error]).toEqual(['H 20 E0', undefined]);
  });

  it('is not replaced if a first request breaks, nor in the middle of an answer', async () => {
    await serve((_, reply) => reply.destroy());
    expect((await receive({ url: server.url() })).error).toMatchObject({ code: 'WM_SERVER_GONE' });
    expect(server.requests).toHaveLength(1);
    await server.close();
    await serve((request, reply) => {
      if (request.type === 'Describe') reply.send(kept(ENTRY));
      else if (request.type === 'Play') {
        reply.send('HTTP/1.1 2');
        reply.end();
      } else reply.destroy();
    });
    expect((await receive({ url: server.url() })).error).toMatchObject({ code: 'WM_SERVER_GONE' });
    expect(server.of('Play')).toHaveLength(1);
  });
});
