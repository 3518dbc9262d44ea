import { ALL_STREAMS, NO_STREAMS, switched } from '../../src/playback/selection.js';
import { AUDIO, VIDEO } from '../support/stream.js';
import { PACKETS_A_SECOND } from '../wmsp/content.js';
import { FakePort, Feeder, House } from './support.js';

const START = { position: { kind: 'start' }, selection: ALL_STREAMS } as const;

let house: House;
let port: FakePort;

beforeEach(async () => {
  house = await House.build();
  port = new FakePort();
  for (const name of ['a', 'b', 'c']) await house.media(name, { seconds: 4 });
});

afterEach(() => house.close());

/** A session that plays these entries. */
async function playing(...made: Parameters<House['program']>) {
  const session = house.session(port);
  session.open(await house.program(...made));
  await session.play(START);
  return session;
}

const logged = (line: string) => () => port.log.includes(line);
const count = (seconds: number) => seconds * PACKETS_A_SECOND;

describe('a playlist', () => {
  it('goes from entry to entry, announces each before its first byte, and reports its end once', async () => {
    await playing({ file: 'a' }, { file: 'b' }, { file: 'c' });
    await house.until('the end', logged('end done'));
    expect(port.log).toEqual([
      ...['start 0', 'data'],
      ...['end more-follows', 'next b', `start ${count(4)}`, 'data'],
      ...['end more-follows', 'next c', `start ${count(8)}`, 'data'],
      'end done',
    ]);
    expect(port.packets.map(({ number }) => number)).toEqual(port.packets.map((_, index) => index & 255));
    expect(port.ends.map(({ number }) => number)).toEqual([count(4), count(8), count(12)]);
    expect(house.open).toBe(1);
  });

  it('says which entries the player has confirmed', async () => {
    const session = await playing({ file: 'a' }, { file: 'b' }, { file: 'c' }, { file: 'a' });
    await house.until('the third entry', () => port.changed.length === 2);
    session.confirm();
    await house.until('the end', logged('end done'));
    expect(port.changed.map(({ confirmed }) => confirmed)).toEqual([true, false, true]);
  });

  it('waits after announcing an entry if the port says so, and starts it when the player resumes', async () => {
    port.answer = 'wait';
    const session = await playing({ file: 'a' }, { file: 'b' });
    await house.until('the next entry', logged('next b'));
    house.tick(60_000);
    await house.settle();
    expect([session.state, port.log.at(-1), port.locations.length]).toEqual(['waiting', 'next b', count(4)]);
    await session.resume();
    await house.until('the end', logged('end done'));
    expect(port.locations).toHaveLength(count(8));
  });

  it('starts an awaited entry where and as fast as the player wants it', async () => {
    port.answer = 'wait';
    const session = await playing({ file: 'a' }, { file: 'b' });
    await house.until('the next entry', logged('next b'));
    const started = await session.resume({ position: { kind: 'time', milliseconds: 2_000 }, speed: 3 });
    expect(started).toMatchObject({ number: count(4), location: count(2), position: 2_000, pace: { speed: 3 } });
    expect(port.starts.at(-1)).toEqual(started);
  });

  it('announces a postponed change again once the player has confirmed its entry', async () => {
    port.answer = 'later';
    const session = await playing({ file: 'a' }, { file: 'b' });
    await house.until('the question', () => port.changed.length === 1);
    house.tick(60_000);
    await house.settle();
    expect([session.state, port.changed.length]).toEqual(['waiting', 1]);
    port.answer = 'go on';
    session.confirm();
    await house.until('the end', logged('end done'));
    expect(port.log.slice(2)).toEqual(['end more-follows', 'next b', `start ${count(4)}`, 'data', 'end done']);
  });

  it('also announces it again when the player resumes', async () => {
    port.answer = 'later';
    const session = await playing({ file: 'a' }, { file: 'b' });
    await house.until('the question', () => port.changed.length === 1);
    port.answer = 'wait';
    await session.resume();
    expect([session.state, port.log.at(-1)]).toEqual(['waiting', 'next b']);
    await session.resume();
    expect(session.state).toBe('playing');
  });

  it('announces no entry before the last one is confirmed, if the port wants that', async () => {
    port.changes.confirmFirst = true;
    const session = await playing({ file: 'a' }, { file: 'b' }, { file: 'c' });
    await house.until('the end of the second entry', () => port.ends.length === 2);
    house.tick(60_000);
    await house.settle();
    expect([session.state, port.changed.length]).toEqual(['waiting', 1]);
    session.confirm();
    await house.until('the end', logged('end done'));
    expect(port.changed).toHaveLength(2);
  });

  it('announces the next entry when the player has had time for its data and its choice of streams', async () => {
    port.changes = { lag: 3_000, quietAfterSelect: 8_000, confirmFirst: false };
    const session = await playing({ file: 'a' }, { file: 'b' });
    await house.until('all of the first entry', () => port.ends.length === 1);
    const ended = house.now;
    await house.until('the next entry', logged('next b'));
    expect(house.now - ended).toBeGreaterThanOrEqual(2_950);
    expect(house.now - ended).toBeLessThan(4_000);
    await session.next(-1);
    session.select(ALL_STREAMS, true);
    const chosen = house.now;
    await house.until('the next entry', () => port.log.filter((line) => line === 'next b').length === 2);
    expect(house.now - chosen).toBeGreaterThanOrEqual(8_000);
  });

  it('does not run ahead with many short entries', async () => {
    await house.media('short', { seconds: 1 });
    const begun = house.now;
    await playing(...Array.from({ length: 8 }, () => ({ file: 'short' })));
    await house.until('the last entry', () => port.changed.length === 7);
    // The player has its preroll of 1 s and 2 s more.
    expect(house.now - begun).toBeGreaterThanOrEqual(7_000 - 3_000 - 50);
  });

  it('begins an entry after its delay, and sends no more of it than its clip', async () => {
    const begun = house.now;
    await playing({ file: 'a' }, { file: 'b', begin: 1_000, duration: 1_000, delay: 5_000 });
    await house.until('the next entry', logged('next b'));
    expect(house.now - begun).toBeGreaterThanOrEqual(9_000);
    await house.until('the end', logged('end done'));
    expect(port.locations[count(4)]).toBe(count(1));
    expect(port.locations.length).toBeLessThanOrEqual(count(5) + 2);
  });
});

describe('skipping', () => {
  it('goes to the neighbours, and reports the direction', async () => {
    const session = await playing({ file: 'a' }, { file: 'b' }, { file: 'c' });
    await session.next(1);
    await session.next(1);
    await session.next(-1);
    expect(port.log.filter((line) => line !== 'data').map((line) => line.replace(/^start.*/, 'start'))).toEqual([
      'start',
      ...['end more-follows', 'next b', 'start'],
      ...['end more-follows', 'next c', 'start'],
      ...['end more-follows', 'previous b', 'start'],
    ]);
  });

  it('counts from the named entry', async () => {
    const session = await playing({ file: 'a' }, { file: 'b' }, { file: 'c' });
    await session.next(1, 2);
    expect(port.changed.map(({ entry }) => entry.id)).toEqual([3]);
  });

  it('continues in its entry if there is no neighbour', async () => {
    const session = await playing({ file: 'a' });
    await house.until('some packets', () => port.locations.length > 20);
    const sent = port.locations.length;
    await session.next(1);
    await house.until('the end', logged('end done'));
    expect(port.changed).toEqual([]);
    expect(port.locations).toEqual(Array.from({ length: count(4) }, (_, index) => index));
    expect(port.starts.map(({ location }) => location)).toEqual([0, sent]);
  });
});

describe('a broadcast in a playlist', () => {
  it('is followed by the next entry, and its headers are distinguished from entries', async () => {
    const live = new Feeder(house, { title: 'one' });
    const session = await playing(live.broadcast, { file: 'a' });
    live.packet({ key: true });
    await house.until('a packet', () => port.batches.length === 1);
    live.header({ title: 'two', packetSize: 500 });
    live.packet({ key: true });
    await house.until('a packet', () => port.batches.length === 2);
    live.end(true);
    live.header({ title: 'two', packetSize: 500 });
    live.packet({ key: true });
    await house.until('a packet', () => port.batches.length === 3);
    live.end();
    await house.until('the file', () => port.batches.length > 3);
    expect(port.log.filter((line) => line !== 'data')).toEqual([
      'start 0',
      ...['end more-follows', 'header two'],
      ...['end more-follows', 'next two'],
      ...['end more-follows', 'next a', 'start 3'],
    ]);
    expect(session.number).toBe(port.locations.length);
  });

  it('leaves nothing running when the port ends the session in the middle of a change', async () => {
    const live = new Feeder(house, { title: 'one' });
    const session = await playing(live.broadcast);
    port.announce = () => {
      session.stop('closed');
      return 'go on';
    };
    live.header({ title: 'two', packetSize: 500 });
    live.packet({ key: true });
    await house.settle();
    expect([live.broadcast.players, live.broadcast.wanted, port.batches.length, house.open]).toEqual([0, false, 0, 0]);
  });

  it('sends nothing when the port ends the session as it starts', async () => {
    const live = new Feeder(house, { title: 'one' });
    live.packet({ key: true });
    port.starting = () => port.session!.stop('closed');
    await playing(live.broadcast);
    live.packet({ key: true });
    await house.settle();
    expect([live.broadcast.players, port.batches.length, house.open]).toEqual([0, 0, 0]);
  });

  it('keeps an on-demand source running while the player is paused, and no longer', async () => {
    const live = new Feeder(house, { title: 'one' });
    const session = await playing(live.broadcast);
    session.pause();
    expect([live.broadcast.players, live.broadcast.wanted]).toEqual([0, true]);
    house.tick(29_000);
    expect(live.broadcast.wanted).toBe(true);
    house.tick(1_001);
    expect(live.broadcast.wanted).toBe(false);
  });
});

describe('prediction', () => {
  const onlyVideo = switched(NO_STREAMS, [{ source: undefined, destination: VIDEO, level: 0 }]);

  it('keeps the kinds of streams that the player chose if the numbers differ', async () => {
    await house.media('swapped', { swapped: true });
    const session = house.session(port);
    session.open(await house.program({ file: 'a' }, { file: 'swapped' }));
    await session.play({ ...START, selection: onlyVideo });
    await house.until('the next entry', logged('next swapped'));
    const { levels } = port.changed[0]!.selection;
    expect([levels.get(AUDIO), levels.get(VIDEO)]).toEqual([0, 2]);
    expect([session.asked, session.granted]).toEqual([port.changed[0]!.selection, port.changed[0]!.selection]);
  });

  it('chooses one of the streams that exclude each other', async () => {
    await house.media('rates', { twin: 'groupMutualExclusion' });
    await playing({ file: 'a' }, { file: 'rates' });
    await house.until('the next entry', logged('next rates'));
    const { levels, others } = port.changed[0]!.selection;
    expect([levels.get(1), levels.get(2), levels.get(3) ?? others]).toEqual([0, 0, 2]);
  });
});
