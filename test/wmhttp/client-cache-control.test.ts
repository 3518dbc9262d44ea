import { FrameReader } from '../../src/framing/framing.js';
import { PushClient } from '../../src/wmhttp/client/client.js';
import { field, type Peer, PeerServer } from '../http/peer.js';
import { testHeader, testPacket } from '../support/stream.js';

/** The size of a PushStart body: a header and one packet fill the first, so that a second follows. */
const BODY = 1000;

/** A series of responses, each with the same Cache-Control. */
async function pushUnder(cacheControl: string | undefined): Promise<string[]> {
  const server = await PeerServer.listen();
  const seen: string[] = [];
  const line = cacheControl === undefined ? '' : `Cache-Control: ${cacheControl}\r\n`;
  const answer = (peer: Peer, cookie = '') =>
    peer.send(`HTTP/1.1 204 No Content\r\nServer: Cougar/9.6\r\n${line}${cookie}Content-Length: 0\r\n\r\n`);
  const note = (head: string) => seen.push(head.replaceAll(String(server.port), 'PORT'));
  try {
    const connecting = PushClient.connect({ url: `http://127.0.0.1:${server.port}/pub`, contentLength: BODY });
    // One connection for everything: a client that drops it ends the test.
    const peer = await server.accept();
    const setup = await peer.head();
    note(setup);
    seen.push((await peer.bytes(Number(field(setup, 'Content-Length')))).toString());
    answer(peer, 'Set-Cookie: push-id=7\r\n');
    const push = await connecting;
    const writing = (async () => {
      await push.write({ type: 'header', header: testHeader() });
      for (let number = 0; number < 8; number++) {
        await push.write({ type: 'packet', packet: testPacket(number * 100) });
      }
      await push.close();
    })();
    for (let isOver = false; !isOver; ) {
      const head = await peer.head();
      note(head);
      const reader = new FrameReader();
      for (let left = Number(field(head, 'Content-Length')); left > 0 && !isOver; ) {
        const start = await peer.bytes(4);
        const payload = await peer.bytes(start.readUInt16LE(2));
        reader.push(Buffer.concat([start, payload]));
        const { id } = reader.next()!;
        seen.push(`${String.fromCharCode(id)} ${payload.length}`);
        left -= 4 + payload.length;
        isOver = id === 0x45;
      }
      answer(peer);
    }
    await writing;
    return seen;
  } finally {
    await server.close();
  }
}

describe('Cache-Control in responses to a push', () => {
  it.each([
    'no-cache',
    'no-store',
    'max-age=0, must-revalidate',
    'private, max-age=60',
    'public, max-age=3600',
    'no-cache, x-wms-stream-type="broadcast"',
  ])('[WMHTTP-006] does not change the behaviour of the client: %s', async (value) => {
    const requests = await pushUnder(value);
    expect(requests.filter((each) => each.startsWith('POST')).length).toBeGreaterThan(2);
    expect(requests).toEqual(await pushUnder(undefined));
  });
});
