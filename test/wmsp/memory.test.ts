import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { BOTH_STREAMS, OLD, PLAY } from './station.js';

const PLAYERS = 300;
/** Bytes of heap and buffers that a player may take in the server. */
const MOST = 6_500;

let server: ChildProcess;
const sockets: Socket[] = [];

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));

async function answer(): Promise<number> {
  const failed = once(server, 'exit').then(() => Promise.reject(new Error('The server has ended.')));
  const [value] = (await Promise.race([once(server, 'message'), failed])) as [number];
  return value;
}

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.kill('SIGKILL');
});

/** Has more players join, each with the long head that browsers and proxies make of a request. */
async function join(port: number, count: number): Promise<void> {
  const lines = ['GET /live HTTP/1.0', OLD, ...PLAY, ...BOTH_STREAMS, `X-Padding: ${'x'.repeat(2_000)}`, '', ''];
  for (let each = 0; each < count; each++) {
    const socket = connect({ port, host: '127.0.0.1' });
    sockets.push(socket);
    await once(socket, 'connect');
    socket.resume();
    socket.write(lines.join('\r\n'));
  }
}

it('keeps nothing of the request of a player that plays', async () => {
  server = fork(pathOf('memory-server.ts'), { execArgv: ['--import', pathOf('../support/typescript.mjs')] });
  const port = await answer();
  const measured: number[] = [];
  // What is compiled and cached for the first ones is not theirs.
  for (let round = 1; round <= 3; round++) {
    await join(port, PLAYERS);
    server.send(round * PLAYERS);
    measured.push(await answer());
  }
  const [, before, after] = measured as [number, number, number];
  expect((after - before) / PLAYERS).toBeLessThan(MOST);
});
