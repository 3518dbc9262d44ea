import { isAnnouncementLocation } from '../announce/read.js';
import { WmError } from '../errors.js';
import { MsbClient } from '../msb/client/client.js';
import { isNscLocation } from '../msb/client/open-nsc.js';
import { MsbdClient } from '../msbd/client/client.js';
import { isSynthetic } from '../testing/synthetic-url.js';
import { AnnouncementSource } from './announced.js';
import { FollowedSource } from './followed.js';
import { MulticastSource } from './multicast.js';
import {
  MAX_DEPTH,
  type RemoteSource,
  type SourceDescription,
  type SourceOptions,
  type SourceTable,
} from './source.js';
import { SyntheticContent } from './synthetic.js';
import { hasWays } from './ways.js';

interface SourceKind {
  /** The form of its URLs, for people. */
  readonly form: string;
  /** True if a client can choose streams or a bit rate. */
  readonly hasChoice: boolean;
  isFor(text: string): boolean;
  /** @throws WmError WM_USAGE */
  open(url: string, options: SourceOptions): RemoteSource;
  describe(url: string, options: SourceOptions): Promise<SourceDescription>;
}

/** The table, for sources that lead to others. */
export const TABLE: SourceTable = { open: openSourceUrl, describe: describeSourceUrl };

/** Every kind of source that a URL or an announcement on this host can name, the more specific first. */
const KINDS: readonly SourceKind[] = [
  {
    form: 'http://, https://, mmsh://, mms://, mmst://, mmsu://, rtsp://, rtspt://, rtspu://',
    hasChoice: true,
    // The content shows whether it is an announcement, whatever the URL looks like.
    isFor: hasWays,
    open: (url, options) => new FollowedSource(url, options, TABLE),
    describe: (url, options) => FollowedSource.describe(url, options, TABLE),
  },
  {
    form: 'msbd://',
    hasChoice: false,
    isFor: (text) => /^\s*msbd:\/\//i.test(text),
    open: (url, options) => new MsbdClient({ ...options, url }),
    describe: (url, { reconnect: _, ...options }) => MsbdClient.describe({ ...options, url }),
  },
  {
    form: '.nsc files',
    hasChoice: false,
    isFor: isNscLocation,
    open: (url, options) => {
      const { log, onNote, tls, interface: own } = options;
      const openUrl = (unicast: string) => openSourceUrl(unicast, options);
      return new MulticastSource({ url, log, onNote, tls, interface: own, openUrl }, options);
    },
    describe: async (url, { onNote, tls }) => ({
      ...(await MsbClient.describe({ url, onNote, tls })),
      transport: 'msb',
    }),
  },
  {
    form: 'synthetic:',
    hasChoice: false,
    isFor: isSynthetic,
    open: (url) => new SyntheticContent(url),
    describe: async (url) => SyntheticContent.describe(url),
  },
  {
    form: '.asx, .m3u and .pls files',
    hasChoice: true,
    isFor: isAnnouncementLocation,
    open: (path, options) => AnnouncementSource.at(path, options, TABLE),
    describe: (path, options) => AnnouncementSource.at(path, options, TABLE).describe(),
  },
];

function kindOf(url: string, { depth = 0 }: SourceOptions = {}): SourceKind {
  if (depth >= MAX_DEPTH) {
    throw new WmError('WM_PROTOCOL', `Too many announcements lead to one another, the last one to ${url}.`);
  }
  const kind = KINDS.find((each) => each.isFor(url));
  if (kind) return kind;
  const [scheme] = /^[a-z][a-z0-9+.-]{0,20}:\/\//i.exec(url.trim()) ?? [`"${url}"`];
  throw new WmError(
    'WM_USAGE',
    `${scheme} cannot be received: that needs ${KINDS.map(({ form }) => form).join(', ')}.`,
  );
}

/**
 * True if the text names a source on another host, or an announcement. @throws WmError WM_USAGE for an unknown kind of
 * URL
 */
export function isSourceUrl(text: string): boolean {
  if (KINDS.some(({ isFor }) => isFor(text))) return true;
  if (!/^\s*[a-z][a-z0-9+.-]+:\/\//i.test(text)) return false;
  kindOf(text);
  return false;
}

/** True if {@link SourceOptions} `streams` and `bandwidth` have an effect for the URL. */
export function hasChoiceOfStreams(url: string): boolean {
  return kindOf(url).hasChoice && !isNscLocation(url);
}

/**
 * Opens a URL with the client of its kind.
 *
 * @throws WmError WM_USAGE if the kind is unknown, or the URL or an option is unusable
 */
export function openSourceUrl(url: string, options: SourceOptions = {}): RemoteSource {
  return kindOf(url, options).open(url, options);
}

/**
 * Describes the source at a URL without receiving it.
 *
 * @throws WmError as {@link openSourceUrl}, and as the iteration of the client of its kind
 */
export async function describeSourceUrl(url: string, options: SourceOptions = {}): Promise<SourceDescription> {
  return kindOf(url, options).describe(url, options);
}
