// Many MMSP players in one process: each does the whole handshake and plays all streams; Data packets are counted by their LocationId.
//   node bench/load-mmsp.mjs HOST PORT PATH PLAYERS SECONDS RAMP_PER_SECOND [PID] [tcp|udp]
import net from 'node:net';
import { datagramSocket, run } from './players.mjs';

const [host, port, path, players, seconds, ramp, , transport = 'tcp'] = process.argv.slice(2);
if (!host.startsWith('127.')) throw new Error('Loopback only.');
const SIGNATURE = 0xb00bface;
/** The Stream Properties Object of an ASF header. */
const STREAM_PROPERTIES = Buffer.from('9107dcb7b7a9cf118ee600c00c205365', 'hex');
const NO_PACKET_PAIR = 0xf0f0f0ef;

const words = (...values) => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
};
const text = (value) => Buffer.from(`${value}\0`, 'utf16le');

class Player {
  #tally;
  #socket;
  #udp;
  #rest = Buffer.alloc(0);
  #sequence = 0;
  #header = [];
  #fileId = 0;
  #number = 0;
  #flags = -1;
  #state = 'handshake';

  constructor(tally) {
    this.#tally = tally;
    this.#socket = net.connect({ host, port: Number(port), noDelay: true });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      tally.ended = true;
    });
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.once('connect', async () => {
      if (transport === 'udp') this.#udp = await datagramSocket(host, (bytes) => this.#data(bytes));
      const name = text('NSPlayer/9.0.0.2980; {3300AD50-2C39-46C0-AE0A-4F6B136D663C}');
      this.#send(0x30001, words(NO_PACKET_PAIR, 0x4000b, 0x3001c), name);
    });
  }

  #send(id, ...parts) {
    const body = Buffer.concat(parts);
    const length = Math.ceil((body.length + 8) / 8) * 8;
    const bytes = Buffer.alloc(32 + length);
    bytes[0] = 1;
    words(SIGNATURE, length + 16).copy(bytes, 4);
    bytes.write('MMS ', 12, 'latin1');
    bytes.writeUInt32LE((length + 32) / 8, 16);
    bytes.writeUInt16LE(this.#sequence++ & 0xffff, 20);
    words(length / 8, id).copy(bytes, 32);
    body.copy(bytes, 40);
    this.#socket.write(bytes);
  }

  #take(chunk) {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    while (data.length >= 16) {
      const isMessage = data.readUInt32LE(4) === SIGNATURE;
      const size = isMessage ? data.readUInt32LE(8) + 16 : Math.max(8, data.readUInt16LE(6));
      if (data.length < size) break;
      if (isMessage) this.#messages(data.subarray(32, size));
      else this.#data(data.subarray(0, size));
      data = data.subarray(size);
    }
    this.#rest = Buffer.from(data);
  }

  #messages(bytes) {
    for (let at = 0; at + 16 <= bytes.length; at += Math.max(8, bytes.readUInt32LE(at) * 8)) {
      this.#message(bytes.readUInt32LE(at + 4) & 0xffff, bytes.subarray(at + 8));
    }
  }

  #message(id, body) {
    if (body.readInt32LE(0) < 0 && id !== 0x1b) this.#tally.wrong++;
    else if (id === 0x01) this.#send(0x30018, words(NO_PACKET_PAIR));
    else if (id === 0x15) this.#connectFunnel();
    else if (id === 0x02) this.#send(0x30005, words(9, 0, 0, 0), text(path.replace(/^\//, '')));
    else if (id === 0x06) {
      this.#fileId = body.readUInt32LE(8);
      const limit = Buffer.alloc(8);
      limit.writeDoubleLE(3600);
      this.#state = 'header';
      this.#send(0x30015, words(this.#fileId, 0, 0, 0x8000, 0xffffffff, 0, 0, 0), limit, words(1, 0));
    } else if (id === 0x1b) this.#send(0x3001b, words(0, 0));
  }

  #connectFunnel() {
    if (this.#state !== 'handshake') return;
    this.#state = 'funnel';
    const way = this.#udp ? `UDP\\${this.#udp.address().port}` : 'TCP\\1037';
    this.#send(0x30002, words(0, 0xffffffff, 0, 0x989680, 2), text(`\\\\127.0.0.1\\${way}`));
  }

  #data(bytes) {
    if (bytes.length < 8 || bytes.readUInt16LE(6) !== bytes.length) this.#tally.wrong++;
    else if (this.#state === 'header') {
      this.#header.push(Buffer.from(bytes.subarray(8)));
      if ((bytes[5] & 8) !== 0) this.#start(Buffer.concat(this.#header));
    } else if (this.#state === 'playing') {
      this.#tally.bytes += bytes.length;
      // What was lost on the way has taken numbers, too.
      const number = bytes.readUInt32LE(0);
      if (this.#tally.packets > 0 && bytes[5] !== ((this.#flags + number - this.#number) & 255)) this.#tally.wrong++;
      this.#flags = bytes[5];
      this.#number = number;
      this.#tally.packet(number, 31);
    }
  }

  /** Turns all streams on, and plays. */
  #start(header) {
    this.#state = 'playing';
    this.#header = [];
    const streams = [];
    for (let at = header.indexOf(STREAM_PROPERTIES); at >= 0; at = header.indexOf(STREAM_PROPERTIES, at + 16)) {
      streams.push(header.readUInt16LE(at + 72) & 0x7f);
    }
    const entries = streams.map((number) => Buffer.from([0xff, 0xff, number, 0, 0, 0]));
    this.#send(0x30033, words(streams.length), ...entries);
    this.#send(0x30007, words(this.#fileId, 0, 0, 0, 0xffffffff, 0xffffffff, 0, 10));
  }
}

run((tally) => new Player(tally), { players, seconds, ramp });
