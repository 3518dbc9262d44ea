import type { Command } from 'commander';
import { messageOf, WmError } from '../errors.js';
import type { AsfSink } from '../media/events.js';
import { LimitedArchive } from '../media/limited-archive.js';
import { parsePushUrl } from '../wmhttp/messages/push-url.js';
import { type AccessOptions, accessTo, addAccessOptions } from './access-options.js';
import { type ArchiveLimitOptions, addArchiveLimits, limitsOf } from './archive-options.js';
import { AsideSink } from './aside-sink.js';
import { carry, describeForReady } from './carry.js';
import { openControl } from './control-port.js';
import { printPlan } from './dry-run.js';
import { faultsOf, UNFIT_FOR_PUSHES } from './fault-option.js';
import { addInputOptions, checkInput, type InputOptions, inputNames } from './input-options.js';
import { expandInputs } from './inputs.js';
import { asSpeed, openInput, planInput, speedField } from './open-input.js';
import { addForceOption, existingFor, type OutputOptions } from './output-file.js';
import { addCommonOptions, aroundDashes, ffmpegArguments, Interruption, newProgram } from './program.js';
import {
  addPushOptions,
  addRetryOption,
  lossOf,
  type OpenPush,
  openPush,
  type PushTargetOptions,
  refuseCredentials,
} from './push-target.js';
import { asClock, Reporter, type ReporterOptions, withUnit } from './reporter.js';
import { refuseSameFile } from './same-file.js';
import { describeFigures, figuresOf } from './stream-figures.js';

/** Bytes for markers in the header of a recording: about 100 of 30 characters. */
const MARKER_SPACE = 8192;

/** How long the disk of an archive may take for each operation before the push goes on without it, in ms. */
const DISK_PATIENCE = 10_000;

interface PushOptions
  extends InputOptions,
    AccessOptions,
    PushTargetOptions,
    ReporterOptions,
    OutputOptions,
    ArchiveLimitOptions {
  readonly archive?: string;
  readonly dryRun?: true;
}

/** @param name `wmpush`, or the name that `wmcast` gives it */
export function pushCommand(name = 'wmpush'): Command {
  const command = newProgram(name, 'Captures with ffmpeg, or reads ASF, and pushes to a publishing point with WMHTTP.')
    .argument('<url>', 'publishing point, for example http://server:8080/live')
    .argument(
      '[more...]',
      'further URLs of the same point, such as other nodes of a cluster, which are tried in turn; arguments after -- are passed to ffmpeg unchanged',
    );
  const recording = addForceOption(addRetryOption(addPushOptions(addInputOptions(command))))
    .option(
      '--archive <file>',
      'also record the push to an ASF file; an existing file is kept, and the name gets a number',
    )
    .option('--dry-run', 'print the command of ffmpeg and the requests, with passwords masked, and send nothing');
  return addCommonOptions(addAccessOptions(addArchiveLimits(recording)))
    .addHelpText(
      'after',
      '\nExamples:\n  wmpush http://server:8080/live\n  wmpush http://node-1:8080/live http://node-2:8080/live\n  wmpush -i film.mp4 --loop http://server:8080/film\n  wmpush -i show.wmv --copy http://server:8080/show' +
        '\n  WMCAST_USER=me WMCAST_PASSWORD=secret wmpush --retry forever --buffer 120 https://server/live',
    )
    .action((url: string, more: string[], options: PushOptions, self: Command) => {
      const { before, after } = aroundDashes(more, self);
      const alternatives = before.filter((each) => /^https?:\/\//i.test(each));
      const strays = before.filter((each) => !alternatives.includes(each));
      return push(url, alternatives, ffmpegArguments([...strays, ...after], self), options);
    });
}

async function push(
  target: string,
  alternatives: readonly string[],
  extra: string[],
  options: PushOptions,
): Promise<void> {
  const reporter = new Reporter(options);
  const interruption = new Interruption();
  const { archive } = options;
  // Report errors in the command line before anything is opened.
  const access = accessTo(target, options);
  const { url } = access;
  parsePushUrl(url);
  for (const other of alternatives) {
    refuseCredentials(other);
    parsePushUrl(other);
  }
  if (access.proxy !== undefined) parsePushUrl(access.proxy);
  checkInput(options, extra);
  faultsOf(options, UNFIT_FOR_PUSHES);
  const limits = limitsOf(options, archive);
  const expanded = await expandInputs(inputNames(options, extra), options);
  const names = expanded.map(({ input }) => input);
  if (archive !== undefined) await refuseSameFile(names, archive);
  if (options.dryRun) {
    const inputs = await planInput(options, extra, reporter);
    printPlan({ inputs, access, alternatives, options, archive }, reporter);
    return;
  }
  let kept: LimitedArchive | undefined;
  const input = await interruption.race(
    openInput(options, extra, reporter, (text) => kept?.mark(text)),
    { late: (late) => void late.source.close() },
  );
  const { source, statistics } = input;
  let pushed: OpenPush | undefined;
  let startedAt = 0;
  const control = await openControl(options, reporter, input, () => ({
    ...speedField(source.speed),
    ...pushed?.stats,
    ...figuresOf(input),
  }));
  await carry({
    source,
    extra: () => ({ ...speedField(source.speed), ...pushed?.stats }),
    statusExtra: () => asSpeed(source.speed),
    // Check the input before contacting the server: a push session with nothing to send helps nobody.
    openSinks: async () => {
      startedAt = Date.now();
      pushed = await openPush(access, options, {
        reporter,
        interruption,
        alternatives,
        patient: options.copy ?? false,
        onDrop: (packet) => statistics.drop(packet),
      });
      const sinks: AsfSink[] = [pushed];
      if (archive !== undefined) {
        const existing = await existingFor(archive, options, 'number');
        const warn = (message: string) => reporter.warn(message);
        const markerSpace = (options.script ?? options.control) === undefined ? 0 : MARKER_SPACE;
        kept = new LimitedArchive(archive, { existing, markerSpace, patience: DISK_PATIENCE, warn, limits });
        sinks.push(new AsideSink(kept, warn));
      }
      return sinks;
    },
    reporter,
    interruption,
    name: url,
    onReady: (header) => {
      const { words, fields } = describeForReady(header);
      reporter.event('ready', { url, startedAt, ...fields });
      reporter.info(`Pushing ${words} to ${url}`);
    },
    onEnd: (carried, failed) => {
      void control?.close();
      if (failed) return;
      const { mediaSeconds, packets, bytes } = carried;
      const files = kept?.files.map(({ path, packets: inFile, bytes: size }) => ({
        path,
        packets: inFile,
        bytes: size,
      }));
      const failedInputs = [...input.failed].map(([name, error]) => ({ input: name, message: messageOf(error) }));
      reporter.event('done', {
        ...{ ...carried, ...pushed?.stats, ...figuresOf(input) },
        ...(files ? { files } : {}),
        ...(failedInputs.length > 0 && { failedInputs }),
      });
      const lost = pushed ? lossOf(pushed.stats) : '';
      reporter.info(`Pushed ${asClock(mediaSeconds)}, ${packets} packets, ${withUnit(bytes, 'B')}.${lost}`);
      for (const line of describeFigures(input)) reporter.info(line);
      for (const { input: name, message } of failedInputs) reporter.info(`  ${name} was not played: ${message}`);
    },
  });
  // Of a folder or a list, somebody wants to know that all of it was played.
  const isBatch = names.some((name) => !inputNames(options, extra).includes(name));
  const [failure] = isBatch ? input.failed.values() : [];
  const failed = failure instanceof WmError ? failure.exitCode : 1;
  process.exitCode = interruption.exitCode || (failure === undefined ? 0 : failed);
}
