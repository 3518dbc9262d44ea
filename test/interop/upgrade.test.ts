import { cp, mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../support/until.js';
import { Child } from './support/child.js';
import { Command, newPoint, Server } from './support/commands.js';
import { makeAsf, newContentFolder, newFolder } from './support/content.js';
import { packetsOf, wirePlayer } from './support/wire.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FILM = '/film.wmv';

interface Process {
  readonly number: number;
  readonly pid: number;
  readonly version: string;
  readonly state: string;
  readonly players: number;
}

interface Ports {
  readonly http: number;
  readonly mms: number;
  readonly rtsp: number;
  readonly admin: number;
}

/** What a generator of load says about its players. */
interface Played {
  readonly playing: number;
  readonly data_packets: number;
  readonly ended: number;
  readonly silence_ms_max: number;
  readonly af_gaps?: number;
  readonly loc_gaps?: number;
  readonly lost?: number;
  readonly wrong?: number;
  readonly dropped_by_receivers?: number;
}

/** Players of one protocol, in a process of their own. */
class Load extends Child {
  readonly players: number;

  constructor(program: string, port: number, path: string, players: number, transport?: 'tcp' | 'udp') {
    const more = transport === undefined ? [] : ['0', transport];
    const script = join(ROOT, `bench/${program}.mjs`);
    super(process.execPath, [script, '127.0.0.1', `${port}`, path, `${players}`, '300', '100', ...more]);
    this.players = players;
  }

  /** Ends the players. */
  async result(): Promise<Played> {
    this.signal('SIGTERM');
    await this.ends();
    return JSON.parse(this.output[0]!) as Played;
  }
}

/** Players of every protocol, live and on demand, by TCP and UDP: 20 parts of them. */
function loads({ http, rtsp, mms }: Ports, point: string, part: number): Load[] {
  return [
    new Load('load', http, point, 6 * part),
    new Load('load', http, FILM, 4 * part),
    new Load('load-rtsp', rtsp, point, 3 * part, 'tcp'),
    new Load('load-rtsp', rtsp, FILM, 2 * part, 'udp'),
    new Load('load-mmsp', mms, FILM, 2 * part, 'tcp'),
    new Load('load-mmsp', mms, point, 3 * part, 'udp'),
  ];
}

/** Checks that each player of a load got one unbroken stream until it was ended. */
async function expectUnbroken(load: Load): Promise<void> {
  const { playing, data_packets: packets, ended, silence_ms_max: silence, ...played } = await load.result();
  const {
    af_gaps: flags = 0,
    loc_gaps: locations = 0,
    lost = 0,
    wrong = 0,
    dropped_by_receivers: dropped = 0,
  } = played;
  // Datagrams that the kernel dropped in front of a receiver were sent.
  const broken = { ended, flags, locations, wrong, lost: Math.max(0, lost - dropped) };
  expect([load.name, broken]).toEqual([load.name, { ended: 0, flags: 0, locations: 0, wrong: 0, lost: 0 }]);
  expect(playing).toBe(load.players);
  expect(packets).toBeGreaterThan(100 * load.players);
  expect(silence).toBeLessThan(8_000);
}

async function processesOf({ admin }: Ports): Promise<readonly Process[]> {
  const response = await fetch(`http://127.0.0.1:${admin}/api/processes`);
  return ((await response.json()) as { processes: Process[] }).processes;
}

async function portsOf(server: Command): Promise<Ports> {
  return (await server.event('ready'))['ports'] as unknown as Ports;
}

/** The workers that have players of a path, by the ids of their sessions. */
async function homesOf({ admin }: Ports, path: string): Promise<Map<string, number>> {
  const response = await fetch(`http://127.0.0.1:${admin}/api/players`);
  const { players } = (await response.json()) as { players: { id: string; path: string }[] };
  const homes = new Map<string, number>();
  for (const { id, path: played } of players) {
    const home = id.split('.')[1]!;
    if (played === path) homes.set(home, (homes.get(home) ?? 0) + 1);
  }
  return homes;
}

const ALL_PORTS = [
  '--mms-port',
  '0',
  '--rtsp-port',
  '0',
  '--admin-port',
  '0',
  '--msbd-port',
  'none',
  '--log-level',
  'warn',
];

/** Lets media play for some seconds. */
async function play(server: Server, times: number): Promise<void> {
  for (let time = 0; time < times; time++) await server.next('stats');
}

describe('an upgrade of a running server', () => {
  const folder = newContentFolder();

  beforeAll(async () => {
    await makeAsf('film.wmv', { duration: 120, folder });
  });

  it.each([
    ['one process', []],
    ['two workers', ['--workers', '2']],
  ])('drops none of 200 players of a server with %s, and gives new ones to new processes', async (_, more) => {
    const server = await Server.start('--content', folder, ...ALL_PORTS, ...more);
    const ports = await portsOf(server);
    const point = newPoint();
    const push = await server.publish(point);
    const before = loads(ports, point, 10);
    await server.event('stats', ({ players }) => players === 200);
    const old = await processesOf(ports);

    const command = new Command('wmcast', ['upgrade', '--admin', `http://127.0.0.1:${ports.admin}`]);
    expect([await command.ends(240_000), command.log]).toEqual([{ code: 0, signal: null }, expect.anything()]);
    expect(command.output.join('\n')).toMatch(/draining/);
    const now = await processesOf(ports);
    const replaced = old.filter(({ players }) => players > 0).map(({ pid }) => pid);
    expect(now.filter(({ state }) => state === 'draining').map(({ pid }) => pid)).toEqual(replaced);
    const fresh = now.filter(({ pid }) => !old.some((each) => each.pid === pid));
    expect(fresh.map(({ state }) => state)).toEqual(
      Array.from({ length: Math.max(1, old.length - 1) }, () => 'serving'),
    );

    const homes = await homesOf(ports, point);
    const after = loads(ports, point, 1);
    await server.event('stats', ({ players }) => players === 220);
    const added = new Set<string>();
    for (const [home, count] of await homesOf(ports, point)) if (count > (homes.get(home) ?? 0)) added.add(home);
    expect([...added].every((home) => fresh.some(({ number }) => `${number}` === home))).toBe(true);
    await play(server, 5);
    for (const load of [...before, ...after]) await expectUnbroken(load);

    await until(
      'replaced processes to be without players',
      async () => (await processesOf(ports)).every(({ state }) => state === 'serving'),
      60_000,
    );
    const left = (await processesOf(ports)).map(({ pid }) => pid);
    expect(left).toEqual([server.pid, ...fresh.map(({ pid }) => pid)]);
    // The encoder has noticed nothing.
    expect(push.events.filter(({ event }) => event === 'error' || event === 'reconnecting')).toEqual([]);
    await server.stop();
  });

  it('passes requests of sessions on to the process that was replaced', async () => {
    const server = await Server.start('--content', folder, ...ALL_PORTS);
    const ports = await portsOf(server);
    const player = await wirePlayer(server.port, FILM);
    const id = await player.until((bytes) => /client-id=(\d+)/.exec(bytes.toString('latin1'))?.[1]);
    server.signal('SIGUSR2');
    await server.event('upgrade');
    const pragma = `client-id=${id}, xStopStrm=1`;
    const response = await fetch(`http://127.0.0.1:${server.port}${FILM}`, {
      method: 'POST',
      headers: { 'User-Agent': 'NSPlayer/9.0.0.2980', Pragma: pragma },
    });
    expect(response.status).toBe(200);
    await until('the player to have gone', async () => (await processesOf(ports))[0]?.players === 0);
    player.close();
    await server.stop();
  });

  it('cuts players that stay longer than --drain allows, and says so', async () => {
    const server = await Server.start('--content', folder, ...ALL_PORTS, '--workers', '1', '--drain', '2');
    const ports = await portsOf(server);
    const player = await wirePlayer(server.port, FILM);
    await player.until((bytes) => (packetsOf(bytes).length > 5 ? true : undefined));
    const [, worker] = await processesOf(ports);
    server.signal('SIGUSR2');
    await player.untilClosed(60_000);
    expect(packetsOf(player.received).at(-1)?.id).toBe('E');
    await server.until('the warning', () =>
      server.log.find((line) => /Worker 1 was replaced 2 s ago; 1 player/.test(line)),
    );
    await until(
      'the worker to have ended',
      async () => !(await processesOf(ports)).some(({ pid }) => pid === worker!.pid),
    );
    await server.stop();
  });

  it('cuts players of a server without workers likewise', async () => {
    const server = await Server.start('--content', folder, ...ALL_PORTS, '--drain', '2');
    const player = await wirePlayer(server.port, FILM);
    await player.until((bytes) => (packetsOf(bytes).length > 5 ? true : undefined));
    server.signal('SIGUSR2');
    await player.untilClosed(60_000);
    await server.until('the warning', () => server.log.find((line) => /2 s ago; 1 player lost/.test(line)));
    await server.stop();
  });

  it('refuses another one meanwhile; ended in the middle of one, the server leaves no process', async () => {
    const server = await Server.start('--content', folder, ...ALL_PORTS);
    const ports = await portsOf(server);
    const upgrade = () =>
      fetch(`http://127.0.0.1:${ports.admin}/api/upgrade`, { method: 'POST', headers: { 'X-Requested-With': 'test' } });
    const statuses = (await Promise.all([upgrade(), upgrade()])).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 409]);
    const [, worker] = await processesOf(ports);
    server.signal('SIGUSR2');
    const starting = await until('the new worker to start', async () =>
      (await processesOf(ports)).find(({ state }) => state === 'starting'),
    );
    expect(await server.stop()).toEqual({ code: 143, signal: null });
    for (const pid of [worker!.pid, starting.pid]) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('leaves no process of a first upgrade either, in whose middle the server ends', async () => {
    const server = await Server.start('--content', folder, ...ALL_PORTS);
    const ports = await portsOf(server);
    server.signal('SIGUSR2');
    const starting = await until('the worker to start', async () =>
      (await processesOf(ports)).find(({ number }) => number === 1),
    );
    expect(await server.stop()).toEqual({ code: 143, signal: null });
    await until('the worker to have ended', async () => {
      try {
        process.kill(starting.pid, 0);
        return false;
      } catch {
        return true;
      }
    });
  });
});

/** Installs this program as another version. */
async function install(folder: string, version: string): Promise<void> {
  await mkdir(folder);
  for (const name of ['bin', 'dist', 'assets']) await cp(join(ROOT, name), join(folder, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const about = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as object;
  await writeFile(join(folder, 'package.json'), JSON.stringify({ ...about, version }));
}

/** Has a link name another version, in one step. */
async function choose(place: string, version: string): Promise<void> {
  await symlink(join(place, version), join(place, 'next'));
  await rename(join(place, 'next'), join(place, 'current'));
}

describe('an upgrade to another version', () => {
  const place = newFolder();
  const config = join(place, 'serve.yaml');

  beforeAll(async () => {
    await install(join(place, '1.0.0'), '1.0.0');
    await install(join(place, '2.0.0'), '2.0.0');
    await install(join(place, '3.0.0'), '3.0.0');
    await writeFile(join(place, '3.0.0/dist/server/workers/worker-process.js'), 'throw new Error("broken");\n');
    await makeAsf('film.wmv', { duration: 60, folder: place });
    await writeFile(config, `content: { folder: ${place} }\n`);
  });

  it.each([
    ['one process', []],
    ['workers', ['--workers', '2']],
  ])('runs the code that is on the disk, or leaves a server with %s as it was', async (_, more) => {
    await choose(place, '1.0.0');
    await writeFile(config, `content: { folder: ${place} }\n`);
    const args = ['--config', config, ...ALL_PORTS, ...more];
    const server = await Server.startFrom(join(place, 'current'), ...args);
    const ports = await portsOf(server);
    const player = await wirePlayer(server.port, FILM);
    await player.until((bytes) => (packetsOf(bytes).length > 5 ? true : undefined));
    const before = await processesOf(ports);
    const same = async () => (await processesOf(ports)).map(({ pid, state }) => [pid, state]);

    await choose(place, '3.0.0');
    server.signal('SIGUSR2');
    await server.until('the failure', () =>
      server.log.find((line) => /The upgrade failed.*ended at its start/.test(line)),
    );
    expect(await same()).toEqual(before.map(({ pid, state }) => [pid, state]));

    await choose(place, '2.0.0');
    await writeFile(config, 'content: { folder: [] }\n');
    const upgrade = new Command('wmcast', ['upgrade', '--admin', `http://127.0.0.1:${ports.admin}`]);
    expect((await upgrade.ends()).code).not.toBe(0);
    expect(upgrade.log.join('\n')).toMatch(/The upgrade failed.*content/s);
    expect(await same()).toEqual(before.map(({ pid, state }) => [pid, state]));

    await writeFile(config, `content: { folder: ${place} }\n`);
    server.signal('SIGUSR2');
    await server.event('upgrade');
    const fresh = (await processesOf(ports)).filter(({ pid }) => !before.some((each) => each.pid === pid));
    expect(new Set(fresh.map(({ version }) => version))).toEqual(new Set(['2.0.0']));
    const count = packetsOf(player.received).length;
    await player.until((bytes) => (packetsOf(bytes).length > count ? true : undefined));
    const next = await wirePlayer(server.port, FILM);
    await next.until((bytes) => (packetsOf(bytes).length > 5 ? true : undefined));
    expect(player.ended).toBe(false);
    player.close();
    next.close();
    await server.stop();
  });

  it('starts workers that cannot start later and later, and goes on once they can', async () => {
    await choose(place, '1.0.0');
    const server = await Server.startFrom(join(place, 'current'), ...ALL_PORTS, '--content', place, '--workers', '1');
    const ports = await portsOf(server);
    const [, worker] = await processesOf(ports);
    await choose(place, '3.0.0');
    process.kill(worker!.pid, 'SIGKILL');
    for (const wait of ['again;', 'again in 1 s;', 'again in 2 s;']) {
      await server.until(wait, () => server.log.find((line) => line.includes(`is started ${wait}`)), 60_000);
    }
    // A player that comes meanwhile waits for a worker.
    await choose(place, '2.0.0');
    const player = await wirePlayer(server.port, FILM);
    await player.until((bytes) => (packetsOf(bytes).length > 5 ? true : undefined));
    expect((await processesOf(ports)).map(({ number, version }) => [number, version])).toEqual([
      [0, '1.0.0'],
      [1, '2.0.0'],
    ]);
    player.close();
    await server.stop();
  });
});
