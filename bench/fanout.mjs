// Live fan-out: what wmcast needs to serve many players, beside a ceiling that writes one shared buffer to each player and
// knows no protocol at all.
//
//   npm run build && node bench/fanout.mjs [--players 1000] [--seconds 15] [--interval 100] [--load PROGRAM]
//
// The players are a process of their own (bench/load.mjs). --load names another generator, called as
// PROGRAM HOST PORT PATH PLAYERS SECONDS RAMP_PER_SECOND PID and printing one JSON line with data_packets, MB, af_gaps,
// loc_gaps, playing and first_data_ms_p99; above 2000 players the one here is slower than the server.
import { parseArgs } from 'node:util';
import { measureFanout } from './fanout-measure.mjs';

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
  return measureFanout({
    server: [here('./fanout-server.mjs'), [kind, values.interval]],
    load: values.load ? [values.load] : [process.execPath, here('./load.mjs')],
    path: '/live',
    players,
    seconds,
  });
}

const row = (
  kind,
  { rate, steady, whole, memoryPerPlayer, playing, data_packets, MB, af_gaps, loc_gaps, first_data_ms_p99 },
) => ({
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
console.table([row('wmcast', ours), row('ceiling', ceiling)]);
console.log(
  `CPU seconds per GB, wmcast / ceiling: steady ${(ours.steady / ceiling.steady).toFixed(2)}, with joining ${(ours.whole / ceiling.whole).toFixed(2)}`,
);
