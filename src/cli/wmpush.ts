import { describeStreams } from '../asf/edit.js';
import { ArchiveSink } from '../media/archive.js';
import type { AsfEvent, AsfSink, AsfSource } from '../media/events.js';
import { pump } from '../media/pump.js';
import { PushClient } from '../wmhttp/client.js';
import { addInputOptions, type InputOptions, openSource } from './input-options.js';
import { addCommonOptions, Interruption, newProgram, run } from './program.js';
import { asClock, Reporter, type ReporterOptions, withUnit } from './reporter.js';

interface PushOptions extends InputOptions, ReporterOptions {
  readonly template?: string;
  readonly autoDestroy?: true;
  readonly archive?: string;
}

const STATS_INTERVAL = 1_000;

/** Counts what was sent, for the status line and the events. */
class Progress {
  readonly #startedAt = Date.now();
  packets = 0;
  bytes = 0;
  #lastBytes = 0;

  count(event: AsfEvent): void {
    if (event.type !== 'packet') return;
    this.packets++;
    this.bytes += event.packet.bytes.length;
  }

  get seconds(): number {
    return (Date.now() - this.#startedAt) / 1000;
  }

  /** Bits per second since the last call. */
  rate(): number {
    const rate = ((this.bytes - this.#lastBytes) * 8000) / STATS_INTERVAL;
    this.#lastBytes = this.bytes;
    return rate;
  }

  get totals(): { seconds: number; packets: number; bytes: number } {
    return { seconds: Math.round(this.seconds * 10) / 10, packets: this.packets, bytes: this.bytes };
  }
}

async function push(url: string, extra: string[], options: PushOptions): Promise<void> {
  const reporter = new Reporter(options);
  const interruption = new Interruption();
  const source = await openSource(options, extra, reporter);
  interruption.signal.addEventListener('abort', () => void source.close());
  const sinks: AsfSink[] = [];
  try {
    await carry(source, sinks, url, options, reporter);
  } finally {
    reporter.endStatus();
    await source.close();
    await closeAll(sinks);
  }
  process.exitCode = interruption.exitCode;
}

async function carry(
  source: AsfSource,
  sinks: AsfSink[],
  url: string,
  options: PushOptions,
  reporter: Reporter,
): Promise<void> {
  // The input is looked at before the server is bothered: a push session that has nothing to send helps nobody.
  const events = source[Symbol.asyncIterator]();
  const first = await events.next();
  if (first.done || first.value.type === 'end') {
    reporter.event('done', { seconds: 0, packets: 0, bytes: 0 });
    return;
  }
  const { template, autoDestroy } = options;
  sinks.push(
    await PushClient.connect({
      url,
      autoDestroy: autoDestroy ?? false,
      ...(template === undefined ? {} : { template }),
    }),
  );
  if (options.archive !== undefined) sinks.push(new ArchiveSink(options.archive));
  const progress = new Progress();
  announce(first.value, url, reporter);
  const timer = setInterval(() => {
    const rate = progress.rate();
    reporter.event('stats', { ...progress.totals, bitsPerSecond: Math.round(rate) });
    reporter.status(`${url}  ${asClock(progress.seconds)}  ${withUnit(rate, 'bit/s')}  ${progress.packets} packets`);
  }, STATS_INTERVAL);
  try {
    await pump(follow(first.value, events), sinks, (event) => progress.count(event));
  } finally {
    clearInterval(timer);
  }
  await closeAll(sinks);
  reporter.event('done', progress.totals);
  reporter.info(
    `Pushed ${asClock(progress.seconds)}, ${progress.packets} packets, ${withUnit(progress.bytes, 'byte')}.`,
  );
}

async function* follow(first: AsfEvent, rest: AsyncIterator<AsfEvent>): AsyncGenerator<AsfEvent> {
  yield first;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

async function closeAll(sinks: AsfSink[]): Promise<void> {
  for (const sink of sinks) await sink.close();
}

function announce(event: AsfEvent, url: string, reporter: Reporter): void {
  if (event.type !== 'header') return;
  const streams = describeStreams(event.header);
  const bitsPerSecond = streams.reduce((sum, { bitrate }) => sum + bitrate, 0);
  reporter.event('ready', { url, startedAt: Date.now(), packetSize: event.header.packetSize, bitsPerSecond, streams });
  const words = streams.map(({ type, codec }) => `${type} ${codec}`).join(' + ');
  reporter.info(`Pushing ${words} (${withUnit(bitsPerSecond, 'bit/s')}) to ${url}`);
}

const program = newProgram(
  'wmpush',
  'Captures with ffmpeg, or reads ASF, and pushes to a publishing point with WMHTTP.',
)
  .argument('<url>', 'the publishing point, for example http://server:8080/live')
  .argument('[ffmpeg arguments...]', 'behind --: given to ffmpeg as they are');
addCommonOptions(
  addInputOptions(program)
    .option('--template <path>', 'the point whose settings a new point copies')
    .option('--auto-destroy', 'remove the point when the push ends')
    .option('--archive <file>', 'keep what is pushed in an ASF file as well'),
)
  .addHelpText(
    'after',
    '\nExamples:\n  wmpush http://server:8080/live\n  wmpush -i film.mp4 --loop http://server:8080/film\n  wmpush -i show.wmv --copy http://server:8080/show',
  )
  .action((url: string, extra: string[], options: PushOptions) => push(url, extra, options));

await run(program);
