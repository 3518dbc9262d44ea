import { jest } from '@jest/globals';
import { type DataPacket, parsePacket } from '../../src/asf/packet.js';
import { buildPacket, packetFields } from '../../src/asf/packet-build.js';
import { EVERY_STREAM } from '../../src/media/wire.js';
import { FakePlayer, textWire } from '../support/players.js';
import { AUDIO, testHeader, testPacket, VIDEO } from '../support/stream.js';
import { Feed } from './feed.js';

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

/** A packet with the end of a picture that began before, followed by a key frame. */
function keyFrameAfterEnd(sendTime: number): DataPacket {
  const fields = packetFields(testPacket(sendTime, { key: true, dataSize: 100, number: 7 }));
  const [keyFrame] = fields.payloads;
  const end = { ...keyFrame!, key: false, mediaObjectNumber: keyFrame!.mediaObjectNumber - 1, offset: 50 };
  return parsePacket(buildPacket({ ...fields, multiple: true, payloadLengthType: 2, payloads: [end, keyFrame!] }));
}

describe('starting a player', () => {
  it('starts at the newest key frame that is a whole burst old', () => {
    const feed = new Feed();
    feed.feed(33);
    const player = feed.join();
    // The newest packet was sent at 3200; the key frames are at 2000 (1200 ago) and 2500 (700 ago).
    expect(player.packets[0]).toEqual([20, 0]);
    expect(player.packets).toHaveLength(13);
  });

  it('drops the end of the previous picture for a player that starts, and for no other', () => {
    const sizes = textWire('sizes', {
      size: () => 2,
      write: (into, at, { bytes }) => into.write(`${parsePacket(bytes).payloads.length}\n`, at),
    });
    const feed = new Feed();
    const write = (sendTime: number) => {
      feed.broadcast.write({ type: 'packet', packet: keyFrameAfterEnd(sendTime) });
      feed.deliver();
    };
    const early = feed.join(new FakePlayer(), sizes);
    write(0);
    write(100);
    const late = feed.join(new FakePlayer(), sizes);
    expect(early.written.join('')).toBe('1\n2\n');
    expect(late.written.join('')).toBe('1\n2\n');
  });

  it('starts with the sound sent in packets of its own directly before the key frame', () => {
    const payload = (stream: number, offset: number, number: number, key = true) => ({
      ...{ stream, key, offset, mediaObjectNumber: number, replicated: Buffer.alloc(8), data: Buffer.alloc(20) },
    });
    const send = (feed: Feed, sendTime: number, ...payloads: ReturnType<typeof payload>[]) => {
      const fields = { sendTime, duration: 0, packetSize: 400, multiple: true, payloads };
      feed.broadcast.write({ type: 'packet', packet: parsePacket(buildPacket(fields)) });
      feed.deliver();
    };
    const sound = (feed: Feed, time: number, offset = 0) => send(feed, time, payload(AUDIO, offset, 1));
    const key = payload(VIDEO, 0, 9);
    // Packets 0 to 4; the key frame comes last, after the rest of a sound.
    const record = (feed: Feed) => {
      sound(feed, 0);
      send(feed, 100, payload(VIDEO, 40, 8, false));
      sound(feed, 200, 40);
      sound(feed, 250);
      send(feed, 300, payload(AUDIO, 40, 1), key);
    };
    const early = new Feed();
    const waiting = early.join();
    record(early);
    expect([waiting, early.join()].map(({ packets }) => packets[0])).toEqual([
      [3, 0],
      [3, 0],
    ]);
    // Sound that is too old, or followed by other video, is left out.
    const others = new Feed();
    sound(others, 0);
    sound(others, 2000);
    send(others, 3500, payload(VIDEO, 40, 8, false), key);
    expect(others.join().packets[0]).toEqual([2, 0]);
    const old = new Feed();
    sound(old, 0);
    sound(old, 1500);
    send(old, 2000, key);
    expect(old.join().packets[0]).toEqual([1, 0]);
  });

  it('starts at the oldest key frame while there is no whole burst yet', () => {
    const feed = new Feed();
    feed.feed(8);
    expect(feed.join().packets[0]).toEqual([0, 0]);
  });

  it('never bursts less than the preroll', () => {
    const feed = new Feed({ burst: 0 }, { preroll: 2000 });
    feed.feed(40, { preroll: 2000 });
    expect(feed.join().packets[0]).toEqual([15, 0]);
  });

  it('waits for the first key frame when the broadcast has none', () => {
    const feed = new Feed();
    feed.sendTime = 100;
    feed.feed(3);
    const player = feed.join();
    feed.feed(2);
    feed.deliver();
    expect(player.packets).toEqual([[4, 0]]);
  });

  it('starts an audio broadcast at any packet', () => {
    const feed = new Feed({}, { video: false });
    feed.broadcast.write({ type: 'packet', packet: testPacket(0, { stream: AUDIO }) });
    expect(feed.join().packets).toEqual([[0, 0]]);
  });

  it('goes on without a gap or a repeat, whatever was undelivered when it joined', () => {
    const feed = new Feed();
    const first = feed.join();
    feed.feed(12);
    const second = feed.join();
    feed.feed(3);
    feed.deliver();
    feed.feed(3);
    feed.deliver();
    for (const player of [first, second]) {
      const locations = player.packets.map(([location]) => location);
      expect(locations).toEqual(locations.map((_, index) => locations[0]! + index));
      expect(locations.at(-1)).toBe(17);
      expect(player.packets.map(([, sequence]) => sequence)).toEqual(locations.map((_, index) => index & 255));
    }
  });

  it('numbers each session from 0 and wraps after 255', () => {
    const feed = new Feed();
    const early = feed.join();
    for (let batch = 0; batch < 30; batch++) {
      feed.feed(10);
      feed.deliver();
    }
    const late = feed.join();
    feed.feed(1);
    feed.deliver();
    expect(early.packets.map(([, sequence]) => sequence)).toEqual(
      Array.from({ length: 301 }, (_, index) => index & 255),
    );
    expect(late.packets[0]![1]).toBe(0);
  });

  it('gives players that joined in step the very same bytes', () => {
    const feed = new Feed();
    feed.feed(12);
    const [a, b] = [feed.join(), feed.join()];
    feed.feed(2);
    feed.deliver();
    expect(a.written).toHaveLength(2);
    expect(a.written.map((bytes, index) => bytes === b.written[index])).toEqual([true, true]);
  });

  it('wraps a batch once for all players that get the same, and once for each numbering in use', () => {
    const feed = new Feed();
    const wire = textWire();
    const write = jest.spyOn(wire, 'write');
    const joinAt = () => feed.broadcast.join(new FakePlayer(), EVERY_STREAM, wire);
    feed.feed(11);
    for (let count = 0; count < 50; count++) joinAt();
    feed.feed(5);
    feed.deliver();
    for (let count = 0; count < 50; count++) joinAt();
    write.mockClear();
    feed.feed(2);
    feed.deliver();
    expect(write).toHaveBeenCalledTimes(2 * 2);
  });
});

describe('slow players', () => {
  const limits = { maxBacklog: 1000, patience: 5000 };

  it('skips to the next key frame when a player has caught up, and counts what it dropped', () => {
    const feed = new Feed(limits);
    const slow = feed.join();
    const player = feed.broadcast.join(new FakePlayer(), EVERY_STREAM, textWire('other'));
    feed.feed(1);
    slow.backlog = 1e9;
    feed.deliver();
    feed.feed(8);
    feed.deliver();
    slow.backlog = 0;
    feed.feed(4);
    feed.deliver();
    expect(slow.packets.map(([location]) => location)).toEqual([0, 10, 11, 12]);
    expect(slow.packets.map(([, sequence]) => sequence)).toEqual([0, 1, 2, 3]);
    expect(feed.broadcast.counters.skippedPackets).toBe(8);
    expect(player.sent).toBe(13);
  });

  it('disconnects a player that lags too long, and disturbs no other', () => {
    const feed = new Feed(limits);
    const [slow, good] = [feed.join(), feed.join()];
    slow.backlog = 1e9;
    for (let batch = 0; batch < 60; batch++) {
      feed.feed(1);
      feed.deliver();
    }
    expect(slow.destroyed).toBe(true);
    // Its connection has not closed yet: it is counted once all the same.
    expect(feed.broadcast.counters.droppedPlayers).toBe(1);
    expect(good.destroyed).toBe(false);
    expect(good.packets).toHaveLength(60);
  });
});

describe('a source that goes and comes', () => {
  it('splices a source of the same layout to the timeline; players notice nothing', () => {
    const feed = new Feed();
    const player = feed.join();
    feed.feed(10);
    feed.deliver();
    feed.broadcast.write({ type: 'header', header: testHeader({ fileId: 'f'.repeat(32) }) });
    feed.sendTime = 0;
    feed.feed(10);
    feed.deliver();
    expect(player.headers).toHaveLength(0);
    expect(player.packets.map(([location]) => location)).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(feed.broadcast.counters.splices).toBe(1);
  });

  it('never lets send times go back when a source comes back', () => {
    const feed = new Feed();
    const times: number[] = [];
    const wire = textWire('times', {
      size: () => 0,
      write: (_into, _at, { bytes }) => {
        times.push(parsePacket(bytes).sendTime);
        return 0;
      },
    });
    feed.broadcast.join(new FakePlayer(), EVERY_STREAM, wire);
    feed.feed(10);
    feed.deliver();
    feed.broadcast.write({ type: 'header', header: testHeader() });
    feed.sendTime = 0;
    feed.feed(10);
    feed.deliver();
    expect(times).toHaveLength(20);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('announces another header and goes on at its first key frame, numbered from 0', () => {
    const feed = new Feed();
    const player = feed.join();
    feed.feed(3);
    feed.broadcast.write({ type: 'end', moreEntries: true, reason: 1 });
    feed.broadcast.write({ type: 'header', header: testHeader({ video: false, title: 'second' }) });
    feed.broadcast.write({ type: 'packet', packet: testPacket(0, { stream: AUDIO }) });
    feed.deliver();
    expect(player.ends).toHaveLength(0);
    expect(player.headers).toHaveLength(1);
    expect(player.packets).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
      [0, 3],
    ]);
    expect(feed.broadcast.generation).toBe(2);
  });

  it('ends its players when the source ends, after everything that it sent', () => {
    const feed = new Feed();
    const player = feed.join();
    feed.feed(3);
    feed.broadcast.write({ type: 'end', moreEntries: false, reason: 0 });
    expect(player.packets).toHaveLength(3);
    expect(player.ends).toEqual([{ type: 'end', moreEntries: false, reason: 0 }]);
    expect(feed.broadcast.players).toBe(0);
    expect(feed.broadcast.live).toBe(false);
  });

  it('keeps a bounded history, even without a single key frame', () => {
    const feed = new Feed({ maxHistory: 60_000 });
    for (let index = 0; index < 500; index++) {
      feed.broadcast.write({ type: 'packet', packet: testPacket(index * 100 + 1) });
    }
    feed.sendTime = 50_000;
    feed.feed(1);
    expect(feed.join().packets).toEqual([[500, 0]]);
  });
});

describe('what must not happen', () => {
  it('drops the players of a lane that fails, and goes on for all others', () => {
    const errors: unknown[] = [];
    const feed = new Feed({ onError: (error) => errors.push(error) });
    feed.feed(3);
    const good = feed.join();
    let fails = false;
    const failing = textWire('failing', {
      size: () => {
        if (fails) throw new Error('too large');
        return 0;
      },
      write: () => 0,
    });
    const bad = feed.join(new FakePlayer(), failing);
    fails = true;
    feed.feed(2);
    feed.deliver();
    expect(bad.destroyed).toBe(true);
    expect(good.packets).toHaveLength(5);
    expect(errors).toHaveLength(1);
  });

  // Quadratic work would hit jest's time-out.
  it('keeps up with an audio encoder whose clock has stopped', () => {
    const feed = new Feed({}, { video: false });
    const packet = testPacket(0, { stream: AUDIO, dataSize: 1, packetSize: 40 });
    for (let count = 0; count < 200_000; count++) feed.broadcast.write({ type: 'packet', packet });
    expect(feed.join().packets.length).toBeLessThan((32 * 1024 * 1024) / 300);
  });
});

describe('a follower', () => {
  it('gets every packet at once, even while players are served in batches, and no earlier ones', () => {
    const feed = new Feed({ batchInterval: 250 });
    feed.join();
    feed.feed(3);
    const seen: string[] = [];
    const follower = {
      started: () => void seen.push('H'),
      packet: ({ location }: { location: number }) => {
        seen.push(String(location));
        return 10;
      },
      ended: () => void seen.push('E'),
    };
    feed.broadcast.follow(follower);
    const { bytesOut } = feed.broadcast.counters;
    feed.feed(2);
    expect(seen).toEqual(['H', '3', '4']);
    expect(feed.broadcast.counters.bytesOut - bytesOut).toBe(20);
    expect(feed.broadcast.players).toBe(1);
    feed.broadcast.write({ type: 'end', moreEntries: false, reason: 0 });
    feed.broadcast.write({ type: 'header', header: testHeader() });
    feed.broadcast.write({ type: 'header', header: testHeader() });
    feed.broadcast.write({ type: 'header', header: testHeader({ title: 'another' }) });
    expect(seen.slice(3)).toEqual(['E', 'H', 'H']);
    feed.broadcast.unfollow(follower);
    feed.feed(1);
    expect(seen).toHaveLength(6);
  });

  it('is removed if it fails', () => {
    const errors: unknown[] = [];
    const feed = new Feed({ onError: (error) => errors.push(error) });
    feed.join();
    const failure = new Error('no network');
    feed.broadcast.follow({
      started: () => {},
      packet: () => {
        throw failure;
      },
      ended: () => {},
    });
    feed.feed(6);
    feed.deliver();
    expect(errors).toEqual([failure]);
    expect(feed.broadcast.players).toBe(1);
  });
});
