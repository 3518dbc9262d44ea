import { until } from '../support/until.js';
import { FakeHub } from './fake-bus.js';
import { House } from './house.js';

describe('the points of a cluster', () => {
  let hub: FakeHub;
  let houses: House[];

  beforeEach(async () => {
    hub = new FakeHub();
    houses = [];
    for (const name of ['a', 'b', 'c']) houses.push(await House.join(hub, name));
    await until('all nodes to know each other', () => houses.every(({ node }) => node.others.length === 2));
  });

  afterEach(async () => {
    for (const { node } of houses) await node.close();
  });

  const ownerSeenBy = (house: House, path: string) => house.node.directory.ownerOf(path)?.node;

  it('have a number for each node, and a name for one only', async () => {
    expect(new Set(houses.map(({ node }) => node.number)).size).toBe(3);
    await expect(House.join(hub, 'a')).rejects.toThrow('already in the cluster');
  });

  it('belong to the node that claims them first, however many do at once', async () => {
    for (let round = 0; round < 20; round++) {
      const path = `/race-${round}`;
      const claims = await Promise.allSettled(houses.map((house) => house.publish(path)));
      expect(claims.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      const winner = houses[claims.findIndex(({ status }) => status === 'fulfilled')]!;
      await until('all to know the owner', () =>
        houses.every((house) => ownerSeenBy(house, path) === winner.node.self.node),
      );
    }
  }, 60_000);

  it('are refused as taken, and can be had at once after they were given back', async () => {
    const [a, b] = houses as [House, House];
    await a.publish('/live');
    await until('b to know', () => ownerSeenBy(b, '/live') === 'a');
    await expect(b.publish('/live')).rejects.toMatchObject({ kind: 'taken' });
    const first = b.node.directory.ownerOf('/live')!.revision;
    a.node.release('/live');
    await b.publish('/live');
    await until('a to know', () => ownerSeenBy(a, '/live') === 'b');
    expect(a.node.directory.ownerOf('/live')!.revision).toBeGreaterThan(first);
  });

  it('go to another node if their owner says that its encoder may be replaced, and the owner stops', async () => {
    const [a, b] = houses as [House, House];
    await a.publish('/live');
    await until('b to know', () => ownerSeenBy(b, '/live') === 'a');
    a.yields = (_, { remoteAddress }) => remoteAddress === '192.0.2.1';
    await expect(b.publish('/live', '192.0.2.2')).rejects.toMatchObject({ kind: 'taken' });
    await b.publish('/live', '192.0.2.1');
    await until('a to stop', () => a.lost.includes('/live'));
    expect(a.node.ownership.holds('/live')).toBe(false);
  });

  it('are free within seconds when their owner has died, and never while the store takes no beats', async () => {
    const [a, b] = houses as [House, House];
    await a.publish('/live');
    await until('b to know', () => ownerSeenBy(b, '/live') === 'a');
    hub.storeGone = true;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(b.node.directory.isAlive(a.node.self)).toBe(true);
    hub.storeGone = false;
    a.bus.cut();
    await until('b to notice', () => !b.node.directory.isAlive(a.node.self));
    await b.publish('/live');
    expect(b.node.ownership.epochOf('/live')).toBeDefined();
    // The old owner comes back: it has lost the point.
    a.bus.cut(true);
    await until('a to stop', () => a.lost.includes('/live'));
  });

  it('are fed without the bus, and the race is decided when it is back', async () => {
    const [a, b] = houses as [House, House];
    for (const { bus } of [a, b]) bus.cut();
    await a.publish('/live');
    await b.publish('/live');
    expect([a, b].map(({ node }) => node.ownership.holds('/live'))).toEqual([true, true]);
    for (const { bus } of [a, b]) bus.cut(true);
    await until('one of them to stop', () => a.lost.length + b.lost.length === 1, 5_000);
    const [winner, loser] = a.lost.length === 1 ? [b, a] : [a, b];
    await until('the loser to know', () => ownerSeenBy(loser, '/live') === winner.node.self.node);
  });

  it('are given away by a node that is cut off from servers that may decide, and kept if the servers are gone', async () => {
    const [a, b] = houses as [House, House];
    for (const path of ['/one', '/two']) await a.publish(path);
    await until('b to know', () => ownerSeenBy(b, '/two') === 'a');
    a.bus.cut();
    await until('the lease to run out', () => !b.node.directory.isAlive(a.node.self));
    expect(a.node.ownership.paths).toEqual(['/one', '/two']);
    a.bus.silent = true;
    await until('a to give its points away', () => a.given.length === 2);
    expect(a.node.ownership.paths).toEqual([]);
    expect(a.node.isolated).toBe(true);
    await b.publish('/one');
    a.bus.silent = false;
    a.bus.cut(true);
    await until('a to belong to the others', () => !a.node.isolated && ownerSeenBy(a, '/one') === 'b');
    await b.publish('/two');
  });

  it('stay with a node that took them while the store had no leader, if their owner in the store is gone', async () => {
    // The lease of the owner outlives it.
    const [a, b] = [await House.join(hub, 'd', 1_000), await House.join(hub, 'e', 1_000)];
    houses.push(a, b);
    const [c] = houses as [House];
    await a.publish('/live');
    await until('b to know', () => ownerSeenBy(b, '/live') === 'd');
    hub.storeGone = true;
    a.bus.cut();
    await b.publish('/live');
    expect(b.node.ownership.holds('/live')).toBe(true);
    hub.storeGone = false;
    await until('c to know', () => ownerSeenBy(c, '/live') === 'e');
    expect(b.lost).toEqual([]);
  });

  it('are claimed with what the store has, if a node has not seen that yet', async () => {
    const [a, b] = houses as [House, House];
    await a.publish('/live');
    await until('b to know', () => ownerSeenBy(b, '/live') === 'a');
    b.bus.deaf = true;
    a.node.release('/live');
    await until('the store to know', () => hub.keys.get('point./live')?.value === undefined);
    a.bus.cut();
    await b.publish('/live');
    expect(b.node.ownership.epochOf('/live')).toBeDefined();
  });

  it('are gone from all nodes with a node that says goodbye', async () => {
    const [a, b] = houses as [House, House];
    await a.publish('/live');
    await until('b to know', () => ownerSeenBy(b, '/live') === 'a');
    await a.node.close();
    await until('b to know', () => ownerSeenBy(b, '/live') === undefined && b.node.others.length === 1);
  });

  it('ignore what is not theirs in the store', async () => {
    const [a] = houses as [House];
    for (const [key, value] of [
      ['point./x', 'no JSON'],
      ['point./y', '{"node":"","run":"*","epoch":1}'],
      ['node.z', '{"node":"z","run":"1","number":-1,"interval":0}'],
      ['point.=zz', '{}'],
    ] as const) {
      hub.write(key, Buffer.from(value));
    }
    await a.publish('/after');
    await until('a to have seen all', () => ownerSeenBy(a, '/after') === 'a');
    expect(a.node.directory.ownerOf('/x')).toBeUndefined();
    expect(a.node.directory.ownerOf('/y')).toBeUndefined();
    expect(a.node.others).toHaveLength(2);
  });
});
