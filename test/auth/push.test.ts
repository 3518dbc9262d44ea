import { ClientAuthenticator } from '../../src/auth/client.js';
import type { Scheme } from '../../src/auth/dialog.js';
import { callerOf } from '../../src/auth/header-dialog.js';
import type { Exchange } from '../../src/http/exchange.js';
import type { RequestHead } from '../../src/http/message.js';
import { HttpServer } from '../../src/http/server.js';
import { PushClient } from '../../src/wmhttp/client/client.js';
import { testHeader, testPacket } from '../support/stream.js';
import { headersOf, station } from './support.js';

let server: HttpServer | undefined;
afterEach(() => server?.close());

const typeOf = ({ headers }: RequestHead) => headers.get('Content-Type')?.replace('application/x-wms-', '');

/** A server that asks for credentials, also at PushStart if `askStart` is set, and keeps the requests. */
async function pushed(schemes: readonly Scheme[], askStart: boolean) {
  const at = await station(schemes);
  const requests: Array<{ readonly request: RequestHead; readonly connection: object }> = [];
  const take = async (exchange: Exchange) => {
    const { request, connection } = exchange;
    requests.push({ request, connection });
    const starts = typeOf(request) === 'pushstart';
    const fields = [
      ['Server', 'Cougar/9.5.5732.6324'],
      ['Set-Cookie', 'push-id=7'],
    ] as const;
    const outcome = starts && !askStart ? undefined : await at.server.check(callerOf(exchange));
    if (outcome?.kind === 'challenge') {
      exchange.respond({ status: 401, fields: [...fields, ...headersOf(outcome).entries] });
      return;
    }
    const done = () => exchange.respond({ status: outcome?.kind === 'blocked' ? 403 : 204, fields });
    if (starts) exchange.receive({ data: () => {}, end: done, aborted: () => {} }, 1_000);
    else done();
  };
  server = new HttpServer({ onRequest: (exchange) => void take(exchange) });
  const port = await server.listen(0, '127.0.0.1');
  const authorize = new ClientAuthenticator({ server: { user: 'alice', password: 'sésame' } });
  const client = await PushClient.connect({ url: `http://127.0.0.1:${port}/live`, authorize });
  await client.write({ type: 'header', header: testHeader() });
  for (let i = 0; i < 5; i++) await client.write({ type: 'packet', packet: testPacket(i * 100, { key: i === 0 }) });
  await client.close();
  return requests;
}

const summary = (requests: Awaited<ReturnType<typeof pushed>>) =>
  requests.map(({ request }) => `${typeOf(request)} ${request.headers.get('Authorization')?.split(' ')[0] ?? '-'}`);

describe('a push to a server that asks for credentials', () => {
  it('[WMHTTP-047] lists the schemes in PushSetup and PushStart', async () => {
    const requests = await pushed(['digest'], false);
    expect(summary(requests)).toContain('pushstart Digest');
    for (const { request } of requests) {
      expect(request.headers.all('X-Accept-Authentication')).toEqual(['Negotiate, NTLM, Digest']);
    }
  });

  it.each([
    ['negotiate', 'Negotiate'],
    ['ntlm', 'NTLM'],
  ] as const)('logs in with %s on one connection, and starts on it without credentials', async (scheme, name) => {
    const requests = await pushed([scheme], false);
    expect(summary(requests)).toEqual(['pushsetup -', `pushsetup ${name}`, `pushsetup ${name}`, 'pushstart -']);
    expect(new Set(requests.slice(1).map(({ connection }) => connection)).size).toBe(1);
  });

  it('logs in with Digest, with a new count for each request', async () => {
    const requests = await pushed(['digest'], true);
    expect(summary(requests)).toEqual(['pushsetup -', 'pushsetup Digest', 'pushstart Digest']);
    const counts = requests.slice(1).map(({ request }) => /nc=(\w+)/.exec(request.headers.get('Authorization')!)?.[1]);
    expect(counts).toEqual(['00000001', '00000002']);
  });
});
