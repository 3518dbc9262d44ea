import { until } from '../support/until.js';
import { parseResponse, type RawPeer } from '../support/wire.js';
import { ENCODER, ServerStation } from './station.js';
import { askAs, removeUsers, usersFile } from './users.js';

let users: string;
let station: ServerStation;
const warnings: string[] = [];
const EVERYBODY = { users: ['*'] };

beforeAll(async () => {
  users = await usersFile({ anna: ['crew'], bert: [], root: ['admin'] });
});

afterAll(removeUsers);

async function open(config: Parameters<typeof ServerStation.open>[0] = {}) {
  warnings.length = 0;
  station = await ServerStation.open(
    { users, access: { push: EVERYBODY, play: {}, admin: { groups: ['admin'] } }, ...config },
    { warning: (message) => warnings.push(message) },
  );
}

afterEach(() => station.close());

const setup = (path = '/live', version = '1.1', ...more: string[]) => [
  `POST ${path} HTTP/${version}`,
  ENCODER,
  'Host: server',
  'Content-Type: application/x-wms-pushsetup',
  'Cookie: push-id=0',
  'Content-Length: 0',
  ...more,
];

/** Returns the schemes that a response offers, in order. */
const offered = ({ fields }: { fields: ReadonlyArray<readonly [string, string]> }, name = 'WWW-Authenticate') => [
  ...new Set(fields.filter(([field]) => field === name).map(([, value]) => value.split(' ')[0])),
];

describe('a push with credentials', () => {
  it.each([
    ['negotiate', 3],
    ['ntlm', 3],
    ['digest', 2],
    ['basic', 2],
  ] as const)(
    '[WMHTTP-085] [WMHTTP-087] is admitted with %s after a 401, over one connection',
    async (scheme, requests) => {
      await open();
      const peer = await station.peer();
      const { response, statuses } = await askAs(peer, 'anna', [scheme], setup());
      expect(response.status).toBe(204);
      expect(response.field('Set-Cookie')).toMatch(/^push-id=/);
      expect(statuses.slice(0, -1)).toEqual(Array(requests - 1).fill(401));
      expect(warnings).toEqual([]);
    },
  );

  it('[WMHTTP-087] [WMSP-215] is challenged over HTTP/1.0 with Connection: Keep-Alive', async () => {
    await open();
    const peer = await station.peer();
    const lines = setup('/live', '1.0', 'Connection: Keep-Alive', 'X-Accept-Authentication: NTLM');
    peer.request(...lines);
    const challenge = await peer.until(parseResponse);
    expect(challenge.statusLine).toBe('HTTP/1.0 401 Unauthorized');
    expect(challenge.field('Connection')).toBe('Keep-Alive');
    expect((await askAs(peer, 'anna', ['ntlm'], lines)).statuses).toEqual([401, 401, 204]);
  });

  it('[WMHTTP-085] is challenged with 407 and Proxy-Authenticate if it treats the server as a proxy', async () => {
    await open();
    const lines = setup('http://elsewhere/live');
    const first = await station.ask(...lines);
    expect(first.status).toBe(407);
    expect(first.field('WWW-Authenticate')).toBeUndefined();
    expect(offered(first, 'Proxy-Authenticate')).toContain('NTLM');
    const { statuses } = await askAs(await station.peer(), 'anna', ['ntlm'], lines);
    expect(statuses).toEqual([407, 407, 204]);
  });

  it('[WMHTTP-086] is offered the schemes that it accepts, in its own order', async () => {
    await open();
    const accepts = async (...values: string[]) =>
      offered(await station.ask(...setup(), ...values.map((value) => `X-Accept-Authentication: ${value}`)));
    expect(await accepts('Digest, NTLM')).toEqual(['Digest', 'NTLM']);
    expect(await accepts('NTLM', 'Digest')).toEqual(['NTLM', 'Digest']);
    expect(await accepts()).toEqual(['Negotiate', 'NTLM', 'Digest', 'Basic']);
  });

  it('is rejected with a wrong password, which the message does not repeat', async () => {
    await open();
    const peer = await station.peer();
    const wrong = Buffer.from('anna:not-her-secret').toString('base64');
    peer.request(...setup(), `Authorization: Basic ${wrong}`);
    expect((await peer.until(parseResponse)).status).toBe(401);
    expect(warnings).toEqual([expect.stringMatching(/^Login failed as anna from 127\.0\.0\.1, to push to \/\S+\.$/)]);
    expect(station.server.stats().points).toBe(0);
  });

  it('is open to the users and groups that the point names', async () => {
    await open({ points: [{ path: '/live', access: { push: { groups: ['crew'] } } }] });
    expect((await askAs(await station.peer(), 'anna', ['digest'], setup())).response.status).toBe(204);
    expect((await askAs(await station.peer(), 'bert', ['digest'], setup())).response.status).toBe(403);
    expect((await askAs(await station.peer(), 'bert', ['digest'], setup('/other'))).response.status).toBe(204);
  });

  it('is not admitted to the session of another user', async () => {
    await open();
    const annas = await askAs(await station.peer(), 'anna', ['basic'], setup());
    const lines = setup().map((line) => line.replace('push-id=0', annas.response.field('Set-Cookie')!));
    expect((await askAs(await station.peer(), 'bert', ['basic'], lines)).response.status).toBe(403);
    expect((await askAs(await station.peer(), 'anna', ['basic'], lines)).response.status).toBe(204);
  });
});

/** Sends a PushSetup request as a user, and returns the peer to continue with. */
async function setUpAs(user: string, path = '/live'): Promise<{ peer: RawPeer; cookie: string }> {
  const peer = await station.peer();
  const { response } = await askAs(peer, user, ['digest'], setup(path));
  return { peer, cookie: response.field('Set-Cookie')! };
}

const start = (cookie: string, path = '/live', ...more: string[]) => [
  `POST ${path} HTTP/1.1`,
  ENCODER,
  'Host: server',
  'Content-Type: application/x-wms-pushstart',
  `Cookie: ${cookie}`,
  'Content-Length: 4',
  ...more,
];

// $F without a payload.
const FILLER = '\x24F\x00\x00';

describe('a PushStart request', () => {
  it('needs no credentials while its session stays on one connection', async () => {
    await open();
    const { peer, cookie } = await setUpAs('anna');
    expect((await askAs(peer, 'anna', [], start(cookie), FILLER)).statuses).toEqual([400]);
  });

  it('[WMHTTP-096] may be challenged, but not with NTLM, and the connection stays open', async () => {
    await open({ push: { newPoints: 'any', authenticateStart: true } });
    const { peer, cookie } = await setUpAs('anna');
    peer.clear();
    peer.request(...start(cookie));
    peer.send(FILLER);
    const challenge = await peer.until(parseResponse);
    expect(challenge.status).toBe(401);
    expect(offered(challenge)).toEqual(['Digest', 'Basic']);
    expect(challenge.field('Connection')).toBe('Keep-Alive');
    // How the session then answers a body without a header has nothing to do with credentials.
    expect((await askAs(peer, 'anna', ['digest'], start(cookie), FILLER)).statuses).toEqual([401, 400]);
  });
});

describe('a player with credentials', () => {
  const PLAY = { users: ['anna'] };
  const describeLive = (...more: string[]) => [
    'GET /live HTTP/1.1',
    'User-Agent: NSPlayer/12.0.7601.17514',
    'Host: server',
    'Pragma: no-cache,client-id=0',
    ...more,
  ];

  beforeEach(async () => {
    await open({ access: { push: { trusted: ['loopback'], users: ['*'] }, play: PLAY, admin: {} } });
    (await station.push('/live')).key();
    await until('a publisher', () => station.server.stats().publishers > 0);
  });

  it('[WMSP-212] [WMSP-213] is challenged with 401 for the schemes that it accepts, in its own order', async () => {
    const response = await station.ask(...describeLive('X-Accept-Authentication: Digest, Negotiate'));
    expect(response.status).toBe(401);
    expect(offered(response)).toEqual(['Digest', 'Negotiate']);
    expect(response.field('Server')).toMatch(/^Cougar\//);
  });

  it.each(['negotiate', 'ntlm', 'digest', 'basic'] as const)('gets the description with %s', async (scheme) => {
    const { response } = await askAs(await station.peer(), 'anna', [scheme], describeLive());
    expect(response.status).toBe(200);
    expect(response.field('Content-Type')).toBe('application/vnd.ms.wms-hdr.asfv1');
  });

  it('is rejected if it is another user', async () => {
    expect((await askAs(await station.peer(), 'bert', ['digest'], describeLive())).response.status).toBe(403);
  });

  it('[WMSP-212] is challenged with 407 if it treats the server as a proxy', async () => {
    const lines = ['GET http://other/live HTTP/1.1', ...describeLive().slice(1)];
    const { response, statuses } = await askAs(await station.peer(), 'anna', ['digest'], lines);
    expect(response.status).toBe(200);
    expect(statuses[0]).toBe(407);
  });

  it.each(['/live', '/live?MSWMExt=.asf', '/live.asf'])('is challenged for %s in a browser, too', async (path) => {
    const lines = [`GET ${path} HTTP/1.1`, 'Host: server'];
    const response = await station.ask(...lines);
    expect(response.status).toBe(401);
    expect(response.body.toString()).toMatch(/^A user name and a password are needed to play \/live/);
    const head = [`HEAD ${path} HTTP/1.1`, 'Host: server'];
    const peer = await station.peer();
    peer.request(...head, `Authorization: Basic ${Buffer.from('anna:anna-secret').toString('base64')}`);
    expect((await peer.until(parseResponse)).status).toBe(200);
  });
});

describe('a point that is fed from a server that requires a login', () => {
  const broadcasting = { push: { addresses: ['loopback'] }, play: { users: ['anna'] }, admin: {} };

  async function pulling(password: string) {
    await open({ access: broadcasting });
    (await station.push('/live')).key();
    await until('/live to be live', () => station.server.points.get('/live')!.broadcast.live);
    const told: string[] = [];
    const source = `http://anna:${password}@127.0.0.1:${station.port}/live`;
    const listener = { warning: (message: string) => told.push(message) };
    return { told, puller: await ServerStation.open({ points: [{ path: '/copy', source }] }, listener) };
  }

  it('is admitted with the user of the URL, whose password is never shown', async () => {
    const { puller } = await pulling('anna-secret');
    await until('/copy to be live', () => puller.server.points.get('/copy')!.broadcast.live);
    const { body } = await puller.ask('GET /api/publishers HTTP/1.1', 'Host: localhost');
    expect(body.toString()).toContain(`"remoteAddress":"http://127.0.0.1:${station.port}/live"`);
    await puller.close();
  });

  it('warns about a wrong password without repeating it', async () => {
    const { puller, told } = await pulling('hush');
    await until('something to be told', () => told.length > 0);
    expect(told[0]).toMatch(/^\/copy cannot be pulled from http:\/\/127.*does not accept the user or the password/);
    expect(told.join()).not.toContain('hush');
    await puller.close();
  });
});
