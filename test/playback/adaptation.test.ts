import { parsePacket } from '../../src/asf/packet.js';
import { Thinning } from '../../src/playback/adaptation.js';
import { ALL_STREAMS, levelOf, NO_STREAMS, type StreamSelection, switched } from '../../src/playback/selection.js';
import { dataWire } from '../../src/wmsp/messages/packets.js';
import { AUDIO, testHeader, VIDEO } from '../support/stream.js';
import { ratesHeader } from './rates.js';
import { FakePort, Feeder, House } from './support.js';

/** Videos 1 (300 kbit/s), 3 (100) and 5 (700), which exclude each other, and audio 2. */
const severalRates = () => ratesHeader({ 1: 300_000, 3: 100_000, 5: 700_000 });

const levels = (selection: StreamSelection, ...streams: number[]) =>
  streams.map((stream) => levelOf(selection, stream));

/** Lets seconds pass, with packets dropped in some of them. */
class Line {
  readonly thinning = new Thinning();
  now = 0;
  skipped = 0;

  seconds(count: number, skips = 0): boolean[] {
    return Array.from({ length: count }, () => {
      this.now += 1_000;
      this.skipped += skips;
      return this.thinning.observe({ now: this.now, skipped: this.skipped });
    });
  }
}

describe('a player whose connection is too slow', () => {
  it('gets everything it asked for while it keeps up, and also after a momentary stall', () => {
    const line = new Line();
    line.seconds(60);
    line.seconds(1, 10);
    line.seconds(60);
    line.seconds(1, 10);
    expect(line.thinning.grant(ALL_STREAMS, severalRates())).toBe(ALL_STREAMS);
  });

  it('gets the lowest of the rates that it turned on, then only key frames, and always the sound', () => {
    const line = new Line();
    const header = severalRates();
    expect(line.seconds(2, 10)).toEqual([false, true]);
    expect(levels(line.thinning.grant(ALL_STREAMS, header), 1, 2, 3, 5)).toEqual([2, 0, 0, 2]);
    expect(line.seconds(5, 10)).toEqual([false, false, false, false, true]);
    expect(levels(line.thinning.grant(ALL_STREAMS, header), 1, 2, 3, 5)).toEqual([2, 0, 1, 2]);
    expect(line.seconds(60, 10)).not.toContain(true);
  });

  it('gets no stream that it did not choose', () => {
    const line = new Line();
    line.seconds(2, 10);
    const chosen = switched(
      NO_STREAMS,
      [1, 2].map((destination) => ({ source: undefined, destination, level: 0 as const })),
    );
    expect(levels(line.thinning.grant(chosen, severalRates()), 1, 2, 3, 5)).toEqual([1, 0, 2, 2]);
  });

  it('gets more again after a quiet period, which grows each time that more turns out to be too much', () => {
    const line = new Line();
    line.seconds(2, 10);
    expect(line.seconds(30).indexOf(true)).toBe(29);
    expect(line.thinning.grant(ALL_STREAMS, testHeader())).toBe(ALL_STREAMS);
    line.seconds(2, 10);
    expect(line.seconds(60).indexOf(true)).toBe(59);
    line.seconds(2, 10);
    expect(line.seconds(120).indexOf(true)).toBe(119);
  });
});

describe('a player of a file whose connection is too slow', () => {
  /** Lets seconds pass in which the player is as late as given, in ms. */
  const late = (thinning: Thinning, from: number, ...values: number[]) =>
    values.map((value, index) => thinning.observe({ now: (from + index) * 1_000, skipped: 0, late: value }));

  it('gets the lowest of the rates that it turned on once it becomes later and later, but never only key frames', () => {
    const thinning = new Thinning();
    expect(late(thinning, 1, 400, 900, 1_400, 1_900, 2_400)).toEqual([false, false, false, false, true]);
    expect(levels(thinning.grant(ALL_STREAMS, severalRates()), 1, 2, 3, 5)).toEqual([2, 0, 0, 2]);
    expect(late(thinning, 6, ...Array.from({ length: 60 }, (_, index) => 3_000 + index * 500))).not.toContain(true);
    expect(levels(thinning.grant(ALL_STREAMS, severalRates()), 1, 2, 3, 5)).toEqual([2, 0, 0, 2]);
    // One rate: nothing to choose from, and a file drops nothing.
    expect(thinning.grant(ALL_STREAMS, testHeader())).toBe(ALL_STREAMS);
  });

  it('gets more again when it has long kept up, and not while it catches up', () => {
    const thinning = new Thinning();
    late(thinning, 1, 2_000, 3_000);
    const catchingUp = Array.from({ length: 20 }, (_, index) => 4_000 - index * 120);
    expect(late(thinning, 3, ...catchingUp)).not.toContain(true);
    expect(late(thinning, 23, ...Array<number>(40).fill(0)).indexOf(true)).toBeGreaterThan(8);
    expect(thinning.grant(ALL_STREAMS, severalRates())).toBe(ALL_STREAMS);
  });
});

describe('a session', () => {
  it('thins the streams of a slow player, remembers its selection, and stays thinned after its next choice', async () => {
    const house = await House.build();
    const live = new Feeder(house);
    const port = new FakePort();
    port.format = dataWire(400, { padding: 'cut', marksUnpaced: false });
    const session = house.session(port);
    live.packet({ key: true });
    session.open(await house.program(live.broadcast));
    await session.play({ position: { kind: 'start' }, selection: ALL_STREAMS });
    let sent = 1;
    const feed = async (count: number) => {
      for (; count > 0; count--, sent++) {
        live.packet({ key: sent % 10 === 0 });
        live.packet({ stream: AUDIO });
        await house.settle();
      }
    };
    port.backlog = 100_000_000;
    await feed(2);
    house.tick(1_000);
    await feed(2);
    house.tick(1_000);
    expect(session.packets.skipped).toBeGreaterThan(0);
    expect(levels(session.granted, VIDEO, AUDIO)).toEqual([1, 0]);
    expect(session.asked).toBe(ALL_STREAMS);
    session.select(ALL_STREAMS, true);
    expect(levels(session.granted, VIDEO, AUDIO)).toEqual([1, 0]);
    port.backlog = 0;
    await feed(25);
    const before = port.batches.length;
    await feed(20);
    const payloads = port.batches
      .slice(before)
      .flatMap(({ bytes, ends }) => ends.map((end, index) => bytes.subarray((ends[index - 1] ?? 0) + 12, end)))
      .flatMap((bytes) => parsePacket(bytes).payloads);
    expect(payloads.filter(({ stream }) => stream === AUDIO)).toHaveLength(20);
    expect(payloads.filter(({ stream }) => stream === VIDEO).every(({ key }) => key)).toBe(true);
    expect(payloads.some(({ stream }) => stream === VIDEO)).toBe(true);
    session.stop('closed');
    expect(house.host.playing.size).toBe(0);
    await house.close();
  });
});
