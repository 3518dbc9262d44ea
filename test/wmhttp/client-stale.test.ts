import { ClientAuthenticator } from '../../src/auth/client.js';
import { FrameReader } from '../../src/framing/framing.js';
import type { AsfEvent } from '../../src/media/events.js';
import { PushClient } from '../../src/wmhttp/client/client.js';
import { ReconnectingPush } from '../../src/wmhttp/client/reconnecting-push.js';
import { field, type Peer, PeerServer } from '../http/peer.js';
import { testHeader, testPacket } from '../support/stream.js';

const OK = 'HTTP/1.1 204 No Content\r\nServer: Cougar/9.6\r\nSet-Cookie: push-id=7\r\nContent-Length: 0\r\n\r\n';

let server: PeerServer;
let client: { close(): Promise<void> } | undefined;

beforeEach(async () => {
  server = await PeerServer.listen();
});

afterEach(async () => {
  await server.close();
  await client?.close().catch(() => {});
  client = undefined;
});

const url = () => `http://127.0.0.1:${server.port}/pub`;
const header: AsfEvent = { type: 'header', header: testHeader() };
const packet = (number: number): AsfEvent => ({ type: 'packet', packet: testPacket(number * 100) });

async function answerSetup(peer: Peer): Promise<string> {
  const head = await peer.head();
  await peer.bytes(Number(field(head, 'Content-Length')));
  peer.send(OK);
  return head;
}

/** Reads the head of a PushStart and that many packets: `H D D`. */
async function pushStart(peer: Peer, count: number): Promise<{ head: string; names: string }> {
  const head = await peer.head();
  expect(field(head, 'Content-Type')).toBe('application/x-wms-pushstart');
  const names: string[] = [];
  for (let index = 0; index < count; index++) {
    const start = await peer.bytes(4);
    const reader = new FrameReader();
    reader.push(Buffer.concat([start, await peer.bytes(start.readUInt16LE(2))]));
    names.push(String.fromCharCode(reader.next()!.id));
  }
  return { head, names: names.join(' ') };
}

describe('a connection that a server closes after PushSetup without notice', () => {
  it.each(['end', 'destroy', 'resetAndDestroy'] as const)('is replaced for PushStart (%s)', async (how) => {
    const connecting = PushClient.connect({ url: url() });
    const first = await server.accept();
    await answerSetup(first);
    const push = await connecting;
    client = push;
    const written = push.write(header);
    await first.head();
    first.socket[how]();
    const second = await server.accept();
    expect(await pushStart(second, 1)).toMatchObject({ names: 'H', head: expect.stringContaining('push-id=7') });
    await written;
    await push.write(packet(0));
    expect(String.fromCharCode((await second.bytes(4))[1]!)).toBe('D');
    expect(push.stats.packets).toBe(1);
  });

  it('loses none of the packets in flight, and counts no retry', async () => {
    const breaks: unknown[] = [];
    const connecting = ReconnectingPush.connect({
      url: url(),
      reconnect: { retries: 0 },
      onReconnect: (report) => breaks.push(report),
    });
    const first = await server.accept();
    await answerSetup(first);
    const push = await connecting;
    client = push;
    await push.write(header);
    for (let number = 0; number < 5; number++) await push.write(packet(number));
    expect((await pushStart(first, 6)).names).toBe('H D D D D D');
    first.socket.resetAndDestroy();
    // The session is resumed, so that a server that has some of them can say so.
    expect(await answerSetup(await server.accept())).toContain('push-id=7');
    expect((await pushStart(await server.accept(), 6)).names).toBe('H D D D D D');
    expect(breaks).toEqual([]);
  });

  it('is not reused by a retry: from then on PushStart uses its own connection', async () => {
    const connecting = ReconnectingPush.connect({
      url: url(),
      reconnect: { retries: 3, initialDelay: 1 },
      random: () => 0,
    });
    const first = await server.accept();
    await answerSetup(first);
    const push = await connecting;
    client = push;
    push.write(header);
    await first.head();
    first.destroy();
    const second = await server.accept();
    await pushStart(second, 1);
    // The break of a connection that was used once counts like any other.
    second.destroy();
    const third = await server.accept();
    await answerSetup(third);
    const fourth = await server.accept();
    expect((await pushStart(fourth, 1)).names).toBe('H');
    expect(await third.rest()).toHaveLength(0);
    fourth.send(OK);
  });

  it('is replaced for a PushSetup with NTLM, whose challenge is bound to it', async () => {
    const connecting = PushClient.connect({
      url: url(),
      authorize: new ClientAuthenticator({ server: { user: 'me', password: 'secret' } }),
    });
    const refuse = 'HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n';
    const first = await server.accept();
    await first.head();
    first.send(refuse);
    expect(field(await first.head(), 'Authorization')).toMatch(/^NTLM /);
    first.destroy();
    const second = await server.accept();
    await answerSetup(second);
    client = await connecting;
  });

  it('does not get a PushStart again whose packets the server may have', async () => {
    const connecting = PushClient.connect({ url: url() });
    const peer = await server.accept();
    await answerSetup(peer);
    const push = await connecting;
    client = push;
    await push.write(header);
    await push.write(packet(0));
    await pushStart(peer, 2);
    peer.destroy();
    await push.failed;
    expect(push.failure).toMatchObject({ code: 'WM_SERVER_GONE' });
    expect(server.connections).toBe(1);
  });
});
