import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeSecrets, SECRET_KINDS } from '../../src/auth/secrets.js';
import { changeUserFile } from '../../src/auth/user-file.js';
import { until } from '../support/until.js';
import { Child } from './support/child.js';
import { Command, newPoint, Server } from './support/commands.js';
import { makeAsf, newContentFolder } from './support/content.js';
import { FfmpegPlayer } from './support/players.js';
import { itNeeds, program } from './support/programs.js';
import { packetsOf, wirePlayer } from './support/wire.js';

const PLAYER = 'NSPlayer/9.0.0.2980';
const ROUNDS = 30;
/** In ms. */
const ROUNDS_TIME = 120_000;

/** Sends a request on a connection of its own. */
function ask(
  server: Server,
  path: string,
  {
    method = 'GET',
    fields = {},
    body = '',
  }: { method?: string; fields?: Record<string, string | string[]>; body?: string },
): Promise<{ readonly status: number; readonly fields: NodeJS.Dict<string | string[]>; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'User-Agent': PLAYER, ...fields };
    const sent = request({ port: server.port, host: '127.0.0.1', path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode!, fields: response.headers, body: text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

async function api(server: Server, path: string, method = 'GET') {
  const { status, body } = await ask(server, `/api${path}`, { method, fields: { 'X-Requested-With': 'test' } });
  return { status, body: body === '' ? undefined : (JSON.parse(body) as Record<string, never>) };
}

interface Session {
  readonly id: string;
  readonly path: string;
  readonly role: string;
  readonly protocol: string;
  readonly transport: string;
}

async function sessions(server: Server, path: string): Promise<Session[]> {
  const { body } = await api(server, '/sessions');
  return (body!['sessions'] as unknown as Session[]).filter(
    (session) => session.path === path && session.role === 'player',
  );
}

describe('a server with workers', () => {
  const folder = newContentFolder();
  let server: Server;

  beforeAll(async () => {
    await makeAsf('film.wmv', { duration: 5, folder });
    await makeAsf('long.wmv', { duration: 60, folder });
    server = await Server.start('--workers', '4', '--content', folder, '--msbd-port', 'none');
  });

  itNeeds([program('ffmpeg')], 'plays a push to players of all workers, which the API counts and lists', async () => {
    const point = newPoint();
    await server.publish(point);
    const players = Array.from({ length: 8 }, () => new FfmpegPlayer(server.url(point, 'mmsh')));
    for (const player of players) await player.decodes(25, 1);
    const playing = await sessions(server, point);
    expect(playing).toHaveLength(8);
    expect(new Set(playing.map(({ id }) => id.split('.')[1])).size).toBeGreaterThan(1);
    await server.event('stats', ({ players: count }) => Number(count) >= 8);
    expect((await api(server, `/points${point}`)).body).toMatchObject({ live: true, players: 8 });
    expect((await api(server, `/sessions/${playing[0]!.id}`, 'DELETE')).status).toBe(204);
    await Promise.race(players.map((player) => player.ends()));
    expect(await sessions(server, point)).toHaveLength(7);
    for (const player of players) await player.stop();
  });

  itNeeds([program('ffmpeg')], 'plays files', async () => {
    const players = Array.from({ length: 4 }, () => new FfmpegPlayer(server.url('/film.wmv', 'mmsh')));
    const plain = new FfmpegPlayer(server.url('/film.wmv'));
    for (const player of [...players, plain]) expect(await player.ends()).toMatchObject({ code: 0 });
    expect(new Set([...players, plain].map(({ frames }) => frames)).size).toBe(1);
  });

  it(`finds the session of Stop, Log and KeepAlive on other connections, ${ROUNDS} times`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const described = await ask(server, '/film.wmv', {
        fields: { Pragma: 'xClientGUID={3300AD50-2C39-46C0-AE0A-1}' },
      });
      expect(described.status).toBe(200);
      const id = /client-id=(\d+)/.exec(String(described.fields['pragma']))![1]!;
      const pragma = { Pragma: `client-id=${id}` };
      const kept = await ask(server, '/film.wmv', {
        method: 'POST',
        fields: { Pragma: `xKeepAliveInPause=1, client-id=${id}` },
      });
      expect(kept.status).toBe(200);
      const type = { 'Content-Type': 'application/x-wms-logstats' };
      expect(
        (await ask(server, '/film.wmv', { method: 'POST', fields: { ...pragma, ...type }, body: '<XML></XML>' }))
          .status,
      ).toBe(204);
      const stop = { Pragma: `xStopStrm=1, client-id=${id}` };
      expect((await ask(server, '/film.wmv', { method: 'POST', fields: stop })).status).toBe(200);
    }
  });

  it(`passes on what comes over other connections: WMSP, RTSP, MMSP and PushStart, ${ROUNDS} times`, async () => {
    const script = fileURLToPath(new URL('../../bench/rounds.mjs', import.meta.url));
    const rounds = new Child(process.execPath, [script, '--rounds', `${ROUNDS}`, '--workers', '4']);
    await rounds.ends(ROUNDS_TIME);
    expect(JSON.parse(rounds.output[0] ?? '{}')).toMatchObject({ rounds: ROUNDS, failed: 0, failures: [] });
  });

  itNeeds(
    [program('ffmpeg')],
    'plays by RTSP and MMSP in several workers, which have RTP ports of their own',
    async () => {
      const own = await Server.start(
        ...['--workers', '2', '--msbd-port', 'none', '--mms-port', '0', '--rtsp-port', '0', '--content', folder],
      );
      const { ports } = (await own.event('ready')) as unknown as { ports: { mms: number; rtsp: number } };
      const point = newPoint();
      await own.publish(point);
      const rtsp = `rtsp://127.0.0.1:${ports.rtsp}${point}`;
      const players = ['udp', 'udp', 'tcp', 'tcp'].map((way) => new FfmpegPlayer(rtsp, ['-rtsp_transport', way]));
      const mms = `mmst://127.0.0.1:${ports.mms}${point}`;
      players.push(new FfmpegPlayer(mms), new FfmpegPlayer(mms));
      for (const player of players) await player.decodes(25, 1);
      const playing = await sessions(own, point);
      expect(playing.map(({ protocol, transport }) => `${protocol} ${transport}`).sort()).toEqual([
        'MMSP tcp',
        'MMSP tcp',
        'RTSP tcp',
        'RTSP tcp',
        'RTSP udp',
        'RTSP udp',
      ]);
      for (const kind of ['MMSP', 'RTSP']) {
        const homes = playing.filter(({ protocol }) => protocol === kind).map(({ id }) => id.split('.')[1]);
        expect(new Set(homes).size).toBe(2);
      }
      for (const player of players) await player.stop();
      await own.stop();
    },
  );

  it('loses only the players of a worker that is killed, and starts it again', async () => {
    const point = newPoint();
    await server.publish(point);
    const players = await Promise.all(Array.from({ length: 8 }, () => wirePlayer(server.port, point)));
    await server.event('stats', ({ players: count }) => Number(count) >= 8);
    const before = await sessions(server, point);
    const children = new Child('pgrep', ['-P', String(server.pid)]);
    await children.ends();
    const victim = Number(children.output[0]);
    process.kill(victim, 'SIGKILL');
    await server.until('the warning', () => server.log.find((line) => line.includes('is started again')));
    const left = players.filter(({ ended }) => !ended);
    expect(left.length).toBeGreaterThanOrEqual(before.length - 4);
    const again = await Promise.all(Array.from({ length: 4 }, () => wirePlayer(server.port, point)));
    for (const player of again) await player.until((bytes) => (packetsOf(bytes).length > 5 ? true : undefined));
    for (const player of [...left, ...again]) player.close();
  });

  it('plays points of the configuration, and takes over their new rules in all workers', async () => {
    const config = join(folder, 'serve.yaml');
    const points = (access: string) => `points:\n  - path: /station\n${access}  - path: /other\n`;
    await writeFile(config, points(''));
    const own = await Server.start('--workers', '2', '--msbd-port', 'none', '--config', config);
    await own.publish('/station');
    const players = await Promise.all(Array.from({ length: 4 }, () => wirePlayer(own.port, '/station')));
    for (const player of players) await player.until((bytes) => (packetsOf(bytes).length > 5 ? true : undefined));
    await writeFile(config, points('    access: { play: { addresses: [192.0.2.1] } }\n'));
    own.signal('SIGHUP');
    await own.until('the report', () => own.log.find((line) => line.includes('was read again')));
    const refused = async () => (await ask(own, '/station', {})).status === 403;
    await until('all workers to refuse', async () => {
      const answers = [];
      for (let each = 0; each < 4; each++) answers.push(await refused());
      return answers.every(Boolean);
    });
    expect(players.filter(({ ended }) => ended)).toEqual([]);
    for (const player of players) player.close();
    await own.stop();
  });

  it('locks out after failed logins at any worker, and accepts Digest challenges of the others', async () => {
    const users = join(folder, 'users.yaml');
    const [name, password] = ['anna', 'open sesame'];
    const entry = { name, groups: [], ...(await makeSecrets(name, password, 'wmcast', SECRET_KINDS)) };
    await changeUserFile(users, async () => ({ name, entry }));
    const config = join(folder, 'locked.yaml');
    await writeFile(config, `users: ${users}\npoints:\n  - path: /locked\n    access: { play: { users: ['*'] } }\n`);
    const own = await Server.start('--workers', '4', '--msbd-port', 'none', '--config', config);
    // Each request has a connection of its own, and so reaches the next worker.
    const asked = (authorization?: string) =>
      ask(own, '/locked', { fields: authorization === undefined ? {} : { Authorization: authorization } });
    const challenge = /nonce="([^"]+)"[^,]*(?:,[^,]*)*?opaque="([^"]+)"/;
    for (let login = 0; login < 3; login++) {
      const offered = [(await asked()).fields['www-authenticate']].flat().join(', ');
      const md5 = offered.split(/(?=Digest )/).find((each) => /^Digest .*MD5/.test(each))!;
      const [, nonce = '', opaque = ''] = challenge.exec(md5)!;
      const hash = (text: string) => createHash('md5').update(text).digest('hex');
      const secret = hash(`${name}:wmcast:${password}`);
      const response = hash(`${secret}:${nonce}:00000001:abc:auth:${hash('GET:/locked')}`);
      const fields = [
        `username="${name}"`,
        'realm="wmcast"',
        `nonce="${nonce}"`,
        'uri="/locked"',
        `response="${response}"`,
        `opaque="${opaque}"`,
      ];
      // Offline: the login itself was good.
      expect(
        (await asked(`Digest ${fields.join(', ')}, algorithm=MD5, qop=auth, nc=00000001, cnonce="abc"`)).status,
      ).toBe(503);
    }
    const wrong = `Basic ${Buffer.from('nobody:wrong').toString('base64')}`;
    const statuses = [];
    for (let tries = 0; tries < 11; tries++) statuses.push((await asked(wrong)).status);
    statuses.push((await asked(wrong)).status);
    expect(statuses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 401));
    expect(statuses.at(-1)).toBe(429);
    await own.stop();
  });

  it('goes on with publishers and with the players of the other workers when one is killed after the other', async () => {
    const own = await Server.start('--workers', '2', '--msbd-port', 'none', '--content', folder);
    const point = newPoint();
    const push = await own.publish(point);
    for (const path of [point, '/long.wmv']) {
      const players: Awaited<ReturnType<typeof wirePlayer>>[] = [];
      await until('players in both workers', async () => {
        // Two, as connections take turns: the one of the question goes to a worker, too.
        players.push(await wirePlayer(own.port, path), await wirePlayer(own.port, path));
        await players.at(-1)!.until((bytes) => (packetsOf(bytes).length > 5 ? true : undefined));
        return new Set((await sessions(own, path)).map(({ id }) => id.split('.')[1])).size === 2;
      });
      const children = new Child('pgrep', ['-P', String(own.pid)]);
      await children.ends();
      const before = own.log.filter((line) => line.includes('is started again')).length;
      process.kill(Number(children.output[0]), 'SIGKILL');
      await own.until('the warning', () => own.log.filter((line) => line.includes('is started again'))[before]);
      await until('the players of the killed worker to lose their connections', () =>
        players.some(({ ended }) => ended),
      );
      expect(players.filter(({ ended }) => ended).length).toBeLessThan(players.length);
      // Whatever worker a new connection reaches, it plays.
      const again = await Promise.all(Array.from({ length: 2 }, () => wirePlayer(own.port, path)));
      for (const player of again) await player.until((bytes) => (packetsOf(bytes).length > 5 ? true : undefined));
      for (const player of [...players, ...again]) player.close();
    }
    expect(push.exit).toBeUndefined();
    expect(push.events.filter(({ event }) => event === 'error' || event === 'reconnecting')).toEqual([]);
    await own.stop();
  });

  it('says which port is taken, and leaves no process', async () => {
    const second = new Command('wmcast', [
      ...['serve', '--host', '127.0.0.1', '--http-port', String(server.port), '--workers', '2', '--msbd-port', 'none'],
    ]);
    expect(await second.ends()).toEqual({ code: 1, signal: null });
    expect(second.log.join(' ')).toContain('another program listens there');
    expect(second.log.join(' ')).not.toContain('started again');
  });

  it('ends with SIGTERM, and leaves no process', async () => {
    const own = await Server.start('--workers', '2', '--msbd-port', 'none');
    const point = newPoint();
    await own.publish(point);
    const children = new Child('pgrep', ['-P', String(own.pid)]);
    await children.ends();
    expect(children.output).toHaveLength(2);
    expect(await own.stop()).toEqual({ code: 143, signal: null });
    for (const pid of children.output) expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
  });
});
