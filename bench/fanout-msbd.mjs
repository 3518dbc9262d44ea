// Live fan-out by MSBD over TCP: what wmcast needs to serve many pullers, beside a ceiling that writes one shared, already framed
// buffer to each of them and knows no protocol at all.
//
//   npm run build && node bench/fanout-msbd.mjs [--players 1000] [--seconds 15] [--interval 100] [--json]
import { parseArgs } from 'node:util';
import { measureFanout } from './fanout-measure.mjs';

const { values } = parseArgs({
  options: {
    players: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '15' },
    interval: { type: 'string', default: '100' },
    json: { type: 'boolean', default: false },
  },
});
const here = (name) => new URL(name, import.meta.url).pathname;
const measure = (kind) =>
  measureFanout({
    server: [here('./fanout-server.mjs'), [kind, values.interval]],
    load: [process.execPath, here('./load-msbd.mjs')],
    path: 'NetShow',
    players: Number(values.players),
    seconds: Number(values.seconds),
  });

const row = (server, { rate, steady, whole, memoryPerPlayer, playing, packets, MB, gaps, first_data_ms_p99 }) => ({
  server,
  pullers: playing,
  'kbit/s each': Math.round(rate / 1000),
  MB: Math.round(MB),
  'CPU s/GB steady': steady.toFixed(2),
  'with joining': whole.toFixed(2),
  'KB/puller': (memoryPerPlayer / 1024).toFixed(1),
  packets,
  'gaps (dwPacketId)': gaps,
  'first data p99 ms': first_data_ms_p99,
});

const ours = await measure('msbd');
const ceiling = await measure('msbd-ceiling');
const rows = [row('wmcast', ours), row('ceiling', ceiling)];
if (values.json) console.log(JSON.stringify(rows));
else console.table(rows);
console.error(
  `CPU seconds per GB, wmcast / ceiling: steady ${(ours.steady / ceiling.steady).toFixed(2)}, with joining ${(ours.whole / ceiling.whole).toFixed(2)}`,
);
