import { Socket } from 'node:net';
import { parsePacket } from '../../src/asf/packet.js';
import { liveProgram } from '../../src/playback/single.js';
import { readAsfPieces } from '../../src/rtsp/messages/rtp.js';
import { describeEntry } from '../../src/rtsp/server/description.js';
import { AUDIO, testHeader } from '../support/stream.js';
import { until } from '../support/until.js';
import { Content, TWIN } from '../wmsp/content.js';
import { type Peer, Station } from './station.js';

let station: Station;
let content: Content | undefined;
let peer: Peer;
afterEach(async () => {
  await station.close();
  await content?.close();
  content = undefined;
  expect(station.errors).toEqual([]);
});

async function sdpLines(path: string): Promise<string[]> {
  const { body } = await peer.ask('DESCRIBE', path);
  return body.toString().split('\r\n');
}

describe('live', () => {
  beforeEach(async () => {
    station = await Station.open({ header: { commands: 3, title: 'A title' } });
    peer = await station.connect();
  });

  it('[RTSP-054] streams are described by their kind, [RTSP-044] under relative URLs', async () => {
    const lines = await sdpLines('/live');
    const media = lines
      .slice(lines.findIndex((line) => line.startsWith('m=')))
      .join('|')
      .split('|m=');
    const shown = media.map((section) => [
      /^(?:m=)?(\w+)/.exec(section)![1],
      /a=rtpmap:96 ([^|]+)/.exec(section)![1],
      /a=control:([^|]+)/.exec(section)![1],
    ]);
    expect(shown).toEqual([
      ['audio', 'x-asf-pf/1000', 'audio'],
      ['video', 'x-asf-pf/1000', 'video'],
      ['application', 'x-wms-rtx/1000', 'rtx'],
      ['application', 'x-asf-pf/1000', 'stream=3'],
    ]);
  });

  it('[RTSP-052] a broadcast is one', async () => {
    expect((await sdpLines('/live')).filter((line) => line.startsWith('a=type:'))).toEqual(['a=type:broadcast']);
  });

  it('[RTSP-042] the average rate is there if it is another one than the peak', async () => {
    const rates = async (average: number, peak: number) => {
      const header = testHeader();
      const streams = header.streams.map((stream) => ({
        ...stream,
        extended: { dataBitrate: peak } as NonNullable<typeof stream.extended>,
      }));
      const told = { ...header, streams, streamBitrates: new Map(streams.map(({ number }) => [number, average])) };
      const location = { base: 'rtsp://h/live/', path: '/live', address: '127.0.0.1', fecSpan: 0 };
      const program = liveProgram(station.broadcast);
      const { media } = describeEntry(told, program.current, program, location);
      program.close();
      return [media[0]!.bitRate, media[0]!.averageBitRate];
    };
    expect(await rates(64_000, 64_000)).toEqual([64_000, undefined]);
    expect(await rates(60_000, 64_000)).toEqual([64_000, 60_000]);
  });

  it('[RTSP-050] a stream that is marked as reliable says so', () => {
    const header = testHeader();
    const reliable = [true, false].map((isReliable) => {
      const extended = { flags: isReliable ? 0b11 : 0b10 } as NonNullable<(typeof header.streams)[0]['extended']>;
      const told = { ...header, streams: header.streams.map((stream) => ({ ...stream, extended })) };
      const location = { base: 'rtsp://h/live/', path: '/live', address: '127.0.0.1', fecSpan: 0 };
      const program = liveProgram(station.broadcast);
      const { media } = describeEntry(told, program.current, program, location);
      program.close();
      return media.map((each) => each.reliable ?? false);
    });
    expect(reliable).toEqual([
      [true, true, false],
      [false, false, false],
    ]);
  });

  it('[RTSP-057] the retransmission stream is one of its own, [RTSP-048] and the content has its description', async () => {
    const lines = await sdpLines('/live');
    const rtx = lines.slice(lines.indexOf('a=rtpmap:96 x-wms-rtx/1000') - 3, lines.indexOf('a=stream:65536') + 1);
    expect(rtx[0]).toBe('m=application 0 RTP/AVP 96');
    expect(rtx.join()).not.toMatch(/reliable|fmtp/);
    const list = lines.find((line) => line.startsWith('a=pgmpu:data:application/x-wms-contentdesc,'));
    expect(decodeURIComponent(list!)).toContain('5,title,31,7,A title');
  });

  it('[RTSP-059] unknown words in known fields are ignored, [RTSP-066] and so is a charset', async () => {
    const transport = 'RTP/AVP/QUIC;x=1, RTP/AVP/TCP;unicast;colour=blue;interleaved=0-1';
    const fields = { Transport: transport, Supported: 'com.example.none, com.microsoft.wm.locid, x' };
    const { status, headers } = await peer.ask('SETUP', '/live/audio', fields);
    expect(status).toBe(200);
    peer.session = headers.get('Session')!.split(';')[0]!;
    for (const charset of ['', ';charset=UTF-8', '; Charset=utf-8']) {
      const log = { 'Content-Type': `application/x-wms-Logplaystats${charset}` };
      expect((await peer.ask('SET_PARAMETER', '/live', log, '<XML/>')).status).toBe(200);
    }
    expect(station.logs).toHaveLength(3);
  });

  it('[RTSP-061] says how to cache it, [RTSP-106] in each description', async () => {
    const { headers } = await peer.ask('DESCRIBE', '/live');
    expect(headers.get('Cache-Control')).toBe(
      'max-age=0, x-wms-stream-type="broadcast", must-revalidate, private, x-wms-proxy-split',
    );
  });

  it('[RTSP-088] has a broadcast id, the same for all players', async () => {
    const { headers } = await peer.ask('DESCRIBE', '/live');
    const id = headers.get('X-Broadcast-Id')!;
    expect(id).toMatch(/^[1-9]\d{0,9}$/);
    const other = await station.connect();
    expect((await other.ask('DESCRIBE', '/live')).headers.get('X-Broadcast-Id')).toBe(id);
  });

  it('[RTSP-090] ends with a notice, [RTSP-073] and with the connection of a client that knows none', async () => {
    await peer.play('/live');
    station.packets(1);
    station.end();
    const end = await peer.request('SET_PARAMETER', '501 Not Implemented');
    expect(end.headers.get('X-Notice')).toBe('2101 "End-of-Stream Reached"');
    await peer.ends();
  });

  it('[RTSP-179] ends audio and video, and names no other stream', async () => {
    for (const control of ['audio', 'video', 'stream=3']) await peer.setUp(`/live/${control}`);
    await peer.ask('PLAY', '/live/');
    station.packets(2);
    station.end();
    const info = (await peer.request('SET_PARAMETER')).headers.get('RTP-Info')!;
    const streams = info.split(', ').map((each) => each.split(';')[0]);
    expect(streams).toEqual([`url=${peer.url('/live/audio')}`, `url=${peer.url('/live/video')}`]);
  });

  it('[RTSP-102] announces another entry with all it has to say', async () => {
    await peer.play('/live');
    station.packets(1);
    station.end(true);
    station.header({ title: 'Next' });
    await peer.request('SET_PARAMETER');
    const { url, headers, body } = await peer.request('ANNOUNCE');
    expect(url).toBe(peer.url('/live/'));
    expect(headers.get('Session')).toBe(peer.session);
    expect(headers.get('X-Playlist-Gen-Id')).toMatch(/^[1-9]\d*$/);
    expect(headers.get('Content-Type')).toBe('application/sdp');
    expect(body.toString()).toContain('s=Next\r\n');
  });

  it('[RTSP-111] answers about content without a body, [RTSP-113] and so a keep-alive', async () => {
    const info = { 'Content-Type': 'application/x-wms-getcontentinfo' };
    const told = await peer.ask('GET_PARAMETER', '/live', info, '\0');
    expect([told.status, told.body.length, told.headers.get('Cache-Control') !== undefined]).toEqual([200, 0, true]);
    await peer.setUp('/live/audio');
    const kept = await peer.ask('GET_PARAMETER', '/live/');
    expect([kept.status, kept.body.length]).toEqual([200, 0]);
  });

  it('[RTSP-132] answers logs, switches, events and TEARDOWN without a body', async () => {
    await peer.play('/live');
    const said: Array<[string, string]> = [
      ['application/x-wms-Logconnectstats', '<XML/>'],
      ['application/x-wms-Logplaystats', '<XML/>'],
      ['application/x-wms-sendevent', '1\r\n'],
      ['application/x-wms-streamswitch', 'SSEntry: 1 1 1 a b\r\n'],
    ];
    for (const [type, body] of said) {
      const response = await peer.ask('SET_PARAMETER', '/live/', { 'Content-Type': type }, body);
      expect([type, response.status, response.body.length]).toEqual([type, 200, 0]);
    }
    expect((await peer.ask('TEARDOWN', '/live/')).body).toHaveLength(0);
  });

  it('[RTSP-177] begins a session by SETUP, and none by DESCRIBE', async () => {
    expect((await peer.ask('DESCRIBE', '/live')).headers.get('Session')).toBeUndefined();
    expect(station.server.sessions).toBe(0);
    await peer.setUp('/live/audio');
    expect(station.server.sessions).toBe(1);
    expect(station.server.players).toBe(0);
  });

  it('[RTSP-182] announces later to a client that lags', async () => {
    const waits: number[] = [];
    for (const lag of ['0', '400']) {
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
      waits.push(performance.now() - from);
      client.close();
    }
    expect(waits[1]! - waits[0]!).toBeGreaterThan(250);
  });

  it('[RTSP-202] writes each packet of a pair by itself', async () => {
    const type = 'application/x-rtsp-packetpair';
    const written: number[] = [];
    const { write } = Socket.prototype;
    Socket.prototype.write = function spy(this: Socket, ...args: Parameters<Socket['write']>) {
      if (this.localPort === station.port) written.push((args[0] as Buffer).length);
      return write.apply(this, args);
    } as Socket['write'];
    try {
      const { body } = await peer.ask('GET_PARAMETER', '/live', { 'Content-Type': type });
      expect(body).toHaveLength(2_080);
    } finally {
      Socket.prototype.write = write;
    }
    expect(written).toHaveLength(3);
    expect(written.slice(1)).toEqual([512, 1_560]);
  });
});

describe('on demand', () => {
  beforeEach(async () => {
    content = await Content.create();
    await content.media('film.wmv', { seconds: 4 });
    station = await Station.open({ content });
    peer = await station.connect();
  });

  it('[RTSP-017] numbers ASF packets from 0, [RTSP-015] and leaves out a time that is that of the RTP packet', async () => {
    await peer.play('/film.wmv', undefined, { Supported: 'com.microsoft.wm.locid' });
    const pieces = (await peer.packets(5)).slice(0, 5).map(({ payload }) => readAsfPieces(payload));
    expect(pieces.map(([piece]) => piece!.location)).toEqual([0, 1, 2, 3, 4]);
    for (const [piece, ...more] of pieces) {
      expect(piece).toMatchObject({ relativeTime: 0, duration: undefined });
      expect(more).toEqual([]);
    }
  });

  it('[RTSP-052] says of a file and of a playlist what can be done with them', async () => {
    const typeOf = async (path: string) =>
      (await sdpLines(path)).find((line) => line.startsWith('a=type:'))?.slice('a=type:'.length);
    await content!.media('plain.wmv', { seconds: 2 });
    await content!.playlist('list.wsx', 'plain.wmv', 'plain.wmv');
    expect(await typeOf('/plain.wmv')).toBeUndefined();
    expect(await typeOf('/list.wsx')).toBe('playlist,skipforward');
  });

  it('[RTSP-065] says that a playlist is one', async () => {
    await content!.playlist('list.wsx', 'film.wmv', 'film.wmv');
    const { headers } = await peer.ask('DESCRIBE', '/list.wsx');
    expect(headers.get('Cache-Control')).toMatch(/x-wms-(?:stream-type="playlist"|content-size)/);
    expect((await sdpLines('/list.wsx')).find((line) => line.startsWith('a=type:'))).toContain('playlist');
    expect(headers.get('X-Broadcast-Id')).toBeUndefined();
  });

  it('[RTSP-185] sends the stream before until the first packet of the one that replaces it', async () => {
    await content!.media('twin.wmv', { seconds: 15, twin: 'bitrateMutualExclusion' });
    await peer.setUp('/twin.wmv/video', '0-1');
    await peer.ask('PLAY', '/twin.wmv/', { Range: 'npt=0.000-' });
    await peer.packets(3);
    const body = `SSEntry: 1 ${TWIN} 0 ${peer.url('/twin.wmv/video')} ${peer.url(`/twin.wmv/stream=${TWIN}`)}\r\n`;
    await peer.ask('SET_PARAMETER', '/twin.wmv/video', { 'Content-Type': 'application/x-wms-streamswitch' }, body);
    const payloads = () =>
      peer.rtp.flatMap(({ payload }) =>
        parsePacket(readAsfPieces(payload)[0]!.bytes).payloads.map(({ stream, key }) => ({ stream, key })),
      );
    await until('the other stream', () => payloads().some(({ stream }) => stream === TWIN));
    const all = payloads();
    const first = all.findIndex(({ stream }) => stream === TWIN);
    expect(all[first]!.key).toBe(true);
    expect(all.slice(first).every(({ stream }) => stream === TWIN)).toBe(true);
    expect(all.slice(0, first).every(({ stream }) => stream !== TWIN && stream !== AUDIO)).toBe(true);
  });

  it('[RTSP-199] sends a client elsewhere, and closes its connection', async () => {
    content!.redirects.set('/moved.wmv', { redirect: 'http://192.0.2.1:8080/x', proxy: false });
    content!.redirects.set('/proxied.wmv', { redirect: 'http://192.0.2.2/', proxy: true });
    const moved = await peer.ask('DESCRIBE', '/moved.wmv');
    expect([moved.status, moved.headers.get('Location')]).toEqual([302, 'rtsp://192.0.2.1/x']);
    await peer.ends();
    const other = await station.connect();
    const proxied = await other.ask('DESCRIBE', '/proxied.wmv');
    expect([proxied.status, proxied.headers.get('Location')]).toEqual([305, 'rtsp://192.0.2.2/']);
    expect(other.requests).toEqual([]);
  });

  it('[RTSP-208] grants no acceleration that nobody asked for, [RTSP-220] and a startup profile of five rates', async () => {
    const accelerate = { 'X-Accelerate-Streaming': 'AccelDuration=2000;AccelBandwidth=900000' };
    const listed = { Supported: 'com.microsoft.wm.startupprofile' };
    const asked = await peer.play('/film.wmv', { Range: 'npt=0.000-', ...accelerate }, listed);
    expect(asked.headers.get('X-Accelerate-Streaming')).toMatch(/^AccelBandwidth=\d+;AccelDuration=\d+$/);
    expect(asked.headers.get('X-StartupProfile')).toContain('Rate=10,12,15,20,30;');
    const other = await station.connect();
    const plain = await other.play('/film.wmv', { Range: 'npt=0.000-' }, listed);
    expect(plain.headers.get('X-Accelerate-Streaming')).toBeUndefined();
    const none = { 'X-Accelerate-Streaming': 'AccelDuration=0;AccelBandwidth=900000' };
    const third = await station.connect();
    expect(
      (await third.play('/film.wmv', { Range: 'npt=0.000-', ...none }, listed)).headers.get('X-StartupProfile'),
    ).toBeUndefined();
  });
});

describe('the timers and the ports', () => {
  it('[RTSP-176] fit the specification by default', async () => {
    let time = 0;
    station = await Station.open({ now: () => time });
    peer = await station.connect();
    await peer.playUdp('/live');
    time = 10_000;
    station.server.sweep();
    expect(station.server.sessions).toBe(1);
    time = 62_001;
    station.server.sweep();
    expect(station.server.sessions).toBe(0);
    await peer.ends();
  });

  it('[RTSP-002] are 5004 and the one after it where they are free', async () => {
    station = await Station.open({ rtpPort: undefined });
    const [rtp, rtcp] = station.server.rtpPorts!;
    expect(rtcp).toBe(rtp + 1);
    expect(rtp % 2).toBe(0);
  });
});

describe('retransmissions', () => {
  it('[RTSP-222] are bound to a number that cannot be guessed', async () => {
    station = await Station.open();
    const seen = new Set<string>();
    for (let count = 0; count < 5; count++) {
      const client = await station.connect();
      const [rtx, , media] = await client.playUdp('/live');
      seen.add(/ssrc=([0-9a-f]{8})/.exec(rtx!)![1]!);
      expect(rtx).not.toContain(/ssrc=[0-9a-f]{8}/.exec(media!)![0]);
    }
    expect(seen.size).toBe(5);
  });
});
