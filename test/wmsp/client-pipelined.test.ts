import type { WmspClientSession } from '../../src/wmsp/client/session.js';
import {
  D,
  described as describedSession,
  E,
  H,
  PLAY,
  packetOf,
  pipelined,
  response,
  sent,
} from './client-session-support.js';
import {
  COUGAR,
  chunk,
  dataPackets,
  described,
  ENTRY,
  head,
  LAST_CHUNK,
  media,
  ordinary,
  packets,
  playing,
  receive,
  type Script,
  ScriptedServer,
} from './client-support.js';

let server: ScriptedServer;
afterEach(() => server?.close());

const SENT = media(20);

async function serve(script: Script): Promise<void> {
  server = await ScriptedServer.listen(script);
}

describe('the pipelined mode', () => {
  function testing(): WmspClientSession {
    const session = describedSession({ pipelined: true }, { Pragma: 'client-id=5, pipeline-experiment=1' });
    session.startStreaming(PLAY);
    return session;
  }

  it('[WMSP-142] [WMSP-187] is used after $T and pipeline-result=1; Play follows', () => {
    const session = testing();
    expect(session.streamResponse(response(), 0)).toEqual([]);
    expect(session.packet(packetOf(packets.T()), 0)).toEqual([]);
    session.bodyEnded();
    const actions = session.streamResponse(response({ Pragma: 'pipeline-result=1' }, 204), 0);
    expect(session.mode).toBe('pipelined');
    expect(actions).toMatchObject([{ on: 'stream', request: { type: 'Play', minorVersion: 1 } }]);
  });

  it.each([
    ['pipeline-result=0', true],
    ['no-cache', true],
    ['pipeline-result=1', false],
  ])('[WMSP-187] is not used after %s with a $T: %s; Play follows nevertheless', (pragma, testData) => {
    const session = testing();
    session.streamResponse(response(), 0);
    if (testData) session.packet(packetOf(packets.T()), 0);
    session.bodyEnded();
    const actions = session.streamResponse(response({ Pragma: pragma }, 204), 0);
    expect(session.mode).toBe('non-pipelined');
    expect(actions).toMatchObject([{ request: { type: 'Play', minorVersion: 0 } }]);
  });

  it.each([
    ['another $T', packetOf(packets.T())],
    ['$D', D],
    ['$H', H!],
  ])('[WMSP-281] accepts nothing after the $T: %s', (_, next) => {
    const session = testing();
    session.streamResponse(response(), 0);
    session.packet(packetOf(packets.T()), 0);
    expect(() => session.packet(next, 0)).toThrow(expect.objectContaining({ code: 'WM_PROTOCOL' }));
  });

  it('is not used if the connection breaks during the test', () => {
    const session = testing();
    expect(session.pipelineTestFailed()).toMatchObject([{ request: { type: 'Play', minorVersion: 0 } }]);
    expect(session.responsesDue).toBe(1);
    expect(session.pipelineTestFailed()).toEqual([]);
  });

  it('[WMSP-191] sends the Log of an entry on the stream', () => {
    expect(sent(pipelined().packet(E(0), 0))).toEqual(['Log stream']);
  });
});

describe('a client in the pipelined mode', () => {
  const HEAD11 = ['HTTP/1.1 200 OK', COUGAR, 'Transfer-Encoding: chunked'] as const;
  const EMPTY = head('HTTP/1.1 204 No Content', COUGAR, 'Pragma: client-id=123');

  /** A server that speaks it, with two entries. Responses wait as MS-WMSP 3.2.5 says. */
  function pipelining(): Script {
    let waiting = '';
    return (request, reply) => {
      switch (request.type) {
        case 'Describe': {
          const lines = [COUGAR, 'Pragma: client-id=123, pipeline-experiment=1, features="seekable"'];
          reply.send(
            described(ENTRY, ...lines)
              .toString('latin1')
              .replace('HTTP/1.0', 'HTTP/1.1'),
          );
          break;
        }
        case 'Pipeline':
          if (server.of('Pipeline').length === 1) reply.send(head(...HEAD11), chunk(packets.T()));
          else reply.send(LAST_CHUNK, EMPTY.replace('client-id=123', 'client-id=123, pipeline-result=1'));
          break;
        case 'Play':
          reply.send(
            head(...HEAD11),
            chunk(ENTRY),
            chunk(dataPackets(SENT)),
            chunk(packets.E(1), packets.C()),
            chunk(ENTRY),
          );
          break;
        case 'Log':
          if (server.of('PlayNextEntry').length === 0) waiting += EMPTY;
          else reply.send(LAST_CHUNK, EMPTY);
          break;
        case 'PlayNextEntry':
          reply.send(LAST_CHUNK, waiting, head(...HEAD11), chunk(dataPackets(SENT)), chunk(packets.E(0), packets.E(0)));
          break;
        default:
          reply.send(EMPTY);
      }
    };
  }

  it('[WMSP-142] [WMSP-150] [WMSP-153] [WMSP-191] does everything on one connection', async () => {
    await serve(pipelining());
    const { shape, error } = await receive({ url: server.url(), pipelined: true });
    expect([shape, error]).toEqual(['H 20 E1 H 20 E0', undefined]);
    expect(server.requests.map(({ type }) => type)).toEqual([
      'Describe',
      'Pipeline',
      'Pipeline',
      'Play',
      'Log',
      'PlayNextEntry',
      'Log',
    ]);
    expect(server.connections).toBe(1);
    expect(server.requests.every(({ line }) => line.endsWith('HTTP/1.1'))).toBe(true);
  });

  it('[WMSP-156] [WMSP-157] stops with Stop and Log', async () => {
    let stopped = false;
    await serve((request, reply) => {
      if (request.type === 'Play') reply.send(head(...HEAD11), chunk(ENTRY), chunk(dataPackets(SENT)));
      else if (request.type === 'Stop') {
        stopped = true;
        reply.send(
          chunk(dataPackets(SENT.slice(0, 2))),
          LAST_CHUNK,
          head('HTTP/1.1 200 OK', COUGAR, 'Content-Length: 0'),
        );
      } else if (request.type === 'Log' && stopped) reply.send(EMPTY);
      else pipelining()(request, reply);
    });
    const { shape } = await receive({ url: server.url(), pipelined: true }, (event, client) => {
      if (event.type === 'packet' && event.packet.sendTime === 1900) void client.close();
    });
    expect(shape).toBe('H 20 E0');
    expect(server.requests.map(({ type }) => type).slice(-3)).toEqual(['Play', 'Stop', 'Log']);
    expect(server.connections).toBe(1);
  });

  it('[WMSP-187] falls back to the other mode if the test breaks the connection', async () => {
    await serve((request, reply) => {
      if (request.type === 'Pipeline') reply.destroy();
      else if (request.type === 'Describe') pipelining()(request, reply);
      else ordinary((play) => play.send(playing(COUGAR), ENTRY, dataPackets(SENT), packets.E(0)).end())(request, reply);
    });
    const { shape, error } = await receive({ url: server.url(), pipelined: true });
    expect([shape, error]).toEqual(['H 20 E0', undefined]);
    expect(server.of('Play')[0]!.line).toBe('GET /x HTTP/1.0');
  });
});
