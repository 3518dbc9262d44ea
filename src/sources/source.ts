import type { AsfSource } from '../media/events.js';
import type { WmspClientOptions, WmspDescription } from '../wmsp/client/client.js';

/** A source on another host, or named by an announcement. */
export interface RemoteSource extends AsfSource {
  readonly stats: {
    readonly reconnects: number;
    readonly damagedPackets: number;
    readonly lostPackets?: number;
    /** Packets recovered by parity packets. */
    readonly recoveredPackets?: number;
  };
  /** Known from the first header on. */
  readonly description:
    | { readonly url: string; readonly live: boolean; readonly server?: { readonly text: string } | undefined }
    | undefined;
}

/** How to request a source; options that a protocol lacks are ignored. @public */
export type SourceOptions = Omit<WmspClientOptions, 'url'> & {
  /** The network interface on which to join multicast groups: its name or one of its addresses. */
  readonly interface?: string | undefined;
  /** The number of announcements and redirects that led here, at most four; default 0. */
  readonly depth?: number | undefined;
  /** The number of references that may still be tried, shared by all announcements that the first one leads to. */
  readonly tries?: { left: number } | undefined;
};

/** The description of a source, got without receiving it; properties that the protocol lacks are absent. @public */
export type SourceDescription = Pick<WmspDescription, 'url' | 'live' | 'header'> &
  Partial<Omit<WmspDescription, 'url' | 'live' | 'header' | 'transport' | 'server'>> & {
    readonly server?: { readonly text: string } | undefined;
    /** The protocol, such as `wmsp` or `mmsu`. */
    readonly transport: string;
    /** The multicast group that packets are sent to. */
    readonly group?: { readonly address: string; readonly port: number } | undefined;
  };

/** How to receive URLs: for sources that lead to others. */
export interface SourceTable {
  /** @throws WmError WM_USAGE if nothing can receive the URL, WM_PROTOCOL if too many announcements led to it */
  open(url: string, options: SourceOptions): RemoteSource;
  describe(url: string, options: SourceOptions): Promise<SourceDescription>;
}

/** The maximum number of announcements and redirects in a row. */
export const MAX_DEPTH = 4;
