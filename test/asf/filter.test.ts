import fc from 'fast-check';
import { filterPacket, parsePacket, rebasePacket, startPacket, type ThinningLevel } from '../../src/asf/index.js';
import { contents, hex, packetArbitrary, packetOf } from './support.js';

const mixed = (): Buffer =>
  packetOf(
    5000,
    [
      { stream: 1, time: 8000, data: 'audio' },
      { stream: 2, key: true, time: 8010, data: 'key frame' },
      { stream: 3, time: 8010, data: 'other video' },
      { stream: 2, time: 8050, data: 'delta' },
    ],
    300,
  );
const only =
  (...streams: number[]) =>
  (stream: number): ThinningLevel =>
    streams.includes(stream) ? 0 : 2;

describe('filtering streams', () => {
  it('does not change the payloads of the wanted streams, or the times of the packet', () => {
    const packet = parsePacket(mixed());
    const filtered = parsePacket(filterPacket(packet, only(1, 3))!);
    expect(contents(filtered)).toEqual([(contents(packet) as unknown[])[0], (contents(packet) as unknown[])[2]]);
    expect(filtered).toMatchObject({ sendTime: 5000, duration: 40, multiple: true, paddingLength: 0, damaged: false });
  });

  it('writes an explicit Packet Length and no padding', () => {
    const bytes = filterPacket(parsePacket(mixed()), only(1))!;
    expect(parsePacket(bytes)).toMatchObject({ explicitLength: true, length: bytes.length, paddingLength: 0 });
  });

  it('returns the same buffer if everything is wanted, and undefined if nothing is', () => {
    const bytes = mixed();
    expect(filterPacket(parsePacket(bytes), () => 0)).toBe(bytes);
    expect(filterPacket(parsePacket(bytes), () => 2)).toBeUndefined();
    expect(filterPacket(parsePacket(packetOf(0, [{ stream: 4, time: 0, data: 'x' }], 100)), only(1))).toBeUndefined();
  });

  it('keeps only key objects at level 1', () => {
    const filtered = filterPacket(parsePacket(mixed()), (stream) => (stream === 2 ? 1 : 2))!;
    expect(parsePacket(filtered).payloads).toMatchObject([{ stream: 2, key: true, presentationTime: 8010 }]);
  });

  it('leaves parity packets to the caller', () => {
    const parity = hex('92 1a05 aabb');
    expect(filterPacket(parsePacket(parity), () => 2)).toBe(parity);
  });

  it('keeps exactly the wanted payloads of any packet', () => {
    fc.assert(
      fc.property(packetArbitrary, fc.nat({ max: 127 }), (packet, threshold) => {
        const filtered = filterPacket(packet, (stream) => (stream <= threshold ? 0 : 2));
        const wanted = (contents(packet) as { stream: number }[]).filter(({ stream }) => stream <= threshold);
        if (wanted.length === 0) expect(filtered).toBeUndefined();
        else expect(contents(parsePacket(filtered!))).toEqual(wanted);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the packet that a decoder starts with', () => {
  const VIDEO = new Set([2]);
  const starting = (bytes: Buffer) => startPacket(parsePacket(bytes), VIDEO);
  const pieces = [
    { stream: 1, time: 8000, offset: 40, data: 'end of a sound' },
    { stream: 2, time: 7970, offset: 90, data: 'end of a picture' },
    { stream: 1, time: 8020, data: 'sound' },
    { stream: 2, time: 7990, data: 'a picture that needs the one before' },
    { stream: 2, time: 8010, key: true, data: 'key frame' },
    { stream: 2, time: 8050, data: 'the next one' },
  ];

  it('loses the ends of objects that began earlier, and pictures before the key frame', () => {
    const all = contents(parsePacket(packetOf(5000, pieces, 400))) as unknown[];
    const start = parsePacket(starting(packetOf(5000, pieces, 400))!);
    expect(contents(start)).toEqual([all[2], all[4], all[5]]);
    expect(start).toMatchObject({ sendTime: 5000, explicitLength: true, paddingLength: 0, damaged: false });
  });

  it('is the same buffer if everything begins in it', () => {
    const bytes = packetOf(5000, [pieces[2]!, pieces[4]!], 400);
    expect(starting(bytes)).toBe(bytes);
  });
});

describe('rebasing', () => {
  it('shifts send and presentation times in a copy', () => {
    const bytes = mixed();
    const before = Buffer.from(bytes);
    const shifted = parsePacket(rebasePacket(parsePacket(bytes), -5000));
    expect(shifted.sendTime).toBe(0);
    expect(shifted.payloads.map(({ presentationTime }) => presentationTime)).toEqual([3000, 3010, 3010, 3050]);
    expect(bytes).toEqual(before);
  });

  it('wraps at 2^32 in both directions', () => {
    const packet = parsePacket(packetOf(0xffff_ff00, [{ stream: 1, time: 0xffff_fff0, data: 'x' }]));
    const shifted = parsePacket(rebasePacket(packet, 0x200));
    expect([shifted.sendTime, shifted.payloads[0]!.presentationTime]).toEqual([0x100, 0x1f0]);
    expect(rebasePacket(shifted, -0x200)).toEqual(packet.bytes);
  });

  it('shifts the time of compressed payloads, and of packets without one only the send time', () => {
    const compressed = parsePacket(hex('820000 00 5d e8030000 2a00 01 05 b80b0000 01 14 02aabb'));
    expect(parsePacket(rebasePacket(compressed, 1000)).payloads[0]).toMatchObject({
      presentationTime: 4000,
      presentationTimeDelta: 20,
    });
    const untimed = parsePacket(hex('820000 00 5d e8030000 2a00 01 05 00000000 00 aabb'));
    expect(rebasePacket(untimed, 1)).toEqual(hex('820000 00 5d e9030000 2a00 01 05 00000000 00 aabb'));
  });

  it('adds a change of preroll to presentation times only', () => {
    const shifted = parsePacket(rebasePacket(parsePacket(mixed()), 10, { prerollDelta: 100 }));
    expect([shifted.sendTime, shifted.payloads[0]!.presentationTime]).toEqual([5010, 8110]);
  });

  it('continues media object numbers by stream, in the width of the field', () => {
    const packet = parsePacket(
      packetOf(0, [
        { stream: 1, number: 250, time: 0, data: 'x' },
        { stream: 2, number: 3, time: 0, data: 'y' },
      ]),
    );
    const shifted = parsePacket(rebasePacket(packet, 0, { mediaObjectNumbers: new Map([[1, 10]]) }));
    expect(shifted.payloads.map(({ mediaObjectNumber }) => mediaObjectNumber)).toEqual([4, 3]);
  });

  it('there and back returns the same bytes for any packet', () => {
    fc.assert(
      fc.property(packetArbitrary, fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }), (packet, delta) => {
        const there = parsePacket(rebasePacket(packet, delta));
        expect(there.sendTime).toBe((packet.sendTime + delta) >>> 0);
        expect(rebasePacket(there, -delta)).toEqual(packet.bytes);
      }),
      { numRuns: 300 },
    );
  });
});
