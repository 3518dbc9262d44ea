import { streamChangePacket } from '../../src/wmhttp/messages/packets.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { parseResponse, parseWholeResponse, wirePackets } from '../support/wire.js';
import { ENCODER, ServerStation } from './station.js';

let station: ServerStation;

beforeEach(async () => {
  station = await ServerStation.open();
});

afterEach(() => station.close());

const HOST = 'Host: 127.0.0.1';
const frame = (id: string, payload: Buffer, first = 0x24) =>
  Buffer.concat([Buffer.from([first, id.charCodeAt(0), payload.length & 255, payload.length >> 8]), payload]);
const H = testHeader().bytes;
const D = testPacket(0).bytes;
const reason = (value: number, rest: Buffer = Buffer.alloc(0)) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return Buffer.concat([bytes, rest]);
};

describe('the whole server', () => {
  it.each([
    ['[WMHTTP-082] [WMHTTP-122] without a User-Agent', [HOST]],
    ['[WMHTTP-082] [WMHTTP-122] of a browser', [HOST, 'User-Agent: Mozilla/5.0']],
    ['[WMHTTP-083] without a Host', [ENCODER]],
  ])('rejects a PushStart %s', async (_, lines) => {
    const { peer, response } = await station.setUp('/live');
    peer.clear();
    const cookie = `Cookie: ${response.field('Set-Cookie')}`;
    const type = 'Content-Type: application/x-wms-pushstart';
    peer.request('POST /live HTTP/1.1', ...lines, type, cookie, 'Content-Length: 2147483647');
    peer.send(frame('H', H));
    expect(parseResponse(await peer.untilClosed())!.status).toBe(400);
    expect(station.server.stats().publishers).toBe(0);
  });

  it('[WMHTTP-083] rejects a PushSetup over HTTP/1.1 without a Host', async () => {
    const type = 'Content-Type: application/x-wms-pushsetup';
    const response = await station.ask('POST /live HTTP/1.1', ENCODER, type, 'Content-Length: 0');
    expect(response.status).toBe(400);
    const old = await station.ask('POST /live HTTP/1.0', ENCODER, type, 'Content-Length: 0');
    expect(old.status).toBe(204);
  });

  it.each([
    ['[WMHTTP-116] a $H with the B bit', [frame('H', H, 0xa4)]],
    ['[WMHTTP-116] a $H that is longer than its header', [frame('H', Buffer.concat([H, Buffer.alloc(4)]))]],
    ['[WMHTTP-117] a $D with the B bit', [frame('H', H), frame('D', D, 0xa4)]],
    ['[WMHTTP-117] an empty $D', [frame('H', H), frame('D', Buffer.alloc(0))]],
    ['[WMHTTP-118] a $E with the B bit', [frame('H', H), frame('E', reason(0), 0xa4)]],
    ['[WMHTTP-118] a $E with a payload', [frame('H', H), frame('E', reason(0, Buffer.alloc(1)))]],
    ['[WMHTTP-119] a $C with Reason 5', [frame('H', H), frame('E', reason(1)), frame('C', reason(5, H))]],
    ['[WMHTTP-119] a $C without Reason', [frame('H', H), frame('E', reason(1)), frame('C', Buffer.alloc(0))]],
    ['[WMHTTP-120] a $F with the B bit', [frame('H', H), frame('F', Buffer.alloc(0), 0xa4)]],
    ['[WMHTTP-120] a $F of 65532 bytes', [frame('H', H), frame('F', Buffer.alloc(65_532))]],
    ['another byte before a packet', [frame('H', H), frame('D', D, 0x25)]],
  ])('rejects %s with 400, and does not play what follows', async (_, packets) => {
    const { peer, response } = await station.setUp('/live');
    peer.clear();
    const lines = [
      HOST,
      ENCODER,
      'Content-Type: application/x-wms-pushstart',
      `Cookie: ${response.field('Set-Cookie')}`,
    ];
    peer.request('POST /live HTTP/1.1', ...lines, 'Content-Length: 2147483647');
    for (const packet of packets) peer.send(packet);
    peer.send(frame('D', D));
    const refused = parseResponse(await peer.untilClosed())!;
    expect([refused.status, refused.field('Connection')]).toEqual([400, 'close']);
    expect(station.server.points.get('/live')?.publisher).toBeUndefined();
  });

  it.each([
    ['of a vendor', 0xe004_0001],
    ['of Windows', 0x8000_4005],
    ['of success that is not S_FALSE', 2],
  ])('[WMHTTP-002] [WMHTTP-107] ends a push with an HRESULT %s, and informs players', async (_, hresult) => {
    const encoder = await station.push('/live');
    await until('the point to be live', () => station.server.points.get('/live')?.broadcast.live === true);
    encoder.key();
    const player = await station.peer();
    player.request('GET /live HTTP/1.0', 'User-Agent: NSPlayer/4.1.0.3856', 'Pragma: xPlayStrm=1');
    await player.until((bytes) => (bytes.includes('$H') ? true : undefined));
    encoder.end(hresult);
    expect(parseResponse(await encoder.peer.untilClosed())!.status).toBe(204);
    const last = wirePackets(parseResponse(await player.untilClosed())!.body).at(-1)!;
    expect(last).toMatchObject({ id: 'E' });
    // A code from elsewhere than Windows has the customer bit, and nothing on this side sets it.
    expect([0, hresult]).toContain(last.reason >>> 0);
    expect(station.server.stats().publishers).toBe(0);
  });

  it('[WMHTTP-003] [WMHTTP-094] [WMHTTP-104] accepts a push over HTTP/1.0 without a keep-alive header', async () => {
    const peer = await station.peer();
    const type = (kind: string) => `Content-Type: application/x-wms-push${kind}`;
    peer.request('POST /live HTTP/1.0', ENCODER, type('setup'), 'Cookie: push-id=0', 'Content-Length: 0');
    const setup = await peer.until(parseWholeResponse);
    expect(setup.statusLine).toMatch(/^HTTP\/1\.0 204/);
    const start = ['POST /live HTTP/1.0', ENCODER, type('start'), `Cookie: ${setup.field('Set-Cookie')}`];
    const bodies = [
      [frame('H', H), frame('D', D)],
      [frame('D', D), frame('E', reason(1))],
      [streamChangePacket(testHeader({ title: 'Second' }).bytes), frame('D', D)],
    ];
    for (const body of bodies.map((parts) => Buffer.concat(parts))) {
      peer.clear();
      peer.request(...start, `Content-Length: ${body.length}`);
      peer.send(body);
      expect((await peer.until(parseWholeResponse)).status).toBe(204);
    }
    expect(station.server.stats()).toMatchObject({ packetsIn: 3, publishers: 1 });
    expect(peer.ended).toBe(false);
  });
});
