import { join } from 'node:path';
import { listDevices, readDevices } from '../../src/capture/devices.js';
import { devicesCommand } from '../../src/cli/devices.js';
import { runCommand } from '../cli/run.js';
import { fakeFfmpeg, script, temporaryFolder } from './support.js';

const folder = temporaryFolder();

describe('input devices', () => {
  it.each([
    [
      'v4l2',
      'Auto-detected sources for video4linux2,v4l2:\n* /dev/video0 [USB Camera: USB [UVC]]\n  /dev/video1 [] (none)\n',
      [
        { input: '/dev/video0', name: 'USB Camera: USB [UVC]', kind: 'video' },
        { input: '/dev/video1', name: '/dev/video1', kind: 'video' },
      ],
    ],
    [
      'alsa',
      'Auto-detected sources for alsa:\n  null [Discard all samples] (none)\n* default [Default Device] (none)\n',
      [{ input: 'default', name: 'Default Device', kind: 'audio' }],
    ],
    [
      'dshow',
      '[dshow @ 0000] "Integrated Camera" (video)\n[dshow @ 0000]   Alternative name "@device_pnp_x"\n[dshow @ 0000] "Mic (Realtek)" (audio)\n',
      [
        { input: 'video=Integrated Camera', name: 'Integrated Camera', kind: 'video' },
        { input: 'audio=Mic (Realtek)', name: 'Mic (Realtek)', kind: 'audio' },
      ],
    ],
    [
      'dshow',
      '[dshow @ 00] DirectShow video devices (some may be both)\r\n[dshow @ 00]  "Cam"\r\n[dshow @ 00]     Alternative name "@device"\r\n[dshow @ 00] DirectShow audio devices\r\n[dshow @ 00]  "Mic"\r\n',
      [
        { input: 'video=Cam', name: 'Cam', kind: 'video' },
        { input: 'audio=Mic', name: 'Mic', kind: 'audio' },
      ],
    ],
    [
      'avfoundation',
      '[AVFoundation indev @ 0x7f] AVFoundation video devices:\n[AVFoundation indev @ 0x7f] [0] FaceTime HD Camera\n[AVFoundation indev @ 0x7f] AVFoundation audio devices:\n[AVFoundation indev @ 0x7f] [1] Built-in Microphone\n: Input/output error\n',
      [
        { input: '0', name: 'FaceTime HD Camera', kind: 'video' },
        { input: ':1', name: 'Built-in Microphone', kind: 'audio' },
      ],
    ],
  ] as const)('are read from what ffmpeg lists for %s', (format, text, devices) => {
    expect(readDevices(format, text)).toEqual(devices.map((device) => ({ format, ...device })));
  });

  it('are listed, with a sentence for a format without any and for one that ffmpeg lacks', async () => {
    const answers = `case "$*" in
      *-devices*) echo "Devices:"; echo " --"; echo " D  alsa            ALSA"; echo " DE video4linux2,v4l2 V4L2"; echo "  E pulse out";;
      *v4l2*) echo "Auto-detected sources for v4l2:"; echo "  /dev/video0 [Cam]";;
      *) echo "Auto-detected sources for alsa:"; echo "Cannot list sources: it is broken";;
    esac`;
    const ffmpeg = await script(join(folder, 'ffmpeg'), fakeFfmpeg({ run: answers }));
    const lacks = `This ffmpeg lacks the format pulse (${ffmpeg}).`;
    expect(await listDevices(ffmpeg, ['v4l2', 'alsa', 'pulse'])).toEqual([
      { format: 'v4l2', devices: [{ format: 'v4l2', input: '/dev/video0', name: 'Cam', kind: 'video' }] },
      { format: 'alsa', devices: [], problem: 'No sound card (ALSA) was found: it is broken.' },
      { format: 'pulse', devices: [], problem: lacks },
    ]);
    const { events } = await runCommand(devicesCommand(), '--json', '--ffmpeg', ffmpeg, 'v4l2', 'pulse');
    expect(events).toEqual([
      { event: 'device', format: 'v4l2', input: '/dev/video0', name: 'Cam', kind: 'video' },
      { event: 'none', format: 'pulse', message: lacks },
    ]);
    const { output } = await runCommand(devicesCommand(), '--ffmpeg', ffmpeg, 'v4l2', 'pulse');
    expect(output).toBe(`v4l2: video, Cam\n    -i "/dev/video0" --input-format v4l2\npulse: ${lacks}\n`);
    expect((await runCommand(devicesCommand(), '--ffmpeg', ffmpeg, '-x y')).error).toBeDefined();
  });
});
