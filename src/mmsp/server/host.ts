import type { Entrance } from '../../playback/entrance.js';
import type { Playback } from '../../playback/host.js';

/** What sessions need of their server. */
export interface SessionHost<Session> {
  readonly playback: Playback;
  readonly entrance: Pick<Entrance, 'enter'>;
  /** ServerVersionInfo, for example 9.5.6001.18281. */
  readonly version: string;
  /** The path of content that a fileName stands for. @throws Refusal for a name that no content can have */
  pathOf(fileName: string): string;
  /** The session began to send, or goes on with another entry. */
  started(session: Session): void;
  /** Nothing is sent any more; may be called more than once. */
  stopped(session: Session): void;
  refused(session: Session, fileName: string, why: string): void;
  /** @param log a CLIENT_LOG as it came */
  log(session: Session, log: Buffer): void;
  failed(error: unknown): void;
}
