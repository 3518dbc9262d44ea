// Many encoders at once, each pushing to a point of its own that one player plays: how late its packets are.
//
//   npm run build && node bench/publishers.mjs [--publishers 500] [--seconds 20] [--interval SECONDS] [--json]
//
// Publishers and players are this process, the server is another one. Every packet carries the time when it was written to its
// connection, in the place of its last media bytes; the player takes it out again. What this process was late itself is told beside.
// Without --interval the server delivers as it does by itself: at once to few players, at most 0.25 s later to many.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { AsfReader } from '../dist/asf/reader.js';
import { testStream } from './stream.mjs';

const { values } = parseArgs({
  options: {
    publishers: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '20' },
    interval: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const count = Number(values.publishers);
const seconds = Number(values.seconds);
const TICK = 10;
const STAMP = Buffer.from('wmcast-bench-stamp');
const STAMP_SIZE = STAMP.length + 8;

/** The stream as frames with a place for the stamp. */
async function prepare() {
  const reader = new AsfReader();
  const items = [...reader.push(await testStream()), ...reader.end()];
  const frame = (id, payload) => {
    const head = Buffer.from([0x24, id.charCodeAt(0), payload.length & 255, payload.length >> 8]);
    return Buffer.concat([head, payload]);
  };
  const { header } = items.find(({ type }) => type === 'header');
  const packets = items.flatMap(({ type, packet }) => {
    if (type !== 'packet') return [];
    const { dataStart, dataLength } = packet.payloads.reduce((a, b) => (b.dataLength > a.dataLength ? b : a));
    const stamp = dataLength < STAMP_SIZE ? undefined : 4 + dataStart + dataLength - STAMP_SIZE;
    return [{ bytes: frame('D', packet.bytes), stamp, sendTime: packet.sendTime }];
  });
  return { header: frame('H', header.bytes), packets, length: packets.at(-1).sendTime + 40 };
}

/** Answers of a connection, one head after the other. */
function heads(socket) {
  let text = '';
  let wake;
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    wake?.();
  });
  return async () => {
    while (!text.includes('\r\n\r\n')) {
      await new Promise((resolve) => {
        wake = resolve;
      });
    }
    const end = text.indexOf('\r\n\r\n') + 4;
    const head = text.slice(0, end);
    text = text.slice(end);
    return head;
  };
}

const request = (path, kind, id, length) =>
  `POST ${path} HTTP/1.1\r\nUser-Agent: WMEncoder/12.0\r\nHost: 127.0.0.1\r\nContent-Type: application/x-wms-push${kind}\r\n` +
  `Cookie: push-id=${id}\r\nContent-Length: ${length}\r\n\r\n`;

async function publish(port, path, header) {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const next = heads(socket);
  socket.on('error', () => {});
  socket.write(request(path, 'setup', '0', 0));
  const answer = await next();
  const id = /push-id=(\d+)/.exec(answer)?.[1];
  if (!id) throw new Error(`${path} is not taken: ${answer.split('\r\n')[0]}`);
  socket.write(request(path, 'start', id, 2_147_483_647));
  socket.write(header);
  return socket;
}

const lateness = [];
let received = 0;
let measuring = false;

function play(port, path) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  let rest = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    const now = performance.now();
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let at = 0;
    for (
      let found = bytes.indexOf(STAMP);
      found >= 0 && found + STAMP_SIZE <= bytes.length;
      found = bytes.indexOf(STAMP, at)
    ) {
      at = found + STAMP_SIZE;
      if (measuring) lateness.push(now - bytes.readDoubleLE(found + STAMP.length));
      received++;
    }
    rest = Buffer.from(bytes.subarray(Math.max(at, bytes.length - STAMP_SIZE + 1)));
  });
  socket.write(
    `GET ${path} HTTP/1.0\r\nUser-Agent: NSPlayer/7.10.0.3059\r\nPragma: xPlayStrm=1\r\nPragma: stream-switch-count=2\r\n` +
      'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0\r\n\r\n',
  );
  return socket;
}

const folder = await mkdtemp(join(tmpdir(), 'wmcast-bench-'));
const config = join(folder, 'serve.yaml');
await writeFile(config, values.interval === undefined ? '' : `live:\n  batchInterval: ${values.interval}\n`);
const stream = await prepare();
const main = new URL('../bin/wmcast.js', import.meta.url).pathname;
const server = spawn(
  process.execPath,
  [main, 'serve', '--config', config, '--host', '127.0.0.1', '--http-port', '0', '--json', '-q'],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
const lines = createInterface({ input: server.stdout });
const { ports } = await new Promise((resolve) => lines.once('line', (line) => resolve(JSON.parse(line))));
let stats = {};
lines.on('line', (line) => {
  const event = JSON.parse(line);
  if (event.event === 'stats') stats = event;
});
/** CPU seconds that the server has used; the kernel counts in hundredths. */
const cpu = () => {
  const fields = readFileSync(`/proc/${server.pid}/stat`, 'latin1').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

const path = (index) => `/encoder-${index}`;
const setUpAt = performance.now();
const sockets = await Promise.all(
  Array.from({ length: count }, (_, index) => publish(ports.http, path(index), stream.header)),
);
const setUpTime = performance.now() - setUpAt;

// Not all at once, as encoders that know nothing of each other.
const phases = sockets.map(() => Math.random() * 1000);
const next = sockets.map(() => 0);
const start = performance.now();
let written = 0;
function send(index, now) {
  const { packets, length } = stream;
  for (; ; next[index]++) {
    const round = Math.floor(next[index] / packets.length);
    const { bytes, stamp, sendTime } = packets[next[index] % packets.length];
    if (sendTime + round * length > now - start - phases[index]) return;
    const copy = Buffer.from(bytes);
    if (stamp !== undefined) {
      STAMP.copy(copy, stamp);
      copy.writeDoubleLE(performance.now(), stamp + STAMP.length);
    }
    sockets[index].write(copy);
    written += copy.length;
  }
}
const sender = setInterval(() => {
  const now = performance.now();
  for (let index = 0; index < count; index++) send(index, now);
}, TICK);
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
await wait(3_000);
const players = sockets.map((_, index) => play(ports.http, path(index)));
await wait(3_000);

measuring = true;
const loop = monitorEventLoopDelay({ resolution: TICK });
loop.enable();
const own = process.cpuUsage();
const [cpuBefore, bytesBefore, before] = [cpu(), written, performance.now()];
await wait(seconds * 1000);
const [cpuUsed, bytes, elapsed] = [cpu() - cpuBefore, written - bytesBefore, (performance.now() - before) / 1000];
measuring = false;
const { user, system } = process.cpuUsage(own);
clearInterval(sender);

lateness.sort((a, b) => a - b);
const at = (part) => lateness[Math.min(lateness.length - 1, Math.floor(lateness.length * part))]?.toFixed(1);
const interval = Number(values.interval ?? 0.25) * 1000;
const rows = [
  {
    publishers: stats.publishers,
    'set up, all, ms': Math.round(setUpTime),
    'Mbit/s in': ((bytes * 8) / elapsed / 1e6).toFixed(1),
    packets: lateness.length,
    'late p50 ms': at(0.5),
    'p99 ms': at(0.99),
    'max ms': at(1),
    'batch interval ms': interval,
    'over it': lateness.filter((late) => late > interval).length,
    'server CPU %': ((cpuUsed / elapsed) * 100).toFixed(0),
    'CPU s/GB in': (cpuUsed / (bytes / 1e9)).toFixed(2),
    'this process, CPU %': ((user + system) / elapsed / 1e4).toFixed(0),
    'late p99 ms': (loop.percentile(99) / 1e6 - TICK).toFixed(1),
    'its max': (loop.max / 1e6 - TICK).toFixed(1),
  },
];
if (values.json) console.log(JSON.stringify(rows));
else console.table(rows);
for (const socket of [...sockets, ...players]) socket.destroy();
server.kill();
await rm(folder, { recursive: true });
process.exit(received > 0 && stats.publishers === count ? 0 : 1);
