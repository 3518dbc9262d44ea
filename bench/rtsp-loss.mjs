// What RTSP restores over a network that loses datagrams: our client asks for lost packets again (NACK), our server sends them again. Two
// network namespaces, so root is needed, and nothing leaves this host.
//   npm run build && node bench/rtsp-loss.mjs [SECONDS]
// For each share of lost datagrams, both ways, and each window (how long a lost packet is asked for): how much of what was lost came after
// all, what never came, and how many bytes the server's host sent for each byte of the file.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const seconds = Number(process.argv[2] ?? 20);
const LOSSES = [0, 1, 5, 20];
const WINDOWS = [200, 1_000, 3_000];
/** One way, ms; 0 if the kernel has no netem. */
const DELAY = 20;
const [SENDER, RECEIVER, PORT] = ['10.77.6.1', '10.77.6.2', 5554];
const [a, b] = [`wmcast-bench-a-${process.pid}`, `wmcast-bench-b-${process.pid}`];
const run = (file, ...args) => execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const within = (namespace, ...command) => run('ip', 'netns', 'exec', namespace, ...command);

function connectHosts() {
  for (const name of [a, b]) run('ip', 'netns', 'add', name);
  run('ip', 'link', 'add', 'wire', 'netns', a, 'type', 'veth', 'peer', 'name', 'wire', 'netns', b);
  for (const [name, address] of [
    [a, SENDER],
    [b, RECEIVER],
  ]) {
    run('ip', '-n', name, 'addr', 'add', `${address}/24`, 'dev', 'wire');
    run('ip', '-n', name, 'link', 'set', 'lo', 'up');
    run('ip', '-n', name, 'link', 'set', 'wire', 'up');
    within(name, 'nft', 'add table inet loss');
    within(name, 'nft', 'add chain inet loss input { type filter hook input priority 0 ; }');
  }
}

/** @returns the delay of one way, in ms */
function delay() {
  try {
    for (const name of [a, b])
      within(name, 'tc', 'qdisc', 'add', 'dev', 'wire', 'root', 'netem', 'delay', `${DELAY}ms`);
    return DELAY;
  } catch {
    return 0;
  }
}

function lose(percent) {
  for (const name of [a, b]) {
    within(name, 'nft', 'flush chain inet loss input');
    const rule = `add rule inet loss input meta l4proto udp numgen random mod 1000 < ${percent * 10} counter drop`;
    if (percent > 0) within(name, 'nft', rule);
  }
}

const dropped = () => Number(/counter packets (\d+)/.exec(within(b, 'nft', 'list chain inet loss input'))?.[1] ?? 0);
const sentBytes = () => Number(within(a, 'cat', '/sys/class/net/wire/statistics/tx_bytes'));

/** Receives the file in the other namespace. */
async function receive(url, lossWindow) {
  const program = `
    import { RtspClient } from '${new URL('../dist/index.js', import.meta.url)}';
    const client = new RtspClient({ url: '${url}', lossWindow: ${lossWindow}, speed: 4 });
    for await (const _ of client);
    console.log(JSON.stringify(client.stats));`;
  const child = spawn('ip', ['netns', 'exec', b, process.execPath, '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (bytes) => {
    text += bytes;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`The client ended with ${code}.`);
  return JSON.parse(text);
}

const folder = mkdtempSync(join(tmpdir(), 'wmcast-bench-'));
let server;
try {
  const file = join(folder, 'film.wmv');
  const pictures = ['-f', 'lavfi', '-i', `testsrc2=size=640x360:rate=25`, '-f', 'lavfi', '-i', 'sine'];
  const encoding = [
    '-t',
    `${seconds}`,
    '-c:v',
    'wmv2',
    '-b:v',
    '1500k',
    '-g',
    '50',
    '-c:a',
    'wmav2',
    '-packet_size',
    '1400',
    '-f',
    'asf',
  ];
  run('ffmpeg', '-nostdin', '-v', 'error', ...pictures, ...encoding, file);
  const { size } = statSync(file);
  connectHosts();
  const bin = new URL('../bin/wmcast.js', import.meta.url).pathname;
  const options = ['serve', '--http-port', '0', '--rtsp-port', `${PORT}`, '--content', folder, '--json'];
  server = spawn('ip', ['netns', 'exec', a, process.execPath, bin, ...options], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(server.stdout, 'data');
  console.log(
    `A file of ${seconds} s, ${(size / 1e6).toFixed(1)} MB, in packets of 1400 bytes; ${delay()} ms each way.`,
  );
  console.log('lost % | window ms | dropped | restored | never came | bytes sent per byte');
  for (const percent of LOSSES) {
    for (const window of percent === 0 ? [WINDOWS.at(-1)] : WINDOWS) {
      lose(percent);
      const before = sentBytes();
      const { recoveredPackets, lostPackets } = await receive(`rtspu://${SENDER}:${PORT}/film.wmv`, window);
      const missing = recoveredPackets + lostPackets;
      const share = missing === 0 ? '-' : `${((100 * recoveredPackets) / missing).toFixed(1)} %`;
      const cells = [percent, window, dropped(), share, lostPackets, ((sentBytes() - before) / size).toFixed(3)];
      console.log(cells.join(' | '));
    }
  }
} finally {
  server?.kill();
  for (const name of [a, b]) {
    try {
      run('ip', 'netns', 'del', name);
    } catch {
      // It was not made.
    }
  }
  rmSync(folder, { recursive: true, force: true });
}
