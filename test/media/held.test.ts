import type { BroadcastOptions } from '../../src/media/broadcast-options.js';
import type { Player } from '../../src/media/group.js';
import { lateness } from '../../src/media/lateness.js';
import { EVERY_STREAM, type LaneChoice } from '../../src/media/wire.js';
import { FakePlayer, textWire } from '../support/players.js';
import { testHeader } from '../support/stream.js';
import { Feed } from './feed.js';

/** Bytes of a packet as {@link textWire} writes it, with a location of two digits. */
const LINE = 9;
/** Room for three packets. */
const ROOM = 3 * LINE;

const isOther = (location: number) => location % 2 === 0 || location % 5 === 0;

/** Other streams: they are in every other packet, and where there is a key frame. */
const OTHER: LaneChoice = {
  key: 'other',
  startsAt: ({ cleanStart }) => cleanStart,
  select: ({ location, wire }) => (isOther(location) ? wire : undefined),
};

describe('a player with little room in its connection', () => {
  let feed: Feed;
  let fake: FakePlayer;
  let player: Player;

  function begin(options: BroadcastOptions = {}): void {
    feed = new Feed({ history: 5_000, ...options });
    feed.feed(11);
    feed.deliver();
    fake = new FakePlayer();
    fake.counts = true;
    player = feed.broadcast.join(fake, EVERY_STREAM, textWire());
    player.room = ROOM;
    fake.backlog = 0;
  }

  afterEach(() => feed.close());

  /** Feeds packets one by one. @param takes how many bytes the connection takes after each */
  function run(packets: number, takes: number): void {
    for (let packet = 0; packet < packets; packet++) {
      feed.feed(1);
      feed.deliver();
      fake.backlog = Math.max(0, fake.backlog - takes);
    }
  }

  const locations = () => fake.packets.map(([location]) => location);
  const upTo = (end: number) => Array.from({ length: end - locations()[0]! }, (_, index) => locations()[0]! + index);

  it('gets what it has no room for as it takes it, without a gap', () => {
    begin();
    run(20, LINE / 2);
    expect(fake.backlog).toBeLessThanOrEqual(2 * ROOM);
    expect(locations().at(-1)).toBeLessThan(26);
    run(20, 10 * LINE);
    expect(locations()).toEqual(upTo(51));
    expect(fake.packets.map(([, number]) => number)).toEqual(fake.packets.map((_, index) => index));
    expect(player.skipped).toBe(0);
  });

  it('is as late as the media that waits for it', () => {
    begin();
    run(12, 10 * LINE);
    expect(lateness(player).late).toBe(0);
    run(20, 0);
    const last = locations().at(-1)!;
    const waiting = Math.ceil(fake.backlog / LINE);
    expect(lateness(player).late).toBe((42 - (last + 1 - waiting)) * 100);
    Object.assign(fake.output, { inFlight: 4 * LINE });
    expect(lateness(player).late).toBe((42 - (last - 3 - waiting)) * 100);
    fake.framing = 'datagrams';
    expect(lateness(player).late).toBe(0);
  });

  it('gets other streams from the first key frame of what is held, and nothing twice', () => {
    begin();
    run(12, 0);
    const last = locations().at(-1)!;
    const key = Math.ceil((last + 1) / 5) * 5;
    expect(key).toBeLessThan(20);
    feed.broadcast.change(player, OTHER);
    expect(player.successor).toBeDefined();
    run(7, 10 * LINE);
    expect(player.successor).toBeUndefined();
    fake.backlog = 5 * LINE;
    expect(lateness(player).isOld).toBe(false);
    fake.backlog = 30 * LINE;
    expect(lateness(player).isOld).toBe(true);
    expect(lateness(player).late).toBe((28 - key) * 100);
    const other = [...Array(31).keys()].filter((location) => location >= key && isOther(location));
    expect(locations().filter((location) => location < 30)).toEqual([...upTo(key), ...other].filter((at) => at < 30));
    expect(fake.packets.map(([, number]) => number)).toEqual(fake.packets.map((_, index) => index));
  });

  it('gets all that is held before the end and before another header', () => {
    begin();
    run(12, 0);
    expect(locations().at(-1)).toBeLessThan(22);
    feed.broadcast.write({ type: 'header', header: testHeader({ packetSize: 900 }) });
    expect(locations()).toEqual(upTo(23));
    expect(fake.headers).toHaveLength(1);
    feed.sendTime = 0;
    feed.feed(1);
    feed.deliver();
    const before = fake.packets.length;
    run(10, 0);
    feed.broadcast.write({ type: 'end', moreEntries: false, reason: 0 });
    expect(fake.packets.slice(before).at(-1)![0]).toBe(10);
    expect(fake.ends).toHaveLength(1);
  });

  it('goes on at a key frame, once it takes something again, when the rest is no longer kept', () => {
    begin();
    run(80, 0);
    expect(player.skipped).toBe(0);
    const last = locations().at(-1)!;
    run(10, 10 * LINE);
    const next = locations()[locations().indexOf(last) + 1]!;
    expect(next % 5).toBe(0);
    expect(next).toBeGreaterThan(85);
    expect(player.skipped).toBeGreaterThan(60);
    expect(locations().slice(locations().indexOf(next))).toEqual(
      Array.from({ length: 101 - next }, (_, index) => next + index),
    );
  });

  it('is disconnected when it takes nothing for too long, and not while it takes a little', () => {
    begin({ patience: 3_000 });
    run(100, LINE / 2);
    expect(fake.destroyed).toBe(false);
    run(10, 0);
    expect(fake.destroyed).toBe(false);
    run(40, 0);
    expect(fake.destroyed).toBe(true);
    expect(feed.broadcast.counters.droppedPlayers).toBe(1);
  });
});
