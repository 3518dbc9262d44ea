// Many players in one process: each asks to play at once, follows the $ framing and counts packets.
//   node bench/load.mjs HOST PORT PATH PLAYERS SECONDS RAMP_PER_SECOND [--files N] [--length S] [--plain BYTES_PER_SECOND]
// With --files the players take turns with so many paths, PATH with 0, 1, … in the place of its %. With --length they begin at
// random in so many seconds. With --plain they ask any HTTP server for the file from there on, and count what comes. A parent
// process that sends a message is told how many bytes have come. SIGTERM ends it early, with the same line.
import net from 'node:net';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { files: { type: 'string' }, length: { type: 'string' }, plain: { type: 'string' } },
});
const [host, port, path, players, seconds, ramp] = positionals;
if (!host.startsWith('127.')) throw new Error('Loopback only.');

function requestOf(number) {
  const target = path.replace('%', String(number % Number(values.files ?? 1)));
  const from = Math.floor(Math.random() * Number(values.length ?? 0) * 1000);
  const lines = values.plain
    ? [`Range: bytes=${Math.floor((from * Number(values.plain)) / 1000)}-`]
    : [
        'User-Agent: NSPlayer/7.10.0.3059',
        'Pragma: xPlayStrm=1',
        `Pragma: stream-time=${from}`,
        'Pragma: stream-switch-count=2',
        'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
      ];
  return [`GET ${target} HTTP/1.0`, 'Host: 127.0.0.1', ...lines, '', ''].join('\r\n');
}

class Player {
  bytes = 0;
  packets = 0;
  locationGaps = 0;
  flagGaps = 0;
  firstAfter = -1;
  longestGap = 0;
  ended = false;
  #lastAt = 0;
  #headDone = false;
  #tail = Buffer.alloc(0);
  #skip = 0;
  #location = -1;
  #flags = -1;
  #connectedAt = performance.now();

  constructor(number) {
    this.socket = net.connect({ host, port: Number(port) }, () => this.socket.write(requestOf(number)));
    this.socket.on('data', (chunk) => this.#take(chunk));
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.ended = true;
    });
  }

  /** Milliseconds since the last packet. */
  get silence() {
    return performance.now() - this.#lastAt;
  }

  #take(chunk) {
    this.bytes += chunk.length;
    const data = this.#tail.length > 0 ? Buffer.concat([this.#tail, chunk]) : chunk;
    this.#tail = Buffer.alloc(0);
    let at = 0;
    if (!this.#headDone) {
      const end = data.indexOf('\r\n\r\n');
      if (end === -1) {
        this.#tail = data;
        return;
      }
      this.#headDone = true;
      at = end + 4;
    }
    if (values.plain) {
      if (data.length > at && this.packets++ === 0) this.firstAfter = performance.now() - this.#connectedAt;
      return;
    }
    for (;;) {
      const step = Math.min(this.#skip, data.length - at);
      this.#skip -= step;
      at += step;
      if (data.length - at < 12) break;
      if (data[at + 1] === 0x44) this.#count(data, at);
      this.#skip = data.readUInt16LE(at + 2) + 4;
    }
    this.#tail = Buffer.from(data.subarray(at));
  }

  #count(data, at) {
    const location = data.readUInt32LE(at + 4);
    const flags = data[at + 9];
    const now = performance.now();
    if (this.packets === 0) this.firstAfter = now - this.#connectedAt;
    else {
      this.longestGap = Math.max(this.longestGap, now - this.#lastAt);
      if (location !== this.#location + 1) this.locationGaps++;
      if (flags !== ((this.#flags + 1) & 255)) this.flagGaps++;
    }
    this.packets++;
    this.#lastAt = now;
    this.#location = location;
    this.#flags = flags;
  }
}

const all = [];
const start = performance.now();
const opener = setInterval(() => {
  const due = Math.min(Number(players), ((performance.now() - start) / 1000) * Number(ramp));
  while (all.length < due) all.push(new Player(all.length));
}, 10);
process.on('message', () => process.send(all.reduce((total, { bytes }) => total + bytes, 0)));
function report() {
  clearInterval(opener);
  const sum = (name) => all.reduce((total, player) => total + player[name], 0);
  const playing = all.filter(({ packets }) => packets > 0);
  const firsts = playing.map(({ firstAfter }) => firstAfter).sort((a, b) => a - b);
  const gaps = playing.map(({ longestGap }) => longestGap).sort((a, b) => a - b);
  const firstData = (part) => Math.round((firsts[Math.floor(firsts.length * part)] ?? -1) * 10) / 10;
  const result = {
    playing: playing.length,
    data_packets: sum('packets'),
    MB: sum('bytes') / 1e6,
    af_gaps: sum('flagGaps'),
    loc_gaps: sum('locationGaps'),
    first_data_ms_p50: firstData(0.5),
    first_data_ms_p99: firstData(0.99),
    max_gap_ms_p99: Math.round(gaps[Math.floor(gaps.length * 0.99)] ?? -1),
    ended: all.filter(({ ended }) => ended).length,
    silence_ms_max: Math.round(Math.max(0, ...playing.map(({ silence }) => silence))),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}

process.once('SIGTERM', report);
setTimeout(report, Number(seconds) * 1000);
