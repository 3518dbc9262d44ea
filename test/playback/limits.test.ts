import { LocalLimits, type ServerLimits } from '../../src/playback/limits.js';

const kind = (taking: Promise<unknown>) =>
  taking.then(
    () => 'taken',
    (error: unknown) => (error as { kind: string }).kind,
  );

describe('limits', () => {
  it('of the server and of a path apply together, and a place that is released is free again', async () => {
    const limits = new LocalLimits(() => ({ players: 2 }));
    const wish = (path: string) => ({ path, limits: { players: 1 } });
    const first = await limits.take(wish('/a'));
    expect(await kind(limits.take(wish('/a')))).toBe('busy');
    const second = await limits.take(wish('/b'));
    await expect(limits.take({ path: '/c' })).rejects.toThrow('All 2 places of the server are taken.');
    first.release();
    first.release();
    second.release();
    expect(limits.taken).toBe(0);
    expect(await kind(limits.take(wish('/a')))).toBe('taken');
  });

  it('bound the sum of bit rates, for the server and for a path', async () => {
    const limits = new LocalLimits(() => ({ bandwidth: 1_000_000 }));
    const wish = (path: string, bitRate: number) => ({ path, bitRate, limits: { bandwidth: 600_000 } });
    const first = await limits.take(wish('/a', 400_000));
    await expect(limits.take(wish('/a', 400_000))).rejects.toThrow('already have the 600 kbit/s');
    await limits.take(wish('/b', 500_000));
    await expect(limits.take(wish('/c', 200_000))).rejects.toThrow('already have the 1.00 Mbit/s');
    first.release();
    expect(await kind(limits.take(wish('/c', 200_000)))).toBe('taken');
  });

  it.each<[ServerLimits, ServerLimits]>([
    [{ playerBandwidth: 500_000 }, { playerBandwidth: 900_000 }],
    [{ playerBandwidth: 900_000 }, { playerBandwidth: 500_000 }],
    [{}, { playerBandwidth: 500_000 }],
  ])('refuse streams with more than a player may have, where the lower limit counts: %j %j', async (server, path) => {
    const limits = new LocalLimits(() => server);
    await expect(limits.take({ path: '/a', bitRate: 600_000, limits: path })).rejects.toThrow(
      '/a needs 600 kbit/s; a player may have 500 kbit/s.',
    );
    expect(await kind(limits.take({ path: '/a', bitRate: 500_000, limits: path }))).toBe('taken');
    expect(await kind(limits.take({ path: '/a', limits: path }))).toBe('taken');
  });

  it('bound how many players start in a second', async () => {
    let now = 10_000;
    const limits = new LocalLimits(
      () => ({ startsPerSecond: 2 }),
      () => now,
    );
    const starts = async () => [await kind(limits.take({ path: '/a' })), await kind(limits.take({ path: '/b' }))];
    expect(await starts()).toEqual(['taken', 'taken']);
    expect(await kind(limits.take({ path: '/c' }))).toBe('busy');
    now += 1_000;
    expect(await starts()).toEqual(['taken', 'taken']);
  });

  it('can change: players beyond a lower limit stay', async () => {
    let players = 2;
    const limits = new LocalLimits(() => ({ players }));
    await limits.take({ path: '/a' });
    await limits.take({ path: '/a' });
    players = 1;
    expect(await kind(limits.take({ path: '/a' }))).toBe('busy');
    expect(limits.taken).toBe(2);
  });
});
