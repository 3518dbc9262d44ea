import { fieldNamed, LINE_FIELDS, type LogField } from '../fields.js';

/** The fields that reports use. */
export const REPORT_FIELDS = [
  ...(['c-ip', 'date', 'time', 'cs-uri-stem', 'x-duration', 'c-status', 'cs-User-Agent', 'c-hostexe'] as const),
  ...(['protocol', 'transport', 'sc-bytes', 'c-bytes', 'c-pkts-received', 'c-pkts-lost-client'] as const),
  ...(['c-pkts-lost-net', 'c-pkts-recovered-ECC', 'c-pkts-recovered-resent', 'c-buffercount'] as const),
  ...(['c-totalbuffertime', 'c-quality', 's-ip', 'cs-user-name', 's-session-id'] as const),
] as const satisfies readonly LogField[];

/** The column of each report field; -1 for a field that a file lacks. */
export type Columns = { readonly [Field in (typeof REPORT_FIELDS)[number]]: number } & {
  /** The number of values in a line. */
  readonly count: number;
};

/** Names that servers and their add-ons write into files instead of those of the specification, in lower case. */
const OTHER_NAMES: Readonly<Record<string, LogField>> = {
  'cs(user-agent)': 'cs-User-Agent',
  'cs(referer)': 'cs-Referer',
  channelurl: 'c-channelURL',
  'c-username': 'cs-user-name',
  'cs-username': 'cs-user-name',
};

/** The columns of files of which some fields were found, by name. */
function columnsOf(fields: ReadonlyArray<LogField | undefined>): Columns {
  const columns = Object.fromEntries(REPORT_FIELDS.map((field) => [field, fields.indexOf(field)]));
  return { ...columns, count: fields.length } as Columns;
}

/** Reads the names in a `#Fields` directive; fields in any order, unknown ones included. */
export function readFields(names: string): Columns {
  const fields = names.trim().split(/\s+/);
  return columnsOf(fields.map((name) => OTHER_NAMES[name.toLowerCase()] ?? fieldNamed(name)));
}

const STANDARD = new Map([44, 47, 52].map((count) => [count, columnsOf(LINE_FIELDS[count as 44 | 47 | 52])]));

/** Returns the columns of a line with so many values that no `#Fields` directive precedes; undefined for other counts. */
export function standardColumns(count: number): Columns | undefined {
  return STANDARD.get(count);
}
