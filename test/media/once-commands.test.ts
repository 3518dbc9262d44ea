import { commandPacket } from '../../src/asf/command.js';
import { parsePacket } from '../../src/asf/packet.js';
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
