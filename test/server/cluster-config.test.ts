import { LocalLimits } from '../../src/playback/limits.js';
import { configSchema } from '../../src/server/config.js';
import { isLive } from '../../src/server/reload.js';

const check = (cluster: object) => configSchema.safeParse({ cluster });

describe('the cluster in a configuration', () => {
  it('needs URLs of NATS servers, and names that can be part of a subject', () => {
    expect(check({ servers: ['nats://node-1:4222', 'tls://user:password@node-2'] }).success).toBe(true);
    for (const wrong of [
      { servers: [] },
      { servers: ['http://node-1:4222'] },
      { servers: ['nats://node-1:4222/path'] },
      { servers: ['node-1'] },
      { servers: ['nats://node-1'], node: 'a b' },
      { servers: ['nats://node-1'], name: 'a.b' },
      { servers: ['nats://node-1'], replicas: 2 },
      { servers: ['nats://node-1'], other: 1 },
    ]) {
      expect(check(wrong).success).toBe(false);
    }
  });

  it('takes effect after a restart', () => {
    expect(isLive('cluster.servers')).toBe(false);
  });
});

describe('limits of several hosts', () => {
  it('count what others have given away', async () => {
    const limits = new LocalLimits(3);
    const elsewhere = { all: { players: 1, bandwidth: 0 }, of: () => ({ players: 1, bandwidth: 500_000 }) };
    limits.elsewhere = elsewhere;
    const wish = { path: '/live', bitRate: 400_000, limits: { bandwidth: 1_000_000 } };
    const ticket = await limits.take(wish);
    await expect(limits.take(wish)).rejects.toMatchObject({ kind: 'busy' });
    await limits.take({ path: '/other' });
    await expect(limits.take({ path: '/other' })).rejects.toMatchObject({ kind: 'busy' });
    expect([limits.all.players, limits.byPath.get('/live')?.players]).toEqual([2, 1]);
    ticket.release();
    expect(limits.all.players).toBe(1);
  });
});
