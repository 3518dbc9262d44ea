import type { Entrance } from '../../playback/entrance.js';
import type { Playback } from '../../playback/host.js';

/** The services that sessions need from their server. */
export interface SessionHost<Session> {
  readonly playback: Playback;
  readonly entrance: Pick<Entrance, 'enter'>;
  /** ServerVersionInfo, for example 9.5.6001.18281. */
  readonly version: string;
  /**
   * Returns the path of the content that a fileName names; for content of another server, its URL.
   *
   * @param host the server that the client means, if it says so (MS-MMSP 2.2.4.17)
   * @throws Refusal for a name that no content can have
   */
  pathOf(fileName: string, host?: string): string;
  /** The session has begun to send, or goes on with another entry. */
  started(session: Session): void;
  /** The session has stopped sending; may be called more than once. */
  stopped(session: Session): void;
  refused(session: Session, fileName: string, why: string): void;
  /** @param log a CLIENT_LOG, unparsed */
  log(session: Session, log: Buffer): void;
  failed(error: unknown): void;
}
