import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultConfig } from '../../src/server/config.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { parseResponse } from '../support/wire.js';
import { ServerStation } from './station.js';

const SECRET = 'not for players';
const NSPLAYER = 'User-Agent: NSPlayer/12.0.7680.0';

let station: ServerStation;
let base: string;
let warnings: string[] = [];
const sockets: Socket[] = [];

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'wmcast-attack-'));
  const folder = join(base, 'content');
  await mkdir(join(folder, 'sub'), { recursive: true });
  await writeFile(join(folder, 'film.wmv'), Buffer.concat([testHeader().bytes, testPacket(0).bytes]));
  await writeFile(join(folder, '.hidden.wmv'), SECRET);
  await writeFile(join(base, 'secret.wmv'), SECRET);
  await symlink(join(base, 'secret.wmv'), join(folder, 'link.wmv'));
  await symlink(base, join(folder, 'out'));
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await station.close();
  await rm(base, { recursive: true });
});

async function open(limits: { connections?: number; connectionsPerAddress?: number } = {}): Promise<void> {
  warnings = [];
  const config = { content: { folder: join(base, 'content') }, limits: { ...defaultConfig().limits, ...limits } };
  station = await ServerStation.open(config, { warning: (message) => warnings.push(message) });
}

/** A connection from an address of this host that the server does not trust as its operator's. */
async function stranger(address = '127.0.0.2', port = station.port): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: address });
  sockets.push(socket);
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'connect');
  return socket;
}

async function statusOf(...lines: string[]): Promise<number> {
  const peer = await station.peer();
  peer.request(...lines);
  const { status, body } = await peer.until(parseResponse);
  expect(body.includes(SECRET)).toBe(false);
  peer.close();
  return status;
}

describe('paths that lead out of the content folder', () => {
  it.each([
    '/../secret.wmv',
    '/%2e%2e/secret.wmv',
    '/..%2fsecret.wmv',
    '/%2e%2e%2fsecret.wmv',
    '/%252e%252e/secret.wmv',
    '/%252e%252e%252fsecret.wmv',
    '/..\\secret.wmv',
    '/..%5csecret.wmv',
    '/..%255csecret.wmv',
    '/sub/../../secret.wmv',
    '/sub/..;/..;/secret.wmv',
    '/%c0%ae%c0%ae/secret.wmv',
    '/\xc0\xae\xc0\xae/secret.wmv',
    '/%e0%80%ae%e0%80%ae/secret.wmv',
    '/%uff0e%uff0e/secret.wmv',
    '/link.wmv',
    '/out/secret.wmv',
    '/out/*',
    '/out/',
    '/.hidden.wmv',
    '/%2ehidden.wmv',
    '/sub/../.hidden.wmv',
    '/film.wmv%00.asf',
    '/film.wmv%00',
    '//film.wmv',
    '/film.wmv/.',
    '/film.wmv/..',
    'http://server/../secret.wmv',
    'file:///../secret.wmv',
  ])('give nothing at %s', async (path) => {
    await open();
    for (const lines of [[], [NSPLAYER], [NSPLAYER, 'Pragma: xPlayStrm=1']]) {
      const status = await statusOf(`GET ${path} HTTP/1.1`, 'Host: a', 'Connection: close', ...lines);
      expect([400, 403, 404]).toContain(status);
    }
  });
});

describe('request heads made to be expensive', () => {
  const LENGTH = 15_000;
  const PATTERNS = ['a', ' ', ',', '"', '=', '=",', 'a=b,', '\\"', '; ', '\t', '%', '(', 'a,', '-', '{', 'ffff:1:0 '];
  const FIELDS = [
    'Pragma',
    'User-Agent',
    'Cookie',
    'Accept',
    'Range',
    'If-Range',
    'Authorization',
    'Supported',
    'Expect',
  ];

  it('are answered at once, never with an internal error', async () => {
    await open();
    const slow: string[] = [];
    const ask = async (...lines: string[]) => {
      const started = process.cpuUsage();
      expect(await statusOf(...lines)).toBeLessThan(500);
      const { user, system } = process.cpuUsage(started);
      if (user + system > 500_000) slow.push(`${lines.join(' | ').slice(0, 60)}: ${(user + system) / 1_000} ms`);
    };
    for (const pattern of PATTERNS) {
      const long = pattern.repeat(Math.floor(LENGTH / pattern.length));
      for (const field of FIELDS) {
        const agent = field === 'User-Agent' ? [] : [NSPLAYER];
        await ask('GET /film.wmv HTTP/1.1', 'Host: a', ...agent, `${field}: ${long}`);
        await ask('GET /film.wmv HTTP/1.1', 'Host: a', `${field}: ${long}`);
      }
      await ask(`GET /${long.trim()} HTTP/1.1`, 'Host: a');
      await ask(`GET /film.wmv?${long.trim()} HTTP/1.1`, 'Host: a');
    }
    expect(slow).toEqual([]);
  }, 60_000);
});

describe('floods', () => {
  it('of requests with unread responses are throttled, and others are served', async () => {
    await open();
    const flood = Buffer.from('GET /* HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2_000));
    for (let count = 0; count < 20; count++) {
      const socket = await stranger();
      socket.pause();
      for (let round = 0; round < 20; round++) socket.write(flood);
    }
    const before = process.memoryUsage().arrayBuffers;
    for (let count = 0; count < 20; count++) expect(await statusOf('GET /film.wmv HTTP/1.1', 'Host: a')).toBe(200);
    // The attacker's own memory is in this process, too.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
    // 800,000 requests are a lot for a busy machine.
  }, 120_000);

  it('of connections from one address leave room for others, and are reported once', async () => {
    await open({ connections: 100, connectionsPerAddress: 40 });
    for (let count = 0; count < 60; count++) await stranger();
    await until('all but 40 to be closed', () => sockets.filter(({ closed }) => closed).length === 20);
    expect(await statusOf('GET /film.wmv HTTP/1.1', 'Host: a')).toBe(200);
    const other = await stranger('127.0.0.3');
    other.write('GET /film.wmv HTTP/1.0\r\n\r\n');
    await once(other, 'close');
    expect(other.bytesRead).toBeGreaterThan(400);
    expect(warnings).toEqual([expect.stringContaining('127.0.0.2 has the 40 that one address may have')]);
  });

  it('of connections to MSBD count as well, and are reported', async () => {
    warnings = [];
    const limits = { ...defaultConfig().limits, connections: 100, connectionsPerAddress: 10 };
    station = await ServerStation.open({ limits, msbd: { port: 0 } }, { warning: (message) => warnings.push(message) });
    const { msbd, http } = station.server.ports;
    for (let count = 0; count < 10; count++) await stranger('127.0.0.2', count % 2 === 0 ? msbd! : http!);
    for (const port of [msbd!, http!]) {
      const refused = await stranger('127.0.0.2', port);
      await until('one to be closed', () => refused.closed);
    }
    expect(sockets.filter(({ closed }) => closed)).toHaveLength(2);
    expect(warnings).toEqual([expect.stringContaining('127.0.0.2 has the 10 that one address may have')]);
  });

  it('of connections from everywhere leave some for this host', async () => {
    await open({ connections: 40, connectionsPerAddress: 20 });
    for (let count = 0; count < 60; count++) await stranger(`127.0.0.${2 + (count % 6)}`);
    await until('all but 36 to be closed', () => sockets.filter(({ closed }) => closed).length === 24);
    expect(await statusOf('GET /film.wmv HTTP/1.1', 'Host: a')).toBe(200);
    expect(warnings).toEqual([expect.stringMatching(/36 are open, of 40 .*limits\.connections\)/)]);
  });

  it('of endless bodies do not keep their connections', async () => {
    await open({ connections: 100 });
    for (let count = 0; count < 30; count++) {
      const socket = await stranger();
      socket.write('GET /film.wmv HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000000000\r\n\r\n');
      const drip = setInterval(() => socket.writable && socket.write('x'), 100);
      socket.once('close', () => clearInterval(drip));
    }
    await until('them all to be closed', () => sockets.every(({ closed }) => closed));
    await until('the server to have none', () => station.server.stats().connections === 0);
  });
});
