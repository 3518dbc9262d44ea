import { isAnnouncementLocation } from '../announce/read.js';
import { WmError } from '../errors.js';
import { MsbClient } from '../msb/client.js';
import { isNscLocation } from '../msb/open-nsc.js';
import { MsbdClient } from '../msbd/client.js';
import { isWmspUrl } from '../wmsp/client-url.js';
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

interface SourceKind {
  /** What its URLs look like, for a person. */
  readonly form: string;
  /** Whether a client can say which streams it wants, or at how many bits per second. */
  readonly hasChoice: boolean;
  isFor(text: string): boolean;
  /** @throws WmError WM_USAGE */
  open(url: string, options: SourceOptions): RemoteSource;
  describe(url: string, options: SourceOptions): Promise<SourceDescription>;
}

/** The table, for sources that lead to others. */
export const TABLE: SourceTable = { open: openSourceUrl, describe: describeSourceUrl };

/** Every kind of source that a URL or an announcement on this host can name, the more special first. */
const KINDS: readonly SourceKind[] = [
  {
    form: 'http://, https://, mmsh://, mms://',
    hasChoice: true,
    // An announcement is known by what comes, whatever the URL is called.
    isFor: isWmspUrl,
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
    form: '.asx, .m3u and .pls files',
    hasChoice: true,
    isFor: isAnnouncementLocation,
    open: (path, options) => AnnouncementSource.at(path, options, TABLE),
    describe: (path, options) => AnnouncementSource.at(path, options, TABLE).describe(),
  },
];

function kindOf(url: string, { depth = 0 }: SourceOptions = {}): SourceKind {
  if (depth >= MAX_DEPTH) {
    throw new WmError('WM_PROTOCOL', `Announcements lead to announcements again and again, last to ${url}.`);
  }
  const kind = KINDS.find((each) => each.isFor(url));
  if (kind) return kind;
  const [scheme] = /^[a-z][a-z0-9+.-]{0,20}:\/\//i.exec(url.trim()) ?? [`"${url}"`];
  throw new WmError(
    'WM_USAGE',
    `${scheme} cannot be received: that needs ${KINDS.map(({ form }) => form).join(', ')}.`,
  );
}

/** Whether text names a source on another host, or an announcement. @throws WmError WM_USAGE for a kind of URL that is none */
export function isSourceUrl(text: string): boolean {
  if (KINDS.some(({ isFor }) => isFor(text))) return true;
  if (!/^\s*[a-z][a-z0-9+.-]+:\/\//i.test(text)) return false;
  kindOf(text);
  return false;
}

/** Whether {@link SourceOptions} `streams` and `bandwidth` mean anything for a URL. */
export function hasChoiceOfStreams(url: string): boolean {
  return kindOf(url).hasChoice && !isNscLocation(url);
}

/**
 * Opens what a URL names, with the client of its kind.
 *
 * @throws WmError WM_USAGE when there is no such kind, or the URL or an option cannot be used
 */
export function openSourceUrl(url: string, options: SourceOptions = {}): RemoteSource {
  return kindOf(url, options).open(url, options);
}

/**
 * Asks what is at a URL, and receives nothing of it.
 *
 * @throws WmError as {@link openSourceUrl}, and as the iteration of the client of its kind
 */
export async function describeSourceUrl(url: string, options: SourceOptions = {}): Promise<SourceDescription> {
  return kindOf(url, options).describe(url, options);
}
