// Many MSBD clients in one process: each connects, asks for packets on its connection and counts them by their dwPacketIds.
//   node bench/load-msbd.mjs HOST PORT CHANNEL PLAYERS SECONDS RAMP_PER_SECOND
import net from 'node:net';

const [host, port, channel, players, seconds, ramp] = process.argv.slice(2);
if (!host.startsWith('127.')) throw new Error('Loopback only.');
const IND_PACKET = 0x0a;

function requestBytes() {
  const name = Buffer.from(channel, 'utf16le');
  const bytes = Buffer.alloc(20 + name.length);
  bytes.write('MSB \x06\x01\x07\x00', 'latin1');
  bytes.writeUInt32LE(bytes.length, 8);
  bytes.writeUInt32LE(1, 16);
  name.copy(bytes, 20);
  return bytes;
}

class Client {
  bytes = 0;
  packets = 0;
  gaps = 0;
  firstAfter = -1;
  #tail = Buffer.alloc(0);
  #skip = 0;
  #id = -1;
  #connectedAt = performance.now();

  constructor() {
    const socket = net.connect({ host, port: Number(port) }, () => socket.write(requestBytes()));
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => {});
  }

  #take(chunk) {
    this.bytes += chunk.length;
    const data = this.#tail.length > 0 ? Buffer.concat([this.#tail, chunk]) : chunk;
    let at = 0;
    for (;;) {
      const step = Math.min(this.#skip, data.length - at);
      this.#skip -= step;
      at += step;
      if (data.length - at < 24) break;
      if (data.readUInt16LE(at + 6) === IND_PACKET) this.#count(data.readUInt32LE(at + 16));
      this.#skip = data.readUInt32LE(at + 8);
    }
    this.#tail = Buffer.from(data.subarray(at));
  }

  #count(id) {
    if (this.packets++ === 0) this.firstAfter = performance.now() - this.#connectedAt;
    else if (id !== this.#id + 1) this.gaps++;
    this.#id = id;
  }
}

const all = [];
const start = performance.now();
const opener = setInterval(() => {
  const due = Math.min(Number(players), ((performance.now() - start) / 1000) * Number(ramp));
  while (all.length < due) all.push(new Client());
}, 10);
setTimeout(() => {
  clearInterval(opener);
  const sum = (name) => all.reduce((total, client) => total + client[name], 0);
  const playing = all.filter(({ packets }) => packets > 0);
  const firsts = playing.map(({ firstAfter }) => firstAfter).sort((a, b) => a - b);
  const result = {
    playing: playing.length,
    packets: sum('packets'),
    MB: sum('bytes') / 1e6,
    gaps: sum('gaps'),
    first_data_ms_p99: Math.round((firsts[Math.floor(firsts.length * 0.99)] ?? -1) * 10) / 10,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}, Number(seconds) * 1000);
