import { parsePacket } from '../../src/asf/packet.js';
import { AUDIO, VIDEO } from '../support/stream.js';
import {
  parseResponse,
  parseResponses,
  parseWholeResponse,
  type RawPeer,
  type SequencedResponse,
  wirePackets,
} from '../support/wire.js';
import { BOTH_STREAMS, clientIdOf, NEW, PLAY, Station } from './station.js';

let station: Station;

beforeEach(async () => {
  station = await Station.open();
  station.key();
});

afterEach(() => station.close());

/** Returns the responses on a connection once `count` of them have begun. */
const responses = (peer: RawPeer, count: number) =>
  peer.until((bytes) => {
    const all = parseResponses(bytes);
    return all.length >= count ? all : undefined;
  });

/** Returns the responses once the last of `count` contains `packets` $D packets. */
const withData = (peer: RawPeer, count: number, packets: number) =>
  peer.until((bytes) => {
    const all = parseResponses(bytes);
    return all.length >= count && dataOf(all[count - 1]!).length >= packets ? all : undefined;
  });

const dataOf = ({ body }: SequencedResponse) => wirePackets(body).filter(({ id }) => id === 'D');
const kinds = ({ body }: SequencedResponse) =>
  wirePackets(body).map(({ id, reason }) => (reason === -1 ? id : `${id}${reason}`));

/** A connection whose client has sent Describe and plays in pipelined mode. */
async function playing(...more: string[]): Promise<{ peer: RawPeer; id: number }> {
  const peer = await station.peer();
  peer.request('GET /live HTTP/1.1', NEW, 'Pragma: no-cache');
  const id = clientIdOf(await peer.until(parseWholeResponse));
  peer.clear();
  peer.request(
    'GET /live HTTP/1.1',
    NEW,
    'Pragma: version11-enabled=1',
    `Pragma: client-id=${id}`,
    ...PLAY,
    ...(more.length > 0 ? more : BOTH_STREAMS),
  );
  await withData(peer, 1, 1);
  return { peer, id };
}

describe('the Pipeline test', () => {
  const session = async () => clientIdOf(await station.ask('GET /live HTTP/1.1', NEW, 'Pragma: pipeline-experiment=1'));
  const pipelineRequest = (id: number) => [
    'GET /live HTTP/1.1',
    NEW,
    'Connection: keep-alive',
    'Pragma: no-cache',
    'Pragma: pipeline-request=1',
    `Pragma: client-id=${id}`,
  ];

  it('[WMSP-231] is offered in the answer to a Describe that asks for it', async () => {
    const response = await station.ask('GET /live HTTP/1.1', NEW, 'Pragma: pipeline-experiment=1');
    expect(response.pragma).toContain('pipeline-experiment=1');
    expect((await station.ask('GET /live HTTP/1.0', NEW, 'Pragma: pipeline-experiment=1')).pragma.join()).not.toContain(
      'pipeline',
    );
  });

  it('[WMSP-086] [WMSP-127] [WMSP-236] answers the first request with $T in one chunk and no end', async () => {
    const peer = await station.peer();
    peer.request(...pipelineRequest(await session()));
    const bytes = await peer.until((all) => (all.includes('$T') ? all : undefined));
    expect(bytes.toString('latin1')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(parseResponse(bytes)!.field('Transfer-Encoding')).toBe('chunked');
    await peer.until((all) => (all.toString('latin1').endsWith('\r\n\r\n4\r\n$T\0\0\r\n') ? true : undefined));
  });

  it('[WMSP-087] [WMSP-088] [WMSP-237] ends the first and answers the second with pipeline-result=1 if both arrive together', async () => {
    const id = await session();
    const peer = await station.peer();
    peer.request(...pipelineRequest(id));
    peer.request(...pipelineRequest(id));
    const [first, second] = await responses(peer, 2);
    expect(first).toMatchObject({ complete: true, status: 200 });
    expect(second!.statusLine).toBe('HTTP/1.1 204 No Content');
    expect(second!.field('Content-Length')).toBe('0');
    expect(second!.pragma).toEqual(expect.arrayContaining(['no-cache', `client-id=${id}`, 'pipeline-result=1']));
  });

  it('[WMSP-088] [WMSP-237] [WMSP-259] ends the first if the second is late, and then answers pipeline-result=0 as HTTP/1.0', async () => {
    const id = await session();
    const peer = await station.peer();
    peer.request(...pipelineRequest(id));
    await responses(peer, 1);
    await peer.until((bytes) => (bytes.includes('$T') ? true : undefined));
    station.tick(999);
    await station.settle();
    expect(parseResponses(peer.received)[0]).toMatchObject({ complete: false });
    station.tick(1);
    await peer.until((bytes) => (parseResponses(bytes)[0]?.complete ? true : undefined));
    peer.request(...pipelineRequest(id));
    const [, second] = await responses(peer, 2);
    expect(second!.statusLine).toBe('HTTP/1.0 204 No Content');
    expect(second!.pragma).toContain('pipeline-result=0');
  });

  it('[WMSP-237] starts over with a third request', async () => {
    const id = await session();
    const peer = await station.peer();
    for (let count = 0; count < 3; count++) peer.request(...pipelineRequest(id));
    const all = await responses(peer, 3);
    expect(all[2]).toMatchObject({ status: 200, complete: false });
    expect(all[2]!.body.toString('latin1')).toBe('$T\0\0');
  });
});

describe('the pipelined mode', () => {
  it('[WMSP-243] answers Play with HTTP/1.1 and chunks when version11-enabled is 1', async () => {
    const { peer } = await playing();
    const [play] = parseResponses(peer.received);
    expect(play!.statusLine).toBe('HTTP/1.1 200 OK');
    expect(play!.chunked).toBe(true);
    expect(kinds(play!)).toEqual(['M', 'H', 'D']);
  });

  it('[WMSP-225] makes KeepAlive and Log wait until the response ends, while $D continues', async () => {
    const { peer, id } = await playing();
    peer.request('OPTIONS * HTTP/1.1', NEW, `Pragma: client-id=${id}`);
    peer.request('POST /live HTTP/1.1', NEW, 'Pragma: log-line=a b c', `Pragma: client-id=${id}`, 'Content-Length: 0');
    station.packet();
    const before = await withData(peer, 1, 2);
    expect(before).toHaveLength(1);
    station.end();
    const all = await responses(peer, 3);
    expect(kinds(all[0]!)).toEqual(['M', 'H', 'D', 'D', 'E0']);
    expect(all.map(({ status }) => status)).toEqual([200, 200, 204]);
  });

  it('[WMSP-202] sends the zero-length chunk after $E with Reason 0, and the connection stays', async () => {
    const { peer, id } = await playing();
    station.end();
    await peer.until((bytes) => (parseResponses(bytes)[0]?.complete ? true : undefined));
    peer.request('OPTIONS * HTTP/1.1', NEW, `Pragma: client-id=${id}`);
    expect((await responses(peer, 2))[1]!.status).toBe(200);
  });

  it('[WMSP-256] [WMSP-098] stops the data at a Stop, ends the response and answers it; the session survives', async () => {
    const { peer, id } = await playing();
    peer.request('POST /live HTTP/1.1', NEW, `Pragma: xStopStrm=1, client-id=${id}`, 'Content-Length: 0');
    const [play, stop] = await responses(peer, 2);
    expect(play!.complete).toBe(true);
    expect(stop).toMatchObject({ status: 200 });
    expect(stop!.body).toHaveLength(0);
    expect(station.server.players).toBe(0);
    station.packet();
    peer.request(
      'GET /live HTTP/1.1',
      NEW,
      'Pragma: version11-enabled=1',
      `Pragma: client-id=${id}`,
      ...PLAY,
      ...BOTH_STREAMS,
    );
    const again = await withData(peer, 3, 1);
    expect(clientIdOf(again[2]!)).toBe(id);
  });

  it('[WMSP-256] reads a Stop that arrives in one segment with the Play', async () => {
    const id = clientIdOf(await station.ask('GET /live HTTP/1.1', NEW, 'Pragma: no-cache'));
    const peer = await station.peer();
    const play = [
      'GET /live HTTP/1.1',
      NEW,
      'Pragma: version11-enabled=1',
      `Pragma: client-id=${id}`,
      ...PLAY,
      ...BOTH_STREAMS,
    ];
    const stop = ['POST /live HTTP/1.1', NEW, `Pragma: xStopStrm=1, client-id=${id}`, 'Content-Length: 0'];
    peer.request(...play, '', ...stop);
    const all = await responses(peer, 2);
    expect(all.map(({ status, complete }) => [status, complete])).toEqual([
      [200, true],
      [200, true],
    ]);
  });

  it('[WMSP-111] continues AFFlags in the next Play of the session', async () => {
    const { peer, id } = await playing();
    station.packet();
    await withData(peer, 1, 2);
    peer.request('POST /live HTTP/1.1', NEW, `Pragma: xStopStrm=1, client-id=${id}`, 'Content-Length: 0');
    await responses(peer, 2);
    peer.request(
      'GET /live HTTP/1.1',
      NEW,
      'Pragma: version11-enabled=1',
      `Pragma: client-id=${id}`,
      ...PLAY,
      ...BOTH_STREAMS,
    );
    const all = await withData(peer, 3, 1);
    expect(dataOf(all[0]!).map(({ afFlags }) => afFlags)).toEqual([0, 1]);
    expect(dataOf(all[2]!)[0]!.afFlags).toBe(2);
  });

  it('[WMSP-253] [WMSP-096] ends the response at a SelectStream and continues with $D in its own response, in chunks', async () => {
    const { peer, id } = await playing();
    peer.request(
      'GET /live HTTP/1.1',
      NEW,
      'Pragma: version11-enabled=1',
      `Pragma: no-cache, client-id=${id}`,
      'Pragma: stream-switch-count=1',
      'Pragma: stream-switch-entry=ffff:2:2',
    );
    await responses(peer, 2);
    station.key();
    station.packet({ stream: AUDIO });
    station.packet();
    const [play, select] = await withData(peer, 2, 2);
    expect(play!.complete).toBe(true);
    expect(select).toMatchObject({ status: 200, chunked: true });
    expect(dataOf(select!).flatMap(({ payload }) => parsePacket(payload).payloads.map(({ stream }) => stream))).toEqual(
      [VIDEO, VIDEO],
    );
  });

  it.each([
    ['SelectStream', ['Pragma: stream-switch-count=1', 'Pragma: stream-switch-entry=ffff:1:0'], 200],
    ['PlayNextEntry', ['Pragma: xPlayNextEntry=1'], 400],
  ])('gives no data of a session to another connection, whatever %s it sends', async (_, lines, status) => {
    const victim = await playing();
    const thief = await playing();
    thief.peer.request('GET /live HTTP/1.1', NEW, ...lines, `Pragma: client-id=${victim.id}`);
    await station.settle();
    victim.peer.clear();
    station.key();
    await victim.peer.until((bytes) => (bytes.includes('$D') ? true : undefined));
    thief.peer.request('GET /live HTTP/1.1', NEW, 'Pragma: xStopStrm=1', `Pragma: client-id=${thief.id}`);
    station.broadcast.write({ type: 'end', moreEntries: false, reason: 0 });
    const [, answer] = await responses(thief.peer, 2);
    expect(answer).toMatchObject({ status, complete: true });
    expect(dataOf(answer!)).toEqual([]);
  });

  it('answers a flood of requests on the streaming connection in a bounded way, and continues', async () => {
    const { peer, id } = await playing();
    for (let count = 0; count < 1000; count++) peer.request('OPTIONS * HTTP/1.1', NEW, `Pragma: client-id=${id}`);
    station.packet();
    await withData(peer, 1, 2);
    station.end();
    await responses(peer, 1001);
  });
});

describe('SelectStream in non-pipelined mode', () => {
  const select = (id: number, entry: string) =>
    station.ask(
      'POST /live HTTP/1.1',
      NEW,
      `Pragma: no-cache, client-id=${id}`,
      'Pragma: stream-switch-count=1',
      `Pragma: stream-switch-entry=${entry}`,
      'Content-Length: 0',
    );

  it('[WMSP-094] is a POST on its own connection with an empty answer', async () => {
    const watcher = await station.play(NEW, ...PLAY, ...BOTH_STREAMS);
    const response = await select(clientIdOf(watcher.response), 'ffff:2:2');
    expect(response.status).toBe(200);
    expect(response.body).toHaveLength(0);
    expect(response.pragma).toContain('no-cache');
    expect(response.field('Cache-Control')).toMatch(/^no-cache/);
  });

  it('[WMSP-251] turns a stream on at its next key frame, and until then continues with the current streams', async () => {
    const watcher = await station.play(
      NEW,
      ...PLAY,
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:2 ffff:2:0',
    );
    station.packet({ stream: AUDIO });
    await watcher.packetsWith('D', 1);
    await select(clientIdOf(watcher.response), 'ffff:1:0');
    station.packet();
    station.packet({ stream: AUDIO });
    station.key();
    station.packet();
    const data = (await watcher.packetsWith('D', 4)).filter(({ id }) => id === 'D');
    expect(data.map(({ payload }) => parsePacket(payload).payloads[0]!.stream)).toEqual([AUDIO, AUDIO, VIDEO, VIDEO]);
    expect(data.map(({ afFlags }) => afFlags)).toEqual([0, 1, 2, 3]);
    expect(data.map(({ location }) => location)).toEqual([1, 3, 4, 5]);
  });

  it('[WMSP-216] is an error with an unknown client-id', async () => {
    expect((await select(77, 'ffff:1:0')).status).toBe(400);
  });
});

describe('the packet pair', () => {
  const describePair = async () => {
    const peer = await station.peer();
    peer.request('GET /live HTTP/1.1', NEW, 'Pragma: no-cache', 'Pragma: packet-pair-experiment=1');
    const response = await peer.until(parseWholeResponse);
    const headSize = peer.received.length - response.body.length;
    return { response, headSize };
  };

  it('[WMSP-231] [WMSP-233] [WMSP-036] is sent exactly if the answer says so', async () => {
    const { response } = await describePair();
    expect(response.pragma).toContain('packet-pair-experiment=1');
    expect(response.body.subarray(0, 2).toString('latin1')).toBe('$P');
    const without = await station.ask('GET /live HTTP/1.1', NEW, 'Pragma: packet-pair-experiment=0');
    expect(without.pragma.join()).not.toContain('packet-pair');
    expect(without.body.subarray(0, 2).toString('latin1')).toBe('$M');
  });

  it('[WMSP-124] [WMSP-125] [WMSP-126] has the lengths, the reasons and the sizes of 2.2.3.7', async () => {
    const { response, headSize } = await describePair();
    const { body } = response;
    const reason = Math.min(504, headSize);
    const sizes = [504 - reason, 504, 1048 + reason];
    let at = 0;
    for (const [index, length] of [504, 504, 1048].entries()) {
      expect(body.subarray(at, at + 2).toString('latin1')).toBe('$P');
      expect(body.readUInt16LE(at + 2)).toBe(length);
      expect(body.readUInt32LE(at + 4)).toBe(reason);
      at += 8 + sizes[index]!;
    }
    expect(at).toBe(2080);
    expect(wirePackets(body.subarray(at)).map(({ id }) => id)).toEqual(['M', 'H']);
  });

  it('[WMSP-126] consists of random bytes', async () => {
    const [a, b] = [await describePair(), await describePair()];
    expect(a.response.body.subarray(1100, 2000).equals(b.response.body.subarray(1100, 2000))).toBe(false);
    expect(new Set(a.response.body.subarray(1100, 2000)).size).toBeGreaterThan(200);
  });
});
