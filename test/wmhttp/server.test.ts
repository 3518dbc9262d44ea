import { Refusal } from '../../src/refusal.js';
import { endPacket, fillerPackets, headerPacket } from '../../src/wmhttp/messages/packets.js';
import { field, turns } from '../http/peer.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import {
  C,
  clock,
  connect,
  D,
  E0,
  E1,
  ENDLESS,
  errors,
  gate,
  H,
  head,
  http,
  nothingOdd,
  push,
  type Request,
  serve,
  setUp,
  statusOf,
  stop,
  stream,
} from './harness.js';
import { challenge, RecordingPoint } from './recorder.js';

beforeEach(() => serve());

afterEach(stop);

describe('PushSetup', () => {
  it('[WMHTTP-010] [WMHTTP-011] [WMHTTP-019] [WMHTTP-092] [WMHTTP-093] is answered like the sample of section 4.8', async () => {
    const { response, id } = await setUp({ body: 'AutoDestroy: 1\r\n' });
    const lines = response.split('\r\n');
    expect(lines[0]).toBe('HTTP/1.1 204 No Content');
    expect(lines.map((line) => line.split(':')[0]).slice(1, -2)).toEqual([
      'Server',
      'Date',
      'Pragma',
      'Cache-Control',
      'Set-Cookie',
      'Supported',
      'Content-Length',
      'Connection',
    ]);
    expect(field(response, 'Server')).toBe('Cougar/9.6.7600.16385');
    expect(field(response, 'Pragma')).toBe('no-cache, timeout=60000');
    expect(field(response, 'Cache-Control')).toBe('no-cache');
    expect(field(response, 'Set-Cookie')).toBe(`push-id=${id}`);
    expect(field(response, 'Content-Length')).toBe('0');
  });

  it('[WMHTTP-079] gives each session another push-id of digits that is never 0', async () => {
    const ids = new Set<string>();
    for (let count = 0; count < 20; count++) ids.add((await setUp()).id);
    expect(ids.size).toBe(20);
    for (const id of ids) expect(id).toMatch(/^[1-9]\d{17}$/);
    expect(push.sessions).toBe(20);
  });

  it('[WMHTTP-091] creates a session with push-id=0 and without a push-id', async () => {
    expect((await setUp({ id: undefined })).status).toBe(204);
    expect((await setUp({ id: '0' })).status).toBe(204);
    expect(push.sessions).toBe(2);
  });

  it('[WMHTTP-088] is refused if its push-id matches no session', async () => {
    const { status, peer } = await setUp({ id: '123' });
    expect(status).toBe(404);
    await peer.ended();
    expect(gate.requests).toHaveLength(0);
  });

  it('[WMHTTP-093] repeats the push-id of the session that it names', async () => {
    const first = await setUp();
    const second = await setUp({ id: first.id });
    expect(second.id).toBe(first.id);
    expect(push.sessions).toBe(1);
    expect(gate.points[1]!.story).toBe('release clean');
    expect(gate.points[0]!.story).toBe('');
  });

  it('creates a new session for a stale push-id beside push-id=0', async () => {
    const { status } = await setUp({ id: '123; push-id=0' });
    expect(status).toBe(204);
  });

  it('[WMHTTP-089] is refused while the session streams on another connection', async () => {
    const { id } = await stream([H, D]);
    await until('two events at the point', () => gate.points[0]!.events.length === 2);
    const { status } = await setUp({ id });
    expect(status).toBe(409);
    expect(gate.points[0]!.story).toBe('start, header, packet');
  });

  it('[WMHTTP-005] tolerates ;charset=UTF-8', async () => {
    expect((await setUp({ type: 'application/x-wms-pushsetup;charset=UTF-8' })).status).toBe(204);
  });

  it('[WMHTTP-004] [WMHTTP-014] tolerates headers and tokens that are not defined for it', async () => {
    const more =
      'X-Accept-Proxy-Authentication: NTLM\r\nX-Unknown: 1\r\nPragma: xyz=1, timeout=5\r\nCache-Control: foo\r\nServer: me\r\n' +
      'Supported: com.microsoft.wm.none\r\nX-Accept-Authentication: Kerberos5, Digest\r\n';
    expect((await setUp({ more })).status).toBe(204);
  });

  it('[WMHTTP-003] works in HTTP/1.0 with Keep-Alive', async () => {
    const peer = await connect();
    peer.send(head('setup', { id: '0', more: 'Connection: Keep-Alive\r\n' }).replace('HTTP/1.1', 'HTTP/1.0'));
    const response = await peer.head();
    expect(response).toMatch(/^HTTP\/1.0 204 /);
    expect(field(response, 'Connection')).toBe('Keep-Alive');
  });

  it.each([undefined, 'NSPlayer/12.0.7601.17514', 'WMEncoder', 'Mozilla/5.0'])(
    '[WMHTTP-082] does not take %p for an encoder and says how to play instead',
    async (agent) => {
      const { peer, response, status } = await setUp({ agent, path: '/p%26%3Cx%3E' });
      expect(status).toBe(200);
      expect(field(response, 'Set-Cookie')).toBeUndefined();
      expect(field(response, 'Content-Type')).toBe('video/x-ms-asf');
      const body = (await peer.bytes(Number(field(response, 'Content-Length')))).toString();
      expect(body).toContain('<ref href="http://server/p&amp;%3Cx%3E"/>');
      expect(push.sessions).toBe(0);
    },
  );

  it.each<[string, Request, number]>([
    ['another method', { method: 'PUT' }, 400],
    ['no Host', { host: '' }, 400],
    ['no length', { length: undefined }, 411],
    ['a chunked body', { length: undefined, more: 'Transfer-Encoding: chunked\r\n', body: '0\r\n\r\n' }, 411],
    ['an unknown directive', { body: 'Foo: 1\r\n' }, 400],
    ['a bad AutoDestroy', { body: 'AutoDestroy: yes\r\n' }, 400],
    ['a template with a host', { body: 'Template-URL: "http://a/b"\r\nAutoDestroy: 0\r\n' }, 400],
    ['a template that does not decode', { body: 'Template-URL: "/%ff"\r\nAutoDestroy: 0\r\n' }, 400],
    ['an enormous body', { body: 'x'.repeat(5000) }, 413],
    ['a target without a path', { path: '*' }, 400],
    ['a target that does not decode', { path: '/%zz' }, 400],
  ])('[WMHTTP-083] is refused with %s', async (_what, request, expected) => {
    const { peer, response, status } = await setUp(request);
    expect(status).toBe(expected);
    expect(field(response, 'Connection')).toBe('close');
    expect(field(response, 'Server')).toMatch(/^Cougar\//);
    await peer.ended();
    expect(gate.requests).toHaveLength(0);
    nothingOdd();
  });

  it('passes path, template and AutoDestroy to the gate, decoded', async () => {
    await setUp({ path: '/new%20point?x=1', body: 'Template-URL: "/my%20template"\r\nAutoDestroy: 1\r\n' });
    expect(gate.requests[0]).toMatchObject({ path: '/new point', template: '/my template', autoDestroy: true });
    await setUp({ path: 'http://server/b' });
    expect(gate.requests[1]).toMatchObject({ path: '/b', template: undefined, autoDestroy: false });
    expect(gate.requests[0]!.exchange.remoteAddress).toContain('127.0.0.1');
  });

  it('is refused with the status of the gate', async () => {
    for (const decide of [
      () => {
        throw new Refusal('not-found', 'No such point.');
      },
      async () => {
        throw new Refusal('not-found', 'No such point.');
      },
    ]) {
      gate.decide = decide;
      const { peer, response } = await setUp();
      expect(statusOf(response)).toBe(404);
      expect(field(response, 'Connection')).toBe('close');
      await peer.ended();
    }
    expect(push.sessions).toBe(0);
    nothingOdd();
  });

  it('is refused with 500 if the gate fails', async () => {
    gate.decide = () => Promise.reject(new Error('a fault'));
    expect((await setUp()).status).toBe(500);
    expect(errors).toHaveLength(1);
  });

  it('keeps the connection open after a challenge, and accepts the next attempt on it', async () => {
    gate.decide = () => Promise.reject(challenge('Negotiate'));
    const { peer, response, status } = await setUp({ body: 'AutoDestroy: 1\r\n' });
    expect(status).toBe(401);
    expect(field(response, 'WWW-Authenticate')).toBe('Negotiate');
    expect(field(response, 'Connection')).toBe('Keep-Alive');
    gate.decide = undefined;
    peer.send(head('setup', { id: '0', more: 'Authorization: Negotiate TlRMTVNTUAAB\r\n' }));
    expect(statusOf(await peer.head())).toBe(204);
  });

  it('[WMHTTP-087] restarts Inactivity-Timeout for the session that a challenged request names', async () => {
    const { id } = await setUp();
    clock.now += 100_000;
    gate.decide = () => {
      throw challenge('NTLM');
    };
    expect((await setUp({ id })).status).toBe(401);
    clock.now += 119_000;
    push.sweep();
    expect(push.sessions).toBe(1);
    clock.now += 1_000;
    push.sweep();
    expect(push.sessions).toBe(0);
  });

  it('sends the fields of the gate with its response, and keeps the session for one user', async () => {
    const point = new RecordingPoint();
    gate.decide = () => ({ accept: point, user: 'anna', fields: [['Authentication-Info', 'rspauth="1"']] });
    const { response, id } = await setUp();
    expect(field(response, 'Authentication-Info')).toBe('rspauth="1"');
    gate.decide = () => ({ accept: new RecordingPoint(), user: 'bert' });
    expect((await setUp({ id })).status).toBe(403);
    expect(push.sessions).toBe(1);
  });

  it.each([
    [302, false],
    [305, true],
  ])('[WMHTTP-084] redirects with %i and closes', async (expected, proxy) => {
    const { id } = await setUp();
    gate.decide = () => ({ redirect: 'http://other:81/pub', proxy });
    const { peer, response, status } = await setUp({ id });
    expect(status).toBe(expected);
    expect(field(response, 'Location')).toBe('http://other:81/pub');
    await peer.ended();
    expect(push.sessions).toBe(0);
  });

  it('[WMHTTP-094] leaves the connection open, and drops the session if nothing follows', async () => {
    const { peer, point } = await setUp({ body: 'AutoDestroy: 1\r\n' });
    clock.now += 119_000;
    push.sweep();
    expect(push.sessions).toBe(1);
    clock.now += 1_000;
    push.sweep();
    expect(push.sessions).toBe(0);
    expect(point.story).toBe('release destroy');
    await peer.ended();
  });

  it('keeps a bounded number of sessions that never start: the oldest goes', async () => {
    await stop();
    await serve({ maxIdleSessions: 3, maxSessions: 5 });
    const streaming = await stream([H]);
    await until('an event at the point', () => streaming.point.events.length === 1);
    const first = await setUp();
    for (let count = 0; count < 6; count++) await setUp();
    expect(push.sessions).toBe(4);
    await first.peer.ended();
    first.peer = await connect();
    first.peer.send(head('start', { id: first.id, length: ENDLESS }));
    expect(statusOf(await first.peer.head())).toBe(404);
    expect(streaming.point.story).toBe('start, header');
  });

  it('is refused with 503 if too many sessions are streaming', async () => {
    await stop();
    await serve({ maxSessions: 2 });
    for (let count = 0; count < 2; count++) {
      const { point } = await stream([H]);
      await until('an event at the point', () => point.events.length === 1);
    }
    const { status, point } = await setUp({ body: 'AutoDestroy: 1\r\n' });
    expect(status).toBe(503);
    expect(point.story).toBe('release destroy');
  });

  it('leaves other requests alone', async () => {
    const peer = await connect();
    peer.send('POST /pub HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n');
    expect(statusOf(await peer.head())).toBe(404);
    expect(gate.requests).toHaveLength(0);
  });
});

describe('PushStart', () => {
  it('forwards header and packets, and ends cleanly with $E', async () => {
    const { peer, point } = await stream([H, D, D, E0]);
    const response = await peer.head();
    expect(response).toMatch(/^HTTP\/1.1 204 No Content\r\n/);
    await peer.ended();
    expect(point.story).toBe('start, header, packet, packet, end0, close, release clean');
    const [header, packet] = point.events;
    expect(header?.type === 'header' && header.header.bytes.equals(testHeader().bytes)).toBe(true);
    expect(packet?.type === 'packet' && packet.packet.bytes.equals(testPacket(0).bytes)).toBe(true);
    expect(point.publisher!.remoteAddress).toContain('127.0.0.1');
    expect(push.sessions).toBe(0);
    nothingOdd();
  });

  it('reads the body however it is split', async () => {
    const { peer, point } = await stream([]);
    const body = Buffer.concat([H, D, E1, C, D, E0]);
    for (let at = 0; at < body.length; at += 97) {
      peer.send(body.subarray(at, at + 97));
      await turns(1);
    }
    await peer.ended();
    expect(point.story).toBe('start, header, packet, end1, header, packet, end0, close, release clean');
  });

  it('[WMHTTP-095] is judged by its head: errors in it are reported without waiting for the body', async () => {
    const peer = await connect();
    peer.send(head('start', { id: '123', length: ENDLESS }));
    expect(statusOf(await peer.head())).toBe(404);
    const session = await stream([]);
    await until('one session', () => push.sessions === 1);
    const second = await connect();
    second.send(head('start', { id: session.id, length: ENDLESS }));
    expect(statusOf(await second.head())).toBe(409);
  });

  it('[WMHTTP-097] is refused without a push-id and with an unknown one', async () => {
    for (const [id, status] of [
      [undefined, 400],
      ['0', 404],
      ['123', 404],
    ] as const) {
      const peer = await connect();
      peer.send(head('start', { id, length: ENDLESS }));
      const response = await peer.head();
      expect(statusOf(response)).toBe(status);
      expect(field(response, 'Connection')).toBe('close');
      await peer.ended();
    }
  });

  it('[WMHTTP-098] is refused while another one is in progress, which continues', async () => {
    const { peer, id, point } = await stream([H]);
    await until('an event at the point', () => point.events.length === 1);
    const second = await connect();
    second.send(head('start', { id, length: ENDLESS }), H);
    expect(statusOf(await second.head())).toBe(409);
    await second.ended();
    peer.send(D);
    await until('two events at the point', () => point.events.length === 2);
  });

  it('[WMHTTP-099] is refused for a path other than that of the session', async () => {
    const { peer } = await stream([], { path: '/other' });
    expect(statusOf(await peer.head())).toBe(404);
  });

  it.each<[string, Request, number]>([
    ['another method', { method: 'GET' }, 400],
    ['no length', { length: undefined }, 411],
    ['a chunked body', { length: undefined, more: 'Transfer-Encoding: chunked\r\n' }, 411],
    ['a bad target', { path: '/%ff' }, 400],
    ['no Host', { host: '' }, 400],
  ])('[WMHTTP-083] is refused with %s', async (_what, request, status) => {
    const { peer } = await stream([], request);
    expect(statusOf(await peer.head())).toBe(status);
    await peer.ended();
  });

  it.each([
    undefined,
    'NSPlayer/12.0.7601.17514',
    'WMEncoder',
    'WMEncoder/12',
    'Mozilla/5.0 WMEncoder/12.0',
    'curl/8.0',
  ])('[WMHTTP-082] [WMHTTP-122] is refused from %p, and the session waits for its encoder', async (agent) => {
    const { peer, id, point } = await stream([H], { agent });
    expect(statusOf(await peer.head())).toBe(400);
    await peer.ended();
    expect(point.story).toBe('');
    const encoder = await connect();
    encoder.send(head('start', { id, length: ENDLESS }), H);
    await until('the header at the point', () => point.events.length === 1);
  });

  it('[WMHTTP-005] tolerates ;charset=UTF-8', async () => {
    const { point } = await stream([H], { type: 'application/x-wms-pushstart;charset=UTF-8' });
    await until('an event at the point', () => point.events.length === 1);
  });

  it('finds its push-id among other cookies, and after one of an ended session', async () => {
    const { peer, id, point } = await setUp();
    peer.send(head('start', { id: `0; a=b; push-id=${id}`, length: ENDLESS }), H);
    await until('an event at the point', () => point.events.length === 1);
  });

  it('accepts a PushStart on another connection', async () => {
    const { peer, id, point } = await setUp();
    peer.destroy();
    const other = await connect();
    other.send(head('start', { id, length: ENDLESS }), H, D);
    await until('two events at the point', () => point.events.length === 2);
  });

  it('[WMHTTP-102] [WMHTTP-103] [WMHTTP-104] [WMHTTP-030] answers 204 after a whole body, and accepts the next on the same connection', async () => {
    const body = [H, D, ...fillerPackets(70_000)];
    const length = body.reduce((sum, packet) => sum + packet.length, 0);
    const { peer, id, point } = await stream(body, { length });
    const response = await peer.head();
    expect(statusOf(response)).toBe(204);
    expect(field(response, 'Set-Cookie')).toBe(`push-id=${id}`);
    expect(field(response, 'Pragma')).toBe('no-cache, timeout=60000');
    expect(field(response, 'Cache-Control')).toBe('no-cache');
    expect(field(response, 'Connection')).toBe('Keep-Alive');
    peer.send(head('start', { id, length: D.length + E1.length }), D, E1);
    expect(statusOf(await peer.head())).toBe(204);
    peer.send(head('start', { id, length: ENDLESS }), C, D, E0);
    expect(statusOf(await peer.head())).toBe(204);
    await peer.ended();
    expect(point.story).toBe('start, header, packet, packet, end1, header, packet, end0, close, release clean');
  });

  it('accepts requests that do not wait for the responses', async () => {
    const { peer, id, point } = await stream([H, D], { length: H.length + D.length });
    peer.send(head('start', { id, length: D.length }), D, head('start', { id, length: ENDLESS }), D, E0);
    for (let count = 0; count < 3; count++) expect(statusOf(await peer.head())).toBe(204);
    expect(point.story).toBe('start, header, packet, packet, packet, end0, close, release clean');
  });

  it('[WMHTTP-096] may be challenged: the connection stays, the rest of its body is discarded, and Idle-Timeout runs', async () => {
    const { peer, id, point } = await setUp();
    gate.startDecision = () => {
      throw challenge('Digest', 'realm="x"');
    };
    clock.now += 100_000;
    peer.send(head('start', { id, length: H.length }), H);
    const refusal = await peer.head();
    expect(statusOf(refusal)).toBe(401);
    expect(field(refusal, 'Connection')).toBe('Keep-Alive');
    expect(point.story).toBe('');
    clock.now += 59_000;
    push.sweep();
    expect(push.sessions).toBe(1);
    gate.startDecision = undefined;
    peer.send(head('start', { id, length: H.length, more: 'Authorization: Digest x\r\n' }), H);
    expect(statusOf(await peer.head())).toBe(204);
    expect(point.story).toBe('start, header');
  });

  it('[WMHTTP-096] that is challenged leaves 60 s for another attempt', async () => {
    const { peer, id } = await setUp();
    gate.startDecision = () => Promise.reject(challenge('Digest'));
    peer.send(head('start', { id, length: 0 }));
    expect(statusOf(await peer.head())).toBe(401);
    clock.now += 60_000;
    push.sweep();
    expect(push.sessions).toBe(0);
  });

  it('is refused if its session has gone while the gate was deciding', async () => {
    const { peer, id } = await setUp();
    let decide = () => {};
    const decision = new Promise<void>((resolve) => {
      decide = resolve;
    });
    gate.startDecision = () => decision;
    peer.send(head('start', { id, length: ENDLESS }), H);
    await until('the question whether a push may start', () => gate.starts.length === 1);
    clock.now += 120_000;
    push.sweep();
    decide();
    expect(statusOf(await peer.head())).toBe(404);
  });

  it('is passed to the gate, with whether its client has moved', async () => {
    const { peer, id } = await setUp();
    peer.send(head('start', { id, length: ENDLESS }), H);
    await until('the question whether a push may start', () => gate.starts.length === 1);
    expect(gate.starts[0]).toMatchObject({ path: '/pub', moved: false });
  });

  it('[WMHTTP-107] asks for the removal of the publishing point at the end if AutoDestroy was 1', async () => {
    for (const [body, story] of [
      ['AutoDestroy: 1\r\n', 'release clean destroy'],
      ['AutoDestroy: 0\r\n', 'release clean'],
      ['', 'release clean'],
    ] as const) {
      const { peer, point } = await stream([H, E0], {}, { body });
      await peer.ended();
      expect(point.log.at(-1)).toBe(story);
      expect(push.sessions).toBe(0);
    }
  });

  it('[WMHTTP-107] deletes the session at $E with an error as well', async () => {
    const { peer, point } = await stream([H, endPacket(0xa000_0001)]);
    await peer.ended();
    expect(point.log.slice(-3)).toEqual([`end${0xa000_0001}`, 'close', 'release']);
    expect(push.sessions).toBe(0);
  });

  it('closes with a header that counts one object too few, and without $E', async () => {
    const bytes = Buffer.from(testHeader().bytes);
    bytes.writeUInt32LE(bytes.readUInt32LE(24) - 1, 24);
    const { peer, point } = await stream([headerPacket(bytes), D]);
    await until('two events at the point', () => point.events.length === 2);
    peer.destroy();
    await until('the server to have no connections', () => http.connections === 0);
    expect(push.sessions).toBe(1);
  });
});
