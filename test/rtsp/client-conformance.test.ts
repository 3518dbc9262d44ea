import { CookieJar } from '../../src/http/cookie-jar.js';
import { readHttpUrl } from '../../src/http/http-url.js';
import { TcpPairMeasure } from '../../src/rtsp/client/measure.js';
import { DEFAULT_TIMEOUTS } from '../../src/rtsp/client/options.js';
import { parseRtspUrl } from '../../src/rtsp/client/url.js';
import { until } from '../support/until.js';
import { fileHeader } from './file-header.js';
import { Playing } from './playing.js';
import { RTX_SSRC, ScriptedServer, SUPPORTED, sdpOf } from './scripted-server.js';

let server: ScriptedServer;
const open: Playing[] = [];
beforeEach(async () => {
  server = await ScriptedServer.open();
});
afterEach(async () => {
  for (const playing of open.splice(0)) await playing.close();
  await server.close();
});

function play(scheme: string, options: Partial<ConstructorParameters<typeof Playing>[0]> = {}): Playing {
  const playing = new Playing({ url: server.url('/x', scheme), ...options });
  open.push(playing);
  return playing;
}

/** A file that is sent faster than it is played, on a server that wants to know of its rendering. */
function subscribed(): void {
  server.answers['DESCRIBE'] = () => ({
    fields: [['Cache-Control', 'no-cache, x-wms-event-subscription="remote-open, remote-log"']],
    body: sdpOf(fileHeader(), { features: [] }),
  });
}

describe('a URL of RTSP', () => {
  it.each([
    ['rtsp://h/x?y=1#z', { delivery: 'any', host: 'h', port: 554, href: 'rtsp://h/x?y=1' }],
    ['RTSPT://user:secret@Host:80/', { delivery: 'tcp', host: 'host', port: 80, href: 'rtsp://host:80/' }],
    ['rtspu://[::1]:5554/a b', { delivery: 'udp', host: '::1', port: 5554, href: 'rtsp://[::1]:5554/a%20b' }],
    ['mms://h', { delivery: 'any', port: 554, href: 'rtsp://h/' }],
  ])('[RTSP-002] %s names a server and its port', (text, parts) => {
    expect(parseRtspUrl(text)).toMatchObject(parts);
  });

  it.each(['rtsp://', 'http://h/', 'rtsp:/h', 'rtsp://h:99999/', 'x'])('%s is not one', (text) => {
    expect(() => parseRtspUrl(text)).toThrow('is not a URL');
  });
});

describe('the requests of a client', () => {
  it('[RTSP-103] send the cookies of a host, [RTSP-067] which HTTP may have given it', async () => {
    const cookies = new CookieJar();
    cookies.store(readHttpUrl('http://127.0.0.1/x')!, ['from=http; path=/']);
    server.answers['DESCRIBE'] = () => ({ fields: [['Set-Cookie', 'by=rtsp; path=/']], body: sdpOf(server.header) });
    play('rtspt', { cookies });
    const describe = await server.request('DESCRIBE');
    expect(describe.headers.get('Cookie')).toBe('from=http');
    expect(describe.headers.get('User-Agent')).toMatch(/^WMPlayer\//);
    await server.request('PLAY');
    expect(cookies.header({ host: '127.0.0.1', path: '/x' })).toBe('from=http; by=rtsp');
    for (const { headers } of server.requests.slice(1)) expect(headers.get('Cookie')).toBeUndefined();
  });

  it('[RTSP-060] state the bandwidth in PLAY, [RTSP-163] and how fast the start may come', async () => {
    const link = { linkBandwidth: 2_000_000, accelBandwidth: 1_500_000, accelDuration: 8_000 };
    play('rtspt', { link });
    const { headers } = await server.request('PLAY');
    expect(headers.get('Bandwidth')).toBe('2000000');
    expect(headers.get('X-Accelerate-Streaming')).toBe('AccelBandwidth=1500000;AccelDuration=8000');
  });

  it('[RTSP-136] set streams up without waiting, [RTSP-118] each by its URL', async () => {
    let silent = true;
    server.answers['SETUP'] = ({ url }) => (url.endsWith('/audio') && silent ? 'silence' : undefined);
    server.answers['DESCRIBE'] = () => ({ fields: [['X-Playlist-Gen-Id', '9']], body: sdpOf(server.header) });
    server.header = fileHeader({ commands: 3 });
    const playing = play('rtspt');
    // The first of them is alone; the answer to the second does not come.
    const third = await server.request('SETUP', 3);
    silent = false;
    expect(third.url).toBe(server.url('/x/stream=3'));
    expect(third.headers.get('X-Playlist-Gen-Id')).toBe('9');
    expect(server.methods).not.toContain('PLAY');
    await playing.close();
  });

  it('[RTSP-081] never hold stream switches for a server that cannot', async () => {
    server.supported = 'com.microsoft.wm.eosmsg';
    play('rtspt');
    await server.request('PLAY');
    expect(server.ofType('application/x-wms-streamswitch')).toEqual([]);
  });

  it('[RTSP-164] report the connection without waiting for the answer to PLAY', async () => {
    server.answers['PLAY'] = () => 'silence';
    play('rtspt');
    await until('LogConnect', () => server.ofType('application/x-wms-Logconnectstats').length === 1);
    const { headers, body } = server.ofType('application/x-wms-Logconnectstats')[0]!;
    expect(headers.get('Content-Type')).toMatch(/;charset=UTF-8$/);
    expect(body.toString()).toContain('<transport>TCP</transport>');
  });

  it('[RTSP-147] list what the server supports too, [RTSP-072] as it said last', async () => {
    server.supported = `${SUPPORTED}, com.microsoft.wm.startupprofile`;
    server.answers['PLAY'] = undefined;
    play('rtspt');
    const play1 = await server.request('PLAY');
    expect(play1.headers.get('Supported')).toContain('com.microsoft.wm.startupprofile');
    expect((await server.request('DESCRIBE')).headers.get('Supported')).not.toContain('startupprofile');
    // A response without Supported changes nothing.
    server.supported = '';
    const playing = play('rtspt');
    await server.request('PLAY', 2);
    await playing.close();
  });

  it('[RTSP-116] pause all streams at once, [RTSP-101] by the URL of the presentation', async () => {
    const playing = play('rtspt');
    await server.request('PLAY');
    await server.send(1);
    await playing.has(1);
    playing.client.pause();
    const { headers, url } = await server.request('PAUSE');
    expect([url, headers.get('Session'), headers.get('Range')]).toEqual([server.url('/x'), '7', undefined]);
  });

  it('[RTSP-095] name the entry that they are for, [RTSP-094] by its number', async () => {
    server.answers['DESCRIBE'] = () => ({ fields: [['X-Playlist-Gen-Id', '4294967295']], body: sdpOf(server.header) });
    play('rtspt');
    expect((await server.request('PLAY')).headers.get('X-Playlist-Seek-Id')).toBe('4294967295');
  });

  it('[RTSP-152] keep a session alive as often as its server says', async () => {
    const now = performance.now;
    server.timeout = 20;
    const playing = play('rtsp', { timeouts: { data: 200_000 } });
    await server.request('PLAY');
    await server.send(1);
    await playing.has(1);
    performance.now = () => now.call(performance) + 14_000;
    try {
      await server.send(1, 1);
      await playing.has(2);
      expect(server.methods).not.toContain('GET_PARAMETER');
      performance.now = () => now.call(performance) + 16_000;
      await server.request('GET_PARAMETER');
    } finally {
      performance.now = now;
    }
  });
});

describe('the reports of a client', () => {
  it('[RTSP-142] are a Streaming Log and [RTSP-144] an event of what was rendered, if the server wants that', async () => {
    subscribed();
    const playing = play('rtspt', { speed: 5 });
    await server.request('PLAY');
    for (const time of [0, 100])
      for (const packet of server.packets(time, { location: time / 100 })) server.media(packet);
    await playing.has(2);
    server.end();
    await playing.done;
    const [log] = server.ofType('application/x-wms-Logplaystats');
    expect(log!.body.toString()).toContain('<audiocodec>-</audiocodec>');
    const [event] = server.ofType('application/x-wms-sendevent');
    expect(event!.body.toString()).toMatch(/^1\r\n1,30,0\r\n/);
    expect(event!.body.toString()).toContain('<protocol>Cache</protocol>');
  });

  it.each([
    ['"remote-log"', 1],
    ['"remote-open,remote-log"', 1],
    ['"remote-open, Remote-Log , remote-close"', 1],
    ['"remote-logs"', 0],
    ['"remote-open" remote-log', 0],
  ])('[RTSP-064] are wanted by the subscription %s: %i', async (subscription, events) => {
    server.answers['DESCRIBE'] = () => ({
      fields: [['Cache-Control', `no-cache, x-wms-event-subscription=${subscription}`]],
      body: sdpOf(fileHeader(), { features: [] }),
    });
    const playing = play('rtspt', { speed: 5 });
    await server.request('PLAY');
    await server.send(1);
    await playing.has(1);
    server.end();
    await playing.done;
    expect(server.ofType('application/x-wms-sendevent')).toHaveLength(events);
  });

  it('[RTSP-128] are no events that the server did not subscribe to, [RTSP-064] and then a Legacy Log', async () => {
    server.answers['DESCRIBE'] = () => ({
      fields: [['Cache-Control', 'x-wms-event-subscription="remote-open"']],
      body: sdpOf(fileHeader(), { features: [] }),
    });
    const playing = play('rtspt', { speed: 5 });
    await server.request('PLAY');
    await server.send(1);
    await playing.has(1);
    server.end();
    await playing.done;
    expect(server.ofType('application/x-wms-sendevent')).toEqual([]);
    expect(server.ofType('application/x-wms-Logplaystats')[0]!.body.toString()).not.toContain(
      '<audiocodec>-</audiocodec>',
    );
  });

  it('[RTSP-149] forward those of clients of its own, and say whose they are', async () => {
    const playing = play('rtspt', { identity: 'NSServer' });
    await server.request('PLAY');
    await server.send(1);
    await playing.has(1);
    playing.client.forward(Buffer.from('1\r\n'), 'WMPlayer/9.0.0.2833');
    await until('the event', () => server.ofType('application/x-wms-sendevent').length === 1);
    const { headers, body } = server.ofType('application/x-wms-sendevent')[0]!;
    expect(headers.get('X-Proxy-Client-Agent')).toBe('WMPlayer/9.0.0.2833');
    expect(headers.get('X-Proxy-Client-Verb')).toBe('SendEvent');
    expect(headers.get('Via')).toMatch(/^RTSP\/1\.0 /);
    expect(headers.get('User-Agent')).toMatch(/^WMServer\//);
    expect(body.toString()).toBe('1\r\n');
  });
});

describe('the measurements of a client', () => {
  it('[RTSP-157] are the time between two of the packets of a pair', () => {
    let now = 0;
    const measure = new TcpPairMeasure(() => now);
    measure.received(4);
    now = 5;
    measure.received(8);
    now = 6;
    measure.received(300);
    now = 15;
    measure.received(520);
    now = 90;
    measure.received(2_080);
    // 512 bytes in 10 ms.
    expect(measure.bandwidth).toBe(409_600);
    const atOnce = new TcpPairMeasure(() => 7);
    atOnce.received(2_080);
    expect(atOnce.bandwidth).toBeUndefined();
  });

  it('[RTSP-129] ask for a packet pair, and choose by it', async () => {
    server.answers['GET_PARAMETER'] = () => ({
      fields: [['Content-Type', 'application/x-rtsp-packetpair']],
      body: 'x'.repeat(2_080),
    });
    play('rtspt', { packetPair: true });
    const { headers, body } = await server.request('GET_PARAMETER');
    expect([headers.get('Content-Type'), headers.get('Content-Length'), body.length]).toEqual([
      'application/x-rtsp-packetpair',
      '0',
      0,
    ]);
    await server.request('PLAY');
  });

  it('[RTSP-159] wait for datagrams within the limits of the Firewall timer', () => {
    expect(DEFAULT_TIMEOUTS.firewall).toBeGreaterThanOrEqual(1_000);
    expect(DEFAULT_TIMEOUTS.firewall).toBeLessThanOrEqual(30_000);
  });

  it('take one of three datagrams of a packet pair for enough', async () => {
    server.blocksUdp = true;
    play('rtsp');
    await until('UdpPacketPair', () => server.ofType('application/x-rtsp-udp-packetpair').length === 1);
    server.packetPair(RTX_SSRC, [2]);
    await server.request('PLAY');
  });
});
