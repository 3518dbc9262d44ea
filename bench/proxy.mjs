// A proxy with a cache on the real commands: what 1000 players of a file and of a live stream cost it, beside a server that has the
// file itself, and what the origin notices of them.
//   npm run build && node bench/proxy.mjs [--players 1000] [--seconds 20] [--ask]
// With --ask the origin wants to be asked before each use of a copy, as it does by default.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    players: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '20' },
    ask: { type: 'boolean', default: false },
  },
});
const [players, seconds] = [Number(values.players), Number(values.seconds)];
const RAMP = 200;
const TICKS_PER_SECOND = 100;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const running = [];

async function command(name, ...args) {
  const child = spawn(process.execPath, [here(`../bin/${name}.js`), ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  running.push(child);
  const lines = createInterface(child.stdout);
  for await (const line of lines) {
    const event = JSON.parse(line);
    if (event.event === 'ready' || name === 'wmpush') {
      lines.on('line', () => {});
      child.stdout.resume();
      return { child, port: event.ports?.http };
    }
  }
  throw new Error(`${name} ended.`);
}

const serve = (...args) => command('wmcast', 'serve', '--host', '127.0.0.1', '--http-port', '0', ...args);

async function cpuOf({ child }) {
  const [, fields] = (await readFile(`/proc/${child.pid}/stat`, 'latin1')).split(') ');
  return [11, 12].reduce((sum, index) => sum + Number(fields.split(' ')[index]), 0) / TICKS_PER_SECOND;
}

const statusOf = async ({ port }) => (await fetch(`http://127.0.0.1:${port}/api/status`)).json();

/** CPU seconds for each GB that players of a path get. */
async function measure(server, path) {
  const before = { cpu: await cpuOf(server), ...(await statusOf(server)) };
  const args = [here('./load.mjs'), '127.0.0.1', server.port, path, players, seconds, RAMP].map(String);
  const load = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  await once(load, 'close');
  const after = { cpu: await cpuOf(server), ...(await statusOf(server)) };
  return { gigabytes: (after.bytesOut - before.bytesOut) / 1e9, cpu: after.cpu - before.cpu };
}

const folder = await mkdtemp(join(tmpdir(), 'wmcast-bench-'));
try {
  const film = join(folder, 'film.wmv');
  const source = ['-f', 'lavfi', '-i', 'testsrc=size=320x240:rate=25', '-f', 'lavfi', '-i', 'sine'];
  const coding = ['-t', '120', '-c:v', 'wmv2', '-b:v', '300k', '-c:a', 'wmav2', '-b:a', '64k', '-packet_size', '1450'];
  await once(spawn('ffmpeg', ['-v', 'error', ...source, ...coding, '-f', 'asf', film]), 'close');
  const config = join(folder, 'serve.yaml');
  await writeFile(config, `content: { folder: ${folder}, revalidate: ${values.ask} }\n`);
  const origin = await serve('--config', config);
  const proxy = await serve('--proxy-origin', `http://127.0.0.1:${origin.port}`, '--cache', join(folder, 'cache'));
  const row = (name, { gigabytes, cpu }) =>
    console.log(`${name.padEnd(28)} ${gigabytes.toFixed(2)} GB  ${(cpu / gigabytes).toFixed(2)} CPU s/GB`);
  row('a file of its own', await measure(origin, '/film.wmv'));
  row('filled while it is played', await measure(proxy, '/film.wmv'));
  row('a hit', await measure(proxy, '/film.wmv'));
  row('a file of its own, again', await measure(origin, '/film.wmv'));
  row('a hit, again', await measure(proxy, '/film.wmv'));
  const { proxy: counters } = await statusOf(proxy);
  const [share, sent] = [counters.hits / counters.requests, counters.fetchedBytes / 1e6];
  console.log(
    `on demand: ${(share * 100).toFixed(1)} % hits, ${sent.toFixed(1)} MB from the origin`,
    JSON.stringify(counters),
  );
  await command('wmpush', `http://127.0.0.1:${origin.port}/live`, '-i', film, '--copy', '--loop');
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const most = { players: 0 };
  const watch = setInterval(async () => {
    most.players = Math.max(most.players, (await statusOf(origin)).players);
  }, 500);
  row('live, at the origin', await measure(origin, '/live'));
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  most.players = 0;
  row('live, through the proxy', await measure(proxy, '/live'));
  clearInterval(watch);
  console.log(`live: at most ${most.players} player of the origin`, JSON.stringify((await statusOf(proxy)).proxy));
} finally {
  for (const child of running) child.kill();
  await rm(folder, { recursive: true, force: true });
}
