// Memory over a long push: as many packets as 24 hours of 300 kbit/s have, sent as fast as they go, with players reading along.
//
//   npm run build && node bench/soak.mjs [--hours 24] [--players 3]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { defaultConfig, fileSource, MediaServer, PushClient } from '../dist/index.js';
import { testStream } from './stream.mjs';

if (process.send) await serve();
else await push();

async function serve() {
  const server = await MediaServer.start({ ...defaultConfig(), host: '127.0.0.1', httpPort: 0 });
  process.send({ port: server.ports.http });
  process.on('message', () => process.send({ ...process.memoryUsage(), ...server.stats() }));
}

function play(port) {
  const socket = net.connect({ host: '127.0.0.1', port }, () => {
    const lines = [
      'GET /soak HTTP/1.0',
      'User-Agent: NSPlayer/4.1',
      'Pragma: xPlayStrm=1',
      'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  });
  socket.on('error', () => {});
  socket.resume();
}

async function push() {
  const { values } = parseArgs({
    options: { hours: { type: 'string', default: '24' }, players: { type: 'string', default: '3' } },
  });
  const folder = await mkdtemp(join(tmpdir(), 'wmcast-soak-'));
  const file = join(folder, 'stream.asf');
  await writeFile(file, await testStream());
  const server = fork(process.argv[1], [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    const [{ port }] = await once(server, 'message');
    await run(server, port, file, (Number(values.hours) * 3600 * 300_000) / 8, Number(values.players));
  } finally {
    server.kill();
    await rm(folder, { recursive: true });
  }
}

async function run(server, port, file, goal, players) {
  const sink = await PushClient.connect({ url: `http://127.0.0.1:${port}/soak` });
  const started = performance.now();
  let [bytes, packets, next] = [0, 0, 0];
  for await (const event of fileSource({ path: file, loop: true })) {
    const wait = sink.write(event);
    if (wait) await wait;
    if (event.type !== 'packet') {
      for (let count = 0; count < players; count++) play(port);
      continue;
    }
    packets++;
    bytes += event.packet.bytes.length;
    if (bytes < next) continue;
    next += goal / 12;
    server.send('usage');
    const [usage] = await once(server, 'message');
    const mega = (value) => (value / 1e6).toFixed(1).padStart(6);
    console.log(
      `${((bytes / goal) * 100).toFixed(0).padStart(3)} %  ${String(packets).padStart(8)} packets  server: rss ${mega(usage.rss)} MB,` +
        ` heap ${mega(usage.heapUsed)} MB, buffers ${mega(usage.arrayBuffers)} MB, ${usage.players} players,` +
        ` ${usage.skippedPackets} packets skipped`,
    );
    if (bytes >= goal) break;
  }
  await sink.close();
  const seconds = (performance.now() - started) / 1000;
  console.log(
    `${packets} packets, ${(bytes / 1e9).toFixed(2)} GB in ${seconds.toFixed(1)} s: ${(bytes / 1e6 / seconds).toFixed(0)} MB/s`,
  );
}
