import { ClientAuthenticator } from '../../src/auth/client.js';
import type { AsfEvent } from '../../src/media/events.js';
import { PushClient, type PushOptions } from '../../src/wmhttp/client/client.js';
import { headerPacket } from '../../src/wmhttp/messages/packets.js';
import { field, type Peer, PeerServer } from '../http/peer.js';
import { testHeader, testPacket } from '../support/stream.js';

const OK = 'HTTP/1.1 204 No Content\r\nServer: Cougar/9.6\r\nSet-Cookie: push-id=7\r\n\r\n';
const DIGEST = 'Digest realm="r", nonce="n", qop="auth"';
const NTLM_CHALLENGE = `TlRMTVNTUAACAAAADAAMADgAAAAzgoriASNFZ4mrze8AAAAAAAAAACQAJABEAAAABgBwFwAAAA9TAGUAcgB2AGUAcgACAAwARABvAG0AYQBpAG4AAQAMAFMAZQByAHYAZQByAAAAAAA=`;

let server: PeerServer;
let client: PushClient | undefined;

beforeEach(async () => {
  server = await PeerServer.listen();
});

afterEach(async () => {
  await server.close();
  await client?.close().catch(() => {});
  client = undefined;
});

const account = { user: 'me', password: 'secret' };
const url = () => `http://127.0.0.1:${server.port}/pub`;
const header: AsfEvent = { type: 'header', header: testHeader() };
const packet = (number: number): AsfEvent => ({ type: 'packet', packet: testPacket(number * 100) });

const connecting = (options: Partial<PushOptions> = {}) =>
  PushClient.connect({
    url: url(),
    authorize: new ClientAuthenticator({ server: account, proxy: account }),
    ...options,
  });

/** Reads a request with its whole body, and answers it. */
async function answer(peer: Peer, text: string): Promise<{ head: string; body: string }> {
  const head = await peer.head();
  const body = (await peer.bytes(Number(field(head, 'Content-Length')))).toString('latin1');
  peer.send(text);
  return { head, body };
}

const refusal = (challenge: string, status = 401, version = '1.1') =>
  `HTTP/${version} ${status} No\r\n${status === 401 ? 'WWW' : 'Proxy'}-Authenticate: ${challenge}\r\n${
    version === '1.0' ? 'Connection: keep-alive\r\n' : ''
  }Content-Length: 0\r\n\r\n`;

describe('credentials with PushSetup', () => {
  it('[WMHTTP-047] names the schemes with both requests even without a user', async () => {
    const opening = PushClient.connect({ url: url() });
    const peer = await server.accept();
    const setup = await answer(peer, OK);
    client = await opening;
    await client.write(header);
    for (const head of [setup.head, await peer.head()]) {
      expect(field(head, 'X-Accept-Authentication')).toBe('Negotiate, NTLM, Digest');
    }
  });

  it('[WMHTTP-047] [WMHTTP-069] names the schemes with both requests, and answers 401 on a new connection', async () => {
    const opening = connecting();
    const first = await answer(await server.accept(), refusal(DIGEST));
    expect(field(first.head, 'X-Accept-Authentication')).toBe('Negotiate, NTLM, Digest');
    expect(field(first.head, 'Authorization')).toBeUndefined();
    const peer = await server.accept();
    const second = await answer(peer, OK);
    expect(field(second.head, 'Authorization')).toMatch(/^Digest username="me", .*nc=00000001/);
    client = await opening;
    await client.write(header);
    const start = await peer.head();
    expect(field(start, 'X-Accept-Authentication')).toBe('Negotiate, NTLM, Digest');
    expect(field(start, 'Authorization')).toMatch(/nc=00000002/);
    expect(start).not.toContain('secret');
  });

  it('[WMHTTP-048] answers a proxy with Proxy-Authorization, and the server with Authorization', async () => {
    const proxy = await PeerServer.listen();
    try {
      const opening = connecting({ proxy: `http://127.0.0.1:${proxy.port}` });
      await answer(await proxy.accept(), refusal('Basic realm="p"', 407));
      const second = await answer(await proxy.accept(), refusal(DIGEST));
      expect(field(second.head, 'Proxy-Authorization')).toBe(`Basic ${Buffer.from('me:secret').toString('base64')}`);
      const third = await answer(await proxy.accept(), OK);
      expect(third.head).toMatch(new RegExp(`^POST ${url()} HTTP`));
      expect(field(third.head, 'Authorization')).toMatch(/^Digest /);
      expect(field(third.head, 'Proxy-Authorization')).toMatch(/^Basic /);
      client = await opening;
    } finally {
      await proxy.close();
    }
  });

  it('[WMHTTP-001] [WMHTTP-048] [WMHTTP-115] goes through NTLM on one connection, kept with HTTP/1.0, and sends the body last', async () => {
    const opening = connecting({ autoDestroy: true });
    const peer = await server.accept();
    expect((await answer(peer, refusal('NTLM', 401, '1.0'))).body).toBe('AutoDestroy: 1\r\n');
    const negotiate = await answer(peer, refusal(`NTLM ${NTLM_CHALLENGE}`, 401, '1.0'));
    expect(field(negotiate.head, 'Authorization')).toMatch(/^NTLM TlRMTVNTUAAB/);
    expect(field(negotiate.head, 'Content-Length')).toBe('0');
    expect(field(negotiate.head, 'Connection')).toBe('Keep-Alive');
    const authenticate = await answer(peer, OK);
    expect(field(authenticate.head, 'Authorization')).toMatch(/^NTLM TlRMTVNTUAAD/);
    expect(authenticate.body).toBe('AutoDestroy: 1\r\n');
    client = await opening;
    await client.write(header);
    expect(field(await peer.head(), 'Authorization')).toBeUndefined();
    expect(server.connections).toBe(1);
  });

  it('switches to Digest through a proxy that closes each connection, where NTLM cannot work', async () => {
    const proxy = await PeerServer.listen();
    const closing = (...challenges: string[]) =>
      `HTTP/1.0 401 No\r\n${challenges.map((each) => `WWW-Authenticate: ${each}\r\n`).join('')}Connection: close\r\nContent-Length: 0\r\n\r\n`;
    try {
      const opening = connecting({ proxy: `http://127.0.0.1:${proxy.port}` });
      await answer(await proxy.accept(), closing('Negotiate', 'NTLM', DIGEST));
      const second = await answer(await proxy.accept(), closing(`Negotiate ${NTLM_CHALLENGE}`, DIGEST));
      expect(field(second.head, 'Authorization')).toMatch(/^Negotiate YE/);
      const third = await answer(await proxy.accept(), OK);
      expect(field(third.head, 'Authorization')).toMatch(/^Digest /);
      client = await opening;
    } finally {
      await proxy.close();
    }
  });

  it('sends no credentials to a server that it is redirected to', async () => {
    const other = await PeerServer.listen();
    try {
      const opening = connecting();
      await answer(
        await server.accept(),
        `HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:${other.port}/x\r\nContent-Length: 0\r\n\r\n`,
      );
      await answer(await other.accept(), refusal(DIGEST));
      await expect(opening).rejects.toMatchObject({ code: 'WM_AUTH_REFUSED' });
    } finally {
      await other.close();
    }
  });
});

describe('credentials with PushStart', () => {
  it('[WMHTTP-074] after 401 in the middle of the body are sent with all of it, on a new connection', async () => {
    const opening = connecting();
    const peer = await server.accept();
    await answer(peer, OK);
    client = await opening;
    await client.write(header);
    await client.write(packet(0));
    await peer.head();
    peer.send(refusal(DIGEST));
    const again = await server.accept();
    const start = await again.head();
    expect(field(start, 'Authorization')).toMatch(/^Digest /);
    const whole = headerPacket(testHeader().bytes);
    expect((await again.bytes(whole.length)).equals(whole)).toBe(true);
    expect((await again.bytes(2)).toString()).toBe('$D');
    expect(client.stats.packets).toBe(1);
    await peer.ended();
  });

  it('[WMHTTP-074] after 401 to a whole body are sent on the same connection', async () => {
    const opening = connecting({ contentLength: 1 });
    const peer = await server.accept();
    await answer(peer, OK);
    client = await opening;
    void client.write(header);
    const writing = (async () => {
      for (let number = 0; number < 6; number++) await client!.write(packet(number));
    })();
    const first = await answer(peer, refusal(DIGEST));
    expect(first.body.startsWith('$H')).toBe(true);
    const second = await answer(peer, OK);
    expect(field(second.head, 'Authorization')).toMatch(/^Digest /);
    expect(second.body.startsWith('$H')).toBe(true);
    expect(server.connections).toBe(1);
    const third = await peer.head();
    expect(field(third, 'Content-Type')).toBe('application/x-wms-pushstart');
    writing.catch(() => {});
  });

  it('are given up if there is no other answer', async () => {
    const opening = connecting({ authorize: undefined });
    const peer = await server.accept();
    await answer(peer, OK);
    client = await opening;
    await client.write(header);
    await peer.head();
    peer.send(refusal(DIGEST));
    await client.failed;
    expect(client.failure).toMatchObject({ code: 'WM_AUTH_REFUSED' });
  });
});
