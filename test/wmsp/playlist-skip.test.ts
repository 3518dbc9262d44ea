import { parseHeader } from '../../src/asf/header.js';
import { parsePacket } from '../../src/asf/packet.js';
import { AUDIO, VIDEO } from '../support/stream.js';
import { parseResponses, parseWholeResponse, type RawPeer, type WirePacket, wirePackets } from '../support/wire.js';
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

const PREDICTED = 'Supported: com.microsoft.wm.sswitch, com.microsoft.wm.predstrm';
const NOT_PREDICTED = 'Supported: com.microsoft.wm.sswitch';

let content: Content;
let station: Station;

beforeEach(async () => {
  content = await Content.create();
  station = await Station.open({ content });
  for (const name of ['a', 'b', 'c', 'd']) await content.media(`${name}.wmv`, { title: name, seconds: 4 });
  await content.playlist('list.wsx', 'a.wmv', 'b.wmv', 'c.wmv', 'd.wmv');
});

afterEach(async () => {
  await station.close();
  await content.close();
});

const of = (packets: readonly WirePacket[], kind: string) => packets.filter(({ id }) => id === kind);
const titlesOf = (packets: readonly WirePacket[]) =>
  of(packets, 'H').map(({ payload }) => {
    const object = parseHeader(payload).objects.find(({ type }) => type === 'contentDescription');
    return object?.type === 'contentDescription' ? object.title : undefined;
  });
const genIdsOf = (packets: readonly WirePacket[]) =>
  of(packets, 'M').map(({ payload }) => Number(/^playlist-gen-id=(\d+), /.exec(payload.toString('latin1'))![1]));

/** A Play with tokens that name an entry, and its packets up to its first data. */
async function play(tokens: string, ...lines: string[]): Promise<Watcher> {
  const agent = lines.length > 0 ? lines : [NEW, PREDICTED];
  return station.play('GET /list.wsx HTTP/1.0', ...agent, ...PLAY, ...BOTH_STREAMS, `Pragma: ${tokens}`);
}

/** The titles, the kinds of packets, and the number of the first data packet of a Play. */
async function begun(tokens: string, ...lines: string[]) {
  const watcher = await play(tokens, ...lines);
  const packets = await watcher.packetsWith('D', 1);
  return { titles: titlesOf(packets), kinds: kindsOf(packets), ids: genIdsOf(packets), watcher };
}

/** A player that closes its connection; the server learns of that in a separate turn of the event loop. */
async function leave(watcher: Watcher): Promise<void> {
  watcher.peer.close();
  await station.tickUntil(() => station.server.players === 0, 0);
}

describe('playlist-seek-id and pl-offset', () => {
  it('goes to the entry with that id, without another header before it', async () => {
    const { titles, kinds, ids, watcher } = await begun('playlist-seek-id=3, pl-offset=0');
    expect([titles, kinds, ids]).toEqual([['c'], ['M', 'H', 'D'], [3]]);
    expect(tokenOf(watcher.response, 'playlist-gen-id')).toBe('3');
    expect(tokenOf(watcher.response, 'expect-new-header')).toBeUndefined();
  });

  it('[WMSP-250] [WMSP-025] [WMSP-206] goes to the next one: the head of the named entry, $C 0, and the head of the next', async () => {
    const { titles, kinds, ids, watcher } = await begun('playlist-seek-id=2, pl-offset=1');
    expect([titles, kinds, ids]).toEqual([
      ['b', 'c'],
      ['M', 'H', 'C0', 'M', 'H', 'D'],
      [2, 3],
    ]);
    expect(tokenOf(watcher.response, 'expect-new-header')).toBe('1');
  });

  it('[WMSP-250] [WMSP-115] goes to the previous one with $C 0: with another Reason clients would expect no header', async () => {
    const { titles, kinds, ids, watcher } = await begun('playlist-seek-id=3, pl-offset=-1');
    expect([titles, kinds, ids]).toEqual([
      ['c', 'b'],
      ['M', 'H', 'C0', 'M', 'H', 'D'],
      [3, 2],
    ]);
    expect(tokenOf(watcher.response, 'expect-new-header')).toBe('1');
  });

  it('[WMSP-025] stays, and announces nothing, if there is no neighbour', async () => {
    for (const [tokens, title] of [
      ['playlist-seek-id=1, pl-offset=-1', 'a'],
      ['playlist-seek-id=4, pl-offset=1', 'd'],
    ] as const) {
      const { titles, watcher } = await begun(tokens);
      expect(titles).toEqual([title]);
      expect(tokenOf(watcher.response, 'expect-new-header')).toBeUndefined();
    }
  });

  it.each([
    'playlist-seek-id=99',
    'playlist-seek-id=0',
    'playlist-seek-id=x',
    'playlist-seek-id=4294967295',
    'pl-offset=7',
  ])('begins with the first entry for %s', async (tokens) => {
    expect((await begun(tokens)).titles).toEqual(['a']);
  });

  it('[WMSP-209] waits for the streams of the entry that it skips to, without prediction', async () => {
    const watcher = await play('playlist-seek-id=2, pl-offset=1', NEW, NOT_PREDICTED);
    await watcher.packetsWith('H', 2);
    await station.settle();
    expect(kindsOf(watcher.packets)).toEqual(['M', 'H', 'C0', 'M', 'H']);
    const response = await station.ask(
      'POST /list.wsx HTTP/1.1',
      NEW,
      `Pragma: client-id=${clientIdOf(watcher.response)}`,
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
      'Content-Length: 0',
    );
    expect(response.status).toBe(200);
    expect(kindsOf(await watcher.packetsWith('D', 1)).at(-1)).toBe('D');
  });

  it('seeks in the entry that it goes to', async () => {
    const watcher = await station.play(
      'GET /list.wsx HTTP/1.0',
      NEW,
      ...playTokens({ time: 2_500 }),
      ...BOTH_STREAMS,
      'Pragma: playlist-seek-id=3, pl-offset=0',
    );
    expect(of(await watcher.packetsWith('D', 1), 'D')[0]!.location).toBe(2 * PACKETS_A_SECOND);
    expect(titlesOf(watcher.packets)).toEqual(['c']);
  });

  it('[WMSP-030] offers the neighbours of the current entry', async () => {
    const featuresAt = async (id: number) =>
      tokenOf((await play(`playlist-seek-id=${id}`)).response, 'features')!.match(/skip\w+/g) ?? [];
    expect(await featuresAt(1)).toEqual(['skipforward']);
    expect(await featuresAt(2)).toEqual(['skipforward', 'skipbackward']);
    expect(await featuresAt(4)).toEqual(['skipbackward']);
  });
});

describe('a Play that continues', () => {
  it('is in the entry that its playlist-gen-id names', async () => {
    const first = await play('playlist-seek-id=2');
    const id = clientIdOf(first.response);
    await leave(first);
    const again = await station.play(
      'GET /list.wsx HTTP/1.0',
      NEW,
      ...playTokens({ time: 1_500 }),
      ...BOTH_STREAMS,
      `Pragma: client-id=${id}`,
      'Pragma: playlist-gen-id=2',
    );
    const packets = await again.packetsWith('D', 1);
    expect(titlesOf(packets)).toEqual(['b']);
    expect(of(packets, 'D')[0]!.location).toBe(PACKETS_A_SECOND);
    expect(clientIdOf(again.response)).toBe(id);
  });

  it('is in the entry of playlist-seek-id if that differs', async () => {
    expect((await begun('playlist-gen-id=2, playlist-seek-id=3')).titles).toEqual(['c']);
    expect((await begun('playlist-gen-id=2, pl-offset=1')).titles).toEqual(['b', 'c']);
  });
});

describe('an entry that must not be skipped', () => {
  beforeEach(() =>
    content.playlist(
      'list.wsx',
      '<media src="a.wmv" noSkip="true"/>',
      'b.wmv',
      '<media src="c.wmv" noSkip="true"/>',
      'd.wmv',
    ),
  );

  it('[WMSP-029] [WMSP-030] offers neither skipping nor seeking', async () => {
    const { watcher } = await begun('xPlayStrm=1');
    expect(tokenOf(watcher.response, 'features')).toBe('"playlist"');
  });

  it('is played from its beginning at the normal rate, whatever is requested', async () => {
    for (const tokens of [playTokens({ time: 3_000 }), playTokens({ packet: 50 }), playTokens({ rate: '5.000' })]) {
      const watcher = await station.play('GET /list.wsx HTTP/1.0', NEW, ...tokens, ...BOTH_STREAMS);
      const data = of(await watcher.packetsWith('D', 2), 'D');
      expect(data.slice(0, 2).map(({ location }) => location)).toEqual([0, 1]);
    }
  });

  it('cannot be bypassed by naming another one', async () => {
    for (const tokens of [
      'playlist-seek-id=1, pl-offset=1',
      'playlist-seek-id=2',
      'playlist-seek-id=4',
      'playlist-gen-id=2',
    ])
      expect((await begun(tokens)).titles).toEqual(['a']);
  });

  it('does not hold up a player that has passed it', async () => {
    const first = await station.play('GET /list.wsx HTTP/1.0', NEW, ...PLAY, ...BOTH_STREAMS);
    const id = `Pragma: client-id=${clientIdOf(first.response)}`;
    await station.tickUntil(() => of(first.packets, 'H').length === 2);
    await leave(first);
    const resumed = await begun('playlist-gen-id=2', NEW, id);
    expect(resumed.titles).toEqual(['b']);
    await leave(resumed.watcher);
    const back = await begun('playlist-seek-id=2, pl-offset=-1', NEW, id);
    expect(back.titles).toEqual(['b', 'a']);
    await leave(back.watcher);
    expect((await begun('playlist-seek-id=4', NEW, id)).titles).toEqual(['a']);
  });
});

describe('rewinding in a playlist', () => {
  const rewind = async (agent: string, id: number) => {
    const watcher = await station.play(
      'GET /list.wsx HTTP/1.0',
      agent,
      ...playTokens({ time: 3_500, rate: '-5.000' }),
      ...BOTH_STREAMS,
      `Pragma: playlist-seek-id=${id}`,
    );
    await station.tickUntil(() => watcher.peer.ended);
    return kindsOf(await watcher.all());
  };

  it('[WMSP-115] [WMSP-120] ends at the start of an entry with $E 0x000D2F09, and $C 0x400D14BE if another one precedes it', async () => {
    expect(await rewind(NEW, 2)).toEqual(['M', 'H', 'D', 'Ed2f09', 'C400d14be']);
    expect(await rewind(NEW, 1)).toEqual(['M', 'H', 'D', 'Ed2f09']);
    expect(await rewind(OLD, 2)).toEqual(['H', 'D', 'Ed2f09']);
  });
});

describe('a playlist in pipelined mode', () => {
  const responses = (peer: RawPeer) => parseResponses(peer.received);
  const until = (found: () => boolean) => station.tickUntil(found);
  const data = (peer: RawPeer, response: number) => {
    const found = responses(peer)[response];
    return found ? of(wirePackets(found.body), 'D') : [];
  };
  const kinds = (peer: RawPeer, response: number) => kindsOf(wirePackets(responses(peer)[response]!.body));

  async function start(supported: string, ...streams: string[]): Promise<{ peer: RawPeer; id: number }> {
    const peer = await station.peer();
    peer.request('GET /list.wsx HTTP/1.1', NEW, supported);
    const id = clientIdOf(await peer.until(parseWholeResponse));
    peer.clear();
    peer.request(
      'GET /list.wsx HTTP/1.1',
      NEW,
      supported,
      'Pragma: version11-enabled=1',
      `Pragma: client-id=${id}`,
      ...PLAY,
      ...(streams.length > 0 ? streams : BOTH_STREAMS),
    );
    return { peer, id };
  }

  const playNextEntry = (peer: RawPeer, id: number, ...lines: string[]) =>
    peer.request(
      'GET /list.wsx HTTP/1.1',
      NEW,
      `Pragma: version11-enabled=1, xPlayNextEntry=1, client-id=${id}`,
      'Pragma: no-cache, client-lag=0',
      'Pragma: stream-switch-count=2',
      ...(lines.length > 0 ? lines : ['Pragma: stream-switch-entry=ffff:1:0 ffff:2:0']),
    );

  it('[WMSP-093] [WMSP-252] [WMSP-209] [WMSP-077] waits for PlayNextEntry, whose response is chunked and opens with $D', async () => {
    const { peer, id } = await start(NOT_PREDICTED);
    await until(
      () => responses(peer)[0] !== undefined && kinds(peer, 0).at(-1) === 'H' && kinds(peer, 0).includes('C0'),
    );
    await station.settle();
    expect(kinds(peer, 0)).toEqual(['M', 'H', 'D', 'E1', 'C0', 'M', 'H']);
    playNextEntry(peer, id);
    await until(() => data(peer, 1).length > 0);
    const [first, second] = responses(peer);
    expect(first!.complete).toBe(true);
    expect(second).toMatchObject({ statusLine: 'HTTP/1.1 200 OK', chunked: true });
    expect(kinds(peer, 1)[0]).toBe('D');
    expect(second!.pragma).toEqual(
      expect.arrayContaining(['no-cache', `client-id=${id}`, 'timeout=60000', 'playlist-gen-id=2']),
    );
    expect(tokenOf(second!, 'features')).toBe('"playlist,skipforward,skipbackward,seekable,stridable"');
    for (const name of ['Cache-Control', 'Server', 'Supported']) expect(second!.field(name)).toBeDefined();
    expect(second!.field('Content-Type')).toBe('application/x-mms-framed');
  });

  it('[WMSP-255] [WMSP-246] has X-StartupProfile, and the grants, in the answer to an awaited PlayNextEntry', async () => {
    const startup = 'Supported: com.microsoft.wm.sswitch, com.microsoft.wm.startupprofile';
    const { peer, id } = await start(startup);
    const accelerated = 'Pragma: LinkBW=2147483647, AccelBW=2147483647, AccelDuration=18000, Speed=6104.070';
    const streams = 'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0';
    const answer = async (response: number, ...lines: string[]) => {
      await until(() => kinds(peer, response - 1).filter((kind) => kind === 'H').length > (response === 1 ? 1 : 0));
      playNextEntry(peer, id, streams, ...lines);
      await until(() => responses(peer).length > response);
      return responses(peer)[response]!;
    };
    await until(() => responses(peer).length === 1);
    const full = await answer(1, startup, accelerated, 'Pragma: rate=1.000');
    expect(full.field('X-StartupProfile')).toMatch(/^Rate=.*StartTime=1000;.*;$/);
    expect(full.pragma).toEqual(expect.arrayContaining(['AccelBW=3500000', 'AccelDuration=18000', 'Speed=5.000']));
    const slow = await answer(2, startup, 'Pragma: AccelDuration=0');
    expect(slow.field('X-StartupProfile')).toBeUndefined();
    const unsupported = await answer(3, NOT_PREDICTED, accelerated);
    expect(unsupported.field('X-StartupProfile')).toBeUndefined();
    expect(tokenOf(unsupported, 'AccelBW')).toBe('3500000');
  });

  it('[WMSP-253] [WMSP-208] [WMSP-225] continues in the response of a PlayNextEntry that arrives while the entry plays, after waiting answers', async () => {
    const { peer, id } = await start(PREDICTED);
    await until(() => responses(peer)[0] !== undefined && kinds(peer, 0).filter((kind) => kind === 'D').length === 2);
    expect(kinds(peer, 0)).toEqual(['M', 'H', 'D', 'E1', 'C0', 'M', 'H', 'D']);
    peer.request(
      'POST /list.wsx HTTP/1.1',
      NEW,
      `Pragma: client-id=${id}`,
      'Pragma: log-line=1 2',
      'Content-Length: 0',
    );
    playNextEntry(peer, id);
    await until(() => data(peer, 2).length > 0);
    const all = responses(peer);
    expect(all.map(({ status }) => status)).toEqual([200, 204, 200]);
    expect(all[0]!.complete).toBe(true);
    expect(all[2]!.chunked).toBe(true);
    await until(() => kinds(peer, 2).includes('C0'));
    const flags = [...data(peer, 0), ...data(peer, 2)].map(({ afFlags }) => afFlags);
    expect(flags).toEqual(flags.map((_each, index) => index & 255));
  });

  it('[WMSP-254] applies the streams of a PlayNextEntry only to the data after its response, from a key frame on', async () => {
    await content.media('b.wmv', { seconds: 20 });
    const { peer, id } = await start(
      PREDICTED,
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:2 ffff:2:0',
    );
    await until(() => responses(peer)[0] !== undefined && kinds(peer, 0).filter((kind) => kind === 'D').length === 2);
    playNextEntry(peer, id);
    const payloads = (response: number) => data(peer, response).flatMap(({ payload }) => parsePacket(payload).payloads);
    await until(() => payloads(1).some(({ stream }) => stream === VIDEO));
    expect(payloads(0).every(({ stream }) => stream === AUDIO)).toBe(true);
    expect(payloads(1).find(({ stream }) => stream === VIDEO)).toMatchObject({ key: true });
  });

  it('[WMSP-252] keeps waiting after a SelectStream: only PlayNextEntry starts the entry', async () => {
    const { peer, id } = await start(NOT_PREDICTED);
    await until(
      () => responses(peer)[0] !== undefined && kinds(peer, 0).includes('C0') && kinds(peer, 0).at(-1) === 'H',
    );
    peer.request(
      'GET /list.wsx HTTP/1.1',
      NEW,
      `Pragma: no-cache, version11-enabled=1, client-id=${id}`,
      'Pragma: stream-switch-count=1',
      'Pragma: stream-switch-entry=ffff:1:2',
    );
    await until(() => responses(peer).length === 2);
    await station.settle();
    expect(data(peer, 1)).toEqual([]);
    playNextEntry(peer, id);
    await until(() => data(peer, 2).length > 0);
  });

  it('[WMSP-211] refuses PlayNextEntry if nothing plays, and on another connection', async () => {
    const { peer, id } = await start(PREDICTED);
    await until(() => data(peer, 0).length > 0);
    const elsewhere = await station.ask('GET /list.wsx HTTP/1.1', NEW, `Pragma: xPlayNextEntry=1, client-id=${id}`);
    expect(elsewhere.status).toBe(400);
    const described = clientIdOf(await station.ask('GET /list.wsx HTTP/1.1', NEW));
    const idle = await station.ask('GET /list.wsx HTTP/1.1', NEW, `Pragma: xPlayNextEntry=1, client-id=${described}`);
    expect(idle.status).toBe(400);
    const before = data(peer, 0).length;
    await until(() => data(peer, 0).length > before);
  });
});
