import fc from 'fast-check';
import { rateOf } from '../../src/playback/ladder.js';
import { LiveAdaptation, SETTLING, SHORTEST_QUIET } from '../../src/playback/live-adaptation.js';
import { ALL_STREAMS, levelOf, NO_STREAMS, type StreamSelection, switched } from '../../src/playback/selection.js';
import { AUDIO } from '../support/stream.js';
import { ratesHeader, SOUND_RATE } from './rates.js';

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
  /** Seconds between key frames. */
  readonly keys?: number;
}

interface Piece {
  ms: number;
  bits: number;
  readonly key: boolean;
  readonly of: StreamSelection;
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
  /** The bits that the kernel and the network have. */
  #inside = 0;
  #waiting: Piece[] = [];
  #skipped = 0;
  now = 0;
  carries = Number.POSITIVE_INFINITY;

  constructor({ asked = ALL_STREAMS, header = several(), hidden = 0, keys = 1 }: LineOptions = {}) {
    this.#asked = asked;
    this.#header = header;
    this.#hidden = hidden;
    this.#keys = keys;
    this.#granted = this.adaptation.grant(asked, header);
  }

  #sent: StreamSelection | undefined;

  get granted(): StreamSelection {
    return this.#granted;
  }

  get rate(): number {
    return rateOf(this.#granted, this.#header);
  }

  /** Media that waits, in ms. */
  get late(): number {
    return this.#waiting.reduce((sum, { ms }) => sum + ms, 0);
  }

  /** Lets seconds pass. @param carries the line's bits per second from now on */
  seconds(count: number, carries = this.carries): this {
    this.carries = carries;
    for (let step = 0; step < count * 10; step++) {
      const key = this.now % (this.#keys * 1_000) === 0;
      this.now += 100;
      this.#waiting.push(this.#piece(key, this.#waiting.at(-1)?.of ?? this.#sent ?? this.#granted));
      this.#change();
      this.#inside = Math.max(0, this.#inside - this.carries / 10);
      this.#take();
      if (this.late > HISTORY) this.#skip();
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

  #take(): void {
    for (let room = this.#hidden + this.carries / 10 - this.#inside; room > 0 && this.#waiting.length > 0; ) {
      const [first] = this.#waiting;
      const taken = Math.min(room, first!.bits);
      first!.ms *= 1 - (first!.bits > 0 ? taken / first!.bits : 1);
      first!.bits -= taken;
      this.#inside += taken;
      room -= taken;
      if (first!.bits <= 0) this.#sent = this.#waiting.shift()!.of;
    }
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
        (rates, carries, seconds, keys) => {
          const videos = Object.fromEntries(rates.map((each, index) => [index + 3, each]));
          const header = ratesHeader(videos);
          const line = new Line({ header, hidden: seconds * carries, keys }).seconds(10);
          line.seconds(300, carries);
          let [tooMuch, late] = [0, 0];
          for (let second = 0; second < 300; second++) {
            line.seconds(1);
            if (line.rate > carries * 1.1) tooMuch++;
            if (line.late > 10_000) late++;
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
      { numRuns: 60 },
    );
  });
});
