import { hidePasswords } from '../errors.js';

/** @public */
export type LogLevel = 'error' | 'warning' | 'info';

/** One line of ffmpeg's log. @public */
export interface LogLine {
  readonly level: LogLevel;
  /** The line for a person to read: without level and address, and with passwords in URLs hidden. */
  readonly text: string;
}

const KEPT_LINES = 40;
const MAX_LINE_LENGTH = 2000;

/** A hint at info level that comes with every upper bound of the bit rate and helps nobody. */
const noise = /impossible bitrate constraints/;

/**
 * Reads ffmpeg's standard error (`-loglevel level+info`) chunk by chunk, keeps the last lines, and notes what matters.
 */
export class EncoderLog {
  /** The newest lines, oldest first. */
  readonly lines: LogLine[] = [];
  /** The newest lines at error level, oldest first. */
  readonly errors: string[] = [];
  /** The input format that ffmpeg has detected, for example `mov,mp4,m4a,3gp,3g2,mj2`. */
  inputFormat: string | undefined;
  /** Frames that ffmpeg has left out or repeated, as it reports its progress. */
  readonly frames = { dropped: 0, repeated: 0 };
  /** True for an Icecast or Shoutcast stream. */
  isRadio = false;
  /** Receives each title of such a stream. */
  onTitle: ((title: string) => void) | undefined;
  /** True for HLS, whose playlists may have titles. */
  isHls = false;
  /** Receives each segment of HLS that is asked for, and the number of its playlist. */
  onSegment: ((url: string, playlist: number) => void) | undefined;
  /** What the input says about itself: names in lower case. */
  readonly texts = new Map<string, string>();
  #isInput = false;
  readonly #onLine: ((line: LogLine) => void) | undefined;
  #rest = '';

  constructor(onLine?: (line: LogLine) => void) {
    this.#onLine = onLine;
  }

  push(chunk: string): void {
    const lines = (this.#rest + chunk).split(/\r?\n|\r/);
    this.#rest = lines.pop()!.slice(0, MAX_LINE_LENGTH);
    for (const line of lines) this.#line(line);
  }

  /** Returns the last lines as one text: only those at error level, if there are any. */
  tail(count = 3): string {
    const texts = this.errors.length > 0 ? this.errors : this.lines.map(({ text }) => text);
    // Several layers of ffmpeg often repeat the same complaint.
    return [...new Set(texts.map((text) => text.trim()))].slice(-count).join(' / ');
  }

  /** @returns true for a line of a report of the progress */
  #progress(line: string): boolean {
    const value = PROGRESS.exec(line)?.[1];
    if (value === undefined) return false;
    if (line.startsWith('dup_frames=')) this.frames.repeated = Number(value) || 0;
    if (line.startsWith('drop_frames=')) this.frames.dropped = Number(value) || 0;
    return true;
  }

  /** Takes a line that is only asked for because of the titles. */
  #verbose(message: string): void {
    const title = /^Metadata update for StreamTitle: (.*)$/.exec(message)?.[1];
    if (title !== undefined) {
      this.isRadio = true;
      this.onTitle?.(title);
    }
    const [, url, playlist] = /^HLS request for url '(.*)', offset -?\d+, playlist (\d{1,4})$/.exec(message) ?? [];
    if (url === undefined) return;
    this.isHls = true;
    this.onSegment?.(url, Number(playlist));
  }

  /** Notes the first texts about the first input, not about its streams. */
  #text(message: string): void {
    if (/^\S/.test(message)) this.#isInput = message.startsWith('Input #0');
    const [, indent = '', name = '', value = ''] = /^( {4}| {6})(\w+) *: (.*)$/.exec(message) ?? [];
    const key = name.toLowerCase();
    // In Ogg they belong to the stream; elsewhere a stream's title is that of a track.
    if (indent.length === 6 && this.inputFormat !== 'ogg') return;
    if (this.#isInput && (key === 'title' || key === 'artist') && !this.texts.has(key))
      this.texts.set(key, value.trim());
  }

  #line(whole: string): void {
    // Parts of the line may come from the input, such as its title.
    const raw = whole.slice(0, 2 * MAX_LINE_LENGTH);
    if (raw.trim() === '' || noise.test(raw) || this.#progress(raw)) return;
    const [, source, mark, message] = /^(?:\[([^\]]+?)(?: @ [^\]]*)?\] )?\[([a-z]+)\] (.*)$/.exec(raw) ?? [];
    if (mark === 'verbose') {
      this.#verbose(message ?? '');
      return;
    }
    if (/^ +icy-(?:name|br|genre|url|pub|description) /.test(message ?? '')) this.isRadio = true;
    const level = levelOf(mark);
    const text = hidePasswords(
      (source === undefined ? '' : `${source}: `) + (message ?? raw).slice(0, MAX_LINE_LENGTH),
    );
    this.inputFormat ??= /^Input #0, (\S+), from /.exec(text)?.[1];
    this.#text(message ?? '');
    const line = { level, text };
    this.lines.push(line);
    if (this.lines.length > KEPT_LINES) this.lines.shift();
    if (level === 'error') {
      this.errors.push(text);
      if (this.errors.length > KEPT_LINES) this.errors.shift();
    }
    this.#onLine?.(line);
  }
}

/** The names in ffmpeg's reports of its progress (`-progress`), which come without a level. */
const PROGRESS =
  /^(?:frame|fps|stream_\d+_\d+_\w+|bitrate|total_size|out_time(?:_us|_ms)?|dup_frames|drop_frames|speed|progress)=(.*)$/;

function levelOf(mark: string | undefined): LogLevel {
  if (mark === 'error' || mark === 'fatal' || mark === 'panic') return 'error';
  return mark === 'warning' ? 'warning' : 'info';
}
