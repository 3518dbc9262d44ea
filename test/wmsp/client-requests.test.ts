import fc from 'fast-check';
import { WmError } from '../../src/errors.js';
import { serialiseRequestHead } from '../../src/http/message.js';
import { clientIdentity, defaultIdentity, parseServerProduct } from '../../src/wmsp/client/product.js';
import {
  type ClientRequest,
  DEFAULT_LINK,
  describeRequest,
  keepAliveOptions,
  keepAliveRequest,
  logRequest,
  type PlayParameters,
  pipelineRequest,
  playNextEntryRequest,
  playRequest,
  type RequestContext,
  selectStreamRequest,
  stopRequest,
} from '../../src/wmsp/client/requests.js';
import { PragmaTokens, streamSwitches } from '../../src/wmsp/messages/pragma.js';

const GUID = '{52CB2BDB-6925-4E19-8D1D-62D10E9E2705}';
const COUGAR9 = parseServerProduct('Cougar/9.6.7600.16385', false);
const COUGAR4 = parseServerProduct('Cougar/4.1.0.3920', false);

const FIRST: RequestContext = {
  identity: defaultIdentity('NSPlayer'),
  guid: GUID,
  authority: 'srv',
  viaProxy: false,
  proxyKeepsOne: false,
  cookie: undefined,
  authenticationSchemes: [],
  http11: false,
  clientId: undefined,
  playlistGenId: 0,
  server: undefined,
  serverKnown: false,
};
const LATER: RequestContext = { ...FIRST, clientId: 123, server: COUGAR9, serverKnown: true };
const PIPELINED: RequestContext = { ...LATER, http11: true };

const BOTH = [
  { source: undefined, destination: 1, level: 0 },
  { source: undefined, destination: 2, level: 2 },
] as const;
const PLAY: PlayParameters = {
  startTime: 0,
  rate: 1,
  maxDuration: 0,
  speed: 1,
  streams: BOTH,
  link: DEFAULT_LINK,
  prediction: true,
};

/** A request as it is sent over the network. */
function wire(request: ClientRequest): string[] {
  const head = serialiseRequestHead(
    request.method,
    request.wholeServer ? '*' : '/x',
    request.fields,
    request.minorVersion,
  );
  expect(head.toString('latin1').endsWith('\r\n\r\n')).toBe(true);
  return head.toString('latin1').slice(0, -4).split('\r\n');
}

function tokensOf(request: ClientRequest): PragmaTokens {
  return new PragmaTokens(pragmaLines(request));
}

function pragmaLines({ fields }: ClientRequest): string[] {
  return fields.filter(([name]) => name === 'Pragma').map(([, value]) => value);
}

const field = ({ fields }: ClientRequest, name: string) => fields.find(([other]) => other === name)?.[1];
const IGNORED = 'stream-offset=4294967295:4294967295,packet-num=4294967295,max-duration=0';
const FEATURES =
  'com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.startupprofile';

describe('Describe', () => {
  it('[WMSP-004] [WMSP-075] [WMSP-163] [WMSP-164] is exactly this', () => {
    expect(wire(describeRequest(FIRST, false, false))).toEqual([
      'GET /x HTTP/1.0',
      'Accept: */*',
      'User-Agent: NSPlayer/12.0.7680.0',
      'Host: srv',
      'Cache-Control: no-cache',
      'Accept-Encoding: identity',
      'Pragma: no-cache,rate=1.000,stream-time=0,stream-offset=0:0,packet-num=4294967295,max-duration=0',
      `Pragma: xClientGUID=${GUID}`,
      `Supported: ${FEATURES}`,
      'Connection: Keep-Alive',
    ]);
  });

  it('[WMSP-139] [WMSP-140] [WMSP-037] [WMSP-053] offers pipelining over HTTP/1.1, and asks for $P if that is wanted', () => {
    const request = describeRequest({ ...FIRST, http11: true }, true, true);
    expect(wire(request)[0]).toBe('GET /x HTTP/1.1');
    const tokens = tokensOf(request);
    expect(tokens.number('pipeline-experiment')).toBe(1);
    expect(tokens.number('version11-enabled')).toBe(1);
    expect(tokens.number('packet-pair-experiment')).toBe(1);
    const plain = tokensOf(describeRequest(FIRST, false, false));
    for (const token of ['pipeline-experiment', 'version11-enabled', 'packet-pair-experiment', 'xPlayStrm']) {
      expect(plain.has(token)).toBe(false);
    }
  });

  it('puts all tokens that may be combined into the first Pragma header for proxies, which may drop the others', () => {
    const direct = playRequest({ ...LATER, viaProxy: false }, PLAY);
    const proxied = playRequest({ ...LATER, viaProxy: true }, PLAY);
    const lines = (request: ClientRequest) =>
      request.fields.flatMap(([name, value]) => (name === 'Pragma' ? [value] : []));
    const [first, second, ...more] = lines(proxied);
    expect(more).toEqual([]);
    expect(second).toMatch(/^stream-switch-entry=[^,]*$/);
    const apart = lines(direct).filter((line) => !line.startsWith('stream-switch-entry'));
    expect(first!.split(',')).toEqual(apart.join(',').split(','));
    const tiny = playRequest({ ...LATER, viaProxy: true, proxyKeepsOne: true }, PLAY);
    expect(lines(tiny)).toHaveLength(1);
    expect(streamSwitches(new PragmaTokens(lines(tiny)), new Set([1, 2]))).toEqual(BOTH);
  });

  it('asks no proxy to keep an HTTP/1.0 connection open', () => {
    expect(field(describeRequest({ ...FIRST, viaProxy: true }, false, false), 'Connection')).toBe('close');
  });

  it('[WMSP-165] [WMSP-061] [WMSP-154] [WMSP-148] lists its features to servers from 9.0 and unknown ones, and as a client from 9.0', () => {
    expect(field(describeRequest(LATER, false, false), 'Supported')).toBe(FEATURES);
    expect(field(describeRequest({ ...LATER, server: COUGAR4 }, false, false), 'Supported')).toBeUndefined();
    const old = { ...FIRST, identity: clientIdentity('NSPlayer/7.0.0.1') };
    expect(field(describeRequest(old, false, false), 'Supported')).toBeUndefined();
    const without = field(playRequest(LATER, { ...PLAY, prediction: false }), 'Supported');
    expect(without).toBe(FEATURES.replace(' com.microsoft.wm.predstrm,', ''));
  });

  it('[WMSP-168] lists its authentication schemes in order', () => {
    const request = describeRequest({ ...FIRST, authenticationSchemes: ['Negotiate', 'Digest'] }, false, false);
    expect(field(request, 'X-Accept-Authentication')).toBe('Negotiate, Digest');
    expect(field(request, 'X-Accept-Proxy-Authentication')).toBe('Negotiate, Digest');
  });
});

describe('Play', () => {
  it('[WMSP-090] [WMSP-057] [WMSP-049] [WMSP-047] [WMSP-048] [WMSP-143] [WMSP-166] is exactly this', () => {
    expect(wire(playRequest({ ...LATER, playlistGenId: 7 }, PLAY))).toEqual([
      'GET /x HTTP/1.0',
      'Accept: */*',
      'User-Agent: NSPlayer/12.0.7680.0',
      'Host: srv',
      'Cache-Control: no-cache',
      `Pragma: no-cache,rate=1.000,stream-time=0,${IGNORED}`,
      'Pragma: xPlayStrm=1',
      'Pragma: client-id=123',
      `Pragma: xClientGUID=${GUID}`,
      'Pragma: playlist-gen-id=7',
      'Pragma: LinkBW=2147483647,AccelBW=3500000,AccelDuration=18000',
      `Supported: ${FEATURES}`,
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:0 ffff:2:2',
      'Connection: close',
    ]);
  });

  it('[WMSP-145] [WMSP-051] [WMSP-035] [WMSP-046] [WMSP-043] says where and how fast: a time, a packet, a rate', () => {
    const line = (play: Partial<PlayParameters>) => pragmaLines(playRequest(LATER, { ...PLAY, ...play }))[0];
    expect(line({ startTime: 90_000 })).toBe(`no-cache,rate=1.000,stream-time=90000,${IGNORED}`);
    // A stream-time other than 0 would take precedence over packet-num (3.2.5.6).
    expect(line({ startTime: 90_000, startPacket: 5 })).toBe(
      'no-cache,rate=1.000,stream-time=0,stream-offset=4294967295:4294967295,packet-num=5,max-duration=0',
    );
    expect(line({ rate: -5 })).toContain('rate=-5.000');
    expect(line({ maxDuration: 1500 })).toContain('max-duration=1500');
  });

  it.each([
    ['rate', 0],
    ['rate', 0.5],
    ['rate', 5.5],
    ['rate', Number.NaN],
    ['startTime', -1],
    ['startTime', 0xffffffff],
    ['startTime', 1.5],
    ['startPacket', 2 ** 32],
    ['speed', 0.5],
  ])('[WMSP-043] refuses a %s of %d', (name, value) => {
    expect(() => playRequest(LATER, { ...PLAY, [name]: value })).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
  });

  it('[WMSP-147] [WMSP-021] asks for a burst as a relaying server', () => {
    const tokens = tokensOf(playRequest({ ...LATER, identity: defaultIdentity('NSServer') }, PLAY));
    expect(tokens.number('AccelBW')).toBe(3_500_000);
    expect(tokens.number('BurstBW')).toBe(3_500_000);
    expect(tokens.number('BurstDuration')).toBe(5_000);
    expect(tokensOf(playRequest(LATER, PLAY)).has('BurstBW')).toBe(false);
  });

  it('[WMSP-162] [WMSP-020] [WMSP-031] [WMSP-039] [WMSP-041] sends an old server no newer tokens', () => {
    const context = { ...LATER, server: COUGAR4, playlistGenId: 7 };
    const request = playRequest(context, { ...PLAY, entryId: 3, skip: 1 });
    const tokens = tokensOf(request);
    for (const token of ['LinkBW', 'AccelBW', 'AccelDuration', 'playlist-gen-id', 'playlist-seek-id', 'pl-offset']) {
      expect(tokens.has(token)).toBe(false);
    }
    const old = playRequest({ ...LATER, identity: clientIdentity('NSPlayer/7.1.0.1') }, PLAY);
    expect(tokensOf(old).has('AccelBW')).toBe(false);
  });

  it('[WMSP-146] [WMSP-040] [WMSP-167] names the entry of a position if the server is at another', () => {
    const context = { ...LATER, playlistGenId: 7 };
    expect(pragmaLines(playRequest(context, { ...PLAY, entryId: 3 }))).toEqual(
      expect.arrayContaining(['playlist-gen-id=7', 'playlist-seek-id=3']),
    );
    expect(tokensOf(playRequest(context, { ...PLAY, entryId: 7 })).has('playlist-seek-id')).toBe(false);
    expect(tokensOf(playRequest(LATER, PLAY)).has('playlist-gen-id')).toBe(false);
  });

  it('[WMSP-144] [WMSP-041] skips entries', () => {
    const context = { ...LATER, playlistGenId: 115 };
    for (const skip of [1, -1] as const) {
      expect(pragmaLines(playRequest(context, { ...PLAY, skip }))).toEqual(
        expect.arrayContaining(['playlist-seek-id=115', `pl-offset=${skip}`]),
      );
    }
  });

  it('[WMSP-045] asks for speed', () => {
    expect(tokensOf(playRequest(LATER, { ...PLAY, speed: 5 })).text('Speed')).toBe('5.000');
    expect(tokensOf(playRequest(LATER, PLAY)).has('Speed')).toBe(false);
  });

  it('[WMSP-150] [WMSP-053] in pipelined mode is HTTP/1.1 and says so', () => {
    const request = playRequest(PIPELINED, PLAY);
    expect(wire(request)[0]).toBe('GET /x HTTP/1.1');
    expect(tokensOf(request).number('version11-enabled')).toBe(1);
    expect(field(request, 'Connection')).toBeUndefined();
  });

  it('[WMSP-048] writes stream numbers in hexadecimal, and what it writes can be read', () => {
    const streams = [{ source: 10, destination: 127, level: 1 } as const];
    expect(pragmaLines(playRequest(LATER, { ...PLAY, streams }))).toContain('stream-switch-entry=a:7f:1');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 127 }), fc.constantFrom(0, 1, 2) as fc.Arbitrary<0 | 1 | 2>), {
          minLength: 1,
          maxLength: 20,
        }),
        (pairs) => {
          const wanted = pairs.map(([destination, level]) => ({ source: undefined, destination, level }));
          const tokens = tokensOf(playRequest(LATER, { ...PLAY, streams: wanted }));
          expect(streamSwitches(tokens, new Set(pairs.map(([number]) => number)))).toEqual(wanted);
          expect(tokens.number('stream-switch-count')).toBe(wanted.length);
        },
      ),
    );
  });
});

describe('the other requests', () => {
  it('[WMSP-085] [WMSP-038] Pipeline', () => {
    expect(wire(pipelineRequest(LATER))).toEqual([
      'GET /x HTTP/1.1',
      'Accept: */*',
      'User-Agent: NSPlayer/12.0.7680.0',
      'Host: srv',
      'Cache-Control: no-cache',
      'Pragma: no-cache',
      'Pragma: pipeline-request=1',
      'Pragma: client-id=123',
      `Pragma: xClientGUID=${GUID}`,
      'Connection: keep-alive',
    ]);
  });

  it('[WMSP-092] [WMSP-155] [WMSP-023] [WMSP-056] PlayNextEntry', () => {
    const request = playNextEntryRequest({ ...PIPELINED, playlistGenId: 8 }, PLAY);
    expect(wire(request)).toEqual([
      'GET /x HTTP/1.1',
      'Accept: */*',
      'User-Agent: NSPlayer/12.0.7680.0',
      'Host: srv',
      'Cache-Control: no-cache',
      'Pragma: version11-enabled=1',
      'Pragma: xPlayNextEntry=1',
      'Pragma: no-cache,rate=1.000',
      'Pragma: client-lag=0',
      'Pragma: client-id=123',
      `Pragma: xClientGUID=${GUID}`,
      'Pragma: playlist-gen-id=8',
      'Pragma: LinkBW=2147483647,AccelBW=3500000,AccelDuration=18000',
      `Supported: ${FEATURES}`,
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:0 ffff:2:2',
    ]);
  });

  it('[WMSP-094] [WMSP-095] SelectStream on its own connection', () => {
    expect(wire(selectStreamRequest(LATER, BOTH, true))).toEqual([
      'POST /x HTTP/1.0',
      'Accept: */*',
      'User-Agent: NSPlayer/12.0.7680.0',
      'Host: srv',
      'Cache-Control: no-cache',
      'Pragma: no-cache',
      'Pragma: client-id=123',
      `Pragma: xClientGUID=${GUID}`,
      `Supported: ${FEATURES}`,
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:0 ffff:2:2',
      'Content-Length: 0',
      'Connection: close',
    ]);
  });

  it('[WMSP-094] [WMSP-151] SelectStream on the streaming connection', () => {
    const lines = wire(selectStreamRequest(PIPELINED, BOTH, true));
    expect(lines[0]).toBe('GET /x HTTP/1.1');
    expect(lines).toContain('Pragma: version11-enabled=1');
    expect(lines.filter((line) => /Content-|xPlay|Connection/.test(line))).toEqual([]);
  });

  it('[WMSP-080] KeepAlive on its own connection', () => {
    expect(wire(keepAliveRequest(LATER))).toEqual([
      'POST /x HTTP/1.0',
      'Accept: */*',
      'User-Agent: NSPlayer/12.0.7680.0',
      'Host: srv',
      'Cache-Control: no-cache',
      'Pragma: no-cache',
      'Pragma: xKeepAliveInPause=1',
      'Pragma: client-id=123',
      `Pragma: xClientGUID=${GUID}`,
      'Content-Length: 0',
      'Connection: close',
    ]);
  });

  it('[WMSP-081] KeepAlive on the streaming connection', () => {
    expect(wire(keepAliveOptions(PIPELINED))).toEqual([
      'OPTIONS * HTTP/1.1',
      'User-Agent: NSPlayer/12.0.7680.0',
      'Host: srv',
      'Pragma: client-id=123',
    ]);
  });

  it('[WMSP-098] Stop', () => {
    expect(wire(stopRequest(PIPELINED))).toEqual([
      'POST /x HTTP/1.1',
      'Accept: */*',
      'User-Agent: NSPlayer/12.0.7680.0',
      'Host: srv',
      'Cache-Control: no-cache',
      'Pragma: no-cache',
      'Pragma: xStopStrm=1',
      'Pragma: client-id=123',
      `Pragma: xClientGUID=${GUID}`,
      'Content-Length: 0',
    ]);
  });

  it('[WMSP-084] [WMSP-032] Log as a line: the only token of its header, and no body', () => {
    const request = logRequest({ ...LATER, server: COUGAR4 }, 'line', '0.0.0.0 - a,b');
    expect(request.body).toBeUndefined();
    expect(wire(request)).toEqual([
      'POST /x HTTP/1.0',
      'Accept: */*',
      'User-Agent: NSPlayer/12.0.7680.0',
      'Host: srv',
      'Cache-Control: no-cache',
      'Pragma: no-cache',
      'Pragma: client-id=123',
      `Pragma: xClientGUID=${GUID}`,
      'Pragma: log-line=0.0.0.0 - a,b',
      'Content-Length: 0',
      'Connection: close',
    ]);
  });

  it('[WMSP-084] Log as XML', () => {
    const request = logRequest(PIPELINED, 'xml', '<XML>é</XML>');
    expect(request.body!.toString('utf8')).toBe('<XML>é</XML>');
    expect(wire(request).slice(-2)).toEqual([
      'Content-Type: application/x-wms-LogStats;charset=UTF-8',
      'Content-Length: 13',
    ]);
    expect(wire(request)[0]).toBe('POST /x HTTP/1.1');
  });
});

describe('identities', () => {
  it.each(['NSPlayer/12.0.7680.0', 'NSServer/9.0.0.3171', 'NSPlayer/6.4', 'NSPlayer/9.0.0.2980 WMFSDK/9.0'])(
    '[WMSP-065] [WMSP-136] takes %s',
    (text) => {
      const identity = clientIdentity(text);
      expect(identity.text).toBe(text);
      expect(text.startsWith(`${identity.token}/${identity.major}.`)).toBe(true);
    },
  );

  it.each(['', 'VLC/3.0', 'NSPlayer', 'NSPlayer/x', 'WMCacheProxy', 'NSPlayer/9', 'NSPlayer/9.0\r\nX: y'])(
    'refuses %j',
    (text) => {
      expect(() => clientIdentity(text)).toThrow(WmError);
    },
  );

  it('[WMSP-066] [WMSP-163] are a player or a server of a real version, and not a proxy', () => {
    expect(defaultIdentity('NSPlayer')).toMatchObject({ major: 12, minor: 0 });
    expect(defaultIdentity('NSServer')).toMatchObject({ major: 9, minor: 5 });
    expect(defaultIdentity('NSServer').text).not.toContain('via');
  });

  it.each([
    ['Cougar/9.00.00.3178', false, 'Cougar', 9, 0],
    ['Rex/12.0.7600.16385', false, 'Rex', 12, 0],
    ['Cougar/9.6 other/1', false, 'Cougar', 9, 6],
    ['Cougar 4.1.0.3921', true, 'Cougar', 4, 1],
  ])('[WMSP-060] reads the server %s', (text, tolerant, token, major, minor) => {
    expect(parseServerProduct(text, tolerant)).toMatchObject({ token, major, minor });
  });

  it.each([[undefined], ['Apache/2.4'], ['Cougar'], ['Cougar/123.0'], ['Cougar 4.1.0.3921']])(
    'does not recognize the server %s when it is strict',
    (text) => {
      expect(parseServerProduct(text, false)).toBeUndefined();
    },
  );
});
