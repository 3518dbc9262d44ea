import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { probe, pull } from '../../src/library/pull.js';
import { push } from '../../src/library/push.js';
import { type ServedHandle, serve } from '../../src/library/serve.js';

const folder = mkdtempSync(join(tmpdir(), 'wmcast-library-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Uses something and disposes of it, as `await using` does. */
async function using<T extends AsyncDisposable>(made: Promise<T> | T, use: (made: T) => Promise<void>): Promise<void> {
  const handle = await made;
  try {
    await use(handle);
  } finally {
    await handle[Symbol.asyncDispose]();
  }
}

describe('serve, push, pull and probe in one call each', () => {
  it('carry a stream from an encoder to a player, and say what happens', async () => {
    await using(serve(), async (server) => {
      const live = server.live('/live');
      const joined = server.playerJoined('/live');
      await using(push(server.url('/live'), { source: 'synthetic:seed=3' }), async (pushed) => {
        await Promise.all([pushed.live, live]);
        const left = server.playerLeft('/live');
        for (const protocol of ['http', 'mmsh', 'rtsp', 'mms'] as const) {
          const expect_ = 'video=wmv2,damaged=0,packets>=20';
          const received = pull(server.url('/live', protocol), { packets: 20, expect: expect_ });
          expect((await received.header).streams).toHaveLength(2);
          expect((await received.firstPacket).payloads.length).toBeGreaterThan(0);
          expect((await received.finished).packets).toBe(20);
        }
        expect(await joined).toMatchObject({ path: '/live' });
        expect((await left).path).toBe('/live');
        expect(await probe(server.url('/live'))).toMatchObject({ live: true, transport: 'wmsp' });
      });
      expect(server.warnings).toEqual([]);
    });
  });

  it('a server that closes ends a running push, which is no refusal', async () => {
    const server = await serve();
    const pushed = await push(server.url('/live'));
    await pushed.live;
    await server.close();
    expect(await pushed.finished).toMatchObject({ ended: 'server' });
  });

  it('fail at once if something is wrong', async () => {
    await expect(push('http://127.0.0.1:1/x')).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
    const received = pull('http://127.0.0.1:1/x');
    await expect(received.firstPacket).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
    await expect(received.finished).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
    await expect(probe('http://127.0.0.1:1/x')).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
    expect(() => pull('http://127.0.0.1:1/x', { expect: 'frames' })).toThrow(/not understood/);
  });

  it('end when their signal aborts', async () => {
    const abort = new AbortController();
    const { signal } = abort;
    const server = await serve({ signal });
    const pushed = await push(server.url('/live'), { signal });
    await Promise.all([pushed.live, server.live('/live')]);
    const received = pull(server.url('/live'), { signal });
    await received.firstPacket;
    const waiting = server.playerJoined('/none');
    abort.abort();
    expect((await pushed.finished).ended).toMatch(/closed|server/);
    await received.finished.catch(() => undefined);
    await expect(waiting).rejects.toThrow('The server was closed.');
    await expect(serve({ signal })).rejects.toThrow();
    await server.close();
  });

  it('commit faults, and find them', async () => {
    let server: ServedHandle | undefined;
    await using(serve({ faults: 'corrupt=1/5,seed=2' }), async (served) => {
      server = served;
      await using(push(served.url('/live')), async (pushed) => {
        await Promise.all([pushed.live, served.live('/live')]);
        const received = pull(served.url('/live'), {
          packets: 30,
          expect: 'damaged=0',
          output: join(folder, 'bad.asf'),
        });
        await expect(received.finished).rejects.toMatchObject({ code: 'WM_UNEXPECTED' });
      });
    });
    expect(server?.warnings).toEqual([]);
  });
});
