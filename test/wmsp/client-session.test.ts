import type { ResponseHead } from '../../src/http/message.js';
import { HeaderFields } from '../../src/http/message.js';
import type { WmspPacket } from '../../src/wmsp/client/packets.js';
import {
  ALL_FEATURES,
  C,
  COUGAR9,
  D,
  described,
  E,
  H,
  M,
  newSession,
  PLAY,
  pipelined,
  readPackets,
  response,
  sent,
  streaming,
  types,
} from './client-session-support.js';
import { HEADER, packets } from './client-support.js';

describe('describing', () => {
  it('goes from INIT through STREAMING to IDLE', () => {
    const session = newSession();
    expect(session.state).toBe('INIT');
    expect(sent(session.describe())).toEqual(['Describe stream']);
    expect(session.streamResponse(response(), 0)).toEqual([]);
    expect(session.packet(M!, 0)).toMatchObject([{ type: 'metadata' }]);
    expect(session.packet(H!, 0)).toEqual([{ type: 'header', bytes: HEADER.bytes, cause: 'describe' }]);
    expect(session.state).toBe('INIT');
    expect(sent(session.startStreaming(PLAY))).toEqual(['Play stream']);
    session.streamResponse(response(), 0);
    expect(session.state).toBe('STREAMING');
  });

  it('[WMSP-137] assumes prediction, switching and packet pairs until it knows, and the non-pipelined mode', () => {
    const session = newSession();
    for (const feature of ['predstrm', 'srvppair', 'sswitch'] as const) expect(session.peer.has(feature)).toBe(true);
    expect(session.peer.has('fastcache')).toBe(false);
    expect(session.mode).toBe('non-pipelined');
  });

  it('[WMSP-175] replaces the features by those of the last Supported header, and keeps them without one', () => {
    const session = newSession();
    session.describe();
    session.streamResponse(response({ Supported: 'com.microsoft.wm.fastcache,com.microsoft.wm.sswitch' }), 0);
    expect(session.peer.has('predstrm')).toBe(false);
    expect(session.peer.has('fastcache')).toBe(true);
    session.sideResponse('Log', response());
    expect(session.peer.has('fastcache')).toBe(true);
    session.sideResponse('Log', response({ Supported: ALL_FEATURES }));
    expect(session.peer.has('fastcache')).toBe(false);
  });

  it('[WMSP-177] [WMSP-022] [WMSP-135] keeps client-id, playlist-gen-id and timeout of responses', () => {
    const session = newSession();
    expect(session.peer.keepAliveTimeout).toBe(60_000);
    session.describe();
    session.streamResponse(response({ Pragma: 'client-id=77, playlist-gen-id=9, timeout=20000' }), 0);
    expect(session.peer).toMatchObject({ clientId: 77, playlistGenId: 9, keepAliveTimeout: 20_000 });
    session.sideResponse('Log', response({ Pragma: 'client-id=78' }, 401));
    session.sideResponse('Log', response({ Pragma: 'client-id=79' }, 407));
    expect(session.peer.clientId).toBe(77);
  });

  it.each([
    ['none', undefined],
    ['another', 'nginx/1.2'],
    ['a blank instead of the slash', 'Cougar 4.1.0.3921'],
  ])('[WMSP-174] rejects a server whose Server header is %s, unless it is tolerant', (_, server) => {
    const headers = new HeaderFields(server === undefined ? [] : [['Server', server]]);
    const head: ResponseHead = { status: 200, reason: 'OK', minorVersion: 0, headers };
    const strict = newSession();
    strict.describe();
    expect(() => strict.streamResponse(head, 0)).toThrow(expect.objectContaining({ code: 'WM_PROTOCOL' }));
    const tolerant = newSession({ tolerant: true });
    tolerant.describe();
    expect(tolerant.streamResponse(head, 0)).toEqual([]);
  });

  it('[WMSP-173] pairs responses with requests in their order, and rejects one without a request', () => {
    const session = pipelined();
    session.stopStreaming(0, true);
    expect(session.responsesDue).toBe(2);
    session.streamResponse(response(), 0);
    session.streamResponse(response({}, 204), 0);
    expect(() => session.streamResponse(response(), 0)).toThrow(/without a request/);
  });

  it.each([
    [404, 'WM_NO_INPUT'],
    [401, 'challenge'],
    [407, 'challenge'],
    [403, 'WM_AUTH_REFUSED'],
    [503, 'WM_UNREACHABLE'],
    [400, 'WM_PROTOCOL'],
    [304, 'WM_PROTOCOL'],
  ])('[WMSP-134] reports the status %d', (status, code) => {
    const session = newSession();
    session.describe();
    if (code === 'challenge') expect(types(session.streamResponse(response({}, status), 0))).toEqual(['challenge']);
    else expect(() => session.streamResponse(response({}, status), 0)).toThrow(expect.objectContaining({ code }));
  });

  it('[WMSP-181] follows 300 to 304 to another URL and 305 to a proxy', () => {
    for (const status of [300, 301, 302, 303, 304, 305]) {
      const session = newSession();
      session.describe();
      expect(session.streamResponse(response({ Location: 'http://other/' }, status), 0)).toEqual([
        { type: 'redirect', location: 'http://other/', proxy: status === 305 },
      ]);
    }
  });

  it('[WMSP-184] expects the packets of the version of the server: $M, $H or $M, $H', () => {
    const accepts = (server: string, packet: WmspPacket) => {
      const session = newSession();
      session.describe();
      session.streamResponse(response({ Server: server }), 0);
      try {
        session.packet(packet, 0);
        return true;
      } catch {
        return false;
      }
    };
    expect([accepts(COUGAR9, M!), accepts(COUGAR9, H!)]).toEqual([true, false]);
    expect([accepts('Rex/9.0.0.2837', M!), accepts('Rex/9.0.0.2837', H!)]).toEqual([true, true]);
    expect([accepts('Cougar/4.1.0.3920', M!), accepts('Cougar/4.1.0.3920', H!)]).toEqual([false, true]);
    expect(accepts(COUGAR9, D)).toBe(false);
  });

  it('[WMSP-183] [WMSP-185] [WMSP-036] expects exactly three $P if they are promised, and measures with the first two', () => {
    const session = newSession({ packetPair: true });
    const [request] = session.describe();
    expect(request).toMatchObject({
      request: { fields: expect.arrayContaining([['Pragma', 'packet-pair-experiment=1']]) },
    });
    session.streamResponse(response({ Pragma: 'client-id=5, packet-pair-experiment=1' }), 0);
    const pairs = readPackets(Buffer.concat([0, 1, 2].map((n) => packets.P(n as 0 | 1 | 2, 300))));
    expect(() => session.packet(M!, 0)).toThrow(/\$M packet came instead of \$P/);
    expect(session.packet(pairs[0]!, 100)).toEqual([]);
    expect(session.packet(pairs[1]!, 104)).toEqual([{ type: 'bandwidth', bitsPerSecond: 1_024_000 }]);
    expect(session.packet(pairs[2]!, 110)).toEqual([]);
    for (const tolerant of [false, true]) {
      const other = newSession({ tolerant });
      other.describe();
      other.streamResponse(response(), 0);
      expect(() => other.packet(pairs[0]!, 0)).toThrow(/\$P packet came instead/);
    }
    expect(() => session.packet(pairs[0]!, 120)).toThrow(/\$P packet came instead of \$M/);
  });

  it('[WMSP-064] asks for $P only as long as the server may support them', () => {
    const asks = (fields: Record<string, string>) => {
      const session = described({ packetPair: true }, fields);
      const [action] = session.describe();
      return action?.type === 'send' && action.request.fields.some(([, value]) => value === 'packet-pair-experiment=1');
    };
    expect(asks({ Supported: ALL_FEATURES })).toBe(true);
    expect(asks({})).toBe(true);
    expect(asks({ Supported: 'com.microsoft.wm.sswitch' })).toBe(false);
    expect(asks({ Server: 'Cougar/4.1.0.3920' })).toBe(false);
  });

  it('[WMSP-182] tests the pipelined mode only if the response allows it and no old proxy is in between', () => {
    const attempt = (fields: Record<string, string>, wanted = true) =>
      sent(described({ pipelined: wanted }, fields).startStreaming(PLAY));
    const granted = { Pragma: 'client-id=5, pipeline-experiment=1' };
    expect(attempt(granted)).toEqual(['Pipeline stream', 'Pipeline stream']);
    expect(attempt({ ...granted, Via: '1.1 new' })).toEqual(['Pipeline stream', 'Pipeline stream']);
    expect(attempt({ ...granted, Via: '1.1 new, 1.0 old (x)' })).toEqual(['Play stream']);
    expect(attempt({ Pragma: 'client-id=5, pipeline-experiment=0' })).toEqual(['Play stream']);
    expect(attempt({ Pragma: 'client-id=5' })).toEqual(['Play stream']);
    expect(attempt(granted, false)).toEqual(['Play stream']);
  });

  it('[WMSP-171] returns cookies', () => {
    const session = newSession();
    session.describe();
    session.streamResponse(response({ 'Set-Cookie': 'a=1; path=/' }), 0);
    const [action] = session.startStreaming(PLAY);
    expect(action).toMatchObject({ request: { fields: expect.arrayContaining([['Cookie', 'a=1']]) } });
  });
});

describe('streaming', () => {
  it('[WMSP-186] stores the entry of $M, and accepts only $H after it and $D or $E after that', () => {
    const session = described();
    expect(session.peer.playlistGenId).toBe(7);
    session.startStreaming(PLAY);
    session.streamResponse(response(), 0);
    session.packet(M!, 0);
    expect(() => session.packet(D, 0)).toThrow(/\$D packet came instead of \$H/);
    session.packet(H!, 0);
    expect(() => session.packet(C(), 0)).toThrow(/\$C packet came instead of \$D or \$E/);
    expect(types(session.packet(D, 0))).toEqual(['data']);
    expect(() => session.packet(H!, 0)).toThrow(/instead of \$C or \$D or \$E/);
  });

  it('[WMSP-189] expects a $C after the $H if the response says so', () => {
    const session = described();
    session.startStreaming(PLAY);
    session.streamResponse(response({ Pragma: 'expect-new-header=1' }), 0);
    session.packet(M!, 0);
    session.packet(H!, 0);
    expect(() => session.packet(D, 0)).toThrow(/instead of \$C/);
    session.packet(C(), 0);
    session.packet(M!, 0);
    expect(session.packet(H!, 0)).toMatchObject([{ cause: 'change' }]);
  });

  it('[WMSP-188] treats xResetStrm as another header, which needs no request', () => {
    const session = described();
    session.startStreaming(PLAY);
    const actions = session.streamResponse(response({ Pragma: 'xResetStrm=1, client-id=99' }), 0);
    session.packet(M!, 0);
    expect([...actions, ...session.packet(H!, 0)]).toMatchObject([{ type: 'header', cause: 'play' }]);
    expect(session.peer.clientId).toBe(99);
  });

  it('[WMSP-191] [WMSP-158] [WMSP-016] at $E sends a Log on its own connection, becomes IDLE and starts the KeepAlive timer', () => {
    const session = streaming();
    const actions = session.packet(E(0), 1_000);
    expect(actions[0]).toEqual({ type: 'end', reason: 0 });
    expect(sent(actions)).toEqual(['Log own']);
    expect(actions[1]).toMatchObject({ request: { body: Buffer.from('legacy log xml') } });
    expect(session.state).toBe('IDLE');
    expect(session.keepAliveDue).toBe(61_000);
    const old = streaming({}, { Server: 'Cougar/4.1.0.3920' });
    const log = old.packet(E(0), 0)[1];
    expect(log).toMatchObject({
      request: { body: undefined, fields: expect.arrayContaining([['Pragma', 'log-line=legacy log line']]) },
    });
  });

  it('[WMSP-192] waits for $C after $E(1), and ignores further $E after $E(0)', () => {
    const more = streaming();
    more.packet(E(1), 0);
    expect(() => more.packet(D, 0)).toThrow(/instead of \$C/);
    const last = streaming();
    last.packet(E(0), 0);
    for (let count = 0; count < 511; count++) expect(last.packet(E(0), 0)).toEqual([]);
    expect(() => last.packet(C(), 0)).toThrow(/instead of \$E/);
    expect(() => last.bodyEnded()).not.toThrow();
  });

  it('reports the end if more entries were promised and none follow', () => {
    const session = streaming();
    session.packet(E(1), 0);
    expect(() => session.bodyEnded()).toThrow(expect.objectContaining({ code: 'WM_SERVER_GONE' }));
    const other = streaming({ tolerant: true });
    other.packet(E(1), 0);
    expect(other.packet(E(0), 0)).toEqual([{ type: 'end', reason: 0 }]);
  });

  it('[WMSP-134] reports an error HRESULT', () => {
    expect(streaming().packet(E(0xc00d001a), 0)[0]).toEqual({ type: 'end', reason: 0xc00d001a });
    expect(() => streaming().packet(C(0x80004005), 0)).toThrow(/0x80004005/);
  });

  it('[WMSP-193] is IDLE and waits after a $C that goes back', () => {
    const session = streaming();
    session.packet(E(1), 0);
    expect(session.packet(C(0x400d14be), 5)).toEqual([{ type: 'movedBack' }]);
    expect(session.state).toBe('IDLE');
    expect(session.keepAliveDue).toBe(60_005);
    expect(() => session.packet(H!, 0)).toThrow(/instead of none/);
  });

  it('[WMSP-194] [WMSP-063] is STREAMING after a $C if the server predicts, otherwise IDLE with the timer', () => {
    const predicting = streaming({}, { Supported: ALL_FEATURES });
    predicting.packet(E(1), 0);
    predicting.packet(C(), 10);
    expect(predicting.state).toBe('STREAMING');
    const other = streaming({}, { Supported: 'com.microsoft.wm.sswitch' });
    other.packet(E(1), 0);
    other.packet(C(), 10);
    expect([other.state, other.keepAliveDue]).toEqual(['IDLE', 60_010]);
  });

  it('[WMSP-153] [WMSP-155] asks for the next entry: SelectStream on its own connection, PlayNextEntry when pipelined', () => {
    const plain = streaming();
    for (const packet of [E(1), C(), M!]) plain.packet(packet, 0);
    expect(plain.packet(H!, 0)).toMatchObject([{ type: 'header', cause: 'change' }]);
    const [select] = plain.nextEntry(PLAY);
    expect(select).toMatchObject({ on: 'own', request: { type: 'SelectStream', method: 'POST' } });
    const fast = pipelined();
    for (const packet of [E(1), C(), M!, H!]) fast.packet(packet, 0);
    const [next] = fast.nextEntry(PLAY);
    expect(next).toMatchObject({ on: 'stream', request: { type: 'PlayNextEntry' } });
    for (const action of [select!, next!]) {
      expect(action).toMatchObject({
        request: { fields: expect.arrayContaining([['Pragma', 'stream-switch-entry=ffff:1:0']]) },
      });
    }
    expect(types(fast.packet(D, 0))).toEqual(['data']);
  });

  it('[WMSP-152] switches streams in the middle only if the server can', () => {
    const changes = [{ source: undefined, destination: 2, level: 0 } as const];
    expect(sent(streaming().selectStreams(changes))).toEqual(['SelectStream own']);
    expect(sent(pipelined().selectStreams(changes))).toEqual(['SelectStream stream']);
    const session = streaming({}, { Supported: 'com.microsoft.wm.predstrm' });
    expect(types(session.selectStreams(changes))).toEqual(['note']);
  });

  it('[WMSP-190] stops the KeepAlive timer with a $D and with every request', () => {
    const session = streaming({}, { Supported: 'com.microsoft.wm.sswitch' });
    session.packet(E(1), 0);
    expect(session.keepAliveDue).toBeDefined();
    session.packet(C(), 0);
    session.packet(M!, 0);
    session.packet(H!, 0);
    session.nextEntry(PLAY);
    expect(session.keepAliveDue).toBeUndefined();
    session.packet(E(0), 0);
    expect(session.keepAliveDue).toBeDefined();
    session.startStreaming(PLAY);
    expect(session.keepAliveDue).toBeUndefined();
  });

  it('reports a body that ends without a $E', () => {
    expect(() => streaming().bodyEnded()).toThrow(expect.objectContaining({ code: 'WM_SERVER_GONE' }));
  });

  it('tolerates headers in the middle, $H instead of $M and unknown packets', () => {
    const session = newSession({ tolerant: true });
    session.describe();
    session.streamResponse(response(), 0);
    expect(types(session.packet(H!, 0))).toEqual(['header']);
    session.startStreaming(PLAY);
    session.streamResponse(response(), 0);
    session.packet(H!, 0);
    session.packet(D, 0);
    expect(session.packet(H!, 0)).toMatchObject([{ type: 'header', cause: 'unannounced' }]);
    expect(session.packet({ ...D, id: 0x5a }, 0)).toEqual([]);
    expect(types(session.packet(D, 0))).toEqual(['data']);
  });
});

describe('stopping and waiting', () => {
  it('[WMSP-156] [WMSP-157] [WMSP-159] closes the stream and logs on another connection', () => {
    const session = streaming();
    const actions = session.stopStreaming(7, true);
    expect(types(actions)).toEqual(['closeStream', 'send']);
    expect(sent(actions)).toEqual(['Log own']);
    expect(session.state).toBe('IDLE');
    expect(session.keepAliveDue).toBe(60_007);
    expect(sent(session.startStreaming(PLAY))).toEqual(['Play stream']);
  });

  it('[WMSP-156] [WMSP-157] when pipelined sends Stop and Log on the stream, and ignores the rest', () => {
    const session = pipelined();
    expect(sent(session.stopStreaming(0, true))).toEqual(['Stop stream', 'Log stream']);
    expect(session.packet(D, 0)).toEqual([]);
    expect(() => session.bodyEnded()).not.toThrow();
    session.streamResponse(response(), 0);
    session.streamResponse(response({}, 204), 0);
    expect([session.state, session.responsesDue]).toEqual(['IDLE', 0]);
  });

  it('logs once, and only what was streamed', () => {
    const session = streaming();
    expect(sent(session.packet(E(0), 0))).toEqual(['Log own']);
    expect(sent(session.stopStreaming(0, true))).toEqual([]);
    expect(sent(described().stopStreaming(0, true))).toEqual([]);
  });

  it('[WMSP-196] keeps the session alive with a POST on its own connection, again and again', () => {
    const session = streaming();
    session.stopStreaming(0, true);
    expect(session.keepAliveDue).toBe(60_000);
    const actions = session.keepAliveExpired(60_000, false);
    expect(actions).toMatchObject([{ on: 'own', request: { type: 'KeepAlive', method: 'POST' } }]);
    expect(session.keepAliveDue).toBe(120_000);
  });

  it('[WMSP-197] when pipelined with OPTIONS * on the stream, or with a POST if that is gone', () => {
    const session = pipelined();
    session.packet(E(0), 0);
    expect(session.keepAliveExpired(60_000, true)).toMatchObject([
      { on: 'stream', request: { method: 'OPTIONS', wholeServer: true } },
    ]);
    expect(session.keepAliveExpired(120_000, false)).toMatchObject([{ on: 'own', request: { method: 'POST' } }]);
  });

  it('[WMSP-056] has no KeepAlive for servers below 5.0', () => {
    const session = streaming({}, { Server: 'Cougar/4.1.0.3920' });
    session.stopStreaming(0, true);
    expect(session.keepAliveDue).toBeUndefined();
  });

  it('turns the refusal of a side request into a note', () => {
    expect(types(streaming().sideResponse('SelectStream', response({}, 501)))).toEqual(['note']);
    expect(streaming().sideResponse('Log', response({}, 204))).toEqual([]);
  });
});
