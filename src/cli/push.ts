import type { Command } from 'commander';
import { ArchiveSink } from '../media/archive.js';
import type { AsfSink } from '../media/events.js';
import { parsePushUrl } from '../wmhttp/push-url.js';
import { carry, describeForReady } from './carry.js';
import { addInputOptions, checkInput, type InputOptions, inputNames, openSource } from './input-options.js';
import { addCommonOptions, Interruption, newProgram } from './program.js';
import { openPush, refuseCredentials } from './push-target.js';
import { asClock, Reporter, type ReporterOptions, withUnit } from './reporter.js';
import { refuseSameFile } from './same-file.js';

interface PushOptions extends InputOptions, ReporterOptions {
  readonly template?: string;
  readonly autoDestroy?: true;
  readonly archive?: string;
}

export function pushCommand(): Command {
  const command = newProgram(
    'wmpush',
    'Captures with ffmpeg, or reads ASF, and pushes to a publishing point with WMHTTP.',
  )
    .argument('<url>', 'the publishing point, for example http://server:8080/live')
    .argument('[ffmpeg arguments...]', 'behind --: given to ffmpeg as they are');
  return addCommonOptions(
    addInputOptions(command)
      .option('--template <path>', 'the point whose settings a new point copies')
      .option('--auto-destroy', 'remove the point when the push ends')
      .option('--archive <file>', 'keep what is pushed in an ASF file as well'),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  wmpush http://server:8080/live\n  wmpush -i film.mp4 --loop http://server:8080/film\n  wmpush -i show.wmv --copy http://server:8080/show',
    )
    .action((url: string, extra: string[], options: PushOptions) => push(url, extra, options));
}

async function push(url: string, extra: string[], options: PushOptions): Promise<void> {
  const reporter = new Reporter(options);
  const interruption = new Interruption();
  const { template, autoDestroy, archive } = options;
  // What is wrong with the command line is told before anything is opened.
  refuseCredentials(url);
  parsePushUrl(url);
  checkInput(options, extra);
  if (archive !== undefined) await refuseSameFile(inputNames(options, extra), archive);
  const source = await interruption.race(openSource(options, extra, reporter), { late: (late) => void late.close() });
  await carry({
    source,
    // The input is looked at before the server is bothered: a push session that has nothing to send helps nobody.
    openSinks: async () => {
      const sinks: AsfSink[] = [await openPush({ url, template, autoDestroy: autoDestroy ?? false }, interruption)];
      if (archive !== undefined) sinks.push(new ArchiveSink(archive, { warn: (message) => reporter.warn(message) }));
      return sinks;
    },
    reporter,
    interruption,
    name: url,
    onReady: (header) => {
      const { words, fields } = describeForReady(header);
      reporter.event('ready', { url, startedAt: Date.now(), ...fields });
      reporter.info(`Pushing ${words} to ${url}`);
    },
    onEnd: (carried, failed) => {
      if (failed) return;
      const { mediaSeconds, packets, bytes } = carried;
      reporter.event('done', { ...carried });
      reporter.info(`Pushed ${asClock(mediaSeconds)}, ${packets} packets, ${withUnit(bytes, 'byte')}.`);
    },
  });
  process.exitCode = interruption.exitCode;
}
