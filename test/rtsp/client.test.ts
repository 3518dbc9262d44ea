import { ClientAuthenticator } from '../../src/auth/client.js';
import { readNacks } from '../../src/rtsp/messages/rtcp.js';
import { testHeader } from '../support/stream.js';
import { until } from '../support/until.js';
import { fileHeader } from './file-header.js';
import { Playing } from './playing.js';
import { FIRST, RTX_SSRC, ScriptedServer, SSRC, SUPPORTED, sdpOf } from './scripted-server.js';

let server: ScriptedServer;
const open: Playing[] = [];
beforeEach(async () => {
  server = await ScriptedServer.open();
});
afterEach(async () => {
  for (const playing of open.splice(0)) await playing.close();
  await server.close();
});

function play(
  scheme: 'rtsp' | 'rtspt' | 'rtspu' = 'rtsp',
  options: Partial<ConstructorParameters<typeof Playing>[0]> = {},
): Playing {
  const playing = new Playing({ url: server.url('/x', scheme), ...options });
  open.push(playing);
  return playing;
}

const of = (request: { headers: { get(name: string): string | undefined } }, name: string) => request.headers.get(name);

describe('a client of RTSP', () => {
  it('[RTSP-155] sets the retransmission stream up first, [RTSP-135] then one stream after the other', async () => {
    play();
    await server.request('PLAY');
    await until('LogConnect', () => server.ofType('application/x-wms-Logconnectstats').length === 1);
    expect(server.requests.map(({ method, url }) => `${method} ${url.slice(server.url('').length)}`)).toEqual([
      'DESCRIBE /x',
      'SETUP /x/rtx',
      'SET_PARAMETER /x',
      'SETUP /x/video',
      'SETUP /x/audio',
      'PLAY /x',
      'SET_PARAMETER /x',
    ]);
  });

  it('[RTSP-086] says who it is, [RTSP-104] and what it supports', async () => {
    play();
    const describe = await server.request('DESCRIBE');
    const guid = /^WMPlayer\/\d+\.\d+\.\d+\.\d+ guid\/[0-9A-F-]{36}$/;
    expect(of(describe, 'User-Agent')).toMatch(guid);
    expect(of(describe, 'Accept')).toBe('application/sdp');
    for (const feature of ['eosmsg', 'sswitch', 'predstrm', 'srvppair', 'locid']) {
      expect(of(describe, 'Supported')).toContain(`com.microsoft.wm.${feature}`);
    }
    await server.request('PLAY');
    expect(new Set(server.requests.map((request) => of(request, 'User-Agent'))).size).toBe(1);
    for (const { method, headers } of server.requests.slice(1)) {
      const isListed = method === 'SETUP' || method === 'PLAY';
      expect(headers.get('Supported') !== undefined).toBe(isListed);
    }
    const authorize = new ClientAuthenticator({
      server: { user: 'anna', password: 'x' },
      schemes: ['negotiate', 'digest'],
    });
    play('rtsp', { authorize });
    expect(of(await server.request('DESCRIBE', 2), 'X-Accept-Authentication')?.toLowerCase()).toBe('negotiate, digest');
    expect(of(describe, 'X-Accept-Authentication')).toBeUndefined();
  });

  it('[RTSP-146] that relays is a server, and needs no GUID', async () => {
    play('rtsp', { identity: 'NSServer' });
    expect(of(await server.request('DESCRIBE'), 'User-Agent')).toMatch(/^WMServer\/[\d.]+$/);
    const { userAgent } = { userAgent: 'NSPlayer/9.0.0.2833' };
    play('rtsp', { userAgent });
    expect(of(await server.request('DESCRIBE', 2), 'User-Agent')).toMatch(/^WMPlayer\/9\.0\.0\.2833 guid\//);
    expect(() => play('rtsp', { userAgent: 'Browser/1.0' })).toThrow('"Browser/1.0"');
  });

  it('[RTSP-121] has one port for all media, and another pair for retransmissions', async () => {
    play();
    await server.request('PLAY');
    const transports = server.requests.filter(({ method }) => method === 'SETUP').map((each) => of(each, 'Transport')!);
    expect(transports[0]).toMatch(/^RTP\/AVP\/UDP;unicast;client_port=\d+-\d+;mode=PLAY$/);
    expect(transports[1]).toMatch(/^RTP\/AVP\/UDP;unicast;client_port=\d+;mode=PLAY$/);
    expect(transports[2]).toBe(transports[1]);
    const [rtp, rtcp] = /(\d+)-(\d+)/.exec(transports[0]!)!.slice(1).map(Number);
    expect(rtcp).toBe(rtp! + 1);
    expect(transports[1]).not.toContain(`client_port=${rtp};`);
  });

  it('[RTSP-134] sees by a packet pair that datagrams arrive, [RTSP-133] and asks for one as the text says', async () => {
    const playing = play();
    await server.request('PLAY');
    const [pair] = server.ofType('application/x-rtsp-udp-packetpair');
    expect(pair!.body.toString()).toBe('type: high-entropy-packetpair');
    await server.send(3);
    await playing.has(3);
    expect(playing.times).toEqual([0, 100, 200]);
    expect(playing.headers[0]!.bytes.equals(server.header.bytes)).toBe(true);
  });

  it('[RTSP-174] goes on over the connection if no datagram arrives', async () => {
    server.blocksUdp = true;
    const playing = play('rtsp', { timeouts: { firewall: 60 } });
    await server.request('PLAY');
    await server.send(2);
    await playing.has(2);
    expect(playing.notes.join()).toContain('No datagram of');
    const setUp = server.requests.filter(({ method }) => method === 'SETUP').at(-1)!;
    expect(of(setUp, 'Transport')).toContain('RTP/AVP/TCP');
    // It asked more than once, since datagrams may be lost.
    expect(server.ofType('application/x-rtsp-udp-packetpair')).toHaveLength(3);
  });

  it('does without datagrams where the URL says so, and fails where it insists on them', async () => {
    server.blocksUdp = true;
    const playing = play('rtspt');
    await server.request('PLAY');
    expect(server.methods).not.toContain('SET_PARAMETER rtx');
    expect(server.requests.filter(({ method }) => method === 'SETUP').map((each) => of(each, 'Transport'))).toEqual([
      'RTP/AVP/TCP;unicast;interleaved=0-1;mode=PLAY',
      'RTP/AVP/TCP;unicast;interleaved=2-3;mode=PLAY',
    ]);
    await server.send(1);
    await playing.has(1);
    const insists = play('rtspu', { timeouts: { firewall: 60 } });
    await insists.done;
    expect(insists.error).toMatchObject({ code: 'WM_UNREACHABLE' });
  });

  it('[RTSP-160] does not take a packet pair of another SSRC for one', async () => {
    server.blocksUdp = true;
    server.answers['SET_PARAMETER'] = ({ headers }) => {
      if (headers.get('Content-Type')?.includes('packetpair')) server.packetPair(RTX_SSRC + 1);
      return {};
    };
    const playing = play('rtspu', { timeouts: { firewall: 90 } });
    await playing.done;
    expect(playing.error).toMatchObject({ code: 'WM_UNREACHABLE' });
    expect(server.methods).not.toContain('PLAY');
  });

  it('[RTSP-139] asks for lost packets, [RTSP-158] at the port for RTCP, and gets them', async () => {
    const playing = play();
    await server.request('PLAY');
    const all = await server.send(10, 0, [0, 3, 4]);
    await until('NACKs', () => server.rtcp.length > 0);
    const asked = new Set(server.rtcp.flatMap((bytes) => readNacks(bytes)!.sequences));
    expect([...asked].sort((a, b) => a - b)).toEqual([FIRST, FIRST + 3, FIRST + 4]);
    expect(readNacks(server.rtcp[0]!)).toMatchObject({ mediaSsrc: SSRC, rtxSsrc: RTX_SSRC });
    expect(server.rtcp[0]![0]! & 0x1f).toBe(0x11);
    for (const lost of [3, 0, 4]) server.resend(all[lost]!);
    await playing.has(10);
    expect(playing.times).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
    expect(playing.client.stats).toMatchObject({ recoveredPackets: 3, lostPackets: 0 });
  });

  it('gives up on packets that do not come, and counts them', async () => {
    const playing = play('rtsp', { lossWindow: 60 });
    await server.request('PLAY');
    await server.send(5, 0, [2]);
    await playing.has(4);
    expect(playing.times).toEqual([0, 100, 300, 400]);
    expect(playing.client.stats).toMatchObject({ recoveredPackets: 0, lostPackets: 1 });
  });

  it('[RTSP-013] joins fragments, [RTSP-005] and drops a packet of which one is lost', async () => {
    const playing = play('rtsp', { lossWindow: 60 });
    await server.request('PLAY');
    const packets = [0, 100, 200].map((time) => server.packets(time, { size: 116 }));
    expect(packets[0]!.length).toBeGreaterThan(2);
    for (const packet of [...packets[0]!, packets[1]![0]!, ...packets[1]!.slice(2), ...packets[2]!])
      server.media(packet);
    await playing.has(2);
    expect(playing.times).toEqual([0, 200]);
  });

  it('ignores datagrams of other hosts, of other SSRCs, and what is no RTP', async () => {
    const playing = play();
    await server.request('PLAY');
    const [first, second] = [...server.packets(0), ...server.packets(100)];
    const foreign = Buffer.from(first!);
    foreign.writeUInt32BE(0x12345678, 8);
    server.media(foreign);
    // It would be the first one, with other contents.
    const forged = Buffer.from(first!);
    forged.writeUInt32LE(77_777, forged.length - 200);
    await server.stranger(forged);
    server.media(Buffer.from('no RTP at all'));
    server.media(Buffer.alloc(0));
    server.media(first!);
    server.media(second!);
    await playing.has(2);
    expect(playing.times).toEqual([0, 100]);
    expect(playing.packets[0]!.bytes.includes(Buffer.from([0xd1, 0x2f, 1, 0]))).toBe(false);
  });

  it('[RTSP-170] waits for the last packets after EndOfStream, [RTSP-171] then sends its log', async () => {
    const playing = play();
    await server.request('PLAY');
    const all = await server.send(4, 0, [2, 3]);
    server.end();
    await until('its answer', () => server.responses.length === 1);
    expect(server.responses[0]).toMatchObject({ status: 200 });
    await until('NACKs', () => server.rtcp.length > 0);
    expect(playing.over).toBe(false);
    server.resend(all[2]!);
    server.resend(all[3]!);
    await playing.done;
    expect(playing.order).toEqual(['header', 'packet', 'packet', 'packet', 'packet', 'end']);
    const [log] = server.ofType('application/x-wms-Logplaystats');
    expect(log!.body.toString()).toContain('<protocol>rtsp</protocol>');
    expect(log!.body.toString()).toContain('<c-pkts-recovered-resent>2</c-pkts-recovered-resent>');
    expect(server.methods.at(-1)).toBe('TEARDOWN');
  });

  it('[RTSP-117] starts where it is told, [RTSP-162] in the entry that it is at', async () => {
    server.answers['DESCRIBE'] = () => ({
      fields: [['X-Playlist-Gen-Id', '32']],
      body: sdpOf(server.header, { features: [] }),
    });
    server.header = testHeader();
    play('rtspt', { startTime: 2_500, maxDuration: 1_000, rate: 2 });
    const first = await server.request('PLAY');
    // The header is of a broadcast, which has no positions.
    expect(of(first, 'Range')).toBe('npt=0.000-');
    expect(of(first, 'X-Playlist-Seek-Id')).toBe('32');
    expect(of(first, 'Scale')).toBe('2.000');
    expect(of(first, 'Session')).toBe('7');
  });

  it('[RTSP-148] names the playlist entry in each request that has to', async () => {
    server.answers['DESCRIBE'] = () => ({ fields: [['X-Playlist-Gen-Id', '32']], body: sdpOf(server.header) });
    const playing = play();
    await server.request('PLAY');
    await playing.close();
    await server.request('TEARDOWN');
    for (const { method, headers, url } of server.requests) {
      const isPair = headers.get('Content-Type')?.includes('udp-packetpair') ?? false;
      const isNamed = method === 'SETUP' || method === 'TEARDOWN' || isPair;
      expect([method, url, headers.get('X-Playlist-Gen-Id')]).toEqual([method, url, isNamed ? '32' : undefined]);
    }
  });

  it('[RTSP-075] asks for speed only where the server can', async () => {
    server.header = testHeader();
    const sdp = () => ({ body: sdpOf(fileHeader(), { features: [] }) });
    server.answers['DESCRIBE'] = sdp;
    play('rtspt', { speed: 5 });
    expect(of(await server.request('PLAY'), 'Speed')).toBe('5.000');
    server.supported = SUPPORTED.replace(', com.microsoft.wm.fastcache', '');
    play('rtspt', { speed: 5 });
    expect(of(await server.request('PLAY', 2), 'Speed')).toBeUndefined();
  });

  it('[RTSP-053] asks for no position and no rate that the content does not allow', async () => {
    server.answers['DESCRIBE'] = () => ({ body: sdpOf(fileHeader(), { features: ['notseekable', 'notstridable'] }) });
    const playing = play('rtspt', { startTime: 2_000, rate: 5 });
    const first = await server.request('PLAY');
    expect(of(first, 'Range')).toBe('npt=0.000-');
    expect(of(first, 'Scale')).toBe('1.000');
    expect(playing.notes).toHaveLength(2);
  });

  it('[RTSP-080] asks for a packet pair only where the server can, [RTSP-156] over TCP to measure', async () => {
    server.supported = 'com.microsoft.wm.eosmsg';
    play('rtsp', { packetPair: true });
    await server.request('PLAY');
    expect(server.methods).toEqual(['DESCRIBE', 'SETUP', 'SETUP', 'SETUP', 'PLAY', 'SET_PARAMETER']);
    server.supported = SUPPORTED;
    play('rtspt', { packetPair: true });
    const pair = await server.request('GET_PARAMETER');
    expect(of(pair, 'Content-Type')).toBe('application/x-rtsp-packetpair');
    expect(of(pair, 'Content-Length')).toBe('0');
  });

  it('[RTSP-150] matches responses to requests by their order, [RTSP-151] and survives refused logs', async () => {
    server.answers['SET_PARAMETER'] = () => ({ status: 400 });
    const playing = play('rtspt');
    await server.request('PLAY');
    await until('LogConnect', () => server.ofType('application/x-wms-Logconnectstats').length === 1);
    await server.send(2);
    await playing.has(2);
  });

  it.each([
    ['DESCRIBE', 404, 'WM_NO_INPUT'],
    ['DESCRIBE', 403, 'WM_AUTH_REFUSED'],
    ['SETUP', 453, 'WM_PROTOCOL'],
    ['PLAY', 503, 'WM_UNREACHABLE'],
    ['PLAY', 457, 'WM_PROTOCOL'],
  ])('[RTSP-151] fails if %s is answered %i', async (method, status, code) => {
    server.answers[method] = () => ({ status });
    const playing = play('rtspt');
    await playing.done;
    expect(playing.error).toMatchObject({ code });
    expect(playing.order).toEqual([]);
  });

  it('[RTSP-153] follows redirects to another server, and through a proxy', async () => {
    const other = await ScriptedServer.open();
    try {
      server.answers['DESCRIBE'] = () => ({ status: 302, fields: [['Location', other.url('/y')]], last: true });
      const playing = play('rtspt');
      expect((await other.request('PLAY')).url).toBe(other.url('/y'));
      await other.send(1);
      await playing.has(1);
      await playing.close();
      server.answers['DESCRIBE'] = () => ({ status: 305, fields: [['Location', other.url('/')]] });
      play('rtspt');
      expect((await other.request('DESCRIBE', 2)).url).toBe(server.url('/x'));
    } finally {
      await other.close();
    }
  });

  it('does not follow redirects for ever, nor to nowhere', async () => {
    server.answers['DESCRIBE'] = () => ({ status: 301, fields: [['Location', server.url('/x')]] });
    const playing = play('rtspt');
    await playing.done;
    expect(playing.error).toMatchObject({ code: 'WM_PROTOCOL' });
    expect(server.requests).toHaveLength(6);
    server.answers['DESCRIBE'] = () => ({ status: 301 });
    const lost = play('rtspt');
    await lost.done;
    expect(lost.error).toMatchObject({ code: 'WM_PROTOCOL' });
  });

  it('leads to another protocol if the server says so', async () => {
    server.answers['DESCRIBE'] = () => ({ status: 302, fields: [['Location', 'http://192.0.2.1/live']] });
    const playing = play('rtspt');
    await playing.done;
    expect(playing.error).toMatchObject({ name: 'LeadsElsewhere', location: 'http://192.0.2.1/live' });
  });

  it('goes where REDIRECT sends it', async () => {
    const other = await ScriptedServer.open();
    try {
      const playing = play('rtspt', { reconnect: { retries: 1, initialDelay: 1 } });
      await server.request('PLAY');
      await server.send(2);
      await playing.has(2);
      server.ask('REDIRECT', [['Location', other.url('/y')]]);
      await other.request('PLAY');
      other.sequence = 5;
      await other.send(2, 2);
      await playing.has(4);
      expect(playing.times).toEqual([0, 100, 200, 300]);
    } finally {
      await other.close();
    }
  });

  it('[RTSP-112] keeps its session alive while nothing is sent over the connection, [RTSP-175] and by UDP', async () => {
    const now = performance.now;
    const playing = play('rtsp', { timeouts: { data: 200_000 } });
    await server.request('PLAY');
    await server.send(1);
    await playing.has(1);
    let offset = 0;
    performance.now = () => now.call(performance) + offset;
    try {
      offset = 54_000;
      await server.send(1, 1);
      await playing.has(2);
      expect(server.methods).not.toContain('GET_PARAMETER');
      offset = 56_000;
      await server.send(1, 2);
      const keepAlive = await server.request('GET_PARAMETER');
      expect(of(keepAlive, 'Session')).toBe('7');
      expect(of(keepAlive, 'Content-Type')).toBeUndefined();
      expect(keepAlive.body).toHaveLength(0);
    } finally {
      performance.now = now;
    }
  });

  it('[RTSP-165] sends no keep-alive while media come over the connection', async () => {
    const now = performance.now;
    const playing = play('rtspt', { timeouts: { data: 200_000 } });
    await server.request('PLAY');
    await server.send(1);
    await playing.has(1);
    let looks = 0;
    performance.now = () => {
      looks++;
      return now.call(performance) + 70_000;
    };
    try {
      await server.send(2, 1);
      await playing.has(3);
      // By then, only its timer still looks at the clock.
      const before = looks;
      await until('its timer', () => looks > before + 2);
      playing.client.pause();
      await server.request('PAUSE');
      performance.now = () => now.call(performance) + 140_000;
      await server.request('GET_PARAMETER');
      expect(server.methods.indexOf('GET_PARAMETER')).toBeGreaterThan(server.methods.indexOf('PAUSE'));
      expect(server.methods.slice(0, server.methods.indexOf('PAUSE'))).not.toContain('GET_PARAMETER');
    } finally {
      performance.now = now;
    }
  });

  it('[RTSP-141] pauses with a log, [RTSP-143] and goes on at the next packet', async () => {
    server.answers['DESCRIBE'] = () => ({ body: sdpOf(fileHeader(), { features: [] }) });
    const playing = play('rtspt');
    await server.request('PLAY');
    for (const time of [0, 100])
      for (const packet of server.packets(time, { location: 40 + time / 100 })) server.media(packet);
    await playing.has(2);
    playing.client.pause();
    const pause = await server.request('PAUSE');
    expect(of(pause, 'Range')).toBeUndefined();
    await until('the log', () => server.ofType('application/x-wms-Logplaystats').length === 1);
    playing.client.resume();
    expect(of(await server.request('PLAY', 2), 'Range')).toBe('x-asf-packet=42-');
    playing.client.seek(1_500);
    await server.request('PAUSE', 2);
    expect(of(await server.request('PLAY', 3), 'Range')).toBe('npt=1.500-');
    expect(server.methods.filter((method) => method === 'SETUP')).toHaveLength(2);
  });

  it('[RTSP-145] ends with TEARDOWN, wherever it is, [RTSP-131] on the URL of all', async () => {
    const playing = play('rtspt');
    await server.request('PLAY');
    await server.send(1);
    await playing.has(1);
    await playing.close();
    const { url, headers } = await server.request('TEARDOWN');
    expect([url, headers.get('Session')]).toEqual([server.url('/x'), '7']);
    expect(server.methods.slice(-3)).toEqual(['PAUSE', 'SET_PARAMETER', 'TEARDOWN']);
    await until('the end of the connection', () => server.sockets.every(({ readableEnded }) => readableEnded));
  });

  it('[RTSP-131] says farewell after the end, too, on the URL of all', async () => {
    const playing = play('rtspt');
    await server.request('PLAY');
    await server.send(1);
    server.end();
    await playing.done;
    const { url, headers } = await server.request('TEARDOWN');
    expect([url, headers.get('Session')]).toEqual([server.url('/x'), '7']);
  });

  it('comes back with its session over another connection', async () => {
    server.answers['DESCRIBE'] = () => ({ body: sdpOf(fileHeader(), { features: [] }) });
    const playing = play('rtspt', { reconnect: { retries: 3, initialDelay: 1 } });
    await server.request('PLAY');
    for (const packet of server.packets(0, { location: 7 })) server.media(packet);
    await playing.has(1);
    server.sockets[0]!.destroy();
    const second = await server.request('PLAY', 2);
    expect([of(second, 'Session'), of(second, 'Range')]).toEqual(['7', 'x-asf-packet=8-']);
    expect(server.methods.filter((method) => method === 'DESCRIBE')).toHaveLength(1);
    for (const packet of server.packets(100, { location: 8 })) server.media(packet);
    await playing.has(2);
    // A server that has forgotten the session: everything begins again, at the same position.
    server.answers['PLAY'] = ({ headers }) =>
      headers.get('Session') === '7' && server.sockets.length === 3 ? { status: 454 } : undefined;
    server.sockets[1]!.destroy();
    await until('another session', () => server.sockets.length === 4);
    expect(of(await server.request('PLAY', 4), 'Range')).toBe('x-asf-packet=9-');
  });

  it('says what broke, if the server does not speak RTSP', async () => {
    server.answers['DESCRIBE'] = () => {
      server.sockets[0]!.write('HTTP/1.1 400 Bad Request\r\n\r\n');
      return 'silence';
    };
    const playing = play('rtspt');
    await playing.done;
    expect(playing.error).toMatchObject({ code: 'WM_PROTOCOL' });
  });

  it('says so if what is there is not of Windows Media', async () => {
    server.answers['DESCRIBE'] = () => ({ body: 'v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n' });
    const playing = play('rtspt');
    await playing.done;
    expect(playing.error).toMatchObject({ code: 'WM_PROTOCOL' });
    expect(String(playing.error)).toContain('is not a stream of Windows Media');
  });

  it('gives up on a server that sends nothing any more', async () => {
    const playing = play('rtspt', { timeouts: { data: 300 } });
    await server.request('PLAY');
    await server.send(1);
    await playing.done;
    expect(playing.error).toMatchObject({ code: 'WM_SERVER_GONE' });
    expect(playing.order).toEqual(['header', 'packet', 'end']);
  });

  it('[RTSP-180] says that an operator stopped it', async () => {
    const playing = play('rtspt');
    await server.request('PLAY');
    await server.send(1);
    server.end('AdministrativeDisconnection: true\r\n');
    await playing.done;
    expect(playing.error).toMatchObject({ code: 'WM_SERVER_GONE' });
  });
});

describe('a client of RTSP in a playlist', () => {
  const second = testHeader({ title: 'Second', video: false });
  const announce = (predicted: string | undefined, sdp = sdpOf(second)) =>
    server.ask(
      'ANNOUNCE',
      [
        ['Session', '7'],
        ['X-Playlist-Gen-Id', '33'],
        ...(predicted === undefined ? [] : [['X-RTP-Info', predicted] as const]),
        ['Content-Type', 'application/sdp'],
      ],
      sdp,
    );

  async function toTheEnd(scheme: 'rtsp' | 'rtspt'): Promise<Playing> {
    server.answers['DESCRIBE'] = () => ({
      fields: [['X-Playlist-Gen-Id', '32']],
      body: sdpOf(server.header, { features: ['broadcast', 'playlist'] }),
    });
    const playing = play(scheme);
    await server.request('PLAY');
    await server.send(2, 20);
    return playing;
  }

  it('[RTSP-138] chooses the streams of an entry that waits for it, [RTSP-173] and confirms without a position', async () => {
    const playing = await toTheEnd('rtspt');
    server.end('End-Of-Playlist-Entry: true\r\n');
    announce(undefined);
    const confirmed = await server.request('PLAY', 2);
    expect(of(confirmed, 'X-Playlist-Seek-Id')).toBe('33');
    expect(of(confirmed, 'Range')).toBeUndefined();
    expect(of(confirmed, 'X-RTP-Info')).toBeUndefined();
    const setUps = server.requests.filter(({ method }) => method === 'SETUP').slice(2);
    expect(setUps.map(({ url }) => url.slice(server.url('').length))).toEqual(['/x/audio']);
    expect(of(setUps[0]!, 'X-Playlist-Gen-Id')).toBe('33');
    await server.send(1, 1);
    await playing.has(3);
    expect(playing.order).toEqual(['header', 'packet', 'packet', 'end', 'header', 'packet']);
    expect(playing.headers[1]!.bytes.equals(second.bytes)).toBe(true);
    expect(server.ofType('application/x-wms-Logplaystats')).toHaveLength(1);
  });

  it('[RTSP-172] takes an entry that goes on by itself, [RTSP-098] and says which of its streams it keeps', async () => {
    const playing = await toTheEnd('rtsp');
    server.end('End-Of-Playlist-Entry: true\r\n');
    const end = server.sequence;
    // Packets of the next entry are faster than its Announce.
    await server.send(1, 1);
    await server.send(1, 3);
    announce(`url=${server.url('/x/audio')};unicast;ssrc=${SSRC.toString(16)};seq=${end & 0xffff};rtptime=0`);
    const confirmed = await server.request('PLAY', 2);
    expect(of(confirmed, 'X-RTP-Info')).toBe(`url=${server.url('/x/audio')}`);
    expect(server.requests.filter(({ method }) => method === 'SETUP')).toHaveLength(3);
    await playing.has(4);
    expect(playing.order).toEqual(['header', 'packet', 'packet', 'end', 'header', 'packet', 'packet']);
    expect(playing.times).toEqual([2_000, 2_100, 100, 300]);
    expect(server.responses.map(({ status }) => status)).toEqual([200, 200]);
  });

  it('[RTSP-125] [RTSP-138] deselects predicted streams that it does not want, by their URLs', async () => {
    const playing = await toTheEnd('rtspt');
    server.end('End-Of-Playlist-Entry: true\r\n');
    const sdp = sdpOf(testHeader({ commands: 3 }));
    announce(
      `url=${server.url('/x/audio')};unicast, url=${server.url('/x/video')};unicast, url=${server.url('/x/rtx')};unicast`,
      sdp,
    );
    await server.request('PLAY', 2);
    await until('TEARDOWN', () => server.methods.includes('TEARDOWN'));
    const tornDown = server.requests.find(({ method }) => method === 'TEARDOWN')!;
    expect(tornDown.url).toBe(server.url('/x/rtx'));
    expect(of(server.requests.find(({ url }) => url.endsWith('stream=3'))!, 'Session')).toBe('7');
    await playing.close();
  });

  it('[RTSP-172] refuses a malformed Announce', async () => {
    const playing = await toTheEnd('rtspt');
    announce(undefined, 'v=0\r\n');
    await until('its answer', () => server.responses.length === 1);
    expect(server.responses[0]!.status).toBe(400);
    await playing.has(2);
  });

  it('sends no log of an entry of which nothing came', async () => {
    let plays = 0;
    server.answers['PLAY'] = () => (plays++ === 0 ? { fields: [['X-Playlist-Change-Notice', 'true']] } : undefined);
    const playing = play('rtspt');
    await server.request('PLAY');
    server.end('End-Of-Playlist-Entry: true\r\n');
    announce(undefined);
    await server.request('PLAY', 2);
    await server.send(1, 1);
    await playing.has(1);
    expect(playing.order).toEqual(['header', 'packet']);
    expect(server.ofType('application/x-wms-Logplaystats')).toEqual([]);
  });
});
