import { randomUUID } from 'node:crypto';
import { ClientCredentials } from '../../auth/client-credentials.js';
import { CookieJar } from '../../http/cookie-jar.js';
import { Absence } from '../../receiving/absence.js';
import { type RtspIdentity, rtspIdentity } from './identity.js';
import { DEFAULT_TIMEOUTS, type RtspClientOptions, type RtspTimeouts } from './options.js';
import { parseRtspUrl, type RtspUrl } from './url.js';

/** The state that all links of a client share. */
export class RtspPeer {
  readonly options: RtspClientOptions;
  readonly url: RtspUrl;
  readonly identity: RtspIdentity;
  readonly playerId: string;
  /** Identifies the client in events, with braces. */
  readonly guid: string;
  readonly cookies: CookieJar;
  readonly credentials: ClientCredentials;
  readonly timeouts: RtspTimeouts;
  readonly absence = new Absence();
  /** Where the server sent this client in the middle of a stream. */
  moved: RtspUrl | undefined;

  /** @throws WmError WM_USAGE for an unusable URL or User-Agent */
  constructor(options: RtspClientOptions, playerId: string) {
    this.options = options;
    this.playerId = playerId;
    this.url = parseRtspUrl(options.url);
    this.identity = rtspIdentity(options.identity ?? 'NSPlayer', options.userAgent);
    const guid = /guid\/([0-9A-F-]{36})/i.exec(this.identity.text)?.[1] ?? randomUUID();
    this.guid = `{${guid.toUpperCase()}}`;
    this.cookies = options.cookies ?? new CookieJar();
    this.credentials = new ClientCredentials(options.authorize, this.url.origin);
    this.timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
  }
}
