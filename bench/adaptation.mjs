// What a player on a slow line gets of a point with two bit rates, both of which it turned on: the higher rate while the line carries it, the
// lower one when it does not, and the higher one again. For WMSP, RTSP and MMSP over TCP, a broadcast and a file, all at the same time. A
// proxy that reads slowly is the line. Takes a bit over two minutes; nothing leaves this host.
//   npm run build && node bench/adaptation.mjs [SLOW_KBIT [SLOW_FROM,SLOW_TO,END]]
// Printed for each: when the rates changed (s), how often and how long a player would have stood still, and the bytes.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ArchiveSink, pull, pump, push, SyntheticSource, serve } from '../dist/index.js';

const slow = Number(process.argv[2] ?? 550) * 1000;
const FREE = 20_000_000;
/** When the line becomes slow, when it is free again, and the end, in s. */
const [SLOW_FROM, SLOW_TO, END] = (process.argv[3] ?? '10,60,130').split(',').map(Number);
const RATES = [250_000, 900_000];
const [LOW, HIGH] = [1, 3];
/** What a player has before it begins, in s of media. */
const BUFFER = 3;
const STEP = 50;

// On one host the kernel holds megabytes for a reader that does not read; a network holds much less. A namespace of its own has buffers
// of its own; without the right to make one, the slow time would have to be much longer.
if (process.env.WMCAST_BENCH_INSIDE === undefined) {
  const script =
    'ip link set lo up && sysctl -qw net.ipv4.tcp_rmem="4096 32768 65536" net.ipv4.tcp_wmem="4096 32768 131072" && exec "$0" "$@"';
  const { status } = spawnSync('unshare', ['-n', 'sh', '-c', script, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, WMCAST_BENCH_INSIDE: '1' },
  });
  process.exit(status ?? 1);
}

let rate = FREE;

/** A line that carries `rate` bits per second to the player. */
async function line(port) {
  const server = createServer((player) => {
    const origin = connect(port, '127.0.0.1');
    for (const socket of [player, origin]) socket.on('error', () => {});
    player.pipe(origin);
    // A token bucket; what does not fit stays in the sender's buffers.
    let room = 0;
    const timer = setInterval(() => {
      room = Math.min(room + (rate * STEP) / 8000, (rate * 4 * STEP) / 8000);
      // No more is read than fits, so that the rest stays with the sender.
      const size = Math.min(Math.floor(room), origin.readableLength);
      const bytes = size > 0 ? origin.read(size) : origin.read(0);
      if (bytes === null) return;
      room -= bytes.length;
      player.write(bytes);
    }, STEP);
    origin.on('close', () => player.end());
    player.on('close', () => {
      clearInterval(timer);
      origin.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Receives, and notes which rate comes and whether a player would stand still. */
async function play(name, url) {
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  const changes = [];
  let [current, bytes, stalls, stalled] = [undefined, 0, 0, 0];
  let [firstTime, clock, lastAt] = [undefined, undefined, 0];
  const received = pull(url, {
    streams: [LOW, 2, HIGH],
    reconnect: { retries: 0 },
    onEvent: (event) => {
      if (event.type !== 'packet') return;
      const { packet } = event;
      bytes += packet.bytes.length;
      const at = seconds();
      firstTime ??= packet.sendTime;
      const media = (packet.sendTime - firstTime) / 1000;
      // A player begins when its buffer is full, and again after it ran dry.
      if (clock === undefined && media >= BUFFER) clock = at - media + BUFFER;
      if (clock !== undefined && at - clock > media + BUFFER) {
        stalls++;
        stalled += at - clock - media - BUFFER;
        clock = at - media - BUFFER;
      }
      lastAt = at;
      const streams = new Set(packet.payloads.map(({ stream }) => stream));
      // The two may be in packets of their own.
      const level = streams.has(HIGH) ? 'high' : streams.has(LOW) ? 'low' : undefined;
      if (level === undefined) return;
      if (level === current || (level === 'low' && at - (play.highAt[name] ?? 0) < 2)) {
        if (level === 'high') play.highAt[name] = at;
        return;
      }
      if (level === 'high') play.highAt[name] = at;
      current = level;
      changes.push(`${level} at ${at.toFixed(0)}`);
    },
  });
  received.finished.catch((error) => changes.push(`ended: ${error.message}`));
  await delay(END * 1000);
  await received.close();
  return {
    name,
    switches: changes.length - 1,
    changes: changes.join(', '),
    stalls,
    'stood still (s)': stalled.toFixed(1),
    'last packet (s)': lastAt.toFixed(0),
    bytes,
  };
}
play.highAt = {};

const folder = mkdtempSync(join(tmpdir(), 'wmcast-adaptation-'));
const options = { seed: 1, video: RATES, gop: 25 };
await pump(new SyntheticSource({ ...options, duration: END + 30, live: false }), [
  new ArchiveSink(join(folder, 'film.asf')),
]);
const server = await serve({ content: folder });
const encoder = await push(server.url('/live'), { source: new SyntheticSource({ ...options, pace: true }) });
await Promise.all([encoder.live, server.live('/live')]);
const lines = [];
const players = [];
for (const [scheme, port] of [
  ['mmsh', server.ports.http],
  ['rtspt', server.ports.rtsp],
  ['mmst', server.ports.mms],
]) {
  for (const path of ['live', 'film.asf']) {
    const throttled = await line(port);
    lines.push(throttled);
    players.push(play(`${scheme} ${path}`, `${scheme}://127.0.0.1:${throttled.address().port}/${path}`));
  }
}
setTimeout(() => (rate = slow), SLOW_FROM * 1000);
setTimeout(() => (rate = FREE), SLOW_TO * 1000);
console.log(
  `${RATES.map((each) => `${each / 1000}`).join(' and ')} kbit/s; the line carries ${slow / 1000} kbit/s from ${SLOW_FROM} s to ${SLOW_TO} s`,
);
console.table(await Promise.all(players));
for (const each of lines) each.close();
await encoder.close();
await server.close();
rmSync(folder, { recursive: true });
process.exit();
