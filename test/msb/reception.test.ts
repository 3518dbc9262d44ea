import fc from 'fast-check';
import { parsePacket } from '../../src/asf/packet.js';
import { restorePadding } from '../../src/asf/padding.js';
import { MsbReception, type ReceivedPayload } from '../../src/msb/client/reception.js';
import { type MsbPacket, parseMsbDatagram, serialiseMsbPacket } from '../../src/msb/messages/packet.js';
import { protectionOf } from '../../src/msb/messages/parity.js';
import { MsbTransmission } from '../../src/msb/server/transmission.js';
import { liveAudio, PACKET_SIZE, packets, parsed } from './support.js';

function sent(count: number, span = 0, firstId = 0): MsbPacket[] {
  const transmission = new MsbTransmission({ span, firstId });
  transmission.header(liveAudio());
  const datagrams = packets(count).flatMap((packet) => transmission.packet(packet));
  return parsed([...datagrams, ...transmission.end()]);
}

/** The delivered packets, as in a file. */
const asFile = (received: readonly ReceivedPayload[]) =>
  received.map(({ payload }) => restorePadding(parsePacket(payload), PACKET_SIZE));
const original = (count: number) => packets(count).map(({ bytes }) => bytes);
const without = <T>(list: readonly T[], ...indexes: number[]) => list.filter((_, index) => !indexes.includes(index));

function receive(datagrams: readonly MsbPacket[], reception = new MsbReception()): ReceivedPayload[] {
  return [...datagrams.flatMap((packet) => reception.packet(packet, 0)), ...reception.flush()];
}

describe('MsbReception', () => {
  it('[MSB-098] fills one gap in each span, byte for byte, whichever packet is missing', () => {
    for (let lost = 0; lost < 5; lost++) {
      const reception = new MsbReception();
      const own = sent(15, 5).filter(({ payload }) => {
        const { number, parity } = protectionOf(payload)!;
        return parity || number !== lost + 1;
      });
      // If the span begins with a loss, nothing reveals that at the very start.
      const missing = lost === 0 ? 1 : 0;
      expect(asFile(receive(own, reception))).toEqual(original(15).slice(missing));
      expect(reception.stats).toMatchObject({ recovered: 3 - missing, lost: 0 });
    }
  });

  it('counts two losses in a span, and delivers the rest', () => {
    const reception = new MsbReception();
    const own = without(sent(15, 5), 7, 8);
    expect(asFile(receive(own, reception))).toEqual(without(original(15), 6, 7));
    expect(reception.stats).toMatchObject({ recovered: 0, lost: 2, longestGap: 2, packets: 13, parityPackets: 3 });
  });

  it('[MSB-057] [MSB-060] does not depend on Number or on the first cycle', () => {
    const own = sent(30, 10).map((packet) => {
      const payload = Buffer.from(packet.payload);
      payload[1] = (payload[1]! & 0x0f) | 0x10;
      payload[2] = payload[2]! + 250;
      return { ...packet, payload };
    });
    // The first packet of the second span and the last one of the third are lost; where the first span began is
    // unknown.
    const reception = new MsbReception();
    expect(asFile(receive(without(own, 11, 31), reception))).toEqual(original(30));
    expect(reception.stats).toMatchObject({ recovered: 2, lost: 0 });
  });

  it('[MSB-065] begins with any id, and goes on past 2^32', () => {
    expect(asFile(receive(sent(40, 7, 0xffff_fff0).slice(5)))).toEqual(original(40).slice(5));
  });

  it('[MSB-085] accepts that the last span has no parity packet', () => {
    const reception = new MsbReception();
    const own = sent(13, 10).slice(0, -1);
    expect(asFile(receive(own, reception))).toEqual(original(13));
    expect(reception.stats.lost).toBe(0);
  });

  it('puts packets in order, and drops duplicates', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 6 }),
        fc.array(fc.nat(400), { minLength: 60, maxLength: 60 }),
        (span, jitter) => {
          const own = sent(60, span);
          const shuffled = own
            .flatMap((packet, index) =>
              [packet, packet].map((each, copy) => ({ each, at: index * 20 + jitter[(index + copy) % 60]! })),
            )
            .sort((a, b) => a.at - b.at)
            .map(({ each }) => each);
          // Nothing shows that the first packet to arrive was not the first one sent.
          const reception = new MsbReception();
          const ordered = receive([own[0]!, ...shuffled], reception);
          expect(asFile(ordered)).toEqual(original(60));
          expect(reception.stats.lost).toBe(0);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('delivers everything that parity can restore, whatever is lost', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 15 }),
        fc.array(fc.nat(19), { minLength: 200, maxLength: 200 }),
        (span, chances) => {
          const own = sent(100, span);
          const arrived = own.map((_, index) => index === 0 || chances[index % 200] !== 0);
          const got = receive(own.filter((_, index) => arrived[index]));
          const expected: Buffer[] = [];
          const all = original(100);
          for (let first = 0; first < 100; first += span) {
            const ids = all.slice(first, first + span).map((_, index) => first + index);
            const cameAt = (id: number, parity: boolean) =>
              arrived[own.findIndex((each) => each.id === id && protectionOf(each.payload)!.parity === parity)]!;
            const came = ids.filter((id) => cameAt(id, false));
            // At the edge of a span, unnumbered packets look like those of the next span. Only that is tolerated.
            const restorable = came.length === ids.length - 1 && cameAt(ids.at(-1)!, true) && span < 15;
            expected.push(...(restorable ? ids : came).map((id) => all[id]!));
          }
          const files = asFile(got).map((bytes) => bytes.toString('hex'));
          for (const bytes of expected) expect(files).toContain(bytes.toString('hex'));
          if (span < 15) expect(files.length).toBe(expected.length);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('waits for a missing packet only for a limited number of packets and time', () => {
    const own = without(sent(200), 10);
    const reception = new MsbReception({ window: 20, hold: 100 });
    const delivered = own.slice(0, 29).flatMap((packet) => reception.packet(packet, 0));
    expect(delivered.length).toBe(10);
    expect(reception.packet(own[29]!, 0).length).toBe(20);
    const patient = new MsbReception({ window: 20, hold: 100 });
    for (const packet of own.slice(0, 12)) patient.packet(packet, 50);
    expect(patient.tick(149)).toEqual([]);
    expect(patient.tick(150).length).toBe(2);
    expect(patient.stats.lost).toBe(1);
    // It arrives after all.
    expect(patient.packet(sent(11)[10]!, 160)).toEqual([]);
    expect(patient.stats.late).toBe(1);
  });

  it('waits longer while a parity packet may still arrive', () => {
    const own = sent(20, 10);
    const reception = new MsbReception({ hold: 100, parityHold: 1000 });
    for (const packet of own.slice(0, 6).filter((_, index) => index !== 3)) reception.packet(packet, 0);
    expect(reception.tick(900)).toEqual([]);
    const rest = own.slice(6, 11).flatMap((packet) => reception.packet(packet, 950));
    expect(rest.length).toBe(7);
  });

  it('follows a sender that has restarted, with the same ids or with others', () => {
    const reception = new MsbReception();
    const first = sent(30, 0, 5000);
    const again = sent(30);
    const got = [...first, ...again].flatMap((packet) => reception.packet(packet, 0));
    expect(asFile(got)).toEqual([...original(30), ...original(30)]);
    const overlapping = new MsbReception();
    const other = packets(20, 100).map(({ bytes }, id) => ({
      type: 'packet' as const,
      id,
      streamId: 1,
      payload: bytes,
    }));
    const both = [...sent(30), ...other].flatMap((packet) => overlapping.packet(packet, 0));
    expect(both.length).toBe(50);
  });

  it('does not lose its place to a single packet with a wild id', () => {
    const own = sent(40);
    const wild = { ...own[0]!, id: 3_000_000 };
    const got = receive([...own.slice(0, 20), wild, ...own.slice(20)]);
    expect(asFile(got)).toEqual(original(40));
  });

  it('holds little, whatever arrives', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(5000), fc.uint8Array({ maxLength: 12 }), fc.nat(3)), { maxLength: 300 }),
        (list) => {
          const reception = new MsbReception();
          let now = 0;
          for (const [id, bytes, kind] of list) {
            const payload = Buffer.from([kind === 0 ? 0x92 : 0x82, kind === 0 ? 0x22 : 0x11, ...bytes]);
            const packet = parseMsbDatagram(serialiseMsbPacket(id, 1, payload));
            if (packet.type === 'packet') reception.packet(packet, (now += 7));
          }
          expect(reception.flush().length).toBeLessThanOrEqual(200);
        },
      ),
    );
  });
});
