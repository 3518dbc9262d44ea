import { parseClientProduct } from '../../src/wmsp/messages/requests.js';
import { keepsOneHeader, profileOf } from '../../src/wmsp/server/profiles.js';

const profile = (userAgent: string) => profileOf(parseClientProduct(userAgent)!);

describe('client profiles', () => {
  it.each([
    ['FFmpeg, mpv, libmms, xine, MPlayer', 'NSPlayer/4.1.0.3856'],
    ['VLC', 'NSPlayer/7.10.0.3059'],
    ['hardware radios', 'NSPlayer/8.0.0.3802'],
    ['Windows Media Player 6.4', 'NSPlayer/6.4.9.1121'],
  ])('%s: no $M, no $E(1) before $C, Describe closes', (_, userAgent) => {
    expect(profile(userAgent)).toMatchObject({
      metadata: false,
      endBeforeChange: false,
      closesAfterDescribe: true,
      padding: 'cut',
      withoutSelection: 'none',
      version9: false,
    });
  });

  it.each(['NSPlayer/9.0.0.2980', 'NSPlayer/12.0.7680.0', 'NSServer/9.0.0.3171', 'WMCacheProxy/9.5.6001.1'])(
    '%s: $M, $E(1) before $C, connections are kept',
    (userAgent) => {
      expect(profile(userAgent)).toMatchObject({
        metadata: true,
        endBeforeChange: true,
        closesAfterDescribe: false,
        padding: 'cut',
        withoutSelection: 'none',
        version9: true,
      });
    },
  );

  it.each([
    ['NSPlayer/4.1.0.3856', 'large', 'status'],
    ['NSPlayer/4.1.0.3917', 'actual', 'header'],
    ['NSPlayer/6.4.9.1121', 'actual', 'header'],
    ['NSPlayer', 'actual', 'header'],
    ['NSServer/5.0', 'actual', 'header'],
    ['NSPlayer/7.10.0.3059', 'actual', 'status'],
    ['NSPlayer/9.0.0.2980', 'actual', 'status'],
  ])('%s: the size of the Data Object is %s, redirected by %s', (userAgent, dataSize, redirection) => {
    expect(profile(userAgent)).toMatchObject({ dataSize, redirection });
  });

  it.each(['NSServer/4.0', 'NSServer/4.1.0.3930', 'NSServer/5.0'])(
    '%s: packets intact, all streams by default',
    (userAgent) => {
      expect(profile(userAgent)).toMatchObject({ padding: 'kept', withoutSelection: 'all', metadata: false });
    },
  );

  it('NSPlayer without a version: all streams by default', () => {
    expect(profile('NSPlayer')).toMatchObject({ withoutSelection: 'all', padding: 'cut', metadata: false });
  });
});

it('include the proxies that keep only one header of a given name', () => {
  expect(keepsOneHeader(['1.0 gate (squid/5.7)', '1.1 host (tinyproxy/1.11.1)'])).toBe(true);
  expect(keepsOneHeader(['1.1 tinyproxy.example', '1.0 gate (squid/5.7)'])).toBe(false);
});
