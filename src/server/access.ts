import type { AuthOutcome, AuthRequest, Scheme } from '../auth/exchange.js';
import { type AddressList, addressList } from '../http/address-list.js';
import { isLoopback, plainAddress } from '../http/addresses.js';
import type { Exchange } from '../http/exchange.js';
import type { Field } from '../http/message.js';

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

/** What a request wants: NTLM cannot be asked for in the middle of a push (MS-WMHTTP 3.2.5.2). */
export type Purpose = 'push' | 'pushStart' | 'play' | 'admin';

export interface Refusal {
  readonly status: number;
  readonly fields: readonly Field[];
  /** One sentence for a person. */
  readonly message: string;
}

/** Whether a request may do what it wants. */
export type Access =
  | { readonly granted: true; readonly user: string | undefined; readonly fields: readonly Field[] }
  | ({ readonly granted: false } & Refusal);

/** Says who sent a request; `ServerAuthenticator` is one. */
export interface Authenticator {
  check(request: AuthRequest): Promise<AuthOutcome>;
}

export interface AccessControlOptions {
  /** Asks clients of this server who they are; without it nobody is let in who would have to be asked. */
  readonly origin?: Authenticator | undefined;
  /** The same for clients that take this server for a proxy. */
  readonly proxy?: Authenticator | undefined;
  readonly schemes: readonly Scheme[];
  /** Basic also where everybody on the way can read the password. */
  readonly basicWithoutTls: boolean;
  /** Somebody was refused for a wrong name or password, or is not listened to for a while. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

const GRANTED: Access = { granted: true, user: undefined, fields: [] };

/** Decides by address and credentials who may do what. */
export class AccessControl {
  readonly #options: AccessControlOptions;

  constructor(options: AccessControlOptions) {
    this.#options = options;
  }

  /**
   * The answer when it does not depend on credentials, else a promise of it.
   *
   * A refusal with 401 or 407 is a challenge, behind which the connection has to be kept.
   */
  check(exchange: Exchange, rule: Rule, purpose: Purpose): Access | Promise<Access> {
    const local = isLocal(exchange);
    const { remoteAddress } = exchange;
    if (rule.addresses && !rule.addresses.includes(remoteAddress, local)) {
      return refusal(403, `Not from ${plainAddress(remoteAddress)}.`);
    }
    if (!rule.users || rule.trusted.includes(remoteAddress, local)) return GRANTED;
    const proxied = isProxied(exchange);
    const authenticator = proxied ? this.#options.proxy : this.#options.origin;
    const schemes = this.#schemes(exchange, local, purpose);
    if (!authenticator) return refusal(403, 'Only from this host, as the server knows no users.');
    if (schemes.length === 0) return refusal(403, 'Only over TLS, as the password would be readable.');
    return this.#authenticate(exchange, rule, { authenticator, schemes, proxied, purpose });
  }

  async #authenticate(
    exchange: Exchange,
    rule: Rule,
    how: { authenticator: Authenticator; schemes: readonly Scheme[]; proxied: boolean; purpose: Purpose },
  ): Promise<Access> {
    const { request, connection } = exchange;
    const { proxied, schemes, purpose } = how;
    const address = plainAddress(exchange.remoteAddress);
    const outcome = await how.authenticator.check({
      connection,
      method: request.method,
      target: request.target,
      authorization: request.headers.get(proxied ? 'Proxy-Authorization' : 'Authorization'),
      remoteAddress: address,
      accepts: acceptedSchemes(exchange, proxied && purpose === 'play'),
      schemes,
    });
    if (outcome.kind === 'blocked') {
      const fields: Field[] = [['Retry-After', String(outcome.retryAfter)]];
      return { granted: false, status: 429, fields, message: 'Too many attempts failed.' };
    }
    if (outcome.kind === 'challenge') {
      if (outcome.reason === 'refused') this.#options.onWarning?.(`${address} gave a wrong user name or password.`);
      const { fields } = outcome;
      return { granted: false, status: proxied ? 407 : 401, fields, message: 'A user name and a password are needed.' };
    }
    const { user, fields } = outcome;
    if (!isAmong(user, rule)) return refusal(403, `${user.name} may not.`, fields);
    return { granted: true, user: user.name, fields };
  }

  #schemes(exchange: Exchange, local: boolean, purpose: Purpose): Scheme[] {
    const { schemes, basicWithoutTls } = this.#options;
    const unreadable = exchange.secure || local || basicWithoutTls;
    const possible = schemes.filter((scheme) => {
      if (scheme === 'basic') return unreadable;
      return purpose !== 'pushStart' || scheme === 'digest';
    });
    if (exchange.request.headers.get('Via') === undefined) return possible;
    // A connection of a proxy may be everybody's, or end behind each request; then what authenticates connections cannot work (RFC 4559 6).
    const ofRequests = possible.filter((scheme) => scheme === 'digest' || scheme === 'basic');
    return ofRequests.length > 0 ? ofRequests : possible;
  }
}

function refusal(status: number, message: string, fields: readonly Field[] = []): Access {
  return { granted: false, status, fields, message };
}

function isAmong({ name, groups }: { name: string; groups: readonly string[] }, rule: Rule): boolean {
  if (rule.users?.has('*') || rule.users?.has(name.toLowerCase())) return true;
  return groups.some((group) => rule.groups.has(group));
}

/** Whoever names a whole URL in the request line takes this server for a proxy (RFC 9112 3.2.2). */
function isProxied({ request }: Exchange): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(request.target);
}

function acceptedSchemes({ request: { headers } }: Exchange, ofProxy: boolean): string[] {
  // MS-WMSP 3.2.5.1 has a header of its own for proxies; MS-WMHTTP 2.2.1.10 says that it is not for pushes.
  const forProxy = ofProxy ? headers.all('X-Accept-Proxy-Authentication') : [];
  return forProxy.length > 0 ? forProxy : headers.all('X-Accept-Authentication');
}

/**
 * Whether the client runs on this host. What a proxy on this host brings from elsewhere does not, if the proxy says so.
 */
export function isLocal(exchange: Exchange): boolean {
  if (!exchange.local) return false;
  const { headers } = exchange.request;
  if (headers.get('Forwarded') !== undefined) return false;
  return [...headers.tokens('X-Forwarded-For'), ...headers.tokens('X-Real-IP')].every(isLoopback);
}
