import fc from 'fast-check';
import { CLIENT_MID, MmspError, PACKET_PAIR, SERVER_MID, splitMessages } from '../../src/mmsp/messages/base.js';
import * as client from '../../src/mmsp/messages/client.js';
import * as server from '../../src/mmsp/messages/server.js';

const readClient = (bytes: Buffer) => client.readClientMessage(splitMessages(bytes)[0]!);
const readServer = (bytes: Buffer) => server.readServerMessage(splitMessages(bytes)[0]!);
const wide = (text: string) => Buffer.from(text, 'utf16le');
const u32 = (bytes: Buffer, ...at: number[]) => at.map((place) => bytes.readUInt32LE(place));

describe('messages of a client', () => {
  it('[MMSP-074] Connect: the revisions and the name', () => {
    const bytes = client.buildConnect(PACKET_PAIR.none, 'NSPlayer/9.0.0.3353; {00000000-0000-0000-0000-000000000001}');
    expect(u32(bytes, 4, 8, 12, 16)).toEqual([0x00030001, 0xf0f0f0ef, 0x0004000b, 0x0003001c]);
    expect(readClient(bytes)).toEqual({
      type: 'connect',
      incarnation: PACKET_PAIR.none,
      subscriber: 'NSPlayer/9.0.0.3353; {00000000-0000-0000-0000-000000000001}',
      host: undefined,
      via: undefined,
    });
  });

  it('[MMSP-077] Connect through a proxy: the host, in the name and after it', () => {
    const bytes = client.buildConnect(PACKET_PAIR.none, 'NSPlayer/9.0', { host: 'media:1755', via: 'a/1, b' });
    expect(bytes.includes(wide('NSPlayer/9.0; Host: media:1755\0HOST: media:1755\0VIA: a/1, b\0'))).toBe(true);
    expect(readClient(bytes)).toMatchObject({
      subscriber: 'NSPlayer/9.0; Host: media:1755',
      host: 'media:1755',
      via: 'a/1, b',
    });
  });

  it('[MMSP-083] FunnelInfo', () => {
    const bytes = client.buildFunnelInfo(PACKET_PAIR.udp);
    expect([bytes.length, ...u32(bytes, 0, 4, 8)]).toEqual([16, 2, 0x00030018, 0xf0f0f901]);
    expect(readClient(bytes)).toEqual({ type: 'funnelInfo', incarnation: PACKET_PAIR.udp });
  });

  it('[MMSP-080] ConnectFunnel, [MMSP-081] with the usual sizes', () => {
    const bytes = client.buildConnectFunnel({ transport: 'udp', address: '192.0.2.7', port: 7000 });
    expect(u32(bytes, 4, 8, 12, 16, 20, 24)).toEqual([0x00030002, 0, 0xffffffff, 0, 0x00989680, 2]);
    expect(bytes.subarray(28, 28 + 44).equals(wide('\\\\192.0.2.7\\UDP\\7000\0\0'.slice(0, 22)))).toBe(true);
    expect(readClient(bytes)).toEqual({
      type: 'connectFunnel',
      funnel: { transport: 'udp', address: '192.0.2.7', port: 7000 },
    });
  });

  it('[MMSP-082] ConnectFunnel names a port from 1 to 65535, also of an IPv6 address', () => {
    const funnel = { transport: 'tcp', address: '2001:db8::1', port: 65_535 } as const;
    expect(readClient(client.buildConnectFunnel(funnel))).toEqual({ type: 'connectFunnel', funnel });
    expect(() => client.buildConnectFunnel({ ...funnel, port: 0 })).toThrow(MmspError);
    const bad = client.buildConnectFunnel({ ...funnel, port: 65_535 });
    bad.write('9', bad.indexOf(wide('65535')), 'utf16le');
    expect(() => readClient(bad)).toThrow(MmspError);
  });

  it('[MMSP-085] OpenFile, [MMSP-086] with a token at its offset from the name', () => {
    const token = Buffer.from('dXNlcjpwYXNz\0');
    const bytes = client.buildOpenFile(9, 'abc.asf', token);
    expect(u32(bytes, 4, 8, 12, 16, 20)).toEqual([0x00030005, 9, 0, 0x10, token.length]);
    expect(readClient(bytes)).toEqual({ type: 'openFile', incarnation: 9, fileName: 'abc.asf', token });
    expect(u32(client.buildOpenFile(9, 'abc.asf'), 16, 20)).toEqual([0, 0]);
  });

  it('[MMSP-088] OpenFile: the name may lack its null character', () => {
    const name = wide('media/clip.asf');
    const bytes = Buffer.alloc(24 + name.length + ((8 - ((24 + name.length) % 8)) % 8));
    bytes.writeUInt32LE(bytes.length / 8, 0);
    bytes.writeUInt32LE(CLIENT_MID.openFile, 4);
    name.copy(bytes, 24);
    expect(readClient(bytes)).toMatchObject({ fileName: 'media/clip.asf' });
  });

  it('[MMSP-185] OpenFile: a token that reaches past the end is an error', () => {
    for (const [offset, size] of [
      [0x10, 1_000],
      [0xffffffff, 4],
      [0x10, 0xffffffff],
    ] as const) {
      const bytes = client.buildOpenFile(9, 'abc.asf', Buffer.from('token'));
      bytes.writeUInt32LE(offset, 16);
      bytes.writeUInt32LE(size, 20);
      expect(() => readClient(bytes)).toThrow(MmspError);
    }
  });

  it('[MMSP-093] SecurityResponse', () => {
    const token = Buffer.from([0, 0, 1, 2, 3]);
    const bytes = client.buildSecurityResponse(9, 0xdeadbeef, token);
    expect(u32(bytes, 4, 8, 12, 16)).toEqual([0x0003001a, 9, 0xdeadbeef, 5]);
    expect(readClient(bytes)).toEqual({ type: 'securityResponse', incarnation: 9, cookie: 0xdeadbeef, token });
  });

  it('[MMSP-091] ReadBlock, [MMSP-092] of 0x8000 bytes', () => {
    const bytes = client.buildReadBlock(1, 2);
    expect([bytes.length, ...u32(bytes, 0, 4, 8, 12, 16, 20, 24, 28)]).toEqual([
      56, 7, 0x00030015, 1, 0, 0, 0x8000, 0xffffffff, 0,
    ]);
    expect([bytes.readDoubleLE(32), bytes.readDoubleLE(40), ...u32(bytes, 48, 52)]).toEqual([0, 3600, 2, 0]);
    expect(readClient(bytes)).toEqual({ type: 'readBlock', openFileId: 1, incarnation: 2 });
  });

  it('[MMSP-072] CancelReadBlock', () => {
    const bytes = client.buildCancelReadBlock(3);
    expect([bytes.length, ...u32(bytes, 4, 8)]).toEqual([16, 0x00030025, 3]);
    expect(readClient(bytes)).toEqual({ type: 'cancelReadBlock', incarnation: 3 });
  });

  it('[MMSP-102] StreamSwitch, [MMSP-103] where 0xFFFF means no stream', () => {
    const entries = [
      { source: 1, destination: 2, level: 0 },
      { source: undefined, destination: 3, level: 2 },
      { source: 4, destination: undefined, level: 0 },
    ];
    const bytes = client.buildStreamSwitch(entries);
    expect(bytes.subarray(8, 30).toString('hex')).toBe('03000000010002000000ffff030002000400ffff0000');
    expect(readClient(bytes)).toEqual({ type: 'streamSwitch', entries });
  });

  it('[MMSP-185] StreamSwitch: a wrong count is an error', () => {
    for (const count of [4, 255, 0xffffffff]) {
      const bytes = client.buildStreamSwitch([{ source: 1, destination: 2, level: 0 }]);
      bytes.writeUInt32LE(count, 8);
      expect(() => readClient(bytes)).toThrow(MmspError);
    }
  });

  it('[MMSP-095] StartPlaying: by time, byte or packet, [MMSP-096] with DBL_MAX where another field counts', () => {
    const byTime = client.buildStartPlaying({ openFileId: 1, incarnation: 9, position: 12.5 });
    expect([byTime.length, byTime.readDoubleLE(16), ...u32(byTime, 4, 8, 24, 28, 32, 36)]).toEqual([
      40, 12.5, 0x00030007, 1, 0xffffffff, 0xffffffff, 0, 9,
    ]);
    expect(readClient(byTime)).toMatchObject({ position: 12.5, offset: undefined, location: undefined });
    const byPacket = client.buildStartPlaying({ openFileId: 1, incarnation: 9, location: 77 });
    expect([byPacket.readDoubleLE(16), ...u32(byPacket, 24, 28)]).toEqual([Number.MAX_VALUE, 0xffffffff, 77]);
    expect(readClient(byPacket)).toMatchObject({ position: undefined, location: 77 });
    const byByte = client.buildStartPlaying({ openFileId: 1, incarnation: 9, offset: 5_000 });
    expect(readClient(byByte)).toMatchObject({ position: undefined, offset: 5_000, location: undefined });
  });

  it('StartPlaying: a position that is not a time counts as none', () => {
    for (const position of [Number.NaN, Number.POSITIVE_INFINITY, -1, Number.MAX_VALUE, 1e300]) {
      const bytes = client.buildStartPlaying({ openFileId: 1, incarnation: 9 });
      bytes.writeDoubleLE(position, 16);
      expect(readClient(bytes)).toMatchObject({ position: undefined });
    }
  });

  it('[MMSP-097] StartPlaying: frameOffset is a stop time, absolute or relative', () => {
    const stopOf = (frameOffset: number) => {
      const bytes = client.buildStartPlaying({ openFileId: 1, incarnation: 9 });
      bytes.writeUInt32LE(frameOffset, 32);
      return (readClient(bytes) as { stop?: unknown }).stop;
    };
    expect(stopOf(0)).toBeUndefined();
    expect(stopOf(5_000)).toEqual({ milliseconds: 5_000, relative: false });
    expect(stopOf(0x80000000 + 5_000)).toEqual({ milliseconds: 5_000, relative: true });
    expect(stopOf(0x00ffffff)).toBeUndefined();
  });

  it('[MMSP-098] StartPlaying: its size tells which bandwidths are present', () => {
    const base = { openFileId: 1, incarnation: 9, position: 0 };
    const acceleration = { bitsPerSecond: 3_500_000, milliseconds: 8_000 };
    const sizes = [
      client.buildStartPlaying(base),
      client.buildStartPlaying({ ...base, acceleration }),
      client.buildStartPlaying({ ...base, acceleration, linkBandwidth: 10_000_000 }),
    ];
    expect(sizes.map((bytes) => bytes.readUInt32LE(0))).toEqual([5, 6, 7]);
    expect(readClient(sizes[0]!)).toMatchObject({ acceleration: undefined, linkBandwidth: undefined });
    expect(readClient(sizes[1]!)).toMatchObject({ acceleration, linkBandwidth: undefined });
    expect(readClient(sizes[2]!)).toMatchObject({ acceleration, linkBandwidth: 10_000_000 });
  });

  it('[MMSP-099] StartStriding, [MMSP-100] at a rate from -5 to 5', () => {
    const bytes = client.buildStartStriding({ openFileId: 1, incarnation: 10, position: 3, rate: -2.5 });
    expect([bytes.readUInt32LE(0), bytes.readUInt32LE(4), bytes.readDoubleLE(40)]).toEqual([6, 0x00030028, -2.5]);
    expect(readClient(bytes)).toMatchObject({ type: 'startStriding', position: 3, rate: -2.5, incarnation: 10 });
    for (const rate of [0, 5.1, -6, Number.NaN]) {
      expect(() => client.buildStartStriding({ openFileId: 1, incarnation: 10, rate })).toThrow(MmspError);
    }
  });

  it('[MMSP-101] StopPlaying, [MMSP-073] CloseFile, [MMSP-090] Pong', () => {
    const stop = client.buildStopPlaying(1, 9);
    expect([stop.length, ...u32(stop, 4, 8, 12)]).toEqual([16, 0x00030009, 1, 9]);
    expect(readClient(stop)).toEqual({ type: 'stopPlaying', openFileId: 1, incarnation: 9 });
    const close = client.buildCloseFile(1);
    expect([close.length, ...u32(close, 4, 8, 12)]).toEqual([16, 0x0003000d, 0, 1]);
    expect(readClient(close)).toEqual({ type: 'closeFile', openFileId: 1 });
    const pong = client.buildPong();
    expect([pong.length, ...u32(pong, 0, 4)]).toEqual([16, 2, 0x0003001b]);
  });

  it('[MMSP-084] Logging takes 188 chunks', () => {
    const bytes = client.buildLogging(Buffer.alloc(1_490, 7));
    expect([bytes.length, ...u32(bytes, 0, 4)]).toEqual([1_504, 188, 0x00030032]);
    expect(readClient(bytes)).toMatchObject({ type: 'logging' });
  });

  it('that are unknown or truncated are distinguished', () => {
    const unknown = client.buildPong();
    unknown.writeUInt32LE(0x00031234, 4);
    expect(readClient(unknown)).toEqual({ type: 'unknown', mid: 0x00031234 });
    for (const mid of Object.values(CLIENT_MID).filter(
      (value) => value !== CLIENT_MID.pong && value !== CLIENT_MID.logging,
    )) {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32LE(1, 0);
      bytes.writeUInt32LE(mid, 4);
      expect(() => readClient(bytes)).toThrow(MmspError);
    }
  });
});

describe('messages of a server', () => {
  it('[MMSP-036] ConnectedEX, [MMSP-038] with its constants', () => {
    const bytes = server.buildConnectedEx({ version: '9.0.0.3372', scheme: 'NTLM' }, false);
    expect(u32(bytes, 4, 8, 12, 16, 20, 32, 36, 40, 44)).toEqual([
      0x00040001, 0, 0xf0f0f0ef, 0x0004000b, 0x0003001c, 1, 1, 0x8000, 0x00989680,
    ]);
    expect(bytes.readDoubleLE(24)).toBe(1);
    expect(readServer(bytes)).toEqual({
      type: 'connectedEx',
      hr: 0,
      incarnation: PACKET_PAIR.none,
      serverVersion: '9.0.0.3372',
      upgrade: undefined,
      scheme: 'NTLM',
    });
  });

  it('[MMSP-039] ConnectedEX counts characters with their nulls, [MMSP-042] and names the scheme', () => {
    const counts = (scheme: 'BASIC' | 'NTLM' | undefined) =>
      u32(server.buildConnectedEx({ version: '9.0.0.3372', scheme }, true), 12, 48, 52, 56, 60);
    expect(counts('BASIC')).toEqual([0xf0f0f0f0, 11, 0, 0, 6]);
    expect(counts('NTLM')[4]).toBe(5);
    expect(counts(undefined)[4]).toBe(0);
  });

  it('[MMSP-041] ConnectedEX may name an upgrade', () => {
    const texts = wide('9.0\0' + '10.0\0' + 'http://x/\0' + 'NTLM\0');
    const bytes = Buffer.alloc(64 + Math.ceil(texts.length / 8) * 8);
    bytes.writeUInt32LE(bytes.length / 8, 0);
    bytes.writeUInt32LE(SERVER_MID.connectedEx, 4);
    for (const [index, count] of [4, 5, 10, 5].entries()) bytes.writeUInt32LE(count, 48 + index * 4);
    texts.copy(bytes, 64);
    expect(readServer(bytes)).toMatchObject({ upgrade: { version: '10.0', url: 'http://x/' }, scheme: 'NTLM' });
    bytes.writeUInt32LE(0x80000000, 52);
    expect(() => readServer(bytes)).toThrow(MmspError);
  });

  it('[MMSP-043] ConnectedFunnel, [MMSP-044] DisconnectedFunnel', () => {
    const bytes = server.buildConnectedFunnel();
    expect([bytes.length, ...u32(bytes, 0, 4, 8, 12, 16)]).toEqual([56, 7, 0x00040002, 0, 0, 0]);
    expect(bytes.subarray(20).toString('utf16le')).toBe('Funnel Of The Gods');
    expect(readServer(bytes)).toEqual({ type: 'connectedFunnel', hr: 0 });
    const refused = server.buildDisconnectedFunnel(0x80070005);
    expect([refused.length, ...u32(refused, 4, 8)]).toEqual([16, 0x00040003, 0x80070005]);
    expect(readServer(refused)).toEqual({ type: 'disconnectedFunnel', hr: 0x80070005 });
  });

  it('[MMSP-045] EndOfStream', () => {
    const bytes = server.buildEndOfStream(9, 1);
    expect([bytes.length, ...u32(bytes, 0, 4, 8, 12)]).toEqual([16, 2, 0x0004001e, 1, 9]);
    expect(readServer(bytes)).toEqual({ type: 'endOfStream', hr: 1, incarnation: 9 });
  });

  it('[MMSP-048] ReportFunnelInfo, [MMSP-050] with a packet pair only over TCP', () => {
    const bytes = server.buildReportFunnelInfo(PACKET_PAIR.none, 0xcafe0001);
    expect([bytes.length, ...u32(bytes, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44)]).toEqual([
      48, 0x00040015, 0, 0xf0f0f0ef, 8, 1, 0x00010000, 0xcafe0001, 0, 1, 0, 0,
    ]);
    expect(readServer(bytes)).toMatchObject({ clientId: 0xcafe0001, pair: Buffer.alloc(0) });
    const sizes = server.TCP_PAIR_SIZES.map(
      (size) => server.buildReportFunnelInfo(PACKET_PAIR.tcp, 1, Buffer.alloc(size, 1)).length + 32,
    );
    expect(sizes).toEqual([512, 512, 1_056]);
  });

  it('[MMSP-051] ReportOpenFile, [MMSP-055] with its duration twice', () => {
    const facts = {
      attributes: server.FILE_ATTRIBUTE.canSeek | server.FILE_ATTRIBUTE.canStride,
      duration: 12.3,
      packetSize: 3_200,
      packetCount: 5_000_000_000,
      bitRate: 364_000,
      headerSize: 5_000,
    };
    const bytes = server.buildReportOpenFile(9, 1, facts);
    expect([bytes.length, ...u32(bytes, 0, 4, 8, 12, 16, 20, 24, 28, 40, 60, 72, 76)]).toEqual([
      120, 15, 0x00040006, 0, 9, 1, 0, 0, 0x01800000, 13, 3_200, 364_000, 5_000,
    ]);
    expect([bytes.readDoubleLE(32), bytes.readBigUInt64LE(64)]).toEqual([12.3, 5_000_000_000n]);
    expect(bytes.subarray(44, 60).every((byte) => byte === 0)).toBe(true);
    expect(bytes.subarray(80).every((byte) => byte === 0)).toBe(true);
    expect(readServer(bytes)).toEqual({ type: 'openFile', hr: 0, incarnation: 9, openFileId: 1, ...facts });
  });

  it('[MMSP-054] ReportOpenFile: live content is only 0x02000000', () => {
    expect(server.FILE_ATTRIBUTE).toEqual({
      canStride: 0x00800000,
      canSeek: 0x01000000,
      broadcast: 0x02000000,
      live: 0x04000000,
      playlist: 0x40000000,
    });
  });

  it('[MMSP-158] ReportOpenFile of a failure', () => {
    const bytes = server.buildOpenFileFailure(9, 0xc00d001a);
    expect(readServer(bytes)).toMatchObject({ type: 'openFile', hr: 0xc00d001a, incarnation: 9 });
    const short = Buffer.from(bytes.subarray(0, 16));
    short.writeUInt32LE(2, 0);
    expect(readServer(short)).toMatchObject({ type: 'openFile', hr: 0xc00d001a });
  });

  it('[MMSP-059] Redirect, [MMSP-061] which counts bytes', () => {
    const bytes = server.buildRedirect('mmst://b/x', false);
    expect([bytes.readUInt32LE(4), bytes.readUInt16LE(12), bytes.readUInt16LE(14)]).toEqual([0x00040022, 1, 22]);
    expect(readServer(bytes)).toEqual({ type: 'redirect', hr: 0, proxy: false, location: 'mmst://b/x' });
  });

  it('[MMSP-060] Redirect to a proxy, or to none', () => {
    const bytes = server.buildRedirect('', true);
    expect([bytes.readUInt16LE(12), bytes.readUInt16LE(14)]).toEqual([2, 2]);
    expect(readServer(bytes)).toMatchObject({ proxy: true, location: '' });
    bytes.writeUInt16LE(1_000, 14);
    expect(() => readServer(bytes)).toThrow(MmspError);
  });

  it('[MMSP-067] SecurityChallenge has no hr', () => {
    const token = Buffer.from([0, 0]);
    const bytes = server.buildSecurityChallenge(9, 0x11223344, token);
    expect(u32(bytes, 4, 8, 12, 16)).toEqual([0x0004001a, 9, 0x11223344, 2]);
    expect(readServer(bytes)).toEqual({ type: 'securityChallenge', incarnation: 9, cookie: 0x11223344, token });
    bytes.writeUInt32LE(0xffffffff, 16);
    expect(() => readServer(bytes)).toThrow(MmspError);
  });

  it('[MMSP-058] ReportReadBlock, [MMSP-066] ReportStreamSwitch', () => {
    const block = server.buildReportReadBlock(2);
    expect([block.length, ...u32(block, 0, 4, 8, 12, 16)]).toEqual([24, 3, 0x00040011, 0, 2, 0]);
    const change = server.buildReportStreamSwitch();
    expect([change.length, ...u32(change, 0, 4, 8)]).toEqual([16, 2, 0x00040021, 0]);
    expect([readServer(block), readServer(change)]).toEqual([
      { type: 'readBlock', hr: 0, incarnation: 2 },
      { type: 'streamSwitch', hr: 0 },
    ]);
  });

  it('[MMSP-063] StartedPlaying, [MMSP-064] ReportStartStriding', () => {
    const playing = server.buildStartedPlaying(9, 1);
    expect([playing.length, ...u32(playing, 0, 4, 8, 12, 16, 20, 24, 28, 32)]).toEqual([
      40, 5, 0x00040005, 0, 9, 1, 0, 0, 0, 0,
    ]);
    const striding = server.buildReportStartStriding(10);
    expect([striding.length, ...u32(striding, 0, 4, 8, 12, 16)]).toEqual([24, 3, 0x0004000a, 0, 10, 0]);
    expect([readServer(playing), readServer(striding)]).toEqual([
      { type: 'startedPlaying', hr: 0, incarnation: 9 },
      { type: 'startStriding', hr: 0, incarnation: 10 },
    ]);
  });

  it('[MMSP-065] StreamChange, [MMSP-035] Ping', () => {
    const change = server.buildStreamChange({ packetSize: 1_400, headerSize: 800, bitRate: 64_000 });
    expect([change.length, ...u32(change, 0, 4, 8, 12, 16, 20, 24, 28)]).toEqual([
      32, 4, 0x00040020, 0, 0xff, 1_400, 800, 64_000, 0,
    ]);
    expect(readServer(change)).toEqual({ type: 'streamChange', packetSize: 1_400, headerSize: 800, bitRate: 64_000 });
    const ping = server.buildPing();
    expect([ping.length, ...u32(ping, 0, 4, 8, 12)]).toEqual([16, 2, 0x0004001b, 0, 0]);
    expect(readServer(ping)).toEqual({ type: 'ping' });
  });

  it('throw only their own error, whatever arrives', () => {
    const mids = [...Object.values(SERVER_MID), ...Object.values(CLIENT_MID)];
    fc.assert(
      fc.property(fc.constantFrom(...mids), fc.uint8Array({ maxLength: 160 }), (mid, rest) => {
        const bytes = Buffer.concat([Buffer.alloc(8), Buffer.from(rest)]);
        for (const read of [server.readServerMessage, client.readClientMessage]) {
          try {
            read({ mid, bytes });
          } catch (error) {
            expect(error).toBeInstanceOf(MmspError);
          }
        }
      }),
    );
  });
});
