import type { AsfSource } from '../media/events.js';
import type { WmspClientOptions, WmspDescription } from '../wmsp/client.js';

/** A source on another host, or one that an announcement names. */
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

/** How to ask for a source; what a protocol does not have is not used. */
export type SourceOptions = Omit<WmspClientOptions, 'url'> & {
  /** The network interface by which multicast groups are joined: its name or an address of it. */
  readonly interface?: string | undefined;
  /** How many announcements and redirects led here, default 0; four at most. */
  readonly depth?: number | undefined;
  /** References that may still be tried, over all announcements that the first one leads to. */
  readonly tries?: { left: number } | undefined;
};

/** What is told of a source of which nothing is received; what a protocol does not tell is not there. */
export type SourceDescription = Pick<WmspDescription, 'url' | 'live' | 'header'> &
  Partial<Omit<WmspDescription, 'url' | 'live' | 'header' | 'transport'>> & {
    /** The protocol, as in `wmsp`. */
    readonly transport: string;
    /** The multicast group that packets are sent to. */
    readonly group?: { readonly address: string; readonly port: number } | undefined;
  };

/** How a URL is received: for sources that lead to others. */
export interface SourceTable {
  /** @throws WmError WM_USAGE when nothing receives such a URL, WM_PROTOCOL when too many announcements led to it */
  open(url: string, options: SourceOptions): RemoteSource;
  describe(url: string, options: SourceOptions): Promise<SourceDescription>;
}

/** Announcements and redirects that may lead from one to the next. */
export const MAX_DEPTH = 4;
