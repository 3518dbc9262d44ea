import fc from 'fast-check';
import type { AsfEvent } from '../../src/media/events.js';
import { PushBuffer } from '../../src/wmhttp/client/push-buffer.js';
import { testHeader, testPacket } from '../support/stream.js';

const header: AsfEvent = { type: 'header', header: testHeader() };
const packets: AsfEvent[] = Array.from({ length: 300 }, (_, number) => ({
  type: 'packet',
  packet: testPacket(number * 100, { number, key: number % 10 === 0 }),
}));

describe('the push buffer', () => {
  it('needs a header before its packets', () => {
    const buffer = new PushBuffer({ duration: 1_000, bytes: 1e6 });
    expect(() => buffer.add(packets[0]!)).toThrow('before the header');
  });

  it('hands over the waiting packets that it drops', () => {
    const dropped: number[] = [];
    const buffer = new PushBuffer({ duration: 1_000, bytes: 1e6, onDrop: (packet) => dropped.push(packet.sendTime) });
    buffer.add(header);
    for (const packet of packets.slice(0, 25)) buffer.add(packet);
    expect(dropped).toEqual(Array.from({ length: buffer.dropped }, (_, index) => index * 100));
    expect(dropped.length).toBe(20);
  });

  it('sends in order, or counts, whatever is written, sent, broken and resumed', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ what: fc.constant('write' as const), count: fc.integer({ min: 1, max: 30 }) }),
        fc.record({ what: fc.constant('send' as const), count: fc.integer({ min: 1, max: 30 }) }),
        fc.record({ what: fc.constant('break' as const), count: fc.integer({ min: 0, max: 25 }) }),
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 40 }), (actions, tenths) => {
        const buffer = new PushBuffer({ duration: tenths * 100, bytes: 20_000 });
        buffer.add(header);
        buffer.sent(0);
        let written = 0;
        // The packets that the server got, and how many have certainly arrived when the connection breaks.
        let got: number[] = [];
        for (const { what, count } of actions) {
          if (what === 'write') {
            for (let left = count; left > 0 && written < packets.length; left--) buffer.add(packets[written++]!);
          } else if (what === 'send') {
            for (let left = count; left > 0; left--) {
              const next = buffer.peek();
              if (!next) break;
              buffer.sent(got.length);
              if (next.event.type === 'packet') got.push(next.event.packet.sendTime / 100);
            }
          } else {
            const sent = got.length;
            got = got.slice(0, Math.max(sent - count, 0));
            buffer.resumeAt(got.length, sent);
          }
          expect(got.every((number, index) => index === 0 || number > got[index - 1]!)).toBe(true);
          expect(got.length + buffer.waiting + buffer.dropped).toBe(written);
          // A second longer at the end of a break: sent packets come back.
          expect(buffer.waiting).toBeLessThanOrEqual(2 * (tenths + 1) + 10);
        }
      }),
      { numRuns: 200 },
    );
  });
});
