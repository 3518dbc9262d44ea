import { decodeMedia } from '../../src/cluster/batch.js';
import { testHeader } from '../support/stream.js';
import { until } from '../support/until.js';
import { FakeHub } from './fake-bus.js';
import { eventsOf, feed, House, numbersIn, range } from './house.js';

const PATH = '/live';
const header = testHeader();

describe('a point on another node', () => {
  let hub: FakeHub;
  let houses: House[];
  let a: House;
  let b: House;
  let c: House;

  beforeEach(async () => {
    hub = new FakeHub();
    houses = [];
    for (const name of ['a', 'b', 'c']) houses.push(await House.join(hub, name));
    [a, b, c] = houses as [House, House, House];
    await until('all nodes to know each other', () => houses.every(({ node }) => node.others.length === 2));
  });

  afterEach(async () => {
    for (const { node } of houses) await node.close();
  });

  const knows = (house: House, owner: House) =>
    until('the owner to be known', () => house.node.remoteOwner(PATH)?.run === owner.node.self.run);

  async function published(house: House) {
    const broadcast = await house.publish(PATH);
    broadcast.write({ type: 'header', header });
    return broadcast;
  }

  it('comes with what is kept, then as it is sent, and ends with it', async () => {
    const source = await published(a);
    feed(source, 0, 50);
    await knows(b, a);
    const events = eventsOf(b.broadcast(PATH));
    await b.following(PATH).demand('');
    feed(source, 50, 50);
    await until('all packets', () => numbersIn(events).length === 100);
    await source.close();
    await until('the end', () => events.at(-1)?.type === 'end');
    expect(events.filter(({ type }) => type === 'header')).toHaveLength(1);
    expect(numbersIn(events)).toEqual(range(0, 99));
  });

  it('is sent only while a node wants it, once for all', async () => {
    const source = await published(a);
    feed(source, 0, 20);
    expect(a.node.senders.size).toBe(0);
    await Promise.all([knows(b, a), knows(c, a)]);
    const [atB, atC] = [b, c].map((house) => eventsOf(house.broadcast(PATH))) as [unknown[], unknown[]];
    await Promise.all([b.following(PATH).demand(''), c.following(PATH).demand('')]);
    const before = a.bus.published;
    feed(source, 20, 30);
    await until('all packets', () => [atB, atC].every((events) => numbersIn(events as never).length === 50));
    expect(a.bus.published - before).toBeLessThanOrEqual(3);
  });

  it('has no gap when messages get lost, and nothing twice', async () => {
    const source = await published(a);
    await knows(b, a);
    const events = eventsOf(b.broadcast(PATH));
    feed(source, 0, 10);
    await b.following(PATH).demand('');
    let message = 0;
    hub.loses = (subject) => subject.includes('.media.') && ++message % 3 === 0;
    for (let number = 10; number < 400; number += 10) {
      feed(source, number, 10);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    hub.loses = () => false;
    await until('all packets', () => numbersIn(events).length === 400);
    expect(numbersIn(events)).toEqual(range(0, 399));
    expect(message).toBeGreaterThan(20);
  });

  it('goes on at a key frame after a gap that the owner cannot fill, which is counted', async () => {
    const source = await published(a);
    await knows(b, a);
    const events = eventsOf(b.broadcast(PATH));
    feed(source, 0, 10);
    await b.following(PATH).demand('');
    await until('the first packets', () => numbersIn(events).length === 10);
    b.bus.cut();
    // More than the ten seconds that an owner keeps.
    feed(source, 10, 3_000);
    b.bus.cut(true);
    feed(source, 3_010, 20);
    await until('the last packet', () => numbersIn(events).at(-1) === 3_029);
    const seen = numbersIn(events);
    expect(seen.slice(0, 10)).toEqual(range(0, 9));
    expect(seen[10]! % 10).toBe(0);
    expect(new Set(seen).size).toBe(seen.length);
    expect(b.node.lostPackets).toBeGreaterThan(1_000);
  });

  it('goes on under the same header when its encoder comes back at another node', async () => {
    const source = await published(a);
    await Promise.all([knows(b, a), knows(c, a)]);
    const [atB, atC] = [eventsOf(b.broadcast(PATH)), eventsOf(c.broadcast(PATH))];
    feed(source, 0, 30);
    await Promise.all([b.following(PATH).demand(''), c.following(PATH).demand('')]);
    await until('all packets', () => [atB, atC].every((events) => numbersIn(events).length === 30));
    a.bus.cut();
    await until('the end of the lease', () => !c.node.directory.isAlive(a.node.self));
    const next = await published(c);
    await knows(b, c);
    feed(next, 100, 30);
    await until('what follows', () => [atB, atC].every((events) => numbersIn(events).length === 60));
    for (const events of [atB, atC]) {
      expect(numbersIn(events)).toEqual([...range(0, 29), ...range(100, 129)]);
      expect(events.filter(({ type }) => type !== 'packet')).toHaveLength(1);
    }
    // The old owner comes back with players of its own: they follow the new one.
    const atA = eventsOf(a.broadcast(PATH));
    a.bus.cut(true);
    await until('a to stop', () => a.lost.includes(PATH));
    feed(next, 130, 20);
    await until('a to follow', () => numbersIn(atA).includes(149));
    expect(atA.some(({ type }) => type === 'end')).toBe(false);
  });

  it('does not end for others when its owner, which has followed it before, stops', async () => {
    const source = await published(a);
    await knows(b, a);
    feed(source, 0, 10);
    await b.following(PATH).demand('');
    a.yields = () => true;
    const next = await published(b);
    await Promise.all([knows(c, b), until('a to stop', () => a.lost.includes(PATH))]);
    const events = eventsOf(c.broadcast(PATH));
    await c.following(PATH).demand('');
    feed(next, 100, 10);
    await until('what follows', () => numbersIn(events).includes(109));
    await b.node.close();
    const last = await published(a);
    feed(last, 200, 10);
    await until('what follows then', () => numbersIn(events).includes(209));
    expect(events.filter(({ type }) => type === 'end')).toEqual([]);
  });

  it('goes on when the store writes its owner down once more', async () => {
    const source = await published(a);
    await knows(b, a);
    const events = eventsOf(b.broadcast(PATH));
    feed(source, 0, 20);
    await b.following(PATH).demand('');
    const { revision, node, run, epoch } = b.node.directory.ownerOf(PATH)!;
    hub.write(`point.${PATH}`, Buffer.from(JSON.stringify({ node, run, epoch })));
    await until('that to be known', () => b.node.directory.ownerOf(PATH)!.revision > revision);
    feed(source, 20, 20);
    await until('all packets', () => numbersIn(events).includes(39));
    expect(numbersIn(events)).toEqual(range(0, 39));
  });

  it('announces another header as another entry', async () => {
    const source = await published(a);
    await knows(b, a);
    const events = eventsOf(b.broadcast(PATH));
    feed(source, 0, 20);
    await b.following(PATH).demand('');
    await until('all packets', () => numbersIn(events).length === 20);
    source.write({ type: 'end', moreEntries: true, reason: 1 });
    source.write({ type: 'header', header });
    feed(source, 500, 20);
    await until('the next entry', () => numbersIn(events).length === 40);
    expect(events.filter(({ type }) => type === 'header')).toHaveLength(2);
    expect(b.broadcast(PATH).generation).toBe(2);
  });

  it('comes with a header that is larger than a message', async () => {
    const large = testHeader({ ballast: 60_000 });
    const source = await a.publish(PATH);
    Object.defineProperty(a.bus, 'maxPayload', { value: 9_000 });
    source.write({ type: 'header', header: large });
    feed(source, 0, 200);
    await knows(b, a);
    const events = eventsOf(b.broadcast(PATH));
    await b.following(PATH).demand('');
    await until('all packets', () => numbersIn(events).length === 200);
    expect(b.broadcast(PATH).header!.bytes).toEqual(source.header!.bytes);
  });

  it('is refused if its node has nothing to send', async () => {
    await a.publish(PATH);
    await knows(b, a);
    await expect(b.following(PATH).demand('')).rejects.toMatchObject({ kind: 'offline' });
    await expect(b.following('/other').demand('')).rejects.toMatchObject({ kind: 'offline' });
  });

  it('takes no harm from what strangers send at its subject', async () => {
    const source = await published(a);
    await knows(b, a);
    const events = eventsOf(b.broadcast(PATH));
    feed(source, 0, 10);
    await b.following(PATH).demand('');
    const { directory, subjects } = b.node;
    const owner = directory.ownerOf(PATH)!;
    const subject = subjects.media(owner, owner.epoch, PATH);
    for (const junk of [Buffer.alloc(0), Buffer.alloc(16, 255), Buffer.from('hello, world: what is this?')]) {
      c.bus.publish(subject, junk);
    }
    expect(() => decodeMedia(Buffer.alloc(16, 255))).toThrow();
    feed(source, 10, 10);
    await until('all packets', () => numbersIn(events).length === 20);
  });
});
