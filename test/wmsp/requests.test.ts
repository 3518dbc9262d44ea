import { parseRequestHead } from '../../src/http/message.js';
import { classifyRequest, parseClientProduct } from '../../src/wmsp/messages/requests.js';

const classify = (...lines: string[]) =>
  classifyRequest(parseRequestHead(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')));
const typeOf = (...lines: string[]) => {
  const result = classify(...lines);
  return typeof result === 'string' ? result : result.type;
};
const UA = 'User-Agent: NSPlayer/9.0.0.2980';

describe('the type of a request', () => {
  it('[WMSP-074] is Describe for a GET without xPlayStrm=1, xPlayNextEntry, pipeline-request and stream-switch-entry', () => {
    expect(typeOf('GET /a HTTP/1.0', UA, 'Pragma: no-cache')).toBe('Describe');
    expect(typeOf('GET /a HTTP/1.1', UA, 'Pragma: xPlayStrm=0')).toBe('Describe');
    expect(typeOf('GET /a HTTP/1.1', UA, 'Pragma: xPlayStrm=1')).not.toBe('Describe');
    expect(typeOf('GET /a HTTP/1.1', UA, 'Pragma: xPlayNextEntry=1')).not.toBe('Describe');
    expect(typeOf('GET /a HTTP/1.1', UA, 'Pragma: pipeline-request=1')).not.toBe('Describe');
    expect(typeOf('GET /a HTTP/1.1', UA, 'Pragma: stream-switch-entry=ffff:1:0')).not.toBe('Describe');
  });

  it('[WMSP-089] is Play for a GET with xPlayStrm=1 and neither xPlayNextEntry nor pipeline-request', () => {
    expect(typeOf('GET /a HTTP/1.0', UA, 'Pragma: xPlayStrm=1')).toBe('Play');
    expect(typeOf('GET /a HTTP/1.1', UA, 'Pragma: no-cache, xPlayStrm=1', 'Pragma: stream-switch-entry=ffff:1:0')).toBe(
      'Play',
    );
    expect(typeOf('GET /a HTTP/1.1', UA, 'Pragma: xPlayStrm=0, xPlayNextEntry=1')).toBe('PlayNextEntry');
    expect(typeOf('GET /a HTTP/1.1', UA, 'Pragma: pipeline-request=1')).toBe('Pipeline');
  });

  it('[WMSP-080] is KeepAlive for a POST with xKeepAliveInPause', () => {
    expect(typeOf('POST /a HTTP/1.0', UA, 'Pragma: xKeepAliveInPause=1', 'Content-Length: 0')).toBe('KeepAlive');
  });

  it('[WMSP-081] is KeepAlive for OPTIONS *', () => {
    expect(typeOf('OPTIONS * HTTP/1.1', UA, 'Pragma: client-id=3333510490')).toBe('KeepAlive');
    expect(typeOf('OPTIONS /a HTTP/1.1', UA)).toBe('invalid');
  });

  it('[WMSP-083] is Log for a POST with log-line or the LogStats content type', () => {
    expect(typeOf('POST /a HTTP/1.0', UA, 'Pragma: log-line=1 2 3', 'Pragma: client-id=1')).toBe('Log');
    expect(typeOf('POST /a HTTP/1.1', UA, 'Content-Type: application/x-wms-LogStats;charset=UTF-8')).toBe('Log');
    expect(typeOf('POST /a HTTP/1.1', UA, 'Pragma: log-line=1 2 3', 'Pragma: xStopStrm=1')).not.toBe('Log');
  });

  it('[WMSP-015] is known from the content types of the other POST requests, with a charset too', () => {
    expect(typeOf('POST /a HTTP/1.1', UA, 'Content-Type: application/x-wms-getcontentinfo')).toBe('GetContentInfo');
    expect(typeOf('POST /a HTTP/1.1', UA, 'Content-Type: application/x-wms-sendevent;charset=UTF-8')).toBe('SendEvent');
    expect(typeOf('POST /a HTTP/1.1', UA, 'Content-Type: application/x-www-form-urlencoded')).toBe('invalid');
  });

  it.each([
    ['GET', 'xPlayStrm=1, xPlayNextEntry=1'],
    ['GET', 'xPlayStrm=1, pipeline-request=1'],
    ['GET', 'pipeline-request=1, xPlayNextEntry=1'],
    ['GET', 'xStopStrm=1'],
    ['GET', 'xKeepAliveInPause=1'],
    ['HEAD', 'xPlayStrm=1, pipeline-request=1'],
    ['POST', 'xKeepAliveInPause=1, xStopStrm=1'],
    ['POST', 'xKeepAliveInPause=1, stream-switch-entry=ffff:1:0'],
    ['POST', 'xStopStrm=1, stream-switch-entry=ffff:1:0'],
    ['POST', 'xPlayStrm=1'],
    ['POST', 'xPlayNextEntry=1, xStopStrm=1'],
    ['POST', 'pipeline-request=1, xKeepAliveInPause=1'],
  ])('[WMSP-275] [WMSP-211] is undefined for a %s with %s', (method, tokens) => {
    expect(typeOf(`${method} /a HTTP/1.1`, UA, `Pragma: ${tokens}`)).toBe('invalid');
  });

  it('[WMSP-275] is undefined for a log that is also something else', () => {
    for (const token of ['xKeepAliveInPause=1', 'xStopStrm=1', 'stream-switch-entry=ffff:1:0', 'pipeline-request=1'])
      expect(typeOf('POST /a HTTP/1.1', UA, 'Pragma: log-line=1 2 3', `Pragma: ${token}`)).toBe('invalid');
    for (const type of ['x-wms-sendevent', 'x-wms-getcontentinfo'])
      expect(typeOf('POST /a HTTP/1.1', UA, 'Pragma: log-line=1 2 3', `Content-Type: application/${type}`)).toBe(
        'invalid',
      );
    expect(typeOf('POST /a HTTP/1.1', UA, 'Pragma: xStopStrm=1', 'Content-Type: application/x-wms-LogStats')).toBe(
      'invalid',
    );
  });

  it('is foreign without a User-Agent of this protocol', () => {
    expect(classify('GET /a HTTP/1.1')).toBe('foreign');
    expect(classify('GET /a HTTP/1.1', 'User-Agent: Mozilla/5.0 NSPlayer/9.0')).toBe('foreign');
  });
});

describe('User-Agent', () => {
  it('is NSPlayer, NSServer or WMCacheProxy with a version, then anything', () => {
    expect(parseClientProduct('NSPlayer/12.0.7680.0')).toMatchObject({ token: 'NSPlayer', major: 12, minor: 0 });
    expect(parseClientProduct('NSServer/9.0.0.3171')).toMatchObject({ token: 'NSServer', major: 9, minor: 0 });
    expect(parseClientProduct('WMCacheProxy/9.5.6001.1')).toMatchObject({ token: 'WMCacheProxy', major: 9, minor: 5 });
    expect(parseClientProduct('NSPlayer/11.0.5721.5145 Kagamin2/1.0')).toMatchObject({ major: 11 });
    expect(parseClientProduct('NSServer/9.0; via WMCacheProxy')).toMatchObject({ major: 9, minor: 0 });
  });

  it('is recognized without a version, and with leading zeros', () => {
    expect(parseClientProduct('NSPlayer')).toMatchObject({ token: 'NSPlayer', major: 0 });
    expect(parseClientProduct('NSPlayer/09.00.00.3178')).toMatchObject({ major: 9, minor: 0 });
  });

  it.each(['', 'Lavf/59', 'NSPlayerX/1.0', 'VLC/3.0', 'WMEncoder/12.0'])(
    'is not this protocol’s when it is "%s"',
    (text) => {
      expect(parseClientProduct(text)).toBeUndefined();
    },
  );
});
