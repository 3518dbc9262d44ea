import { printable } from '../errors.js';
import { type AddressList, addressList } from '../http/address-list.js';
import { isLoopback, plainAddress } from '../http/addresses.js';
import { Refusal, type RefusalKind, type RefusalOptions } from '../refusal.js';
import type { AuthOutcome, AuthRequest, Caller, Finish, Scheme } from './dialog.js';

/** Who may do something, as in a configuration. */
export interface AccessRule {
  /** Addresses from which it is allowed at all; default all. */
  readonly addresses?: readonly string[] | undefined;
  /** Users who may; `*` is anyone with an account. Without users and groups, no login is needed. */
  readonly users?: readonly string[] | undefined;
  readonly groups?: readonly string[] | undefined;
  /** Addresses that need no login. */
  readonly trusted?: readonly string[] | undefined;
}

/** An {@link AccessRule} prepared for lookups. @public */
export interface Rule {
  readonly addresses: AddressList | undefined;
  readonly trusted: AddressList;
  /** Lower case; undefined if no login is needed. */
  readonly users: ReadonlySet<string> | undefined;
  readonly groups: ReadonlySet<string>;
}

/**
 * Prepares a rule.
 * @throws WmError WM_USAGE for a malformed address
 */
export function ruleOf({ addresses, users, groups, trusted }: AccessRule): Rule {
  const asks = users !== undefined || groups !== undefined;
  return {
    addresses: addresses && addressList(addresses),
    trusted: addressList(trusted ?? []),
    users: asks ? new Set((users ?? []).map((name) => name.toLowerCase())) : undefined,
    groups: new Set(groups ?? []),
  };
}

/** The answer to a caller's request. */
export type AccessDecision =
  | {
      readonly granted: true;
      /** The user who logged in; undefined if no login was needed. */
      readonly user: string | undefined;
      /** True if only its address spared it a login. Web pages can exploit the address of the people who view them. */
      readonly trusted: boolean;
      readonly finish?: Finish | undefined;
    }
  | {
      readonly granted: false;
      readonly refusal: Refusal;
      /** The credentials were good, but this user may not. */
      readonly finish?: Finish | undefined;
    };

/** Authenticates requests; `ServerAuthenticator` is one. */
export interface Authenticator {
  check(request: AuthRequest): Promise<AuthOutcome>;
}

/** How access control finds out who asks. */
export interface AccessControlOptions {
  /** Authenticates clients; without it everyone who would need a login is refused. */
  readonly authenticator?: Authenticator | undefined;
  /** The most preferred first. */
  readonly schemes: readonly Scheme[];
  /** True to offer Basic even where others on the way can read the password. */
  readonly basicWithoutTls: boolean;
  /** A wrong name or password was refused. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Decides by address and credentials who may do what, in any protocol. */
export class AccessControl {
  #options: AccessControlOptions;

  constructor(options: AccessControlOptions) {
    this.#options = options;
  }

  /** Changes how clients log in, from the next request on. Logins that take several requests begin again. */
  configure(options: AccessControlOptions): void {
    this.#options = options;
  }

  /**
   * Returns the answer, or a promise of it if it depends on credentials. After a refusal with challenges the connection
   * has to be kept for the next attempt.
   * @param what the caller wants, as in "may not …", for messages
   * @throws WmError WM_CONFIG if the users cannot be read
   */
  check(caller: Caller, rule: Rule, what: string): AccessDecision | Promise<AccessDecision> {
    const { remoteAddress, local, credentials } = caller;
    const address = plainAddress(remoteAddress);
    if (rule.addresses && !rule.addresses.includes(remoteAddress, local)) {
      return denied('forbidden', `${address} may not ${what}: its address is not in \`addresses\`.`);
    }
    if (!rule.users) return { granted: true, user: undefined, trusted: rule.addresses !== undefined };
    if (isTrusted(caller, rule)) return { granted: true, user: undefined, trusted: true };
    const { authenticator } = this.#options;
    if (!authenticator) {
      return denied('forbidden', `${address} may not ${what}: that needs a user, and the server knows none.`);
    }
    const schemes = this.#schemes(caller);
    if (credentials.schemes?.length === 0) {
      return denied('forbidden', `${address} may not ${what} by this protocol, which has no passwords.`);
    }
    if (schemes.length === 0) {
      return denied('forbidden', `${address} may not ${what} without TLS, as the password would be readable.`);
    }
    return this.#authenticate(authenticator, { credentials, remoteAddress: address, schemes }, rule, what);
  }

  async #authenticate(
    authenticator: Authenticator,
    request: AuthRequest,
    rule: Rule,
    what: string,
  ): Promise<AccessDecision> {
    const outcome = await authenticator.check(request);
    const { remoteAddress: address } = request;
    if (outcome.kind === 'blocked') {
      const { retryAfter } = outcome;
      return denied('throttled', `After too many failed logins ${address} has to wait ${retryAfter} s.`, {
        retryAfter,
      });
    }
    if (outcome.kind === 'challenge') {
      const { challenges, reason, name } = outcome;
      if (reason === 'refused') {
        const user = name === undefined || name === '' ? 'without a user name' : `as ${printable(name)}`;
        this.#options.onWarning?.(`Login failed ${user} from ${address}, to ${what}.`);
      }
      return denied('unauthorized', `A user name and a password are needed to ${what}.`, { challenges });
    }
    const { user, finish } = outcome;
    if (isAmong(user, rule)) return { granted: true, user: user.name, trusted: false, finish };
    return { ...denied('forbidden', `User ${user.name} may not ${what}.`), finish };
  }

  #schemes({ local, secure, credentials }: Caller): Scheme[] {
    const { schemes, basicWithoutTls } = this.#options;
    const unreadable = secure || local || basicWithoutTls;
    const possible = schemes.filter(
      (scheme) => (scheme !== 'basic' || unreadable) && (credentials.schemes?.includes(scheme) ?? true),
    );
    if (!credentials.via) return possible;
    // A proxy may share a connection among clients, or close it after each request. Schemes that authenticate
    // connections cannot work then (RFC 4559 6).
    const ofRequests = possible.filter((scheme) => scheme === 'digest' || scheme === 'basic');
    return ofRequests.length > 0 ? ofRequests : possible;
  }
}

function denied(
  kind: RefusalKind,
  message: string,
  options?: RefusalOptions,
): Extract<AccessDecision, { granted: false }> {
  return { granted: false, refusal: new Refusal(kind, message, options) };
}

/** A loopback address that is not the client's own is that of a proxy on this host, which serves anyone. */
function isTrusted({ remoteAddress, local }: Caller, { trusted }: Rule): boolean {
  return (local || !isLoopback(remoteAddress)) && trusted.includes(remoteAddress, local);
}

function isAmong({ name, groups }: { name: string; groups: readonly string[] }, rule: Rule): boolean {
  if (rule.users?.has('*') || rule.users?.has(name.toLowerCase())) return true;
  return groups.some((group) => rule.groups.has(group));
}
