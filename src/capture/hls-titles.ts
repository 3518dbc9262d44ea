import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { takeCredentials } from '../http/credentials.js';
import { type HlsDateTitle, type HlsPlaylist, type HlsSegment, readHlsPlaylist } from './hls-playlist.js';
import type { TimedTitle } from './id3.js';

/** How long a playlist may take to arrive, in ms. */
const TIMEOUT = 5_000;
/** The most of a playlist that is read, in bytes. */
const LARGEST_PLAYLIST = 4 * 1024 * 1024;
/** Segments that may wait for their playlist; older ones have no title. */
const MOST_WAITING = 100;

/** The segments of one playlist that ffmpeg has asked for. */
interface Track {
  /** Oldest first, without those whose playlist was found. */
  readonly waiting: string[];
  /** Where the first of them begins, in ms of the stream. */
  time: number;
  started: boolean;
}

/** How titles are read. */
export interface HlsTitlesOptions {
  /** The URL or path of the playlist that ffmpeg reads. */
  readonly input: string;
  readonly onTitle: (title: TimedTitle) => void;
}

/**
 * The titles in playlists of HLS, `#EXTINF` and `EXT-X-DATERANGE`, which ffmpeg does not report. The same playlists are
 * read once more when ffmpeg begins a segment that is not known yet, so nothing is asked for without a need. A playlist
 * that cannot be read has no titles.
 */
export class HlsTitles {
  readonly #options: HlsTitlesOptions;
  readonly #closed = new AbortController();
  readonly #tracks = new Map<number, Track>();
  /** Those that have had a segment that ffmpeg asked for; before, all that there are. */
  #playlists: ReadonlySet<string>;
  #segments = new Map<string, HlsSegment>();
  #dated: readonly HlsDateTitle[] = [];
  #targetDuration = 0;
  #isReading = false;
  #last = '';
  /** For the server of the input alone. */
  readonly #login: { readonly origin: string; readonly field: string } | undefined;

  constructor(options: HlsTitlesOptions) {
    this.#options = options;
    const { url, credentials } = takeCredentials(options.input);
    if (credentials && URL.canParse(url)) {
      const token = Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64');
      this.#login = { origin: new URL(url).origin, field: `Basic ${token}` };
    }
    this.#playlists = new Set([locate(options.input)]);
  }

  /** ffmpeg asks for a segment. @param playlist its number for ffmpeg */
  requested(url: string, playlist: number): void {
    if (this.#closed.signal.aborted) return;
    const track = this.#tracks.get(playlist) ?? { waiting: [], time: 0, started: false };
    this.#tracks.set(playlist, track);
    track.waiting.push(locate(url));
    if (track.waiting.length > MOST_WAITING) this.#pass(track);
    void this.#read();
  }

  close(): void {
    this.#closed.abort();
  }

  /** Reads playlists until nothing waits for one. */
  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    for (;;) {
      this.#place();
      const waiting = [...this.#tracks.values()].flatMap((track) => track.waiting);
      if (waiting.length === 0 || this.#closed.signal.aborted) break;
      await this.#refresh(new Set(waiting));
      this.#place();
      // What the newest playlists do not name will not be named any more.
      const asked = new Set(waiting);
      for (const track of this.#tracks.values()) {
        while (track.waiting.length > 0 && asked.has(track.waiting[0]!)) this.#pass(track);
      }
    }
    this.#isReading = false;
  }

  async #refresh(wanted: ReadonlySet<string>): Promise<void> {
    const read = new Map<string, HlsPlaylist>();
    let urls = [...this.#playlists];
    while (urls.length > 0) {
      const answers = await Promise.all(urls.map((url) => this.#playlistAt(url)));
      for (const [index, playlist] of answers.entries()) if (playlist) read.set(urls[index]!, playlist);
      urls = answers.flatMap((answer) => answer?.playlists ?? []).filter((url) => !read.has(url));
      if (read.size > 32) break;
    }
    const used = [...read].filter(([, { segments }]) => segments.some(({ url }) => wanted.has(url)));
    if (used.length > 0) this.#playlists = new Set(used.map(([url]) => url));
    this.#segments = new Map([...read.values()].flatMap(({ segments }) => segments.map((each) => [each.url, each])));
    this.#dated = [...read.values()].flatMap(({ dated }) => dated).sort((a, b) => a.from - b.from);
    this.#targetDuration = Math.max(0, ...used.map(([, playlist]) => playlist.targetDuration));
  }

  async #playlistAt(url: string): Promise<HlsPlaylist | undefined> {
    try {
      if (url.startsWith('file:')) return readHlsPlaylist(await readFile(fileURLToPath(url), 'utf8'), url);
      const isOwn = this.#login?.origin === new URL(url).origin;
      const response = await fetch(url, {
        ...(isOwn && { headers: { Authorization: this.#login.field } }),
        signal: AbortSignal.any([this.#closed.signal, AbortSignal.timeout(TIMEOUT)]),
      });
      if (!response.ok || !response.body) {
        await response.body?.cancel();
        return undefined;
      }
      const decoder = new TextDecoder();
      let text = '';
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        text += decoder.decode(chunk, { stream: true });
        if (text.length > LARGEST_PLAYLIST) return undefined;
      }
      return readHlsPlaylist(text, response.url === '' ? url : locate(response.url));
    } catch {
      // ffmpeg meets the same and says so; titles are not worth a failure.
      return undefined;
    }
  }

  /** Hands over the titles of all segments that are known, in order. */
  #place(): void {
    for (const track of this.#tracks.values()) {
      for (;;) {
        const segment = this.#segments.get(track.waiting[0] ?? '');
        if (!segment) break;
        this.#titlesOf(segment, track);
        track.waiting.shift();
        track.time += segment.duration * 1000;
        track.started = true;
      }
    }
  }

  /** Passes over a segment that no playlist names. */
  #pass(track: Track): void {
    track.waiting.shift();
    track.time += this.#targetDuration * 1000;
  }

  #titlesOf({ title, startsAt, duration }: HlsSegment, { time, started }: Track): void {
    if (title !== undefined) this.#found(time, title);
    if (startsAt === undefined) return;
    const end = startsAt + duration * 1000;
    // Of those that began earlier, the newest still plays at the start.
    const before = started
      ? []
      : this.#dated.filter(({ from, until }) => from < startsAt && until > startsAt).slice(-1);
    const within = this.#dated.filter(({ from }) => from >= startsAt && from < end);
    for (const { from, title: dated } of [...before, ...within]) {
      this.#found(time + Math.max(0, from - startsAt), dated);
    }
  }

  /** Pictures and sound may have playlists of their own, with the same titles. */
  #found(time: number, title: string): void {
    if (title === this.#last) return;
    this.#last = title;
    this.#options.onTitle({ time: Math.round(time), title });
  }
}

/** Returns a URL or a path as one form of URL, so that names from ffmpeg and from playlists can be compared. */
function locate(name: string): string {
  const { url } = takeCredentials(name);
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(url) && URL.canParse(url)) return new URL(url).href;
  return pathToFileURL(resolve(name.replace(/^file:/, ''))).href;
}
