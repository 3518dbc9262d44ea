import { parseHeader } from '../../src/asf/header.js';
import { parsePacket } from '../../src/asf/packet.js';
import type { AsfEvent } from '../../src/media/events.js';
import { AUDIO, testHeader, testPacket, VIDEO } from '../support/stream.js';
import { type WirePacket, type WireResponse, wirePackets } from '../support/wire.js';
import { Content, PACKETS_A_SECOND } from './content.js';
import {
  BOTH_STREAMS,
  clientIdOf,
  kindsOf,
  NEW,
  OLD,
  PLAY,
  playTokens,
  Station,
  tokenOf,
  type Watcher,
} from './station.js';

const PREDICTED = 'Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm';
const NOT_PREDICTED = 'Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch';

let content: Content;
let station: Station;

beforeEach(async () => {
  content = await Content.create();
  station = await Station.open({ content });
  for (const name of ['a', 'b', 'c']) await content.media(`${name}.wmv`, { title: name, seconds: 4 });
  await content.playlist('list.wsx', 'a.wmv', 'b.wmv', 'c.wmv');
});

afterEach(async () => {
  await station.close();
  await content.close();
});

const play = (agent: string, ...lines: string[]) =>
  station.play('GET /list.wsx HTTP/1.0', agent, ...PLAY, ...BOTH_STREAMS, ...lines);

const select = (id: number, ...lines: string[]): Promise<WireResponse> =>
  station.ask(
    'POST /list.wsx HTTP/1.1',
    NEW,
    `Pragma: no-cache, client-id=${id}`,
    'Pragma: stream-switch-count=2',
    'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
    'Content-Length: 0',
    ...lines,
  );

const of = (packets: readonly WirePacket[], kind: string) => packets.filter(({ id }) => id === kind);
const idsOf = (packets: readonly WirePacket[]) =>
  of(packets, 'M').map(({ payload }) => Number(/^playlist-gen-id=(\d+), /.exec(payload.toString('latin1'))![1]));
const titlesOf = (packets: readonly WirePacket[]) =>
  of(packets, 'H').map(({ payload }) => {
    const object = parseHeader(payload).objects.find(({ type }) => type === 'contentDescription');
    return object?.type === 'contentDescription' ? object.title : undefined;
  });

/** Lets time pass until that many packets of a kind have arrived. */
async function has(watcher: Watcher, kind: string, count: number): Promise<WirePacket[]> {
  await station.tickUntil(() => of(watcher.packets, kind).length >= count);
  return watcher.packets;
}

async function playOut(watcher: Watcher): Promise<WirePacket[]> {
  await station.tickUntil(() => watcher.peer.ended);
  return watcher.all();
}

describe('a playlist that is described', () => {
  it('[WMSP-027] [WMSP-028] [WMSP-030] [WMSP-162] has its features according to the version of the client', async () => {
    const featuresFor = async (agent: string) =>
      tokenOf(await station.ask('GET /list.wsx HTTP/1.0', `User-Agent: ${agent}`), 'features')!
        .replaceAll('"', '')
        .split(',')
        .sort();
    for (const agent of ['NSPlayer/9.0', 'NSServer/9.5', 'WMCacheProxy/9.0'])
      expect(await featuresFor(agent)).toEqual(['playlist', 'seekable', 'skipforward', 'stridable']);
    for (const agent of ['NSPlayer/8.0', 'NSPlayer/4.1', 'NSServer/4.1'])
      expect(await featuresFor(agent)).toEqual(['broadcast', 'playlist']);
  });

  it('[WMSP-014] is a playlist, not a broadcast', async () => {
    const response = await station.ask('GET /list.wsx?WMCache=0 HTTP/1.0', NEW);
    expect(response.field('Cache-Control')).toBe('no-cache, x-wms-stream-type="playlist"');
    expect(titlesOf(wirePackets(response.body))).toEqual(['a']);
  });
});

describe('a playlist that is played', () => {
  it('[WMSP-206] [WMSP-120] [WMSP-114] [WMSP-201] goes from entry to entry with $E 1, $C 0, $M and $H, each entry with its own id', async () => {
    const watcher = await play(NEW, PREDICTED);
    const id = clientIdOf(watcher.response);
    await has(watcher, 'C', 1);
    await select(id);
    await has(watcher, 'C', 2);
    await select(id);
    const packets = await playOut(watcher);
    const change = ['E1', 'C0', 'M', 'H', 'D'];
    expect(kindsOf(packets)).toEqual(['M', 'H', 'D', ...change, ...change, 'E0']);
    expect(idsOf(packets)).toEqual([1, 2, 3]);
    expect(titlesOf(packets)).toEqual(['a', 'b', 'c']);
    const data = of(packets, 'D');
    expect(data).toHaveLength(12 * PACKETS_A_SECOND);
    expect(data.map(({ location }) => location)).toEqual(data.map((_each, index) => index % (4 * PACKETS_A_SECOND)));
    expect(data.map(({ afFlags }) => afFlags)).toEqual(data.map((_each, index) => index & 255));
  });

  it('[WMSP-208] [WMSP-200] predicts the streams of an entry even if the client sends no Supported header', async () => {
    const watcher = await play(NEW);
    const packets = await has(watcher, 'D', 4 * PACKETS_A_SECOND + 1);
    expect(kindsOf(packets)).toEqual(['M', 'H', 'D', 'E1', 'C0', 'M', 'H', 'D']);
  });

  it.each(['bitrateMutualExclusion', 'advancedMutualExclusion', 'groupMutualExclusion'] as const)(
    '[WMSP-208] predicts one of the videos that a %s says exclude each other',
    async (twin) => {
      await content.media('b.wmv', { title: 'b', twin });
      const watcher = await play(NEW);
      const packets = await has(watcher, 'D', 6 * PACKETS_A_SECOND);
      const second = packets.slice(packets.findLastIndex(({ id }) => id === 'H'));
      const streams = of(second, 'D').flatMap(({ payload }) =>
        parsePacket(payload).payloads.map(({ stream }) => stream),
      );
      expect([...new Set(streams)].sort()).toEqual([VIDEO, AUDIO]);
    },
  );

  it('[WMSP-208] [WMSP-209] predicts no further than the entry after the requested one', async () => {
    const watcher = await play(NEW, PREDICTED);
    await has(watcher, 'H', 3);
    await station.settle();
    station.tick(5_000);
    await station.settle();
    expect(kindsOf(watcher.packets).slice(-3)).toEqual(['C0', 'M', 'H']);
    expect(of(watcher.packets, 'D')).toHaveLength(8 * PACKETS_A_SECOND);
    await select(clientIdOf(watcher.response));
    expect(kindsOf(await playOut(watcher)).slice(-3)).toEqual(['H', 'D', 'E0']);
  });

  it('[WMSP-209] [WMSP-063] [WMSP-252] waits after $H without prediction, until SelectStream, which is answered on its own connection', async () => {
    const watcher = await play(NEW, NOT_PREDICTED);
    await has(watcher, 'H', 2);
    station.tick(5_000);
    await station.settle();
    expect(of(watcher.packets, 'D')).toHaveLength(4 * PACKETS_A_SECOND);
    const response = await select(clientIdOf(watcher.response));
    expect(response.status).toBe(200);
    expect(response.body).toHaveLength(0);
    expect(response.pragma).toContain('playlist-gen-id=2');
    expect(kindsOf(await has(watcher, 'D', 4 * PACKETS_A_SECOND + 1)).slice(-2)).toEqual(['H', 'D']);
  });

  it('[WMSP-175] turns prediction off and on with the Supported header of later requests', async () => {
    const watcher = await play(NEW, PREDICTED);
    const id = clientIdOf(watcher.response);
    await watcher.packetsWith('D', 1);
    await select(id, NOT_PREDICTED);
    await has(watcher, 'H', 2);
    station.tick(5_000);
    await station.settle();
    expect(of(watcher.packets, 'D')).toHaveLength(4 * PACKETS_A_SECOND);
    await select(id, PREDICTED);
    expect(kindsOf(await has(watcher, 'D', 8 * PACKETS_A_SECOND + 1)).slice(-3)).toEqual(['M', 'H', 'D']);
  });

  it('[WMSP-207] plays to the end for clients below 9.0 without $M, and waits for nothing', async () => {
    const packets = await playOut(await play(OLD));
    expect(kindsOf(packets)).toEqual(['H', 'D', 'C0', 'H', 'D', 'C0', 'H', 'D', 'E0']);
    expect(of(packets, 'D')).toHaveLength(12 * PACKETS_A_SECOND);
  });

  it('[WMSP-205] holds $C back until 8 s after the last SelectStream', async () => {
    const watcher = await play(NEW, PREDICTED);
    await watcher.packetsWith('D', 1);
    await select(clientIdOf(watcher.response));
    // The last second of the entry is due after one second.
    station.tick(2_000);
    await watcher.packetsWith('E', 1);
    station.tick(5_999);
    await station.settle();
    expect(of(watcher.packets, 'C')).toHaveLength(0);
    station.tick(1);
    await watcher.packetsWith('C', 1);
  });

  it.each([
    [5_000, 5_000],
    [60_000, 15_000],
    [4_294_967_295, 15_000],
  ])('[WMSP-204] [WMSP-024] holds $C back for a client-lag of %i by %i ms', async (lag, pause) => {
    await content.media('a.wmv', { seconds: 12 });
    const watcher = await play(NEW, PREDICTED);
    await watcher.packetsWith('D', 1);
    await select(clientIdOf(watcher.response), `Pragma: client-lag=${lag}`);
    // Sent 3 s ahead, so the end is reached when the 8 s after SelectStream are over.
    station.tick(9_000);
    await watcher.packetsWith('E', 1);
    station.tick(pause - 1);
    await station.settle();
    expect(of(watcher.packets, 'C')).toHaveLength(0);
    station.tick(1);
    await watcher.packetsWith('C', 1);
  });

  it('sends entries no further ahead than one, however short they are', async () => {
    await content.media('short.wmv', { seconds: 1 });
    await content.media('moment.wmv', { seconds: 0.1 });
    for (const [name, packets] of [
      ['a', PACKETS_A_SECOND],
      ['short', PACKETS_A_SECOND],
      ['moment', 2],
    ] as const) {
      await content.playlist('short.wsx', `<seq repeatCount="indefinite"><media src="${name}.wmv"/></seq>`);
      const watcher = await station.play('GET /short.wsx HTTP/1.0', OLD, ...PLAY, ...BOTH_STREAMS);
      for (let seconds = 0; seconds < 6; seconds++) {
        await watcher.packetsWith('D', seconds * packets);
        for (let round = 0; round < 5; round++) await station.settle();
        expect(of(watcher.packets, 'D').length).toBeLessThanOrEqual((seconds + 4) * packets);
        station.tick(1_000);
      }
      watcher.peer.close();
    }
  });

  it('sends the streams that resemble the chosen ones if an entry has others', async () => {
    await content.media('sound.wma', { video: false, seconds: 2 });
    await content.media('swapped.wmv', { swapped: true, seconds: 2 });
    await content.playlist('list.wsx', 'a.wmv', 'sound.wma', 'swapped.wmv', 'c.wmv');
    const streams = async (entry: string) => {
      const watcher = await station.play(
        'GET /list.wsx HTTP/1.0',
        OLD,
        ...PLAY,
        'Pragma: stream-switch-count=2',
        `Pragma: stream-switch-entry=${entry}`,
      );
      const packets = await playOut(watcher);
      const entries: Array<Set<string>> = [];
      let types = new Map<number, string>();
      for (const { id, payload } of packets) {
        if (id === 'H') {
          types = new Map(parseHeader(payload).streams.map(({ number, type }) => [number, type]));
          entries.push(new Set());
        } else if (id === 'D') {
          for (const { stream } of parsePacket(payload).payloads) entries.at(-1)!.add(types.get(stream)!);
        }
      }
      return entries.map((entry) => [...entry].sort().join());
    };
    expect(await streams('ffff:1:2 ffff:2:0')).toEqual(['audio', 'audio', 'audio', 'audio']);
    expect(await streams('ffff:1:0 ffff:2:0')).toEqual(['audio,video', 'audio', 'audio,video', 'audio,video']);
  });

  it('skips missing entries, says so, and ends with $E 0', async () => {
    await content.playlist('list.wsx', 'missing.wmv', 'a.wmv', 'missing.wmv', 'c.wmv', 'missing.wmv');
    const packets = await playOut(await play(OLD));
    expect(titlesOf(packets)).toEqual(['a', 'c']);
    expect(packets.at(-1)).toMatchObject({ id: 'E', reason: 0 });
    expect(content.warnings).toHaveLength(3);
  });

  it('[WMSP-034] [WMSP-033] ends with the requested max-duration, and not with a longer one', async () => {
    const asked = async (maxDuration: number) =>
      playOut(await station.play('GET /list.wsx HTTP/1.0', OLD, ...playTokens({ maxDuration }), ...BOTH_STREAMS));
    expect(titlesOf(await asked(2_000))).toEqual(['a']);
    expect(titlesOf(await asked(60_000))).toEqual(['a', 'b', 'c']);
  });
});

describe('clips of a playlist', () => {
  beforeEach(async () => {
    await content.media('long.wmv', { seconds: 20 });
    await content.playlist('clip.wsx', '<media src="long.wmv" clipBegin="5s" clipEnd="9s"/>', 'b.wmv');
  });

  const locations = (packets: readonly WirePacket[]) => {
    const end = packets.findIndex(({ id }) => id === 'C');
    return of(packets.slice(0, end), 'D').map(({ location }) => location);
  };
  const played = async (tokens: string) => {
    const watcher = await station.play(
      'GET /clip.wsx HTTP/1.0',
      OLD,
      `Pragma: xPlayStrm=1, ${tokens}`,
      ...BOTH_STREAMS,
    );
    return locations(await playOut(watcher));
  };

  it('begin and end where the playlist says', async () => {
    const clip = await played('stream-time=0');
    expect([clip[0], clip.at(-1)]).toEqual([5 * PACKETS_A_SECOND, 9 * PACKETS_A_SECOND - 1]);
  });

  it('allow seeking only within their bounds', async () => {
    for (const [tokens, first] of [
      ['stream-time=7500', 7],
      ['stream-time=1000', 5],
      ['packet-num=100', 100 / PACKETS_A_SECOND],
      ['packet-num=0', 5],
      ['stream-time=7000, max-duration=60000', 7],
    ] as const) {
      const clip = await played(tokens);
      expect([tokens, clip[0], clip.at(-1)]).toEqual([tokens, first * PACKETS_A_SECOND, 9 * PACKETS_A_SECOND - 1]);
    }
  });

  it('are rewound no further than their beginning', async () => {
    const watcher = await station.play(
      'GET /clip.wsx HTTP/1.0',
      OLD,
      'Pragma: xPlayStrm=1, stream-time=8000, rate=-5',
      ...BOTH_STREAMS,
    );
    const packets = await playOut(watcher);
    expect(of(packets, 'D').map(({ location }) => location)).toEqual([120, 105, 90]);
  });
});

describe('live entries', () => {
  const header = (title: string): AsfEvent => ({ type: 'header', header: testHeader({ title }) });
  const key = (sendTime: number): AsfEvent => ({ type: 'packet', packet: testPacket(sendTime, { key: true }) });

  it('[WMSP-123] have the broadcast-id of their source, however often it is played, and end with it', async () => {
    for (const name of ['/one', '/two']) content.points.configure(name);
    const [one, two] = ['/one', '/two'].map((name) => content.points.get(name)!.broadcast);
    await content.playlist('list.wsx', '/one', '/two', '/one');
    one!.write(header('one'));
    two!.write(header('two'));
    one!.write(key(0));
    const watcher = await play(NEW, PREDICTED);
    const id = clientIdOf(watcher.response);
    await watcher.packetsWith('D', 1);
    one!.write({ type: 'end', moreEntries: false, reason: 0 });
    await watcher.packetsWith('H', 2);
    await select(id);
    two!.write(key(0));
    await watcher.packetsWith('D', 2);
    one!.write(header('one'));
    two!.write({ type: 'end', moreEntries: false, reason: 0 });
    await station.tickUntil(() => of(watcher.packets, 'H').length === 3);
    const broadcasts = of(watcher.packets, 'M').map(
      ({ payload }) => /broadcast-id=(\d+)/.exec(payload.toString('latin1'))![1],
    );
    expect(broadcasts[0]).not.toBe('0');
    expect(broadcasts[1]).not.toBe('0');
    expect(broadcasts[1]).not.toBe(broadcasts[0]);
    expect(broadcasts[2]).toBe(broadcasts[0]);
    expect(new Set(idsOf(watcher.packets)).size).toBe(3);
    expect(tokenOf(watcher.response, 'features')).toContain('broadcast');
    expect(watcher.response.field('Cache-Control')).toContain('x-wms-stream-type="broadcast,playlist"');
  });
});
