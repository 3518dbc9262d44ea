import type { AsfHeader } from '../../src/asf/header.js';
import type { AsfEvent, AsfSource } from '../../src/media/events.js';
import type { Clock } from '../../src/media/pacing.js';
import { Rundown, type RundownEntry, type RundownOptions } from '../../src/media/rundown.js';
import { testHeader } from '../support/stream.js';
import { makePacket } from './support.js';

/** A clock that a test moves. */
class ManualClock implements Clock {
  #now = 0;
  #sleepers: Array<{ readonly until: number; readonly wake: () => void }> = [];

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const sleeper = { until: this.#now + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((each) => each !== sleeper);
        resolve();
      });
    });
  }

  /** Lets time pass in steps, and everything that waits for it happen. */
  async pass(ms: number): Promise<void> {
    for (const end = this.#now + ms; this.#now < end; ) {
      this.#now = Math.min(end, this.#now + 50);
      const due = this.#sleepers.filter(({ until }) => until <= this.#now);
      this.#sleepers = this.#sleepers.filter(({ until }) => until > this.#now);
      for (const { wake } of due) wake();
      await settled();
    }
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A source that a test feeds. */
class Fed implements AsfSource {
  #waiting: AsfEvent[] = [];
  #over: { readonly error?: Error } | undefined;
  #wake: () => void = () => {};
  closed = false;

  put(...events: AsfEvent[]): this {
    this.#waiting.push(...events);
    this.#wake();
    return this;
  }

  end(error?: Error): this {
    this.#over = error ? { error } : {};
    this.#wake();
    return this;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    while (!this.closed) {
      const next = this.#waiting.shift();
      if (next) yield next;
      else if (this.#over?.error) throw this.#over.error;
      else if (this.#over) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  close(): Promise<void> {
    this.closed = true;
    this.#wake();
    return Promise.resolve();
  }
}

const PREROLL = 1000;

/** Packets 100 ms apart with a key frame first in each second; `mark` is in their data. */
function media(mark: number, count: number, { first = 0, title = '', preroll = PREROLL } = {}): AsfEvent[] {
  const packets = Array.from({ length: count }, (_, at): AsfEvent => {
    const index = first + at;
    const time = index * 100;
    const payload = { time: time + PREROLL, key: index % 10 === 0, number: index, size: mark };
    return { type: 'packet', packet: makePacket(time, [payload]) };
  });
  return first > 0 ? packets : [{ type: 'header', header: testHeader({ title, preroll }) }, ...packets];
}

function entry(
  name: string,
  source: () => AsfSource | Promise<AsfSource>,
  more: Partial<RundownEntry> = {},
): RundownEntry {
  return { name, live: false, open: source, ...more };
}

/** A file: all of it is there at once. */
function file(name: string, mark: number, count: number, more: Partial<RundownEntry> = {}): RundownEntry {
  const open = (position: number) => {
    const first = position / 100;
    const [header] = media(mark, 0, { title: name });
    const packets = media(mark, count - first, { first: Math.max(first, 0) }).filter(({ type }) => type === 'packet');
    return new Fed().put(header!, ...packets).end();
  };
  return { name, live: false, open, ...more };
}

interface Sent {
  /** The marks of the packets in a row, each with its number of packets. */
  readonly story: () => string;
  readonly times: number[];
  readonly headers: AsfHeader[];
  readonly keys: boolean[];
  readonly events: AsfEvent[];
  readonly rundown: Rundown;
  readonly clock: ManualClock;
  readonly done: Promise<unknown>;
}

function run(options: RundownOptions): Sent {
  const clock = new ManualClock();
  const rundown = new Rundown({ clock, ...options });
  const events: AsfEvent[] = [];
  const [times, keys, marks]: [number[], boolean[], number[]] = [[], [], []];
  const headers: AsfHeader[] = [];
  const read = async () => {
    for await (const event of rundown) {
      events.push(event);
      if (event.type === 'header') headers.push(event.header);
      if (event.type !== 'packet') continue;
      const [payload] = event.packet.payloads;
      times.push(payload!.presentationTime);
      keys.push(payload!.key);
      marks.push(payload!.objectSize);
    }
  };
  const done = read().then(
    () => undefined,
    (error: unknown) => error,
  );
  const story = () => {
    const runs: Array<[number, number]> = [];
    for (const mark of marks) {
      if (runs.at(-1)?.[0] === mark) runs.at(-1)![1]++;
      else runs.push([mark, 1]);
    }
    return runs.map(([mark, count]) => `${mark}x${count}`).join(' ');
  };
  return { story, times, headers, keys, events, rundown, clock, done };
}

function rises(times: readonly number[]): boolean {
  return times.every((time, index) => index === 0 || time > times[index - 1]!);
}

describe('a rundown', () => {
  it('plays files of the same streams as one stream under one header, at their pace', async () => {
    const { story, times, headers, events, clock, done } = run({ entries: [file('a', 1, 20), file('b', 2, 10)] });
    await clock.pass(1_000);
    expect(story()).toMatch(/^1x1[012]$/);
    await clock.pass(2_500);
    expect(await done).toBeUndefined();
    expect(story()).toBe('1x20 2x10');
    expect(headers).toHaveLength(1);
    expect(times).toEqual(Array.from({ length: 30 }, (_, index) => PREROLL + index * 100));
    expect(events.at(-1)).toMatchObject({ type: 'end', moreEntries: false });
  });

  it('announces an entry with other streams', async () => {
    const other = entry('other', () => new Fed().put(...media(2, 5, { preroll: 2000 })).end());
    const { events, headers, clock, done } = run({ entries: [file('a', 1, 5), other] });
    await clock.pass(3_000);
    expect(await done).toBeUndefined();
    expect(headers).toHaveLength(2);
    expect(events[6]).toMatchObject({ type: 'end', moreEntries: true, reason: 1 });
  });

  it('plays its entries as often as it is told', async () => {
    const { story, times, clock, done } = run({ entries: [file('a', 1, 5), file('b', 2, 5)], rounds: 2 });
    await clock.pass(3_000);
    expect(await done).toBeUndefined();
    expect(story()).toBe('1x5 2x5 1x5 2x5');
    expect(rises(times)).toBe(true);
  });

  it('skips what cannot be opened, and fails if that is everything', async () => {
    const skipped: string[] = [];
    const broken = entry('broken', () => new Fed().end(new Error('no')));
    const onSkipped = (error: unknown, { name }: RundownEntry) => skipped.push(`${name}: ${String(error)}`);
    const some = run({ entries: [broken, file('b', 2, 5)], onSkipped });
    await some.clock.pass(2_000);
    expect([await some.done, some.story(), skipped]).toEqual([undefined, '2x5', ['broken: Error: no']]);
    const none = run({ entries: [broken, broken], rounds: Number.POSITIVE_INFINITY });
    await none.clock.pass(1_000);
    expect(await none.done).toEqual(new Error('no'));
  });

  it('ends after its duration', async () => {
    const { story, clock, done } = run({ entries: [file('a', 1, 8), file('b', 2, 90)], duration: 1.2 });
    await clock.pass(3_000);
    expect(await done).toBeUndefined();
    expect(story()).toBe('1x8 2x4');
  });

  it('switches to another entry once that has something to show, at a key frame', async () => {
    const next = new Fed();
    const entries = [file('a', 1, 100), entry('b', () => next, { live: true, unclean: true })];
    const { story, times, keys, headers, rundown, clock } = run({ entries });
    await clock.pass(500);
    let isDone = false;
    void rundown.next().then(() => {
      isDone = true;
    });
    await clock.pass(1_000);
    expect(rundown.status).toMatchObject({ input: 'a', next: 'b', state: 'playing' });
    // It begins in the middle of a picture.
    next.put(...media(2, 0), ...media(2, 10, { first: 5 }));
    await clock.pass(100);
    expect(isDone).toBe(true);
    expect(rundown.status).toMatchObject({ input: 'b', number: 2, state: 'playing' });
    expect(story()).toMatch(/^1x1[67] 2x5$/);
    expect(keys[story().startsWith('1x16') ? 16 : 17]).toBe(true);
    expect(rises(times)).toBe(true);
    expect(headers).toHaveLength(1);
    await rundown.close();
  });

  it('keeps what is on the air when the other entry cannot be opened', async () => {
    const broken = entry('broken', () => new Fed().end(new Error('gone')));
    const { story, rundown, clock } = run({ entries: [file('a', 1, 100), broken] });
    await clock.pass(500);
    const refused = rundown.play(2).catch((error: unknown) => error);
    await clock.pass(500);
    expect(await refused).toEqual(new Error('gone'));
    expect(story()).toMatch(/^1x1[012]$/);
    expect(rundown.status).toMatchObject({ input: 'a', state: 'playing' });
    const more = rundown.play(broken).catch((error: unknown) => error);
    await clock.pass(100);
    expect(await more).toEqual(new Error('gone'));
    expect(rundown.status.inputs).toEqual(['a', 'broken']);
    await expect(rundown.play(3)).rejects.toThrow('There is no input 3; there are 2.');
    await expect(rundown.previous()).rejects.toThrow('a is the first input.');
    await rundown.close();
  });

  it('takes another entry, plays it next, and goes on with the list', async () => {
    const { story, rundown, clock, done } = run({ entries: [file('a', 1, 50), file('b', 2, 5)] });
    await clock.pass(500);
    const played = rundown.play(file('c', 3, 5));
    await clock.pass(100);
    await played;
    expect(rundown.status.inputs).toEqual(['a', 'c', 'b']);
    await clock.pass(2_000);
    await done;
    expect(story()).toMatch(/^1x[67] 3x5 2x5$/);
  });

  it('shows the still during a pause, and goes on where it was', async () => {
    const stills: string[] = [];
    const still = ({ name }: RundownEntry, position: number) => {
      stills.push(`${name} at ${position}`);
      return file('still', 9, 1000).open(0);
    };
    const entries = [file('a', 1, 30, { seekable: true })];
    const { story, times, headers, rundown, clock, done } = run({ entries, still });
    await clock.pass(900);
    const paused = rundown.pause();
    await clock.pass(50);
    await paused;
    const { position } = rundown.status;
    expect(stills).toHaveLength(1);
    await clock.pass(1_000);
    expect(rundown.status).toMatchObject({ state: 'paused', position });
    const resumed = rundown.resume();
    await clock.pass(100);
    await resumed;
    await clock.pass(3_000);
    await done;
    expect(story()).toMatch(/^1x1[01] 9x1[012] 1x20$/);
    expect(rises(times)).toBe(true);
    expect(headers).toHaveLength(1);
    await expect(rundown.resume()).rejects.toThrow('It is not paused.');
  });

  it('goes on live, at a key frame, after a pause of what cannot be opened elsewhere', async () => {
    const source = new Fed().put(...media(1, 10));
    const filler = () => file('filler', 9, 1000).open(0);
    const { story, keys, rundown, clock } = run({ entries: [entry('a', () => source, { live: true })], filler });
    await clock.pass(100);
    const paused = rundown.pause();
    await clock.pass(100);
    await paused;
    source.put(...media(1, 12, { first: 10 }));
    await clock.pass(500);
    const resumed = rundown.resume();
    await clock.pass(100);
    source.put(...media(1, 12, { first: 22 }));
    await clock.pass(100);
    await resumed;
    expect(story()).toMatch(/^1x10 9x\d 1x4$/);
    expect(keys[keys.length - 4]).toBe(true);
    await rundown.close();
  });

  it('shows the filler while a source is down, and the source again when it is back', async () => {
    const sources: Fed[] = [];
    const filler = () => file('filler', 9, 1000).open(0);
    const camera = entry('camera', () => sources[sources.push(new Fed()) - 1]!, { live: true, returns: true });
    const { story, times, headers, rundown, clock } = run({ entries: [camera], filler });
    await clock.pass(50);
    sources[0]!.put(...media(1, 10)).end(new Error('The camera is gone.'));
    await clock.pass(2_000);
    expect(rundown.status).toMatchObject({ state: 'filler', input: 'camera' });
    sources.at(-1)!.end(new Error('It is still gone.'));
    await clock.pass(5_000);
    sources.at(-1)!.put(...media(2, 10));
    await clock.pass(100);
    expect(rundown.status).toMatchObject({ state: 'playing' });
    expect(story()).toMatch(/^1x10 9x6\d 2x10$/);
    expect(rises(times)).toBe(true);
    expect(headers).toHaveLength(1);
    await rundown.close();
  });

  it('shows the filler while a live source is silent, and then its next key frame', async () => {
    const source = new Fed().put(...media(1, 15));
    const filler = () => file('filler', 9, 1000).open(0);
    const { story, keys, rundown, clock } = run({ entries: [entry('a', () => source, { live: true })], filler });
    await clock.pass(4_000);
    expect(rundown.status.state).toBe('filler');
    source.put(...media(1, 10, { first: 15 }));
    await clock.pass(100);
    expect(rundown.status.state).toBe('playing');
    expect(story()).toMatch(/^1x15 9x[12]\d 1x5$/);
    expect(keys[keys.length - 5]).toBe(true);
    await rundown.close();
  });

  it('begins with the filler if no source is there, and waits for one', async () => {
    let isThere = false;
    const open = () => (isThere ? file('a', 1, 10).open(0) : new Fed().end(new Error('not yet')));
    const filler = () => file('filler', 9, 1000).open(0);
    const entries = [entry('a', open, { returns: true })];
    const { story, rundown, clock } = run({ entries, filler });
    await clock.pass(3_000);
    expect(rundown.status.state).toBe('filler');
    isThere = true;
    await clock.pass(6_000);
    expect(story()).toMatch(/^9x\d\d 1x\d\d$/);
    await rundown.close();
  });

  it('catches up with the clock after a source was late', async () => {
    const late = new Fed();
    const { times, clock, rundown } = run({ entries: [file('a', 1, 10), entry('b', () => late)] });
    await clock.pass(3_000);
    expect(times).toHaveLength(10);
    late.put(...media(2, 40));
    await clock.pass(100);
    expect(times.length).toBeGreaterThan(29);
    expect(times.length).toBeLessThan(35);
    await rundown.close();
  });
});
