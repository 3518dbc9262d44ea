import { Socket } from 'node:net';
import { jest } from '@jest/globals';
import { Exchange } from '../../src/http/exchange.js';
import type { Content as AnyContent, Found } from '../../src/playback/content.js';
import { parseResponse, parseResponses, parseWholeResponse, type RawPeer, wirePackets } from '../support/wire.js';
import { Content } from './content.js';
import { BOTH_STREAMS, clientIdOf, kindsOf, NEW, OLD, PLAY, Station, tokenOf, type Watcher } from './station.js';

const NOT_PREDICTED = 'Supported: com.microsoft.wm.sswitch';

let content: Content;
let station: Station;

beforeEach(async () => {
  content = await Content.create();
  station = await Station.open({ content });
  for (const name of ['a', 'b']) await content.media(`${name}.wmv`, { seconds: 2 });
  await content.playlist('list.wsx', 'a.wmv', 'b.wmv');
});

afterEach(async () => {
  jest.restoreAllMocks();
  await station.close();
  await content.close();
});

const idle = (milliseconds: number) => {
  station.tick(milliseconds);
  station.server.sweep();
};

const select = (id: number, path = '/list.wsx') =>
  station.ask(
    `POST ${path} HTTP/1.1`,
    NEW,
    `Pragma: client-id=${id}`,
    'Pragma: stream-switch-count=2',
    'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
    'Content-Length: 0',
  );

const headers = ({ packets }: Watcher) => packets.filter(({ id }) => id === 'H').length;

/** A player that waits to choose the streams of the second entry. */
async function waiting(): Promise<Watcher> {
  const watcher = await station.play('GET /list.wsx HTTP/1.0', NEW, NOT_PREDICTED, ...PLAY, ...BOTH_STREAMS);
  await station.tickUntil(() => headers(watcher) === 2);
  return watcher;
}

/** The same in pipelined mode, with its connection. */
async function pipelined(...lines: string[]): Promise<RawPeer> {
  const peer = await station.peer();
  peer.request('GET /list.wsx HTTP/1.1', NEW, 'Pragma: version11-enabled=1', ...PLAY, ...BOTH_STREAMS, ...lines);
  await peer.until((bytes) => (parseResponse(bytes)?.status === 200 ? true : undefined));
  return peer;
}

describe('Idle-Timeout', () => {
  it('[WMSP-260] [WMSP-209] closes the connection of a client that does not choose the streams of an entry', async () => {
    const watcher = await waiting();
    idle(64_000);
    await station.settle();
    expect(watcher.peer.ended).toBe(false);
    idle(2_000);
    await watcher.all();
    expect(station.server.players).toBe(0);
    expect((await select(clientIdOf(watcher.response))).status).toBe(400);
  });

  it('[WMSP-260] does so in pipelined mode, too, with the end of the chunks', async () => {
    const peer = await pipelined(NOT_PREDICTED);
    await station.tickUntil(() => peer.received.toString('latin1').split('$H').length === 3);
    idle(66_000);
    expect((await peer.untilClosed()).toString('latin1')).toMatch(/\r\n0\r\n\r\n$/);
  });

  it('[WMSP-260] closes the connection that a client has kept open after the end of its stream', async () => {
    const peer = await pipelined();
    await station.tickUntil(() => peer.received.toString('latin1').endsWith('\r\n0\r\n\r\n'));
    await station.settle();
    expect(peer.ended).toBe(false);
    idle(66_000);
    await peer.untilClosed();
    expect(station.server.sessions).toBe(0);
  });

  it('[WMSP-279] [WMSP-260] closes all connections of the session, and no others', async () => {
    const describing = await station.peer();
    describing.request('GET /list.wsx HTTP/1.1', NEW, 'Connection: keep-alive');
    const id = clientIdOf(await describing.until(parseWholeResponse));
    const shared = await station.peer();
    const others = [await station.peer(), await station.peer(), shared];
    for (const peer of others) {
      peer.request('GET /list.wsx HTTP/1.1', NEW, 'Connection: keep-alive', `Pragma: client-id=${id}`);
      await peer.until(parseWholeResponse);
    }
    // Another session has used this connection since.
    idle(40_000);
    shared.request('GET /list.wsx HTTP/1.1', NEW, 'Connection: keep-alive');
    await shared.until((bytes) =>
      parseResponses(bytes).filter(({ complete }) => complete).length === 2 ? true : undefined,
    );
    idle(30_000);
    await describing.untilClosed();
    for (const peer of others.slice(0, 2)) await peer.untilClosed();
    await station.settle();
    expect([shared.ended, station.server.sessions]).toEqual([false, 1]);
  });

  it('[WMSP-217] restarts with each request of a waiting client', async () => {
    const watcher = await waiting();
    for (let round = 0; round < 3; round++) {
      idle(60_000);
      const id = clientIdOf(watcher.response);
      const response = await station.ask(
        'POST /list.wsx HTTP/1.0',
        NEW,
        `Pragma: xKeepAliveInPause=1, client-id=${id}`,
        'Content-Length: 0',
      );
      expect(response.status).toBe(200);
    }
    await select(clientIdOf(watcher.response));
    await station.tickUntil(() => watcher.peer.ended);
    expect(kindsOf(await watcher.all()).slice(-3)).toEqual(['H', 'D', 'E0']);
  });

  it('is separate for each session, whatever others do', async () => {
    // Long enough that the second entry is announced only as time passes.
    await content.media('a.wmv', { seconds: 8 });
    await station.ask('GET /a.wmv HTTP/1.1', NEW);
    const watcher = await station.play('GET /list.wsx HTTP/1.0', NEW, NOT_PREDICTED, ...PLAY, ...BOTH_STREAMS);
    await station.ask('GET /a.wmv HTTP/1.1', NEW);
    idle(40_000);
    await station.tickUntil(() => headers(watcher) === 2);
    expect(station.server.sessions).toBe(3);
    idle(26_000);
    // The waiting session began to wait later.
    expect(station.server.sessions).toBe(1);
  });
});

describe('a client-id from another address', () => {
  const elsewhere = () => jest.spyOn(Exchange.prototype, 'remoteAddress', 'get').mockReturnValue('192.0.2.9');

  it.each([
    ['Stop', 'POST', ['Pragma: xStopStrm=1', 'Content-Length: 0']],
    ['SelectStream', 'POST', ['Pragma: stream-switch-entry=ffff:1:2', 'Content-Length: 0']],
    ['Log', 'POST', ['Pragma: log-line=1 2 3', 'Content-Length: 0']],
    ['KeepAlive', 'POST', ['Pragma: xKeepAliveInPause=1', 'Content-Length: 0']],
    ['Pipeline', 'GET', ['Pragma: pipeline-request=1']],
    ['PlayNextEntry', 'GET', ['Pragma: xPlayNextEntry=1']],
  ])('[WMSP-216] is unknown: %s', async (_, method, lines) => {
    const logs: unknown[] = [];
    await station.close();
    station = await Station.open({ content, onLog: (log) => logs.push(log) });
    const watcher = await station.play('GET /a.wmv HTTP/1.0', NEW, ...PLAY, ...BOTH_STREAMS);
    const request = [`${method} /a.wmv HTTP/1.1`, NEW, `Pragma: client-id=${clientIdOf(watcher.response)}`, ...lines];
    elsewhere();
    const response = await station.ask(...request);
    expect(response.status).toBe(400);
    expect(response.pragma.join()).not.toContain('client-id');
    jest.restoreAllMocks();
    expect(logs).toEqual([]);
    await station.tickUntil(() => watcher.peer.ended);
    expect(kindsOf(await watcher.all())).toEqual(['M', 'H', 'D', 'E0']);
  });

  it('[WMSP-229] gets its own session with a Describe or a Play', async () => {
    const id = clientIdOf(await station.ask('GET /a.wmv HTTP/1.1', NEW));
    elsewhere();
    const described = await station.ask('GET /a.wmv HTTP/1.1', NEW, `Pragma: client-id=${id}`);
    const played = await station.play('GET /a.wmv HTTP/1.0', NEW, ...PLAY, ...BOTH_STREAMS, `Pragma: client-id=${id}`);
    for (const response of [described, played.response]) {
      expect(response.pragma).toContain('xResetStrm=1');
      expect(clientIdOf(response)).not.toBe(id);
    }
  });
});

describe('a client that is quicker than the disk', () => {
  let held: Array<() => void>;

  /** The same content, whose programs move on when the test lets them. */
  const slow: AnyContent = {
    find: async (request) => {
      const found = (await content.find(request)) as Found;
      return {
        ...found,
        open: async (signal, place) => {
          const program = await found.open(signal, place);
          return {
            playlist: true,
            get current() {
              return program.current;
            },
            canSkip: (offset) => program.canSkip(offset),
            next: () => new Promise((resolve) => held.push(() => resolve(program.next()))),
            previous: () => program.previous(),
            seek: (id, offset) => program.seek(id, offset),
            close: () => program.close(),
          };
        },
      };
    },
  };

  beforeEach(async () => {
    held = [];
    await station.close();
    station = await Station.open({ content: slow });
  });

  it('gets no data of the entry after the one that it left, in its next Play', async () => {
    const first = await station.play('GET /list.wsx HTTP/1.0', NEW, ...PLAY, ...BOTH_STREAMS);
    await station.tickUntil(() => held.length === 1);
    first.peer.close();
    await station.tickUntil(() => station.server.players === 0, 0);
    const id = `Pragma: client-id=${clientIdOf(first.response)}`;
    const second = await station.play('GET /list.wsx HTTP/1.0', NEW, ...PLAY, ...BOTH_STREAMS, id);
    await station.tickUntil(() => held.length === 2);
    held[0]!();
    await station.settle();
    expect(kindsOf(second.packets)).toEqual(['M', 'H', 'D']);
    held[1]!();
    expect(kindsOf(await second.packetsWith('H', 2)).slice(2, 7)).toEqual(['D', 'E1', 'C0', 'M', 'H']);
  });
});

describe('a broadcast without prediction', () => {
  beforeEach(async () => {
    await station.close();
    station = await Station.open();
    station.key();
  });

  const play = () => station.play(NEW, NOT_PREDICTED, ...PLAY, ...BOTH_STREAMS);

  it('[WMSP-209] [WMSP-252] waits after another header until SelectStream', async () => {
    const watcher = await play();
    await watcher.packetsWith('D', 1);
    station.header({ title: 'next' });
    station.key();
    await watcher.packetsWith('H', 2);
    await station.settle();
    expect(kindsOf(watcher.packets)).toEqual(['M', 'H', 'D', 'E1', 'C0', 'M', 'H']);
    await select(clientIdOf(watcher.response), '/live');
    expect(kindsOf(await watcher.packetsWith('D', 2)).at(-1)).toBe('D');
  });

  it('announces yet another header if the streams of the last one are chosen too late', async () => {
    const watcher = await play();
    await watcher.packetsWith('D', 1);
    station.header({ title: 'second' });
    await watcher.packetsWith('H', 2);
    station.header({ title: 'third' });
    station.key();
    await select(clientIdOf(watcher.response), '/live');
    await watcher.packetsWith('H', 3);
    await station.settle();
    expect(kindsOf(watcher.packets).slice(-3)).toEqual(['C0', 'M', 'H']);
    await select(clientIdOf(watcher.response), '/live');
    await watcher.packetsWith('D', 2);
  });

  it('ends with $E 0 if the broadcast is over by then', async () => {
    const watcher = await play();
    await watcher.packetsWith('D', 1);
    station.header({ title: 'second' });
    await watcher.packetsWith('H', 2);
    station.end();
    await select(clientIdOf(watcher.response), '/live');
    expect(kindsOf(await watcher.all()).slice(-2)).toEqual(['H', 'E0']);
  });
});

describe('the packet pair', () => {
  it('[WMSP-234] is sent in segments: the head with the first $P, then the second one on its own', async () => {
    const peer = await station.peer();
    const writes: Buffer[] = [];
    const write = Socket.prototype.write;
    jest.spyOn(Socket.prototype, 'write').mockImplementation(function (this: Socket, ...args: unknown[]) {
      if (this.localPort === station.port) writes.push(Buffer.from(args[0] as Buffer));
      return Reflect.apply(write, this, args) as boolean;
    });
    peer.request('GET /a.wmv HTTP/1.1', NEW, 'Pragma: packet-pair-experiment=1');
    const response = await peer.until(parseWholeResponse);
    const head = peer.received.length - response.body.length;
    expect(writes[0]!.toString('latin1')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(writes[0]).toHaveLength(head + 8 + Math.max(0, 504 - head));
    expect(writes[1]).toHaveLength(512);
    expect(writes[1]!.toString('latin1', 0, 2)).toBe('$P');
    expect(Buffer.concat(writes).equals(peer.received)).toBe(true);
  });
});

describe('a file that can no longer be read', () => {
  it('[WMSP-001] ends with $E and an HRESULT of Microsoft, and does not affect others', async () => {
    await station.close();
    const errors: unknown[] = [];
    station = await Station.open({ content, onError: (error) => errors.push(error) });
    await content.media('long.wmv', { seconds: 60 });
    const watcher = await station.play('GET /long.wmv HTTP/1.0', OLD, ...PLAY, ...BOTH_STREAMS);
    await watcher.packetsWith('D', 30);
    await content.files.close();
    await station.tickUntil(() => watcher.peer.ended);
    const last = (await watcher.all()).at(-1)!;
    expect(last).toMatchObject({ id: 'E', reason: 0x8000ffff });
    expect(errors).toMatchObject([{ code: 'WM_NO_INPUT' }]);
    expect(station.server.players).toBe(0);
    expect((await station.ask('OPTIONS * HTTP/1.1', NEW)).status).toBe(200);
  });
});

describe('an encoder', () => {
  it('[WMSP-265] [WMSP-218] [WMSP-059] answers as Rex, has a broadcast, no $M, and offers neither seeking nor skipping nor striding', async () => {
    await station.close();
    station = await Station.open({ encoder: true });
    station.key();
    const response = await station.ask('GET /live HTTP/1.1', 'User-Agent: NSServer/9.0.0.3171', 'Max-Forwards: 9');
    expect(response.field('Server')).toMatch(/^Rex\/(?:4\.0|7\.[01]|8\.0|9\.0|1[01]\.0)(?:\.\d{1,5}){0,2}$/);
    expect(response.field('Supported')).toBeUndefined();
    expect(tokenOf(response, 'features')).toMatch(/^"broadcast(?:,playlist)?"$/);
    expect(wirePackets(response.body).map(({ id }) => id)).toEqual(['H']);
    const watcher = await station.play('User-Agent: NSServer/9.0', ...PLAY, ...BOTH_STREAMS);
    await watcher.packetsWith('D', 1);
    station.header({ title: 'next' });
    station.key();
    await watcher.packetsWith('D', 2);
    station.end();
    expect(kindsOf(await watcher.all())).toEqual(['H', 'D', 'E1', 'C0', 'H', 'D', 'E0']);
    expect((await station.ask('GET /live HTTP/1.1', OLD)).status).toBe(503);
  });
});
