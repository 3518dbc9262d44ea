import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePacket } from '../../src/asf/packet.js';
import { buildNacks } from '../../src/rtsp/messages/rtcp.js';
import { type RtpPacket, readAsfPieces } from '../../src/rtsp/messages/rtp.js';
import { readSdp } from '../../src/rtsp/messages/sdp.js';
import { AUDIO, VIDEO } from '../support/stream.js';
import { until } from '../support/until.js';
import { Content } from '../wmsp/content.js';
import { type Fields, type Peer, Station } from './station.js';

let station: Station;
afterEach(async () => {
  await station.close();
  expect(station.errors).toEqual([]);
});

/** Of a header with parameters `name=value`, the one of that name. */
const parameter = (field: string | undefined, name: string) => new RegExp(`${name}=([^;,]*)`).exec(field ?? '')?.[1];

/** The stream of the first payload of each packet. */
function streamsOf(packets: readonly RtpPacket[]): number[] {
  return packets.map(({ payload }) => parsePacket(readAsfPieces(payload)[0]!.bytes).payloads[0]!.stream);
}

describe('a session of RTSP, live', () => {
  beforeEach(async () => {
    station = await Station.open();
  });

  it('[RTSP-194] says what it is and what it supports', async () => {
    const peer = await station.connect();
    const response = await peer.ask('OPTIONS', '*');
    expect(response.status).toBe(200);
    expect(response.headers.get('Server')).toMatch(/^WMServer\//);
    expect(response.headers.get('Public')).toContain('DESCRIBE');
    for (const feature of ['eosmsg', 'sswitch']) expect(response.headers.get('Supported')).toContain(feature);
  });

  it('[RTSP-105] is described by an SDP, [RTSP-046] which holds the header', async () => {
    const peer = await station.connect();
    const { status, headers, body } = await peer.ask('DESCRIBE', '/live', { Accept: 'application/sdp' });
    expect(status).toBe(200);
    expect(headers.get('Content-Type')).toBe('application/sdp');
    expect(headers.get('Cache-Control')).toContain('x-wms-stream-type="broadcast"');
    const sdp = readSdp(body.toString('utf8'));
    expect(sdp.control).toBe(peer.url('/live/'));
    expect(sdp.features).toEqual(['broadcast']);
    expect(sdp.media.map(({ control, stream }) => [control, stream])).toEqual([
      ['audio', 2],
      ['video', 1],
      ['rtx', 65_536],
    ]);
    expect(sdp.header.equals(station.broadcast.header!.bytes)).toBe(true);
  });

  it('[RTSP-204] gets a session by its first SETUP, [RTSP-123] with its transport', async () => {
    const peer = await station.connect();
    const { status, headers } = await peer.setUp('/live/audio');
    expect(status).toBe(200);
    expect(headers.get('Session')).toMatch(/^\d{1,20};timeout=60$/);
    expect(headers.get('Transport')).toMatch(/^RTP\/AVP\/TCP;unicast;interleaved=0-1;ssrc=[0-9a-f]{8};mode=PLAY$/);
  });

  it('is told the first number before the first packet; all streams come on the first channel', async () => {
    const peer = await station.connect();
    const { headers } = await peer.play('/live');
    station.packets(3);
    const packets = await peer.packets(3);
    const info = headers.get('RTP-Info');
    expect(info).toContain(`url=${peer.url('/live/audio')};`);
    expect(parameter(info, 'rtptime')).toBe('0');
    expect(Number(parameter(info, 'seq'))).toBe(packets[0]!.sequence);
    expect(peer.order.slice(-4)).toEqual(['200', 'rtp', 'rtp', 'rtp']);
    expect([...peer.channels]).toEqual([0]);
    expect(new Set(packets.map(({ ssrc }) => ssrc)).size).toBe(1);
  });

  it('[RTSP-018] gets packets without padding, [RTSP-008] of the payload type that the SDP names', async () => {
    const peer = await station.connect();
    const { media } = readSdp((await peer.ask('DESCRIBE', '/live')).body.toString());
    await peer.play('/live');
    station.packets(1);
    const [packet] = await peer.packets(1);
    expect(packet).toMatchObject({ payloadType: 96, timestamp: 0, marker: true });
    const named = media.filter(({ format }) => format === 'x-asf-pf').map(({ payloadType }) => payloadType);
    expect(new Set(named)).toEqual(new Set([packet!.payloadType]));
    const [piece] = readAsfPieces(packet!.payload);
    expect(piece).toMatchObject({ keyFrame: true, offset: undefined, location: undefined });
    expect(parsePacket(piece!.bytes)).toMatchObject({ explicitLength: true, paddingLength: 0 });
    expect(piece!.bytes.length).toBeLessThan(400);
  });

  it('[RTSP-193] gets LocationIds once it lists them, [RTSP-076] and none if its latest list does not', async () => {
    const peer = await station.connect();
    await peer.play('/live', {}, { Supported: 'com.microsoft.wm.locid' });
    station.packets(2);
    const packets = await peer.packets(2);
    const locations = () => peer.rtp.map(({ payload }) => readAsfPieces(payload)[0]!.location);
    expect(locations()).toEqual([0, 1]);
    await peer.ask('PAUSE', '/live/');
    await peer.ask('PLAY', '/live/', { Supported: 'com.microsoft.wm.eosmsg' });
    station.packets(1);
    await peer.packets(packets.length + 1);
    expect(locations().at(-1)).toBeUndefined();
  });

  it('[RTSP-072] need not list what it supports again', async () => {
    const peer = await station.connect();
    await peer.play('/live', {}, { Supported: 'com.microsoft.wm.locid' });
    await peer.ask('GET_PARAMETER', '/live/');
    await peer.ask('PAUSE', '/live/');
    await peer.ask('PLAY', '/live/');
    station.packets(1);
    const [packet] = await peer.packets(1);
    expect(readAsfPieces(packet!.payload)[0]!.location).toBe(0);
  });

  it('[RTSP-195] is told in each response how long its session lasts', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    for (const [method, fields] of [
      ['GET_PARAMETER', {}],
      ['PAUSE', {}],
      ['SETUP', { Transport: 'RTP/AVP/TCP;unicast;interleaved=4-5' }],
      ['PLAY', {}],
    ] as const) {
      const path = method === 'SETUP' ? '/live/audio' : '/live/';
      const { headers } = await peer.ask(method, path, fields);
      expect([method, headers.get('Session')]).toEqual([method, `${peer.session};timeout=60`]);
    }
  });

  it('shares its numbers and its SSRC with the other players', async () => {
    const [one, two] = [await station.connect(), await station.connect()];
    await one.play('/live');
    for (let count = 0; count < 4; count++) station.packets(6);
    await one.packets(24);
    await two.play('/live');
    station.packets(1);
    await until('all packets', () => one.rtp.length === 25);
    await until('the last packet', () => two.rtp.at(-1)?.timestamp === one.rtp.at(-1)!.timestamp);
    // It did not get all of them, so it would have other numbers if it counted itself.
    expect(two.rtp.length).toBeLessThan(25);
    const last = (peer: Peer) => ({ ...peer.rtp.at(-1)!, payload: '' });
    expect(last(two)).toEqual(last(one));
  });

  it('pauses and goes on', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    station.packets(2);
    await peer.packets(2);
    expect((await peer.ask('PAUSE', '/live/')).status).toBe(200);
    await until('no players', () => station.server.players === 0);
    const { headers } = await peer.ask('PLAY', '/live/');
    const sequence = Number(parameter(headers.get('RTP-Info'), 'seq'));
    station.packets(1);
    await peer.packets(3);
    expect(peer.rtp[2]!.sequence).toBe(sequence);
  });

  it('[RTSP-178] gets EndOfStream, [RTSP-179] with the number after the last packet', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    station.packets(2);
    station.end();
    const request = await peer.request('SET_PARAMETER');
    expect(request.headers.get('Content-Type')).toBe('application/x-wms-extension-cmd');
    expect(request.headers.get('X-Notice')).toBe('2101 "End-of-Stream Reached"');
    expect(request.body.toString()).toBe(`Session: ${peer.session}\r\nEOF: true\r\n`);
    const info = request.headers.get('RTP-Info');
    expect(Number(parameter(info, 'seq'))).toBe((peer.rtp.at(-1)!.sequence + 1) & 0xffff);
    expect(info).not.toContain('rtptime');
  });

  it('[RTSP-074] sees the end of its connection if it does not know that request', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    station.packets(1);
    station.end();
    await peer.request('SET_PARAMETER', '501 Not Implemented');
    // A player that is about to seek is not sent away.
    expect((await peer.ask('GET_PARAMETER', '/live/')).status).toBe(200);
    peer.socket.write('RTSP/1.0 501 Not Implemented\r\n\r\n');
    await peer.ends();
  });

  it('[RTSP-074] sees it also where another entry follows, which it would wait for in vain', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    station.packets(2);
    await peer.packets(2);
    station.end(true);
    station.header({ video: false });
    await peer.request('SET_PARAMETER', '501 Not Implemented');
    await peer.request('ANNOUNCE', '501 Not Implemented');
    await peer.ends();
  });

  it('may send EndOfStream back with two lengths, as GStreamer does', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    station.packets(1);
    station.end();
    const { headers, body } = await peer.request('SET_PARAMETER');
    const fields = [['CSeq', '4'], ...headers.entries, ['Content-Length', `${body.length + 1}`]];
    const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    peer.socket.write(`SET_PARAMETER ${peer.url('/live/')} RTSP/1.0\r\n${lines}\r\n${body}\0`);
    const response = await peer.response();
    expect([response.status, response.headers.get('CSeq')]).toEqual([200, '4']);
    expect((await peer.ask('GET_PARAMETER', '/live/')).status).toBe(200);
  });

  it('[RTSP-216] may answer anything if it listed that request', async () => {
    const peer = await station.connect();
    await peer.play('/live', {}, { Supported: 'com.microsoft.wm.eosmsg' });
    station.packets(1);
    station.end();
    await peer.request('SET_PARAMETER', '400 Bad Request');
    expect((await peer.ask('GET_PARAMETER', '/live/')).status).toBe(200);
  });

  it('[RTSP-181] is announced another entry, [RTSP-183] and waits for its PLAY', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    station.packets(2);
    await peer.packets(2);
    station.end(true);
    station.header({ video: false });
    const end = await peer.request('SET_PARAMETER');
    expect(end.body.toString()).toContain('End-Of-Playlist-Entry: true');
    const announce = await peer.request('ANNOUNCE');
    const sdp = readSdp(announce.body.toString());
    expect(sdp.media.map(({ control }) => control)).toEqual(['audio', 'rtx']);
    expect(announce.headers.get('X-RTP-Info')).toBeUndefined();
    expect(announce.headers.get('X-Playlist-Gen-Id')).not.toBe(end.headers.get('X-Playlist-Gen-Id'));
    await peer.setUp('/live/audio');
    const before = peer.rtp.length;
    const { status } = await peer.ask('PLAY', '/live/');
    expect(status).toBe(200);
    station.packets(1);
    await peer.packets(before + 1);
  });

  it('[RTSP-079] goes on at once in another entry if it listed that, [RTSP-097] its streams told', async () => {
    const peer = await station.connect();
    await peer.play('/live', {}, { Supported: 'com.microsoft.wm.predstrm' });
    station.packets(2);
    await peer.packets(2);
    station.end(true);
    station.header();
    const announce = await peer.request('SET_PARAMETER').then(() => peer.request('ANNOUNCE'));
    const info = announce.headers.get('X-RTP-Info');
    const audio = `url=${peer.url('/live/audio')};unicast;transport=RTP/AVP/TCP;interleaved=0-1;ssrc=`;
    expect(info).toContain(audio);
    expect(parameter(info, 'seq')).toBe(`${(peer.rtp.at(-1)!.sequence + 1) & 0xffff}`);
    expect(parameter(info, 'thinlevel')).toBe('0');
    expect(announce.headers.get('X-Broadcast-Id')).toMatch(/^\d+$/);
    expect(announce.headers.get('Cache-Control')).toContain('broadcast');
    station.packets(1);
    await peer.packets(3);
    // It takes that back.
    await peer.ask('GET_PARAMETER', '/live/', { Supported: 'com.microsoft.wm.eosmsg' });
    await peer.ask('PLAY', '/live/');
    station.end(true);
    station.header({ title: 'Third' });
    const second = await peer.request('SET_PARAMETER').then(() => peer.request('ANNOUNCE'));
    expect(second.headers.get('X-RTP-Info')).toBeUndefined();
  });

  it('[RTSP-189] is refused what is for another entry, [RTSP-190] and another session', async () => {
    const peer = await station.connect();
    await peer.setUp('/live/audio');
    const other = { 'X-Playlist-Gen-Id': '77' };
    const transport = { Transport: 'RTP/AVP/TCP;interleaved=2-3' };
    expect((await peer.ask('SETUP', '/live/video', { ...transport, ...other })).status).toBe(412);
    expect((await peer.ask('PLAY', '/live/', { Session: '12345' })).status).toBe(454);
    expect((await peer.ask('PLAY', '/live/', other)).status).toBe(200);
  });

  it('[RTSP-203] is refused a stream that there is not, and operations on the wrong URLs', async () => {
    const peer = await station.connect();
    const transport = { Transport: 'RTP/AVP/TCP;interleaved=0-1' };
    await peer.ask('DESCRIBE', '/live');
    expect((await peer.ask('SETUP', '/live/nothing', transport)).status).toBe(400);
    expect((await peer.ask('SETUP', '/live/', transport)).status).toBe(459);
    expect((await peer.ask('SETUP', '/else/audio', transport)).status).toBe(404);
    await peer.setUp('/live/audio');
    expect((await peer.ask('PLAY', '/live/audio')).status).toBe(460);
    expect((await peer.ask('PLAY', '/live/', { Range: 'clock=19960213T143205Z-' })).status).toBe(457);
    expect((await peer.ask('SETUP', '/live/video', { Transport: 'RTP/AVP;multicast' })).status).toBe(461);
    expect((await peer.ask('SETUP', '/live/rtx', transport)).status).toBe(461);
  });

  it('[RTSP-215] cannot pause what it does not play, [RTSP-188] nor ask for what there is not', async () => {
    const peer = await station.connect();
    await peer.setUp('/live/audio');
    expect((await peer.ask('PAUSE', '/live/')).status).toBe(455);
    expect((await peer.ask('FETCH', '/live/')).status).toBe(501);
    expect((await peer.ask('RECORD', '/live/')).status).toBe(405);
    expect((await peer.ask('OPTIONS', '/live/', { Require: 'implicit-play' })).status).toBe(551);
  });

  it('[RTSP-198] is refused what is not there', async () => {
    const peer = await station.connect();
    expect((await peer.ask('DESCRIBE', '/nothing')).status).toBe(404);
    expect((await peer.ask('DESCRIBE', '/live')).status).toBe(200);
  });

  it('has pipelined requests answered in their order', async () => {
    const peer = await station.connect();
    await peer.setUp('/live/audio');
    peer.send('SETUP', '/live/video', { Transport: 'RTP/AVP/TCP;interleaved=2-3' });
    peer.send('PLAY', '/live/');
    peer.send('GET_PARAMETER', '/live/');
    peer.send('PAUSE', '/live/');
    const responses = [];
    for (let count = 0; count < 4; count++) responses.push(await peer.response());
    expect(responses.map(({ status, headers }) => [status, headers.get('CSeq')])).toEqual([
      [200, '2'],
      [200, '3'],
      [200, '4'],
      [200, '5'],
    ]);
  });

  it('[RTSP-217] is over after TEARDOWN, [RTSP-131] on the URL of all', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    station.packets(2);
    await peer.packets(2);
    expect((await peer.ask('TEARDOWN', '/live/')).status).toBe(200);
    await peer.ends();
    expect(station.server.sessions).toBe(0);
    expect(station.played).toMatchObject([{ protocol: 'RTSP', path: '/live', transport: 'tcp', packets: 2 }]);
  });

  it('[RTSP-219] survives its connection, and goes on over another one', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    station.packets(1);
    await peer.packets(1);
    peer.close();
    await until('no players', () => station.server.players === 0);
    expect(station.server.sessions).toBe(1);
    const again = await station.connect();
    again.session = peer.session;
    expect((await again.ask('PLAY', '/live/')).status).toBe(200);
    station.packets(1);
    await again.packets(1);
  });

  it('leaves no more than 16 sessions without a connection', async () => {
    for (let count = 0; count < 20; count++) {
      const peer = await station.connect();
      await peer.setUp('/live/audio');
      peer.close();
      await until('the connection to be gone', () => station.server.connections === 0);
    }
    expect(station.server.sessions).toBeLessThanOrEqual(17);
  });

  it('begins again with another SETUP without a session', async () => {
    const peer = await station.connect();
    for (let count = 0; count < 5; count++) {
      peer.session = undefined;
      expect((await peer.setUp('/live/audio')).status).toBe(200);
    }
    expect(station.server.sessions).toBe(1);
  });

  it('may send frames on channels that nobody set up, and responses that nobody waits for', async () => {
    const peer = await station.connect();
    await peer.setUp('/live/audio');
    peer.socket.write(Buffer.from([0x24, 77, 0, 4, 1, 2, 3, 4]));
    peer.socket.write('RTSP/1.0 500 No\r\nCSeq: 99\r\n\r\n\r\n\r\n');
    expect((await peer.ask('PLAY', '/live/')).status).toBe(200);
  });

  it('[RTSP-184] gets the streams that it has set up, and no others after TEARDOWN of them', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    station.packets(2);
    await peer.packets(2);
    expect((await peer.ask('TEARDOWN', '/live/video')).status).toBe(200);
    station.sound();
    station.packets(2);
    station.sound();
    const packets = await peer.packets(4);
    expect(streamsOf(packets.slice(2))).toEqual([AUDIO, AUDIO]);
  });

  it('[RTSP-127] switches streams by SET_PARAMETER', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    const type = { 'Content-Type': 'application/x-wms-streamswitch;charset=UTF-8' };
    const off = `SSEntry: 1 4294967295 2 ${peer.url('/live/video')}\r\n`;
    expect((await peer.ask('SET_PARAMETER', '/live/video', type, off)).status).toBe(200);
    station.sound();
    station.packets(2);
    station.sound();
    const bad = await peer.ask('SET_PARAMETER', '/live/video', type, 'SSEntry: 9 9 1 a b\r\n');
    expect(bad.status).toBe(400);
    expect(streamsOf(await peer.packets(2))).toEqual([AUDIO, AUDIO]);
  });

  it('[RTSP-130] gets three packets of a packet pair, [RTSP-201] also without a session', async () => {
    const peer = await station.connect();
    const type = 'application/x-rtsp-packetpair';
    const { headers, body } = await peer.ask('GET_PARAMETER', '/live', { 'Content-Type': type });
    expect(headers.get('Content-Type')).toBe(type);
    expect(body.length).toBe(2080);
    expect([body.readUInt16LE(2), body.toString('latin1', 0, 2)]).toEqual([504, '$P']);
  });

  it('[RTSP-212] has its logs taken as they are', async () => {
    const peer = await station.connect();
    await peer.setUp('/live/audio');
    const type = {
      'Content-Type': 'application/x-wms-Logplaystats;charset=UTF-8',
      'User-Agent': 'WMPlayer/9.0 guid/x',
    };
    const { status, body } = await peer.ask('SET_PARAMETER', '/live', type, '<XML>');
    expect([status, body.length]).toEqual([200, 0]);
    expect(station.logs).toEqual([
      ['/live', '127.0.0.1', 'WMPlayer/9.0', 'application/x-wms-logplaystats', Buffer.from('<XML>'), expect.anything()],
    ]);
  });

  it('[RTSP-197] is told that a broadcast is not kept', async () => {
    const peer = await station.connect();
    const type = { 'Content-Type': 'application/x-wms-getcontentinfo' };
    const { headers, body } = await peer.ask('GET_PARAMETER', '/live', type, '\0');
    expect(headers.get('Cache-Control')).toContain('max-age=0');
    expect(body.length).toBe(0);
  });

  it('[RTSP-192] is answered 503 once it asks too often', async () => {
    const peer = await station.connect();
    for (let count = 0; count < 240; count++) peer.send('OPTIONS', '*');
    for (let count = 0; count < 240; count++) expect((await peer.response()).status).toBe(200);
    expect((await peer.ask('OPTIONS', '*')).status).toBe(503);
  });

  it.each([
    ['no CSeq', 'OPTIONS * RTSP/1.0\r\n\r\n', 400],
    ['a bad CSeq', 'OPTIONS * RTSP/1.0\r\nCSeq: -1\r\n\r\n', 400],
    ['another version', 'OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n', 505],
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['a long body', 'SET_PARAMETER * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n', 413],
    ['a long head', `OPTIONS * RTSP/1.0\r\nX: ${'x'.repeat(20_000)}`, 413],
  ])('is refused for %s', async (_, text, status) => {
    const peer = await station.connect();
    peer.socket.write(text);
    expect((await peer.response()).status).toBe(status);
  });
});

describe('a session of RTSP by UDP', () => {
  beforeEach(async () => {
    station = await Station.open({ now: () => station.time });
  });

  it('[RTSP-031] gets its media on one port, and has a retransmission stream', async () => {
    const peer = await station.connect();
    const [rtx, media] = await peer.playUdp('/live');
    const [first, second] = station.server.rtpPorts!;
    expect(rtx).toContain(`server_port=${first}-${second};`);
    expect(media).toContain(`server_port=${first};`);
    expect(parameter(rtx, 'ssrc')).not.toBe(parameter(media, 'ssrc'));
    station.packets(3);
    const packets = await peer.packets(3);
    expect(packets[0]!.ssrc.toString(16).padStart(8, '0')).toBe(parameter(media, 'ssrc'));
  });

  it('[RTSP-031] is sent again to the port of the retransmission stream, and nothing else is', async () => {
    const [peer, other] = [await station.connect(), await station.connect()];
    const ports = { rtx: await other.openUdp(), media: await peer.openUdp() };
    const setUp = async (control: string, port: string) => {
      const { headers } = await peer.ask('SETUP', `/live/${control}`, {
        Transport: `RTP/AVP/UDP;unicast;client_port=${port};mode=PLAY`,
      });
      peer.session ??= headers.get('Session')!.split(';')[0];
      return headers.get('Transport')!;
    };
    await setUp('video', `${ports.media}`);
    const rtx = await setUp('rtx', `${ports.rtx}-${ports.rtx}`);
    await peer.ask('PLAY', '/live/');
    station.packets(3);
    const [, lost] = await peer.packets(3);
    const request = { mediaSsrc: lost!.ssrc, rtxSsrc: Number.parseInt(parameter(rtx, 'ssrc')!, 16) };
    const [nack] = buildNacks({ ...request, sequences: [lost!.sequence] });
    peer.udp!.send(nack!, station.server.rtpPorts![1], '127.0.0.1');
    expect(await other.packets(1)).toEqual([lost]);
    expect(peer.rtp).toHaveLength(3);
  });

  it('gets all streams on the port of the first one', async () => {
    const [peer, other] = [await station.connect(), await station.connect()];
    const ports = [await peer.openUdp(), await other.openUdp()];
    for (const [index, control] of ['audio', 'video'].entries()) {
      const port = ports[index]!;
      const transport = { Transport: `RTP/AVP;unicast;client_port=${port}-${port + 1}` };
      const { headers } = await peer.ask('SETUP', `/live/${control}`, transport);
      expect(headers.get('Transport')).toContain(`client_port=${port}-${port + 1};`);
      peer.session ??= headers.get('Session')!.split(';')[0];
    }
    await peer.ask('PLAY', '/live/');
    station.packets(2);
    station.sound();
    expect(streamsOf(await peer.packets(3))).toEqual([VIDEO, VIDEO, AUDIO]);
    expect(other.rtp).toEqual([]);
  });

  it('[RTSP-214] is sent again what it asks for, [RTSP-030] as it was', async () => {
    const peer = await station.connect();
    const [rtx] = await peer.playUdp('/live');
    station.packets(4);
    const packets = [...(await peer.packets(4))];
    const nack = (rtxSsrc: number) =>
      buildNacks({ mediaSsrc: packets[0]!.ssrc, rtxSsrc, sequences: [packets[1]!.sequence, packets[2]!.sequence] });
    const ssrc = Number.parseInt(parameter(rtx, 'ssrc')!, 16);
    const [, port] = station.server.rtpPorts!;
    // Who guesses another one gets nothing.
    for (const bytes of [...nack(ssrc ^ 1), Buffer.from('garbage'), ...nack(ssrc)])
      peer.udp!.send(bytes, port, '127.0.0.1');
    const all = await peer.packets(6);
    expect(all.slice(4)).toEqual([packets[1], packets[2]]);
  });

  it('is sent nothing again for another host, whatever it knows', async () => {
    const peer = await station.connect();
    const [rtx] = await peer.playUdp('/live');
    station.packets(2);
    const packets = [...(await peer.packets(2))];
    const [, port] = station.server.rtpPorts!;
    const ask = (from: Peer, { sequence, ssrc }: RtpPacket) => {
      const rtxSsrc = Number.parseInt(parameter(rtx, 'ssrc')!, 16);
      const [nack] = buildNacks({ mediaSsrc: ssrc, rtxSsrc, sequences: [sequence] });
      from.udp!.send(nack!, port, '127.0.0.1');
    };
    const other = await station.connect();
    await other.openUdp('127.0.0.2');
    ask(other, packets[0]!);
    ask(peer, packets[1]!);
    const all = await peer.packets(3);
    expect(all.slice(2)).toEqual([packets[1]]);
    expect(other.rtp).toEqual([]);
  });

  it('is sent again at most 200 times a second', async () => {
    const peer = await station.connect();
    const [rtx] = await peer.playUdp('/live');
    station.packets(2);
    const packets = [...(await peer.packets(2))];
    const [, port] = station.server.rtpPorts!;
    const rtxSsrc = Number.parseInt(parameter(rtx, 'ssrc')!, 16);
    const nack = (packet: RtpPacket) =>
      buildNacks({ mediaSsrc: packet.ssrc, rtxSsrc, sequences: [packet.sequence] })[0]!;
    for (let count = 0; count < 300; count++) peer.udp!.send(nack(packets[0]!), port, '127.0.0.1');
    await peer.packets(202);
    station.time += 1_000;
    peer.udp!.send(nack(packets[1]!), port, '127.0.0.1');
    await until('the other packet', () => peer.rtp.at(-1)!.sequence === packets[1]!.sequence);
    expect(peer.rtp.length).toBeLessThanOrEqual(203);
  });

  it('gets nothing more once its connection is lost', async () => {
    const peer = await station.connect();
    await peer.playUdp('/live');
    station.packets(2);
    await peer.packets(2);
    peer.socket.destroy();
    await until('no players', () => station.server.players === 0);
    const [again, other] = [await station.connect(), await station.connect('127.0.0.3')];
    [again.session, other.session] = [peer.session, peer.session];
    expect((await other.ask('PLAY', '/live/')).status).toBe(454);
    station.packets(2);
    expect((await again.ask('GET_PARAMETER', '/live/')).status).toBe(200);
    expect(peer.rtp).toHaveLength(2);
  });

  it('[RTSP-205] gets a packet pair on the retransmission stream, [RTSP-078] with its SSRC', async () => {
    const peer = await station.connect();
    const port = await peer.openUdp();
    const type = { 'Content-Type': 'application/x-rtsp-udp-packetpair;charset=UTF-8' };
    const pair = 'type: high-entropy-packetpair';
    const transport = { Transport: `RTP/AVP/UDP;unicast;client_port=${port}-${port}` };
    const { headers } = await peer.ask('SETUP', '/live/rtx', transport);
    peer.session = headers.get('Session')!.split(';')[0];
    const { status, body } = await peer.ask('SET_PARAMETER', '/live', type, pair);
    expect([status, body.toString()]).toEqual([200, pair]);
    const packets = await peer.packets(3);
    expect(packets.map(({ payload, timestamp }) => [payload.length - 4, timestamp])).toEqual([
      [1454, 0],
      [1455, 0],
      [1456, 0],
    ]);
    expect(packets[0]!.ssrc).toBe(Number.parseInt(parameter(headers.get('Transport'), 'ssrc')!, 16));
    expect((await peer.ask('PLAY', '/live/')).status).toBe(455);
  });

  it('[RTSP-218] is given up when it asks for nothing any more', async () => {
    const peer = await station.connect();
    await peer.playUdp('/live');
    station.time = 50_000;
    expect((await peer.ask('GET_PARAMETER', '/live/')).status).toBe(200);
    station.time = 110_000;
    station.server.sweep();
    expect(station.server.sessions).toBe(1);
    station.time = 113_000;
    station.server.sweep();
    expect(station.server.sessions).toBe(0);
    await peer.ends();
  });
});

describe('an idle session of RTSP', () => {
  beforeEach(async () => {
    station = await Station.open({ now: () => station.time });
  });

  const sessionsAt = (time: number) => {
    station.time = time;
    station.server.sweep();
    return station.server.sessions;
  };

  it('over TCP plays as long as its connection lasts', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    expect(sessionsAt(10_000_000)).toBe(1);
  });

  it('may be paused for 20 minutes', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    await peer.ask('PAUSE', '/live/');
    expect([sessionsAt(1_199_000), sessionsAt(1_201_000)]).toEqual([1, 0]);
    await peer.ends();
  });

  it('[RTSP-219] that has lost its connection is kept for a minute', async () => {
    const peer = await station.connect();
    await peer.play('/live');
    peer.close();
    await until('no players', () => station.server.players === 0);
    expect([sessionsAt(60_000), sessionsAt(63_000)]).toEqual([1, 0]);
  });

  it('is no reason to keep a connection that never began one', async () => {
    const peer = await station.connect();
    await peer.ask('OPTIONS', '*');
    sessionsAt(61_000);
    await peer.ends();
  });
});

describe('a session of RTSP, on demand', () => {
  let content: Content;
  beforeEach(async () => {
    content = await Content.create();
    await content.media('film.wmv', { seconds: 4 });
    station = await Station.open({ content });
  });
  afterEach(async () => {
    // What still plays would find its file closed.
    await station.close();
    await content.close();
  });

  it('[RTSP-063] is told how large a file is', async () => {
    const peer = await station.connect();
    const { headers, body } = await peer.ask('DESCRIBE', '/film.wmv');
    const { size } = await stat(join(content.folder, 'film.wmv'));
    expect(headers.get('Cache-Control')).toContain(`x-wms-content-size=${size},`);
    expect(readSdp(body.toString()).range).toMatchObject({ start: 0 });
  });

  it.each([
    ['npt=2.000-', 30],
    ['x-asf-packet=45-', 45],
    ['npt=0.000-', 0],
  ])('[RTSP-070] starts at %s', async (Range, location) => {
    const peer = await station.connect();
    await peer.play('/film.wmv', { Range }, { Supported: 'com.microsoft.wm.locid' });
    const [first] = await peer.packets(1);
    expect(readAsfPieces(first!.payload)[0]!.location).toBe(location);
  });

  it.each([
    ['npt=5.000-1.000', {}, 457],
    ['npt=999999999999999-', {}, 457],
    ['npt=30.000-', {}, 457],
    ['npt=0.000-', { 'X-RTP-Info': ' , ' }, 400],
    ['npt=3.000-1.000', { Scale: '-1' }, 200],
    // A client that comes back may count in send times.
    ['npt=6.000-', {}, 200],
    ['npt=1.000-99.000', {}, 200],
  ])('[RTSP-211] is answered for Range %s with %j: %i', async (Range, fields, status) => {
    const peer = await station.connect();
    expect((await peer.play('/film.wmv', { Range, ...fields })).status).toBe(status);
  });

  it('ends where it says', async () => {
    const peer = await station.connect();
    const { headers } = await peer.play('/film.wmv', { Range: 'npt=1.000-2.000' });
    expect(headers.get('Range')).toBe('npt=1.000-2.000');
    await peer.request('SET_PARAMETER');
    expect(peer.rtp.length).toBeLessThan(25);
  });

  it('begins with a number that nobody can guess', async () => {
    const first = new Set<string>();
    for (let count = 0; count < 4; count++) {
      const peer = await station.connect();
      const { headers } = await peer.play('/film.wmv', { Range: 'npt=0-1.000' });
      await peer.request('SET_PARAMETER');
      first.add(parameter(headers.get('RTP-Info'), 'seq')!);
    }
    expect(first.size).toBeGreaterThan(1);
  });

  it('[RTSP-207] is granted no more than it asks for', async () => {
    const peer = await station.connect();
    const field = 'AccelDuration=8000;AccelBandwidth=592064';
    const { headers } = await peer.play('/film.wmv', { Range: 'npt=0-', 'X-Accelerate-Streaming': field });
    expect(headers.get('X-Accelerate-Streaming')).toBe('AccelBandwidth=592064;AccelDuration=8000');
    expect([headers.get('Scale'), headers.get('Speed')]).toEqual(['1.000', '1.000']);
  });

  it('[RTSP-186] by UDP is sent again what it lost of a file', async () => {
    const peer = await station.connect();
    const [rtx] = await peer.playUdp('/film.wmv', { Range: 'npt=0-2.000' });
    const end = await peer.request('SET_PARAMETER');
    const after = Number(parameter(end.headers.get('RTP-Info'), 'seq'));
    await until('the last packet', () => ((peer.rtp.at(-1)?.sequence ?? 0) + 1 - after) % 65_536 === 0);
    const packets = [...peer.rtp];
    const lost = packets.filter((_, index) => index % 7 === 0);
    const rtxSsrc = Number.parseInt(parameter(rtx, 'ssrc')!, 16);
    const sequences = lost.map(({ sequence }) => sequence);
    const [, port] = station.server.rtpPorts!;
    for (const bytes of buildNacks({ mediaSsrc: packets[0]!.ssrc, rtxSsrc, sequences })) {
      peer.udp!.send(bytes, port, '127.0.0.1');
    }
    const all = await peer.packets(packets.length + lost.length);
    expect(all.slice(packets.length)).toEqual(lost);
  });

  it('[RTSP-100] is told what it needs to start early, [RTSP-082] if it listed that', async () => {
    const fields = { Range: 'npt=0-', 'X-Accelerate-Streaming': 'AccelDuration=2000;AccelBandwidth=1000000' };
    const features = { Supported: 'com.microsoft.wm.startupprofile' };
    const [one, two] = [await station.connect(), await station.connect()];
    expect((await one.play('/film.wmv', fields, features)).headers.get('X-StartupProfile')).toMatch(
      /^Rate=10,12,15,20,30;MaxBytes=/,
    );
    expect((await two.play('/film.wmv', fields)).headers.get('X-StartupProfile')).toBeUndefined();
  });

  it('[RTSP-122] may begin with key frames only', async () => {
    const peer = await station.connect();
    const url = peer.url('/film.wmv/video');
    const type = { 'Content-Type': 'application/x-wms-streamswitch;charset=UTF-8' };
    const transport = { Transport: 'RTP/AVP/TCP;unicast;interleaved=0-1' };
    const body = `SSEntry: 4294967295 1 1 ${url}\r\n`;
    const { headers } = await peer.ask('SETUP', '/film.wmv/video', { ...transport, ...type }, body);
    peer.session = headers.get('Session')!.split(';')[0];
    await peer.ask('PLAY', '/film.wmv/', { Range: 'npt=0-2.500' });
    await peer.request('SET_PARAMETER');
    expect(peer.rtp.every(({ payload }) => readAsfPieces(payload)[0]!.keyFrame)).toBe(true);
    expect(peer.rtp.length).toBeLessThan(6);
  });

  it('[RTSP-209] gets the notice of the change again when it asks for the entry before', async () => {
    await content.media('short.wmv', { seconds: 1 });
    await content.playlist('list.wsx', 'short.wmv', 'film.wmv');
    const peer = await station.connect();
    await peer.play('/list.wsx');
    await peer.request('SET_PARAMETER');
    await peer.request('ANNOUNCE');
    const { headers } = await peer.ask('PLAY', '/list.wsx/', { 'X-Playlist-Seek-Id': '1' });
    expect(headers.get('X-Playlist-Change-Notice')).toBe('true');
    await peer.request('SET_PARAMETER');
  });

  it('[RTSP-181] gets no Announce of an entry before its PLAY of the one before', async () => {
    for (const name of ['1', '2', '3']) await content.media(`${name}.wmv`, { seconds: 1, title: name });
    await content.playlist('list.wsx', '1.wmv', '2.wmv', '3.wmv');
    const peer = await station.connect();
    await peer.play('/list.wsx', undefined, { Supported: 'com.microsoft.wm.predstrm' });
    const title = async () => readSdp((await peer.request('ANNOUNCE')).body.toString()).title;
    await peer.request('SET_PARAMETER');
    expect(await title()).toBe('2');
    // It goes on by itself, to its end.
    await peer.request('SET_PARAMETER');
    expect((await peer.ask('GET_PARAMETER', '/list.wsx/')).status).toBe(200);
    expect(peer.requests.map(({ method }) => method)).toEqual(['SET_PARAMETER', 'ANNOUNCE', 'SET_PARAMETER']);
    expect((await peer.ask('PLAY', '/list.wsx/', { 'X-Playlist-Seek-Id': '2' })).status).toBe(200);
    await until('Announce', () => peer.requests.some(({ body }) => body.includes('s=3')));
    await until('the end', () => station.server.players === 0);
  });

  it('[RTSP-180] goes through a playlist, [RTSP-196] told its entry in every response', async () => {
    await content.media('next.wmv', { seconds: 1, title: 'Next' });
    await content.media('first.wmv', { seconds: 1, title: 'First' });
    await content.playlist('list.wsx', 'first.wmv', 'next.wmv');
    const peer = await station.connect();
    const { headers } = await peer.play('/list.wsx');
    expect(headers.get('X-Playlist-Gen-Id')).toBe('1');
    const end = await peer.request('SET_PARAMETER');
    expect(end.body.toString()).toContain('End-Of-Playlist-Entry: true');
    const announce = await peer.request('ANNOUNCE');
    expect(readSdp(announce.body.toString()).title).toBe('Next');
    await peer.setUp('/list.wsx/audio');
    const seek = { 'X-Playlist-Seek-Id': announce.headers.get('X-Playlist-Gen-Id')! };
    expect((await peer.ask('PLAY', '/list.wsx/', seek)).headers.get('X-Playlist-Gen-Id')).toBe('2');
    const last = await peer.request('SET_PARAMETER');
    expect(last.body.toString()).not.toContain('End-Of-Playlist-Entry');
  });

  it('[RTSP-096] rewinds past the beginning of an entry, and is announced the one before', async () => {
    await content.media('first.wmv', { seconds: 2, title: 'First' });
    await content.media('next.wmv', { seconds: 2, title: 'Next' });
    await content.playlist('list.wsx', 'first.wmv', 'next.wmv');
    const peer = await station.connect();
    await peer.play('/list.wsx');
    await peer.request('SET_PARAMETER');
    const next = await peer.request('ANNOUNCE');
    expect(next.headers.get('X-Receding-PlaylistChange')).toBeUndefined();
    const seekId = next.headers.get('X-Playlist-Gen-Id')!;
    for (const control of ['audio', 'video'])
      await peer.setUp(`/list.wsx/${control}`, '0-1', { 'X-Playlist-Gen-Id': seekId });
    await peer.ask('PLAY', '/list.wsx/', { 'X-Playlist-Seek-Id': seekId, Range: 'npt=1.500-', Scale: '-5.0' });
    const end = await peer.request('SET_PARAMETER');
    expect(end.body.toString()).toContain('RecedingEos: true');
    const announce = await peer.request('ANNOUNCE');
    expect(announce.headers.get('X-Receding-PlaylistChange')).toBe('1');
    expect(readSdp(announce.body.toString()).title).toBe('First');
    expect(announce.headers.get('X-Playlist-Gen-Id')).toBe('1');
    // It waits for the client to choose.
    await peer.setUp('/list.wsx/video', '0-1', { 'X-Playlist-Gen-Id': '1' });
    const before = peer.rtp.length;
    const back = { 'X-Playlist-Seek-Id': '1', Range: 'npt=1.500-', Scale: '-5.0' };
    expect((await peer.ask('PLAY', '/list.wsx/', back)).headers.get('Scale')).toBe('-5.000');
    await peer.packets(before + 1);
  });

  it('[RTSP-068] is answered by what it knows of an entry, [RTSP-191] if it says so properly', async () => {
    const peer = await station.connect();
    const { body } = await peer.ask('DESCRIBE', '/film.wmv');
    const { etag } = readSdp(body.toString());
    const describe = async (fields: Fields) => (await peer.ask('DESCRIBE', '/film.wmv', fields)).status;
    expect(await describe({ 'If-None-Match': etag! })).toBe(304);
    expect(await describe({ 'If-None-Match': `"other", W/${etag}` })).toBe(304);
    expect(await describe({ 'If-None-Match': '"other"' })).toBe(200);
    expect(await describe({ 'If-None-Match': 'other' })).toBe(400);
    expect(await describe({ 'If-Match': '*' })).toBe(200);
    expect(await describe({ 'If-Match': '"other"' })).toBe(412);
    const kind = { 'Content-Type': 'application/x-wms-getcontentinfo', 'If-None-Match': etag! };
    expect((await peer.ask('GET_PARAMETER', '/film.wmv', kind, '\0')).status).toBe(304);
    // A session is for the version that was described.
    expect((await peer.setUp('/film.wmv/audio', '0-1', { 'If-Match': '"other"' })).status).toBe(412);
    expect(station.server.sessions).toBe(0);
    expect((await peer.setUp('/film.wmv/audio', '0-1', { 'If-Match': etag! })).status).toBe(200);
    expect((await peer.ask('PLAY', '/film.wmv/', { 'If-Match': 'no quotes' })).status).toBe(412);
    expect((await peer.ask('PLAY', '/film.wmv/', { 'If-Match': etag! })).status).toBe(200);
    await peer.ask('TEARDOWN', '/film.wmv/');
    await until('no sessions', () => station.server.sessions === 0);
  });

  it('[RTSP-210] skips in a playlist, [RTSP-093] told that another entry comes', async () => {
    await content.media('next.wmv', { seconds: 2, title: 'Next' });
    await content.media('long.wmv', { seconds: 30 });
    await content.playlist('list.wsx', 'long.wmv', 'next.wmv');
    const peer = await station.connect();
    await peer.play('/list.wsx');
    expect((await peer.ask('PLAY', '/list.wsx/', { 'X-Playlist': 'pl-offset=-1' })).status).toBe(400);
    const skip = await peer.ask('PLAY', '/list.wsx/', { 'X-Playlist': 'pl-offset=1', 'X-Playlist-Seek-Id': '1' });
    expect(skip.headers.get('X-Playlist-Change-Notice')).toBe('true');
    await peer.request('SET_PARAMETER');
    expect(readSdp((await peer.request('ANNOUNCE')).body.toString()).title).toBe('Next');
    expect(peer.order.slice(-3)).toEqual(['200', 'SET_PARAMETER', 'ANNOUNCE']);
  });
});
