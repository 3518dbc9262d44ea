import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { parseResponse, parseWholeResponse, type WireResponse } from '../support/wire.js';
import { ServerStation } from './station.js';

const NSPLAYER = 'User-Agent: NSPlayer/12.0.7680.0';
const LAVF = 'User-Agent: Lavf/59.27.100';
const HOST = 'Host: x';

let station: ServerStation;
let folder: string;
let warnings: string[];

const file = (video: boolean) =>
  Buffer.concat([testHeader({ video }).bytes, ...[0, 100, 200].map((time) => testPacket(time).bytes)]);

beforeEach(async () => {
  warnings = [];
  folder = await mkdtemp(join(tmpdir(), 'wmcast-web-'));
  await mkdir(join(folder, 'Shows'));
  await writeFile(join(folder, 'film.wmv'), file(true));
  await writeFile(join(folder, 'film.asf'), file(true));
  await writeFile(join(folder, 'song.asf'), file(false));
  await writeFile(join(folder, 'broken.wma'), 'nothing at all');
  await writeFile(join(folder, 'Shows', 'one.wmv'), file(true));
  await open({});
});

afterEach(async () => {
  await station.close();
  await rm(folder, { recursive: true });
});

async function open(config: Parameters<typeof ServerStation.open>[0]): Promise<void> {
  await station?.close();
  station = await ServerStation.open(
    { content: { folder }, ...config },
    { warning: (message) => warnings.push(message) },
  );
}

async function live(path: string, video = true) {
  const encoder = await station.push(path, { video });
  await until(`${path} to have a header`, () => station.server.points.get(path)?.broadcast.header);
  encoder.key();
  return encoder;
}

/** Returns the head of a response, whatever its body. */
async function head(...lines: string[]): Promise<WireResponse> {
  const peer = await station.peer();
  peer.request(...lines);
  const response = await peer.until(parseResponse);
  if (lines[0]!.startsWith('HEAD')) {
    // Nothing follows the head.
    const all = await peer.untilClosed();
    expect(parseResponse(all)!.body).toHaveLength(0);
  }
  peer.close();
  return response;
}

// These differ between two responses to the same request.
const VARIES = /^(?:Date|Last-Modified|Pragma)$/;
const comparable = ({ statusLine, fields }: WireResponse) => [
  statusLine,
  ...fields.filter(([name]) => !VARIES.test(name)),
];

describe('HEAD is GET without its body', () => {
  it.each([
    ['a live stream', '/live.asf', []],
    ['a live stream requested as media', '/live?MSWMExt=.asf', [LAVF]],
    ['the announcement of a point', '/live', []],
    ['an .asx file', '/live.asx', []],
    ['an .asx file, to a player of the protocol', '/live.asx', [NSPLAYER]],
    ['a file', '/film.wmv', []],
    ['missing content', '/nothing', []],
    ['the administration', '/api/points', []],
    ['a description, to a player of the protocol', '/live', [NSPLAYER]],
    [
      'a stream, to a player of the protocol',
      '/live',
      [NSPLAYER, 'Pragma: xPlayStrm=1', 'Pragma: stream-switch-entry=ffff:1:0'],
    ],
    ['a stream, to an old player of the protocol', '/live', ['User-Agent: NSPlayer/4.1.0.3856', 'Pragma: xPlayStrm=1']],
  ])('for %s', async (_, path, lines) => {
    await live('/live');
    for (const version of ['1.0', '1.1']) {
      const more = version === '1.1' ? [HOST, 'Connection: close'] : [HOST];
      const [got, headOnly] = [
        await head(`GET ${path} HTTP/${version}`, ...more, ...lines),
        await head(`HEAD ${path} HTTP/${version}`, ...more, ...lines),
      ];
      expect(comparable(headOnly)).toEqual(comparable(got));
    }
  });

  it('states no length for a live stream, and counts no player', async () => {
    await live('/live');
    const response = await head('HEAD /live.asf HTTP/1.1', HOST);
    expect([response.status, response.field('Content-Length')]).toEqual([200, undefined]);
    await head('HEAD /live HTTP/1.0', NSPLAYER, 'Pragma: xPlayStrm=1');
    expect(station.server.stats().players).toBe(0);
    expect(station.server.points.get('/live')!.broadcast.players).toBe(0);
  });

  it('ignores a Range', async () => {
    const response = await head('HEAD /film.wmv HTTP/1.1', HOST, 'Range: bytes=0-9', 'Connection: close');
    expect([response.status, response.field('Content-Length')]).toEqual([200, String(file(true).length)]);
  });
});

describe('methods', () => {
  it.each([
    ['OPTIONS * HTTP/1.1', [], 200],
    ['OPTIONS /live HTTP/1.1', [], 200],
    ['OPTIONS /nothing HTTP/1.1', [], 200],
    ['OPTIONS * HTTP/1.1', [NSPLAYER], 200],
    ['OPTIONS /live HTTP/1.1', [NSPLAYER], 400],
    ['DELETE /live HTTP/1.1', [], 405],
    ['PROPFIND / HTTP/1.1', [], 405],
    ['POST /live HTTP/1.1', [], 405],
  ])('%s %j gets %i with Allow', async (line, more, status) => {
    const response = await station.ask(line, HOST, ...more);
    expect(response.status).toBe(status);
    expect(response.field('Allow')).toBe('GET, HEAD, POST, OPTIONS');
  });

  it.each(['PUT', 'POST'])('%s that is not a push is reported to the operator, once a minute', async (method) => {
    for (const path of ['/live', '/live', '/other']) {
      const peer = await station.peer();
      peer.request(`${method} ${path} HTTP/1.1`, 'Host: radio:8080', LAVF, 'Transfer-Encoding: chunked');
      peer.send('4\r\nabcd\r\n');
      expect(parseResponse(await peer.untilClosed())!.status).toBe(405);
    }
    expect(warnings).toEqual([
      `127.0.0.1 (Lavf/59.27.100) sends a stream to /live with ${method}, which is not a push and is refused. ` +
        'Push with wmpush, also what ffmpeg makes: ffmpeg … -f asf - | wmpush --copy -i - http://radio:8080/live',
      expect.stringContaining('http://radio:8080/other'),
    ]);
  });

  it('do not fill the log when many paths are tried', async () => {
    const peer = await station.peer();
    for (let count = 0; count < 150; count++) {
      peer.clear();
      peer.request(`PUT /${count} HTTP/1.1`, HOST, 'Content-Length: 0');
      await peer.until(parseWholeResponse).catch(() => undefined);
      if (peer.ended) break;
    }
    for (let count = 0; count < 120; count++) await station.ask(`PUT /p${count} HTTP/1.1`, HOST, 'Content-Length: 0');
    expect(warnings).toHaveLength(100);
  });
});

describe('the media type', () => {
  it.each([
    ['/film.wmv', 'video/x-ms-wmv'],
    ['/film.asf', 'video/x-ms-asf'],
    ['/song.asf', 'audio/x-ms-wma'],
    ['/broken.wma', 'audio/x-ms-wma'],
  ])('of the file %s is %s', async (path, type) => {
    expect((await head(`GET ${path} HTTP/1.1`, HOST)).field('Content-Type')).toBe(type);
  });

  it.each([
    [true, 'video/x-ms-asf'],
    [false, 'audio/x-ms-wma'],
  ])('of a live stream fits its streams (with a picture: %p)', async (video, type) => {
    await live('/live', video);
    for (const path of ['/live.asf', '/live.wma', '/live?MSWMExt=.asf'])
      expect((await head(`GET ${path} HTTP/1.1`, HOST)).field('Content-Type')).toBe(type);
  });
});

describe('files', () => {
  it('advertise ranges to HTTP/1.1 only, but serve them to HTTP/1.0, too', async () => {
    for (const [version, says] of [
      ['1.0', undefined],
      ['1.1', 'bytes'],
    ]) {
      const whole = await head(`GET /film.wmv HTTP/${version}`, HOST);
      expect([whole.status, whole.field('Accept-Ranges')]).toEqual([200, says]);
      const part = await station.ask(`GET /film.wmv HTTP/${version}`, HOST, 'Range: bytes=2-5');
      expect([part.status, part.field('Accept-Ranges')]).toEqual([206, says]);
      expect(part.body).toEqual(file(true).subarray(2, 6));
    }
  });

  it.each([
    ['bytes=0-0', 206, 'bytes 0-0/SIZE'],
    ['bytes=-1', 206, 'bytes LAST-LAST/SIZE'],
    ['bytes=5-', 206, 'bytes 5-LAST/SIZE'],
    ['bytes=0-99999999999', 206, 'bytes 0-LAST/SIZE'],
    ['bytes=-99999999999', 206, 'bytes 0-LAST/SIZE'],
    ['bytes=999999999999999-', 416, 'bytes */SIZE'],
    ['bytes=-0', 416, 'bytes */SIZE'],
    ['bytes=5-2', 200, undefined],
    ['bytes=99999999-2', 200, undefined],
    ['bytes=0-1,4-5', 200, undefined],
    [`bytes=${Array.from({ length: 1_000 }, () => '0-').join(',')}`, 200, undefined],
    ['bytes=9999999999999999-', 200, undefined],
    ['bytes=+1-2', 200, undefined],
    ['bytes=1.5-2', 200, undefined],
    ['bytes=0x1-2', 200, undefined],
    ['bytes=-', 200, undefined],
    ['bytes', 200, undefined],
    ['items=0-1', 200, undefined],
  ])('for the range %.40s answer %i', async (range, status, contentRange) => {
    const response = await head('GET /film.wmv HTTP/1.1', HOST, `Range: ${range}`);
    const size = file(true).length;
    const expected = contentRange?.replace('SIZE', String(size)).replaceAll('LAST', String(size - 1));
    expect([response.status, response.field('Content-Range')]).toEqual([status, expected]);
  });

  it('serve a range only of the requested version', async () => {
    const modified = (await head('GET /film.wmv HTTP/1.1', HOST)).field('Last-Modified')!;
    for (const [condition, status] of [
      [modified, 206],
      ['Thu, 01 Jan 1970 00:00:00 GMT', 200],
      ['"an-etag"', 200],
    ]) {
      const response = await head('GET /film.wmv HTTP/1.1', HOST, 'Range: bytes=0-1', `If-Range: ${condition}`);
      expect(response.status).toBe(status);
    }
  });
});

describe('the name of a point', () => {
  const asked = async (path: string, ...lines: string[]) => (await head(`GET ${path} HTTP/1.1`, HOST, ...lines)).status;

  it.each(['/live/', '/LIVE', '/Live/', '/LIVE.asf', '/live?token=', '/LIVE.ASX'])('is found in %s', async (path) => {
    await live('/live');
    const target = path.endsWith('=') ? `${path}${'x'.repeat(5_000)}` : path;
    expect(await asked(target)).toBe(200);
    if (!/asx/i.test(path)) expect(await asked(target, NSPLAYER)).toBe(200);
  });

  it.each(['/caf%E9', '/caf\u00e9', '/caf%C3%A9', '/CAF%C9', '/cafe%CC%81'])(
    'that is not ASCII is found in %s',
    async (path) => {
      await open({ points: [{ path: '/café' }] });
      expect(await asked(path)).toBe(200);
    },
  );

  it('in another case is not taken when another point, or a file, has the name that was asked for', async () => {
    await open({ points: [{ path: '/live' }, { path: '/LIVE' }, { path: '/FILM' }, { path: '/shows' }] });
    await live('/live');
    await live('/LIVE', false);
    expect((await head('GET /LIVE.asf HTTP/1.1', HOST)).field('Content-Type')).toBe('audio/x-ms-wma');
    expect((await head('GET /live.asf HTTP/1.1', HOST)).field('Content-Type')).toBe('video/x-ms-asf');
    expect(await asked('/Live')).toBe(404);
    await live('/FILM', false);
    expect((await head('GET /film.asf HTTP/1.1', HOST)).field('Content-Type')).toBe('video/x-ms-asf');
    await live('/shows');
    const asx = await station.ask('GET /Shows/ HTTP/1.1', HOST);
    expect(asx.body.toString()).toContain('/Shows/');
  });

  it('is found by a push as well, so that no second point is created', async () => {
    await live('/live');
    const { response } = await station.setUp('/Live/');
    expect(response.status).toBe(409);
    expect([...station.server.points].map(({ path }) => path)).toEqual(['/live']);
  });

  it('is subject to the rule of the point in whatever form it comes', async () => {
    await open({ points: [{ path: '/secret', access: { play: { addresses: ['192.0.2.1'] } } }] });
    for (const path of ['/secret', '/SECRET', '/secret/', '/Secret.asf', '/SECRET.ASX', '/SECRET?MSWMExt=.asf']) {
      expect(await asked(path)).toBe(403);
      if (!/asx/i.test(path)) expect(await asked(path, NSPLAYER)).toBe(403);
    }
  });
});
