import fc from 'fast-check';
import { FrameReader } from '../../src/framing/framing.js';
import { HeaderFields, type ResponseHead } from '../../src/http/message.js';
import { PushClientSession } from '../../src/wmhttp/client/session.js';
import type { ClientAction, ClientSessionOptions } from '../../src/wmhttp/client/session-actions.js';

const HEADER = Buffer.alloc(100, 0x68);
const PACKET_SIZE = 60;

const response = (status: number, ...fields: Array<[string, string]>): ResponseHead => ({
  status,
  reason: 'Reason',
  minorVersion: 1,
  headers: new HeaderFields(fields),
});
const ok = (...fields: Array<[string, string]>) => response(204, ['Server', 'Cougar/9.6'], ...fields);

const sent = (actions: ClientAction[]) =>
  Buffer.concat(actions.flatMap((action) => (action.type === 'send' ? [action.bytes] : [])));
const types = (actions: ClientAction[]) => actions.map(({ type }) => type);

/** The packets that were sent, such as `H100 D50 E1 F4`; the number is the size of the payload, or the Reason of $E. */
function packets(bytes: Buffer): string {
  const reader = new FrameReader();
  reader.push(bytes);
  const names: string[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) {
    const letter = String.fromCharCode(frame.id);
    names.push(`${letter}${letter === 'E' ? frame.payload.readUInt32LE(0) : frame.payload.length}`);
  }
  expect(reader.midPacket).toBe(false);
  return names.join(' ');
}

const value = (fields: ReadonlyArray<readonly [string, string]>, name: string) =>
  fields.find(([field]) => field === name)?.[1];

/** A session that has sent its first PushStart. */
function streaming(options: ClientSessionOptions = {}, setupResponse = ok(['Set-Cookie', 'push-id=77'])) {
  const session = new PushClientSession(options);
  session.pushSetup('host');
  session.response(setupResponse);
  expect(types(session.header(HEADER, PACKET_SIZE, 80_000))).toEqual(['pushStart']);
  return { session, ...session.pushStart('host') };
}

describe('PushSetup', () => {
  it('[WMHTTP-017] [WMHTTP-046] [WMHTTP-049] has a length, type, host, agent and push-id=0, and is not chunked', () => {
    const { fields, body } = new PushClientSession({ autoDestroy: true }).pushSetup('host:8080');
    expect(fields).toEqual([
      ['Content-Type', 'application/x-wms-pushsetup'],
      ['X-Accept-Authentication', 'Negotiate, NTLM, Digest'],
      ['User-Agent', 'WMEncoder/12.0.7600.16385'],
      ['Host', 'host:8080'],
      ['Content-Length', '16'],
      ['Cookie', 'push-id=0'],
    ]);
    expect(body!.toString()).toBe('AutoDestroy: 1\r\n');
  });

  it('goes through the states of figure 8', () => {
    const session = new PushClientSession();
    expect(session.state).toBe('Init');
    session.pushSetup('host');
    expect(session.state).toBe('WaitingForPushSetupResponse');
    session.response(ok());
    expect(session.state).toBe('PushSetupComplete');
    session.header(HEADER, PACKET_SIZE, 0);
    session.pushStart('host');
    expect(session.state).toBe('PushStart_InProgress');
    session.end(0);
    expect(session.state).toBe('End');
  });

  it('[WMHTTP-052] sends PushStart only after a successful response', () => {
    const session = new PushClientSession();
    expect(session.header(HEADER, PACKET_SIZE, 0)).toEqual([]);
    expect(() => session.pushStart('host')).toThrow('PushSetup');
    session.pushSetup('host');
    expect(() => session.pushStart('host')).toThrow('PushSetup');
    expect(types(session.response(ok()))).toEqual(['ready', 'pushStart']);
    expect(packets(sent(session.pushStart('host').actions))).toBe('H100');
  });

  it('[WMHTTP-070] reports a server of another kind', () => {
    for (const fields of [[], [['Server', 'nginx/1.22']]] as Array<Array<[string, string]>>) {
      const session = new PushClientSession();
      session.pushSetup('host');
      expect(() => session.response(response(200, ...fields))).toThrow(
        expect.objectContaining({
          code: 'WM_PROTOCOL',
          message: expect.stringContaining('not a Windows Media server'),
        }),
      );
      expect(session.state).toBe('End');
    }
  });

  it('[WMHTTP-070] reports it at a PushStart response too', () => {
    const { session } = streaming({ contentLength: 1 });
    session.packet(Buffer.alloc(60));
    expect(() => session.response(response(204))).toThrow(expect.objectContaining({ code: 'WM_PROTOCOL' }));
  });

  it.each([
    [403, 'WM_AUTH_REFUSED', 'The server refused the push to http://host/pub', /after a login \(--user\)/],
    [404, 'WM_PUSH_REFUSED', 'The server refused the push to http://host/pub', /^Name a publishing point/],
    [409, 'WM_PUSH_REFUSED', 'http://host/pub is taken', /^Another encoder is publishing there/],
    [500, 'WM_PUSH_REFUSED', 'The server refused the push to http://host/pub', /log of the server/],
  ])('reports status %i as %s with the name of the point, and what to do', (status, code, sentence, hint) => {
    const session = new PushClientSession({ name: 'http://host/pub' });
    session.pushSetup('host');
    expect(() => session.response(response(status))).toThrow(
      expect.objectContaining({ code, message: `${sentence}: ${status} Reason.`, hint: expect.stringMatching(hint) }),
    );
  });

  it('distinguishes a push ended by an administrator from one that needs a login', () => {
    const { session } = streaming({ contentLength: 2 ** 31 - 1 });
    expect(session.refusal({ ...response(403), reason: 'Forbidden' })).toMatchObject({
      message: expect.stringMatching(/^The server ended the push to /),
      hint: expect.stringMatching(/^An administrator ended it/),
    });
  });

  it.each([
    [false, /^Log in with --user or WMCAST_USER/],
    [true, /^Check the user name and the password/],
  ])('gives a helpful hint after 401 (with a user: %s)', (knows, hint) => {
    const session = new PushClientSession({ knows: () => knows });
    expect(session.refusal({ ...response(401), reason: '' }).hint).toMatch(hint);
  });

  it('asks for credentials at 401 and 407, and follows redirects at 302 and 305', () => {
    const session = new PushClientSession();
    session.pushSetup('host');
    expect(session.response(response(401, ['Set-Cookie', 'push-id=5']))).toEqual([
      { type: 'authenticate', status: 401 },
    ]);
    expect(value(session.pushSetup('host', [['Authorization', 'x']]).fields, 'Cookie')).toBe('push-id=5');
    expect(session.response(response(302, ['Location', 'http://b/c']))).toEqual([
      { type: 'redirect', location: 'http://b/c', proxy: false },
    ]);
    expect(session.response(response(305, ['Location', 'http://p/']))).toEqual([
      { type: 'redirect', location: 'http://p/', proxy: true },
    ]);
  });
});

describe('PushStart', () => {
  it('[WMHTTP-027] [WMHTTP-054] [WMHTTP-057] [WMHTTP-058] has Length-Remaining as its length, and the push-id of the server', () => {
    const { request, session } = streaming();
    expect(request.fields).toEqual([
      ['Content-Type', 'application/x-wms-pushstart'],
      ['X-Accept-Authentication', 'Negotiate, NTLM, Digest'],
      ['User-Agent', 'WMEncoder/12.0.7600.16385'],
      ['Host', 'host'],
      ['Content-Length', '2147483647'],
      ['Cookie', 'push-id=77'],
    ]);
    expect(session.lengthRemaining).toBe(2_147_483_647 - 104);
  });

  it('[WMHTTP-071] keeps its push-id when the response sets none, or an impossible one', () => {
    expect(value(streaming({}, ok()).request.fields, 'Cookie')).toBe('push-id=0');
    const { session, request } = streaming(
      { contentLength: 1 },
      ok(['Set-Cookie', 'push-id=5'], ['Set-Cookie', 'a=b']),
    );
    expect(value(request.fields, 'Cookie')).toBe('push-id=5; a=b');
    for (let count = 0; count < 4; count++) session.packet(Buffer.alloc(60));
    session.response(ok(['Set-Cookie', 'push-id=0'], ['Set-Cookie', 'a=c']));
    expect(value(session.pushStart('host').request.fields, 'Cookie')).toBe('push-id=5; a=c');
    for (let count = 0; count < 4; count++) session.packet(Buffer.alloc(60));
    session.response(ok(['Set-Cookie', 'push-id=6; Path=/']));
    expect(value(session.pushStart('host').request.fields, 'Cookie')).toBe('push-id=6; a=c');
  });

  it('[WMHTTP-028] [WMHTTP-059] has $H in the first body only, and subtracts it from Length-Remaining', () => {
    const { session, actions } = streaming({ contentLength: 300 });
    expect(packets(sent(actions))).toBe('H100');
    expect(session.lengthRemaining).toBe(196);
    for (let count = 0; count < 4; count++) session.packet(Buffer.alloc(60));
    session.response(ok());
    expect(packets(sent(session.pushStart('host').actions))).toBe('D60 D60');
  });

  it('[WMHTTP-056] is never shorter than three whole packets, or the largest header and 4', () => {
    const large = new PushClientSession({ contentLength: 1 });
    large.pushSetup('host');
    large.response(ok());
    large.header(HEADER, 8000, 0);
    expect(value(large.pushStart('host').request.fields, 'Content-Length')).toBe(String(3 * 8004));

    const small = streaming({ contentLength: 1 });
    expect(value(small.request.fields, 'Content-Length')).toBe(String(3 * 64));

    const change = streaming({ contentLength: 1 });
    change.session.header(Buffer.alloc(5000), 10, 0);
    change.session.response(ok());
    const next = change.session.pushStart('host');
    expect(Number(value(next.request.fields, 'Content-Length'))).toBeGreaterThanOrEqual(5008 + 4);
    expect(packets(sent(next.actions))).toBe('C5004');
  });

  it('[WMHTTP-055] [WMHTTP-072] holds about 60 seconds when a Via header names a proxy', () => {
    const { request, session } = streaming({}, ok(['Via', '1.1 proxy']));
    expect(session.usingProxy).toBe(true);
    expect(value(request.fields, 'Content-Length')).toBe(String((80_000 * 60) / 8));
  });

  it('[WMHTTP-072] learns of a proxy from a PushStart response too', () => {
    const { session } = streaming({ contentLength: 1 });
    for (let count = 0; count < 4; count++) session.packet(Buffer.alloc(60));
    session.response(ok(['Via', '1.0 old']));
    expect(session.usingProxy).toBe(true);
  });

  it('[WMHTTP-006] [WMHTTP-009] [WMHTTP-012] ignores Cache-Control, Pragma and Supported', () => {
    const odd = ok(['Cache-Control', 'max-age=5'], ['Pragma', 'timeout=1, xyz'], ['Supported', 'com.x.y']);
    const { request } = streaming({}, odd);
    expect(request.fields).toEqual(streaming({}, ok()).request.fields);
  });
});

describe('Length-Remaining', () => {
  /** A session with exactly `left` bytes of Length-Remaining. */
  function withLeft(left: number): PushClientSession {
    const { session } = streaming({ contentLength: 104 + 1000 });
    session.packet(Buffer.alloc(1000 - left - 4));
    expect(session.lengthRemaining).toBe(left);
    return session;
  }

  it('[WMHTTP-060] sends a $D that leaves more than 4 bytes, and subtracts its whole size', () => {
    const session = withLeft(200);
    expect(packets(sent(session.packet(Buffer.alloc(191))))).toBe('D191');
    expect(session.lengthRemaining).toBe(5);
  });

  it.each([192, 193, 197, 1000])(
    '[WMHTTP-060] [WMHTTP-061] fills up before a $D of %i bytes that does not fit, and keeps it',
    (size) => {
      const session = withLeft(200);
      const actions = session.packet(Buffer.alloc(size));
      expect(packets(sent(actions))).toBe('F196');
      expect(types(actions)).toEqual(['send', 'awaitResponse']);
      expect(session.lengthRemaining).toBe(0);
      expect(session.queued).toBe(1);
      expect(types(session.response(ok()))).toEqual(['pushStart']);
      expect(packets(sent(session.pushStart('host').actions))).toBe(`D${size}`);
      expect(session.queued).toBe(0);
    },
  );

  it('[WMHTTP-062] fills more than 65535 bytes with several $F', () => {
    const { session } = streaming({ contentLength: 104 + 65_540 });
    const actions = session.packet(Buffer.alloc(65_535));
    expect(sent(actions)).toHaveLength(65_540);
    expect(
      packets(sent(actions))
        .split(' ')
        .every((name) => name.startsWith('F')),
    ).toBe(true);
    expect(packets(sent(actions)).split(' ')).toHaveLength(2);
  });

  it('[WMHTTP-063] [WMHTTP-075] sends nothing at 0, and everything that was waiting in the next body', () => {
    const session = withLeft(6);
    expect(packets(sent(session.packet(Buffer.alloc(50))))).toBe('F2');
    expect(session.packet(Buffer.alloc(51))).toEqual([]);
    expect(session.end(1)).toEqual([]);
    expect(session.header(Buffer.alloc(52), PACKET_SIZE, 0)).toEqual([]);
    expect(session.packet(Buffer.alloc(53))).toEqual([]);
    expect(session.end(0)).toEqual([]);
    expect(types(session.response(ok()))).toEqual(['pushStart']);
    const { actions } = session.pushStart('host');
    expect(packets(sent(actions))).toBe('D50 D51 E1 C56 D53 E0');
    expect(types(actions).at(-1)).toBe('close');
  });

  it('[WMHTTP-075] sends the next PushStart at once even if nothing is waiting', () => {
    const session = withLeft(8);
    expect(types(session.end(1))).toEqual(['send', 'awaitResponse']);
    expect(types(session.response(ok()))).toEqual(['pushStart']);
    expect(session.pushStart('host').actions).toEqual([]);
    expect(packets(sent(session.header(HEADER, PACKET_SIZE, 0)))).toBe('C104');
  });

  it('[WMHTTP-064] sends $E if 8 bytes are left, and fills up below that', () => {
    for (const left of [8, 12, 100]) {
      const session = withLeft(left);
      expect(packets(sent(session.end(1)))).toBe('E1');
      expect(session.lengthRemaining).toBe(left - 8);
    }
    for (const left of [5, 6, 7]) {
      const session = withLeft(left);
      expect(packets(sent(session.end(0)))).toBe(`F${left - 4}`);
      expect(session.lengthRemaining).toBe(0);
      session.response(ok());
      expect(packets(sent(session.pushStart('host').actions))).toBe('E0');
    }
  });

  it('sends no $E that leaves one to three bytes, which nothing can fill, unless it is the last packet', () => {
    for (const left of [9, 10, 11]) {
      expect(packets(sent(withLeft(left).end(1)))).toBe(`F${left - 4}`);
      expect(packets(sent(withLeft(left).end(0)))).toBe('E0');
    }
  });

  it('[WMHTTP-067] fills up before a $C that does not fit with 4 bytes more', () => {
    for (const [size, expected] of [
      [180, 'E1 C184'],
      [181, 'E1 F188'],
    ] as const) {
      const session = withLeft(200);
      const actions = session.header(Buffer.alloc(size), PACKET_SIZE, 0);
      expect(packets(sent(actions))).toBe(expected);
      if (session.queued === 0) continue;
      session.response(ok());
      expect(packets(sent(session.pushStart('host').actions))).toBe(`C${size + 4}`);
    }
  });

  it('[WMHTTP-057] [WMHTTP-060] [WMHTTP-062] makes every body exactly as long as announced, whatever is sent', () => {
    const event = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ kind: fc.constant('packet' as const), size: fc.integer({ min: 1, max: 60 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('header' as const), size: fc.integer({ min: 30, max: 300 }) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('end' as const), size: fc.constant(0) }) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 900 }), fc.array(event, { maxLength: 80 }), (contentLength, events) => {
        const { session, request, actions } = streaming({ contentLength });
        let length = Number(value(request.fields, 'Content-Length'));
        let body = sent(actions);
        const all: string[] = [];
        const take = (more: ClientAction[]) => {
          for (const action of more) {
            if (action.type === 'send') body = Buffer.concat([body, action.bytes]);
            if (action.type === 'awaitResponse') {
              expect(body.length).toBe(length);
              all.push(packets(body));
              session.response(ok());
              const next = session.pushStart('host');
              length = Number(value(next.request.fields, 'Content-Length'));
              body = Buffer.alloc(0);
              take(next.actions);
            }
          }
        };
        let needsHeader = false;
        const wanted = ['H100'];
        for (const { kind, size } of events) {
          if (kind === 'packet' && !needsHeader) {
            wanted.push(`D${size}`);
            take(session.packet(Buffer.alloc(size)));
          } else if (kind === 'header') {
            if (!needsHeader) wanted.push('E1');
            needsHeader = false;
            wanted.push(`C${size + 4}`);
            take(session.header(Buffer.alloc(size), PACKET_SIZE, 0));
          } else if (kind === 'end' && !needsHeader) {
            needsHeader = true;
            wanted.push('E1');
            take(session.end(1));
          }
        }
        wanted.push('E0');
        take(session.end(0));
        all.push(packets(body));
        expect(body.length).toBeLessThanOrEqual(length);
        const got = all
          .join(' ')
          .split(' ')
          .filter((name) => name !== '' && !name.startsWith('F'));
        expect(got).toEqual(wanted);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the end of entries', () => {
  it('[WMHTTP-040] [WMHTTP-066] sends $E with Reason 1 before a $C when no end was written', () => {
    const { session } = streaming();
    session.packet(Buffer.alloc(10));
    expect(packets(sent(session.header(Buffer.alloc(50), PACKET_SIZE, 0)))).toBe('E1 C54');
  });

  it('[WMHTTP-029] [WMHTTP-066] sends it once only', () => {
    const { session } = streaming();
    expect(packets(sent(session.end(1)))).toBe('E1');
    expect(packets(sent(session.header(Buffer.alloc(50), PACKET_SIZE, 0)))).toBe('C54');
    expect(packets(sent(session.packet(Buffer.alloc(10))))).toBe('D10');
  });

  it('[WMHTTP-040] sends no $D after an end', () => {
    const { session } = streaming();
    session.end(1);
    expect(() => session.packet(Buffer.alloc(10))).toThrow('without an ASF header');
    expect(() => new PushClientSession().packet(Buffer.alloc(10))).toThrow('without an ASF header');
  });

  it('[WMHTTP-040] [WMHTTP-065] closes after $E with any Reason but 1, without waiting for a response', () => {
    for (const reason of [0, 0x8000_4005, 0xa000_0001]) {
      const { session } = streaming();
      const actions = session.end(reason);
      expect(packets(sent(actions))).toBe(`E${reason}`);
      expect(types(actions)).toEqual(['send', 'close']);
      expect(session.state).toBe('End');
      expect(session.response(response(422))).toEqual([]);
      expect(session.end(0)).toEqual([]);
    }
  });

  it('[WMHTTP-036] refuses a later header that is too large for $C', () => {
    const { session } = streaming();
    expect(() => session.header(Buffer.alloc(65_528), PACKET_SIZE, 0)).toThrow(
      expect.objectContaining({ code: 'WM_BAD_INPUT' }),
    );
  });
});

describe('a response in the middle of the body', () => {
  it('ends the push when it refuses', () => {
    const { session } = streaming();
    expect(() => session.response(response(404))).toThrow(expect.objectContaining({ code: 'WM_PUSH_REFUSED' }));
    expect(session.state).toBe('End');
  });

  it('is tolerated if it is a success: the body is finished first, and the next PushStart follows at once', () => {
    const { session } = streaming({ contentLength: 300 });
    expect(session.response(ok())).toEqual([]);
    const actions = [...Array(4)].flatMap(() => session.packet(Buffer.alloc(60)));
    expect(types(actions).filter((type) => type !== 'send')).toEqual(['pushStart']);
    expect(packets(sent(session.pushStart('host').actions))).toBe('D60 D60');
  });
});
