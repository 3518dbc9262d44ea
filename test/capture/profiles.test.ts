import { join } from 'node:path';
import { execa } from 'execa';
import { findProfile, profiles, readProfile, writeProfile } from '../../src/capture/profiles.js';
import { completeSound } from '../../src/capture/sound.js';
import { CaptureSource } from '../../src/capture/source.js';
import { ArchiveSink } from '../../src/media/archive.js';
import { pump } from '../../src/media/pump.js';
import { ffmpegPath, temporaryFolder } from './support.js';

const folder = temporaryFolder();
const SECONDS = 10;

/** What ffmpeg says of each stream's codec. */
const CODECS: Record<string, RegExp> = {
  wmv1: /Video: wmv1 \(WMV1/,
  wmv2: /Video: wmv2 \(WMV2/,
  msmpeg4v2: /Video: msmpeg4v2 \(MP42/,
  wmav1: /Audio: wmav1/,
  wmav2: /Audio: wmav2/,
  adpcm_ms: /Audio: adpcm_ms/,
  libmp3lame: /Audio: mp3/,
};

describe('a profile', () => {
  it.each(profiles.map((profile) => [profile.name, profile] as const))(
    '%s makes what it names, at its rate, and ffmpeg decodes it',
    async (name, { settings }) => {
      const path = join(folder, `${name}.asf`);
      const archive = new ArchiveSink(path);
      await pump(new CaptureSource({ ...settings, realtime: false, duration: SECONDS }), [archive]);
      const { stderr } = await execa(ffmpegPath, ['-hide_banner', '-i', path, '-map', '0', '-f', 'null', '-']);
      const { videoEncoder = 'wmv2', audioEncoder = 'wmav2', largestSize, noVideo } = settings;
      const input = stderr.slice(0, stderr.indexOf('Stream mapping'));
      expect(input).toMatch(CODECS[audioEncoder]!);
      if (noVideo) expect(input).not.toMatch(/Video:/);
      else {
        expect(input).toMatch(CODECS[videoEncoder]!);
        expect(input).toContain(`${largestSize!.width}x${largestSize!.height}`);
      }
      expect(stderr).not.toMatch(/error|invalid|corrupt/i);
      const bitsPerSecond = (archive.files[0]!.bytes * 8) / SECONDS;
      const promised = Number(/^av?(\d+)$/.exec(name)?.[1] ?? 0) * 1000;
      // The header of the file and what ffmpeg cannot do: the first frames of a moving picture at modem rates.
      if (promised > 0) expect(bitsPerSecond).toBeLessThan(promised * 1.15 + 8000);
    },
  );

  it.each(profiles.map((profile) => [profile.name, profile] as const))(
    '%s survives a file',
    (name, { settings, source }) => {
      expect(readProfile(writeProfile(settings), name)).toEqual(settings);
      expect(source).not.toBe('');
    },
  );

  it('is found by its other names', () => {
    expect(findProfile('MODEM28')?.name).toBe('av20');
    expect(findProfile('none')).toBeUndefined();
  });

  it('in a file is checked, with the line', () => {
    expect(() => readProfile('videoBitrate: 1000\nsise: 3\n', 'mine.yaml')).toThrow(/^mine.yaml:2:.*sise/);
    expect(() => readProfile('size: big', 'mine.yaml')).toThrow(/^mine.yaml:1:.*Write width x height/i);
  });
});

describe('completeSound', () => {
  it.each([
    [{ audioEncoder: 'libmp3lame', audioBitrate: 100_000 }, /take --audio-bitrate 96k/],
    [{ audioEncoder: 'libmp3lame', audioBitrate: 8000 }, /take --audio-bitrate 32k/],
    [{ sampleRate: 44_000 }, /--sample-rate is 44000; take one of 8000/],
    [{ channels: 6 }, /--channels is 6/],
  ] as const)('refuses %j', (options, message) => {
    expect(() => completeSound(options)).toThrow(
      expect.objectContaining({ code: 'WM_USAGE', message: expect.stringMatching(message) }),
    );
  });

  it('computes the rate of ADPCM, which is not asked for one', () => {
    expect(completeSound({ audioEncoder: 'adpcm_ms', sampleRate: 22_050, channels: 1 }).bitrate).toBe(88_720);
  });
});
