import { parseHeader } from '../../src/asf/header.js';
import { parsePacket } from '../../src/asf/packet.js';
import { AUDIO, VIDEO } from '../support/stream.js';
import { parseWholeResponse, type WirePacket, wirePackets } from '../support/wire.js';
import { Content, type MadeMedia, PACKETS_A_SECOND } from './content.js';
import { BOTH_STREAMS, clientIdOf, kindsOf, NEW, OLD, PLAY, Station, tokenOf, type Watcher } from './station.js';

let content: Content;
let station: Station;

beforeEach(async () => {
  content = await Content.create();
  station = await Station.open({ content });
});

afterEach(async () => {
  await station.close();
  await content.close();
});

const GET = 'GET /clip.wmv HTTP/1.0';
const describeFile = (agent: string, ...lines: string[]) => station.ask('GET /clip.wmv HTTP/1.1', agent, ...lines);
const dataOf = (packets: readonly WirePacket[]) => packets.filter(({ id }) => id === 'D');
const fileOf = (options?: MadeMedia) => content.media('clip.wmv', options);

/** Returns all packets of a Play, letting time pass until its end. */
async function playOut(watcher: Watcher): Promise<WirePacket[]> {
  await station.tickUntil(() => watcher.peer.ended);
  return watcher.all();
}

describe('the B bit', () => {
  it('[WMSP-101] is set if the next packet follows without a pause, for clients from 9.0', async () => {
    await fileOf();
    for (const agent of [NEW, OLD]) {
      const watcher = await station.play(GET, agent, ...PLAY, ...BOTH_STREAMS);
      // Three seconds leave at once, and then one packet at a time when it is due.
      const first = dataOf(await watcher.packetsWith('D', 3 * PACKETS_A_SECOND));
      const marked = first.slice(0, 2 * PACKETS_A_SECOND).map(({ b }) => b);
      expect(new Set(marked)).toEqual(new Set([agent === NEW]));
      const data = dataOf(await playOut(watcher));
      expect(data.length).toBeGreaterThan(first.length);
      expect(data.at(-1)!.b).toBe(false);
      expect(data.slice(first.length).some(({ b }) => !b)).toBe(true);
    }
  });
});

describe('Describe of a file', () => {
  it('keeps the size of the Data Object from players that would end there after some seeks', async () => {
    await fileOf();
    const sizes: bigint[] = [];
    for (const agent of [NEW, OLD]) {
      const packets = wirePackets((await describeFile(agent)).body);
      const header = parseHeader(Buffer.concat(packets.filter(({ id }) => id === 'H').map(({ payload }) => payload)));
      expect(header.dataObject.packetCount).toBeGreaterThan(0n);
      sizes.push(header.dataObject.size);
    }
    expect(sizes[0]).toBeLessThan(10_000_000n);
    expect(sizes[1]).toBe(2n ** 30n);
  });

  it('[WMSP-029] [WMSP-028] [WMSP-026] offers seeking, with and without an index, and striding where there is video', async () => {
    for (const index of [true, false]) {
      await content.media(`${index}.wmv`, { index });
      const response = await station.ask(`GET /${index}.wmv HTTP/1.0`, NEW);
      expect(tokenOf(response, 'features')).toBe('"seekable,stridable"');
    }
    await content.media('song.wma', { video: false });
    expect(tokenOf(await station.ask('GET /song.wma HTTP/1.0', OLD), 'features')).toBe('"seekable"');
  });

  it('[WMSP-264] names the same features in $M', async () => {
    await fileOf();
    const response = await describeFile(NEW);
    const [metadata] = wirePackets(response.body);
    const text = metadata!.payload.toString('utf8');
    expect(/features=("[^"]*")/.exec(text)![1]).toBe(tokenOf(response, 'features'));
  });

  it('[WMSP-123] [WMSP-122] [WMSP-128] [WMSP-129] has broadcast-id 0, and a content description that begins with language', async () => {
    await fileOf({ title: 'Süd' });
    const [metadata, header] = wirePackets((await describeFile(NEW)).body);
    expect([metadata!.id, header!.id]).toEqual(['M', 'H']);
    expect(metadata!.payload.toString('utf8')).toBe(
      'playlist-gen-id=1, broadcast-id=0, features="seekable,stridable"\0' + '8,language,31,0,,5,title,31,4,Süd\r\n',
    );
  });

  it('[WMSP-010] [WMSP-014] tells its size and how long it may be cached, and is not a broadcast', async () => {
    const bytes = await fileOf();
    const response = await describeFile(NEW);
    const cacheControl = response.field('Cache-Control')!;
    expect(cacheControl).toContain(`x-wms-content-size=${bytes.length}`);
    expect(cacheControl).not.toContain('x-wms-stream-type');
    expect(cacheControl.split(/, ?/)).toEqual(
      expect.arrayContaining(['no-cache', 'max-age=86399', 'user-public', 'must-revalidate', 'proxy-public']),
    );
  });

  it('has a Last-Modified and an Etag that changes with the file', async () => {
    await fileOf();
    const first = await describeFile(NEW);
    expect(Date.parse(first.field('Last-Modified')!)).toBeGreaterThan(Date.parse('2020-01-01'));
    expect(first.field('Etag')).toMatch(/^"[0-9A-Za-z.-]+"$/);
    expect((await describeFile(NEW)).field('Etag')).toBe(first.field('Etag'));
    await fileOf({ seconds: 5 });
    expect((await describeFile(NEW)).field('Etag')).not.toBe(first.field('Etag'));
  });

  it('[WMSP-054] [WMSP-162] has no version-info or version-url, and no token that is too new for the client', async () => {
    await fileOf();
    for (const agent of ['NSPlayer/6.4.9.1121', 'NSPlayer/7.1.0.3055', 'NSPlayer/8.0.0.4477', 'NSPlayer/12.0.7680.0']) {
      const response = await describeFile(`User-Agent: ${agent}`, 'Supported: com.microsoft.wm.predstrm');
      expect(response.pragma.join()).not.toMatch(/version-|skip/);
      expect(response.field('Supported') === undefined).toBe(!agent.includes('/12'));
    }
  });

  it('[WMSP-061] [WMSP-062] [WMSP-063] [WMSP-064] [WMSP-219] lists what it supports to clients from 9.0', async () => {
    await fileOf();
    const supported = (await describeFile('User-Agent: WMCacheProxy/9.5.6001.1')).field('Supported')!.split(/, ?/);
    const names = ['fastcache', 'predstrm', 'srvppair', 'sswitch', 'startupprofile'];
    expect(supported.sort()).toEqual(names.map((name) => `com.microsoft.wm.${name}`));
  });

  it.each(['NSServer/9.0.0.3171', 'NSServer/9.5', 'WMCacheProxy/9.5.6001.1', 'NSPlayer/9.0.0.2833', 'NSPlayer/10.0'])(
    '[WMSP-207] gives $M to %s',
    async (agent) => {
      await fileOf();
      const response = await describeFile(`User-Agent: ${agent}`);
      expect(wirePackets(response.body).map(({ id }) => id)).toEqual(['M', 'H']);
    },
  );

  it('[WMSP-106] [WMSP-107] [WMSP-113] splits a header of 200 KB over several $H', async () => {
    await fileOf({ ballast: 200_000 });
    const packets = wirePackets((await describeFile(OLD)).body);
    expect(packets.map(({ location }) => location)).toEqual([0, 1, 2, 3]);
    expect(packets.map(({ afFlags }) => afFlags)).toEqual([0x04, 0, 0, 0x08]);
    expect(packets.every(({ id, packetSize, length }) => id === 'H' && packetSize === length)).toBe(true);
    const header = parseHeader(Buffer.concat(packets.map(({ payload }) => payload)));
    expect(header.bytes.length).toBeGreaterThan(200_000);
    const watcher = await station.play(GET, NEW, ...PLAY, ...BOTH_STREAMS);
    expect(kindsOf(await watcher.packetsWith('D', 5)).slice(0, 6)).toEqual(['M', 'H', 'H', 'H', 'H', 'D']);
  });
});

describe('GetContentInfo of a file', () => {
  const getContentInfo = (path = '/clip.wmv') =>
    station.ask(
      `POST ${path} HTTP/1.1`,
      'User-Agent: WMCacheProxy/9.5.6001.1',
      'Content-Type: application/x-wms-getcontentinfo',
      'Content-Length: 0',
    );

  it('[WMSP-079] [WMSP-224] [WMSP-010] has the fields for caches and no body', async () => {
    const bytes = await fileOf();
    const response = await getContentInfo();
    expect(response.status).toBe(200);
    expect(response.body).toHaveLength(0);
    expect(response.field('Cache-Control')).toMatch(
      new RegExp(`^no-cache, x-wms-content-size=${bytes.length}, max-age=\\d+, user-public, must-revalidate`),
    );
    const described = await describeFile(NEW);
    for (const name of ['Last-Modified', 'Etag', 'Cache-Control'])
      expect(response.field(name)).toBe(described.field(name));
    expect(response.pragma).toEqual(['no-cache']);
  });

  it('[WMSP-223] is 404 for a missing file', async () => {
    expect((await getContentInfo('/other.wmv')).status).toBe(404);
  });

  it('[WMSP-011] subscribes to events if they are wanted', async () => {
    await fileOf();
    expect((await getContentInfo()).field('Cache-Control')).not.toContain('event');
    await station.close();
    const events: string[] = [];
    station = await Station.open({ content, onEvent: (path, body) => events.push(`${path} ${body}`) });
    const [, names] = /x-wms-event-subscription="([^"]*)"/.exec((await getContentInfo()).field('Cache-Control')!)!;
    expect(names!.split(',')).toEqual(['remote-open', 'remote-close', 'remote-log']);
    const peer = await station.peer();
    peer.request('POST /clip.wmv HTTP/1.1', NEW, 'Content-Type: application/x-wms-sendevent', 'Content-Length: 17');
    peer.send('1\r\n1,"28","0"\r\n\r\n');
    expect((await peer.until(parseWholeResponse)).status).toBe(200);
    expect(events).toEqual(['/clip.wmv 1\r\n1,"28","0"\r\n\r\n']);
  });
});

describe('Play of a file', () => {
  it('[WMSP-108] [WMSP-111] [WMSP-116] sends every packet with its number in the file, then $E 0, and closes', async () => {
    const bytes = await fileOf({ seconds: 20 });
    const { packetSize } = parseHeader(bytes);
    const watcher = await station.play(GET, NEW, ...PLAY, ...BOTH_STREAMS);
    const packets = await playOut(watcher);
    expect(kindsOf(packets)).toEqual(['M', 'H', 'D', 'E0']);
    const data = dataOf(packets);
    expect(data.map(({ location }) => location)).toEqual(Array.from({ length: 300 }, (_, index) => index));
    expect(data.map(({ afFlags }) => afFlags)).toEqual(Array.from({ length: 300 }, (_, index) => index & 255));
    const start = parseHeader(bytes).bytes.length;
    for (const { location, payload } of data) {
      const original = parsePacket(bytes.subarray(start + location * packetSize, start + (location + 1) * packetSize));
      const sent = parsePacket(payload);
      expect(sent.payloads.map(({ stream, key, mediaObjectNumber }) => [stream, key, mediaObjectNumber])).toEqual(
        original.payloads.map(({ stream, key, mediaObjectNumber }) => [stream, key, mediaObjectNumber]),
      );
    }
  });

  it('[WMSP-203] closes the connection after $E of a response without chunks, so one $E is enough', async () => {
    await fileOf({ seconds: 1 });
    const watcher = await station.play(
      'GET /clip.wmv HTTP/1.1',
      NEW,
      'Connection: keep-alive',
      ...PLAY,
      ...BOTH_STREAMS,
    );
    expect(watcher.response.field('Connection')).toBe('close');
    expect((await playOut(watcher)).filter(({ id }) => id === 'E')).toHaveLength(1);
  });

  it('is paced: some seconds at once, the rest when it is due', async () => {
    await fileOf({ seconds: 30 });
    const watcher = await station.play(GET, OLD, ...PLAY, ...BOTH_STREAMS);
    // The preroll and 2 s.
    await watcher.packetsWith('D', 3 * PACKETS_A_SECOND);
    expect(dataOf(watcher.packets).length).toBeLessThan(3.5 * PACKETS_A_SECOND);
    for (const seconds of [4, 5, 6]) {
      station.tick(1_000);
      await watcher.packetsWith('D', seconds * PACKETS_A_SECOND);
      expect(dataOf(watcher.packets).length).toBeLessThan((seconds + 0.5) * PACKETS_A_SECOND);
    }
  });

  it('[WMSP-249] [WMSP-050] sends only the chosen streams, and only key frames at level 1', async () => {
    await fileOf();
    const audio = await station.play(
      GET,
      OLD,
      ...PLAY,
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:2 ffff:2:0',
    );
    const streams = (packets: readonly WirePacket[]) =>
      new Set(dataOf(packets).flatMap(({ payload }) => parsePacket(payload).payloads.map(({ stream }) => stream)));
    expect(streams(await playOut(audio))).toEqual(new Set([AUDIO]));
    const keys = await station.play(
      GET,
      OLD,
      ...PLAY,
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:1 ffff:2:2',
    );
    const packets = await playOut(keys);
    expect(streams(packets)).toEqual(new Set([VIDEO]));
    expect(dataOf(packets).map(({ location }) => location)).toEqual([0, 15, 30, 45]);
  });

  it('[WMSP-240] sends nothing to a client that names no stream, and all to NSServer up to 5.0', async () => {
    await fileOf({ seconds: 1 });
    expect(kindsOf(await playOut(await station.play(GET, NEW, ...PLAY)))).toEqual(['M', 'H', 'E0']);
    const server = await station.play(GET, 'User-Agent: NSServer/4.1.0.3930', ...PLAY);
    const data = dataOf(await playOut(server));
    expect(data).toHaveLength(PACKETS_A_SECOND);
    expect(data.every(({ payload }) => payload.length === 400)).toBe(true);
  });

  it('[WMSP-251] turns a stream on at its next key frame while the file plays', async () => {
    await fileOf({ seconds: 10 });
    const watcher = await station.play(
      GET,
      NEW,
      ...PLAY,
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:2 ffff:2:0',
    );
    await watcher.packetsWith('D', 15);
    const select = await station.ask(
      'POST /clip.wmv HTTP/1.1',
      NEW,
      `Pragma: no-cache, client-id=${clientIdOf(watcher.response)}`,
      'Pragma: stream-switch-count=1',
      'Pragma: stream-switch-entry=ffff:1:0',
      'Content-Length: 0',
    );
    expect(select.status).toBe(200);
    const payloads = dataOf(await playOut(watcher)).flatMap(({ payload }) => parsePacket(payload).payloads);
    const first = payloads.find(({ stream }) => stream === VIDEO);
    expect(first).toMatchObject({ key: true });
    expect(payloads.filter(({ stream }) => stream === AUDIO)).toHaveLength(50);
  });

  it('[WMSP-202] [WMSP-225] in pipelined mode ends with $E and the zero chunk; then the waiting answers follow, then a replay', async () => {
    await fileOf({ seconds: 1 });
    const peer = await station.peer();
    const play = (id: number) =>
      peer.request(
        'GET /clip.wmv HTTP/1.1',
        NEW,
        'Pragma: version11-enabled=1',
        `Pragma: client-id=${id}`,
        ...PLAY,
        ...BOTH_STREAMS,
      );
    const id = clientIdOf(await describeFile(NEW));
    for (let round = 1; round <= 3; round++) {
      peer.clear();
      play(id);
      peer.request(
        'POST /clip.wmv HTTP/1.1',
        NEW,
        `Pragma: client-id=${id}`,
        'Pragma: log-line=1 2 3',
        'Content-Length: 0',
      );
      await station.tickUntil(() => peer.received.includes('204 No Content'));
      const text = peer.received.toString('latin1');
      expect(text.indexOf('HTTP/1.1 200 OK')).toBe(0);
      expect(text.indexOf('\r\n0\r\n\r\nHTTP/1.1 204 No Content')).toBeGreaterThan(text.indexOf('$E'));
    }
    expect(station.server.sessions).toBe(1);
    expect(peer.ended).toBe(false);
  });

  it('[WMSP-112] begins with AFFlags 0 if the previous packet had 254', async () => {
    await fileOf({ seconds: 17 });
    const first = await station.play(GET, NEW, ...PLAY, ...BOTH_STREAMS);
    const id = clientIdOf(first.response);
    expect(dataOf(await playOut(first)).at(-1)!.afFlags).toBe(254);
    const again = await station.play(GET, NEW, ...PLAY, ...BOTH_STREAMS, `Pragma: client-id=${id}`);
    expect(dataOf(await playOut(again))[0]!.afFlags).toBe(0);
    const third = await station.play(GET, NEW, ...PLAY, ...BOTH_STREAMS, `Pragma: client-id=${id}`);
    // 255 packets later, the same again.
    expect(dataOf(await playOut(third))[0]!.afFlags).toBe(0);
  });

  it('[WMSP-221] [WMSP-222] keeps naming the session and the entry, even when it refuses something', async () => {
    await fileOf();
    const id = clientIdOf(await describeFile(NEW));
    await station.play(GET, NEW, ...PLAY, ...BOTH_STREAMS, `Pragma: client-id=${id}`);
    const refused = await describeFile(NEW, `Pragma: client-id=${id}`);
    expect(refused.status).toBe(400);
    const kept = await station.ask('OPTIONS * HTTP/1.1', NEW, `Pragma: client-id=${id}`);
    for (const { pragma } of [refused, kept])
      expect(pragma).toEqual(expect.arrayContaining([`client-id=${id}`, 'timeout=60000', 'playlist-gen-id=1']));
  });

  it('[WMSP-223] [WMSP-239] is 404 for a missing file, and creates no session', async () => {
    const watcher = await station.play('GET /other.wmv HTTP/1.0', NEW, ...PLAY, ...BOTH_STREAMS);
    expect(watcher.response.status).toBe(404);
    expect(station.server.sessions).toBe(0);
  });

  it('closes the file when the player has gone', async () => {
    await fileOf({ seconds: 30 });
    const watcher = await station.play(GET, NEW, ...PLAY, ...BOTH_STREAMS);
    await watcher.packetsWith('D', 10);
    watcher.peer.close();
    await station.tickUntil(() => station.server.players === 0 && content.files.size === 0, 0);
  });
});
