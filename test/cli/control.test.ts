import { existsSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { controlCommand } from '../../src/cli/control-client.js';
import { ControlPort } from '../../src/cli/control-port.js';
import { pushCommand } from '../../src/cli/push.js';
import { defaultConfig } from '../../src/server/config.js';
import { MediaServer } from '../../src/server/server.js';
import { until } from '../support/until.js';
import { newFolder, type Ran, removeFolders, runCommand } from './run.js';

const URL_OF_NOBODY = 'http://127.0.0.1:1/x';

afterAll(removeFolders);

/** Sends lines and returns the answers. */
async function ask(path: string, ...lines: string[]): Promise<Array<Record<string, unknown>>> {
  const socket = connect(path);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.end(lines.map((line) => `${line}\n`).join(''));
  await new Promise((resolve, reject) => socket.once('close', resolve).once('error', reject));
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('--control', () => {
  let server: MediaServer;
  let socket: string;

  beforeEach(async () => {
    server = await MediaServer.start({ ...defaultConfig(), host: '127.0.0.1', httpPort: 0 });
    socket = join(newFolder(), 'c.sock');
  });

  afterEach(() => server.close());

  /** Pushes, calls `work` once the point is live, and returns how the push ended. */
  async function pushed(args: readonly string[], work: () => Promise<void>): Promise<Ran> {
    const pushing = runCommand(pushCommand(), '--json', '--control', socket, ...args, `${server.baseUrl}/live`);
    await until('/live to be live', () => server.points.find('/live')?.broadcast.live);
    await work().catch(async (error: unknown) => {
      await ask(socket, 'stop').catch(() => {});
      await pushing;
      throw error;
    });
    return pushing;
  }

  it('switches inputs, sends commands and ends, with an answer for each line', async () => {
    let answers: Array<Record<string, unknown>> = [];
    const inputs = ['-i', 'synthetic:seed=1', '-i', 'synthetic:seed=2'];
    const { error, events } = await pushed(inputs, async () => {
      const lines = [
        'status',
        'next',
        'next',
        'TEXT Hello',
        '# a comment',
        'play 1',
        'play 9',
        'sing',
        'script x',
        'stop',
      ];
      answers = await ask(socket, ...lines);
    });
    expect(error).toBeUndefined();
    expect(answers).toMatchObject([
      { ok: true, request: 'status', state: 'playing', number: 1, inputs: ['synthetic:seed=1', 'synthetic:seed=2'] },
      { ok: true, request: 'next', state: 'playing', input: 'synthetic:seed=2', number: 2 },
      { ok: false, code: 'WM_USAGE', error: 'synthetic:seed=2 is the last input.' },
      { ok: true, type: 'TEXT', text: 'Hello' },
      { ok: true, number: 1 },
      { ok: false, error: 'There is no input 9; there are 2.' },
      { ok: false, error: expect.stringContaining('"sing" is not a command') },
      { ok: false, code: 'WM_USAGE' },
      { ok: true, request: 'stop' },
    ]);
    expect(events.filter(({ event }) => event === 'input').map(({ number }) => number)).toEqual([1, 2, 1]);
    expect(events).toContainEqual(expect.objectContaining({ event: 'command', type: 'TEXT', text: 'Hello' }));
    expect(events.at(-1)).toMatchObject({ event: 'done' });
  });

  it('is open to the user of the process only, and removed at the end', async () => {
    const { error } = await pushed(['-i', 'synthetic:'], async () => {
      expect(statSync(socket).mode & 0o777).toBe(0o600);
      expect(await ask(socket, 'stop')).toMatchObject([{ ok: true }]);
    });
    expect(error).toBeUndefined();
    expect(existsSync(socket)).toBe(false);
  });

  it('is used by wmcast control, which fails as its command does', async () => {
    const ran: Ran[] = [];
    await pushed(['-i', 'synthetic:'], async () => {
      for (const words of [['status'], ['next'], ['TEXT', 'a', 'b'], ['stop']]) {
        // In a process of its own, since this one captures the output of the push.
        const { execa } = await import('execa');
        const how = { reject: false } as const;
        const { stdout, exitCode } = await execa('node', ['bin/wmcast.js', 'control', socket, ...words], how);
        ran.push({ output: stdout, log: '', events: [], error: undefined, exitCode });
      }
    });
    expect(ran.map(({ exitCode }) => exitCode)).toEqual([0, 1, 0, 0]);
    expect(ran.map(({ output }) => JSON.parse(output) as unknown)).toMatchObject([
      { ok: true, number: 1 },
      { ok: false, error: 'synthetic: is the last input.' },
      { ok: true, text: 'a b' },
      { ok: true },
    ]);
  });
});

describe('the socket of --control', () => {
  const print = () => {};

  it('replaces one that a process has left, but neither a file nor one in use', async () => {
    const folder = newFolder();
    const file = join(folder, 'file');
    writeFileSync(file, 'kept');
    await expect(ControlPort.open(file, print)).rejects.toMatchObject({
      code: 'WM_USAGE',
      message: `${file} exists and is not a socket: name another one with --control.`,
    });
    const path = join(folder, 'c.sock');
    const first = await ControlPort.open(path, print);
    await expect(ControlPort.open(path, print)).rejects.toMatchObject({ code: 'WM_PORT_IN_USE' });
    expect(await ask(path, 'status')).toMatchObject([{ ok: false, error: 'There is no broadcast at the moment.' }]);
    await first.close();
    const { execa } = await import('execa');
    const leave = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await execa('node', ['-e', leave], { reject: false });
    expect(existsSync(path)).toBe(true);
    const second = await ControlPort.open(path, print);
    expect(await ask(path, 'status')).toHaveLength(1);
    await second.close();
  });

  it('drops controllers that send lines without end, and refuses too many', async () => {
    const path = join(newFolder(), 'c.sock');
    const port = await ControlPort.open(path, print);
    const endless = connect(path);
    endless.on('error', () => {});
    const dropped = new Promise((resolve) => endless.once('close', resolve));
    endless.write('x'.repeat(100_000));
    await dropped;
    const many = Array.from({ length: 16 }, () => connect(path));
    await Promise.all(many.map((each) => new Promise((resolve) => each.once('connect', resolve))));
    expect(await ask(path)).toEqual([{ ok: false, error: 'There are too many controllers.' }]);
    for (const each of many) each.destroy();
    await port.close();
  });

  it.each([
    [['--control', '-', '-i', '-'], '--control - and --input - cannot both read standard input.'],
    [['--control', '-', '--script', '-'], '--control - and --script - cannot both read standard input.'],
    [['--loop', '--repeat', '2'], '--loop and --repeat exclude each other.'],
    [['--filler', '/nowhere.png'], 'The filler /nowhere.png is neither a file, nor bars or black.'],
    [['-i', 'a.asf', '--copy', '--filler', 'bars'], '--copy sends packets unchanged, so --filler must be an .asf'],
  ])('does not go with %j', async (args, message) => {
    const { error } = await runCommand(pushCommand(), ...args, URL_OF_NOBODY);
    expect(error).toMatchObject({ message: expect.stringContaining(message) });
  });

  it('that nobody listens on is reported', async () => {
    const path = join(newFolder(), 'c.sock');
    expect((await runCommand(controlCommand(), path, 'status')).error).toMatchObject({ code: 'WM_UNREACHABLE' });
    const mute = createServer((socket) => void socket.resume().end());
    await new Promise<void>((resolve) => mute.listen(path, resolve));
    const { error } = await runCommand(controlCommand(), path, 'status');
    expect(error).toMatchObject({ message: `Nothing can be controlled at ${path}: it has ended.` });
    await new Promise((resolve) => mute.close(resolve));
  });
});
