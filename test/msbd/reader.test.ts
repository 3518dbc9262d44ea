import fc from 'fast-check';
import { MsbdError } from '../../src/msbd/messages/base.js';
import { MessageReader } from '../../src/msbd/messages/reader.js';
import { connectRequest, indPacket, wire } from './support.js';

function readAll(slices: readonly Buffer[]): Buffer[] {
  const reader = new MessageReader();
  return slices.flatMap((slice) => [...reader.push(slice)]);
}

const MESSAGES = [
  wire(1),
  indPacket(0, 1, Buffer.alloc(300, 7)),
  connectRequest(),
  wire(9),
  indPacket(1, 1, Buffer.alloc(0)),
];
const BYTES = Buffer.concat(MESSAGES);

describe('the reader of a TCP stream', () => {
  it('[MSBD-013] cuts it into packets, split at any byte', () => {
    for (let at = 0; at <= BYTES.length; at++) {
      expect(readAll([BYTES.subarray(0, at), BYTES.subarray(at)])).toEqual(MESSAGES);
    }
    expect(readAll([...BYTES].map((byte) => Buffer.from([byte])))).toEqual(MESSAGES);
  });

  it('[MSBD-013] cuts it into packets, split anywhere', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(BYTES.length), { maxLength: 12 }), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), BYTES.length];
        const slices = places.slice(1).map((end, index) => BYTES.subarray(places[index], end));
        expect(readAll(slices)).toEqual(MESSAGES);
      }),
    );
  });

  it('does not copy what is whole', () => {
    const [first] = readAll([BYTES]);
    expect(first!.buffer).toBe(BYTES.buffer);
  });

  it.each([
    ['a cbMessage of 0', 8, 0],
    ['a cbMessage of 15', 8, 15],
    ['a cbMessage of 65536', 8, 65_536],
    ['a cbMessage of 4 GiB', 8, 0xffffffff],
    ['another signature', 0, 0x2142534d],
  ])('[MSBD-009] [MSBD-014] ends at %s, and stays ended', (_, at, value) => {
    const bad = wire(1);
    bad.writeUInt32LE(value, at);
    for (const slices of [[bad], [bad.subarray(0, 7), bad.subarray(7)]]) {
      const reader = new MessageReader();
      const push = (bytes: Buffer) => [...reader.push(bytes)];
      expect(() => slices.map(push)).toThrow(MsbdError);
      expect(() => push(wire(1))).toThrow(MsbdError);
    }
  });

  it('knows whether it is in the middle of a packet', () => {
    const reader = new MessageReader();
    expect(reader.midMessage).toBe(false);
    for (const size of [1, 16, 20]) {
      expect([...reader.push(BYTES.subarray(16, 16 + size))]).toEqual([]);
      expect(reader.midMessage).toBe(true);
      expect([...reader.push(BYTES.subarray(16 + size, 340))]).toHaveLength(1);
      expect(reader.midMessage).toBe(false);
    }
  });
});
