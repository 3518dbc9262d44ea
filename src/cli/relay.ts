import { Command } from 'commander';
import { liveHeader } from '../asf/edit.js';
import { WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import { ArchiveSink } from '../media/archive.js';
import type { AsfEvent, AsfSink } from '../media/events.js';
import { isMsbUrl, parseMsbUrl } from '../msb/messages/url.js';
import { faultySink } from '../testing/packet-faults.js';
import { parsePushUrl } from '../wmhttp/messages/push-url.js';
import { accessTo } from './access-options.js';
import { carry, describeForReady } from './carry.js';
import { faultsOf, UNFIT_FOR_FILES, UNFIT_FOR_PUSHES } from './fault-option.js';
import { type MulticastTargetOptions, openMulticast } from './multicast-target.js';
import { addForceOption, existingFor, type OutputOptions, refuseExisting } from './output-file.js';
import { addCommonOptions, Interruption } from './program.js';
import { addPushOptions, lossOf, type OpenPush, openPush, type PushTargetOptions } from './push-target.js';
import { addReceiveOptions, isServerUrl, openFrom, type ReceiveOptions, warnOfStart } from './receive-options.js';
import { asClock, Reporter, type ReporterOptions, withUnit } from './reporter.js';
import { refuseSameFile } from './same-file.js';
import { StdoutSink } from './stdout-sink.js';

interface RelayOptions extends ReceiveOptions, PushTargetOptions, ReporterOptions, OutputOptions {
  readonly pushProxy?: string;
  readonly nsc?: string;
  readonly unicastUrl?: string;
  readonly logUrl?: string;
}

/** Builds `wmcast relay`. */
export function relayCommand(): Command {
  const command = new Command('relay')
    .description('Carries a stream from any source to any sink.')
    .argument('<from>', 'stream as for pull, for example mmsh://server/live; an ASF file; - for standard input')
    .argument(
      '<to>',
      'a publishing point, for example http://server:8080/live; a multicast group, for example msb://239.192.1.1:5000?ttl=1&fec=10;' +
        ' a file; - for standard output',
    )
    .option('--push-proxy <url>', 'HTTP proxy for the push, for example http://proxy:8080')
    .option('--nsc <file>', 'write the .nsc file that receivers need, and keep it up to date')
    .option('--unicast-url <url>', 'where receivers without multicast find the same stream')
    .option('--log-url <url>', 'where receivers send their logs')
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast relay --retry forever mmsh://encoder:8080/ http://server:8080/live' +
        '\n  wmcast relay show.wmv http://server:8080/show' +
        '\n  wmcast relay show.wmv "msb://239.192.1.1:5000?interface=eth0&fec=10" --nsc show.nsc',
    );
  return addCommonOptions(addPushOptions(addReceiveOptions(addForceOption(command)))).action(
    (from: string, to: string, options: RelayOptions) => relay(from, to, options),
  );
}

async function relay(source: string, target: string, options: RelayOptions): Promise<void> {
  const reporter = new Reporter(options);
  const [from, to] = [takeCredentials(source).url, takeCredentials(target).url];
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(to)?.[1]?.toLowerCase();
  const isMulticast = isMsbUrl(to);
  const isPush = scheme === 'http' || scheme === 'https';
  if (scheme !== undefined && !isPush && !isMulticast) {
    throw new WmError('WM_USAGE', `${scheme}:// cannot be sent to: that needs http://, https://, msb://, a file or -.`);
  }
  if (isMulticast) parseMsbUrl(to);
  else if (options.nsc !== undefined) throw new WmError('WM_USAGE', '--nsc needs a multicast group to send to.');
  if (to === '-' && options.json) throw new WmError('WM_USAGE', '--json and - cannot both use standard output.');
  const isFile = !isPush && !isMulticast && to !== '-';
  if (isFile && !isServerUrl(from)) await refuseSameFile([from], to);
  if (isFile) await refuseExisting(to, options);
  const existing = isFile ? await existingFor(to, options, 'refuse') : 'refuse';
  const { ca, insecure, pushProxy: proxy } = options;
  const access = accessTo(
    target,
    { ...(ca && { ca }), ...(insecure && { insecure }), ...(proxy && { proxy }) },
    'WMCAST_PUSH',
  );
  if (isPush) parsePushUrl(to);
  const plan = faultsOf(options, isPush ? UNFIT_FOR_PUSHES : UNFIT_FOR_FILES);
  // A push does its faults itself.
  const faulty = (sink: AsfSink) => (plan ? faultySink(sink, plan) : sink);
  const origin = openFrom(source, options, reporter, isPush || isMulticast);
  const interruption = new Interruption();
  let pushed: OpenPush | undefined;
  await carry({
    source: origin,
    extra: () => ({ ...pushed?.stats }),
    openSinks: async (header) => {
      if (to === '-') return [faulty(new StdoutSink())];
      if (isMulticast) return [faulty(await openMulticast(multicastOf(to, options, reporter)))];
      if (!isPush) return [faulty(new ArchiveSink(to, { existing, warn: (message) => reporter.warn(message) }))];
      pushed = await openPush(access, options, { reporter, interruption, patient: !header.broadcast });
      return [liveSink(pushed)];
    },
    reporter,
    interruption,
    name: `${from} → ${to}`,
    duration: options.duration,
    onReady: (header) => {
      const { words, fields } = describeForReady(header);
      reporter.event('ready', { from, to, ...fields });
      reporter.info(`Relaying ${words} from ${from} to ${to}`);
      warnOfStart(header, options, isServerUrl(from), reporter);
    },
    onEnd: (carried, failed) => {
      if (!failed) reporter.event('done', { ...carried, ...pushed?.stats });
      if (failed && carried.packets === 0) return;
      const { mediaSeconds, packets, bytes } = carried;
      reporter.info(
        `Relayed ${asClock(mediaSeconds)}, ${packets} packets, ${withUnit(bytes, 'B')}.${pushed ? lossOf(pushed.stats) : ''}`,
      );
    },
  });
  process.exitCode = interruption.exitCode;
}

function multicastOf(
  url: string,
  { nsc, unicastUrl, logUrl }: RelayOptions,
  reporter: Reporter,
): MulticastTargetOptions {
  const more = { ...(unicastUrl === undefined ? {} : { unicastUrl }), ...(logUrl === undefined ? {} : { logUrl }) };
  return { url, nsc, more, warn: (message) => reporter.warn(message) };
}

/** Marks headers as live: a push is live even if its source is a file. */
function liveSink(sink: AsfSink): AsfSink {
  return {
    write: (event: AsfEvent) =>
      sink.write(event.type === 'header' ? { type: 'header', header: liveHeader(event.header) } : event),
    close: () => sink.close(),
  };
}
