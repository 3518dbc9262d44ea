// What the generators of load for RTSP and MMSP share: the datagrams of a player, its counts, and the one line that is printed.
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** Receive buffer of a player by UDP, in bytes: Linux doubles it, and counts 64 KiB with its own overhead. */
const RECEIVE_BUFFER = 32 * 1024;

/** The counts of one player. */
export class Tally {
  bytes = 0;
  packets = 0;
  lost = 0;
  wrong = 0;
  firstAfter = -1;
  longestGap = 0;
  /** True once its connection is closed. */
  ended = false;
  #since = performance.now();
  #lastAt = 0;
  #number = -1;

  /** Milliseconds since the last packet. */
  get silence() {
    return performance.now() - this.#lastAt;
  }

  /** A data packet with a number of so many bits arrived. */
  packet(number, bits) {
    const now = performance.now();
    if (this.packets++ === 0) this.firstAfter = now - this.#since;
    else {
      this.longestGap = Math.max(this.longestGap, now - this.#lastAt);
      this.lost += (number - this.#number - 1) & (2 ** bits - 1);
    }
    this.#lastAt = now;
    this.#number = number;
  }
}

const ports = new Set();

/** Datagrams that the kernel dropped because a player's receive buffer was full: what is lost beyond that is the server's. */
function droppedHere() {
  if (ports.size === 0) return undefined;
  let drops = 0;
  for (const line of readFileSync('/proc/net/udp', 'utf8').split('\n').slice(1)) {
    const [, local = '', ...more] = line.trim().split(/\s+/);
    if (ports.has(Number.parseInt(local.split(':')[1], 16))) drops += Number(more.at(-1));
  }
  return drops;
}

/** Opens a socket for datagrams with a small buffer; most players have no larger one. */
export async function datagramSocket(host, onMessage) {
  const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER });
  socket.on('message', onMessage);
  socket.on('error', () => {});
  socket.bind(0, host);
  await once(socket, 'listening');
  ports.add(socket.address().port);
  return socket;
}

/** Starts players at a rate, and prints one JSON line after some seconds, or at SIGTERM. */
export function run(play, { players, seconds, ramp }) {
  const all = [];
  const start = performance.now();
  const opener = setInterval(() => {
    const due = Math.min(Number(players), ((performance.now() - start) / 1000) * Number(ramp));
    while (all.length < due) {
      const tally = new Tally();
      all.push(tally);
      play(tally, all.length - 1);
    }
  }, 10);
  const report = () => {
    clearInterval(opener);
    const sum = (name) => all.reduce((total, tally) => total + tally[name], 0);
    const playing = all.filter(({ packets }) => packets > 0);
    const at99 = (name) => {
      const sorted = playing.map((tally) => tally[name]).sort((a, b) => a - b);
      return Math.round(sorted[Math.floor(sorted.length * 0.99)] ?? -1);
    };
    const result = {
      playing: playing.length,
      data_packets: sum('packets'),
      MB: sum('bytes') / 1e6,
      lost: sum('lost'),
      dropped_by_receivers: droppedHere(),
      wrong: sum('wrong'),
      first_data_ms_p99: at99('firstAfter'),
      max_gap_ms_p99: at99('longestGap'),
      ended: all.filter(({ ended }) => ended).length,
      silence_ms_max: Math.round(Math.max(0, ...playing.map(({ silence }) => silence))),
    };
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  };
  process.once('SIGTERM', report);
  setTimeout(report, Number(seconds) * 1000);
}
