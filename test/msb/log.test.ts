import type { NscFile } from '../../src/announce/nsc.js';
import { logBody } from '../../src/msb/client/log.js';
import type { EntryReport } from '../../src/msb/client/session.js';
import { liveVideo } from './support.js';

const NSC: NscFile = { address: '239.1.2.3', port: 9000, formats: [] };
const REPORT: EntryReport = {
  header: liveVideo(),
  startedAt: 1_000,
  endedAt: 5_000,
  firstSendTime: 100,
  lastSendTime: 3_300,
  rendered: 100,
  received: 97,
  reordered: 0,
  recovered: 3,
  lost: 2,
  longestGap: 2,
  bytes: 40_000,
  averageBandwidth: 80_000.4,
};
const CONTEXT = {
  nsc: NSC,
  nscUrl: 'http://web/live.nsc?x=1',
  playerId: '{3300AD50-2C39-46c0-AE0A-0123456789AB}',
  now: new Date('2024-03-01T01:02:03Z'),
};

const valuesOf = (report: Partial<EntryReport> = {}, nsc: Partial<NscFile> = {}) =>
  logBody({ ...REPORT, ...report }, { ...CONTEXT, nsc: { ...NSC, ...nsc } })
    .slice('MX_STATS_LogLine: \t'.length)
    .split(' ');

describe('the log of a multicast', () => {
  it('[WMLOG-081] [WMLOG-093] is a Legacy Log of 47 values after its mark, a blank and a tab', () => {
    expect(logBody(REPORT, CONTEXT)).toMatch(/^MX_STATS_LogLine: \t0\.0\.0\.0 2024-03-01 01:02:03 - /);
    expect(valuesOf()).toHaveLength(47);
    expect(valuesOf()[40]).toBe('239.1.2.3');
  });

  it('[WMLOG-040] [WMLOG-048] names the group by asfm, and its .nsc file', () => {
    const values = valuesOf();
    expect([values[4], values[44], values[22], values[23]]).toEqual([
      'asfm://239.1.2.3:9000',
      'asfm://239.1.2.3:9000',
      'asfm',
      'UDP',
    ]);
    expect(values[26]).toBe('http://web/live.nsc?x=1');
    expect(valuesOf({}, { address: 'ff15::7' })[4]).toBe('asfm://[ff15::7]:9000');
  });

  it('[WMLOG-017] [WMLOG-018] counts 100 packets that were passed on, 3 of them rebuilt, and 2 that are lost', () => {
    expect(valuesOf().slice(30, 37)).toEqual(['97', '2', '5', '2', '-', '3', '0']);
    expect(valuesOf({ received: 90, reordered: 7 }).slice(30, 37)).toEqual(['90', '2', '5', '2', '-', '3', '7']);
  });

  it.each([
    [{ received: 97, recovered: 3, reordered: 0, lost: 2 }, '98'],
    [{ received: 0, recovered: 0, reordered: 0, lost: 0 }, '100'],
    [{ received: 1, recovered: 1, reordered: 1, lost: 3 }, '50'],
    [{ received: 999, recovered: 0, reordered: 0, lost: 1 }, '99'],
    [{ received: 0, recovered: 0, reordered: 0, lost: 7 }, '0'],
  ])('[WMLOG-026] has the quality of %j', (counts, quality) => {
    expect(valuesOf(counts)[39]).toBe(quality);
  });

  it('[WMLOG-004] [WMLOG-034] has the bandwidth in bits per second, and the bytes received', () => {
    expect(valuesOf()[21]).toBe('80000');
    expect(valuesOf({ averageBandwidth: undefined })[21]).toBe('-');
    expect(valuesOf()[28]).toBe('40000');
  });

  it('[WMLOG-063] [WMLOG-047] has the seconds of content that were rendered, and no file length', () => {
    expect(valuesOf()[6]).toBe('4');
    expect(valuesOf().slice(19, 21)).toEqual(['0', '0']);
    expect(valuesOf()[5]).toBe('0');
  });
});
