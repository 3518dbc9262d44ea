import { jest } from '@jest/globals';
import fc from 'fast-check';
import { Exchange } from '../../src/http/exchange.js';
import { Refusal } from '../../src/refusal.js';
import { dataPacket, headerPacket } from '../../src/wmhttp/messages/packets.js';
import { PushServer } from '../../src/wmhttp/server/server.js';
import { field, settled, turns } from '../http/peer.js';
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
  serve,
  setUp,
  statusOf,
  stop,
  stream,
} from './harness.js';

/** A $C packet with another Reason. */
function withReason(packet: Buffer, reason: number): Buffer {
  const changed = Buffer.from(packet);
  changed.writeUInt32LE(reason, 4);
  return changed;
}

beforeEach(() => serve());

afterEach(stop);

describe('encoders that break the rules', () => {
  it.each<[string, Buffer[]]>([
    ['[WMHTTP-101] no $H first', [D]],
    ['a malformed ASF header', [headerPacket(Buffer.alloc(200))]],
    ['a $D larger than the packet size', [H, dataPacket(Buffer.alloc(500))]],
    ['an unknown packet', [H, Buffer.from('24510000', 'hex')]],
    ['no framing at all', [H, Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
    ['[WMHTTP-117] a $D with the B bit', [H, Buffer.concat([Buffer.from([0xa4]), D.subarray(1)])]],
    ['[WMHTTP-119] a $C with Reason 5', [H, E1, withReason(C, 5)]],
    ['[WMHTTP-106] a $D after $E with Reason 1', [H, E1, D]],
  ])('get 400 at once for %s, and their session ends', async (_what, packets) => {
    const { peer, point } = await stream(packets);
    const response = await peer.head();
    expect(statusOf(response)).toBe(400);
    expect(field(response, 'Connection')).toBe('close');
    await peer.ended();
    await until('the point to be released', () => point.log.includes('release'));
    expect(push.sessions).toBe(0);
    nothingOdd();
  });

  it('never start a publishing point without a valid header', async () => {
    const { peer, point } = await stream([headerPacket(Buffer.alloc(200))]);
    await peer.ended();
    expect(point.story).toBe('release');
  });

  it('get 400 when the body ends in the middle of a packet', async () => {
    const { peer, point } = await stream([H, D.subarray(0, 50)], { length: H.length + 50 });
    expect(statusOf(await peer.head())).toBe(400);
    await until('the point to be released', () => point.log.includes('release'));
  });

  it('lose a damaged packet and continue', async () => {
    const { point } = await stream([H, dataPacket(Buffer.alloc(400, 0xff)), D]);
    await until('two events at the point', () => point.events.length === 2);
    expect(point.story).toBe('start, header, packet');
  });

  it('do not disturb others, whatever they send', async () => {
    const good = await stream([H, D]);
    await until('two events at the good point', () => good.point.events.length === 2);
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.uint8Array({ minLength: 1, maxLength: 200 }), async (withHeader, bytes) => {
        const length = (withHeader ? H.length : 0) + bytes.length;
        const bad = await stream([...(withHeader ? [H] : []), Buffer.from(bytes)], { length });
        expect([204, 400]).toContain(statusOf(await bad.peer.head()));
        bad.peer.destroy();
      }),
      { numRuns: 40 },
    );
    good.peer.send(D);
    await until('three events at the good point', () => good.point.events.length === 3);
    nothingOdd();
  });
});

describe('timers', () => {
  it('[WMHTTP-077] [WMHTTP-109] answer 408 in the middle of a body in which no packet arrives', async () => {
    const { peer, point } = await stream([H, Buffer.from('2444ffff', 'hex')], {}, { body: 'AutoDestroy: 1\r\n' });
    await until('an event at the point', () => point.events.length === 1);
    clock.now += 59_999;
    peer.send(Buffer.alloc(1000));
    await turns();
    push.sweep();
    expect(push.sessions).toBe(1);
    clock.now += 1;
    push.sweep();
    expect(statusOf(await peer.head())).toBe(408);
    await peer.ended();
    expect(push.sessions).toBe(0);
    expect(point.story).toBe('start, header, close, release destroy');
  });

  it('[WMHTTP-077] leave a push of days running as long as packets arrive', async () => {
    const { peer, point } = await stream([H]);
    await until('an event at the point', () => point.events.length === 1);
    for (let hours = 0; hours < 72; hours++) {
      for (let step = 0; step < 3; step++) {
        clock.now += 59_000;
        push.sweep();
        peer.send(D);
        const wanted = point.events.length + 1;
        await until('the events at the point', () => point.events.length === wanted);
      }
    }
    expect(push.sessions).toBe(1);
  });

  it('are the only ones in a body: that of the connection is off', async () => {
    const receive = jest.spyOn(Exchange.prototype, 'receive');
    const { point } = await stream([H]);
    await until('an event at the point', () => point.events.length === 1);
    expect(receive.mock.calls.at(-1)![1]).toBe(Number.POSITIVE_INFINITY);
    receive.mockRestore();
  });

  it('[WMHTTP-104] [WMHTTP-110] close the connection when no next PushStart follows', async () => {
    const { peer, point } = await stream([H], { length: H.length }, { body: 'AutoDestroy: 1\r\n' });
    expect(statusOf(await peer.head())).toBe(204);
    clock.now += 119_999;
    push.sweep();
    expect(push.sessions).toBe(1);
    clock.now += 1;
    push.sweep();
    await peer.ended();
    expect(point.log.at(-1)).toBe('release destroy');
  });

  it.each<[string, Buffer[], string]>([
    ['$D', [D], 'packet'],
    ['$H', [H, D], 'packet'],
    ['$C', [C, D], 'header, packet'],
  ])(
    '[WMHTTP-111] let a session continue with %s if its connection was lost in a body',
    async (_what, packets, more) => {
      const { peer, id, point } = await stream([H, D, D.subarray(0, 100)]);
      await until('two events at the point', () => point.events.length === 2);
      peer.destroy();
      await until('the server to have no connections', () => http.connections === 0);
      clock.now += 59_000;
      push.sweep();
      expect(push.sessions).toBe(1);
      expect(point.publisher!.lost).toBe(true);
      const again = await connect();
      const wanted = point.events.length + more.split(',').length;
      again.send(head('start', { id, length: ENDLESS }), ...packets);
      await until('the events at the point', () => point.events.length === wanted);
      expect(point.publisher!.lost).toBe(false);
      again.send(E0);
      await again.ended();
      expect(point.story).toBe(`start, header, packet, ${more}, end0, close, release clean`);
    },
  );

  it('report how many packets of a session arrived before its connection was lost', async () => {
    const { peer, id, response } = await stream([H, D, D, D.subarray(0, 100)]);
    expect(field(response, 'X-Push-Packets')).toBeUndefined();
    await until('three events at the point', () => gate.points[0]!.events.length === 3);
    peer.destroy();
    await until('the server to have no connections', () => http.connections === 0);
    expect(field((await setUp({ id })).response, 'X-Push-Packets')).toBe('2');
  });

  it('[WMHTTP-089] refuse an encoder that comes back while the old connection is open, and then drop that if it is silent', async () => {
    const { peer, id, point } = await stream([H, D]);
    await until('two events at the point', () => point.events.length === 2);
    expect((await setUp({ id })).status).toBe(409);
    clock.now += 2_000;
    expect((await setUp({ id })).status).toBe(409);
    expect(statusOf(await peer.head())).toBe(408);
    const again = await setUp({ id });
    expect([again.status, field(again.response, 'X-Push-Packets')]).toEqual([204, '1']);
    peer.send(D);
    again.peer.send(head('start', { id, length: ENDLESS }), H, D, E0);
    await again.peer.ended();
    expect(point.story).toBe('start, header, packet, packet, end0, close, release clean');
  });

  it('[WMHTTP-111] drop it if the encoder does not come back within Idle-Timeout', async () => {
    const { peer, point } = await stream([H, D]);
    await until('two events at the point', () => point.events.length === 2);
    peer.destroy();
    await until('the server to have no connections', () => http.connections === 0);
    clock.now += 60_000;
    push.sweep();
    expect(push.sessions).toBe(0);
    await until('the point to be released', () => point.log.includes('release'));
    expect(point.story).toBe('start, header, packet, close, release');
  });

  it('[WMHTTP-112] keep a session whose connection was lost between requests', async () => {
    const { peer, id, point } = await stream([H], { length: H.length });
    await peer.head();
    peer.destroy();
    await until('the server to have no connections', () => http.connections === 0);
    clock.now += 119_000;
    push.sweep();
    const again = await connect();
    again.send(head('start', { id, length: ENDLESS }), D);
    await until('two events at the point', () => point.events.length === 2);
  });

  it('[WMHTTP-077] [WMHTTP-078] have the bounds of the specification', () => {
    for (const options of [{ idleTimeout: 9_999 }, { idleTimeout: 4_294_967_296 }, { inactivityTimeout: -1 }]) {
      expect(() => new PushServer(gate, options)).toThrow(expect.objectContaining({ code: 'WM_CONFIG' }));
    }
    for (const options of [{ idleTimeout: 10_000, inactivityTimeout: 0 }, { idleTimeout: 4_294_967_295 }]) {
      new PushServer(gate, options).close();
    }
  });
});

describe('the publishing point', () => {
  it('[WMHTTP-081] disconnects a session in the middle of its body', async () => {
    const { peer, point } = await stream([H, D], {}, { body: 'AutoDestroy: 1\r\n' });
    await until('two events at the point', () => point.events.length === 2);
    point.publisher!.disconnect('forbidden');
    point.publisher!.disconnect('failed');
    const response = await peer.head();
    expect(statusOf(response)).toBe(403);
    expect(field(response, 'Connection')).toBe('close');
    await peer.ended();
    expect(push.sessions).toBe(0);
    await until('the point to be removed', () => point.log.includes('release destroy'));
  });

  it('refuses a session if it is taken', async () => {
    const { peer, id, point } = await setUp();
    point.startError = new Refusal('taken', 'Taken.');
    peer.send(head('start', { id, length: ENDLESS }), H);
    expect(statusOf(await peer.head())).toBe(409);
    await peer.ended();
    expect(point.story).toBe('release');
    nothingOdd();
  });

  it('lets a newcomer take the place of the old session', async () => {
    const old = await stream([H, D]);
    await until('two events of the old push', () => old.point.events.length === 2);
    const newcomer = await setUp();
    const start = newcomer.point.start.bind(newcomer.point);
    newcomer.point.start = (publisher) => {
      old.point.publisher!.disconnect('taken');
      return start(publisher);
    };
    newcomer.peer.send(head('start', { id: newcomer.id, length: ENDLESS }), H, D);
    expect(statusOf(await old.peer.head())).toBe(409);
    await until('two events of the newcomer', () => newcomer.point.events.length === 2);
    expect(push.sessions).toBe(1);
  });

  it('ends the session with 500 if it fails, and the failure is reported', async () => {
    const { peer, point } = await stream([H]);
    await until('an event at the point', () => point.events.length === 1);
    point.writeError = new Error('a fault');
    peer.send(D, D);
    expect(statusOf(await peer.head())).toBe(500);
    expect(errors).toEqual([point.writeError]);
  });

  it('holds the encoder back while it is slow, and no timer runs meanwhile', async () => {
    const { peer, point } = await stream([H]);
    await until('an event at the point', () => point.events.length === 1);
    let go: () => void = () => {};
    point.hold = new Promise((resolve) => {
      go = resolve;
    });
    const count = 50_000;
    peer.send(...Array<Buffer>(count).fill(D));
    await until('two events at the point', () => point.events.length === 2);
    expect(await settled(() => -peer.socket.writableLength)).toBeLessThan(0);
    clock.now += 100_000;
    push.sweep();
    expect(point.events).toHaveLength(2);
    point.hold = undefined;
    go();
    peer.send(E0);
    await peer.ended();
    expect(point.events).toHaveLength(count + 2);
    expect(point.log.at(-1)).toBe('release clean');
  });

  it('ends the session if a pending write fails', async () => {
    const { peer, point } = await stream([H]);
    await until('an event at the point', () => point.events.length === 1);
    let fail: (error: Error) => void = () => {};
    point.hold = new Promise((_resolve, reject) => {
      fail = reject;
    });
    peer.send(D, D);
    await until('two events at the point', () => point.events.length === 2);
    fail(new Refusal('busy', 'Full.'));
    expect(statusOf(await peer.head())).toBe(503);
    expect(point.story).toBe('start, header, packet, close, release');
  });

  it('is released when the server closes', async () => {
    const { peer, point } = await stream([H]);
    const idle = await setUp();
    await until('an event at the point', () => point.events.length === 1);
    push.close();
    expect(statusOf(await peer.head())).toBe(503);
    await idle.peer.ended();
    expect(push.sessions).toBe(0);
    expect((await setUp()).status).toBe(503);
  });
});
