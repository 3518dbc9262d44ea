// How soon a player that joins has its first key frame: from connecting until the packet in which the key frame begins is here, on
// the real commands. Linux, for /proc.
//
//   npm run build && node bench/join.mjs [--players 0,100,1000] [--joins 200] [--starts 15] [--load PROGRAM] [--serve SCRIPT] [--json]
//
// Live from `wmcast serve` with a `wmpush --copy`, and on demand from `wmcast serve --content`; by a server that has just been started,
// and by one with so many players on. Beside it, in turns, a bare socket server in Node with as many players: from connecting until the
// first byte. One player joins after the other, so that what is measured is the server's time and not its queue; --crowd has so many
// join at once. A server is started --starts times; its very first player counts apart, and then the next four.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir } from 'node:fs/promises';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parsePacket } from '../dist/asf/packet.js';
import { delay, here, median, readOptions, start, startCeiling, startOurs, withTestFile } from './real.mjs';

/** Players that join in a second before it is measured. */
const RAMP = 500;
/** Between two joins, in ms: not a divisor of the intervals of servers. */
const BETWEEN = 23;
/** Longest wait for a key frame, in ms. */
const PATIENCE = 10_000;
/** Joins to a server just started. */
const FIRST = 5;
/** Of live media before the first player of a server just started, in ms. */
const HISTORY = 2_500;

const options = readOptions(
  {
    joins: { type: 'string', default: '200' },
    starts: { type: 'string', default: '15' },
    crowd: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
  '0,100,1000',
);
const load = options.load ?? here('./load.mjs');

const request = (path) =>
  [
    `GET ${path} HTTP/1.0`,
    'Host: 127.0.0.1',
    'User-Agent: NSPlayer/7.10.0.3059',
    'Pragma: xPlayStrm=1',
    'Pragma: stream-time=0',
    'Pragma: stream-switch-count=2',
    'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
    '',
    '',
  ].join('\r\n');

/** True if a key frame of the picture begins in the packet. */
function hasKeyFrame(bytes, streams) {
  return parsePacket(bytes).payloads.some(({ key, offset, stream }) => key && offset === 0 && streams.has(stream));
}

const VIDEO = Buffer.from('C0EF19BC4D5BCF11A8FD00805F5C442B', 'hex');
const STREAM = Buffer.from('9107DCB7B7A9CF118EE600C00C205365', 'hex');

/** The numbers of the video streams in an ASF header. */
function videoStreams(header) {
  const found = new Set();
  for (let at = header.indexOf(STREAM); at !== -1; at = header.indexOf(STREAM, at + 16)) {
    if (header.subarray(at + 24, at + 40).equals(VIDEO)) found.add(header.readUInt16LE(at + 72) & 127);
  }
  return found;
}

/** What a player has got: complete frames, as they come. */
class Frames {
  #data = Buffer.alloc(0);
  #headDone = false;

  push(chunk) {
    this.#data = Buffer.concat([this.#data, chunk]);
    if (!this.#headDone) {
      const end = this.#data.indexOf('\r\n\r\n');
      if (end < 0) return [];
      this.#headDone = true;
      this.#data = this.#data.subarray(end + 4);
    }
    const frames = [];
    while (this.#data.length >= 4) {
      const size = this.#data.readUInt16LE(2) + 4;
      if (this.#data.length < size) break;
      frames.push({ type: this.#data[1], body: this.#data.subarray(12, size) });
      this.#data = this.#data.subarray(size);
    }
    return frames;
  }
}

/** Joins, and returns ms until the first key frame (or the first byte, of a bare server), and until the first packet. */
function joinOnce(port, { path = '/live', bare = false } = {}) {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const received = new Frames();
    let [packetAfter, streams] = [-1, new Set()];
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, () => socket.write(request(path)));
    const timer = setTimeout(() => end(new Error(`No key frame within ${PATIENCE} ms.`)), PATIENCE);
    const end = (error, after) => {
      clearTimeout(timer);
      socket.destroy();
      if (error) reject(error);
      else resolve({ key: after, packet: packetAfter });
    };
    socket.on('error', end);
    socket.on('end', () => end(new Error('The server ended the connection.')));
    const isKeyFrame = ({ type, body }, after) => {
      if (type === 0x48) streams = videoStreams(body);
      if (type !== 0x44) return false;
      if (packetAfter < 0) packetAfter = after;
      return hasKeyFrame(body, streams);
    };
    socket.on('data', (chunk) => {
      const after = performance.now() - begun;
      if (bare || received.push(chunk).some((frame) => isKeyFrame(frame, after))) end(undefined, after);
    });
  });
}

async function startOnDemand({ serve }, file) {
  const folder = join(dirname(file), 'content');
  await mkdir(folder, { recursive: true });
  await copyFile(file, join(folder, 'live.wmv'));
  const ports = ['--http-port', '0', '--msbd-port', 'none', '--admin-port', 'none'];
  const server = start(serve, ['serve', '--host', '127.0.0.1', ...ports, '--content', folder, '--json']);
  const [line] = await once(createInterface(server.stdout), 'line');
  server.stdout.resume();
  return { server, port: JSON.parse(line).ports.http, others: [], path: '/live.wmv' };
}

const KINDS = { live: (file) => startOurs(options, file, 'http'), 'on demand': (file) => startOnDemand(options, file) };

function end({ server, others }) {
  for (const each of [server, ...others]) each.kill();
}

function playersOn({ port, server, path = '/live' }, count) {
  const args = ['127.0.0.1', port, path, count, 600, RAMP, server.pid].map(String);
  const [command, before] = load.endsWith('.mjs') ? [process.execPath, [load]] : [load, []];
  return spawn(command, [...before, ...args], { stdio: 'ignore' });
}

/** Joins one after the other, each to our server and then to the bare one. */
async function joins(ours, bare, count) {
  const [found, beside] = [[], []];
  for (let done = 0; done < count; done++) {
    found.push(await joinOnce(ours.port, ours));
    await delay(BETWEEN);
    beside.push(await joinOnce(bare.port, { bare: true }));
    await delay(BETWEEN);
  }
  return { found, beside };
}

const quantile = (numbers, part) => [...numbers].sort((a, b) => a - b)[Math.ceil(numbers.length * part) - 1];
const ms = (number) => Number(number.toFixed(1));

function rowOf(content, server, players, { found, beside }) {
  const [keys, packets, bare] = [
    found.map(({ key }) => key),
    found.map(({ packet }) => packet),
    beside.map(({ key }) => key),
  ];
  return {
    content,
    server,
    players,
    joins: keys.length,
    'key frame p50 ms': ms(median(keys)),
    'p99 ms': ms(quantile(keys, 0.99)),
    'first packet p50 ms': ms(median(packets)),
    'p99, packet': ms(quantile(packets, 0.99)),
    'bare p50 ms': ms(median(bare)),
    'p99, bare': ms(quantile(bare, 0.99)),
  };
}

async function justStarted(file, content) {
  const [first, next] = [
    { found: [], beside: [] },
    { found: [], beside: [] },
  ];
  for (let started = 0; started < Number(options.starts); started++) {
    const [ours, bare] = [await KINDS[content](file), await startCeiling(options)];
    try {
      if (content === 'live') await delay(HISTORY);
      const { found, beside } = await joins(ours, bare, FIRST);
      first.found.push(found[0]);
      first.beside.push(beside[0]);
      next.found.push(...found.slice(1));
      next.beside.push(...beside.slice(1));
    } finally {
      end(ours);
      end(bare);
    }
  }
  return [rowOf(content, 'just started', 'the 1st', first), rowOf(content, 'just started', `2nd to ${FIRST}th`, next)];
}

async function withPlayers(file, content, players) {
  const [ours, bare] = [await KINDS[content](file), await startCeiling(options)];
  const loads = players > 0 ? [playersOn(ours, players), playersOn({ ...bare, path: '/live' }, players)] : [];
  try {
    await delay(HISTORY + (players / RAMP) * 1000 + 3_000);
    const rows = [rowOf(content, 'running', players, await joins(ours, bare, Number(options.joins)))];
    const crowd = Number(options.crowd);
    if (crowd > 0) {
      const all = (server, how) => Promise.all(Array.from({ length: crowd }, () => joinOnce(server.port, how)));
      const found = await all(ours, ours);
      rows.push(
        rowOf(content, `running, ${crowd} at once`, players, { found, beside: await all(bare, { bare: true }) }),
      );
    }
    return rows;
  } finally {
    for (const each of loads) each.kill();
    end(ours);
    end(bare);
  }
}

await withTestFile(async (file) => {
  const rows = [];
  // The first joins of this process are its own warm-up.
  const warm = await startCeiling(options);
  for (let done = 0; done < 20; done++) await joinOnce(warm.port, { bare: true });
  end(warm);
  for (const content of Object.keys(KINDS)) {
    if (Number(options.starts) > 0) rows.push(...(await justStarted(file, content)));
    for (const players of options.sizes) rows.push(...(await withPlayers(file, content, players)));
  }
  if (options.json) console.log(JSON.stringify(rows));
  else console.table(rows);
});
