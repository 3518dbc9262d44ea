// Live fan-out as it is run: `wmcast serve` with a `wmpush --copy` of a file, and at the same time a ceiling that writes one shared
// buffer to each player and knows no protocol at all. CPU seconds for each GB, once all players have joined. Linux, for /proc.
//
//   npm run build && node bench/fanout.mjs [--players 100,500,1000] [--seconds 15] [--runs 3] [--load PROGRAM] [--ceiling SCRIPT] [--vlc]
//
// The players of each server are a process of their own (bench/load.mjs). --load names another generator, called as
// PROGRAM HOST PORT PATH PLAYERS SECONDS RAMP_PER_SECOND PID and printing one JSON line as that does; above 2000 players the one here
// is slower than the server. --ceiling names another ceiling, called as bench/ceiling.mjs is. --serve names another bin/wmcast.js, to
// compare with. --vlc measures VLC's mmsh server as well: it reads and multiplexes the file itself, which our push does in another process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { testFile } from './stream.mjs';

const RAMP = 500;
/** Milliseconds between two writes of the ceiling. */
const INTERVAL = 200;
/** Of the file, bits per second with the heads of the protocol. */
const KBPS = 371;
const FILE_SECONDS = 60;
const here = (name) => new URL(name, import.meta.url).pathname;

const { values } = parseArgs({
  options: {
    players: { type: 'string', default: '100,500,1000' },
    seconds: { type: 'string', default: '15' },
    runs: { type: 'string', default: '3' },
    load: { type: 'string' },
    ceiling: { type: 'string', default: here('./ceiling.mjs') },
    serve: { type: 'string', default: here('../bin/wmcast.js') },
    vlc: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** CPU seconds of a process so far, all threads, to the nanosecond. */
async function cpuOf({ pid }) {
  let sum = 0;
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${task}/schedstat`, 'latin1').catch(() => '0');
    sum += Number(text.split(' ')[0]);
  }
  return sum / 1e9;
}

async function megabytesOf({ pid }) {
  return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'latin1'))[1]) / 1024;
}

function start(script, args) {
  return spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
}

async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

async function listens(port) {
  for (let tries = 0; tries < 500; tries++) {
    const socket = net.connect(port, '127.0.0.1');
    const connected = await new Promise((resolve) => {
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    });
    socket.destroy();
    if (connected) return;
    await delay(20);
  }
  throw new Error('A server to compare with does not listen.');
}

/** wmcast as its commands run it. */
async function startOurs(file) {
  const server = start(values.serve, [
    'serve',
    '--host',
    '127.0.0.1',
    '--http-port',
    '0',
    '--msbd-port',
    'none',
    '--json',
  ]);
  const lines = createInterface(server.stdout);
  const [line] = await once(lines, 'line');
  const port = JSON.parse(line).ports.http;
  const fed = new Promise((resolve) => {
    lines.on('line', (text) => JSON.parse(text).packetsIn > 0 && resolve());
  });
  const push = start(join(values.serve, '../wmpush.js'), [
    '--copy',
    '--loop',
    '-i',
    file,
    `http://127.0.0.1:${port}/live`,
  ]);
  push.stdout.resume();
  await fed;
  // It starts players with a burst; let it have one to give.
  await delay(5000);
  return { server, port, others: [push] };
}

async function startCeiling() {
  const port = await freePort();
  const server = start(values.ceiling, [port, KBPS, INTERVAL].map(String));
  await listens(port);
  return { server, port, others: [] };
}

/** VLC refuses to run as root. */
const NOBODY = 65534;

async function startVlc(file) {
  const port = await freePort();
  const server = spawn(
    'vlc',
    [
      ...['-I', 'dummy', '--loop', '--no-sout-all', '--sout-keep', file],
      ...['--sout', `#std{access=mmsh,mux=asfh,dst=127.0.0.1:${port}/live}`],
    ],
    {
      stdio: 'ignore',
      cwd: tmpdir(),
      env: { ...process.env, HOME: tmpdir() },
      ...(process.getuid() === 0 && { uid: NOBODY, gid: NOBODY }),
    },
  );
  await listens(port);
  return { server, port, others: [] };
}

function play({ server, port }, players, time) {
  const args = ['127.0.0.1', port, '/live', players, time, RAMP, server.pid].map(String);
  const [program, before] = values.load ? [values.load, []] : [process.execPath, [here('./load.mjs')]];
  const load = spawn(program, [...before, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  load.stdout.on('data', (chunk) => {
    output += chunk;
  });
  return once(load, 'close').then(() => JSON.parse(output));
}

async function measure(file, players) {
  const servers = [await startOurs(file), await startCeiling(), ...(values.vlc ? [await startVlc(file)] : [])];
  try {
    const joining = (players / RAMP + 3) * 1000;
    const memory = await megabytesOf(servers[0].server);
    const look = () => Promise.all(servers.map(({ server }) => cpuOf(server)));
    const atStart = await look();
    const loads = servers.map((each) => play(each, players, joining / 1000 + seconds + 1));
    await delay(joining);
    const from = await look();
    const begun = performance.now();
    await delay(seconds * 1000);
    const to = await look();
    const gigabytes = (players * KBPS * (performance.now() - begun)) / 8e9;
    const perPlayer = ((await megabytesOf(servers[0].server)) - memory) / players;
    const [ours, , vlcPlayers] = await Promise.all(loads);
    const [steady, ceiling, vlc] = to.map((cpu, index) => (cpu - from[index]) / gigabytes);
    return {
      ours,
      vlcPlayers,
      steady,
      ceiling,
      vlc,
      ratio: steady / ceiling,
      join: (from[0] - atStart[0]) / players,
      perPlayer,
    };
  } finally {
    for (const { server, others } of servers) for (const each of [server, ...others]) each.kill();
  }
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

const folder = await mkdtemp(join(tmpdir(), 'wmcast-bench-'));
try {
  const file = join(folder, 'live.asf');
  await testFile(file, { seconds: FILE_SECONDS });
  await chmod(folder, 0o755);
  const rows = [];
  for (const players of values.players.split(',').map(Number)) {
    const runs = [];
    for (let run = 0; run < Number(values.runs); run++) runs.push(await measure(file, players));
    const middle = (name) => median(runs.map((run) => run[name]));
    const worst = (name, whose = 'ours') => Math.max(...runs.map((run) => run[whose]?.[name] ?? 0));
    rows.push({
      players,
      'CPU s/GB': middle('steady').toFixed(2),
      ceiling: middle('ceiling').toFixed(2),
      ratio: middle('ratio').toFixed(2),
      ...(values.vlc && {
        'VLC s/GB': middle('vlc').toFixed(2),
        'VLC gap p99 ms': worst('max_gap_ms_p99', 'vlcPlayers'),
      }),
      'ms CPU a join': (middle('join') * 1000).toFixed(2),
      'KB/player': (middle('perPlayer') * 1024).toFixed(1),
      'lost (LocationId)': worst('loc_gaps'),
      'AFFlags wrong': worst('af_gaps'),
      'first data p99 ms': worst('first_data_ms_p99'),
      'longest gap p99 ms': worst('max_gap_ms_p99'),
    });
  }
  console.table(rows);
} finally {
  await rm(folder, { recursive: true });
}
