import { buildXmlLog } from '../../src/wmlog/log.js';
import type { SubmittedLog } from '../../src/wmlog/submitted.js';
import { parseWholeResponse } from '../support/wire.js';
import { BOTH_STREAMS, clientIdOf, NEW, OLD, PLAY, Station } from './station.js';

let station: Station;

beforeEach(async () => {
  station = await Station.open();
  station.key();
});

afterEach(() => station.close());

const describeRequest = (agent: string, ...lines: string[]) =>
  station.ask('GET /live HTTP/1.1', agent, 'Pragma: no-cache', ...lines);

describe('KeepAlive', () => {
  const keepAlive = (id: number, agent = OLD) =>
    station.ask(
      'POST /live HTTP/1.0',
      agent,
      `Pragma: xKeepAliveInPause=1`,
      `Pragma: client-id=${id}`,
      'Content-Length: 0',
      'Connection: Keep-Alive',
    );

  it('[WMSP-079] [WMSP-226] is answered with an empty body, Cache-Control, Server and no-cache, and the connection closes', async () => {
    const id = clientIdOf(await describeRequest(OLD));
    const response = await keepAlive(id);
    expect(response.status).toBe(200);
    expect(response.field('Content-Length')).toBe('0');
    expect(response.field('Cache-Control')).toBe('no-cache');
    expect(response.field('Connection')).toBe('close');
    expect(response.pragma).toEqual(['no-cache', `client-id=${id}`, 'timeout=60000']);
  });

  it('[WMSP-217] keeps the session alive', async () => {
    const id = clientIdOf(await describeRequest(OLD));
    for (let round = 0; round < 4; round++) {
      station.now += 50_000;
      expect((await keepAlive(id)).status).toBe(200);
      station.server.sweep();
    }
    expect(station.server.sessions).toBe(1);
  });

  it('[WMSP-216] is an error with an unknown client-id, and without one', async () => {
    expect((await keepAlive(77)).status).toBe(400);
    expect(
      (await station.ask('POST /live HTTP/1.0', OLD, 'Pragma: xKeepAliveInPause=1', 'Content-Length: 0')).status,
    ).toBe(400);
  });

  it('[WMSP-082] [WMSP-216] as OPTIONS * gets the same answer, whether the client-id is known or not', async () => {
    const id = clientIdOf(await describeRequest(NEW));
    const known = await station.ask('OPTIONS * HTTP/1.1', NEW, `Pragma: client-id=${id}`);
    expect(known.status).toBe(200);
    expect(known.field('Content-Length')).toBe('0');
    expect(known.pragma).toEqual(expect.arrayContaining([`client-id=${id}`, 'timeout=60000']));
    expect((await station.ask('OPTIONS * HTTP/1.1', NEW, 'Pragma: client-id=77')).status).toBe(200);
  });

  it('[WMSP-225] is answered at once on its own connection while the session is streaming', async () => {
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    expect((await keepAlive(clientIdOf(watcher.response))).status).toBe(200);
    station.packet();
    expect(await watcher.packetsWith('D', 2)).toHaveLength(3);
  });

  it('[WMSP-225] does not disturb the stream if it arrives on the streaming connection', async () => {
    const watcher = await station.play(OLD, ...PLAY, ...BOTH_STREAMS);
    const id = clientIdOf(watcher.response);
    watcher.peer.request(
      'POST /live HTTP/1.0',
      OLD,
      `Pragma: xKeepAliveInPause=1,client-id=${id}`,
      'Content-Length: 0',
    );
    station.packet();
    await watcher.packetsWith('D', 2);
    station.packet();
    expect((await watcher.packetsWith('D', 3)).map(({ id: kind }) => kind)).toEqual(['H', 'D', 'D', 'D']);
  });
});

describe('Log', () => {
  let logs: SubmittedLog[];

  beforeEach(async () => {
    await station.close();
    logs = [];
    station = await Station.open({ onLog: (log) => logs.push(log) });
  });

  it('[WMSP-079] [WMSP-257] as a log-line is passed on and answered without a body', async () => {
    const id = clientIdOf(await describeRequest(OLD));
    const line = '127.0.0.1 2003-01-01 00:00:00 - /live 0 12 1 200';
    const response = await station.ask(
      'POST /live HTTP/1.0',
      OLD,
      `Pragma: log-line=${line}`,
      `Pragma: no-cache,client-id=${id}`,
      'Content-Length: 0',
    );
    expect(response.status).toBe(204);
    expect(response.body).toHaveLength(0);
    expect(response.pragma).toEqual(['no-cache', `client-id=${id}`, 'timeout=60000']);
    expect(logs).toMatchObject([{ clientId: id, path: '/live', form: 'log-line', text: line }]);
  });

  it('as XML is the body', async () => {
    const id = clientIdOf(await describeRequest(NEW));
    const xml = '<XML><Summary>é</Summary></XML>';
    const peer = await station.peer();
    peer.request(
      'POST /live HTTP/1.1',
      NEW,
      `Pragma: client-id=${id}`,
      'Content-Type: application/x-wms-LogStats;charset=UTF-8',
      `Content-Length: ${Buffer.byteLength(xml)}`,
    );
    peer.send(Buffer.from(xml, 'utf8'));
    expect((await peer.until(parseWholeResponse)).status).toBe(204);
    expect(logs).toMatchObject([{ clientId: id, path: '/live', form: 'xml', text: xml }]);
  });

  it('[WMSP-257] is checked, and passed on in parsed form', async () => {
    const id = clientIdOf(await describeRequest(NEW));
    const text = buildXmlLog({
      kind: 'streaming',
      values: { 'x-duration': '12', 'c-bytes': '9' },
      description: [],
      vendors: [],
    });
    const peer = await station.peer();
    peer.request(
      'POST /live HTTP/1.1',
      NEW,
      `Pragma: client-id=${id}`,
      'Content-Type: application/x-wms-LogStats;charset=UTF-8',
      `Content-Length: ${Buffer.byteLength(text)}`,
    );
    peer.send(text);
    expect((await peer.until(parseWholeResponse)).status).toBe(204);
    expect(logs[0]!.log).toMatchObject({
      kind: 'streaming',
      values: { 'x-duration': '12', 'c-bytes': '9' },
      invalid: [],
    });
  });

  it('[WMSP-257] is not refused for its contents', async () => {
    const id = clientIdOf(await describeRequest(OLD));
    const response = await station.ask(
      'POST /live HTTP/1.0',
      OLD,
      'Pragma: log-line=nonsense',
      `Pragma: client-id=${id}`,
      'Content-Length: 0',
    );
    expect(response.status).toBe(204);
    expect(logs).toMatchObject([{ clientId: id, path: '/live', form: 'log-line', text: 'nonsense', log: undefined }]);
  });

  it('[WMSP-216] is an error without a known client-id', async () => {
    const response = await station.ask(
      'POST /live HTTP/1.0',
      OLD,
      'Pragma: log-line=1 2 3',
      'Pragma: client-id=77',
      'Content-Length: 0',
    );
    expect(response.status).toBe(400);
    expect(logs).toEqual([]);
  });

  it('is refused if it is far too large', async () => {
    const id = clientIdOf(await describeRequest(NEW));
    const peer = await station.peer();
    peer.request(
      'POST /live HTTP/1.1',
      NEW,
      `Pragma: client-id=${id}`,
      'Content-Type: application/x-wms-LogStats',
      'Content-Length: 1000000',
    );
    peer.send(Buffer.alloc(100_000, 0x41));
    expect((await peer.until(parseWholeResponse)).status).toBe(413);
  });
});

describe('other requests', () => {
  it('[WMSP-224] [WMSP-078] GetContentInfo needs no client-id, and its body is ignored', async () => {
    const peer = await station.peer();
    peer.request(
      'POST /live HTTP/1.1',
      'User-Agent: WMCacheProxy/9.5.6001.1',
      'Content-Type: application/x-wms-getcontentinfo',
      'Content-Length: 1',
    );
    peer.send('x');
    const response = await peer.until(parseWholeResponse);
    expect(response.status).toBe(200);
    expect(response.body).toHaveLength(0);
    expect(response.field('Cache-Control')).toContain('x-wms-stream-type="broadcast"');
  });

  it('[WMSP-226] closes the connection after GetContentInfo', async () => {
    const peer = await station.peer();
    peer.request('POST /live HTTP/1.1', NEW, 'Content-Type: application/x-wms-getcontentinfo', 'Content-Length: 0');
    expect(parseWholeResponse(await peer.untilClosed())?.status).toBe(200);
  });

  it('keeps the connection of a proxy that can send its next question there', async () => {
    const peer = await station.peer();
    for (let question = 0; question < 2; question++) {
      peer.request(
        'POST /live HTTP/1.1',
        'User-Agent: WMCacheProxy/9.5.6001.1',
        'Pragma: version11-enabled=1',
        'Content-Type: application/x-wms-getcontentinfo',
        'Content-Length: 0',
      );
      expect((await peer.until(parseWholeResponse)).status).toBe(200);
    }
  });

  it('[WMSP-224] SendEvent needs no client-id', async () => {
    const peer = await station.peer();
    peer.request('POST /live HTTP/1.1', NEW, 'Content-Type: application/x-wms-sendevent', 'Content-Length: 8');
    peer.send('1\r\n1,x\r\n');
    expect((await peer.until(parseWholeResponse)).status).toBe(200);
  });

  it.each(['getcontentinfo', 'sendevent'])('[WMSP-223] %s is 404 for a URL that does not exist', async (kind) => {
    const response = await station.ask(
      'POST /other HTTP/1.1',
      NEW,
      `Content-Type: application/x-wms-${kind}`,
      'Content-Length: 0',
    );
    expect(response.status).toBe(404);
  });

  it('[WMSP-211] a request of no type, or with the wrong method, is an error', async () => {
    expect((await station.ask('POST /live HTTP/1.1', OLD, 'Content-Length: 0')).status).toBe(400);
    expect((await station.ask('DELETE /live HTTP/1.1', OLD)).status).toBe(400);
    expect((await station.ask('OPTIONS /live HTTP/1.1', OLD)).status).toBe(400);
  });

  it('[WMSP-210] another program is not served media', async () => {
    expect((await station.ask('GET /live HTTP/1.1', 'User-Agent: Mozilla/5.0')).status).toBe(404);
    expect((await station.ask('GET /live HTTP/1.1')).status).toBe(404);
  });

  it('[WMSP-199] no two sessions share a client-id', async () => {
    const ids = new Set<number>();
    for (let count = 0; count < 50; count++) ids.add(clientIdOf(await describeRequest(OLD)));
    expect(ids.size).toBe(50);
  });

  it('[WMSP-003] undefined headers have no effect', async () => {
    const response = await describeRequest(
      OLD,
      'X-Nonsense: 1',
      'Range: bytes=0-',
      'Icy-MetaData: 1',
      'Pragma: quux=7',
    );
    expect(response.status).toBe(200);
  });

  it.each(['GET /../live HTTP/1.0', 'GET /li%00ve HTTP/1.0', `GET /${'a'.repeat(4096)} HTTP/1.0`, 'GET /%zz HTTP/1.0'])(
    'refuses a hostile path: %.30s',
    async (line) => {
      expect([400, 414]).toContain((await station.ask(line, OLD)).status);
    },
  );
});
