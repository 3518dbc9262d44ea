import type { Ticker } from '../../media/on-demand/flow.js';
import type { Entrance } from '../../playback/entrance.js';
import type { Playback } from '../../playback/host.js';
import type { PaceLimits } from '../../playback/pace.js';
import type { SessionRegistry } from '../../playback/registry.js';
import type { SessionIds } from '../../playback/session-ids.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';
import type { Caching } from '../messages/responses.js';

/** The content, the limits and the clock of a WMSP server. */
export interface WmspServerOptions {
  /** The way to content. Refusals with challenges keep the connection open for another attempt (MS-WMSP 3.2.5.1). */
  readonly entrance: Pick<Entrance, 'enter'>;
  /**
   * Decodes and checks the path of a request-target; for content of another server, returns its URL.
   *
   * @param host the Host field
   * @throws Refusal
   */
  readonly pathOf: (target: string, host?: string) => string;
  /** True to answer as an encoder that is pulled (MS-WMSP 4.11). */
  readonly encoder?: boolean;
  /** The maximum number of sessions that do not stream; beyond it, the least recently used ones are forgotten. */
  readonly maxIdleSessions?: number;
  /** The state that the sessions of all protocols share; default: its own, made from the options below. */
  readonly playback?: Playback;
  readonly limits?: PaceLimits;
  readonly onLog?: (log: SubmittedLog) => void;
  /** What caches may do with files; default: as Windows Media Services. */
  readonly caching?: Caching | undefined;
  /** Gets the body of a SendEvent request (MS-WMSP 2.2.5). */
  readonly onEvent?: (path: string, body: string) => void;
  /** The registry of the sessions that play; default: its own. */
  readonly registry?: SessionRegistry;
  /** Makes client-ids, which tell where their sessions live; default: they tell nothing. */
  readonly ids?: SessionIds;
  /** Called with errors that no client caused, such as a file that can no longer be read. */
  readonly onError?: (error: unknown) => void;
  /** How far ahead of time packets of files may be sent, in ms; default: see OnDemandFlowOptions. */
  readonly ahead?: number;
  /** A monotonic clock in ms; default: `performance.now`. */
  readonly now?: () => number;
  /** Checks that clock for everything that waits. */
  readonly ticker?: Ticker;
}
