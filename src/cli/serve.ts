import { opendir } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { messageOf, WmError } from '../errors.js';
import { systemErrorReason } from '../media/system-error.js';
import type { SessionReport } from '../playback/registry.js';
import { configSchema, defaultConfig, type ServerConfig } from '../server/config.js';
import { checkLoaded, loadConfig } from '../server/config-file.js';
import { ConfigWatch } from '../server/config-watch.js';
import { youngSpaceLimit } from '../server/heap.js';
import type { AdminPort } from '../server/listeners/admin.js';
import type { ServerPorts } from '../server/listeners/listener.js';
import type { MsbdPort } from '../server/listeners/msbd.js';
import { rehearse } from '../server/rehearsal.js';
import { reloadSentence } from '../server/reload.js';
import { MediaServer } from '../server/server.js';
import type { ProcessView } from '../server/workers/fleet.js';
import { addFaultOption, faultsOf, UNFIT_FOR_SERVERS } from './fault-option.js';
import { parseMsbdPort } from './msbd-port.js';
import { addCommonOptions, Interruption, parsedBy, portNumber, wholeNumber } from './program.js';
import { RateMeter, STATS_INTERVAL } from './rate.js';
import { asClock, Reporter, withUnit } from './reporter.js';
import { LOG_ROOMS, parseLogLevels, ServeLog, type ServeLogOptions } from './serve-log.js';
import { notifySystemd } from './systemd.js';
import { type TlsOptions, tlsFiles } from './tls-options.js';

interface ServeOptions extends ServeLogOptions, TlsOptions {
  readonly config?: string;
  readonly host?: string;
  readonly httpPort?: number | 'none';
  readonly httpsPort?: number;
  readonly msbdPort?: MsbdPort;
  readonly adminPort?: AdminPort;
  readonly mmsPort?: number | 'none';
  readonly rtspPort?: number | 'none';
  readonly workers?: number | 'auto';
  readonly drain?: number;
  readonly users?: string;
  readonly content?: string;
  readonly logDir?: string;
  readonly fault?: string;
  readonly proxyOrigin?: string;
  readonly proxyForward?: boolean;
  readonly cache?: string;
  readonly cacheSize?: string;
}

/** Builds `wmcast serve`. */
export function serveCommand(): Command {
  const command = new Command('serve')
    .description('Runs the media server: accepts pushes, serves players.')
    .optionsGroup('Configuration:')
    .option('--config <file.yaml>', 'read a configuration; command-line options take precedence')
    .option('--host <address>', 'address to listen on (default: all)')
    .option(
      '--http-port <port>',
      'port for WMSP, pushes and announcements; 0 picks a free one, none opens none (default: 8080)',
      httpPort,
    )
    .option('--tls-cert <file>', 'certificate chain in PEM form: serve the same over TLS')
    .option('--tls-key <file>', 'private key of the certificate, in PEM form')
    .option('--https-port <port>', 'port for TLS; 0 picks a free one (default: 8443)', portNumber)
    .option(
      '--msbd-port <port>',
      'port for MSBD; 0 picks a free one, none opens none (default: 7007 if it is free)',
      parseMsbdPort,
    )
    .option(
      '--mms-port <port>',
      'port for MMSP over TCP and UDP, for example 1755; 0 picks a free one (default: none)',
      httpPort,
    )
    .option('--rtsp-port <port>', 'port for RTSP, for example 554; 0 picks a free one (default: none)', httpPort)
    .option(
      '--workers <n>',
      'processes that serve players, besides the one that takes pushes; auto: one for each processor (default: one process does everything)',
      workerCount,
    )
    .option(
      '--drain <seconds>',
      'how long players may stay in a process that an upgrade (SIGUSR2) has replaced (default: 600)',
      wholeNumber(0, 2_000_000),
    )
    .option(
      '--admin-port <port>',
      'port for the administration on 127.0.0.1; 0 picks a free one, none opens none (default: 8081 if it is free)',
      parseMsbdPort,
    )
    .option('--users <file>', 'file of users, kept by wmcast users; they may push from anywhere')
    .option('--content <folder>', 'folder of on-demand files and playlists, served below /')
    .option('--log-dir <folder>', 'folder for the W3C log files of sessions, as Windows Media Services wrote them')
    .option('--proxy-origin <url>', 'also serve what the server at this URL has, as its proxy')
    .option('--proxy-forward', 'pass on requests of clients that use this server as their proxy')
    .option('--cache <folder>', 'folder for what the proxy fetches')
    .option('--cache-size <size>', 'how much the folder may hold, for example 500MB (default: 10GB)')
    .addOption(new Option('--log-format <format>', 'format of the log').choices(['text', 'json']).default('text'))
    .option(
      '--log-level <levels>',
      `debug, info, warn, error or silent, also for parts of the log (${LOG_ROOMS.join(', ')}): warn,players=info (default: info)`,
      parsedBy(parseLogLevels),
    )
    .option(
      '--log-file <file>',
      'write the log to a file instead of standard error; SIGUSR1 opens it again after a rotation',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast serve\n  wmcast serve --config serve.yaml\n  wmcast serve --content /srv/media --http-port 80\n  wmcast serve --proxy-origin http://media.example.com --cache /var/cache/wmcast',
    );
  return addCommonOptions(addFaultOption(command)).action((options: ServeOptions) => serve(options));
}

async function serve(options: ServeOptions): Promise<void> {
  const limitYoungSpace = youngSpaceLimit();
  const reporter = new Reporter(options);
  const log = new ServeLog(options, reporter);
  const interruption = new Interruption();
  const config = await configOf(options);
  // The main process of workers serves no players.
  const rehearsed = config.workers === undefined ? rehearse() : undefined;
  const starting = MediaServer.start(
    config,
    {
      point: (event) => {
        log.info('points', event, `${event.point} ${event.what}`);
        reporter.event('point', { ...event });
      },
      play: (session) => {
        limitYoungSpace();
        const { path, client, remoteAddress, protocol } = session;
        log.info(
          'players',
          session,
          `${remoteAddress} plays ${path} by ${protocol} with ${client || 'an unnamed player'}`,
        );
      },
      played: (report) => log.info('players', report, playedSentence(report)),
      warning: (message) => log.warn(message),
      log: (submitted) => log.debug('reports', submitted, 'log submitted'),
      // Players are asked for their events only if the log shows them.
      ...(log.isEnabled('reports', 'debug')
        ? { event: (path: string, text: string) => log.debug('reports', { path, text }, 'event submitted') }
        : {}),
      reloaded: (report) => {
        log.info('server', report, reloadSentence(report));
        reporter.event('reload', { ...report });
      },
      upgraded: (processes) => {
        log.info('server', { processes }, upgradeSentence(processes));
        reporter.event('upgrade', { processes });
      },
      error: (error) => log.error(error),
    },
    options.config === undefined ? {} : { file: options.config, load: () => configOf(options) },
  );
  // Before the server has started there is nothing to replace.
  let upgrade = () => {};
  process.on('SIGUSR2', () => upgrade());
  const server = await interruption.race(starting, { late: (late) => void late.close() });
  await rehearsed;
  upgrade = () => void server.upgrade().catch((error: unknown) => log.warn(messageOf(error)));
  const stopWatching = watch(server, options.config, interruption, (message) => log.warn(message));
  const { ports, baseUrl } = server;
  const msbdUrls = ports.msbd === undefined ? [] : [`msbd://${new URL(baseUrl).hostname}:${ports.msbd}`];
  const mmsUrls = ports.mms === undefined ? [] : [`mms://${new URL(baseUrl).hostname}:${ports.mms}`];
  const rtspUrls = ports.rtsp === undefined ? [] : [`rtsp://${new URL(baseUrl).hostname}:${ports.rtsp}`];
  const urls = [
    baseUrl,
    ...[...server.points].map(({ path }) => `${baseUrl}${path}`),
    ...msbdUrls,
    ...mmsUrls,
    ...rtspUrls,
  ];
  reporter.event('ready', { ports, urls });
  const pushUrl = `${pushBase(config, baseUrl) ?? baseUrl}/live`;
  const playUrl = ports.https === undefined ? `mmsh://${new URL(baseUrl).host}/live` : `${baseUrl}/live`;
  reporter.info(`Listening on ${placesOf(config.host, ports)}\nPush with: wmpush ${pushUrl}\nPlay with: ${playUrl}`);
  notifySystemd('ready', { onWarning: (message) => log.warn(message) });
  const meter = new RateMeter();
  const timer = setInterval(() => {
    limitYoungSpace();
    const stats = server.stats();
    reporter.event('stats', { ...stats });
    const rate = withUnit(meter.bitsPerSecond(stats.bytesOut), 'bit/s');
    reporter.status(`${stats.publishers} publishing, ${stats.players} playing, ${rate} out`);
  }, STATS_INTERVAL);
  await interruption.received;
  stopWatching();
  notifySystemd('stopping', { onWarning: (message) => log.warn(message) });
  clearInterval(timer);
  reporter.endStatus();
  await server.close();
  log.close();
  reporter.event('done', { ...server.stats() });
  process.exitCode = interruption.exitCode;
}

/**
 * Has the server read its configuration again when the file changes, and at SIGHUP.
 *
 * @returns a function that stops watching
 */
function watch(
  server: MediaServer,
  file: string | undefined,
  interruption: Interruption,
  warn: (message: string) => void,
): () => void {
  if (file === undefined) return () => {};
  const reload = () =>
    server.reload().then(
      () => {},
      (error: unknown) => warn(`${messageOf(error)}\nThe configuration stays as it was.`),
    );
  const watched = new ConfigWatch(file, () => void reload());
  interruption.onHangUp(() => {
    watched.seen();
    void reload();
  });
  return () => watched.close();
}

/** Says which processes an upgrade has started, and which it has replaced. */
function upgradeSentence(processes: readonly ProcessView[]): string {
  const named = (wanted: string) =>
    processes
      .filter(({ state, number }) => state === wanted && (number !== 0 || wanted === 'draining'))
      .map(({ number, pid, version, players }) =>
        wanted === 'serving'
          ? `worker ${number} (process ${pid}, version ${version})`
          : `${number === 0 ? 'the main process' : `worker ${number}`} (${players} players)`,
      )
      .join(', ');
  const left = named('draining');
  return `Upgraded: new players go to ${named('serving')}${left === '' ? '' : `; players stay in ${left}`}.`;
}

/** Lists the addresses and ports that a server listens on, in words. */
export function placesOf(host: string | undefined, ports: ServerPorts): string {
  const everywhere = host === undefined || host === '0.0.0.0' || host === '::';
  const listed = Object.entries(ports).map(([name, port]) => `${name.toUpperCase()} ${port}`);
  return `${everywhere ? 'all addresses' : host}: ${listed.join(', ')}`;
}

/** Composes the log line about a player that has left. */
export function playedSentence({ remoteAddress, path, milliseconds, bytes, skippedPackets }: SessionReport): string {
  const left = skippedPackets > 0 ? `, ${skippedPackets} packets left out` : '';
  return `${remoteAddress} played ${path} for ${asClock(milliseconds / 1000)}, ${withUnit(bytes, 'B')}${left}`;
}

/**
 * Returns the base URL that pushes have to use, if the server listens on all addresses but accepts pushes from this
 * host only.
 */
export function pushBase({ host, users }: ServerConfig, baseUrl: string): string | undefined {
  const everywhere = host === undefined || host === '0.0.0.0' || host === '::';
  if (!everywhere || users !== undefined) return undefined;
  const { protocol, port } = new URL(baseUrl);
  return `${protocol}//localhost${port === '' ? '' : `:${port}`}`;
}

const LOGS = { maxSize: 100, proxies: [], submissions: true };

/** @throws InvalidArgumentError */
function workerCount(text: string): number | 'auto' {
  if (text === 'auto') return text;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 64)
    throw new InvalidArgumentError('It must be a number from 1 to 64, or auto.');
  return count;
}

const httpPort = (text: string): number | 'none' => (text === 'none' ? text : portNumber(text));

async function configOf(options: ServeOptions): Promise<ServerConfig> {
  const { config: file, host, httpPort, users, content: folder, logDir } = options;
  const loaded = file === undefined ? undefined : await loadConfig(file);
  const base = loaded?.config ?? defaultConfig();
  const tls = tlsOf(options, base);
  const faults = faultsOf({ fault: options.fault ?? base.faults }, UNFIT_FOR_SERVERS) && (options.fault ?? base.faults);
  const config = {
    ...base,
    ...(faults === undefined ? {} : { faults }),
    ...(host === undefined ? {} : { host }),
    ...(httpPort === undefined ? {} : { httpPort }),
    ...(tls === undefined ? {} : { tls }),
    msbd: { ...base.msbd, port: options.msbdPort ?? base.msbd.port ?? 'auto' },
    ...(options.mmsPort === undefined ? {} : { mms: { port: options.mmsPort } }),
    ...(options.rtspPort === undefined ? {} : { rtsp: { ...base.rtsp, port: options.rtspPort } }),
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    ...(options.drain === undefined ? {} : { drain: options.drain }),
    admin: { ...base.admin, port: options.adminPort ?? base.admin.port ?? 'auto' },
    ...(users === undefined ? {} : { users }),
    ...(folder === undefined ? {} : { content: { ...base.content, folder } }),
    ...(logDir === undefined ? {} : { logs: { ...LOGS, ...base.logs, folder: logDir } }),
    ...proxyOf(options, base),
  };
  if (loaded) checkLoaded(loaded, config);
  if (config.content !== undefined) await checkFolder(config.content.folder);
  return config;
}

/** @throws WmError WM_USAGE for an unusable option */
function proxyOf(options: ServeOptions, { proxy }: ServerConfig): Pick<ServerConfig, 'proxy'> {
  const { proxyOrigin, proxyForward, cache, cacheSize } = options;
  if (proxyOrigin === undefined && !proxyForward && cache === undefined && cacheSize === undefined) return {};
  const folder = cache ?? proxy?.cache?.folder;
  if (cacheSize !== undefined && folder === undefined) throw new WmError('WM_USAGE', '--cache-size needs --cache.');
  const maxSize = cacheSize === undefined ? proxy?.cache?.maxSize : megabytes(cacheSize);
  const merged = {
    ...proxy,
    ...(proxyOrigin === undefined ? {} : { origin: proxyOrigin }),
    ...(proxyForward ? { forward: true } : {}),
    ...(folder === undefined ? {} : { cache: { folder, ...(maxSize === undefined ? {} : { maxSize }) } }),
  };
  if (merged.origin === undefined && !merged.forward && !merged.transparent) {
    throw new WmError('WM_USAGE', '--cache needs --proxy-origin or --proxy-forward.');
  }
  const parsed = configSchema.shape.proxy.safeParse(merged);
  if (parsed.success) return { proxy: parsed.data };
  const [issue] = parsed.error.issues;
  throw new WmError('WM_USAGE', `--proxy-origin ${issue?.message}.`);
}

/** Reads a size with a unit, in MB. @throws WmError WM_USAGE */
function megabytes(text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([MGT])B?$/i.exec(text.trim()) ?? [];
  const size = Number(digits) * 1_000 ** 'MGT'.indexOf(unit.toUpperCase());
  if (size >= 1) return size;
  throw new WmError('WM_USAGE', `"${text}" is no size for --cache-size: that is, for example, 500MB or 20GB.`);
}

/** @throws WmError WM_USAGE if only one of the two options is given */
function tlsOf(options: ServeOptions, { tls }: ServerConfig): ServerConfig['tls'] {
  const { httpsPort } = options;
  const files = tlsFiles(options, tls);
  if (files) return { ...files, port: httpsPort ?? tls?.port ?? 8443 };
  if (httpsPort === undefined) return undefined;
  throw new WmError('WM_USAGE', '--https-port needs --tls-cert and --tls-key.');
}

/**
 * Rejects a missing folder. The server itself would accept one that appears later, but on a command line it is a typing
 * error. @throws WmError WM_CONFIG
 */
async function checkFolder(folder: string): Promise<void> {
  try {
    await (await opendir(folder)).close();
  } catch (error) {
    const sentence = `The content folder ${folder} cannot be read: ${systemErrorReason(error)}.`;
    throw new WmError('WM_CONFIG', sentence, { cause: error });
  }
}
