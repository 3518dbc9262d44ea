import { contentDescription, VT_I4 } from './content-description.js';

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
