import type { SessionInfo, SessionReport } from '../playback/registry.js';
import type { SubmittedLog } from '../wmlog/submitted.js';
import { sessionView } from './admin/actions.js';
import type { AdminFeed } from './admin/feed.js';
import type { PointEvent } from './points/points.js';
import type { ReloadReport } from './reload.js';
import type { ProcessView } from './workers/fleet.js';

/** The callbacks of a running server. Reports and logs of all protocols come together here. @public */
export interface ServerEvents {
  point?(event: PointEvent): void;
  /** A player has begun. */
  play?(session: SessionInfo): void;
  played?(report: SessionReport): void;
  log?(log: SubmittedLog): void;
  /**
   * An event that a player reports while it plays (MS-WMSP 2.2.5); requested from players only if there is a listener.
   */
  event?(path: string, body: string): void;
  /** A problem that an operator can fix, such as a missing playlist entry. */
  warning?(message: string): void;
  /** The configuration was read again. */
  reloaded?(report: ReloadReport): void;
  /** New processes for players have replaced others. */
  upgraded?(processes: readonly ProcessView[]): void;
  /** An internal error that no peer caused. */
  error?(error: unknown): void;
}

/**
 * Passes events on to administrators who watch, too.
 *
 * @param onPlay called with the protocol of each player that begins
 */
export function watched(events: ServerEvents, feed: AdminFeed, onPlay: (protocol: string) => void): ServerEvents {
  return {
    ...events,
    point: (event) => {
      feed.emit('point', event);
      events.point?.(event);
    },
    play: (session) => {
      onPlay(session.protocol);
      feed.emit('play', sessionView(session));
      events.play?.(session);
    },
    played: (report) => {
      feed.emit('played', report);
      events.played?.(report);
    },
    warning: (message) => {
      feed.emit('warning', { message });
      events.warning?.(message);
    },
    reloaded: (report) => {
      feed.emit('reload', report);
      events.reloaded?.(report);
    },
  };
}
