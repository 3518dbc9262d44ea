// What a server needs to serve many live players: CPU seconds for each GB, while players join and behind that, and memory.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';

const RAMP = 500;

/**
 * Starts a server, which sends { port, rate } and answers "usage" with { cpu, bytes, rss }, and then players, which print one JSON
 * line at their end.
 */
export async function measureFanout({
  server: [module, serverArgs],
  load: [program, ...before],
  path,
  players,
  seconds,
}) {
  const server = fork(module, serverArgs, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [{ port, rate }] = await once(server, 'message');
  const ask = async () => {
    server.send('usage');
    const [usage] = await once(server, 'message');
    return usage;
  };
  const args = ['127.0.0.1', port, path, players, seconds, RAMP, server.pid].map(String);
  const load = spawn(program, [...before, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  load.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const ended = once(load, 'close');
  const atStart = await ask();
  // Players join for the first part; the steady state is what comes behind.
  const joined = (players / RAMP + 1) * 1000;
  await new Promise((resolve) => setTimeout(resolve, joined));
  const steadyStart = await ask();
  await new Promise((resolve) => setTimeout(resolve, Math.max(1000, seconds * 1000 - joined - 500)));
  const steadyEnd = await ask();
  await ended;
  server.kill();
  const perGB = (from, to) => (to.cpu - from.cpu) / 1e6 / ((to.bytes - from.bytes) / 1e9);
  return {
    rate,
    steady: perGB(steadyStart, steadyEnd),
    whole: perGB(atStart, steadyEnd),
    memoryPerPlayer: (steadyEnd.rss - atStart.rss) / players,
    ...JSON.parse(output),
  };
}
