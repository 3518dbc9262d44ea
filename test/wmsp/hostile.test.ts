import { appendFile, rm, truncate, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { parseHeader } from '../../src/asf/header.js';
import type { Exchange } from '../../src/http/exchange.js';
import { parseRequestHead } from '../../src/http/message.js';
import { NO_STREAMS, switched } from '../../src/playback/selection.js';
import { supportedBy } from '../../src/wmsp/server/handling.js';
import { parseResponse, parseResponses, type WirePacket, wirePackets } from '../support/wire.js';
import { Content, madeFile, PACKETS_A_SECOND } from './content.js';
import { BOTH_STREAMS, clientIdOf, kindsOf, NEW, OLD, PLAY, playTokens, Station, type Watcher } from './station.js';

let content: Content;
let station: Station;
let errors: unknown[];

beforeEach(async () => {
  errors = [];
  content = await Content.create();
  station = await Station.open({ content, onError: (error) => errors.push(error) });
  await content.media('clip.wmv', { seconds: 10 });
  await content.playlist('list.wsx', 'clip.wmv', 'clip.wmv');
});

afterEach(async () => {
  await station.close();
  await content.close();
});

const GET = 'GET /clip.wmv HTTP/1.0';
const of = (packets: readonly WirePacket[], kind: string) => packets.filter(({ id }) => id === kind);
const lastOf = (packets: readonly WirePacket[]) => of(packets, 'D').at(-1)?.location;

async function playOut(watcher: Watcher): Promise<WirePacket[]> {
  await station.tickUntil(() => watcher.peer.ended);
  return watcher.all();
}

/** A separate player that is not affected. */
async function stillPlays(): Promise<void> {
  const watcher = await station.play(GET, OLD, ...PLAY, ...BOTH_STREAMS);
  await watcher.packetsWith('D', 10);
  watcher.peer.close();
}

describe('nonsense in Pragma', () => {
  it.each([
    'stream-time=-1',
    'stream-time=99999999999999999999',
    'stream-time=NaN, packet-num=-7, stream-offset=::',
    'stream-offset=-1:-1',
    'stream-offset=1',
    'max-duration=-5',
    'max-duration=1e9',
    'playlist-seek-id=-1, pl-offset=-2147483649',
    'Speed=, AccelBW=-, AccelDuration=x, LinkBW=%',
    '=,=,,;;"',
    '"""',
    'a'.repeat(100),
    'client-id=18446744073709551616',
    'client-lag=-1, request-context=0',
  ])('[WMSP-019] %j counts as absent', async (tokens) => {
    const watcher = await station.play(GET, NEW, `Pragma: xPlayStrm=1`, ...BOTH_STREAMS, `Pragma: ${tokens}`);
    expect(watcher.response.status).toBe(200);
    expect(of(await watcher.packetsWith('D', 1), 'D')[0]!.location).toBe(0);
  });

  it('[WMSP-003] [WMSP-018] leaves the other tokens unaffected', async () => {
    const watcher = await station.play(
      GET,
      NEW,
      ...BOTH_STREAMS,
      'Pragma: quux=1,,=,stream-time=5000, version-info=1.0.0.0',
      'Pragma: features="seekable", xResetStrm=1, xPlayStrm=1',
      'X-StartupProfile: Rate=10;',
      'Server: Cougar/9.0',
    );
    expect(of(await watcher.packetsWith('D', 1), 'D')[0]!.location).toBe(5 * PACKETS_A_SECOND);
    expect(watcher.response.pragma).not.toContain('xResetStrm=1');
  });

  it.each(['ffff:9:0', 'ffff:1', '1:2', ':::', 'zz:1:0', 'ffff:1:7 ffff:2:9', 'ffff:1:2 '.repeat(20), ''])(
    'sends no stream for stream-switch-entry=%j',
    async (entry) => {
      const watcher = await station.play(GET, OLD, ...PLAY, `Pragma: stream-switch-entry=${entry}`);
      expect(watcher.response.status).toBe(200);
      expect(kindsOf(await playOut(watcher))).toEqual(['H', 'E0']);
    },
  );

  it('never causes a server error', async () => {
    const names = [
      ...['client-id', 'stream-time', 'packet-num', 'stream-offset', 'max-duration', 'rate', 'Speed', 'AccelBW'],
      ...['AccelDuration', 'BurstBW', 'BurstDuration', 'LinkBW', 'client-lag', 'pl-offset', 'playlist-seek-id'],
      ...['playlist-gen-id', 'stream-switch-count', 'stream-switch-entry', 'switch-stream-entry', 'version11-enabled'],
      ...['xPlayStrm', 'xPlayNextEntry', 'xStopStrm', 'xKeepAliveInPause', 'log-line', 'pipeline-request'],
      ...['pipeline-experiment', 'packet-pair-experiment', 'request-context', 'xClientGUID', 'no-cache'],
    ];
    const number = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 1e20), fc.double());
    const text = fc.string({ maxLength: 40 }).map((value) => value.replace(/[^ -~]/g, '~'));
    const value = fc.oneof(
      number.map(String),
      text,
      fc.tuple(number, number).map((pair) => pair.join(':')),
    );
    const token = fc.tuple(fc.constantFrom(...names), value).map(([name, what]) => `${name}=${what}`);
    const property = fc.asyncProperty(
      fc.constantFrom('GET', 'GET', 'POST'),
      fc.constantFrom('/clip.wmv', '/list.wsx'),
      fc.constantFrom(0, 1),
      fc.constantFrom(NEW, OLD, 'User-Agent: NSServer/4.1', 'User-Agent: WMCacheProxy/9.5'),
      fc.array(fc.array(token, { minLength: 1, maxLength: 6 }), { maxLength: 5 }),
      async (method, path, minor, agent, lines) => {
        const peer = await station.peer();
        const pragmas = lines.map((tokens) => `Pragma: ${tokens.join(', ')}`);
        peer.request(`${method} ${path} HTTP/1.${minor}`, agent, ...pragmas, 'Content-Length: 0');
        const { status } = await peer.until(parseResponse);
        peer.close();
        expect([200, 204, 400]).toContain(status);
      },
    );
    await fc.assert(property, { numRuns: 150 });
    expect(errors).toEqual([]);
    await stillPlays();
  });
});

describe('files that are damaged or change', () => {
  it.each([
    ['empty', Buffer.alloc(0)],
    ['text', Buffer.from('This is no ASF file.')],
    ['zeros', Buffer.alloc(10_000)],
    ['only a header', parseHeader(madeFile()).bytes],
    ['half a header', madeFile().subarray(0, 200)],
  ])('%s is a server error, which is reported to the operator', async (_name, bytes) => {
    await writeFile(content.path('bad.wmv'), bytes);
    expect((await station.ask('GET /bad.wmv HTTP/1.0', NEW)).status).toBe(500);
    expect((await station.play('GET /bad.wmv HTTP/1.0', NEW, ...PLAY, ...BOTH_STREAMS)).response.status).toBe(500);
    expect(errors).toHaveLength(2);
    await stillPlays();
  });

  it('a truncated file plays as far as it goes', async () => {
    const whole = madeFile({ seconds: 10 });
    const start = parseHeader(whole).bytes.length;
    await writeFile(content.path('cut.wmv'), whole.subarray(0, start + 50 * 400 + 123));
    const packets = await playOut(await station.play('GET /cut.wmv HTTP/1.0', OLD, ...PLAY, ...BOTH_STREAMS));
    expect(kindsOf(packets)).toEqual(['H', 'D', 'E0']);
    expect(lastOf(packets)).toBe(49);
  });

  it('a file that is truncated while it plays ends there', async () => {
    const whole = await content.media('long.wmv', { seconds: 60 });
    const watcher = await station.play('GET /long.wmv HTTP/1.0', OLD, ...PLAY, ...BOTH_STREAMS);
    await watcher.packetsWith('D', 30);
    await truncate(content.path('long.wmv'), parseHeader(whole).bytes.length + 300 * 400);
    const packets = await playOut(watcher);
    expect(packets.at(-1)).toMatchObject({ id: 'E', reason: 0 });
    expect(lastOf(packets)).toBeLessThan(300);
    expect(lastOf(packets)).toBeGreaterThan(200);
  });

  it('a file that is deleted while it plays continues to its end, and is then 404', async () => {
    const watcher = await station.play(GET, OLD, ...PLAY, ...BOTH_STREAMS);
    await watcher.packetsWith('D', 30);
    await rm(content.path('clip.wmv'));
    expect((await station.ask(GET, NEW)).status).toBe(404);
    const packets = await playOut(watcher);
    expect(lastOf(packets)).toBe(149);
    expect(errors).toEqual([]);
  });

  it('a file that is replaced while it plays continues, and new players get the new one', async () => {
    const watcher = await station.play(GET, OLD, ...PLAY, ...BOTH_STREAMS);
    await watcher.packetsWith('D', 30);
    await rm(content.path('clip.wmv'));
    await content.media('clip.wmv', { seconds: 1 });
    const fresh = await playOut(await station.play(GET, OLD, ...PLAY, ...BOTH_STREAMS));
    expect(lastOf(fresh)).toBe(PACKETS_A_SECOND - 1);
    expect(lastOf(await playOut(watcher))).toBe(149);
  });

  it('a recording that grows while it plays keeps playing', async () => {
    const whole = madeFile({ seconds: 20, index: false });
    const header = parseHeader(whole).bytes.length;
    await writeFile(content.path('live.wmv'), whole.subarray(0, header + 100 * 400));
    const watcher = await station.play('GET /live.wmv HTTP/1.0', OLD, ...PLAY, ...BOTH_STREAMS);
    await watcher.packetsWith('D', 30);
    await appendFile(content.path('live.wmv'), whole.subarray(header + 100 * 400));
    const packets = await playOut(watcher);
    expect(kindsOf(packets)).toEqual(['H', 'D', 'E0']);
    expect(lastOf(packets)).toBe(299);
  });

  it('an entry of a playlist that vanishes is skipped', async () => {
    await content.media('gone.wmv', { seconds: 2 });
    await content.playlist('list.wsx', 'clip.wmv', 'gone.wmv', 'clip.wmv');
    const watcher = await station.play('GET /list.wsx HTTP/1.0', OLD, ...PLAY, ...BOTH_STREAMS);
    await watcher.packetsWith('D', 30);
    await rm(content.path('gone.wmv'));
    expect(kindsOf(await playOut(watcher))).toEqual(['H', 'D', 'C0', 'H', 'D', 'E0']);
    expect(content.warnings).toHaveLength(1);
  });
});

describe('the memory of a session', () => {
  it('holds only known ones of the extensions that a client lists', () => {
    const listed = ['com.microsoft.wm.predstrm', ...Array.from({ length: 3_000 }, (_, number) => `x${number}`)];
    const request = parseRequestHead(Buffer.from(`GET / HTTP/1.1\r\nSupported: ${listed.join(', ')}\r\n\r\n`));
    expect(supportedBy({ request } as Exchange)).toEqual(new Set(['predstrm']));
  });

  it('holds only possible ones of the streams that a client names', () => {
    const all = Array.from({ length: 0x10000 }, (_, number) => ({
      source: number,
      destination: number,
      level: 0 as const,
    }));
    const crossed = all.map(({ source }) => ({ source, destination: 1, level: 0 as const }));
    expect(switched(switched(NO_STREAMS, all), crossed).levels.size).toBe(128);
  });
});

describe('a client that floods', () => {
  it('with 1000 Describes on one connection gets 1000 answers', async () => {
    const peer = await station.peer();
    for (let count = 1; count < 1000; count++) peer.request('GET /clip.wmv HTTP/1.1', NEW);
    peer.request('GET /clip.wmv HTTP/1.1', NEW, 'Connection: close');
    const answers = parseResponses(await peer.untilClosed());
    expect(answers.map(({ status, complete }) => status === 200 && complete)).toEqual(Array(1000).fill(true));
    expect(new Set(answers.map(clientIdOf)).size).toBe(1000);
  });

  it('with 1000 Plays on one connection plays one, and disturbs no other player', async () => {
    const other = await station.play(GET, OLD, ...PLAY, ...BOTH_STREAMS);
    await other.packetsWith('D', 30);
    const peer = await station.peer();
    for (let count = 0; count < 1000; count++) {
      peer.request('GET /clip.wmv HTTP/1.1', NEW, 'Pragma: version11-enabled=1', ...PLAY, ...BOTH_STREAMS);
      if (count === 0) await peer.until((bytes) => (bytes.includes('$D') ? true : undefined));
    }
    await station.settle();
    expect(station.server.players).toBe(2);
    await station.tickUntil(() => peer.ended && other.peer.ended);
    const responses = parseResponses(peer.received);
    expect(responses.map(({ status }) => status)).toEqual([200, 400]);
    expect(lastOf(wirePackets(responses[0]!.body))).toBe(149);
    expect(lastOf(await other.all())).toBe(149);
    expect(station.server.players).toBe(0);
  });

  it('with SelectStreams changes only its own streams', async () => {
    const watcher = await station.play(GET, NEW, ...PLAY, ...BOTH_STREAMS);
    const other = await station.play(GET, NEW, ...PLAY, ...BOTH_STREAMS);
    const id = clientIdOf(watcher.response);
    const peer = await station.peer();
    for (let count = 0; count < 300; count++) {
      peer.request(
        'POST /clip.wmv HTTP/1.1',
        NEW,
        `Pragma: client-id=${id}, stream-switch-count=1`,
        `Pragma: stream-switch-entry=ffff:1:${count % 3}`,
        'Content-Length: 0',
      );
    }
    await peer.until((bytes) => (parseResponses(bytes).length === 300 ? true : undefined));
    expect(of(await playOut(other), 'D')).toHaveLength(150);
    expect((await playOut(watcher)).at(-1)).toMatchObject({ id: 'E', reason: 0 });
  });

  it('that opens Plays and goes away leaves nothing open', async () => {
    for (let count = 0; count < 50; count++) {
      const peer = await station.peer();
      peer.request(GET, NEW, ...playTokens({ time: count * 100 }), ...BOTH_STREAMS);
      if (count % 2 === 0) await peer.until(parseResponse);
      peer.close();
    }
    await station.tickUntil(() => station.server.players === 0 && content.files.size === 0, 0);
  });
});
