import { parsePacket } from '../../src/asf/packet.js';
import { buildPacket } from '../../src/asf/packet-build.js';
import { LiveStart } from '../../src/media/live-start.js';
import { AUDIO, testHeader, testPacket, VIDEO } from '../support/stream.js';

const BOTH = new Set([VIDEO, AUDIO]);

/** Returns the times of the packets that pass. */
function passed(start: LiveStart, packets: ReturnType<typeof testPacket>[]): number[] {
  return packets.flatMap((packet) => start.packets(packet)).map(({ sendTime }) => sendTime);
}

describe('LiveStart', () => {
  it('begins with the first key frame', () => {
    const packets = [0, 100, 200, 300].map((time) => testPacket(time, { key: time === 200 }));
    expect(passed(new LiveStart(testHeader(), BOTH), packets)).toEqual([200, 300]);
  });

  it('takes only the part of the packet with the key frame that a decoder can use', () => {
    const payload = (stream: number, key: boolean, offset: number) => ({
      stream,
      key,
      mediaObjectNumber: 1,
      offset,
      replicated: Buffer.alloc(8),
      data: Buffer.alloc(20),
    });
    const payloads = [payload(VIDEO, false, 40), payload(AUDIO, true, 0), payload(VIDEO, true, 0)];
    const packet = parsePacket(buildPacket({ sendTime: 0, duration: 0, packetSize: 400, payloads }));
    const start = new LiveStart(testHeader(), BOTH);
    expect(start.packets(packet)[0]!.payloads.map(({ stream }) => stream)).toEqual([AUDIO, VIDEO]);
  });

  it('does not wait without video, or if the video is not received', () => {
    const packets = [0, 100].map((time) => testPacket(time, { stream: AUDIO }));
    expect(passed(new LiveStart(testHeader({ video: false }), new Set([AUDIO])), packets)).toEqual([0, 100]);
    expect(passed(new LiveStart(testHeader(), new Set([AUDIO])), packets)).toEqual([0, 100]);
  });

  it('does not wait for ever, because some encoders mark no key frame, and then loses nothing', () => {
    const packets = Array.from({ length: 120 }, (_, index) => testPacket(index * 100));
    const times = packets.map(({ sendTime }) => sendTime);
    const start = new LiveStart(testHeader(), BOTH);
    expect(passed(start, packets.slice(0, 100))).toEqual([]);
    expect(passed(start, packets.slice(100, 101))).toEqual(times.slice(0, 101));
    expect(passed(start, packets.slice(101))).toEqual(times.slice(101));
    expect(passed(new LiveStart(testHeader(), BOTH), [testPacket(50_000), testPacket(0)])).toEqual([50_000, 0]);
  });

  it('loses nothing of a stream that ends without a key frame', () => {
    const start = new LiveStart(testHeader(), BOTH);
    expect(passed(start, [testPacket(0), testPacket(100)])).toEqual([]);
    expect(start.end().map(({ sendTime }) => sendTime)).toEqual([0, 100]);
    expect(start.end()).toEqual([]);
    expect(passed(start, [testPacket(200)])).toEqual([200]);
  });

  it('holds a bounded number of bytes', () => {
    const start = new LiveStart(testHeader({ packetSize: 60_000 }), BOTH);
    const packets = Array.from({ length: 500 }, () => testPacket(0, { packetSize: 60_000 }));
    expect(passed(start, packets)).toEqual([]);
    expect(start.end().length * 60_000).toBeLessThanOrEqual(16 * 1024 * 1024);
  });

  it('begins with the sound directly before the key frame, from a whole object on', () => {
    const sound = (time: number, offset = 0) => {
      const payload = { stream: AUDIO, key: true, mediaObjectNumber: 1, offset, replicated: Buffer.alloc(8) };
      const payloads = [{ ...payload, data: Buffer.alloc(20) }];
      return parsePacket(buildPacket({ sendTime: time, duration: 0, packetSize: 400, payloads }));
    };
    const key = testPacket(2000, { key: true });
    const begin = (...packets: ReturnType<typeof testPacket>[]) =>
      passed(new LiveStart(testHeader(), BOTH), [...packets, key]);
    expect(begin(testPacket(1800), sound(1900, 20), sound(1950), sound(1960, 20))).toEqual([1950, 1960, 2000]);
    expect(begin(sound(900), sound(1500))).toEqual([1500, 2000]);
    expect(begin(sound(1900), testPacket(1950))).toEqual([2000]);
    expect(begin(sound(1900, 20))).toEqual([2000]);
    // The rest of a sound in the packet with the key frame belongs to the one before.
    const rest = { stream: AUDIO, key: true, mediaObjectNumber: 1, offset: 20, replicated: Buffer.alloc(8) };
    const start = { ...rest, stream: VIDEO, offset: 0, data: Buffer.alloc(20) };
    const payloads = [{ ...rest, data: Buffer.alloc(20) }, start];
    const mixed = parsePacket(buildPacket({ sendTime: 2000, duration: 0, packetSize: 400, payloads }));
    const counts = (...packets: ReturnType<typeof testPacket>[]) => {
      const begins = new LiveStart(testHeader(), BOTH);
      return packets.flatMap((packet) => begins.packets(packet)).map((packet) => packet.payloads.length);
    };
    expect(counts(sound(1950), mixed)).toEqual([1, 2]);
    expect(counts(testPacket(1950), mixed)).toEqual([1]);
  });
});
