import { Command } from 'commander';
import { deviceFormats, listDevices } from '../capture/devices.js';
import { findFfmpeg } from '../capture/find.js';
import { WmError } from '../errors.js';
import { addCommonOptions } from './program.js';
import { Reporter, type ReporterOptions } from './reporter.js';

interface DevicesOptions extends ReporterOptions {
  readonly ffmpeg?: string;
}

/** Builds `wmcast devices`. */
export function devicesCommand(): Command {
  const command = new Command('devices')
    .description('Lists cameras, capture cards and microphones that wmpush can capture from.')
    .argument('[format...]', 'v4l2, alsa, pulse, avfoundation or dshow (default: those of this system)')
    .option('--ffmpeg <path>', 'ffmpeg to use; wmcast doctor lists what was found')
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast devices\n  wmpush -i /dev/video0 --input-format v4l2 http://server:8080/live -- -f alsa -i default',
    );
  return addCommonOptions(command).action((formats: string[], options: DevicesOptions) => devices(formats, options));
}

async function devices(asked: string[], options: DevicesOptions): Promise<void> {
  const reporter = new Reporter(options);
  const formats = asked.length > 0 ? asked : deviceFormats();
  const unknown = formats.find((format) => !/^[\w-]{1,40}$/.test(format));
  if (unknown !== undefined) throw new WmError('WM_USAGE', `"${unknown}" is not the name of a format of ffmpeg.`);
  if (formats.length === 0) {
    throw new WmError('WM_USAGE', 'The devices of this system are not known; name a format of ffmpeg, such as oss.');
  }
  const { path } = await findFfmpeg({ explicit: options.ffmpeg });
  for (const { format, devices: found, problem } of await listDevices(path, formats)) {
    for (const device of found) reporter.event('device', { ...device });
    if (problem !== undefined) reporter.event('none', { format, message: problem });
    if (reporter.json) continue;
    if (problem !== undefined) reporter.print(`${format}: ${problem}`);
    for (const { input, name, kind } of found) {
      reporter.print(
        `${format}: ${kind === undefined ? '' : `${kind}, `}${name}\n    -i "${input}" --input-format ${format}`,
      );
    }
  }
}
