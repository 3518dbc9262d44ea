import type { Cookie } from '../../http/cookies.js';
import type { Field } from '../../http/message.js';
import type { SetupDirectives } from '../messages/messages.js';

/** The states of MS-WMHTTP 4.7 (figure 8). */
export type ClientState = 'Init' | 'WaitingForPushSetupResponse' | 'PushSetupComplete' | 'PushStart_InProgress' | 'End';

/** The actions that the session asks its owner for, in order. */
export type ClientAction =
  /** Get a connection, then call {@link PushClientSession.pushStart}. */
  | { readonly type: 'pushStart' }
  /** Send these bytes of the body of the PushStart request. */
  | { readonly type: 'send'; readonly bytes: Buffer }
  /** The body is complete; nothing more can be sent before its response. */
  | { readonly type: 'awaitResponse' }
  /**
   * Connect to another server (302), or through a proxy to the same one (305), and call
   * {@link PushClientSession.pushSetup}.
   */
  | { readonly type: 'redirect'; readonly location: string; readonly proxy: boolean }
  /**
   * The server (401) or a proxy (407) requires credentials: with PushSetup, or with PushStart, on a new connection if
   * its body was not complete (MS-WMHTTP 3.1.5.2). Then call {@link PushClientSession.pushSetup} or
   * {@link PushClientSession.pushStart} again.
   */
  | { readonly type: 'authenticate'; readonly status: number }
  /** PushSetup succeeded: the server waits for an ASF header. */
  | { readonly type: 'ready' }
  /** The last packet was sent: close the connection. */
  | { readonly type: 'close' };

/** A request to send; the body of a PushStart follows as `send` actions. */
export interface ClientRequest {
  readonly fields: readonly Field[];
  readonly body: Buffer | undefined;
}

/** The point that is pushed to, and the limits of the push. */
export interface ClientSessionOptions extends Partial<SetupDirectives> {
  /** The name of the publishing point in messages. */
  readonly name?: string;
  readonly userAgent?: string | undefined;
  /**
   * The size of each PushStart body in bytes, raised where the protocol needs more; default: determined by
   * `bodyDuration`.
   */
  readonly contentLength?: number | undefined;
  /**
   * How many seconds of the stream a PushStart body holds; default: 60 through a proxy, else unlimited (2147483647
   * bytes).
   */
  readonly bodyDuration?: number | undefined;
  /** In order of preference; default: all but Basic, even without a user (MS-WMHTTP 3.1.4.1.1). */
  readonly acceptAuthentication?: readonly string[] | undefined;
  /** As in `HttpAuthenticator`. */
  readonly knows?: (status: number) => boolean;
  /** The session of another connection that is to be resumed (MS-WMHTTP 3.2.7.1). */
  readonly resume?: PushSessionState | undefined;
}

/** The facts about a session that a client needs to resume it on another connection. @public */
export interface PushSessionState {
  readonly pushId: string;
  readonly cookies: readonly Cookie[];
  /** True if one of its PushStart requests has succeeded, so that no other begins with $H (MS-WMHTTP 3.1.4.2.1). */
  readonly started: boolean;
  /** The number of its $D packets that were handed out for sending. */
  readonly packets: number;
}
