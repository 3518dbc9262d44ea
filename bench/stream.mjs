// The media that the benchmarks carry: the test picture and tone, about 360 kbit/s in packets of 1450 bytes.
import { execa } from 'execa';
import { findFfmpeg } from '../dist/capture/find.js';

async function encode(target, { packetSize = 1450, seconds = 30, videoBitrate = '280k', noise = false } = {}) {
  const { path } = await findFfmpeg();
  const input = [
    '-f',
    'lavfi',
    '-i',
    'testsrc2=size=640x360:rate=25',
    '-f',
    'lavfi',
    '-i',
    'sine=440:sample_rate=44100',
  ];
  const video = ['-c:v', 'wmv2', '-b:v', videoBitrate, '-maxrate', videoBitrate, '-bufsize', videoBitrate, '-g', '50'];
  // Without noise the picture has not enough in it for many megabits.
  if (noise) video.push('-vf', 'noise=alls=100:allf=t');
  const audio = ['-c:a', 'wmav2', '-b:a', '64k', '-ac', '2'];
  const output = ['-t', String(seconds), '-packet_size', String(packetSize), '-f', 'asf', '-y', target];
  return execa(path, ['-v', 'error', '-nostdin', ...input, ...video, ...audio, ...output], { encoding: 'buffer' });
}

/** An ASF file in memory, as ffmpeg makes it for a pipe; 30 s by default. */
export async function testStream(options) {
  const { stdout } = await encode('pipe:1', options);
  return Buffer.from(stdout);
}

/** An ASF file on the disk, with its durations and its index. @param options `noise`: for bit rates of many megabits */
export async function testFile(path, options) {
  await encode(path, options);
}
