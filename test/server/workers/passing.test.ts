import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { LoginMemory } from '../../../src/auth/login-memory.js';
import type { Exchange, ResponseStream } from '../../../src/http/exchange.js';
import { HttpServer } from '../../../src/http/server.js';
import { defaultConfig } from '../../../src/server/config.js';
import { MESSAGES_VERSION, socketOf } from '../../../src/server/workers/messages.js';
import { PassedOn } from '../../../src/server/workers/passing.js';
import { WorkerPart } from '../../../src/server/workers/worker.js';
import { field, Peer } from '../../http/peer.js';
import { testTls } from '../../support/tls.js';
import { until } from '../../support/until.js';

describe('a worker with a client by TLS', () => {
  let folder: string;
  let main: PassedOn;
  let mainHttp: HttpServer;
  let part: WorkerPart;
  let http: HttpServer;
  let peer: Peer;
  /** Requests that the worker answers itself, and those that the main process answers. */
  let own: string[];
  let passed: string[];
  let streams: ResponseStream[];

  beforeEach(async () => {
    [own, passed, streams] = [[], [], []];
    folder = await mkdtemp(join(tmpdir(), 'wmcast-test-'));
    const answer = (exchange: Exchange) => {
      passed.push(exchange.request.target);
      exchange.respond({ status: 200, body: Buffer.from('main') });
    };
    mainHttp = new HttpServer({ onRequest: answer });
    main = new PassedOn({ client: mainHttp, points: () => {} });
    await main.listen(socketOf(folder, 0));
    const config = defaultConfig();
    const [version, ports, points] = [MESSAGES_VERSION, {}, []];
    const logins = new LoginMemory().snapshot();
    part = await WorkerPart.open(
      {
        kind: 'start',
        version,
        ports,
        config,
        node: 0,
        nodes: 1,
        worker: 1,
        processes: 2,
        folder,
        logins,
        events: false,
        points,
        mainServes: false,
      },
      () => {},
    );
    http = new HttpServer({
      tls: testTls,
      onRequest: (exchange) => {
        if (part.passOn(exchange)) return;
        own.push(exchange.request.target);
        streams.push(exchange.startStream(200, [], { chunked: true }));
      },
    });
    const socket = connect({ port: await http.listen(0, '127.0.0.1'), ca: testTls.cert, host: 'localhost' });
    await once(socket, 'secureConnect');
    peer = new Peer(socket);
  });

  afterEach(async () => {
    peer.destroy();
    part.close();
    await http.close(0);
    main.close();
    await mainHttp.close(0);
    await rm(folder, { recursive: true, force: true });
  });

  it('passes on a request that is for the main process, and all that follow on its connection', async () => {
    peer.send('GET /api/status HTTP/1.1\r\n\r\nGET /film.wmv HTTP/1.1\r\n\r\n');
    for (let answer = 0; answer < 2; answer++) {
      expect(field(await peer.head(), 'Content-Length')).toBe('4');
      expect((await peer.bytes(4)).toString()).toBe('main');
    }
    expect(own).toEqual([]);
    expect(passed).toEqual(['/api/status', '/film.wmv']);
  });

  it('refuses what it cannot pass on while an earlier response streams, and does not act for the main process', async () => {
    const setup = ['POST /live HTTP/1.1', 'Cookie: push-id=0', 'Content-Type: application/x-wms-pushsetup'];
    peer.send('GET /film.wmv HTTP/1.1\r\n\r\n', `${setup.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`);
    await until('the stream', () => streams.length === 1);
    streams[0]!.write(Buffer.from('x'));
    streams[0]!.end();
    expect(await peer.head()).toContain(' 200 ');
    await peer.bytes('1\r\nx\r\n0\r\n\r\n'.length);
    expect(await peer.head()).toContain(' 503 ');
    await peer.ended();
    expect(own).toEqual(['/film.wmv']);
    expect(passed).toEqual([]);
  });
});
