import fc from 'fast-check';
import { liveHeader } from '../../src/asf/edit.js';
import { buildHeader, parseHeader } from '../../src/asf/header.js';
import { HR, MsbdError } from '../../src/msbd/messages/base.js';
import { buildBare, buildConnectRequest, buildConnectResponse, readMessage } from '../../src/msbd/messages/messages.js';
import { buildPackets, MAX_PAYLOAD } from '../../src/msbd/messages/packet.js';
import {
  buildEmptyStreamInfo,
  buildStreamInfo,
  isStreamId,
  MAX_BINARY_DATA,
  type StreamInfo,
  streamIdOf,
  streamInfoOf,
  textOf,
} from '../../src/msbd/messages/stream-info.js';
import { testHeader } from '../support/stream.js';
import { connectRequest, streamInfo, wire } from './support.js';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const NONE = Buffer.alloc(0);
const info = (changes: Partial<StreamInfo> = {}): StreamInfo => ({
  streamId: 1,
  packetSize: 1450,
  totalPackets: 0,
  bitRate: 364_000,
  duration: undefined,
  title: NONE,
  description: NONE,
  link: NONE,
  header: Buffer.from('header'),
  ...changes,
});

describe('MSBMSGBASE', () => {
  it('[MSBD-007] [MSBD-008] [MSBD-009] [MSBD-010] [MSBD-013] is 16 little-endian bytes: signature, version, id, size, hr', () => {
    expect(buildBare('IND_EOS')).toEqual(hex('4D534220 0601 0900 10000000 00000000'));
    expect(buildEmptyStreamInfo().subarray(0, 16)).toEqual(hex('4D534220 0601 0500 30000000 33000DC0'));
  });

  it('[MSBD-011] [MSBD-012] has the wMessageId of each type, and knows no others', () => {
    const types = [
      'REQ_PING',
      'RES_PING',
      'REQ_STREAMINFO',
      'RES_STREAMINFO',
      'IND_STREAMINFO',
      undefined,
      'REQ_CONNECT',
    ];
    types.push('RES_CONNECT', 'IND_EOS', 'IND_PACKET');
    const body = (id: number) => (id === 7 ? hex('01000000') : hex('00000000 0000 0800').subarray(0, 8));
    for (const [index, type] of types.entries()) {
      const id = index + 1;
      const bytes =
        id === 8 ? wire(id, Buffer.alloc(20)) : id === 4 || id === 5 ? wire(id, Buffer.alloc(32)) : wire(id, body(id));
      expect(readMessage(bytes).type).toBe(type ?? 'undefined');
    }
    for (const id of [0, 6, 0x0b, 0xffff]) expect(readMessage(wire(id))).toEqual({ type: 'undefined', id });
    const sent = [
      ...(['REQ_PING', 'RES_PING', 'REQ_STREAMINFO', 'IND_EOS'] as const).map(buildBare),
      buildConnectRequest('tcp'),
      buildConnectResponse({ hr: 0, inNsc: false, group: undefined }),
      buildStreamInfo('IND_STREAMINFO', info()),
      buildStreamInfo('RES_STREAMINFO', info()),
      buildPackets([{ location: 0, bytes: NONE }], 1, 0),
    ];
    expect(sent.map((bytes) => bytes.readUInt16LE(6)).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 7, 8, 9, 10]);
  });

  it.each([
    ['the signature', 0, 'MSBE'],
    ['the version', 4, '\x07\x01'],
  ])('[MSBD-009] [MSBD-010] refuses another value of %s', (_, at, text) => {
    const bytes = wire(1);
    bytes.write(text, at, 'latin1');
    expect(() => readMessage(bytes)).toThrow(MsbdError);
  });

  it.each([0, 15, 17, 65_536, 0xffffffff])('[MSBD-014] refuses a cbMessage of %d in a packet of 16 bytes', (size) => {
    const bytes = wire(1);
    bytes.writeUInt32LE(size, 8);
    expect(() => readMessage(bytes)).toThrow(MsbdError);
  });

  it('[MSBD-016] [MSBD-017] [MSBD-020] [MSBD-052] forms some packets without any other field', () => {
    expect(buildBare('REQ_PING')).toEqual(hex('4D534220 0601 0100 10000000 00000000'));
    expect(buildBare('RES_PING')).toEqual(hex('4D534220 0601 0200 10000000 00000000'));
    expect(buildBare('REQ_STREAMINFO')).toEqual(hex('4D534220 0601 0300 10000000 00000000'));
    expect(buildBare('IND_EOS')).toEqual(hex('4D534220 0601 0900 10000000 00000000'));
  });

  it('[MSBD-002] [MSBD-015] has only hr values from [MS-ERREF], with the top bit set in failures', () => {
    const { ok, ...failures } = HR;
    expect(ok).toBe(0);
    for (const hr of Object.values(failures)) expect(hr >>> 31).toBe(1);
    expect(Object.values(failures).sort()).toEqual([0x80070005, 0x80070057, 0xc00d001a, 0xc00d0025, 0xc00d0033]);
  });
});

describe('REQ_CONNECT', () => {
  it('[MSBD-038] [MSBD-040] asks for "NetShow" in UTF-16LE without a null character, 34 bytes', () => {
    expect(buildConnectRequest('tcp')).toEqual(
      hex('4D534220 0601 0700 22000000 00000000 01000000 4E0065007400530068006F007700'),
    );
  });

  it('[MSBD-039] has dwFlags 1 for this connection, 2 for multicast, and nothing else', () => {
    expect(buildConnectRequest('multicast').readUInt32LE(16)).toBe(2);
    expect(readMessage(connectRequest(1))).toMatchObject({ delivery: 'tcp' });
    expect(readMessage(connectRequest(2))).toMatchObject({ delivery: 'multicast' });
    for (const flags of [0, 3, 4, 0x10001]) expect(() => readMessage(connectRequest(flags))).toThrow(MsbdError);
  });

  it('[MSBD-041] takes the length of szChannel from cbMessage, and tolerates a null character after it', () => {
    expect(readMessage(connectRequest(1, 'live'))).toMatchObject({ channel: 'live' });
    expect(readMessage(connectRequest(1, 'live\0'))).toMatchObject({ channel: 'live' });
    expect(readMessage(connectRequest(1, ''))).toMatchObject({ channel: '' });
  });

  it('[MSBD-042] has an even number of bytes in szChannel, up to 65514', () => {
    expect(() => readMessage(wire(7, hex('01000000 4e0065')))).toThrow(MsbdError);
    expect(() => readMessage(wire(7, hex('010000')))).toThrow(MsbdError);
    const longest = 'x'.repeat(32_757);
    expect(buildConnectRequest('tcp', longest)).toHaveLength(65_534);
    expect(readMessage(connectRequest(1, longest))).toMatchObject({ channel: longest });
    expect(() => buildConnectRequest('tcp', `${longest}x`)).toThrow(MsbdError);
  });
});

describe('RES_CONNECT', () => {
  it('[MSBD-007] [MSBD-044] [MSBD-047] [MSBD-049] [MSBD-050] [MSBD-051] names a group in network byte order', () => {
    const group = { address: '239.192.48.179', port: 19_009 };
    const bytes = hex('4D534220 0601 0800 24000000 00000000 00000000 0200 4A41 EFC030B3 0000000000000000');
    expect(buildConnectResponse({ hr: 0, inNsc: false, group })).toEqual(bytes);
    bytes.fill(0xaa, 28, 36);
    expect(readMessage(bytes)).toEqual({ type: 'RES_CONNECT', hr: 0, inNsc: false, group });
  });

  it('[MSBD-048] [MSBD-067] has zeros if there is no group', () => {
    const refusal = buildConnectResponse({ hr: HR.notFound, inNsc: false, group: undefined });
    expect(refusal).toEqual(hex(`4D534220 0601 0800 24000000 1A000DC0 ${'00'.repeat(20)}`));
    expect(readMessage(refusal)).toMatchObject({ hr: 0xc00d001a, group: undefined });
  });

  it('[MSBD-045] [MSBD-046] says with dwFlags whether the header is in an .nsc file', () => {
    expect(buildConnectResponse({ hr: 0, inNsc: true, group: undefined }).readUInt32LE(16)).toBe(2);
    expect(buildConnectResponse({ hr: 0, inNsc: false, group: undefined }).readUInt32LE(16)).toBe(0);
  });

  it.each(['224.0.0.0', '239.255.255.255'])('[MSBD-050] may name %s, the first or the last group', (address) => {
    const group = { address, port: 1 };
    expect(readMessage(buildConnectResponse({ hr: 0, inNsc: false, group }))).toMatchObject({ group });
  });

  it.each(['223.255.255.255', '240.0.0.0', '239.1.2', '239.1.2.256', 'ff02::1'])(
    '[MSBD-050] sends none to %s',
    (address) => {
      expect(() => buildConnectResponse({ hr: 0, inNsc: false, group: { address, port: 1 } })).toThrow(MsbdError);
    },
  );

  it('refuses an address that is not a group', () => {
    const bytes = wire(8, hex('00000000 0200 4A41 7F000001 0000000000000000'));
    expect(readMessage(bytes)).toMatchObject({ group: undefined });
  });
});

describe('STREAMINFO', () => {
  it('[MSBD-022] [MSBD-027] [MSBD-033] [MSBD-035] has its fields and then title, description, link, header', () => {
    const parts = { title: Buffer.from('Ti'), description: Buffer.from('Des'), link: Buffer.from('L') };
    const bytes = buildStreamInfo(
      'IND_STREAMINFO',
      info({ ...parts, streamId: 0x8001, totalPackets: 7, duration: 4000 }),
    );
    const fields = '0180 AA05 07000000 E08D0500 A00F0000 02000000 03000000 01000000 06000000';
    expect(bytes).toEqual(
      Buffer.concat([hex(`4D534220 0601 0500 3C000000 00000000 ${fields}`), Buffer.from('TiDesLheader')]),
    );
    const response = buildStreamInfo(
      'RES_STREAMINFO',
      info({ ...parts, streamId: 0x8001, totalPackets: 7, duration: 4000 }),
    );
    expect(response.subarray(16)).toEqual(bytes.subarray(16));
    expect(response.readUInt16LE(6)).toBe(4);
  });

  it('[MSBD-024] [MSBD-025] [MSBD-030] [MSBD-032] says 0xFFFFFFFF and 0 for facts that are unknown for a live stream', () => {
    const live = buildStreamInfo('RES_STREAMINFO', streamInfoOf(liveHeader(testHeader()), 1));
    expect([live.readUInt32LE(20), live.readUInt32LE(28)]).toEqual([0, 0xffffffff]);
    const file = fileHeader(81_234_567n, 77n);
    const known = buildStreamInfo('IND_STREAMINFO', streamInfoOf(file, 1));
    expect([known.readUInt32LE(20), known.readUInt32LE(28)]).toEqual([77, 8_123]);
  });

  it('[MSBD-031] [MSBD-029] has the Maximum Bitrate and the packet size of the header', () => {
    const header = testHeader({ packetSize: 1450 });
    const bytes = buildStreamInfo('IND_STREAMINFO', streamInfoOf(header, 1));
    expect(bytes.readUInt16LE(18)).toBe(1450);
    expect(bytes.readUInt32LE(24)).toBe(header.fileProperties.maximumBitrate);
    expect(() => buildStreamInfo('IND_STREAMINFO', info({ packetSize: 0xfff8 }))).toThrow(MsbdError);
  });

  it('[MSBD-036] carries the Header Object and 50 bytes of the Data Object', () => {
    const header = testHeader();
    const bytes = buildStreamInfo('IND_STREAMINFO', streamInfoOf(header, 1));
    const carried = bytes.subarray(48 + bytes.readUInt32LE(32) + bytes.readUInt32LE(36) + bytes.readUInt32LE(40));
    expect(carried).toHaveLength(bytes.readUInt32LE(44));
    expect(carried).toHaveLength(Number(carried.readBigUInt64LE(16)) + 50);
    expect(carried).toEqual(header.bytes);
  });

  it('[MSBD-034] holds 65487 bytes and no more; texts make way for the header', () => {
    const largest = info({ header: Buffer.alloc(MAX_BINARY_DATA, 1), title: Buffer.from('title') });
    const bytes = buildStreamInfo('IND_STREAMINFO', largest);
    expect(bytes).toHaveLength(65_535);
    expect(bytes.readUInt32LE(32)).toBe(0);
    expect(() => buildStreamInfo('IND_STREAMINFO', info({ header: Buffer.alloc(MAX_BINARY_DATA + 1) }))).toThrow(
      MsbdError,
    );
  });

  it('[MSBD-028] has 4096 values of wStreamId, all in its two ranges', () => {
    const all = new Set(Array.from({ length: 4096 }, (_, index) => streamIdOf(index)));
    expect(all.size).toBe(4096);
    for (const id of all) expect(id <= 0x7ff || (id >= 0x8000 && id <= 0x87ff)).toBe(true);
    expect([0x800, 0x7fff, 0x8800, 0xffff].some(isStreamId)).toBe(false);
    // Those of other servers are only compared.
    expect(readMessage(streamInfo(0x800))).toMatchObject({ info: { streamId: 0x800 } });
  });

  it('[MSBD-074] [MSBD-075] [MSBD-076] is empty at the end: 48 bytes, 0xC00D0033, zeros', () => {
    expect(buildEmptyStreamInfo()).toEqual(hex(`4D534220 0601 0500 30000000 33000DC0 ${'00'.repeat(32)}`));
  });

  it('[MSBD-081] is empty whatever its fields say if nothing follows them, or if its hr is a failure', () => {
    expect(readMessage(wire(5, Buffer.alloc(32, 0xff), 0xc00d0033))).toMatchObject({ info: undefined });
    expect(readMessage(wire(5, Buffer.alloc(32, 0xff)))).toMatchObject({ info: undefined });
    expect(readMessage(wire(5, NONE, 0xc00d0033))).toMatchObject({ info: undefined });
    expect(readMessage(wire(5, Buffer.alloc(100, 0xff), 0xc00d0033))).toMatchObject({ info: undefined });
  });

  it('[MSBD-084] is refused if its sizes exceed the packet', () => {
    const bytes = streamInfo(1);
    bytes.writeUInt32LE(bytes.readUInt32LE(44) + 1, 44);
    expect(() => readMessage(bytes)).toThrow(MsbdError);
    const huge = streamInfo(1);
    for (const at of [32, 36, 40, 44]) huge.writeUInt32LE(0xffffffff, at);
    expect(() => readMessage(huge)).toThrow(MsbdError);
    expect(() => readMessage(wire(5, Buffer.alloc(31)))).toThrow(MsbdError);
  });

  it('reads texts in either encoding', () => {
    expect(textOf(Buffer.from('Täst\0', 'utf16le'))).toBe('Täst');
    expect(textOf(Buffer.from('plain'))).toBe('plain');
    expect(textOf(NONE)).toBe('');
  });
});

describe('IND_PACKET', () => {
  it('[MSBD-053] [MSBD-061] is 24 bytes and the payload', () => {
    const payload = Buffer.alloc(1450, 0x82);
    const bytes = buildPackets([{ location: 7, bytes: payload }], 1, 0);
    expect(bytes).toEqual(Buffer.concat([hex('4D534220 0601 0A00 C2050000 00000000 07000000 0100 B205'), payload]));
    expect(readMessage(bytes)).toEqual({ type: 'IND_PACKET', packetId: 7, streamId: 1, payload });
  });

  it('[MSBD-059] is numbered over all 32 bits', () => {
    const items = [0, 1, 2].map((location) => ({ location, bytes: NONE }));
    const bytes = buildPackets(items, 1, 0xfffffffe);
    expect([16, 40, 64].map((at) => bytes.readUInt32LE(at))).toEqual([0xfffffffe, 0xffffffff, 0]);
  });

  it('[MSBD-061] [MSBD-014] has a wPacketSize from 8 to 0xFFEF', () => {
    const largest = buildPackets([{ location: 0, bytes: Buffer.alloc(MAX_PAYLOAD) }], 1, 0);
    expect([largest.length, largest.readUInt16LE(22)]).toEqual([65_535, 0xffef]);
    expect(readMessage(largest)).toMatchObject({ type: 'IND_PACKET' });
    expect(() => buildPackets([{ location: 0, bytes: Buffer.alloc(MAX_PAYLOAD + 1) }], 1, 0)).toThrow(MsbdError);
    expect(buildPackets([{ location: 0, bytes: NONE }], 1, 0).readUInt16LE(22)).toBe(8);
  });

  it('[MSBD-084] is refused if wPacketSize is less than its fields or exceeds the packet', () => {
    for (const size of [0, 7, 9, 0xffff]) {
      const bytes = buildPackets([{ location: 0, bytes: NONE }], 1, 0);
      bytes.writeUInt16LE(size, 22);
      expect(() => readMessage(bytes)).toThrow(MsbdError);
    }
    expect(() => readMessage(wire(10, Buffer.alloc(7)))).toThrow(MsbdError);
    const stranger = buildPackets([{ location: 0, bytes: NONE }], 0x1000, 0);
    expect(readMessage(stranger)).toMatchObject({ streamId: 0x1000 });
  });
});

describe('any bytes', () => {
  it('end in a message or in an MsbdError', () => {
    const body = fc.uint8Array({ maxLength: 120 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 12 }), body, fc.nat(119), (id, bytes, cut) => {
        const whole = wire(id, Buffer.from(bytes));
        for (const each of [whole, Buffer.from(bytes), whole.subarray(0, cut)]) {
          try {
            readMessage(each);
          } catch (error) {
            expect(error).toBeInstanceOf(MsbdError);
          }
        }
      }),
    );
  });

  it('are read as they were built', () => {
    const part = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
    const anyInfo = fc.record({
      streamId: fc.nat(4095).map(streamIdOf),
      packetSize: fc.nat(0xfff7),
      totalPackets: fc.nat(0xffffffff),
      bitRate: fc.nat(0xffffffff),
      duration: fc.option(fc.nat(0xfffffffe), { nil: undefined }),
      title: part,
      description: part,
      link: part,
      header: part.filter(({ length }) => length > 0),
    });
    fc.assert(
      fc.property(anyInfo, (value) => {
        expect(readMessage(buildStreamInfo('IND_STREAMINFO', value))).toMatchObject({ info: value });
      }),
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (channel) => {
        expect(readMessage(buildConnectRequest('tcp', channel))).toMatchObject({ channel: channel.replace(/\0$/, '') });
      }),
    );
  });
});

function fileHeader(playDuration: bigint, packetCount: bigint) {
  const { objects, fileId } = testHeader();
  const changed = objects.map((object) =>
    object.type === 'fileProperties' ? { ...object, playDuration, flags: 2, dataPacketsCount: packetCount } : object,
  );
  return parseHeader(buildHeader(changed, { fileId, size: 50n, packetCount }).bytes);
}
