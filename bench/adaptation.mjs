// What a player on a slow line gets of a point with two bit rates, both of which it turned on: the higher rate while the line carries it, the
// lower one when it does not, and the higher one again. For WMSP, RTSP and MMSP over TCP, a broadcast and a file, all at the same time. Each
// player has a line of its own: a class of `tc` in a network namespace, with a queue of 64 KiB. Takes two minutes; nothing leaves this host.
//   npm run build && node bench/adaptation.mjs [--json FILE] [--only live] [--until-more] [SLOW_KBIT [SLOW_FROM,SLOW_TO,END]]
// With --until-more the line is free once all players get less, and each leaves once it gets more; SLOW_TO and END are the latest.
// --only plays those of the six whose name it is a part of: live, mmsh, film.asf …
// Printed for each: the seconds from the slow line to less and from the free line to everything, each change, and the pauses of a player that
// begins with three seconds.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ArchiveSink, pull, pump, push, SyntheticSource, serve } from '../dist/index.js';

const { values: options, positionals } = parseArgs({
  options: { json: { type: 'string' }, 'until-more': { type: 'boolean' }, only: { type: 'string', default: '' } },
  allowPositionals: true,
});
const slow = Number(positionals[0] ?? 550) * 1000;
const FREE = 20_000_000;
/** When the line becomes slow, when it is free again, and the end, in s. */
const [SLOW_FROM, SLOW_TO, END] = (positionals[1] ?? '10,50,120').split(',').map(Number);
const RATES = [250_000, 900_000];
const [LOW, HIGH] = [1, 3];
/** What a player has before it begins, in s of media. */
const BUFFER = 3;
/** Bytes that wait in the network before it drops some. */
const QUEUE = 65_536;

if (process.env.WMCAST_BENCH_INSIDE === undefined) {
  const script = 'ip link set lo mtu 1500 gso_max_segs 1 up && exec "$0" "$@"';
  const { status } = spawnSync('unshare', ['-n', 'sh', '-c', script, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, WMCAST_BENCH_INSIDE: '1' },
  });
  process.exit(status ?? 1);
}

function tc(...words) {
  const { status, stderr } = spawnSync('tc', words.join(' ').split(' '), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tc ${words.join(' ')}: ${stderr}`);
}

/** The addresses of the server, each with a line of its own. */
const lines = [];
tc('qdisc add dev lo root handle 1: htb');

function line() {
  const id = lines.length + 10;
  lines.push(id);
  tc(`class add dev lo parent 1: classid 1:${id} htb rate ${FREE} burst 16k`);
  tc(`qdisc add dev lo parent 1:${id} bfifo limit ${QUEUE}`);
  tc(`filter add dev lo parent 1: protocol ip u32 match ip src 127.0.0.${id} flowid 1:${id}`);
  return `127.0.0.${id}`;
}

function carry(rate) {
  for (const id of lines) tc(`class change dev lo parent 1: classid 1:${id} htb rate ${rate} burst 16k`);
}

/** When the line was free again, in s of `performance.now`, and how many players got less before that. */
let freedAt;
let lows = 0;

function free() {
  if (freedAt !== undefined) return;
  freedAt = performance.now() / 1000;
  carry(FREE);
}

/** Receives, and notes which rate comes and whether a player would stand still. */
async function play(name, url) {
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  const changes = [];
  let done;
  const got = new Promise((resolve) => (done = resolve));
  let [current, bytes, stalls, stalled, stalledAt, highAt] = [undefined, 0, 0, 0, 0, 0];
  let [firstTime, clock, lastAt] = [undefined, undefined, 0];
  const change = (level, at) => {
    current = level;
    changes.push({ level, at });
    if (!options['until-more']) return;
    if (level === 'low' && ++lows === players.length) free();
    if (level === 'high' && freedAt !== undefined) done();
  };
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
      // A player begins when its buffer is full, and goes on with whatever it gets after it ran dry.
      if (clock === undefined && media >= BUFFER) clock = at - media + BUFFER;
      if (clock !== undefined && at - clock > media) {
        const paused = at - clock - media;
        if (at - stalledAt > 1) stalls++;
        stalled += paused;
        stalledAt = at;
        clock += paused;
      }
      lastAt = at;
      const streams = new Set(packet.payloads.map(({ stream }) => stream));
      // The two may be in packets of their own.
      const level = streams.has(HIGH) ? 'high' : streams.has(LOW) ? 'low' : undefined;
      if (level === 'high') highAt = at;
      if (level === undefined || level === current || (level === 'low' && at - highAt < 2)) return;
      change(level, level === 'low' ? highAt : at);
    },
  });
  let failure;
  received.finished.catch((error) => {
    failure = error.message;
    done();
  });
  await Promise.race([got, delay(END * 1000)]);
  await received.close();
  const less = changes.find(({ level, at }) => level === 'low' && at > SLOW_FROM);
  const freed = freedAt - begun / 1000;
  const more = changes.findLast(({ level }) => level === 'high');
  return {
    name,
    'less after (s)': less && Number((less.at - SLOW_FROM).toFixed(1)),
    'more after (s)': more && more.at > freed ? Number((more.at - freed).toFixed(1)) : undefined,
    pauses: stalls,
    'paused (s)': Number(stalled.toFixed(1)),
    changes: changes.map(({ level, at }) => `${level} ${at.toFixed(0)}`).join(', '),
    'last (s)': Number(lastAt.toFixed(0)),
    bytes,
    ...(failure && { failure }),
  };
}

const folder = mkdtempSync(join(tmpdir(), 'wmcast-adaptation-'));
const source = { seed: 1, video: RATES, gop: 25 };
await pump(new SyntheticSource({ ...source, duration: END + 30, live: false }), [
  new ArchiveSink(join(folder, 'film.asf')),
]);
const server = await serve({ content: folder, config: { host: '0.0.0.0' } });
const encoder = await push(server.url('/live'), { source: new SyntheticSource({ ...source, pace: true }) });
await Promise.all([encoder.live, server.live('/live')]);
const players = [];
for (const [scheme, port] of [
  ['mmsh', server.ports.http],
  ['rtspt', server.ports.rtsp],
  ['mmst', server.ports.mms],
]) {
  for (const path of ['live', 'film.asf']) {
    if (!`${scheme} ${path}`.includes(options.only)) continue;
    players.push(play(`${scheme} ${path}`, `${scheme}://${line()}:${port}/${path}`));
  }
}
setTimeout(() => carry(slow), SLOW_FROM * 1000);
setTimeout(free, SLOW_TO * 1000);
console.log(
  `${RATES.map((each) => `${each / 1000}`).join(' and ')} kbit/s; the line carries ${slow / 1000} kbit/s from ${SLOW_FROM} s to ${SLOW_TO} s`,
);
const figures = await Promise.all(players);
console.table(figures);
if (options.json) {
  const line = { slow, from: SLOW_FROM, to: SLOW_TO, end: END, queue: QUEUE };
  writeFileSync(options.json, `${JSON.stringify({ rates: RATES, line, players: figures }, null, 2)}\n`);
}
await encoder.close();
await server.close();
rmSync(folder, { recursive: true });
process.exit();
