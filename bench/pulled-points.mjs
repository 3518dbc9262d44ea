// Many points that pull, each from a point of another server: CPU time and memory of the process that pulls.
//
//   npm run build && node bench/pulled-points.mjs [--points 500] [--seconds 20] [--bitrate KBIT]
//
// The origin is this process, the pulling server another one; its figures come from /proc, so this runs on Linux only. Beside the
// figures: how long it took until all points were live, and packets that went in.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { AsfReader } from '../dist/asf/reader.js';
import { Timeline } from '../dist/media/timeline.js';
import { defaultConfig } from '../dist/server/config.js';
import { MediaServer } from '../dist/server/server.js';
import { testStream } from './stream.mjs';

const { values } = parseArgs({
  options: {
    points: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '20' },
    bitrate: { type: 'string', default: '100' },
  },
});
const count = Number(values.points);
const seconds = Number(values.seconds);
const TICK = 20;
const TICKS_PER_SECOND = 100;
const LONGEST_START = 120_000;

/** Feeds a broadcast in real time with a stream that begins again and again. @returns stops it */
async function feed(broadcast) {
  const reader = new AsfReader();
  const stream = await testStream({ videoBitrate: `${values.bitrate}k` });
  const items = [...reader.push(stream), ...reader.end()];
  const packets = items.flatMap(({ type, packet }) => (type === 'packet' ? [packet] : []));
  const timeline = new Timeline();
  broadcast.write(items.find(({ type }) => type === 'header'));
  const startedAt = performance.now();
  let index = 0;
  let next = timeline.packet(packets[0]);
  return setInterval(() => {
    const now = performance.now() - startedAt;
    while (next.sendTime <= now) {
      broadcast.write({ type: 'packet', packet: next });
      index = (index + 1) % packets.length;
      if (index === 0) timeline.restart();
      next = timeline.packet(packets[index]);
    }
  }, TICK);
}

/** CPU seconds so far, and memory in MB. */
function usage(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
  const cpu = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1] / 1024;
  return { cpu, resident };
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const folder = await mkdtemp(join(tmpdir(), 'wmcast-bench-'));
const origin = await MediaServer.start({
  ...defaultConfig(),
  host: '127.0.0.1',
  httpPort: 0,
  points: [{ path: '/live' }],
});
const timer = await feed(origin.points.get('/live').broadcast);
const source = `http://127.0.0.1:${origin.ports.http}/live`;
const points = Array.from({ length: count }, (_, index) => `  - { path: /p${index}, source: "${source}" }`).join('\n');
const config = join(folder, 'serve.yaml');
await writeFile(config, `host: 127.0.0.1\nhttpPort: 0\nmsbd: { port: none }\npoints:\n${points}\n`);
const bin = new URL('../bin/wmcast.js', import.meta.url).pathname;
const server = spawn(process.execPath, [bin, 'serve', '--config', config, '--json'], {
  stdio: ['ignore', 'pipe', 'ignore'],
});
try {
  const { ports } = await new Promise((resolve, reject) => {
    createInterface({ input: server.stdout }).on('line', (text) => {
      const line = JSON.parse(text);
      if (line.event === 'ready') resolve(line);
    });
    server.once('exit', () => reject(new Error('The server did not start.')));
  });
  const started = performance.now();
  const status = async () => (await fetch(`http://127.0.0.1:${ports.http}/api/status`)).json();
  const countLive = async () => {
    const { points: all } = await (await fetch(`http://127.0.0.1:${ports.http}/api/points`)).json();
    return all.filter(({ live }) => live).length;
  };
  let live = await countLive();
  while (live < count && performance.now() - started < LONGEST_START) {
    await sleep(200);
    live = await countLive();
  }
  const startup = (performance.now() - started) / 1000;
  const startCpu = usage(server.pid).cpu;
  await sleep(3_000);
  const [before, packetsBefore] = [usage(server.pid), (await status()).packetsIn];
  await sleep(seconds * 1000);
  const [after, packetsAfter] = [usage(server.pid), (await status()).packetsIn];
  const cpu = (after.cpu - before.cpu) / seconds;
  const packets = Math.round((packetsAfter - packetsBefore) / seconds);
  console.log(
    `${live} of ${count} points pulled; all live after ${startup.toFixed(1)} s, ${startCpu.toFixed(1)} s of CPU`,
  );
  console.log(`${(cpu * 100).toFixed(1)} % of a core for ${packets} packets a second, ${after.resident.toFixed(0)} MB`);
} finally {
  server.kill('SIGKILL');
  clearInterval(timer);
  await origin.close();
  await rm(folder, { recursive: true, force: true });
}
