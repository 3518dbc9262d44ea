import dgram from 'node:dgram';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import type { ServerConfig } from '../../src/server/config.js';
import type { ServerEvents } from '../../src/server/events.js';
import { Peer as MmspPeer } from '../mmsp/station.js';
import { Peer as RtspPeer } from '../rtsp/station.js';
import { until } from '../support/until.js';
import { parseResponse, RawPeer } from '../support/wire.js';
import { madeFile } from '../wmsp/content.js';
import { ServerStation, type TestEncoder } from './station.js';

/** Players of every unicast protocol, each with how it plays a path over a new connection. */
const WAYS = {
  'WMSP tcp': async (path: string, opening = '') => {
    const peer = await RawPeer.connect(station.server.ports.http!);
    peers.push(peer);
    if (opening) peer.send(opening);
    const more = ['Pragma: xPlayStrm=1', 'Pragma: stream-switch-count=1', 'Pragma: stream-switch-entry=ffff:1:0'];
    peer.request(`GET ${path} HTTP/1.0`, 'User-Agent: NSPlayer/12.0.7680.0', ...more);
    await peer.until((bytes) => (parseResponse(bytes)?.body.length ?? 0) > 300 || undefined);
    return peer.untilClosed.bind(peer);
  },
  'MMSP tcp': (path: string, opening = '') => mmsp(path, opening, 'tcp'),
  'MMSP udp': (path: string, opening = '') => mmsp(path, opening, 'udp'),
  'RTSP tcp': (path: string, opening = '') => rtsp(path, opening, 'tcp'),
  'RTSP udp': (path: string, opening = '') => rtsp(path, opening, 'udp'),
};
type Way = keyof typeof WAYS;
const NAMES = Object.keys(WAYS) as Way[];
/** Those of them that a proxy can pass on. */
const BY_TCP = NAMES.filter((name) => name.endsWith('tcp'));

async function mmsp(path: string, opening: string, transport: 'tcp' | 'udp') {
  const peer = await MmspPeer.connect(station.server.ports.mms!);
  peers.push(peer);
  if (opening) peer.socket.write(opening);
  await peer.play(path.slice(1), {}, transport);
  await peer.dataCount(1);
  return () => peer.ends();
}

async function rtsp(path: string, opening: string, transport: 'tcp' | 'udp') {
  const peer = await RtspPeer.connect(station.server.ports.rtsp!);
  peers.push(peer);
  if (opening) peer.socket.write(opening);
  if (transport === 'tcp') await peer.play(path);
  else await peer.playUdp(path);
  await peer.packets(1);
  return () => peer.ends();
}

let station: ServerStation;
let folder: string;
let peers: Array<{ close(): void }> = [];
let encoder: TestEncoder;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wmcast-every-'));
  await writeFile(join(folder, 'a.wmv'), madeFile({ seconds: 60 }));
});

afterEach(async () => {
  for (const peer of peers) peer.close();
  peers = [];
  await station.close();
  await rm(folder, { recursive: true });
});

async function open(config: Partial<ServerConfig> = {}, events: ServerEvents = {}): Promise<void> {
  const ports = { mms: { port: 0 }, rtsp: { port: 0, rtpPort: 0 } };
  station = await ServerStation.open({ content: { folder }, ...ports, ...config }, events);
  const { proxyProtocol } = config;
  const peer = proxyProtocol && (await station.peer());
  peer?.send('PROXY TCP4 127.0.0.1 127.0.0.1 1000 80\r\n');
  encoder = await station.push('/live', {}, peer ? { peer } : {});
  await until('the point to be live', () => station.server.points.get('/live')?.broadcast.live);
  for (let count = 0; count < 20; count++) encoder.key();
  await until('packets', () => station.server.stats().packetsIn === 20);
}

const stats = () => station.server.stats();
const session = async () => {
  const { body } = await station.ask('GET /api/players HTTP/1.1', 'Host: localhost');
  return (JSON.parse(body.toString()) as { players: Array<Record<string, unknown>> }).players[0]!;
};

describe.each(['/live', '/a.wmv'])('a player of %s', (path) => {
  it.each(NAMES)('is counted with its bytes, and ends by its id: %s', async (name) => {
    await open();
    const before = stats().bytesOut;
    const ended = await WAYS[name](path);
    const [protocol, transport] = name.split(' ');
    const info = await until('a packet', async () => {
      const current = await session();
      return Number(current['packets']) > 0 && current;
    });
    expect(info).toMatchObject({ protocol, transport, path, remoteAddress: '127.0.0.1' });
    expect(info['bytes']).toBeGreaterThan(300);
    expect(stats()).toMatchObject({ players: 1, publishers: 1 });
    expect(stats().bytesOut - before).toBeGreaterThan(300);
    const lines = [`DELETE /api/sessions/${info['id']} HTTP/1.1`, 'Host: localhost', 'X-Requested-With: test'];
    expect((await station.ask(...lines)).status).toBe(204);
    await ended();
    await until('no players', () => stats().players === 0);
    expect(stats().bytesOut - before).toBeGreaterThan(300);
  });
});

describe('a player that comes through a listed proxy', () => {
  it.each(BY_TCP)('has the address that the proxy states: %s', async (name) => {
    const played: string[] = [];
    await open({ proxyProtocol: ['loopback'] }, { play: ({ remoteAddress }) => played.push(remoteAddress) });
    await WAYS[name]('/live', 'PROXY TCP4 192.0.2.7 198.51.100.1 1000 80\r\n');
    expect(played).toEqual(['192.0.2.7']);
  });
});

describe('two players that join at one key frame', () => {
  it.each(NAMES)('are sent the very same buffers, for the burst and from then on: %s', async (name) => {
    await open();
    const sent = new Map<unknown, Set<unknown>>();
    const note = (bytes: unknown, to: unknown) => sent.set(bytes, (sent.get(bytes) ?? new Set()).add(to));
    const shared = () => [...sent.values()].filter((to) => to.size === 2).length;
    const { write } = net.Socket.prototype;
    const writes = jest.spyOn(net.Socket.prototype, 'write').mockImplementation(function (this: net.Socket, ...args) {
      if (Buffer.isBuffer(args[0])) note(args[0], this);
      return Reflect.apply(write, this, args);
    });
    const { send } = dgram.Socket.prototype;
    const sends = jest.spyOn(dgram.Socket.prototype, 'send').mockImplementation(function (
      this: dgram.Socket,
      ...args: unknown[]
    ) {
      note(args[0], args[3]);
      return Reflect.apply(send, this, args);
    });
    try {
      await WAYS[name]('/live');
      await WAYS[name]('/live');
      expect(shared()).toBe(1);
      for (let count = 0; count < 20; count++) encoder.key();
      await until('a delivery to both', () => shared() > 1);
    } finally {
      writes.mockRestore();
      sends.mockRestore();
    }
  });
});
