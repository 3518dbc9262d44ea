import type { Exchange } from '../http/exchange.js';
import type { Field } from '../http/message.js';
import type { AsfSink } from '../media/events.js';
import type { RefusalKind } from '../refusal.js';

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

/** A PushStart request of a session that is there. */
export interface PushStartRequest {
  readonly path: string;
  readonly exchange: Exchange;
  /** It comes from another address than the last PushSetup request of its session. */
  readonly moved: boolean;
}

/**
 * What becomes of a PushSetup request that is not refused: it may push to a point, or is sent elsewhere, with 302 or to a proxy with
 * 305 (MS-WMHTTP 3.2.5.1).
 */
export type PushDecision =
  | {
      readonly accept: PushPoint;
      /** Who it is, when that was asked; a session is of one user. */
      readonly user?: string | undefined;
      /** For the response. */
      readonly fields?: readonly Field[];
    }
  | { readonly redirect: string; readonly proxy: boolean };

/** Decides who may push where. */
export interface PushGate {
  /** @throws Refusal; with challenges the connection stays open for another try */
  open(request: PushSetupRequest): PushDecision | Promise<PushDecision>;
  /**
   * Asked for each PushStart request; without this method, whoever knows the push-id may go on.
   *
   * @returns nothing, or a promise of it, to let it go on
   * @throws Refusal as `open`; the promise may be rejected with one. A challenge must not name NTLM (MS-WMHTTP 3.2.5.2).
   */
  start?(request: PushStartRequest): void | Promise<void>;
}

/** Who publishes, for the publishing point. */
export interface Publisher {
  /** What it speaks; default `WMHTTP`. */
  readonly protocol?: string;
  /** The product that it names. */
  readonly client?: string;
  readonly remoteAddress: string;
  /** Whom its credentials name; undefined when nobody asked. */
  readonly user?: string | undefined;
  /** The push-id of its session. */
  readonly session?: string;
  /** Other push-ids that it named when it set this session up: it had those sessions, too. */
  readonly formerSessions?: readonly string[];
  /** Its connection broke in the middle of a body: the session waits to be resumed, and perhaps nobody ever will. */
  readonly lost: boolean;
  /** Ends the session and says why: administrator, takeover. More than one call does nothing. */
  disconnect(reason: RefusalKind): void;
}

/** A publishing point that a session may push to. */
export interface PushPoint {
  /**
   * The session begins to publish: its first valid ASF header has come. That header is the first thing the sink gets.
   *
   * @throws Refusal `taken` when somebody else publishes to the point; the promise may be rejected with it
   */
  start(publisher: Publisher): AsfSink | Promise<AsfSink>;
  /**
   * The session is gone; called once for each point that was accepted, started or not, behind `close` of the sink.
   *
   * @param how `clean` after a $E with Reason 0; `destroy` when the point is to be removed
   */
  release(how: { readonly clean: boolean; readonly destroy: boolean }): void;
}
