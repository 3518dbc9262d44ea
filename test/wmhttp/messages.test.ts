import fc from 'fast-check';
import { parseCookies, parseSetCookies } from '../../src/http/cookies.js';
import { HeaderFields, HttpError, parseRequestHead, serialiseRequestHead } from '../../src/http/message.js';
import { isPushId } from '../../src/wmhttp/messages/cookies.js';
import {
  buildSetupBody,
  isEncoder,
  isMediaServer,
  namedPath,
  parseSetupBody,
  pushIds,
  pushRequestType,
  requestFields,
  responseFields,
  targetPath,
} from '../../src/wmhttp/messages/messages.js';
import { parsePushUrl } from '../../src/wmhttp/messages/push-url.js';

const headers = (...fields: Array<[string, string]>) => new HeaderFields(fields);

describe('request types', () => {
  const type = (value: string) => pushRequestType(headers(['content-type', value]));

  it('[WMHTTP-016] recognizes a PushSetup by its media type', () => {
    expect(type('application/x-wms-pushsetup')).toBe('setup');
    expect(type('application/x-wms-pushsetups')).toBeUndefined();
  });

  it('[WMHTTP-026] recognizes a PushStart by its media type', () => {
    expect(type('application/x-wms-pushstart')).toBe('start');
    expect(type('application/x-wms-logconnectstats')).toBeUndefined();
    expect(pushRequestType(headers())).toBeUndefined();
  });

  it('[WMHTTP-005] tolerates a charset after the media type, and any case', () => {
    expect(type('application/x-wms-pushsetup;charset=UTF-8')).toBe('setup');
    expect(type('Application/X-WMS-PushStart ; charset=UTF-8')).toBe('start');
  });
});

describe('request fields', () => {
  const fields = requestFields({
    type: 'setup',
    host: 'MediaServer',
    userAgent: 'WMEncoder/11.0.5721.5145',
    pushId: '0',
    contentLength: 16,
    acceptAuthentication: ['Negotiate', 'NTLM', 'Digest'],
  });

  it('[WMHTTP-005] writes a PushSetup like the sample of section 4.8', () => {
    expect(serialiseRequestHead('POST', '/pubPoint', fields).toString()).toBe(
      [
        'POST /pubPoint HTTP/1.1',
        'Content-Type: application/x-wms-pushsetup',
        'X-Accept-Authentication: Negotiate, NTLM, Digest',
        'User-Agent: WMEncoder/11.0.5721.5145',
        'Host: MediaServer',
        'Content-Length: 16',
        'Cookie: push-id=0',
        '',
        '',
      ].join('\r\n'),
    );
    expect(buildSetupBody({ template: undefined, autoDestroy: true }).toString()).toBe('AutoDestroy: 1\r\n');
  });

  it('[WMHTTP-009] [WMHTTP-010] [WMHTTP-012] [WMHTTP-014] never has a header that is for responses only', () => {
    for (const type of ['setup', 'start'] as const) {
      const names = requestFields({
        type,
        host: 'a',
        userAgent: 'WMEncoder/9.0',
        pushId: '7',
        contentLength: 0,
        acceptAuthentication: ['Digest'],
        credentials: [['Authorization', 'Digest x']],
      }).map(([name]) => name);
      for (const name of ['Pragma', 'Server', 'Set-Cookie', 'Supported', 'X-Accept-Proxy-Authentication']) {
        expect(names).not.toContain(name);
      }
      expect(names).toContain('Authorization');
    }
  });

  it('[WMHTTP-007] [WMHTTP-071] returns the push-id and other cookies in one Cookie field', () => {
    const cookies = requestFields({
      type: 'start',
      host: 'a',
      userAgent: 'WMEncoder/9.0',
      pushId: '42',
      cookies: [{ name: 'route', value: '"n1"' }],
      contentLength: 1,
    }).filter(([name]) => name === 'Cookie');
    expect(cookies).toEqual([['Cookie', 'push-id=42; route="n1"']]);
  });
});

describe('response fields', () => {
  it('[WMHTTP-010] [WMHTTP-019] [WMHTTP-030] has Server, Cache-Control, Pragma, Set-Cookie and Supported in canonical case', () => {
    expect(
      responseFields({ now: 1_167_673_516_000, pushId: '4124758405', serverName: 'Cougar/9.5.5732.6324' }),
    ).toEqual([
      ['Server', 'Cougar/9.5.5732.6324'],
      ['Date', 'Mon, 01 Jan 2007 17:45:16 GMT'],
      ['Pragma', 'no-cache, timeout=60000'],
      ['Cache-Control', 'no-cache'],
      ['Set-Cookie', 'push-id=4124758405'],
      [
        'Supported',
        'com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.fastcache, com.microsoft.wm.startupprofile',
      ],
    ]);
  });

  it('says Cougar by default', () => {
    expect(responseFields({ now: 0 })[0]).toEqual(['Server', 'Cougar/9.6.7600.16385']);
  });
});

describe('cookies', () => {
  it('[WMHTTP-008] finds the push-id among several cookies, quoted or twice', () => {
    const ids = (...values: string[]) =>
      pushIds(headers(...values.map((value): [string, string] => ['Cookie', value])));
    expect(ids('push-id=0')).toEqual(['0']);
    expect(ids('a=b; push-id=123; c=d')).toEqual(['123']);
    expect(ids('$Version="1"; push-id="12;3"; $Path="/"')).toEqual(['12;3']);
    expect(ids('push-id=1, push-id=0', 'x=y', 'push-id=2')).toEqual(['1', '0', '2']);
    expect(ids('a="b; push-id=5')).toEqual(['5']);
    expect(ids('a=b"c; push-id=6')).toEqual(['6']);
    expect(ids('push-id', 'push-id=', '; ;=;,', 'xpush-id=1', `push-id=${'9'.repeat(256)}`)).toEqual([]);
  });

  it('[WMHTTP-008] takes 1 to 255 visible ASCII characters as a push-id', () => {
    expect(isPushId('a')).toBe(true);
    expect(isPushId('!~')).toBe(true);
    expect(isPushId('7'.repeat(255))).toBe(true);
    for (const bad of ['', 'a b', 'é', '\x7f', '7'.repeat(256)]) expect(isPushId(bad)).toBe(false);
  });

  it('reads Set-Cookie with attributes', () => {
    expect(parseSetCookies(['push-id=1234567890', 'a="b;c"; Path=/; Version=1', 'bad', 'd=e, f; Secure'])).toEqual([
      { name: 'push-id', value: '1234567890' },
      { name: 'a', value: '"b;c"' },
      { name: 'd', value: 'e, f' },
    ]);
  });

  it('never throws, and reads a bounded number', () => {
    expect(parseCookies([';a=b'.repeat(10_000)])).toHaveLength(64);
    const text = fc.array(fc.constantFrom(';', ',', '=', '"', ' ', 'push-id', 'a', '$')).map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (value) => {
        parseCookies([value]);
        parseSetCookies([value]);
      }),
    );
  });
});

describe('product names', () => {
  it.each(['9.0', '10.0', '11.0', '12.0', '12.0.7601.17514', '9.0.0.2980 extra/1.0', '13.1'])(
    '[WMHTTP-013] [WMHTTP-082] takes WMEncoder/%s for an encoder',
    (version) => {
      expect(isEncoder(`WMEncoder/${version}`)).toBe(true);
    },
  );

  it.each([undefined, '', 'WMEncoder', 'WMEncoder/9', 'NSPlayer/9.0', 'Mozilla/5.0 WMEncoder/9.0', 'WMEncoder/9.0x'])(
    '[WMHTTP-082] does not take %p for an encoder',
    (userAgent) => {
      expect(isEncoder(userAgent)).toBe(false);
    },
  );

  it('[WMHTTP-070] recognizes Windows Media servers by their product', () => {
    for (const server of ['Cougar/9.6.7600.16385', 'Cougar/4.1', 'Rex/12.0', 'Cougar']) {
      expect(isMediaServer(server)).toBe(true);
    }
    for (const server of [undefined, '', 'nginx', 'Cougars/9.0', 'Apache Cougar/9.0']) {
      expect(isMediaServer(server)).toBe(false);
    }
  });
});

describe('PushSetup body', () => {
  it('[WMHTTP-018] [WMHTTP-020] [WMHTTP-024] is empty, or AutoDestroy after one optional Template-URL', () => {
    const text = (template: string | undefined, autoDestroy: boolean | undefined) =>
      buildSetupBody({ template, autoDestroy }).toString('latin1');
    expect(text(undefined, undefined)).toBe('');
    expect(text(undefined, true)).toBe('AutoDestroy: 1\r\n');
    expect(text(undefined, true)).toHaveLength(16);
    expect(text('/pub', true)).toBe('Template-URL: "/pub"\r\nAutoDestroy: 1\r\n');
  });

  it('[WMHTTP-050] [WMHTTP-051] has AutoDestroy whenever there is a template', () => {
    expect(buildSetupBody({ template: '/t', autoDestroy: undefined }).toString()).toBe(
      'Template-URL: "/t"\r\nAutoDestroy: 0\r\n',
    );
  });

  it('[WMHTTP-021] encodes the template as percent-encoded UTF-8', () => {
    const text = buildSetupBody({ template: '/Größe "1" 100%?#%41', autoDestroy: false }).toString('latin1');
    expect(text).toBe('Template-URL: "/Gr%C3%B6%C3%9Fe%20%221%22%20100%25%3F%23%41"\r\nAutoDestroy: 0\r\n');
    for (const bad of ['pub', '//host/pub', 'http://host/pub', '', '/\ud800']) {
      expect(() => buildSetupBody({ template: bad, autoDestroy: false })).toThrow('template');
    }
  });

  it('reads both lines with and without blanks and in either order', () => {
    for (const text of [
      'Template-URL: "/pub"\r\nAutoDestroy: 1\r\n',
      'Template-URL:"/pub"\r\nAutoDestroy:1',
      'autodestroy: 1\nTEMPLATE-URL:  "/pub"\n\n',
    ]) {
      expect(parseSetupBody(Buffer.from(text))).toEqual({ template: '/pub', autoDestroy: true });
    }
    expect(parseSetupBody(Buffer.alloc(0))).toEqual({ template: undefined, autoDestroy: undefined });
    expect(parseSetupBody(Buffer.from('AutoDestroy: 0\r\n')).autoDestroy).toBe(false);
  });

  it.each([
    'x',
    'AutoDestroy: 2\r\n',
    'AutoDestroy: 1\r\nAutoDestroy: 1\r\n',
    'Template-URL: /pub\r\n',
    'Template-URL: "pub"\r\n',
    'Template-URL: "http://host/pub"\r\n',
    'Template-URL: "/a b"\r\n',
    'Template-URL: "/a"b"\r\n',
    'Template-URL: "/\xe9"\r\n',
    'Template-URL: "/a"\r\nTemplate-URL: "/b"\r\n',
    '\0\0\0\0',
  ])('[WMHTTP-083] refuses %j', (text) => {
    expect(() => parseSetupBody(Buffer.from(text, 'latin1'))).toThrow(HttpError);
  });

  it('reads what it writes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.boolean(), (name, autoDestroy) => {
        const template = `/a${name}`;
        const read = parseSetupBody(buildSetupBody({ template, autoDestroy }));
        expect(read.autoDestroy).toBe(autoDestroy);
        if (!name.includes('%')) {
          // Control characters are encoded on the way out; on the way in, a point's name may not contain them.
          const expected = /\p{Cc}/u.test(template) ? undefined : template;
          expect(namedPath(read.template!)).toBe(expected);
        }
      }),
    );
  });
});

describe('paths', () => {
  it.each([
    ['/pub', '/pub'],
    ['/pub?x=1', '/pub'],
    ['http://host:80/pub#x', '/pub'],
    ['/Gr%C3%B6%C3%9Fe%20a', '/Größe a'],
    ['/', '/'],
  ])('of %s is %s', (target, path) => {
    expect(targetPath(target)).toBe(path);
  });

  it.each(['*', 'pub', 'http://host', '/%', '/%ff', '/%00', '/a%0d%0ab', ''])(
    '[WMHTTP-083] [WMHTTP-099] is refused in %j',
    (target) => {
      expect(() => targetPath(target)).toThrow(HttpError);
    },
  );
});

describe('push URLs', () => {
  it('[WMHTTP-003] take the port from the URL; 80 is the default', () => {
    const plain = { secure: false, host: 'host', port: 80, authority: 'host', path: '/pub' };
    expect(parsePushUrl('http://host/pub')).toMatchObject(plain);
    expect(parsePushUrl('https://host/pub')).toMatchObject({ ...plain, secure: true, port: 443 });
    expect(parsePushUrl('http://me:pw@[::1]:8080/pub?a=1#x')).toMatchObject({
      secure: false,
      host: '::1',
      port: 8080,
      authority: '[::1]:8080',
      path: '/pub?a=1',
    });
    expect(parsePushUrl('/other', 'http://host:81/pub').path).toBe('/other');
    expect(parsePushUrl('http://me:pw@host:81/pub').href).toBe('http://host:81/pub');
    expect(parsePushUrl('https://me:pw@host/pub').href).toBe('https://host/pub');
  });

  it.each(['http://me:secret@', 'ftp://me:secret@host/pub', 'http://me:secret@ho st/'])(
    'are not told with a password: %j',
    (url) => {
      let message = '';
      try {
        parsePushUrl(url);
      } catch (error) {
        message = String(error);
      }
      expect(message).toContain('URL');
      expect(message).not.toContain('secret');
    },
  );

  it.each(['', 'host/pub', 'ftp://host/pub', 'rtsp://host/pub', 'http://'])('are not %j', (url) => {
    expect(() => parsePushUrl(url)).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
  });
});

describe('the requests of section 4.8', () => {
  const sample = (type: string, length: number) =>
    parseRequestHead(
      Buffer.from(
        [
          'POST /pubPoint HTTP/1.1',
          `Content-Type: application/x-wms-${type}`,
          'X-Accept-Authentication: Negotiate, NTLM, Digest',
          'User-Agent: WMEncoder/11.0.5721.5145',
          'Host: MediaServer',
          `Content-Length: ${length}`,
          'Cache-Control: no-cache',
          'Cookie: push-id=4124758405',
          '',
          '',
        ].join('\r\n'),
      ),
    );

  it('[WMHTTP-017] [WMHTTP-027] are read', () => {
    for (const [type, length] of [
      ['pushsetup', 16],
      ['pushstart', 2_147_483_647],
    ] as const) {
      const head = sample(type, length);
      expect(pushRequestType(head.headers)).toBe(type === 'pushsetup' ? 'setup' : 'start');
      expect(isEncoder(head.headers.get('User-Agent'))).toBe(true);
      expect(pushIds(head.headers)).toEqual(['4124758405']);
      expect(targetPath(head.target)).toBe('/pubPoint');
    }
  });
});
