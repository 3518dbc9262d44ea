// The suite: the real commands under load, one figure after the other, as JSON and as a small page.
//
//   npm run bench -- [--full] [--quick] [--smoke] [--only PART,…] [--out FOLDER] [--load PROGRAM]
//
// It takes less than ten minutes. --full has more sizes, longer windows and three runs of each, and takes an hour; --quick says in
// three minutes that everything runs, and --smoke with a handful of players. --only names parts: asf, players, rates, protocols,
// msbd, ondemand, push, glass, join. --load names another generator than bench/load.mjs, which above 2000 players is slower than the
// server. The folder gets bench.json and bench.html. Linux, for /proc. Exit status 1 if a part failed.
//
// Live: each run starts `wmcast serve` with a `wmpush --copy` of the test stream, and a ceiling that writes one shared buffer to every
// player and knows no protocol. Players are processes of their own, whose CPU time is not counted. A figure is the median of three
// windows, and of all runs. VLC and nginx are measured beside where they are installed.
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { delay, here, measureLoad, median, startCeiling, startOurs, withTestFile } from './real.mjs';
import { page } from './suite-page.mjs';
import { startVlc } from './vlc.mjs';

const { values } = parseArgs({
  options: {
    full: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    only: { type: 'string' },
    load: { type: 'string', default: here('./load.mjs') },
    out: { type: 'string', default: 'bench-results' },
  },
});

/** How much is measured. `many` is the number of players of each protocol, `few` that of each bit rate. */
const EXTENTS = {
  full: {
    sizes: [10, 100, 1000, 2000, 5000, 10_000],
    rates: [100, 300, 1000, 3000, 10_000],
    many: 1000,
    few: 50,
    runs: 3,
  },
  usual: { sizes: [10, 100, 1000], rates: [100, 1000, 10_000], many: 300, few: 20, runs: 1 },
  quick: { sizes: [10, 100], rates: [100, 1000], many: 50, few: 5, runs: 1 },
  smoke: { sizes: [3], rates: [100], many: 3, few: 3, runs: 1 },
};
const extentName = ['full', 'quick', 'smoke'].find((name) => values[name]) ?? 'usual';
const extent = EXTENTS[extentName];
/** In seconds; three of these are measured. */
const window = { full: 5, usual: 2, quick: 1, smoke: 0.5 }[extentName];
/** For what starting a process costs, and for the bursts of players, in ms. */
const settle = { full: 28_000, usual: 4_000, quick: 1_000, smoke: 0 }[extentName];
const joined = { full: 3_000, usual: 2_500, quick: 1_500, smoke: 1_000 }[extentName];
/** From here on all players play a stream of little, that of RATE: the network of this host has to carry it twice. */
const CROWD = 2_000;
const [RATE, CROWDS_RATE] = [371, 100];
/** With fewer players memory says nothing about one of them. */
const ENOUGH_FOR_MEMORY = 100;

const WMSP = { protocol: 'http', program: values.load };
const LOADS = {
  WMSP,
  'RTSP/TCP': { protocol: 'rtsp', program: here('./load-rtsp.mjs') },
  'RTSP/UDP': { protocol: 'rtsp', program: here('./load-rtsp.mjs'), more: ['udp'] },
  'MMSP/TCP': { protocol: 'mms', program: here('./load-mmsp.mjs') },
  'MMSP/UDP': { protocol: 'mms', program: here('./load-mmsp.mjs'), more: ['udp'] },
};

/** Runs another bench, and returns what it prints. */
async function bench(name, ...args) {
  const { stdout } = await execa(process.execPath, [here(`./${name}.mjs`), ...args.map(String)], { stderr: 'ignore' });
  return stdout;
}

/** What the stream of a bit rate is made of. */
function streamOf(kbps) {
  const video = `${Math.max(20, kbps - 90)}k`;
  return kbps === RATE ? {} : { seconds: 20, videoBitrate: video, noise: kbps >= 3_000 };
}

/** Live players of one protocol on a server of their own, and on the ceiling at the same time. */
async function live({ load = WMSP, players, kbps = RATE, peers = [] }) {
  const runs = [];
  let each = kbps;
  await withTestFile(async (file, measured) => {
    each = measured;
    for (let run = 0; run < extent.runs; run++) {
      const servers = [await startOurs({ serve: here('../bin/wmcast.js') }, file, load.protocol)];
      try {
        servers.push(await startCeiling({ ceiling: here('./ceiling.mjs'), kbps: each }));
        for (const peer of peers) servers.push(await peer.start(file));
        await delay(settle);
        const loads = servers.map((_, index) => (index === 0 ? load : { program: values.load }));
        runs.push(await measureLoad(servers, loads, players, window, { windows: 3, kbps: each, joined }));
      } finally {
        for (const { server, others } of servers) for (const one of [server, ...others]) one.kill();
      }
    }
  }, streamOf(kbps));
  const middle = (value) => Number(median(runs.map(value)).toFixed(3));
  const worst = (name) => Math.max(...runs.flatMap((run) => run.players[0].map((part) => part[name] ?? 0)));
  return {
    players,
    kbps: each,
    playing: Math.min(...runs.map((run) => run.players[0].reduce((sum, part) => sum + part.playing, 0))),
    cpuSecondsPerGB: middle((run) => run.steady[0]),
    ceiling: middle((run) => run.steady[1]),
    ratio: middle((run) => run.ratio),
    ...Object.fromEntries(peers.map(({ name }, index) => [name, middle((run) => run.steady[index + 2])])),
    cpuMsPerJoin: middle((run) => run.join),
    kilobytesPerPlayer: players < ENOUGH_FOR_MEMORY ? undefined : middle((run) => run.perPlayer),
    firstDataMsP50: worst('first_data_ms_p50') || undefined,
    firstDataMsP99: worst('first_data_ms_p99'),
    longestGapMsP99: worst('max_gap_ms_p99'),
    sends: Math.max(...runs.map(({ sends }) => sends)),
    lateSends: Math.max(...runs.map(({ lateSends }) => lateSends)),
    lost: worst('loc_gaps') + worst('lost'),
    droppedByReceivers: load.more ? worst('dropped_by_receivers') : undefined,
  };
}

async function each(list, measure) {
  const found = [];
  for (const one of list) found.push(await measure(one));
  return found;
}

/** VLC, where it is installed. */
async function vlc() {
  const { exitCode } = await execa('vlc', ['--version'], {
    reject: false,
    stdio: 'ignore',
    uid: 65534,
    gid: 65534,
  }).catch(() => ({ exitCode: 1 }));
  return exitCode === 0 ? [{ name: 'VLC', start: startVlc }] : [];
}

const PARTS = {
  /** Reading and rewriting of ASF, beside copying the same bytes. */
  async asf() {
    const text = await bench('asf', { full: 1, usual: 0.5, quick: 0.2, smoke: 0.02 }[extentName]);
    return text.split('\n').map((line) => {
      const [, size, read, rewrite, copy] =
        /^(\d+) bytes.*read (\d+) MB\/s.*rewrite (\d+) MB\/s.*copy (\d+) MB\/s/.exec(line);
      const [packetSize, readMBps, rewriteMBps, copyMBps] = [size, read, rewrite, copy].map(Number);
      return { packetSize, readMBps, rewriteMBps, copyMBps, ratio: Number((copyMBps / readMBps).toFixed(1)) };
    });
  },
  /** From 10 to 10,000 live players by WMSP. */
  players: () => each(extent.sizes, (players) => live({ players, kbps: players > CROWD ? CROWDS_RATE : RATE })),
  /** From 100 kbit/s to 10 Mbit/s. */
  rates: () => each(extent.rates, (kbps) => live({ players: extent.few, kbps })),
  async protocols() {
    const peers = extentName === 'smoke' ? [] : await vlc();
    return each(Object.entries(LOADS), async ([protocol, load]) => ({
      protocol,
      ...(await live({ load, players: extent.many, peers: load === WMSP ? peers : [] })),
    }));
  },
  msbd: async () =>
    JSON.parse(await bench('fanout-msbd', '--json', '--players', extent.many, '--seconds', 4 + 3 * window)),
  /** Files, beside plain files from Node and nginx. */
  async ondemand() {
    const files = extentName === 'smoke' ? 1 : 10;
    const args = ['--players', extent.many, '--files', files, '--seconds', 3 * window, '--runs', extent.runs];
    return JSON.parse(await bench('fanout-ondemand', '--json', ...args));
  },
  /** Many encoders, each with a player: how late packets are from the one to the other. */
  async push() {
    const publishers = { full: 500, usual: 100, quick: 20, smoke: 3 }[extentName];
    return JSON.parse(await bench('publishers', '--json', '--publishers', publishers, '--seconds', 4 * window));
  },
  /** From the encoder's camera to the decoded picture. */
  async glass() {
    const { stdout } = await execa(
      process.execPath,
      [here('../bin/demo.js'), '--json', '-t', '12', '--http-port', '0'],
      {
        stderr: 'ignore',
      },
    );
    const done = stdout
      .split('\n')
      .map((line) => JSON.parse(line))
      .find(({ event }) => event === 'done');
    return [{ frames: done.frames, firstPictureAfterMs: done.firstFrameAfter, newestPictureIsOldMs: done.latency }];
  },
  /** From the connection to the first key frame, with players on. */
  async join() {
    if (!existsSync(here('./join.mjs'))) return [];
    return JSON.parse(await bench('join', '--json', '--players', extent.many));
  },
};

const wanted =
  values.only?.split(',') ?? Object.keys(PARTS).filter((name) => extentName !== 'smoke' || name !== 'glass');
const result = {
  machine: `${cpus().length} × ${cpus()[0].model}`,
  node: process.versions.node,
  extent: extentName,
  runs: extent.runs,
  parts: {},
  failed: {},
};
const begun = performance.now();
for (const name of wanted) {
  try {
    const rows = await PARTS[name]();
    result.parts[name] = rows;
    console.log(`${name}, ${Math.round((performance.now() - begun) / 1000)} s, load ${loadavg()[0].toFixed(1)}`);
    if (rows.length > 0) console.table(rows);
  } catch (error) {
    result.failed[name] = error.shortMessage ?? error.message;
    console.error(`${name} failed: ${result.failed[name]}`);
  }
}
result.seconds = Math.round((performance.now() - begun) / 1000);
await mkdir(values.out, { recursive: true });
await writeFile(join(values.out, 'bench.json'), `${JSON.stringify(result, undefined, 2)}\n`);
await writeFile(join(values.out, 'bench.html'), page(result));
console.log(`${join(values.out, 'bench.json')} and bench.html are written.`);
process.exit(Object.keys(result.failed).length === 0 ? 0 : 1);
