import { printable } from '../../errors.js';
import { plainAddress } from '../../http/addresses.js';
import { parseLog, type WmLog } from '../../wmlog/log.js';
import { logOfMmsClient, parseClientLog } from '../../wmlog/mms-log.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';

/** The media type of a log that a client of RTSP sends when it begins (MS-RTSP 2.2.7.8). */
const CONNECT_TIME = 'application/x-wms-logconnectstats';
/** The media type of an event, which is no log. */
export const RTSP_EVENT = 'application/x-wms-sendevent';
/** The maximum length of a log's text, in characters. */
const MAX_TEXT = 128 * 1024;

/** Reads a CLIENT_LOG of MMSP. @param now the time of arrival */
export function mmspLog(
  path: string,
  remoteAddress: string,
  client: string,
  bytes: Buffer,
  peer: object,
  now: Date = new Date(),
): SubmittedLog {
  const log = readable(() => logOfMmsClient(parseClientLog(bytes), now));
  return {
    protocol: 'MMSP',
    path,
    remoteAddress: plainAddress(remoteAddress),
    client,
    form: 'binary',
    text: '',
    log,
    peer,
  };
}

/** Reads the log of a client of RTSP. @param kind its media type */
export function rtspLog(
  path: string,
  remoteAddress: string,
  client: string,
  kind: string,
  body: Buffer,
  peer: object | undefined,
): SubmittedLog {
  const text = body.toString('utf8');
  const log = readable(() => parseLog(text, kind === CONNECT_TIME ? 'connect-time' : undefined));
  return { protocol: 'RTSP', path, remoteAddress: plainAddress(remoteAddress), client, form: 'xml', text, log, peer };
}

/** Reads a log that was posted to the logging URL. */
export function webLog(path: string, remoteAddress: string, client: string, body: Buffer): SubmittedLog {
  const text = body.subarray(0, MAX_TEXT).toString('utf8');
  const log = readable(() => parseLog(text));
  const form = text.trimStart().startsWith('<') ? 'xml' : 'log-line';
  return {
    protocol: 'HTTP',
    path,
    remoteAddress: plainAddress(remoteAddress),
    client: printable(client),
    form,
    text,
    log,
  };
}

/** Nobody is refused for the contents of a log; one that is malformed is undefined. */
function readable(read: () => WmLog): WmLog | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
