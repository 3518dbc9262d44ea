import { isAnnouncementLocation } from '../announce/read.js';
import { WmError } from '../errors.js';
import type { AsfSource } from '../media/events.js';
import { MsbClient } from '../msb/client.js';
import { isNscLocation } from '../msb/open-nsc.js';
import { MsbdClient } from '../msbd/client.js';
import { WmspClient, type WmspClientOptions, type WmspDescription } from '../wmsp/client.js';
import { isWmspUrl } from '../wmsp/client-url.js';
import { AnnouncementSource } from './announcement.js';

/** A source on another host. */
export interface RemoteSource extends AsfSource {
  readonly stats: {
    readonly reconnects: number;
    readonly damagedPackets: number;
    readonly lostPackets?: number;
    /** Those that parity packets brought back. */
    readonly recoveredPackets?: number;
  };
  /** Known when the first header comes. */
  readonly description:
    | { readonly url: string; readonly live: boolean; readonly server?: { readonly text: string } | undefined }
    | undefined;
}

/** How to ask for a source; what a protocol has not is not used. */
export type SourceOptions = Omit<WmspClientOptions, 'url'> & {
  /** The network interface by which multicast groups are joined: its name or an address of it. */
  readonly interface?: string | undefined;
  /** Announcements that led here, default 0; there are no more than four, one behind the other. */
  readonly announcements?: number | undefined;
};

/** What is told of a source of which nothing is received; what a protocol does not tell is not there. */
export type SourceDescription = Pick<WmspDescription, 'url' | 'live' | 'header'> &
  Partial<Omit<WmspDescription, 'url' | 'live' | 'header' | 'transport'>> & {
    /** The protocol, as in `wmsp`. */
    readonly transport: string;
    /** The multicast group that packets are sent to. */
    readonly group?: { readonly address: string; readonly port: number } | undefined;
  };

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

const MAX_ANNOUNCEMENTS = 4;
const TABLE = { open: openSourceUrl, describe: describeSourceUrl };

/** What leads to other sources. With a proxy, which has to be asked for it too, that is left to the client of its protocol. */
const ANNOUNCEMENTS: SourceKind = {
  form: '.asx and .m3u files',
  hasChoice: true,
  isFor: isAnnouncementLocation,
  open: (url, options) => new AnnouncementSource(url, options, TABLE),
  describe: (url, options) => AnnouncementSource.describe(url, options, TABLE),
};

/** Every kind of source that a URL can name, the more special first. */
const KINDS: readonly SourceKind[] = [
  ANNOUNCEMENTS,
  {
    form: '.nsc files',
    hasChoice: false,
    isFor: isNscLocation,
    open: (url, { log, onNote, tls, interface: own, ...others }) =>
      new MsbClient({
        url,
        log,
        onNote,
        tls,
        interface: own,
        openUrl: (unicast) => openSourceUrl(unicast, { log, onNote, tls, ...others }),
      }),
    describe: async (url, { onNote, tls }) => ({
      ...(await MsbClient.describe({ url, onNote, tls })),
      transport: 'msb',
    }),
  },
  {
    form: 'msbd://',
    hasChoice: false,
    isFor: (text) => /^\s*msbd:\/\//i.test(text),
    open: (url, options) => new MsbdClient({ ...options, url }),
    describe: (url, { reconnect: _, ...options }) => MsbdClient.describe({ ...options, url }),
  },
  {
    form: 'http://, https://, mmsh://, mms://',
    hasChoice: true,
    isFor: isWmspUrl,
    open: (url, options) => new WmspClient({ ...options, url }),
    describe: (url, options) => WmspClient.describe({ ...options, url }),
  },
];

function kindOf(url: string, { announcements = 0, proxy }: SourceOptions = {}): SourceKind {
  const isContent = announcements >= MAX_ANNOUNCEMENTS || (proxy !== undefined && isWmspUrl(url));
  const kind = KINDS.find((each) => each.isFor(url) && !(isContent && each === ANNOUNCEMENTS));
  if (kind) return kind;
  if (announcements >= MAX_ANNOUNCEMENTS) {
    throw new WmError('WM_PROTOCOL', `Announcements lead to announcements again and again, last to ${url}.`);
  }
  const [scheme] = /^[a-z][a-z0-9+.-]*:\/\//i.exec(url.trim()) ?? [`"${url}"`];
  throw new WmError(
    'WM_USAGE',
    `${scheme} cannot be received: that needs ${KINDS.map(({ form }) => form).join(', ')}.`,
  );
}

/** Whether text names a source on another host, and not a file. @throws WmError WM_USAGE for a kind of URL that is none */
export function isSourceUrl(text: string): boolean {
  if (KINDS.some(({ isFor }) => isFor(text))) return true;
  if (!/^\s*[a-z][a-z0-9+.-]+:\/\//i.test(text)) return false;
  kindOf(text);
  return false;
}

/** Whether {@link SourceOptions} `streams` and `bandwidth` mean anything for a URL. */
export function hasChoiceOfStreams(url: string): boolean {
  return kindOf(url).hasChoice;
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
