import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { WmError } from '../errors.js';
import type { Credentials as UserCredentials } from '../http/credentials.js';
import type { Field, HeaderFields } from '../http/message.js';
import { encodeBasic } from './basic.js';
import type { Scheme } from './dialog.js';
import {
  type DigestChallenge,
  type DigestInput,
  digestResponse,
  digestSecret,
  formatDigest,
  readDigestChallenge,
} from './digest.js';
import { AuthError } from './error.js';
import { decodeToken, parseChallenges, type SchemeValue } from './fields.js';
import { SpnegoClient } from './negotiate.js';
import { NtlmClient, type NtlmIdentity } from './ntlm/client.js';
import { ntowfV1 } from './ntlm/keys.js';
import { messageType } from './ntlm/messages.js';
import { ACCEPTED_SCHEMES, ALL_SCHEMES, SCHEME_NAMES, schemeOf } from './schemes.js';

/** @public */
export interface ClientAuthenticatorOptions {
  /** For servers (401): `user`, or `DOMAIN\user` for NTLM. */
  readonly server?: UserCredentials | undefined;
  /** For proxies (407). */
  readonly proxy?: UserCredentials | undefined;
  /** The schemes to use; default all. */
  readonly schemes?: readonly Scheme[] | undefined;
  /** Send a server the password with Basic even if others on the way can read it; default false. */
  readonly basicInClear?: boolean | undefined;
}

/** A request, as far as its credentials depend on it. @public */
export interface SignedRequest {
  readonly method: string;
  /** As in the request line. */
  readonly target: string;
  /** The same object for all requests on a connection, if there are several connections. */
  readonly connection?: object | undefined;
  /** The server. Its password is sent only to the first one, wherever redirects lead. */
  readonly origin?: string | undefined;
}

/** A response with status 401 or 407, and the request that it answers. @public */
export interface ClientChallenge extends SignedRequest {
  readonly status: number;
  readonly headers: HeaderFields;
  /** True if nobody on the way can read what is sent: TLS, or this host itself. */
  readonly secure?: boolean | undefined;
  /**
   * True if the connection stays open after the response; default true. NTLM and Negotiate need that, and some proxies
   * close every connection.
   */
  readonly persistent?: boolean | undefined;
}

/** The source of an HTTP client's credentials; {@link ClientAuthenticator} is one. @public */
export interface HttpAuthenticator {
  /** For X-Accept-Authentication, in order of preference. */
  readonly schemes: readonly string[];
  /**
   * @returns the Authorization or Proxy-Authorization field of the next attempt, which `fields` returns for it too;
   *   undefined to give up
   */
  answer(challenge: ClientChallenge): Field | undefined | Promise<Field | undefined>;
  /** Returns the credential fields of a request; to be called for every request, just before it is sent. */
  fields?(request: SignedRequest, statuses?: readonly number[]): readonly Field[];
  /** True if there is a password for a peer that answers with this status, for messages; default true. */
  knows?(status: number): boolean;
}

const WORKSTATION = hostname().split('.')[0]!.toUpperCase().slice(0, 15);

/**
 * Answers challenges with a user's password (RFC 9110 11). It prefers Negotiate (NTLM in SPNEGO), then NTLM, Digest
 * with SHA-256, Digest with MD5 and Basic, whatever the server prefers. Basic is used with TLS, on this host and for
 * proxies, unless it is allowed everywhere. A password that a server has refused is not sent to it again.
 *
 * @public
 */
export class ClientAuthenticator implements HttpAuthenticator {
  readonly schemes: readonly string[];
  readonly #server: Side | undefined;
  readonly #proxy: Side | undefined;
  #origin: string | undefined;

  constructor(options: ClientAuthenticatorOptions) {
    const { server, proxy, schemes = ALL_SCHEMES, basicInClear = false } = options;
    this.schemes = ACCEPTED_SCHEMES.filter((name) => schemes.some((scheme) => SCHEME_NAMES[scheme] === name));
    this.#server = server && new Side(server, schemes, 'Authorization', basicInClear);
    this.#proxy = proxy && new Side(proxy, schemes, 'Proxy-Authorization', true);
  }

  /**
   * Returns the field for the next attempt of a request; undefined if there is no password, it was refused, or no
   * offered scheme is supported.
   * @throws WmError WM_AUTH_REFUSED if only Basic is offered and it would expose the password
   */
  answer(challenge: ClientChallenge): Field | undefined {
    if (challenge.status === 407) return this.#proxy?.answer(challenge, 'Proxy-Authenticate');
    if (challenge.status !== 401 || this.#isForeign(challenge)) return undefined;
    return this.#server?.answer(challenge, 'WWW-Authenticate');
  }

  /**
   * Returns the fields for any request: the answer to its challenge, or credentials known from earlier ones. NTLM and
   * Negotiate send nothing in advance, because they authenticate a connection; on a new one they start again when the
   * server asks.
   * @param statuses the recipients of the request: 401 the server, 407 a proxy; default both
   */
  fields(request: SignedRequest, statuses: readonly number[] = [401, 407]): readonly Field[] {
    const server = statuses.includes(401) && !this.#isForeign(request) ? this.#server : undefined;
    const proxy = statuses.includes(407) ? this.#proxy : undefined;
    return [server, proxy].map((side) => side?.field(request)).filter((field) => field !== undefined);
  }

  knows(status: number): boolean {
    return (status === 407 ? this.#proxy : this.#server) !== undefined;
  }

  #isForeign({ origin }: SignedRequest): boolean {
    if (origin === undefined) return false;
    this.#origin ??= origin.toLowerCase();
    return this.#origin !== origin.toLowerCase();
  }
}

type HandshakeScheme = Extract<Scheme, 'negotiate' | 'ntlm'>;

interface Pending {
  readonly connection: object;
  readonly method: string;
  readonly target: string;
  readonly value: string;
}

/** Answers that may wait at the same time, each for its request. */
const MAX_PENDING = 16;

/** The state of the login at the server, or at the proxy. */
class Side {
  readonly #credentials: UserCredentials;
  readonly #field: string;
  readonly #basicInClear: boolean;
  readonly #usable: Set<Scheme>;
  #identity: NtlmIdentity | undefined;
  #basic: string | undefined;
  #digest: { readonly challenge: DigestChallenge; readonly secret: string; count: number } | undefined;
  // True if the proxy asked for its password at CONNECT; requests through the tunnel do not concern it.
  #tunnel = false;
  // Answers that have not been sent yet.
  #pending: Pending[] = [];
  readonly #sent = new WeakMap<object, string>();

  constructor(credentials: UserCredentials, schemes: readonly Scheme[], field: string, basicInClear: boolean) {
    this.#credentials = credentials;
    this.#usable = new Set(schemes);
    this.#field = field;
    this.#basicInClear = basicInClear;
  }

  field(request: SignedRequest): Field | undefined {
    const value = this.#takePending(request) ?? this.#known(request);
    this.#note(request, value);
    return value === undefined ? undefined : [this.#field, value];
  }

  answer(challenge: ClientChallenge, name: string): Field | undefined {
    const offers = challenge.headers.all(name).flatMap(readChallenges);
    const { connection = this, method, target } = challenge;
    const sent = sentOf(this.#sent.get(connection));
    this.#tunnel = method === 'CONNECT';
    if (challenge.persistent === false && offers.some(continuesHandshake)) {
      this.#usable.delete('negotiate');
      this.#usable.delete('ntlm');
    }
    const value = this.#handshakeGoesOn(sent, offers) ?? this.#begin(sent, challenge, offers);
    this.#note(challenge, value);
    if (value === undefined) return undefined;
    this.#pending = [...this.#pending.slice(1 - MAX_PENDING), { connection, method, target, value }];
    return [this.#field, value];
  }

  /**
   * Takes the answer for the same request, on the same connection if possible; others for that connection are useless
   * now.
   */
  #takePending({ method, target, connection = this }: SignedRequest): string | undefined {
    const same = this.#pending.filter((pending) => pending.method === method && pending.target === target);
    const taken = same.find((pending) => pending.connection === connection) ?? same.at(-1);
    this.#pending = this.#pending.filter((pending) => pending !== taken && pending.connection !== connection);
    return taken?.value;
  }

  #known(request: SignedRequest): string | undefined {
    if (this.#tunnel !== (request.method === 'CONNECT')) return undefined;
    return this.#digest ? this.#digestValue(request) : this.#basic;
  }

  #note({ connection = this }: SignedRequest, value: string | undefined): void {
    if (value === undefined) this.#sent.delete(connection);
    else this.#sent.set(connection, value);
  }

  /** Returns the proof if the server has sent an NTLM challenge. */
  #handshakeGoesOn(sent: Sent | undefined, offers: readonly SchemeValue[]): string | undefined {
    const offer = offers.find(continuesHandshake);
    const scheme = offer && handshakeOf(offer.scheme);
    if (!scheme || !offer.token || sent?.proof || !this.#usable.has(scheme)) return undefined;
    try {
      const proof = this.#handshake(scheme).authenticate(decodeToken(offer.token));
      return `${SCHEME_NAMES[scheme]} ${proof.toString('base64')}`;
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      this.#usable.delete(scheme);
      return undefined;
    }
  }

  #begin(sent: Sent | undefined, challenge: ClientChallenge, offers: readonly SchemeValue[]): string | undefined {
    const digests = offers.filter(({ scheme }) => scheme === 'digest').map(readDigestChallenge);
    if (sent?.proof && !this.#mayTryAgain(sent, digests)) return undefined;
    // The server rejects the start of the handshake: for example, it only knows Kerberos under Negotiate.
    if (sent && !sent.proof) this.#usable.delete(sent.scheme);
    const offered = new Set(offers.map(({ scheme }) => schemeOf(scheme)));
    for (const scheme of ALL_SCHEMES) {
      if (!offered.has(scheme) || !this.#usable.has(scheme)) continue;
      const value = this.#first(scheme, challenge, digests);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /**
   * True if the nonce was refused, not the password: the server says so, or the password has worked for an earlier
   * request.
   */
  #mayTryAgain({ scheme }: Sent, digests: ReadonlyArray<DigestChallenge | undefined>): boolean {
    if (scheme !== 'digest' || !this.#digest) return false;
    return this.#digest.count > 1 || digests.some((digest) => digest?.stale);
  }

  /** The first token of a scheme; undefined if the server's challenge cannot be answered. */
  #first(
    scheme: Scheme,
    challenge: ClientChallenge,
    digests: ReadonlyArray<DigestChallenge | undefined>,
  ): string | undefined {
    if (scheme === 'digest') return this.#firstDigest(challenge, digests);
    if (scheme === 'basic') return this.#firstBasic(challenge);
    return `${SCHEME_NAMES[scheme]} ${this.#handshake(scheme).negotiate.toString('base64')}`;
  }

  #firstDigest(request: SignedRequest, digests: ReadonlyArray<DigestChallenge | undefined>): string | undefined {
    const known = digests.filter((digest) => digest !== undefined);
    const challenge = known.find(({ algorithm }) => algorithm.hash === 'SHA-256') ?? known[0];
    if (!challenge) return undefined;
    const { user, password } = this.#credentials;
    const secret = digestSecret(challenge.algorithm.hash, user, challenge.realm, password);
    this.#digest = { challenge, secret, count: 0 };
    return this.#digestValue(request);
  }

  #digestValue({ method, target }: SignedRequest): string | undefined {
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
        'The server offers nothing but Basic, which would show the password to everybody on the way (--basic-in-clear allows it).',
      );
    }
    this.#basic = `Basic ${encodeBasic(this.#credentials)}`;
    return this.#basic;
  }

  #handshake(scheme: HandshakeScheme): { readonly negotiate: Buffer; authenticate(token: Buffer): Buffer } {
    this.#identity ??= identityOf(this.#credentials);
    const ntlm = new NtlmClient(this.#identity);
    if (scheme === 'negotiate') return new SpnegoClient(ntlm);
    return { negotiate: ntlm.negotiate, authenticate: (token) => ntlm.authenticate(token).message };
  }
}

/** The credentials of the refused request. */
interface Sent {
  readonly scheme: Scheme;
  /** True if it proved the password, and did not only begin a handshake. */
  readonly proof: boolean;
}

function sentOf(value: string | undefined): Sent | undefined {
  const [name = '', token = ''] = value?.split(' ', 2) ?? [];
  const scheme = schemeOf(name);
  if (!scheme) return undefined;
  return { scheme, proof: !handshakeOf(scheme) || !isFirstToken(Buffer.from(token, 'base64')) };
}

/** True if a token begins a handshake: NEGOTIATE_MESSAGE or NegTokenInit. */
function isFirstToken(token: Buffer): boolean {
  return messageType(token) === 1 || token[0] === 0x60;
}

function continuesHandshake({ scheme, token }: SchemeValue): boolean {
  return token !== undefined && handshakeOf(scheme) !== undefined;
}

function handshakeOf(name: string): HandshakeScheme | undefined {
  return name === 'negotiate' || name === 'ntlm' ? name : undefined;
}

/** The challenges of one field; empty if it is malformed, so that the other fields count. */
function readChallenges(value: string): SchemeValue[] {
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
