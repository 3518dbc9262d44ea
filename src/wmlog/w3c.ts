import { EMPTY, LINE_FIELDS, type LogField, type LogValues, textValue } from './fields.js';

/*
 * A log file of a Windows Media server: W3C extended log file format. Lines that begin with # are directives; #Fields
 * names the values of the lines that follow. Servers order the 52 fields as in the 52-value log ([MS-WMLOG] 2.2.2) and
 * write three names differently.
 */

/** The names that log files have for fields. */
const FILE_NAMES: Readonly<Partial<Record<LogField, string>>> = {
  'cs-User-Agent': 'cs(User-Agent)',
  'cs-Referer': 'cs(Referer)',
  'c-channelURL': 'channelURL',
};
/** The fields of the files that a server writes, in order. */
export const FILE_FIELDS: readonly LogField[] = LINE_FIELDS[52];

/** The facts in the head of a log file. */
export interface LogFileHead {
  readonly started: Date;
  /** Rewritten when the file is complete; until then equal to `started`. */
  readonly ended: Date;
  readonly serverName: string;
  readonly serverAddresses: readonly string[];
  readonly software: string;
  readonly version: string;
}

/**
 * Builds the directives at the start of a log file, with CR LF line ends, in the order in which Windows Media Services
 * write them. The length does not depend on the dates.
 */
export function buildFileHead({ started, ended, serverName, serverAddresses, software, version }: LogFileHead): string {
  return [
    `#StartDate: ${dateAndTime(started)}`,
    `#EndDate: ${dateAndTime(ended)}`,
    '#TimeFormat: UTC',
    '#EncodingFormat: UTF-8',
    `#ServerName: ${textValue(serverName)}`,
    `#ServerIP: ${serverAddresses.join(', ')}`,
    `#Software: ${software}`,
    `#Version: ${version}`,
    '#PublishingPoint: [Global]',
    `#Fields: ${FILE_FIELDS.map((field) => FILE_NAMES[field] ?? field).join(' ')}`,
    '',
  ].join('\r\n');
}

/** Builds one line of a log file, with its line end. */
export function buildFileLine(values: LogValues): string {
  return `${FILE_FIELDS.map((field) => values[field] ?? EMPTY).join(' ')}\r\n`;
}

/** Returns `2026-11-30 16:05:03`, in UTC. */
function dateAndTime(date: Date): string {
  return date.toISOString().slice(0, 19).replace('T', ' ');
}
