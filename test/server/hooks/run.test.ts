import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HookConfig, type HookEvent, hookName, runHook } from '../../../src/server/hooks/run.js';

const EVENT: HookEvent = { event: 'play', path: '/live', user: 'anna' };
const hook = (run: HookConfig['run'], timeout = 5): HookConfig => ({ on: ['play'], run, timeout, decides: true });

describe('a program as a hook', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wmcast-hook-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('gets the event as JSON on standard input, and allows by exit code 0', async () => {
    const program = join(folder, 'a program');
    await writeFile(program, '#!/bin/sh\ncat > "$1"\necho "$WMCAST_EVENT" >> "$1"\n');
    await chmod(program, 0o755);
    expect(await runHook(hook([program, join(folder, 'out')]), EVENT)).toEqual({ allowed: true });
    expect(await readFile(join(folder, 'out'), 'utf8')).toBe(`${JSON.stringify(EVENT)}\nplay\n`);
    expect(await runHook(hook('true'), EVENT)).toEqual({ allowed: true });
  });

  it('refuses by any other exit code, with the first line of standard error as the reason', async () => {
    const refusing = hook(['sh', '-c', 'printf "no\\033[2J ticket\\nmore\\n" >&2; exit 3']);
    expect(await runHook(refusing, EVENT)).toEqual({ allowed: false, reason: 'no?[2J ticket' });
    expect(await runHook(hook('false'), EVENT)).toEqual({ allowed: false, reason: 'exit code 1' });
  });

  it('is not run by a shell', async () => {
    await expect(runHook(hook(`true; touch ${folder}/x`), EVENT)).rejects.toThrow(/ENOENT/);
  });

  it.each([
    ['is missing', '/no/such/program'],
    ['a shell cannot run', ['sh', '-c', 'exit 127']],
    ['is killed', ['sh', '-c', 'kill -9 $$']],
  ])('fails if it %s', async (_, run) => {
    await expect(runHook(hook(run), EVENT)).rejects.toThrow();
  });

  it('fails if it takes too long, even if it leaves another that keeps its output open', async () => {
    await expect(runHook(hook(['sleep', '60'], 0.1), EVENT)).rejects.toThrow('it took longer than 0.1 s');
    await expect(runHook(hook(['sh', '-c', 'sleep 8 & exit 0'], 0.1), EVENT)).rejects.toThrow('it took longer than');
  });
});

describe('a URL as a hook', () => {
  let server: Server;
  let base: string;
  let answer: { status: number; body: string; headers?: Record<string, string> };
  const requests: Array<{ readonly request: IncomingMessage; readonly body: string }> = [];

  beforeEach(async () => {
    requests.length = 0;
    answer = { status: 204, body: '' };
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        requests.push({ request, body });
        if (request.url === '/silent') return;
        response.writeHead(answer.status, answer.headers).end(answer.body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('gets the event as JSON by POST, logs in, and allows by status 2xx', async () => {
    expect(await runHook(hook(`http://me:se%40cret@${base}/x?y=1`), EVENT)).toEqual({ allowed: true });
    const [{ request, body } = { request: undefined, body: '' }] = requests;
    expect(JSON.parse(body)).toEqual(EVENT);
    expect(request).toMatchObject({ method: 'POST', url: '/x?y=1' });
    expect(request!.headers).toMatchObject({
      'content-type': 'application/json',
      authorization: `Basic ${Buffer.from('me:se@cret').toString('base64')}`,
    });
  });

  it('refuses by status 4xx, with the first line of the body as the reason', async () => {
    answer = { status: 403, body: 'no ticket\nmore' };
    expect(await runHook(hook(`http://${base}`), EVENT)).toEqual({ allowed: false, reason: 'no ticket' });
    answer = { status: 401, body: '' };
    expect(await runHook(hook(`http://${base}`), EVENT)).toEqual({ allowed: false, reason: 'status 401' });
    answer = { status: 403, body: 'x'.repeat(10_000_000) };
    const refused = await runHook(hook(`http://${base}`), EVENT);
    expect(refused).toEqual({ allowed: false, reason: 'x'.repeat(200) });
  });

  it('fails by any other status, by silence, and if nobody listens', async () => {
    answer = { status: 500, body: '' };
    await expect(runHook(hook(`http://${base}`), EVENT)).rejects.toThrow('it answered with status 500');
    answer = { status: 302, body: '', headers: { Location: '/y' } };
    await expect(runHook(hook(`http://${base}`), EVENT)).rejects.toThrow();
    await expect(runHook(hook(`http://${base}/silent`, 0.1), EVENT)).rejects.toThrow('it took longer than 0.1 s');
    server.close();
    await expect(runHook(hook('http://127.0.0.1:1/'), EVENT)).rejects.toThrow();
  });

  it('is named without its password', () => {
    expect(hookName({ run: 'http://me:secret@host/x' })).toBe('http://host/x');
    expect(hookName({ run: ['/bin/x', '--password=y'] })).toBe('/bin/x');
  });
});
