import { parseHeader } from '../../src/asf/header.js';
import { PACKET_SIZE } from '../support/stream.js';
import { parseWholeResponse, wirePackets } from '../support/wire.js';
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
    expect(response.field('Content-Type')).toBe('application/vnd.ms.wms-hdr.asfv1');
    expect(response.pragma).toContain('no-cache');
    expect(response.pragma).toContain('features="broadcast"');
    expect(clientIdOf(response)).toBeGreaterThan(0);
  });

  it('[WMSP-059] names the server as Cougar with a version of the table', async () => {
    expect((await describeRequest(OLD)).field('Server')).toMatch(/^Cougar\/(4\.[01]|9\.[015])(\.\d{1,5}){0,2}$/);
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

  it('[WMSP-229] creates a session for each client without one', async () => {
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

  it('[WMSP-230] is refused for a session that is streaming', async () => {
    const id = clientIdOf(await describeRequest(OLD));
    await station.play(OLD, ...PLAY, ...BOTH_STREAMS, `Pragma: client-id=${id}`);
    expect((await describeRequest(OLD, `Pragma: client-id=${id}`)).status).toBe(400);
  });

  it('[WMSP-231] [WMSP-233] returns no experiment that was not requested with 1, and then sends no $P', async () => {
    for (const asked of ['Pragma: no-cache', 'Pragma: packet-pair-experiment=0, pipeline-experiment=0']) {
      const response = await describeRequest(NEW, asked);
      expect(response.pragma.join()).not.toContain('experiment');
      expect(wirePackets(response.body).map(({ id }) => id)).toEqual(['M', 'H']);
    }
  });

  it('[WMSP-036] counts a missing packet-pair-experiment as 0', async () => {
    expect(wirePackets((await describeRequest(NEW)).body).map(({ id }) => id)).toEqual(['M', 'H']);
  });

  it('[WMSP-223] is 404 if there is nothing, and 503 while nothing feeds the point', async () => {
    expect((await station.ask('GET /other HTTP/1.0', OLD)).status).toBe(404);
    station.end();
    expect((await describeRequest(OLD)).status).toBe(503);
  });

  it('[WMSP-222] [WMSP-052] announces a time-out no longer than the actual one', async () => {
    const response = await describeRequest(OLD);
    expect(response.pragma).toContain('timeout=60000');
    station.now += 60_000;
    station.server.sweep();
    expect(station.server.sessions).toBe(1);
  });

  it('[WMSP-260] [WMSP-198] forgets a session when its Idle-Timeout has expired', async () => {
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

  it('bounds the sessions that a flood of requests can create', async () => {
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

  it('closes after the answer for clients below 9.0, which wait for that', async () => {
    const peer = await station.peer();
    peer.request('GET /live HTTP/1.1', OLD, 'Connection: Keep-Alive');
    expect(parseWholeResponse(await peer.untilClosed())?.status).toBe(200);
  });

  it('[WMSP-262] keeps the connection open for others if they ask for it', async () => {
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
