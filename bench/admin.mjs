// How long the administration takes to answer while players play: the real server, one push, and many players by WMSP.
//
//   npm run build && node bench/admin.mjs [--players 1000] [--requests 300] [--workers N]
//
// Prints, for each request, the median, the 99th percentile and the maximum in ms, one request after the other, and how many of
// them took more than 100 ms.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { here } from './real.mjs';

const { values } = parseArgs({
  options: {
    players: { type: 'string', default: '1000' },
    requests: { type: 'string', default: '300' },
    workers: { type: 'string' },
  },
});
const players = Number(values.players);
const requests = Number(values.requests);
const children = [];
const start = (...args) => {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  return child;
};
const wmcast = here('../bin/wmcast.js');
const ports = ['--http-port', '0', '--admin-port', '0', '--msbd-port', 'none'];
const workers = values.workers === undefined ? [] : ['--workers', values.workers];
const server = start(wmcast, 'serve', '--host', '127.0.0.1', ...ports, ...workers, '--json');
const events = createInterface({ input: server.stdout });
const event = async (fits) => {
  const ended = once(server, 'exit').then(() => Promise.reject(new Error('The server has ended.')));
  for (;;) {
    const [line] = await Promise.race([once(events, 'line'), ended]);
    const data = JSON.parse(line);
    if (fits(data)) return data;
  }
};

try {
  const ready = await event(({ event: name }) => name === 'ready');
  const root = `http://127.0.0.1:${ready.ports.admin}`;
  start(wmcast, 'push', `http://127.0.0.1:${ready.ports.http}/live`, '--json');
  await event(({ what }) => what === 'publishing');
  const seconds = 600;
  start(here('./load.mjs'), '127.0.0.1', String(ready.ports.http), '/live', String(players), String(seconds), '500');
  const json = async (path) => (await fetch(root + path)).json();
  const deadline = performance.now() + 120_000;
  while ((await json('/api/status')).players < players) {
    if (performance.now() > deadline) throw new Error('The players did not all join.');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const rows = [];
  for (const path of [
    '/api/status',
    '/api/points',
    '/api/sessions?limit=100',
    '/api/sessions?limit=1000',
    '/metrics',
    '/',
  ]) {
    const times = [];
    for (let count = 0; count < requests; count++) {
      const from = performance.now();
      await (await fetch(root + path)).arrayBuffer();
      times.push(performance.now() - from);
    }
    times.sort((a, b) => a - b);
    const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))].toFixed(1);
    rows.push({
      request: path,
      median: at(0.5),
      p99: at(0.99),
      most: at(1),
      'over 100': times.filter((ms) => ms > 100).length,
    });
  }
  console.table(rows);
} finally {
  for (const child of children) child.kill('SIGKILL');
}
