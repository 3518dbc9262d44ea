import { Command } from 'commander';
import { inspectFfmpegs } from '../capture/find.js';
import { messageOf } from '../errors.js';
import { HttpServer } from '../http/server.js';
import { addCommonOptions } from './program.js';
import { Reporter, type ReporterOptions } from './reporter.js';

interface DoctorOptions extends ReporterOptions {
  readonly ffmpeg?: string;
}

const DEFAULT_HTTP_PORT = 8080;

/** Builds `wmcast doctor`. */
export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('Checks this host: ffmpeg and its encoders, free ports, what is missing.')
    .option('--ffmpeg <path>', 'also check this ffmpeg');
  return addCommonOptions(command).action((options: DoctorOptions) => doctor(options));
}

async function doctor(options: DoctorOptions): Promise<void> {
  const reporter = new Reporter(options);
  const candidates = await inspectFfmpegs({ explicit: options.ffmpeg });
  const usable = candidates.find(({ problem }) => problem === undefined);
  // A named ffmpeg is never replaced by another, so its problem is the answer.
  const named = candidates.find(({ origin }) => origin === '--ffmpeg' || origin === 'FFMPEG_PATH');
  const taken = named && named.problem !== undefined ? undefined : usable;
  const port = await portState(DEFAULT_HTTP_PORT);
  reporter.event('doctor', {
    node: process.versions.node,
    ffmpeg: taken ?? null,
    candidates,
    ports: { [DEFAULT_HTTP_PORT]: port },
  });
  if (!reporter.json) {
    reporter.print(`Node.js   ${process.versions.node}`);
    reporter.print(
      taken ? `ffmpeg    ${taken.version} (${taken.origin}: ${taken.path})` : 'ffmpeg    none that can be used',
    );
    if (taken) reporter.print(`encoders  ${taken.encoders?.join(' ')}`);
    for (const { origin, path, problem } of candidates) {
      if (problem !== undefined) reporter.print(`          ${origin}: ${path} ${problem}`);
    }
    reporter.print(`port ${DEFAULT_HTTP_PORT} ${port}`);
    reporter.print(
      taken
        ? 'Nothing is missing.'
        : 'Missing: an ffmpeg with the wmv2 and wmav2 encoders. Install one, or name it with FFMPEG_PATH.',
    );
  }
  process.exitCode = taken ? 0 : 69;
}

async function portState(port: number): Promise<string> {
  const server = new HttpServer({ onRequest: (exchange) => exchange.respond({ status: 503 }) });
  try {
    await server.listen(port, '127.0.0.1');
    await server.close();
    return 'free';
  } catch (error) {
    return messageOf(error);
  }
}
