import fc from 'fast-check';
import {
  buildClientLog,
  CLIENT_LOG_SIZE,
  logOfMmsClient,
  type MmsClientLog,
  parseClientLog,
} from '../../src/wmlog/mms-log.js';

const LOG: MmsClientLog = {
  url: 'mms://server/a film.wmv?x=1',
  channelUrl: '',
  userAgent: 'Mozilla/4.0 (compatible; MSIE 6.0)',
  hostingWebPage: 'http://www.adventure-works.com/default.htm',
  clientVersion: '6.4.9.1125',
  language: 'en-US',
  playerId: '{c579d042-cecc-11d1-bb31-00a0c9603954}',
  hostProgram: 'mplayer2.exe',
  hostVersion: '6.4.9.1125',
  fileDuration: 60_400,
  fileSize: 6_000_000_000,
  averageBandwidth: 102_585,
  audioCodec: 'Windows Media Audio',
  videoCodec: '',
  startTime: 39_900,
  played: 41_200,
  rate: -5,
  bufferingCount: 2,
  bufferingTime: 3_100,
  bytesReceived: 28_000,
  packetsReceived: 523,
  packetsLostClient: 5,
  packetsRecoveredEcc: 0,
  quality: 99,
  hr: 0,
  sourceId: 1,
  address: undefined,
  computerDns: '',
  os: 'Windows NT',
  osVersion: '5.0.0.2195',
  cpu: 'Pentium',
  protocol: 'mms',
  transport: 'UDP',
  packetsLostNet: 9,
  packetsLostContNet: 3,
  resendRequests: 12,
  packetsRecoveredResent: 4,
  packetsResent: 6,
};

describe('CLIENT_LOG', () => {
  it('has 1490 bytes, with its fields where MS-MMSP 2.2.1 puts them', () => {
    const bytes = buildClientLog(LOG);
    expect(bytes).toHaveLength(CLIENT_LOG_SIZE);
    expect([bytes.readUInt32LE(0), bytes.readUInt32LE(4)]).toEqual([1490, 1142]);
    expect(bytes.toString('latin1', 8, 36)).toBe('mms://server/a film.wmv?x=1\0');
    // szChannelURL: an empty text is a hyphen.
    expect(bytes.toString('latin1', 268, 270)).toBe('-\0');
    expect(bytes.toString('latin1', 528, 535)).toBe('Mozilla');
    // qwClientVersion: the major number in the most significant 16 bits.
    expect(bytes.readBigUInt64LE(852)).toBe((6n << 48n) | (4n << 32n) | (9n << 16n) | 1125n);
    expect(bytes.toString('latin1', 860, 866)).toBe('en-US\0');
    expect(bytes.readUInt32LE(956)).toBe(60_400);
    expect(bytes.readBigUInt64LE(960)).toBe(6_000_000_000n);
    expect(bytes.readUInt32LE(968)).toBe(102_585);
    // rate has two bytes, so everything after it is misaligned.
    expect(bytes.readInt16LE(1108)).toBe(-5);
    expect(bytes.readUInt32LE(1110)).toBe(2);
    expect(bytes.readUInt32LE(1142)).toBe(0);
    // After CLIENT_LOG_INFO: dwSourceId, dwIPAddress.
    expect(bytes.readUInt32LE(1146)).toBe(1);
    expect(bytes.readUInt32LE(1150)).toBe(0xffffffff);
    expect(bytes.toString('latin1', 1414, 1425)).toBe('Windows NT\0');
    expect(bytes.readBigUInt64LE(1430)).toBe((5n << 48n) | 2195n);
    expect(bytes.toString('latin1', 1454, 1458)).toBe('mms\0');
    expect(bytes.toString('latin1', 1462, 1466)).toBe('UDP\0');
    expect(bytes.readUInt32LE(1486)).toBe(6);
  });

  it('survives a round trip, also with an address', () => {
    expect(parseClientLog(buildClientLog(LOG))).toEqual(LOG);
    const known = { ...LOG, address: '192.0.2.7', url: 'x'.repeat(300) };
    expect(parseClientLog(buildClientLog(known))).toEqual({ ...known, url: 'x'.repeat(259) });
    expect(parseClientLog(Buffer.concat([buildClientLog(LOG), Buffer.alloc(10)]))).toEqual(LOG);
  });

  it('is rejected if it is truncated or its sizes are impossible, and otherwise parsed, whatever it contains', () => {
    const good = buildClientLog(LOG);
    const bad = [0, 4].map((at) => {
      const copy = Buffer.from(good);
      copy.writeUInt32LE(7, at);
      return copy;
    });
    for (const bytes of [Buffer.alloc(0), good.subarray(0, 1489), Buffer.alloc(1490), ...bad]) {
      expect(() => parseClientLog(bytes)).toThrow(expect.objectContaining({ code: 'WM_PROTOCOL' }));
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1482, maxLength: 1482 }), (rest) => {
        const log = parseClientLog(Buffer.concat([good.subarray(0, 8), rest]));
        expect(log.url.length).toBeLessThanOrEqual(260);
        for (const value of Object.values(logOfMmsClient(log, new Date(0)).values))
          expect(value).toMatch(/^[\x21-\x7e]+$/);
      }),
    );
  });

  it('becomes a log like any other', () => {
    const { kind, values, invalid } = logOfMmsClient(LOG, new Date('2024-03-01T01:02:03Z'));
    expect(kind).toBe('legacy');
    // A log cannot state a file size of more than 2^32 - 1 bytes.
    expect(invalid).toEqual([]);
    expect(values).toEqual({
      date: '2024-03-01',
      time: '01:02:03',
      'cs-uri-stem': 'mms://server/a_film.wmv',
      'c-starttime': '39',
      'x-duration': '42',
      'c-rate': '-5',
      'c-status': '200',
      'c-playerid': '{c579d042-cecc-11d1-bb31-00a0c9603954}',
      'c-playerversion': '6.4.9.1125',
      'c-playerlanguage': 'en-US',
      'cs-User-Agent': 'Mozilla/4.0_(compatible;_MSIE_6.0)',
      'cs-Referer': 'http://www.adventure-works.com/default.htm',
      'c-hostexe': 'mplayer2.exe',
      'c-hostexever': '6.4.9.1125',
      'c-os': 'Windows_NT',
      'c-osversion': '5.0.0.2195',
      'c-cpu': 'Pentium',
      filelength: '60',
      filesize: '4294967295',
      avgbandwidth: '102585',
      protocol: 'mms',
      transport: 'UDP',
      audiocodec: 'Windows_Media_Audio',
      'c-bytes': '28000',
      'c-pkts-received': '523',
      'c-pkts-lost-client': '5',
      'c-pkts-lost-net': '9',
      'c-pkts-lost-cont-net': '3',
      'c-resendreqs': '12',
      'c-pkts-recovered-ECC': '0',
      'c-pkts-recovered-resent': '4',
      'c-buffercount': '2',
      'c-totalbuffertime': '4',
      'c-quality': '99',
      'cs-url': 'mms://server/a_film.wmv?x=1',
    });
  });
});
