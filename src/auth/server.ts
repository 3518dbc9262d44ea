import { randomBytes, timingSafeEqual } from 'node:crypto';
import { steadyNow } from '../clock.js';
import type { Challenge } from '../refusal.js';
import { decodeBasic } from './basic.js';
import type {
  AuthenticatedUser,
  AuthOutcome,
  AuthRequest,
  ChallengeReason,
  Finish,
  GivenCredentials,
  Scheme,
} from './dialog.js';
import { type DigestCredentials, digestResponse, formatDigestChallenge, readDigest } from './digest.js';
import { AuthError } from './error.js';
import { decodeToken, parseCredentials, quote, type SchemeValue } from './fields.js';
import { LoginMemory, type LoginMemoryOptions } from './login-memory.js';
import { type Acceptor, NegotiateAcceptor, RawAcceptor } from './negotiate.js';
import type { NtlmAcceptorOptions } from './ntlm/acceptor.js';
import { PasswordCheck } from './password-check.js';
import { SCHEME_NAMES, schemeOf, schemesFor } from './schemes.js';
import { NOBODY } from './secrets.js';
import { type CredentialStore, type UserEntry, userKey } from './store.js';
import { pairKey, throttleKey } from './throttle.js';

/** The users, and the schemes with which they log in. */
export interface ServerAuthenticatorOptions extends Omit<LoginMemoryOptions, 'now' | 'snapshot'> {
  readonly store: CredentialStore;
  /** Shown to a person who is asked for a password; Digest secrets are valid for one realm only. */
  readonly realm: string;
  /** In the order of the challenges, the most preferred first. */
  readonly schemes: readonly Scheme[];
  /** The server's name in NTLM; default `WMCAST`. */
  readonly ntlmServerName?: string | undefined;
  /** Accept NTLM v1 too, which is easily broken; default false. */
  readonly ntlmVersion1?: boolean | undefined;
  /** What is remembered of logins, also by another authenticator; default a memory of its own with these policies. */
  readonly memory?: LoginMemory | undefined;
  /** Ms since 1970, monotonic; default {@link steadyNow}. */
  readonly now?: (() => number) | undefined;
}

/** The login state of a connection. */
interface ConnectionState {
  readonly scheme: Scheme;
  /** The handshake in progress. */
  readonly acceptor?: Acceptor;
  /** The user who logged in, with the secret that proved it. */
  readonly user?: { readonly name: string; readonly nt: Buffer };
}

type Verdict =
  | { readonly kind: 'good'; readonly entry: UserEntry; readonly finish?: Finish }
  | { readonly kind: 'continue'; readonly token: Buffer }
  | { readonly kind: 'stale' }
  /** Of an unsupported scheme: some clients try one before they are asked. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'bad'; readonly name: string | undefined }
  | { readonly kind: 'wait'; readonly milliseconds: number };

/** Authenticates requests, for all connections of a server. */
export class ServerAuthenticator {
  readonly #store: CredentialStore;
  readonly #realm: string;
  readonly #schemes: readonly Scheme[];
  readonly #ntlm: NtlmAcceptorOptions;
  readonly #memory: LoginMemory;
  readonly #opaque = randomBytes(12).toString('base64url');
  readonly #passwords: PasswordCheck;
  // A client may log in twice: to this server as a proxy, and to it as a server.
  readonly #connections = {
    server: new WeakMap<object, ConnectionState>(),
    proxy: new WeakMap<object, ConnectionState>(),
  };

  constructor(options: ServerAuthenticatorOptions) {
    const { now = steadyNow } = options;
    this.#store = options.store;
    this.#realm = options.realm;
    this.#schemes = options.schemes;
    this.#ntlm = {
      now,
      version1: options.ntlmVersion1 ?? false,
      ...(options.ntlmServerName === undefined ? {} : { serverName: options.ntlmServerName }),
    };
    // Failures from elsewhere do not count at an address from which the user has logged in before.
    this.#memory = options.memory ?? new LoginMemory(options);
    this.#passwords = new PasswordCheck(now);
  }

  /**
   * Checks the credentials of a request. A connection that logged in with NTLM or Negotiate needs none for later
   * requests, as long as the user exists with the same password.
   * @throws WmError WM_CONFIG if the store cannot be read
   */
  async check(request: AuthRequest): Promise<AuthOutcome> {
    const { remoteAddress, credentials } = request;
    const { connection, given } = credentials;
    if (given === undefined) {
      const entry = await this.#entryOf(this.#statesOf(request).get(connection)?.user);
      return entry ? accepted(entry) : this.#challenge(request, 'missing');
    }
    const address = throttleKey(remoteAddress);
    const verdict = await this.#judge(request, given);
    switch (verdict.kind) {
      case 'good':
        this.#memory.learn(pairKey(nameKey(verdict.entry.name), address));
        return accepted(verdict.entry, verdict.finish);
      case 'continue': {
        const { scheme } = this.#statesOf(request).get(connection)!;
        const next = { scheme: SCHEME_NAMES[scheme], token: verdict.token.toString('base64') };
        return { kind: 'challenge', reason: 'continue', challenges: [next] };
      }
      case 'stale':
        return this.#challenge(request, 'stale');
      case 'ignored':
        return this.#challenge(request, 'missing');
      case 'wait':
        return blocked(verdict.milliseconds);
      case 'bad':
        this.#countFailure(verdict.name, address);
        return { ...this.#challenge(request, 'refused'), name: verdict.name };
    }
  }

  #statesOf({ credentials: { proxied } }: AuthRequest): WeakMap<object, ConnectionState> {
    return proxied ? this.#connections.proxy : this.#connections.server;
  }

  /** The user of a connection, unless the password has changed or the user was removed. */
  async #entryOf(user: ConnectionState['user']): Promise<UserEntry | undefined> {
    const entry = user && (await this.#store.find(user.name));
    return user && entry?.nt?.equals(user.nt) ? entry : undefined;
  }

  async #judge(request: AuthRequest, given: GivenCredentials): Promise<Verdict> {
    const { connection } = request.credentials;
    const states = this.#statesOf(request);
    const before = states.get(connection);
    // Whatever comes next, the old handshake cannot continue, and a refused user must not stay logged in.
    states.delete(connection);
    try {
      const credentials = parseCredentials(`${given.scheme} ${given.token}`);
      const scheme = schemeOf(credentials.scheme);
      if (!scheme || !this.#enabled(request).includes(scheme)) return { kind: 'ignored' };
      if (scheme === 'basic') return await this.#basic(request, credentials);
      if (scheme === 'digest') return await this.#digest(request, readDigest(credentials), given.request);
      return await this.#handshake(request, before, scheme, decodeToken(credentials.token ?? ''));
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      const milliseconds = this.#memory.wait('addresses', throttleKey(request.remoteAddress));
      return milliseconds > 0 ? { kind: 'wait', milliseconds } : { kind: 'bad', name: undefined };
    }
  }

  #countFailure(name: string | undefined, address: string): void {
    const user = name === undefined ? undefined : nameKey(name);
    if (user !== undefined && this.#memory.knows(pairKey(user, address))) {
      this.#memory.fail('pairs', pairKey(user, address));
      return;
    }
    this.#memory.fail('addresses', address);
    if (user !== undefined) this.#memory.fail('users', user);
  }

  #enabled({ schemes }: AuthRequest): readonly Scheme[] {
    return schemes ? this.#schemes.filter((scheme) => schemes.includes(scheme)) : this.#schemes;
  }

  /** Looks a user up, unless there were too many failures. */
  async #look(
    name: string,
    { remoteAddress }: AuthRequest,
  ): Promise<UserEntry | undefined | Extract<Verdict, { kind: 'wait' }>> {
    const address = throttleKey(remoteAddress);
    const user = nameKey(name);
    const pair = pairKey(user, address);
    const milliseconds = this.#memory.knows(pair)
      ? this.#memory.wait('pairs', pair)
      : Math.max(this.#memory.wait('addresses', address), this.#memory.wait('users', user));
    return milliseconds > 0 ? { kind: 'wait', milliseconds } : this.#store.find(name);
  }

  async #basic(request: AuthRequest, { token }: SchemeValue): Promise<Verdict> {
    const { user, password } = decodeBasic(token ?? '');
    // Windows clients put a domain before the name.
    const name = user.slice(user.lastIndexOf('\\') + 1);
    const entry = await this.#look(name, request);
    if (entry && 'kind' in entry) return entry;
    const known = this.#memory.knows(pairKey(nameKey(name), throttleKey(request.remoteAddress)));
    const good = await this.#passwords.check(entry, password, known);
    if (good === undefined) return { kind: 'wait', milliseconds: 1_000 };
    return good && entry ? { kind: 'good', entry } : { kind: 'bad', name };
  }

  async #digest(
    request: AuthRequest,
    credentials: DigestCredentials,
    signed: GivenCredentials['request'] = { method: '', target: '' },
  ): Promise<Verdict> {
    const { user, realm, nonce, uri, response, protection, algorithm } = credentials;
    const entry = await this.#look(user, request);
    if (entry && 'kind' in entry) return entry;
    const secret = entry?.digest?.realm === this.#realm ? entry.digest : undefined;
    const { md5, sha256 } = secret ?? NOBODY.digest;
    const expected = digestResponse(algorithm.hash === 'MD5' ? md5 : sha256, signed.method, credentials);
    const matches = sameText(expected, response) && realm === this.#realm && sameResource(uri, signed.target);
    if (!matches || !entry || !secret) return { kind: 'bad', name: user };
    const count = protection && Number.parseInt(protection.nc, 16);
    if (!this.#memory.useNonce(nonce, count)) return { kind: 'stale' };
    if (protection) return { kind: 'good', entry };
    // Without a count a nonce is good only once, so the client gets its next one (RFC 2617 3.2.3).
    const finish = { scheme: SCHEME_NAMES.digest, token: `nextnonce="${this.#memory.nonce()}"` };
    return { kind: 'good', entry, finish };
  }

  async #handshake(
    request: AuthRequest,
    before: ConnectionState | undefined,
    scheme: 'negotiate' | 'ntlm',
    token: Buffer,
  ): Promise<Verdict> {
    const { connection } = request.credentials;
    const states = this.#statesOf(request);
    const started = before?.scheme === scheme ? before.acceptor : undefined;
    const acceptor = started ?? (scheme === 'ntlm' ? new RawAcceptor(this.#ntlm) : new NegotiateAcceptor(this.#ntlm));
    const step = acceptor.step(token);
    if (step.kind === 'reply') {
      states.set(connection, { scheme, acceptor });
      return { kind: 'continue', token: step.token };
    }
    const entry = await this.#look(step.userName, request);
    if (entry && 'kind' in entry) return entry;
    const proof = step.verify(entry?.nt ?? NOBODY.nt);
    if (!proof || !entry?.nt) return { kind: 'bad', name: step.userName };
    states.set(connection, { scheme, user: { name: entry.name, nt: entry.nt } });
    if (!proof.token) return { kind: 'good', entry };
    const finish = { scheme: SCHEME_NAMES[scheme], token: proof.token.toString('base64') };
    return { kind: 'good', entry, finish };
  }

  #challenge(request: AuthRequest, reason: ChallengeReason): Extract<AuthOutcome, { kind: 'challenge' }> {
    const { accepts } = request.credentials;
    const schemes = schemesFor(this.#enabled(request), accepts);
    const challenges = schemes.flatMap((scheme) => this.#challengesOf(scheme, reason === 'stale', accepts.length > 0));
    return { kind: 'challenge', reason, challenges };
  }

  /** @param old true for clients of the Windows Media family, which may look only at the first Digest challenge */
  #challengesOf(scheme: Scheme, stale: boolean, old: boolean): Challenge[] {
    const name = SCHEME_NAMES[scheme];
    switch (scheme) {
      case 'negotiate':
      case 'ntlm':
        return [{ scheme: name }];
      case 'basic':
        return [{ scheme: name, token: `realm=${quote(this.#realm)}, charset="UTF-8"` }];
      case 'digest': {
        const hashes = old ? (['MD5', 'SHA-256'] as const) : (['SHA-256', 'MD5'] as const);
        const common = { realm: this.#realm, opaque: this.#opaque, qop: true, stale };
        return hashes.map((hash) => {
          const algorithm = { hash, session: false };
          return { scheme: name, token: formatDigestChallenge({ ...common, nonce: this.#memory.nonce(), algorithm }) };
        });
      }
    }
  }
}

function accepted({ name, groups }: UserEntry, finish?: Finish): AuthOutcome {
  const user: AuthenticatedUser = { name, groups };
  return { kind: 'accepted', user, ...(finish ? { finish } : {}) };
}

function blocked(milliseconds: number): AuthOutcome {
  return { kind: 'blocked', retryAfter: Math.max(Math.ceil(milliseconds / 1_000), 1) };
}

/**
 * The key under which a user's failures are counted. No user has a longer name, and strangers must not fill the memory.
 */
function nameKey(name: string): string {
  return userKey(name.slice(0, 128)).slice(0, 64);
}

function sameText(expected: string, given: string): boolean {
  const bytes = Buffer.from(given, 'latin1');
  return bytes.length === expected.length && timingSafeEqual(Buffer.from(expected, 'latin1'), bytes);
}

/**
 * True if the uri of Digest credentials is the request-target, which a proxy may have cut or made absolute (RFC 7616
 * 3.4.6).
 */
function sameResource(uri: string, target: string): boolean {
  const path = (text: string) => text.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '') || '/';
  return uri === target || path(uri) === path(target);
}
