import { type ErrorCode, WmError } from './errors.js';

/**
 * Why something is refused, in no protocol's words. Each protocol has one table that turns a kind into its own status.
 *
 * - `bad-request`: what was asked makes no sense
 * - `unauthorized`: credentials are needed, or wrong
 * - `forbidden`: this client may not, whatever it says
 * - `not-found`: nothing has that name
 * - `offline`: it is there, but nobody feeds it at the moment
 * - `taken`: somebody else has it
 * - `gone`: it was there and does not come back
 * - `unsupported`: it cannot be done, or not by this protocol
 * - `too-large`: more bytes than are taken
 * - `too-long`: a name longer than any that is there
 * - `busy`: a limit is reached, or a resource is used up; later it may work
 * - `throttled`: this client failed too often and has to wait
 * - `failed`: an error of this side
 *
 * @public
 */
export type RefusalKind =
  | 'bad-request'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'offline'
  | 'taken'
  | 'gone'
  | 'unsupported'
  | 'too-large'
  | 'too-long'
  | 'busy'
  | 'throttled'
  | 'failed';

const CODES: Readonly<Record<RefusalKind, ErrorCode>> = {
  'bad-request': 'WM_PROTOCOL',
  unauthorized: 'WM_AUTH_REFUSED',
  forbidden: 'WM_AUTH_REFUSED',
  'not-found': 'WM_NO_INPUT',
  offline: 'WM_UNREACHABLE',
  taken: 'WM_PUSH_REFUSED',
  gone: 'WM_NO_INPUT',
  unsupported: 'WM_PROTOCOL',
  'too-large': 'WM_PROTOCOL',
  'too-long': 'WM_PROTOCOL',
  busy: 'WM_UNREACHABLE',
  throttled: 'WM_AUTH_REFUSED',
  failed: 'WM_FAILED',
};

/** One way to log in that a client is offered, or one step of a handshake. */
export interface Challenge {
  /** The name of the scheme, as header fields have it: `NTLM`, `Digest` … */
  readonly scheme: string;
  /** What belongs to it: the parameters as a header field has them, or a token in base64. */
  readonly token?: string | undefined;
}

/** Facts that some kinds of refusals carry. */
export interface RefusalOptions extends ErrorOptions {
  /** For `unauthorized`: the ways to log in, the most preferred first. */
  readonly challenges?: readonly Challenge[] | undefined;
  /** Whole seconds, at least 1, after which another try makes sense. */
  readonly retryAfter?: number | undefined;
  /** True if this server is a proxy, and the one that it asked for the client refuses; default: false. */
  readonly ofOrigin?: boolean | undefined;
}

/**
 * A request that is refused. Code that serves several protocols throws only this, never an error of one protocol. The message
 * is one sentence that names what was refused.
 */
export class Refusal extends WmError {
  readonly kind: RefusalKind;
  readonly challenges: readonly Challenge[];
  readonly retryAfter: number | undefined;
  readonly ofOrigin: boolean;

  constructor(
    kind: RefusalKind,
    message: string,
    { challenges = [], retryAfter, ofOrigin = false, ...options }: RefusalOptions = {},
  ) {
    super(CODES[kind], message, options);
    this.name = 'Refusal';
    this.kind = kind;
    this.challenges = challenges;
    this.retryAfter = retryAfter;
    this.ofOrigin = ofOrigin;
  }
}
