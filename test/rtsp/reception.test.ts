import fc from 'fast-check';
import { AsfAssembler } from '../../src/rtsp/client/asf-assembler.js';
import { RtpReception } from '../../src/rtsp/client/reception.js';
import { readNacks } from '../../src/rtsp/messages/rtcp.js';
import { type RtpPacket, writeRtpHead } from '../../src/rtsp/messages/rtp.js';

const OPTIONS = { window: 100, maxWaiting: 50, maxBytes: 100_000 };

/** An RTP packet with that payload. */
function rtp(sequence: number, payload: Buffer, ssrc = 7): Buffer {
  const bytes = Buffer.alloc(12 + payload.length);
  writeRtpHead(bytes, 0, { marker: true, payloadType: 96, sequence, timestamp: 0, ssrc });
  payload.copy(bytes, 12);
  return bytes;
}

/** A whole ASF packet of some bytes. */
const whole = (size: number) =>
  Buffer.concat([Buffer.from([0x40, 0, (size + 4) >> 8, (size + 4) & 0xff]), Buffer.alloc(size, 9)]);

describe('the reception of RTP', () => {
  it('throws nothing, and delivers nothing too large, whatever arrives', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (datagrams) => {
        const reception = new RtpReception(OPTIONS, 40);
        let now = 0;
        for (const bytes of datagrams) {
          const packets = [...reception.push(Buffer.from(bytes), now), ...reception.tick((now += 30))];
          for (const each of packets) expect(each.bytes.length).toBeLessThanOrEqual(40);
          for (const nack of reception.nacks(1, now)) expect(readNacks(nack)).toBeDefined();
        }
        reception.flush();
      }),
    );
  });

  it('counts what is no RTP, and what has another SSRC', () => {
    const reception = new RtpReception(OPTIONS, 100);
    reception.allow(7);
    expect(reception.push(rtp(1, whole(10)), 0)).toHaveLength(1);
    expect(reception.push(rtp(1, whole(10), 8), 0)).toEqual([]);
    expect(reception.push(Buffer.from('x'), 0)).toEqual([]);
    expect(reception.strays).toBe(2);
  });

  it('takes no more SSRCs than ASF has streams', () => {
    const reception = new RtpReception(OPTIONS, 100);
    let delivered = 0;
    for (let ssrc = 0; ssrc < 500; ssrc++) delivered += reception.push(rtp(1, whole(10), ssrc), 0).length;
    expect(delivered).toBe(128);
  });

  it('keeps what is faster than the response to PLAY, and drops what is of an earlier position', () => {
    const reception = new RtpReception(OPTIONS, 100);
    reception.prepare();
    for (const sequence of [99, 100, 102]) expect(reception.push(rtp(sequence, whole(sequence)), 0)).toEqual([]);
    expect(reception.begin(new Map([[7, 100]]), 0).map(({ bytes }) => bytes.length)).toEqual([100]);
    expect(reception.push(rtp(101, whole(50)), 5)).toHaveLength(1);
  });

  it('makes nothing of fragments that do not fit together', () => {
    const assembler = new AsfAssembler(1_000);
    const fragment = (offset: number, size: number, { timestamp = 5, marker = false } = {}) => {
      const payload = Buffer.concat([Buffer.from([0, 0, offset >> 8, offset & 0xff]), Buffer.alloc(size)]);
      return { payload, timestamp, marker, payloadType: 96, sequence: 0, ssrc: 0 } satisfies RtpPacket;
    };
    const take = (...packets: RtpPacket[]) =>
      packets.flatMap((packet) => assembler.add(packet)).map(({ bytes }) => bytes.length);
    expect(take(fragment(0, 10), fragment(10, 5, { marker: true }))).toEqual([15]);
    expect(take(fragment(0, 10), fragment(12, 5, { marker: true }))).toEqual([]);
    expect(take(fragment(0, 10), fragment(10, 5, { timestamp: 6, marker: true }))).toEqual([]);
    expect(take(fragment(10, 5, { marker: true }))).toEqual([]);
    expect(take(fragment(0, 900), fragment(900, 900, { marker: true }))).toEqual([]);
    expect(assembler.damaged).toBe(3);
  });
});
