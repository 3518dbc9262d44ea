import { type ErrorCode, WmError } from '../../errors.js';
import { loginHint, refusedCredentials } from '../../http/credentials.js';
import type { ResponseHead } from '../../http/message.js';
import { isPassing, retryAfterOf } from '../../http/status-error.js';

/** A server's refusal of a push, with its HTTP status. */
export class PushRefusal extends WmError {
  readonly status: number;

  constructor(code: ErrorCode, message: string, { status, headers }: ResponseHead, hint?: string) {
    super(code, message, { hint, passing: isPassing(status), retryIn: retryAfterOf(headers) });
    this.name = 'PushRefusal';
    this.status = status;
  }
}

/** Returns advice for a push that was refused. @param known true if a user was named */
function pushHint(status: number, known: boolean): string | undefined {
  switch (status) {
    case 403:
      return known
        ? "This user may not push there; the server's administrator can allow it."
        : 'Pushes may be allowed from the server itself only, or after a login (--user).';
    case 404:
      return 'Name a publishing point, such as http://server:8080/live.';
    case 409:
      return 'Another encoder is publishing there: stop it, or push to another point.';
    case 503:
      return 'The server has reached a limit; try again later.';
    default:
      return undefined;
  }
}

/** What a push was when it was refused. */
export interface RefusedPush {
  /** The name of the publishing point in messages. */
  readonly name?: string | undefined;
  /** True if a user was named. */
  readonly isKnown: boolean;
  /** True if the server had taken its header. */
  readonly isPushing: boolean;
}

/** Returns the error for a refusal, with its status in words. */
export function pushRefusal(head: ResponseHead, push: RefusedPush): PushRefusal {
  const { status, reason } = head;
  const { name = 'the publishing point', isKnown, isPushing } = push;
  const said = `${status}${reason === '' ? '' : ` ${reason}`}`;
  if (status === 401 || status === 407) {
    const sentence = `${refusedCredentials(status, isKnown)}: ${said} for ${name}.`;
    return new PushRefusal('WM_AUTH_REFUSED', sentence, head, loginHint(status, isKnown));
  }
  if (status === 403 && isPushing) {
    const sentence = `The server ended the push to ${name}: ${said}.`;
    const hint = 'An administrator ended it, or withdrew the permission.';
    return new PushRefusal('WM_AUTH_REFUSED', sentence, head, hint);
  }
  const code = status === 403 ? 'WM_AUTH_REFUSED' : 'WM_PUSH_REFUSED';
  const why = status === 409 ? `${name} is taken` : `The server refused the push to ${name}`;
  return new PushRefusal(code, `${why}: ${said}.`, head, pushHint(status, isKnown));
}
