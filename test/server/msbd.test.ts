import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AsfSource } from '../../src/media/events.js';
import { MsbdClient } from '../../src/msbd/client/client.js';
import { MSBD_PORT } from '../../src/msbd/server/options.js';
import { parseConfig } from '../../src/server/config-file.js';
import { EncoderServer, type EncoderServerOptions } from '../../src/server/encoder.js';
import { MsbdListener } from '../../src/server/listeners/msbd.js';
import { describeSourceUrl, isSourceUrl, openSourceUrl } from '../../src/sources/table.js';
import { connectRequest, shape, untilShape, wireMessages } from '../msbd/support.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { RawPeer } from '../support/wire.js';
import { ServerStation, type TestEncoder } from './station.js';

const peers: RawPeer[] = [];
afterEach(() => {
  for (const peer of peers.splice(0)) peer.close();
});

async function ask(port: number, channel = 'NetShow', flags = 1): Promise<RawPeer> {
  const peer = await RawPeer.connect(port);
  peers.push(peer);
  peer.send(connectRequest(flags, channel));
  return peer;
}

/** The hr of the RES_CONNECT. */
async function answer(port: number, channel?: string, flags?: number): Promise<number> {
  const peer = await ask(port, channel, flags);
  return peer.until((bytes) => wireMessages(bytes)[0]?.hr);
}

describe('MSBD of a media server', () => {
  let station: ServerStation;
  afterEach(() => station.close());

  const open = async (config: Parameters<typeof ServerStation.open>[0] = {}): Promise<number> => {
    station = await ServerStation.open({ msbd: { port: 0 }, ...config });
    return station.server.ports.msbd!;
  };

  const push = async (path: string) => {
    const encoder = await station.push(path, { title: path });
    encoder.key();
    const point = () => station.server.points.get(path);
    await until('the point to be live', () => point()?.broadcast.live);
    return encoder;
  };

  it('serves points by name, with their packets and their end', async () => {
    const port = await open();
    const a = await push('/a');
    await push('/b/c');
    const [first, second] = [await ask(port, 'a'), await ask(port, '/b/c')];
    a.key();
    const messages = await untilShape(first, /^CSP+$/);
    expect(messages[1]!.bytes.toString('utf16le', 48)).toContain('/a');
    expect((await untilShape(second, /^CS/))[1]!.bytes.toString('utf16le', 48)).toContain('/b/c');
    a.end();
    await untilShape(first, /^CSP+ES$/);
    expect(shape(second.received)).not.toContain('E');
  });

  /** Ends an entry with more to come, and begins the next one with the very same header. */
  const nextEntry = (encoder: TestEncoder, title: string) => {
    encoder.end(1);
    encoder.send('C', Buffer.concat([Buffer.alloc(4), testHeader({ title }).bytes]));
    encoder.send('H', testHeader({ title }).bytes);
    for (let packet = 0; packet < 3; packet++) encoder.key();
  };
  const streamIds = (bytes: Buffer) =>
    wireMessages(bytes).flatMap(({ id, bytes: own }) =>
      id === 5 || id === 10 ? [own.readUInt16LE(id === 5 ? 16 : 20)] : [],
    );

  it('[MSBD-026] [MSBD-028] announces each pushed entry with IND_STREAMINFO, though its header equals the last one', async () => {
    const port = await open();
    const encoder = await push('/a');
    const peer = await ask(port, 'a');
    await untilShape(peer, /^CSP+$/);
    nextEntry(encoder, '/a');
    await untilShape(peer, /^CSP+SPPP$/);
    nextEntry(encoder, '/a');
    const messages = await untilShape(peer, /^CSP+SPPPSPPP$/);
    const ids = streamIds(peer.received);
    const entries = ids.filter((id, index) => id !== ids[index - 1]);
    expect(new Set(entries).size).toBe(3);
    expect(entries).toHaveLength(3);
    for (const id of entries) expect(id & 0x7800).toBe(0);
    const numbers = messages.filter(({ id }) => id === 10).map(({ bytes }) => bytes.readUInt32LE(16));
    expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
    const infos = messages.filter(({ id }) => id === 5).map(({ bytes }) => bytes.subarray(18));
    expect(infos[1]).toEqual(infos[0]);
  });

  it('[MSBD-026] forwards each entry to servers that pull it from here, again by MSBD', async () => {
    const port = await open();
    const encoder = await push('/a');
    const other = await ServerStation.open({
      points: [{ path: '/copy', source: `msbd://127.0.0.1:${port}/a` }],
      msbd: { port: 0 },
    });
    try {
      const copy = other.server.points.get('/copy')!;
      while (!copy.broadcast.live) await copy.broadcast.nextHeader(3_000);
      const peer = await ask(other.server.ports.msbd!, 'copy');
      await untilShape(peer, /^CSP*$/);
      nextEntry(encoder, '/a');
      await untilShape(peer, /^CSP*SPPP$/);
    } finally {
      await other.close();
    }
  });

  it('lists its clients among the players, by the points that they play', async () => {
    const port = await open();
    await push('/a');
    const peer = await ask(port, 'NetShow');
    await untilShape(peer, /^CS/);
    const listed = async () => JSON.parse((await station.ask('GET /api/players HTTP/1.1')).body.toString());
    expect(await listed()).toMatchObject({
      total: 1,
      players: [{ path: '/a', client: 'MSBD', remoteAddress: '127.0.0.1', since: expect.stringMatching(/^20/) }],
    });
    peer.close();
    while ((await listed()).total > 0);
  });

  it('takes "NetShow" for the live point, unless there are several', async () => {
    const port = await open();
    expect(await answer(port)).toBe(0xc00d001a);
    await push('/a');
    expect(await answer(port)).toBe(0);
    await push('/b');
    expect(await answer(port)).toBe(0xc00d001a);
    expect(await answer(port, 'b')).toBe(0);
    await push('/NetShow');
    expect(await answer(port)).toBe(0);
  });

  it('takes "NetShow", or no channel at all, for the configured point', async () => {
    const { msbd } = parseConfig('msbd: { port: 0, netShow: /b }', 'serve.yaml');
    const port = await open({ msbd });
    for (const path of ['/a', '/NetShow']) await push(path);
    expect(await answer(port)).toBe(0xc00d001a);
    await push('/b');
    for (const channel of ['NetShow', 'netshow', '']) {
      const peer = await ask(port, channel);
      expect((await untilShape(peer, /^CS/))[1]!.bytes.toString('utf16le', 48)).toContain('/b');
    }
    expect(await answer(port, 'a')).toBe(0);
    expect(() => parseConfig('msbd: { netShow: b }', 'serve.yaml')).toThrow('netShow');
  });

  it('finds a channel with a final slash and in any case, without bypassing its rules', async () => {
    const port = await open({
      points: [
        { path: '/Live' },
        { path: '/two' },
        { path: '/TWO' },
        { path: '/far', access: { play: { addresses: ['192.0.2.0/24'] } } },
      ],
    });
    for (const path of ['/Live', '/two', '/TWO', '/far']) await push(path);
    for (const channel of ['live', '/LIVE', 'Live/', 'two', 'TWO'])
      expect([channel, await answer(port, channel)]).toEqual([channel, 0]);
    expect(await answer(port, 'Two')).not.toBe(0);
    expect(await answer(port, 'FAR')).toBe(0x80070005);
  });

  it('lets clients play only points whose rules they meet', async () => {
    const port = await open({
      points: [
        { path: '/far', access: { play: { addresses: ['192.0.2.0/24'] } } },
        { path: '/near', access: { play: { addresses: ['loopback'] } } },
        { path: '/secret', access: { play: { users: ['*'], trusted: ['192.0.2.1'] } } },
        { path: '/trusted', access: { play: { users: ['*'], trusted: ['loopback'] } } },
      ],
    });
    for (const path of ['/far', '/near', '/secret', '/trusted']) await push(path);
    expect(await answer(port, 'far')).toBe(0x80070005);
    expect(await answer(port, 'near')).toBe(0);
    expect(await answer(port, 'secret')).toBe(0x80070005);
    expect(await answer(port, 'trusted')).toBe(0);
  });

  it('respects the limits of a point and of the server', async () => {
    const port = await open({
      points: [{ path: '/small', maxPlayers: 1 }, { path: '/other' }, { path: '/third' }],
      limits: { players: 2, connections: 100, points: 100 },
    });
    for (const path of ['/small', '/other', '/third']) await push(path);
    expect(await answer(port, 'small')).toBe(0);
    expect(await answer(port, 'small')).toBe(0xc00d0025);
    expect(await answer(port, 'other')).toBe(0);
    expect(await answer(port, 'third')).toBe(0xc00d0025);
  });

  it('pulls points from msbd:// of another server', async () => {
    const port = await open();
    await push('/a');
    const other = await ServerStation.open({
      points: [{ path: '/copy', source: `msbd://127.0.0.1:${port}/a` }],
      msbd: { port: 0 },
    });
    try {
      const copy = other.server.points.get('/copy')!;
      await copy.broadcast.nextHeader(3_000);
      const player = await ask(other.server.ports.msbd!, 'copy');
      expect((await untilShape(player, /^CS/))[1]!.bytes.toString('utf16le', 48)).toContain('/a');
    } finally {
      await other.close();
    }
  });

  it('does not exist unless configured', async () => {
    station = await ServerStation.open();
    expect(station.server.ports.msbd).toBeUndefined();
  });
});

describe('MSBD of an encoder', () => {
  let server: EncoderServer;
  let opened: number;
  afterEach(() => server.close());

  /** A live source with a header and one packet, which then waits to be closed. */
  function source(): AsfSource {
    opened++;
    let end = () => {};
    const closed = new Promise<void>((resolve) => (end = resolve));
    return {
      async *[Symbol.asyncIterator]() {
        yield { type: 'header', header: testHeader() };
        yield { type: 'packet', packet: testPacket(0, { key: true }) };
        await closed;
        yield { type: 'end', moreEntries: false, reason: 0 };
      },
      close: async () => end(),
    };
  }

  async function start(options: Partial<EncoderServerOptions> = {}): Promise<number> {
    opened = 0;
    server = await EncoderServer.start({
      host: '127.0.0.1',
      httpPort: 0,
      msbdPort: 0,
      open: async () => source(),
      ...options,
    });
    void server.run();
    return server.ports.msbd!;
  }

  it('serves its one stream, whatever the channel', async () => {
    const port = await start();
    const peer = await ask(port, 'whatever');
    await untilShape(peer, /^CSP$/);
    expect(server.clients).toBe(1);
    await server.close();
    await untilShape(peer, /^CSPES$/);
  });

  it('captures only once a client pulls, if so configured', async () => {
    const port = await start({ onDemand: true });
    expect(opened).toBe(0);
    await untilShape(await ask(port), /^CSP?/);
    expect(opened).toBe(1);
  });

  it('refuses addresses that may not pull, clients above the limit, and multicast without a group', async () => {
    expect(await answer(await start({ allow: ['192.0.2.0/24'] }))).toBe(0x80070005);
    await server.close();
    const port = await start({ maxClients: 1 });
    expect(await answer(port)).toBe(0);
    expect(await answer(port)).toBe(0xc00d0025);
    expect(await answer(port, 'NetShow', 2)).toBe(0xc00d001a);
  });
});

describe('MsbdListener', () => {
  const content = { open: async () => undefined };

  it('[MSBD-006] takes 7007 by default if it is free, and otherwise runs without a port', async () => {
    const blocker = createServer();
    // Taken from here on, by this test or by another program.
    blocker.once('error', () => {});
    const listening = once(blocker, 'listening').catch(() => {});
    blocker.listen(MSBD_PORT, '127.0.0.1');
    await listening;
    const place = { host: '127.0.0.1', content };
    const without = new MsbdListener({ port: 'auto', ...place });
    expect(await without.start()).toEqual({});
    await without.close();
    await expect(new MsbdListener({ port: MSBD_PORT, ...place }).start()).rejects.toMatchObject({
      code: 'WM_PORT_IN_USE',
    });
    if (!blocker.listening) return;
    await new Promise((resolve) => blocker.close(resolve));
    const listener = new MsbdListener({ port: 'auto', ...place });
    expect(await listener.start()).toEqual({ msbd: 7007 });
    await listener.close();
  });

  it('[MSBD-006] takes the given port, or none', async () => {
    const none = new MsbdListener({ port: 'none', content });
    expect(await none.start()).toEqual({});
    await none.close();
    const free = new MsbdListener({ port: 0, host: '127.0.0.1', content });
    expect((await free.start()).msbd).toBeGreaterThan(0);
    await free.close();
  });
});

describe('URLs of sources', () => {
  it.each(['msbd://h', 'MSBD://h:1/x', 'http://h/x', 'mmsh://h', 'mms://h/x', 'a.nsc'])('%s is a source', (url) => {
    expect(isSourceUrl(url)).toBe(true);
  });

  it.each(['a.wmv', '-', '/tmp/x', 'C:\\x.wmv'])('%s is not', (text) => {
    expect(isSourceUrl(text)).toBe(false);
  });

  it('are listed by kind when one is unknown', () => {
    expect(() => isSourceUrl('gopher://h')).toThrow(
      expect.objectContaining({ code: 'WM_USAGE', message: expect.stringMatching(/^gopher:\/\/ .*msbd:\/\//) }),
    );
    expect(() => openSourceUrl('msbd://')).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
  });

  it('are each opened with their client', async () => {
    expect(openSourceUrl('msbd://127.0.0.1:1')).toBeInstanceOf(MsbdClient);
    await expect(describeSourceUrl('msbd://127.0.0.1:1')).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
  });
});
