import { Command } from 'commander';
import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';
import { defaultConfig, readConfig, type ServerConfig } from '../server/config.js';
import { MediaServer } from '../server/server.js';
import { addCommonOptions, Interruption, portNumber } from './program.js';
import { Reporter, type ReporterOptions, withUnit } from './reporter.js';

interface ServeOptions extends ReporterOptions {
  readonly config?: string;
  readonly host?: string;
  readonly httpPort?: number;
  readonly content?: string;
  readonly logFormat: 'text' | 'json';
}

const STATS_INTERVAL = 1_000;

export function serveCommand(): Command {
  const command = new Command('serve')
    .description('the media server: takes pushes and serves players')
    .option('--config <file.yaml>', 'read a configuration; options of the command line come first')
    .option('--host <address>', 'the address to listen on (default: all)')
    .option('--http-port <port>', 'WMSP, pushes and announcements; 0 takes a free one (default: 8080)', portNumber)
    .option('--content <folder>', 'on-demand files, playlists and folders, served below /')
    .option('--log-format <format>', 'text or json, on standard error', 'text')
    .addHelpText('after', '\nExample: wmcast serve --http-port 8080\n  then:  wmpush http://localhost:8080/live');
  return addCommonOptions(command).action((options: ServeOptions) => serve(options));
}

async function serve(options: ServeOptions): Promise<void> {
  const reporter = new Reporter(options);
  const log = openLog(options);
  const interruption = new Interruption();
  const server = await MediaServer.start(await configOf(options), {
    point: (event) => {
      log.info(event, `${event.point} ${event.what}`);
      reporter.event('point', { ...event });
    },
    play: (path, client, address) => log.debug({ path, client, address }, `${address} plays ${path}`),
    played: (report) => log.info(report, `${report.remoteAddress} played ${report.path}`),
    warning: (message) => log.warn(message),
    log: (submitted) => log.debug(submitted, 'log submitted'),
    error: (error) => log.error(error, 'internal error'),
  });
  const { ports, baseUrl } = server;
  const urls = [baseUrl, ...[...server.points].map(({ path }) => `${baseUrl}${path}`)];
  reporter.event('ready', { ports, urls });
  reporter.info(
    `Listening: ${baseUrl}\nPush with: wmpush ${baseUrl}/live    Play with: mmsh://${new URL(baseUrl).host}/live`,
  );
  let lastOut = 0;
  const timer = setInterval(() => {
    const stats = server.stats();
    reporter.event('stats', { ...stats });
    const rate = withUnit(((stats.bytesOut - lastOut) * 8000) / STATS_INTERVAL, 'bit/s');
    lastOut = stats.bytesOut;
    reporter.status(`${stats.publishers} publishing, ${stats.players} playing, ${rate} out`);
  }, STATS_INTERVAL);
  await interruption.received;
  clearInterval(timer);
  reporter.endStatus();
  await server.close();
  reporter.event('done', { ...server.stats() });
  process.exitCode = interruption.exitCode;
}

async function configOf({ config: file, host, httpPort, content: folder }: ServeOptions): Promise<ServerConfig> {
  const config = file === undefined ? defaultConfig() : await readConfig(file);
  return {
    ...config,
    ...(host === undefined ? {} : { host }),
    ...(httpPort === undefined ? {} : { httpPort }),
    ...(folder === undefined ? {} : { content: { ...config.content, folder } }),
  };
}

function openLog({ logFormat, quiet, verbose }: ServeOptions): Logger {
  const level = quiet ? 'error' : verbose ? 'debug' : 'info';
  if (logFormat === 'json') return pino({ level }, pino.destination({ dest: 2, sync: true }));
  const colorize = process.stderr.isTTY && !process.env['NO_COLOR'];
  return pino(
    { level },
    pretty({ destination: 2, sync: true, colorize, hideObject: !verbose, ignore: 'pid,hostname' }),
  );
}
