/** One entry of an .m3u playlist. @public */
export interface M3uEntry {
  /** A URL or a path, as written. */
  readonly url: string;
  readonly title?: string | undefined;
  /** Seconds; undefined if endless or unknown. */
  readonly duration?: number | undefined;
}

const MAX_ENTRIES = 10_000;
const MAX_LINE = 4096;

/** Builds an .m3u playlist with titles (`#EXTM3U`, `#EXTINF`) and CR LF line ends. @public */
export function buildM3u(entries: readonly M3uEntry[]): string {
  const lines = entries.flatMap(({ url, title, duration }) => [
    `#EXTINF:${duration === undefined ? -1 : Math.round(duration)},${oneLine(title ?? '')}`,
    oneLine(url),
  ]);
  return ['#EXTM3U', ...lines, ''].join('\r\n');
}

/** Reads an .m3u playlist, with or without titles: at most 10 000 entries. Never throws. @public */
export function readM3u(text: string): M3uEntry[] {
  const entries: M3uEntry[] = [];
  let about: Omit<M3uEntry, 'url'> = {};
  for (const raw of text.replace(/^\ufeff/, '').split(/\r?\n|\r/)) {
    const line = raw.slice(0, MAX_LINE).trim();
    if (line.startsWith('#EXTINF:')) about = aboutOf(line);
    if (line === '' || line.startsWith('#')) continue;
    entries.push({ url: line, ...about });
    about = {};
    if (entries.length >= MAX_ENTRIES) break;
  }
  return entries;
}

function aboutOf(line: string): Omit<M3uEntry, 'url'> {
  const [, seconds = ''] = /^#EXTINF:\s*(-?\d{1,9}(?:\.\d{1,6})?)/.exec(line) ?? [];
  const comma = line.indexOf(',');
  const title = seconds === '' || comma === -1 ? '' : line.slice(comma + 1);
  const duration = Number(seconds);
  return {
    ...(title.trim() === '' ? {} : { title: title.trim() }),
    ...(seconds === '' || duration < 0 ? {} : { duration }),
  };
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').trim();
}
