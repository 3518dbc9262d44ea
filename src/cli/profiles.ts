import { Command } from 'commander';
import { findProfile, type ProfileSettings, profiles, unknownProfile, writeProfile } from '../capture/profiles.js';
import { addCommonOptions } from './program.js';
import { Reporter, type ReporterOptions, withUnit } from './reporter.js';

/** Builds `wmcast profiles`. */
export function profilesCommand(): Command {
  const command = new Command('profiles')
    .description('Lists the encoder settings that --profile names, or prints one of them as a file for --profile.')
    .argument('[name]', 'the profile to print')
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast profiles\n  wmcast profiles av300 > mine.yaml\n  wmpush --profile ./mine.yaml http://server:8080/live',
    );
  return addCommonOptions(command).action((name: string | undefined, options: ReporterOptions) => list(name, options));
}

function list(name: string | undefined, options: ReporterOptions): void {
  const reporter = new Reporter(options);
  const asked = name === undefined ? profiles : [findProfile(name) ?? unknownProfile(name)];
  if (options.json) {
    for (const profile of asked) reporter.event('profile', { ...profile });
  } else if (name === undefined) {
    const names = profiles.map(({ name: own, aliases = [] }) => [own, ...aliases].join(', '));
    const width = Math.max(...names.map(({ length }) => length));
    for (const [index, { purpose, settings }] of profiles.entries()) {
      reporter.print(`${names[index]!.padEnd(width)}  ${describeSettings(settings).padEnd(64)}  ${purpose}`);
    }
  } else {
    reporter.print(writeProfile(asked[0]!.settings).trimEnd());
  }
}

function describeSettings(settings: ProfileSettings): string {
  const { videoEncoder = 'wmv2', videoBitrate, largestSize, largestFps, noVideo } = settings;
  const { audioEncoder = 'wmav2', audioBitrate, sampleRate, channels } = settings;
  const picture = [
    videoEncoder,
    ...(videoBitrate ? [withUnit(videoBitrate, 'bit/s')] : []),
    ...(largestSize ? [`${largestSize.width}x${largestSize.height}`] : []),
    ...(largestFps ? [`${largestFps} fps`] : []),
  ];
  const sound = [
    audioEncoder,
    ...(audioBitrate ? [withUnit(audioBitrate, 'bit/s')] : []),
    ...(sampleRate ? [`${sampleRate} Hz`] : []),
    ...(channels === 1 ? ['mono'] : []),
  ];
  return [...(noVideo ? [] : [picture.join(' ')]), sound.join(' ')].join(' + ');
}
