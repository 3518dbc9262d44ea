import type { Command } from 'commander';
import { EncoderServer } from '../server/encoder.js';
import { emptyInput } from './carry.js';
import { keepYoungSpaceSmall } from './heap.js';
import { addInputOptions, checkInput, type InputOptions, openSource } from './input-options.js';
import { addCommonOptions, Interruption, newProgram, portNumber, wholeNumber } from './program.js';
import { RateMeter, STATS_INTERVAL } from './rate.js';
import { Reporter, type ReporterOptions, withUnit } from './reporter.js';

interface PullServeOptions extends InputOptions, ReporterOptions {
  readonly host?: string;
  readonly httpPort: number;
  readonly maxClients?: number;
  readonly allow?: string[];
  readonly onDemand?: true;
}

/** After a signal a capture may take so long to come to its end, in ms. */
const GRACE = 3_000;

export function pullServeCommand(): Command {
  const command = newProgram(
    'wmpull-serve',
    'Captures with ffmpeg, or reads ASF, and lets servers and players pull it with WMSP.',
  ).argument('[ffmpeg arguments...]', 'behind --: given to ffmpeg as they are');
  return addCommonOptions(
    addInputOptions(command)
      .option('--host <address>', 'the address to listen on (default: all)')
      .option('--http-port <port>', '0 takes a free one', portNumber, 8080)
      .option('--max-clients <number>', 'more than so many pullers at a time are refused', wholeNumber(1, 100_000))
      .option('--allow <address...>', 'who may pull: addresses or networks such as 192.0.2.0/24 (default: all)')
      .option('--on-demand', 'capture only while somebody pulls'),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  wmpull-serve --http-port 8080\n  wmpull-serve -i show.wmv --copy --loop --allow 192.0.2.7',
    )
    .action((extra: string[], options: PullServeOptions) => serve(extra, options));
}

async function serve(extra: string[], options: PullServeOptions): Promise<void> {
  keepYoungSpaceSmall();
  const reporter = new Reporter(options);
  const interruption = new Interruption();
  checkInput(options, extra);
  const server = await EncoderServer.start({
    host: options.host,
    httpPort: options.httpPort,
    open: () => openSource(options, extra, reporter),
    onDemand: options.onDemand ?? false,
    maxClients: options.maxClients,
    allow: options.allow ?? [],
    onPlay: (client, address) => reporter.info(`${address} pulls (${client})`),
    onPlayed: (report) => {
      reporter.event('played', { ...report });
      reporter.info(`${report.remoteAddress} left after ${Math.round(report.milliseconds / 1000)} s`);
    },
    onError: (error) => reporter.warn(error instanceof Error ? error.message : String(error)),
  });
  const { ports } = server;
  const url = `http://${options.host ?? 'localhost'}:${ports.http}`;
  reporter.event('ready', { ports, urls: [url] });
  reporter.info(`Pull from ${url}, or play mmsh://${options.host ?? 'localhost'}:${ports.http}/`);
  void interruption.received.then(() => server.close());
  const meter = new RateMeter();
  const timer = setInterval(() => {
    const { bytesOut, packetsIn } = server.broadcast.counters;
    const rate = meter.bitsPerSecond(bytesOut);
    reporter.event('stats', { clients: server.clients, packets: packetsIn, bytesOut });
    reporter.status(`${server.clients} pulling, ${packetsIn} packets captured, ${withUnit(rate, 'bit/s')} out`);
  }, STATS_INTERVAL);
  try {
    await interruption.race(server.run(), { grace: GRACE });
  } finally {
    clearInterval(timer);
    reporter.endStatus();
    await interruption.race(server.close(), { grace: GRACE });
  }
  if (!options.onDemand && server.broadcast.generation === 0 && !interruption.signal.aborted) throw emptyInput();
  reporter.event('done', {
    packets: server.broadcast.counters.packetsIn,
    bytesOut: server.broadcast.counters.bytesOut,
  });
  process.exitCode = interruption.exitCode;
}
