import { parsePacket } from '../../src/asf/packet.js';
import { buildPacket } from '../../src/asf/packet-build.js';
import { LiveStart } from '../../src/media/live-start.js';
import { AUDIO, testHeader, testPacket, VIDEO } from '../support/stream.js';

const BOTH = new Set([VIDEO, AUDIO]);

/** Returns how many packets pass. */
function passed(start: LiveStart, packets: ReturnType<typeof testPacket>[]): number[] {
  return packets.flatMap((packet) => (start.packet(packet) ? [packet.sendTime] : []));
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
    expect(start.packet(packet)!.payloads.map(({ stream }) => stream)).toEqual([AUDIO, VIDEO]);
  });

  it('does not wait without video, or if the video is not received', () => {
    const packets = [0, 100].map((time) => testPacket(time, { stream: AUDIO }));
    expect(passed(new LiveStart(testHeader({ video: false }), new Set([AUDIO])), packets)).toEqual([0, 100]);
    expect(passed(new LiveStart(testHeader(), new Set([AUDIO])), packets)).toEqual([0, 100]);
  });

  it('does not wait for ever, because some encoders mark no key frame', () => {
    const packets = Array.from({ length: 120 }, (_, index) => testPacket(index * 100));
    expect(passed(new LiveStart(testHeader(), BOTH), packets)[0]).toBe(10_000);
    expect(passed(new LiveStart(testHeader(), BOTH), [testPacket(50_000), testPacket(0)])).toEqual([0]);
  });
});
