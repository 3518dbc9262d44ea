import { isMmsUrl, parseMmsUrl } from '../../src/mmsp/client/url.js';
import * as client from '../../src/mmsp/messages/client.js';
import { wrapMessages } from '../../src/mmsp/messages/frame.js';
import { basicResponse, ntlmTokenData, readResponseToken } from '../../src/mmsp/messages/token.js';

describe('a URL of MMSP', () => {
  it.each([
    ['mms://server/live', 'server', 1755, 'live', undefined],
    ['mmst://server:8080/live', 'server', 8080, 'live', 'tcp'],
    ['MMSU://server:80/a', 'server', 80, 'a', 'udp'],
    ['mms://user:word@[2001:db8::1]:1756/a%20b/%C3%A4.wmv?x=1', '2001:db8::1', 1756, 'a b/ä.wmv?x=1', undefined],
    // A location of a redirect, which has no percent-encoding.
    ['mms://server/100% a.wmv#part', 'server', 1755, '100% a.wmv', undefined],
    ['mms://server', 'server', 1755, '', undefined],
  ])('[MMSP-001] %s', (url, host, port, fileName, transport) => {
    expect(parseMmsUrl(url)).toMatchObject({ host, port, fileName, transport });
    expect(isMmsUrl(url)).toBe(true);
  });

  it.each(['http://h/', 'mms://', 'mms:///x', 'mms://h:0/x', 'mms://h:99999/x', 'mmsx://h/'])('is not %s', (url) => {
    expect(() => parseMmsUrl(url)).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
  });
});

it('[MMSP-031] a packet says when it was sent, in ms since the first one', () => {
  const packet = wrapMessages(client.buildPong(), 1, 1234.9);
  expect([packet.readBigUInt64LE(24), packet[3]]).toEqual([1234n, 0]);
});

it('[MMSP-089] an OpenFile may carry credentials', () => {
  const basic = basicResponse('YTpi');
  const ntlm = ntlmTokenData(Buffer.from('NTLMSSP\0\x01\0\0\0', 'latin1'), true);
  for (const [token, scheme] of [
    [basic, 'basic'],
    [ntlm, 'ntlm'],
  ] as const) {
    const bytes = client.buildOpenFile(9, 'abc.asf', token);
    const read = client.readClientMessage({ mid: bytes.readUInt32LE(4), bytes });
    expect(read).toMatchObject({ type: 'openFile', fileName: 'abc.asf', token });
    expect(readResponseToken((read as { token: Buffer }).token).scheme).toBe(scheme);
  }
});
