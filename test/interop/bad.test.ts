import { truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parseResponse, type RawPeer } from '../support/wire.js';
import type { Exit } from './support/child.js';
import { Command, newPoint, Server } from './support/commands.js';
import { decodeFile, makeAsf, newFolder } from './support/content.js';
import { FfmpegPlayer } from './support/players.js';
import { packetsOf, wirePlayer, wirePush } from './support/wire.js';

/** A port on which nothing listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function fileWith(name: string, text: string): Promise<string> {
  const path = join(newFolder(), name);
  await writeFile(path, text);
  return path;
}

/** The result of a failing command: its exit code, and the error for scripts and for people. */
interface Failure {
  readonly exit: Exit;
  readonly error: Readonly<Record<string, unknown>> | undefined;
  readonly told: string;
}

async function failure(command: Command): Promise<Failure> {
  const exit = await command.ends();
  return { exit, error: command.events.find(({ event }) => event === 'error'), told: command.log.join('\n') };
}

function fails({ exit, error, told }: Failure, exitCode: number, code: string, ...words: string[]): void {
  expect({ ...exit, told }).toMatchObject({ code: exitCode });
  expect(error).toEqual({ event: 'error', code, exitCode, message: expect.any(String), hint: expect.any(String) });
  const { message, hint } = error as { message: string; hint: string };
  for (const word of words) expect(message).toContain(word);
  // People get the same sentence, the hint and the code, and no stack.
  expect(told).toContain(`Error: ${message}`);
  expect(told).toContain(`${hint} [${code}]`);
  expect(told).not.toMatch(/^\s+at /m);
}

describe('failures of the real commands', () => {
  let server: Server;
  let slow: {
    readonly server: Server;
    readonly stuck: RawPeer;
    readonly player: FfmpegPlayer;
    readonly before: number;
  };
  let silent: { readonly peer: RawPeer; readonly startedAt: number };

  /** A player that stops reading, next to one that does not. */
  async function startStuckPlayer(): Promise<typeof slow> {
    const options = { duration: 4, videoBitrate: 12_000_000, size: '640x360', noise: true, packetSize: 8000 };
    const file = await makeAsf('fast.asf', options);
    const server = await Server.start();
    const point = newPoint();
    await server.publish(point, '--input', file, '--copy', '--loop');
    const player = new FfmpegPlayer(server.url(point, 'mmsh'));
    await player.decodes(50, 1);
    const before = await server.memory();
    const stuck = await wirePlayer(server.port, point);
    stuck.socket.pause();
    return { server, stuck, player, before };
  }

  beforeAll(async () => {
    server = await Server.start();
    // These two take as long as the server's patience, so they run alongside the others.
    const peer = await wirePush(server.port, newPoint());
    peer.send(Buffer.from([0x24, 0x48, 0xff, 0xff]));
    silent = { peer, startedAt: performance.now() };
    slow = await startStuckPlayer();
  });

  describe('inputs', () => {
    it('that are text files: 65', async () => {
      const file = await fileWith('story.txt', 'Once upon a time there was a stream.\n'.repeat(100));
      fails(await failure(server.push(newPoint(), '-i', file)), 65, 'WM_BAD_INPUT', file);
      fails(await failure(server.push(newPoint(), '-i', file, '--copy')), 65, 'WM_ASF_MALFORMED', file);
    });

    it('that are missing: 66', async () => {
      const file = join(newFolder(), 'missing.mp4');
      fails(await failure(server.push(newPoint(), '-i', file)), 66, 'WM_NO_INPUT', file);
      fails(await failure(server.push(newPoint(), '-i', file, '--copy')), 66, 'WM_NO_INPUT', file);
    });

    it('that are URLs where nothing answers: 66', async () => {
      const url = `http://127.0.0.1:${await deadPort()}/stream`;
      fails(await failure(server.push(newPoint(), '-i', url)), 66, 'WM_NO_INPUT', url);
    });

    it('that are ASF files cut in the middle: play as far as they go, with a message, and end normally', async () => {
      const file = await makeAsf('cut.asf', { duration: 4 });
      await truncate(file, 200_000);
      const point = newPoint();
      const push = await server.publish(point, '-i', file, '--copy');
      const player = new FfmpegPlayer(server.url(point, 'mmsh'));
      expect(await push.ends()).toEqual({ code: 0, signal: null });
      expect((await player.ends()).code).toBe(0);
      const onDisk = await decodeFile(file);
      expect(onDisk.pictures.length).toBeGreaterThan(25);
      // The last one on disk is half a picture, whose packet is incomplete.
      expect(player.crc.pictures).toEqual(onDisk.pictures.slice(0, -1));
      const warning = push.events.find(({ event }) => event === 'warning');
      expect(warning).toMatchObject({ message: expect.stringContaining(`${file} is cut`) });
      expect(push.log.join('\n')).toContain(`Warning: ${file} is cut`);
    });
  });

  describe('servers and ports', () => {
    it('nothing listens: 69', async () => {
      const url = `http://127.0.0.1:${await deadPort()}/live`;
      fails(await failure(new Command('wmpush', [url, '--json'])), 69, 'WM_UNREACHABLE');
    });

    it('the port of serve is taken: 1', async () => {
      const port = String(server.port);
      const command = new Command('wmcast', ['serve', '--host', '127.0.0.1', '--http-port', port, '--json']);
      fails(await failure(command), 1, 'WM_PORT_IN_USE', port);
    });

    it('the point has a publisher: 76, and the first one continues', async () => {
      const point = newPoint();
      const first = await server.publish(point);
      const player = new FfmpegPlayer(server.url(point, 'mmsh'));
      await player.decodes(10, 0);
      fails(await failure(server.push(point)), 76, 'WM_PUSH_REFUSED', server.url(point));
      await player.decodes(player.frames + 50, 0);
      expect(player.problems).toEqual([]);
      expect(first.exit).toBeUndefined();
      await player.stop();
      await first.stop();
    });

    it('the server is killed in the middle of a push: 69', async () => {
      const mortal = await Server.start();
      const push = await mortal.publish('/live', '--retry', '0');
      // Before anything was sent, it would try another connection at once.
      await push.event('stats', ({ sent }) => Number(sent) > 0);
      await mortal.stop('SIGKILL');
      fails(await failure(push), 69, 'WM_SERVER_GONE');
    });
  });

  describe('options', () => {
    it('unknown: 2, and the nearest one is named', async () => {
      const command = new Command('wmpush', ['http://127.0.0.1:1/live', '--vidio-bitrate', '300k']);
      expect(await command.ends()).toEqual({ code: 2, signal: null });
      expect(command.log.join('\n')).toMatch(/--vidio-bitrate'[\s\S]*--video-bitrate/);
      expect(command.output).toEqual([]);
    });

    it('a configuration with a mistake: 78, with file and line', async () => {
      const file = await fileWith('serve.yaml', 'host: 127.0.0.1\nlimits:\n  players: 10\n  conections: 5\n');
      const unknown = await failure(new Command('wmcast', ['serve', '--config', file, '--json']));
      fails(unknown, 78, 'WM_CONFIG', `${file}:4`, 'conections');
      const wrong = await fileWith('serve.yaml', 'host: 127.0.0.1\n\nhttpPort: many\n');
      fails(
        await failure(new Command('wmcast', ['serve', '--config', wrong, '--json'])),
        78,
        'WM_CONFIG',
        `${wrong}:3`,
      );
      const broken = await fileWith('serve.yaml', 'host: "127.0.0.1\n');
      fails(
        await failure(new Command('wmcast', ['serve', '--config', broken, '--json'])),
        78,
        'WM_CONFIG',
        `${broken}:`,
      );
    });
  });

  describe('signals', () => {
    it('SIGINT to wmpush: 130, with $E sent', async () => {
      const point = newPoint();
      const push = await server.publish(point);
      const wire = await wirePlayer(server.port, point);
      await wire.until((bytes) => packetsOf(bytes).some(({ id }) => id === 'D') || undefined);
      push.signal('SIGINT');
      expect(await push.ends()).toEqual({ code: 130, signal: null });
      expect(packetsOf(await wire.untilClosed()).at(-1)).toMatchObject({ id: 'E', reason: 0 });
    });

    it('Ctrl-C in a terminal, which reaches ffmpeg too: the same', async () => {
      const point = newPoint();
      const live = server.next('point', (event) => event['point'] === point && event['what'] === 'publishing');
      const push = new Command('wmpush', [server.url(point), '--json'], { ownGroup: true });
      await live;
      const wire = await wirePlayer(server.port, point);
      await wire.until((bytes) => packetsOf(bytes).some(({ id }) => id === 'D') || undefined);
      push.signalGroup('SIGINT');
      expect({ ...(await push.ends()), log: push.log }).toMatchObject({ code: 130 });
      expect(push.events.some(({ event }) => event === 'error')).toBe(false);
      expect(packetsOf(await wire.untilClosed()).at(-1)).toMatchObject({ id: 'E', reason: 0 });
    });

    it('SIGINT to serve: 130, and its players get $E', async () => {
      const mortal = await Server.start();
      const push = await mortal.publish('/live', '--retry', '0');
      const wire = await wirePlayer(mortal.port, '/live');
      await wire.until((bytes) => packetsOf(bytes).some(({ id }) => id === 'D') || undefined);
      mortal.signal('SIGINT');
      expect(packetsOf(await wire.untilClosed()).at(-1)).toMatchObject({ id: 'E', reason: 0 });
      expect(await mortal.ends()).toEqual({ code: 130, signal: null });
      fails(await failure(push), 76, 'WM_PUSH_REFUSED', '503');
    });
  });

  describe('peers that misbehave', () => {
    it('a push that begins with $D: 400, and the point stays free', async () => {
      const point = newPoint();
      const peer = await wirePush(server.port, point);
      peer.send(Buffer.from([0x24, 0x44, 4, 0, 1, 2, 3, 4]));
      const answer = parseResponse(await peer.untilClosed());
      expect(answer?.status).toBe(400);
      const push = await server.publish(point);
      await push.stop();
    });

    it('a player that never reads: dropped, with bounded memory, and the others are not affected', async () => {
      const { server: busy, stuck, player, before } = slow;
      await busy.event('stats', ({ droppedPlayers }) => droppedPlayers === 1);
      const grown = (await busy.memory()) - before;
      expect(grown).toBeLessThan(96 * 1024 * 1024);
      const stats = await busy.next('stats');
      // The encoder and the other player.
      expect(stats).toMatchObject({ connections: 2, players: 1, publishers: 1 });
      const { frames } = player;
      await player.decodes(frames + 50, 1);
      expect(player.problems).toEqual([]);
      process.stdout.write(`  stuck player: the server grew by ${Math.round(grown / 1e6)} MB\n`);
      stuck.close();
      await busy.stop();
    });

    it('a push that announces 65535 bytes and sends none: 408, and nothing remains of it', async () => {
      const { peer, startedAt } = silent;
      const answer = parseResponse(await peer.untilClosed(75_000));
      expect(answer?.status).toBe(408);
      expect(performance.now() - startedAt).toBeGreaterThan(50_000);
      const stats = await server.next('stats', ({ connections }) => connections === 0);
      expect(stats).toMatchObject({ connections: 0, players: 0, publishers: 0 });
    });
  });
});
