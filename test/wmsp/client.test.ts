import { guidFromString } from '../../src/asf/guid.js';
import { CookieJar } from '../../src/http/cookie-jar.js';
import type { AsfEvent } from '../../src/media/events.js';
import { WmspClient } from '../../src/wmsp/client/client.js';
import {
  CLIENT_ID,
  COUGAR,
  dataPackets,
  described,
  ENTRY,
  fileHeader,
  HEADER,
  head,
  METADATA,
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
const OTHER = fileHeader(20, { title: 'Another', fileId: guidFromString('99999999-2222-3333-4444-555555555555') });

async function serve(script: Script): Promise<ScriptedServer> {
  server = await ScriptedServer.listen(script);
  return server;
}

/** The usual Play response: an entry and its end. */
const FILE = Buffer.concat([Buffer.from(playing(COUGAR, CLIENT_ID)), ENTRY, dataPackets(SENT), packets.E(0)]);

describe('a stream from a server', () => {
  it('[WMSP-002] arrives complete and in order: a header, the packets as they were sent, an end', async () => {
    await serve(ordinary((reply) => reply.send(FILE).end()));
    const { error, shape, packets: got, events } = await receive({ url: server.url() });
    expect(error).toBeUndefined();
    expect(shape).toBe('H 20 E0');
    expect(Buffer.concat(got).equals(WHOLE)).toBe(true);
    expect(events[0]).toMatchObject({ type: 'header', header: { bytes: HEADER.bytes } });
    expect(server.requests.map(({ type }) => type)).toEqual(['Describe', 'Play', 'Log']);
  });

  it('is the same over mmsh:// and mms://', async () => {
    await serve(ordinary((reply) => reply.send(FILE).end()));
    for (const scheme of ['mmsh', 'mms', 'HTTP']) {
      const { shape } = await receive({ url: server.url().replace('http', scheme) });
      expect(shape).toBe('H 20 E0');
    }
  });

  it('[WMSP-055] [WMSP-166] names the session in every request after the first, and one GUID in all', async () => {
    await serve(ordinary((reply) => reply.send(FILE).end()));
    await receive({ url: server.url() });
    const guids = server.requests.map(({ pragma }) => pragma.find((token) => token.startsWith('xClientGUID=')));
    expect(new Set(guids).size).toBe(1);
    expect(guids[0]).toMatch(/^xClientGUID=\{[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}\}$/);
    const ids = server.requests.map(({ pragma }) => pragma.find((token) => token.startsWith('client-id=')));
    expect(ids).toEqual([undefined, 'client-id=123', 'client-id=123']);
  });

  it('[WMSP-141] uses the connection of the Describe for the Play if both sides keep it open', async () => {
    await serve((request, reply) => {
      if (request.type === 'Describe') reply.send(described(ENTRY, COUGAR, CLIENT_ID, 'Connection: Keep-Alive'));
      else if (request.type === 'Play') reply.send(FILE).end();
      else reply.send(head('HTTP/1.0 200 OK', COUGAR, 'Content-Length: 0'));
    });
    const { shape } = await receive({ url: server.url() });
    expect(shape).toBe('H 20 E0');
    expect(server.requests.map(({ connection }) => connection)).toEqual([0, 0, 1]);
  });

  it('[WMSP-141] closes the connection of a Describe that continues with data, as ffserver does', async () => {
    let closed = false;
    await serve((request, reply) => {
      if (request.type === 'Describe') {
        reply.send(playing('Server: Cougar 4.1.0.3923'), packets.H(HEADER.bytes), dataPackets(SENT));
        reply.socket.on('close', () => {
          closed = true;
        });
      } else if (request.type === 'Play') {
        const end = Buffer.from('244508001700000000000800', 'hex');
        reply.send(playing('Server: Cougar 4.1.0.3923'), packets.H(HEADER.bytes), dataPackets(SENT), end).end();
      } else reply.end();
    });
    const { error, shape } = await receive({ url: server.url() });
    expect([error, shape, closed]).toEqual([undefined, 'H 20 E0', true]);
  });

  it('[WMSP-186] reads a header and metadata in several pieces', async () => {
    const cut = Math.floor(HEADER.bytes.length / 2);
    const entry = Buffer.concat([
      packets.M(METADATA.slice(0, 9), 4, 0),
      packets.M(METADATA.slice(9), 8, 1),
      packets.H(HEADER.bytes.subarray(0, cut), 4, 0),
      packets.H(HEADER.bytes.subarray(cut, cut + 10), 0, 1),
      packets.H(HEADER.bytes.subarray(cut + 10), 8, 2),
    ]);
    await serve((request, reply) => {
      if (request.type === 'Describe') reply.send(described(entry, COUGAR, CLIENT_ID)).end();
      else reply.send(playing(COUGAR), entry, dataPackets(SENT), packets.E(0)).end();
    });
    const { client, shape } = await receive({ url: server.url() });
    expect(shape).toBe('H 20 E0');
    expect(client.description).toMatchObject({ playlistGenId: 7, features: ['seekable'], live: false });
  });

  it('[WMSP-171] [WMSP-017] returns cookies, also from another client with the same jar', async () => {
    await serve((request, reply) => {
      if (request.type === 'Describe')
        reply.send(described(ENTRY, COUGAR, CLIENT_ID, 'Set-Cookie: who=me; path=/')).end();
      else reply.send(FILE).end();
    });
    const cookies = new CookieJar();
    await receive({ url: server.url(), cookies });
    expect(server.of('Play')[0]!.field('Cookie')).toBe('who=me');
    await receive({ url: server.url(), cookies });
    expect(server.of('Describe')[1]!.field('Cookie')).toBe('who=me');
  });

  it('[WMSP-003] [WMSP-018] [WMSP-179] reads tokens from several Pragma headers and ignores unknown ones', async () => {
    const lines = ['Pragma: no-cache', 'Pragma: x=1,client-id=5', 'Pragma: version-info="a,b", features="broadcast"'];
    await serve((request, reply) => {
      if (request.type === 'Describe')
        reply.send(described(packets.H(HEADER.bytes), COUGAR, 'Content-Type: x/y', ...lines)).end();
      else reply.send(playing(COUGAR), packets.H(HEADER.bytes), packets.E(0)).end();
    });
    const { client } = await receive({ url: server.url() });
    expect(client.description).toMatchObject({ clientId: 5, live: true });
  });

  it('reports what may be cached, and the kind of server', async () => {
    await serve((request, reply) => {
      if (request.type !== 'Describe') return;
      const supported = 'Supported: com.microsoft.wm.fastcache, com.microsoft.wm.predstrm';
      reply.send(described(ENTRY, COUGAR, CLIENT_ID, 'Cache-Control: no-cache, user-public', supported)).end();
    });
    const description = await WmspClient.describe({ url: server.url(), ...QUICK });
    expect(description).toMatchObject({
      transport: 'wmsp',
      server: { token: 'Cougar', major: 9, minor: 6 },
      cacheControl: ['no-cache', 'user-public'],
      supported: new Set(['fastcache', 'predstrm']),
      metadata: { playlistGenId: 7 },
      live: false,
    });
    expect(server.requests).toHaveLength(1);
  });

  it('[WMSP-149] asks for speed only from a server that lists it, and never of a live stream', async () => {
    let features = 'seekable';
    let supported = 'com.microsoft.wm.fastcache';
    await serve((request, reply) => {
      const lines = [COUGAR, `Pragma: client-id=1, features="${features}"`, `Supported: ${supported}`];
      const entry = Buffer.concat([
        packets.M(`playlist-gen-id=1, broadcast-id=0, features="${features}"\0`),
        packets.H(HEADER.bytes),
      ]);
      if (request.type === 'Describe') reply.send(described(entry, ...lines)).end();
      else reply.send(playing(...lines), entry, packets.E(0)).end();
    });
    const asked = async () => {
      await receive({ url: server.url(), speed: 8, log: false });
      return server
        .of('Play')
        .at(-1)!
        .pragma.filter((token) => token.startsWith('Speed='));
    };
    expect(await asked()).toEqual(['Speed=8.000']);
    supported = 'com.microsoft.wm.predstrm';
    expect(await asked()).toEqual([]);
    supported = 'com.microsoft.wm.fastcache';
    features = 'broadcast';
    expect(await asked()).toEqual([]);
  });
});

describe('credentials', () => {
  it('[WMSP-176] [WMSP-172] are sent on the same connection if it stays open, else on a new one', async () => {
    const seen: string[] = [];
    for (const keep of [true, false]) {
      await serve((request, reply) => {
        if (request.type === 'Log') reply.end();
        else if (request.field('Authorization') !== 'Basic eA==') {
          const connection = keep ? 'Connection: Keep-Alive' : 'Connection: close';
          reply.send(head('HTTP/1.0 401 No', COUGAR, 'WWW-Authenticate: Basic', connection, 'Content-Length: 2'), 'no');
          if (!keep) reply.end();
        } else ordinary((play) => play.send(FILE).end())(request, reply);
      });
      const { shape } = await receive({
        url: server.url(),
        authorize: { schemes: ['Basic'], answer: () => ['Authorization', 'Basic eA=='] },
      });
      seen.push(
        shape,
        server.requests
          .slice(0, 2)
          .map(({ connection }) => connection)
          .join(),
      );
      expect(server.requests[0]!.field('Connection')).toBe('Keep-Alive');
      if (keep) await server.close();
    }
    expect(seen).toEqual(['H 20 E0', '0,0', 'H 20 E0', '0,1']);
  });

  it('are not tried for ever', async () => {
    await serve((_, reply) => reply.send(head('HTTP/1.0 407 No', 'Content-Length: 0')).end());
    const answer = () => ['Proxy-Authorization', 'x'] as const;
    const { error } = await receive({ url: server.url(), authorize: { schemes: [], answer } });
    expect(error).toMatchObject({ code: 'WM_AUTH_REFUSED' });
    expect(server.requests).toHaveLength(5);
  });
});

describe('several entries', () => {
  /** An entry, its end, another one, and the end. */
  const two = (reply: { send(...parts: Array<Buffer | string>): unknown }) =>
    reply.send(
      playing(COUGAR, CLIENT_ID),
      ENTRY,
      dataPackets(SENT),
      packets.E(1),
      packets.C(),
      packets.M(METADATA.replace('7', '8')),
      packets.H(OTHER.bytes),
    );

  it('[WMSP-153] [WMSP-155] each get a header; SelectStream and Log use their own connections', async () => {
    await serve((request, reply) => {
      if (request.type === 'Play') {
        two(reply);
        void server.request('SelectStream').then(() => reply.send(dataPackets(SENT), packets.E(0)).end());
      } else ordinary(() => {})(request, reply);
    });
    const { shape, error, events } = await receive({ url: server.url() });
    expect([error, shape]).toEqual([undefined, 'H 20 E1 H 20 E0']);
    expect(events.filter((event) => event.type === 'header').at(-1)).toMatchObject({ header: { bytes: OTHER.bytes } });
    const [select] = server.of('SelectStream');
    expect(select!.line).toBe('POST /x HTTP/1.0');
    expect(select!.pragma).toContain('stream-switch-entry=ffff:1:0 ffff:2:0');
    expect(server.of('Log')).toHaveLength(2);
    expect(new Set(server.requests.map(({ connection }) => connection)).size).toBe(server.requests.length);
  });

  it('continue if the server predicts and refuses SelectStream', async () => {
    await serve((request, reply) => {
      if (request.type === 'Play') {
        two(reply);
        reply.send(dataPackets(SENT), packets.E(0)).end();
      } else if (request.type === 'SelectStream') reply.send(head('HTTP/1.0 501 No')).end();
      else ordinary(() => {})(request, reply);
    });
    const notes: string[] = [];
    const { shape } = await receive({ url: server.url(), onNote: (text) => notes.push(text) });
    expect(shape).toBe('H 20 E1 H 20 E0');
    expect(notes.join()).toContain('refused a SelectStream request: 501');
  });

  it('begin without notice, as when the input of VLC starts again', async () => {
    const again = (header: Buffer) =>
      ordinary((reply) =>
        reply.send(playing(COUGAR), ENTRY, dataPackets(SENT), packets.H(header), dataPackets(SENT), packets.E(0)).end(),
      );
    await serve(again(OTHER.bytes));
    expect((await receive({ url: server.url() })).shape).toBe('H 20 E1 H 20 E0');
    await server.close();
    // The same layout under another File ID continues as one stream, with continuous times.
    const same = fileHeader(20, { fileId: guidFromString('99999999-2222-3333-4444-555555555555') });
    await serve(again(same.bytes));
    const { shape, events } = await receive({ url: server.url() });
    expect(shape).toBe('H 40 E0');
    const times = events.flatMap((event) => (event.type === 'packet' ? [event.packet.sendTime] : []));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});

describe('ending', () => {
  it('[WMSP-156] [WMSP-157] closes, logs and ends if it is closed in the middle', async () => {
    let closed = false;
    await serve(
      ordinary((reply) => {
        reply.send(playing(COUGAR, CLIENT_ID), ENTRY, dataPackets(SENT));
        reply.socket.on('close', () => {
          closed = true;
        });
      }),
    );
    const { shape, error } = await receive({ url: server.url() }, (event, client) => {
      if (event.type === 'packet' && event.packet.sendTime === 1_900) void client.close();
    });
    expect([shape, error, closed]).toEqual(['H 20 E0', undefined, true]);
    expect(server.of('Log')).toHaveLength(1);
  });

  it('ends at once if it is closed while it connects or waits', async () => {
    await serve(() => {});
    const client = new WmspClient({ url: server.url(), ...QUICK });
    const all = (async () => {
      const events: AsfEvent[] = [];
      for await (const event of client) events.push(event);
      return events;
    })();
    await server.request('Describe');
    await client.close();
    expect(await all).toEqual([]);
  });

  it('[WMSP-134] ends with the error that the server names', async () => {
    await serve(
      ordinary((reply) =>
        reply.send(playing(COUGAR, CLIENT_ID), ENTRY, dataPackets(SENT), packets.E(0xc00d0035)).end(),
      ),
    );
    const { shape, error } = await receive({ url: server.url() });
    expect(shape).toBe('H 20 E0');
    expect(error).toMatchObject({ code: 'WM_SERVER_GONE', message: /0xC00D0035/ });
  });

  it('ends at the rewound beginning as at any end', async () => {
    await serve(
      ordinary((reply) => reply.send(playing(COUGAR), ENTRY, dataPackets(SENT), packets.E(0x000d2f09)).end()),
    );
    expect(await receive({ url: server.url(), rate: -1 })).toMatchObject({ shape: 'H 20 E0', error: undefined });
  });

  it('sends no log if that is not wanted', async () => {
    await serve(ordinary((reply) => reply.send(FILE).end()));
    await receive({ url: server.url(), log: false });
    expect(server.of('Log')).toEqual([]);
  });

  it('[WMSP-195] closes the connection of a log once it is answered', async () => {
    let closed: Promise<void> | undefined;
    await serve((request, reply) => {
      if (request.type === 'Log') {
        closed = new Promise((resolve) => reply.socket.on('close', () => resolve()));
        reply.send(head('HTTP/1.1 204 No Content', COUGAR, 'Connection: Keep-Alive', ''));
      } else ordinary((play) => play.send(FILE).end())(request, reply);
    });
    await receive({ url: server.url() });
    await closed;
    expect(server.of('Log')).toHaveLength(1);
  });

  it('does not wait long for a server that never answers a log', async () => {
    await serve((request, reply) => {
      if (request.type !== 'Log') ordinary((play) => play.send(FILE).end())(request, reply);
    });
    const timeouts = { ...QUICK.timeouts, side: 30 };
    expect(await receive({ url: server.url(), timeouts })).toMatchObject({ shape: 'H 20 E0', error: undefined });
  });

  it('can be read only once', () => {
    const client = new WmspClient({ url: 'http://h/' });
    client[Symbol.asyncIterator]();
    expect(() => client[Symbol.asyncIterator]()).toThrow(/only once/);
    expect(() => new WmspClient({ url: 'ftp://h/' })).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
    expect(() => new WmspClient({ url: 'nonsense' })).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
    expect(shapeOf([])).toBe('');
  });
});
