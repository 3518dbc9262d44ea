import { newPoint, Server } from './support/commands.js';
import type { Player } from './support/player.js';
import { FfmpegPlayer, PLAYERS } from './support/players.js';
import { missing } from './support/programs.js';
import { marksOf, packetsOf, wirePlayer } from './support/wire.js';

/** The players whose exit code tells how their stream ended. */
const PLAYER_IDS = ['ffmpeg', 'mpv', 'mpvSuffix', 'mplayer', 'vlc', 'libmms', 'gstHttp'] as const;

function startPlayers(url: string): Player[] {
  const kinds = PLAYER_IDS.map((id) => PLAYERS[id]!).filter(({ needs }) => missing(needs).length === 0);
  return kinds.map(({ start }) => start(url));
}

/** Rising, so that no picture is shown late or twice. */
function backwardSteps(times: readonly number[]): number {
  return times.filter((time, index) => index > 0 && time <= times[index - 1]!).length;
}

describe('a publisher that stops, comes back, or comes back with another stream', () => {
  let server: Server;

  beforeAll(async () => {
    server = await Server.start();
  });

  it('ends with SIGTERM: $E with Reason 0, and every player ends by itself with exit code 0', async () => {
    const point = newPoint();
    const push = await server.publish(point);
    const wire = await wirePlayer(server.port, point);
    const players = startPlayers(server.url(point));
    for (const player of players) await player.decodes(25, 1);
    const gone = server.next('point', ({ point: path, what }) => path === point && what === 'unpublished');
    push.signal('SIGTERM');
    expect(await push.ends()).toEqual({ code: 143, signal: null });
    expect(push.events.at(-1)).toMatchObject({ event: 'done' });
    expect(await gone).toMatchObject({ clean: true });
    expect(packetsOf(await wire.untilClosed()).at(-1)).toMatchObject({ id: 'E', reason: 0 });
    const exits: Record<string, unknown> = {};
    for (const player of players) exits[player.name] = (await player.ends()).code;
    expect(exits).toEqual(Object.fromEntries(players.map(({ name }) => [name, 0])));
  });

  it('is killed and started again with the same settings: players continue in the same stream', async () => {
    const point = newPoint();
    const first = await server.publish(point);
    const wire = await wirePlayer(server.port, point);
    const players = startPlayers(server.url(point));
    for (const player of players) await player.decodes(25, 1);
    await first.stop('SIGKILL');
    const before = new Map(players.map((player) => [player, player.frames]));
    const startedAgain = performance.now();
    await server.publish(point);
    const accepted = Math.round(performance.now() - startedAgain);
    // More than was still in flight to any of them.
    for (const player of players) await player.decodes(before.get(player)! + 150, 1);
    expect(marksOf(wire.received)).toBe('H');
    const ffmpeg = players[0] as FfmpegPlayer;
    expect(backwardSteps(ffmpeg.crc.times)).toBe(0);
    for (const player of players) expect({ player: player.name, ended: player.ended }).toMatchObject({ ended: false });
    process.stdout.write(`  the publisher was taken back after ${accepted} ms\n`);
    for (const player of players) await player.stop();
    wire.close();
  });

  it('comes back with another size: $C and $H, and the server continues', async () => {
    const point = newPoint();
    const first = await server.publish(point, '--size', '320x240');
    const wire = await wirePlayer(server.port, point);
    const old = new FfmpegPlayer(server.url(point, 'mmsh'));
    await old.decodes(25, 1);
    await first.stop('SIGKILL');
    await server.publish(point, '--size', '480x272');
    // Below 9.0 there must be no $E before the $C.
    await wire.until((bytes) => marksOf(bytes).length >= 3 || undefined, 10_000);
    expect(marksOf(wire.received)).toBe('HCH');
    const player = new FfmpegPlayer(server.url(point, 'mmsh'));
    await player.decodes(50, 1);
    expect(player.crc.size).toBe('480x272');
    expect(player.problems).toEqual([]);
    // A player in the middle of the stream either takes the new header, or ends as at the end of a stream.
    const outcome = await Promise.race([
      old.ends().then(({ code }) => `ended with ${code}`),
      old.decodes(old.frames + 50, 1).then(() => 'went on'),
    ]);
    process.stdout.write(`  ffmpeg in the middle ${outcome}\n`);
    expect(outcome).toMatch(/^(?:went on|ended with 0)$/);
    wire.close();
  });
});
