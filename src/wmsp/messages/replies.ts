import type { Field } from '../../http/message.js';
import type { ContentInfo, Program } from '../../playback/content.js';
import { genIdOf } from '../../playback/entry-ids.js';
import type { Started } from '../../playback/port.js';
import { formatStartupProfile } from '../../wms/startup-profile.js';
import { type Handling, playableHeader } from '../server/handling.js';
import type { ClientProfile } from '../server/profiles.js';
import type { WmspSession } from '../server/session.js';
import { cacheFields, commonFields, entryHead, featuresOf, type ServerIdentity } from './responses.js';

// The Idle-Timeout announced to clients, in ms (MS-WMSP 2.2.1.4.29).
const ANNOUNCED_TIMEOUT = 60_000;

/** Builds the heads of a server's responses (MS-WMSP 3.2.5.2). */
export class Replies {
  readonly identity: ServerIdentity;

  constructor(identity: ServerIdentity) {
    this.identity = identity;
  }

  /** Returns the fields of a response; without a profile, for a client of which nothing is known. */
  common(profile?: ClientProfile, tokens: readonly string[] = [], cacheControl?: string): Field[] {
    return commonFields(this.identity, profile, tokens, cacheControl);
  }

  /** Returns the fields of a response that belongs to a session. */
  of(session: WmspSession | undefined, profile: ClientProfile, ...tokens: readonly string[]): Field[] {
    return this.common(profile, [...(session ? this.idTokens(session) : []), ...tokens]);
  }

  /** Returns the same fields for a response whose body consists of packets. */
  framed(session: WmspSession, profile: ClientProfile, ...tokens: readonly string[]): Field[] {
    return [['Content-Type', 'application/x-mms-framed'], ...this.of(session, profile, ...tokens)];
  }

  idTokens(session: WmspSession): string[] {
    const entry =
      session.playlistGenId > 0 && session.profile.version9 ? [`playlist-gen-id=${session.playlistGenId}`] : [];
    return [`client-id=${session.clientId}`, `timeout=${ANNOUNCED_TIMEOUT}`, ...entry];
  }

  /**
   * Returns the tokens of a response that delivers content.
   *
   * @param isNew true if the session was created for this request
   */
  contentTokens({ pragma, profile }: Handling, session: WmspSession, program: Program, isNew: boolean): string[] {
    const entry = program.current;
    return [
      `client-id=${session.clientId}`,
      `timeout=${ANNOUNCED_TIMEOUT}`,
      `features="${featuresOf(entry, program, profile).join(',')}"`,
      ...(isNew && pragma.has('client-id') ? ['xResetStrm=1'] : []),
      ...(profile.version9 ? [`playlist-gen-id=${genIdOf(entry)}`] : []),
    ];
  }

  /** Returns the fields of a response that delivers content. */
  content(profile: ClientProfile, info: ContentInfo, contentType: string, tokens: readonly string[]): Field[] {
    const { cacheControl, validators } = this.cache(profile, info);
    return [['Content-Type', contentType], ...this.common(profile, tokens, cacheControl), ...validators];
  }

  /** Returns Cache-Control and the validators of content; remote events came with 9.0. */
  cache({ version9 }: ClientProfile, info: ContentInfo): { cacheControl: string; validators: Field[] } {
    const { events, caching } = this.identity;
    return cacheFields(info, { events: version9 && events === true, caching });
  }

  /** Returns the beginning of a Play body: [$M] $H (MS-WMSP 2.2.2.6). */
  head(profile: ClientProfile, program: Program): Buffer {
    const entry = program.current;
    return entryHead(playableHeader(entry), entry, program, profile, this.identity);
  }
}

/** Returns X-StartupProfile, if there is a profile (MS-WMSP 3.2.5.6). */
export function profileFields(first: Started | undefined): Field[] {
  return first?.profile ? [['X-StartupProfile', formatStartupProfile(first.profile)]] : [];
}
