// On-demand fan-out: what `wmcast serve --content` needs to serve players that each have a place of their own in one of many files.
// Beside it, at the same time and with as many players, the same bytes as plain files at the same rate from a few lines of Node,
// and from nginx where there is one. Linux, for /proc.
//
//   npm run build && node bench/fanout-ondemand.mjs [--players 1000] [--files 20] [--seconds 20] [--runs 3] [--start] [--load PROGRAM]
//     [--serve SCRIPT] [--nginx PROGRAM] [--json]
//
// Each server is a process of its own and so are the players. A player gets what a player of wmcast gets: the preroll and two
// seconds at once, the rest at its pace. How soon the first packet comes is measured twice: with the first half of the players, who
// come to a server that has just been started, whose files are not open and whose code is not compiled yet, and with the others.
// --start lets all players begin at the start of the file. --load names another generator than bench/load.mjs, with the same arguments.
// --serve names another bin/wmcast.js, to compare with.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { cpuOf, delay, freePort, here, listens, median, megabytesOf, start } from './real.mjs';
import { testFile } from './stream.mjs';

const RAMP = 500;
/** Seconds of media in each file. */
const LENGTH = 300;
/** What a player gets at once: ffmpeg's preroll and two seconds. */
const BURST_SECONDS = 5.1;
/** Milliseconds between two pieces of the plain server in Node. */
const TICK = 250;
/** Until all players of a part have their bursts, in seconds. */
const JOINED = 4;

const { values } = parseArgs({
  options: {
    players: { type: 'string', default: '1000' },
    files: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '20' },
    runs: { type: 'string', default: '3' },
    start: { type: 'boolean', default: false },
    load: { type: 'string', default: here('./load.mjs') },
    serve: { type: 'string', default: here('../bin/wmcast.js') },
    nginx: { type: 'string', default: 'nginx' },
    plain: { type: 'string' },
    rate: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [players, files, seconds] = [values.players, values.files, values.seconds].map(Number);
const half = Math.ceil(players / 2);
const joining = half / RAMP + JOINED;

if (values.plain) await servePlain(values.plain, Number(values.rate));
else await compare();

/** Pieces of files at a rate, and nothing else: what a streaming server in Node costs at least. */
async function servePlain(folder, rate) {
  const sending = new Set();
  async function send(player, size) {
    const { response, file } = player;
    if (response.destroyed || player.busy || response.writableLength > size) return;
    player.busy = true;
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(size), 0, size, player.at);
    player.busy = false;
    player.at += bytesRead;
    response.write(bytesRead === size ? buffer : buffer.subarray(0, bytesRead));
  }
  const server = http.createServer(async (request, response) => {
    const file = await open(join(folder, request.url));
    const player = { response, file, at: Number(/\d+/.exec(request.headers.range)[0]), busy: false };
    response.writeHead(206, { 'Content-Type': 'video/x-ms-asf' });
    response.on('close', () => {
      sending.delete(player);
      void file.close();
    });
    await send(player, Math.round(rate * BURST_SECONDS));
    sending.add(player);
  });
  setInterval(() => {
    for (const player of sending) void send(player, Math.round((rate * TICK) / 1000));
  }, TICK);
  server.listen(0, '127.0.0.1', 4096, () => process.send({ port: server.address().port }));
}

async function startPlain(folder, rate) {
  const server = fork(process.argv[1], ['--plain', folder, '--rate', String(rate)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [{ port }] = await once(server, 'message');
  return { name: 'Node, plain files', server, port, options: ['--plain', String(rate)] };
}

async function startNginx(folder, rate) {
  const port = await freePort();
  const config = [
    'daemon off; master_process off; error_log stderr; pid nginx.pid;',
    'worker_rlimit_nofile 20000; events { worker_connections 10000; }',
    'http { access_log off; sendfile on; tcp_nopush on; client_body_temp_path .; proxy_temp_path .; fastcgi_temp_path .;',
    'uwsgi_temp_path .; scgi_temp_path .;',
    `server { listen 127.0.0.1:${port} backlog=4096; root ${folder};`,
    `limit_rate ${Math.round(rate)}; limit_rate_after ${Math.round(rate * BURST_SECONDS)}; } }`,
  ];
  await writeFile(join(folder, 'nginx.conf'), config.join('\n'));
  const server = spawn(values.nginx, ['-p', folder, '-e', 'stderr', '-c', 'nginx.conf'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const missing = await Promise.race([once(server, 'error').then(() => true), listens(port).then(() => false)]);
  return missing ? [] : [{ name: 'nginx, plain files', server, port, options: ['--plain', String(rate)] }];
}

async function startOurs(folder) {
  const ports = ['--http-port', '0', '--msbd-port', 'none', '--admin-port', 'none'];
  const server = start(values.serve, ['serve', '--host', '127.0.0.1', ...ports, '--content', folder, '--json']);
  const [line] = await once(createInterface(server.stdout), 'line');
  return { name: 'wmcast', server, port: JSON.parse(line).ports.http, options: [] };
}

/** Lets players come, and returns what they say after some seconds. */
function play({ server, port, options }, places, count, time) {
  const args = ['127.0.0.1', port, '/%.wmv', count, time, RAMP, server.pid].map(String);
  const [command, before] = values.load.endsWith('.mjs') ? [process.execPath, [values.load]] : [values.load, []];
  const load = spawn(command, [...before, ...args, ...places, ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  load.stdout.on('data', (chunk) => {
    output += chunk;
  });
  return once(load, 'close').then(() => JSON.parse(output));
}

/**
 * One run: half of the players come, to one server after the other, and then the others, so that the memory of one is known without
 * what a process takes anyway.
 */
async function measure(servers, places, rate) {
  const look = () => Promise.all(servers.map(({ server }) => cpuOf(server)));
  const memory = () => Promise.all(servers.map(({ server }) => megabytesOf(server)));
  const turn = half / RAMP + 0.5;
  const total = servers.length * turn + 2 * joining + seconds + 1;
  const before = await look();
  const first = [];
  for (const [index, each] of servers.entries()) {
    first.push(play(each, places, half, total - index * turn));
    await delay(turn * 1000);
  }
  await delay(joining * 1000);
  const halfway = await memory();
  const second = servers.map((each) => play(each, places, players - half, joining + seconds + 1));
  await delay(joining * 1000);
  const from = await look();
  const begun = performance.now();
  await delay(seconds * 1000);
  const to = await look();
  const gigabytes = (players * rate * (performance.now() - begun)) / 1e12;
  const whole = await memory();
  const [cold, warm] = [await Promise.all(first), await Promise.all(second)];
  return servers.map(({ name, options }, index) => {
    const each = [cold[index], warm[index]];
    const worst = (key) => Math.max(...each.map((part) => part[key]));
    return {
      name,
      playing: each.reduce((sum, { playing }) => sum + playing, 0),
      steady: (to[index] - from[index]) / gigabytes,
      join: ((from[index] - before[index]) / players) * 1000,
      memory: ((whole[index] - halfway[index]) * 1024) / (players - half),
      p50: medianOf(warm[index]),
      p99: warm[index].first_data_ms_p99,
      cold50: medianOf(cold[index]),
      cold99: cold[index].first_data_ms_p99,
      gap: worst('max_gap_ms_p99'),
      lost: options.length > 0 ? '' : worst('loc_gaps') + worst('af_gaps'),
    };
  });
}

function medianOf({ first_data_ms_p50, first_data_ms_med }) {
  return first_data_ms_p50 ?? first_data_ms_med;
}

async function compare() {
  const folder = await mkdtemp(join(tmpdir(), 'wmcast-bench-'));
  try {
    const content = join(folder, 'content');
    await mkdir(content);
    const first = join(content, '0.wmv');
    await testFile(first, { seconds: LENGTH });
    for (let number = 1; number < files; number++) await copyFile(first, join(content, `${number}.wmv`));
    const rate = (await stat(first)).size / LENGTH;
    // Nobody comes to the end while it is measured.
    const length = values.start ? 0 : LENGTH - 2 * joining - seconds - 2 * BURST_SECONDS;
    const places = ['--files', String(files), '--length', String(length)];
    const runs = [];
    for (let run = 0; run < Number(values.runs); run++) {
      const servers = [await startOurs(content), await startPlain(content, rate), ...(await startNginx(content, rate))];
      try {
        runs.push(await measure(servers, places, rate));
      } finally {
        for (const { server } of servers) server.kill();
      }
      console.error(
        JSON.stringify({ ratio: runs.at(-1).map(({ steady }) => (runs.at(-1)[0].steady / steady).toFixed(2)) }),
      );
    }
    const rows = runs[0].map((_, index) =>
      rowOf(
        runs.map((run) => run[index]),
        runs.map((run) => run[0]),
      ),
    );
    if (values.json) console.log(JSON.stringify(rows));
    else console.table(rows);
    console.error(`${Math.round((rate * 8) / 1000)} kbit/s a player, ${files} files of ${LENGTH} s`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function rowOf(runs, ours) {
  const middle = (key, digits) => median(runs.map((run) => run[key])).toFixed(digits);
  const worst = (key) => Math.max(...runs.map((run) => run[key]));
  return {
    server: runs[0].name,
    players: Math.min(...runs.map(({ playing }) => playing)),
    'CPU s/GB': middle('steady', 2),
    'wmcast, of that': median(runs.map(({ steady }, index) => ours[index].steady / steady)).toFixed(2),
    'ms CPU a join': middle('join', 2),
    'KB/player': middle('memory', 1),
    'first packet p50 ms': middle('p50', 1),
    'p99 ms': middle('p99', 1),
    'just started p50 ms': middle('cold50', 1),
    'p99 ms, just started': middle('cold99', 1),
    'longest gap p99 ms': worst('gap'),
    'lost packets': runs[0].lost === '' ? '' : worst('lost'),
  };
}
