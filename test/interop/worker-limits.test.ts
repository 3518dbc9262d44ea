import { writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { until } from '../support/until.js';
import { Child } from './support/child.js';
import { Server } from './support/commands.js';
import { makeAsf, newContentFolder } from './support/content.js';

const LIMIT = 12;
/** The server keeps a connection open after it. */
const DESCRIBE = 'GET /film.wmv HTTP/1.1\r\nHost: x\r\nUser-Agent: NSPlayer/9.0.0.2980';

describe('the limit on connections of a server with workers', () => {
  const folder = newContentFolder();
  let server: Server;
  let held: Socket[] = [];

  beforeAll(async () => {
    await makeAsf('film.wmv', { duration: 1, folder });
    const config = join(folder, 'serve.yaml');
    const limits = `limits: { connections: ${LIMIT} }`;
    await writeFile(config, `content: { folder: ${folder} }\nmsbd: { port: none }\nworkers: 3\n${limits}\n`);
    server = await Server.start('--config', config);
  });
  afterEach(() => letGo());

  function letGo(): void {
    for (const socket of held) socket.destroy();
    held = [];
  }

  /** Asks on a new connection, and keeps it open. @returns the first line of the answer; '' if it was turned away */
  function ask(head: string): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(server.port, '127.0.0.1', () => socket.write(`${head}\r\n\r\n`));
      held.push(socket);
      socket.on('error', () => {});
      socket.once('data', (bytes) => resolve(bytes.toString('latin1').split('\r\n')[0]!));
      socket.once('close', () => resolve(''));
    });
  }

  /** Opens connections at once. @returns how many were accepted */
  async function open(count: number): Promise<number> {
    const answers = await Promise.all(Array.from({ length: count }, () => ask(DESCRIBE)));
    const accepted = answers.filter((answer) => answer !== '');
    for (const answer of accepted) expect(answer).toBe('HTTP/1.1 200 OK');
    return accepted.length;
  }

  /** Closes all, and opens as many as there may be, once all places have come back. */
  async function allPlaces(): Promise<number> {
    return until('all places', async () => {
      letGo();
      return (await open(LIMIT)) === LIMIT && LIMIT;
    });
  }

  it('is one for all of them, however fast their clients come', async () => {
    expect(await open(LIMIT * 3)).toBe(LIMIT);
    await server.until('the warning', () => server.log.find((line) => line.includes('(limits.connections)')));
    expect(await allPlaces()).toBe(LIMIT);
    expect(await open(1)).toBe(0);
  });

  it('counts a connection once that another process takes over', async () => {
    const setUp = `POST /live HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: WMEncoder/9.0.0.2980\r\nContent-Type: application/x-wms-pushsetup`;
    for (let round = 0; round < LIMIT * 2; round++) {
      const answer = await ask(`${setUp}\r\nCookie: push-id=0\r\nContent-Length: 0`);
      expect(answer).toBe('HTTP/1.1 204 No Content');
      letGo();
    }
    expect(await allPlaces()).toBe(LIMIT);
  });

  it('gives back what a worker that dies had', async () => {
    expect(await allPlaces()).toBe(LIMIT);
    const children = new Child('pgrep', ['-P', String(server.pid)]);
    await children.ends();
    for (const pid of children.output) process.kill(Number(pid), 'SIGKILL');
    const restarts = () => server.log.filter((line) => line.includes('is started again')).length === 3;
    await server.until('the workers to be back', () => restarts() || undefined);
    expect(await allPlaces()).toBe(LIMIT);
  });
});
