import { type AccessDecision, ruleOf } from '../../src/auth/access.js';
import type { Caller } from '../../src/auth/dialog.js';
import type { ContentRequest, Found, Missing, Program, Redirect } from '../../src/playback/content.js';
import { Entrance, type Pass } from '../../src/playback/entrance.js';
import { LocalLimits } from '../../src/playback/limits.js';
import { Refusal } from '../../src/refusal.js';

const RULE = ruleOf({ users: ['anna'] });
const CALLER: Caller = {
  remoteAddress: '192.0.2.1',
  local: false,
  secure: false,
  credentials: { connection: {}, accepts: [], proxied: false, via: false },
};
const PROGRAM = { playlist: false } as Program;

let log: string[];
let found: Found | Missing | Redirect;
let verdict: AccessDecision | Refusal;
let limits: LocalLimits;

beforeEach(() => {
  log = [];
  found = {
    path: '/live',
    rule: RULE,
    limits: { players: 1 },
    info: async () => {
      log.push('info');
      return { live: true, playlist: false };
    },
    open: async () => {
      log.push('open');
      return PROGRAM;
    },
  };
  verdict = { granted: true, user: 'anna', trusted: false };
  limits = new LocalLimits(2);
});

function enter(request: Partial<ContentRequest> = {}): Promise<Pass | Redirect> {
  const entrance = new Entrance({
    content: {
      find: async ({ path }) => {
        log.push(`find ${path}`);
        return found;
      },
    },
    access: {
      check: (_, rule, what) => {
        log.push(`may they ${what}${rule === RULE ? '' : ' by another rule'}`);
        return verdict instanceof Refusal ? { granted: false, refusal: verdict } : verdict;
      },
    },
    limits: {
      take: async (wish) => {
        log.push(`take ${wish.path}`);
        return limits.take(wish);
      },
    },
  });
  const { signal } = new AbortController();
  return entrance.enter({ path: '/live.asf', caller: CALLER, purpose: 'play', signal, ...request });
}

describe('the way to content', () => {
  it('is to locate it, check access, take a place, and only then open it', async () => {
    const pass = (await enter()) as Pass;
    expect(pass).toMatchObject({ path: '/live', user: 'anna' });
    expect(await pass.open()).toBe(PROGRAM);
    expect(log).toEqual(['find /live.asf', 'may they play /live.asf', 'take /live', 'open']);
    expect(limits.taken).toBe(1);
    pass.leave();
    pass.leave();
    expect(limits.taken).toBe(0);
  });

  it.each(['describe', 'info', 'event'] as const)('takes no place to %s', async (purpose) => {
    const pass = (await enter({ purpose })) as Pass;
    expect(await pass.info()).toEqual({ live: true, playlist: false });
    expect(log).toEqual(['find /live.asf', expect.stringMatching(/^may they/), 'info']);
    pass.leave();
  });

  it.each(['play', 'describe', 'info', 'event'] as const)(
    'opens nothing for a stranger who wants to %s',
    async (purpose) => {
      verdict = new Refusal('unauthorized', 'Who is there?', { challenges: [{ scheme: 'NTLM' }] });
      await expect(enter({ purpose })).rejects.toBe(verdict);
      expect(log).toHaveLength(2);
      expect(limits.taken).toBe(0);
    },
  );

  it('tells only callers with access that there is nothing', async () => {
    found = { rule: RULE, missing: new Refusal('not-found', 'There is nothing.') };
    await expect(enter()).rejects.toBe(found.missing);
    verdict = new Refusal('unauthorized', 'Who is there?');
    await expect(enter()).rejects.toBe(verdict);
  });

  it('redirects without checking access', async () => {
    found = { redirect: 'http://other/', proxy: false };
    expect(await enter()).toBe(found);
    expect(log).toEqual(['find /live.asf']);
  });

  it('has as many places as the path and the server allow', async () => {
    const first = (await enter()) as Pass;
    await expect(enter()).rejects.toMatchObject({ kind: 'busy', message: 'All 1 places of /live are taken.' });
    found = { ...(found as Found), path: '/other', limits: undefined };
    await enter();
    await expect(enter()).rejects.toMatchObject({ kind: 'busy', message: 'All 2 places of the server are taken.' });
    first.leave();
    await enter();
  });

  it('takes no place for a caller that has gone', async () => {
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(enter({ signal: gone })).rejects.toThrow('gone');
    expect(limits.taken).toBe(0);
  });
});
