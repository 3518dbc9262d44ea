import { commandPacket } from '../../src/asf/command.js';
import { parsePacket } from '../../src/asf/packet.js';
import { OnceCommands } from '../../src/media/once-commands.js';
import type { BroadcastPacket } from '../../src/media/wire.js';
import { FakePlayer, textWire } from '../support/players.js';
import { Feed } from './feed.js';

/** Packets as they are. */
const raw = textWire('raw', {
  numbers: 'none',
  size: ({ bytes }) => bytes.length,
  write: (into, at, { bytes }) => bytes.copy(into, at),
});

const contents = (player: FakePlayer) => Buffer.concat(player.batches.map(({ bytes }) => bytes)).toString('latin1');
const wide = (text: string) => Buffer.from(text, 'utf16le').toString('latin1');

describe('script commands in the burst for a new player', () => {
  let feed: Feed;

  beforeEach(() => {
    feed = new Feed({}, { commands: 3 });
  });

  afterEach(() => feed.close());

  it.each(['URL', 'URLANDEXIT', 'FILENAME', 'EVENT'])('%s is not given to those that join later', (type) => {
    const early = feed.join(new FakePlayer(), raw);
    feed.feed(7);
    feed.deliver();
    feed.broadcast.insert({ type, text: 'http://once/' });
    feed.broadcast.insert({ type: 'TEXT', text: 'a title' });
    feed.feed(2);
    // The early player has not been served since: it still gets what was sent before.
    const late = feed.join(new FakePlayer(), raw);
    feed.feed(3);
    feed.deliver();
    const later = feed.join(new FakePlayer(), raw);
    feed.deliver();
    expect(contents(early)).toContain(wide('http://once/'));
    for (const player of [late, later]) {
      expect(contents(player)).not.toContain(wide('http://once/'));
      expect(contents(player)).not.toContain(wide(`${type}\0`));
      expect(contents(player)).toContain(wide('a title'));
      // Everything else is the same, byte for byte.
      expect(contents(early).length).toBeGreaterThanOrEqual(contents(player).length);
    }
  });

  it('one of the encoder is left out as well', () => {
    const command = commandPacket(
      { type: 'URL', text: 'http://split/' },
      { stream: 3, sendTime: 0, presentationTime: 1000, mediaObjectNumber: 0, packetSize: 400 },
    );
    const early = feed.join(new FakePlayer(), raw);
    feed.feed(6);
    feed.broadcast.write({ type: 'packet', packet: parsePacket(command) });
    feed.feed(2);
    const late = feed.join(new FakePlayer(), raw);
    feed.deliver();
    expect(contents(early)).toContain(wide('http://split/'));
    expect(contents(late)).not.toContain(wide('http://split/'));
    expect(contents(late).length).toBeGreaterThan(0);
  });
});

describe('what is kept of commands,', () => {
  const bytes = commandPacket(
    { type: 'URL', text: 'http://again/' },
    { stream: 3, sendTime: 0, presentationTime: 1000, mediaObjectNumber: 0, packetSize: 400 },
  );
  const packet = parsePacket(bytes);
  const kept = (location: number) => ({ location, wire: bytes, start: bytes }) as unknown as BroadcastPacket;

  it.each([
    ['where nobody joins', [{ type: 'URL', text: 'http://again/' }]],
    ['that never end', []],
  ])('%s is no more than the history', (_, commands) => {
    const once = new OnceCommands(3);
    for (let location = 0; location < 5_000; location++) {
      once.note(packet, kept(location), commands, Math.max(0, location - 9));
      expect(once.size).toBeLessThanOrEqual(10);
    }
    expect(once.retire(4_995)).toHaveLength(commands.length * 5);
    expect(once.size).toBeLessThanOrEqual(10);
  });
});
