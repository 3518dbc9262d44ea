import { askAs, removeUsers, usersFile } from '../server/users.js';
import { until } from '../support/until.js';
import { NEW } from '../wmsp/station.js';
import { closeAll, folder, origin, received, reverse, server } from './house.js';

afterEach(closeAll);
afterAll(removeUsers);

const guarded = async () =>
  origin(
    { 'clip.wmv': { seconds: 2 } },
    `users: ${await usersFile({ anna: [], bert: [] })}\naccess: { play: { users: [anna] } }\nbasicWithoutTls: true`,
  );
const DESCRIBE = (port: number, path = '/clip.wmv') => [`GET ${path} HTTP/1.1`, NEW, `Host: 127.0.0.1:${port}`];

describe('content that needs credentials, through a proxy', () => {
  it.each(['basic', 'digest', 'ntlm', 'negotiate'] as const)(
    '[WMSP-212] is checked with the origin for each player, with the challenge of the origin: %s',
    async (scheme) => {
      const { tap } = await guarded();
      const account = scheme === 'basic' ? '' : `, accounts: ["http://anna:anna-secret@127.0.0.1:${tap.port}"]`;
      const proxy = await reverse(tap.port, { cache: await folder(), more: account });
      for (let session = 0; session < 2; session++) {
        const { response, statuses } = await askAs(await proxy.peer(), 'anna', [scheme], DESCRIBE(proxy.port));
        expect([response.status, statuses[0]]).toEqual([200, 401]);
        expect(statuses.length).toBe(scheme === 'ntlm' || scheme === 'negotiate' ? 3 : 2);
      }
      for (const user of ['bert', 'carl']) {
        const { response } = await askAs(await proxy.peer(), user, [scheme], DESCRIBE(proxy.port));
        expect([401, 403]).toContain(response.status);
      }
      const stranger = await proxy.ask(...DESCRIBE(proxy.port));
      expect(stranger.status).toBe(401);
      expect(stranger.fields.filter(([name]) => name === 'WWW-Authenticate').join()).toMatch(/NTLM/);
    },
    30_000,
  );

  it.each(['digest', 'ntlm', 'negotiate'] as const)(
    'cannot be fetched with what a player says once (%s): the operator learns that the proxy needs an account',
    async (scheme) => {
      const { tap } = await guarded();
      const cache = await folder();
      const proxy = await reverse(tap.port, { cache });
      for (let session = 0; session < 2; session++) {
        const { response } = await askAs(await proxy.peer(), 'anna', [scheme], DESCRIBE(proxy.port));
        expect(response.status).toBe(503);
      }
      expect(proxy.warnings).toEqual([expect.stringMatching(/Name one in proxy\.accounts\.$/)]);
      // A copy that is there needs no account; others still do not get it.
      const { response: basic } = await askAs(await proxy.peer(), 'anna', ['basic'], DESCRIBE(proxy.port));
      expect(basic.status).toBe(200);
      const login = `Basic ${Buffer.from('anna:anna-secret').toString('base64')}`;
      await received(`http://127.0.0.1:${proxy.port}/clip.wmv`, {
        authorize: { schemes: [], fields: () => [['Authorization', login]], answer: () => undefined },
      });
      await until('the copy is whole', () => proxy.server.stats().proxy!.copiedBytes > 10_000);
      const { response: again } = await askAs(await proxy.peer(), 'anna', [scheme], DESCRIBE(proxy.port));
      expect(again.status).toBe(200);
      const { response: bert } = await askAs(await proxy.peer(), 'bert', [scheme], DESCRIBE(proxy.port));
      expect([401, 403]).toContain(bert.status);
    },
    30_000,
  );

  it('is not given to others although it is in the cache, fresh, and asked for by Describe before', async () => {
    const { tap } = await guarded();
    tap.cacheControl = 'no-cache, proxy-public, max-age=3600';
    const cache = await folder();
    const proxy = await reverse(tap.port, { cache });
    const { response } = await askAs(await proxy.peer(), 'anna', ['basic'], DESCRIBE(proxy.port));
    expect(response.status).toBe(200);
    await expect(received(`http://127.0.0.1:${proxy.port}/clip.wmv`)).rejects.toMatchObject({
      code: 'WM_AUTH_REFUSED',
    });
    await proxy.close();
    const again = await reverse(tap.port, { cache });
    await expect(received(`http://127.0.0.1:${again.port}/clip.wmv`)).rejects.toMatchObject({
      code: 'WM_AUTH_REFUSED',
    });
  });

  it('[WMSP-212] [WMSP-214] asks with 407 for itself, and passes 401 on, in forward mode', async () => {
    const { tap } = await guarded();
    const users = await usersFile({ bert: [] });
    const forward = await server(
      `proxy: { forward: true, access: { users: [bert] } }\nusers: ${users}\nprivateSources: [loopback]`,
    );
    const lines = DESCRIBE(tap.port, `http://127.0.0.1:${tap.port}/clip.wmv`);
    const first = await forward.ask(...lines, 'X-Accept-Authentication: NTLM', 'X-Accept-Proxy-Authentication: Basic');
    expect(first.status).toBe(407);
    expect(first.fields.filter(([name]) => name === 'Proxy-Authenticate').map(([, value]) => value)).toEqual([
      expect.stringMatching(/^Basic /),
    ]);
    const login = `Proxy-Authorization: Basic ${Buffer.from('bert:bert-secret').toString('base64')}`;
    const second = await forward.ask(...lines, login);
    expect(second.status).toBe(401);
    const both = `Authorization: Basic ${Buffer.from('anna:anna-secret').toString('base64')}`;
    expect((await forward.ask(...lines, login, both)).status).toBe(200);
  });
});

describe('a forward proxy', () => {
  it('passes on the requests of clients that use it, and nothing but those of players', async () => {
    const { tap, station } = await origin({ 'clip.wmv': { seconds: 2 } });
    const forward = await server(`proxy: { forward: true, hosts: [127.0.0.1] }\nprivateSources: [loopback]`);
    const proxy = `http://127.0.0.1:${forward.port}`;
    const direct = await received(`http://127.0.0.1:${station.port}/clip.wmv`);
    const through = await received(`http://127.0.0.1:${tap.port}/clip.wmv`, { proxy });
    expect(Buffer.concat(through.packets).equals(Buffer.concat(direct.packets))).toBe(true);
    const page = await forward.ask(`GET http://127.0.0.1:${tap.port}/ HTTP/1.1`, 'Host: x', 'User-Agent: curl/8');
    expect(page.status).toBe(501);
    const elsewhere = await forward.ask(`GET http://192.0.2.1/x HTTP/1.1`, 'Host: x', NEW);
    expect(elsewhere.status).toBe(403);
  });

  it('reaches no private address that is not allowed', async () => {
    const { tap } = await origin({ 'clip.wmv': { seconds: 1 } });
    const forward = await server('proxy: { forward: true }');
    const answer = await forward.ask(`GET http://127.0.0.1:${tap.port}/clip.wmv HTTP/1.1`, 'Host: x', NEW);
    expect([answer.status, tap.requests]).toEqual([503, []]);
  });

  it('takes the target from Host in transparent mode', async () => {
    const { tap } = await origin({ 'clip.wmv': { seconds: 1 } });
    const proxy = await server('proxy: { transparent: true }\nprivateSources: [loopback]');
    const answer = await proxy.ask('GET /clip.wmv HTTP/1.1', `Host: 127.0.0.1:${tap.port}`, NEW);
    expect([answer.status, tap.requests]).toEqual([200, ['info', 'describe']]);
    expect((await proxy.ask('GET /clip.wmv HTTP/1.1', `Host: 127.0.0.1:${proxy.port}`, NEW)).status).toBe(404);
  });
});
