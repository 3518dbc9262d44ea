import { readMetafile } from '../../src/announce/asx-read.js';
import { ClientAuthenticator } from '../../src/auth/client.js';
import type { Scheme } from '../../src/auth/dialog.js';
import type { AsfEvent, AsfSource } from '../../src/media/events.js';
import { RtspClient } from '../../src/rtsp/client/client.js';
import type { RtspResponse } from '../../src/rtsp/messages/message.js';
import { pointUrls } from '../../src/server/web/web.js';
import { type Fields, Peer } from '../rtsp/station.js';
import { until } from '../support/until.js';
import { ServerStation } from './station.js';
import { removeUsers, usersFile } from './users.js';

const TRANSPORT = { Transport: 'RTP/AVP/TCP;unicast;interleaved=0-1' };

let station: ServerStation;
let peers: Peer[] = [];
afterEach(async () => {
  for (const peer of peers) peer.close();
  peers = [];
  await station.close();
  await removeUsers();
});

async function connect(): Promise<Peer> {
  const peer = await Peer.connect(station.server.ports.rtsp!);
  peers.push(peer);
  return peer;
}

async function feed(): Promise<void> {
  const encoder = await station.push('/live');
  encoder.key();
  await until('the point to be live', () => station.server.points.get('/live')?.broadcast.live);
}

describe('RTSP on a media server', () => {
  it('plays a point that an encoder pushes to, and counts its player', async () => {
    station = await ServerStation.open({ rtsp: { port: 0, rtpPort: 0 } });
    await feed();
    const peer = await connect();
    expect((await peer.play('/live')).status).toBe(200);
    expect(station.server.stats().players).toBe(1);
    await peer.ask('TEARDOWN', '/live/');
    await peer.ends();
    await until('no players', () => station.server.stats().players === 0);
  });

  it('opens no port unless it is told to', async () => {
    station = await ServerStation.open();
    expect(station.server.ports.rtsp).toBeUndefined();
  });

  it('is named by announcements before MMS and HTTP', async () => {
    station = await ServerStation.open({ rtsp: { port: 0, rtpPort: 0 }, mms: { port: 0 } });
    await feed();
    const { http, mms, rtsp } = station.server.ports;
    const asx = await station.ask('GET /live.asx HTTP/1.1', `Host: server:${http}`);
    expect(readMetafile(asx.body.toString())!.entries[0]!.refs).toEqual([
      `rtsp://server:${rtsp}/live`,
      `mms://server:${mms}/live`,
      `mms://server:${http}/live`,
      `http://server:${http}/live?MSWMExt=.asf`,
    ]);
    expect(pointUrls('[::1]:8080', '/a b', false, { rtsp: 554, mms: 1755 })).toEqual([
      'rtsp://[::1]/a%20b',
      'mms://[::1]/a%20b',
      'mms://[::1]:8080/a%20b',
      'http://[::1]:8080/a%20b?MSWMExt=.asf',
    ]);
    expect(pointUrls('h', '/x', true, { rtsp: 554 })).toEqual(['https://h/x?MSWMExt=.asf']);
  });

  it('sends players away when it stops', async () => {
    station = await ServerStation.open({ rtsp: { port: 0, rtpPort: 0 } });
    await feed();
    const peer = await connect();
    await peer.play('/live');
    await station.close();
    await peer.ends();
    expect(peer.order).toContain('SET_PARAMETER');
  });
});

describe('RTSP with users', () => {
  /** Asks again with credentials while it is challenged. */
  async function askAs(peer: Peer, client: ClientAuthenticator, method: string, path: string, fields: Fields = {}) {
    const statuses: number[] = [];
    const target = peer.url(path);
    const known = client.fields({ method, target, connection: peer }, [401]);
    for (let credentials = Object.fromEntries(known); statuses.length < 5; ) {
      const response: RtspResponse = await peer.ask(method, path, { ...fields, ...credentials });
      statuses.push(response.status);
      if (response.status !== 401) return { response, statuses };
      const { status, headers } = response;
      const field = client.answer({ status, headers, method, target, secure: true, connection: peer });
      if (!field) return { response, statuses };
      credentials = Object.fromEntries([field]);
    }
    throw new Error(`It was answered ${statuses.join(', ')}.`);
  }

  beforeEach(async () => {
    const users = await usersFile({ anna: [] });
    station = await ServerStation.open({
      users,
      rtsp: { port: 0, rtpPort: 0 },
      access: { push: { trusted: ['loopback'] }, play: { users: ['*'] }, admin: { groups: ['admin'] } },
    });
    await feed();
  });

  it.each<[Scheme, number]>([
    ['negotiate', 3],
    ['ntlm', 3],
    ['digest', 2],
    ['basic', 2],
  ])('[RTSP-200] are let in by %s, [RTSP-004] over the same connection', async (scheme, requests) => {
    const peer = await connect();
    const account = { user: 'anna', password: 'anna-secret' };
    const client = new ClientAuthenticator({ server: account, schemes: [scheme] });
    const { response, statuses } = await askAs(peer, client, 'DESCRIBE', '/live');
    expect(statuses).toEqual([...Array(requests - 1).fill(401), 200]);
    expect(response.body.toString()).toContain('m=audio');
    const { response: setUp } = await askAs(peer, client, 'SETUP', '/live/audio', TRANSPORT);
    expect(setUp.status).toBe(200);
    peer.session = setUp.headers.get('Session')!.split(';')[0]!;
    expect((await peer.ask('PLAY', '/live/')).status).toBe(200);
  });

  it('[RTSP-200] are refused what they may not play, once it is known who they are', async () => {
    await station.close();
    const users = await usersFile({ anna: [], berta: [] });
    station = await ServerStation.open({
      users,
      rtsp: { port: 0, rtpPort: 0 },
      access: { push: { trusted: ['loopback'] }, play: { users: ['berta'] }, admin: { groups: ['admin'] } },
    });
    await feed();
    const statusFor = async (user: string) => {
      const account = { user, password: `${user}-secret` };
      const client = new ClientAuthenticator({ server: account, schemes: ['digest'] });
      return (await askAs(await connect(), client, 'DESCRIBE', '/live')).response.status;
    };
    expect([await statusFor('anna'), await statusFor('berta')]).toEqual([403, 200]);
  });

  it('[RTSP-154] need not log in again after DESCRIBE, for the same content', async () => {
    const peer = await connect();
    const account = { user: 'anna', password: 'anna-secret' };
    const client = new ClientAuthenticator({ server: account, schemes: ['digest'] });
    await askAs(peer, client, 'DESCRIBE', '/live');
    expect((await peer.ask('SETUP', '/other/audio', TRANSPORT)).status).toBe(401);
    expect((await peer.ask('SETUP', '/live/audio', TRANSPORT)).status).toBe(200);
    const other = await connect();
    expect((await other.ask('SETUP', '/live/audio', TRANSPORT)).status).toBe(401);
  });

  it('learn nothing without a password', async () => {
    const peer = await connect();
    expect((await peer.ask('DESCRIBE', '/live')).status).toBe(401);
    expect((await peer.ask('SETUP', '/live/audio', TRANSPORT)).status).toBe(401);
    expect(station.server.stats().players).toBe(0);
  });

  it('report on nothing that they may not play', async () => {
    const peer = await connect();
    const event = { 'Content-Type': 'application/x-wms-sendevent' };
    expect((await peer.ask('SET_PARAMETER', '/live', event, '1\r\n')).status).toBe(401);
    const log = { 'Content-Type': 'application/x-wms-Logplaystats' };
    expect((await peer.ask('SET_PARAMETER', '/live', log, '<XML/>')).status).toBe(454);
    const client = new ClientAuthenticator({ server: { user: 'anna', password: 'anna-secret' }, schemes: ['basic'] });
    const { response } = await askAs(peer, client, 'SET_PARAMETER', '/live', event);
    expect(response.status).toBe(200);
  });

  it('do not get the session of another one by its id', async () => {
    const peer = await connect();
    const account = { user: 'anna', password: 'anna-secret' };
    const client = new ClientAuthenticator({ server: account, schemes: ['digest'] });
    await askAs(peer, client, 'DESCRIBE', '/live');
    const { response } = await askAs(peer, client, 'SETUP', '/live/audio', TRANSPORT);
    const thief = await connect();
    thief.session = response.headers.get('Session')!.split(';')[0]!;
    expect((await thief.ask('PLAY', '/live/')).status).toBe(401);
    expect((await thief.ask('TEARDOWN', '/live/')).status).toBe(401);
    peer.session = thief.session;
    expect((await peer.ask('PLAY', '/live/')).status).toBe(200);
  });

  it.each<Scheme>(['negotiate', 'ntlm', 'digest', 'basic'])('our client logs in by %s', async (scheme) => {
    const server = { user: 'anna', password: 'anna-secret' };
    const url = `rtsp://127.0.0.1:${station.server.ports.rtsp}/live`;
    const authorize = new ClientAuthenticator({ server, schemes: [scheme] });
    for (const delivery of ['rtsp', 'rtspt']) {
      const client = new RtspClient({ url: url.replace('rtsp', delivery), authorize });
      const [first] = await events(client, 2);
      expect(first).toMatchObject({ type: 'header' });
      await client.close();
      await until('no players', () => station.server.stats().players === 0);
    }
    const wrong = new ClientAuthenticator({ server: { ...server, password: 'wrong' }, schemes: [scheme] });
    await expect(RtspClient.describe({ url, authorize: wrong })).rejects.toMatchObject({ code: 'WM_AUTH_REFUSED' });
    await expect(RtspClient.describe({ url })).rejects.toMatchObject({ code: 'WM_AUTH_REFUSED' });
  });
});

/** The first events of a source. */
async function events(source: AsfSource, count: number): Promise<AsfEvent[]> {
  const all: AsfEvent[] = [];
  for await (const event of source) if (all.push(event) === count) break;
  return all;
}
