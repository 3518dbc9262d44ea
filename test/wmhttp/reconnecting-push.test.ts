import type { AsfEvent } from '../../src/media/events.js';
import type { ReconnectReport } from '../../src/media/reconnect.js';
import {
  ReconnectingPush,
  type ReconnectingPushOptions,
  type ResumeReport,
} from '../../src/wmhttp/client/reconnecting-push.js';
import { Cutter } from '../support/cutter.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { clock, gate, nothingOdd, push as pushServer, serve, serverPort, stop } from './harness.js';

let cutter: Cutter;
let client: ReconnectingPush | undefined;
let breaks: ReconnectReport[];
let resumes: ResumeReport[];
let dropped: number;

beforeEach(async () => {
  await serve();
  cutter = await Cutter.listen(serverPort());
  breaks = [];
  resumes = [];
  dropped = 0;
});

afterEach(async () => {
  client?.abort();
  await client?.close().catch(() => {});
  client = undefined;
  await cutter.close();
  await stop();
});

async function connect(options: Partial<ReconnectingPushOptions> = {}): Promise<ReconnectingPush> {
  client = await ReconnectingPush.connect({
    url: `http://127.0.0.1:${cutter.port}/pub`,
    reconnect: { retries: Number.POSITIVE_INFINITY, initialDelay: 2, maxDelay: 10 },
    onReconnect: (report) => breaks.push(report),
    onResumed: (report) => resumes.push(report),
    onDropped: (count) => {
      dropped += count;
    },
    ...options,
  });
  return client;
}

const header = (title = 'One'): AsfEvent => ({ type: 'header', header: testHeader({ title }) });
const packet = (number: number): AsfEvent => ({
  type: 'packet',
  packet: testPacket(number * 100, { number, key: number % 10 === 0 }),
});

const eventsOf = (point: number) => gate.points[point]?.events ?? [];
const packetsOf = (point = 0) =>
  eventsOf(point).flatMap((event) => (event.type === 'packet' ? [event.packet.sendTime / 100] : []));
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

/** Writes packets, and waits until the server has the last of them. */
async function send(push: ReconnectingPush, from: number, to: number, point = 0): Promise<void> {
  for (let number = from; number < to; number++) await push.write(packet(number));
  await until('the last packet at the point', () => packetsOf(point).at(-1) === to - 1);
}

describe('a connection that breaks', () => {
  it('continues in the same session, with every packet once, and the header once', async () => {
    const push = await connect();
    await push.write(header());
    await send(push, 0, 5);
    for (const at of [5, 10, 15]) {
      cutter.cut();
      await send(push, at, at + 5);
    }
    await push.close();
    expect(packetsOf()).toEqual(range(0, 20));
    expect(gate.points[0]!.story.match(/header|end0|release clean/g)).toEqual(['header', 'end0', 'release clean']);
    expect(push.stats).toEqual({ sent: 20, dropped: 0, waiting: 0, reconnects: resumes.length });
    expect(resumes.length).toBeGreaterThanOrEqual(3);
    expect(new Set(resumes.map(({ resumed, unconfirmed }) => `${resumed} ${unconfirmed}`))).toEqual(
      new Set(['true 0']),
    );
    expect(breaks[0]).toMatchObject({ attempt: 1, error: { code: 'WM_SERVER_GONE' } });
    nothingOdd();
  });

  it('loses nothing in flight: packets that the server lacks are sent again', async () => {
    const push = await connect();
    await push.write(header());
    await send(push, 0, 3);
    cutter.hold();
    for (const number of range(3, 40)) await push.write(packet(number));
    await until('the push to have sent everything', () => push.stats.waiting === 0);
    expect(packetsOf()).toEqual([0, 1, 2]);
    cutter.cut();
    await send(push, 40, 41);
    expect(packetsOf()).toEqual(range(0, 41));
    expect(push.stats).toMatchObject({ sent: 41, dropped: 0 });
  });

  it('keeps packets while it is down, and sends them on return', async () => {
    const push = await connect();
    await push.write(header());
    await send(push, 0, 5);
    cutter.refusing = true;
    for (const number of range(5, 50)) expect(push.write(packet(number))).toBeUndefined();
    await until('three breaks', () => breaks.length >= 3);
    expect(push.stats.dropped).toBe(0);
    expect(push.stats.waiting).toBeGreaterThan(40);
    cutter.refusing = false;
    await send(push, 50, 51);
    expect(packetsOf()).toEqual(range(0, 51));
    expect(breaks.slice(0, 3).map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
  });

  it('drops the oldest up to a key frame when the buffer is full, and counts', async () => {
    const push = await connect({ buffer: { duration: 2_000 } });
    await push.write(header());
    await send(push, 0, 5);
    cutter.refusing = true;
    for (const number of range(5, 45)) await push.write(packet(number));
    await until('a break', () => breaks.length > 0);
    cutter.refusing = false;
    await send(push, 45, 50);
    const got = packetsOf();
    expect(got.slice(0, 5)).toEqual(range(0, 5));
    const rest = got.slice(5);
    expect(rest[0]! % 10).toBe(0);
    expect(rest).toEqual(range(rest[0]!, 50));
    expect(push.stats).toMatchObject({ sent: got.length, dropped: 50 - got.length, waiting: 0 });
    expect(dropped).toBe(50 - got.length);
  });

  it('counts as dropped the packets that were sent, did not arrive and are no longer kept', async () => {
    const push = await connect({ buffer: { bytes: 8 * 800 } });
    await push.write(header());
    await send(push, 0, 3);
    cutter.hold();
    for (const number of range(3, 35)) {
      await push.write(packet(number));
      await until('the push to have sent everything', () => push.stats.waiting === 0);
    }
    cutter.cut();
    await send(push, 35, 41);
    const got = packetsOf();
    expect(got.slice(0, 3)).toEqual([0, 1, 2]);
    expect(got[3]! % 10).toBe(0);
    expect(got.slice(3)).toEqual(range(got[3]!, 41));
    expect(push.stats).toMatchObject({ sent: got.length, dropped: 41 - got.length });
  });

  it('makes a file wait instead', async () => {
    const push = await connect({ buffer: { duration: 1_000 }, whenFull: 'wait' });
    await push.write(header());
    await send(push, 0, 5);
    cutter.refusing = true;
    const writing = (async () => {
      for (const number of range(5, 60)) await push.write(packet(number));
    })();
    await until('three breaks', () => breaks.length >= 3);
    expect(push.stats.waiting).toBeLessThan(15);
    cutter.refusing = false;
    await writing;
    await push.close();
    expect(packetsOf()).toEqual(range(0, 60));
  });

  it('resumes a playlist in its entry', async () => {
    const push = await connect();
    await push.write(header());
    await send(push, 0, 5);
    cutter.cut();
    await push.write({ type: 'end', moreEntries: true, reason: 1 });
    await push.write(header('Two'));
    await send(push, 10, 15);
    cutter.cut();
    await send(push, 15, 20);
    await push.close();
    expect(packetsOf()).toEqual([...range(0, 5), ...range(10, 20)]);
    expect(gate.points[0]!.log.filter((what) => what !== 'packet').join(' ')).toBe(
      'start header end1 header end0 close release clean',
    );
  });

  it('may break at the end: the rest and the end follow', async () => {
    const push = await connect();
    await push.write(header());
    await send(push, 0, 5);
    cutter.hold();
    for (const number of range(5, 9)) await push.write(packet(number));
    await push.write({ type: 'end', moreEntries: false, reason: 0 });
    const closing = push.close();
    await until('the push to have sent everything', () => push.stats.waiting === 0);
    cutter.cut();
    await closing;
    expect(packetsOf()).toEqual(range(0, 9));
    expect(gate.points[0]!.story).toMatch(/end0, close, release clean$/);
  });

  it('goes on at another server of the point when its own is gone, in the same round', async () => {
    const other = await Cutter.listen(serverPort());
    const alternatives = [`http://127.0.0.1:${other.port}/pub`];
    const push = await connect({ alternatives });
    await push.write(header());
    await send(push, 0, 5);
    expect([cutter.connections, other.connections]).toEqual([1, 0]);
    cutter.refusing = true;
    for (const number of range(5, 10)) await push.write(packet(number));
    await until('the rest at the other one', () => packetsOf(gate.points.length - 1).at(-1) === 9);
    expect(other.connections).toBe(1);
    expect(push.stats).toMatchObject({ reconnects: 1, dropped: 0 });
    await push.close();
    await other.close();
  });

  it('begins another session if the server has forgotten this one, and repeats the last seconds', async () => {
    const push = await connect();
    await push.write(header());
    await send(push, 0, 45);
    cutter.refusing = true;
    await push.write(packet(45));
    await until('a break', () => breaks.length > 0);
    clock.now += 61_000;
    pushServer.sweep();
    cutter.refusing = false;
    await send(push, 46, 48, 1);
    expect(resumes).toEqual([{ resumed: false, waiting: expect.any(Number), unconfirmed: 46 }]);
    // 3 s before the last one is 15, and the key frame before that is 10.
    expect(packetsOf(1)).toEqual(range(10, 48));
    expect(eventsOf(1)[0]).toMatchObject({ type: 'header' });
    expect(push.stats).toMatchObject({ sent: 48, dropped: 0 });
  });

  it('comes back although the server believes that the old connection is alive', async () => {
    const push = await connect();
    await push.write(header());
    await send(push, 0, 5);
    cutter.freeze();
    await push.write(packet(5));
    await until('a break because of a 409', () => breaks.some(({ error }) => error.message.includes('409')));
    clock.now += 2_000;
    await send(push, 6, 8);
    expect(packetsOf()).toEqual(range(0, 8));
    expect(gate.points.length).toBeLessThanOrEqual(gate.requests.length);
    expect(gate.points[0]!.story.match(/start|release/g)).toEqual(['start']);
  });
});

describe('a push that is over', () => {
  it('fails after so many attempts in a row', async () => {
    const push = await connect({ reconnect: { retries: 2, initialDelay: 1 } });
    await push.write(header());
    await send(push, 0, 2);
    cutter.refusing = true;
    await push.write(packet(2));
    await until('two breaks', () => breaks.length === 2);
    await expect(
      (async () => {
        for (;;) {
          await push.write(packet(3));
          await new Promise((resolve) => setImmediate(resolve));
        }
      })(),
    ).rejects.toMatchObject({ code: expect.stringMatching(/GONE|UNREACHABLE/) });
  });

  it.each([
    ['taken', 409],
    ['forbidden', 403],
  ] as const)('is not started again if the server ends it as %s', async (reason, status) => {
    const push = await connect();
    await push.write(header());
    await send(push, 0, 2);
    gate.points[0]!.publisher!.disconnect(reason);
    await expect(
      (async () => {
        for (;;) {
          await push.write(packet(3));
          await new Promise((resolve) => setImmediate(resolve));
        }
      })(),
    ).rejects.toMatchObject({ status });
    expect(breaks).toEqual([]);
  });

  it('waits for a server that is not up yet, if configured to', async () => {
    cutter.refusing = true;
    await expect(connect()).rejects.toMatchObject({ code: expect.stringMatching(/GONE|UNREACHABLE/) });
    expect(breaks).toEqual([]);
    const reconnect = { retries: Number.POSITIVE_INFINITY, initialDelay: 1, maxDelay: 2, first: true };
    const connecting = connect({ reconnect });
    await until('three breaks', () => breaks.length >= 3);
    cutter.refusing = false;
    await connecting;
  });
});
