import { type DataPacket, parsePacket } from '../../src/asf/packet.js';
import { stripPadding } from '../../src/asf/padding.js';
import { Repeats } from '../../src/media/repeats.js';
import { testPacket } from '../support/stream.js';

const packets = Array.from({ length: 300 }, (_, number) =>
  testPacket(number * 40, { number, key: number % 25 === 0, dataSize: 40 + number }),
);
const wires = (some: readonly DataPacket[]) => some.map((packet) => stripPadding(packet));
const passed = (repeats: Repeats, some: readonly DataPacket[]) => some.filter((packet) => !repeats.has(packet));

describe('packets that an encoder sends again', () => {
  it('are left out up to the first new one', () => {
    const repeats = new Repeats(wires(packets.slice(0, 200)));
    expect(passed(repeats, packets.slice(150))).toEqual(packets.slice(200));
  });

  it('are recognised whatever their times are, and with packets of the server in between', () => {
    const past = wires(packets.slice(0, 200));
    past.splice(180, 0, stripPadding(testPacket(1, { stream: 2, dataSize: 40 })));
    const moved = packets.slice(150).map((packet) => {
      const bytes = Buffer.from(packet.bytes);
      bytes.writeUInt32LE(packet.sendTime + 5_000, bytes.indexOf(intLE(packet.sendTime), 3));
      return parsePacket(bytes);
    });
    expect(passed(new Repeats(past), moved)).toHaveLength(100);
  });

  it('do not hide a picture that stays the same, or one that returns', () => {
    const still = Array.from({ length: 100 }, () => packets[3]!);
    expect(passed(new Repeats(wires(still)), still).length).toBeGreaterThanOrEqual(99);
    const repeats = new Repeats(wires(packets.slice(0, 100)));
    expect(passed(repeats, [...packets.slice(90, 101), ...packets.slice(0, 50)])).toEqual([
      packets[100],
      ...packets.slice(0, 50),
    ]);
  });

  it('are not found if nothing was sent before', () => {
    expect(passed(new Repeats([]), packets)).toEqual(packets);
  });
});

function intLE(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
