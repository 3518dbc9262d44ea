// How fast wmcast logs reads a log file of 1 GB, and with how much memory.
//   npm run build && node bench/logs.mjs [size in MB, default 1000]
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildFileHead, buildFileLine } from '../dist/wmlog/w3c.js';

const size = Number(process.argv[2] ?? 1000) * 1e6;
const folder = await mkdtemp(join(tmpdir(), 'wmcast-bench-'));
const file = join(folder, 'WMS_20260101.log');

/** Writes a year of sessions: 5000 contents, 200,000 clients, sessions of several lines. */
async function write() {
  const out = createWriteStream(file, { highWaterMark: 1 << 20 });
  const started = new Date('2026-01-01T00:00:00Z');
  out.write(
    buildFileHead({
      started,
      ended: started,
      serverName: 'bench',
      serverAddresses: ['192.0.2.1'],
      software: 'x',
      version: '1',
    }),
  );
  let seed = 1;
  const random = (most) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % most;
  };
  let [bytes, lines] = [0, 0];
  while (bytes < size) {
    const block = [];
    for (let line = 0; line < 2000; line++, lines++) {
      const at = new Date(started.getTime() + (lines * 365 * 86_400_000 * 580) / size).toISOString();
      const client = random(200_000);
      block.push(
        buildFileLine({
          'c-ip': `10.${client >> 16}.${(client >> 8) & 255}.${client & 255}`,
          date: at.slice(0, 10),
          time: at.slice(11, 19),
          'cs-uri-stem': `/videos/2026/film-${random(5000)}.wmv`,
          'c-starttime': '0',
          'x-duration': String(random(3600)),
          'c-rate': '1',
          'c-status': random(10) === 0 ? '408' : '200',
          'c-playerid': '{3300AD50-2C39-46c0-AE0A-B4C904C7848E}',
          'c-playerversion': '11.0.5721.5145',
          'c-playerlanguage': 'en-US',
          'cs-User-Agent': `NSPlayer/11.0.${random(6000)}.5145_WMFSDK/11.0`,
          'cs-Referer': 'http://www.example.com/tv/index.html',
          'c-hostexe': 'wmplayer.exe',
          'c-hostexever': '11.0.5721.5145',
          'c-os': 'Windows_XP',
          'c-osversion': '5.1.0.2600',
          'c-cpu': 'Pentium',
          filelength: '3600',
          filesize: '123456789',
          avgbandwidth: '302000',
          protocol: 'http',
          transport: 'TCP',
          audiocodec: 'Windows_Media_Audio_9.2',
          videocodec: 'Windows_Media_Video_9',
          'sc-bytes': String(random(100_000_000)),
          'c-bytes': '4711',
          's-pkts-sent': '3000',
          'c-pkts-received': '3000',
          'c-pkts-lost-client': '1',
          'c-pkts-lost-net': '2',
          'c-pkts-lost-cont-net': '1',
          'c-resendreqs': '0',
          'c-pkts-recovered-ECC': '1',
          'c-pkts-recovered-resent': '0',
          'c-buffercount': String(random(3)),
          'c-totalbuffertime': '4',
          'c-quality': '99',
          's-ip': '192.0.2.1',
          's-dns': 'media.example.com',
          's-totalclients': '17',
          's-cpu-util': '9',
          's-session-id': String(Math.floor(lines / 2)),
          's-content-path': 'file:///srv/media/videos/2026/film.wmv',
          'cs-url': 'mms://media.example.com/videos/2026/film.wmv',
          's-proxied': '0',
        }),
      );
    }
    const text = block.join('');
    bytes += text.length;
    if (!out.write(text)) await new Promise((resolve) => out.once('drain', resolve));
  }
  await new Promise((resolve) => out.end(resolve));
  return { bytes, lines };
}

try {
  const { bytes, lines } = await write();
  const bin = new URL('../bin/wmcast.js', import.meta.url).pathname;
  const measured = `process.on('exit', () => console.error('peak', process.resourceUsage().maxRSS / 1024));`;
  for (const options of [
    ['--by', 'content'],
    ['--by', 'content,client'],
    ['--by', 'content,client,player,protocol,status,hour,day,server,user'],
  ]) {
    const before = performance.now();
    const child = spawn(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(measured)}`, bin, 'logs', '--json', ...options, file],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let errors = '';
    child.stderr.on('data', (text) => {
      errors += text;
    });
    const code = await new Promise((resolve) => child.on('exit', resolve));
    const seconds = (performance.now() - before) / 1000;
    const peak = /peak ([\d.]+)/.exec(errors)?.[1];
    console.log(
      `${options[1]}: ${(bytes / 1e6).toFixed(0)} MB, ${lines} lines in ${seconds.toFixed(1)} s, ${(bytes / 1e6 / seconds).toFixed(0)} MB/s, peak ${Number(peak).toFixed(0)} MB, exit ${code}`,
    );
  }
} finally {
  await rm(folder, { recursive: true });
}
