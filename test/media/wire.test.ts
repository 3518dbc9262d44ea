import { filterPacket } from '../../src/asf/filter.js';
import { parsePacket } from '../../src/asf/packet.js';
import { EVERY_STREAM, type LaneChoice, type WireFormat } from '../../src/media/wire.js';
import { FakePlayer, textWire, wanting } from '../support/players.js';
import { AUDIO, testHeader, testPacket, VIDEO } from '../support/stream.js';
import { Feed } from './feed.js';

const audioOnly: LaneChoice = {
  key: 'audio',
  startsAt: () => true,
  select: ({ wire }) => filterPacket(parsePacket(wire), (stream) => (stream === AUDIO ? 0 : 2)),
};

/** Two units a packet, with numbers of the lane, like a protocol that fragments packets. */
const halves = (more: Partial<WireFormat> = {}) =>
  textWire('halves', {
    numbers: 'lane',
    mask: 0xffff,
    units: () => 2,
    ...more,
  });

let feed: Feed;

beforeEach(() => {
  feed = new Feed();
});

afterEach(() => {
  feed.close();
});

describe('a wire', () => {
  it('shares the filter work of one choice among all protocols, and the bytes among the players of one', () => {
    let selected = 0;
    const counting: LaneChoice = {
      key: 'counting',
      select: ({ wire }) => {
        selected++;
        return wire;
      },
    };
    const players = ['a', 'a', 'b'].map((key) => {
      const player = new FakePlayer();
      feed.broadcast.join(player, counting, textWire(key));
      return player;
    });
    feed.feed(6);
    feed.deliver();
    expect(selected).toBe(6);
    const [first, second, other] = players.map(({ written }) => written[0]);
    expect(second).toBe(first);
    expect(other).not.toBe(first);
  });

  it('gives two players that join at one key frame the same buffer, even after more was delivered', () => {
    feed.feed(12);
    const [a, b] = [feed.join(), feed.join()];
    feed.feed(1);
    feed.deliver();
    const c = feed.join();
    expect(b.written[0]).toBe(a.written[0]);
    expect(c.packets).toEqual(a.packets);
  });

  it('says where each unit ends', () => {
    feed.feed(3);
    const player = feed.join(new FakePlayer(), halves());
    const [{ bytes, ends }] = player.batches as [(typeof player.batches)[0]];
    expect(ends).toEqual([1, 2, 3, 4, 5, 6].map((count) => count * 8));
    expect(ends.at(-1)).toBe(bytes.length);
  });

  it('numbers without a bound, and masks only on the wire', () => {
    feed.feed(1);
    const fake = new FakePlayer();
    const player = feed.broadcast.join(fake, EVERY_STREAM, textWire(), { number: 1022 });
    feed.feed(3);
    feed.deliver();
    expect(fake.packets.map(([, number]) => number)).toEqual([254, 255, 0, 1]);
    expect(player.number).toBe(1026);
  });

  it('tells a player of a lane its first number before the first byte, so that all share their bytes', () => {
    feed.feed(11);
    const early = feed.join(new FakePlayer(), halves());
    feed.feed(10);
    feed.deliver();
    const late = feed.join(new FakePlayer(), halves());
    feed.feed(1);
    feed.deliver();
    expect(early.starts[0]).toMatchObject({ number: early.packets[0]![1], location: 0, after: 0 });
    expect(late.starts[0]).toMatchObject({ number: late.packets[0]![1], location: 10, after: 0 });
    const lateNumbers = new Map(late.packets.map(([location, number]) => [number, location]));
    for (const [location, number] of early.packets) {
      if (lateNumbers.has(number)) expect(lateNumbers.get(number)).toBe(location);
    }
    expect(late.written.at(-1)).toBe(early.written.at(-1));
  });

  it('continues the numbers of a player that comes back', () => {
    feed.feed(3);
    const fake = new FakePlayer();
    const player = feed.broadcast.join(fake, EVERY_STREAM, halves());
    feed.feed(2);
    feed.deliver();
    feed.broadcast.leave(player);
    feed.feed(5);
    feed.deliver();
    const again = new FakePlayer();
    feed.broadcast.join(again, EVERY_STREAM, halves(), { number: player.number });
    feed.feed(1);
    feed.deliver();
    const numbers = again.packets.map(([, number]) => number);
    expect(numbers[0]).toBe(10);
    expect(numbers).toEqual(numbers.map((_, index) => 10 + index));
  });

  it('changes the format of a player without a gap, a repeat or a new number', () => {
    feed.feed(3);
    const fake = new FakePlayer();
    const player = feed.broadcast.join(fake, EVERY_STREAM, textWire('one'));
    feed.feed(2);
    const another = textWire('two', { mask: 0xffff });
    feed.broadcast.rewire(player, another);
    expect(fake.packets).toHaveLength(5);
    feed.feed(2);
    feed.deliver();
    expect(fake.packets).toEqual([0, 1, 2, 3, 4, 5, 6].map((index) => [index, index]));
  });

  it('lets a player that waits for a change of streams take another format', () => {
    feed.feed(3);
    const fake = new FakePlayer();
    const player = feed.broadcast.join(fake, EVERY_STREAM, textWire('one'));
    feed.broadcast.change(player, { ...EVERY_STREAM, key: 'same again' });
    feed.broadcast.rewire(player, textWire('two'));
    feed.feed(5);
    feed.deliver();
    expect(fake.packets).toEqual(Array.from({ length: 8 }, (_, index) => [index, index]));
  });
});

describe('what a join grants', () => {
  it('is what was asked for, but no more than is kept, and says how much that is', () => {
    feed.close();
    feed = new Feed({ burst: 1000, history: 4000 });
    feed.feed(100);
    const join = (lead?: number) => {
      const player = new FakePlayer();
      feed.broadcast.join(player, EVERY_STREAM, textWire(), lead === undefined ? {} : { lead });
      return player.starts[0]!;
    };
    // The newest packet is at 9900, key frames are 500 ms apart.
    expect(join()).toMatchObject({ lead: 1400, location: 85 });
    expect(join(3000)).toMatchObject({ lead: 3400, location: 65 });
    const all = join(60_000);
    expect(all.lead).toBeGreaterThanOrEqual(4000);
    expect(all.lead).toBeLessThanOrEqual(5000);
  });

  it('is reported even if there is no key frame yet', () => {
    feed.sendTime = 100;
    feed.feed(2);
    const player = feed.join();
    expect(player.starts).toEqual([{ number: 0, location: undefined, lead: 0, after: 0 }]);
    expect(player.written).toEqual([]);
  });

  it('ignores a preroll that contradicts the packets', () => {
    feed.close();
    feed = new Feed({ burst: 1000 }, { preroll: 3_600_000 });
    feed.feed(100);
    expect(feed.join().starts[0]).toMatchObject({ lead: 1400 });
  });
});

describe('units that are requested again', () => {
  const numbersOf = (player: FakePlayer) => player.packets.map(([location, number]) => [number, location]);

  function joined(wire = halves()) {
    const fake = new FakePlayer();
    fake.framing = 'datagrams';
    return { fake, player: feed.broadcast.join(fake, EVERY_STREAM, wire) };
  }

  it('are found from the first packet on, each with its number', () => {
    feed.feed(3);
    const { fake, player } = joined();
    feed.feed(4);
    feed.deliver();
    for (const [number, location] of numbersOf(fake)) {
      expect(player.recent(number!)?.packet.location).toBe(location);
      expect(player.recent(number!)?.unit).toBe(number! % 2);
    }
    expect(player.recent(player.number)).toBeUndefined();
    expect(player.recent(-1)).toBeUndefined();
  });

  it('are found across packets that were dropped for a slow player', () => {
    feed.close();
    feed = new Feed({ maxBacklog: 1000 });
    feed.feed(1);
    const { fake, player } = joined();
    feed.feed(2);
    fake.backlog = 1e9;
    feed.deliver();
    feed.feed(8);
    feed.deliver();
    fake.backlog = 0;
    feed.feed(6);
    feed.deliver();
    expect(player.skipped).toBeGreaterThan(0);
    for (const [number, location] of numbersOf(fake)) expect(player.recent(number!)?.packet.location).toBe(location);
  });

  it('are found across another choice of streams, another format, and a player that left', () => {
    feed.feed(3);
    const { fake, player } = joined();
    feed.broadcast.change(player, { ...EVERY_STREAM, key: 'same again' });
    feed.feed(6);
    feed.deliver();
    feed.broadcast.rewire(player, halves({ key: 'three', units: () => 3 }));
    feed.feed(2);
    feed.deliver();
    feed.broadcast.leave(player);
    const all = numbersOf(fake);
    expect(all).toHaveLength(9 * 2 + 2 * 3);
    for (const [number, location] of all) expect(player.recent(number!)?.packet.location).toBe(location);
  });

  it('are not found once they are no longer kept', () => {
    feed.close();
    feed = new Feed({ burst: 500, history: 500 });
    feed.feed(1);
    const { fake, player } = joined();
    for (let batch = 0; batch < 10; batch++) {
      feed.feed(10);
      feed.deliver();
    }
    const all = numbersOf(fake);
    expect(player.recent(all[40]![0]!)).toBeUndefined();
    expect(player.recent(all.at(-1)![0]!)?.packet.location).toBe(all.at(-1)![1]);
  });
});

describe('entries', () => {
  const videoPacket = (sendTime: number) => ({ type: 'packet', packet: testPacket(sendTime, { key: true }) }) as const;

  it('[WMSP-206] start over after an end with more to come, even under an equal header', () => {
    const { broadcast } = feed;
    const player = feed.join();
    const seen: string[] = [];
    broadcast.follow({
      started: (_header, cause) => void seen.push(cause),
      packet: ({ location }) => {
        seen.push(String(location));
        return 0;
      },
      ended: () => void seen.push('end'),
    });
    feed.feed(2);
    broadcast.write({ type: 'end', moreEntries: true, reason: 1 });
    broadcast.write({ type: 'header', header: testHeader() });
    broadcast.write(videoPacket(0));
    feed.deliver();
    expect(player.causes).toEqual(['entry']);
    expect(player.packets).toEqual([
      [0, 0],
      [1, 1],
      [0, 2],
    ]);
    expect(seen).toEqual(['run', '0', '1', 'entry', '0']);
    expect(broadcast.generation).toBe(2);
    expect(broadcast.counters.splices).toBe(0);
  });

  it('continue if an encoder comes back without having ended them', () => {
    const player = feed.join();
    feed.feed(2);
    feed.broadcast.write({ type: 'header', header: testHeader() });
    feed.broadcast.write(videoPacket(0));
    feed.deliver();
    expect(player.causes).toEqual([]);
    expect(player.packets.map(([location]) => location)).toEqual([0, 1, 2]);
    expect(feed.broadcast.generation).toBe(1);
  });

  it('are distinguished from another layout', () => {
    const player = feed.join();
    player.next = wanting();
    feed.broadcast.write({ type: 'header', header: testHeader({ video: false }) });
    expect(player.causes).toEqual(['layout']);
  });
});

describe('a user of a broadcast', () => {
  it('is a player, a follower, or one that holds it', () => {
    const { broadcast } = feed;
    expect(broadcast.wanted).toBe(false);
    const release = broadcast.hold();
    const other = broadcast.hold();
    release();
    release();
    expect(broadcast.wanted).toBe(true);
    other();
    expect(broadcast.wanted).toBe(false);
    const follower = { started: () => {}, packet: () => 0, ended: () => {} };
    broadcast.follow(follower);
    expect(broadcast.wanted).toBe(true);
    broadcast.unfollow(follower);
    const player = broadcast.join(new FakePlayer(), audioOnly, textWire());
    expect(broadcast.wanted).toBe(true);
    broadcast.leave(player);
    expect(broadcast.wanted).toBe(false);
  });
});

describe('a script command', () => {
  const COMMANDS = 3;

  it('reaches players with the newest packet, to be run when that is presented', () => {
    feed.close();
    feed = new Feed({}, { commands: COMMANDS });
    const bytes: Buffer[] = [];
    feed.broadcast.follow({
      started: () => {},
      packet: ({ wire }) => {
        bytes.push(wire);
        return 0;
      },
      ended: () => {},
    });
    feed.feed(3);
    const player = feed.join();
    expect(feed.broadcast.insert({ type: 'TEXT', text: 'Grüße' })).toBe(true);
    feed.feed(1);
    feed.deliver();
    expect(player.packets.map(([location]) => location)).toEqual([0, 1, 2, 3, 4]);
    const packet = parsePacket(bytes[3]!);
    const [payload] = packet.payloads;
    expect(packet).toMatchObject({ sendTime: 200, explicitLength: true });
    expect(payload).toMatchObject({ stream: COMMANDS, key: true, presentationTime: 1200 });
    const text = packet.bytes.subarray(payload!.dataStart, payload!.dataStart + payload!.dataLength);
    expect(text.toString('utf16le')).toBe('TEXT\0Grüße\0');
  });

  it('is not a packet that a player begins with', () => {
    feed.close();
    feed = new Feed({}, { commands: COMMANDS });
    feed.sendTime = 100;
    feed.feed(1);
    feed.broadcast.insert({ type: 'TEXT', text: 'now' });
    expect(feed.join().packets).toEqual([]);
  });

  it('needs a stream of commands in the header', () => {
    feed.feed(1);
    expect(feed.broadcast.insert({ type: 'TEXT', text: 'no' })).toBe(false);
  });
});

describe('a publisher that sends next to nothing in large packets', () => {
  const PACKET_SIZE = 65_527;
  const restoring = textWire('restoring', {
    size: () => PACKET_SIZE,
    write: (into, at) => {
      into.fill(48, at, at + PACKET_SIZE);
      return PACKET_SIZE;
    },
  });

  it('gives no player more at once than is kept, counted with the padding, and none of it in one piece', () => {
    feed.close();
    feed = new Feed({ maxHistory: 8 * 1024 * 1024, maxBacklog: 1e9 }, { packetSize: PACKET_SIZE, video: false });
    const packet = testPacket(0, { stream: AUDIO, dataSize: 1, packetSize: 64 });
    for (let count = 0; count < 10_000; count++) feed.broadcast.write({ type: 'packet', packet });
    const player = feed.join(new FakePlayer(), restoring);
    const total = player.written.reduce((sum, bytes) => sum + bytes.length, 0);
    expect(total).toBeGreaterThan(1024 * 1024);
    expect(total).toBeLessThanOrEqual(8 * 1024 * 1024);
    expect(Math.max(...player.written.map(({ length }) => length))).toBeLessThanOrEqual(512 * 1024);
  });

  it('fills no player that does not take it, and the others get everything', () => {
    feed.close();
    feed = new Feed({ maxHistory: 8 * 1024 * 1024 }, { packetSize: PACKET_SIZE, video: false });
    const packet = testPacket(0, { stream: AUDIO, dataSize: 1, packetSize: 64 });
    feed.broadcast.write({ type: 'packet', packet });
    const [slow, quick] = [new FakePlayer(), new FakePlayer()];
    slow.counts = true;
    for (const player of [slow, quick]) feed.join(player, restoring);
    for (let count = 0; count < 2_000; count++) feed.broadcast.write({ type: 'packet', packet });
    feed.deliver();
    expect(slow.backlog).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(quick.written.reduce((sum, { length }) => sum + length, 0)).toBe(2_001 * PACKET_SIZE);
    expect(Math.max(...quick.written.map(({ length }) => length))).toBeLessThanOrEqual(2 * 1024 * 1024);
  });

  it('lets a player that takes its burst slowly have all of it, and what came meanwhile', () => {
    feed.close();
    feed = new Feed({ maxBacklog: 256 * 1024 }, { packetSize: PACKET_SIZE, video: false });
    const write = () => {
      const packet = testPacket(feed.sendTime, { stream: AUDIO, dataSize: 1, packetSize: 64 });
      feed.broadcast.write({ type: 'packet', packet });
      feed.sendTime += 10;
    };
    for (let count = 0; count < 100; count++) write();
    const slow = new FakePlayer();
    slow.counts = true;
    const player = feed.broadcast.join(slow, EVERY_STREAM, restoring);
    expect(player.sent).toBeLessThan(20);
    for (let turn = 0; turn < 40; turn++) {
      slow.backlog = 0;
      write();
      feed.deliver();
    }
    expect(player.sent).toBe(140);
    expect(player.skipped).toBe(0);
  });
});

describe('without key frames', () => {
  it('players begin after some seconds with what there is, and the operator is warned once', () => {
    const warnings: string[] = [];
    feed.close();
    feed = new Feed({ onWarning: (text) => warnings.push(text) });
    feed.sendTime = 100;
    const feedPlain = (packets: number) => feed.feed(packets, { key: false });
    const early = feed.join();
    for (let second = 0; second < 8; second++) {
      feedPlain(10);
      for (let tick = 0; tick < 10; tick++) feed.deliver();
    }
    expect(early.packets.map(([location]) => location)).toEqual(Array.from({ length: 80 }, (_, index) => index));
    const late = feed.join();
    expect(late.packets.length).toBeGreaterThan(5);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('key frame');
    expect(late.starts[0]!.lead).toBeGreaterThanOrEqual(1000);
  });

  it('a player that turns on a stream gets it after some seconds, too', () => {
    feed.feed(6);
    const fake = new FakePlayer();
    const player = feed.broadcast.join(fake, audioOnly, textWire());
    feed.broadcast.change(player, { ...EVERY_STREAM, key: 'never', startsAt: () => false });
    for (let second = 0; second < 8; second++) {
      feed.broadcast.write({ type: 'packet', packet: testPacket(feed.sendTime, { stream: AUDIO }) });
      feed.feed(10, { key: false, stream: VIDEO });
      for (let tick = 0; tick < 10; tick++) feed.deliver();
    }
    expect(fake.packets.length).toBeGreaterThan(15);
  });

  it('nothing changes for those whose key frames are some seconds apart', () => {
    const player = feed.join();
    feed.sendTime = 100;
    for (let second = 0; second < 3; second++) {
      feed.feed(10, { key: false });
      for (let tick = 0; tick < 10; tick++) feed.deliver();
    }
    expect(player.packets).toEqual([]);
    feed.feed(1, { key: true });
    feed.deliver();
    expect(player.packets).toEqual([[30, 0]]);
  });
});
