import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { parsePacket } from '../../src/asf/packet.js';
import { readAsfPieces } from '../../src/rtsp/messages/rtp.js';
import { readSdp } from '../../src/rtsp/messages/sdp.js';
import { AUDIO, VIDEO } from '../support/stream.js';
import { until } from '../support/until.js';
import { Content, TWIN } from '../wmsp/content.js';
import { type Peer, Station } from './station.js';

const SWITCH = { 'Content-Type': 'application/x-wms-streamswitch;charset=UTF-8' };
const NOTHING = 4_294_967_295;

let station: Station;
let peer: Peer;
let content: Content | undefined;
afterEach(async () => {
  await station.close();
  await content?.close();
  content = undefined;
  expect(station.errors).toEqual([]);
});

/** The streams of the packets from the n-th on. */
function streamsFrom(first: number): number[] {
  return peer.rtp
    .slice(first)
    .flatMap(({ payload }) => readAsfPieces(payload))
    .flatMap(({ bytes }) => parsePacket(bytes).payloads.map(({ stream }) => stream));
}

// What other clients than ours send, as the specification says that they send it.
describe('a server and the requests of any client', () => {
  beforeEach(async () => {
    station = await Station.open();
    peer = await station.connect();
  });

  it('[RTSP-003] takes them by TCP only: a datagram is answered by nothing', async () => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const answers: Buffer[] = [];
    socket.on('message', (bytes) => answers.push(bytes));
    const [rtp, rtcp] = station.server.rtpPorts!;
    for (const port of [rtp, rtcp]) {
      for (const url of ['*', `rtsp://127.0.0.1:${station.port}/live`])
        socket.send(`OPTIONS ${url} RTSP/1.0\r\nCSeq: 1\r\n\r\n`, port, '127.0.0.1');
    }
    // By then, the datagrams have been read, too.
    await peer.playUdp('/live');
    station.packets(3);
    await peer.packets(3);
    expect(answers).toEqual([]);
    socket.close();
  });

  it('[RTSP-110] GetContentInfo has one byte, [RTSP-111] and is answered for content without a session', async () => {
    const type = { 'Content-Type': 'application/x-wms-getcontentinfo;charset=UTF-8' };
    const told = await peer.ask('GET_PARAMETER', '/live', type, '\0');
    expect([told.status, told.body.length]).toEqual([200, 0]);
    expect(told.headers.get('Cache-Control')).toContain('x-wms-stream-type="broadcast"');
    expect(told.headers.get('Session')).toBeUndefined();
    expect((await peer.ask('GET_PARAMETER', '/nothing', type, '\0')).status).toBe(404);
    expect(station.server.sessions).toBe(0);
  });

  it('[RTSP-125] TEARDOWN of a stream names the URL of its SETUP, and by its body the stream that is there now', async () => {
    await peer.play('/live');
    station.packets(1);
    station.sound();
    await peer.packets(2);
    // The slot of video has audio now, whose own slot is off before: the body says whom it means.
    const video = peer.url('/live/video');
    const audio = peer.url('/live/audio');
    const body = `SSEntry: ${AUDIO} ${NOTHING} 2 ${audio}\r\n`;
    expect((await peer.ask('TEARDOWN', video, SWITCH, body)).status).toBe(200);
    const before = peer.rtp.length;
    station.packets(2);
    station.sound();
    station.packets(1);
    await peer.packets(before + 3);
    expect(new Set(streamsFrom(before))).toEqual(new Set([VIDEO]));
    const nowhere = `SSEntry: 9 ${NOTHING} 2 ${audio}\r\n`;
    expect((await peer.ask('TEARDOWN', video, SWITCH, nowhere)).status).toBe(400);
    expect((await peer.ask('TEARDOWN', video, SWITCH, 'nonsense')).status).toBe(400);
  });

  it('[RTSP-091] X-Player-Lag-Time is a number of ms: anything else says nothing', async () => {
    const waits = new Map<string, number>();
    for (const lag of ['500', '-500', '5e2', '500 ms', '4294967296']) {
      const client = await station.connect();
      await client.play('/live', { Range: 'npt=0.000-', 'X-Player-Lag-Time': lag });
      station.packets(1);
      await client.packets(1);
      const from = performance.now();
      station.end(true);
      station.header({ title: `After ${lag}` });
      station.packets(1);
      await client.request('SET_PARAMETER');
      await client.request('ANNOUNCE');
      waits.set(lag, performance.now() - from);
      client.close();
    }
    const { 500: right, ...others } = Object.fromEntries(waits);
    expect(right).toBeGreaterThan(480);
    expect(Math.max(...Object.values(others))).toBeLessThan(right!);
  });
});

describe('a server and the requests of any client, on demand', () => {
  beforeEach(async () => {
    content = await Content.create();
    station = await Station.open({ content });
    peer = await station.connect();
  });

  it('[RTSP-092] X-Playlist counts from the entry of X-Playlist-Seek-Id, forward and back', async () => {
    for (const title of ['One', 'Two', 'Three']) await content!.media(`${title}.wmv`, { seconds: 20, title });
    await content!.playlist('list.wsx', 'One.wmv', 'Two.wmv', 'Three.wmv');
    const described = await peer.ask('DESCRIBE', '/list.wsx');
    let id = described.headers.get('X-Playlist-Gen-Id')!;
    await peer.play('/list.wsx');
    const seen: string[] = [];
    for (const offset of ['1', '1', '-1', '-1']) {
      const fields = { 'X-Playlist': `pl-offset=${offset}`, 'X-Playlist-Seek-Id': id };
      expect((await peer.ask('PLAY', '/list.wsx/', fields)).headers.get('X-Playlist-Change-Notice')).toBe('true');
      await peer.request('SET_PARAMETER');
      const announced = await peer.request('ANNOUNCE');
      id = announced.headers.get('X-Playlist-Gen-Id')!;
      seen.push(readSdp(announced.body.toString()).title);
    }
    expect(seen).toEqual(['Two', 'Three', 'Two', 'One']);
    // At One, of which Two comes next: it is announced, and a skip from One means just that.
    const one = id;
    await peer.ask('PLAY', '/list.wsx/', { 'X-Playlist-Seek-Id': one });
    await peer.ask('PLAY', '/list.wsx/', { 'X-Playlist': 'pl-offset=1', 'X-Playlist-Seek-Id': one });
    await peer.request('SET_PARAMETER');
    const two = await peer.request('ANNOUNCE');
    id = two.headers.get('X-Playlist-Gen-Id')!;
    const late = { 'X-Playlist': 'pl-offset=1', 'X-Playlist-Seek-Id': one };
    expect((await peer.ask('PLAY', '/list.wsx/', late)).headers.get('X-Playlist-Change-Notice')).toBe('true');
    await peer.request('SET_PARAMETER');
    const here = await peer.ask('PLAY', '/list.wsx/', { 'X-Playlist-Seek-Id': id });
    expect([here.status, here.headers.get('X-Playlist-Gen-Id')]).toEqual([200, id]);
    expect(here.headers.get('X-Playlist-Change-Notice')).toBeUndefined();
    for (const bad of ['pl-offset=2', 'pl-offset=0', '1', 'pl-offset=one']) {
      const fields = { 'X-Playlist': bad, 'X-Playlist-Seek-Id': id };
      expect([bad, (await peer.ask('PLAY', '/list.wsx/', fields)).status]).toEqual([bad, 400]);
    }
  });

  it('[RTSP-126] a switch names the URL of the SETUP, also after several', async () => {
    await content!.media('twin.wmv', { seconds: 120, twin: 'bitrateMutualExclusion' });
    await peer.setUp('/twin.wmv/video', '0-1');
    await peer.ask('PLAY', '/twin.wmv/', { Range: 'npt=0.000-', Speed: '5' });
    const first = peer.url('/twin.wmv/video');
    const second = peer.url(`/twin.wmv/stream=${TWIN}`);
    for (const [from, to] of [
      [VIDEO, TWIN],
      [TWIN, VIDEO],
      [VIDEO, TWIN],
    ]) {
      const body = `SSEntry: ${from} ${to} 0 ${from === VIDEO ? first : second} ${to === VIDEO ? first : second}\r\n`;
      const before = peer.rtp.length;
      expect((await peer.ask('SET_PARAMETER', first, SWITCH, body)).status).toBe(200);
      await until(`stream ${to}`, () => streamsFrom(before).at(-1) === to);
    }
  });
});
