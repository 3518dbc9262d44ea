import { readFile } from 'node:fs/promises';
import { Command, newPoint, Server } from './support/commands.js';
import { makeAsf } from './support/content.js';
import { Together } from './support/together.js';

const SECONDS = 40;
/** In seconds of the input: how much ffmpeg reads before it begins. */
const AHEAD = 6;
/** In seconds of the input: how much it gets in each second after that. */
const SPEED = 0.3;
const STEP = 100;

describe('encoding that cannot keep up', () => {
  const together = new Together();
  const feeders: NodeJS.Timeout[] = [];
  let server: Server;
  let media: Buffer;

  beforeAll(async () => {
    media = await readFile(await makeAsf('media.asf', { duration: SECONDS, size: '160x120' }));
    server = await Server.start();
    together.start();
  });

  afterAll(() => {
    for (const feeder of feeders) clearInterval(feeder);
  });

  /** Feeds a command more slowly than it needs: the same as an encoder that is too slow, without its load. */
  function starve({ stdin }: Command): void {
    const perSecond = media.length / SECONDS;
    let at = Math.round(AHEAD * perSecond);
    stdin.on('error', () => {});
    stdin.write(media.subarray(0, at));
    feeders.push(
      setInterval(() => {
        const end = at + Math.round((perSecond * SPEED * STEP) / 1000);
        stdin.write(media.subarray(at, end));
        at = end;
      }, STEP),
    );
  }

  async function saysSo(command: Command): Promise<void> {
    const isSlow = ({ speed }: Readonly<Record<string, unknown>>) => typeof speed === 'number' && speed < 0.9;
    await command.event('warning');
    await command.next('stats', isSlow);
    await command.next('stats', isSlow);
    const warnings = command.events.filter(({ event }) => event === 'warning').map(({ message }) => message);
    const sentence = /^Encoding falls behind: it runs at only 0\.\d\d times real time\. Take a smaller --size/;
    expect(warnings).toEqual([expect.stringMatching(sentence)]);
    await command.stop();
  }

  const options = ['-i', '-', '--size', '160x120', '--json'];

  together.it([], 'is reported once by wmpush, and its speed is in the figures', async () => {
    const push = new Command('wmpush', [server.url(newPoint()), ...options], { stdin: 'pipe' });
    starve(push);
    await saysSo(push);
  });

  together.it([], 'is reported once by wmpull-serve, and its speed is in the figures', async () => {
    const serve = new Command('wmpull-serve', ['--http-port', '0', '--no-msbd', ...options], { stdin: 'pipe' });
    starve(serve);
    await saysSo(serve);
  });

  together.it([], 'is not reported if the encoding keeps up', async () => {
    const push = server.push(newPoint(), '--size', '160x120', '--fps', '5');
    const { speed } = await push.event('stats', ({ seconds }) => Number(seconds) >= 8);
    expect(speed).toBeGreaterThan(0.9);
    expect(push.events.filter(({ event }) => event === 'warning')).toEqual([]);
    await push.stop();
  });
});
