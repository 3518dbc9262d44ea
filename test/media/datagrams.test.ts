import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  DatagramOutput,
  type DatagramOutputOptions,
  DatagramPacer,
  type DatagramSender,
} from '../../src/media/datagrams.js';
import type { WireBatch } from '../../src/media/wire.js';

/** A clock that advances only when the test says so, with a timer that runs on it. */
class Ticks {
  time = 0;
  timers = 0;
  #tick: (() => void) | undefined;

  now(): number {
    return this.time;
  }

  every(_milliseconds: number, tick: () => void): () => void {
    this.#tick = tick;
    this.timers++;
    return () => {
      this.#tick = undefined;
      this.timers--;
    };
  }

  pass(milliseconds: number): void {
    for (const end = this.time + milliseconds; this.time < end; ) {
      this.time += 4;
      this.#tick?.();
    }
  }
}

/** Takes datagrams, and answers each with the test's error. */
class Sender implements DatagramSender {
  readonly sent: Array<{ text: string; size: number; port: number; address: string; at: number }> = [];
  readonly dones: Array<(error: Error | null, bytes: number) => void> = [];
  error: NodeJS.ErrnoException | null = null;
  holds = false;
  readonly #ticks: Ticks;

  constructor(ticks: Ticks) {
    this.#ticks = ticks;
  }

  send(...[bytes, offset, size, port, address, done]: Parameters<DatagramSender['send']>): void {
    const text = bytes.toString('latin1', offset, offset + 1);
    this.sent.push({ text, size, port, address, at: this.#ticks.time });
    if (this.holds) this.dones.push(done);
    else done(this.error, 0);
  }

  get text(): string {
    return this.sent.map(({ text }) => text).join('');
  }
}

/** One unit for each letter. */
function batch(letters: string, size = 1000): WireBatch {
  const bytes = Buffer.concat([...letters].map((letter) => Buffer.alloc(size, letter)));
  return { bytes, ends: [...letters].map((_, index) => (index + 1) * size) };
}

function setUp(options: Partial<DatagramOutputOptions> = {}) {
  const ticks = new Ticks();
  const sender = new Sender(ticks);
  const pacer = new DatagramPacer(ticks);
  const output = new DatagramOutput({ sender, address: '192.0.2.7', port: 5004, pacer, ...options });
  return { ticks, sender, pacer, output };
}

describe('a player of datagrams', () => {
  it('gets each unit as its own datagram, at its own address', () => {
    const { sender, output } = setUp();
    output.put(batch('abc'));
    expect(sender.text).toBe('abc');
    expect(sender.sent[1]).toMatchObject({ size: 1000, port: 5004, address: '192.0.2.7' });
    expect(output.backlog).toBe(0);
  });

  it('gets at most 8 kB in 4 ms, however much is put at once', () => {
    const { ticks, sender, output } = setUp();
    output.put(batch('x'.repeat(1000)));
    ticks.pass(1000);
    expect(sender.sent).toHaveLength(1000);
    const times = new Map<number, number>();
    for (const { at, size } of sender.sent) times.set(at, (times.get(at) ?? 0) + size);
    expect(Math.max(...times.values())).toBe(8000);
  });

  it('gets a burst that the buffer of a receiver takes which is late by 90 ms', () => {
    const { ticks, sender, output } = setUp();
    output.put(batch('x'.repeat(100), 1450));
    ticks.pass(1000);
    expect(sender.sent).toHaveLength(100);
    // 64 KiB with the system's overhead of 854 bytes for each datagram of 1450.
    for (const { at } of sender.sent) {
      const within = sender.sent.filter((other) => other.at >= at && other.at < at + 90);
      expect(within.length * (1450 + 854)).toBeLessThan(2 * 65_536);
    }
    const rate = (sender.sent.length * 1450 * 8_000) / sender.sent.at(-1)!.at;
    expect(rate).toBeGreaterThan(3_000_000);
  });

  it('gets a burst at the rate that it was granted', () => {
    const { ticks, sender, output } = setUp();
    output.limit(800_000);
    output.put(batch('x'.repeat(100)));
    ticks.pass(500);
    expect(sender.sent.length).toBeGreaterThan(50);
    expect(sender.sent.length).toBeLessThan(62);
    output.limit(undefined);
    ticks.pass(150);
    expect(sender.sent).toHaveLength(100);
  });

  it('keeps up with content that needs more than the rate of bursts', () => {
    const { ticks, output } = setUp();
    output.limit(800_000);
    let most = 0;
    // 4 Mbit/s.
    for (let time = 0; time < 20_000; time += 100) {
      output.put(batch('x'.repeat(50)));
      ticks.pass(100);
      most = Math.max(most, output.backlog);
    }
    expect(most).toBeLessThan((4_000_000 / 8) * 2.2);
  });

  it('gets no more than the granted rate', () => {
    const { ticks, sender, output } = setUp({ rate: 400_000 });
    output.put(batch('x'.repeat(200)));
    ticks.pass(1000);
    const bytes = sender.sent.reduce((sum, { size }) => sum + size, 0);
    expect(bytes).toBeGreaterThanOrEqual(48_000);
    expect(bytes).toBeLessThanOrEqual(53_000);
  });

  it('resends units before everything that is waiting', () => {
    const { ticks, sender, output } = setUp();
    output.put(batch('aaaaaaaabb'));
    output.put(batch('cc'));
    output.repeat(batch('R'));
    ticks.pass(40);
    expect(sender.text).toBe('aaaaaaaRabbcc');
  });

  it('resends no more than it has room for', () => {
    const { output } = setUp();
    output.put(batch('x'.repeat(8)));
    expect(output.repeat(batch('R'.repeat(200)))).toBe(true);
    expect(output.repeat(batch('R'.repeat(200)))).toBe(false);
  });

  it('reports that the bytes may change once the last unit is sent, not before', () => {
    const { ticks, sender, output } = setUp();
    sender.holds = true;
    let isDone = false;
    output.put(batch('x'.repeat(10)), () => {
      isDone = true;
    });
    ticks.pass(8);
    expect(sender.sent).toHaveLength(10);
    for (const done of sender.dones.slice(0, 9)) done(null, 0);
    expect(isDone).toBe(false);
    sender.dones[9]!(null, 0);
    expect(isDone).toBe(true);
  });

  it('is drained when nothing is waiting any more; until then its backlog says how much', () => {
    const { ticks, output } = setUp();
    let drained = 0;
    output.put(batch('x'.repeat(20)));
    output.drained(() => drained++);
    expect(output.backlog).toBe(13_000);
    ticks.pass(4);
    expect(drained).toBe(0);
    ticks.pass(40);
    expect([output.backlog, drained]).toEqual([0, 1]);
  });

  it('shares one timer with all others, which stops when nothing is waiting', () => {
    const { ticks, sender, pacer, output } = setUp();
    const other = new DatagramOutput({ sender, address: '192.0.2.8', port: 5004, pacer });
    output.put(batch('x'.repeat(20)));
    other.put(batch('y'.repeat(30)));
    expect(ticks.timers).toBe(1);
    ticks.pass(80);
    expect(ticks.timers).toBe(0);
    expect(sender.sent).toHaveLength(50);
  });

  it('keeps a bounded queue and counts dropped units', () => {
    const { output } = setUp();
    for (let count = 0; count < 40; count++) output.put(batch('x'.repeat(1000)));
    expect(output.backlog).toBeLessThanOrEqual(32 * 1024 * 1024);
    expect(output.lostUnits).toBe(7_000);
  });

  it('drops units too large for the path, and says so once', () => {
    let told = 0;
    const { sender, output } = setUp({ onTooLarge: () => told++ });
    sender.error = Object.assign(new Error('too large'), { code: 'EMSGSIZE' });
    output.put(batch('abc'));
    expect(told).toBe(1);
    expect(output.lostUnits).toBe(3);
  });

  it('gives up a port on which nobody listens, but not after a single refusal', () => {
    let lost = 0;
    const { sender, output } = setUp({ onLost: () => lost++ });
    sender.error = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    output.put(batch('a', 10));
    expect(lost).toBe(0);
    output.put(batch('x'.repeat(30), 10));
    output.put(batch('z', 10));
    expect(lost).toBe(1);
    expect(sender.text).not.toContain('z');
  });

  it('gives all its buffers back when it is closed', () => {
    const { ticks, output } = setUp();
    let done = 0;
    output.put(batch('x'.repeat(30)), () => done++);
    output.put(batch('y'.repeat(30)), () => done++);
    output.close();
    expect(done).toBe(2);
    expect(ticks.timers).toBe(0);
  });

  it('reaches a real socket', async () => {
    const receiver = createSocket('udp4');
    const sender = createSocket('udp4');
    try {
      await new Promise<void>((resolve) => receiver.bind(0, '127.0.0.1', resolve));
      const { port } = receiver.address();
      const output = new DatagramOutput({ sender, address: '127.0.0.1', port, pacer: new DatagramPacer() });
      const got = once(receiver, 'message');
      output.put(batch('abcdefghij'));
      const [first] = (await got) as [Buffer];
      expect(first).toHaveLength(1000);
    } finally {
      receiver.close();
      sender.close();
    }
  });
});
