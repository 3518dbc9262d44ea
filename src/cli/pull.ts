import { Command } from 'commander';
import { WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import { LimitedArchive } from '../media/limited-archive.js';
import { StreamFacts } from '../testing/expect.js';
import { type ArchiveLimitOptions, addArchiveLimits, limitsOf } from './archive-options.js';
import { carry, describeForReady } from './carry.js';
import { addExpectOption, checkExpectations, type ExpectOptions } from './expect-option.js';
import { defaultFileName } from './file-name.js';
import { addForceOption, existingFor, type OutputOptions, refuseExisting } from './output-file.js';
import { addCommonOptions, Interruption, wholeNumber } from './program.js';
import { type ListOptions, pullList } from './pull-list.js';
import { addReceiveOptions, isServerUrl, openClient, type ReceiveOptions, warnOfStart } from './receive-options.js';
import { asClock, Reporter, type ReporterOptions, withUnit } from './reporter.js';
import { StdoutSink } from './stdout-sink.js';

interface PullOptions
  extends ExpectOptions,
    ReceiveOptions,
    ReporterOptions,
    OutputOptions,
    ArchiveLimitOptions,
    ListOptions {
  readonly output?: string;
}

/** Builds `wmcast pull`. */
export function pullCommand(): Command {
  const command = new Command('pull')
    .description('Receives a stream and records it.')
    .argument('[url]', 'stream, for example mmsh://server/live or msbd://encoder:7007, or an .nsc, .asx or .m3u file')
    .option(
      '-o, --output <file>',
      'file to record to; - writes plain ASF to standard output (default: named after the URL); with --list a folder',
    )
    .option('--list <file>', 'receive all streams of a file: a URL a line, and after a blank the name of its file')
    .option('--jobs <n>', 'streams of the list to receive at a time (default: 4)', wholeNumber(1, 64))
    .option(
      '--manifest <file>',
      'file that remembers what of the list is done (default: that of the list and .manifest)',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast pull mmsh://server/live -o live.asf\n  wmcast pull --retry forever http://radio:8000/ -o radio.asf' +
        '\n  wmcast pull mms://server/film.wmv -o - | ffplay -',
    );
  return addCommonOptions(addExpectOption(addReceiveOptions(addArchiveLimits(addForceOption(command))))).action(
    (url: string | undefined, options: PullOptions) => (url === undefined ? pullAll(options) : pull(url, options)),
  );
}

/** Receives all streams of a list. */
async function pullAll(options: PullOptions): Promise<void> {
  const { list, output = '.' } = options;
  if (list === undefined) throw new WmError('WM_USAGE', 'A URL is missing, or a list of them (--list).');
  const alone = (['expect', 'archiveSize', 'archiveTime', 'archiveFree', 'force'] as const).find(
    (name) => options[name] !== undefined,
  );
  if (output === '-' || alone) {
    throw new WmError('WM_USAGE', `${alone === undefined ? '-o -' : optionName(alone)} does not go with --list.`);
  }
  const reporter = new Reporter(options);
  const interruption = new Interruption();
  process.exitCode = await pullList(options, { folder: output, options, reporter, interruption });
}

function optionName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

async function pull(source: string, options: PullOptions): Promise<void> {
  if (options.list !== undefined) throw new WmError('WM_USAGE', 'Give either a URL or --list.');
  const { url } = takeCredentials(source);
  const reporter = new Reporter(options);
  if (!isServerUrl(url)) throw new WmError('WM_USAGE', `"${url}" is not a URL; use relay or probe for files.`);
  const { output } = options;
  const toStdout = output === '-';
  if (toStdout && options.json) throw new WmError('WM_USAGE', '--json and -o - cannot both use standard output.');
  const path = output ?? defaultFileName(url);
  await refuseExisting(path, options);
  const client = openClient(source, options, reporter);
  const interruption = new Interruption();
  const limits = limitsOf(options, path);
  const isSeries = (limits.size ?? limits.duration ?? limits.free) !== undefined;
  // Later files of a series take free numbers, since there is nobody to ask in the middle of the night.
  const existing = await existingFor(path, options, isSeries ? 'number' : 'refuse');
  const archive = new LimitedArchive(path, { existing, limits, warn: (message) => reporter.warn(message) });
  const facts = new StreamFacts();
  const counts = () => {
    const { reconnects, lostPackets, recoveredPackets } = client.stats;
    return { reconnects, lostPackets, recoveredPackets };
  };
  await carry({
    source: client,
    openSinks: () => [toStdout ? new StdoutSink() : archive],
    reporter,
    interruption,
    name: url,
    duration: options.duration,
    extra: counts,
    onEvent: (event) => facts.take(event),
    onReady: (header) => {
      const { words, fields } = describeForReady(header);
      const description = client.description;
      reporter.event('ready', {
        url: description?.url ?? url,
        server: description?.server?.text,
        live: description?.live,
        output: path,
        ...fields,
      });
      reporter.info(`Receiving ${words} from ${url} ${toStdout ? '' : `into ${path}`}`.trimEnd());
      warnOfStart(header, options, true, reporter);
    },
    onEnd: (carried, failed) => {
      const files = archive.files.map(({ path: file, packets, bytes }) => ({ path: file, packets, bytes }));
      const { damagedPackets, lostPackets = 0, recoveredPackets } = client.stats;
      if (!failed) reporter.event('done', { ...carried, ...counts(), files });
      if (damagedPackets > 0) reporter.warn(`${damagedPackets} packets could not be read and were left out.`);
      if (lostPackets > 0) reporter.warn(`${lostPackets} packets never arrived.`);
      if (recoveredPackets) reporter.info(`${recoveredPackets} lost packets were recovered.`);
      if (failed && carried.packets === 0) return;
      const where = files.length === 0 ? '' : ` in ${files.map(({ path: file }) => file).join(', ')}`;
      const { mediaSeconds, packets, bytes } = carried;
      reporter.info(`Received ${asClock(mediaSeconds)}, ${packets} packets, ${withUnit(bytes, 'B')}${where}.`);
    },
  });
  checkExpectations(options, facts, reporter);
  process.exitCode = interruption.exitCode;
}
