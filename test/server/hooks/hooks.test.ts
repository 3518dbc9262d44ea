import { Hooks, type HooksOptions } from '../../../src/server/hooks/hooks.js';
import type { HookAnswer, HookConfig, HookEvent } from '../../../src/server/hooks/run.js';
import { slowness } from '../../support/patience.js';
import { until } from '../../support/until.js';

const ALLOWED: HookAnswer = { allowed: true };
const TELL: HookConfig = { on: ['play', 'stop'], run: '/bin/tell', timeout: 1, decides: false };
const DECIDE: HookConfig = { on: ['play', 'publish', 'stop'], run: '/bin/decide', timeout: 1, decides: true };
const event = (name: HookEvent['event'], path = '/live'): HookEvent => ({ event: name, path });

describe('hooks', () => {
  const warnings: string[] = [];
  beforeEach(() => {
    warnings.length = 0;
  });
  const hooks = (list: readonly HookConfig[], run: NonNullable<HooksOptions['run']>) =>
    new Hooks({
      hooks: () => list,
      run,
      onWarning: (message) => warnings.push(message),
      now: () => new Date('2026-11-30T12:00:00Z'),
    });

  it('are told the events that they want, one after the other, with the time', async () => {
    const told: HookEvent[] = [];
    let running = 0;
    const all = hooks([TELL], async (_, what) => {
      expect(++running).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      told.push(what);
      running--;
      return ALLOWED;
    });
    for (const name of ['play', 'stop', 'publish', 'play'] as const) all.notify(event(name));
    await all.close();
    expect(told.map((each) => each.event)).toEqual(['play', 'stop', 'play']);
    expect(told[0]).toEqual({ event: 'play', path: '/live', time: '2026-11-30T12:00:00.000Z' });
  });

  it('that decide are asked before, and not told after; other events of theirs are told', async () => {
    const told: string[] = [];
    const all = hooks([DECIDE], async (_, what) => {
      told.push(what.event);
      return ALLOWED;
    });
    await all.ask(event('play'));
    all.notify(event('play'));
    all.notify(event('stop'));
    await all.close();
    expect(told).toEqual(['play', 'stop']);
  });

  it('that refuse turn players and encoders away', async () => {
    const all = hooks([TELL, DECIDE], async (_, { path }) =>
      path === '/live' ? { allowed: false, reason: 'no ticket' } : ALLOWED,
    );
    await expect(all.ask(event('play'))).rejects.toMatchObject({
      kind: 'forbidden',
      message: 'A hook refuses to play /live: no ticket.',
    });
    await all.ask(event('play', '/free'));
    expect(warnings).toEqual([]);
  });

  it('that decide but fail let nobody in, and are warned about once a minute', async () => {
    const all = hooks([DECIDE], async () => {
      throw new Error('it is broken');
    });
    for (let time = 0; time < 3; time++) {
      await expect(all.ask(event('publish'))).rejects.toMatchObject({ kind: 'failed' });
    }
    expect(warnings).toEqual(['The hook /bin/decide failed: it is broken.']);
  });

  it('that are slow delay no other hook, and keep up to 1000 events', async () => {
    const told: string[] = [];
    const slow = { ...TELL, run: '/bin/slow' };
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const all = hooks([slow, TELL], async ({ run }, { path }) => {
      if (run === slow.run) await held;
      told.push(`${run} ${path}`);
      return ALLOWED;
    });
    for (let count = 0; count < 1_500; count++) all.notify(event('play', `/${count}`));
    await until('the other hook to be told everything', () => told.length >= 1_000);
    expect(told.every((line) => line.startsWith('/bin/tell'))).toBe(true);
    expect(warnings).toEqual([
      expect.stringMatching(/^The hook \/bin\/slow failed: it is too slow: events are dropped/),
      expect.anything(),
    ]);
    release();
    await all.close();
    expect(told.filter((line) => line.startsWith('/bin/slow')).length).toBeLessThanOrEqual(1_001);
  });

  it('are asked about no more than 256 candidates at a time', async () => {
    let release = () => {};
    const held = new Promise<HookAnswer>((resolve) => {
      release = () => resolve(ALLOWED);
    });
    const all = hooks([DECIDE], () => held);
    const asked = Array.from({ length: 256 }, () => all.ask(event('play')));
    await expect(all.ask(event('play'))).rejects.toMatchObject({ kind: 'busy' });
    release();
    await Promise.all(asked);
    await all.ask(event('play'));
  });

  it('do not keep a server from ending', async () => {
    const all = hooks([TELL], () => new Promise(() => {}));
    all.notify(event('play'));
    const before = performance.now();
    await all.close();
    expect(performance.now() - before).toBeLessThan(5_000 * slowness());
  });
});
