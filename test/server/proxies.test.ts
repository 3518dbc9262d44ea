import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { defaultConfig, type ServerConfig } from '../../src/server/config.js';
import { connectRequest, wireMessages } from '../msbd/support.js';
import { proxyHeader } from '../support/proxy.js';
import { testTls } from '../support/tls.js';
import { until } from '../support/until.js';
import { parseResponse, parseWholeResponse, RawPeer } from '../support/wire.js';
import { ENCODER, ServerStation } from './station.js';

let station: ServerStation;
let warnings: string[];
let played: string[];

beforeEach(() => {
  warnings = [];
  played = [];
});
afterEach(() => station.close());

async function open(config: Partial<ServerConfig> = {}) {
  station = await ServerStation.open(
    { proxyProtocol: ['loopback'], ...config },
    {
      warning: (message) => warnings.push(message),
      play: ({ path, client, remoteAddress }) => played.push(`${path} ${client} ${remoteAddress}`),
    },
  );
}

/** A connection from a proxy on this host. */
async function via(header: Buffer | string, port = station.port): Promise<RawPeer> {
  const peer = await RawPeer.connect(port);
  peer.send(header);
  return peer;
}

const line = (source: string) => `PROXY TCP4 ${source} 198.51.100.1 1000 80\r\n`;
const PLAY = ['Pragma: xPlayStrm=1', 'Pragma: stream-switch-count=1', 'Pragma: stream-switch-entry=ffff:1:0'];
const SETUP = ['POST /live HTTP/1.1', 'Host: 127.0.0.1', ENCODER, 'Content-Type: application/x-wms-pushsetup'];

describe('a connection from a listed proxy', () => {
  it.each([
    ['version 1', line('192.0.2.7')],
    ['version 2', proxyHeader('192.0.2.7', '198.51.100.1')],
  ])('has the client address that the proxy states with %s', async (_, header) => {
    await open({
      points: [{ path: '/live' }],
      access: { ...defaultConfig().access, push: { addresses: ['192.0.2.7'] } },
    });
    const encoder = await via(header);
    // The header and the first request may come together, or byte by byte.
    encoder.request(...SETUP, 'Content-Length: 0');
    expect((await encoder.until(parseWholeResponse)).status).toBe(204);
    const other = await via(line('192.0.2.8'));
    other.request(...SETUP, 'Content-Length: 0');
    expect((await other.until(parseWholeResponse)).status).toBe(403);
  });

  it('appears with its client address to the operator and in the log', async () => {
    await open({ points: [{ path: '/live' }], access: { ...defaultConfig().access, push: {} }, msbd: { port: 0 } });
    const encoder = await station.push('/live', {}, { peer: await via(line('192.0.2.7')) });
    await until('the point to be live', () => station.server.points.get('/live')?.broadcast.live);
    encoder.key();
    const player = await via(proxyHeader('2001:db8::9', '2001:db8::1'));
    player.request('GET /live HTTP/1.0', 'User-Agent: NSPlayer/7.1', ...PLAY);
    await player.until((bytes) => bytes.includes('$D') || undefined);
    const receiver = await via(line('192.0.2.8'), station.server.ports.msbd);
    receiver.send(connectRequest(1, 'live\0'));
    await receiver.until((bytes) => wireMessages(bytes).length > 1 || undefined);
    expect(played).toEqual(['/live NSPlayer/7.1 2001:db8::9', '/live MSBD 192.0.2.8']);
    const operator = await via(line('127.0.0.1'));
    operator.request('GET /api/players HTTP/1.1', 'Host: localhost');
    const { players } = JSON.parse((await operator.until(parseWholeResponse)).body.toString()) as { players: object[] };
    expect(players).toMatchObject([{ remoteAddress: '2001:db8::9' }, { remoteAddress: '192.0.2.8' }]);
  });

  it('counts as from this host only if the proxy is on this host and says so', async () => {
    await open();
    const status = async (header: Buffer | string) => {
      const peer = await via(header);
      peer.request('GET /api/status HTTP/1.1', 'Host: localhost');
      return (await peer.until(parseWholeResponse)).status;
    };
    expect(await status(line('127.0.0.1'))).toBe(200);
    expect(await status('PROXY TCP4 198.51.100.1 198.51.100.1 1 80\r\n')).toBe(200);
    expect(await status(line('192.0.2.7'))).toBe(403);
    expect(await status('PROXY UNKNOWN\r\n')).toBe(403);
    expect(await status(proxyHeader('127.0.0.1', '127.0.0.1', { command: 0 }))).toBe(403);
    expect(await status(proxyHeader('127.0.0.1', '127.0.0.1', { family: 0x31, more: 216 }))).toBe(403);
  });

  it('may arrive byte by byte', async () => {
    await open();
    const peer = await RawPeer.connect(station.port);
    peer.socket.setNoDelay(true);
    const bytes = Buffer.concat([
      proxyHeader('127.0.0.1', '127.0.0.1', { more: 20 }),
      Buffer.from('GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    ]);
    for (const byte of bytes) {
      peer.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await peer.until(parseWholeResponse)).status).toBe(200);
  });

  it('is closed without a header, and that is reported', async () => {
    await open();
    const peer = await via('GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n');
    expect(await peer.untilClosed()).toHaveLength(0);
    expect(warnings).toEqual([expect.stringMatching(/^127\.0\.0\.1 is in proxyProtocol and sends something else/)]);
    const second = await via(Buffer.alloc(100));
    expect(await second.untilClosed()).toHaveLength(0);
    expect(warnings).toHaveLength(1);
  });

  it('speaks TLS after the header', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wmcast-proxies-'));
    const tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), port: 0 };
    await writeFile(tls.cert, testTls.cert);
    await writeFile(tls.key, testTls.key);
    await open({ tls });
    const status = async (source: string) => {
      const { socket } = await via(line(source), station.server.ports.https);
      socket.removeAllListeners('data');
      const secure = connect({ socket, host: '127.0.0.1', ca: testTls.cert });
      await once(secure, 'secureConnect');
      secure.write('GET /api/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      const chunks: Buffer[] = [];
      for await (const chunk of secure) chunks.push(chunk as Buffer);
      return parseResponse(Buffer.concat(chunks))?.status;
    };
    expect(await status('127.0.0.1')).toBe(200);
    expect(await status('192.0.2.7')).toBe(403);
    await rm(folder, { recursive: true });
  });
});

describe('the PROXY protocol', () => {
  it('is not accepted from others', async () => {
    await open({ proxyProtocol: ['192.0.2.1'] });
    const peer = await via(`${line('127.0.0.1')}\r\n`);
    expect(parseResponse(await peer.untilClosed())?.status).toBe(400);
    expect(warnings).toEqual([]);
  });
});
