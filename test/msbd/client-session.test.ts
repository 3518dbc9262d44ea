import { type ClientEvent, MsbdClientSession } from '../../src/msbd/client/session.js';
import { parseMsbdUrl } from '../../src/msbd/client/url.js';
import { readMessage } from '../../src/msbd/messages/messages.js';
import { connectResponse, emptyStreamInfo, indPacket, media, streamInfo, wire } from './support.js';

const [PAYLOAD] = media(1);

function newSession(delivery: 'tcp' | 'multicast' = 'tcp'): MsbdClientSession {
  const session = new MsbdClientSession({ delivery, channel: 'NetShow', url: 'msbd://h' });
  session.connected();
  return session;
}

const take = (session: MsbdClientSession, ...packets: Buffer[]): ClientEvent[] =>
  packets.flatMap((bytes) => session.receive(readMessage(bytes), 0));
const types = (events: readonly ClientEvent[]) => events.map(({ type }) => type);

describe('a session at the client', () => {
  it('[MSBD-079] [MSBD-040] sends REQ_CONNECT first, and waits for RES_CONNECT', () => {
    const session = new MsbdClientSession({ delivery: 'tcp', channel: 'NetShow', url: 'msbd://h' });
    const [request, ...more] = session.connected();
    expect(more).toEqual([]);
    expect((request as { bytes: Buffer }).bytes.toString('hex')).toBe(
      '4d53422006010700220000000000000001000000' + '4e0065007400530068006f007700',
    );
    expect(session.state).toBe('waiting for RES_CONNECT');
    take(session, connectResponse());
    expect(session.state).toBe('receiving');
  });

  it('[MSBD-016] [MSBD-080] answers every REQ_PING, in the middle of packets too', () => {
    const session = newSession();
    const events = take(session, connectResponse(), wire(1), streamInfo(1), indPacket(0, 1, PAYLOAD!), wire(1));
    expect(types(events)).toEqual(['send', 'stream', 'packet', 'send']);
    for (const event of events) if (event.type === 'send') expect(event.bytes).toEqual(wire(2));
  });

  it('[MSBD-021] asks for a STREAMINFO only if none comes', () => {
    const session = newSession();
    take(session, connectResponse(), streamInfo(1));
    expect(session.tick(1_000_000)).toEqual([]);
    const waiting = newSession();
    take(waiting, connectResponse());
    expect(waiting.tick(2_999)).toEqual([]);
    expect(waiting.tick(3_000)).toEqual([{ type: 'send', bytes: wire(3) }]);
    expect(waiting.tick(100_000)).toEqual([]);
    expect(types(take(waiting, streamInfo(1, {}, 4)))).toEqual(['stream']);
  });

  it('[MSBD-071] does not take the answer to a REQ_STREAMINFO for another stream', () => {
    const session = newSession();
    expect(types(take(session, connectResponse(), streamInfo(1), streamInfo(1, {}, 4)))).toEqual(['stream']);
  });

  it('[MSBD-037] drops packets of streams other than the current one', () => {
    const session = newSession();
    const events = take(
      session,
      connectResponse(),
      indPacket(0, 1, PAYLOAD!),
      streamInfo(1),
      indPacket(1, 1, PAYLOAD!),
      streamInfo(2),
      indPacket(2, 1, PAYLOAD!),
      indPacket(3, 2, PAYLOAD!),
    );
    expect(types(events)).toEqual(['stream', 'packet', 'stream', 'packet']);
    expect(session.strangers).toBe(2);
  });

  it('[MSBD-037] assigns packets on a connection with an unannounced wStreamId to the current stream', () => {
    const session = newSession();
    const sent = [
      indPacket(0, 1, PAYLOAD!),
      indPacket(1, 9, PAYLOAD!),
      indPacket(2, 9, PAYLOAD!),
      indPacket(3, 0x1000, PAYLOAD!),
    ];
    const events = take(session, connectResponse(), streamInfo(1), ...sent);
    expect(types(events)).toEqual(['stream', 'packet', 'note', 'packet', 'packet', 'packet']);
    expect(session.strangers).toBe(0);
    // Once the next stream has begun they belong to an earlier one, like its own number.
    expect(types(take(session, streamInfo(2), sent[2]!, sent[0]!, indPacket(4, 2, PAYLOAD!)))).toEqual([
      'stream',
      'packet',
    ]);
    expect(session.strangers).toBe(2);
  });

  it("[MSBD-037] assigns packets with an earlier stream's number to the current one after IND_EOS, and if no others come", () => {
    const session = newSession();
    take(session, connectResponse(), streamInfo(1), indPacket(0, 1, PAYLOAD!));
    expect(types(take(session, wire(9), streamInfo(2), indPacket(1, 1, PAYLOAD!)))).toEqual([
      'stream',
      'note',
      'packet',
    ]);
    const stubborn = newSession();
    take(stubborn, connectResponse(), streamInfo(1), streamInfo(2));
    const late = Array.from({ length: 70 }, (_, index) => indPacket(index, 1, PAYLOAD!));
    expect(types(take(stubborn, ...late))).toEqual(['note', ...Array(6).fill('packet')]);
    expect(stubborn.strangers).toBe(64);
  });

  it('[MSBD-037] assigns datagrams that are never announced to the current stream', () => {
    const open = () => {
      const session = newSession('multicast');
      take(session, connectResponse(0, { address: '239.1.2.3', port: 5000 }), streamInfo(1));
      return session;
    };
    const early = (packetId: number) => ({ packetId, streamId: 2, payload: PAYLOAD! });
    const waiting = open();
    expect(waiting.packet(early(0))).toEqual([]);
    expect(waiting.tick(1_000)).toEqual([]);
    expect(waiting.tick(2_999)).toEqual([]);
    expect(types(waiting.tick(3_000))).toEqual(['note', 'packet']);
    expect(types(waiting.packet(early(1)))).toEqual(['packet']);
    const many = open();
    for (let id = 0; id < 64; id++) expect(many.packet(early(id))).toEqual([]);
    expect(types(many.packet(early(64)))).toEqual(['note', ...Array(65).fill('packet')]);
    const ended = open();
    ended.packet(early(0));
    expect(types(ended.flush())).toEqual(['note', 'packet']);
  });

  it('[MSBD-037] keeps datagrams of a stream that is not announced yet', () => {
    const session = newSession('multicast');
    const group = { address: '239.1.2.3', port: 5000 };
    expect(types(take(session, connectResponse(0, group), streamInfo(1)))).toEqual(['join', 'stream']);
    const early = { packetId: 9, streamId: 2, payload: PAYLOAD! };
    expect(session.packet(early)).toEqual([]);
    expect(take(session, streamInfo(2)).at(-1)).toEqual({ type: 'packet', packet: early });
  });

  it.each([
    ['IND_EOS and an empty IND_STREAMINFO', [wire(9), emptyStreamInfo()]],
    ['only an empty IND_STREAMINFO', [emptyStreamInfo()]],
    ['one with garbage in its fields, as Windows sends it', [wire(9), emptyStreamInfo(0xcd)]],
  ])('[MSBD-081] [MSBD-082] ends with %s', (_, packets) => {
    const session = newSession();
    take(session, connectResponse(), streamInfo(1));
    expect(types(take(session, ...packets))).toEqual(['end']);
    expect(session.state).toBe('ended');
    expect(session.sawEnd).toBe(true);
  });

  it('[MSBD-083] [MSBD-073] goes on with another stream, with or without IND_EOS before it', () => {
    const session = newSession();
    take(session, connectResponse(), streamInfo(1));
    expect(types(take(session, wire(9), streamInfo(2), streamInfo(3)))).toEqual(['stream', 'stream']);
    expect(session.sawEnd).toBe(false);
  });

  it('[MSBD-012] ignores packets of undefined types', () => {
    expect(take(newSession(), connectResponse(), wire(6), wire(0x0b))).toEqual([]);
  });

  it.each([
    [0x80070005, 'tcp', 'WM_AUTH_REFUSED'],
    [0xc00d001a, 'tcp', 'WM_NO_INPUT'],
    [0xc00d0033, 'tcp', 'WM_NO_INPUT'],
    [0xc00d0025, 'tcp', 'WM_UNREACHABLE'],
    [0x80070057, 'tcp', 'WM_PROTOCOL'],
    [0xa0001234, 'tcp', 'WM_PROTOCOL'],
    [0xc00d001a, 'multicast', 'WM_PROTOCOL'],
  ] as const)('[MSBD-068] [MSBD-015] takes hr 0x%x for %s as a refusal: %s', (hr, delivery, code) => {
    expect(() => take(newSession(delivery), connectResponse(hr))).toThrow(expect.objectContaining({ code }));
  });

  it.each([
    ['IND_STREAMINFO before RES_CONNECT', [streamInfo(1)]],
    ['REQ_PING before RES_CONNECT', [wire(1)]],
    ['RES_CONNECT twice', [connectResponse(), connectResponse()]],
    ['REQ_STREAMINFO', [connectResponse(), wire(3)]],
    ['RES_PING', [connectResponse(), wire(2)]],
  ])('ends if the server sends %s', (_, packets) => {
    expect(() => take(newSession(), ...packets)).toThrow(expect.objectContaining({ code: 'WM_PROTOCOL' }));
  });
});

describe('parseMsbdUrl', () => {
  it('[MSBD-006] parses host, port and channel, and has defaults', () => {
    expect(parseMsbdUrl('msbd://encoder')).toEqual({
      host: 'encoder',
      port: 7007,
      channel: 'NetShow',
      delivery: 'tcp',
      interface: undefined,
    });
    expect(parseMsbdUrl('MSBD://10.0.0.7:80/live/a%20b')).toMatchObject({
      host: '10.0.0.7',
      port: 80,
      channel: 'live/a b',
    });
    expect(parseMsbdUrl('msbd://h/?multicast&interface=10.0.0.1')).toMatchObject({
      channel: 'NetShow',
      delivery: 'multicast',
      interface: '10.0.0.1',
    });
  });

  it.each([
    'http://h',
    'msbd://',
    'msbd://[::1]/',
    'msbd://h:99999/',
    'msbd://h/%ZZ',
    `msbd://h/${'x'.repeat(1100)}`,
    'nonsense',
  ])('[MSBD-005] refuses %s', (url) => {
    expect(() => parseMsbdUrl(url)).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
  });
});
