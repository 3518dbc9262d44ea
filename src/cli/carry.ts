import { describeStreams } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import type { AsfEvent, AsfSink, AsfSource } from '../media/events.js';
import { pump } from '../media/pump.js';
import type { Interruption } from './program.js';
import { asClock, type Reporter, withUnit } from './reporter.js';

const STATS_INTERVAL = 1_000;

export interface CarryOptions {
  readonly source: AsfSource;
  /** Opens the sink once there is something for it. */
  readonly openSink: () => AsfSink | Promise<AsfSink>;
  readonly reporter: Reporter;
  readonly interruption: Interruption;
  /** What the status line starts with. */
  readonly name: string;
  /** Seconds of the stream. */
  readonly duration?: number | undefined;
  /** Called with the first header. */
  readonly onReady: (header: AsfHeader) => void;
  /** More for the event `stats`. */
  readonly extra?: () => Record<string, unknown>;
  /** Called at the end, also before an error is thrown; everything is closed then. */
  readonly onEnd: (carried: Carried, failed: boolean) => void;
}

export interface Carried {
  /** Since the first header. */
  readonly seconds: number;
  /** Of the stream, by send times. */
  readonly mediaSeconds: number;
  readonly packets: number;
  readonly bytes: number;
}

/** How much of a stream has come, by the send times under each header. */
class MediaTime {
  #before = 0;
  #first: number | undefined;
  #elapsed = 0;

  count(event: AsfEvent): void {
    if (event.type === 'header') {
      this.#before += this.#elapsed;
      this.#elapsed = 0;
      this.#first = undefined;
    } else if (event.type === 'packet') {
      const { sendTime } = event.packet;
      this.#first ??= sendTime;
      this.#elapsed = Math.abs((sendTime - this.#first) | 0);
    }
  }

  get milliseconds(): number {
    return this.#before + this.#elapsed;
  }
}

/** Counts what was carried. */
class Progress {
  readonly #media = new MediaTime();
  #startedAt: number | undefined;
  #lastBytes = 0;
  #packets = 0;
  #bytes = 0;

  count(event: AsfEvent): void {
    this.#startedAt ??= performance.now();
    this.#media.count(event);
    if (event.type !== 'packet') return;
    this.#packets++;
    this.#bytes += event.packet.bytes.length;
  }

  /** Bits per second since the last call. */
  rate(): number {
    const rate = ((this.#bytes - this.#lastBytes) * 8000) / STATS_INTERVAL;
    this.#lastBytes = this.#bytes;
    return rate;
  }

  get totals(): Carried {
    const elapsed = this.#startedAt === undefined ? 0 : performance.now() - this.#startedAt;
    const mediaSeconds = Math.round(this.#media.milliseconds / 100) / 10;
    return { seconds: Math.round(elapsed / 100) / 10, mediaSeconds, packets: this.#packets, bytes: this.#bytes };
  }
}

/**
 * Carries a source into a sink until it ends or a signal comes, tells of it, and closes both: also after an error, so that what came is
 * safe.
 *
 * @throws what the source or the sink throws
 */
export async function carry(options: CarryOptions): Promise<void> {
  const { source, reporter, interruption, name, onReady, onEnd, extra = () => ({}) } = options;
  const stop = () => void source.close();
  interruption.signal.addEventListener('abort', stop);
  if (interruption.signal.aborted) stop();
  const progress = new Progress();
  let sink: AsfSink | undefined;
  let ready = false;
  const timer = setInterval(() => {
    if (!ready) return;
    const rate = progress.rate();
    reporter.event('stats', { ...progress.totals, bitsPerSecond: Math.round(rate), ...extra() });
    const { mediaSeconds, packets } = progress.totals;
    reporter.status(`${name}  ${asClock(mediaSeconds)}  ${withUnit(rate, 'bit/s')}  ${packets} packets`);
  }, STATS_INTERVAL);
  const late: AsfSink = {
    write: async (event) => {
      sink ??= await options.openSink();
      if (!ready && event.type === 'header') {
        ready = true;
        onReady(event.header);
      }
      await sink.write(event);
    },
    close: () => Promise.resolve(),
  };
  let failed = true;
  try {
    await pump(limited(source, options.duration), [late], (event) => progress.count(event));
    failed = false;
  } finally {
    clearInterval(timer);
    interruption.signal.removeEventListener('abort', stop);
    reporter.endStatus();
    await source.close();
    await sink?.close();
    onEnd(progress.totals, failed);
  }
}

/** The events of the first seconds, counted by send times over all headers, and an end. */
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

/** The streams of a header in words and as fields of the event `ready`. */
export function describeForReady(header: AsfHeader): { words: string; fields: Record<string, unknown> } {
  const streams = describeStreams(header);
  const bitsPerSecond = streams.reduce((sum, { bitrate }) => sum + bitrate, 0);
  const words = `${streams.map(({ type, codec }) => `${type} ${codec}`).join(' + ')} (${withUnit(bitsPerSecond, 'bit/s')})`;
  return { words, fields: { packetSize: header.packetSize, bitsPerSecond, streams } };
}
