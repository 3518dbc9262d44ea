import { genIdOf } from '../../src/playback/entry-ids.js';
import { NO_STREAMS, switched } from '../../src/playback/selection.js';
import type { PlaybackSession } from '../../src/playback/session.js';
import { AUDIO, VIDEO } from '../support/stream.js';
import { FakePort, Feeder, House, titleOf } from './support.js';

let house: House;
let port: FakePort;
let feeder: Feeder;
let session: PlaybackSession;

beforeEach(async () => {
  house = await House.build();
  port = new FakePort();
  // The player may not have another header for a while.
  port.changes = { lag: 0, quietAfterSelect: 8_000, confirmFirst: false };
  feeder = new Feeder(house, { title: 'first' });
  feeder.packet({ key: true });
  session = house.session(port);
  session.open(await house.program(feeder.broadcast));
  const on = [VIDEO, AUDIO].map((destination) => ({ source: undefined, destination, level: 0 as const }));
  await session.play({ position: { kind: 'start' }, selection: switched(NO_STREAMS, on) });
  session.select(session.asked, true);
});

afterEach(() => house.close());

/** An entry of half a second. */
function short(title: string): void {
  feeder.end(true);
  feeder.header({ title });
  for (let packet = 0; packet < 5; packet++) feeder.packet({ key: packet === 0 });
}

function titles(): string[] {
  return port.changed.map(({ header }) => titleOf(header));
}

describe('entries of a broadcast that are shorter than the wait before a change', () => {
  it('are played one after the other, as wholes, under headers and ids of their own', async () => {
    short('second');
    house.tick(600);
    short('third');
    house.tick(600);
    short('fourth');
    expect(titles()).toEqual([]);
    await house.until('the last entry', () => titles().includes('fourth'));
    await house.settle();
    expect(titles()).toEqual(['second', 'third', 'fourth']);
    expect(port.packets.map(({ location }) => location)).toEqual([0, ...[1, 2, 3].flatMap(() => [0, 1, 2, 3, 4])]);
    expect(port.packets.map(({ number }) => number)).toEqual(Array.from({ length: 16 }, (_, number) => number));
    expect(new Set(port.changed.map(({ entry }) => genIdOf(entry))).size).toBe(3);
    feeder.packet();
    await house.until('what goes on', () => port.packets.length === 17);
  });

  it('are played, too, if the broadcast ends meanwhile', async () => {
    short('second');
    house.tick(600);
    short('third');
    feeder.end();
    expect(titles()).toEqual([]);
    await house.until('the end', () => port.log.includes('end done'));
    expect(titles()).toEqual(['second', 'third']);
    expect(port.packets).toHaveLength(11);
  });

  it('are played to a player that says late that it goes on', async () => {
    port.answer = 'wait';
    short('second');
    await house.until('the announcement', () => titles().includes('second'));
    short('third');
    short('fourth');
    await session.resume();
    expect(port.packets).toHaveLength(6);
    await house.until('the next announcement', () => titles().includes('third'));
    await session.resume();
    await house.until('the last announcement', () => titles().includes('fourth'));
    await session.resume();
    expect(port.packets).toHaveLength(16);
    expect(titles()).toEqual(['second', 'third', 'fourth']);
  });

  it('are not kept for a player that paused', async () => {
    short('second');
    session.pause();
    short('third');
    await session.resume();
    await house.until('what is live', () => titles().length > 0);
    expect(titles()).toEqual(['third']);
  });
});
