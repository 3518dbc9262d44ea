import type { LoginEvent, LoginSnapshot } from '../../auth/login-memory.js';
import type { ErrorCode } from '../../errors.js';
import type { PlaceWish } from '../../playback/limits.js';
import type { SessionFilter, SessionInfo, SessionReport } from '../../playback/registry.js';
import type { RefusalKind } from '../../refusal.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';
import type { TotalCounters } from '../admin/totals.js';
import type { ServerConfig } from '../config.js';
import type { PortName, ServerPorts } from '../listeners/listener.js';
import type { HandedOver } from './handover.js';

/*
 * What the main process of a server and its workers say to each other. Media goes another way, see the room `cluster`.
 */

/** The version of these messages. A worker of another version cannot join a server that runs. */
export const MESSAGES_VERSION = 3;

/** A connection that is for another process; its socket comes with the message. */
export interface ClientMessage extends HandedOver {
  readonly kind: 'client';
  /** The number of the process; 0 is the main one. */
  readonly to: number;
  readonly port: PortName;
  /** Its number in the main process, if it goes to a worker. */
  readonly connection?: number;
}

/** A datagram about a client of MMSP that another process has. */
export interface DatagramMessage {
  readonly kind: 'datagram';
  readonly clientId: number;
  readonly bytes: Buffer;
  /** Where it came from. */
  readonly address: string;
}

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

/** The first message to a worker; the UDP socket of MMSP comes with it. */
export interface StartMessage {
  readonly kind: 'start';
  readonly version: number;
  readonly ports: ServerPorts;
  readonly config: ServerConfig;
  /** The number of the host, and the maximum number of hosts. */
  readonly node: number;
  readonly nodes: number;
  /** The number of the worker, from 1; the main process is number 0. */
  readonly worker: number;
  /** The largest number of processes, with the main one, while a server is upgraded. */
  readonly processes: number;
  /** The folder of the sockets, one for each process. */
  readonly folder: string;
  readonly logins: LoginSnapshot;
  /** True if players are to be asked for their events (MS-WMSP 2.2.5). */
  readonly events: boolean;
  readonly points: readonly CreatedPoint[];
  /** True if the main process has players of its own: it had no workers when it started. */
  readonly mainServes: boolean;
}

/** From the main process to a worker. */
export type ToWorker =
  | StartMessage
  /** A client has connected; its socket comes with the message, and nothing was read of it. */
  | { readonly kind: 'accepted'; readonly port: PortName; readonly connection: number }
  | ClientMessage
  | DatagramMessage
  /** Somebody has logged in, or failed to, at another process. */
  | { readonly kind: 'login'; readonly login: LoginEvent }
  /** The numbers of the workers that run. */
  | { readonly kind: 'running'; readonly numbers: readonly number[] }
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
  | { readonly kind: 'loaded'; readonly version: string }
  | { readonly kind: 'started' }
  | { readonly kind: 'login'; readonly login: LoginEvent }
  | ClientMessage
  | DatagramMessage
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'begun'; readonly info: SessionInfo }
  | { readonly kind: 'ended'; readonly report: SessionReport }
  | { readonly kind: 'submitted'; readonly log: SubmittedLog }
  | { readonly kind: 'line'; readonly line: string }
  | { readonly kind: 'event'; readonly path: string; readonly body: string }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'error'; readonly message: string; readonly stack: string | undefined }
  | { readonly kind: 'figures'; readonly figures: WorkerFigures }
  /** Connections that it was given have closed, or are about to be handed over. */
  | { readonly kind: 'closed'; readonly connections: readonly number[] }
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
