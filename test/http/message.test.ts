import fc from 'fast-check';
import { BodyReader, chunkHead, LAST_CHUNK } from '../../src/http/body.js';
import {
  type BodyFraming,
  HeaderFields,
  HttpError,
  headLength,
  keepsAlive,
  parseRequestHead,
  parseResponseHead,
  requestBodyFraming,
  responseBodyFraming,
  serialiseRequestHead,
  serialiseResponseHead,
} from '../../src/http/message.js';
import { slowness } from '../support/patience.js';

const request = (...lines: string[]) => parseRequestHead(Buffer.from([...lines, '', ''].join('\r\n'), 'latin1'));
const response = (...lines: string[]) => parseResponseHead(Buffer.from([...lines, '', ''].join('\r\n'), 'latin1'));
const statusOf = (action: () => unknown): number => {
  try {
    action();
  } catch (error) {
    if (error instanceof HttpError) return error.status;
    throw error;
  }
  return 0;
};
const entries = (headers: HeaderFields) => headers.entries.map(([name, value]) => `${name}=${value}`);

describe('request heads', () => {
  it('reads method, target, version and fields in order', () => {
    const head = request('POST /pub HTTP/1.1', 'Host: a', 'Pragma: no-cache', 'pragma:timeout=1', 'Empty:');
    expect(head).toMatchObject({ method: 'POST', target: '/pub', minorVersion: 1 });
    expect(entries(head.headers)).toEqual(['Host=a', 'Pragma=no-cache', 'pragma=timeout=1', 'Empty=']);
    expect(head.headers.all('PRAGMA')).toEqual(['no-cache', 'timeout=1']);
    expect(head.headers.get('host')).toBe('a');
    expect(head.headers.get('missing')).toBeUndefined();
  });

  it('tolerates bare line feeds, folded lines and blanks in the target', () => {
    const head = parseRequestHead(Buffer.from('GET /a b  HTTP/1.0 \nSupported: x,\n  y,\n\tz\n\n'));
    expect(head).toMatchObject({ target: '/a b', minorVersion: 0 });
    expect(head.headers.tokens('supported')).toEqual(['x', 'y', 'z']);
  });

  it.each([
    ['no request line', ['']],
    ['no version', ['GET /']],
    ['no target', ['GET  HTTP/1.1']],
    ['no method', [' / HTTP/1.1']],
    ['a method that is not a token', ['G(T / HTTP/1.1']],
    ['a control character in the target', ['GET /\x01 HTTP/1.1']],
    ['a carriage return in the target', ['GET /\rX HTTP/1.1']],
    ['a field without a colon', ['GET / HTTP/1.1', 'Host']],
    ['a blank before the colon', ['GET / HTTP/1.1', 'Content-Length : 5']],
    ['an empty name', ['GET / HTTP/1.1', ': x']],
    ['a zero byte in a value', ['GET / HTTP/1.1', 'Host: a\0b']],
    ['a carriage return in a value', ['GET / HTTP/1.1', 'Host: a\rContent-Length: 5']],
    ['a zero byte in a folded line', ['GET / HTTP/1.1', 'Host: a', ' b\0']],
    ['a folded line before the first field', ['GET / HTTP/1.1', ' Host: a']],
    ['two Host fields', ['GET / HTTP/1.1', 'Host: a', 'Content-Type: x', 'host: a']],
    ['a list of hosts', ['GET / HTTP/1.1', 'Host: a, b']],
    ['a blank in Host', ['GET / HTTP/1.1', 'Host: a b']],
    ['a path in Host', ['GET / HTTP/1.1', 'Host: a/b']],
    ['a user in Host', ['GET / HTTP/1.1', 'Host: a@b']],
    ['a no-break space before the colon', ['GET / HTTP/1.1', 'Content-Length\xa0: 5']],
    ['a carriage return after the version', ['GET / HTTP/1.1\r', 'Host: a']],
    ['a version of two digits', ['GET / HTTP/1.10', 'Host: a']],
  ])('refuses %s with 400', (_what, lines) => {
    expect(statusOf(() => request(...lines))).toBe(400);
  });

  it('trims only blanks and tabs from a value', () => {
    const head = request('GET / HTTP/1.1', 'A: \t x\xa0', 'B:\xa0x \t', 'C:\x85');
    expect(entries(head.headers)).toEqual(['A=x\xa0', 'B=\xa0x', 'C=\x85']);
    expect(head.headers.tokens('b')).toEqual(['\xa0x']);
  });

  it.each(['a:8080', '[::1]:80', '[fe80::1%25eth0]', 'host.name', '', 'b%C3%BCcher.example:1'])(
    'accepts the Host %j',
    (host) => {
      expect(request('GET / HTTP/1.1', `Host: ${host}`).headers.get('Host')).toBe(host);
    },
  );

  it('refuses other major versions with 505', () => {
    expect(statusOf(() => request('GET / HTTP/2.0'))).toBe(505);
  });

  it('takes linear time for a long run of blanks', () => {
    const started = process.hrtime.bigint();
    expect(statusOf(() => request(`G a${' '.repeat(16_000)}x`))).toBe(400);
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(50);
  });

  it('writes what it reads', () => {
    const text = 'POST /pub HTTP/1.1\r\nContent-Type: x\r\nHost: a\r\n\r\n';
    const head = parseRequestHead(Buffer.from(text));
    expect(serialiseRequestHead(head.method, head.target, head.headers.entries).toString()).toBe(text);
  });

  it('never writes a line end into a field or a target', () => {
    expect(() => serialiseRequestHead('GET', '/', [['A', 'b\r\nC: d']])).toThrow('forbids');
    expect(() => serialiseRequestHead('GET', '/', [['A\n', 'b']])).toThrow('forbids');
    expect(() => serialiseRequestHead('GET', '/ HTTP/1.1\r\n', [])).toThrow('request line');
  });

  it('only throws HttpError on random bytes', () => {
    const piece = fc.oneof(
      fc.constantFrom('GET', ' ', '/', 'HTTP/1.1', '\r\n', '\n', ':', 'Host', '\t', '\0', 'é', '\r'),
      fc.string({ maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const bytes = Buffer.from(pieces.join(''), 'latin1');
        for (const parse of [parseRequestHead, parseResponseHead]) {
          try {
            parse(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(HttpError);
          }
        }
      }),
    );
  });
});

describe('list fields', () => {
  const tokens = (...values: string[]) => new HeaderFields(values.map((value) => ['X', value] as const)).tokens('x');

  it('are split at commas outside of quoted strings', () => {
    expect(tokens('No-Cache, x-wms-event-subscription="remote-log,open-event"', 'max-age=9,,')).toEqual([
      'no-cache',
      'x-wms-event-subscription="remote-log,open-event"',
      'max-age=9',
    ]);
    expect(tokens('a="x\\",y", b')).toEqual(['a="x\\",y"', 'b']);
  });

  it('are split in one pass if a quote is never closed', () => {
    expect(tokens('a, b="c, d')).toEqual(['a', 'b="c', 'd']);
    const start = performance.now();
    tokens('"\\'.repeat(500_000));
    expect(performance.now() - start).toBeLessThan(1_000 * slowness());
  });
});

describe('response heads', () => {
  it('reads the status, with and without a reason', () => {
    expect(response('HTTP/1.1 204 No Content', 'Server: Cougar/9.6')).toMatchObject({
      status: 204,
      reason: 'No Content',
    });
    expect(response('HTTP/1.0 200')).toMatchObject({ status: 200, reason: '', minorVersion: 0 });
    expect(response('ICY 200 OK')).toMatchObject({ status: 200, minorVersion: 0 });
  });

  it('refuses what is not HTTP', () => {
    expect(statusOf(() => response('SSH-2.0-OpenSSH_9'))).toBe(502);
  });

  it('always writes a reason phrase', () => {
    expect(serialiseResponseHead(204, []).toString()).toBe('HTTP/1.1 204 No Content\r\n\r\n');
    expect(serialiseResponseHead(599, [], 0).toString()).toBe('HTTP/1.0 599 Unknown\r\n\r\n');
  });
});

describe('headLength', () => {
  it.each([
    ['A\r\n\r\nB', 5],
    ['A\n\nB', 3],
    ['A\r\n\nB', 4],
    ['A\n\r\nB', 4],
    ['A\r\nB\r\n', 0],
    ['A\r\n\r', 0],
    ['', 0],
  ])('of %j is %i', (text, length) => {
    expect(headLength(Buffer.from(text))).toBe(length);
  });
});

describe('body framing', () => {
  const post = (...fields: string[]) => requestBodyFraming(request('POST / HTTP/1.1', ...fields));

  it('depends on Content-Length or chunked', () => {
    expect(post()).toEqual({ kind: 'length', length: 0 });
    expect(post('Content-Length: 2147483647')).toEqual({ kind: 'length', length: 2_147_483_647 });
    expect(post('Content-Length: 5', 'content-length: 5')).toEqual({ kind: 'length', length: 5 });
    expect(post('Transfer-Encoding: chunked')).toEqual({ kind: 'chunked' });
  });

  it.each([
    [400, ['Content-Length: 5', 'Content-Length: 6']],
    [400, ['Content-Length: 5, 6']],
    [400, ['Content-Length: +5']],
    [400, ['Content-Length: -1']],
    [400, ['Content-Length: 0x10']],
    [400, ['Content-Length: 1e3']],
    [400, ['Content-Length: 9999999999999999']],
    [400, ['Content-Length:']],
    [400, ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    [400, ['Content-Length: \xa05']],
    [400, ['Content-Length: 5\xa0']],
    [400, ['Content-Length: 5 5']],
    [400, ['Content-Length: 5', ' 5']],
    [400, ['Content-Length: ٥']],
    [400, ['Content-Length: 5', 'Content-Length: 05']],
    [400, ['Content-Length: 5', 'Transfer-Encoding:']],
    [501, ['Transfer-Encoding:']],
    [501, ['Transfer-Encoding: ,']],
    [501, ['Transfer-Encoding: \xa0chunked']],
    [501, ['Transfer-Encoding: chunked;q=1']],
    [501, ['Transfer-Encoding: gzip, chunked']],
    [501, ['Transfer-Encoding: xchunked']],
    [501, ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
  ])('answers %i to contradictory or unknown framing %j', (status, fields) => {
    expect(statusOf(() => post(...fields))).toBe(status);
  });

  it('refuses a transfer coding in HTTP/1.0, which old proxies would ignore', () => {
    expect(statusOf(() => requestBodyFraming(request('POST / HTTP/1.0', 'Transfer-Encoding: chunked')))).toBe(400);
  });

  it('of responses also depends on the status and the method', () => {
    expect(responseBodyFraming(response('HTTP/1.1 204 No Content', 'Content-Length: 9'), 'GET')).toMatchObject({
      length: 0,
    });
    expect(responseBodyFraming(response('HTTP/1.1 200 OK', 'Content-Length: 9'), 'HEAD')).toMatchObject({ length: 0 });
    expect(responseBodyFraming(response('HTTP/1.1 200 OK'), 'GET')).toEqual({ kind: 'close' });
  });

  it('keeps connections alive as the version and Connection say', () => {
    expect(keepsAlive(request('GET / HTTP/1.1'))).toBe(true);
    expect(keepsAlive(request('GET / HTTP/1.0'))).toBe(false);
    expect(keepsAlive(request('GET / HTTP/1.0', 'Connection: Keep-Alive'))).toBe(true);
    expect(keepsAlive(request('GET / HTTP/1.1', 'Connection: foo, Close'))).toBe(false);
  });
});

describe('BodyReader', () => {
  const feed = (framing: BodyFraming, slices: Buffer[]) => {
    const reader = new BodyReader(framing);
    const parts: Buffer[] = [];
    const behind = slices.map((slice) => reader.feed(slice, (piece) => parts.push(piece)));
    return { body: Buffer.concat(parts).toString(), rest: Buffer.concat(behind).toString(), done: reader.done };
  };

  it.each<[string, BodyFraming, string]>([
    ['counted', { kind: 'length', length: 11 }, 'hello worldGET /'],
    ['chunked', { kind: 'chunked' }, '5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX: y\r\n\r\nGET /'],
    ['chunked with bare line feeds', { kind: 'chunked' }, '005\nhello\nB \n world\n0\n\nGET /'.replace('B ', '6 ')],
  ])('reads a %s body split at every byte', (_kind, framing, text) => {
    const bytes = Buffer.from(text);
    for (let at = 0; at <= bytes.length; at++) {
      const result = feed(framing, [bytes.subarray(0, at), bytes.subarray(at)]);
      expect(result.body).toBe('hello world');
      expect(result.done).toBe(true);
      expect(result.rest.endsWith('GET /') || at > bytes.length - 5).toBe(true);
    }
  });

  it('reads what it writes', () => {
    const bytes = Buffer.concat([chunkHead(3), Buffer.from('abc\r\n'), LAST_CHUNK]);
    expect(feed({ kind: 'chunked' }, [bytes])).toEqual({ body: 'abc', rest: '', done: true });
  });

  it.each([
    ['a chunk size that is not a number', 'x\r\n'],
    ['a chunk size with a sign', '-5\r\n'],
    ['a chunk that is too long', '1\r\nab\r\n'],
    ['an endless chunk size', `${'0'.repeat(2000)}`],
    ['an enormous chunk size', 'fffffffffffffffff\r\n'],
    ['endless trailers', `0\r\n${'A: b\r\n'.repeat(40)}`],
  ])('refuses %s with 400', (_what, text) => {
    expect(statusOf(() => feed({ kind: 'chunked' }, [Buffer.from(text)]))).toBe(400);
  });
});
