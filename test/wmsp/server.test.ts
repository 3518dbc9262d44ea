import { parseHeader } from '../../src/asf/header.js';
import { parsePacket } from '../../src/asf/packet.js';
import type { PlayReport, SubmittedLog } from '../../src/wmsp/server.js';
import { AUDIO, PACKET_SIZE, testHeader, VIDEO } from '../support/stream.js';
import { parseResponse, parseWholeResponse, wirePackets } from '../support/wire.js';
import { BOTH_STREAMS, clientIdOf, NEW, OLD, PLAY, Station } from './station.js';

let station: Station;

beforeEach(async () => {
  station = await Station.open();
  station.key();
});

afterEach(() => station.close());

const describeRequest = (agent: string, ...lines: string[]) =>
  station.ask('GET /live HTTP/1.1', agent, 'Pragma: no-cache', ...lines);

describe('Describe', () => {
  it('[WMSP-232] [WMSP-076] is answered with the header, its type and its exact length, never chunked', async () => {
    const response = await describeRequest(OLD);
    expect(response.status).toBe(200);
    expect(response.field('Content-Type')).toBe('application/vnd.ms.wms-hdr.asfv1');
    expect(response.field('Transfer-Encoding')).toBeUndefined();
    expect(Number(response.field('Content-Length'))).toBe(response.body.length);
    const packets = wirePackets(response.body);
    expect(packets.map(({ id }) => id)).toEqual(['H']);
    expect(parseHeader(packets[0]!.payload).packetSize).toBe(PACKET_SIZE);
  });

  it('[WMSP-077] [WMSP-218] [WMSP-220] carries Cache-Control, Server, no-cache, client-id and features', async () => {
    const response = await describeRequest(OLD);
    expect(response.field('Server')).toMatch(/^Cougar\/9\.\d+\.\d+\.\d+$/);
    expect(response.field('Cache-Control')).toMatch(/^no-cache/);
    expect(response.pragma).toContain('no-cache');
    expect(response.pragma).toContain('features="broadcast"');
    expect(clientIdOf(response)).toBeGreaterThan(0);
  });

  it('[WMSP-059] names the server as Cougar with a version of the table', async () => {
    expect((await describeRequest(OLD)).field('Server')).toMatch(/^Cougar\/(4\.[01]|9\.[0156])(\.\d{1,5}){0,2}$/);
  });

  it('[WMSP-014] says in Cache-Control that the content is a broadcast', async () => {
    expect((await describeRequest(OLD)).field('Cache-Control')).toContain('x-wms-stream-type="broadcast"');
  });

  it('[WMSP-004] starts Cache-Control with no-cache', async () => {
    expect((await describeRequest(NEW)).field('Cache-Control')).toMatch(/^no-cache(, ?|$)/);
  });

  it('[WMSP-235] [WMSP-207] puts $M before $H for clients from 9.0, and no $M for others', async () => {
    expect(wirePackets((await describeRequest(NEW)).body).map(({ id }) => id)).toEqual(['M', 'H']);
    expect(wirePackets((await describeRequest('User-Agent: NSPlayer/8.0.0.3802')).body).map(({ id }) => id)).toEqual([
      'H',
    ]);
  });

  it('[WMSP-026] [WMSP-027] [WMSP-028] [WMSP-029] [WMSP-030] offers neither seeking, striding nor skipping of a broadcast', async () => {
    for (const agent of [OLD, NEW]) {
      const features = (await describeRequest(agent)).pragma.find((token) => token.startsWith('features='));
      expect(features).toMatch(/^features="broadcast(,playlist)?"$/);
    }
  });

  it('[WMSP-229] creates a session for each client that has none', async () => {
    const ids = [clientIdOf(await describeRequest(OLD)), clientIdOf(await describeRequest(OLD))];
    expect(new Set(ids).size).toBe(2);
    expect(station.server.sessions).toBe(2);
  });

  it('[WMSP-229] [WMSP-058] answers an unknown client-id with a new session and xResetStrm', async () => {
    const response = await describeRequest(OLD, 'Pragma: client-id=77');
    expect(response.status).toBe(200);
    expect(response.pragma).toContain('xResetStrm=1');
    expect(clientIdOf(response)).not.toBe(77);
    expect((await describeRequest(OLD)).pragma).not.toContain('xResetStrm=1');
  });

  it('[WMSP-221] keeps the client-id of a known session', async () => {
    const id = clientIdOf(await describeRequest(NEW));
    expect(clientIdOf(await describeRequest(NEW, `Pragma: client-id=${id}`))).toBe(id);
  });

  it('[WMSP-230] is refused for a session that streams', async () => {
    const id = clientIdOf(await describeRequest(OLD));
    await station.play(OLD, ...PLAY, ...BOTH_STREAMS, `Pragma: client-id=${id}`);
    expect((await describeRequest(OLD, `Pragma: client-id=${id}`)).status).toBe(400);
  });

  it('[WMSP-231] [WMSP-233] returns no experiment that was not asked for with 1, and sends no $P then', async () => {
    for (const asked of ['Pragma: no-cache', 'Pragma: packet-pair-experiment=0, pipeline-experiment=0']) {
      const response = await describeRequest(NEW, asked);
      expect(response.pragma.join()).not.toContain('experiment');
      expect(wirePackets(response.body).map(({ id }) => id)).toEqual(['M', 'H']);
    }
  });

  it('[WMSP-036] counts a missing packet-pair-experiment as 0', async () => {
    expect(wirePackets((await describeRequest(NEW)).body).map(({ id }) => id)).toEqual(['M', 'H']);
  });

  it('[WMSP-223] is 404 where nothing is, and 503 while nobody feeds the point', async () => {
    expect((await station.ask('GET /other HTTP/1.0', OLD)).status).toBe(404);
    station.end();
    expect((await describeRequest(OLD)).status).toBe(503);
  });

  it('[WMSP-222] [WMSP-052] announces a time-out that is not larger than the one it keeps', async () => {
    const response = await describeRequest(OLD);
    expect(response.pragma).toContain('timeout=60000');
    station.now += 60_000;
    station.server.sweep();
    expect(station.server.sessions).toBe(1);
  });

  it('[WMSP-260] [WMSP-198] forgets a session when its Idle-Timeout is over', async () => {
    const id = clientIdOf(await describeRequest(OLD));
    station.now += 70_000;
    station.server.sweep();
    expect(station.server.sessions).toBe(0);
    const keepAlive = await station.ask(
      'POST /live HTTP/1.0',
      OLD,
      `Pragma: xKeepAliveInPause=1,client-id=${id}`,
      'Content-Length: 0',
    );
    expect(keepAlive.status).toBe(400);
  });

  it('bounds the sessions that a flood of requests can leave behind', async () => {
    await station.close();
    station = await Station.open({ maxIdleSessions: 10 });
    const peer = await station.peer();
    for (let count = 1; count <= 40; count++) {
      peer.request('GET /live HTTP/1.1', NEW);
      await peer.until((bytes) =>
        bytes.toString('latin1').split('HTTP/1.1 200 OK').length > count ? true : undefined,
      );
    }
    station.server.sweep();
    expect(station.server.sessions).toBe(10);
  });

  it('closes behind the answer for clients below 9.0, which wait for that', async () => {
    const peer = await station.peer();
    peer.request('GET /live HTTP/1.1', OLD, 'Connection: Keep-Alive');
    expect(parseWholeResponse(await peer.untilClosed())?.status).toBe(200);
  });

  it('[WMSP-262] keeps the connection for others when they ask for it', async () => {
    const peer = await station.peer();
    for (let round = 0; round < 2; round++) {
      peer.clear();
      peer.request('GET /live HTTP/1.0', NEW, 'Connection: Keep-Alive');
      const response = await peer.until(parseWholeResponse);
      expect(response.field('Connection')).toBe('Keep-Alive');
    }
  });

  it('[WMSP-002] answers in the version of HTTP that was used', async () => {
    expect((await station.ask('GET /live HTTP/1.0', OLD)).statusLine).toBe('HTTP/1.0 200 OK');
    expect((await station.ask('GET /live HTTP/1.1', OLD)).statusLine).toBe('HTTP/1.1 200 OK');
  });
});

describe('Play', () => {
  it('[WMSP-247] [WMSP-091] [WMSP-232] starts with the header again and goes on with data packets', async () => {
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    expect(watcher.response.field('Content-Type')).toBe('application/x-mms-framed');
    station.packet();
    const packets = await watcher.packetsWith('D', 2);
    expect(packets.map(({ id }) => id)).toEqual(['H', 'D', 'D']);
  });

  it('[WMSP-247] starts with $M and $H for clients from 9.0', async () => {
    const watcher = await station.play(NEW, ...PLAY, ...BOTH_STREAMS);
    expect((await watcher.packetsWith('D', 1)).map(({ id }) => id)).toEqual(['M', 'H', 'D']);
  });

  it('[WMSP-263] [WMSP-243] has neither Content-Length nor chunks; the connection ends it', async () => {
    const watcher = await station.play('GET /live HTTP/1.1', OLD, ...PLAY, ...BOTH_STREAMS);
    expect(watcher.response.field('Content-Length')).toBeUndefined();
    expect(watcher.response.field('Transfer-Encoding')).toBeUndefined();
    expect(watcher.response.field('Connection')).toBe('close');
  });

  it('[WMSP-109] [WMSP-108] numbers LocationId as a virtual file, from where the player joins', async () => {
    const first = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    for (let count = 0; count < 20; count++) station.packet({ key: count === 4 });
    const late = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    station.packet();
    const locations = async (watcher: typeof first, count: number) =>
      (await watcher.packetsWith('D', count)).filter(({ id }) => id === 'D').map(({ location }) => location);
    expect(await locations(first, 22)).toEqual(Array.from({ length: 22 }, (_, index) => index));
    expect(await locations(late, 17)).toEqual(Array.from({ length: 17 }, (_, index) => index + 5));
  });

  it('[WMSP-111] numbers AFFlags from 0 for each session, whenever it joined', async () => {
    const first = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    for (let count = 0; count < 300; count++) station.packet({ key: count % 10 === 0 });
    const late = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    station.packet();
    const flags = async (watcher: typeof first, count: number) =>
      (await watcher.packetsWith('D', count)).filter(({ id }) => id === 'D').map(({ afFlags }) => afFlags);
    expect(await flags(first, 302)).toEqual(Array.from({ length: 302 }, (_, index) => index & 255));
    expect((await flags(late, 5)).slice(0, 5)).toEqual([0, 1, 2, 3, 4]);
  });

  it('[WMSP-110] has Incarnation 0 in $M, $H and $D alike', async () => {
    const watcher = await station.play(NEW, ...PLAY, ...BOTH_STREAMS);
    const packets = await watcher.packetsWith('D', 1);
    expect(packets.map(({ incarnation }) => incarnation)).toEqual([0, 0, 0]);
  });

  it('[WMSP-100] [WMSP-101] leaves the B bit clear', async () => {
    const watcher = await station.play(NEW, ...PLAY, ...BOTH_STREAMS);
    expect((await watcher.packetsWith('D', 1)).every(({ b }) => !b)).toBe(true);
  });

  it('[WMSP-117] [WMSP-118] cuts padding, with an explicit Packet Length in its place', async () => {
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    const data = (await watcher.packetsWith('D', 1)).find(({ id }) => id === 'D')!;
    expect(data.payload.length).toBeLessThan(PACKET_SIZE);
    const packet = parsePacket(data.payload);
    expect(packet).toMatchObject({ paddingLength: 0, explicitLength: true, length: data.payload.length });
    expect(packet.payloads[0]!.dataLength).toBe(300);
  });

  it('[WMSP-117] keeps padding for NSServer below 5.0', async () => {
    const watcher = await station.play('User-Agent: NSServer/4.1.0.3930', ...PLAY, ...BOTH_STREAMS);
    expect((await watcher.packetsWith('D', 1)).at(-1)!.payload).toHaveLength(PACKET_SIZE);
  });

  it('[WMSP-249] [WMSP-050] sends only payloads of the streams that were chosen', async () => {
    const watcher = await station.play(
      OLD,
      ...PLAY,
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:2 ffff:2:0',
    );
    station.packet({ stream: AUDIO });
    station.packet({ key: true });
    station.packet({ stream: AUDIO });
    const data = (await watcher.packetsWith('D', 2)).filter(({ id }) => id === 'D');
    expect(data.map(({ payload }) => parsePacket(payload).payloads.map(({ stream }) => stream))).toEqual([
      [AUDIO],
      [AUDIO],
    ]);
    expect(data.map(({ location }) => location)).toEqual([1, 3]);
    expect(data.map(({ afFlags }) => afFlags)).toEqual([0, 1]);
  });

  it('[WMSP-050] sends only key frames at level 1', async () => {
    const watcher = await station.play(OLD, ...PLAY, 'Pragma: stream-switch-entry=ffff:1:1 ffff:2:0');
    station.packet();
    station.packet({ key: true });
    const data = (await watcher.packetsWith('D', 2)).filter(({ id }) => id === 'D');
    expect(data.map(({ location }) => location)).toEqual([0, 2]);
  });

  it('[WMSP-240] sends no stream to a client that names none, and all to NSServer up to 5.0', async () => {
    const player = await station.play(OLD, ...PLAY);
    const old = await station.play('User-Agent: NSServer/4.1', ...PLAY);
    const named = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    station.packet();
    await named.packetsWith('D', 2);
    expect((await old.packetsWith('D', 2)).filter(({ id }) => id === 'D')).toHaveLength(2);
    expect(player.packets.filter(({ id }) => id === 'D')).toHaveLength(0);
  });

  it('sends everything to a puller that says NSPlayer without a version', async () => {
    const watcher = await station.play('User-Agent: NSPlayer', ...PLAY);
    expect((await watcher.packetsWith('D', 1)).map(({ id }) => id)).toEqual(['H', 'D']);
  });

  it('[WMSP-239] creates a session when there is none', async () => {
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    expect(clientIdOf(watcher.response)).toBeGreaterThan(0);
    expect(watcher.response.pragma).not.toContain('xResetStrm=1');
  });

  it('[WMSP-239] answers an unknown client-id with a new session and xResetStrm', async () => {
    const watcher = await station.play(NEW, ...PLAY, ...BOTH_STREAMS, 'Pragma: client-id=77');
    expect(watcher.response.status).toBe(200);
    expect(watcher.response.pragma).toContain('xResetStrm=1');
    expect(clientIdOf(watcher.response)).not.toBe(77);
  });

  it('[WMSP-248] repeats the header behind $E(1) $C for an NSPlayer below 7.0 that lost its session', async () => {
    const lost = ['Pragma: client-id=77,request-context=2', ...PLAY, ...BOTH_STREAMS];
    const watcher = await station.play('User-Agent: NSPlayer/6.4.9.1121', ...lost);
    const packets = await watcher.packetsWith('D', 1);
    expect(packets.map(({ id, reason }) => (reason === -1 ? id : `${id}${reason}`))).toEqual([
      'H',
      'E1',
      'C0',
      'H',
      'D',
    ]);
    const newer = await station.play(NEW, ...lost);
    expect((await newer.packetsWith('D', 1)).map(({ id }) => id)).toEqual(['M', 'H', 'D']);
  });

  it('[WMSP-238] is refused for a session that streams already', async () => {
    const id = clientIdOf((await station.play(OLD, ...PLAY, ...BOTH_STREAMS)).response);
    const second = await station.play(OLD, ...PLAY, ...BOTH_STREAMS, `Pragma: client-id=${id}`);
    expect(second.response.status).toBe(400);
  });

  it('[WMSP-261] lets a session go on with a new Play when its connection was closed', async () => {
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    const id = clientIdOf(watcher.response);
    watcher.peer.close();
    await gone();
    const again = await station.play(OLD, ...PLAY, ...BOTH_STREAMS, `Pragma: client-id=${id}`);
    expect(again.response.status).toBe(200);
    expect(clientIdOf(again.response)).toBe(id);
  });

  it('[WMSP-201] [WMSP-217] ends with $E, and the session waits for its Idle-Timeout', async () => {
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    station.end();
    const packets = await watcher.all();
    expect(packets.at(-1)).toMatchObject({ id: 'E', reason: 0 });
    expect(station.server.players).toBe(0);
    expect(station.server.sessions).toBe(1);
    station.now += 70_000;
    station.server.sweep();
    expect(station.server.sessions).toBe(0);
  });

  it('[WMSP-217] keeps a session that streams, however long', async () => {
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    station.now += 10_000_000;
    station.server.sweep();
    station.packet();
    expect(await watcher.packetsWith('D', 2)).toHaveLength(3);
    expect(station.server.sessions).toBe(1);
  });

  it('[WMSP-206] announces another header to clients from 9.0 with $E(1), $C, and $M next to $H', async () => {
    const watcher = await station.play(NEW, ...PLAY, ...BOTH_STREAMS);
    const before = (await watcher.packetsWith('D', 1)).find(({ id }) => id === 'M')!;
    station.header({ title: 'next' });
    station.key();
    const packets = await watcher.packetsWith('D', 2);
    expect(packets.map(({ id, reason }) => (reason === -1 ? id : `${id}${reason}`))).toEqual([
      'M',
      'H',
      'D',
      'E1',
      'C0',
      'M',
      'H',
      'D',
    ]);
    const entry = (payload: Buffer) => /playlist-gen-id=(\d+)/.exec(payload.toString('latin1'))![1];
    expect(entry(packets[5]!.payload)).not.toBe(entry(before.payload));
  });

  it('announces another header to older clients with $C and $H alone, since FFmpeg loses packets after $E(1)', async () => {
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    station.header({ title: 'next' });
    station.key();
    expect((await watcher.packetsWith('D', 2)).map(({ id }) => id)).toEqual(['H', 'D', 'C', 'H', 'D']);
  });

  it('[WMSP-221] names the playlist entry to clients from 9.0', async () => {
    const watcher = await station.play(NEW, ...PLAY, ...BOTH_STREAMS);
    expect(watcher.response.pragma).toContain('playlist-gen-id=1');
  });

  it('[WMSP-222] [WMSP-077] has the tokens of a session and the features', async () => {
    const { pragma } = (await station.play(OLD, ...PLAY, ...BOTH_STREAMS)).response;
    expect(pragma).toEqual(expect.arrayContaining(['no-cache', 'timeout=60000', 'features="broadcast"']));
  });

  it('[WMSP-244] [WMSP-246] returns no acceleration and no startup profile that it does not give', async () => {
    const { response } = await station.play(
      NEW,
      ...PLAY,
      ...BOTH_STREAMS,
      'Pragma: AccelBW=1048576, AccelDuration=18000',
      'Supported: com.microsoft.wm.startupprofile',
    );
    expect(response.pragma.join()).not.toContain('Accel');
    expect(response.field('X-StartupProfile')).toBeUndefined();
  });

  it('[WMSP-025] does not announce a header that does not come', async () => {
    expect((await station.play(NEW, ...PLAY, ...BOTH_STREAMS)).response.pragma.join()).not.toContain(
      'expect-new-header',
    );
  });

  it('tells who played what, and how much', async () => {
    await station.close();
    const reports: PlayReport[] = [];
    station = await Station.open({ onPlayed: (report) => reports.push(report) });
    station.key();
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    station.end();
    await watcher.all();
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatchObject({ path: '/live', client: 'NSPlayer/4.1.0.3856', packets: 1, skippedPackets: 0 });
  });

  it('refuses players beyond the limit with 503', async () => {
    await station.close();
    station = await Station.open({ maxPlayers: 1 });
    await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    expect((await station.play(OLD, ...PLAY, ...BOTH_STREAMS)).response.status).toBe(503);
  });
});

describe('KeepAlive', () => {
  const keepAlive = (id: number, agent = OLD) =>
    station.ask(
      'POST /live HTTP/1.0',
      agent,
      `Pragma: xKeepAliveInPause=1`,
      `Pragma: client-id=${id}`,
      'Content-Length: 0',
      'Connection: Keep-Alive',
    );

  it('[WMSP-079] [WMSP-226] is answered with an empty body, Cache-Control, Server and no-cache, and the connection closes', async () => {
    const id = clientIdOf(await describeRequest(OLD));
    const response = await keepAlive(id);
    expect(response.status).toBe(200);
    expect(response.field('Content-Length')).toBe('0');
    expect(response.field('Cache-Control')).toBe('no-cache');
    expect(response.field('Connection')).toBe('close');
    expect(response.pragma).toEqual(['no-cache', `client-id=${id}`, 'timeout=60000']);
  });

  it('[WMSP-217] keeps the session alive', async () => {
    const id = clientIdOf(await describeRequest(OLD));
    for (let round = 0; round < 4; round++) {
      station.now += 50_000;
      expect((await keepAlive(id)).status).toBe(200);
      station.server.sweep();
    }
    expect(station.server.sessions).toBe(1);
  });

  it('[WMSP-216] is an error with an unknown client-id, and without one', async () => {
    expect((await keepAlive(77)).status).toBe(400);
    expect(
      (await station.ask('POST /live HTTP/1.0', OLD, 'Pragma: xKeepAliveInPause=1', 'Content-Length: 0')).status,
    ).toBe(400);
  });

  it('[WMSP-082] [WMSP-216] as OPTIONS * gets the same answer, whether the client-id is known or not', async () => {
    const id = clientIdOf(await describeRequest(NEW));
    const known = await station.ask('OPTIONS * HTTP/1.1', NEW, `Pragma: client-id=${id}`);
    expect(known.status).toBe(200);
    expect(known.field('Content-Length')).toBe('0');
    expect(known.pragma).toEqual(expect.arrayContaining([`client-id=${id}`, 'timeout=60000']));
    expect((await station.ask('OPTIONS * HTTP/1.1', NEW, 'Pragma: client-id=77')).status).toBe(200);
  });

  it('[WMSP-225] is answered at once on a connection of its own while the session streams', async () => {
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    expect((await keepAlive(clientIdOf(watcher.response))).status).toBe(200);
    station.packet();
    expect(await watcher.packetsWith('D', 2)).toHaveLength(3);
  });

  it('[WMSP-225] does not disturb the stream when it comes on the streaming connection', async () => {
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    const id = clientIdOf(watcher.response);
    watcher.peer.request(
      'POST /live HTTP/1.0',
      OLD,
      `Pragma: xKeepAliveInPause=1,client-id=${id}`,
      'Content-Length: 0',
    );
    station.packet();
    await watcher.packetsWith('D', 2);
    station.packet();
    expect((await watcher.packetsWith('D', 3)).map(({ id: kind }) => kind)).toEqual(['H', 'D', 'D', 'D']);
  });
});

describe('Log', () => {
  let logs: SubmittedLog[];

  beforeEach(async () => {
    await station.close();
    logs = [];
    station = await Station.open({ onLog: (log) => logs.push(log) });
  });

  it('[WMSP-084] [WMSP-079] [WMSP-257] as a log-line is handed on and answered without a body', async () => {
    const id = clientIdOf(await describeRequest(OLD));
    const line = '127.0.0.1 2003-01-01 00:00:00 - /live 0 12 1 200';
    const response = await station.ask(
      'POST /live HTTP/1.0',
      OLD,
      `Pragma: log-line=${line}`,
      `Pragma: no-cache,client-id=${id}`,
      'Content-Length: 0',
    );
    expect(response.status).toBe(204);
    expect(response.body).toHaveLength(0);
    expect(response.pragma).toEqual(['no-cache', `client-id=${id}`, 'timeout=60000']);
    expect(logs).toEqual([{ clientId: id, path: '/live', form: 'log-line', text: line }]);
  });

  it('[WMSP-084] [WMSP-016] as XML is the body', async () => {
    const id = clientIdOf(await describeRequest(NEW));
    const xml = '<XML><Summary>é</Summary></XML>';
    const peer = await station.peer();
    peer.request(
      'POST /live HTTP/1.1',
      NEW,
      `Pragma: client-id=${id}`,
      'Content-Type: application/x-wms-LogStats;charset=UTF-8',
      `Content-Length: ${Buffer.byteLength(xml)}`,
    );
    peer.send(Buffer.from(xml, 'utf8'));
    expect((await peer.until(parseWholeResponse)).status).toBe(204);
    expect(logs).toEqual([{ clientId: id, path: '/live', form: 'xml', text: xml }]);
  });

  it('[WMSP-257] is not refused for what it says', async () => {
    const id = clientIdOf(await describeRequest(OLD));
    const response = await station.ask(
      'POST /live HTTP/1.0',
      OLD,
      'Pragma: log-line=nonsense',
      `Pragma: client-id=${id}`,
      'Content-Length: 0',
    );
    expect(response.status).toBe(204);
  });

  it('[WMSP-216] is an error without a known client-id', async () => {
    const response = await station.ask(
      'POST /live HTTP/1.0',
      OLD,
      'Pragma: log-line=1 2 3',
      'Pragma: client-id=77',
      'Content-Length: 0',
    );
    expect(response.status).toBe(400);
    expect(logs).toEqual([]);
  });

  it('is refused when it is far too large', async () => {
    const id = clientIdOf(await describeRequest(NEW));
    const peer = await station.peer();
    peer.request(
      'POST /live HTTP/1.1',
      NEW,
      `Pragma: client-id=${id}`,
      'Content-Type: application/x-wms-LogStats',
      'Content-Length: 1000000',
    );
    peer.send(Buffer.alloc(100_000, 0x41));
    expect((await peer.until(parseWholeResponse)).status).toBe(413);
  });
});

describe('other requests', () => {
  it('[WMSP-224] [WMSP-078] GetContentInfo needs no client-id, and its body is ignored', async () => {
    const peer = await station.peer();
    peer.request(
      'POST /live HTTP/1.1',
      'User-Agent: WMCacheProxy/9.5.6001.1',
      'Content-Type: application/x-wms-getcontentinfo',
      'Content-Length: 1',
    );
    peer.send('x');
    const response = await peer.until(parseWholeResponse);
    expect(response.status).toBe(200);
    expect(response.body).toHaveLength(0);
    expect(response.field('Cache-Control')).toContain('x-wms-stream-type="broadcast"');
  });

  it('[WMSP-226] closes the connection behind GetContentInfo', async () => {
    const peer = await station.peer();
    peer.request('POST /live HTTP/1.1', NEW, 'Content-Type: application/x-wms-getcontentinfo', 'Content-Length: 0');
    expect(parseWholeResponse(await peer.untilClosed())?.status).toBe(200);
  });

  it('[WMSP-224] SendEvent needs no client-id', async () => {
    const peer = await station.peer();
    peer.request('POST /live HTTP/1.1', NEW, 'Content-Type: application/x-wms-sendevent', 'Content-Length: 8');
    peer.send('1\r\n1,x\r\n');
    expect((await peer.until(parseWholeResponse)).status).toBe(200);
  });

  it.each(['getcontentinfo', 'sendevent'])('[WMSP-223] %s is 404 for a URL that does not exist', async (kind) => {
    const response = await station.ask(
      'POST /other HTTP/1.1',
      NEW,
      `Content-Type: application/x-wms-${kind}`,
      'Content-Length: 0',
    );
    expect(response.status).toBe(404);
  });

  it('[WMSP-211] what is of no type, or has the wrong method, is an error', async () => {
    expect((await station.ask('POST /live HTTP/1.1', OLD, 'Content-Length: 0')).status).toBe(400);
    expect((await station.ask('DELETE /live HTTP/1.1', OLD)).status).toBe(400);
    expect((await station.ask('OPTIONS /live HTTP/1.1', OLD)).status).toBe(400);
  });

  it('[WMSP-210] what comes from another program is not served media', async () => {
    expect((await station.ask('GET /live HTTP/1.1', 'User-Agent: Mozilla/5.0')).status).toBe(404);
    expect((await station.ask('GET /live HTTP/1.1')).status).toBe(404);
  });

  it('[WMSP-199] no two sessions share a client-id', async () => {
    const ids = new Set<number>();
    for (let count = 0; count < 50; count++) ids.add(clientIdOf(await describeRequest(OLD)));
    expect(ids.size).toBe(50);
  });

  it('[WMSP-003] headers that nobody defined change nothing', async () => {
    const response = await describeRequest(
      OLD,
      'X-Nonsense: 1',
      'Range: bytes=0-',
      'Icy-MetaData: 1',
      'Pragma: quux=7',
    );
    expect(response.status).toBe(200);
  });

  it.each(['GET /../live HTTP/1.0', 'GET /li%00ve HTTP/1.0', `GET /${'a'.repeat(4096)} HTTP/1.0`, 'GET /%zz HTTP/1.0'])(
    'refuses a hostile path: %.30s',
    async (line) => {
      expect([400, 414]).toContain((await station.ask(line, OLD)).status);
    },
  );
});

describe('real clients, byte for byte', () => {
  // What the programs of Debian 12 send; {port} is theirs to fill in.
  const describeOf: Record<string, string[]> = {
    FFmpeg: [
      'GET /live HTTP/1.1',
      'Range: bytes=0-',
      'Icy-MetaData: 1',
      'Accept: */*',
      'User-Agent: NSPlayer/4.1.0.3856',
      'Host: 127.0.0.1',
      'Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0',
      'Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}',
      'Connection: Close',
    ],
    VLC: [
      'GET /live HTTP/1.0',
      'Host: 127.0.0.1',
      'Accept: */*',
      'User-Agent: NSPlayer/7.10.0.3059',
      'Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0',
      'Pragma: xClientGUID={0xbabac001-0x4516-0xaf53-0x2fb230fa9882920c}',
      'Connection: Close',
    ],
    MPlayer: [
      'GET /live HTTP/1.0',
      'Accept: */*',
      'User-Agent: NSPlayer/4.1.0.3856',
      'Host: 127.0.0.1',
      'Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}',
      'Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0',
      'Connection: Close',
    ],
  };
  const playOf: Record<string, string[]> = {
    FFmpeg: [
      'GET /live HTTP/1.1',
      'Range: bytes=0-',
      'Connection: close',
      'Icy-MetaData: 1',
      'Accept: */*',
      'User-Agent: NSPlayer/4.1.0.3856',
      'Host: 127.0.0.1',
      'Pragma: no-cache,rate=1.000000,request-context=2',
      'Pragma: xPlayStrm=1',
      'Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}',
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0 ',
      'Pragma: no-cache,rate=1.000000,stream-time=0Connection: Close',
    ],
    libmms: [
      'GET /live HTTP/1.0',
      'Accept: */*',
      'User-Agent: NSPlayer/4.1.0.3856',
      'Host: 127.0.0.1',
      'Pragma: no-cache,rate=1.000000,request-context=2',
      'Pragma: xPlayStrm=1',
      'Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}',
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0 ',
      'Connection: Close',
    ],
    MPlayer: [
      'GET /live HTTP/1.0',
      'Accept: */*',
      'User-Agent: NSPlayer/4.1.0.3856',
      'Host: 127.0.0.1',
      'Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}',
      'Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=2,max-duration=0',
      'Pragma: xPlayStrm=1',
      'Pragma: stream-switch-entry=ffff:2:0 ffff:1:0 ',
      'Pragma: stream-switch-count=2',
      'Connection: Close',
    ],
  };

  it.each(Object.keys(describeOf))('answers the Describe of %s and closes', async (name) => {
    const peer = await station.peer();
    peer.request(...describeOf[name]!);
    const response = parseResponse(await peer.untilClosed())!;
    expect(response.status).toBe(200);
    expect(wirePackets(response.body).map(({ id }) => id)).toEqual(['H']);
  });

  it.each(Object.keys(playOf))('plays to %s', async (name) => {
    const watcher = await station.play(...playOf[name]!);
    expect((await watcher.packetsWith('D', 1)).map(({ id }) => id)).toEqual(['H', 'D']);
  });

  it('gives the same header in Describe and Play, of at most 16 KiB', async () => {
    const described = wirePackets((await station.ask(...describeOf['FFmpeg']!)).body)[0]!.payload;
    const played = (await station.play(...playOf['FFmpeg']!)).packets[0]!.payload;
    expect(played.equals(described)).toBe(true);
    expect(played.length).toBeLessThan(16_384);
    expect(parseHeader(played).streams.map(({ number }) => number)).toEqual([VIDEO, AUDIO]);
    expect(played.length).toBeGreaterThanOrEqual(testHeader().bytes.length);
  });
});

/** The server learns of a closed connection in a turn of its own. */
async function gone(): Promise<void> {
  while (station.server.players > 0) await new Promise((resolve) => setImmediate(resolve));
}
