import type { Command } from 'commander';
import { WmError } from '../errors.js';
import type { MeteredSource } from '../media/metered-source.js';
import { isMulticast } from '../msbd/messages/messages.js';
import type { MsbdMulticast } from '../msbd/server/options.js';
import { EncoderServer } from '../server/encoder.js';
import { youngSpaceLimit } from '../server/heap.js';
import type { MsbdPort } from '../server/listeners/msbd.js';
import { emptyInput } from './carry.js';
import { ControlPort, targetOf } from './control-port.js';
import { addFaultOption, type FaultOptions, faultsOf, UNFIT_FOR_SERVERS } from './fault-option.js';
import { addInputOptions, checkInput, type InputOptions } from './input-options.js';
import { parseMsbdPort } from './msbd-port.js';
import { asSpeed, type OpenedInput, openInput, speedField } from './open-input.js';
import {
  addCommonOptions,
  ffmpegArguments,
  Interruption,
  newProgram,
  parsedBy,
  portNumber,
  wholeNumber,
} from './program.js';
import { RateMeter, STATS_INTERVAL } from './rate.js';
import { Reporter, type ReporterOptions, withUnit } from './reporter.js';
import { describeFigures, figuresOf } from './stream-figures.js';
import { type TlsOptions, tlsFiles } from './tls-options.js';

interface PullServeOptions extends FaultOptions, InputOptions, ReporterOptions, TlsOptions {
  readonly host?: string;
  readonly httpPort: number;
  readonly maxClients?: number;
  readonly allow?: string[];
  readonly users?: string;
  readonly proxyProtocol?: string[];
  readonly onDemand?: true;
  /** False with --no-msbd. */
  readonly msbd: boolean;
  readonly msbdPort?: MsbdPort;
  readonly msbdMulticast?: MsbdMulticast;
  readonly multicastTtl?: number;
  readonly multicastInterface?: string;
  readonly multicastFec?: number;
}

/** After a signal, how long a capture may take to end, in ms. */
const GRACE = 3_000;

/** @param name `wmpull-serve`, or the name that `wmcast` gives it */
export function pullServeCommand(name = 'wmpull-serve'): Command {
  const command = newProgram(
    name,
    'Captures with ffmpeg, or reads ASF, and lets servers and players pull it with WMSP and MSBD.',
  ).argument('[ffmpeg arguments...]', 'arguments after -- are passed to ffmpeg unchanged');
  return addCommonOptions(
    addFaultOption(addInputOptions(command))
      .optionsGroup('Serving:')
      .option('--host <address>', 'address to listen on (default: all)')
      .option('--http-port <port>', 'port for WMSP; 0 picks a free one', portNumber, 8080)
      .option(
        '--msbd-port <port>',
        'port for MSBD; 0 picks a free one, none opens none (default: 7007 if it is free)',
        parseMsbdPort,
      )
      .option('--no-msbd', 'serve WMSP only')
      .option('--msbd-multicast <group:port>', 'group for MSBD clients that ask for multicast', parsedBy(parseGroup))
      .option('--multicast-ttl <n>', 'routers that multicast may pass (default: 1)', wholeNumber(0, 255))
      .option('--multicast-interface <address>', 'network interface for multicast, by name or address')
      .option(
        '--multicast-fec <n>',
        'send a parity packet after every n packets, 1 to 14 (default: none)',
        wholeNumber(1, 14),
      )
      .option('--max-clients <number>', 'refuse more clients than this', wholeNumber(1, 100_000))
      .option('--allow <address...>', 'addresses or networks that may pull, such as 192.0.2.0/24 (default: all)')
      .option(
        '--users <file>',
        'file of users: clients have to log in over HTTP; MSBD is then off unless a port is given',
      )
      .option(
        '--proxy-protocol <address...>',
        'addresses of proxies that announce their clients by the PROXY protocol, on every connection',
      )
      .option('--tls-cert <file>', 'certificate chain in PEM form: use TLS on the HTTP port')
      .option('--tls-key <file>', 'private key of the certificate, in PEM form')
      .option('--on-demand', 'capture only while a client pulls'),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  wmpull-serve --http-port 8080\n  wmpull-serve -i show.wmv --copy --loop --allow 192.0.2.7',
    )
    .action((extra: string[], options: PullServeOptions, self: Command) =>
      serve(ffmpegArguments(extra, self), options),
    );
}

/** @throws WmError WM_USAGE */
function parseGroup(text: string): MsbdMulticast {
  const [, address = '', port = ''] = /^([\d.]+):(\d{1,5})$/.exec(text) ?? [];
  const group = { address, port: Number(port) };
  if (!isMulticast(group))
    throw new WmError('WM_USAGE', 'It takes an IPv4 group and a port, such as 239.192.48.179:19009.');
  return group;
}

function multicastOf(options: PullServeOptions): MsbdMulticast | undefined {
  const { msbdMulticast, multicastTtl: ttl, multicastInterface, multicastFec: fec } = options;
  return msbdMulticast && { ...msbdMulticast, ttl, fec, interface: multicastInterface };
}

async function serve(extra: string[], options: PullServeOptions): Promise<void> {
  const limitYoungSpace = youngSpaceLimit();
  const reporter = new Reporter(options);
  const interruption = new Interruption();
  checkInput(options, extra);
  let source: MeteredSource | undefined;
  let opened: OpenedInput | undefined;
  const control =
    options.control === undefined ? undefined : await ControlPort.open(options.control, (line) => reporter.print(line));
  const server = await EncoderServer.start({
    host: options.host,
    httpPort: options.httpPort,
    msbdPort: options.msbd ? (options.msbdPort ?? 'auto') : 'none',
    multicast: multicastOf(options),
    open: async () => {
      const input = await openInput(options, extra, reporter);
      opened = input;
      source = input.source;
      if (control) control.target = targetOf(input, () => ({ ...speedField(input.source.speed), ...figuresOf(input) }));
      return input.source;
    },
    onDemand: options.onDemand ?? false,
    maxClients: options.maxClients,
    allow: options.allow ?? [],
    faults: faultsOf(options, UNFIT_FOR_SERVERS),
    users: options.users,
    proxyProtocol: options.proxyProtocol,
    tls: tlsFiles(options),
    onWarning: (message) => reporter.warn(message),
    onPlay: (client, address) => {
      limitYoungSpace();
      reporter.info(`${address} pulls (${client})`);
    },
    onPlayed: (report) => {
      reporter.event('played', { ...report });
      reporter.info(`${report.remoteAddress} left after ${Math.round(report.milliseconds / 1000)} s`);
    },
    onError: (error) => reporter.warn(error instanceof Error ? error.message : String(error)),
  }).catch(async (error: unknown) => {
    await control?.close();
    throw error;
  });
  const { ports } = server;
  const name = options.host ?? 'localhost';
  const url = `http${options.tlsCert === undefined ? '' : 's'}://${name}:${ports.http}`;
  const msbdUrls = ports.msbd === undefined ? [] : [`msbd://${name}:${ports.msbd}`];
  reporter.event('ready', { ports, urls: [url, ...msbdUrls] });
  reporter.info(
    `Pull from ${[url, ...msbdUrls].join(' or ')}, or play ${options.tlsCert === undefined ? `mmsh://${name}:${ports.http}` : url}/`,
  );
  void interruption.received.then(() => server.close());
  const meter = new RateMeter();
  const timer = setInterval(() => {
    limitYoungSpace();
    const { bytesOut, packetsIn } = server.broadcast.counters;
    const rate = meter.bitsPerSecond(bytesOut);
    const { speed } = source ?? {};
    reporter.event('stats', { clients: server.clients, packets: packetsIn, bytesOut, ...speedField(speed) });
    const figures = `${server.clients} pulling, ${packetsIn} packets captured, ${withUnit(rate, 'bit/s')} out`;
    reporter.status(`${figures}${asSpeed(speed)}`, true);
  }, STATS_INTERVAL);
  try {
    await interruption.race(server.run(), { grace: GRACE });
  } finally {
    clearInterval(timer);
    reporter.endStatus();
    await interruption.race(server.close(), { grace: GRACE });
    await control?.close();
  }
  if (!options.onDemand && server.broadcast.generation === 0 && !interruption.signal.aborted) throw emptyInput();
  reporter.event('done', {
    packets: server.broadcast.counters.packetsIn,
    bytesOut: server.broadcast.counters.bytesOut,
    ...(opened && figuresOf(opened)),
  });
  if (opened) for (const line of describeFigures(opened)) reporter.info(line);
  process.exitCode = interruption.exitCode;
}
