import { WmError } from '../errors.js';
import { type CheckedValues, checkedValues, EMPTY, LINE_FIELDS, type LineLength, type LogValues } from './fields.js';

/** The maximum length of a line, in characters. */
const MAX_LINE = 32 * 1024;
/** The start of a log for a web server ([MS-WMLOG] 2.3); readers tolerate other white space. */
const WEB_PREFIX = 'MX_STATS_LogLine:';
const TITLES = { netShow: 'NetShow ISAPI Log Dll', windowsMedia: /^WMS ISAPI Log Dll\/\d{1,4}(?:\.\d{1,4}){3}/ };

/** Thrown for a text that is not a log (code WM_PROTOCOL). */
export class WmLogError extends WmError {
  constructor(message: string) {
    super('WM_PROTOCOL', message);
    this.name = 'WmLogError';
  }
}

/** A parsed log line. */
export interface ParsedLine extends CheckedValues {
  readonly length: LineLength;
}

/**
 * Builds a log in W3C syntax ([MS-WMLOG] 2.2): the values in the order of the line, separated by single blanks, with a
 * dash for each empty one.
 */
export function buildLine(values: LogValues, length: LineLength): string {
  return LINE_FIELDS[length].map((field) => values[field] ?? EMPTY).join(' ');
}

/**
 * Parses a log in W3C syntax: 44, 47 or 52 values. Tolerates white space around it and runs of white space within, such
 * as line breaks.
 *
 * @throws WmLogError for another number of values, or more than 32 KiB
 */
export function parseLine(text: string): ParsedLine {
  if (text.length > MAX_LINE) throw new WmLogError(`A log line has ${text.length} characters, more than ${MAX_LINE}.`);
  const trimmed = text.trim();
  const separated = trimmed.split(' ');
  // Two blanks in a row mean an empty value, unless the count shows that they are one separator.
  const parts = lengthOf(separated.length) && !/[^\S ]/.test(trimmed) ? separated : trimmed.split(/\s+/);
  const length = lengthOf(parts.length);
  if (!length) throw new WmLogError(`A log line has ${parts.length} values, not 44, 47 or 52.`);
  const fields = LINE_FIELDS[length];
  return { length, ...checkedValues(parts.map((value, index) => [fields[index]!, value] as const)) };
}

function lengthOf(count: number): LineLength | undefined {
  return count === 44 || count === 47 || count === 52 ? count : undefined;
}

/**
 * Builds the body of the POST request that submits a log to a web server ([MS-WMLOG] 2.3). @param length 44, or 47 with
 * the optional values
 */
export function buildWebLog(values: LogValues, length: 44 | 47 = 47): string {
  return `${WEB_PREFIX} \t${buildLine(values, length)}`;
}

/** True if a text is meant to be a log for a web server. */
export function isWebLog(text: string): boolean {
  return text.trimStart().startsWith(WEB_PREFIX);
}

/**
 * Parses the body of a POST request that submits a log to a web server ([MS-WMLOG] 2.3). Other lines before and after
 * the log are ignored.
 *
 * @throws WmLogError if there is no log in it, or the log line is malformed
 */
export function parseWebLog(body: string): ParsedLine {
  if (body.length > 2 * MAX_LINE)
    throw new WmLogError(`A log has ${body.length} characters, more than ${2 * MAX_LINE}.`);
  const at = body.indexOf(WEB_PREFIX);
  if (at < 0) throw new WmLogError(`The text does not hold "${WEB_PREFIX}".`);
  const rest = body.slice(at + WEB_PREFIX.length);
  const [first = ''] = rest.trimStart().split(/\r?\n/, 1);
  try {
    return parseLine(first);
  } catch (error) {
    // Some clients break the line.
    if (!(error instanceof WmLogError) || !/\n/.test(rest.trim())) throw error;
    return parseLine(rest);
  }
}

/**
 * Builds the HTML with which a logging web server answers a GET request ([MS-WMLOG] 2.3). @param version four numbers
 */
export function buildValidationPage(version: string): string {
  const title = `WMS ISAPI Log Dll/${version}`;
  return `<head><title>${title}</title></head>\r\n<body><h1>${title}</h1></body>\r\n`;
}

/**
 * True if the answer to a GET request comes from a web server that accepts logs ([MS-WMLOG] 2.3); other content is
 * ignored.
 */
export function isValidationPage(html: string): boolean {
  const heading = /<body>\s{0,100}<h1>([^<]{0,100})/i.exec(html.slice(0, MAX_LINE))?.[1];
  return heading !== undefined && (heading.startsWith(TITLES.netShow) || TITLES.windowsMedia.test(heading));
}
