// The suite: the real commands under load, one figure after the other, as JSON and as a small page.
//
//   npm run bench -- [--quick] [--players 1000] [--runs 3] [--out FOLDER]
//
// Each run starts `wmcast serve` with a `wmpush --copy` of the test stream, and a ceiling that writes one shared buffer to every
// player and knows no protocol. Players are processes of their own, whose CPU time is not counted. Medians of all runs. The player
// counts of the curve double up to --players. Linux, for /proc. The folder gets bench.json and bench.html.
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { delay, here, measureLoad, median, startCeiling, startOurs, withTestFile } from './real.mjs';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    players: { type: 'string' },
    runs: { type: 'string' },
    out: { type: 'string', default: 'bench-results' },
  },
});
const most = Number(values.players ?? (values.quick ? 50 : 1000));
const runs = Number(values.runs ?? (values.quick ? 1 : 3));
const seconds = values.quick ? 3 : 10;
const settle = values.quick ? 2_000 : 5_000;
const sizes = [10, 100, 1000, 5000].filter((size) => size < most).concat(most);

const LOADS = {
  WMSP: { protocol: 'http', program: here('./load.mjs') },
  'RTSP/TCP': { protocol: 'rtsp', program: here('./load-rtsp.mjs') },
  'RTSP/UDP': { protocol: 'rtsp', program: here('./load-rtsp.mjs'), more: ['udp'] },
  'MMSP/TCP': { protocol: 'mms', program: here('./load-mmsp.mjs') },
  'MMSP/UDP': { protocol: 'mms', program: here('./load-mmsp.mjs'), more: ['udp'] },
};

async function parsing() {
  const { stdout } = await execa(process.execPath, [here('./asf.mjs'), values.quick ? '0.2' : '1']);
  return stdout.split('\n').map((line) => {
    const [, size, read, copy] = /^(\d+) bytes.*read (\d+) MB\/s.*copy (\d+) MB\/s/.exec(line);
    return { packetSize: Number(size), readMBps: Number(read), copyMBps: Number(copy) };
  });
}

/** One load on a server of its own, and on the ceiling at the same time. */
async function fanout(file, load, players) {
  const found = [];
  for (let run = 0; run < runs; run++) {
    const servers = [await startOurs({ serve: here('../bin/wmcast.js') }, file, load.protocol)];
    servers.push(await startCeiling({ ceiling: here('./ceiling.mjs') }));
    try {
      await delay(settle);
      found.push(await measureLoad(servers, [load, LOADS.WMSP], players, seconds));
    } finally {
      for (const { server, others } of servers) for (const each of [server, ...others]) each.kill();
    }
  }
  const middle = (value) => Number(median(found.map(value)).toFixed(3));
  const worst = (name) => Math.max(...found.flatMap((run) => run.players[0].map((each) => each[name] ?? 0)));
  return {
    players,
    playing: Math.min(...found.map((run) => run.players[0].reduce((sum, each) => sum + each.playing, 0))),
    cpuSecondsPerGB: middle((run) => run.steady[0]),
    ceiling: middle((run) => run.steady[1]),
    ratio: middle((run) => run.ratio),
    cpuMsPerJoin: middle((run) => run.join),
    kilobytesPerPlayer: players < 100 ? undefined : middle((run) => run.perPlayer),
    firstDataMsP50: worst('first_data_ms_p50') || undefined,
    firstDataMsP99: worst('first_data_ms_p99'),
    longestGapMsP99: worst('max_gap_ms_p99'),
    lost: worst('loc_gaps') + worst('lost'),
  };
}

/** A curve of a figure over the number of players, logarithmic. */
function curve(title, points, unit) {
  const [width, height, margin] = [520, 220, 40];
  const top = Math.max(...points.map(({ y }) => y), 1e-9) * 1.1;
  const log = (x) => Math.log10(Math.max(1, x));
  const last = Math.max(...points.map(({ x }) => log(x)), 1);
  const place = ({ x, y }) => [
    (margin + (log(x) / last) * (width - 2 * margin)).toFixed(1),
    (height - margin - (y / top) * (height - 2 * margin)).toFixed(1),
  ];
  const dots = points.map((point) => {
    const [x, y] = place(point);
    return `<circle cx="${x}" cy="${y}" r="3"/><text x="${x}" y="${y - 8}">${point.y}</text><text x="${x}" y="${height - 20}">${point.x}</text>`;
  });
  const line = points.map((point) => place(point).join(',')).join(' ');
  return `<h2>${title}, ${unit}</h2><svg width="${width}" height="${height}"><polyline points="${line}" fill="none" stroke="#357"/>${dots.join('')}</svg>`;
}

function page(result) {
  const columns = Object.keys(result.protocols[0]);
  const row = (cells, tag) => `<tr>${cells.map((cell) => `<${tag}>${cell ?? ''}</${tag}>`).join('')}</tr>`;
  const table = [
    row(columns, 'th'),
    ...result.protocols.map((each) =>
      row(
        columns.map((name) => each[name]),
        'td',
      ),
    ),
  ];
  const points = (name) => result.curve.map((each) => ({ x: each.players, y: each[name] }));
  return `<!doctype html><meta charset="utf-8"><title>wmcast bench</title><style>body{font:14px sans-serif}td,th{padding:2px 8px;text-align:right}text{font-size:10px;text-anchor:middle}</style>
<h1>wmcast bench</h1><p>${result.machine}, Node.js ${result.node}</p><table>${table.join('')}</table>
${curve('Live by WMSP: CPU', points('cpuSecondsPerGB'), 's/GB')}
${curve('Live by WMSP: first data, 99th percentile', points('firstDataMsP99'), 'ms')}`;
}

const machine = `${cpus().length} × ${cpus()[0].model}`;
const result = { machine, node: process.versions.node, runs, seconds, asf: await parsing(), curve: [], protocols: [] };
await withTestFile(async (file) => {
  for (const players of sizes) result.curve.push(await fanout(file, LOADS.WMSP, players));
  for (const [name, load] of Object.entries(LOADS)) {
    const figures = name === 'WMSP' ? result.curve.at(-1) : await fanout(file, load, most);
    result.protocols.push({ name, ...figures });
  }
});
console.table(result.protocols);
await mkdir(values.out, { recursive: true });
await writeFile(join(values.out, 'bench.json'), `${JSON.stringify(result, undefined, 2)}\n`);
await writeFile(join(values.out, 'bench.html'), page(result));
console.log(`${join(values.out, 'bench.json')} and bench.html are written.`);
