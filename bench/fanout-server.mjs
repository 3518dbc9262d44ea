// The server side of bench/fanout-msbd.mjs, a process of its own so that its CPU time is its own: wmcast, or the ceiling.
//   fanout-server.mjs msbd|msbd-ceiling INTERVAL_MS
import net from 'node:net';
import { parsePacket } from '../dist/asf/packet.js';
import { AsfReader } from '../dist/asf/reader.js';
import { rebasePacket } from '../dist/asf/rebase.js';
import { Broadcast } from '../dist/media/broadcast.js';
import { MsbdServer } from '../dist/msbd/server/server.js';
import { youngSpaceLimit } from '../dist/server/heap.js';
import { testStream } from './stream.mjs';

setInterval(youngSpaceLimit(), 1_000).unref();
const [kind, interval] = [process.argv[2], Number(process.argv[3])];
let bytes = () => 0;

function listenMsbd(broadcast) {
  return new MsbdServer({ content: { open: async () => broadcast } }).listen(0, '127.0.0.1');
}

/** wmcast as `serve` wires it, fed with the packets of a file at their send times, over and over. */
async function wmcast(items) {
  const broadcast = new Broadcast({ batchInterval: interval });
  const port = await listenMsbd(broadcast);
  bytes = () => broadcast.counters.bytesOut;
  broadcast.write({ type: 'header', header: items.find(({ type }) => type === 'header').header });
  const packets = items.filter(({ type }) => type === 'packet').map(({ packet }) => packet);
  const length = packets.at(-1).sendTime + 40;
  const start = performance.now();
  let next = 0;
  setInterval(() => {
    for (;;) {
      const packet = packets[next % packets.length];
      const shift = Math.floor(next / packets.length) * length;
      if (packet.sendTime + shift > performance.now() - start) return;
      broadcast.write({ type: 'packet', packet: shift === 0 ? packet : parsePacket(rebasePacket(packet, shift)) });
      next++;
    }
  }, 10);
  return port;
}

const head = 24;

function writeHead(out, at, size, location) {
  out.write('MSB \x06\x01\x0a\x00', at, 'latin1');
  out.writeUInt32LE(size + head, at + 8);
  out.writeUInt32LE(location, at + 16);
  out.writeUInt16LE(size + 8, at + 22);
}

/** One shared, already framed buffer, written to every player each interval. */
function ceiling(rate) {
  const size = 1450;
  const count = Math.max(1, Math.round(((rate / 8) * (interval / 1000)) / size));
  const players = new Set();
  let [location, sent] = [0, 0];
  const batch = () => {
    const out = Buffer.alloc(count * (size + head));
    for (let at = 0; at < out.length; at += size + head, location++) writeHead(out, at, size, location);
    return out;
  };
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    socket.on('close', () => players.delete(socket));
    socket.once('data', () => players.add(socket));
  });
  setInterval(() => {
    const out = batch();
    for (const socket of players) socket.write(out);
    sent += out.length * players.size;
  }, interval);
  bytes = () => sent;
  return new Promise((resolve) =>
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => resolve(server.address().port)),
  );
}

const reader = new AsfReader();
const items = [...reader.push(await testStream()), ...reader.end()];
const packets = items.filter(({ type }) => type === 'packet').map(({ packet }) => packet);
const rate = (packets.length * (packets[0].bytes.length + head) * 8000) / packets.at(-1).sendTime;
const port = await (kind.endsWith('ceiling') ? ceiling(rate) : wmcast(items));
// wmcast starts with a burst; let it have one to give.
setTimeout(() => process.send({ port, rate }), 4_000);
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send({ cpu: user + system, bytes: bytes(), rss: process.memoryUsage.rss() });
});
