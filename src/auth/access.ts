import { printable } from '../errors.js';
import { type AddressList, addressList } from '../http/address-list.js';
import { isLoopback, plainAddress } from '../http/addresses.js';
import { Refusal, type RefusalKind, type RefusalOptions } from '../refusal.js';
import type { AuthOutcome, AuthRequest, Caller, Finish, Scheme } from './dialog.js';

/** Who may do something, as it stands in a configuration. */
export interface AccessRule {
  /** Addresses from where it is possible at all; without them, all. */
  readonly addresses?: readonly string[] | undefined;
  /** Users who may; `*` is anybody who is known. Without users and groups nobody is asked who they are. */
  readonly users?: readonly string[] | undefined;
  readonly groups?: readonly string[] | undefined;
  /** Addresses from where nobody is asked who they are. */
  readonly trusted?: readonly string[] | undefined;
}

/** An {@link AccessRule} that is ready to be asked. */
export interface Rule {
  readonly addresses: AddressList | undefined;
  readonly trusted: AddressList;
  /** Lower case; undefined when nobody is asked. */
  readonly users: ReadonlySet<string> | undefined;
  readonly groups: ReadonlySet<string>;
}

/**
 * Makes a rule ready.
 *
 * @throws WmError WM_USAGE for an address that is none
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

/** Whether a caller may do what it wants. */
export type AccessDecision =
  | {
      readonly granted: true;
      /** The user who was let in; undefined if nobody was asked. */
      readonly user: string | undefined;
      /** True if it was not asked only because of where it comes from. Web pages can borrow that from people who look at them. */
      readonly trusted: boolean;
      readonly finish?: Finish | undefined;
    }
  | {
      readonly granted: false;
      readonly refusal: Refusal;
      /** The credentials were good, but their user may not. */
      readonly finish?: Finish | undefined;
    };

/** Says who sent a request; `ServerAuthenticator` is one. */
export interface Authenticator {
  check(request: AuthRequest): Promise<AuthOutcome>;
}

export interface AccessControlOptions {
  /** Asks clients who they are; without it nobody is let in who would have to be asked. */
  readonly authenticator?: Authenticator | undefined;
  /** The most preferred first. */
  readonly schemes: readonly Scheme[];
  /** Basic also where everybody on the way can read the password. */
  readonly basicWithoutTls: boolean;
  /** Somebody was refused for a wrong name or password. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Decides by address and credentials who may do what, whatever protocol they speak. */
export class AccessControl {
  readonly #options: AccessControlOptions;

  constructor(options: AccessControlOptions) {
    this.#options = options;
  }

  /**
   * The answer when it does not depend on credentials, else a promise of it. After a refusal with challenges the connection has to
   * be kept for the next try.
   *
   * @param what what the caller wants, as in "may not …", for messages
   * @throws WmError WM_CONFIG when the users cannot be read
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
    // A connection of a proxy may be everybody's, or end after each request; then what authenticates connections cannot work (RFC 4559 6).
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

/** A loopback address that is not the client's is that of a proxy on this host, which brings everybody. */
function isTrusted({ remoteAddress, local }: Caller, { trusted }: Rule): boolean {
  return (local || !isLoopback(remoteAddress)) && trusted.includes(remoteAddress, local);
}

function isAmong({ name, groups }: { name: string; groups: readonly string[] }, rule: Rule): boolean {
  if (rule.users?.has('*') || rule.users?.has(name.toLowerCase())) return true;
  return groups.some((group) => rule.groups.has(group));
}
