import { isIP } from 'node:net';

/** The fields of the 44-value log ([MS-WMLOG] 2.2.1). @public */
export const BASIC_FIELDS = [
  ...['c-ip', 'date', 'time', 'c-dns', 'cs-uri-stem', 'c-starttime', 'x-duration', 'c-rate', 'c-status', 'c-playerid'],
  ...['c-playerversion', 'c-playerlanguage', 'cs-User-Agent', 'cs-Referer', 'c-hostexe', 'c-hostexever', 'c-os'],
  ...['c-osversion', 'c-cpu', 'filelength', 'filesize', 'avgbandwidth', 'protocol', 'transport', 'audiocodec'],
  ...['videocodec', 'c-channelURL', 'sc-bytes', 'c-bytes', 's-pkts-sent', 'c-pkts-received', 'c-pkts-lost-client'],
  ...['c-pkts-lost-net', 'c-pkts-lost-cont-net', 'c-resendreqs', 'c-pkts-recovered-ECC', 'c-pkts-recovered-resent'],
  ...['c-buffercount', 'c-totalbuffertime', 'c-quality', 's-ip', 's-dns', 's-totalclients', 's-cpu-util'],
] as const;
const OPTIONAL = ['cs-url', 'cs-media-name', 'cs-media-role'] as const;
/** The fields that the 52-value log adds ([MS-WMLOG] 2.2.2). @public */
export const EXTENDED_FIELDS = [
  ...['cs-user-name', 's-session-id', 's-content-path', 'cs-url', 'cs-media-name', 'c-max-bandwidth'],
  ...['cs-media-role', 's-proxied'],
] as const;

/** The name of a field of a log ([MS-WMLOG] 2.1). @public */
export type LogField = (typeof BASIC_FIELDS)[number] | (typeof EXTENDED_FIELDS)[number];

/** The number of values in a log line ([MS-WMLOG] 2.2.1, 2.2.2). */
export type LineLength = 44 | 47 | 52;

/** The fields of each log line, in order. */
export const LINE_FIELDS: Readonly<Record<LineLength, readonly LogField[]>> = {
  44: BASIC_FIELDS,
  47: [...BASIC_FIELDS, ...OPTIONAL],
  52: [...BASIC_FIELDS, ...EXTENDED_FIELDS],
};

/** The fields of a Connect-Time Log, in order ([MS-WMLOG] 2.8). */
export const CONNECT_TIME_FIELDS: readonly LogField[] = [
  ...(['c-dns', 'c-ip', 'c-os', 'c-osversion', 'date', 'time', 'c-cpu', 'transport'] as const),
];

/** Values by field; an absent field is empty. @public */
export type LogValues = { readonly [Field in LogField]?: string };

/** The text of an empty value ([MS-WMLOG] 2.2). */
export const EMPTY = '-';

/** The maximum length of a value, in characters; URLs are the longest. */
export const MAX_VALUE = 4_096;
const LARGEST = 0xffff_ffff;
const MAX_CODECS = 256;

/** Formats a whole number, limited to 0 to 4,294,967,295. */
export function countValue(value: number): string {
  return String(Math.min(Math.max(Math.trunc(value), 0), LARGEST));
}

/**
 * Formats a text as the value of a field ([MS-WMLOG] 2.2): blanks become underscores, everything but visible ASCII is
 * percent-encoded, and an empty text becomes a dash.
 */
export function textValue(text: string): string {
  const value = text.replace(/\s/g, '_').replace(/[^\x21-\x7e]/gu, (char) => percentEncoded(char));
  return value === '' ? EMPTY : value;
}

function percentEncoded(char: string): string {
  return [...Buffer.from(char, 'utf8')].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

/** Formats the names of codecs as a value: each once, as many as fit in 256 characters ([MS-WMLOG] 2.1.1, 2.1.51). */
export function codecsValue(names: readonly string[]): string {
  let text = '';
  for (const name of new Set(names.map((each) => textValue(each)))) {
    const longer = text === '' ? name : `${text};${name}`;
    if (name !== EMPTY && longer.length <= MAX_CODECS) text = longer;
  }
  return text === '' ? EMPTY : text;
}

type Rule = (value: string) => boolean;

const matches =
  (pattern: RegExp): Rule =>
  (value) =>
    pattern.test(value);
/** Visible characters in any script: some clients percent-encode nothing. */
const text =
  (longest: number): Rule =>
  (value) =>
    value.length <= longest && /^[^\s\p{Cc}\p{Cf}\p{Cs}]+$/u.test(value);
const upTo =
  (most: number): Rule =>
  (value) =>
    /^\d{1,10}$/.test(value) && Number(value) <= most;

const count = upTo(LARGEST);
const url = text(MAX_VALUE);
const name = matches(/^[\w.~%!$&'()*+,;=-]{1,255}$/);
const version = matches(/^\d{1,2}\.\d{1,2}(?:\.\d{1,4}){0,2}$/);
const address: Rule = (value) => isIP(value) !== 0;

/** The values that each field may hold besides a dash ([MS-WMLOG] 2.1). */
const RULES: Readonly<Record<LogField, Rule>> = {
  'c-ip': address,
  date: matches(/^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/),
  time: matches(/^(?:[01]\d|2[0-4]):[0-5]\d:(?:[0-5]\d|60)$/),
  'c-dns': name,
  'cs-uri-stem': url,
  'c-starttime': count,
  'x-duration': count,
  'c-rate': matches(/^-?\d{1,2}$/),
  // Clients write 200 and 210; a proxy may have written its own.
  'c-status': matches(/^\d{3}$/),
  'c-playerid': matches(/^\{[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\}$/i),
  'c-playerversion': version,
  'c-playerlanguage': matches(/^[a-z]{1,8}(?:-[a-z\d]{1,8}){0,8}$/i),
  'cs-User-Agent': text(1_024),
  'cs-Referer': url,
  'c-hostexe': text(255),
  'c-hostexever': version,
  'c-os': text(64),
  'c-osversion': version,
  'c-cpu': text(64),
  filelength: count,
  filesize: count,
  avgbandwidth: count,
  protocol: matches(/^[a-z][\w.+-]{0,15}$/i),
  transport: matches(/^(?:UDP|TCP)$/),
  audiocodec: text(MAX_CODECS),
  videocodec: text(MAX_CODECS),
  'c-channelURL': url,
  'sc-bytes': count,
  'c-bytes': count,
  's-pkts-sent': count,
  'c-pkts-received': count,
  'c-pkts-lost-client': count,
  'c-pkts-lost-net': count,
  'c-pkts-lost-cont-net': count,
  'c-resendreqs': count,
  'c-pkts-recovered-ECC': count,
  'c-pkts-recovered-resent': count,
  'c-buffercount': count,
  'c-totalbuffertime': count,
  'c-quality': upTo(100),
  's-ip': address,
  's-dns': name,
  's-totalclients': count,
  's-cpu-util': upTo(100),
  'cs-user-name': text(255),
  's-session-id': text(255),
  's-content-path': url,
  'cs-url': url,
  'cs-media-name': url,
  'c-max-bandwidth': count,
  'cs-media-role': text(255),
  's-proxied': matches(/^[01]$/),
};

const BY_LOWER_CASE = new Map(Object.keys(RULES).map((field) => [field.toLowerCase(), field as LogField]));

/** Returns the field of that name, in any case, or undefined. */
export function fieldNamed(text: string): LogField | undefined {
  return BY_LOWER_CASE.get(text.toLowerCase());
}

/** The acceptable values of a log, and the fields whose values were rejected. */
export interface CheckedValues {
  readonly values: LogValues;
  readonly invalid: readonly LogField[];
}

/**
 * Drops values that their fields may not hold, because anybody can send a log ([MS-WMLOG] 4): control characters in a
 * log file, or text in place of a number, mislead the programs that read it. Drops empty values, too.
 */
export function checkedValues(found: Iterable<readonly [LogField, string]>): CheckedValues {
  const values: { [Field in LogField]?: string } = {};
  const invalid: LogField[] = [];
  for (const [field, value] of found) {
    if (value === EMPTY || value === '') continue;
    if (RULES[field](value)) values[field] = value;
    else invalid.push(field);
  }
  return { values, invalid };
}
