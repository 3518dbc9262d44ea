import { type Columns, readFields, standardColumns } from './columns.js';
import { addFigures, FigureGroups, type LogFigures, noFigures } from './figures.js';
import { playerName } from './player.js';
import { type LineListener, LineScanner, type ScannedLine } from './scanner.js';
import { decodeLogText } from './text.js';
import { Timeline } from './timeline.js';

/** What lines can be grouped by. @public */
export const LOG_GROUPINGS = [
  'content',
  'client',
  'player',
  'protocol',
  'status',
  'hour',
  'day',
  'server',
  'user',
] as const;
/** @public */
export type LogGrouping = (typeof LOG_GROUPINGS)[number];

/** The part of the logs that a report covers. */
export interface LogReportOptions {
  readonly by: readonly LogGrouping[];
  /** Lines before it are left out; in s since 1970. */
  readonly from?: number | undefined;
  /** Lines from it on are left out; in s since 1970. */
  readonly to?: number | undefined;
}

/** How many sessions at least are remembered, to recognize their further lines. */
const MAX_SESSIONS = 20_000;
/** The longest time between two lines of one session, in s: servers that start again use their ids again. */
const SESSION_GAP = 3_600;
/** Strings that were looked at before, such as the names of players. */
const MAX_CACHED = 10_000;
/** The longest view that is believed, in s. */
const MAX_VIEW = 366 * 86_400;
const MINUS = 0x2d;

interface Session {
  /** When it was viewed, in s since 1970. */
  from: number;
  to: number;
}

/** Reads log files and adds up what they say, in memory that does not grow with them. */
export class LogReport implements LineListener {
  readonly total: LogFigures = noFigures();
  readonly timeline = new Timeline();
  readonly groups: ReadonlyMap<LogGrouping, FigureGroups>;
  readonly statuses = new Map<string, number>();
  readonly #options: LogReportOptions;
  readonly #scanner = new LineScanner(this);
  /** The latest sessions, and as many before them: maps that grow and are dropped, since taking out the oldest is slow. */
  #sessions = new Map<string, Session>();
  #earlier = new Map<string, Session>();
  readonly #players = new Map<string, string>();
  readonly #contents = new Map<string, string>();
  readonly #times = new Map<number, string>();
  /** The figures of the line that is being read. */
  readonly #line = noFigures();
  #columns: Columns | undefined;
  /** The date of lines without one, in days since 1970. */
  #day: number | undefined;
  /** What makes the times of the file UTC, in s. */
  #offset = 0;
  #malformed = 0;
  #leftOut = 0;
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;

  constructor(options: LogReportOptions) {
    this.#options = options;
    this.groups = new Map(options.by.map((grouping) => [grouping, new FigureGroups()]));
  }

  /** The number of lines that could not be read. */
  get malformedLines(): number {
    return this.#malformed;
  }

  /** The number of lines before or after the period asked for. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** The times of the first and the last line, in s since 1970; undefined without lines. */
  get period(): { readonly from: number; readonly to: number } | undefined {
    return this.#first <= this.#last ? { from: this.#first, to: this.#last } : undefined;
  }

  /** Takes the next bytes of a file. */
  push(chunk: Buffer): void {
    this.#scanner.push(chunk);
  }

  /** Ends a file; the next one begins with directives of its own. */
  endFile(): void {
    this.#scanner.end();
    this.#columns = undefined;
    this.#day = undefined;
    this.#offset = 0;
  }

  /** For the scanner. */
  directive(text: string): void {
    const [, name = '', rest = ''] = /^#([\w-]{1,40}):?(.*)$/s.exec(text) ?? [];
    const value = rest.trim();
    switch (name.toLowerCase()) {
      case 'fields':
        this.#columns = readFields(value);
        break;
      case 'date':
      case 'startdate': {
        const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)/.exec(value) ?? [];
        if (day !== undefined) this.#day = daysSince1970(Number(year), Number(month), Number(day));
        break;
      }
      case 'timeformat': {
        // The minutes that local time lags behind UTC.
        const minutes = /^local\s*\((-?\d{1,4})\)/i.exec(value)?.[1];
        this.#offset = minutes === undefined ? 0 : Number(minutes) * 60;
        break;
      }
    }
  }

  /** For the scanner. */
  malformed(): void {
    this.#malformed++;
  }

  /** For the scanner. */
  line(line: ScannedLine): void {
    const columns = this.#columns ?? standardColumns(line.count);
    const at = columns && this.#timeOf(line, columns);
    if (!columns || at === undefined || !isWhole(line, columns)) {
      this.#malformed++;
      return;
    }
    const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = this.#options;
    if (at < from || at >= to) {
      this.#leftOut++;
      return;
    }
    this.#first = Math.min(this.#first, at);
    this.#last = Math.max(this.#last, at);
    const figures = this.#line;
    const duration = Math.min(numberIn(line, columns['x-duration']), MAX_VIEW);
    this.#view(line, columns, at, duration, figures);
    this.#read(line, columns, figures);
    addFigures(this.total, figures);
    for (const [grouping, groups] of this.groups) groups.add(this.#key(grouping, line, columns, at), figures);
  }

  /** Adds to the timeline what of a view is new, and finds out whether the session is. */
  #view(line: ScannedLine, columns: Columns, at: number, duration: number, figures: LogFigures): void {
    const from = at - duration;
    const id = stringIn(line, columns['s-session-id']);
    figures.sessions = 1;
    figures.seconds = duration;
    if (id === '') {
      this.timeline.add(from, at);
      return;
    }
    const key = `${id} ${stringIn(line, columns['c-ip'])}`;
    const known = this.#sessions.get(key) ?? this.#earlier.get(key);
    if (!known || from > known.to + SESSION_GAP || at < known.from - SESSION_GAP) {
      this.#remember(key, { from, to: at });
      this.timeline.add(from, at);
      return;
    }
    figures.sessions = 0;
    // A streaming log and a rendering log are about the same time, which counts once.
    const isApart = from >= known.to || at <= known.from;
    const before = isApart ? 0 : Math.max(0, known.from - from);
    const after = isApart ? 0 : Math.max(0, at - known.to);
    if (isApart) this.timeline.add(from, at);
    else {
      this.timeline.add(known.from - before, known.from);
      this.timeline.add(known.to, known.to + after);
      figures.seconds = before + after;
    }
    known.from = Math.min(known.from, from);
    known.to = Math.max(known.to, at);
  }

  #remember(key: string, session: Session): void {
    if (this.#sessions.size >= MAX_SESSIONS) {
      this.#earlier = this.#sessions;
      this.#sessions = new Map();
    }
    this.#sessions.set(key, session);
  }

  #read(line: ScannedLine, columns: Columns, figures: LogFigures): void {
    figures.lines = 1;
    const sent = columns['sc-bytes'];
    figures.bytes = numberIn(line, isEmpty(line, sent) ? columns['c-bytes'] : sent);
    figures.rebuffers = numberIn(line, columns['c-buffercount']);
    figures.bufferingSeconds = numberIn(line, columns['c-totalbuffertime']);
    figures.rebuffered = figures.rebuffers > 0 ? 1 : 0;
    figures.packets = numberIn(line, columns['c-pkts-received']);
    figures.lost = numberIn(line, columns['c-pkts-lost-client']);
    figures.recovered =
      numberIn(line, columns['c-pkts-recovered-ECC']) + numberIn(line, columns['c-pkts-recovered-resent']);
    const quality = columns['c-quality'];
    figures.qualities = isEmpty(line, quality) ? 0 : 1;
    figures.quality = numberIn(line, quality);
    const status = numberIn(line, columns['c-status']);
    figures.unreported = status === 408 ? 1 : 0;
    figures.errors = status >= 400 && status !== 408 ? 1 : 0;
    figures.reconnects = status === 210 ? 1 : 0;
  }

  /** Returns the time of a line in s since 1970; undefined if it has none. */
  #timeOf(line: ScannedLine, { date, time }: Columns): number | undefined {
    const day = date < 0 ? this.#day : dayIn(line, date);
    const seconds = secondsIn(line, time);
    if (day === undefined || seconds === undefined) return undefined;
    return day * 86_400 + seconds + this.#offset;
  }

  /** Returns the beginning of a time in words. @param unit what it is cut to, in s @param length in characters */
  #timeName(at: number, unit: number, length: number): string {
    const start = at - (at % unit);
    // A day and its first hour begin at the same time.
    const key = unit === 3_600 ? start + 1 : start;
    const known = this.#times.get(key);
    if (known !== undefined) return known;
    if (this.#times.size >= MAX_CACHED) this.#times.clear();
    const made = new Date(start * 1000).toISOString().slice(0, length).replace('T', ' ');
    this.#times.set(key, made);
    return made;
  }

  #key(grouping: LogGrouping, line: ScannedLine, columns: Columns, at: number): string {
    switch (grouping) {
      case 'content':
        return cached(this.#contents, stringIn(line, columns['cs-uri-stem']), contentName);
      case 'client':
        return stringIn(line, columns['c-ip']) || '-';
      case 'player':
        return cached(this.#players, stringIn(line, columns['cs-User-Agent']), playerName);
      case 'protocol':
        return `${stringIn(line, columns.protocol) || '-'} ${stringIn(line, columns.transport)}`.trimEnd();
      case 'status':
        return stringIn(line, columns['c-status']) || '-';
      case 'hour':
        return this.#timeName(at, 3_600, 13).concat(':00');
      case 'day':
        return this.#timeName(at, 86_400, 10);
      case 'server':
        return stringIn(line, columns['s-ip']) || '-';
      case 'user':
        return decodeLogText(stringIn(line, columns['cs-user-name'])) || '-';
    }
  }
}

/** True if a line has all its values. A line that a crash has cut off lacks some at its end. */
function isWhole({ count }: ScannedLine, columns: Columns): boolean {
  return count >= columns.count;
}

/** The path of a URL in a log: servers write it with or without scheme and host. A multicast is named by its group. */
function contentName(stem: string): string {
  const text = decodeLogText(stem);
  return text.replace(/^(?:https?|mms[tuh]?|rtsp[tu]?):\/\/[^/]*(?=\/)/i, '') || '-';
}

function cached(cache: Map<string, string>, text: string, make: (text: string) => string): string {
  const known = cache.get(text);
  if (known !== undefined) return known;
  if (cache.size >= MAX_CACHED) cache.clear();
  const made = make(text);
  cache.set(text, made);
  return made;
}

function isEmpty({ bytes, starts, ends, count }: ScannedLine, column: number): boolean {
  if (column < 0 || column >= count) return true;
  return ends[column]! - starts[column]! === 1 && bytes[starts[column]!] === MINUS;
}

/** Returns a value as Latin-1, whatever its encoding is; empty for a dash. */
function stringIn(line: ScannedLine, column: number): string {
  return isEmpty(line, column) ? '' : line.bytes.toString('latin1', line.starts[column], line.ends[column]);
}

/** Returns a whole number; 0 for anything else. */
function numberIn({ bytes, starts, ends, count }: ScannedLine, column: number): number {
  if (column < 0 || column >= count) return 0;
  let value = 0;
  const end = ends[column]!;
  for (let at = starts[column]!; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return 0;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : 0;
}

function digitsIn(bytes: Buffer, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index++) {
    const digit = bytes[index]! - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** Reads 2026-11-30. */
function dayIn({ bytes, starts, ends, count }: ScannedLine, column: number): number | undefined {
  const at = starts[column]!;
  if (column >= count || ends[column]! - at !== 10 || bytes[at + 4] !== MINUS) return undefined;
  const [year, month, day] = [digitsIn(bytes, at, 4), digitsIn(bytes, at + 5, 2), digitsIn(bytes, at + 8, 2)];
  const isDate = year >= 1990 && year < 2200 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
  return isDate ? daysSince1970(year, month, day) : undefined;
}

/** Reads 16:05:03. */
function secondsIn({ bytes, starts, ends, count }: ScannedLine, column: number): number | undefined {
  if (column < 0 || column >= count || ends[column]! - starts[column]! !== 8) return undefined;
  const at = starts[column]!;
  const seconds = digitsIn(bytes, at, 2) * 3_600 + digitsIn(bytes, at + 3, 2) * 60 + digitsIn(bytes, at + 6, 2);
  return seconds <= 25 * 3_600 ? seconds : undefined;
}

/** The number of days of a date, which the proleptic Gregorian calendar counts in eras of 400 years. */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return (
    era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
  );
}
