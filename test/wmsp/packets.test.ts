import fc from 'fast-check';
import { WmError } from '../../src/errors.js';
import type { WirePacket } from '../../src/media/wire.js';
import { describeContent } from '../../src/wms/content-description.js';
import {
  changePacket,
  dataWire,
  endPacket,
  headerPackets,
  MAX_PAYLOAD,
  metadataPackets,
} from '../../src/wmsp/messages/packets.js';
import { testHeader } from '../support/stream.js';
import { wirePackets } from '../support/wire.js';

const item = (location: number, size: number) => ({ location, bytes: Buffer.alloc(size, location & 255) });

/** A series of packets, written without padding. */
function dataPackets(items: readonly WirePacket[], sequence: number): Buffer {
  const wire = dataWire(1450, { padding: 'cut', marksUnpaced: false });
  const frames = items.map((packet, index) => {
    const frame = Buffer.alloc(wire.size(packet, 0));
    wire.write(frame, 0, packet, 0, sequence + index);
    return frame;
  });
  return Buffer.concat(frames);
}

describe('$D', () => {
  it('[WMSP-099] [WMSP-104] [WMSP-116] is the framing header, the MMS header and one ASF packet, little-endian', () => {
    const bytes = dataPackets([{ location: 0x01020304, bytes: Buffer.from('aabbcc', 'hex') }], 0x2a);
    expect(bytes.toString('hex')).toBe('24440b0004030201' + '002a0b00' + 'aabbcc');
  });

  it('[WMSP-102] [WMSP-105] has PacketLength and PacketSize 8 larger than the payload', () => {
    const [packet] = wirePackets(dataPackets([item(0, 1450)], 0));
    expect(packet).toMatchObject({ length: 1458, packetSize: 1458 });
    expect(packet!.payload).toHaveLength(1450);
  });

  it('[WMSP-111] numbers AFFlags upwards, modulo 256', () => {
    const packets = wirePackets(dataPackets([item(7, 1), item(8, 1), item(9, 1)], 254));
    expect(packets.map(({ afFlags }) => afFlags)).toEqual([254, 255, 0]);
  });

  it('[WMSP-106] is at most 65535 bytes of MMS packet', () => {
    expect(wirePackets(dataPackets([item(0, MAX_PAYLOAD)], 0))[0]).toMatchObject({ packetSize: 65_535 });
    expect(() => dataPackets([item(0, MAX_PAYLOAD + 1)], 0)).toThrow(WmError);
  });

  it('preserves any series of packets', () => {
    const arbitrary = fc.array(fc.tuple(fc.nat(0xffffffff), fc.uint8Array({ maxLength: 300 })), { maxLength: 20 });
    fc.assert(
      fc.property(arbitrary, fc.nat(255), (packets, sequence) => {
        const items = packets.map(([location, bytes]) => ({ location, bytes: Buffer.from(bytes) }));
        const read = wirePackets(dataPackets(items, sequence));
        expect(read.map(({ location, payload }) => ({ location, bytes: payload }))).toEqual(items);
        expect(read.map(({ afFlags }) => afFlags)).toEqual(items.map((_, index) => (sequence + index) & 255));
      }),
    );
  });
});

describe('$H', () => {
  it('[WMSP-113] [WMSP-121] is one packet with AFFlags 0x0C if it fits', () => {
    const { bytes } = testHeader();
    const packets = wirePackets(headerPackets(bytes));
    expect(packets).toHaveLength(1);
    expect(packets[0]).toMatchObject({ id: 'H', afFlags: 0x0c, location: 0 });
    expect(packets[0]!.payload.equals(bytes)).toBe(true);
  });

  it('[WMSP-106] [WMSP-107] [WMSP-113] is split as in the example of 2.2.3.1.2', () => {
    const object = Buffer.alloc(100_000, 7);
    const packets = wirePackets(headerPackets(object));
    expect(packets.map(({ packetSize, afFlags, location }) => [packetSize, afFlags, location])).toEqual([
      [65_535, 0x04, 0],
      [34_481, 0x08, 1],
    ]);
    expect(Buffer.concat(packets.map(({ payload }) => payload)).equals(object)).toBe(true);
  });

  it('[WMSP-113] has AFFlags 0x00 on middle pieces', () => {
    const packets = wirePackets(headerPackets(Buffer.alloc(25), 10));
    expect(packets.map(({ afFlags }) => afFlags)).toEqual([0x04, 0x00, 0x08]);
  });
});

describe('$M', () => {
  const payloadOf = (bytes: Buffer) => wirePackets(bytes)[0]!.payload.toString('utf8');

  it('[WMSP-122] is the fixed fields, a NUL and a content description list', () => {
    const bytes = metadataPackets({
      playlistGenId: 3,
      broadcastId: 1,
      features: ['broadcast', 'playlist'],
      descriptions: [],
    });
    expect(wirePackets(bytes)[0]).toMatchObject({ id: 'M', afFlags: 0x0c });
    expect(payloadOf(bytes)).toBe(
      'playlist-gen-id=3, broadcast-id=1, features="broadcast,playlist"\0' + '8,language,31,0,\r\n',
    );
  });

  it('[WMSP-128] [WMSP-129] has lengths in bytes of UTF-8, language first, CR LF at the end', () => {
    const descriptions: Array<[string, string]> = [['copyright', '© 1999 Microsoft Corporation']];
    const text = payloadOf(
      metadataPackets({ playlistGenId: 1, broadcastId: 0, features: ['broadcast'], descriptions }),
    );
    expect(text.split('\0')[1]).toBe('8,language,31,0,,9,copyright,31,29,© 1999 Microsoft Corporation\r\n');
  });

  it('describes content by its header', () => {
    expect(describeContent(testHeader({ title: 'News' }))).toEqual([['title', 'News']]);
    expect(describeContent(testHeader())).toEqual([]);
  });
});

describe('$E and $C', () => {
  it('[WMSP-103] [WMSP-119] [WMSP-120] $E is 8 bytes with the reason', () => {
    expect(endPacket(0).toString('hex')).toBe('2445040000000000');
    expect(endPacket(1).toString('hex')).toBe('2445040001000000');
    expect(endPacket(0x000d2f09).toString('hex')).toBe('24450400092f0d00');
    expect(endPacket(0xc00d0005).toString('hex')).toBe('2445040005000dc0');
  });

  it('[WMSP-114] [WMSP-115] $C is 8 bytes, reason 0 forwards and 0x400D14BE backwards, and nothing else', () => {
    expect(changePacket().toString('hex')).toBe('2443040000000000');
    expect(changePacket(0x400d14be).toString('hex')).toBe('24430400be140d40');
  });
});
