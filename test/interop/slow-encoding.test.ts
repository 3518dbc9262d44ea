import { stopAll } from './support/child.js';
import { Command, newPoint, Server } from './support/commands.js';

/** More than any machine encodes in real time. */
const TOO_MUCH = ['--size', '4094x4094', '--fps', '120', '--video-bitrate', '20M'];

describe('encoding that cannot keep up', () => {
  afterAll(stopAll);

  const isSlow = ({ speed }: Readonly<Record<string, unknown>>) => typeof speed === 'number' && speed < 0.9;
  const warnings = (command: Command) =>
    command.events.filter(({ event }) => event === 'warning').map(({ message }) => message);
  const sentence = /^Encoding falls behind: it runs at only 0\.\d\d times real time\. Take a smaller --size/;

  it('is said once by wmpush, and its speed is in the figures', async () => {
    const server = await Server.start();
    const push = server.push(newPoint(), ...TOO_MUCH);
    await push.event('warning', () => true);
    await push.next('stats', isSlow);
    await push.next('stats', isSlow);
    expect(warnings(push)).toEqual([expect.stringMatching(sentence)]);
    await push.stop();
  });

  it('is said once by wmpull-serve, and its speed is in the figures', async () => {
    const serve = new Command('wmpull-serve', ['--http-port', '0', '--no-msbd', '--json', ...TOO_MUCH]);
    await serve.event('warning', () => true);
    await serve.next('stats', isSlow);
    await serve.next('stats', isSlow);
    expect(warnings(serve)).toEqual([expect.stringMatching(sentence)]);
    await serve.stop();
  });

  it('is not said of what keeps up', async () => {
    const server = await Server.start();
    const push = server.push(newPoint(), '--size', '160x120', '--fps', '5');
    const { speed } = await push.event('stats', ({ seconds }) => Number(seconds) >= 7);
    expect(speed).toBeGreaterThan(0.9);
    expect(warnings(push)).toEqual([]);
    await push.stop();
  });
});
