import type { ClientProduct } from '../messages/requests.js';

/**
 * How a kind of client wants to be served. This table is the only place that knows the habits of clients. Each row
 * names its source, and test/wmsp/profiles.test.ts has a test for each.
 */
export interface ClientProfile {
  readonly name: string;
  /** $M before $H: required for clients from 9.0, forbidden below (MS-WMSP 3.2.4.2). */
  readonly metadata: boolean;
  /** True if the connection is closed after a Describe response even if the client would keep it. */
  readonly closesAfterDescribe: boolean;
  /** Whether ASF packets keep their padding. */
  readonly padding: 'cut' | 'kept';
  /** True if the B bit is set on packets of files that the next one follows without a pause (MS-WMSP 2.2.3.1.1). */
  readonly marksUnpaced: boolean;
  /** True if $E with Reason 1 comes before the $C of another header. */
  readonly endBeforeChange: boolean;
  /** The streams of a Play without stream-switch-entry. */
  readonly withoutSelection: 'all' | 'none';
  /** The features that a live broadcast has for this client. */
  readonly liveFeatures: readonly string[];
  /** Whether a file's header tells the length of its Data Object, or claims a very large one. */
  readonly dataSize: 'actual' | 'large';
  /** How the client is redirected: with the header that clients below 7.0 require (MS-WMSP 3.2.5.4), or with 302. */
  readonly redirection: 'header' | 'status';
  /** True for headers and tokens that came with 9.0: Supported, playlist-gen-id. */
  readonly version9: boolean;
}

interface Row {
  readonly matches: (client: ClientProduct) => boolean;
  readonly source: string;
  readonly profile: ClientProfile;
}

// NSPlayer below 9.0, and the open-source players, which all use that name.
const legacyPlayer: ClientProfile = {
  name: 'player below 9.0',
  metadata: false,
  closesAfterDescribe: true,
  padding: 'cut',
  marksUnpaced: false,
  endBeforeChange: false,
  withoutSelection: 'none',
  liveFeatures: ['broadcast'],
  dataSize: 'actual',
  redirection: 'status',
  version9: false,
};

const player9: ClientProfile = {
  ...legacyPlayer,
  name: 'player from 9.0',
  metadata: true,
  closesAfterDescribe: false,
  marksUnpaced: true,
  endBeforeChange: true,
  liveFeatures: ['broadcast', 'playlist'],
  version9: true,
};

const PROFILES: readonly Row[] = [
  {
    source: 'MS-WMSP 2.2.3.3 and 3.2.5.6: NSServer up to 5.0 gets packets intact, and all streams when it names none',
    matches: ({ token, major }) => token === 'NSServer' && major <= 5,
    profile: {
      ...legacyPlayer,
      name: 'server up to 5.0',
      padding: 'kept',
      withoutSelection: 'all',
      redirection: 'header',
    },
  },
  {
    source: 'pullers that say only NSPlayer, with no version, go straight to Play and expect everything',
    matches: ({ token, major }) => token === 'NSPlayer' && major === 0,
    profile: { ...legacyPlayer, name: 'player without a version', withoutSelection: 'all', redirection: 'header' },
  },
  {
    source: 'MS-WMSP 3.2.4.2: $M, $E(1) $C $M $H between entries, keep-alive connections for clients from 9.0',
    matches: ({ major }) => major >= 9,
    profile: player9,
  },
  {
    source:
      'FFmpeg and mpv (4.1.0.3856): follow 302 but no script command, and count the bytes of all that they receive, so that after some ' +
      'seeks they take the end of the Data Object for reached',
    matches: ({ text }) => /^\s*NSPlayer\/4\.1\.0\.3856(?!\d)/i.test(text),
    profile: { ...legacyPlayer, name: 'open-source player', dataSize: 'large' },
  },
  {
    source: 'MS-WMSP 3.2.5.4: clients below 7.0 are sent elsewhere by a header',
    matches: ({ major }) => major < 7,
    profile: { ...legacyPlayer, name: 'player below 7.0', redirection: 'header' },
  },
  {
    source:
      'FFmpeg and mpv (4.1, take one $H, no $M, no B bit, and lose packets after $E(1)), libmms and xine (4.1, wait for the ' +
      'end of the Describe connection), MPlayer (4.1), VLC (7.10), hardware radios (8.0)',
    matches: () => true,
    profile: legacyPlayer,
  },
];

/** Returns the profile of a client. */
export function profileOf(client: ClientProduct): ClientProfile {
  return PROFILES.find(({ matches }) => matches(client))!.profile;
}

/** Proxies that forward only the first header of a given name, recognized by their comment in Via. */
const ONE_HEADER_PROXIES: readonly { readonly comment: RegExp; readonly source: string }[] = [
  { comment: /\(tinyproxy\b/i, source: 'tinyproxy 1.11, both ways; test/interop/push-link.test.ts pulls through it' },
];

/**
 * True if one of the proxies on the way keeps only the first header of a name. @param via the values of the Via headers
 */
export function keepsOneHeader(via: readonly string[]): boolean {
  return via.some((value) => ONE_HEADER_PROXIES.some(({ comment }) => comment.test(value)));
}
