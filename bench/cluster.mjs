// What it costs to give points to another node, and how much later its players get them. Runs nats-server and two nodes on this host.
//
//   node bench/cluster.mjs --points 200 --seconds 15
//
// cost: CPU time of the owner for one player of each point, beyond that of the pushes: players of its own, or one node that follows
// all points. delay: how much later a player of the other node gets an object than a player of the owner, if both get packets at once.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { push } from '../dist/index.js';

const { values } = parseArgs({
  options: {
    points: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '15' },
    rounds: { type: 'string', default: '3' },
    rate: { type: 'string', default: '300k' },
  },
});
const points = Number(values.points);
const seconds = Number(values.seconds);
const BIN = fileURLToPath(new URL('../bin/wmcast.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'wmcast-cluster-'));
const children = [];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const pathOf = (index) => `/p${index}`;

/** Clock ticks of user and system time that a process has used. */
function ticks(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function start(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  child.stderr.resume();
  return child;
}

/** Starts a node. @returns its process and its port */
async function node(name, nats) {
  const file = join(folder, `${name}.yaml`);
  const lines = [
    'host: 127.0.0.1',
    'httpPort: 0',
    'msbd: { port: none }',
    'admin: { port: none }',
    'live: { burst: 0.1, batchInterval: 0 }',
    `cluster: { servers: [ "nats://127.0.0.1:${nats}" ], node: ${name} }`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const child = start(process.execPath, [BIN, 'serve', '--config', file, '--json', '-q']);
  const port = await new Promise((resolve) => {
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text = (text + chunk).slice(-100_000);
      const ready = text.split('\n').find((line) => line.includes('"ready"'));
      if (ready) resolve(JSON.parse(ready).ports.http);
    });
  });
  return { pid: child.pid, port };
}

/** A player that gives each chunk to `take`. */
function play(port, path, take = () => {}) {
  const socket = connect({ host: '127.0.0.1', port }, () => {
    const streams = 'Pragma: stream-switch-count=2\r\nPragma: stream-switch-entry=ffff:1:0 ffff:2:0 \r\n';
    socket.write(`GET ${path} HTTP/1.0\r\nUser-Agent: NSPlayer/4.1.0.3856\r\nPragma: xPlayStrm=1\r\n${streams}\r\n`);
  });
  socket.on('data', take).on('error', () => {});
  return socket;
}

/** CPU milliseconds per second of a process, over some seconds. */
async function loadOf(pid) {
  const before = ticks(pid);
  await sleep(seconds * 1000);
  return ((ticks(pid) - before) * 10) / seconds;
}

/** Load of the owner while there is one player for each point at a port. */
async function loadWith(owner, port) {
  const players = Array.from({ length: points }, (_, index) => play(port, pathOf(index)));
  await sleep(4_000);
  const bytes = () => players.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  const before = bytes();
  const load = await loadOf(owner.pid);
  const megabits = ((bytes() - before) * 8) / 1e6 / seconds;
  for (const player of players) player.destroy();
  // Until the other node follows no longer.
  await sleep(17_000);
  return { load, megabits };
}

/** Notes when each object of the video first arrives. */
function arrivals(port, path) {
  const at = new Map();
  let rest = Buffer.alloc(0);
  const socket = play(port, path, (chunk) => {
    const now = performance.now();
    const bytes = Buffer.concat([rest, chunk]);
    for (
      let found = bytes.indexOf('WMST');
      found !== -1 && found + 12 <= bytes.length;
      found = bytes.indexOf('WMST', found + 4)
    ) {
      const object = `${bytes[found + 4]}:${bytes.readUInt32LE(found + 8)}`;
      if (!at.has(object)) at.set(object, now);
    }
    rest = bytes.subarray(Math.max(0, bytes.length - 11));
  });
  return { at, socket };
}

async function delays(owner, other) {
  const [here, there] = [arrivals(owner.port, pathOf(0)), arrivals(other.port, pathOf(0))];
  await sleep(4_000);
  const from = performance.now();
  await sleep(seconds * 1000);
  const late = [...here.at].flatMap(([object, at]) =>
    at > from && there.at.has(object) ? [there.at.get(object) - at] : [],
  );
  for (const { socket } of [here, there]) socket.destroy();
  late.sort((a, b) => a - b);
  return { median: late[late.length >> 1], p99: late[Math.floor(late.length * 0.99)], objects: late.length };
}

const round = (value) => Math.round(value * 100) / 100;

try {
  const nats = await freePort();
  start('nats-server', ['-a', '127.0.0.1', '-p', String(nats), '-js', '-sd', join(folder, 'store')]);
  await sleep(1_500);
  const [owner, other] = [await node('owner', nats), await node('other', nats)];
  const pushes = [];
  for (let index = 0; index < points; index++) {
    const source = `synthetic:seed=${index + 1},video=${values.rate},gop=25`;
    pushes.push(await push(`http://127.0.0.1:${owner.port}${pathOf(index)}`, { source }));
  }
  await sleep(5_000);
  const delay = await delays(owner, other);
  console.log(
    JSON.stringify({
      event: 'delay',
      unit: 'ms',
      median: round(delay.median),
      p99: round(delay.p99),
      objects: delay.objects,
    }),
  );
  const ratios = [];
  await sleep(15_000);
  for (let each = 0; each < Number(values.rounds); each++) {
    const idle = await loadOf(owner.pid);
    const local = await loadWith(owner, owner.port);
    const remote = await loadWith(owner, other.port);
    const ratio = (remote.load - idle) / (local.load - idle);
    ratios.push(ratio);
    const loads = { idle: round(idle), local: round(local.load), remote: round(remote.load) };
    console.log(
      JSON.stringify({ event: 'cost', points, megabits: round(remote.megabits), loads, ratio: round(ratio) }),
    );
  }
  ratios.sort((a, b) => a - b);
  console.log(JSON.stringify({ event: 'done', ratio: round(ratios[ratios.length >> 1]), delay: round(delay.median) }));
  for (const each of pushes) await each.close();
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
