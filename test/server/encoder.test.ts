import type { AsfEvent, AsfSource } from '../../src/media/events.js';
import { EncoderServer, type EncoderServerOptions } from '../../src/server/encoder.js';
import { connectRequest, wireMessages } from '../msbd/support.js';
import { testHeader, testPacket } from '../support/stream.js';
import { parseResponse, parseWholeResponse, RawPeer, wirePackets } from '../support/wire.js';
import { askAs, removeUsers, usersFile } from './users.js';

/** A source that the test feeds. */
class TestSource implements AsfSource {
  readonly #queue: AsfEvent[] = [];
  #wake: () => void = () => {};
  closed = false;

  feed(...events: AsfEvent[]): void {
    this.#queue.push(...events);
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent> {
    while (!this.closed || this.#queue.length > 0) {
      const event = this.#queue.shift();
      if (event) yield event;
      else if (!this.closed) await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    yield { type: 'end', moreEntries: false, reason: 0 };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#wake();
  }
}

const header = (): AsfEvent => ({ type: 'header', header: testHeader() });
const key = (sendTime: number): AsfEvent => ({ type: 'packet', packet: testPacket(sendTime, { key: true }) });

let server: EncoderServer;
let source: TestSource;
let opened: number;
let peers: RawPeer[];

async function start(options: Partial<EncoderServerOptions> = {}): Promise<void> {
  peers = [];
  opened = 0;
  source = new TestSource();
  server = await EncoderServer.start({
    host: '127.0.0.1',
    httpPort: 0,
    open: async () => {
      opened++;
      return source;
    },
    ...options,
  });
}

async function request(...lines: string[]): Promise<RawPeer> {
  const peer = await RawPeer.connect(server.ports.http);
  peers.push(peer);
  peer.request(...lines);
  return peer;
}

afterEach(async () => {
  for (const peer of peers) peer.close();
  await server.close();
});

const PULL = [
  'User-Agent: NSServer/9.0.0.3171',
  'Pragma: xPlayStrm=1',
  'Pragma: stream-switch-count=2',
  'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
];

describe('an encoder that gets a request for something other than its stream', () => {
  it.each([
    ['HEAD / HTTP/1.1', [PULL[0]!], 200, undefined],
    ['HEAD / HTTP/1.1', PULL, 200, undefined],
    ['HEAD / HTTP/1.1', ['User-Agent: Lavf/59'], 404, undefined],
    ['OPTIONS * HTTP/1.1', [], 200, 'GET, HEAD, POST, OPTIONS'],
    ['OPTIONS * HTTP/1.1', [PULL[0]!], 200, 'GET, HEAD, POST, OPTIONS'],
    ['PUT / HTTP/1.1', ['User-Agent: Lavf/59'], 405, 'GET, HEAD, POST, OPTIONS'],
  ])('answers %s of %j with %i', async (line, more, status, allow) => {
    await start();
    const running = server.run();
    source.feed(header(), key(0));
    const peer = await request(line, 'Host: a', 'Connection: close', ...more);
    const response = parseResponse(await peer.untilClosed())!;
    expect([response.status, response.field('Allow')]).toEqual([status, allow]);
    if (line.startsWith('HEAD')) expect(response.body).toHaveLength(0);
    expect(server.clients).toBe(0);
    await server.close();
    await running;
  });
});

describe('an encoder that is pulled', () => {
  it('[WMSP-265] [WMSP-218] answers as Rex, with a broadcast, without $M, and with $H only', async () => {
    await start();
    const running = server.run();
    source.feed(header());
    await server.broadcast.nextHeader(1000);
    const response = await (await request('GET / HTTP/1.1', 'User-Agent: NSServer/9.0.0.3171')).until(
      parseWholeResponse,
    );
    expect(response.field('Server')).toMatch(/^Rex\/\d+\.0/);
    expect(response.pragma.join()).toContain('features="broadcast');
    expect(wirePackets(response.body).map(({ id }) => id)).toEqual(['H']);
    await source.close();
    await running;
  });

  it('sends data and a clean end notice', async () => {
    await start();
    const running = server.run();
    source.feed(header(), key(0));
    await server.broadcast.nextHeader(1000);
    const peer = await request('GET / HTTP/1.0', ...PULL);
    await peer.until((bytes) => (bytes.includes('$D') ? true : undefined));
    await source.close();
    await running;
    const packets = wirePackets(parseResponse(await peer.untilClosed())!.body);
    expect(packets.at(-1)).toMatchObject({ id: 'E', reason: 0 });
  });

  it('captures only from the first puller on, if so configured', async () => {
    await start({ onDemand: true });
    const running = server.run();
    expect(opened).toBe(0);
    const asked = request('GET / HTTP/1.1', 'User-Agent: NSServer/9.0');
    source.feed(header());
    expect((await (await asked).until(parseWholeResponse)).status).toBe(200);
    expect(opened).toBe(1);
    await server.close();
    await running;
    expect(source.closed).toBe(true);
  });

  it('answers 503 when the capture for a puller fails', async () => {
    const errors: unknown[] = [];
    await start({
      onDemand: true,
      open: () => Promise.reject(new Error('no camera')),
      onError: (error) => errors.push(error),
    });
    const response = await (await request('GET / HTTP/1.1', 'User-Agent: NSServer/9.0')).until(parseWholeResponse);
    expect(response.status).toBe(503);
    expect(errors).toHaveLength(1);
  });

  it('refuses pullers above the limit', async () => {
    await start({ maxClients: 1 });
    const running = server.run();
    source.feed(header(), key(0));
    await server.broadcast.nextHeader(1000);
    const first = await request('GET / HTTP/1.0', ...PULL);
    await first.until((bytes) => (bytes.includes('$H') ? true : undefined));
    const second = await request('GET / HTTP/1.0', ...PULL);
    expect((await second.until(parseWholeResponse)).status).toBe(503);
    await source.close();
    await running;
  });

  it('lets only the configured addresses pull', async () => {
    await start({ allow: ['192.0.2.0/24', '2001:db8::1'] });
    expect((await (await request('GET / HTTP/1.1', 'User-Agent: NSServer/9.0')).until(parseWholeResponse)).status).toBe(
      403,
    );
    await server.close();
    await start({ allow: ['127.0.0.0/8'] });
    expect((await (await request('GET / HTTP/1.1', 'User-Agent: NSServer/9.0')).until(parseWholeResponse)).status).toBe(
      503,
    );
  });

  it('judges clients of a listed proxy by the addresses that it states, on both ports', async () => {
    const played: string[] = [];
    const onPlay = (_: string, address: string) => played.push(address);
    await start({ proxyProtocol: ['loopback'], allow: ['192.0.2.7'], msbdPort: 0, onPlay });
    const running = server.run();
    source.feed(header(), key(0));
    await server.broadcast.nextHeader(1000);
    const through = async (address: string, port = server.ports.http) => {
      const peer = await RawPeer.connect(port);
      peers.push(peer);
      peer.send(`PROXY TCP4 ${address} 198.51.100.1 1000 80\r\n`);
      return peer;
    };
    const stranger = await through('192.0.2.8');
    stranger.request('GET / HTTP/1.0', ...PULL);
    expect((await stranger.until(parseWholeResponse)).status).toBe(403);
    const puller = await through('192.0.2.7');
    puller.request('GET / HTTP/1.0', ...PULL);
    await puller.until((bytes) => (bytes.includes('$H') ? true : undefined));
    const receivers = [await through('192.0.2.8', server.ports.msbd), await through('192.0.2.7', server.ports.msbd)];
    for (const each of receivers) each.send(connectRequest(1, 'any\0'));
    expect(wireMessages(await receivers[0]!.untilClosed())).toHaveLength(1);
    await receivers[1]!.until((bytes) => wireMessages(bytes).length > 1 || undefined);
    expect(played).toEqual(['192.0.2.7', '192.0.2.7']);
    await source.close();
    await running;
  });

  it('requires a login, and then speaks no MSBD unless so configured', async () => {
    await start({ users: await usersFile({ anna: [] }), msbdPort: 'auto' });
    const running = server.run();
    source.feed(header(), key(0));
    await server.broadcast.nextHeader(1000);
    expect(server.ports.msbd).toBeUndefined();
    const lines = ['GET / HTTP/1.1', 'User-Agent: NSServer/9.0'];
    const peer = await request(...lines);
    const challenge = await peer.until(parseWholeResponse);
    expect(challenge.status).toBe(401);
    expect(challenge.field('Server')).toMatch(/^Rex\//);
    const { response } = await askAs(peer, 'anna', ['ntlm'], lines);
    expect(response.status).toBe(200);
    await source.close();
    await running;
    await removeUsers();
  });

  it('serves no other clients, and reports a malformed address', async () => {
    await start();
    expect((await (await request('GET / HTTP/1.1', 'User-Agent: Mozilla')).until(parseWholeResponse)).status).toBe(404);
    await expect(
      EncoderServer.start({ httpPort: 0, open: async () => source, allow: ['everybody'] }),
    ).rejects.toMatchObject({
      code: 'WM_USAGE',
    });
  });
});
