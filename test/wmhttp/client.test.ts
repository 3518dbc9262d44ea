import type { AsfHeader } from '../../src/asf/header.js';
import type { DataPacket } from '../../src/asf/packet.js';
import { stripPadding } from '../../src/asf/padding.js';
import { ClientAuthenticator } from '../../src/auth/client.js';
import { type Frame, FrameReader } from '../../src/framing/framing.js';
import type { AsfEvent } from '../../src/media/events.js';
import { PushClient, type PushOptions, type PushStats } from '../../src/wmhttp/client/client.js';
import { field, type Peer, PeerServer, turns } from '../http/peer.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';

const OK =
  'HTTP/1.1 204 No Content\r\nServer: Cougar/9.6.7600.16385\r\nSet-Cookie: push-id=4124758405\r\nContent-Length: 0\r\n';

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

const header = (asf: AsfHeader = testHeader()): AsfEvent => ({ type: 'header', header: asf });
const packet = (data: DataPacket = testPacket(0)): AsfEvent => ({ type: 'packet', packet: data });
const end = (reason: number): AsfEvent => ({ type: 'end', moreEntries: reason === 1, reason });

const url = (path = '/pub', port = server.port) => `http://127.0.0.1:${port}${path}`;

/** Answers the PushSetup request, and returns its head and body. */
async function answerSetup(peer: Peer, answer = `${OK}\r\n`): Promise<{ head: string; body: string }> {
  const head = await peer.head();
  const body = (await peer.bytes(Number(field(head, 'Content-Length')))).toString();
  peer.send(answer);
  return { head, body };
}

async function connected(options: Partial<PushOptions> = {}, answer?: string) {
  const connecting = PushClient.connect({ url: url(), ...options });
  const peer = await server.accept();
  const setup = await answerSetup(peer, answer);
  client = await connecting;
  return { client, peer, setup };
}

/** Reads packets of a PushStart body from a peer. */
class Body {
  readonly #peer: Peer;
  #left: number;

  constructor(peer: Peer, length: number) {
    this.#peer = peer;
    this.#left = length;
  }

  get left(): number {
    return this.#left;
  }

  async next(): Promise<Frame> {
    const reader = new FrameReader();
    const head = await this.#peer.bytes(4);
    const bytes = Buffer.concat([head, await this.#peer.bytes(head.readUInt16LE(2))]);
    this.#left -= bytes.length;
    reader.push(bytes);
    return reader.next()!;
  }

  /** Returns the next packet in short: `H D E1 F`. */
  async brief(): Promise<string> {
    const { id, payload } = await this.next();
    const letter = String.fromCharCode(id);
    return letter === 'E' ? `E${payload.readUInt32LE(0)}` : letter;
  }

  /** Returns everything up to the end of the body. */
  async whole(): Promise<string> {
    const names: string[] = [];
    while (this.#left > 0) names.push(await this.brief());
    expect(this.#left).toBe(0);
    return names.join(' ');
  }
}

async function acceptStart(peer: Peer) {
  const head = await peer.head();
  expect(field(head, 'Content-Type')).toBe('application/x-wms-pushstart');
  return { head, body: new Body(peer, Number(field(head, 'Content-Length'))) };
}

async function streaming(options: Partial<PushOptions> = {}) {
  const both = await connected(options);
  await both.client.write(header());
  const start = await acceptStart(both.peer);
  expect(await start.body.brief()).toBe('H');
  return { ...both, ...start };
}

const failure = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

describe('PushSetup', () => {
  it('[WMHTTP-003] [WMHTTP-013] [WMHTTP-015] [WMHTTP-017] [WMHTTP-045] [WMHTTP-046] is the first request, a POST to the point', async () => {
    const { setup } = await connected();
    expect(setup.head).toBe(
      [
        'POST /pub HTTP/1.1',
        'Content-Type: application/x-wms-pushsetup',
        'X-Accept-Authentication: Negotiate, NTLM, Digest',
        'User-Agent: WMEncoder/12.0.7600.16385',
        `Host: 127.0.0.1:${server.port}`,
        'Content-Length: 0',
        'Cookie: push-id=0',
        '',
        '',
      ].join('\r\n'),
    );
    expect(setup.body).toBe('');
    expect(server.connections).toBe(1);
  });

  it('[WMHTTP-050] [WMHTTP-051] asks for template and removal', async () => {
    const { setup } = await connected({ template: '/tmpl', autoDestroy: true, userAgent: 'WMEncoder/9.0.0.2980' });
    expect(setup.body).toBe('Template-URL: "/tmpl"\r\nAutoDestroy: 1\r\n');
    expect(field(setup.head, 'User-Agent')).toBe('WMEncoder/9.0.0.2980');
  });

  it.each([
    ['403 Forbidden', 'WM_AUTH_REFUSED'],
    ['404 Not Found', 'WM_PUSH_REFUSED'],
    ['409 Conflict', 'WM_PUSH_REFUSED'],
    ['302 Found', 'WM_PUSH_REFUSED'],
    ['503 Busy', 'WM_PUSH_REFUSED'],
  ])('fails when the server answers %s', async (status, code) => {
    const connecting = PushClient.connect({ url: url() });
    const peer = await server.accept();
    await answerSetup(peer, `HTTP/1.1 ${status}\r\nServer: Cougar/9.6\r\nContent-Length: 0\r\n\r\n`);
    await expect(connecting).rejects.toEqual(failure(code, `: ${status}.`));
    await peer.ended();
  });

  it.each([
    ['401 Unauthorized', false, 'The server requires a login'],
    ['401 Unauthorized', true, 'The server does not accept the user or the password'],
    ['407 Proxy', false, 'The proxy requires a login'],
    ['407 Proxy', true, 'The proxy requires a login'],
  ])('says what is missing when the server answers %s (with a user: %s)', async (status, named, sentence) => {
    const authorize = new ClientAuthenticator({ server: { user: 'anna', password: 'secret' } });
    const connecting = PushClient.connect({ url: url(), ...(named ? { authorize } : {}) });
    const peer = await server.accept();
    await answerSetup(peer, `HTTP/1.1 ${status}\r\nServer: Cougar/9.6\r\nContent-Length: 0\r\n\r\n`);
    await expect(connecting).rejects.toEqual(failure('WM_AUTH_REFUSED', `${sentence}: ${status} for ${url()}.`));
    await peer.ended();
  });

  it.each(['', 'Server: Apache/2.4\r\n'])('[WMHTTP-070] fails for a server of another kind (%j)', async (line) => {
    const connecting = PushClient.connect({ url: url() });
    await answerSetup(await server.accept(), `HTTP/1.1 200 OK\r\n${line}Content-Length: 2\r\n\r\nhi`);
    await expect(connecting).rejects.toEqual(failure('WM_PROTOCOL', 'not a Windows Media server'));
  });

  it('continues if the answer sets no cookie', async () => {
    const { client: push, peer } = await connected({}, 'HTTP/1.1 204 No Content\r\nServer: Rex/12.0\r\n\r\n');
    await push.write(header());
    expect(field((await acceptStart(peer)).head, 'Cookie')).toBe('push-id=0');
  });

  it('[WMHTTP-044] fails if no answer arrives in time', async () => {
    const connecting = PushClient.connect({ url: url(), timeout: 30 });
    await expect(connecting).rejects.toEqual(failure('WM_UNREACHABLE', 'did not answer within 0.03 s'));
  });

  it('[WMHTTP-076] fails when the connection is lost before the answer', async () => {
    const connecting = PushClient.connect({ url: url() });
    const peer = await server.accept();
    await peer.head();
    peer.destroy();
    await expect(connecting).rejects.toEqual(failure('WM_SERVER_GONE', 'connection'));
  });

  it('fails for a bad URL, a bad template and a closed port', async () => {
    await expect(PushClient.connect({ url: 'mms://host/x' })).rejects.toEqual(failure('WM_USAGE', 'http://'));
    await expect(PushClient.connect({ url: url(), template: 'x' })).rejects.toEqual(failure('WM_USAGE', 'template'));
    const closed = await PeerServer.listen();
    await closed.close();
    await expect(PushClient.connect({ url: url('/', closed.port) })).rejects.toEqual(
      failure('WM_UNREACHABLE', 'listens'),
    );
  });

  it('[WMHTTP-068] follows a redirect on a new connection, and pushes there', async () => {
    const other = await PeerServer.listen();
    try {
      const connecting = PushClient.connect({ url: url() });
      const first = await server.accept();
      await answerSetup(
        first,
        `HTTP/1.1 302 Found\r\nLocation: ${url('/else', other.port)}\r\nContent-Length: 0\r\n\r\n`,
      );
      await first.ended();
      const second = await other.accept();
      const { head } = await answerSetup(second);
      expect(head).toMatch(/^POST \/else HTTP/);
      client = await connecting;
      await client.write(header());
      expect((await acceptStart(second)).head).toMatch(/^POST \/else HTTP/);
      second.destroy();
    } finally {
      await other.close();
    }
  });

  it('[WMHTTP-055] [WMHTTP-068] goes to a proxy at 305, with the URL unchanged and bodies of a minute', async () => {
    const proxy = await PeerServer.listen();
    try {
      const connecting = PushClient.connect({ url: url() });
      await answerSetup(
        await server.accept(),
        `HTTP/1.1 305 Use Proxy\r\nLocation: http://127.0.0.1:${proxy.port}\r\nContent-Length: 0\r\n\r\n`,
      );
      const peer = await proxy.accept();
      const { head } = await answerSetup(peer, `${OK}Connection: keep-alive\r\n\r\n`);
      expect(head.startsWith(`POST ${url()} HTTP/1.1\r\n`)).toBe(true);
      expect(field(head, 'Host')).toBe(`127.0.0.1:${server.port}`);
      client = await connecting;
      await client.write(header());
      const start = await acceptStart(peer);
      expect(field(start.head, 'Content-Length')).toBe(String((364_000 * 60) / 8));
      peer.destroy();
    } finally {
      await proxy.close();
    }
  });

  it('gives up after five redirects, and at an unusable one', async () => {
    const connecting = PushClient.connect({ url: url() });
    const redirect = 'HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n';
    const refused = expect(connecting).rejects.toEqual(failure('WM_PUSH_REFUSED', 'again and again'));
    for (let count = 0; count < 6; count++) await answerSetup(await server.accept(), redirect);
    await refused;
    expect(server.connections).toBe(6);

    const nowhere = PushClient.connect({ url: url() });
    const refusedToo = expect(nowhere).rejects.toEqual(failure('WM_PUSH_REFUSED', 'rtsp://x/'));
    await answerSetup(await server.accept(), 'HTTP/1.1 302 Found\r\nLocation: rtsp://x/\r\nContent-Length: 0\r\n\r\n');
    await refusedToo;
  });

  it('asks its authenticator at a challenge', async () => {
    const challenges: string[] = [];
    const connecting = PushClient.connect({
      url: url(),
      authorize: {
        schemes: ['Digest'],
        answer: ({ headers, method, target, status }) => {
          challenges.push(`${status} ${method} ${target} ${headers.get('WWW-Authenticate')}`);
          return ['Authorization', 'Digest abc'];
        },
      },
    });
    const challenge = 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest x\r\nContent-Length: 0\r\n\r\n';
    const first = await answerSetup(await server.accept(), challenge);
    expect(field(first.head, 'X-Accept-Authentication')).toBe('Digest');
    expect(field((await answerSetup(await server.accept())).head, 'Authorization')).toBe('Digest abc');
    client = await connecting;
    expect(challenges).toEqual(['401 POST /pub Digest x']);
  });
});

describe('PushStart', () => {
  it('[WMHTTP-027] [WMHTTP-052] [WMHTTP-053] [WMHTTP-054] [WMHTTP-058] [WMHTTP-073] follows on the same connection with $H right after its head', async () => {
    const { client: push, peer } = await connected();
    await push.write(header());
    const head = await peer.head();
    expect(head).toBe(
      [
        'POST /pub HTTP/1.1',
        'Content-Type: application/x-wms-pushstart',
        'X-Accept-Authentication: Negotiate, NTLM, Digest',
        'User-Agent: WMEncoder/12.0.7600.16385',
        `Host: 127.0.0.1:${server.port}`,
        'Content-Length: 2147483647',
        'Cookie: push-id=4124758405',
        '',
        '',
      ].join('\r\n'),
    );
    const { bytes } = testHeader();
    expect((await peer.bytes(4)).equals(Buffer.from([0x24, 0x48, bytes.length & 255, bytes.length >> 8]))).toBe(true);
    expect((await peer.bytes(bytes.length)).equals(bytes)).toBe(true);
    expect(server.connections).toBe(1);
  });

  it('[WMHTTP-053] takes a new connection when the server has closed the first', async () => {
    const { client: push } = await connected({}, `${OK}Connection: close\r\n\r\n`);
    const started = push.write(header());
    const peer = await server.accept();
    const { body } = await acceptStart(peer);
    expect(await body.brief()).toBe('H');
    await started;
  });

  it('[WMHTTP-037] [WMHTTP-038] sends packets as $D without their padding, but with their length', async () => {
    const { client: push, body } = await streaming();
    const data = testPacket(40, { dataSize: 50 });
    await push.write(packet(data));
    const frame = await body.next();
    expect(frame.id).toBe(0x44);
    expect(frame.payload.equals(stripPadding(data))).toBe(true);
    expect(frame.payload.length).toBeLessThan(data.bytes.length - 300);
    expect(push.stats).toEqual({ packets: 1, bytes: testHeader().bytes.length + 4 + frame.payload.length + 4 });
  });

  it('[WMHTTP-065] sends $E at the end and closes without waiting for an answer', async () => {
    const stats: PushStats[] = [];
    const { client: push, peer, body } = await streaming({ onStats: (each) => stats.push(each) });
    await push.write(packet());
    await push.write(end(0));
    expect([await body.brief(), await body.brief()]).toEqual(['D', 'E0']);
    await peer.ended();
    expect(stats.at(-1)).toEqual(push.stats);
    await push.close();
    await expect(push.write(packet())).rejects.toEqual(failure('WM_FAILED', 'ended already'));
  });

  it('forwards the reason of an end', async () => {
    const { client: push, body } = await streaming();
    await push.write(end(0x8000_4005));
    expect(await body.brief()).toBe(`E${0x8000_4005}`);
  });

  it('ends with $E when it is closed', async () => {
    const { client: push, peer, body } = await streaming();
    const closed = push.close();
    expect(await body.brief()).toBe('E0');
    await peer.ended();
    await closed;
    expect(push.close()).toBe(push.close());
  });

  it('closes silently if nothing was sent', async () => {
    const { client: push, peer } = await connected();
    await push.close();
    expect((await peer.rest()).length).toBe(0);
  });

  it.each(['HTTP/1.1 422 Unprocessable\r\nContent-Length: 0\r\n\r\n', `${OK}\r\n`, 'rubbish\r\n\r\n'])(
    'ignores anything after the last $E (%j)',
    async (answer) => {
      const { client: push, peer, body } = await streaming();
      const ended = push.write(end(0));
      expect(await body.brief()).toBe('E0');
      peer.send(answer);
      await ended;
      await push.close();
      expect(push.failure).toBeUndefined();
    },
  );

  it('[WMHTTP-029] [WMHTTP-035] [WMHTTP-066] sends a new header as $C after $E with Reason 1', async () => {
    const { client: push, body } = await streaming();
    const second = testHeader({ title: 'Second' });
    await push.write(packet());
    await push.write(header(second));
    await push.write(packet());
    await push.write(end(1));
    await push.write(header(second));
    expect([await body.brief(), await body.brief()]).toEqual(['D', 'E1']);
    const change = await body.next();
    expect(change.id).toBe(0x43);
    expect(change.payload.readUInt32LE(0)).toBe(0);
    expect(change.payload.subarray(4).equals(second.bytes)).toBe(true);
    expect([await body.brief(), await body.brief(), await body.brief()]).toEqual(['D', 'E1', 'C']);
  });

  it('[WMHTTP-061] [WMHTTP-063] [WMHTTP-075] fills the body, waits for the answer and continues in the next one', async () => {
    const { client: push, peer, body } = await streaming({ contentLength: 2500 });
    let written = 0;
    const writing = (async () => {
      for (let count = 0; count < 20; count++) {
        await push.write(packet(testPacket(count * 40)));
        written++;
      }
      await push.write(end(0));
    })();
    const first = await body.whole();
    expect(first).toMatch(/^(D )+F$/);
    await turns(10);
    const before = written;
    expect(before).toBeLessThan(20);
    await turns(10);
    expect(written).toBe(before);

    let data = first.split('D').length - 1;
    let last = '';
    peer.send(`${OK}\r\n`);
    while (last !== 'E0') {
      const { head, body: more } = await acceptStart(peer);
      expect(field(head, 'Cookie')).toBe('push-id=4124758405');
      last = '';
      while (more.left > 0 && last !== 'E0') {
        last = await more.brief();
        if (last === 'D') data++;
      }
      if (last !== 'E0') peer.send(`${OK}\r\n`);
    }
    expect(data).toBe(20);
    await writing;
  });

  it('uses another connection for the next body when the answer says close', async () => {
    const { client: push, peer, body } = await streaming({ contentLength: 1500 });
    const writing = (async () => {
      for (let count = 0; count < 6; count++) await push.write(packet());
    })();
    await body.whole();
    peer.send(`${OK}Connection: close\r\n\r\n`);
    const second = await server.accept();
    const { body: more } = await acceptStart(second);
    expect(await more.brief()).toBe('D');
    await writing;
  });

  it('[WMHTTP-044] fails if the answer to a whole body does not arrive', async () => {
    const { client: push, body } = await streaming({ contentLength: 1500, timeout: 40 });
    const writing = (async () => {
      for (let count = 0; count < 20; count++) await push.write(packet());
    })();
    const refused = expect(writing).rejects.toEqual(failure('WM_UNREACHABLE', 'did not answer'));
    await body.whole();
    await refused;
  });
});

describe('a server that refuses', () => {
  it.each([
    ['404 Not Found', 'WM_PUSH_REFUSED'],
    ['409 Conflict', 'WM_PUSH_REFUSED'],
    ['408 Request Timeout', 'WM_PUSH_REFUSED'],
    ['403 Forbidden', 'WM_AUTH_REFUSED'],
    ['401 Unauthorized', 'WM_AUTH_REFUSED'],
  ])('with %s in the middle of the body ends the push with %s', async (status, code) => {
    const { client: push, peer } = await streaming();
    peer.send(`HTTP/1.1 ${status}\r\nServer: Cougar/9.6\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    await until('the push to fail', () => push.failure !== undefined);
    const error = failure(code, status);
    await expect(push.write(packet())).rejects.toEqual(error);
    await expect(push.write(end(0))).rejects.toEqual(error);
    await push.close();
  });

  it('[WMHTTP-070] or is no longer a Windows Media server, ends it too', async () => {
    const { client: push, peer } = await streaming();
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await until('the push to fail', () => push.failure !== undefined);
    await expect(push.close()).rejects.toEqual(failure('WM_PROTOCOL', 'not a Windows Media server'));
  });

  it('[WMHTTP-076] or vanishes, is reported', async () => {
    const { client: push, peer } = await streaming();
    await push.write(packet());
    peer.destroy();
    await until('the push to fail', () => push.failure !== undefined);
    await expect(push.write(packet())).rejects.toEqual(failure('WM_SERVER_GONE', `127.0.0.1:${server.port}`));
  });

  it('[WMHTTP-076] or vanishes while a write waits, rejects that write', async () => {
    const { client: push, peer, body } = await streaming({ contentLength: 1500 });
    const writing = (async () => {
      for (let count = 0; count < 20; count++) await push.write(packet());
    })();
    const refused = expect(writing).rejects.toEqual(failure('WM_SERVER_GONE', 'closed the connection'));
    await body.whole();
    peer.destroy();
    await refused;
  });

  it('holds the writer back while it reads nothing', async () => {
    const { client: push, peer } = await streaming();
    peer.socket.pause();
    let waiting: void | Promise<void>;
    do waiting = push.write(packet());
    while (!waiting);
    expect(push.backlog).toBeGreaterThan(0);
    let done = false;
    const released = waiting.then(() => {
      done = true;
    });
    await turns();
    expect(done).toBe(false);
    peer.socket.resume();
    await released;
  });
});

describe('input that cannot be pushed', () => {
  it('[WMHTTP-036] [WMHTTP-043] is a header that would have to be split', async () => {
    const { client: push, peer } = await connected();
    await expect(push.write(header(testHeader({ ballast: 66_000 })))).rejects.toEqual(
      failure('WM_BAD_INPUT', 'the protocol allows 65531'),
    );
    await peer.ended();
    await push.close();
  });

  it('is a packet before the first header', async () => {
    const { client: push } = await connected();
    await expect(push.write(packet())).rejects.toEqual(failure('WM_FAILED', 'without an ASF header'));
  });
});
