import { connect, createServer, type Server, type Socket } from 'node:net';
import { PACKET_PAIR } from '../../src/mmsp/messages/base.js';
import * as client from '../../src/mmsp/messages/client.js';
import { Peer as MmsPeer } from '../mmsp/station.js';
import { Peer as RtspPeer } from '../rtsp/station.js';
import { until } from '../support/until.js';
import { closeAll, origin, server } from './house.js';

/** A connection in between that keeps what clients send. */
class Listening {
  readonly sockets = new Set<Socket>();
  port = 0;
  connections = 0;
  #sent = Buffer.alloc(0);
  readonly #server: Server;

  constructor(to: number) {
    this.#server = createServer((socket) => {
      this.connections++;
      const target = connect(to, '127.0.0.1');
      for (const [one, other] of [
        [socket, target],
        [target, socket],
      ] as const) {
        this.sockets.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => other.destroy());
        one.pipe(other);
      }
      socket.on('data', (piece: Buffer) => {
        this.#sent = Buffer.concat([this.#sent, piece]);
      });
    });
  }

  get text(): string {
    return this.#sent.toString('latin1');
  }

  /** What MMS writes in two bytes for each character. */
  get wide(): string {
    return this.text.replaceAll('\0', '');
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address && typeof address === 'object') this.port = address.port;
    return this;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const peers: Array<{ close(): void }> = [];
const taps: Listening[] = [];
afterEach(async () => {
  for (const each of peers.splice(0)) each.close();
  for (const each of taps.splice(0)) await each.close();
  await closeAll();
});

const PORTS = 'mms: { port: 0 }\nrtsp: { port: 0 }\n';
const FORWARD = `${PORTS}proxy: { forward: true, name: here }\nprivateSources: [loopback]`;

async function house(config = FORWARD) {
  const { station, media } = await origin({ 'clip.wmv': { seconds: 5 } }, PORTS);
  const { mms, rtsp } = station.server.ports;
  const [mmsTap, rtspTap] = [await new Listening(mms!).listen(), await new Listening(rtsp!).listen()];
  taps.push(mmsTap, rtspTap);
  const proxy = await server(config);
  return { station, media, mmsTap, rtspTap, proxy };
}

async function mmsPeer(port: number): Promise<MmsPeer> {
  const peer = await MmsPeer.connect(port);
  peers.push(peer);
  return peer;
}

async function rtspPeer(port: number): Promise<RtspPeer> {
  const peer = await RtspPeer.connect(port);
  peers.push(peer);
  return peer;
}

const named = (host: string) => `NSPlayer/9.0.0.3250; {3300AD50-2C39-46c0-AE0A-B4C904C7848E}; Host: ${host}`;
const START = { openFileId: 1, incarnation: 10, position: 0 };

describe('a player of MMS that uses a proxy', () => {
  it('[MMSP-078] gets a file of the server that it names, which learns of the way', async () => {
    const { mmsTap, proxy, media } = await house();
    const peer = await mmsPeer(proxy.server.ports.mms!);
    const file = await peer.open('clip.wmv', 'tcp', named(`127.0.0.1:${mmsTap.port}`));
    expect(file.hr).toBe(0);
    peer.data.length = 0;
    peer.send(
      client.buildStreamSwitch([1, 2].map((destination) => ({ source: undefined, destination, level: 0 }))),
      client.buildStartPlaying({ ...START }),
    );
    await peer.dataCount(5);
    expect(media.get('clip.wmv')!.length).toBeGreaterThan(0);
    const connectMessage = mmsTap.wide;
    expect(connectMessage).toContain(`; Host: 127.0.0.1:${mmsTap.port}`);
    expect(connectMessage).toContain(`HOST: 127.0.0.1:${mmsTap.port}`);
    expect(connectMessage).toContain('VIA: WMCacheProxy/9.5.6001.1, here');
    expect(connectMessage).toContain('NSPlayer/9.0.0.3250');
  });

  it('[MMSP-078] is named with all proxies on a chain of them, and a loop is refused', async () => {
    const { mmsTap, proxy } = await house();
    const open = async (via: string) => {
      const peer = await mmsPeer(proxy.server.ports.mms!);
      const host = `127.0.0.1:${mmsTap.port}`;
      peer.send(
        client.buildConnect(PACKET_PAIR.none, 'NSPlayer/9.0.0.3250; {3300AD50-2C39-46c0-AE0A-B4C904C7848E}', {
          host,
          via,
        }),
      );
      await peer.next('connectedEx');
      peer.send(client.buildFunnelInfo(PACKET_PAIR.none));
      await peer.next('funnelInfo');
      peer.send(client.buildConnectFunnel({ transport: 'tcp', address: '192.168.0.129', port: 1037 }));
      await peer.next('connectedFunnel');
      peer.send(client.buildOpenFile(9, 'clip.wmv'));
      return peer.next('openFile');
    };
    expect((await open('Other/1.0, there')).hr).toBe(0);
    expect(mmsTap.wide).toContain('VIA: Other/1.0, there, WMCacheProxy/9.5.6001.1, here');
    const { connections } = mmsTap;
    expect((await open('WMCacheProxy/9.5.6001.1, here')).hr).not.toBe(0);
    expect(mmsTap.connections).toBe(connections);
  });

  it('gets what this server has if it names this server, or none', async () => {
    const { station } = await house();
    const encoder = await station.push('/live');
    encoder.key();
    const proxy = await server(
      `${FORWARD}\ncontent: { folder: ${(await origin({ 'own.wmv': { seconds: 1 } })).path} }`,
    );
    const port = proxy.server.ports.mms!;
    for (const subscriber of [
      named(`127.0.0.1:${port}`),
      named('localhost'),
      'NSPlayer/9.0.0.3250; {3300AD50-2C39-46c0-AE0A-B4C904C7848E}',
    ]) {
      const peer = await mmsPeer(port);
      expect((await peer.open('own.wmv', 'tcp', subscriber)).hr).toBe(0);
    }
  });

  it.each([
    ['a private address', `${PORTS}proxy: { forward: true }`],
    [
      'a host that is not in the list',
      `${PORTS}proxy: { forward: true, hosts: [media.example] }\nprivateSources: [loopback]`,
    ],
  ])('does not reach %s', async (_, config) => {
    const { mmsTap, proxy } = await house(config);
    const peer = await mmsPeer(proxy.server.ports.mms!);
    await peer.greet('tcp', named(`127.0.0.1:${mmsTap.port}`));
    peer.send(client.buildOpenFile(9, 'clip.wmv'));
    expect((await peer.next('openFile')).hr).not.toBe(0);
    expect(mmsTap.connections).toBe(0);
  });
});

describe('a player of RTSP that uses a proxy', () => {
  const AGENT = { 'User-Agent': 'WMPlayer/9.0.0.2833 guid/3300AD50-2C39-46C0-AE0A-B4C904C7848E' };

  it('[RTSP-149] gets a file of the server in the URL, which learns of the way', async () => {
    const { rtspTap, proxy } = await house();
    const peer = await rtspPeer(proxy.server.ports.rtsp!);
    const url = `rtsp://127.0.0.1:${rtspTap.port}/clip.wmv`;
    const described = await peer.ask('DESCRIBE', url, { Accept: 'application/sdp', ...AGENT });
    expect(described.status).toBe(200);
    expect((await peer.play(url, { Range: 'npt=0.000-', ...AGENT }, AGENT)).status).toBe(200);
    await peer.packets(5);
    for (const line of [
      'Via: RTSP/1.0 here (WMCacheProxy/9.5.6001.1)',
      `X-Proxy-Client-Agent: ${AGENT['User-Agent']}`,
      'X-Proxy-Client-Verb: DESCRIBE',
    ]) {
      expect(rtspTap.text).toContain(`\r\n${line}\r\n`);
    }
    expect(rtspTap.text).toMatch(/\r\nUser-Agent: WMCacheProxy\//);
  });

  it('[RTSP-149] is passed on with the product that the first proxy saw', async () => {
    const { rtspTap, proxy } = await house();
    const peer = await rtspPeer(proxy.server.ports.rtsp!);
    const fields = {
      'X-Proxy-Client-Agent': 'WMPlayer/12.0.7601.17514',
      'X-Proxy-Client-Verb': 'GET',
      Via: 'HTTP/1.1 far',
    };
    await peer.ask('DESCRIBE', `rtsp://127.0.0.1:${rtspTap.port}/clip.wmv`, { ...AGENT, ...fields });
    expect(rtspTap.text).toContain('\r\nX-Proxy-Client-Agent: WMPlayer/12.0.7601.17514\r\n');
    expect(rtspTap.text).toContain('\r\nX-Proxy-Client-Verb: GET\r\n');
    expect(rtspTap.text).toMatch(/\r\nVia: HTTP\/1\.1 far, RTSP\/1\.0 here /);
    const around = { ...AGENT, Via: 'RTSP/1.0 here (WMCacheProxy/9.5.6001.1)' };
    const answer = await peer.ask('DESCRIBE', `rtsp://127.0.0.1:${rtspTap.port}/clip.wmv`, around);
    expect(answer.status).toBeGreaterThanOrEqual(500);
  });

  it('[RTSP-062] reads content from the origin for each player, whatever its directives say: nothing is kept', async () => {
    const { rtspTap, proxy } = await house();
    for (let player = 1; player <= 2; player++) {
      const peer = await rtspPeer(proxy.server.ports.rtsp!);
      const url = `rtsp://127.0.0.1:${rtspTap.port}/clip.wmv`;
      expect((await peer.play(url, { Range: 'npt=0.000-', ...AGENT }, AGENT)).status).toBe(200);
      await peer.packets(3);
      expect(rtspTap.text.match(/^PLAY /gm)).toHaveLength(player);
    }
    expect(proxy.server.stats().proxy).toMatchObject({ copies: 0 });
  });

  it('learns what the origin says about caching', async () => {
    const { tap } = await origin({ 'clip.wmv': { seconds: 2 } });
    const proxy = await server(`${PORTS}proxy: { origin: 'http://127.0.0.1:${tap.port}' }`);
    tap.cacheControl = 'no-cache, proxy-public, max-age=17, must-revalidate';
    const peer = await rtspPeer(proxy.server.ports.rtsp!);
    const { headers } = await peer.ask('DESCRIBE', '/clip.wmv', { Accept: 'application/sdp', ...AGENT });
    expect(headers.get('Cache-Control')).toBe('proxy-public, max-age=17, must-revalidate');
    expect(headers.get('Last-Modified')).toMatch(/GMT$/);
  });

  it('plays a live stream', async () => {
    const { station, rtspTap, mmsTap, proxy } = await house();
    const encoder = await station.push('/live');
    await until('it is live', () => station.server.points.get('/live')?.broadcast.live === true);
    encoder.key();
    const peer = await rtspPeer(proxy.server.ports.rtsp!);
    const url = `rtsp://127.0.0.1:${rtspTap.port}/live`;
    expect((await peer.play(url, { Range: 'npt=0.000-', ...AGENT }, AGENT)).status).toBe(200);
    await peer.packets(1);
    const mms = await mmsPeer(proxy.server.ports.mms!);
    expect((await mms.open('live', 'tcp', named(`127.0.0.1:${mmsTap.port}`))).hr).toBe(0);
    await peer.ask('TEARDOWN', `${url}/`);
    mms.close();
    await until('the origin has no player', () => station.server.stats().players === 0);
  });
});
