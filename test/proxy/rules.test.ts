import { decide, deliveryOf, isCopyOf, type Known } from '../../src/proxy/known.js';
import { mayCache, mayShare, mustAsk, parseCacheControl } from '../../src/wms/cache-control.js';

const NOW = 1_000_000_000;

function known(cacheControl: string, changes: Partial<Known> = {}): Known {
  return { cacheControl, rules: parseCacheControl(cacheControl), checkedAt: NOW, guarded: false, ...changes };
}

const WMS =
  'no-cache, x-wms-content-size=2139795, max-age=86399, user-public, must-revalidate, proxy-public, proxy-revalidate';

describe('the Cache-Control of an origin', () => {
  it('is read with its quoted lists, in any case, and the first of each directive counts', () => {
    const text = `${WMS}, x-wms-event-subscription="remote-open,remote-log", X-WMS-Stream-Type="broadcast,playlist", max-age=1`;
    expect(parseCacheControl(text)).toMatchObject({
      maxAge: 86_399,
      contentSize: 2_139_795,
      mustRevalidate: true,
      proxyRevalidate: true,
      proxyPublic: true,
      userPublic: true,
      public: false,
      private: false,
      split: false,
      streamTypes: new Set(['broadcast', 'playlist']),
      events: new Set(['remote-open', 'remote-log']),
    });
  });

  it.each([
    ['', undefined],
    ['max-age', undefined],
    ['max-age=-1', undefined],
    ['max-age=1x', undefined],
    ['max-age="60"', 60],
    ['max-age=99999999999999999999', Number.MAX_SAFE_INTEGER],
  ])('has the max-age of "%s"', (text, maxAge) => {
    expect(parseCacheControl(text).maxAge).toBe(maxAge);
  });

  it.each([
    ['no-cache', false, false],
    ['no-cache, public', true, true],
    ['no-cache, proxy-public', true, true],
    ['no-cache, user-public', false, false],
    ['no-cache, private', false, false],
    ['no-cache, private, public', false, false],
    ['no-cache, private, user-public', false, false],
    ['no-cache, private, proxy-public', true, true],
    ['no-cache, proxy-public, no-store', false, true],
  ])('[WMSP-178] [WMSP-008] "%s" may be kept: %s; shared: %s', (text, keep, share) => {
    const rules = parseCacheControl(text);
    expect([mayCache(rules), mayShare(rules)]).toEqual([keep, share]);
  });

  it('[WMSP-009] is shared as public by all caches, as proxy-public by this one, and as user-public by none of its kind', () => {
    const shared = ['public', 'proxy-public', 'user-public'].map((text) =>
      mayShare(parseCacheControl(`no-cache, ${text}`)),
    );
    expect(shared).toEqual([true, true, false]);
  });

  it.each([
    ['public', false],
    ['public, must-revalidate', true],
    ['public, proxy-revalidate', true],
  ])('[WMSP-006] "%s" has to be checked each time: %s', (text, asks) => {
    expect(mustAsk(parseCacheControl(text))).toBe(asks);
  });
});

// MS-WMSP 4.12, figures 15 and 16: what a request for content leads to.
describe('the decision of a proxy', () => {
  it.each([
    ['nothing is known', undefined, 0, 'ask'],
    ['it is fresh', known('proxy-public, max-age=60'), 59, 'use'],
    ['its time is over', known('proxy-public, max-age=60'), 60, 'ask'],
    ['the clock was set back', known('proxy-public, max-age=60'), -1, 'ask'],
    ['the origin says no time', known('proxy-public'), 0, 'ask'],
    ['it must be revalidated', known(WMS), 1, 'ask'],
    ['it is not for everybody', known('proxy-public, max-age=60', { guarded: true }), 1, 'ask'],
    ['it may not be shared', known('private, max-age=60'), 1, 'ask'],
    ['it is live, and may be split', known('x-wms-proxy-split, max-age=60'), 1, 'use'],
  ] as const)('[WMSP-005] [WMSP-266] if %s', (_, state, seconds, decision) => {
    expect(decide(state, NOW + seconds * 1000)).toBe(decision);
  });

  it.each([
    ['no-cache, proxy-public', 'cache'],
    ['no-cache, proxy-public, no-store', 'through'],
    ['no-cache, private', 'through'],
    ['no-cache', 'through'],
    ['no-cache, x-wms-stream-type="broadcast"', 'stream'],
    ['no-cache, x-wms-stream-type="broadcast", x-wms-proxy-split', 'split'],
    ['no-cache, x-wms-stream-type="broadcast", x-wms-proxy-split, proxy-public', 'split'],
    ['no-cache, x-wms-stream-type="playlist", proxy-public', 'stream'],
    ['no-cache, x-wms-stream-type="broadcast,playlist"', 'stream'],
  ])('[WMSP-267] [WMSP-013] "%s" is delivered as %s', (text, delivery) => {
    expect(deliveryOf(known(text))).toBe(delivery);
  });

  it.each([
    [{ etag: '"1"' }, { etag: '"1"' }, true],
    [{ etag: '"1"' }, { etag: '"2"' }, false],
    [{ etag: '"1"', lastModified: 'a' }, { etag: '"1"', lastModified: 'b' }, true],
    [{ lastModified: 'a' }, { lastModified: 'a' }, true],
    [{ lastModified: 'a' }, { lastModified: 'b' }, false],
    [{ etag: '"1"' }, { lastModified: 'a' }, false],
    [{}, {}, false],
  ])('a copy with %j is that of %j: %s', (facts, state, same) => {
    expect(isCopyOf(facts, { cacheControl: '', ...state })).toBe(same);
  });
});
