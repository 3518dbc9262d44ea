import { join } from 'node:path';
import { Command, newPoint, Server } from './support/commands.js';
import { makeAsf, newFolder } from './support/content.js';
import { FfmpegPlayer } from './support/players.js';

describe('inputs that are switched while live', () => {
  let server: Server;
  let inputs: string[];

  beforeAll(async () => {
    inputs = [
      await makeAsf('one.wmv', { duration: 60, size: '160x120' }),
      await makeAsf('two.wmv', { duration: 4, size: '320x200', filter: 'negate' }),
    ];
    server = await Server.start();
  });

  afterAll(() => server?.stop());

  /** Sends a command with `wmcast control`. */
  async function control(socket: string, ...words: string[]): Promise<Record<string, unknown>> {
    let answer = '';
    const command = new Command('wmcast', ['control', socket, ...words]);
    await command.exited;
    answer = command.output.find((line) => line.startsWith('{')) ?? '';
    return JSON.parse(answer) as Record<string, unknown>;
  }

  it('ffmpeg plays over switches, a pause and a roll-over without a new header or a jump in time', async () => {
    const point = newPoint();
    const socket = join(newFolder(), 'control.sock');
    const list = inputs.flatMap((input) => ['-i', input]);
    const push = await server.publish(point, ...list, '--control', socket, '--filler', 'bars', '--loop');
    const player = new FfmpegPlayer(server.url(point, 'mmsh'));
    await player.decodes(50, 0);
    // The second one is played to its end, and the first one follows.
    expect(await control(socket, 'next')).toMatchObject({ ok: true, number: 2 });
    await push.next('input', ({ number }) => number === 1);
    expect(await control(socket, 'pause')).toMatchObject({ ok: true, state: 'paused' });
    expect(await control(socket, 'resume')).toMatchObject({ ok: true, state: 'playing' });
    expect(await control(socket, 'play', '/nowhere.mp4')).toMatchObject({ ok: false, code: 'WM_NO_INPUT' });
    await player.decodes(player.crc.pictures.length + 50, 0);
    expect(await control(socket, 'stop')).toMatchObject({ ok: true });
    const { code } = await player.ends();
    expect(code).toBe(0);
    const { times } = player.crc;
    const steps = times.slice(1).map((time, index) => time - times[index]!);
    expect(Math.min(...steps)).toBeGreaterThan(0);
    expect(Math.max(...steps)).toBeLessThan(0.25);
    process.stdout.write(`  ${player.summary}; longest step ${Math.max(...steps).toFixed(3)} s\n`);
  });
});
