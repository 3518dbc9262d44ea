import { parsePacket } from '../../src/asf/packet.js';
import { restorePadding } from '../../src/asf/padding.js';
import { formatIdOf, MsbError } from '../../src/msb/messages/packet.js';
import { markPacket, protectionOf } from '../../src/msb/messages/parity.js';
import { MsbTransmission } from '../../src/msb/server/transmission.js';
import { audio, fileProperties, header, packetOf } from '../asf/support.js';
import { liveAudio, PACKET_SIZE, packets, parsed } from './support.js';

function started(span = 0, firstId?: number): MsbTransmission {
  const transmission = new MsbTransmission({ span, firstId });
  transmission.header(liveAudio());
  return transmission;
}

const sendAll = (transmission: MsbTransmission, count: number, from = 0) =>
  parsed(packets(count, from).flatMap((packet) => transmission.packet(packet)));

describe('MsbTransmission', () => {
  it('[MSB-064] [MSB-066] counts packets from 0', () => {
    expect(sendAll(started(), 5).map(({ id }) => id)).toEqual([0, 1, 2, 3, 4]);
    expect(sendAll(started(0, 0xffff_fffe), 4).map(({ id }) => id)).toEqual([0xffff_fffe, 0xffff_ffff, 0, 1]);
  });

  it('[MSB-052] [MSB-067] [MSB-083] sends the parity packet after the last packet of its span, with the id of that packet', () => {
    const sent = sendAll(started(10), 20);
    expect(sent.map(({ id }) => id)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 19,
    ]);
    const parity = sent.map(({ payload }) => protectionOf(payload)!.parity);
    expect(parity.flatMap((each, index) => (each ? [index] : []))).toEqual([10, 21]);
    expect(sent.map(({ payload }) => protectionOf(payload)!.cycle)).toEqual([
      ...Array(11).fill(0),
      ...Array(11).fill(1),
    ]);
  });

  it('[MSB-072] [MSB-073] removes the padding, and says so in the packet', () => {
    const [packet] = packets(1);
    expect(packet!.paddingLength).toBeGreaterThan(0);
    const [sent] = parsed(started().packet(packet!));
    const plain = parsePacket(sent!.payload);
    expect(plain.paddingLength).toBe(0);
    expect(sent!.payload.length).toBeLessThan(packet!.bytes.length);
    expect(restorePadding(plain, PACKET_SIZE)).toEqual(packet!.bytes);
  });

  it('[MSB-044] [MSB-048] protects with spans of the requested size and no larger ones', () => {
    const sent = sendAll(started(3), 7);
    expect(sent.map(({ payload }) => protectionOf(payload)!.number)).toEqual([1, 2, 3, 4, 1, 2, 3, 4, 1]);
    expect(() => new MsbTransmission({ span: 16 })).toThrow(MsbError);
  });

  it('[MSB-084] ends the last span with a parity packet even if it is short', () => {
    const transmission = started(10);
    sendAll(transmission, 13);
    const [last, ...more] = parsed(transmission.end());
    expect(more).toEqual([]);
    expect(last!.id).toBe(12);
    expect(protectionOf(last!.payload)).toEqual({ parity: true, number: 4, cycle: 1 });
    expect(transmission.end()).toEqual([]);
  });

  it('[MSB-069] [MSB-079] [MSB-080] toggles bit 15 with every entry, even with the same header', () => {
    const transmission = new MsbTransmission();
    const first = liveAudio();
    const streamIds = [first, first, liveAudio('other'), first, first].map((header) => {
      transmission.header(header);
      return sendAll(transmission, 1)[0]!.streamId;
    });
    const [a, b, c, d, e] = streamIds;
    expect([a! ^ b!, d! ^ e!]).toEqual([0x8000, 0x8000]);
    expect(streamIds.map((id) => id >> 15)).toEqual([0, 1, 0, 1, 0]);
    expect(formatIdOf(c!)).not.toBe(formatIdOf(a!));
    expect(new Set([b, c]).size).toBe(2);
    expect(transmission.formats.length).toBe(2);
  });

  it('[MSB-042] [MSB-043] [MSB-075] gives each header a Format ID of its own, the same for the same', () => {
    const transmission = new MsbTransmission();
    for (let index = 0; index < 40; index++) transmission.header(liveAudio(`entry ${index % 35}`));
    expect(transmission.formats.length).toBe(32);
    expect(new Set(transmission.formats.map(({ id }) => id)).size).toBe(32);
    expect(Math.max(...transmission.formats.map(({ id }) => id))).toBeLessThanOrEqual(0x7ff);
    const again = new MsbTransmission();
    again.header(liveAudio('entry 3'));
    const same = transmission.formats.find(({ header }) => header.equals(again.formats[0]!.header));
    expect(same?.id).toBe(again.formats[0]!.id);
  });

  it('recognises a header without File ID and date after a restart', () => {
    const bare = header([fileProperties({ fileId: '0'.repeat(32), creationDate: 0n }), audio(1)]);
    const formats = [1, 2].map(() => {
      const transmission = new MsbTransmission();
      transmission.header(bare);
      return transmission.formats[0]!;
    });
    expect(formats[0]).toEqual(formats[1]);
  });

  it('[MSB-041] announces the Header Object and the first 50 bytes of the Data Object', () => {
    const transmission = started();
    const { header, description } = transmission.formats[0]!;
    expect(header.length).toBe(Number(header.readBigUInt64LE(16)) + 50);
    expect(header.toString('hex', header.length - 50, header.length - 34)).toBe('3626b2758e66cf11a6d900aa0062ce6c');
    expect(description).toBeUndefined();
    transmission.header(liveAudio('A title'));
    expect(transmission.formats[1]!.description).toBe('A title');
  });

  it('ends the span before another entry begins', () => {
    const transmission = started(10);
    const before = sendAll(transmission, 3);
    const [parity] = parsed(transmission.header(liveAudio('other')));
    expect(parity).toMatchObject({ id: 2, streamId: before[0]!.streamId });
    expect(protectionOf(sendAll(transmission, 1, 3)[0]!.payload)).toEqual({ parity: false, number: 1, cycle: 1 });
  });

  it('replaces foreign protection by its own, and drops foreign parity packets', () => {
    const protectedBefore = parsePacket(markPacket(packets(1)[0]!.bytes, { parity: false, number: 7, cycle: 99 }));
    const [plain] = parsed(started().packet(protectedBefore));
    expect(plain!.payload.subarray(0, 3)).toEqual(Buffer.from([0x82, 0, 0]));
    const foreign = Buffer.from(protectedBefore.bytes);
    foreign[0] = 0x92;
    expect(started(5).packet(parsePacket(foreign))).toEqual([]);
  });

  it('sends packets without room for protection unprotected, between two spans', () => {
    const transmission = started(10);
    sendAll(transmission, 2);
    const full = { sendTime: 99, duration: 0, errorCorrection: Buffer.alloc(0), packetSize: PACKET_SIZE };
    const template = parsePacket(
      packetOf(99, [{ stream: 1, time: 99, data: Buffer.alloc(PACKET_SIZE - 26, 1) }], PACKET_SIZE),
    );
    expect(template.paddingLength).toBe(0);
    const bare = parsePacket(template.bytes.subarray(3));
    expect(full.packetSize - bare.bytes.length).toBe(3);
    const wide = parsePacket(Buffer.concat([bare.bytes, Buffer.alloc(3, 7)]));
    const sent = parsed(transmission.packet(wide));
    expect(sent.map(({ id }) => id)).toEqual([1, 2]);
    expect(protectionOf(sent[1]!.payload)).toBeUndefined();
    expect(protectionOf(sendAll(transmission, 1)[0]!.payload)!.number).toBe(1);
  });

  it('refuses packets before a header, and those that fit no datagram', () => {
    expect(() => new MsbTransmission().packet(packets(1)[0]!)).toThrow('before the header');
    const huge = parsePacket(packetOf(0, [{ stream: 1, time: 0, data: Buffer.alloc(65_480, 1) }]));
    expect(() => started().packet(huge)).toThrow(MsbError);
  });

  it('[MSB-049] [MSB-050] XORs the sent bytes of a span, from the parsing information on', () => {
    const transmission = new MsbTransmission({ span: 3 });
    transmission.header(liveAudio());
    const [first, second, third, parity] = parsed(packets(3).flatMap((packet) => transmission.packet(packet)));
    const data = [first!.payload, second!.payload, third!.payload];
    expect(data.map((payload) => payload[0])).toEqual([0x82, 0x82, 0x82]);
    const length = Math.max(...data.map((payload) => payload.length));
    expect(parity!.payload).toHaveLength(length);
    for (let at = 3; at < length; at++) {
      expect(parity!.payload[at]).toBe(data.reduce((sum, payload) => sum ^ (payload[at] ?? 0), 0));
    }
    // The first byte of the parsing information is the same in all three, so it appears in the sum.
    expect(parity!.payload[3]).toBe(data[0]![3]);
    expect(parity!.payload[3]).not.toBe(0);
  });
});
