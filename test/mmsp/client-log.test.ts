import { parseHeader } from '../../src/asf/header.js';
import { clientLog, type ReportState } from '../../src/mmsp/client/report.js';
import { Received } from '../../src/receiving/received.js';
import { logOfMmsClient, parseClientLog } from '../../src/wmlog/mms-log.js';
import { madeFile } from '../wmsp/content.js';

const header = parseHeader(madeFile({ seconds: 2 }));

/** A report after 10 packets of 400 bytes. */
function report(state: Partial<ReportState> = {}): Buffer {
  const received = new Received();
  for (let index = 0; index < 10; index++) received.packet(400, index * 100, index * 50);
  return clientLog({
    url: 'mms://server/film.wmv',
    openFileId: 0x01020304,
    userAgent: 'NSPlayer/9.1.2.3',
    playerId: '{3300AD50-2C39-46c0-AE0A-000000000001}',
    header,
    live: false,
    rate: 1,
    transport: 'udp',
    received,
    counts: { received: 9, lost: 2, longestGap: 3, recovered: 1, resent: 4, requests: 5 },
    ...state,
  });
}

const textAt = (bytes: Buffer, at: number) => bytes.toString('latin1', at, bytes.indexOf(0, at));

describe('the CLIENT_LOG of the client', () => {
  it('[MMSP-004] [MMSP-005] has 1490 bytes, 1142 of them CLIENT_LOG_INFO', () => {
    const log = report();
    expect([log.length, log.readUInt32LE(0), log.readUInt32LE(4)]).toEqual([1490, 1490, 1142]);
    expect(log.readUInt32LE(1146)).toBe(0x01020304);
    expect([1470, 1474, 1478, 1482, 1486].map((at) => log.readUInt32LE(at))).toEqual([3, 3, 5, 1, 4]);
  });

  it('[MMSP-003] [MMSP-007] writes empty texts as hyphens, and no address', () => {
    const log = report();
    expect([textAt(log, 4 + 264), textAt(log, 4 + 588), textAt(log, 1154)]).toEqual(['-', '-', '-']);
    expect(log.readUInt32LE(1150)).toBe(0xffffffff);
  });

  it('[MMSP-008] packs versions with the first part in the highest bits', () => {
    expect(report().readBigUInt64LE(4 + 848)).toBe(0x0009_0001_0002_0003n);
  });

  it('[MMSP-009] names the protocol and the transport', () => {
    expect([textAt(report(), 1454), textAt(report(), 1462)]).toEqual(['mms', 'UDP']);
    expect(textAt(report({ transport: 'tcp' }), 1462)).toBe('TCP');
  });

  it('[MMSP-011] [MMSP-012] has its fields at their offsets', () => {
    const log = report();
    const info = 4;
    expect([4, 524, 856, 872, 912].map((at) => textAt(log, info + at))).toEqual([
      'mms://server/film.wmv',
      'NSPlayer/9.1.2.3',
      'en-US',
      '{3300AD50-2C39-46c0-AE0A-000000000001}',
      'wmcast',
    ]);
    expect(textAt(log, info + 1032)).toBe('WMV2');
    // msStartTime, msPlayed, rate, then the bytes and packets.
    expect([log.readUInt32LE(info + 1096), log.readUInt32LE(info + 1100), log.readInt16LE(info + 1104)]).toEqual([
      0, 900, 1,
    ]);
    expect([log.readBigUInt64LE(info + 1114), log.readUInt32LE(info + 1122)]).toEqual([4000n, 10]);
  });

  it('[MMSP-013] has neither length nor size of live content, and a negative rate in reverse', () => {
    expect(parseClientLog(report())).toMatchObject({ fileDuration: expect.any(Number), rate: 1 });
    expect(parseClientLog(report()).fileDuration).toBeGreaterThan(1_500);
    expect(parseClientLog(report({ live: true, rate: -5 }))).toMatchObject({ fileDuration: 0, fileSize: 0, rate: -5 });
  });

  it('[MMSP-014] counts the bytes of payloads, [MMSP-015] and the quality', () => {
    expect(parseClientLog(report())).toMatchObject({
      bytesReceived: 4_000,
      packetsRecoveredEcc: 0,
      hr: 0,
      quality: 83,
    });
  });

  it('is a log that servers understand', () => {
    const { values } = logOfMmsClient(parseClientLog(report()), new Date(0));
    expect(values).toMatchObject({ 'c-pkts-lost-client': '2', protocol: 'mms', transport: 'UDP' });
  });
});
