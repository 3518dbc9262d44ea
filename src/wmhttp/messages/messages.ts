import { WmError } from '../../errors.js';
import { type Cookie, parseCookies } from '../../http/cookies.js';
import { type Field, type HeaderFields, HttpError } from '../../http/message.js';
import { decodePath, rawPathOf } from '../../http/target.js';
import { FEATURES, formatSupported } from '../../wms/features.js';
import { isPushId, PUSH_ID } from './cookies.js';

/** The media type of a PushSetup request (MS-WMHTTP 2.2.1.1.1). */
export const PUSH_SETUP_TYPE = 'application/x-wms-pushsetup';

/** The media type of a PushStart request (MS-WMHTTP 2.2.1.1.2). */
export const PUSH_START_TYPE = 'application/x-wms-pushstart';

/** The largest Length-Remaining in bytes: the maximum of a 32-bit signed integer (MS-WMHTTP 3.1.4.2.1). */
export const MAX_CONTENT_LENGTH = 2_147_483_647;

/** The maximum size of a PushSetup body, in bytes. */
export const MAX_SETUP_BODY = 4096;

/** The default Server header: that of Windows Media Services on Windows Server 2008 R2. Encoders insist on Cougar. */
export const DEFAULT_SERVER = 'Cougar/9.6.7600.16385';

/** The default User-Agent: that of the encoder of Windows 7. */
export const DEFAULT_USER_AGENT = 'WMEncoder/12.0.7600.16385';

const SUPPORTED = formatSupported(FEATURES);

/** Returns which push request this is, judged only by the media type of Content-Type (MS-WMHTTP 2.2.2.1, 2.2.2.2). */
export function pushRequestType(headers: HeaderFields): 'setup' | 'start' | undefined {
  const [type = ''] = (headers.get('Content-Type') ?? '').split(';', 1);
  switch (type.trim().toLowerCase()) {
    case PUSH_SETUP_TYPE:
      return 'setup';
    case PUSH_START_TYPE:
      return 'start';
    default:
      return undefined;
  }
}

/**
 * True if a User-Agent is that of an encoder: `WMEncoder/` and a version of two or four numbers (MS-WMHTTP 2.2.1.8).
 */
export function isEncoder(userAgent: string | undefined): boolean {
  return /^WMEncoder\/\d{1,10}\.\d{1,10}(?:\.\d{1,10}\.\d{1,10})?(?: |$)/.test(userAgent ?? '');
}

/** True if a Server header is that of a Windows Media server: the product is Cougar or Rex (MS-WMSP 2.2.1.5). */
export function isMediaServer(server: string | undefined): boolean {
  return /^(?:Cougar|Rex)(?:\/| |$)/i.test(server ?? '');
}

/** The contents of a PushSetup body. */
export interface SetupDirectives {
  /** The path of the publishing point to copy the settings from, in percent-encoded ASCII. */
  readonly template: string | undefined;
  /**
   * True if the publishing point is to be removed at the end of the session; undefined, which means false, if not
   * stated.
   */
  readonly autoDestroy: boolean | undefined;
}

/**
 * Builds the body of a PushSetup request (MS-WMHTTP 2.2.2.1), which is empty, or:
 * ```
 * Template-URL: "/path" CRLF      only with a template
 * AutoDestroy: 1 CRLF             0 or 1; always there when there is a template
 * ```
 * Unsafe characters of the template are percent-encoded as UTF-8 (2.2.2.1.1); existing percent-encoding is kept.
 *
 * @throws WmError WM_USAGE if the template is not an absolute path
 */
export function buildSetupBody({ template, autoDestroy }: SetupDirectives): Buffer {
  let text = '';
  if (template !== undefined) text += `Template-URL: "${encodePath(template)}"\r\n`;
  if (template !== undefined || autoDestroy) text += `AutoDestroy: ${autoDestroy ? 1 : 0}\r\n`;
  return Buffer.from(text, 'latin1');
}

function encodePath(path: string): string {
  if (!path.startsWith('/') || path.startsWith('//')) {
    throw new WmError('WM_USAGE', `The template "${path}" is not a path on the server, such as "/template".`);
  }
  try {
    const encoded = encodeURI(path).replace(/%25(?=[0-9A-Fa-f]{2})/g, '%');
    return encoded.replace(/\?/g, '%3F').replace(/#/g, '%23');
  } catch (error) {
    throw new WmError('WM_USAGE', `The template "${path}" is not valid Unicode.`, { cause: error });
  }
}

/**
 * Reads the body of a PushSetup request. Tolerates blanks, any order of the lines, and a missing last line end.
 *
 * @throws HttpError 400 for anything other than one Template-URL and one AutoDestroy line
 */
export function parseSetupBody(body: Buffer): SetupDirectives {
  let template: string | undefined;
  let autoDestroy: boolean | undefined;
  for (const line of body.toString('latin1').split('\n')) {
    const text = line.trim();
    const colon = text.indexOf(':');
    const name = text.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    const value = text.slice(colon + 1).trim();
    if (name === 'template-url' && template === undefined && /^"\/[\x21\x23-\x7e]*"$/.test(value)) {
      template = value.slice(1, -1);
    } else if (name === 'autodestroy' && autoDestroy === undefined && (value === '0' || value === '1')) {
      autoDestroy = value === '1';
    } else if (text !== '') {
      throw new HttpError(400, 'The body of the PushSetup request is malformed.');
    }
  }
  return { template, autoDestroy };
}

/** Returns the values of all push-id cookies of a request, in order; an encoder may send two. */
export function pushIds(headers: HeaderFields): string[] {
  const values = parseCookies(headers.all('Cookie')).filter(({ name }) => name === PUSH_ID);
  return values.map(({ value }) => value).filter(isPushId);
}

/** The values of a push request's header fields. */
export interface PushRequest {
  readonly type: 'setup' | 'start';
  /** The host as in the URL, with the port unless it is 80. */
  readonly host: string;
  readonly userAgent: string;
  readonly pushId: string;
  /** Cookies other than push-id. */
  readonly cookies?: readonly Cookie[];
  /** In bytes. */
  readonly contentLength: number;
  /** The schemes for X-Accept-Authentication (MS-WMSP 2.2.1.9); the header is omitted if there are none. */
  readonly acceptAuthentication?: readonly string[];
  /** Authorization and Proxy-Authorization, if required. */
  readonly credentials?: readonly Field[];
}

/**
 * Returns the header fields of a PushSetup or PushStart request (MS-WMHTTP 2.2.2.1, 2.2.2.2), in the order of real
 * encoders. Content-Type comes without `;charset=UTF-8`, which some relays reject.
 */
export function requestFields(request: PushRequest): Field[] {
  const fields: Field[] = [['Content-Type', request.type === 'setup' ? PUSH_SETUP_TYPE : PUSH_START_TYPE]];
  const schemes = request.acceptAuthentication ?? [];
  if (schemes.length > 0) fields.push(['X-Accept-Authentication', schemes.join(', ')]);
  fields.push(['User-Agent', request.userAgent], ['Host', request.host]);
  fields.push(['Content-Length', String(request.contentLength)]);
  const cookies = [{ name: PUSH_ID, value: request.pushId }, ...(request.cookies ?? [])];
  fields.push(['Cookie', cookies.map(({ name, value }) => `${name}=${value}`).join('; ')]);
  return [...fields, ...(request.credentials ?? [])];
}

/**
 * In its response to a PushSetup request that resumes a session, this server states in this field how many $D packets
 * of the session it has received. Not in the specification; other clients ignore it (MS-WMHTTP 2.2.1).
 */
export const RECEIVED_FIELD = 'X-Push-Packets';

/** Returns the value of {@link RECEIVED_FIELD}; undefined without it. */
export function receivedPackets(headers: HeaderFields): number | undefined {
  const value = headers.get(RECEIVED_FIELD);
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/** The values that every response contains. */
export interface PushResponse {
  /** Default: {@link DEFAULT_SERVER}. */
  readonly serverName?: string | undefined;
  /** In ms since 1970. */
  readonly now: number;
  /** The Idle-Timeout in ms; default: 60000. */
  readonly timeout?: number | undefined;
  /** The value of the push-id cookie to set. */
  readonly pushId?: string | undefined;
}

/**
 * Returns the header fields of a PushSetup or PushStart response (MS-WMHTTP 2.2.2.1, 2.2.2.2). The names are in their
 * canonical case, because encoders compare them case-sensitively.
 */
export function responseFields({ serverName = DEFAULT_SERVER, now, timeout = 60_000, pushId }: PushResponse): Field[] {
  const fields: Field[] = [
    ['Server', serverName],
    ['Date', new Date(now).toUTCString()],
    ['Pragma', `no-cache, timeout=${timeout}`],
    ['Cache-Control', 'no-cache'],
  ];
  if (pushId !== undefined) fields.push(['Set-Cookie', `${PUSH_ID}=${pushId}`]);
  fields.push(['Supported', SUPPORTED]);
  return fields;
}

/**
 * Returns the percent-decoded path of a request-target, without scheme, host and query.
 *
 * @throws HttpError 400 if it has no absolute path or does not decode to printable UTF-8
 */
export function targetPath(target: string): string {
  const path = namedPath(rawPathOf(target));
  if (path === undefined) throw new HttpError(400, 'The request does not name a publishing point.');
  return path;
}

/** Decodes the percent-encoding of an absolute path; undefined if it is not one, or contains control characters. */
export function namedPath(path: string): string | undefined {
  const decoded = path.startsWith('/') ? decodePath(path, false) : undefined;
  return decoded === undefined || /\p{Cc}/u.test(decoded) ? undefined : decoded;
}
