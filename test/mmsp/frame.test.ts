import fc from 'fast-check';
import { MmspError, newMessage, splitMessages } from '../../src/mmsp/messages/base.js';
import { buildConnect, buildPong, readClientMessage } from '../../src/mmsp/messages/client.js';
import { buildData } from '../../src/mmsp/messages/data.js';
import { type TcpPacket, TcpPacketReader, wrapMessages } from '../../src/mmsp/messages/frame.js';

const SUBSCRIBER = 'NSPlayer/4.1.0.3928; {68c0a090-8797-11d2-a2b3-00a0c9b60551}';

function read(stream: Buffer, cuts: readonly number[], takesData = true): TcpPacket[] {
  const reader = new TcpPacketReader({ takesData });
  const packets: TcpPacket[] = [];
  let from = 0;
  for (const to of [...cuts.filter((cut) => cut <= stream.length).sort((a, b) => a - b), stream.length]) {
    packets.push(...reader.push(stream.subarray(from, to)));
    from = to;
  }
  expect(reader.midPacket).toBe(false);
  return packets;
}

describe('a TcpMessageHeader packet', () => {
  it('[MMSP-026] has its fields at their offsets, [MMSP-027] with their fixed values', () => {
    const packet = wrapMessages(buildPong(), 7, 1_000);
    expect(packet.toString('hex')).toBe(
      `01000000cefa0bb0${'20000000'}4d4d5320${'06000000'}0700${'0000'}e803000000000000${'020000001b000300'}${'0'.repeat(16)}`,
    );
  });

  it('[MMSP-028] counts 16 bytes more than its messages, [MMSP-029] and chunks of the whole packet', () => {
    const message = buildConnect(0xf0f0f0ef, SUBSCRIBER);
    expect(message.length).toBe(144);
    const packet = wrapMessages(message, 0, 0);
    expect([packet.length, packet.readUInt32LE(8), packet.readUInt32LE(16)]).toEqual([176, 160, 22]);
    expect(packet.subarray(32, 60).toString('hex')).toBe('1200000001000300eff0f0f00b0004001c0003004e00530050006c00');
  });

  it('[MMSP-032] holds any number of messages', () => {
    const field = Buffer.concat([buildPong(), buildConnect(0, 'x'), buildPong()]);
    const [packet] = read(wrapMessages(field, 0, 0), []);
    expect(packet).toMatchObject({ type: 'messages' });
    const messages = splitMessages((packet as { field: Buffer }).field);
    expect(messages.map((message) => readClientMessage(message).type)).toEqual(['pong', 'connect', 'pong']);
    expect(splitMessages(Buffer.alloc(0))).toEqual([]);
  });

  it('[MMSP-034] holds messages that are padded to 8 bytes and count their padding', () => {
    for (const [size, chunks] of [
      [8, 1],
      [12, 2],
      [16, 2],
      [17, 3],
    ] as const) {
      const message = newMessage(1, size);
      expect([message.length, message.readUInt32LE(0)]).toEqual([chunks * 8, chunks]);
    }
  });

  it.each([
    ['a chunkLen of 0', '0000000001000300'],
    ['a chunkLen past the end', '0300000001000300ffffffffffffffff'],
    ['the largest chunkLen', 'ffffffff01000300'],
  ])('[MMSP-185] ends with an error for %s', (_, hex) => {
    expect(() => splitMessages(Buffer.from(hex, 'hex'))).toThrow(MmspError);
  });
});

describe('the TCP stream of a session', () => {
  const data = buildData({ location: 3, incarnation: 4, flags: 5 }, Buffer.from('packet'));
  const messages = wrapMessages(buildPong(), 0, 0);

  it('[MMSP-122] distinguishes Data from messages by the session id, wherever it is cut', () => {
    const stream = Buffer.concat([data, messages, data, data, messages]);
    const types = ['data', 'messages', 'data', 'data', 'messages'];
    for (let cut = 0; cut < stream.length; cut++) {
      expect(read(stream, [cut]).map(({ type }) => type)).toEqual(types);
    }
    expect(read(stream, Array.from(stream.keys())).map(({ type }) => type)).toEqual(types);
  });

  it('reads a Data packet whose bytes look like a session id', () => {
    // PacketSize 0xB00B, AFFlags 0xFA, playIncarnation 0xCE.
    const lookalike = buildData({ location: 1, incarnation: 0xce, flags: 0xfa }, Buffer.alloc(0xb00b - 8));
    expect(lookalike.readUInt32LE(4)).toBe(0xb00bface);
    const packets = read(Buffer.concat([lookalike, messages]), [5, 9, 20, 40_000]);
    expect(packets.map(({ type }) => type)).toEqual(['data', 'messages']);
  });

  it('[MMSP-149] accepts no Data from a client', () => {
    const reader = new TcpPacketReader({ takesData: false });
    expect(() => [...reader.push(data)]).toThrow(MmspError);
    expect(() => [...reader.push(messages)]).toThrow(MmspError);
  });

  it('does not check chunkCount, which clients count differently', () => {
    const odd = Buffer.from(messages);
    odd.writeUInt32LE(4, 16);
    expect(read(odd, [])).toHaveLength(1);
  });

  it('[MMSP-185] refuses sizes that are too small or too large before it buffers anything', () => {
    for (const length of [0, 15, 64 * 1024 + 16, 0xffffffff]) {
      const bad = Buffer.from(messages);
      bad.writeUInt32LE(length, 8);
      expect(() => [...new TcpPacketReader({ takesData: true }).push(bad)]).toThrow(MmspError);
    }
    const short = Buffer.from(data);
    short.writeUInt16LE(7, 6);
    expect(() => [...new TcpPacketReader({ takesData: true }).push(short)]).toThrow(MmspError);
  });

  it('throws only its own error, whatever arrives', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, takesData) => {
        const reader = new TcpPacketReader({ takesData });
        try {
          for (const packet of reader.push(Buffer.from(bytes))) {
            if (packet.type === 'messages')
              for (const message of splitMessages(packet.field)) readClientMessage(message);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(MmspError);
        }
      }),
    );
  });
});
