import { Received } from '../../src/receiving/received.js';
import { StreamReport } from '../../src/receiving/report.js';
import { HEADER } from '../wmsp/client-support.js';

const STATE = {
  usedUrl: 'http://h/x',
  header: HEADER,
  descriptions: [],
  live: false,
  reconnected: false,
  rate: 1,
};

function bandwidth(received: Received): string | undefined {
  const playerId = '{3300AD50-2C39-46c0-AE0A-000000000000}';
  const context = { userAgent: 'NSPlayer/12.0.7680.0', playerId, requestedUrl: 'http://h/x' };
  const report = new StreamReport(context, received);
  return /<avgbandwidth>(.*)<\/avgbandwidth>/.exec(report.text('streaming', 'xml', STATE))?.[1];
}

/** That many packets of 1000 bytes, 100 ms apart, from a time on. */
function take(report: Received, count: number, from: number): void {
  for (let index = 0; index < count; index++) report.packet(1000, index * 100, from + index * 100);
}

describe('avgbandwidth', () => {
  it('[WMLOG-004] is in bits per second', () => {
    const report = new Received();
    report.newSession();
    take(report, 11, 5_000);
    expect(bandwidth(report)).toBe('88000');
  });

  it('[WMLOG-004] counts from the start of the session, over playlist entries, and excludes pauses', () => {
    const report = new Received();
    report.newSession();
    take(report, 11, 0);
    report.restart('another');
    expect(bandwidth(report)).toBe('88000');
    // Ten seconds without streaming, then twice as fast.
    for (let index = 0; index < 11; index++) report.packet(2000, index * 100, 11_000 + index * 100);
    expect(bandwidth(report)).toBe('132000');
    report.restart('same');
    expect(bandwidth(report)).toBe('132000');
  });

  it('[WMLOG-004] starts over with another session, and is "-" before the first data', () => {
    const report = new Received();
    report.newSession();
    expect(bandwidth(report)).toBe('-');
    take(report, 11, 0);
    report.newSession();
    expect(bandwidth(report)).toBe('-');
    for (let index = 0; index < 11; index++) report.packet(2000, index * 100, 11_000 + index * 100);
    expect(bandwidth(report)).toBe('176000');
  });
});
