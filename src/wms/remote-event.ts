import { contentDescription, parseDescriptions, VT_I4 } from './content-description.js';

/** The contents of a remote-log event (MS-WMSP 2.2.5). */
export interface RemoteLog {
  /** The User-Agent header. */
  readonly userAgent: string;
  /** The xClientGUID, with braces. */
  readonly guid: string;
  /** The URL of the content, `http://`. */
  readonly url: string;
  /** A Rendering Log in XML format ([MS-WMLOG] 2.7.2). */
  readonly log: string;
}

const REMOTE_OPEN = 28;
const REMOTE_CLOSE = 29;
const REMOTE_LOG = 30;
const S_OK = 0;
const USER_CONTEXT = '2';
const COMMAND_CONTEXT = '5';

/**
 * Builds a remote-log event, the body of a SendEvent request, in UTF-8 (MS-WMSP 2.2.5). Each line ends with CR LF;
 * lengths are decimal and count bytes.
 *
 *     1                                                       EncodingFormat
 *     1,30,0                                                  EncodingVersion, EventType, EventReason (HRESULT)
 *     12,context-type,3,1,2,14,WMS_USER_AGENT,31,n,...        name length, name, value type, value length, value, ...
 *     12,context-type,3,1,5,24,@WMS_COMMAND_CONTEXT_URL,31,n,...
 */
export function remoteLogEvent({ userAgent, guid, url, log }: RemoteLog): Buffer {
  const user = contentDescription([
    ['context-type', USER_CONTEXT, VT_I4],
    ['WMS_USER_AGENT', userAgent],
    ['WMS_USER_GUID', guid],
  ]);
  const command = contentDescription([
    ['context-type', COMMAND_CONTEXT, VT_I4],
    ['@WMS_COMMAND_CONTEXT_URL', url],
    ['@.REMOTE_LOG', log],
  ]);
  return Buffer.from(`1\r\n1,${REMOTE_LOG},${S_OK}\r\n${user}${command}`, 'utf8');
}

/** Builds a remote-open or remote-close event: a proxy opens or closes content of its cache (MS-WMSP 2.2.5). */
export function remoteCacheEvent(what: 'open' | 'close'): Buffer {
  return Buffer.from(`1\r\n1,${what === 'open' ? REMOTE_OPEN : REMOTE_CLOSE},${S_OK}\r\n`, 'latin1');
}

/** Reads a remote-log event; undefined if it is another event, or malformed. */
export function readRemoteLog(body: Buffer): RemoteLog | undefined {
  const head = /^1\r?\n1,30,\d{1,10}\r?\n/.exec(body.toString('latin1', 0, 64));
  if (!head) return undefined;
  const values = new Map<string, string>();
  for (const { name, value } of parseDescriptions(body.subarray(head[0].length))) values.set(name, value);
  const [userAgent, guid] = [values.get('WMS_USER_AGENT'), values.get('WMS_USER_GUID')];
  const [url, log] = [values.get('@WMS_COMMAND_CONTEXT_URL'), values.get('@.REMOTE_LOG')];
  if (userAgent === undefined || guid === undefined || url === undefined || log === undefined) return undefined;
  return { userAgent, guid, url, log };
}
