import fc from 'fast-check';
import { ffmpegArguments } from '../../src/capture/arguments.js';
import {
  completeOptions,
  defaultPacketSize,
  parseBitrate,
  parseDuration,
  parseSize,
  rateWithOverhead,
  readsInRealTime,
} from '../../src/capture/options.js';
import { completeSound } from '../../src/capture/sound.js';

/** The value after an option. */
const argument = (args: readonly string[], option: string) => args[args.indexOf(option) + 1];

describe('ffmpegArguments', () => {
  it('makes a test picture and tone by default, throttled to real time', () => {
    expect(ffmpegArguments({}).join(' ')).toBe(
      '-hide_banner -nostdin -nostats -progress pipe:2 -loglevel level+info -re -f lavfi ' +
        '-i testsrc2=size=640x360:rate=25[out0];sine=frequency=440:beep_factor=2:sample_rate=44100[out1] ' +
        '-map 0:V:0? -map 0:a:0? -map_chapters -1 ' +
        '-c:v wmv2 -r 25 -pix_fmt yuv420p -b:v 500000 -maxrate 500000 -bufsize 500000 -g 50 -bf 0 ' +
        '-c:a wmav2 -b:a 64000 -ar 44100 -ac 2 -packet_size 1450 -f asf pipe:1',
    );
  });

  it('fits a file into the picture size, loops and ends it', () => {
    const args = ffmpegArguments({
      input: 'a.mp4',
      size: { width: 320, height: 240 },
      loop: true,
      duration: 1.5,
      fps: 30,
    });
    expect(args).toEqual(expect.arrayContaining(['-re', '-stream_loop', '-vf', '-af']));
    expect(argument(args, '-vf')).toContain('pad=320:240');
    expect(argument(args, '-t')).toBe('1.5');
    expect(argument(args, '-g')).toBe('60');
    // Input options act on the next -i only.
    expect(args.indexOf('-stream_loop')).toBeLessThan(args.indexOf('-i'));
    expect(args.indexOf('-t')).toBeGreaterThan(args.indexOf('-i'));
  });

  it('keeps the times of frames, by the option that this ffmpeg has, unless the user sets some', () => {
    const timing = (version: string, extra: string[] = []) => {
      const args = ffmpegArguments({ input: 'a.mp4', extra }, true, version);
      return ['-fps_mode', '-vsync', '-r'].filter((option) => args.includes(option));
    };
    expect(timing('5.1.9-0+deb12u1')).toEqual(['-fps_mode']);
    expect(timing('n8.0')).toEqual(['-fps_mode']);
    expect(timing('4.1.11')).toEqual(['-vsync']);
    expect(timing('N-47683-g0e8eb07980-static')).toEqual(['-r']);
    expect(timing('5.1', ['-r', '10'])).toEqual(['-r']);
  });

  it('leaves out streams that are not wanted', () => {
    const audioOnly = ffmpegArguments({ noVideo: true });
    expect(audioOnly).toContain('-vn');
    expect(audioOnly.join(' ')).not.toMatch(/testsrc2|wmv2|0:V/);
    const videoOnly = ffmpegArguments({ noAudio: true, input: 'x.mov' });
    expect(videoOnly).toContain('-an');
    expect(videoOnly.join(' ')).not.toMatch(/wmav2|0:a/);
    expect(() => ffmpegArguments({ noVideo: true, noAudio: true })).toThrow(/--no-video or --no-audio/);
  });

  it('names the format of a device, and does not throttle it', () => {
    const args = ffmpegArguments({ input: '/dev/video0', inputFormat: 'v4l2' });
    expect(args).not.toContain('-re');
    expect(args.slice(args.indexOf('-thread_queue_size'), args.indexOf('-i') + 2)).toEqual([
      '-thread_queue_size',
      '512',
      '-f',
      'v4l2',
      '-i',
      '/dev/video0',
    ]);
    expect(argument(ffmpegArguments({ input: '-' }), '-i')).toBe('pipe:0');
  });

  it('passes each text of the metadata as one argument', () => {
    const args = ffmpegArguments({ metadata: { title: 'A b = c', author: '', comment: '-x' } });
    expect(args.filter((_, index) => args[index - 1] === '-metadata')).toEqual([
      'title=A b = c',
      'author=',
      'comment=-x',
    ]);
  });

  it("gives ffmpeg no text that would break its header, and none of the input's in its place", () => {
    const args = ffmpegArguments({ metadata: { title: 'x'.repeat(501), author: 'y'.repeat(500) } });
    expect(args.filter((_, index) => args[index - 1] === '-metadata')).toEqual(['title=', `author=${'y'.repeat(500)}`]);
  });

  it.each(['title', 'author', 'copyright', 'comment'])('refuses a --%s that is longer than its field', (name) => {
    expect(() => ffmpegArguments({ metadata: { [name]: 'x'.repeat(32_766) } })).not.toThrow();
    const message = `--${name} has 32767 characters; an ASF header holds at most 32766.`;
    expect(() => ffmpegArguments({ metadata: { [name]: 'é'.repeat(32_767) } })).toThrow(
      expect.objectContaining({ code: 'WM_USAGE', message }),
    );
  });

  it('puts arguments of the user after its own, but before the output', () => {
    const args = ffmpegArguments({ extra: ['-b:v', '1M'] });
    expect(args.slice(-5)).toEqual(['-b:v', '1M', '-f', 'asf', 'pipe:1']);
    expect(args).toContain('-map');
  });

  it('puts further inputs of the user after its own, and lets ffmpeg choose the streams', () => {
    const args = ffmpegArguments({
      input: '/dev/video0',
      inputFormat: 'v4l2',
      extra: ['-f', 'alsa', '-i', 'default', '-ac', '1'],
    });
    const own = args.indexOf('/dev/video0');
    expect(args.slice(own + 1, own + 5)).toEqual(['-f', 'alsa', '-i', 'default']);
    expect(args).not.toContain('-map');
    expect(args.slice(-5)).toEqual(['-ac', '1', '-f', 'asf', 'pipe:1']);
  });

  it('always limits the video bit rate, and always writes to the pipe', () => {
    const bitrate = fc.integer({ min: 24_000, max: 1_000_000 });
    fc.assert(
      fc.property(
        bitrate,
        bitrate,
        fc.boolean(),
        fc.string({ minLength: 1 }),
        (videoBitrate, audioBitrate, noAudio, input) => {
          const args = ffmpegArguments({ videoBitrate, audioBitrate, noAudio, input });
          expect(argument(args, '-maxrate')).toBe(String(videoBitrate));
          expect(args).toContain('-bufsize');
          expect(args.slice(-3)).toEqual(['-f', 'asf', 'pipe:1']);
          const packetSize = Number(argument(args, '-packet_size'));
          expect(packetSize).toBeGreaterThanOrEqual(200);
          expect(packetSize).toBeLessThanOrEqual(1450);
        },
      ),
    );
  });
});

describe('completeOptions', () => {
  it.each([
    [{ packetSize: 100 }, /--packet-size is 100; it must be from 200 to 16000 bytes/],
    [{ packetSize: 70_000 }, /--packet-size/],
    [{ packetSize: 1000.5 }, /whole number/],
    [{ fps: 0 }, /--fps is 0/],
    [{ fps: Number.NaN }, /--fps is NaN/],
    [{ audioBitrate: 16_000 }, /takes 24k to 1M .*--audio-bitrate 24k/],
    [{ duration: -1 }, /--duration is -1/],
    [
      { size: { width: 641, height: 360 } },
      /641x360 cannot be encoded: 641 is not an even number from 16 to 4094; take 642/,
    ],
    [{ input: '' }, /--input is empty/],
  ])('refuses %j', (options, message) => {
    expect(() => completeOptions(options)).toThrow(
      expect.objectContaining({ code: 'WM_USAGE', message: expect.stringMatching(message) }),
    );
  });

  it('accepts a low audio bit rate when there is no audio', () => {
    expect(completeOptions({ audioBitrate: 8000, noAudio: true }).audio).toBeUndefined();
  });
});

describe('defaultPacketSize', () => {
  it('holds about 100 ms, fits one Ethernet frame, and holds whole frames of audio-only streams', () => {
    const wma = (audioBitrate: number) => completeSound({ audioBitrate });
    expect(defaultPacketSize(300_000, wma(64_000))).toBe(1450);
    expect(defaultPacketSize(40_000, wma(24_000))).toBe(800);
    expect(defaultPacketSize(0, wma(64_000))).toBe(16 + 2 * (372 + 17));
    expect(defaultPacketSize(0, wma(192_000))).toBe(16 + 1115 + 17);
  });

  it('has the overhead that the rates assume', () => {
    expect(rateWithOverhead(100_000, 1450)).toBe(106_138);
    expect(rateWithOverhead(100_000, 3200)).toBe(103_875);
  });
});

describe('readsInRealTime', () => {
  it.each(['test', 'film.mkv', 'C:\\film.mkv', '-', 'http://host/film.mp4', 'https://host/live.m3u8', 'file:film.mkv'])(
    'throttles %s',
    (input) => {
      expect(readsInRealTime(input, undefined)).toBe(true);
    },
  );

  it.each(['rtsp://host/x', 'RTMP://host/x', 'udp://239.1.1.1:5000', 'srt://host:1', 'mmsh://host/x', 'mmst://host/x'])(
    'does not throttle %s',
    (input) => {
      expect(readsInRealTime(input, undefined)).toBe(false);
    },
  );
});

describe('parseBitrate', () => {
  it.each([
    ['300k', 300_000],
    ['1.5M', 1_500_000],
    ['64000', 64_000],
    ['300 kbit/s', 300_000],
    ['300kbps', 300_000],
    ['.5m', 500_000],
    [' 48K ', 48_000],
  ])('reads %s', (text, bitrate) => {
    expect(parseBitrate(text)).toBe(bitrate);
  });

  it.each([
    ['fast', '--video-bitrate "fast" is not a bit rate; write for example 300k or 1.5M (bits per second).'],
    ['', '--video-bitrate "" is not a bit rate; write for example 300k or 1.5M (bits per second).'],
    ['-300k', '--video-bitrate "-300k" is not a bit rate; write for example 300k or 1.5M (bits per second).'],
    [
      '300',
      '--video-bitrate "300" is 300 bits per second, which carries nothing; write for example 300k. Did you mean 300k?',
    ],
    ['900M', '--video-bitrate "900M" is more than 100M bits per second; write for example 1.5M.'],
  ])('refuses "%s" and says what to write', (text, message) => {
    expect(() => parseBitrate(text)).toThrow(expect.objectContaining({ code: 'WM_USAGE', message }));
  });

  it('names the option', () => {
    expect(() => parseBitrate('x', '--audio-bitrate')).toThrow(/^--audio-bitrate "x"/);
  });
});

describe('parseSize', () => {
  it('reads width and height', () => {
    expect(parseSize('640x360')).toEqual({ width: 640, height: 360 });
    expect(parseSize('320X240')).toEqual({ width: 320, height: 240 });
  });

  it.each([
    ['640', /is not a picture size; write width x height, for example 640x360/],
    ['640x', /is not a picture size/],
    ['641x360', /641 is not an even number/],
    ['0x0', /take 16/],
    ['99999x360', /take 4094/],
  ])('refuses "%s"', (text, message) => {
    expect(() => parseSize(text)).toThrow(
      expect.objectContaining({ code: 'WM_USAGE', message: expect.stringMatching(message) }),
    );
  });
});

describe('parseDuration', () => {
  it.each([
    ['90', 90],
    ['1.5', 1.5],
    ['1:30', 90],
    ['01:00:00.5', 3600.5],
    ['10s', 10],
  ])('reads %s', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each(['', '0', 'soon', '-5', '1:2:3:4'])('refuses "%s"', (text) => {
    expect(() => parseDuration(text)).toThrow(/is not a duration; write seconds or h:mm:ss/);
  });
});
