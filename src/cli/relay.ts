import { Command } from 'commander';
import { liveHeader } from '../asf/edit.js';
import { WmError } from '../errors.js';
import { ArchiveSink } from '../media/archive.js';
import type { AsfEvent, AsfSink } from '../media/events.js';
import { carry, describeForReady } from './carry.js';
import { addCommonOptions, Interruption } from './program.js';
import { openPush, refuseCredentials } from './push-target.js';
import { addReceiveOptions, isServerUrl, openFrom, type ReceiveOptions } from './receive-options.js';
import { asClock, Reporter, type ReporterOptions, withUnit } from './reporter.js';
import { refuseSameFile } from './same-file.js';
import { StdoutSink } from './stdout-sink.js';

interface RelayOptions extends ReceiveOptions, ReporterOptions {
  readonly template?: string;
  readonly autoDestroy?: true;
}

export function relayCommand(): Command {
  const command = new Command('relay')
    .description('carries a stream from anywhere to anywhere')
    .argument('<from>', 'a server as for pull, for example mmsh://server/live; an ASF file; - for standard input')
    .argument('<to>', 'a publishing point, for example http://server:8080/live; a file; - for standard output')
    .option('--template <path>', 'of a push: the point whose settings a new point copies')
    .option('--auto-destroy', 'of a push: remove the point at the end')
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast relay --retry forever mmsh://encoder:8080/ http://server:8080/live' +
        '\n  wmcast relay show.wmv http://server:8080/show',
    );
  return addCommonOptions(addReceiveOptions(command)).action((from: string, to: string, options: RelayOptions) =>
    relay(from, to, options),
  );
}

async function relay(from: string, to: string, options: RelayOptions): Promise<void> {
  const reporter = new Reporter(options);
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(to)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'http') {
    throw new WmError('WM_USAGE', `${scheme}:// is nothing to send to: that needs http://, a file or -.`);
  }
  if (to === '-' && options.json) throw new WmError('WM_USAGE', '--json and - cannot both have standard output.');
  const isPush = scheme === 'http';
  refuseCredentials(to);
  if (!isPush && to !== '-' && !isServerUrl(from)) await refuseSameFile([from], to);
  const source = openFrom(from, options, reporter, isPush);
  const interruption = new Interruption();
  const { template, autoDestroy } = options;
  await carry({
    source,
    openSinks: async () => {
      if (to === '-') return [new StdoutSink()];
      if (!isPush) return [new ArchiveSink(to, { warn: (message) => reporter.warn(message) })];
      return [liveSink(await openPush({ url: to, template, autoDestroy: autoDestroy ?? false }, interruption))];
    },
    reporter,
    interruption,
    name: `${from} → ${to}`,
    duration: options.duration,
    onReady: (header) => {
      const { words, fields } = describeForReady(header);
      reporter.event('ready', { from, to, ...fields });
      reporter.info(`Relaying ${words} from ${from} to ${to}`);
    },
    onEnd: (carried, failed) => {
      if (!failed) reporter.event('done', { ...carried });
      if (failed && carried.packets === 0) return;
      const { mediaSeconds, packets, bytes } = carried;
      reporter.info(`Relayed ${asClock(mediaSeconds)}, ${packets} packets, ${withUnit(bytes, 'byte')}.`);
    },
  });
  process.exitCode = interruption.exitCode;
}

/** A push is live, whatever its headers say of the file they come from. */
function liveSink(sink: AsfSink): AsfSink {
  return {
    write: (event: AsfEvent) =>
      sink.write(event.type === 'header' ? { type: 'header', header: liveHeader(event.header) } : event),
    close: () => sink.close(),
  };
}
