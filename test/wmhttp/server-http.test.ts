import { field, pour } from '../http/peer.js';
import { until } from '../support/until.js';
import {
  clock,
  connect,
  D,
  E0,
  E1,
  ENDLESS,
  gate,
  H,
  head,
  nothingOdd,
  push,
  serve,
  setUp,
  statusOf,
  stop,
  stream,
} from './harness.js';

beforeEach(() => serve());
afterEach(stop);

const asVersion1_0 = (text: string) => text.replace('HTTP/1.1', 'HTTP/1.0');

describe('a push over HTTP/1.0', () => {
  it.each(['', 'Connection: Keep-Alive\r\n'])(
    '[WMHTTP-003] [WMHTTP-094] continues on the connection of its PushSetup, requested or not (%j)',
    async (more) => {
      const peer = await connect();
      peer.send(asVersion1_0(head('setup', { id: '0', more, host: '' })));
      const response = await peer.head();
      expect(response).toMatch(/^HTTP\/1.0 204 /);
      expect(field(response, 'Connection')).toBe('Keep-Alive');
      const id = field(response, 'Set-Cookie')!.slice('push-id='.length);
      for (const body of [[H, D], [D], [D, E0]]) {
        const length = body.reduce((sum, { length: size }) => sum + size, 0);
        peer.send(asVersion1_0(head('start', { id, length, more, host: '' })), ...body);
        expect(await peer.head()).toMatch(/^HTTP\/1.0 204 /);
      }
      await peer.ended();
      expect(gate.points[0]!.story).toBe('start, header, packet, packet, packet, end0, close, release clean');
      nothingOdd();
    },
  );

  it('[WMHTTP-003] uses a connection for each request if it says so', async () => {
    const close = 'Connection: close\r\n';
    const first = await connect();
    first.send(asVersion1_0(head('setup', { id: '0', more: close })));
    const response = await first.head();
    expect(response).toMatch(/^HTTP\/1.0 204 /);
    expect(field(response, 'Connection')).toBe('close');
    await first.ended();
    const id = field(response, 'Set-Cookie')!.slice('push-id='.length);
    for (const body of [
      [H, D],
      [D, E1],
    ]) {
      const next = await connect();
      const length = body.reduce((sum, { length: size }) => sum + size, 0);
      next.send(asVersion1_0(head('start', { id, length, more: close })), ...body);
      expect(await next.head()).toMatch(/^HTTP\/1.0 204 /);
      await next.ended();
    }
    expect(gate.points[0]!.story).toBe('start, header, packet, packet, end1');
    expect(push.sessions).toBe(1);
  });
});

describe('a Content-Length that lies', () => {
  it('and is too small ends the session with 400 and closes', async () => {
    const { peer, point } = await stream([H, D, D], { length: H.length + D.length + 10 });
    expect(statusOf(await peer.head())).toBe(400);
    await peer.ended();
    expect(point.story).toBe('start, header, packet, close, release');
    nothingOdd();
  });

  it('and is so small that packets look like the next request gets 400 for them, and the session stays', async () => {
    const { peer } = await stream([H, D, Buffer.from('\r\n\r\n')], { length: H.length });
    expect(statusOf(await peer.head())).toBe(204);
    expect(statusOf(await peer.head())).toBe(400);
    await peer.ended();
    expect(push.sessions).toBe(1);
  });

  it('and is too large gets 408 when nothing arrives', async () => {
    const { peer, point } = await stream([H, D], { length: 1_000_000 });
    await until('two events at the point', () => point.events.length === 2);
    clock.now += 60_000;
    push.sweep();
    expect(statusOf(await peer.head())).toBe(408);
    await peer.ended();
  });

  it.each(['-1', '1e3', '99999999999999999999', '5, 6'])('is refused if it is %p', async (length) => {
    const peer = await connect();
    peer.send(head('setup', { id: '0' }).replace('Content-Length: 0', `Content-Length: ${length}`));
    expect(statusOf(await peer.head())).toBe(400);
    await peer.ended();
    expect(push.sessions).toBe(0);
  });
});

describe('a response that arrives while the client is still sending', () => {
  it.each([
    ['an unknown push-id', { id: '123' }, 404],
    ['another point', { path: '/other' }, 404],
    ['another method', { method: 'PUT' }, 400],
  ])('reports %s', async (_what, wrong, status) => {
    const { id, peer } = await setUp();
    peer.send(head('start', { id, length: ENDLESS, ...wrong }), H);
    pour(peer, 10_000_000);
    expect(statusOf(await peer.head())).toBe(status);
    nothingOdd();
  });

  it('reports a packet that is not allowed where it is', async () => {
    const { peer } = await stream([H, E1, D]);
    pour(peer, 10_000_000);
    expect(statusOf(await peer.head())).toBe(400);
    expect(push.sessions).toBe(0);
  });
});
