// Live fan-out: what wmcast needs to serve many players, beside a ceiling that writes one shared buffer to each player and
// knows no protocol at all.
//
//   npm run build && node bench/fanout.mjs [--players 1000] [--seconds 15] [--interval 100] [--load PROGRAM]
//
// The players are a process of their own (bench/load.mjs). --load names another generator, called as
// PROGRAM HOST PORT PATH PLAYERS SECONDS RAMP_PER_SECOND PID and printing one JSON line with data_packets, MB, af_gaps,
// loc_gaps, playing and first_data_ms_p99; above 2000 players the one here is slower than the server.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    players: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '15' },
    interval: { type: 'string', default: '100' },
    load: { type: 'string' },
  },
});
const players = Number(values.players);
const seconds = Number(values.seconds);
const here = (name) => new URL(name, import.meta.url).pathname;

async function measure(kind) {
  const server = fork(here('./fanout-server.mjs'), [kind, values.interval], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [{ port, rate }] = await once(server, 'message');
  const ask = async () => {
    server.send('usage');
    const [usage] = await once(server, 'message');
    return usage;
  };
  const args = ['127.0.0.1', String(port), '/live', String(players), String(seconds), '500', String(server.pid)];
  const load = values.load
    ? spawn(values.load, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    : spawn(process.execPath, [here('./load.mjs'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  load.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const ended = once(load, 'close');
  const before = await ask();
  // Players join for the first part; the steady state is what comes behind.
  const joined = (players / 500 + 1) * 1000;
  await new Promise((resolve) => setTimeout(resolve, joined));
  const steadyStart = await ask();
  await new Promise((resolve) => setTimeout(resolve, Math.max(1000, seconds * 1000 - joined - 500)));
  const steadyEnd = await ask();
  await ended;
  server.kill();
  const result = JSON.parse(output);
  const perGB = (from, to) => (to.cpu - from.cpu) / 1e6 / ((to.bytes - from.bytes) / 1e9);
  return {
    kind,
    rate,
    steady: perGB(steadyStart, steadyEnd),
    whole: perGB(before, steadyEnd),
    memoryPerPlayer: (steadyEnd.rss - before.rss) / players,
    ...result,
  };
}

const row = ({
  kind,
  rate,
  steady,
  whole,
  memoryPerPlayer,
  playing,
  data_packets,
  MB,
  af_gaps,
  loc_gaps,
  first_data_ms_p99,
}) => ({
  server: kind,
  players: playing,
  'kbit/s each': Math.round(rate / 1000),
  MB: Math.round(MB),
  'CPU s/GB steady': steady.toFixed(2),
  'with joining': whole.toFixed(2),
  'KB/player': (memoryPerPlayer / 1024).toFixed(1),
  packets: data_packets,
  'lost (LocationId)': loc_gaps,
  'AFFlags wrong': af_gaps,
  'first data p99 ms': first_data_ms_p99,
});

const ours = await measure('wmcast');
const ceiling = await measure('ceiling');
console.table([row(ours), row(ceiling)]);
console.log(
  `CPU seconds per GB, wmcast / ceiling: steady ${(ours.steady / ceiling.steady).toFixed(2)}, with joining ${(ours.whole / ceiling.whole).toFixed(2)}`,
);
