import type { WireResponse } from '../support/wire.js';
import { Content, PACKETS_A_SECOND } from './content.js';
import { BOTH_STREAMS, NEW, PLAY, playTokens, Station, tokenOf, type Watcher } from './station.js';

let content: Content;
let station: Station;

beforeEach(async () => {
  content = await Content.create();
  station = await Station.open({ content });
  // About 24 kbit/s with the overhead of the data.
  await content.media('clip.wmv', { seconds: 40 });
});

afterEach(async () => {
  await station.close();
  await content.close();
});

const STARTUP = 'Supported: com.microsoft.wm.predstrm, com.microsoft.wm.startupprofile';

function play(agent: string, ...lines: string[]): Promise<Watcher> {
  return station.play('GET /clip.wmv HTTP/1.0', `User-Agent: ${agent}`, ...PLAY, ...BOTH_STREAMS, ...lines);
}

const granted = (response: WireResponse) =>
  response.pragma.filter((token) => /^(?:Accel|Burst|Speed|LinkBW)/.test(token)).sort();

const count = (watcher: Watcher) => watcher.packets.filter(({ id }) => id === 'D').length;

/** Lets time pass and expects that many seconds of media, within one. */
async function secondsAfter(watcher: Watcher, milliseconds: number, seconds: number): Promise<void> {
  // The server's schedule begins with the first packet.
  await watcher.packetsWith('D', 1);
  station.tick(milliseconds);
  await watcher.packetsWith('D', Math.floor((seconds - 1) * PACKETS_A_SECOND));
  expect(count(watcher) / PACKETS_A_SECOND).toBeLessThan(seconds + 1);
}

describe('AccelBW and AccelDuration', () => {
  it('[WMSP-020] [WMSP-244] [WMSP-245] are granted as requested, if that is not too much', async () => {
    const { response } = await play('NSPlayer/12.0.7680.0', 'Pragma: AccelBW=1500000, AccelDuration=12000');
    expect(granted(response)).toEqual(['AccelBW=1500000', 'AccelDuration=12000']);
  });

  it('[WMSP-245] never exceed the request, the link bandwidth and the limits', async () => {
    const ask = async (agent: string, tokens: string) => granted((await play(agent, `Pragma: ${tokens}`)).response);
    expect(await ask('NSPlayer/12.0', 'LinkBW=2147483647, AccelBW=2147483647, AccelDuration=100000')).toEqual([
      'AccelBW=3500000',
      'AccelDuration=20000',
    ]);
    expect(await ask('NSPlayer/12.0', 'LinkBW=600000, AccelBW=2147483647, AccelDuration=5000')).toEqual([
      'AccelBW=600000',
      'AccelDuration=5000',
    ]);
    expect(await ask('NSPlayer/12.0', 'LinkBW=0, AccelBW=1000, AccelDuration=5000')).toEqual([
      'AccelBW=1000',
      'AccelDuration=5000',
    ]);
  });

  it('[WMSP-245] are at most 1048576 bits/s for clients 8.x', async () => {
    const asked = 'Pragma: AccelBW=2147483647, AccelDuration=5000';
    expect(granted((await play('NSPlayer/8.0.0.4477', asked)).response)).toContain('AccelBW=1048576');
    expect(granted((await play('NSPlayer/9.0.0.2833', asked)).response)).toContain('AccelBW=3500000');
  });

  it('[WMSP-020] [WMSP-162] are not for clients below 8.0', async () => {
    const watcher = await play('NSPlayer/7.1.0.3055', 'Pragma: AccelBW=2147483647, AccelDuration=20000');
    expect(granted(watcher.response)).toEqual([]);
    await watcher.packetsWith('D', 3 * PACKETS_A_SECOND);
    expect(count(watcher)).toBeLessThan(4 * PACKETS_A_SECOND);
  });

  it.each([
    'AccelBW=0, AccelDuration=5000',
    'AccelBW=1000000, AccelDuration=0',
    'AccelBW=1000000',
    'AccelDuration=5000',
  ])('[WMSP-020] %s is ignored', async (tokens) => {
    expect(granted((await play('NSPlayer/12.0', `Pragma: ${tokens}`)).response)).toEqual([]);
  });

  it('[WMSP-020] send the granted amount of media at the granted rate, and then in real time', async () => {
    // About twice the rate of the media.
    const watcher = await play('NSPlayer/12.0', 'Pragma: AccelBW=48000, AccelDuration=10000');
    await secondsAfter(watcher, 2_000, 4);
    await secondsAfter(watcher, 2_000, 8);
    await secondsAfter(watcher, 2_000, 11);
    await secondsAfter(watcher, 4_000, 15);
  });
});

describe('BurstBW and BurstDuration', () => {
  it('[WMSP-021] [WMSP-244] [WMSP-245] are granted to intermediaries from 9.0', async () => {
    const asked = 'Pragma: LinkBW=2147483647, BurstBW=3000000, BurstDuration=5000';
    for (const agent of ['NSServer/9.0.0.3171', 'WMCacheProxy/9.5.6001.1'])
      expect(granted((await play(agent, asked)).response)).toEqual(['BurstBW=3000000', 'BurstDuration=5000']);
    expect(granted((await play('NSPlayer/8.0', asked)).response)).toEqual([]);
  });

  it('[WMSP-021] are ignored if one is missing or 0', async () => {
    for (const tokens of ['BurstDuration=5000', 'BurstBW=3000000', 'BurstBW=0, BurstDuration=5000'])
      expect(granted((await play('NSServer/9.0', `Pragma: ${tokens}`)).response)).toEqual([]);
  });

  it('[WMSP-021] take precedence over the wish of the intermediary', async () => {
    const { response } = await play(
      'WMCacheProxy/9.0',
      'Pragma: AccelBW=1000000, AccelDuration=9000, BurstBW=2000000, BurstDuration=5000',
    );
    expect(granted(response)).toEqual(['BurstBW=2000000', 'BurstDuration=5000']);
  });
});

describe('Speed', () => {
  it('[WMSP-045] multiplies the pace', async () => {
    const watcher = await play('NSPlayer/12.0', 'Pragma: Speed=4.000');
    expect(granted(watcher.response)).toEqual(['Speed=4.000']);
    await secondsAfter(watcher, 0, 3);
    await secondsAfter(watcher, 1_000, 7);
    await secondsAfter(watcher, 2_000, 15);
  });

  it('[WMSP-045] is as fast with AccelBW as without', async () => {
    for (const accelerated of [[], ['Pragma: AccelBW=400000, AccelDuration=3000']]) {
      const watcher = await play('NSPlayer/12.0', 'Pragma: Speed=2.000', ...accelerated);
      await secondsAfter(watcher, 1_000, 5);
      await secondsAfter(watcher, 5_000, 15);
      await secondsAfter(watcher, 5_000, 25);
    }
  });

  it('[WMSP-269] is lowered, but not below 1 if more was requested', async () => {
    expect(granted((await play('NSPlayer/12.0', 'Pragma: Speed=6104.070')).response)).toEqual(['Speed=5.000']);
    expect(granted((await play('NSPlayer/12.0', 'Pragma: Speed=1.001')).response)).toEqual(['Speed=1.001']);
    await station.close();
    station = await Station.open({ content, limits: { bandwidth: 100, accelerated: 100, speed: 1.5 } });
    expect(granted((await play('NSPlayer/12.0', 'Pragma: Speed=4294967295')).response)).toEqual(['Speed=1.500']);
  });

  it.each(['1', '1.000', '0', '0.5', '-3', 'fast', '99999999999'])(
    '[WMSP-045] of %s changes nothing',
    async (speed) => {
      const { response } = await play('NSPlayer/12.0', `Pragma: Speed=${speed}`);
      expect(response.status).toBe(200);
      expect(granted(response).filter((token) => token !== 'Speed=5.000')).toEqual([]);
    },
  );
});

describe('X-StartupProfile', () => {
  const ACCELERATED = 'Pragma: AccelBW=2000000, AccelDuration=8000';
  const profileOf = async (...lines: string[]) =>
    (await play('NSPlayer/12.0.7680.0', ...lines)).response.field('X-StartupProfile');

  it('[WMSP-068] [WMSP-246] has its parts in order, each followed by a semicolon', async () => {
    expect(await profileOf(STARTUP, ACCELERATED)).toMatch(
      /^Rate=[\d,]+;MaxBytes=[\d,]+;Time=[\d,]+;StartTime=\d+;LastTime=\d+;MaxDiffTime=\d+;MaxDiffSndTime=-?\d+;ByteRate=[\d,]+;$/,
    );
  });

  it('[WMSP-069] [WMSP-070] [WMSP-071] [WMSP-072] [WMSP-073] has numbers that fit the media', async () => {
    const text = (await profileOf(STARTUP, ACCELERATED))!;
    const parts = new Map(
      text
        .split(';')
        .slice(0, -1)
        .map((part) => {
          const [name, value] = part.split('=');
          return [name!, value!.split(',').map(Number)];
        }),
    );
    const lengths = ['Rate', 'MaxBytes', 'Time', 'ByteRate'].map((name) => parts.get(name)!.length);
    expect(new Set(lengths)).toEqual(new Set([lengths[0]]));
    expect(parts.get('Rate')![0]).toBe(10);
    expect([...parts.get('Rate')!].sort((one, other) => one - other)).toEqual(parts.get('Rate'));
    // A preroll of 1 s; 10 pictures of 200 bytes and 5 sounds of 100 bytes a second.
    expect(parts.get('StartTime')).toEqual([1_000]);
    expect(parts.get('LastTime')![0]).toBeGreaterThan(7_500);
    expect(parts.get('LastTime')![0]).toBeLessThanOrEqual(8_000);
    for (const rate of parts.get('ByteRate')!) expect(Math.abs(rate - 2_500)).toBeLessThan(100);
    for (const [index, bytes] of parts.get('MaxBytes')!.entries()) {
      expect(bytes).toBeGreaterThan(0);
      expect(bytes).toBeLessThanOrEqual(parts.get('MaxBytes')![Math.max(0, index - 1)]!);
      expect(parts.get('Time')![index]).toBeLessThanOrEqual(parts.get('LastTime')![0]!);
    }
    expect(parts.get('MaxDiffSndTime')).toEqual([0]);
    expect(parts.get('MaxDiffTime')).toEqual([0]);
  });

  it('[WMSP-071] begins where the Play does', async () => {
    const watcher = await station.play(
      'GET /clip.wmv HTTP/1.0',
      NEW,
      ...playTokens({ time: 20_000 }),
      ...BOTH_STREAMS,
      STARTUP,
      ACCELERATED,
    );
    expect(watcher.response.field('X-StartupProfile')).toContain(';StartTime=21000;');
  });

  it('[WMSP-246] is only for clients that list it', async () => {
    expect(await profileOf(ACCELERATED)).toBeUndefined();
    expect(await profileOf('Supported: com.microsoft.wm.predstrm', ACCELERATED)).toBeUndefined();
    expect((await play('NSPlayer/8.0', STARTUP, ACCELERATED)).response.field('X-StartupProfile')).toBeUndefined();
  });

  it('[WMSP-246] is only for accelerated Plays at rate 1', async () => {
    expect(await profileOf(STARTUP)).toBeUndefined();
    const fast = await station.play(
      'GET /clip.wmv HTTP/1.0',
      NEW,
      ...playTokens({ rate: '2.000' }),
      ...BOTH_STREAMS,
      STARTUP,
      ACCELERATED,
    );
    expect(fast.response.field('X-StartupProfile')).toBeUndefined();
    expect(tokenOf(fast.response, 'AccelBW')).toBe('2000000');
  });
});
