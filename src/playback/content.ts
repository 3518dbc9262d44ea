import type { Rule } from '../auth/access.js';
import type { Caller } from '../auth/dialog.js';
import type { Field, HeaderFields } from '../http/message.js';
import type { Refusal } from '../refusal.js';
import type { WmLog } from '../wmlog/log.js';
import type { Relayed } from '../wms/relayed.js';
import type { Entry } from './entry.js';
import type { PathLimits } from './limits.js';

/** One player's way through the content of a URL: a single entry, or the entries of a server-side playlist. */
export interface Program {
  /** True for a server-side playlist. */
  readonly playlist: boolean;
  readonly current: Entry;
  /** As in {@link ContentInfo}. */
  readonly split?: boolean | undefined;
  /** What the origin of a proxy's content says about its caching. */
  readonly origin?: OriginRules | undefined;
  /** True if the player may skip to the next (1) or previous (-1) entry. */
  canSkip(offset: -1 | 1): boolean;
  /** Moves to the next entry; undefined at the end, or if no later entry can be opened. */
  next(): Promise<Entry | undefined>;
  previous(): Promise<Entry | undefined>;
  /**
   * Moves to the entry with this id, and from there by -1, 0 or 1; undefined if there is no such entry (MS-WMSP
   * 2.2.1.4.20).
   */
  seek(id: number, offset: -1 | 0 | 1): Promise<Entry | undefined>;
  /** Closes everything that is open. */
  close(): void;
}

/** The answer for content that is elsewhere (MS-WMSP 3.2.5.4). */
export interface Redirect {
  readonly redirect: string;
  /** True if it names a proxy to ask, false if it names another place. */
  readonly proxy: boolean;
}

/** Where a player wants to continue in a playlist. */
export interface PlaylistPlace {
  /** The id of the entry; 0 for the first one. */
  readonly entry: number;
  /**
   * The id of the furthest entry that this player has been given; 0 for a new player. Up to there it may go back
   * without being held up by entries that must not be skipped.
   */
  readonly reached: number;
}

/** The sender of a request, as logs name it. */
export interface Visitor {
  /** As in a session: `WMSP`, `RTSP` … */
  readonly protocol: string;
  /** `tcp`, `tls` or `udp`. */
  readonly transport: string;
  /** The product that the client names. */
  readonly client: string;
}

/** A request for content. */
export interface ContentRequest {
  /** The decoded path of the URL, with its leading slash; for content that a proxy is asked for, the whole URL. */
  readonly path: string;
  readonly caller: Caller;
  /**
   * `play` takes a place among the players; `describe` opens content to describe it; `info` and `event` open nothing.
   */
  readonly purpose: 'describe' | 'play' | 'info' | 'event';
  /** Absent if nobody logs it. */
  readonly visitor?: Visitor | undefined;
  /** The query of the URL, without its question mark; absent without one. */
  readonly query?: string | undefined;
  /** The names of the pulls from other servers that are waiting for it. */
  readonly pulls?: readonly string[] | undefined;
  /** How a proxy passes it on. */
  readonly relayed?: Relayed | undefined;
  /** The rule that counts for a client that plays already and asks for the next part; default: that of the content. */
  readonly standing?: Rule | undefined;
  /** Ends waits, for example for the header of a source that is only just starting, once the caller has gone. */
  readonly signal: AbortSignal;
}

/** What has to be known about a request to find its content; only a proxy needs more than the path. */
export type ContentWish = Pick<ContentRequest, 'path' | 'pulls' | 'query' | 'relayed'> &
  Partial<Pick<ContentRequest, 'caller' | 'purpose' | 'signal'>>;

/** The facts about content that are known without opening it. */
export interface ContentInfo {
  /** True for live content, and for playlists that begin with it. */
  readonly live: boolean;
  /** True for a server-side playlist. */
  readonly playlist: boolean;
  /** True if a proxy may forward one live stream to all its players. */
  readonly split?: boolean | undefined;
  /** For a single file only. */
  readonly file?: ContentFile | undefined;
  /** What the origin of a proxy's content says about its caching. */
  readonly origin?: OriginRules | undefined;
}

/** Header fields of an origin about the caching of its content, as it sent them. */
export interface OriginRules {
  readonly cacheControl: string;
  readonly lastModified?: string | undefined;
  readonly etag?: string | undefined;
}

/** What a player reports: a log, or an event. */
export interface PlayerReport {
  /** The log; undefined for an event. */
  readonly log?: WmLog | undefined;
  /** The event (MS-WMSP 2.2.5), as it was sent. */
  readonly event?: Buffer | undefined;
  /** The address of the player, and its User-Agent. */
  readonly address: string;
  readonly agent: string;
}

/** A file, as caches identify it. */
export interface ContentFile {
  /** In bytes. */
  readonly size: number;
  readonly modified: Date;
  /** Changes whenever the file changes. */
  readonly version: string;
}

/** A request of plain HTTP that a proxy forwards. */
export interface ForwardedRequest {
  readonly method: 'GET' | 'HEAD';
  readonly headers: HeaderFields;
}

/** The answer of an origin to a request of plain HTTP. */
export interface ForwardedAnswer {
  readonly status: number;
  /** The fields that describe what is sent, without its length. */
  readonly fields: readonly Field[];
  /** Bytes of the body; undefined if it ends with the connection. */
  readonly length: number | undefined;
  /** Returns the next bytes of the body; undefined at its end. @throws WmError WM_SERVER_GONE, WM_HTTP_MALFORMED */
  next(): Promise<Buffer | undefined>;
  /** Ends the connection to the origin. */
  close(): void;
}

/** Content that was located but not opened. */
export interface Found {
  /** The path that players are counted under: that of its publishing point, else its own. */
  readonly path: string;
  /** The rule that says who may play it. */
  readonly rule: Rule;
  readonly limits?: PathLimits | undefined;
  /** The bit rate of what a player gets, in bits per second; 0 if it is unknown before it is opened. */
  readonly bitRate?: number | undefined;
  /** The reason why nobody may describe or play it at the moment. */
  readonly closed?: Refusal | undefined;
  /**
   * Asks the origin of a proxy's content for its consent, after access was granted here.
   *
   * @throws Refusal
   */
  admit?(): Promise<void>;
  /**
   * Forwards a request of plain HTTP to the origin of a proxy's content.
   *
   * @throws Refusal `offline` if it cannot be reached
   */
  forward?(request: ForwardedRequest, signal: AbortSignal): Promise<ForwardedAnswer>;
  /** Takes a report of a player, which the origin of a proxy may want; may be kept without the rest. */
  readonly report?: (report: PlayerReport) => void;
  /** @throws Refusal if it cannot be determined, for example because a playlist is malformed */
  info(): Promise<ContentInfo>;
  /**
   * Opens it. This may start its source and wait for the header.
   *
   * @param place where to begin in a playlist; default: the first entry
   * @throws Refusal if it cannot be played at the moment; the reason of `signal` once that is aborted
   */
  open(signal: AbortSignal, place?: PlaylistPlace): Promise<Program>;
}

/** A path with nothing to play. */
export interface Missing {
  /** The rule that says who may learn that. */
  readonly rule: Rule;
  readonly missing: Refusal;
}

/** Finds the content that a server offers. */
export interface Content {
  /** Locates the content of a path. Starts nothing, opens nothing, and waits for no source. */
  find(request: ContentWish): Promise<Found | Missing | Redirect>;
}

/** Returns the facts about open content; for a playlist, those of its current entry. */
export function infoOf({ current, playlist, split, origin }: Program): ContentInfo {
  const live = current.kind === 'live';
  const file = live || playlist ? undefined : current.file;
  return { split, live, playlist, file, origin };
}

/** True if the content is elsewhere. */
export function isRedirect(found: object): found is Redirect {
  return 'redirect' in found;
}
