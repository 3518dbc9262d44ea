import { Command, InvalidArgumentError } from 'commander';
import { WmError } from '../errors.js';
import { LOG_GROUPINGS, type LogGrouping, LogReport } from '../wmlog/report/report.js';
import { logBytes, logFiles } from './log-files.js';
import { eventsOf, inWords } from './logs-output.js';
import { addCommonOptions, Interruption, parsedBy, wholeNumber } from './program.js';
import { Reporter, type ReporterOptions } from './reporter.js';

interface LogsOptions extends ReporterOptions {
  readonly by: readonly LogGrouping[];
  readonly top: number;
  readonly from?: number;
  readonly to?: number;
  readonly chart: boolean;
}

/** Describes the command `logs`. */
export function logsCommand(): Command {
  const command = new Command('logs')
    .description(
      'Reads log files of this server and of Windows Media Services, and reports sessions, viewers and losses.',
    )
    .argument('[files...]', 'log files, also compressed with gzip, or folders of them; - is standard input')
    .option(
      '--by <list>',
      `tables to print, separated by commas: ${LOG_GROUPINGS.join(', ')} (default: content,client)`,
      groupings,
      ['content', 'client'],
    )
    .option('--top <n>', 'lines in each table (default: 10)', wholeNumber(1, 100_000), 10)
    .option(
      '--from <time>',
      'leave out what ended before, for example 2026-11-30 or 2026-11-30T18:00 (UTC)',
      parsedBy(time),
    )
    .option('--to <time>', 'leave out what ended at that time or later', parsedBy(time))
    .option('--no-chart', 'print no chart of the viewers over time')
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast logs /var/log/wmcast\n  wmcast logs --by content,hour --from 2026-11-30 WMS_20261130.log\n  wmcast logs --json -',
    );
  return addCommonOptions(command).action((files: readonly string[], options: LogsOptions) => logs(files, options));
}

async function logs(names: readonly string[], options: LogsOptions): Promise<void> {
  const reporter = new Reporter(options);
  const interruption = new Interruption();
  interruption.signal.addEventListener('abort', () => process.exit(interruption.exitCode));
  const { by, from, to, top, chart } = options;
  const files = await logFiles(names.length > 0 ? names : standardInput());
  const report = new LogReport({ by, from, to });
  for (const name of files) {
    for await (const bytes of logBytes(name, interruption.signal)) report.push(bytes);
    report.endFile();
  }
  const { malformedLines, leftOut, total } = report;
  if (total.lines === 0 && leftOut === 0 && malformedLines > 0) {
    throw new WmError('WM_BAD_INPUT', `${files.join(', ')}: no line is one of a Windows Media server's log.`);
  }
  if (malformedLines > 0) reporter.warn(`${malformedLines} lines could not be read and are left out.`);
  if (reporter.json)
    for (const { event, ...fields } of eventsOf(report, files.length, top)) reporter.event(event, fields);
  else reporter.print(inWords(report, { files: files.length, top, chart, width: process.stdout.columns || 100 }));
}

/** @throws WmError WM_USAGE on a terminal, where nobody would know what the command waits for */
function standardInput(): readonly string[] {
  if (process.stdin.isTTY) throw new WmError('WM_USAGE', 'Name the log files, or - for standard input.');
  return ['-'];
}

function groupings(text: string): LogGrouping[] {
  return text.split(',').map((name) => {
    const found = LOG_GROUPINGS.find((each) => each === name.trim());
    if (!found) throw new InvalidArgumentError(`It takes a list of ${LOG_GROUPINGS.join(', ')}.`);
    return found;
  });
}

/** Parses a date, with or without a time; UTC unless it says otherwise. @throws WmError WM_USAGE */
function time(text: string): number {
  const [, date, clock = 'T00:00', zone = 'Z'] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?(Z|[+-]\d\d:?\d\d)?$/
      .exec(text)
      ?.map((part, index) => (index === 2 && part !== undefined ? `T${part}` : part)) ?? [];
  const milliseconds = Date.parse(`${date}${clock}${zone}`);
  if (Number.isNaN(milliseconds))
    throw new WmError('WM_USAGE', 'It takes a time such as 2026-11-30 or 2026-11-30T18:00.');
  return milliseconds / 1000;
}
