import { parsePacket } from '../../src/asf/packet.js';
import { SessionRegistry, type SessionReport } from '../../src/playback/registry.js';
import { AUDIO, PACKET_SIZE } from '../support/stream.js';
import { until } from '../support/until.js';
import { BOTH_STREAMS, clientIdOf, kindsOf, NEW, OLD, PLAY, Station, tokenOf } from './station.js';

let station: Station;

beforeEach(async () => {
  station = await Station.open();
  station.key();
});

afterEach(() => station.close());

describe('a broadcast that is requested faster than real time', () => {
  const STARTUP = 'Supported: com.microsoft.wm.predstrm, com.microsoft.wm.startupprofile';
  const FAST = 'Pragma: LinkBW=2147483647, AccelBW=2000000, AccelDuration=8000, Speed=6104.070';

  /** Feeds that many seconds, with a key frame in each. */
  function feed(seconds: number): void {
    for (let packets = 0; packets < seconds * 10; packets++) station.packet({ key: packets % 10 === 0 });
  }

  it('[WMSP-244] [WMSP-245] [WMSP-045] [WMSP-269] sends the requested part of the history at once, and says so; then it is in real time', async () => {
    feed(20);
    const watcher = await station.play(NEW, ...PLAY, ...BOTH_STREAMS, STARTUP, FAST);
    expect(tokenOf(watcher.response, 'AccelBW')).toBe('2000000');
    expect(tokenOf(watcher.response, 'AccelDuration')).toBe('8000');
    expect(tokenOf(watcher.response, 'Speed')).toBe('1.000');
    const burst = (await watcher.packetsWith('D', 80)).filter(({ id }) => id === 'D');
    expect(burst.length).toBeLessThanOrEqual(91);
  });

  it('[WMSP-245] is granted no more than the history', async () => {
    feed(3);
    const watcher = await station.play(NEW, ...PLAY, ...BOTH_STREAMS, FAST);
    expect(Number(tokenOf(watcher.response, 'AccelDuration'))).toBe(3_000);
  });

  it('[WMSP-244] is granted nothing that was not requested, or that is not for the version of the client', async () => {
    feed(20);
    for (const lines of [[NEW], [OLD, FAST]]) {
      const { response } = await station.play(...lines, ...PLAY, ...BOTH_STREAMS);
      expect(response.pragma.filter((token) => /^(?:Accel|Burst)/.test(token))).toEqual([]);
      expect(response.field('X-StartupProfile')).toBeUndefined();
    }
  });

  it('[WMSP-246] [WMSP-068] [WMSP-071] [WMSP-073] has X-StartupProfile for the part sent at once, if the client lists the feature', async () => {
    feed(20);
    const { response } = await station.play(NEW, ...PLAY, ...BOTH_STREAMS, STARTUP, FAST);
    const profile = response.field('X-StartupProfile')!;
    // Pictures of 300 bytes every 100 ms.
    expect(profile).toMatch(/^Rate=10,[\d,]+;MaxBytes=[\d,]+;Time=[\d,]+;StartTime=\d+;LastTime=8000;/);
    expect(Number(/ByteRate=(\d+),/.exec(profile)![1]) / 3_000).toBeCloseTo(1, 1);
    const again = await station.play(NEW, ...PLAY, ...BOTH_STREAMS, STARTUP, FAST);
    expect(again.response.field('X-StartupProfile')).toBe(profile);
    const other = await station.play(NEW, ...PLAY, ...BOTH_STREAMS, FAST);
    expect(other.response.field('X-StartupProfile')).toBeUndefined();
  });
});

describe('Play', () => {
  it('[WMSP-247] [WMSP-091] [WMSP-232] starts with the header again and continues with data packets', async () => {
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

  it('[WMSP-117] [WMSP-118] cuts padding, with an explicit Packet Length instead', async () => {
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
    const watcher = await station.play(
      OLD,
      ...PLAY,
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:1 ffff:2:0',
    );
    station.packet();
    station.packet({ key: true });
    const data = (await watcher.packetsWith('D', 2)).filter(({ id }) => id === 'D');
    expect(data.map(({ location }) => location)).toEqual([0, 2]);
  });

  it('[WMSP-240] sends no streams to a client that names none, and all to NSServer up to 5.0', async () => {
    const player = await station.play(OLD, ...PLAY);
    const old = await station.play('User-Agent: NSServer/4.1', ...PLAY);
    const named = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    station.packet();
    await named.packetsWith('D', 2);
    expect((await old.packetsWith('D', 2)).filter(({ id }) => id === 'D')).toHaveLength(2);
    expect(player.packets.filter(({ id }) => id === 'D')).toHaveLength(0);
  });

  it('[WMSP-277] counts stream-switch-entry only with a stream-switch-count above 0', async () => {
    const [entry] = BOTH_STREAMS.slice(1);
    const without = await station.play(OLD, ...PLAY, entry!);
    const zero = await station.play(OLD, ...PLAY, 'Pragma: stream-switch-count=0', entry!);
    const named = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    station.packet();
    await named.packetsWith('D', 2);
    for (const { packets } of [without, zero]) expect(kindsOf(packets)).not.toContain('D');
  });

  it('[WMSP-276] [WMSP-042] tells the higher layer what a proxy says about its client', async () => {
    const sessions = new SessionRegistry();
    const other = await Station.open({ registry: sessions });
    other.key();
    const verb = 'X-Proxy-Client-Verb: DESCRIBE';
    const agent = 'Pragma: proxy-client-agent="WMPlayer/11.0"';
    const watcher = await other.play('User-Agent: WMCacheProxy/9.0', ...PLAY, ...BOTH_STREAMS, verb, agent);
    await watcher.packetsWith('D', 1);
    const [session] = (await sessions.list()).sessions;
    expect(session).toMatchObject({ proxyClient: { agent: 'WMPlayer/11.0', verb: 'DESCRIBE' } });
    await other.close();
  });

  it('sends everything to a puller that says NSPlayer without a version', async () => {
    const watcher = await station.play('User-Agent: NSPlayer', ...PLAY);
    expect((await watcher.packetsWith('D', 1)).map(({ id }) => id)).toEqual(['H', 'D']);
  });

  it('[WMSP-239] creates a session if the client has no session', async () => {
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

  it('[WMSP-248] repeats the header after $E(1) $C for an NSPlayer below 7.0 that lost its session', async () => {
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

  it('[WMSP-238] is refused for a session that is already streaming', async () => {
    const id = clientIdOf((await station.play(OLD, ...PLAY, ...BOTH_STREAMS)).response);
    const second = await station.play(OLD, ...PLAY, ...BOTH_STREAMS, `Pragma: client-id=${id}`);
    expect(second.response.status).toBe(400);
  });

  it('[WMSP-261] lets a session continue with a new Play when its connection was closed', async () => {
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

  it('[WMSP-217] keeps a streaming session, however long', async () => {
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

  it.each([
    ['[WMSP-024] [WMSP-204]', 'client-lag=4000', 4000],
    ['[WMSP-204]', 'client-lag=4294967295', 15_000],
  ])('%s holds back another header for %s', async (_id, token, milliseconds) => {
    const watcher = await station.play(NEW, ...PLAY, ...BOTH_STREAMS, `Pragma: ${token}`);
    await watcher.packetsWith('D', 1);
    station.header({ title: 'next' });
    station.key();
    await watcher.packetsWith('E', 1);
    station.tick(milliseconds - 1);
    await station.settle();
    expect(kindsOf(watcher.packets).at(-1)).toBe('E1');
    station.tick(1);
    await watcher.packetsWith('D', 2);
    expect(kindsOf(watcher.packets).slice(-4)).toEqual(['C0', 'M', 'H', 'D']);
  });

  it('announces another header to older clients with only $C and $H, since FFmpeg loses packets after $E(1)', async () => {
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

  it('[WMSP-244] [WMSP-246] returns no acceleration or startup profile that it does not grant', async () => {
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

  it('[WMSP-025] does not announce a header that does not follow', async () => {
    expect((await station.play(NEW, ...PLAY, ...BOTH_STREAMS)).response.pragma.join()).not.toContain(
      'expect-new-header',
    );
  });

  it('reports who played what, and how much', async () => {
    await station.close();
    const reports: SessionReport[] = [];
    station = await Station.open({ registry: new SessionRegistry({ onEnd: (report) => reports.push(report) }) });
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

/** The server learns of a closed connection in a separate turn of the event loop. */
async function gone(): Promise<void> {
  await until('no players', () => station.server.players === 0);
}
