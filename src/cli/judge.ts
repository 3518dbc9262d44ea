import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { parseDuration } from '../capture/options.js';
import { WmError } from '../errors.js';
import { judgeEncoder } from '../judge/encoder.js';
import type { JudgeGuestOptions } from '../judge/guest.js';
import { judgePlayer } from '../judge/player.js';
import { Recorder } from '../judge/recording.js';
import { brokenRules, countOutcomes, type JudgeReport, reportJunit, reportText } from '../judge/report.js';
import { judgeServer } from '../judge/server.js';
import type { AsfSource } from '../media/events.js';
import { fileSource } from '../media/file-source.js';
import { SyntheticSource } from '../testing/synthetic.js';
import { isSynthetic, parseSynthetic } from '../testing/synthetic-url.js';
import { GuestProgram } from './guest-program.js';
import { addCommonOptions, Interruption, parsedBy, portNumber } from './program.js';
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
    .addCommand(serverCommand())
    .addCommand(playerCommand())
    .addCommand(encoderCommand());
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

function playerCommand(): Command {
  const command = new Command('player')
    .description(
      'Offers a broadcast of two entries to a player (WMSP over HTTP), and reports every rule that the player breaks.',
    )
    .argument('[command...]', 'after --: the player, which is started with {url} replaced and stopped at the end')
    .option('-i, --input <x>', 'what is played: synthetic:… or an ASF file (default: synthetic:)')
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast judge player --port 8080\n  wmcast judge player -i film.wmv -- mpv --no-video {url}',
    );
  return addJudgeOptions(addGuestOptions(command), 'how long the broadcast lasts (default: 10 s)').action(
    (words: string[], options: GuestOptions) => runPlayer(words, options),
  );
}

function encoderCommand(): Command {
  const command = new Command('encoder')
    .description('Accepts the push of an encoder (WMHTTP), and reports every rule that the encoder breaks.')
    .argument('[command...]', 'after --: the encoder, which is started with {url} replaced and stopped at the end')
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast judge encoder --host 0.0.0.0 --port 8080\n  wmcast judge encoder -- wmpush -i test {url}',
    );
  return addJudgeOptions(addGuestOptions(command), 'how long a push is received (default: 10 s)').action(
    (words: string[], options: GuestOptions) => runEncoder(words, options),
  );
}

interface GuestOptions extends JudgeOptions {
  readonly host?: string;
  readonly port?: number;
  /** Seconds. */
  readonly wait?: number;
  readonly input?: string;
}

function addGuestOptions(command: Command): Command {
  return command
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <port>', 'port to listen on (default: a free one)', portNumber)
    .option(
      '--wait <time>',
      'how long to wait for a connection (default: 60 s)',
      parsedBy((text) => parseDuration(text, '--wait')),
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

async function runEncoder(words: readonly string[], options: GuestOptions): Promise<void> {
  const guest = openGuest('encoder', words, options);
  await conclude(await judgeEncoder(guest.judging, guest.recorder), { ...guest, options });
}

async function runPlayer(words: readonly string[], options: GuestOptions): Promise<void> {
  const { input = 'synthetic:' } = options;
  if (!isSynthetic(input)) await access(input).catch(() => fail(`There is no ${input}.`));
  const source = (entry: 1 | 2): AsfSource => {
    if (!isSynthetic(input)) return fileSource({ path: input, pace: true, live: true });
    const parsed = parseSynthetic(input);
    return new SyntheticSource({ ...parsed, seed: (parsed.seed ?? 1) + entry - 1, pace: true });
  };
  const guest = openGuest('player', words, options);
  await conclude(await judgePlayer({ ...guest.judging, source }, guest.recorder), { ...guest, options });
}

function fail(message: string): never {
  throw new WmError('WM_NO_INPUT', message);
}

/** Starts the program that is judged, if it was given; prints the URL for it, if not. */
function openGuest(role: 'player' | 'encoder', words: readonly string[], options: GuestOptions) {
  const reporter = new Reporter(options);
  const interruption = new Interruption();
  const recorder = new Recorder();
  const [program, ...rest] = words;
  let running: GuestProgram | undefined;
  const { host, port, wait, duration } = options;
  const judging: JudgeGuestOptions = {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(wait !== undefined && { wait: wait * 1000 }),
    ...(duration !== undefined && { duration: duration * 1000 }),
    signal: interruption.signal,
    onReady: (url) => {
      reporter.event('ready', { url });
      reporter.info(program === undefined ? `Use the ${role} with ${url}` : `Judging ${program} with ${url}`);
      if (program !== undefined) running = new GuestProgram(program, rest, url);
    },
    onOver: async () => running?.stop(),
  };
  return { judging, reporter, interruption, recorder };
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
