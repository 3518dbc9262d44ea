import { DEFAULT_TIMERS, type ServerAction, ServerSession, type ServerTimers } from '../../src/msbd/server/session.js';
import { connectRequest, shape, wire, wireMessages } from './support.js';

const STREAM = { indication: wire(5, Buffer.alloc(33)), response: wire(4, Buffer.alloc(33)) };
const OTHER = { indication: wire(5, Buffer.alloc(34)), response: wire(4, Buffer.alloc(34)) };
const PONG = wire(2);
const MINUTES = 60_000;

function newSession(timers: Partial<ServerTimers> = {}): ServerSession {
  return new ServerSession({ ...DEFAULT_TIMERS, ...timers }, 0);
}

/** A session that has been streaming since 0. */
function streaming(timers?: Partial<ServerTimers>): ServerSession {
  const session = newSession(timers);
  session.receive(connectRequest(), 0);
  session.accept(STREAM, undefined, false, 0);
  return session;
}

/** The letters of the packets sent, and the other actions. */
function told(actions: readonly ServerAction[]): string {
  return actions.map((action) => (action.type === 'send' ? shape(action.bytes) : `<${action.type}>`)).join('');
}

describe('a session at the server', () => {
  it('[MSBD-043] [MSBD-069] answers REQ_CONNECT with RES_CONNECT and IND_STREAMINFO', () => {
    const session = newSession();
    expect(session.state).toBe('waiting for REQ_CONNECT');
    expect(session.receive(connectRequest(1, 'live'), 0)).toEqual([
      { type: 'connect', request: { type: 'REQ_CONNECT', delivery: 'tcp', channel: 'live' } },
    ]);
    const answer = session.accept(STREAM, undefined, false, 0);
    expect(told(answer)).toBe('CS');
    expect(answer[0]).toMatchObject({ bytes: expect.objectContaining({ length: 36 }) });
    expect(session.state).toBe('streaming');
  });

  it('[MSBD-065] sends nothing before it is asked, however long that takes', () => {
    const session = newSession({ connect: Number.POSITIVE_INFINITY });
    for (let minute = 0; minute < 10; minute++) expect(session.tick(minute * MINUTES)).toEqual([]);
  });

  it('ends if the client asks for nothing', () => {
    const session = newSession();
    expect(session.tick(9_999)).toEqual([]);
    expect(told(session.tick(10_000))).toBe('<destroy>');
  });

  it('[MSBD-070] [MSBD-043] closes after a refusal', () => {
    const session = newSession();
    session.receive(connectRequest(), 0);
    const actions = session.refuse(0x80070005, 0);
    expect(told(actions)).toBe('C<finish>');
    expect(wireMessages((actions[0] as { bytes: Buffer }).bytes)[0]!.hr).toBe(0x80070005);
    expect(session.receive(wire(3), 0)).toEqual([]);
    expect(told(session.tick(30_000))).toBe('<destroy>');
  });

  it.each([
    ['dwFlags', connectRequest(3)],
    ['an odd szChannel', wire(7, Buffer.from([1, 0, 0, 0, 65]))],
    ['no dwFlags', wire(7)],
  ])('[MSBD-039] [MSBD-042] [MSBD-043] refuses a REQ_CONNECT with bad %s', (_, bytes) => {
    const actions = newSession().receive(bytes, 0);
    expect(told(actions)).toBe('C<finish>');
    expect(wireMessages((actions[0] as { bytes: Buffer }).bytes)[0]!.hr).toBe(0x80070057);
  });

  it('[MSBD-020] [MSBD-022] [MSBD-071] answers REQ_STREAMINFO while streaming and while a ping is out', () => {
    const session = streaming();
    expect(session.receive(wire(3), 0)).toEqual([{ type: 'send', bytes: STREAM.response }]);
    expect(session.state).toBe('streaming');
    session.tick(2 * MINUTES);
    expect(session.receive(wire(3), 2 * MINUTES)).toEqual([{ type: 'send', bytes: STREAM.response }]);
    expect(session.state).toBe('streaming and waiting for RES_PING');
    session.change(OTHER, false);
    expect(session.receive(wire(3), 2 * MINUTES)).toEqual([{ type: 'send', bytes: OTHER.response }]);
  });

  it('[MSBD-022] answers a REQ_STREAMINFO that came too early, after RES_CONNECT', () => {
    const session = newSession();
    session.receive(connectRequest(), 0);
    expect(session.receive(wire(3), 0)).toEqual([]);
    expect(told(session.accept(STREAM, undefined, false, 0))).toBe('CSs');
  });

  it('ends if the client asks again and again', () => {
    const session = streaming();
    for (let count = 0; count < 16; count++) expect(told(session.receive(wire(3), 0))).toBe('s');
    expect(told(session.receive(wire(3), 0))).toBe('<destroy>');
    const patient = streaming();
    for (let count = 0; count < 100; count++) {
      expect(told(patient.receive(wire(3), count * 1_000))).toBe('s');
      patient.tick(count * 1_000);
    }
  });

  it('[MSBD-018] [MSBD-019] [MSBD-077] sends REQ_PING two minutes after RES_CONNECT, and two after each answer', () => {
    const session = streaming();
    expect(session.tick(2 * MINUTES - 1)).toEqual([]);
    expect(told(session.tick(2 * MINUTES))).toBe('?');
    expect(session.receive(PONG, 2 * MINUTES + 50)).toEqual([]);
    expect(session.state).toBe('streaming');
    expect(session.tick(4 * MINUTES)).toEqual([]);
    expect(told(session.tick(4 * MINUTES + 50))).toBe('?');
  });

  it('[MSBD-078] closes if a ping is not answered for two minutes, and keeps a client that answers', () => {
    const silent = streaming();
    silent.tick(2 * MINUTES);
    expect(silent.tick(4 * MINUTES - 1)).toEqual([]);
    expect(told(silent.tick(4 * MINUTES))).toBe('<destroy>');
    expect(silent.state).toBe('closed');
    const alive = streaming();
    for (let time = 2 * MINUTES; time < 60 * MINUTES; time += 2 * MINUTES) {
      expect(told(alive.tick(time))).toBe('?');
      alive.receive(PONG, time);
    }
  });

  it('sends no pings if told so, and tolerates an unsolicited RES_PING', () => {
    const session = streaming({ ping: 0 });
    expect(session.tick(1000 * MINUTES)).toEqual([]);
    expect(session.receive(PONG, 0)).toEqual([]);
    expect(session.state).toBe('streaming');
  });

  it('[MSBD-083] [MSBD-026] announces another stream within a broadcast by IND_STREAMINFO only', () => {
    expect(streaming().change(OTHER, false)).toEqual([{ type: 'send', bytes: OTHER.indication }]);
  });

  it('[MSBD-072] [MSBD-073] announces a stream that follows the end of another by IND_EOS and IND_STREAMINFO', () => {
    const actions = streaming().change(OTHER, true);
    expect(told(actions)).toBe('ES');
    expect(actions[1]).toEqual({ type: 'send', bytes: OTHER.indication });
  });

  it('[MSBD-072] [MSBD-074] [MSBD-082] ends with IND_EOS and an empty IND_STREAMINFO, and lets the client close', () => {
    const session = streaming();
    const actions = session.end(0);
    expect(told(actions)).toBe('ES');
    expect((actions[1] as { bytes: Buffer }).bytes).toHaveLength(48);
    expect(session.state).toBe('ended');
    expect(session.tick(29_999)).toEqual([]);
    expect(told(session.tick(30_000))).toBe('<destroy>');
  });

  it('[MSBD-012] ignores packets of undefined types', () => {
    const session = streaming();
    for (const id of [0, 6, 0x0b, 0xffff]) expect(session.receive(wire(id, Buffer.alloc(9)), 0)).toEqual([]);
    expect(session.state).toBe('streaming');
  });

  it.each([
    ['REQ_PING', wire(1)],
    ['RES_CONNECT', wire(8, Buffer.alloc(20))],
    ['IND_PACKET', wire(10, Buffer.from([0, 0, 0, 0, 1, 0, 8, 0]))],
    ['an IND_PACKET with a wrong size', wire(10, Buffer.alloc(8))],
    ['IND_EOS', wire(9)],
  ])('ends if the client sends %s', (_, bytes) => {
    expect(told(streaming().receive(bytes, 0))).toBe('<destroy>');
  });

  it.each([
    ['REQ_STREAMINFO', 3],
    ['RES_PING', 2],
    ['an undefined type', 0],
    ['an undefined type', 6],
    ['an undefined type', 0x0b],
    ['an undefined type', 0xffff],
  ])('closes at once if the first message is %s', (_, id) => {
    const session = newSession();
    expect(told(session.receive(wire(id, Buffer.alloc(9)), 0))).toBe('<destroy>');
    expect(session.receive(connectRequest(), 0)).toEqual([]);
  });

  const results = (actions: readonly ServerAction[]) =>
    actions
      .flatMap((action) => (action.type === 'send' ? wireMessages(action.bytes) : []))
      .map(({ id, hr }) => [id, hr]);

  it.each([
    ['the same', connectRequest()],
    ['another channel', connectRequest(1, 'other')],
    ['one that cannot be understood', connectRequest(3)],
  ])('[MSBD-043] [MSBD-085] answers a second REQ_CONNECT, %s, with a refusal, and closes', (_, second) => {
    const session = streaming();
    const actions = session.receive(second, 0);
    expect(told(actions)).toBe('C<finish>');
    expect(results(actions)).toEqual([[8, 0x80070057]]);
    expect(session.streaming).toBe(false);
    expect(session.receive(connectRequest(), 0)).toEqual([]);
  });

  it('[MSBD-043] [MSBD-085] answers each REQ_CONNECT that comes before the first one is answered', () => {
    const granted = newSession();
    granted.receive(connectRequest(), 0);
    expect(granted.receive(connectRequest(1, 'other'), 0)).toEqual([]);
    expect(granted.receive(connectRequest(3), 0)).toEqual([]);
    const actions = granted.accept(STREAM, undefined, false, 0);
    expect(told(actions)).toBe('CSCC<finish>');
    expect(results(actions)).toEqual([
      [8, 0],
      [5, 0],
      [8, 0x80070057],
      [8, 0x80070057],
    ]);
    const refused = newSession();
    refused.receive(connectRequest(), 0);
    refused.receive(connectRequest(), 0);
    expect(results(refused.refuse(0xc00d001a, 0))).toEqual([
      [8, 0xc00d001a],
      [8, 0x80070057],
    ]);
  });

  it('[MSBD-043] [MSBD-085] answers a REQ_CONNECT that comes after the end', () => {
    const session = streaming();
    session.end(0);
    expect(session.receive(wire(0x0b), 0)).toEqual([]);
    expect(told(session.receive(connectRequest(), 0))).toBe('C<finish>');
  });
});
