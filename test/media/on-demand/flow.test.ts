import { setImmediate } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { WmError } from '../../../src/errors.js';
import { OnDemandFlow, type OnDemandFlowOptions, Ticker } from '../../../src/media/on-demand/flow.js';
import type { DueCheck, OnDemandItem } from '../../../src/media/on-demand/options.js';

const PREROLL = 1000;

/** One read's worth of packets. */
interface Run {
  readonly items: readonly OnDemandItem[];
  readonly end: boolean;
  readonly rewound?: boolean;
  readonly idle?: boolean;
  /** Send times of packets that are filtered out. */
  readonly passed?: readonly number[];
}

/** A flow with a clock, a ticker and an output that the test controls. */
class Stage {
  now = 1000;
  backlog = 0;
  reads = 0;
  /** Time of writing, by location. */
  readonly sent = new Map<number, number>();
  readonly writes: number[][] = [];
  /** Number of batches given back. */
  released = 0;
  readonly ends: { rewound: boolean }[] = [];
  readonly errors: WmError[] = [];
  readonly tasks = new Set<() => void>();
  onWrite: () => void = () => undefined;
  readonly flow: OnDemandFlow;

  constructor(batches: (Run | Error)[], options: Partial<OnDemandFlowOptions> = {}) {
    const queue = [...batches];
    const stage = this;
    this.flow = new OnDemandFlow({
      rate: 1,
      reader: {
        preroll: PREROLL,
        next: (pacer) => {
          this.reads++;
          const run = queue.shift() ?? { items: [], end: true };
          if (run instanceof Error) return Promise.reject(run);
          const { due, rest } = split(run, pacer);
          if (rest) queue.unshift(rest);
          return Promise.resolve({ ...due, release: () => this.released++ });
        },
      },
      output: {
        get backlog() {
          return stage.backlog;
        },
        write: (items) => {
          this.onWrite();
          this.writes.push(items.map(({ location }) => location));
          for (const { location } of items) this.sent.set(location, this.now - 1000);
        },
      },
      ticker: { add: (task) => this.tasks.add(task), delete: (task) => this.tasks.delete(task) },
      onEnd: (how) => this.ends.push(how),
      onError: (error) => this.errors.push(error),
      now: () => this.now,
      ahead: 0,
      ...options,
    });
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 30; turn++) await setImmediate();
  }

  async start(): Promise<this> {
    this.flow.start();
    await this.settle();
    return this;
  }

  /** Lets time pass in ticks of 50 ms. */
  async pass(ms: number): Promise<void> {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 50;
      for (const task of this.tasks) task();
      await setImmediate();
      await setImmediate();
    }
    await this.settle();
  }

  get locations(): number[] {
    return this.writes.flat();
  }
}

/** Splits a run like a reader: into what is due, and the rest. */
function split({ items, end, rewound, idle, passed = [] }: Run, pacer: DueCheck): { due: Run; rest?: Run } {
  const late = passed.findIndex((sendTime) => {
    const due = pacer.due(sendTime);
    if (due) pacer.given(0);
    return !due;
  });
  if (late >= 0) return { due: { items: [], end: false }, rest: { items, end, passed: passed.slice(late) } };
  let count = 0;
  for (const { sendTime, bytes } of items) {
    if (!pacer.due(sendTime)) break;
    pacer.given(bytes.length);
    count++;
  }
  const due = items.slice(0, count);
  const about = { ...(rewound === undefined ? {} : { rewound }), ...(idle === undefined ? {} : { idle }) };
  if (count === items.length) return { due: { items: due, end, ...about } };
  return { due: { items: due, end: false }, rest: { items: items.slice(count), end } };
}

/** Packets of 1000 bytes, one every `step` ms of send time, in batches of `size`; the last one ends. */
function packets(count: number, { step = 100, size = 10, first = 0, bytes = 1000 } = {}): Run[] {
  const items: OnDemandItem[] = Array.from({ length: count }, (_each, location) => ({
    location,
    bytes: Buffer.alloc(bytes),
    sendTime: (first + location * step) >>> 0,
  }));
  const runs: Run[] = [];
  for (let at = 0; at < count; at += size) runs.push({ items: items.slice(at, at + size), end: at + size >= count });
  return runs;
}

describe('pace', () => {
  it('sends preroll and two seconds at once, and the rest when it is due', async () => {
    const stage = await new Stage(packets(100)).start();
    expect(stage.locations).toEqual(Array.from({ length: 31 }, (_each, index) => index));
    await stage.pass(10_000);
    for (const [location, time] of stage.sent) {
      const due = Math.max(location * 100 - 3000, 0);
      expect(time).toBeGreaterThanOrEqual(due);
      expect(time).toBeLessThanOrEqual(due + 50);
    }
    expect(stage.locations).toEqual(Array.from({ length: 100 }, (_each, index) => index));
    expect(stage.ends).toEqual([{ rewound: false }]);
    expect([stage.flow.packets, stage.flow.bytes]).toEqual([100, 100_000]);
    expect(stage.tasks.size).toBe(0);
  });

  it('reads only what is due, when it is due, and gives it back', async () => {
    const stage = await new Stage(packets(100), { burst: 0 }).start();
    expect([stage.reads, stage.locations]).toEqual([1, [0]]);
    await stage.pass(50);
    expect([stage.reads, stage.released]).toEqual([1, 1]);
    await stage.pass(50);
    expect([stage.reads, stage.released, stage.locations]).toEqual([2, 2, [0, 1]]);
  });

  it('sends everything that is due within a second together, and then nothing for as long', async () => {
    const stage = await new Stage(packets(100), { burst: 0, ahead: 1000 }).start();
    expect(stage.locations).toHaveLength(11);
    await stage.pass(1000);
    expect([stage.writes.length, stage.locations.length]).toEqual([2, 11]);
    await stage.pass(9000);
    expect(stage.locations).toEqual(Array.from({ length: 100 }, (_each, index) => index));
    for (const [location, time] of stage.sent) {
      expect(time).toBeLessThanOrEqual(location * 100 + 50);
      expect(time).toBeGreaterThanOrEqual(location * 100 - 1000);
    }
    // Ten packets to a read.
    expect(stage.writes.length).toBeLessThanOrEqual(20);
  });

  it('tells the reader how much is worth reading: a little first, then the burst, then a second at the pace', async () => {
    const spans: number[] = [];
    const reader = {
      preroll: PREROLL,
      next: async (pacer: DueCheck) => {
        spans.push(pacer.span);
        // The first packet, then the burst and what is due with it, then nothing.
        const sendTime = [0, 5000][spans.length - 1] ?? spans.length * 9000;
        const items = pacer.due(sendTime) ? [{ location: 0, bytes: Buffer.alloc(1), sendTime }] : [];
        return { items, end: false };
      },
    };
    const stage = await new Stage([], { reader, ahead: 1000, speed: 2 }).start();
    await stage.pass(10_000);
    expect(spans.slice(0, 2)).toEqual([250, 5000]);
    expect(spans.length).toBeLessThan(20);
    for (const span of spans.slice(2)) expect(span).toBeLessThanOrEqual(2200);
  });

  it.each([
    [2, 1],
    [-5, 1],
    [1, 4],
    [2, 2.5],
  ])('[WMSP-043] [WMSP-045] is divided by the rate and the speed (rate %p, speed %p)', async (rate, speed) => {
    const first = rate < 0 ? 1_000_000 : 0;
    const stage = await new Stage(packets(50, { step: rate < 0 ? -1000 : 1000, first }), {
      rate,
      speed,
      burst: 0,
    }).start();
    await stage.pass(60_000);
    expect(stage.sent.size).toBe(50);
    for (const [location, time] of stage.sent) {
      const due = (location * 1000) / Math.abs(rate) / speed;
      expect(time).toBeGreaterThanOrEqual(due);
      expect(time).toBeLessThanOrEqual(due + 50);
    }
  });

  it('[WMSP-045] is what the output takes at the largest speed', async () => {
    const stage = await new Stage(packets(500), { speed: 4_294_967_295 }).start();
    await stage.pass(50);
    expect(stage.locations).toHaveLength(500);
    expect(stage.ends).toHaveLength(1);
  });

  it('[WMSP-020] sends the first media at the rate of the acceleration, and keeps the lead', async () => {
    // 80 kbit/s of media; accelerated to 400 kbit/s for 5 s, which take 1 s.
    const acceleration = { bitsPerSecond: 400_000, milliseconds: 5000 };
    const stage = await new Stage(packets(200), { acceleration }).start();
    expect(stage.locations).toEqual([0]);
    await stage.pass(20_000);
    for (const [location, time] of stage.sent) {
      const due = location <= 50 ? location * 20 : 1000 + (location - 50) * 100;
      expect(time).toBeGreaterThanOrEqual(due);
      expect(time).toBeLessThanOrEqual(due + 50);
    }
  });

  it('[WMSP-020] is not slowed down by an acceleration below the rate of the media, nor affected by one of 0', async () => {
    const slow = await new Stage(packets(50), { acceleration: { bitsPerSecond: 1000, milliseconds: 60_000 } }).start();
    await slow.pass(5000);
    expect(slow.sent.get(49)).toBeLessThanOrEqual(4950);
    for (const acceleration of [
      { bitsPerSecond: 0, milliseconds: 5000 },
      { bitsPerSecond: 5000, milliseconds: 0 },
    ]) {
      const stage = await new Stage(packets(50), { acceleration }).start();
      expect(stage.locations).toHaveLength(31);
    }
  });

  it('does not wait for gaps, and ignores small steps back', async () => {
    const times = [0, 100, 90, 100, 95, 200, 500_000, 500_100, 3, 103];
    const items = times.map((sendTime, location) => ({ location, bytes: Buffer.alloc(10), sendTime }));
    const stage = await new Stage([{ items, end: true }], { burst: 0 }).start();
    await stage.pass(5000);
    expect([...stage.sent.values()]).toEqual([0, 100, 100, 100, 100, 200, 200, 300, 300, 400]);
  });

  it('keeps its pace in a file of blocks of audio and video with overlapping send times, and after a damaged packet', async () => {
    const block = (from: number) => Array.from({ length: 20 }, (_, index) => from + index * 100);
    const times = [...block(0), ...block(0), ...block(2000), ...block(2000), 1_000_000_000, ...block(4000)];
    const items = times.map((sendTime, location) => ({ location, bytes: Buffer.alloc(10), sendTime }));
    const stage = await new Stage([{ items, end: true }], { burst: 0 }).start();
    await stage.pass(20_000);
    expect(stage.sent.get(40)).toBe(2000);
    expect(stage.sent.get(79)).toBe(3900);
    expect(stage.sent.get(100)).toBe(5900);
  });

  it('goes on when send times wrap', async () => {
    const stage = await new Stage(packets(50, { first: 2 ** 32 - 2000 }), { burst: 0 }).start();
    await stage.pass(5000);
    expect([...stage.sent.values()]).toEqual(Array.from({ length: 50 }, (_each, index) => index * 100));
  });

  it('waits for the gaps between key frames', async () => {
    const items = [0, 30_000, 60_000].map((sendTime, location) => ({ location, bytes: Buffer.alloc(10), sendTime }));
    const stage = await new Stage([{ items, end: true }], { burst: 0, rate: 5 }).start();
    await stage.pass(20_000);
    expect([...stage.sent.values()]).toEqual([0, 6000, 12_000]);
  });

  it('spends the time of packets that are not sent', async () => {
    const empty = Array.from({ length: 20 }, (_each, index) => ({ items: [], end: false, passed: [index * 1000] }));
    const stage = await new Stage([...empty, { items: [], end: true }], { burst: 0 }).start();
    expect([stage.reads, stage.ends.length]).toEqual([2, 0]);
    await stage.pass(18_900);
    expect(stage.ends).toHaveLength(0);
    await stage.pass(150);
    expect(stage.ends).toHaveLength(1);
  });
});

describe('back-pressure', () => {
  it('stops reading and sending while the output is behind, and drops nothing', async () => {
    const stage = new Stage(packets(100), { maxBacklog: 5000 });
    stage.onWrite = () => {
      stage.backlog = 10_000;
    };
    await stage.start();
    expect([stage.reads, stage.locations.length]).toEqual([1, 10]);
    await stage.pass(3000);
    expect([stage.reads, stage.locations.length]).toEqual([1, 10]);
    stage.backlog = 5000;
    await stage.pass(50);
    expect([stage.reads, stage.locations.length]).toEqual([2, 20]);
    stage.backlog = 0;
    stage.flow.drained();
    await stage.settle();
    expect([stage.reads, stage.locations.length]).toEqual([3, 30]);
    stage.onWrite = () => undefined;
    stage.backlog = 0;
    await stage.pass(10_000);
    expect(stage.locations).toEqual(Array.from({ length: 100 }, (_each, index) => index));
  });

  it('sends what was held back when the output is free again, but no more than a burst after a long time', async () => {
    const stage = await new Stage(packets(2000), { burst: 1000 }).start();
    await stage.pass(1000);
    stage.backlog = 1_000_000;
    await stage.pass(5000);
    const held = stage.locations.length;
    stage.backlog = 0;
    await stage.pass(50);
    expect(stage.locations.length - held).toBe(50);
    stage.backlog = 1_000_000;
    await stage.pass(60_000);
    const stopped = stage.locations.length;
    stage.backlog = 0;
    await stage.pass(50);
    expect(stage.locations.length - stopped).toBeLessThanOrEqual(12);
    await stage.pass(1000);
    expect(stage.locations.length - stopped).toBeLessThanOrEqual(22);
  });
});

describe('late sends', () => {
  it('are writes of which a packet was due more than 500 ms before', async () => {
    const late: boolean[] = [];
    const stage = await new Stage(packets(100), { burst: 1000, onSend: (each) => late.push(each) }).start();
    await stage.pass(1000);
    expect(late.length).toBe(stage.writes.length);
    expect(late).not.toContain(true);
    stage.backlog = 1_000_000;
    await stage.pass(900);
    stage.backlog = 0;
    await stage.pass(50);
    expect(late.filter((each) => each)).toHaveLength(1);
  });
});

describe('the end', () => {
  it('says that reverse playback reached the start', async () => {
    const stage = await new Stage([{ items: [], end: true, rewound: true }], { rate: -1 }).start();
    expect(stage.ends).toEqual([{ rewound: true }]);
  });

  it('is an error if the file or the output fails, once', async () => {
    const gone = new WmError('WM_NO_INPUT', 'The file is gone.');
    const stage = await new Stage([packets(20)[0]!, gone]).start();
    expect(stage.errors).toEqual([gone]);
    expect(stage.locations).toHaveLength(10);
    await stage.pass(1000);
    expect([stage.errors.length, stage.ends.length, stage.tasks.size]).toEqual([1, 0, 0]);

    const broken = await new Stage([new TypeError('What is this?')]).start();
    expect(broken.errors[0]).toMatchObject({ code: 'WM_FAILED', message: 'What is this?' });

    const output = new Stage(packets(20));
    output.onWrite = () => {
      throw new Error('The output is closed.');
    };
    await output.start();
    expect(output.errors[0]).toMatchObject({ code: 'WM_FAILED', message: 'The output is closed.' });
  });

  it('is silent if the flow is stopped, at any time', async () => {
    const idle = new Stage(packets(20));
    idle.flow.stop();
    await idle.start();
    expect(idle.reads).toBe(0);

    const reading = new Stage(packets(20));
    reading.flow.start();
    reading.flow.stop();
    await reading.pass(1000);
    expect([reading.reads, reading.locations.length, reading.ends.length]).toEqual([1, 0, 0]);

    const writing = new Stage(packets(20));
    writing.onWrite = () => writing.flow.stop();
    await writing.start();
    await writing.pass(1000);
    expect([writing.locations.length, writing.ends.length, writing.errors.length]).toEqual([10, 0, 0]);
    expect(writing.tasks.size).toBe(0);
    writing.flow.drained();
    writing.flow.start();
    await writing.settle();
    expect(writing.reads).toBe(1);
  });
});

describe('a reader that has nothing yet', () => {
  it('is asked again with the next tick, and not before', async () => {
    const [first, last] = packets(6, { size: 3 });
    const nothing = { items: [], end: false, idle: true };
    const stage = await new Stage([{ ...first!, idle: true }, nothing, nothing, last!]).start();
    expect([stage.reads, stage.locations]).toEqual([1, [0, 1, 2]]);
    await stage.pass(100);
    expect([stage.reads, stage.locations]).toEqual([3, [0, 1, 2]]);
    await stage.pass(50);
    expect(stage.locations).toEqual([0, 1, 2, 3, 4, 5]);
    expect(stage.ends).toEqual([{ rewound: false }]);
  });
});

describe('Ticker', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('calls all tasks from one timer, which stops when there are no tasks', () => {
    const ticker = new Ticker();
    const calls = { one: 0, other: 0 };
    const one = () => {
      calls.one++;
    };
    const other = () => {
      calls.other++;
      ticker.delete(other);
    };
    ticker.add(one);
    ticker.add(other);
    ticker.add(one);
    expect(jest.getTimerCount()).toBe(1);
    jest.advanceTimersByTime(50);
    expect(calls).toEqual({ one: 1, other: 1 });
    jest.advanceTimersByTime(100);
    expect(calls).toEqual({ one: 3, other: 1 });
    ticker.delete(one);
    expect(jest.getTimerCount()).toBe(0);
    ticker.add(one);
    jest.advanceTimersByTime(50);
    expect(calls.one).toBe(4);
    ticker.delete(one);
  });

  it('leaves tasks that rest out until their time, however the clock jumps, and stops with the last of them', () => {
    let now = 0;
    const ticker = new Ticker(50, () => now);
    const calls: string[] = [];
    const tasks = ['one', 'other', 'third'].map((name) => () => void calls.push(name));
    const pass = (ms: number) => {
      now += ms;
      jest.advanceTimersByTime(ms > 50 ? 50 : ms);
      return calls.splice(0);
    };
    for (const task of tasks) ticker.add(task);
    ticker.rest(tasks[1]!, 120);
    ticker.rest(tasks[2]!, 3_600_000);
    expect(pass(50)).toEqual(['one']);
    expect(pass(50)).toEqual(['one']);
    expect(pass(50)).toEqual(['one', 'other']);
    expect(pass(50)).toEqual(['one', 'other']);
    ticker.rest(tasks[0]!, 1000);
    ticker.rest(tasks[1]!, 1000);
    // What is over has no effect, nor has a task that was never added.
    ticker.rest(() => calls.push('stranger'), 1000);
    expect(pass(50)).toEqual([]);
    expect(pass(10_000)).toEqual(['one', 'other']);
    ticker.rest(tasks[0]!, now - 1);
    expect(pass(50)).toEqual(['one', 'other']);
    ticker.delete(tasks[0]!);
    ticker.delete(tasks[1]!);
    expect(jest.getTimerCount()).toBe(1);
    ticker.delete(tasks[2]!);
    expect(jest.getTimerCount()).toBe(0);
  });
});
