import { join } from 'node:path';
import { type Command, newPoint, Server } from './support/commands.js';
import { decodeFile, newFolder } from './support/content.js';
import { indexOfRun } from './support/frame-crc.js';
import type { Player } from './support/player.js';
import { type FfmpegPlayer, PLAYERS } from './support/players.js';
import { itNeeds, missing } from './support/programs.js';

const FRAMES = 150;
const SOUND_SECONDS = 5;

describe('one publisher and every player at the same time', () => {
  const archive = join(newFolder(), 'pushed.asf');
  const players = new Map<string, Player>();
  let server: Server;
  let push: Command;

  beforeAll(async () => {
    server = await Server.start();
    const point = newPoint();
    push = await server.publish(point, '--archive', archive);
    for (const [id, kind] of Object.entries(PLAYERS)) {
      if (missing(kind.needs).length === 0) players.set(id, kind.start(server.url(point)));
    }
  });

  for (const [id, { name, needs }] of Object.entries(PLAYERS)) {
    itNeeds(needs, `${name} decodes picture and sound without a complaint`, async () => {
      const player = players.get(id)!;
      await player.decodes(FRAMES, SOUND_SECONDS);
      expect({ player: name, problems: player.problems }).toEqual({ player: name, problems: [] });
      process.stdout.write(`  ${player.summary}\n`);
    });
  }

  it('serves them all, and drops nothing for any of them', async () => {
    const stats = await server.next('stats');
    expect(stats).toMatchObject({
      publishers: 1,
      points: 1,
      players: players.size,
      skippedPackets: 0,
      droppedPlayers: 0,
    });
  });

  it('shows exactly the pictures and the sound that were pushed', async () => {
    const player = players.get('ffmpeg') as FfmpegPlayer;
    await player.stop();
    for (const other of players.values()) await other.stop();
    await push.stop('SIGTERM');
    const file = await decodeFile(archive);
    // The picture that it was decoding when it was stopped may be incomplete.
    const pictures = player.crc.pictures.slice(0, FRAMES);
    expect(file.size).toBe('640x360');
    expect(player.crc.size).toBe('640x360');
    expect(indexOfRun(file.pictures, pictures)).toBeGreaterThanOrEqual(0);
    // A WMA decoder needs the block before the first one; the sound that it made without it is not in the file.
    expect(indexOfRun(file.sounds, player.crc.sounds.slice(2, 100))).toBeGreaterThanOrEqual(0);
  });
});
