import { Parser } from 'htmlparser2';

/** One entry of an announcement. Properties that it does not state are absent. @public */
export interface MetafileEntry {
  readonly title: string;
  readonly author?: string;
  readonly copyright?: string;
  /** URLs of the same content as written, in order of preference; relative ones are relative to the announcement. */
  readonly refs: readonly string[];
  /** Seconds. */
  readonly startTime?: number;
  /** Seconds. */
  readonly duration?: number;
  readonly logUrls?: readonly string[];
}

/** What to play when a script command in the stream asks for it. @public */
export interface MetafileEvent {
  readonly name: string;
  readonly whenDone: string;
  readonly entries: readonly MetafileEntry[];
}

/** The contents of an announcement: an .asx file or one of its text ancestors. @public */
export interface Metafile {
  readonly title: string;
  readonly author?: string;
  readonly copyright?: string;
  readonly logUrls?: readonly string[];
  readonly entries: readonly MetafileEntry[];
  /** Other announcements whose entries are included here (ENTRYREF), as written. */
  readonly entryRefs: readonly string[];
  /** Entries and, as strings, references to other announcements, in document order. */
  readonly items: ReadonlyArray<MetafileEntry | string>;
  readonly events: readonly MetafileEvent[];
  /** Where it was actually found, if that differs from where it was looked for; references are relative to it. */
  readonly location?: string;
}

/** The maximum length of an announcement, in characters. */
export const MAX_METAFILE_SIZE = 256 * 1024;
/** How far from the start of the text the root of an announcement may be, in characters. */
const MAX_PROLOGUE = 64 * 1024;
/** Longer references are left out; in characters. */
const MAX_URL = 2048;
const MAX_REFS = 1000;
/** The maximum number of tags left open, as people write `<ref>`; anything after that is left out. */
const MAX_OPEN = 5000;
const MAX_TEXT = 1000;

/**
 * True if a text starts like an announcement: an .asx file, a `[Reference]` text or `ASF URL`. A DOCTYPE, comments or
 * the warnings of a script may come first. A web page with an `<asx>` somewhere in it does not count.
 */
export function looksLikeMetafile(start: string): boolean {
  return asxRoot(start) !== undefined || referencesStart(start) !== undefined;
}

/**
 * Reads an announcement: an .asx file as found in the wild (any case, bare ampersands, tags left open), a `[Reference]`
 * text with `Ref1=` lines, or `ASF URL`. Reads at most 1000 references. Never throws.
 *
 * @returns undefined if the text has none of these forms, or declares entities
 * @public
 */
export function readMetafile(text: string): Metafile | undefined {
  if (text.length > MAX_METAFILE_SIZE || /<!ENTITY/i.test(text)) return undefined;
  const root = asxRoot(text);
  if (root !== undefined) return new AsxReader().read(text.slice(root));
  const start = referencesStart(text);
  return start === undefined ? undefined : readReferences(text.slice(start));
}

/** Returns the index of `<asx` outside comments; undefined if it has none or is a web page. */
function asxRoot(text: string): number | undefined {
  const lower = text.slice(0, MAX_PROLOGUE).toLowerCase();
  for (let at = lower.indexOf('<'); at !== -1; at = lower.indexOf('<', at + 1)) {
    if (lower.startsWith('<!--', at)) {
      const end = lower.indexOf('-->', at + 4);
      if (end === -1) return undefined;
      at = end;
    } else if (/^<(?:html|head|body)[\s>]/.test(lower.slice(at, at + 6))) return undefined;
    else if (/^<asx[\s>]/.test(lower.slice(at, at + 5))) return at;
  }
  return undefined;
}

/** Returns the index of the line `[Reference]` or `ASF URL`. */
function referencesStart(text: string): number | undefined {
  const prologue = text.slice(0, MAX_PROLOGUE);
  for (let at = 0; at <= prologue.length; ) {
    const end = prologue.indexOf('\n', at);
    const line = prologue
      .slice(at, end === -1 ? prologue.length : end)
      .replace(/^\ufeff/, '')
      .trim();
    if (/^\[reference\]$/i.test(line) || /^asf\s{1,20}[a-z]{2,10}:\/\//i.test(line.slice(0, 40))) return at;
    if (end === -1) return undefined;
    at = end + 1;
  }
  return undefined;
}

interface DraftAbout {
  title: string;
  author: string;
  copyright: string;
  readonly logUrls: string[];
}

interface DraftEntry extends DraftAbout {
  readonly refs: string[];
  startTime?: number;
  duration?: number;
}

interface DraftEvent {
  readonly name: string;
  readonly whenDone: string;
  readonly items: Array<DraftEntry | string>;
}

const newAbout = (): DraftAbout => ({ title: '', author: '', copyright: '', logUrls: [] });

class AsxReader {
  readonly #about = newAbout();
  readonly #items: Array<DraftEntry | string> = [];
  readonly #events: DraftEvent[] = [];
  #event: DraftEvent | undefined;
  #entry: DraftEntry | undefined;
  /** The element whose text is being read. */
  #field: 'title' | 'author' | 'copyright' | undefined;
  #refs = 0;

  read(text: string): Metafile {
    let depth = 0;
    const parser = new Parser(
      {
        onopentag: (name, attributes) => {
          // The parser's work for each tag grows with the number of open tags.
          if (++depth > MAX_OPEN) parser.pause();
          else this.#open(name, attributes);
        },
        ontext: (part) => this.#text(part),
        onclosetag: (name) => {
          depth--;
          this.#close(name);
        },
      },
      // XML mode, so that <title> and <base> are ordinary tags.
      { xmlMode: true, decodeEntities: true, lowerCaseTags: true, lowerCaseAttributeNames: true },
    );
    parser.end(text);
    const items = finished(this.#items);
    return {
      title: this.#about.title.trim(),
      ...aboutOf(this.#about),
      entries: items.filter((item) => typeof item !== 'string'),
      entryRefs: items.filter((item) => typeof item === 'string'),
      items,
      events: this.#events.map(({ name, whenDone, items: inner }) => ({
        name,
        whenDone,
        entries: finished(inner).filter((item) => typeof item !== 'string'),
      })),
    };
  }

  #open(name: string, { href, value, ...more }: Record<string, string>): void {
    this.#field = name === 'title' || name === 'author' || name === 'copyright' ? name : undefined;
    if (name === 'event' && this.#events.length < MAX_REFS) {
      this.#event = { name: shortened(more['name']), whenDone: shortened(more['whendone']).toLowerCase(), items: [] };
      this.#events.push(this.#event);
    }
    const items = this.#event?.items ?? this.#items;
    if (name === 'entry') {
      this.#entry = { ...newAbout(), refs: [] };
      items.push(this.#entry);
    }
    const seconds = value === undefined ? undefined : secondsOf(value);
    if (this.#entry && seconds !== undefined) {
      if (name === 'starttime') this.#entry.startTime = seconds;
      if (name === 'duration') this.#entry.duration = seconds;
    }
    const url = href?.trim() ?? '';
    if (url === '' || url.length > MAX_URL || ++this.#refs > MAX_REFS) return;
    if (name === 'ref') this.#entry?.refs.push(url);
    if (name === 'entryref') items.push(url);
    if (name === 'logurl') (this.#entry ?? this.#about).logUrls.push(url);
  }

  #text(part: string): void {
    if (!this.#field) return;
    const about = this.#entry ?? this.#about;
    about[this.#field] = (about[this.#field] + part).slice(0, MAX_TEXT);
  }

  #close(name: string): void {
    this.#field = undefined;
    if (name === 'entry') this.#entry = undefined;
    if (name === 'event') this.#event = undefined;
  }
}

/** Drops entries without a reference. */
function finished(items: ReadonlyArray<DraftEntry | string>): Array<MetafileEntry | string> {
  return items.flatMap((item): Array<MetafileEntry | string> => {
    if (typeof item === 'string') return [item];
    const { title, refs, startTime, duration } = item;
    if (refs.length === 0) return [];
    const times = {
      ...(startTime === undefined ? {} : { startTime }),
      ...(duration === undefined ? {} : { duration }),
    };
    return [{ title: title.trim(), refs, ...aboutOf(item), ...times }];
  });
}

function aboutOf({ author, copyright, logUrls }: DraftAbout): {
  author?: string;
  copyright?: string;
  logUrls?: string[];
} {
  return {
    ...(author.trim() === '' ? {} : { author: author.trim() }),
    ...(copyright.trim() === '' ? {} : { copyright: copyright.trim() }),
    ...(logUrls.length === 0 ? {} : { logUrls }),
  };
}

function shortened(text = ''): string {
  return text.trim().slice(0, MAX_TEXT);
}

/** Parses `hh:mm:ss.fract`, where hours and minutes are optional, into seconds. */
function secondsOf(text: string): number | undefined {
  const [, hours, minutes, seconds] = /^\s*(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,6}(?:\.\d{1,9})?)\s*$/.exec(text) ?? [];
  if (seconds === undefined) return undefined;
  return Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds);
}

/** Reads `Ref1=URL` lines and `ASF URL`; blanks in a URL are part of it. */
function readReferences(text: string): Metafile {
  const refs: string[] = [];
  for (const raw of text.split('\n')) {
    if (refs.length >= MAX_REFS) break;
    const line = raw.replace(/^\ufeff/, '').trim();
    if (line.length > MAX_URL) continue;
    const [, url = ''] = /^(?:ref\d{1,4}\s*=|asf\s)(.*)$/i.exec(line) ?? [];
    if (url.trim() !== '') refs.push(url.trim());
  }
  return listOf(refs.length === 0 ? [] : [{ title: '', refs }]);
}

/** Makes an announcement of a list of entries. */
export function listOf(entries: readonly MetafileEntry[]): Metafile {
  return { title: '', entries, entryRefs: [], items: entries, events: [] };
}
