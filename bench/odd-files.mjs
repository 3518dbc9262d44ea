/*
 * What players get of unusual files, beside what ffmpeg reads from the file itself: every packet of each stream, and its
 * time within 50 ms. Each file is played on demand (WMSP), from a web server, and live while it is pushed with --copy; the
 * recordings of `wmcast pull` are compared.
 *
 *   npm run build && node bench/odd-files.mjs FOLDER [--only NAME,...] [--ways demand,plain,live] [--at-once 4]
 */
import { execFile, spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    ways: { type: 'string', default: 'demand,plain,live' },
    'at-once': { type: 'string', default: '4' },
    keep: { type: 'boolean', default: false },
  },
});
const [content] = positionals;
const TOLERANCE = 0.05;
/** Bounds each command, in ms. */
const LONGEST = 120_000;
const bin = (name) => fileURLToPath(new URL(`../bin/${name}.js`, import.meta.url));

/** Runs a program to its end; rejects only if it cannot start. */
function run(program, args, timeout = LONGEST) {
  return new Promise((resolve) => {
    execFile(program, args, { timeout, maxBuffer: 1 << 28, encoding: 'utf8' }, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? error.signal ?? 'killed') : 0, stdout, stderr }),
    );
  });
}

/** Returns the packets that ffmpeg reads, by stream. */
async function packetsOf(file) {
  const { stdout, stderr } = await run('ffmpeg', [
    ...['-v', 'error', '-i', file, '-map', '0:v?', '-map', '0:a?', '-c', 'copy', '-f', 'framecrc', '-'],
  ]);
  const bases = new Map();
  const streams = new Map();
  for (const line of stdout.split('\n')) {
    const base = /^#tb (\d+): (\d+)\/(\d+)/.exec(line);
    if (base) bases.set(Number(base[1]), Number(base[2]) / Number(base[3]));
    const fields = line.split(',').map((field) => field.trim());
    if (line.startsWith('#') || fields.length < 6) continue;
    const stream = Number(fields[0]);
    const list = streams.get(stream) ?? [];
    list.push({ time: Number(fields[2]) * bases.get(stream), content: `${fields[4]} ${fields[5]}` });
    streams.set(stream, list);
  }
  return { streams, error: stderr.trim().split('\n')[0] };
}

/**
 * Compares two lists of packets: those that are missing, and how many are at other times, once the start is set off.
 * Where the times of the file start over, as in joined recordings, players get times that go on.
 */
function compare(expected, got) {
  let at = 0;
  let last = Number.NEGATIVE_INFINITY;
  const missing = [];
  const runs = [];
  for (const [index, { time, content }] of expected.entries()) {
    if (time < last - 1 || runs.length === 0) runs.push([]);
    last = time;
    const found = got.findIndex((each, place) => place >= at && each.content === content);
    if (found === -1) {
      missing.push(index);
      continue;
    }
    at = found + 1;
    runs.at(-1).push(got[found].time - time);
  }
  let off = 0;
  for (const shifts of runs) {
    const sorted = shifts.filter(Number.isFinite).toSorted((a, b) => a - b);
    const middle = sorted[sorted.length >> 1] ?? 0;
    off += shifts.filter((shift) => Math.abs(shift - middle) > TOLERANCE).length;
  }
  return { missing, off };
}

function report(expected, got) {
  const notes = [];
  for (const [stream, packets] of expected) {
    const found = got.get(stream) ?? [];
    const { missing, off } = compare(packets, found);
    if (missing.length === 0 && off === 0) continue;
    const where = missing.length > 0 ? ` (missing ${missing.slice(0, 4).join()}…${missing.at(-1)})` : '';
    notes.push(`${stream}: ${found.length} of ${packets.length}${where}${off > 0 ? `, ${off} at other times` : ''}`);
  }
  const count = [...got.values()].map((packets) => packets.length).join('+');
  return notes.length === 0 ? { good: true, text: `as ffmpeg (${count})` } : { good: false, text: notes.join('; ') };
}

const folder = await mkdtemp(join(tmpdir(), 'wmcast-odd-'));
const server = spawn(
  process.execPath,
  [
    bin('wmcast'),
    'serve',
    '--host',
    '127.0.0.1',
    '--http-port',
    '0',
    '--msbd-port',
    'none',
    '--content',
    content,
    '--json',
  ],
  { stdio: ['ignore', 'pipe', 'pipe'] },
);
const warnings = [];
createInterface({ input: server.stderr }).on('line', (line) => warnings.push(line));
const waiting = new Map();
const lines = createInterface({ input: server.stdout });
const port = await new Promise((resolve, reject) => {
  server.once('exit', () => reject(new Error(warnings.join('\n'))));
  lines.on('line', (line) => {
    const event = JSON.parse(line);
    if (event.event === 'ready') resolve(event.ports.http);
    if (event.event === 'point' && event.what === 'publishing') waiting.get(event.point)?.();
  });
});

// An ordinary web server, which knows nothing of streaming.
const web = createServer((request, response) => {
  const file = createReadStream(join(content, basename(request.url)));
  file.once('error', () => response.writeHead(404).end());
  file.once('open', () => response.writeHead(200, { 'Content-Type': 'video/x-ms-asf' }));
  file.pipe(response);
});
await new Promise((resolve) => web.listen(0, '127.0.0.1', resolve));

const pull = (url, output) => run(process.execPath, [bin('wmcast'), 'pull', url, '-o', output, '--force', '-q']);

const WAYS = {
  demand: (file, output) => pull(`mmsh://127.0.0.1:${port}/${file}`, output),
  plain: (file, output) => pull(`http://127.0.0.1:${web.address().port}/${file}`, output),
  live: async (file, output) => {
    const point = `/live-${basename(file, '.asf')}`;
    const live = new Promise((resolve) => waiting.set(point, resolve));
    const push = run(process.execPath, [
      ...[bin('wmpush'), `http://127.0.0.1:${port}${point}`, '-i', join(content, file), '--copy', '-q'],
    ]);
    const first = await Promise.race([live, push]);
    if (first) return first;
    const pulled = await pull(`mmsh://127.0.0.1:${port}${point}`, output);
    const pushed = await push;
    return pushed.code === 0 ? pulled : pushed;
  },
};

const only = values.only?.split(',');
const files = (await readdir(content))
  .filter((name) => /\.(asf|wm[av])$/.test(name) && (only === undefined || only.includes(basename(name, '.asf'))))
  .sort();
const ways = values.ways.split(',');
const results = [];
let differing = 0;
async function work() {
  for (let file = files.shift(); file !== undefined; file = files.shift()) {
    const { streams: expected, error } = await packetsOf(join(content, file));
    const baseline = [...expected.values()].map((packets) => packets.length).join('+') || `nothing (${error})`;
    const rows = await Promise.all(
      ways.map(async (way) => {
        const output = join(folder, `${way}-${file}`);
        const { code, stderr } = await WAYS[way](file, output);
        const { streams: got } = await packetsOf(output);
        const { good, text } = report(expected, got);
        if (!good) differing++;
        const failure = code === 0 ? '' : `  [exit ${code}: ${stderr.trim().split('\n').at(-1)}]`;
        if (!values.keep) await rm(output, { force: true });
        return `  ${good ? ' ' : '!'} ${way.padEnd(7)} ${text}${failure}`;
      }),
    );
    results.push([`${file}  ffmpeg: ${baseline}`, ...rows].join('\n'));
  }
}
await Promise.all(Array.from({ length: Number(values['at-once']) }, work));
console.log(results.sort().join('\n'));
console.log(`\n${differing} recordings differ.`);
if (values.keep) console.log(folder);
else await rm(folder, { recursive: true });
server.kill('SIGTERM');
web.close();
web.closeAllConnections();
