import fc from 'fast-check';
import { WmError } from '../../src/errors.js';
import { ObjectAssembler, parseMetadata, type WmspPacket, WmspPacketReader } from '../../src/wmsp/client/packets.js';
import { headerPackets, metadataPackets } from '../../src/wmsp/messages/packets.js';
import { dataPackets, ENTRY, HEADER, media, packets } from './client-support.js';

function readAll(bytes: Buffer, step = bytes.length, strict = false): WmspPacket[] {
  const reader = new WmspPacketReader(strict);
  const all: WmspPacket[] = [];
  for (let at = 0; at < bytes.length; at += step) {
    reader.push(bytes.subarray(at, at + step));
    for (let packet = reader.next(); packet; packet = reader.next()) all.push(packet);
  }
  return all;
}

const letters = (all: readonly WmspPacket[]) => all.map(({ id }) => String.fromCharCode(id)).join('');

describe('WmspPacketReader', () => {
  it('[WMSP-100] [WMSP-102] [WMSP-104] [WMSP-099] reads the fields at their offsets, little-endian', () => {
    const bytes = Buffer.from('a4440b0001020304ff090b00aabbcc', 'hex');
    const [packet] = readAll(bytes);
    expect(packet).toEqual({
      id: 0x44,
      reason: 0,
      location: 0x04030201,
      afFlags: 9,
      payload: Buffer.from('aabbcc', 'hex'),
    });
    expect(readAll(Buffer.from('24540000', 'hex'))).toMatchObject([{ id: 0x54 }]);
  });

  it('[WMSP-103] reads the Reason of $E and $C as an HRESULT', () => {
    expect(readAll(Buffer.from('24450400092f0d00', 'hex'))).toMatchObject([{ id: 0x45, reason: 0x000d2f09 }]);
    expect(readAll(Buffer.from('24430400be140d40', 'hex'))).toMatchObject([{ id: 0x43, reason: 0x400d14be }]);
  });

  it('[WMSP-102] knows the real sizes of $P, which are not their lengths', () => {
    for (const headSize of [0, 1, 226, 503, 504, 9_000]) {
      const three = [0, 1, 2].map((n) => packets.P(n as 0 | 1 | 2, headSize));
      expect(Buffer.concat(three)).toHaveLength(2080);
      const bytes = Buffer.concat([...three, packets.T()]);
      for (const step of [1, 7, bytes.length]) expect(letters(readAll(bytes, step))).toBe('PPPT');
    }
  });

  it('refuses a fourth $P and a $P that counts too much', () => {
    const three = Buffer.concat([0, 1, 2].map((n) => packets.P(n as 0 | 1 | 2, 100)));
    expect(() => readAll(Buffer.concat([three, packets.P(0, 100)]))).toThrow(WmError);
    expect(() => readAll(Buffer.from('2450f801f9010000', 'hex'))).toThrow(/counts 505 bytes/);
    expect(() => readAll(Buffer.from('2450f70100000000', 'hex'))).toThrow(/length of 503/);
  });

  it('finds the same packets however the bytes are split', () => {
    const bytes = Buffer.concat([ENTRY, dataPackets(media(5)), packets.E(1), packets.C(), ENTRY, packets.E(0)]);
    const whole = readAll(bytes);
    expect(letters(whole)).toBe('MHDDDDDECMHE');
    for (const step of [1, 2, 3, 11, 12, 13, 399]) expect(readAll(bytes, step)).toEqual(whole);
  });

  it('accepts the end of ffserver, whose 8 bytes are not a reason', () => {
    expect(readAll(Buffer.from('244508001700000000000800', 'hex'))).toMatchObject([{ id: 0x45, reason: 0 }]);
    expect(() => readAll(Buffer.from('244508001700000000000800', 'hex'), 12, true)).toThrow(/malformed/);
  });

  it('uses PacketLength if PacketSize differs, unless it is strict', () => {
    const bytes = packets.D(0, Buffer.from('abc'));
    bytes.writeUInt16LE(999, 10);
    expect(readAll(bytes)[0]!.payload.toString()).toBe('abc');
    expect(() => readAll(bytes, bytes.length, true)).toThrow(/two different sizes/);
  });

  it.each([
    ['bytes that do not start with $', '48545450'],
    ['a first byte that is not $', '48'],
    ['a $D without room for its head', '2444040000000000'],
    ['a $E without a Reason', '24450000'],
  ])('refuses %s', (_, hex) => {
    expect(() => readAll(Buffer.from(hex, 'hex'))).toThrow(expect.objectContaining({ code: 'WM_PROTOCOL' }));
  });

  it('throws nothing but WmError, for any input, and always makes progress', () => {
    const good = Buffer.concat([ENTRY, dataPackets(media(3)), packets.P(0, 9), packets.E(0)]);
    const mutated = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }).map((changes) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    });
    const noise = fc
      .uint8Array({ maxLength: 300 })
      .map((bytes) => Buffer.concat([Buffer.from('$'), Buffer.from(bytes)]));
    fc.assert(
      fc.property(fc.oneof(mutated, noise), fc.integer({ min: 1, max: 500 }), (bytes, step) => {
        try {
          const all = readAll(bytes, step);
          expect(all.length).toBeLessThanOrEqual(bytes.length / 4);
        } catch (error) {
          expect(error).toBeInstanceOf(WmError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('ObjectAssembler', () => {
  it('[WMSP-186] joins the pieces of a header, whatever their size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), (size) => {
        const pieces = readAll(headerPackets(HEADER.bytes, size));
        const assembler = new ObjectAssembler('$H');
        const results = pieces.map((piece) => assembler.add(piece));
        expect(results.pop()!.equals(HEADER.bytes)).toBe(true);
        expect(results.every((result) => result === undefined)).toBe(true);
        expect(assembler.pending).toBe(false);
      }),
    );
  });

  it('starts over with a first piece', () => {
    const assembler = new ObjectAssembler('$H');
    const piece = (text: string, afFlags: number): WmspPacket => ({
      id: 0x48,
      reason: 0,
      location: 0,
      afFlags,
      payload: Buffer.from(text),
    });
    assembler.add(piece('lost', 4));
    assembler.add(piece('a', 4));
    assembler.add(piece('b', 0));
    expect(assembler.add(piece('c', 8))!.toString()).toBe('abc');
  });

  it('holds no more than the maximum size of a header', () => {
    const assembler = new ObjectAssembler('$H');
    const piece: WmspPacket = { id: 0x48, reason: 0, location: 0, afFlags: 0, payload: Buffer.alloc(65_000) };
    expect(() => {
      for (let count = 0; count < 520; count++) assembler.add(piece);
    }).toThrow(expect.objectContaining({ code: 'WM_PROTOCOL' }));
    const none: WmspPacket = { ...piece, payload: Buffer.alloc(0) };
    expect(() => {
      for (let count = 0; count < 70_000; count++) assembler.add(none);
    }).toThrow(WmError);
  });
});

describe('parseMetadata', () => {
  const read = (text: string) => parseMetadata(Buffer.from(text, 'utf8'));

  it('reads what our own server writes', () => {
    const descriptions = [
      ['title', 'Ein Stück'],
      ['author', ''],
    ] as const;
    const bytes = metadataPackets({ playlistGenId: 7, broadcastId: 1, features: ['live', 'playlist'], descriptions });
    const metadata = parseMetadata(new ObjectAssembler('$M').add(readAll(bytes)[0]!)!);
    expect(metadata).toEqual({
      playlistGenId: 7,
      broadcastId: 1,
      features: ['live', 'playlist'],
      descriptions: [
        { language: '', name: 'title', value: 'Ein Stück' },
        { language: '', name: 'author', value: '' },
      ],
    });
  });

  it('reads several languages, and "language" with the length that the grammar gives it', () => {
    const list = '7,language,31,2,en,5,title,31,3,One\r\n8,language,31,2,de,5,title,31,4,Eins\r\n';
    expect(read(`playlist-gen-id=1, broadcast-id=0, features=""\0${list}`)).toMatchObject({
      features: [],
      descriptions: [
        { language: 'en', value: 'One' },
        { language: 'de', value: 'Eins' },
      ],
    });
  });

  it('[WMSP-130] leaves out values of unknown types', () => {
    const list = '8,language,31,0,,1,a,31,1,x,1,b,99,1,y,1,c,3,2,42\r\n';
    expect(read(`playlist-gen-id=1\0${list}`).descriptions.map(({ name }) => name)).toEqual(['a', 'c']);
  });

  it('keeps everything before a malformed item', () => {
    expect(read('playlist-gen-id=9\x001,a,31,1,x,1,b,31,50,y').descriptions).toMatchObject([{ name: 'a' }]);
    expect(read('no tokens at all')).toEqual({ playlistGenId: 0, broadcastId: 0, features: [], descriptions: [] });
  });

  it('never throws', () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
    const text = fc
      .array(fc.oneof(fc.constantFrom(',', '31', '\0', '\r\n', '8,language,31,0,', '1,a'), fc.nat(99).map(String)))
      .map((parts) => Buffer.from(`playlist-gen-id=1\0${parts.join('')}`));
    fc.assert(
      fc.property(fc.oneof(bytes, text), (object) => {
        expect(parseMetadata(object).descriptions.length).toBeLessThanOrEqual(1000);
      }),
    );
  });
});
