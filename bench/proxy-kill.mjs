// Kills a proxy in the middle of a fill, again and again, and compares what its cache says it has with the file of the origin.
//   npm run build && node bench/proxy-kill.mjs [--kills 200]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CopyFile } from '../dist/proxy/cache/copy-file.js';
import { WmspClient } from '../dist/wmsp/client/client.js';

const { values } = parseArgs({ options: { kills: { type: 'string', default: '200' } } });
const bin = fileURLToPath(new URL('../bin/wmcast.js', import.meta.url));

async function serve(...args) {
  const all = ['serve', '--host', '127.0.0.1', '--http-port', '0', '--msbd-port', 'none', '--json', ...args];
  const child = spawn(process.execPath, [bin, ...all], { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines = createInterface(child.stdout);
  for await (const line of lines) {
    const event = JSON.parse(line);
    if (event.event !== 'ready') continue;
    child.stdout.resume();
    return { child, port: event.ports.http };
  }
  throw new Error('The server ended.');
}

const folder = await mkdtemp(join(tmpdir(), 'wmcast-kill-'));
const cache = join(folder, 'cache');
const running = [];
try {
  const film = join(folder, 'film.wmv');
  const source = ['-f', 'lavfi', '-i', 'testsrc=size=640x480:rate=25', '-t', '60', '-c:v', 'wmv2', '-b:v', '3M'];
  await once(spawn('ffmpeg', ['-v', 'error', ...source, '-packet_size', '1450', '-f', 'asf', film]), 'close');
  const file = await readFile(film);
  await writeFile(join(folder, 'serve.yaml'), `content: { folder: ${folder}, revalidate: false }\n`);
  const origin = await serve('--config', join(folder, 'serve.yaml'));
  running.push(origin.child);
  const counts = { kills: 0, partial: 0, whole: 0, none: 0, wrong: 0 };
  while (counts.kills < Number(values.kills)) {
    const proxy = await serve('--proxy-origin', `http://127.0.0.1:${origin.port}`, '--cache', cache);
    running.push(proxy.child);
    const client = new WmspClient({ url: `http://127.0.0.1:${proxy.port}/film.wmv`, log: false, speed: 1_000 });
    const played = (async () => {
      for await (const _ of client);
    })().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 30 + Math.random() * 500));
    proxy.child.kill('SIGKILL');
    await once(proxy.child, 'close');
    await client.close();
    await played;
    counts.kills++;
    const names = (await readdir(cache)).filter((name) => name.endsWith('.json'));
    if (names.length === 0) counts.none++;
    for (const name of names) {
      const copy = await CopyFile.open(cache, name.slice(0, -5));
      const { headerSize, packetSize } = copy.facts;
      for (const { from, end } of copy.have) {
        const room = Buffer.alloc((end - from) * packetSize);
        await copy.read(room, from, end - from);
        const start = headerSize + from * packetSize;
        if (!room.equals(file.subarray(start, start + room.length))) counts.wrong++;
      }
      if (copy.complete) counts.whole++;
      else counts.partial++;
      const isWhole = copy.complete;
      await copy.close();
      // The next one begins with nothing again.
      if (isWhole || Math.random() < 0.3) for (const each of await readdir(cache)) await unlink(join(cache, each));
    }
  }
  console.log(JSON.stringify(counts));
} finally {
  for (const child of running) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
}
