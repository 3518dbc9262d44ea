import { WmError } from '../../src/errors.js';
import type { AsfEvent } from '../../src/media/events.js';
import type { Clock } from '../../src/media/pacing.js';
import { type PullOptions, PullSource } from '../../src/receiving/pull-source.js';
import { PulledBroadcast } from '../../src/receiving/pulled-broadcast.js';
import { slowness } from '../support/patience.js';
import { testHeader, testPacket } from '../support/stream.js';
import { fileHeader, LIVE_HEADER, shapeOf } from '../wmsp/client-support.js';
import { type ToyServer, toyWay } from './toy-link.js';

/** Two packets with each send time, as in files with several streams. */
const PACKETS = Array.from({ length: 20 }, (_, number) => {
  const sendTime = Math.floor(number / 2) * 100;
  return { sendTime, bytes: testPacket(sendTime, { key: number % 4 === 0, number }).bytes };
});
const noWait: Clock = { now: () => performance.now(), sleep: () => Promise.resolve() };
const RETRY: PullOptions = { clock: noWait, reconnect: { retries: 3 }, random: () => 0 };

function toy(changes: Partial<ToyServer> = {}): ToyServer {
  return { header: fileHeader(20), packets: PACKETS, live: false, breaks: [], ...changes };
}

async function received(source: PullSource, each: (event: AsfEvent, count: number) => void = () => {}) {
  const events: AsfEvent[] = [];
  let error: unknown;
  try {
    for await (const event of source) {
      events.push(event);
      each(event, events.length);
    }
  } catch (thrown) {
    error = thrown;
  }
  const packets = events.flatMap((event) => (event.type === 'packet' ? [event.packet.bytes] : []));
  return { shape: shapeOf(events), packets, error };
}

const ALL = PACKETS.map(({ bytes }) => bytes);

describe('PullSource over a toy protocol', () => {
  it.each([true, false])('connects again and continues where it was (packets have numbers: %s)', async (numbers) => {
    const log: string[] = [];
    const source = new PullSource([toyWay('toy', toy({ breaks: [7, 6], numbers }), log)], RETRY);
    const { shape, packets, error } = await received(source);
    expect([shape, error]).toEqual(['H 20 E0', undefined]);
    expect(packets).toEqual(ALL);
    expect(source.stats).toMatchObject({ packets: 20, reconnects: 2 });
    // Without numbers it continues at a send time, of which one packet has already arrived.
    expect(log).toEqual(numbers ? ['open', 'play 0', 'play 7', 'play 13'] : ['open', 'play 0', 'play 6', 'play 10']);
  });

  it('joins a broken live stream into one', async () => {
    const log: string[] = [];
    const server = toy({ header: LIVE_HEADER, live: true, breaks: [8] });
    const { shape, packets } = await received(new PullSource([toyWay('toy', server, log)], RETRY));
    expect(shape).toBe('H 20 E0');
    expect(packets).toEqual(ALL);
    expect(log.filter((line) => line === 'open')).toHaveLength(2);
  });

  it('lets the server know that it stops, also if its reader leaves once it has closed it', async () => {
    const farewell: string[] = [];
    const server = toy({ header: LIVE_HEADER, live: true, farewell });
    const source = new PullSource([toyWay('toy', server, [])], RETRY);
    for await (const event of source) {
      if (event.type === 'header') continue;
      void source.close();
      break;
    }
    expect(farewell.slice(0, 2)).toEqual(['stop', 'finish']);
  });

  it('switches to the next way if the first delivers no packet, or does not open, and stays there', async () => {
    for (const bad of [{ silent: true }, { refusal: new WmError('WM_UNREACHABLE', 'x') }] as const) {
      const [first, second]: [string[], string[]] = [[], []];
      const notes: string[] = [];
      const ways = [
        toyWay('udp', toy(bad), first, { firstPacketWithin: 50 }),
        toyWay('tcp', toy({ breaks: [4] }), second),
      ];
      const { shape, packets, error } = await received(
        new PullSource(ways, { ...RETRY, onNote: (text) => notes.push(text) }),
      );
      expect([shape, error]).toEqual(['H 20 E0', undefined]);
      expect(packets).toEqual(ALL);
      expect(notes).toEqual([expect.stringMatching(/^udp does not work: .* Going on with tcp\.$/), 'tcp works.']);
      expect(first.filter((line) => line === 'open')).toHaveLength(1);
      expect(second.filter((line) => line.startsWith('play'))).toHaveLength(2);
    }
  });

  it('gives up a way that does not open in time', async () => {
    const never = {
      name: 'never',
      openWithin: 30,
      connect: () => ({ ...stub, open: () => new Promise<never>(() => {}) }),
    };
    const { shape } = await received(new PullSource([never, toyWay('toy', toy(), [])], RETRY));
    expect(shape).toBe('H 20 E0');
  });

  it('gives all ways together no more time than a round has, and each its share', async () => {
    const silent = (name: string) => ({
      name,
      connect: () => ({ ...stub, open: () => new Promise<never>(() => {}) }),
    });
    const begun = performance.now();
    const ways = [silent('a'), silent('b'), toyWay('udp', toy({ silent: true }), [], { firstPacketWithin: 60_000 })];
    const { error } = await received(new PullSource(ways, { roundWithin: 90 }));
    expect(error).toMatchObject({ code: 'WM_UNREACHABLE' });
    expect(performance.now() - begun).toBeLessThan(1_000 * slowness());
    const { shape } = await received(new PullSource([silent('a'), toyWay('b', toy(), [])], { roundWithin: 90 }));
    expect(shape).toBe('H 20 E0');
  });

  it.each(['WM_AUTH_REFUSED', 'WM_NO_INPUT', 'WM_USAGE'] as const)('tries no other way after %s', async (code) => {
    const second: string[] = [];
    const ways = [toyWay('a', toy({ refusal: new WmError(code, 'x') }), []), toyWay('b', toy(), second)];
    expect(await received(new PullSource(ways, RETRY))).toMatchObject({ shape: '', error: { code } });
    expect(second).toEqual([]);
  });

  it('asks once more for missing content where that is wanted, and then says that it is missing', async () => {
    const second: string[] = [];
    const third: string[] = [];
    const missing = toy({ refusal: new WmError('WM_NO_INPUT', 'missing') });
    const other = toy({ refusal: new WmError('WM_UNREACHABLE', 'away') });
    const ways = (last: Parameters<typeof toyWay>[1]) => [
      toyWay('a', missing, []),
      toyWay('b', toy(), second),
      toyWay('c', last, third, { evenIfMissing: true }),
    ];
    expect(await received(new PullSource(ways(toy()), RETRY))).toMatchObject({ shape: 'H 20 E0', error: undefined });
    expect(await received(new PullSource(ways(other), RETRY))).toMatchObject({
      shape: '',
      error: { code: 'WM_NO_INPUT', message: 'No way works. a: missing c: away' },
    });
    expect(second).toEqual([]);
    expect(third).not.toEqual([]);
  });

  it('waits between rounds when no way works, and then says why each of them failed', async () => {
    const log: string[] = [];
    const waits: number[] = [];
    const clock: Clock = { ...noWait, sleep: async (milliseconds) => void waits.push(milliseconds) };
    const refusal = (text: string) => toy({ refusal: new WmError('WM_UNREACHABLE', text) });
    const source = new PullSource([toyWay('a', refusal('a'), log), toyWay('b', refusal('b'), log)], {
      clock,
      reconnect: { retries: 2, first: true },
    });
    expect((await received(source)).error).toMatchObject({
      code: 'WM_UNREACHABLE',
      message: 'No way works. a: a b: b',
    });
    expect(log).toHaveLength(6);
    expect(waits).toHaveLength(2);
  });

  it('keeps the session over a pause', async () => {
    const log: string[] = [];
    const source = new PullSource([toyWay('toy', toy({ numbers: true }), log)], RETRY);
    const { shape, packets } = await received(source, (event, count) => {
      if (event.type !== 'packet' || count !== 6) return;
      source.pause();
      setImmediate(() => source.resume());
    });
    expect(shape).toBe('H 20 E0');
    expect(packets).toEqual(ALL);
    expect(log).toEqual(['open', 'play 0', 'pause', 'play 5']);
  });

  it('reports what it received, for every protocol alike', async () => {
    const source = new PullSource([toyWay('toy', toy(), [])], RETRY);
    const facts = await new PullSource([toyWay('toy', toy(), [])], RETRY).describe();
    expect(facts).toMatchObject({ live: false, single: true });
    await received(source);
    const bytes = ALL.reduce((sum, { length }) => sum + length, 0);
    expect(source.stats).toEqual({
      ...{
        packets: 20,
        bytes,
        damagedPackets: 0,
        lostPackets: 0,
        recoveredPackets: 0,
        parityPackets: 0,
        reconnects: 0,
      },
    });
  });

  it('returns to a better source when that is available again', async () => {
    const packets = Array.from({ length: 5000 }, (_, number) => {
      const sendTime = number * 10;
      return { sendTime, bytes: testPacket(sendTime, { key: true, number }).bytes };
    });
    const main = toy({ header: testHeader({ title: 'main' }), packets, live: true });
    const spare = toy({ header: testHeader({ title: 'spare' }), packets, live: true });
    main.refusal = new WmError('WM_UNREACHABLE', 'main is down');
    const told: string[] = [];
    let arrive: () => void = () => {};
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const write = (event: AsfEvent) => {
      if (event.type !== 'header') return;
      told.push(event.header.bytes.equals(main.header.bytes) ? 'main' : 'spare');
      if (told.at(-1) === 'main') arrive();
      else main.refusal = undefined;
    };
    const pulled = new PulledBroadcast({
      policy: 'always',
      sources: Object.entries({ main, spare }).map(([name, server]) => ({
        name,
        open: () => new PullSource([toyWay(name, server, [])], {}),
      })),
      begin: () => ({ write, close: () => Promise.resolve() }),
      end: () => {},
      onFailure: () => {},
      returnAfter: 20,
      tick: 5,
      backOff: { initialDelay: 10, maxDelay: 10 },
    });
    pulled.start();
    await arrived;
    await pulled.close();
    expect(told).toEqual(['spare', 'main']);
  });
});

const stub = {
  play: async function* () {
    yield [];
    return 'ended' as const;
  },
  pause: () => {},
  destroy: () => {},
};
