import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { profilesCommand } from '../../src/cli/profiles.js';
import { pushCommand } from '../../src/cli/push.js';
import { newFolder, removeFolders, runCommand } from './run.js';

afterAll(removeFolders);

/** Nobody listens there: the command ends once it has chosen and captured. */
const NOWHERE = 'http://127.0.0.1:1/live';

describe('wmcast profiles', () => {
  it('lists them, and prints one as a file', async () => {
    const { output } = await runCommand(profilesCommand());
    expect(output).toMatch(/^av300 +wmv2 250 kbit\/s 320x240 30 fps \+ wmav2 48.0 kbit\/s +broadband/m);
    const { output: file } = await runCommand(profilesCommand(), 'wmp7');
    expect(file).toContain('videoEncoder: wmv1\nvideoBitrate: 250000\naudioEncoder: wmav1\n');
    const { events } = await runCommand(profilesCommand(), '--json', 'modem28');
    expect(events).toMatchObject([{ event: 'profile', name: 'av20', settings: { audioEncoder: 'libmp3lame' } }]);
  });
});

describe('--profile', () => {
  it('is overridden by other options, whose sum can be saved and used again', async () => {
    const folder = newFolder();
    const saved = join(folder, 'mine.yaml');
    const encoding = async (...args: string[]) => {
      const { events } = await runCommand(pushCommand(), '--json', '-t', '1', ...args, NOWHERE);
      return events.find(({ event }) => event === 'encoding');
    };
    const own = ['--video-bitrate', '100k', '--audio-codec', 'mp3', '--audio-bitrate', '48k', '--channels', '1'];
    const expected = {
      video: { encoder: 'wmv1', bitrate: 100_000, size: { width: 320, height: 240 }, fps: 25 },
      audio: { encoder: 'libmp3lame', bitrate: 48_000, channels: 1 },
    };
    expect(await encoding(...own, '--profile', 'wmp7', '--save-profile', saved)).toMatchObject(expected);
    expect(await readFile(saved, 'utf8')).toContain('videoBitrate: 100000\n');
    expect(await encoding('--profile', saved)).toMatchObject(expected);
  });

  it('that is not known, or no profile, is refused', async () => {
    const folder = newFolder();
    const wrong = join(folder, 'wrong.yaml');
    await writeFile(wrong, 'videoBitrates: 5\n');
    const errorOf = async (profile: string) => (await runCommand(pushCommand(), '--profile', profile, NOWHERE)).error;
    expect(await errorOf('av301')).toMatchObject({ code: 'WM_USAGE', message: expect.stringContaining('av300') });
    expect(await errorOf(wrong)).toMatchObject({ code: 'WM_CONFIG', message: expect.stringContaining('wrong.yaml:1') });
    expect(await errorOf(join(folder, 'none.yaml'))).toMatchObject({ code: 'WM_CONFIG' });
  });
});
