import { jest } from '@jest/globals';
import { WmError } from '../../src/errors.js';
import { type SessionFacts, SessionRegistry } from '../../src/playback/registry.js';
import { defaultConfig } from '../../src/server/config.js';
import { Upgrades, type UpgradesOptions } from '../../src/server/upgrades.js';
import type { Workers } from '../../src/server/workers/workers.js';

/** Begins a session, and returns what was done to it. */
function session(registry: SessionRegistry, facts: Partial<SessionFacts>) {
  const state = { stopped: false };
  const end = registry.begin({
    role: 'player',
    protocol: 'WMSP',
    transport: 'tcp',
    path: '/live',
    client: 'NSPlayer',
    remoteAddress: '127.0.0.1',
    counts: () => ({ bytes: 0, packets: 0, lost: 0 }),
    stop: () => {
      state.stopped = true;
      end();
    },
    ...facts,
  });
  return state;
}

describe('an upgrade of a server without workers', () => {
  let registry: SessionRegistry;
  let warnings: string[];
  let done: string[];

  function upgrades(more: Partial<UpgradesOptions> = {}): Upgrades {
    return new Upgrades({
      config: () => ({ ...defaultConfig(), drain: 5 }),
      reload: async () => void done.push('read'),
      workers: () => undefined,
      divide: async () => void done.push('divided'),
      registry,
      connections: () => 3,
      onUpgraded: () => void done.push('upgraded'),
      onWarning: (message) => warnings.push(message),
      ...more,
    });
  }

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['performance'] });
    [registry, warnings, done] = [new SessionRegistry(), [], []];
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  it('cuts players that a worker would serve when the bound is over, and no others', async () => {
    const cut = ['WMSP', 'MMSP', 'RTSP'].map((protocol) => session(registry, { protocol }));
    cut.push(session(registry, { protocol: 'HTTP', path: '/film.wmv' }));
    const stay = ['HLS', 'MSBD'].map((protocol) => session(registry, { protocol }));
    stay.push(session(registry, { role: 'publisher', protocol: 'WMHTTP' }));
    stay.push(session(registry, { protocol: 'HTTP', path: '/poster.jpg' }));
    const upgrade = upgrades();
    await upgrade.upgrade();
    expect(done).toEqual(['read', 'divided', 'upgraded']);
    expect(upgrade.processes).toMatchObject([{ number: 0, state: 'draining', players: 7, connections: 3 }]);
    jest.advanceTimersByTime(4_999);
    expect([...cut, ...stay].filter(({ stopped }) => stopped)).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(cut.filter(({ stopped }) => !stopped)).toEqual([]);
    expect(stay.filter(({ stopped }) => stopped)).toEqual([]);
    expect(warnings).toEqual([expect.stringMatching(/5 s ago; 4 players lost the connection/)]);
    expect(upgrade.processes).toMatchObject([{ state: 'serving', players: 3 }]);
  });

  it('says nothing when all players have left before', async () => {
    session(registry, { protocol: 'HLS' });
    const upgrade = upgrades();
    await upgrade.upgrade();
    expect(upgrade.processes).toMatchObject([{ state: 'serving' }]);
    jest.advanceTimersByTime(10_000);
    expect(warnings).toEqual([]);
  });

  it('refuses a second one meanwhile, and allows it after a failure', async () => {
    let fail = (_: Error) => {};
    const divide = () => new Promise<void>((_, reject) => void (fail = reject));
    const upgrade = upgrades({ divide });
    const first = upgrade.upgrade();
    await expect(upgrade.upgrade()).rejects.toMatchObject({ code: 'WM_USAGE', message: /under way/ });
    fail(new WmError('WM_FAILED', 'Worker 1 ended at its start (exit code 1).'));
    await expect(first).rejects.toMatchObject({ code: 'WM_FAILED', message: /processes are as before: Worker 1/ });
    expect(upgrade.processes).toMatchObject([{ state: 'serving' }]);
    const again = upgrade.upgrade();
    await Promise.resolve();
    fail(new Error('no'));
    await expect(again).rejects.toMatchObject({ code: 'WM_FAILED' });
  });

  it('starts nothing if the configuration has mistakes', async () => {
    const reload = () => Promise.reject(new WmError('WM_CONFIG', 'points must be a list.'));
    const upgrade = upgrades({ reload });
    await expect(upgrade.upgrade()).rejects.toMatchObject({ code: 'WM_CONFIG', message: /points must be a list/ });
    expect(done).toEqual([]);
  });

  it('ends the worker that is still starting when the server closes', async () => {
    const close = jest.fn(async () => {});
    const workers = { processes: [], close } as unknown as Workers;
    let ready = () => {};
    const upgrade = upgrades({
      workers: () => (done.includes('dividing') ? workers : undefined),
      divide: () => {
        done.push('dividing');
        return new Promise((resolve) => void (ready = resolve));
      },
    });
    const first = upgrade.upgrade();
    await Promise.resolve();
    await upgrade.close();
    expect(close).toHaveBeenCalledTimes(1);
    ready();
    await first;
  });
});
