import { CookieJar } from '../../src/http/cookie-jar.js';
import { isWmspUrl, parseWmspUrl } from '../../src/wmsp/client/url.js';

const url = (text: string) => parseWmspUrl(text);

describe('parseWmspUrl', () => {
  it.each([
    ['http://h/', 'h', 80, 'h', '/'],
    ['mms://h', 'h', 80, 'h', '/'],
    ['MMSH://Host:8080/a b?x=1#f', 'host', 8080, 'host:8080', '/a%20b?x=1'],
    ['httpt://user:word@h:81/ä', 'h', 81, 'h:81', '/%C3%A4'],
    ['http://[::1]:9/x', '::1', 9, '[::1]:9', '/x'],
  ])('%s', (text, host, port, authority, path) => {
    expect(url(text)).toMatchObject({ secure: false, host, port, authority, path, href: `http://${authority}${path}` });
    expect(isWmspUrl(text)).toBe(true);
  });

  it('accepts relative URLs', () => {
    expect(parseWmspUrl('../y?z', url('mms://h:81/a/b/c')).href).toBe('http://h:81/a/y?z');
    expect(parseWmspUrl('mms://o/', url('http://h/')).href).toBe('http://o/');
  });

  it('https://', () => {
    expect(url('https://u:p@h/x')).toMatchObject({ secure: true, port: 443, authority: 'h', href: 'https://h/x' });
    expect(isWmspUrl('https://h/x')).toBe(true);
  });

  it('keeps the password of a malformed URL out of its message', () => {
    expect(() => url('http://u:geheim@h:x/')).toThrow('"http://h:x/" is not a URL');
  });

  it.each(['rtsp://h/', 'file:///x', 'x', '', 'http://'])('refuses %j', (text) => {
    expect(() => url(text)).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
  });
});

describe('CookieJar', () => {
  it('[WMSP-171] returns cookies to their server, the most specific first', () => {
    const jar = new CookieJar();
    jar.store(url('http://h/a/b'), ['x=1', 'y="2"; Path="/"', 'z=3; Path=/a/b']);
    expect(jar.header(url('http://h/a/c'))).toBe('x=1; y="2"');
    expect(jar.header(url('http://h/a/b/c'))).toBe('z=3; x=1; y="2"');
    expect(jar.header(url('http://h/ab'))).toBe('y="2"');
    expect(jar.header(url('http://other/a/c'))).toBeUndefined();
  });

  it('respects domains', () => {
    const jar = new CookieJar();
    jar.store(url('http://www.a.org/'), ['in=1; Domain=.a.org', 'out=1; Domain=b.org', 'top=1; Domain=org']);
    expect(jar.header(url('http://x.a.org/'))).toBe('in=1');
    expect(jar.header(url('http://b.org/'))).toBeUndefined();
    expect(jar.header(url('http://nota.org/'))).toBeUndefined();
  });

  it('replaces and expires cookies', () => {
    const jar = new CookieJar();
    jar.store(url('http://h/'), ['a=1', 'b=1']);
    jar.store(url('http://h/'), ['a=2', 'b=; Max-Age=0']);
    expect(jar.header(url('http://h/'))).toBe('a=2');
  });

  it('ignores malformed cookies, and keeps a bounded number', () => {
    const jar = new CookieJar();
    jar.store(url('http://h/'), ['=x', 'no pair', 'a=b\u0001', `l=${'x'.repeat(5000)}`]);
    expect(jar.header(url('http://h/'))).toBeUndefined();
    for (let count = 0; count < 500; count++) jar.store(url('http://h/'), [`c${count}=1`]);
    expect(jar.header(url('http://h/'))!.split('; ')).toHaveLength(64);
  });
});
