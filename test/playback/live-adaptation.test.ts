import fc from 'fast-check';
import { parsePacket } from '../../src/asf/packet.js';
import { rateOf } from '../../src/playback/ladder.js';
import { LiveAdaptation, SETTLING, SHORTEST_QUIET } from '../../src/playback/live-adaptation.js';
import { ALL_STREAMS, levelOf, NO_STREAMS, type StreamSelection, switched } from '../../src/playback/selection.js';
import { dataWire } from '../../src/wmsp/messages/packets.js';
import { AUDIO } from '../support/stream.js';
import { ratesHeader, SOUND_RATE } from './rates.js';
import { FakePort, Feeder, House } from './support.js';

const [LOW, MIDDLE, HIGH] = [3, 1, 5];
const several = () => ratesHeader({ [MIDDLE]: 300_000, [LOW]: 100_000, [HIGH]: 700_000 });

const levels = (selection: StreamSelection, ...streams: number[]) =>
  streams.map((stream) => levelOf(selection, stream));
const chosen = (...streams: number[]) =>
  switched(
    NO_STREAMS,
    streams.map((destination) => ({ source: undefined, destination, level: 0 as const })),
  );

interface LineOptions {
  readonly asked?: StreamSelection;
  readonly header?: ReturnType<typeof ratesHeader>;
  /** Bits that the kernel and the network take before anything waits. */
  readonly hidden?: number;
  /** True if the server can see them; default false. */
  readonly seen?: boolean;
  /** Seconds between key frames. */
  readonly keys?: number;
}

interface Piece {
  ms: number;
  bits: number;
  readonly key: boolean;
  readonly of: StreamSelection;
}

/** Moves bits from the front of a queue. @returns those for which there was nothing */
function move(
  from: Array<{ ms: number; bits: number }>,
  most: number,
  to?: Array<{ ms: number; bits: number }>,
): number {
  let room = most;
  while (room > 0 && from.length > 0) {
    const [first] = from;
    const bits = Math.min(room, first!.bits);
    const ms = first!.bits > 0 ? (first!.ms * bits) / first!.bits : first!.ms;
    first!.bits -= bits;
    first!.ms -= ms;
    to?.push({ ms, bits });
    room -= bits;
    if (first!.bits <= 0) from.shift();
  }
  return room;
}

/** How much the broadcast keeps, in ms. */
const HISTORY = 10_000;

/**
 * A player at the end of a line that carries so many bits per second. What it does not carry waits in the broadcast, where it
 * can still be changed from the next key frame on.
 */
class Line {
  readonly adaptation = new LiveAdaptation();
  readonly steps: Array<{ readonly at: number; readonly from: number; readonly to: number }> = [];
  readonly #asked: StreamSelection;
  readonly #header: ReturnType<typeof ratesHeader>;
  readonly #hidden: number;
  readonly #keys: number;
  #granted: StreamSelection;
  readonly #seen: boolean;
  /** What the kernel and the network have. */
  #inside: Array<{ ms: number; bits: number }> = [];
  #waiting: Piece[] = [];
  #skipped = 0;
  now = 0;
  carries = Number.POSITIVE_INFINITY;

  constructor({ asked = ALL_STREAMS, header = several(), hidden = 0, seen = false, keys = 1 }: LineOptions = {}) {
    this.#seen = seen;
    this.#asked = asked;
    this.#header = header;
    this.#hidden = hidden;
    this.#keys = keys;
    this.#granted = this.adaptation.grant(asked, header);
  }

  #sent: StreamSelection | undefined;
  /** Bits that the line could have carried besides in the last step. */
  #room = 0;

  get granted(): StreamSelection {
    return this.#granted;
  }

  get rate(): number {
    return rateOf(this.#granted, this.#header);
  }

  /** Media that waits, in ms. */
  get late(): number {
    const all = this.#seen ? [...this.#inside, ...this.#waiting] : this.#waiting;
    return all.reduce((sum, { ms }) => sum + ms, 0);
  }

  /** Lets seconds pass. @param carries the line's bits per second from now on */
  seconds(count: number, carries = this.carries): this {
    this.carries = carries;
    for (let step = 0; step < count * 10; step++) {
      const key = this.now % (this.#keys * 1_000) === 0;
      this.now += 100;
      this.#waiting.push(this.#piece(key, this.#waiting.at(-1)?.of ?? this.#sent ?? this.#granted));
      this.#change();
      this.#carry();
      this.#take();
      if (this.#waiting.length > HISTORY / 100) this.#skip();
      if (this.now % 1_000 === 0) this.#observe();
    }
    return this;
  }

  #piece(key: boolean, of: StreamSelection): Piece {
    return { ms: 100, bits: rateOf(of, this.#header) / 10, key, of };
  }

  /** What waits is that of the granted streams, from its first key frame on. */
  #change(): void {
    const from = this.#waiting.findIndex(({ key, of, ms }) => key && ms === 100 && of !== this.#granted);
    if (from !== -1)
      this.#waiting = this.#waiting.map((piece, index) =>
        index < from ? piece : this.#piece(piece.key, this.#granted),
      );
  }

  /** The line takes bits out of the kernel. */
  #carry(): void {
    this.#room = move(this.#inside, this.carries / 10);
  }

  /** The kernel takes what waits. */
  #take(): void {
    const room = this.#hidden + this.#room - this.#inside.reduce((sum, { bits }) => sum + bits, 0);
    const before = this.#waiting[0]?.of;
    const left = this.#waiting.length;
    move(this.#waiting, room, this.#inside);
    if (this.#waiting.length < left) this.#sent = this.#waiting[0]?.of ?? before;
    move(this.#inside, this.#room);
  }

  /** What is no longer kept is lost, up to the newest key frame. */
  #skip(): void {
    const newest = this.#waiting.findLastIndex(({ key }) => key);
    this.#skipped += Math.max(newest, 1);
    this.#waiting.splice(0, Math.max(newest, 1));
  }

  #observe(): void {
    const switching = (this.#waiting[0]?.of ?? this.#sent) !== this.#granted;
    const { now, late } = this;
    if (!this.adaptation.observe({ now, late, skipped: this.#skipped, switching })) return;
    const from = this.rate;
    this.#granted = this.adaptation.grant(this.#asked, this.#header);
    this.steps.push({ at: this.now / 1_000, from, to: this.rate });
  }
}

describe('a player of a broadcast whose line becomes too slow', () => {
  it('gets everything that it asked for while it keeps up', () => {
    const line = new Line().seconds(600);
    expect(line.granted).toBe(ALL_STREAMS);
    expect(line.steps).toEqual([]);
  });

  it('gets what the line carries within seconds, and from the next key frame on', () => {
    const line = new Line().seconds(10).seconds(5, 450_000);
    expect(levels(line.granted, LOW, AUDIO, MIDDLE, HIGH)).toEqual([2, 0, 0, 2]);
    expect(line.steps).toHaveLength(1);
    line.seconds(10);
    expect(line.late).toBe(0);
  });

  it('gets less of streams that exclude each other only among those that it turned on', () => {
    const line = new Line({ asked: chosen(MIDDLE, HIGH, AUDIO) }).seconds(10).seconds(60, 200_000);
    expect(levels(line.granted, LOW, AUDIO, MIDDLE, HIGH)).toEqual([2, 0, 1, 2]);
  });

  it('gets only key frames, and at last only the sound, of one rate', () => {
    const line = new Line({ asked: chosen(MIDDLE, AUDIO) });
    line.seconds(10).seconds(60, 200_000);
    expect(levels(line.granted, LOW, AUDIO, MIDDLE, HIGH)).toEqual([2, 0, 1, 2]);
    line.seconds(60, 80_000);
    expect(levels(line.granted, LOW, AUDIO, MIDDLE, HIGH)).toEqual([2, 0, 2, 2]);
  });

  it('keeps what it has through a short outage', () => {
    const line = new Line().seconds(10).seconds(2, 0).seconds(60, 2_000_000);
    expect(line.steps).toEqual([]);
  });

  it('gets no less of sound alone, and nothing of nothing', () => {
    for (const asked of [chosen(AUDIO), NO_STREAMS]) {
      const line = new Line({ asked }).seconds(10).seconds(60, 10_000);
      expect(line.granted).toBe(asked);
    }
  });

  it('gets less before the kernel is full, where the server can see what the kernel holds', () => {
    const [seen, unseen] = [true, false].map((each) => new Line({ hidden: 2_000_000, seen: each }).seconds(10));
    seen!.seconds(10, 450_000);
    unseen!.seconds(10, 450_000);
    expect(seen!.steps[0]!.at).toBeLessThan(14);
    expect(levels(seen!.granted, LOW, AUDIO, MIDDLE, HIGH)).toEqual([2, 0, 0, 2]);
    expect(unseen!.steps[0]?.at ?? 99).toBeGreaterThan(13);
  });

  it('keeps what it has while it takes its first seconds, and far away', () => {
    const { adaptation } = new Line();
    let now = 0;
    const steps = [
      ...[0, 6_000, 5_600, 4_100, 2_600, 900],
      ...Array.from({ length: 60 }, (_, at) => 600 + (at % 4) * 130),
    ].map((late) => adaptation.observe({ now: (now += 1_000), late, skipped: 0, switching: false }));
    expect(steps).not.toContain(true);
  });

  it('gets less in its first seconds if the line is too slow for them', () => {
    const { adaptation } = new Line();
    let now = 0;
    const steps = [0, 3_000, 3_500, 4_000, 4_500].map((late) =>
      adaptation.observe({ now: (now += 1_000), late, skipped: 0, switching: false }),
    );
    expect(steps).toContain(true);
  });

  it('waits for a change to take effect before it decides again', () => {
    const line = new Line({ keys: 8 }).seconds(16).seconds(16, 450_000);
    expect(line.steps).toHaveLength(1);
  });
});

describe('a player of a broadcast whose line is good again', () => {
  it('gets more, rung by rung, each after a quiet time', () => {
    const line = new Line().seconds(10).seconds(20, 220_000).seconds(1, Number.POSITIVE_INFINITY);
    const before = line.steps.length;
    expect(levels(line.granted, LOW, AUDIO, MIDDLE, HIGH)).toEqual([0, 0, 2, 2]);
    line.seconds(90);
    const ups = line.steps.slice(before);
    expect(ups.map(({ to }) => to - SOUND_RATE)).toEqual([300_000, 700_000, 1_100_000]);
    const gaps = ups.slice(1).map(({ at }, index) => at - ups[index]!.at);
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(SHORTEST_QUIET / 1_000);
    expect(line.granted).toBe(ALL_STREAMS);
  });

  it('goes back when that was too much, and waits twice as long each time', () => {
    const line = new Line({ asked: chosen(LOW, HIGH, AUDIO), hidden: 100_000 }).seconds(10).seconds(600, 400_000);
    const ups = line.steps.filter(({ from, to }) => to > from).map(({ at }) => at);
    expect(ups.length).toBeGreaterThan(2);
    expect(ups.length).toBeLessThan(7);
    const gaps = ups.slice(1).map((at, index) => at - ups[index]!);
    for (const [index, gap] of gaps.entries())
      expect(gap).toBeGreaterThanOrEqual((SHORTEST_QUIET / 1_000) * 2 ** (index + 1));
  });

  it('keeps its rate under a new choice and a new header, if there is one as low', () => {
    const line = new Line().seconds(10).seconds(10, 450_000);
    const { adaptation } = line;
    expect(levels(adaptation.grant(chosen(LOW, AUDIO), several()), LOW, AUDIO)).toEqual([0, 0]);
    const other = new Line().seconds(10).seconds(10, 450_000).adaptation;
    expect(levels(other.grant(ALL_STREAMS, ratesHeader({ 7: 900_000, 8: 250_000 })), 7, AUDIO, 8)).toEqual([2, 0, 0]);
    expect(levels(other.grant(ALL_STREAMS, ratesHeader({ 7: 900_000 })), 7, AUDIO)).toEqual([1, 0]);
    expect(levels(other.grant(ALL_STREAMS, ratesHeader({ 7: 200_000 })), 7, AUDIO)).toEqual([0, 0]);
  });
});

describe('any player on any line', () => {
  it('ends with a rate that fits, and never changes faster than its quiet time', () => {
    const rate = fc.integer({ min: 100_000, max: 3_000_000 });
    fc.assert(
      fc.property(
        fc.uniqueArray(rate, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 90_000, max: 4_000_000 }),
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: 1, max: 8 }),
        fc.boolean(),
        (rates, carries, seconds, keys, seen) => {
          const videos = Object.fromEntries(rates.map((each, index) => [index + 3, each]));
          const header = ratesHeader(videos);
          const line = new Line({ header, hidden: seconds * carries, seen, keys }).seconds(10);
          line.seconds(300, carries);
          let [tooMuch, late] = [0, 0];
          for (let second = 0; second < 300; second++) {
            line.seconds(1);
            if (line.rate > carries * 1.1) tooMuch++;
            if (line.late > 12_000) late++;
          }
          expect(tooMuch).toBeLessThan(120);
          expect(late).toBe(0);
          const { steps } = line;
          for (let index = 1; index < steps.length; index++) {
            const [before, after] = [steps[index - 1]!, steps[index]!];
            const least = after.to > after.from ? SHORTEST_QUIET : before.to > before.from ? 0 : SETTLING;
            expect((after.at - before.at) * 1_000).toBeGreaterThanOrEqual(least);
          }
        },
      ),
      { numRuns: 60, endOnFailure: true },
    );
  });
});

describe('a session over a byte stream', () => {
  it('plays what the line carries of a broadcast, and everything again', async () => {
    const house = await House.build();
    const live = new Feeder(house);
    live.broadcast.write({ type: 'header', header: ratesHeader({ [LOW]: 100_000, [HIGH]: 700_000 }) });
    const port = new FakePort();
    port.format = dataWire(400, { padding: 'cut', marksUnpaced: false });
    const session = house.session(port);
    live.packet({ stream: LOW, key: true });
    session.open(await house.program(live.broadcast));
    await session.play({ position: { kind: 'start' }, selection: ALL_STREAMS });
    const streams = (from: number) =>
      port.batches
        .slice(from)
        .flatMap(({ bytes, ends }) => ends.map((end, index) => bytes.subarray((ends[index - 1] ?? 0) + 12, end)))
        .flatMap((bytes) => parsePacket(bytes).payloads)
        .map(({ stream, key }) => ({ stream, key }));
    /** Lets seconds pass. @param takes the part of what is sent that the line takes */
    const seconds = async (count: number, takes: number) => {
      for (let second = 0; second < count; second++) {
        const before = port.batches.length;
        for (const stream of [LOW, HIGH]) live.packet({ stream, key: true });
        for (let packet = 0; packet < 8; packet++) live.packet({ stream: [LOW, HIGH, AUDIO, HIGH][packet % 4]! });
        await house.settle();
        const sent = port.batches.slice(before).reduce((sum, { bytes }) => sum + bytes.length, 0);
        port.backlog = takes === 1 ? 0 : port.backlog + sent * (1 - takes);
        house.tick(1_000);
      }
    };
    await seconds(3, 1);
    expect(session.granted).toBe(ALL_STREAMS);
    await seconds(4, 0.3);
    expect(session.packets.skipped).toBe(0);
    expect(levels(session.granted, LOW, AUDIO, HIGH)).toEqual([0, 0, 2]);
    expect(session.asked).toBe(ALL_STREAMS);
    await seconds(2, 1);
    const less = port.batches.length;
    await seconds(2, 1);
    expect(new Set(streams(less).map(({ stream }) => stream))).toEqual(new Set([LOW, AUDIO]));
    await seconds(40, 1);
    expect(session.granted).toBe(ALL_STREAMS);
    expect(streams(less).find(({ stream }) => stream === HIGH)).toEqual({ stream: HIGH, key: true });
    await house.close();
  });

  it('has half a second of its streams in its connection, and gets the rest as it takes that', async () => {
    const house = await House.build();
    const live = new Feeder(house);
    live.broadcast.write({ type: 'header', header: ratesHeader({ [LOW]: 100_000, [HIGH]: 700_000 }) });
    const port = new FakePort();
    const session = house.session(port);
    const feed = async (count: number) => {
      for (let packet = 0; packet < count; packet++) live.packet({ stream: HIGH, key: packet === 0 });
      await house.settle();
    };
    await feed(1);
    session.open(await house.program(live.broadcast));
    await session.play({ position: { kind: 'start' }, selection: ALL_STREAMS });
    const half = (100_000 + 700_000 + SOUND_RATE) / 16;
    port.backlog = half;
    await feed(5);
    const { length } = port.locations;
    expect(length).toBe(6);
    port.backlog = half + 1;
    await feed(1);
    await feed(5);
    expect(port.locations).toHaveLength(7);
    session.select(chosen(LOW, AUDIO), false);
    port.backlog = 16 * 1024;
    await feed(1);
    port.backlog = 0;
    session.select(ALL_STREAMS, false);
    await feed(1);
    expect(port.locations).toEqual([...Array(14).keys()]);
    await house.close();
  });

  it('is given less of files, of datagrams and of a single rate by another measure', async () => {
    const house = await House.build();
    const live = new Feeder(house);
    live.broadcast.write({ type: 'header', header: ratesHeader({ 1: 300_000, 3: 100_000 }) });
    const port = new FakePort();
    port.framing = 'datagrams';
    const session = house.session(port);
    live.packet({ key: true });
    session.open(await house.program(live.broadcast));
    await session.play({ position: { kind: 'start' }, selection: ALL_STREAMS });
    expect(session.takesLive).toBe(false);
    port.framing = 'stream';
    expect(session.takesLive).toBe(true);
    const single = new Feeder(house);
    const other = house.session(new FakePort());
    single.packet({ key: true });
    other.open(await house.program(single.broadcast));
    await other.play({ position: { kind: 'start' }, selection: ALL_STREAMS });
    expect(other.takesLive).toBe(false);
    await house.close();
  });
});
