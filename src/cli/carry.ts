import { CommandReader } from '../asf/command-stream.js';
import { describeStreams } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import { WmError } from '../errors.js';
import type { AsfEvent, AsfSink, AsfSource } from '../media/events.js';
import { MediaTime } from '../media/media-time.js';
import { pump } from '../media/pump.js';
import { Interrupted, type Interruption } from './program.js';
import { RateMeter, STATS_INTERVAL } from './rate.js';
import { asClock, type Reporter, withUnit } from './reporter.js';

/** After a signal, how long a source may take to end, and a sink to take the rest; in ms. */
const GRACE = 4_000;

/** After a signal, how long a sink may take to close, in ms: a disk may have to write all that the system buffered. */
const CLOSE_GRACE = 8_000;

/** A stream on its way from one source to its sinks. */
export interface CarryOptions {
  readonly source: AsfSource;
  /** Opens the sinks once there is data for them. */
  readonly openSinks: (header: AsfHeader) => readonly AsfSink[] | Promise<readonly AsfSink[]>;
  readonly reporter: Reporter;
  readonly interruption: Interruption;
  /** The beginning of the status line. */
  readonly name: string;
  /** The maximum length of the stream, in seconds. */
  readonly duration?: number | undefined;
  /** Called with the first header, once the sinks have accepted the event after it. */
  readonly onReady: (header: AsfHeader) => void;
  /** Additional fields for the event `stats`. */
  readonly extra?: () => Record<string, unknown>;
  /** Additional text for the status line. */
  readonly statusExtra?: () => string;
  /** Receives each event after the sinks have taken it. */
  readonly onEvent?: ((event: AsfEvent) => void) | undefined;
  /** Called at the end, when everything is closed, and before an error is thrown. */
  readonly onEnd: (carried: Carried, failed: boolean) => void;
}

/** Totals of a finished stream. */
export interface Carried {
  /** Seconds since the first header. */
  readonly seconds: number;
  /** Length of the stream by send times, in seconds. */
  readonly mediaSeconds: number;
  readonly packets: number;
  readonly bytes: number;
}

/** Counts what was carried. */
class Progress {
  readonly #media = new MediaTime();
  #startedAt: number | undefined;
  #meter: RateMeter | undefined;
  #packets = 0;
  #bytes = 0;

  count(event: AsfEvent): void {
    this.#startedAt ??= performance.now();
    this.#meter ??= new RateMeter();
    this.#media.count(event);
    if (event.type !== 'packet') return;
    this.#packets++;
    this.#bytes += event.packet.bytes.length;
  }

  /** Returns bits per second since the last call. */
  rate(): number {
    return this.#meter?.bitsPerSecond(this.#bytes) ?? 0;
  }

  get totals(): Carried {
    const elapsed = this.#startedAt === undefined ? 0 : performance.now() - this.#startedAt;
    const mediaSeconds = Math.round(this.#media.milliseconds / 100) / 10;
    return { seconds: Math.round(elapsed / 100) / 10, mediaSeconds, packets: this.#packets, bytes: this.#bytes };
  }
}

/**
 * Carries a source to sinks until it ends or a signal arrives, and reports progress. Closes them all, even after an
 * error, so that what was received is safe. A signal also ends the wait for a source or sink that does nothing.
 *
 * @throws the errors of the source and the sinks; WmError WM_BAD_INPUT if the source ends before its header
 */
export async function carry(options: CarryOptions): Promise<void> {
  const { source, reporter, interruption, onReady, onEnd } = options;
  const stop = () => void source.close();
  interruption.signal.addEventListener('abort', stop);
  if (interruption.signal.aborted) stop();
  const progress = new Progress();
  let sinks: readonly AsfSink[] = [];
  let ready = false;
  // The first header, until it has been reported.
  let first: AsfHeader | undefined;
  const late: AsfSink = {
    write: async (event) => {
      if (!ready) {
        if (event.type !== 'header') return;
        sinks = await options.openSinks(event.header);
        ready = true;
        first = event.header;
      }
      for (const sink of sinks) await sink.write(event);
      // A server that rejects the stream does so when it sees the first data.
      if (first && event.type !== 'header') {
        onReady(first);
        first = undefined;
      }
    },
    close: () => Promise.resolve(),
  };
  const stopReporting = reportProgress(options, progress, () => ready);
  const commands = new CommandReport(reporter);
  const work = pump(limited(source, options.duration), [late], (event) => {
    progress.count(event);
    options.onEvent?.(event);
    commands.take(event, progress.totals.mediaSeconds);
  });
  const errors: unknown[] = [];
  await interruption.race(work, { grace: GRACE }).catch((error: unknown) => errors.push(error));
  stopReporting();
  interruption.signal.removeEventListener('abort', stop);
  reporter.endStatus();
  await source.close();
  // One sink that fails to close must not keep the others from closing.
  const closing = sinks.map((sink) => interruption.race(sink.close(), { grace: CLOSE_GRACE }));
  for (const closed of await Promise.allSettled(closing)) {
    if (closed.status === 'fulfilled') continue;
    errors.push(closed.reason);
    if (closed.reason instanceof Interrupted)
      reporter.warn('Something could not be closed; its last seconds may be lost.');
  }
  if (!ready && !interruption.signal.aborted) errors.push(emptyInput());
  const failures = errors.filter((error) => !(error instanceof Interrupted));
  onEnd(progress.totals, failures.length > 0);
  if (failures.length > 0) throw failures[0];
}

/** Reports script commands as they pass. */
class CommandReport {
  readonly #reporter: Reporter;
  #reader: CommandReader | undefined;
  #last = '';

  constructor(reporter: Reporter) {
    this.#reporter = reporter;
  }

  take(event: AsfEvent, seconds: number): void {
    if (event.type === 'header') this.#reader = new CommandReader(event.header);
    if (event.type !== 'packet') return;
    for (const { type, text } of this.#reader?.read(event.packet) ?? []) {
      this.#reporter.event('command', { type, text, mediaSeconds: seconds });
      // The same text comes again and again for players that join later.
      const line = `${type} ${text}`;
      if (line !== this.#last) this.#reporter.info(`${asClock(seconds)}  ${line}`);
      this.#last = line;
    }
  }
}

/** The error for an input that ends before its header. */
export function emptyInput(): WmError {
  return new WmError('WM_BAD_INPUT', 'The input ended before there was anything to send.');
}

/** Reports progress about once a second. @returns a function that stops the reports */
function reportProgress(options: CarryOptions, progress: Progress, isReady: () => boolean): () => void {
  const { reporter, name, extra = () => ({}), statusExtra = () => '' } = options;
  const timer = setInterval(() => {
    if (!isReady()) return;
    const { totals } = progress;
    const rate = progress.rate();
    reporter.event('stats', { ...totals, bitsPerSecond: Math.round(rate), ...extra() });
    const figures = `${asClock(totals.mediaSeconds)}  ${withUnit(rate, 'bit/s')}  ${totals.packets} packets`;
    reporter.status(`${name}  ${figures}${statusExtra()}`, true);
  }, STATS_INTERVAL);
  return () => clearInterval(timer);
}

/** Yields the first seconds of a source, counted by send times across all headers, and then an end. */
async function* limited(source: AsfSource, seconds: number | undefined): AsyncGenerator<AsfEvent, void, undefined> {
  const media = new MediaTime();
  let over = false;
  for await (const event of source) {
    media.count(event);
    if (!over && seconds !== undefined && event.type === 'packet' && media.milliseconds >= seconds * 1000) {
      over = true;
      await source.close();
    }
    if (!over || (event.type === 'end' && !event.moreEntries)) yield event;
  }
}

/** Describes the streams of a header in words, and as fields of the event `ready`. */
export function describeForReady(header: AsfHeader): { words: string; fields: Record<string, unknown> } {
  const streams = describeStreams(header);
  const bitsPerSecond = streams.reduce((sum, { bitrate }) => sum + bitrate, 0);
  const words = `${streams.map(({ type, codec }) => (type === 'command' ? 'script commands' : `${type} ${codec}`)).join(' + ')} (${withUnit(bitsPerSecond, 'bit/s')})`;
  return { words, fields: { packetSize: header.packetSize, bitsPerSecond, streams } };
}
