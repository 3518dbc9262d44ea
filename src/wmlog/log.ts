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
 * The subject of a log: `legacy` for streaming and rendering together ([MS-WMLOG] 2.5); where a client receives content
 * faster than it renders it, `streaming` (2.6) and `rendering` (2.7) separately; `connect-time` for a client that has
 * just begun (2.8).
 *
 * @public
 */
export type LogKind = 'legacy' | 'streaming' | 'rendering' | 'connect-time';

/** A log as data, independent of its form on the wire. @public */
export interface WmLog {
  readonly kind: LogKind;
  /** The fields that are not empty, with acceptable values only. */
  readonly values: LogValues;
  /** Fields whose values were rejected, and that are therefore empty. */
  readonly invalid: readonly LogField[];
  /** The server's content description as the client returns it; only in XML form. */
  readonly description: readonly LogPair[];
  /** Vendors' additions; only in XML form. */
  readonly vendors: readonly VendorData[];
}

/** The length of the line for a Windows Media server, by kind; a Rendering Log for a web server has 47 values. */
const LENGTHS: Readonly<Record<Exclude<LogKind, 'connect-time'>, LineLength>> = {
  legacy: 47,
  streaming: 47,
  rendering: 52,
};
const XML_FIELDS: readonly LogField[] = [...LINE_FIELDS[44], 'cs-url'];

/**
 * Builds a log in XML form ([MS-WMLOG] 2.4, 2.5.3, 2.6.2, 2.7.2, 2.8). The schema has elements for the 44 basic fields
 * and cs-url; all other fields are in the line of its Summary.
 */
export function buildXmlLog({ kind, values, description, vendors }: Omit<WmLog, 'invalid'>): string {
  if (kind === 'connect-time') return buildXml({ summary: '', fields: CONNECT_TIME_FIELDS, values });
  // 2.1.8 governs the line of a Rendering Log, the schema that of all others.
  const summary = buildLine(kind === 'rendering' ? values : { 'c-ip': '0.0.0.0', ...values }, LENGTHS[kind]);
  return buildXml({ summary, fields: XML_FIELDS, values, description, vendors });
}

/**
 * Parses a log that a client submits to a server: in XML form, as a line, or as for a web server. The body of a WMSP or
 * RTSP log request and the pragma `log-line` are such texts.
 *
 * @param kind the kind as the protocol states it; default: judged by the contents
 * @throws WmLogError if it has none of these forms or exceeds the size limit
 */
export function parseLog(text: string, kind?: LogKind): WmLog {
  if (isXmlLog(text)) return parseXmlLog(text, kind);
  const line = isWebLog(text) ? parseWebLog(text) : parseLine(text);
  return { ...whole(line, kind), description: [], vendors: [] };
}

function parseXmlLog(text: string, kind: LogKind | undefined): WmLog {
  const { summary, elements, description, vendors } = parseXml(text);
  const line = summary === '' ? undefined : parseLine(summary);
  // The line takes precedence: a proxy writes there what the schema fixes in the elements.
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

/** Takes cs-media-name and cs-media-role from the content description, for a log without a line (2.1.29, 2.1.30). */
function mediaOf(values: LogValues, description: readonly LogPair[]): LogValues {
  const media = (Object.entries(MEDIA_NAMES) as Array<[LogField, string]>).flatMap(([field, name]) => {
    const value = description.find((pair) => pair.name === name)?.value;
    return value === undefined || values[field] !== undefined ? [] : [[field, value.replace(/\s/g, '_')] as const];
  });
  return checkedValues(media).values;
}

/** The names in a content description whose values two fields repeat ([MS-WMLOG] 2.1.29, 2.1.30). */
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

/** Guesses the kind of a log that does not state it. */
function kindOf(values: LogValues, length: LineLength | undefined): LogKind {
  if (length === undefined && values['cs-uri-stem'] === undefined) return 'connect-time';
  if (length === 52 || values.protocol?.toLowerCase() === 'cache') return 'rendering';
  const hasCodec = values.audiocodec !== undefined || values.videocodec !== undefined;
  return hasCodec || length === 44 ? 'legacy' : 'streaming';
}
