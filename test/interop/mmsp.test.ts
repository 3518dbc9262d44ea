import { join } from 'node:path';
import { execa } from 'execa';
import { Child, stopAll } from './support/child.js';
import { Command } from './support/commands.js';
import { decodeFile, newFolder, removeFolders } from './support/content.js';
import { FfmpegPlayer, LibmmsPlayer, MplayerPlayer, PLAYERS, VlcPlayer, XinePlayer } from './support/players.js';
import { itNeeds, program } from './support/programs.js';
import { UnicastServer } from './support/unicast.js';

const SECONDS = 6;
const FRAMES = 100;

describe('players that speak MMSP', () => {
  let streams: UnicastServer;
  const url = (scheme: string, path: string) => streams.url(scheme, path);

  beforeAll(async () => {
    streams = await UnicastServer.start('mms', { 'film.wmv': SECONDS });
  });

  afterAll(async () => {
    await streams.stop();
    await stopAll();
    removeFolders();
  });

  itNeeds(PLAYERS['ffmpeg']!.needs, 'ffmpeg decodes exactly the pictures of a file by mmst', async () => {
    const player = new FfmpegPlayer(url('mmst', '/film.wmv'));
    await player.decodes(FRAMES, 3);
    await player.stop();
    const file = await decodeFile(`${streams.folder}/film.wmv`);
    expect(player.crc.pictures.slice(0, FRAMES)).toEqual(file.pictures.slice(0, FRAMES));
  });

  itNeeds(PLAYERS['ffmpeg']!.needs, 'ffmpeg decodes a live stream by mmst', async () => {
    const player = new FfmpegPlayer(url('mmst', streams.point));
    await player.decodes(FRAMES, 3);
    await player.stop();
  });

  for (const scheme of ['mmst', 'mmsu']) {
    for (const path of ['film', 'live'] as const) {
      itNeeds(PLAYERS['vlc']!.needs, `VLC decodes ${path} by ${scheme}`, async () => {
        const player = new VlcPlayer(url(scheme, path === 'film' ? '/film.wmv' : streams.point));
        await player.decodes(FRAMES, 3);
        await player.stop();
      });
    }
  }

  for (const path of ['film', 'live'] as const) {
    const location = () => url('mmst', path === 'film' ? '/film.wmv' : streams.point);

    itNeeds(PLAYERS['mplayer']!.needs, `MPlayer decodes ${path} by mmst`, async () => {
      const player = new MplayerPlayer(location());
      await player.decodes(FRAMES, 3);
      await player.stop();
    });

    itNeeds(PLAYERS['libmms']!.needs, `libmms receives ${path} by mmst`, async () => {
      const player = new LibmmsPlayer(location());
      await player.decodes(FRAMES, 3);
      await player.stop();
    });

    itNeeds(PLAYERS['xine']!.needs, `xine decodes ${path} by mms`, async () => {
      const player = new XinePlayer(location().replace('mmst:', 'mms:'));
      // The sound that xine writes depends on when its pictures arrive.
      await player.decodes(FRAMES, 0);
      await player.stop();
      expect(player.soundSeconds).toBeGreaterThan(0);
    });
  }

  itNeeds(PLAYERS['vlc']!.needs, 'VLC decodes a film by mms', async () => {
    const player = new VlcPlayer(url('mms', '/film.wmv'));
    await player.decodes(FRAMES, 3);
    await player.stop();
  });

  itNeeds(PLAYERS['vlc']!.needs, 'VLC begins a film at its third second', async () => {
    const player = new VlcPlayer(url('mmst', '/film.wmv'), ['--start-time=3']);
    await player.decodes(60, 2);
    await player.stop();
    expect(player.frames).toBeLessThan(SECONDS * 25 - 50);
  });

  itNeeds([program('tshark'), program('ffmpeg')], 'tshark finds nothing malformed', async () => {
    const capture = join(newFolder(), 'mms.pcap');
    const tshark = new Child('tshark', ['-i', 'lo', '-w', capture, '-f', `port ${streams.port} or udp`]);
    await tshark.until('the start', () => tshark.log.some((line) => line.includes('Capturing on')));
    for (const scheme of ['mmst', 'mmsu']) {
      const file = join(newFolder(), 'pulled.wmv');
      const pull = new Command('wmcast', ['pull', url(scheme, '/film.wmv'), '-o', file, '--json', '--speed', '3']);
      expect((await pull.ends()).code).toBe(0);
    }
    await tshark.stop('SIGINT');
    const decode = ['-r', capture, '-d', `tcp.port==${streams.port},msmms`, '-d', `udp.port==${streams.port},msmms`];
    const { stdout } = await execa('tshark', [...decode, '-Y', 'msmms', '-T', 'fields', '-e', '_ws.col.Info']);
    const shown = stdout.split('\n');
    expect(shown.length).toBeGreaterThan(20);
    const bad = await execa('tshark', [...decode, '-Y', '_ws.malformed', '-T', 'fields', '-e', '_ws.col.Info']);
    expect(bad.stdout).toBe('');
  });
});
