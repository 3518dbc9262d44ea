// The commands as they are run, `wmcast serve` with a `wmpush --copy` of a file, and at the same time a ceiling that writes one shared
// buffer to each player and knows no protocol at all; the players of each are a process of their own. Linux, for /proc.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { testFile } from './stream.mjs';

/** Players that join in a second. */
const RAMP = 500;
/** Milliseconds between two writes of the ceiling. */
const INTERVAL = 200;
/** Of the file, bits per second with the heads of the protocol. */
const KBPS = 371;
const FILE_SECONDS = 60;
/** What frames add to packets of 1450 bytes. */
const HEADS = 1462 / 1450;
/** Until V8 has given back what starting took, in ms: it collects garbage once more 8 to 26 s after the start. */
const SETTLING = 28_000;
/** After the last player joined, in ms. */
const JOINED = 3_000;
/** With fewer players memory says nothing about one of them. */
const ENOUGH_FOR_MEMORY = 400;

export const here = (name) => new URL(name, import.meta.url).pathname;
export const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The options of each benchmark on the real commands. */
export function readOptions(more = {}, players = '100,500,1000') {
  const { values } = parseArgs({
    options: {
      players: { type: 'string', default: players },
      seconds: { type: 'string', default: '15' },
      runs: { type: 'string', default: '3' },
      load: { type: 'string' },
      ceiling: { type: 'string', default: here('./ceiling.mjs') },
      serve: { type: 'string', default: here('../bin/wmcast.js') },
      ...more,
    },
  });
  return {
    ...values,
    seconds: Number(values.seconds),
    runs: Number(values.runs),
    sizes: values.players.split(',').map(Number),
  };
}

/** CPU seconds of a process so far, all threads, to the nanosecond. */
export async function cpuOf({ pid }) {
  let sum = 0;
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${task}/schedstat`, 'latin1').catch(() => '0');
    sum += Number(text.split(' ')[0]);
  }
  return sum / 1e9;
}

export async function megabytesOf({ pid }) {
  return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'latin1'))[1]) / 1024;
}

export function start(script, args) {
  return spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
}

export async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

export async function listens(port) {
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

/** wmcast as its commands run it; `protocol` names the port that players come to. */
export async function startOurs({ serve }, file, protocol) {
  const more = protocol === 'http' ? [] : [protocol === 'mms' ? '--mms-port' : '--rtsp-port', '0'];
  const server = start(serve, [
    'serve',
    '--host',
    '127.0.0.1',
    '--http-port',
    '0',
    '--msbd-port',
    'none',
    ...more,
    '--json',
  ]);
  const lines = createInterface(server.stdout);
  const [line] = await once(lines, 'line');
  const { ports } = JSON.parse(line);
  let stats = { sends: 0, lateSends: 0 };
  const fed = new Promise((resolve) => {
    lines.on('line', (text) => {
      const event = JSON.parse(text);
      if (event.event === 'stats') stats = event;
      if (event.packetsIn > 0) resolve();
    });
  });
  const url = `http://127.0.0.1:${ports.http}/live`;
  const push = start(join(serve, '../wmpush.js'), ['--copy', '--loop', '-i', file, url]);
  push.stdout.resume();
  await fed;
  return { server, port: ports[protocol], others: [push], stats: () => stats };
}

/** @param options.kbps of each player */
export async function startCeiling({ ceiling, kbps = KBPS }) {
  const port = await freePort();
  const server = start(ceiling, [port, kbps, INTERVAL].map(String));
  await listens(port);
  return { server, port, others: [] };
}

/** Starts a generator of load, which prints one JSON line at its end. */
function play({ server, port }, { program, more = [] }, players, time) {
  const args = ['127.0.0.1', port, '/live', players, time, RAMP, server.pid].map(String);
  const [command, before] = program.endsWith('.mjs') ? [process.execPath, [program]] : [program, []];
  const load = spawn(command, [...before, ...args, ...more], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  load.stdout.on('data', (chunk) => {
    output += chunk;
  });
  return once(load, 'close').then(() => JSON.parse(output));
}

/**
 * One run: half of the players join, and then the others, so that the memory of one is known without what a process takes
 * anyway; then all of them play for some seconds.
 *
 * @param options `windows`: how often these seconds are measured, of which the median counts; `kbps` of each player; `joined`: the
 *   wait after the last player has joined, in ms
 * @returns CPU seconds for each GB of all servers, the first is ours and the second the ceiling; and what the players say
 */
export async function measureLoad(servers, loads, players, seconds, options = {}) {
  const { windows = 1, kbps = KBPS, joined = JOINED } = options;
  const half = Math.ceil(players / 2);
  const joining = (half / RAMP) * 1000 + joined;
  const look = () => Promise.all(servers.map(({ server }) => cpuOf(server)));
  const total = (2 * joining) / 1000 + windows * seconds + 1;
  const told = [];
  const join = (count, time) => {
    for (const [index, each] of servers.entries()) told.push(play(each, loads[index], count, time));
  };
  const before = await look();
  join(half, total);
  await delay(joining);
  const halfway = await megabytesOf(servers[0].server);
  join(players - half, total - joining / 1000);
  await delay(joining);
  const from = await look();
  const sendsFrom = servers[0].stats();
  const measured = [];
  for (let window = 0, before = from; window < windows; window++) {
    const begun = performance.now();
    await delay(seconds * 1000);
    const after = await look();
    const gigabytes = (players * kbps * (performance.now() - begun)) / 8e9;
    measured.push(after.map((cpu, index) => (cpu - before[index]) / gigabytes));
    before = after;
  }
  const sendsTo = servers[0].stats();
  const perPlayer = (await megabytesOf(servers[0].server)) - halfway;
  const results = await Promise.all(told);
  const steady = servers.map((_, index) => median(measured.map((window) => window[index])));
  return {
    steady,
    sends: sendsTo.sends - sendsFrom.sends,
    lateSends: sendsTo.lateSends - sendsFrom.lateSends,
    ratio: median(measured.map(([ours, ceiling]) => ours / ceiling)),
    join: ((from[0] - before[0]) / players) * 1000,
    ceilingJoin: ((from[1] - before[1]) / players) * 1000,
    perPlayer: (perPlayer * 1024) / (players - half),
    players: servers.map((_, index) => results.filter((__, at) => at % servers.length === index)),
  };
}

export const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

/**
 * Measures, and prints a table.
 *
 * @param options those of {@link readOptions}
 * @param about `protocol`: http, rtsp or mms; `load`: the generator for our players, as {program, more}; `peers`: other servers, each
 *   {name, start(file), load}; `losses`: columns, each with what generators call it
 */
export async function compare(options, { protocol, load, peers = [], losses }) {
  await withTestFile(async (file) => {
    const wmsp = { program: (protocol === 'http' && options.load) || here('./load.mjs') };
    const rows = [];
    for (const players of options.sizes) {
      const runs = [];
      for (let run = 0; run < options.runs; run++) {
        const servers = [await startOurs(options, file, protocol), await startCeiling(options)];
        for (const peer of peers) servers.push(await peer.start(file));
        try {
          await delay(SETTLING);
          const loads = [
            load,
            options.ceilingLoad ? { program: options.ceilingLoad } : wmsp,
            ...peers.map((peer) => peer.load),
          ];
          runs.push(await measureLoad(servers, loads, players, options.seconds));
        } finally {
          for (const { server, others } of servers) for (const each of [server, ...others]) each.kill();
        }
      }
      rows.push(rowOf(runs, players, peers, losses));
      console.log(JSON.stringify({ players, ratios: runs.map(({ ratio }) => ratio.toFixed(2)) }));
    }
    console.table(rows);
  });
}

/**
 * Calls `use` with the test stream in a file that everybody may read, and with its kbit/s with the heads of the protocol; and
 * removes it.
 *
 * @param options those of `testFile`
 */
export async function withTestFile(use, options = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'wmcast-bench-'));
  try {
    const file = join(folder, 'live.asf');
    const seconds = options.seconds ?? FILE_SECONDS;
    await testFile(file, { ...options, seconds });
    await chmod(folder, 0o755);
    await use(file, Math.round((((await stat(file)).size * 8) / 1000 / seconds) * HEADS));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function rowOf(runs, players, peers, losses) {
  const middle = (value) => median(runs.map(value));
  const worst = (name, server = 0) =>
    Math.max(...runs.flatMap((run) => run.players[server].map((each) => each[name] ?? 0)));
  const total = (names) => Math.max(...names.map((name) => worst(name)));
  const playing = Math.min(...runs.map((run) => run.players[0].reduce((sum, each) => sum + each.playing, 0)));
  const others = peers.flatMap(({ name }, index) => [
    [`${name} s/GB`, middle((run) => run.steady[index + 2]).toFixed(2)],
    [`${name} gap p99 ms`, worst('max_gap_ms_p99', index + 2)],
  ]);
  return {
    players,
    playing,
    'CPU s/GB': middle((run) => run.steady[0]).toFixed(2),
    ceiling: middle((run) => run.steady[1]).toFixed(2),
    ratio: middle((run) => run.ratio).toFixed(2),
    ...Object.fromEntries(others),
    'ms CPU a join': middle((run) => run.join).toFixed(2),
    'of the ceiling': middle((run) => run.ceilingJoin).toFixed(2),
    'KB/player': players < ENOUGH_FOR_MEMORY ? '' : middle((run) => run.perPlayer).toFixed(1),
    ...Object.fromEntries(Object.entries(losses).map(([column, names]) => [column, total(names)])),
    'late sends': Math.max(...runs.map(({ lateSends }) => lateSends)),
    'of sends': Math.max(...runs.map(({ sends }) => sends)),
    'first data p99 ms': worst('first_data_ms_p99'),
    'longest gap p99 ms': worst('max_gap_ms_p99'),
  };
}
