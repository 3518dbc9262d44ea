import type { Ticker } from '../media/on-demand/flow.js';
import type { Entrance } from '../playback/entrance.js';
import type { Playback } from '../playback/host.js';
import type { PaceLimits } from '../playback/pace.js';
import type { SessionRegistry } from '../playback/registry.js';
import type { SessionIds } from '../playback/session-ids.js';
import type { WmLog } from '../wmlog/log.js';

/** A client's log as it was submitted (MS-WMSP 2.2.2.4). */
export interface SubmittedLog {
  readonly clientId: number;
  readonly path: string;
  readonly form: 'log-line' | 'xml';
  readonly text: string;
  /** What it says; undefined when it is malformed. */
  readonly log: WmLog | undefined;
}

export interface WmspServerOptions {
  /** The way to content. Refusals with challenges keep the connection for another try (MS-WMSP 3.2.5.1). */
  readonly entrance: Pick<Entrance, 'enter'>;
  /** Decodes and checks the path of a request-target; throws a Refusal. */
  readonly pathOf: (target: string) => string;
  /** Answer as an encoder that is pulled (MS-WMSP 4.11). */
  readonly encoder?: boolean;
  /** Sessions that do not stream; when there are more, those that were used longest ago are forgotten. */
  readonly maxIdleSessions?: number;
  /** What the sessions of all protocols share; default one of its own, of the options below. */
  readonly playback?: Playback;
  readonly limits?: PaceLimits;
  readonly onLog?: (log: SubmittedLog) => void;
  /** The body of a SendEvent request (MS-WMSP 2.2.5). */
  readonly onEvent?: (path: string, body: string) => void;
  /** Where sessions that play are known; default one of its own. */
  readonly registry?: SessionRegistry;
  /** What client-ids say of where their sessions live; default nothing. */
  readonly ids?: SessionIds;
  /** Something failed that no client caused, such as a file that cannot be read on. */
  readonly onError?: (error: unknown) => void;
  /** Milliseconds by which packets of files may leave before they are due; default 1000 (see OnDemandFlowOptions). */
  readonly ahead?: number;
  /** A clock in ms that only goes forward; default `performance.now`. */
  readonly now?: () => number;
  /** Looks at that clock for what waits. */
  readonly ticker?: Ticker;
}
