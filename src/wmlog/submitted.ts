import type { WmLog } from './log.js';

/** A client's log, as a server received it. @public */
export interface SubmittedLog {
  /** The protocol it came by; `HTTP` for logs that were posted to the server's logging URL. */
  readonly protocol: 'WMSP' | 'MMSP' | 'RTSP' | 'HTTP';
  /** The client-id (MS-WMSP 2.2.1.4.2). */
  readonly clientId?: number | undefined;
  /** The path of the request. */
  readonly path: string;
  /** The address that it came from, in text form. */
  readonly remoteAddress: string;
  /** The product that the sender names. */
  readonly client: string;
  /** `binary` for MMSP, whose logs are structures; `text` is then empty. */
  readonly form: 'log-line' | 'xml' | 'binary';
  readonly text: string;
  /** The parsed log; undefined if it is malformed. */
  readonly log: WmLog | undefined;
  /** The session of the protocol that it belongs to, as in {@link RunningSession.peer}; undefined for a log without a session. */
  readonly peer?: object | undefined;
}
