import {
  type CheckedValues,
  CONNECT_TIME_FIELDS,
  checkedValues,
  fieldNamed,
  LINE_FIELDS,
  type LineLength,
  type LogField,
  type LogValues,
} from './fields.js';
import { buildLine, isWebLog, type ParsedLine, parseLine, parseWebLog } from './line.js';
import { buildXml, isXmlLog, type LogPair, parseXml, type VendorData } from './xml.js';

/**
 * What a log is about: `legacy` streaming and rendering at once ([MS-WMLOG] 2.5); where a client gets content faster than it renders
 * it, `streaming` the one (2.6) and `rendering` the other (2.7); `connect-time` a client that has just begun (2.8).
 */
export type LogKind = 'legacy' | 'streaming' | 'rendering' | 'connect-time';

/** A log as data, whatever form it has on its way. */
export interface WmLog {
  readonly kind: LogKind;
  /** Fields that are not empty. Each value is one that its field may hold. */
  readonly values: LogValues;
  /** Fields that held something that cannot be, and are empty here. */
  readonly invalid: readonly LogField[];
  /** What the server said of the content, as the client gives it back; only in XML form. */
  readonly description: readonly LogPair[];
  /** What vendors added; only in XML form. */
  readonly vendors: readonly VendorData[];
}

/** How long the line of each kind is that is sent to a Windows Media server; a Rendering Log for a web server has 47 values. */
const LENGTHS: Readonly<Record<Exclude<LogKind, 'connect-time'>, LineLength>> = {
  legacy: 47,
  streaming: 47,
  rendering: 52,
};
const XML_FIELDS: readonly LogField[] = [...LINE_FIELDS[44], 'cs-url'];

/**
 * Writes a log in XML form ([MS-WMLOG] 2.4, 2.5.3, 2.6.2, 2.7.2, 2.8). The schema has elements for the 44 basic fields and cs-url; what
 * else a log holds is in the line of its Summary.
 */
export function buildXmlLog({ kind, values, description, vendors }: Omit<WmLog, 'invalid'>): string {
  if (kind === 'connect-time') return buildXml({ summary: '', fields: CONNECT_TIME_FIELDS, values });
  // 2.1.8 governs the line of a Rendering Log, the schema all others.
  const summary = buildLine(kind === 'rendering' ? values : { 'c-ip': '0.0.0.0', ...values }, LENGTHS[kind]);
  return buildXml({ summary, fields: XML_FIELDS, values, description, vendors });
}

/**
 * Reads a log that a client submits to a server: in XML form, as a line, or as for a web server. The body of a WMSP or RTSP log request
 * and the pragma `log-line` are such texts.
 *
 * @param kind what the protocol says that it is; without it, what it looks like
 * @throws WmLogError when it is none of them, or larger than a log can be
 */
export function parseLog(text: string, kind?: LogKind): WmLog {
  if (isXmlLog(text)) return parseXmlLog(text, kind);
  const line = isWebLog(text) ? parseWebLog(text) : parseLine(text);
  return { ...whole(line, kind), description: [], vendors: [] };
}

function parseXmlLog(text: string, kind: LogKind | undefined): WmLog {
  const { summary, elements, description, vendors } = parseXml(text);
  const line = summary === '' ? undefined : parseLine(summary);
  // The line takes precedence: a proxy writes into it what the schema fixes in the elements.
  const inLine = new Set(line ? LINE_FIELDS[line.length] : []);
  const found: Array<readonly [LogField, string]> = [];
  for (const [name, value] of elements) {
    const field = fieldNamed(name);
    if (field && !inLine.has(field)) found.push([field, value]);
  }
  const beside = checkedValues(found);
  const values = { ...line?.values, ...beside.values };
  const checked = {
    values: { ...mediaOf(values, description), ...values },
    invalid: [...(line?.invalid ?? []), ...beside.invalid],
    length: line?.length,
  };
  return { ...whole(checked, kind), description, vendors };
}

/** cs-media-name and cs-media-role of a log without a line: the content description says the same (2.1.29, 2.1.30). */
function mediaOf(values: LogValues, description: readonly LogPair[]): LogValues {
  const media = (Object.entries(MEDIA_NAMES) as Array<[LogField, string]>).flatMap(([field, name]) => {
    const value = description.find((pair) => pair.name === name)?.value;
    return value === undefined || values[field] !== undefined ? [] : [[field, value.replace(/\s/g, '_')] as const];
  });
  return checkedValues(media).values;
}

/** The names in a content description of what two fields repeat ([MS-WMLOG] 2.1.29, 2.1.30). */
export const MEDIA_NAMES = {
  'cs-media-name': 'WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_URL',
  'cs-media-role': 'WMS_CONTENT_DESCRIPTION_ROLE',
} as const;

function whole(
  { values, invalid, length }: CheckedValues & { readonly length?: ParsedLine['length'] | undefined },
  kind: LogKind | undefined,
): Pick<WmLog, 'kind' | 'values' | 'invalid'> {
  return { kind: kind ?? kindOf(values, length), values, invalid };
}

/** What a log looks like that does not say what it is. */
function kindOf(values: LogValues, length: LineLength | undefined): LogKind {
  if (length === undefined && values['cs-uri-stem'] === undefined) return 'connect-time';
  if (length === 52 || values.protocol?.toLowerCase() === 'cache') return 'rendering';
  const hasCodec = values.audiocodec !== undefined || values.videocodec !== undefined;
  return hasCodec || length === 44 ? 'legacy' : 'streaming';
}
