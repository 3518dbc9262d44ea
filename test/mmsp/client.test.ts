import { PACKET_PAIR } from '../../src/mmsp/messages/base.js';
import * as messages from '../../src/mmsp/messages/server.js';
import { parseClientLog } from '../../src/wmlog/mms-log.js';
import { until } from '../support/until.js';
import {
  type Answers,
  FILE,
  FILE_ID,
  headerBytes,
  media,
  open,
  receive,
  ScriptedServer,
  type ServerFacts,
} from './client-support.js';

let server: ScriptedServer;
afterEach(() => server?.close());

async function serve(answers: Answers = {}, facts: ServerFacts = {}): Promise<ScriptedServer> {
  server = await ScriptedServer.listen(answers, facts);
  return server;
}

/** Sends packets as soon as it plays, and the end. */
const plays =
  (count: number): NonNullable<Answers['startPlaying']> =>
  (peer, message) => {
    peer.answer(message);
    peer.media(media(count));
    peer.end();
  };

describe('an MMSP client, over TCP', () => {
  it('[MMSP-109] [MMSP-129] greets, opens, selects, plays and ends', async () => {
    await serve({ startPlaying: plays(5) });
    const { events, error, times, source } = await receive({ url: server.url() });
    expect(error).toBeUndefined();
    expect(events.map(({ type }) => type)).toEqual(['header', ...Array(5).fill('packet'), 'end']);
    expect(times).toEqual([0, 100, 200, 300, 400]);
    expect(source.facts!.description).toMatchObject({ transport: 'mmst', live: true, features: ['broadcast'] });
    await until('the end of the connection', () => server.last.closed);
    expect(server.last.types).toEqual(
      'connect funnelInfo connectFunnel openFile readBlock streamSwitch startPlaying logging closeFile'.split(' '),
    );
  });

  it('[MMSP-074] [MMSP-076] names its product and a GUID that all its connections share', async () => {
    let times = 0;
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        peer.media(media(2, times * 2));
        if (times++ === 0) peer.socket.destroy();
        else peer.end();
      },
    });
    await receive({ url: server.url(), reconnect: { retries: 3, initialDelay: 1 } });
    const names = server.peers.map((peer) => peer.of('connect')[0]!.subscriber);
    expect(names).toHaveLength(2);
    expect(names[0]).toMatch(/^NSPlayer\/\d+\.\d+\.\d+\.\d+; \{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}$/);
    expect(names[1]).toBe(names[0]);
    // MacToViewerProtocolRevision and ViewerToMacProtocolRevision.
    const [connect] = server.last.raw;
    expect([connect!.readUInt32LE(12), connect!.readUInt32LE(16)]).toEqual([0x0004000b, 0x0003001c]);
  });

  it('[MMSP-121] [MMSP-030] puts each message in a packet of its own', async () => {
    await serve({ startPlaying: plays(1) });
    await receive({ url: server.url() });
    await until('the end of the connection', () => server.last.closed);
    expect(server.last.raw.map((field) => field.readUInt32LE(0) * 8)).toEqual(
      server.last.raw.map(({ length }) => length),
    );
    expect(server.last.raw).toHaveLength(server.last.messages.length);
  });

  it.each([
    ['[MMSP-075] [MMSP-123] no packet pair if that is not wanted', false, PACKET_PAIR.none, PACKET_PAIR.none],
    ['[MMSP-083] a packet pair if it is', true, PACKET_PAIR.possible, PACKET_PAIR.tcp],
  ])('%s', async (_, packetPair, connect, funnelInfo) => {
    await serve({ startPlaying: plays(1) });
    await receive({ url: server.url(), packetPair });
    expect(server.last.of('connect')[0]!.incarnation).toBe(connect);
    expect(server.last.of('funnelInfo')[0]!.incarnation).toBe(funnelInfo);
  });

  it('[MMSP-125] waits for the three messages of a packet pair, and measures the line', async () => {
    let early = 0;
    await serve({
      startPlaying: plays(1),
      funnelInfo: (peer) => {
        const pair = (size: number) => messages.buildReportFunnelInfo(PACKET_PAIR.tcp, 7, Buffer.alloc(size, 1));
        peer.send(pair(432));
        setImmediate(() => {
          peer.send(pair(432));
          early += peer.of('connectFunnel').length;
          setImmediate(() => peer.send(pair(976)));
        });
      },
    });
    const { source, error } = await receive({ url: server.url(), packetPair: true });
    expect(error).toBeUndefined();
    expect(early).toBe(0);
    expect(source.facts!.bandwidth).toBeGreaterThan(10_000);
  });

  it('[MMSP-080] [MMSP-082] asks for TCP by the address of its connection', async () => {
    await serve({ startPlaying: plays(1) });
    await receive({ url: server.url() });
    expect(server.last.of('connectFunnel')[0]!.funnel).toMatchObject({ transport: 'tcp', address: '127.0.0.1' });
    const funnel = server.last.raw[2]!;
    // maxBlockBytes, maxFunnelBytes, maxBitRate, funnelMode (MMSP-081).
    expect([12, 16, 20, 24].map((at) => funnel.readUInt32LE(at))).toEqual([0xffffffff, 0, 0x00989680, 2]);
  });

  it('[MMSP-087] [MMSP-085] asks for the path of the URL without percent-encoding', async () => {
    await serve({ startPlaying: plays(1) });
    await receive({ url: server.url('mmst', '/a%20b/%C3%A4.wmv?x=1') });
    const [file] = server.last.of('openFile');
    expect(file!.fileName).toBe('a b/ä.wmv?x=1');
    expect(file!.incarnation).toBe(9);
  });

  it('[MMSP-091] [MMSP-133] [MMSP-108] reads the header of the file that was opened', async () => {
    await serve({ startPlaying: plays(1) });
    await receive({ url: server.url() });
    expect(server.last.of('readBlock')).toEqual([{ type: 'readBlock', openFileId: FILE_ID, incarnation: 1 }]);
    const block = server.last.raw[4]!;
    expect([block.readUInt32LE(20), block.readDoubleLE(40)]).toEqual([0x8000, 3600]);
  });

  it('[MMSP-136] puts the parts of the header in order', async () => {
    const header = headerBytes({ ballast: 3000 });
    await serve(
      {
        startPlaying: plays(1),
        readBlock: (peer, { incarnation }) => {
          peer.send(messages.buildReportReadBlock(incarnation));
          const parts: Buffer[] = [];
          const { data } = peer;
          peer.data = (bytes) => void parts.push(bytes);
          peer.header(incarnation);
          peer.data = data;
          for (const part of [...parts.reverse(), parts[0]!]) peer.data(part);
        },
      },
      { header },
    );
    const { events, error } = await receive({ url: server.url() });
    expect(error).toBeUndefined();
    expect(events[0]).toMatchObject({ type: 'header', header: { bytes: header } });
  });

  it('[MMSP-110] [MMSP-111] selects streams before it plays, and lists all of them', async () => {
    await serve({ startPlaying: plays(1) });
    await receive({ url: server.url(), streams: [2] });
    expect(server.last.of('streamSwitch')).toEqual([
      {
        type: 'streamSwitch',
        entries: [
          { source: 1, destination: undefined, level: 2 },
          { source: undefined, destination: 2, level: 0 },
        ],
      },
    ]);
  });

  it('[MMSP-112] plays without waiting for the answer to the selection', async () => {
    await serve({
      streamSwitch: () => {},
      startPlaying: (peer, message) => {
        peer.send(messages.buildReportStreamSwitch());
        plays(2)(peer, message);
      },
    });
    expect((await receive({ url: server.url() })).packets).toHaveLength(2);
  });

  it('[MMSP-095] [MMSP-096] starts at a time, or at a packet', async () => {
    await serve({ startPlaying: plays(1) }, FILE);
    await receive({ url: server.url(), startTime: 1_500 });
    await receive({ url: server.url(), startPacket: 7 });
    const [time, packet] = server.peers.map((peer) => peer.of('startPlaying')[0]!);
    expect(time).toMatchObject({ openFileId: FILE_ID, position: 1.5, location: undefined, offset: undefined });
    expect(packet).toMatchObject({ location: 7, offset: undefined });
    // DBL_MAX.
    const field = server.last.raw.find((bytes) => bytes.readUInt32LE(4) === 0x00030007)!;
    expect(field.readDoubleLE(16)).toBe(Number.MAX_VALUE);
  });

  it.each([
    ['9.5.6001.18281', true],
    ['4.1.0.3934', false],
  ])('[MMSP-113] [MMSP-098] asks server %s for speed: %s', async (version, asks) => {
    await serve({ startPlaying: plays(1) }, { ...FILE, version });
    await receive({ url: server.url(), speed: 3 });
    const [start] = server.last.of('startPlaying');
    if (asks) expect(start).toMatchObject({ acceleration: { bitsPerSecond: 30_000_000 }, linkBandwidth: 0x7fffffff });
    else expect(start).toMatchObject({ acceleration: undefined, linkBandwidth: undefined });
  });

  it('[MMSP-099] [MMSP-100] strides at another rate', async () => {
    await serve(
      {
        startStriding: (peer, message) => {
          peer.answer(message);
          peer.media(media(3).reverse(), { location: 0 });
          peer.end();
        },
      },
      FILE,
    );
    const { error } = await receive({ url: server.url(), rate: -5, startTime: 1_000 });
    expect(error).toBeUndefined();
    expect(server.last.of('startStriding')[0]).toMatchObject({ rate: -5, position: 1 });
  });

  it('[MMSP-101] [MMSP-116] [MMSP-117] stops, reports and waits for the end before it seeks', async () => {
    await serve(
      {
        startPlaying: (peer, message) => {
          peer.answer(message);
          const location = Math.round((message.position ?? 0) * 10);
          peer.media(media(3, location), { location });
          if (peer.of('startPlaying').length === 2) peer.end();
        },
      },
      FILE,
    );
    const { times, error } = await receive({ url: server.url() }, (source, event) => {
      if (event.type === 'packet' && event.packet.sendTime === 200) source.seek(5_000);
    });
    expect(error).toBeUndefined();
    expect(times).toEqual([0, 100, 200, 5_000, 5_100, 5_200]);
    const types = server.last.types.slice(5);
    expect(types.slice(0, 6)).toEqual([
      'streamSwitch',
      'startPlaying',
      'stopPlaying',
      'logging',
      'streamSwitch',
      'startPlaying',
    ]);
    const [first, second] = server.last.of('startPlaying');
    expect(server.last.of('stopPlaying')[0]).toMatchObject({ openFileId: FILE_ID, incarnation: first!.incarnation });
    expect(second!.incarnation).toBe(first!.incarnation + 1);
    expect(second!.position).toBe(5);
  });

  it('pauses, answers pings meanwhile, and goes on with the next packet', async () => {
    await serve(
      {
        startPlaying: (peer, message) => {
          peer.answer(message);
          const location = message.location ?? 0;
          peer.media(media(3, location), { location });
          if (location > 0) peer.end();
        },
        stopPlaying: (peer, message) => {
          peer.answer(message);
          peer.send(messages.buildPing());
        },
        pong: () => resume(),
      },
      FILE,
    );
    let resume = () => {};
    const { times } = await receive({ url: server.url() }, (source, event) => {
      if (event.type !== 'packet' || event.packet.sendTime !== 100) return;
      resume = () => source.resume();
      source.pause();
    });
    expect(times).toEqual([0, 100, 200, 300, 400]);
  });

  it('[MMSP-120] [MMSP-073] stops, closes the file and the connection if it is closed', async () => {
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        peer.media(media(1));
      },
    });
    await receive({ url: server.url() }, (source, event) => {
      if (event.type === 'packet') void source.close();
    });
    await until('the end of the connection', () => server.last.closed);
    expect(server.last.types.slice(-3)).toEqual(['stopPlaying', 'logging', 'closeFile']);
    expect(server.last.of('closeFile')[0]).toMatchObject({ openFileId: FILE_ID });
  });

  it('[MMSP-090] [MMSP-137] answers pings while it plays', async () => {
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        peer.send(messages.buildPing());
      },
      pong: (peer) => {
        peer.media(media(1));
        peer.end();
      },
    });
    expect((await receive({ url: server.url() })).packets).toHaveLength(1);
    const pong = server.last.raw.find((bytes) => bytes.readUInt32LE(4) === 0x0003001b);
    expect(pong).toHaveLength(16);
  });

  it('[MMSP-032] [MMSP-150] reads several messages in one packet', async () => {
    await serve({
      streamSwitch: () => {},
      startPlaying: (peer, { incarnation }) => {
        peer.send(
          Buffer.concat([
            messages.buildReportStreamSwitch(),
            messages.buildPing(),
            messages.buildStartedPlaying(incarnation, FILE_ID),
          ]),
        );
        peer.media(media(2));
        peer.end();
      },
    });
    expect((await receive({ url: server.url() })).packets).toHaveLength(2);
    await server.last.next('pong');
  });

  it('tolerates packets with an incarnation that the server chose itself', async () => {
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        peer.media(media(2), { incarnation: 4 });
        peer.end();
      },
    });
    expect((await receive({ url: server.url() })).times).toEqual([0, 100]);
    expect((await receive({ url: server.url('mmsu') })).times).toEqual([0, 100]);
  });

  it('drops packets of an earlier request', async () => {
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        peer.media(media(2, 50), { incarnation: 1 });
        peer.media(media(2));
        peer.end();
      },
    });
    expect((await receive({ url: server.url() })).times).toEqual([0, 100]);
  });

  it('[MMSP-138] [MMSP-084] [MMSP-006] reports what it received at the end', async () => {
    await serve({ startPlaying: plays(4) });
    const { packets } = await receive({ url: server.url(), userAgent: 'NSPlayer/9.0.0.4503' });
    await server.last.next('logging');
    expect(server.last.raw.find((bytes) => bytes.readUInt32LE(4) === 0x00030032)).toHaveLength(1504);
    const bytes = packets.reduce((sum, packet) => sum + packet.bytes.length, 0);
    expect(parseClientLog(server.last.of('logging')[0]!.log)).toMatchObject({
      url: server.url(),
      userAgent: 'NSPlayer/9.0.0.4503',
      clientVersion: '9.0.0.4503',
      sourceId: FILE_ID,
      // MMSP-007, MMSP-009, MMSP-013, MMSP-014.
      address: undefined,
      computerDns: '',
      protocol: 'mms',
      transport: 'TCP',
      fileDuration: 0,
      fileSize: 0,
      rate: 1,
      bytesReceived: bytes,
      packetsReceived: 4,
      packetsRecoveredEcc: 0,
      quality: 100,
      hr: 0,
    });
  });

  it('reports nothing if that is not wanted', async () => {
    await serve({ startPlaying: plays(1) });
    await receive({ url: server.url(), log: false });
    await until('the end of the connection', () => server.last.closed);
    expect(server.last.types).not.toContain('logging');
  });
});

describe('an MMSP client, over a playlist', () => {
  const second = headerBytes({ video: false, fileId: 'a'.repeat(32) });

  it.each(['mmst', 'mmsu'])('[MMSP-139] [MMSP-141] [MMSP-115] goes on with the next entry, %s', async (scheme) => {
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        if (peer.of('startPlaying').length === 2) {
          peer.media(media(2, 2, 2), { location: 2 });
          peer.end();
          return;
        }
        peer.media(media(2));
        peer.end(1);
        const change = { packetSize: 400, headerSize: second.length, bitRate: 10_000_000 };
        peer.send(messages.buildStreamChange(change));
        if (scheme === 'mmsu') return;
        peer.header(0xff, second);
        peer.media(media(2, 0, 2), { incarnation: 0xff });
      },
      readBlock: (peer, { incarnation }) => {
        peer.send(messages.buildReportReadBlock(incarnation));
        peer.header(incarnation, peer.of('readBlock').length === 1 ? server.facts.header : second);
      },
    });
    const { events, error } = await receive({ url: server.url(scheme) });
    expect(error).toBeUndefined();
    const shape = events.map(({ type }) => type[0]).join('');
    expect(shape).toBe(scheme === 'mmst' ? 'hppehppppe' : 'hppehppe');
    expect(server.last.of('readBlock')).toHaveLength(scheme === 'mmst' ? 1 : 2);
    // All streams of the new entry.
    expect(server.last.of('streamSwitch')[1]!.entries).toEqual([{ source: undefined, destination: 2, level: 0 }]);
  });

  it.each([
    ['[MMSP-139] ends with hr 0', '9.0.0.3372', 0],
    ['[MMSP-140] ends on demand with hr 0', '4.1.0.3934', messages.FILE_ATTRIBUTE.canSeek],
  ])('%s of server %s', async (_, version, attributes) => {
    await serve({ startPlaying: plays(2) }, { version, attributes });
    const { packets, error } = await receive({ url: server.url() });
    expect([packets.length, error]).toEqual([2, undefined]);
  });

  it('[MMSP-140] waits for another entry of a broadcast of an old server', async () => {
    await serve(
      {
        startPlaying: (peer, message) => {
          peer.answer(message);
          peer.media(media(2, 0, peer.of('startPlaying').length));
          if (peer.of('startPlaying').length === 2) {
            // Closed while another entry may follow, which is the end.
            peer.end(0);
            peer.socket.end();
            return;
          }
          peer.end(0);
          peer.send(messages.buildStreamChange({ packetSize: 400, headerSize: second.length, bitRate: 1_000_000 }));
          peer.header(0xff, second);
        },
      },
      { version: '4.1.0.3934' },
    );
    const { events, error } = await receive({ url: server.url() });
    expect(error).toBeUndefined();
    expect(events.map(({ type }) => type[0]).join('')).toBe('hppehppe');
  });
});

describe('an MMSP client that is sent elsewhere', () => {
  it('[MMSP-130] connects to the server of a redirect', async () => {
    const other = await ScriptedServer.listen({ startPlaying: plays(2) });
    await serve({
      openFile: (peer) => peer.send(messages.buildRedirect(`mms://127.0.0.1:${other.port}/a b`, false)),
    });
    const { packets, error, source } = await receive({ url: server.url() });
    expect([packets.length, error]).toEqual([2, undefined]);
    expect(source.facts!.description.url).toBe(`mms://127.0.0.1:${other.port}/a%20b`);
    expect(other.last.of('openFile')[0]!.fileName).toBe('a b');
    expect(other.last.of('connect')[0]!.subscriber).toBe(server.last.of('connect')[0]!.subscriber);
    await until('the end of the first connection', () => server.last.closed);
    await other.close();
  });

  it('[MMSP-130] [MMSP-077] connects to a proxy, and tells it the server', async () => {
    const proxy = await ScriptedServer.listen({ startPlaying: plays(2) });
    await serve({ openFile: (peer) => peer.send(messages.buildRedirect(`mms://127.0.0.1:${proxy.port}`, true)) });
    const { packets, error } = await receive({ url: server.url() });
    expect([packets.length, error]).toEqual([2, undefined]);
    const [connect] = proxy.last.of('connect');
    expect(connect!.subscriber).toContain(`; Host: 127.0.0.1:${server.port}`);
    expect(connect!.host).toBe(`127.0.0.1:${server.port}`);
    await proxy.close();
  });

  it('is not sent around for ever', async () => {
    await serve({ openFile: (peer) => peer.send(messages.buildRedirect(server.url('mms'), false)) });
    const { error } = await receive({ url: server.url() });
    expect(error).toMatchObject({ code: 'WM_PROTOCOL', message: expect.stringContaining('again and again') });
    expect(server.peers).toHaveLength(6);
  });

  it('may not be led to a private address by another host', async () => {
    await serve({ startPlaying: plays(1) });
    const guard = { allows: () => false };
    const { error } = await receive({ url: server.url(), guard, led: true });
    expect(error).toMatchObject({ message: expect.stringContaining('private address') });
    expect((await receive({ url: server.url(), guard })).error).toBeUndefined();
  });

  it('hands a redirect to another protocol on', async () => {
    await serve({ openFile: (peer) => peer.send(messages.buildRedirect('http://h/x.asx', false)) });
    const { error } = await receive({ url: server.url() });
    expect(error).toMatchObject({ name: 'LeadsElsewhere', location: 'http://h/x.asx' });
  });
});

describe('an MMSP client that is refused', () => {
  it.each([
    [0xc00d001a, 'WM_NO_INPUT'],
    [0x80070002, 'WM_NO_INPUT'],
    [0x80070005, 'WM_AUTH_REFUSED'],
    [0xc00d0025, 'WM_UNREACHABLE'],
    [0x8000ffff, 'WM_PROTOCOL'],
  ])('[MMSP-107] says why: %s is %s', async (hr, code) => {
    await serve({ openFile: (peer, { incarnation }) => peer.send(messages.buildOpenFileFailure(incarnation, hr)) });
    const { error } = await receive({ url: server.url() });
    expect(error).toMatchObject({ code, message: expect.stringContaining(hr.toString(16).toUpperCase()) });
    await until('the end of the connection', () => server.last.closed);
  });

  it('fails if the stream fails', async () => {
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        peer.media(media(1));
        peer.end(0x8000ffff);
      },
    });
    const { error, packets } = await receive({ url: server.url() });
    expect(packets).toHaveLength(1);
    expect(error).toMatchObject({ code: 'WM_SERVER_GONE', message: expect.stringContaining('8000FFFF') });
  });

  it('continues at the same packet after a break', async () => {
    await serve(
      {
        startPlaying: (peer, message) => {
          peer.answer(message);
          const location = message.location ?? 0;
          peer.media(media(3, location), { location });
          if (server.peers.length === 1) peer.socket.end();
          else peer.end();
        },
      },
      FILE,
    );
    const { times, error, source } = await receive({
      url: server.url(),
      reconnect: { retries: 3, initialDelay: 1 },
    });
    expect(error).toBeUndefined();
    expect(times).toEqual([0, 100, 200, 300, 400, 500]);
    expect(source.stats.reconnects).toBe(1);
  });

  it('describes without playing', async () => {
    await serve();
    const facts = await open({ url: server.url() }).describe();
    expect(facts.description).toMatchObject({
      url: server.url(),
      server: { text: 'Windows Media Services 9.5.6001.18281' },
    });
    await until('the end of the connection', () => server.last.closed);
    expect(server.last.types).not.toContain('startPlaying');
  });
});
