import { parseHeader } from '../../src/asf/header.js';
import { parsePacket } from '../../src/asf/packet.js';
import { AUDIO, PACKET_SIZE, VIDEO } from '../support/stream.js';
import type { WirePacket } from '../support/wire.js';
import { Content, PACKETS_A_SECOND } from './content.js';
import { BOTH_STREAMS, kindsOf, NEW, OLD, type PlayTokens, playTokens, Station, type Watcher } from './station.js';

const NONE = 4294967295;
const NO_OFFSET = '4294967295:4294967295';
const SECONDS = 10;

let content: Content;
let station: Station;
let headerSize: number;

beforeEach(async () => {
  content = await Content.create();
  station = await Station.open({ content });
  const bytes = await content.media('clip.wmv', { seconds: SECONDS });
  await content.media('plain.wmv', { seconds: SECONDS, index: false });
  headerSize = parseHeader(bytes).bytes.length;
});

afterEach(async () => {
  await station.close();
  await content.close();
});

const dataOf = (packets: readonly WirePacket[]) => packets.filter(({ id }) => id === 'D');
const locationsOf = (packets: readonly WirePacket[]) => dataOf(packets).map(({ location }) => location);

function play(tokens: PlayTokens | readonly string[], name = 'clip.wmv', streams = BOTH_STREAMS): Promise<Watcher> {
  const lines = Array.isArray(tokens) ? (tokens as readonly string[]) : playTokens(tokens as PlayTokens);
  return station.play(`GET /${name} HTTP/1.0`, NEW, ...lines, ...streams);
}

/** Returns all packets of a Play. */
async function played(
  tokens: PlayTokens | readonly string[],
  name?: string,
  streams?: string[],
): Promise<WirePacket[]> {
  const watcher = await play(tokens, name, streams);
  expect(watcher.response.status).toBe(200);
  await station.tickUntil(() => watcher.peer.ended);
  return watcher.all();
}

const firstOf = async (tokens: PlayTokens | readonly string[], name?: string) =>
  locationsOf(await played(tokens, name))[0];

describe('the start of a Play', () => {
  it.each(['clip.wmv', 'plain.wmv'])(
    '[WMSP-241] [WMSP-029] is the key frame at or before stream-time, in %s',
    async (name) => {
      for (const [time, packet] of [
        [1, 0],
        [999, 0],
        [1000, 15],
        [4999, 60],
        [9999, 135],
      ] as const)
        expect([time, await firstOf({ time }, name)]).toEqual([time, packet]);
    },
  );

  it('[WMSP-241] is packet-num if stream-time is 0 or 4294967295', async () => {
    expect(await firstOf({ time: 0, packet: 45 })).toBe(45);
    expect(await firstOf({ time: NONE, packet: 45 })).toBe(45);
    expect(await firstOf({ time: 2000, packet: 45 })).toBe(30);
  });

  it('[WMSP-241] is stream-offset if neither of the others is given', async () => {
    const offset = `0:${headerSize + 60 * PACKET_SIZE}`;
    expect(await firstOf({ time: 0, offset })).toBe(60);
    expect(await firstOf({ time: NONE, offset })).toBe(60);
    expect(await firstOf({ time: 2000, offset })).toBe(30);
    expect(await firstOf({ packet: 45, offset })).toBe(45);
  });

  it('[WMSP-241] is the beginning if nothing is given, or the offset is 0', async () => {
    expect(await firstOf({ time: NONE })).toBe(0);
    expect(await firstOf({ offset: NO_OFFSET })).toBe(0);
    expect(await firstOf({ offset: '0:0' })).toBe(0);
  });

  it('[WMSP-242] treats absent tokens like ignored ones, so that packet-num=0 takes precedence over an offset', async () => {
    const offset = `stream-offset=0:${headerSize + 60 * PACKET_SIZE}`;
    const asked = (...tokens: string[]) => firstOf([`Pragma: ${['xPlayStrm=1', ...tokens].join()}`]);
    expect(await asked()).toBe(0);
    expect(await asked(offset)).toBe(60);
    expect(await asked('packet-num=45')).toBe(45);
    expect(await asked('packet-num=0', offset)).toBe(0);
    expect(await asked('stream-time=3000', 'packet-num=0', offset)).toBe(45);
  });

  it('is a key frame of the video, with the audio from there', async () => {
    const data = dataOf(await played({ time: 4_500 }));
    const payloads = data.flatMap(({ payload }) => parsePacket(payload).payloads);
    expect(payloads.find(({ stream }) => stream === VIDEO)).toMatchObject({ key: true });
    expect(payloads.filter(({ stream }) => stream === AUDIO)).toHaveLength(30);
    expect(data.at(-1)!.location).toBe(SECONDS * PACKETS_A_SECOND - 1);
  });

  it('is the last key frame for a time after the end, and nothing for such a packet', async () => {
    expect(locationsOf(await played({ time: 3_000_000 }))[0]).toBe(135);
    expect(kindsOf(await played({ packet: 150 }))).toEqual(['M', 'H', 'E0']);
    expect(kindsOf(await played({ packet: 4294967294 }))).toEqual(['M', 'H', 'E0']);
    expect(kindsOf(await played({ offset: '4000000000:17' }))).toEqual(['M', 'H', 'E0']);
  });
});

describe('max-duration', () => {
  const lastOf = async (tokens: PlayTokens) => locationsOf(await played(tokens)).at(-1)!;
  const lastPacket = SECONDS * PACKETS_A_SECOND - 1;

  it('[WMSP-033] counts from stream-time', async () => {
    expect(await lastOf({ maxDuration: 2_000 })).toBe(2 * PACKETS_A_SECOND - 1);
    expect(await lastOf({ time: 4_000, maxDuration: 2_000 })).toBe(6 * PACKETS_A_SECOND - 1);
    expect(await lastOf({ time: 4_500, maxDuration: 1_500 })).toBe(6 * PACKETS_A_SECOND - 1);
  });

  it('[WMSP-033] is a time in the file if its top bit is set', async () => {
    const absolute = (milliseconds: number) => 2 ** 31 + milliseconds;
    expect(await lastOf({ maxDuration: absolute(2_000) })).toBe(2 * PACKETS_A_SECOND - 1);
    expect(await lastOf({ time: 4_000, maxDuration: absolute(6_000) })).toBe(6 * PACKETS_A_SECOND - 1);
    expect(await lastOf({ packet: 60, maxDuration: absolute(6_000) })).toBe(6 * PACKETS_A_SECOND - 1);
  });

  it('[WMSP-034] plays to the end if it is 0 or longer than the rest', async () => {
    for (const maxDuration of [0, 2 ** 31, 10_000, 11_000, 2 ** 31 - 1, 2 ** 32 - 1])
      expect([maxDuration, await lastOf({ maxDuration })]).toEqual([maxDuration, lastPacket]);
    expect(await lastOf({ time: 5_000, maxDuration: 6_000 })).toBe(lastPacket);
  });

  it('plays next to nothing if it ends before it begins', async () => {
    expect(await lastOf({ time: 5_000, maxDuration: 2 ** 31 + 1_000 })).toBeLessThanOrEqual(5 * PACKETS_A_SECOND + 1);
  });
});

describe('rate', () => {
  it('[WMSP-264] is 1 by default', async () => {
    const packets = await played(['Pragma: xPlayStrm=1']);
    expect(dataOf(packets)).toHaveLength(SECONDS * PACKETS_A_SECOND);
    expect(packets.at(-1)).toMatchObject({ id: 'E', reason: 0 });
  });

  it('[WMSP-029] above 1 sends the key frames, in less time, and ends with $E 0', async () => {
    const watcher = await play({ rate: '5.000', time: 2_000 });
    await watcher.packetsWith('D', 1);
    station.tick(2_000);
    const packets = await watcher.all();
    expect(locationsOf(packets)).toEqual([30, 45, 60, 75, 90, 105, 120, 135]);
    expect(packets.at(-1)).toMatchObject({ id: 'E', reason: 0 });
  });

  it('[WMSP-120] below 0 sends the key frames back to the start, and then $E 0x000D2F09', async () => {
    for (const name of ['clip.wmv', 'plain.wmv']) {
      const packets = await played({ rate: '-2.000', time: 5_500 }, name);
      expect(locationsOf(packets)).toEqual([75, 60, 45, 30, 15, 0]);
      expect(kindsOf(packets)).toEqual(['M', 'H', 'D', 'Ed2f09']);
      expect(dataOf(packets).map(({ afFlags }) => afFlags)).toEqual([0, 1, 2, 3, 4, 5]);
    }
  });

  it('respects max-duration in both directions', async () => {
    expect(locationsOf(await played({ rate: '2.000', time: 2_000, maxDuration: 3_000 }))).toEqual([30, 45, 60]);
    expect(locationsOf(await played({ rate: '-2.000', time: 8_000, maxDuration: 3_000 }))).toEqual([120, 105, 90]);
  });

  it('is the normal one for content that is not stridable', async () => {
    await content.media('song.wma', { video: false, seconds: 2 });
    const packets = await played({ rate: '5.000' }, 'song.wma', [
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:2:0',
    ]);
    expect(dataOf(packets)).toHaveLength(10);
  });

  it.each(['0', '0.000', '-0.0', '5.001', '-6', '100'])('[WMSP-019] of %s is refused', async (rate) => {
    const watcher = await station.play('GET /clip.wmv HTTP/1.0', OLD, ...playTokens({ rate }), ...BOTH_STREAMS);
    expect(watcher.response.status).toBe(400);
  });

  it.each(['fast', '', '"', '--1'])('[WMSP-019] of %j counts as absent', async (rate) => {
    const watcher = await play({ rate });
    expect(watcher.response.status).toBe(200);
    await watcher.packetsWith('D', 40);
  });
});
