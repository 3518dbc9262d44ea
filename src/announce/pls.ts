import type { M3uEntry } from './m3u.js';

const MAX_ENTRIES = 10_000;
const MAX_LINE = 4096;

/** True if a text starts like a .pls playlist: its first line with any content is `[playlist]`. */
export function looksLikePls(start: string): boolean {
  for (const raw of start.slice(0, MAX_LINE).split('\n', 100)) {
    const line = raw.replace(/^\ufeff/, '').trim();
    if (/^\[playlist\]$/i.test(line)) return true;
    if (line !== '' && !/^[;#]/.test(line)) return false;
  }
  return false;
}

/**
 * Reads a .pls playlist (`File1=`, `Title1=`, `Length1=` in any order) and returns its entries by number, at most 10
 * 000. Never throws.
 */
export function readPls(text: string): M3uEntry[] {
  const found = new Map<number, { url?: string; title?: string; length?: string }>();
  for (const raw of text.split('\n')) {
    const line = raw.slice(0, MAX_LINE).trim();
    const [, name = '', number, value = ''] = /^(file|title|length)(\d{1,5})\s*=(.*)$/i.exec(line) ?? [];
    if (number === undefined || (found.size >= MAX_ENTRIES && !found.has(Number(number)))) continue;
    const entry = found.get(Number(number)) ?? {};
    const key = { file: 'url', title: 'title', length: 'length' } as const;
    entry[key[name.toLowerCase() as keyof typeof key]] = value.trim();
    found.set(Number(number), entry);
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .flatMap(([, { url = '', title = '', length = '' }]) => {
      if (url === '') return [];
      const hasEnd = /^\d{1,9}$/.test(length) && Number(length) > 0;
      return [{ url, ...(title === '' ? {} : { title }), ...(hasEnd ? { duration: Number(length) } : {}) }];
    });
}

/** Builds a .pls playlist of entries without an end. */
export function buildPls(entries: readonly M3uEntry[]): string {
  const lines = entries.flatMap(({ url, title = '' }, index) => [
    `File${index + 1}=${url}`,
    `Title${index + 1}=${title.replace(/[\r\n]+/g, ' ')}`,
    `Length${index + 1}=-1`,
  ]);
  return ['[playlist]', ...lines, `NumberOfEntries=${entries.length}`, 'Version=2', ''].join('\r\n');
}
