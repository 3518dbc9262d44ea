import type { Readable } from 'node:stream';
import type { AsfEvent } from '../media/events.js';
import { MediaTime } from '../media/media-time.js';
import { HlsTitles } from './hls-titles.js';
import { TimedId3Reader, type TimedTitle } from './id3.js';
import type { EncoderLog } from './log.js';

/** The most titles that wait for their time. */
const MOST_WAITING = 1_000;

/**
 * The titles of an input: those that ffmpeg reports at once (Icecast, Shoutcast), those in playlists of HLS, and those
 * in timed ID3. Each is handed over when the stream has come to its time, and only if it is another one.
 */
export class InputTitles {
  readonly #onTitle: (title: string) => void;
  readonly #time = new MediaTime();
  readonly #hls: HlsTitles;
  #waiting: TimedTitle[] = [];
  #last: string | undefined;

  constructor(input: string, log: EncoderLog, onTitle: (title: string) => void) {
    this.#onTitle = onTitle;
    this.#hls = new HlsTitles({ input, onTitle: (title) => this.#add(title) });
    log.onTitle = (title) => this.#tell(title);
    log.onSegment = (url, playlist) => this.#hls.requested(url, playlist);
  }

  /** Reads the timed ID3 that ffmpeg writes. */
  readId3(stream: Readable): void {
    const reader = new TimedId3Reader();
    stream.on('data', (chunk: Buffer) => {
      for (const title of reader.push(chunk)) this.#add(title);
    });
    stream.on('error', () => undefined);
  }

  /** Hands over the titles that are due before an event is. */
  before(event: AsfEvent): void {
    this.#time.count(event);
    const now = this.#time.milliseconds;
    while (event.type === 'packet' && this.#waiting.length > 0 && this.#waiting[0]!.time <= now) {
      this.#tell(this.#waiting.shift()!.title);
    }
  }

  close(): void {
    this.#hls.close();
  }

  #add(title: TimedTitle): void {
    if (this.#waiting.length >= MOST_WAITING) return;
    this.#waiting = [...this.#waiting, title].sort((a, b) => a.time - b.time);
  }

  #tell(title: string): void {
    if (title === this.#last) return;
    this.#last = title;
    this.#onTitle(title);
  }
}
