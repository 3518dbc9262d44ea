import type { LogFigures } from '../wmlog/report/figures.js';
import type { LogReport } from '../wmlog/report/report.js';
import type { TimelinePoint } from '../wmlog/report/timeline.js';
import { asClock, withUnit } from './reporter.js';

/** Points of the viewers over time in a report for scripts. */
const JSON_POINTS = 240;
/** Lines of text that the bars of the chart take. */
const CHART_HEIGHT = 6;
const BARS = ' ▁▂▃▄▅▆▇█';
/** The narrowest and the widest terminal that a chart is made for, in columns. */
const [MIN_WIDTH, MAX_WIDTH] = [40, 160];
/** The groups whose order is their own: by time, not by size. */
const IN_ORDER: ReadonlySet<string> = new Set(['hour', 'day']);

/** An event for scripts. */
export interface LogEvent extends Record<string, unknown> {
  readonly event: string;
}

/** Yields a report as events for scripts: `summary`, `viewers` for each point of time, and one for each group. */
export function* eventsOf(report: LogReport, files: number, top: number): Generator<LogEvent, void, undefined> {
  const { total, period, timeline } = report;
  const whole = timeline.total();
  yield {
    event: 'summary',
    files,
    from: period && iso(period.from),
    to: period && iso(period.to),
    ...figuresView(total),
    averageViewers: whole && rounded(whole.average),
    peakViewers: whole?.peak,
    peakAt: whole && iso(timeline.peakAt() ?? whole.at),
    malformedLines: report.malformedLines,
    linesLeftOut: report.leftOut,
  };
  for (const { at, average, peak } of timeline.points(JSON_POINTS)) {
    yield { event: 'viewers', at: iso(at), average: rounded(average), peak };
  }
  for (const [grouping, groups] of report.groups) {
    const { top: largest, rest } = groups.top(IN_ORDER.has(grouping) ? Number.POSITIVE_INFINITY : top);
    const listed = IN_ORDER.has(grouping) ? groups.sorted() : largest;
    for (const [name, figures] of listed) yield { event: grouping, [grouping]: name, ...figuresView(figures) };
    if (rest.lines > 0) yield { event: grouping, [grouping]: null, others: true, ...figuresView(rest) };
  }
}

function figuresView(figures: LogFigures): Record<string, unknown> {
  const { quality, qualities, ...counts } = figures;
  return { ...counts, quality: qualities === 0 ? null : rounded(quality / qualities) };
}

/** How a report is written as text. */
export interface WordsOptions {
  readonly files: number;
  /** Lines in each table. */
  readonly top: number;
  readonly chart: boolean;
  /** Of the terminal, in columns. */
  readonly width: number;
}

/** Returns a report for people. */
export function inWords(report: LogReport, { files, top, chart, width }: WordsOptions): string {
  const { total, period, timeline } = report;
  if (!period) return 'The log files have no lines of that period.';
  const whole = timeline.total();
  const { packets, lost, recovered, quality, qualities } = total;
  const facts: ReadonlyArray<readonly [string, string]> = [
    [
      'Period',
      `${clock(period.from)} to ${clock(period.to)} UTC; ${counted(total.lines, 'line')} of ${counted(files, 'file')}`,
    ],
    [
      'Sessions',
      `${total.sessions}${notes([
        [total.unreported, 'without a log of the client'],
        [total.reconnects, 'reconnected'],
        [total.errors, 'refused or failed'],
      ])}`,
    ],
    [
      'Viewed',
      `${asClock(total.seconds)}, ${withUnit(total.bytes, 'B')}${total.seconds > 0 ? `, ${withUnit((total.bytes * 8) / total.seconds, 'bit/s')} for each viewer on average` : ''}`,
    ],
    ...(whole
      ? [
          [
            'Viewers',
            `${short(whole.average)} on average, ${whole.peak} at most, at ${clock(timeline.peakAt() ?? 0)}`,
          ] as const,
        ]
      : []),
    [
      'Rebuffering',
      `${total.rebuffers} times in ${counted(total.rebuffered, 'line')} (${percent(total.rebuffered, total.lines)}), ${asClock(total.bufferingSeconds)} in all`,
    ],
    [
      'Losses',
      `${counted(lost, 'packet')} lost (${percent(lost, packets + lost + recovered)}), ${recovered} recovered${qualities > 0 ? `; quality ${short(quality / qualities)} of 100` : ''}`,
    ],
  ];
  const parts = [facts.map(([name, text]) => `${name.padEnd(12)}${text}`).join('\n')];
  if (chart && whole) parts.push(chartOf(timeline.points(columnsFor(width)), width));
  for (const [grouping, groups] of report.groups) {
    const isInOrder = IN_ORDER.has(grouping);
    const { top: largest, rest } = groups.top(isInOrder ? Number.POSITIVE_INFINITY : top);
    parts.push(tableOf(grouping, isInOrder ? groups.sorted() : largest, rest, groups.size - largest.length));
  }
  return parts.join('\n\n');
}

function notes(counts: ReadonlyArray<readonly [number, string]>): string {
  const named = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return named.length > 0 ? `; ${named.join(', ')}` : '';
}

const COLUMNS: ReadonlyArray<readonly [string, (figures: LogFigures) => string]> = [
  ['sessions', ({ sessions }) => String(sessions)],
  ['viewed', ({ seconds }) => asClock(seconds)],
  ['bytes', ({ bytes }) => withUnit(bytes, 'B')],
  ['rebuffers', ({ rebuffers }) => String(rebuffers)],
  ['lost', ({ lost, packets, recovered }) => percent(lost, packets + lost + recovered)],
  ['quality', ({ quality, qualities }) => (qualities > 0 ? short(quality / qualities) : '-')],
  ['errors', ({ errors }) => String(errors)],
];
const MAX_NAME = 60;

function tableOf(
  title: string,
  groups: ReadonlyArray<readonly [string, LogFigures]>,
  rest: LogFigures,
  others: number,
): string {
  const rows = groups.map(([name, figures]) => [nameOf(name), ...COLUMNS.map(([, text]) => text(figures))]);
  if (rest.lines > 0) rows.push([`(${others} others)`, ...COLUMNS.map(([, text]) => text(rest))]);
  const all = [[title, ...COLUMNS.map(([name]) => name)], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  ');
  return all.map(line).join('\n');
}

/** Log files hold texts from other hosts. */
function nameOf(text: string): string {
  const shown = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
  return shown.length > MAX_NAME ? `${shown.slice(0, MAX_NAME / 2)}…${shown.slice(1 - MAX_NAME / 2)}` : shown;
}

/** The columns that the bars of a chart may take. */
function columnsFor(width: number): number {
  return Math.min(Math.max(width, MIN_WIDTH), MAX_WIDTH) - 10;
}

/** Draws the average number of viewers over time as bars. */
function chartOf(points: Iterable<TimelinePoint>, width: number): string {
  const all = [...points];
  const stretch = Math.max(1, Math.floor(columnsFor(width) / all.length));
  const highest = Math.max(...all.map(({ average }) => average), Number.MIN_VALUE);
  const rows = Array.from({ length: CHART_HEIGHT }, (_, index) => {
    const floor = CHART_HEIGHT - 1 - index;
    const bars = all.map(({ average }) => {
      const level = (average / highest) * CHART_HEIGHT - floor;
      const eighths = Math.round(Math.min(Math.max(level, 0), 1) * (BARS.length - 1));
      // Somebody is always visible.
      const shown = floor === 0 && average > 0 ? Math.max(1, eighths) : eighths;
      return BARS[shown]!.repeat(stretch);
    });
    const label = index === 0 ? short(highest) : '';
    return `${label.padStart(8)} ${bars.join('')}`.trimEnd();
  });
  const first = clock(all[0]!.at);
  const last = clock(all.at(-1)!.at);
  const space = Math.max(1, all.length * stretch - first.length - last.length);
  const axis = all.length * stretch < first.length + last.length ? first : `${first}${' '.repeat(space)}${last}`;
  return ['Viewers', ...rows, `${' '.repeat(9)}${axis}`].join('\n');
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
}

function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

function short(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(part === 0 ? 0 : 2)} %`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
