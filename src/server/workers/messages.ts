import type { ErrorCode } from '../../errors.js';
import type { PlaceWish } from '../../playback/limits.js';
import type { SessionFilter, SessionInfo, SessionReport } from '../../playback/registry.js';
import type { RefusalKind } from '../../refusal.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';
import type { TotalCounters } from '../admin/totals.js';
import type { ServerConfig } from '../config.js';
import type { ServerPorts } from '../listeners/listener.js';

/*
 * What the main process of a server and its workers say to each other. Media goes another way, see the room `cluster`.
 */

/** A point that a push created. */
export interface CreatedPoint {
  readonly path: string;
  /** The path of the point whose settings it has; undefined if it has none. */
  readonly model: string | undefined;
}

/** The figures of a worker, sent once a second if they have changed. */
export interface WorkerFigures {
  readonly connections: number;
  readonly players: number;
  readonly bytesOut: number;
  readonly counters: TotalCounters;
  /** By the paths of points that have any. */
  readonly playersOf: Readonly<Record<string, number>>;
}

/** The first message to a worker. */
export interface StartMessage {
  readonly kind: 'start';
  readonly config: ServerConfig;
  /** The number of the worker, from 1; the main process is number 0. */
  readonly worker: number;
  /** The number of processes, with the main one. */
  readonly processes: number;
  /** The folder of the sockets, one for each process. */
  readonly folder: string;
  /** True if players are to be asked for their events (MS-WMSP 2.2.5). */
  readonly events: boolean;
  readonly points: readonly CreatedPoint[];
}

/** From the main process to a worker. */
export type ToWorker =
  | StartMessage
  /** The configuration has changed. */
  | { readonly kind: 'config'; readonly config: ServerConfig }
  | { readonly kind: 'point'; readonly created?: CreatedPoint; readonly removed?: string }
  | { readonly kind: 'taken'; readonly ask: number; readonly refusal?: Refused }
  | { readonly kind: 'list'; readonly ask: number; readonly filter: SessionFilter }
  | { readonly kind: 'stop'; readonly ask: number; readonly id: string }
  | { readonly kind: 'close' };

/** From a worker to the main process. */
export type FromWorker =
  /** It is loaded; what is sent to it before that is lost. */
  | { readonly kind: 'loaded' }
  | { readonly kind: 'started'; readonly ports: ServerPorts }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'begun'; readonly info: SessionInfo }
  | { readonly kind: 'ended'; readonly report: SessionReport }
  | { readonly kind: 'submitted'; readonly log: SubmittedLog }
  | { readonly kind: 'line'; readonly line: string }
  | { readonly kind: 'event'; readonly path: string; readonly body: string }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'error'; readonly message: string; readonly stack: string | undefined }
  | { readonly kind: 'figures'; readonly figures: WorkerFigures }
  | { readonly kind: 'take'; readonly ask: number; readonly wish: PlaceWish }
  | { readonly kind: 'release'; readonly ask: number }
  | {
      readonly kind: 'answer';
      readonly ask: number;
      readonly sessions?: readonly SessionInfo[];
      readonly found?: boolean;
    };

/** A refusal, as data. */
export interface Refused {
  readonly kind: RefusalKind;
  readonly message: string;
}

/** The socket of a process, below the folder of all. */
export function socketOf(folder: string, process: number): string {
  return `${folder}/${process}.sock`;
}
