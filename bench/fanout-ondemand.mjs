// On-demand fan-out: what wmcast needs to serve players of which each has a place of its own in one of many files; beside it
// the same bytes as plain files at the same rate from nginx (where there is one) and from a few lines of Node. In one run, since
// other work on the machine counts for all of them. Linux, for /proc.
//
//   npm run build && node bench/fanout-ondemand.mjs [--players 1000] [--files 20] [--seconds 20] [--nginx PROGRAM]
//
// Each server is a process of its own and so are the players (bench/load.mjs). A player gets what a player of wmcast gets: the
// preroll and two seconds at once, the rest at its pace. How soon the first packet comes is told twice: from a server that has
// just been started, whose files are not open and whose code is not compiled yet, and with the same players coming again.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { youngSpaceLimit } from '../dist/cli/heap.js';
import { defaultConfig, MediaServer } from '../dist/index.js';
import { testFile } from './stream.mjs';

const RAMP = 500;
/** Seconds of media in each file. */
const LENGTH = 300;
/** What a player gets at once: ffmpeg's preroll and two seconds. */
const BURST_SECONDS = 5.1;
/** Milliseconds between two pieces of the plain server in Node. */
const TICK = 250;
const TICKS_PER_SECOND = 100;
const PAGE_SIZE = 4096;
const here = (name) => new URL(name, import.meta.url).pathname;

const { values } = parseArgs({
  options: {
    players: { type: 'string', default: '1000' },
    files: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '20' },
    nginx: { type: 'string', default: 'nginx' },
    serve: { type: 'string' },
    folder: { type: 'string' },
    rate: { type: 'string' },
  },
});
const [players, files] = [Number(values.players), Number(values.files)];
// Long enough for a part behind the joining.
const seconds = Math.max(Number(values.seconds), players / RAMP + 6);

if (values.serve === 'wmcast') await serveMedia();
else if (values.serve === 'plain') await servePlain();
else await compare();

/** wmcast as `serve --content` runs it. */
async function serveMedia() {
  setInterval(youngSpaceLimit(), 1_000).unref();
  const content = { folder: values.folder };
  const server = await MediaServer.start({ ...defaultConfig(), host: '127.0.0.1', httpPort: 0, content });
  process.send({ port: server.ports.http });
}

/** Pieces of files at a rate, and nothing else: what a streaming server in Node costs at least. */
async function servePlain() {
  const rate = Number(values.rate);
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
    const file = await open(join(values.folder, request.url));
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

async function startNginx(folder, rate) {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
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
  const missing = await Promise.race([once(server, 'error').then(() => true), answers(port).then(() => false)]);
  return missing ? undefined : { server, port };
}

async function answers(port) {
  for (;;) {
    const socket = net.connect(port, '127.0.0.1');
    const connected = await new Promise((resolve) => {
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    });
    socket.destroy();
    if (connected) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function startNode(script, args) {
  const server = fork(script, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [{ port, rate }] = await once(server, 'message');
  return { server, port, rate };
}

/** CPU seconds and resident bytes of a process. */
async function usageOf(pid) {
  const [, fields] = (await readFile(`/proc/${pid}/stat`, 'latin1')).split(') ');
  const [user, system, pages] = [11, 12, 21].map((index) => Number(fields.split(' ')[index]));
  return { cpu: (user + system) / TICKS_PER_SECOND, rss: pages * PAGE_SIZE };
}

/** What players see that come to a server and leave again. */
async function comesOnce(args) {
  const load = fork(here('./load.mjs'), args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  let output = '';
  load.stdout.on('data', (chunk) => {
    output += chunk;
  });
  await once(load, 'close');
  return JSON.parse(output);
}

async function measure(name, { server, port }, path, options) {
  const comeFor = (time) => ['127.0.0.1', String(port), path, String(players), String(time), String(RAMP), ...options];
  const { rss } = await usageOf(server.pid);
  const cold = await comesOnce(comeFor(players / RAMP + 2));
  const args = comeFor(seconds);
  const load = fork(here('./load.mjs'), args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  let output = '';
  load.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const ended = once(load, 'close');
  const look = async () => {
    load.send('bytes');
    const [bytes] = await once(load, 'message');
    return { bytes, ...(await usageOf(server.pid)) };
  };
  const before = await look();
  // Players come for the first part, with their bursts; the steady state is what is behind.
  const joined = (players / RAMP + 3) * 1000;
  await new Promise((resolve) => setTimeout(resolve, joined));
  const from = await look();
  await new Promise((resolve) => setTimeout(resolve, Math.max(1000, seconds * 1000 - joined - 1000)));
  const to = await look();
  await ended;
  server.kill();
  await once(server, 'close');
  const perGB = (a, b) => (b.cpu - a.cpu) / ((b.bytes - a.bytes) / 1e9);
  const { playing, MB, loc_gaps, af_gaps, first_data_ms_p50, first_data_ms_p99 } = JSON.parse(output);
  return {
    server: name,
    players: playing,
    MB: Math.round(MB),
    'CPU s/GB steady': Number(perGB(from, to).toFixed(2)),
    'with joining': Number(perGB(before, to).toFixed(2)),
    'KB/player': Number(((to.rss - rss) / players / 1024).toFixed(1)),
    'first packet p50 ms': first_data_ms_p50,
    'p99 ms': first_data_ms_p99,
    'p50, p99 just started': `${cold.first_data_ms_p50}, ${cold.first_data_ms_p99}`,
    'lost packets': options.includes('--plain') ? undefined : loc_gaps + af_gaps,
  };
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
    const places = ['--files', String(files), '--length', String(LENGTH - seconds - 2 * BURST_SECONDS)];
    const plain = [...places, '--plain', String(rate)];
    const self = process.argv[1];
    const rows = [];
    rows.push(
      await measure('wmcast', await startNode(self, ['--serve', 'wmcast', '--folder', content]), '/%.wmv', places),
    );
    const nginx = await startNginx(content, rate);
    if (nginx) rows.push(await measure('nginx, plain files', nginx, '/%.wmv', plain));
    const bare = ['--serve', 'plain', '--folder', content, '--rate', String(rate)];
    rows.push(await measure('Node, plain files', await startNode(self, bare), '/%.wmv', plain));
    console.table(rows);
    console.log(`${Math.round((rate * 8) / 1000)} kbit/s a player, ${files} files of ${LENGTH} s`);
  } finally {
    await rm(folder, { recursive: true });
  }
}
