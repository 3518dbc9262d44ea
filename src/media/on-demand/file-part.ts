import { type LiveHeaderOptions, liveHeader } from '../../asf/edit.js';
import { parsePacket } from '../../asf/packet.js';
import type { AsfEvent, AsfSource } from '../events.js';
import { type Clock, systemClock } from '../pacing.js';
import { SingleReading, withEnd } from '../source.js';
import type { OnDemandFile } from './file.js';

/** The part of a file to play. */
export interface FilePartOptions {
  /** Where to begin, in ms of media; playing begins with the last key frame up to there. Default: 0. */
  readonly begin?: number | undefined;
  /** In ms of media from there. Default: to the end. */
  readonly duration?: number | undefined;
  /** Texts for the header. */
  readonly texts?: Pick<LiveHeaderOptions, 'title' | 'author' | 'copyright'> | undefined;
  /** Releases the file. */
  readonly release: () => void;
  /**
   * Opens the recordings that follow in the same file and have other streams, at {@link OnDemandFile.next}; they are
   * played too, each under its own header. Default: they are not.
   */
  readonly open?: ((path: string, at: number) => Promise<OnDemandFile>) | undefined;
  readonly clock?: Clock | undefined;
}

/** How often a recording that is still growing is looked at, in ms. */
const GROWTH_INTERVAL = 250;
const EVERYTHING = { level: () => 0 as const };

/**
 * An open file, or a part of it, as a live source: all its streams under a live header, as fast as they are taken. A
 * recording that is still growing is followed.
 *
 * The iteration throws, after an end event if there was a header:
 * @throws WmError WM_NO_INPUT when the disk fails
 */
export function filePart(file: OnDemandFile, options: FilePartOptions): AsfSource {
  const closed = new AbortController();
  const reading = new SingleReading();
  const { texts = {}, release, open, clock = systemClock } = options;
  let released = false;
  const end = () => {
    closed.abort();
    if (!released) release();
    released = true;
  };
  async function* events(): AsyncGenerator<AsfEvent, void, undefined> {
    let { begin = 0, duration = Number.POSITIVE_INFINITY } = options;
    let last = file;
    try {
      for (;;) {
        yield* recording(last, begin, duration);
        duration -= Math.max(last.durationMs - begin, 0);
        begin = Math.max(begin - last.durationMs, 0);
        if (last.next === undefined || !open || duration <= 0 || closed.signal.aborted) return;
        const next = await open(last.path, last.next);
        if (last !== file) await last.close();
        last = next;
        yield { type: 'end', moreEntries: true, reason: 1 };
      }
    } finally {
      if (last !== file) await last.close();
    }
  }
  async function* recording(
    file: OnDemandFile,
    begin: number,
    duration: number,
  ): AsyncGenerator<AsfEvent, void, undefined> {
    const from = begin > 0 ? await file.locate({ kind: 'time', milliseconds: begin }, EVERYTHING) : 0;
    const reader = file.reader({
      from,
      rate: 1,
      choice: EVERYTHING,
      padding: 'cut',
      ...(Number.isFinite(duration) ? { maxDuration: duration, start: begin } : {}),
    });
    closed.signal.addEventListener('abort', () => reader.close(), { once: true });
    yield { type: 'header', header: liveHeader(file.header, texts) };
    while (!closed.signal.aborted) {
      // The batch is never given back: receivers keep its packets as they are.
      const batch = await reader.next();
      for (const { bytes } of batch.items) {
        if (closed.signal.aborted) return;
        yield { type: 'packet', packet: parsePacket(bytes) };
      }
      if (batch.end) return;
      if (batch.idle) await clock.sleep(GROWTH_INTERVAL, closed.signal);
    }
  }
  let hasHeader = false;
  async function* noted(): AsyncGenerator<AsfEvent, void, undefined> {
    if (closed.signal.aborted) return;
    try {
      for await (const event of events()) {
        hasHeader = true;
        yield event;
      }
    } catch (error) {
      if (!closed.signal.aborted) throw error;
    } finally {
      end();
    }
  }
  return {
    [Symbol.asyncIterator]() {
      reading.begin();
      return withEnd(noted(), () => hasHeader);
    },
    close: () => {
      end();
      return Promise.resolve();
    },
  };
}
