// The least that live fan-out can cost in Node.js: one buffer of ready frames, the same for all, written to every player at an
// interval. It knows no protocol; players take its frames for packets of WMSP.
//   node bench/ceiling.mjs PORT KBPS INTERVAL_MS
import net from 'node:net';

const PACKET_SIZE = 1450;
const HEAD_SIZE = 12;

const [port, kbps, interval] = process.argv.slice(2).map(Number);
const count = Math.max(1, Math.round((kbps * interval) / 8 / (PACKET_SIZE + HEAD_SIZE)));
const players = new Set();
let location = 0;

function frames() {
  const out = Buffer.alloc(count * (PACKET_SIZE + HEAD_SIZE));
  for (let at = 0; at < out.length; at += PACKET_SIZE + HEAD_SIZE, location++) {
    out.write('$D', at, 'latin1');
    out.writeUInt16LE(PACKET_SIZE + 8, at + 2);
    out.writeUInt32LE(location, at + 4);
    out[at + 9] = location & 255;
    out.writeUInt16LE(PACKET_SIZE + 8, at + 10);
  }
  return out;
}

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  socket.on('close', () => players.delete(socket));
  socket.once('data', () => {
    socket.write('HTTP/1.0 200 OK\r\nContent-Type: application/x-mms-framed\r\n\r\n');
    players.add(socket);
  });
});
server.listen({ port, host: '127.0.0.1', backlog: 4096 });
setInterval(() => {
  const out = frames();
  for (const socket of players) socket.write(out);
}, interval);
