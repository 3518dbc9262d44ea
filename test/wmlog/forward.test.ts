import { type ClientLogFields, clientLogXml, connectTimeLogXml, legacyLogLine } from '../../src/wmlog/client-log.js';
import { type Forwarder, forwardedLog } from '../../src/wmlog/forward.js';
import { buildXmlLog, parseLog } from '../../src/wmlog/log.js';

const FIELDS: ClientLogFields = {
  now: new Date('2024-03-01T01:02:03Z'),
  usedUrl: 'http://srv/a',
  requestedUrl: 'mms://srv/a',
  startTime: 0,
  duration: 1_000,
  receiving: 1_000,
  rate: 1,
  reconnected: false,
  playerId: '{3300AD50-2C39-46c0-AE0A-B4C904C7848E}',
  playerVersion: '9.0.0.2980',
  userAgent: 'NSPlayer/9.0.0.2980',
  fileLength: 0,
  fileSize: 0,
  averageBandwidth: 1,
  audioCodecs: ['A'],
  videoCodecs: [],
  bytes: 1,
  packets: 1,
  descriptions: [],
};
const BY: Forwarder = {
  product: 'WMCacheProxy/9.00.00.1234',
  clientAddress: '157.100.100.100',
  ownAddress: '155.12.1.234',
  hostName: 'wmt.adventure-works.com',
  cpuPercent: 40,
  clients: 201,
};

describe('a log that a proxy forwards', () => {
  const rendering = parseLog(clientLogXml('rendering', FIELDS));

  it('[WMLOG-012] [WMLOG-057] has the address of the client, and in a Rendering Log that of the proxy', () => {
    expect(forwardedLog(rendering, BY).values).toMatchObject({ 'c-ip': '157.100.100.100', 's-ip': '155.12.1.234' });
    expect(forwardedLog(rendering, { ...BY, clientAddress: '2001:db8::7' }).values['c-ip']).toBe('2001:db8::7');
    const legacy = forwardedLog(parseLog(legacyLogLine(FIELDS)), BY);
    expect(legacy.values['c-ip']).toBe('157.100.100.100');
    expect(legacy.values['s-ip']).toBeUndefined();
    const connect = forwardedLog(parseLog(connectTimeLogXml(FIELDS.now, 'TCP')), BY);
    expect(connect.values['c-ip']).toBe('157.100.100.100');
    expect(connect.values['s-proxied']).toBeUndefined();
  });

  it('[WMLOG-043] [WMLOG-044] names the proxy in place of the player', () => {
    expect(forwardedLog(rendering, BY).values['cs-User-Agent']).toBe('_via_HTTP/1.0_WMCacheProxy/9.00.00.1234');
    const again = forwardedLog(forwardedLog(rendering, BY), { ...BY, product: 'Other/1.0' });
    expect(again.values['cs-User-Agent']).toBe('_via_HTTP/1.0_Other/1.0');
  });

  it('[WMLOG-050] [WMLOG-060] reports how busy the proxy is', () => {
    expect(forwardedLog(rendering, BY).values).toMatchObject({ 's-cpu-util': '40', 's-totalclients': '201' });
    expect(forwardedLog(rendering, { ...BY, cpuPercent: 130 }).values['s-cpu-util']).toBe('100');
  });

  it('[WMLOG-053] [WMLOG-054] has the host name of the proxy, or a dash, whatever was there', () => {
    expect(forwardedLog(rendering, BY).values['s-dns']).toBe('wmt.adventure-works.com');
    const named = { ...rendering, values: { ...rendering.values, 's-dns': 'other' } };
    expect(forwardedLog(named, { ...BY, hostName: undefined }).values['s-dns']).toBe('-');
  });

  it('[WMLOG-058] says that it was forwarded, and has all of this in its text', () => {
    expect(rendering.values['s-proxied']).toBe('0');
    const forwarded = forwardedLog(rendering, BY);
    expect(forwarded.values['s-proxied']).toBe('1');
    const summary = /<Summary>(.*)<\/Summary>/.exec(buildXmlLog(forwarded))![1]!.split(' ');
    expect(summary).toHaveLength(52);
    expect([summary[0], summary[12], summary[51]]).toEqual([
      '157.100.100.100',
      '_via_HTTP/1.0_WMCacheProxy/9.00.00.1234',
      '1',
    ]);
    expect(summary.slice(40, 44)).toEqual(['155.12.1.234', 'wmt.adventure-works.com', '201', '40']);
  });
});
