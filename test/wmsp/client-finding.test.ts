import type { AsfEvent } from '../../src/media/events.js';
import { openSourceUrl } from '../../src/sources/table.js';
import {
  CLIENT_ID,
  COUGAR,
  dataPackets,
  described,
  ENTRY,
  HEADER,
  head,
  media,
  ordinary,
  packets,
  playing,
  QUICK,
  receive,
  type Script,
  ScriptedServer,
  shapeOf,
} from './client-support.js';

let server: ScriptedServer;
afterEach(() => server?.close());

const SENT = media(20);
const WHOLE = Buffer.concat(SENT);

async function serve(script: Script): Promise<ScriptedServer> {
  server = await ScriptedServer.listen(script);
  return server;
}

/** Receives the content that a URL leads to, with whatever client. */
async function follow({ url }: { url: string }): Promise<{ shape: string; error: unknown }> {
  const events: AsfEvent[] = [];
  try {
    for await (const event of openSourceUrl(url, QUICK)) events.push(event);
  } catch (error) {
    return { shape: shapeOf(events), error };
  }
  return { shape: shapeOf(events), error: undefined };
}

/** The usual Play response: an entry and its end. */
const FILE = Buffer.concat([Buffer.from(playing(COUGAR, CLIENT_ID)), ENTRY, dataPackets(SENT), packets.E(0)]);

describe('redirects and announcements', () => {
  it('[WMSP-181] are followed to another server, at most five times', async () => {
    const target = await ScriptedServer.listen(ordinary((reply) => reply.send(FILE).end()));
    await serve((request, reply) => {
      const to = request.line.includes('/loop') ? '/loop' : target.url('/there');
      reply.send(head('HTTP/1.0 302 Found', COUGAR, `Location: ${to}`, 'Content-Length: 0')).end();
    });
    try {
      const { shape, client } = await receive({ url: server.url() });
      expect(shape).toBe('H 20 E0');
      expect(client.description!.url).toBe(target.url('/there'));
      expect(target.requests.map(({ line }) => line)).toEqual([
        'GET /there HTTP/1.0',
        'GET /there HTTP/1.0',
        'POST /there HTTP/1.0',
      ]);
      const { error } = await receive({ url: server.url('/loop') });
      expect(error).toMatchObject({ code: 'WM_PROTOCOL', message: /again and again/ });
      expect(server.requests).toHaveLength(1 + 6);
    } finally {
      await target.close();
    }
  });

  it('[WMSP-181] 305 names a proxy, through which the URL stays the same', async () => {
    const proxy = await ScriptedServer.listen(ordinary((reply) => reply.send(FILE).end()));
    await serve((_, reply) => reply.send(head('HTTP/1.0 305 Use Proxy', COUGAR, `Location: ${proxy.url('/')}`)).end());
    try {
      const { shape } = await receive({ url: server.url('/x?y=1') });
      expect(shape).toBe('H 20 E0');
      expect(proxy.requests[0]!.line).toBe(`GET ${server.url('/x?y=1')} HTTP/1.0`);
      expect(proxy.requests[0]!.field('Host')).toBe(`127.0.0.1:${server.port}`);
    } finally {
      await proxy.close();
    }
  });

  it('a configured proxy gets every request', async () => {
    await serve(ordinary((reply) => reply.send(FILE).end()));
    const { shape } = await receive({ url: 'mms://elsewhere.invalid/x', proxy: server.url('') });
    expect(shape).toBe('H 20 E0');
    expect(new Set(server.requests.map(({ line }) => line.split(' ')[1]))).toEqual(
      new Set(['http://elsewhere.invalid/x']),
    );
  });

  it('an .asx leads to the first reference that works', async () => {
    await serve((request, reply) => {
      const asx =
        '<ASX version=3><ENTRY><REF HREF="rtsp://x/y"/><REF HREF="/gone"/><REF HREF="mms://$"/></ENTRY></ASX>';
      if (request.line.includes('/list')) {
        const text = asx.replace('$', `127.0.0.1:${server.port}/x`);
        reply.send(head('HTTP/1.0 200 OK', 'Server: nginx', 'Content-Type: video/x-ms-asf'), text).end();
      } else if (request.line.includes('/gone')) reply.send(head('HTTP/1.0 404 Not Found', COUGAR)).end();
      else ordinary((play) => play.send(FILE).end())(request, reply);
    });
    const { shape, error } = await follow({ url: server.url('/list.asx') });
    expect([shape, error]).toEqual(['H 20 E0', undefined]);
  });

  it('a reference file leads further too, but announcements do not lead in circles', async () => {
    await serve((request, reply) => {
      const text = request.line.includes('/self')
        ? `[Reference]\r\nRef1=${server.url('/self')}\r\n`
        : `[Reference]\r\nRef1=${server.url('/x')}?MSWMExt=.asf\r\n`;
      if (/\/(?:self|ref)/.test(request.line)) {
        reply.send(head('HTTP/1.0 200 OK', 'Content-Type: video/x-ms-asf'), text).end();
      } else ordinary((play) => play.send(FILE).end())(request, reply);
    });
    expect((await follow({ url: server.url('/ref') })).shape).toBe('H 20 E0');
    const before = server.requests.length;
    const { error } = await follow({ url: server.url('/self') });
    expect(error).toMatchObject({ code: 'WM_PROTOCOL', message: /again and again/ });
    expect(server.requests.length - before).toBe(4);
  });

  it('an announcement without a usable reference says so', async () => {
    await serve((_, reply) => reply.send(head('HTTP/1.0 200 OK'), '<asx><entry/></asx>').end());
    expect((await follow({ url: server.url() })).error).toMatchObject({ code: 'WM_BAD_INPUT' });
  });
});

describe('plain ASF over HTTP', () => {
  it('is read as it is', async () => {
    const bytes = Buffer.concat([HEADER.bytes, WHOLE]);
    await serve((_, reply) => reply.send(head('HTTP/1.1 200 OK', 'Content-Type: video/x-ms-wmv'), bytes).end());
    const { shape, packets: got, client, error } = await receive({ url: server.url('/a.wmv') });
    expect([error, shape]).toEqual([undefined, 'H 20 E0']);
    expect(Buffer.concat(got).equals(WHOLE)).toBe(true);
    expect(client.description).toMatchObject({ transport: 'http', server: undefined });
    expect(server.requests).toHaveLength(1);
  });

  it('is rejected by a strict client', async () => {
    await serve((_, reply) => reply.send(head('HTTP/1.1 200 OK'), HEADER.bytes).end());
    expect((await receive({ url: server.url(), tolerant: false })).error).toMatchObject({ code: 'WM_PROTOCOL' });
  });
});

describe('a server of another kind', () => {
  it('[WMSP-174] is named in one sentence', async () => {
    await serve((_, reply) => {
      reply
        .send(head('HTTP/1.1 200 OK', 'Server: Apache/2', 'Content-Type: text/html'), '<html></html>'.repeat(9))
        .end();
    });
    expect((await receive({ url: server.url() })).error).toMatchObject({
      code: 'WM_PROTOCOL',
      message: `${server.url()} is not a Windows Media server: it calls itself "Apache/2" and sent text/html.`,
    });
  });

  it.each([
    ['nothing', ''],
    ['something that is not HTTP', 'SSH-2.0-x\r\n\r\n'],
    ['a body that ends within a header', described(ENTRY.subarray(0, 200), COUGAR)],
    ['a $D first', described(packets.D(0, SENT[0]!), COUGAR)],
    ['a malformed header', described(packets.H(Buffer.alloc(200)), COUGAR)],
  ])('ends in an error when it sends %s', async (_, bytes) => {
    await serve((_request, reply) => reply.send(bytes).end());
    const { error, events } = await receive({ url: server.url() });
    expect(error).toMatchObject({
      code: expect.stringMatching(/^WM_(?:PROTOCOL|SERVER_GONE|HTTP_MALFORMED|ASF_MALFORMED)$/),
    });
    expect(events).toEqual([]);
  });

  /** The header of the tests with a change in its bytes. */
  function changed(change: (bytes: Buffer) => void): Buffer {
    const bytes = Buffer.from(HEADER.bytes);
    change(bytes);
    return bytes;
  }
  const filePropertiesAt = HEADER.bytes.indexOf(Buffer.from('a1dcab8c47a9cf118ee400c00c205365', 'hex'));

  it.each([
    ['that begins with another GUID', changed((bytes) => bytes.writeUInt8(bytes[0]! ^ 1, 0))],
    ['that is shorter than it says', changed((bytes) => bytes.writeUInt32LE(bytes.length + 60, 16))],
    ['with packets of 0 bytes', changed((bytes) => bytes.fill(0, filePropertiesAt + 92, filePropertiesAt + 100))],
  ])('[WMSP-280] plays nothing under a header %s', async (_, bytes) => {
    await serve((_request, reply) => reply.send(described(packets.H(bytes), COUGAR)).end());
    const { error, events } = await receive({ url: server.url() });
    expect(error).toBeDefined();
    expect(events).toEqual([]);
    expect(server.of('Play')).toEqual([]);
  });

  it.each([
    [404, 'WM_NO_INPUT'],
    [401, 'WM_AUTH_REFUSED'],
    [403, 'WM_AUTH_REFUSED'],
    [500, 'WM_UNREACHABLE'],
    // VLC before it has a header.
    [200, 'WM_UNREACHABLE'],
    [400, 'WM_PROTOCOL'],
  ])('status %d is %s', async (status, code) => {
    await serve((_, reply) => reply.send(head(`HTTP/1.0 ${status} No`, COUGAR, 'Content-Length: 0')).end());
    expect((await receive({ url: server.url() })).error).toMatchObject({ code });
  });

  it('a closed port is WM_UNREACHABLE, and silence ends after a while', async () => {
    await serve(() => {});
    const timeouts = { connect: 1_000, answer: 30, data: 30, side: 30 };
    expect((await receive({ url: server.url(), timeouts })).error).toMatchObject({ code: 'WM_UNREACHABLE' });
    const { port } = server;
    await server.close();
    const { error } = await receive({ url: `http://127.0.0.1:${port}/x` });
    expect(error).toMatchObject({ code: 'WM_UNREACHABLE', message: /nobody listens/ });
    await serve(() => {});
  });
});
