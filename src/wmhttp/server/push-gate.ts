import type { Exchange } from '../../http/exchange.js';
import type { Field } from '../../http/message.js';
import type { AsfSink } from '../../media/events.js';
import type { RefusalKind } from '../../refusal.js';

/** A PushSetup request, as the gate sees it. */
export interface PushSetupRequest {
  /** The path of the publishing point, percent-decoded, without the query. */
  readonly path: string;
  /** The path of the publishing point to copy the settings from, percent-decoded. */
  readonly template: string | undefined;
  /** True if the publishing point is to be removed at the end of the session. */
  readonly autoDestroy: boolean;
  /** The push-ids that the encoder names: sessions of its own. */
  readonly ids: readonly string[];
  /** For the address, Via and the credentials; the gate must not answer it. */
  readonly exchange: Exchange;
}

/** A PushStart request of an existing session. */
export interface PushStartRequest {
  readonly path: string;
  readonly exchange: Exchange;
  /** True if it comes from another address than the last PushSetup request of its session. */
  readonly moved: boolean;
}

/**
 * The answer to a PushSetup request that is not refused: it may push to a point, or is redirected with 302, or to a
 * proxy with 305 (MS-WMHTTP 3.2.5.1).
 */
export type PushDecision =
  | {
      readonly accept: PushPoint;
      /** The authenticated user, if authentication was required; a session belongs to one user. */
      readonly user?: string | undefined;
      /** Additional fields for the response. */
      readonly fields?: readonly Field[];
    }
  | { readonly redirect: string; readonly proxy: boolean };

/** Decides who may push where. */
export interface PushGate {
  /** @throws Refusal; if it has challenges, the connection stays open for another attempt */
  open(request: PushSetupRequest): PushDecision | Promise<PushDecision>;
  /**
   * Called for each PushStart request; without this method, anyone who knows the push-id may go on.
   *
   * @returns nothing, or a promise of nothing, to let it go on
   * @throws Refusal as `open`, also as a rejected promise. A challenge must not name NTLM (MS-WMHTTP 3.2.5.2).
   */
  start?(request: PushStartRequest): void | Promise<void>;
}

/** The publisher, as the publishing point sees it. @public */
export interface Publisher {
  /** The protocol; default: `WMHTTP`. */
  readonly protocol?: string;
  /** The product that the client names. */
  readonly client?: string;
  readonly remoteAddress: string;
  /** The user that its credentials name; undefined if none were required. */
  readonly user?: string | undefined;
  /** The push-id of its session. */
  readonly session?: string;
  /** Other push-ids that it named when it set up this session, which were its own as well. */
  readonly formerSessions?: readonly string[];
  /** True if its connection broke in the middle of a body. The session waits to be resumed, which may never happen. */
  readonly lost: boolean;
  /** Ends the session for that reason, such as an administrator or a takeover. Further calls have no effect. */
  disconnect(reason: RefusalKind): void;
}

/** A publishing point that a session may push to. */
export interface PushPoint {
  /**
   * Begins publishing, once the first valid ASF header has arrived. That header is the first event for the sink.
   *
   * @throws Refusal `taken` if somebody else publishes to the point, also as a rejected promise
   */
  start(publisher: Publisher): AsfSink | Promise<AsfSink>;
  /**
   * Called at the end of the session, after `close` of the sink: once for each accepted point, started or not.
   *
   * @param how `clean` after a $E with Reason 0; `destroy` if the point is to be removed
   */
  release(how: { readonly clean: boolean; readonly destroy: boolean }): void;
}
