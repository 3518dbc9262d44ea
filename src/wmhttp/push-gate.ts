import type { Exchange } from '../http/exchange.js';
import type { Field } from '../http/message.js';
import type { AsfSink } from '../media/events.js';

/** A PushSetup request, as the one who decides about it sees it. */
export interface PushSetupRequest {
  /** Path of the publishing point, percent-decoded, without query. */
  readonly path: string;
  /** Path of the publishing point to make a new one from, percent-decoded. */
  readonly template: string | undefined;
  /** The publishing point is to be removed at the end of the session. */
  readonly autoDestroy: boolean;
  /** For the address, Via and the credentials; not to be answered. */
  readonly exchange: Exchange;
}

/**
 * What becomes of a PushSetup request: it may push to a point, it gets an HTTP error status (with 401 and 407 the connection
 * stays open for another try), or it is sent elsewhere, with 302 or to a proxy with 305 (MS-WMHTTP 3.2.5.1).
 */
export type PushDecision =
  | { readonly accept: PushPoint }
  | { readonly refuse: number; readonly fields?: readonly Field[] }
  | { readonly redirect: string; readonly proxy: boolean };

/** Decides who may push where. */
export interface PushGate {
  /** May throw HttpError, which refuses with its status. */
  open(request: PushSetupRequest): PushDecision | Promise<PushDecision>;
}

/** Who publishes, for the publishing point. */
export interface Publisher {
  readonly remoteAddress: string;
  /** Its connection broke in the middle of a body: the session waits to be resumed, and perhaps nobody ever will. */
  readonly lost: boolean;
  /** Ends the session with an HTTP status: administrator, takeover. More than one call does nothing. */
  disconnect(status: number): void;
}

/** A publishing point that a session may push to. */
export interface PushPoint {
  /**
   * The session begins to publish: its first valid ASF header has come. That header is the first thing the sink gets.
   *
   * @throws HttpError 409 when the point is taken
   */
  start(publisher: Publisher): AsfSink;
  /**
   * The session is gone; called once for each point that was accepted, started or not, behind `close` of the sink.
   *
   * @param how `clean` after a $E with Reason 0; `destroy` when the point is to be removed
   */
  release(how: { readonly clean: boolean; readonly destroy: boolean }): void;
}
