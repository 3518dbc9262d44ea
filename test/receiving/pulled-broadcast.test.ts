import { WmError } from '../../src/errors.js';
import type { AsfEvent } from '../../src/media/events.js';
import type { PullChain } from '../../src/receiving/pull-chain.js';
import { PulledBroadcast, type PulledBroadcastOptions } from '../../src/receiving/pulled-broadcast.js';
import { Refusal } from '../../src/refusal.js';
import { testHeader, testPacket } from '../support/stream.js';
import { Script } from './script.js';

const gone = (text = 'gone') => new WmError('WM_SERVER_GONE', text);
const header = (title: string): AsfEvent => ({ type: 'header', header: testHeader({ title }) });
const packet = (sendTime: number, key = true): AsfEvent => ({ type: 'packet', packet: testPacket(sendTime, { key }) });

/** Lets everything happen that does not wait for the outside. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A pulled broadcast on its own clock, with sources that the test scripts. */
class Rig {
  now = 1_000_000;
  /** The opened attempts, by source. */
  readonly opened: Script[][];
  readonly chains: PullChain[] = [];
  /** H with the title, p for a packet, M for an end with more to come, and E when nothing feeds it any longer. */
  readonly told: string[] = [];
  readonly warnings: string[] = [];
  readonly notes: string[] = [];
  stops = 0;
  wanted = false;
  free = true;
  taken = false;
  readonly pulled: PulledBroadcast;

  constructor(count: number, options: Partial<PulledBroadcastOptions> = {}) {
    this.opened = Array.from({ length: count }, () => []);
    this.pulled = new PulledBroadcast({
      policy: 'always',
      sources: this.opened.map((all, index) => ({
        name: `source ${index}`,
        open: (chain) => {
          this.chains.push(chain);
          const script = new Script();
          all.push(script);
          return script;
        },
      })),
      begin: () => {
        if (this.taken) throw new Refusal('taken', 'Somebody else has it.');
        return { write: (event) => void this.told.push(shown(event)), close: async () => {} };
      },
      end: () => void this.told.push('E'),
      wanted: () => this.wanted,
      free: () => this.free,
      onFailure: (source, reason) => void this.warnings.push(`${source}: ${reason}`),
      onNote: (text) => void this.notes.push(text),
      onStop: () => void this.stops++,
      now: () => this.now,
      random: () => 1,
      tick: 3_600_000,
      ...options,
    });
  }

  /** The newest attempt with a source. */
  last(index: number): Script {
    return this.opened[index]!.at(-1)!;
  }

  get attempts(): number[] {
    return this.opened.map((all) => all.length);
  }

  async tick(milliseconds: number): Promise<void> {
    this.now += milliseconds;
    this.pulled.sweep();
    await settle();
  }

  async feed(index: number, ...events: AsfEvent[]): Promise<void> {
    this.last(index).feed(...events);
    await settle();
  }

  async fail(index: number, error?: Error): Promise<void> {
    this.last(index).end(error);
    await settle();
  }
}

function shown(event: AsfEvent): string {
  if (event.type === 'packet') return 'p';
  if (event.type === 'end') return 'M';
  const described = event.header.objects.find((object) => object.type === 'contentDescription');
  return `H ${described?.type === 'contentDescription' ? described.title : ''}`;
}

/** A source that is scripted by its attempts. */
function film() {
  const scripts: Script[] = [];
  const open = () => {
    const script = new Script();
    scripts.push(script);
    return script;
  };
  return { scripts, open };
}

let rig: Rig;
afterEach(() => rig.pulled.close());

describe('a broadcast pulled from several sources', () => {
  it('comes from the first, and continues without an end from the next if that fails', async () => {
    rig = new Rig(3);
    rig.pulled.start();
    await rig.feed(0, header('a'), packet(0));
    expect(rig.pulled.source).toBe('source 0');
    await rig.fail(0, gone());
    expect(rig.attempts).toEqual([1, 1, 0]);
    expect(rig.told).toEqual(['H a', 'p']);
    await rig.feed(1, header('b'), packet(0));
    expect(rig.told).toEqual(['H a', 'p', 'H b', 'p']);
    expect(rig.warnings).toEqual(['source 0: gone']);
    expect(rig.notes).toEqual(['It comes from source 1 now.']);
    await rig.fail(1);
    await rig.feed(2, header('c'), packet(0));
    expect(rig.told).toEqual(['H a', 'p', 'H b', 'p', 'H c', 'p']);
  });

  it('returns to a better one at its key frame, and meanwhile loses nothing of the other', async () => {
    rig = new Rig(2, { returnAfter: 15_000 });
    rig.pulled.start();
    await rig.fail(0, gone());
    await rig.feed(1, header('b'), packet(0));
    await rig.tick(9_000);
    await rig.feed(1, packet(50));
    await rig.tick(5_000);
    expect(rig.attempts).toEqual([1, 1]);
    await rig.tick(1_000);
    expect(rig.attempts).toEqual([2, 1]);
    await rig.feed(0, header('a'), packet(0, false), packet(100, false));
    await rig.feed(1, packet(100));
    expect(rig.told).toEqual(['H b', 'p', 'p', 'p']);
    expect(rig.pulled.source).toBe('source 1');
    await rig.feed(0, packet(200, true));
    expect(rig.told).toEqual(['H b', 'p', 'p', 'p', 'H a', 'p']);
    expect(rig.pulled.source).toBe('source 0');
    expect(rig.last(1).closed).toBe(true);
    await rig.feed(1, packet(300));
    await rig.feed(0, packet(300, false));
    expect(rig.told.slice(4)).toEqual(['H a', 'p', 'p']);
    expect(rig.notes).toEqual(['It comes from source 1 now.', 'It comes from source 0 now.']);
  });

  it('stays with its source if a better one fails again, and retries that with growing pauses', async () => {
    rig = new Rig(2, { returnAfter: 1_000, backOff: { initialDelay: 1_000, maxDelay: 60_000 } });
    rig.pulled.start();
    await rig.fail(0, gone());
    await rig.feed(1, header('b'), packet(0));
    const tried: number[] = [];
    for (let second = 1; second <= 40; second++) {
      await rig.tick(1_000);
      await rig.feed(1, packet(second * 1_000));
      if (rig.attempts[0]! > tried.length + 1) {
        tried.push(second);
        await rig.fail(0, gone());
      }
    }
    expect(tried).toEqual([1, 3, 7, 15, 31]);
    expect(rig.pulled.source).toBe('source 1');
    expect(rig.told).not.toContain('E');
  });

  it('switches to the better one at its key frame if the other one ends meanwhile', async () => {
    rig = new Rig(2, { returnAfter: 1_000 });
    rig.pulled.start();
    await rig.fail(0, gone());
    await rig.feed(1, header('b'), packet(0));
    await rig.tick(2_000);
    await rig.feed(0, header('a'), packet(0, false));
    await rig.fail(1, gone());
    expect(rig.told).toEqual(['H b', 'p']);
    await rig.feed(0, packet(100, true));
    expect(rig.told).toEqual(['H b', 'p', 'H a', 'p']);
  });

  it('leaves a source that falls silent, before it has a header and after', async () => {
    rig = new Rig(3, { stall: 10_000, patience: 15_000 });
    rig.pulled.start();
    await rig.tick(14_999);
    expect(rig.attempts).toEqual([1, 0, 0]);
    await rig.tick(1);
    expect(rig.attempts).toEqual([1, 1, 0]);
    expect(rig.last(0).closed).toBe(true);
    await rig.feed(1, header('b'), packet(0));
    for (let second = 0; second < 30; second++) {
      if (second % 9 === 0) await rig.feed(1, packet(second * 1_000));
      await rig.tick(1_000);
      if (rig.attempts[0] === 2) await rig.fail(0, gone());
    }
    expect(rig.pulled.source).toBe('source 1');
    // The last attempt was 2 s ago.
    for (let second = 0; second < 7; second++) await rig.tick(1_000);
    expect(rig.pulled.source).toBe('source 1');
    await rig.tick(1_000);
    expect(rig.pulled.source).toBeUndefined();
    expect(rig.warnings).toContain('source 0: Nothing arrived for 15 s.');
    expect(rig.warnings.at(-1)).toBe('source 1: Nothing arrived for 10 s.');
  });

  it('ends when no source delivers, and tries all of them again', async () => {
    rig = new Rig(2);
    rig.pulled.start();
    await rig.feed(0, header('a'), packet(0));
    await rig.fail(0);
    await rig.fail(1, gone());
    expect(rig.told).toEqual(['H a', 'p', 'E']);
    await rig.tick(1_000);
    await rig.feed(0, header('a'), packet(0));
    expect(rig.told).toEqual(['H a', 'p', 'E', 'H a', 'p']);
  });
});

describe('a broadcast pulled from one source', () => {
  it('is retried and warned about with growing pauses, which are short again once it has lasted', async () => {
    rig = new Rig(1);
    rig.pulled.start();
    const tried: number[] = [];
    for (let second = 1; second <= 400; second++) {
      if (rig.attempts[0]! > tried.length) {
        tried.push(second);
        await rig.fail(0, gone());
      }
      await rig.tick(1_000);
    }
    expect(tried.slice(0, 8)).toEqual([1, 2, 4, 8, 16, 32, 62, 92]);
    // After 0, then a minute, two, four …
    expect(rig.warnings[0]).toBe('source 0: gone');
    expect(rig.warnings.length).toBeLessThanOrEqual(4);
    expect(rig.warnings.at(-1)).toMatch(/^source 0: gone \(\d+ more failures since the last message\)$/);
    while (!rig.last(0) || rig.attempts[0] === tried.length) await rig.tick(1_000);
    await rig.feed(0, header('a'), packet(0));
    expect(rig.notes).toEqual(['source 0 is there again.']);
    await rig.tick(20_000);
    const before = rig.attempts[0]!;
    await rig.fail(0, gone());
    expect(rig.warnings.at(-1)).toBe('source 0: gone');
    await rig.tick(1_000);
    expect(rig.attempts[0]).toBe(before + 1);
  });

  it('passes its entries on, and waits for the sink', async () => {
    let release = () => {};
    let writes = 0;
    rig = new Rig(1, {
      begin: () => ({
        write: () => {
          writes++;
          return new Promise<void>((resolve) => (release = resolve));
        },
        close: async () => {},
      }),
    });
    rig.pulled.start();
    await rig.feed(0, header('a'), packet(0), packet(1));
    expect(writes).toBe(1);
    release();
    await settle();
    expect(writes).toBe(2);
    // A source that never answers does not prevent closing.
    await rig.pulled.close();
    expect(rig.last(0).closed).toBe(true);
  });

  it('forwards the end of an entry with more to come', async () => {
    rig = new Rig(1);
    rig.pulled.start();
    await rig.feed(0, header('a'), packet(0), { type: 'end', moreEntries: true, reason: 1 }, header('b'), packet(0));
    expect(rig.told).toEqual(['H a', 'p', 'M', 'H b', 'p']);
  });

  it('gives way while something else feeds the broadcast, and comes back after that', async () => {
    rig = new Rig(1);
    rig.pulled.start();
    await rig.feed(0, header('a'), packet(0));
    rig.free = false;
    rig.pulled.displaced();
    await settle();
    expect(rig.last(0).closed).toBe(true);
    await rig.tick(60_000);
    expect(rig.attempts).toEqual([1]);
    expect(rig.told).toEqual(['H a', 'p']);
    rig.free = true;
    await rig.tick(1_000);
    await rig.feed(0, header('a'), packet(0));
    expect(rig.told).toEqual(['H a', 'p', 'H a', 'p']);
    expect(rig.warnings).toEqual([]);
  });

  it('fails like a source if somebody else has the broadcast after all', async () => {
    rig = new Rig(1);
    rig.taken = true;
    rig.pulled.start();
    await rig.feed(0, header('a'), packet(0));
    expect(rig.warnings).toEqual(['source 0: Somebody else has it.']);
    expect(rig.last(0).closed).toBe(true);
    rig.taken = false;
    await rig.tick(1_000);
    await rig.feed(0, header('a'));
    expect(rig.told).toEqual(['H a']);
  });
});

describe('a broadcast pulled for its first player', () => {
  const onDemand = (count = 1, options: Partial<PulledBroadcastOptions> = {}) =>
    new Rig(count, { policy: 'first-player', linger: 30_000, ...options });

  it('begins once for all players that ask, and continues for a while without players', async () => {
    rig = onDemand();
    await rig.tick(100_000);
    expect(rig.attempts).toEqual([0]);
    const both = Promise.all([rig.pulled.demand(), rig.pulled.demand()]);
    expect(rig.attempts).toEqual([1]);
    await rig.feed(0, header('a'), packet(0));
    await both;
    rig.wanted = true;
    await rig.tick(100_000);
    expect(rig.pulled.live).toBe(true);
    rig.wanted = false;
    await rig.tick(30_000);
    expect(rig.pulled.live).toBe(true);
    await rig.tick(1);
    expect(rig.pulled.running).toBe(false);
    expect(rig.last(0).closed).toBe(true);
    expect(rig.told).toEqual(['H a', 'p', 'E']);
    expect(rig.stops).toBe(1);
    const again = rig.pulled.demand();
    await rig.feed(0, header('a'));
    await again;
    expect(rig.attempts).toEqual([2]);
  });

  it('says at once why it is unavailable, after asking the next source, and does not retry before a pause', async () => {
    rig = onDemand(2);
    const failed = expect(rig.pulled.demand()).rejects.toMatchObject({ message: 'second' });
    await rig.fail(0, gone('first'));
    await rig.fail(1, gone('second'));
    await failed;
    expect(rig.stops).toBe(1);
    await expect(rig.pulled.demand()).rejects.toMatchObject({ message: 'second' });
    expect(rig.attempts).toEqual([1, 1]);
    rig.now += 1_000;
    const later = rig.pulled.demand();
    await rig.feed(0, header('a'));
    await later;
    expect(rig.attempts).toEqual([2, 1]);
  });

  it('keeps no player waiting for longer than allowed', async () => {
    rig = onDemand(1, { patience: 20 });
    await expect(rig.pulled.demand()).rejects.toMatchObject({
      code: 'WM_UNREACHABLE',
      message: 'source 0 delivered nothing within 0.02 s.',
    });
  });

  it('tells waiting players when it is closed', async () => {
    rig = onDemand();
    const waiting = expect(rig.pulled.demand()).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
    await rig.pulled.close();
    await waiting;
    await expect(rig.pulled.demand()).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
    expect(rig.last(0).closed).toBe(true);
  });

  it('refuses to wait for itself, and for too many servers', async () => {
    rig = onDemand();
    const other = 'ab12.7';
    const waiting = rig.pulled.demand([other]);
    expect(rig.chains).toEqual([[other, rig.pulled.name]]);
    await expect(rig.pulled.demand([other, rig.pulled.name, 'cd34.1'])).rejects.toMatchObject({ kind: 'failed' });
    await expect(rig.pulled.demand(Array(9).fill(other))).rejects.toMatchObject({ kind: 'failed' });
    await rig.feed(0, header('a'));
    await waiting;
    await rig.fail(0, gone());
    rig.now += 60_000;
    const again = rig.pulled.demand();
    expect(rig.chains[1]).toEqual([rig.pulled.name]);
    await rig.feed(0, header('a'));
    await again;
  });
});

describe('a source whose end is meant', () => {
  it('does not return to a source whose end is final until it is requested again', async () => {
    const { scripts, open } = film();
    rig = new Rig(0, { policy: 'first-player', sources: [{ name: 'film', ends: true, open }] });
    const first = rig.pulled.demand();
    await settle();
    scripts[0]!.feed(header('film'), packet(0));
    await first;
    scripts[0]!.end();
    await settle();
    expect([rig.pulled.running, rig.warnings, rig.notes]).toEqual([false, [], ['film has ended.']]);
    const second = rig.pulled.demand();
    await settle();
    scripts[1]!.feed(header('film'), packet(0));
    await second;
    scripts[1]!.end(gone());
    await settle();
    expect(rig.warnings).toEqual(['film: gone']);
  });

  it('stays without a source whose end is meant, however long it runs', async () => {
    const { scripts, open } = film();
    rig = new Rig(0, { sources: [{ name: 'film', ends: true, open }] });
    rig.pulled.start();
    await settle();
    scripts[0]!.feed(header('film'), packet(0));
    scripts[0]!.end();
    await settle();
    await rig.tick(3_600_000);
    expect([scripts.length, rig.told.at(-1)]).toEqual([1, 'E']);
  });

  it('is not given up for its silence if it may pause, unlike others', async () => {
    for (const pauses of [true, false]) {
      const [one, two] = [film(), film()];
      const sources = [
        { name: 'one', pauses, open: one.open },
        { name: 'two', open: two.open },
      ];
      rig = new Rig(0, { stall: 10_000, sources });
      rig.pulled.start();
      await settle();
      one.scripts[0]!.feed(header('one'), packet(0));
      await settle();
      await rig.tick(1_000);
      await rig.tick(60_000);
      expect(rig.pulled.source).toBe(pauses ? 'one' : undefined);
      await rig.pulled.close();
    }
  });
});
