import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { WmError } from '../errors.js';
import type { Field, HeaderFields } from '../http/message.js';
import { encodeBasic } from './basic.js';
import {
  type DigestChallenge,
  type DigestInput,
  digestResponse,
  digestSecret,
  formatDigest,
  readDigestChallenge,
} from './digest.js';
import { AuthError } from './error.js';
import type { Scheme } from './exchange.js';
import { type Credentials, decodeToken, parseChallenges } from './fields.js';
import { SpnegoClient } from './negotiate.js';
import { NtlmClient, type NtlmIdentity } from './ntlm/client.js';
import { ntowfV1 } from './ntlm/keys.js';
import { ALL_SCHEMES, SCHEME_NAMES, schemeOf } from './schemes.js';

/** Who somebody is to a server or a proxy. */
export interface UserCredentials {
  /** `user`, or `DOMAIN\user` for NTLM. */
  readonly user: string;
  readonly password: string;
}

export interface ClientAuthenticatorOptions {
  /** For servers (401). */
  readonly server?: UserCredentials | undefined;
  /** For proxies (407). */
  readonly proxy?: UserCredentials | undefined;
  /** What may be spoken; default all. */
  readonly schemes?: readonly Scheme[] | undefined;
  /** Send a server the password with Basic although everybody on the way can read it; default false. */
  readonly basicInClear?: boolean | undefined;
}

/** A request that is about to be sent. */
export interface ClientRequest {
  readonly method: string;
  /** As it stands in the request line. */
  readonly target: string;
  /** The same object for all requests on a connection: NTLM authenticates a connection. */
  readonly connection?: object | undefined;
  /** `host:port` of the server. Its password goes to the first one only, wherever redirects lead. */
  readonly origin?: string | undefined;
}

/** A response with status 401 or 407, and the request that it answers. */
export interface ClientChallenge extends ClientRequest {
  readonly status: number;
  readonly headers: HeaderFields;
  /** Nobody on the way can read what is sent: TLS, or this very host. */
  readonly secure?: boolean | undefined;
}

/** What a client of HTTP asks for credentials; {@link ClientAuthenticator} is one. */
export interface HttpAuthenticator {
  /** For X-Accept-Authentication, in order of preference. */
  readonly schemes: readonly string[];
  /** @returns the Authorization or Proxy-Authorization field of the next try; undefined gives up */
  answer(challenge: ClientChallenge): Field | undefined | Promise<Field | undefined>;
  /** The fields that a request has from the start; to be asked for every request that answers no challenge. */
  fields(request: ClientRequest): readonly Field[];
}

const WORKSTATION = hostname().split('.')[0]!.toUpperCase().slice(0, 15);

/**
 * Answers challenges with a user's password (RFC 9110 11): Negotiate (NTLM in SPNEGO) before NTLM, Digest with SHA-256, Digest with MD5 and
 * Basic, whatever the server prefers. Basic is for TLS, for this host and for proxies, unless it is allowed everywhere. A server that
 * has refused the password is not asked again.
 */
export class ClientAuthenticator implements HttpAuthenticator {
  readonly schemes: readonly string[];
  readonly #server: Side | undefined;
  readonly #proxy: Side | undefined;
  #origin: string | undefined;

  constructor(options: ClientAuthenticatorOptions) {
    const { server, proxy, schemes = ALL_SCHEMES, basicInClear = false } = options;
    // Basic is not listed, as in Windows (MS-WMHTTP 3.1.4.1.1): nobody is to prefer it.
    this.schemes = ALL_SCHEMES.filter((scheme) => scheme !== 'basic' && schemes.includes(scheme)).map(
      (scheme) => SCHEME_NAMES[scheme],
    );
    this.#server = server && new Side(server, schemes, 'Authorization', basicInClear);
    this.#proxy = proxy && new Side(proxy, schemes, 'Proxy-Authorization', true);
  }

  /**
   * The field for the next try of a request; undefined when there is no password, it was refused, or nothing that is offered is spoken.
   *
   * @throws WmError WM_AUTH_REFUSED when Basic alone is offered where it would show the password
   */
  answer(challenge: ClientChallenge): Field | undefined {
    if (challenge.status === 407) return this.#proxy?.answer(challenge, 'Proxy-Authenticate');
    if (challenge.status !== 401 || this.#isForeign(challenge)) return undefined;
    return this.#server?.answer(challenge, 'WWW-Authenticate');
  }

  fields(request: ClientRequest): readonly Field[] {
    const sides = [this.#isForeign(request) ? undefined : this.#server, this.#proxy];
    return sides.map((side) => side?.field(request)).filter((field) => field !== undefined);
  }

  #isForeign({ origin }: ClientRequest): boolean {
    if (origin === undefined) return false;
    this.#origin ??= origin.toLowerCase();
    return this.#origin !== origin.toLowerCase();
  }
}

type Stage = 'negotiated' | 'proved' | 'accepted';

/** Requests without a token in answer to NTLM's first message, after which it is taken for unknown to the server. */
const MAX_UNHEARD = 2;

/** What is known of the server, or of the proxy. */
class Side {
  readonly #credentials: UserCredentials;
  readonly #field: string;
  readonly #basicInClear: boolean;
  readonly #usable: Set<Scheme>;
  readonly #stages = new WeakMap<object, Stage>();
  #identity: NtlmIdentity | undefined;
  #basic: string | undefined;
  #digest: { readonly challenge: DigestChallenge; readonly secret: string; count: number } | undefined;
  // The last request had the password in it, and no other request has been sent since.
  #answered = false;
  #unheard = 0;

  constructor(credentials: UserCredentials, schemes: readonly Scheme[], field: string, basicInClear: boolean) {
    this.#credentials = credentials;
    this.#usable = new Set(schemes);
    this.#field = field;
    this.#basicInClear = basicInClear;
  }

  field(request: ClientRequest): Field | undefined {
    const { connection = this } = request;
    if (this.#stages.get(connection) === 'proved') this.#stages.set(connection, 'accepted');
    this.#answered = false;
    const value = this.#digest ? this.#digestValue(request) : this.#basic;
    return value === undefined ? undefined : [this.#field, value];
  }

  answer(challenge: ClientChallenge, name: string): Field | undefined {
    const offers = challenge.headers.all(name).flatMap(readChallenges);
    const value = this.#handshakeGoesOn(challenge, offers) ?? this.#begin(challenge, offers);
    return value === undefined ? undefined : [this.#field, value];
  }

  /** The proof, when the server has sent a challenge of NTLM. */
  #handshakeGoesOn({ connection = this }: ClientChallenge, offers: readonly Credentials[]): string | undefined {
    const offer = offers.find(({ scheme, token }) => token !== undefined && handshakeOf(scheme));
    const scheme = offer && handshakeOf(offer.scheme);
    if (!scheme || this.#stages.get(connection) === 'proved') return undefined;
    this.#unheard = 0;
    try {
      const proof = this.#handshake(scheme).authenticate(decodeToken(offer.token ?? ''));
      this.#stages.set(connection, 'proved');
      return `${SCHEME_NAMES[scheme]} ${proof.toString('base64')}`;
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      this.#giveUp(scheme, connection);
      return undefined;
    }
  }

  #begin(challenge: ClientChallenge, offers: readonly Credentials[]): string | undefined {
    const { connection = this } = challenge;
    const stage = this.#stages.get(connection);
    const digests = offers.filter(({ scheme }) => scheme === 'digest').map(readDigestChallenge);
    const stale = this.#digest !== undefined && digests.some((digest) => digest?.stale);
    if (stage === 'proved' || (this.#answered && !stale)) return undefined;
    const offered = new Set(offers.map(({ scheme }) => schemeOf(scheme)));
    for (const scheme of ALL_SCHEMES) {
      if (!offered.has(scheme) || !this.#usable.has(scheme)) continue;
      const value = this.#first(scheme, challenge, digests);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** What a scheme begins with; undefined when it cannot be used here. */
  #first(
    scheme: Scheme,
    challenge: ClientChallenge,
    digests: ReadonlyArray<DigestChallenge | undefined>,
  ): string | undefined {
    if (scheme === 'digest') return this.#firstDigest(challenge, digests);
    if (scheme === 'basic') return this.#firstBasic(challenge);
    const { connection = this } = challenge;
    if (this.#stages.get(connection) === 'negotiated' || this.#unheard >= MAX_UNHEARD) {
      this.#giveUp(scheme, connection);
      return undefined;
    }
    this.#unheard++;
    this.#stages.set(connection, 'negotiated');
    return `${SCHEME_NAMES[scheme]} ${this.#handshake(scheme).negotiate.toString('base64')}`;
  }

  #giveUp(scheme: Scheme, connection: object): void {
    this.#usable.delete(scheme);
    this.#stages.delete(connection);
    this.#unheard = 0;
  }

  #firstDigest(request: ClientRequest, digests: ReadonlyArray<DigestChallenge | undefined>): string | undefined {
    const known = digests.filter((digest) => digest !== undefined);
    const challenge = known.find(({ algorithm }) => algorithm.hash === 'SHA-256') ?? known[0];
    if (!challenge) return undefined;
    const { user, password } = this.#credentials;
    const secret = digestSecret(challenge.algorithm.hash, user, challenge.realm, password);
    this.#digest = { challenge, secret, count: 0 };
    this.#answered = true;
    return this.#digestValue(request);
  }

  #digestValue({ method, target }: ClientRequest): string | undefined {
    if (!this.#digest) return undefined;
    const { challenge, secret } = this.#digest;
    const { algorithm, nonce, realm, qop, opaque } = challenge;
    const nc = (++this.#digest.count).toString(16).padStart(8, '0');
    const protection = qop || algorithm.session ? { nc, cnonce: randomBytes(16).toString('hex') } : undefined;
    const input: DigestInput = { algorithm, nonce, uri: target, protection };
    const response = digestResponse(secret, method, input);
    return formatDigest({ ...input, user: this.#credentials.user, realm, response }, opaque);
  }

  #firstBasic({ secure }: ClientChallenge): string | undefined {
    if (!secure && !this.#basicInClear) {
      throw new WmError(
        'WM_AUTH_REFUSED',
        'The server offers nothing but Basic, which would show the password to everybody on the way.',
      );
    }
    this.#answered = true;
    this.#basic = `Basic ${encodeBasic(this.#credentials)}`;
    return this.#basic;
  }

  #handshake(scheme: 'negotiate' | 'ntlm'): { readonly negotiate: Buffer; authenticate(token: Buffer): Buffer } {
    this.#identity ??= identityOf(this.#credentials);
    const ntlm = new NtlmClient(this.#identity);
    if (scheme === 'negotiate') return new SpnegoClient(ntlm);
    return { negotiate: ntlm.negotiate, authenticate: (token) => ntlm.authenticate(token).message };
  }
}

function handshakeOf(name: string): 'negotiate' | 'ntlm' | undefined {
  return name === 'negotiate' || name === 'ntlm' ? name : undefined;
}

/** The challenges of one field; none when it is malformed, so that the other fields count. */
function readChallenges(value: string): Credentials[] {
  try {
    return parseChallenges(value);
  } catch (error) {
    if (error instanceof AuthError) return [];
    throw error;
  }
}

function identityOf({ user, password }: UserCredentials): NtlmIdentity {
  const slash = user.indexOf('\\');
  return {
    user: user.slice(slash + 1),
    domain: slash === -1 ? '' : user.slice(0, slash),
    ntHash: ntowfV1(password),
    workstation: WORKSTATION,
  };
}
