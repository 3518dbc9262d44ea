import { jest } from '@jest/globals';
import { EVERY_STREAM } from '../../src/media/wire.js';
import { FakePlayer, textWire } from '../support/players.js';
import { Feed } from './feed.js';

let feed: Feed;
afterEach(() => feed.close());

/** Records when each packet reached a player. */
class TimedPlayer extends FakePlayer {
  readonly arrivals: number[] = [];

  constructor() {
    super();
    const { put } = this.output;
    this.output.put = (batch) => {
      this.arrivals.push(feed.now);
      put(batch);
    };
  }
}

/** Opens a feed that serves players by what they have in hand. */
function open(options: ConstructorParameters<typeof Feed>[0] = {}): void {
  feed = new Feed({ burst: 3000, batchInterval: undefined, ...options } as ConstructorParameters<typeof Feed>[0]);
}

function join(count: number): TimedPlayer[] {
  return Array.from({ length: count }, () => {
    const player = new TimedPlayer();
    feed.broadcast.join(player, EVERY_STREAM, textWire());
    return player;
  });
}

/** Feeds a packet every 100 ms in real time. */
async function play(seconds: number): Promise<void> {
  for (let packet = 0; packet < seconds * 10; packet++) {
    feed.feed(1);
    for (let step = 0; step < 10; step++) {
      feed.now += 10;
      await jest.advanceTimersByTimeAsync(10);
    }
  }
}

const gaps = ({ arrivals }: TimedPlayer, from: number) => {
  const later = arrivals.filter((time) => time > from);
  return later.map((time, index) => time - (later[index - 1] ?? time)).slice(1);
};

const hasAll = (player: TimedPlayer) => {
  const locations = player.packets.map(([location]) => location);
  expect(locations).toEqual(locations.map((_, index) => locations[0]! + index));
  expect(player.packets.map(([, number]) => number)).toEqual(locations.map((_, index) => index & 255));
};

describe('players that have some seconds in hand', () => {
  it('are served every 400 ms, whatever their number', async () => {
    open();
    feed.feed(50);
    const players = join(100);
    await play(3);
    for (const player of players) {
      expect(gaps(player, feed.now - 2000).every((gap) => gap >= 300 && gap <= 500)).toBe(true);
      hasAll(player);
    }
  });

  it('are spread over four turns when there are many', async () => {
    open();
    feed.feed(50);
    const players = join(1000);
    await play(2);
    const times = new Map<number, number>();
    for (const { arrivals } of players) {
      for (const time of arrivals.filter((each) => each > feed.now - 1000)) {
        times.set(time, (times.get(time) ?? 0) + 1);
      }
    }
    expect(times.size).toBeGreaterThanOrEqual(8);
    expect(Math.max(...times.values())).toBeLessThan(700);
    for (const player of players.slice(0, 20)) hasAll(player);
  });

  it('share their bytes like players of one turn that started together', async () => {
    open();
    feed.feed(50);
    const players = join(100);
    await play(2);
    expect(new Set(players.slice(-50).map(({ written }) => written.at(-1))).size).toBe(1);
  });
});

describe('players with little in hand', () => {
  it('get packets quickly until they have some seconds', async () => {
    open();
    feed.feed(1);
    const players = join(100);
    await play(1.5);
    for (const player of players) expect(gaps(player, 0).every((gap) => gap <= 120)).toBe(true);
    await play(4);
    for (const player of players) {
      expect(gaps(player, feed.now - 2000).every((gap) => gap >= 300 && gap <= 500)).toBe(true);
      hasAll(player);
    }
  });

  it('get packets quickly at all times if the operator wants little delay', async () => {
    open({ burst: 0 });
    feed.feed(50);
    const players = join(100);
    await play(4);
    for (const player of players) expect(gaps(player, 1000).every((gap) => gap <= 120)).toBe(true);
  });

  it('get packets quickly again if they fell behind and wait for a key frame', async () => {
    open({ maxBacklog: 10 });
    feed.feed(50);
    const players = join(50);
    await play(1);
    players[0]!.backlog = 1e9;
    await play(1);
    players[0]!.backlog = 0;
    await play(4);
    const locations = players[0]!.packets.map(([location]) => location);
    expect(locations.at(-1)).toBe(players[1]!.packets.at(-1)![0]);
    expect(new Set(locations).size).toBe(locations.length);
  });
});

describe('a handful of players', () => {
  it('get each packet at once', async () => {
    open();
    feed.feed(50);
    const players = join(5);
    await play(3);
    for (const player of players) expect(gaps(player, 0).every((gap) => gap <= 120)).toBe(true);
  });
});

describe('players that come and go', () => {
  it('leave nothing allocated, and those that stay get everything', async () => {
    open({ history: 1000 });
    feed.feed(50);
    const all = Array.from({ length: 600 }, () => {
      const session = new TimedPlayer();
      return { session, player: feed.broadcast.join(session, EVERY_STREAM, textWire()) };
    });
    await play(2);
    for (const { player } of all.slice(3)) feed.broadcast.leave(player);
    await play(10);
    const [newest] = all[0]!.session.packets.at(-1)!;
    for (const { session } of all.slice(0, 3)) {
      hasAll(session);
      expect(session.packets.at(-1)![0]).toBeGreaterThanOrEqual(newest - 5);
    }
    const kept = all[0]!.player.lane!;
    expect(kept.end - kept.first).toBeLessThan(60);
    for (const { player } of all.slice(0, 3)) feed.broadcast.leave(player);
    expect(feed.broadcast.players).toBe(0);
    expect(all[0]!.player.lane).toBeUndefined();
    await play(1);
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('late sends', () => {
  /** Feeds a packet and runs timers only every `blocked` ms, as a busy event loop does. */
  async function lagging(seconds: number, blocked: number): Promise<void> {
    for (let time = 0; time < seconds * 1000; time += blocked) {
      feed.now += blocked;
      feed.feed(1);
      await jest.advanceTimersByTimeAsync(blocked);
    }
  }

  it('are none on a machine that keeps its times', async () => {
    open();
    feed.feed(50);
    join(100);
    await play(4);
    const { sends, lateSends } = feed.broadcast.counters;
    expect(sends).toBeGreaterThan(100 * 8);
    expect(lateSends).toBe(0);
  });

  it('are avoided where timers are late: the turns come closer together', async () => {
    open();
    feed.feed(50);
    join(100);
    // A few late turns show how late they are.
    await lagging(2, 170);
    const before = feed.broadcast.counters.lateSends;
    await lagging(4, 170);
    expect(feed.broadcast.counters.lateSends).toBe(before);
  });

  it('are counted, once for each player, if a packet waited for more than 500 ms', async () => {
    open();
    feed.feed(50);
    const players = join(100);
    await play(4);
    const before = feed.broadcast.counters.lateSends;
    feed.feed(1);
    feed.now += 600;
    await jest.advanceTimersByTimeAsync(500);
    expect(feed.broadcast.counters.lateSends - before).toBe(players.length);
  });
});
