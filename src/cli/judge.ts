import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { parseDuration } from '../capture/options.js';
import { WmError } from '../errors.js';
import { Recorder } from '../judge/recording.js';
import { brokenRules, countOutcomes, type JudgeReport, reportJunit, reportText } from '../judge/report.js';
import { judgeServer } from '../judge/server.js';
import { addCommonOptions, Interruption, parsedBy } from './program.js';
import { Reporter, type ReporterOptions } from './reporter.js';

interface JudgeOptions extends ReporterOptions {
  readonly junit?: string;
  readonly record?: string;
  readonly strict?: true;
  /** Seconds. */
  readonly duration?: number;
}

/** Builds `wmcast judge`. */
export function judgeCommand(): Command {
  return new Command('judge')
    .description('Tests a server, a player or an encoder of somebody else against the rules of the protocols.')
    .addCommand(serverCommand());
}

function serverCommand(): Command {
  const command = new Command('server')
    .description('Runs a scripted session against a server (WMSP over HTTP), and reports every rule that it breaks.')
    .argument('<url>', 'a stream or a file on the server, for example mmsh://server/live')
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast judge server mmsh://server/film.wmv\n  wmcast judge server --junit report.xml http://server:8080/live',
    );
  return addJudgeOptions(command, 'how long media are received (default: 6 s)').action(
    (url: string, options: JudgeOptions) => runServer(url, options),
  );
}

function addJudgeOptions(command: Command, duration: string): Command {
  command
    .option(
      '-t, --duration <time>',
      duration,
      parsedBy((text) => parseDuration(text, '--duration')),
    )
    .option('--strict', 'fail for rules too that only should be kept')
    .option('--junit <file>', 'write the report as JUnit XML')
    .option('--record <dir>', 'keep all bytes that were sent and received');
  return addCommonOptions(command);
}

async function runServer(url: string, options: JudgeOptions): Promise<void> {
  const reporter = new Reporter(options);
  const interruption = new Interruption();
  const recorder = new Recorder();
  const report = await judgeServer(
    url,
    {
      ...(options.duration !== undefined && { play: options.duration * 1000 }),
      signal: interruption.signal,
      onStep: (name) => reporter.status(name),
    },
    recorder,
  );
  reporter.endStatus();
  await conclude(report, { options, reporter, recorder, interruption });
}

/** Reports, and sets the exit code: 1 if a rule was broken. */
async function conclude(
  report: JudgeReport,
  {
    options,
    reporter,
    recorder,
    interruption,
  }: { options: JudgeOptions; reporter: Reporter; recorder: Recorder; interruption: Interruption },
): Promise<void> {
  if (options.record !== undefined) await saveRecording(options.record, recorder);
  if (options.junit !== undefined) await saved(options.junit, reportJunit(report, options.strict ?? false));
  if (interruption.signal.aborted) {
    process.exitCode = interruption.exitCode;
    return;
  }
  for (const result of report.rules) reporter.event('rule', { ...result });
  const broken = brokenRules(report, options.strict ?? false);
  const { role, url, program, duration } = report;
  reporter.event('done', { role, url, program, duration: Math.round(duration), ...countOutcomes(report) });
  if (!reporter.json) reporter.print(reportText(report, reporter.verbose));
  if (recorder.full) reporter.warn('More came than is kept; the rules were applied to the beginning.');
  if (broken.length === 0) return;
  const list = broken.map(({ rule }) => rule).join(', ');
  throw new WmError('WM_UNEXPECTED', `The ${role} breaks ${broken.length} rules: ${list}.`);
}

/** Writes what each side of each connection sent, a file for each. */
async function saveRecording(folder: string, recorder: Recorder): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw new WmError('WM_DISK', `${folder} cannot be made: ${(error as Error).message}.`);
  });
  for (const { number, chunks } of recorder.connections) {
    for (const side of ['client', 'server'] as const) {
      const bytes = Buffer.concat(chunks.filter(({ from }) => from === side).map((chunk) => chunk.bytes));
      await saved(join(folder, `${String(number).padStart(3, '0')}-${side}.bin`), bytes);
    }
  }
}

async function saved(path: string, content: string | Buffer): Promise<void> {
  await writeFile(path, content).catch((error: unknown) => {
    throw new WmError('WM_DISK', `${path} cannot be written: ${(error as Error).message}.`);
  });
}
