import fc from 'fast-check';
import { parsePacket } from '../../src/asf/packet.js';
import { type Frame, FrameReader } from '../../src/framing/framing.js';
import {
  dataPacket,
  endPacket,
  fillerPackets,
  headerPacket,
  streamChangePacket,
} from '../../src/wmhttp/messages/packets.js';
import { type ServerAction, ServerSession } from '../../src/wmhttp/server/session.js';
import { testHeader, testPacket } from '../support/stream.js';

const header = testHeader();
const H = headerPacket(header.bytes);
const C = streamChangePacket(testHeader({ title: 'Second' }).bytes);
const D = dataPacket(testPacket(0).bytes);
const E1 = endPacket(1);
const E0 = endPacket(0);
const F = fillerPackets(10)[0]!;

function frameOf(packet: Buffer): Frame {
  const reader = new FrameReader();
  reader.push(packet);
  return reader.next()!;
}

function briefly(action: ServerAction): string {
  switch (action.type) {
    case 'event':
      return action.event.type === 'end' ? `end${action.event.reason}` : action.event.type;
    case 'respond':
      return `${action.status}${action.close ? '!' : ''}`;
    case 'delete':
      return action.clean ? 'delete' : 'drop';
    case 'closeConnection':
      return 'close';
  }
}

/** The requested actions, in short: `header packet end1 204 400! delete`, with `!` where the connection closes. */
const brief = (actions: ServerAction[]) => actions.map(briefly).join(' ');

function started(now = 0): ServerSession {
  const session = new ServerSession(now);
  expect(session.pushStart(now)).toBeUndefined();
  return session;
}

const feed = (session: ServerSession, packets: Buffer[], now = 0) =>
  packets.map((packet) => brief(session.receive(frameOf(packet), now)));

describe('packets', () => {
  it('forwards header, packets and end', () => {
    expect(feed(started(), [H, D, D, E0])).toEqual(['header', 'packet', 'packet', 'end0 204! delete']);
  });

  it('[WMHTTP-101] accepts only $H first', () => {
    expect(started().packetState).toBe('WaitingForPackets');
    for (const first of [D, C, E0, E1, F]) expect(feed(started(), [first])).toEqual(['400! drop']);
    expect(feed(started(), [H])).toEqual(['header']);
  });

  it('[WMHTTP-105] accepts only $D, $E and $F after $H, $D and $C', () => {
    for (const before of [[H], [H, D], [H, E1, C]]) {
      for (const next of [D, E1, E0, F]) expect(feed(started(), [...before, next]).at(-1)).not.toContain('400');
      expect(feed(started(), [...before, C]).at(-1)).toBe('400! drop');
    }
    expect(feed(started(), [H, H]).at(-1)).toBe('400! drop');
    expect(feed(started(), [H, D, H]).at(-1)).toBe('400! drop');
  });

  it('[WMHTTP-040] [WMHTTP-106] accepts only $C, $E and $F after $E with Reason 1', () => {
    expect(feed(started(), [H, E1, D])).toEqual(['header', 'end1', '400! drop']);
    expect(feed(started(), [H, E1, E1, F, E1, C, D])).toEqual(['header', 'end1', '', '', '', 'header', 'packet']);
    expect(feed(started(), [H, E1, E0])).toEqual(['header', 'end1', 'end0 204! delete']);
  });

  it('[WMHTTP-108] accepts $C, $D, $E and $F after $F, and does not report $F to the higher layer', () => {
    for (const next of [C, D, E1, F]) {
      const [, , filler, last] = feed(started(), [H, D, F, next]);
      expect(filler).toBe('');
      expect(last).not.toContain('400');
    }
    expect(feed(started(), [H, D, F, H]).at(-1)).toBe('400! drop');
  });

  it('[WMHTTP-108] repeats the header if an ended entry continues after $F', () => {
    expect(feed(started(), [H, E1, F, D])).toEqual(['header', 'end1', '', 'header packet']);
  });

  it('[WMHTTP-042] ignores the bytes of $F', () => {
    expect(feed(started(), [H, Buffer.from('24460400ffee24ff', 'hex'), D])).toEqual(['header', '', 'packet']);
  });

  it('[WMHTTP-035] takes the header from $C', () => {
    const session = started();
    feed(session, [H, E1]);
    const [action] = session.receive(frameOf(C), 0);
    expect(action).toMatchObject({ type: 'event', event: { type: 'header' } });
    const event = action?.type === 'event' && action.event.type === 'header' ? action.event : undefined;
    expect(event!.header.bytes.equals(testHeader({ title: 'Second' }).bytes)).toBe(true);
  });

  it('tolerates the entry change of WMSP: a $C without a header, then $H', () => {
    const empty = Buffer.from('2443040000000000', 'hex');
    expect(feed(started(), [H, E1, empty, H, D])).toEqual(['header', 'end1', '', 'header', 'packet']);
    expect(feed(started(), [H, E1, C, H, D])).toEqual(['header', 'end1', 'header', 'header', 'packet']);
    expect(feed(started(), [H, E1, empty, D]).at(-1)).toBe('400! drop');
  });

  it('[WMHTTP-033] rejects packets with the B bit', () => {
    const withB = (packet: Buffer) => Buffer.concat([Buffer.from([0xa4]), packet.subarray(1)]);
    expect(feed(started(), [withB(H)])).toEqual(['400! drop']);
    for (const packet of [D, E1, E0, F]) expect(feed(started(), [H, withB(packet)]).at(-1)).toBe('400! drop');
    expect(feed(started(), [H, E1, withB(C)]).at(-1)).toBe('400! drop');
  });

  it.each([
    ['a malformed ASF header', headerPacket(Buffer.alloc(100))],
    ['an ASF header that is cut', headerPacket(header.bytes.subarray(0, 200))],
    ['an empty ASF header', headerPacket(Buffer.alloc(0))],
    ['[WMHTTP-116] an ASF header without its Data Object', headerPacket(header.bytes.subarray(0, -50))],
    ['[WMHTTP-116] more than an ASF header', headerPacket(Buffer.concat([header.bytes, Buffer.alloc(1)]))],
  ])('ends the session with 400 at %s', (_what, packet) => {
    expect(feed(started(), [packet])).toEqual(['400! drop']);
  });

  it.each([
    ['a $D larger than the packet size', dataPacket(Buffer.alloc(401))],
    ['an unknown packet', Buffer.from('24580000', 'hex')],
    ['a $M of WMSP', Buffer.from('244d0000', 'hex')],
    ['a $E without Reason', Buffer.from('24450000', 'hex')],
    ['[WMHTTP-117] a $D without a packet', Buffer.from('24440000', 'hex')],
  ])('ends the session with 400 at %s', (_what, packet) => {
    expect(feed(started(), [H, packet, D])).toEqual(['header', '400! drop', '']);
  });

  it('drops and counts a damaged $D and continues', () => {
    const session = started();
    expect(feed(session, [H, dataPacket(Buffer.alloc(400, 0xff)), D])).toEqual(['header', '', 'packet']);
    expect(session.damagedPackets).toBe(1);
    expect(session.packets).toBe(1);
  });

  it('[WMHTTP-038] marks the length of a packet that came without its padding', () => {
    const whole = testPacket(0, { dataSize: 100 });
    const cut = Buffer.from(whole.bytes.subarray(0, whole.end));
    // Strictly read, Padding Length says there is no padding, and nothing tells how long the packet is.
    const padded = parsePacket(whole.bytes);
    expect(padded.paddingLength).toBeGreaterThan(0);
    cut.writeUInt16LE(0, cut.indexOf(Buffer.from([padded.paddingLength & 255, padded.paddingLength >> 8])));
    const session = started();
    feed(session, [H]);
    const [action] = session.receive(frameOf(dataPacket(cut)), 0);
    const event = action?.type === 'event' && action.event.type === 'packet' ? action.event : undefined;
    expect(event!.packet.explicitLength).toBe(true);
    expect(event!.packet.payloads[0]!.dataLength).toBe(100);
  });

  it('[WMHTTP-040] [WMHTTP-107] deletes the session at $E with any Reason but 1', () => {
    const session = started();
    expect(feed(session, [H, endPacket(0x8000_4005)])).toEqual(['header', `end${0x8000_4005} 204! drop`]);
    expect(session.state).toBe('Deleted');
    expect(session.tick(1e12)).toEqual([]);
    expect(session.fail(500)).toEqual([]);
    expect(session.pushStart(0)).toBe(409);
    expect(session.pushSetup(0)).toBe(409);
  });

  it('throws nothing at random packets, and yields nothing after the end of the session', () => {
    const packet = fc.oneof(
      fc.constantFrom(H, C, D, E1, E0, F),
      fc
        .record({ id: fc.constantFrom(0x43, 0x44, 0x45, 0x46, 0x48), payload: fc.uint8Array({ maxLength: 40 }) })
        .map(({ id, payload }) => Buffer.concat([Buffer.from([0x24, id, payload.length, 0]), payload])),
      fc.tuple(fc.constantFrom(H, D, C), fc.nat(), fc.integer({ min: 0, max: 255 })).map(([bytes, at, byte]) => {
        const copy = Buffer.from(bytes);
        copy[4 + (at % (copy.length - 4))] = byte;
        return copy;
      }),
    );
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 20 }), (packets) => {
        const session = started();
        const all = [H, ...packets].flatMap((each) => session.receive(frameOf(each), 0));
        const ends = all.findIndex(({ type }) => type === 'delete');
        expect(ends === -1 || ends === all.length - 1).toBe(true);
        const events = all.flatMap((action) => (action.type === 'event' ? [action.event.type] : []));
        let open = false;
        for (const type of events) {
          if (type === 'packet') expect(open).toBe(true);
          open = type === 'end' ? false : type === 'header' || open;
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('the end of a body', () => {
  it('[WMHTTP-102] [WMHTTP-103] [WMHTTP-104] is answered with 204, whatever the last packet was', () => {
    for (const last of [[], [D], [F], [E1], [E1, C]]) {
      const session = started();
      feed(session, [H, ...last]);
      expect(brief(session.bodyComplete(false, 5000))).toBe('204');
      expect(session.state).toBe('WaitingForPushStart');
      expect(session.deadline).toBe(125_000);
    }
  });

  it('[WMHTTP-106] is answered after $E with Reason 1 as well', () => {
    const session = started();
    feed(session, [H, E1]);
    expect(brief(session.bodyComplete(false, 0))).toBe('204');
  });

  it('in the middle of a packet is an error', () => {
    const session = started();
    feed(session, [H]);
    expect(brief(session.bodyComplete(true, 0))).toBe('400! drop');
  });

  it('[WMHTTP-028] [WMHTTP-114] lets the next one continue in the same packet state', () => {
    const data = started();
    feed(data, [H, D, F]);
    data.bodyComplete(false, 0);
    data.pushStart(0);
    expect(data.packetState).toBe('HeaderOrData');
    expect(feed(data, [D])).toEqual(['packet']);

    const change = started();
    feed(change, [H, D]);
    change.bodyComplete(false, 0);
    change.pushStart(0);
    expect(feed(change, [C])).toEqual(['header']);

    for (const [first, result] of [
      [C, 'header'],
      [E1, ''],
      [F, ''],
      [D, '400! drop'],
    ] as const) {
      const ended = started();
      feed(ended, [H, E1]);
      ended.bodyComplete(false, 0);
      ended.pushStart(0);
      expect(ended.packetState).toBe('EndOfEntry');
      expect(feed(ended, [first])).toEqual([result]);
    }
  });
});

describe('requests', () => {
  it('[WMHTTP-089] [WMHTTP-098] are refused with 409 while a body is being received', () => {
    const session = started();
    expect(session.pushSetup(0)).toBe(409);
    expect(session.pushStart(0)).toBe(409);
    expect(session.state).toBe('Streaming');
  });

  it('are accepted between bodies', () => {
    const session = new ServerSession(0);
    expect(session.pushSetup(1)).toBe(204);
    expect(session.started).toBe(false);
    expect(session.pushStart(2)).toBeUndefined();
    expect(session.started).toBe(true);
  });
});

describe('timers', () => {
  it('[WMHTTP-078] [WMHTTP-080] [WMHTTP-094] runs Inactivity-Timeout of 120 s from PushSetup on, and restarts it with each', () => {
    const session = new ServerSession(1000);
    expect(session.deadline).toBe(121_000);
    session.pushSetup(50_000);
    expect(session.tick(169_999)).toEqual([]);
    expect(brief(session.tick(170_000))).toBe('close drop');
  });

  it('[WMHTTP-077] [WMHTTP-100] stops it at PushStart and runs Idle-Timeout of 60 s', () => {
    const session = new ServerSession(0);
    session.pushStart(100_000);
    expect(session.tick(159_999)).toEqual([]);
    expect(brief(session.tick(160_000))).toBe('408! drop');
  });

  it('[WMHTTP-077] [WMHTTP-105] [WMHTTP-108] restarts Idle-Timeout with $H, $D and $C, but not with $F and $E', () => {
    const session = started();
    const at = (packet: Buffer, now: number) => {
      feed(session, [packet], now);
      return session.deadline - 60_000;
    };
    expect(at(H, 1000)).toBe(1000);
    expect(at(D, 2000)).toBe(2000);
    expect(at(F, 3000)).toBe(2000);
    expect(at(E1, 4000)).toBe(2000);
    expect(at(C, 5000)).toBe(5000);
    expect(at(dataPacket(Buffer.alloc(400, 0xff)), 6000)).toBe(6000);
  });

  it('[WMHTTP-109] answers 408 at once when Idle-Timeout fires, and deletes the session', () => {
    const session = started();
    feed(session, [H, D], 1000);
    expect(brief(session.tick(61_000))).toBe('408! drop');
    expect(session.state).toBe('Deleted');
  });

  it('[WMHTTP-104] runs Inactivity-Timeout, and not Idle-Timeout, after a PushStart response', () => {
    const session = started();
    feed(session, [H], 0);
    session.bodyComplete(false, 30_000);
    expect(session.tick(149_999)).toEqual([]);
    expect(brief(session.tick(150_000))).toBe('close drop');
  });

  it('[WMHTTP-110] closes the connection and deletes the session when Inactivity-Timeout fires', () => {
    const session = new ServerSession(0, { inactivityTimeout: 500 });
    expect(brief(session.tick(500))).toBe('close drop');
    expect(session.state).toBe('Deleted');
  });

  it('[WMHTTP-111] keeps Idle-Timeout running when the connection is lost in a body, and resumes before it fires', () => {
    for (const first of [D, H, C]) {
      const session = started();
      feed(session, [H, D], 1000);
      session.connectionLost();
      expect(session.state).toBe('WaitingForPushStart');
      expect(session.tick(60_999)).toEqual([]);
      expect(session.pushStart(60_999)).toBeUndefined();
      expect(feed(session, [first])[0]).not.toContain('400');
    }
    const session = started();
    session.connectionLost();
    expect(brief(session.tick(60_000))).toBe('close drop');
  });

  it('[WMHTTP-112] runs Inactivity-Timeout when the connection is lost between requests', () => {
    const session = started();
    feed(session, [H], 0);
    session.bodyComplete(false, 10_000);
    session.connectionLost();
    expect(session.tick(129_999)).toEqual([]);
    expect(session.pushStart(129_999)).toBeUndefined();
  });

  it('restarts Idle-Timeout when the owner did not read for a while', () => {
    const session = started();
    session.resumed(50_000);
    expect(session.deadline).toBe(110_000);
  });
});

describe('an administrative disconnect', () => {
  it('[WMHTTP-081] answers with its status in the middle of the body, or closes the connection', () => {
    const session = started();
    feed(session, [H, D]);
    expect(brief(session.fail(503))).toBe('503! drop');
    expect(brief(new ServerSession(0).fail(503))).toBe('close drop');
  });
});
