import type { AuthOutcome, AuthRequest, CredentialsDialog, Scheme } from '../../src/auth/dialog.js';
import { finishFields, headerRefusal } from '../../src/auth/header-dialog.js';
import { makeSecrets } from '../../src/auth/secrets.js';
import { ServerAuthenticator, type ServerAuthenticatorOptions } from '../../src/auth/server.js';
import { type CredentialStore, type UserEntry, userKey } from '../../src/auth/store.js';
import { HeaderFields, parseRequestHead } from '../../src/http/message.js';
import { Refusal } from '../../src/refusal.js';

export const REALM = 'wmcast';

const REQUEST = parseRequestHead(Buffer.from('GET /live HTTP/1.1\r\n\r\n'));

/** Users that a test adds, with all kinds of secrets. */
export class MemoryStore implements CredentialStore {
  readonly users = new Map<string, UserEntry>();
  lookups = 0;

  async add(name: string, password: string, groups: readonly string[] = []): Promise<void> {
    const secrets = await makeSecrets(name, password, REALM, ['basic', 'digest', 'ntlm']);
    this.users.set(userKey(name), { name, groups, ...secrets });
  }

  async find(name: string): Promise<UserEntry | undefined> {
    this.lookups++;
    return this.users.get(userKey(name));
  }
}

export interface TestRequest extends Partial<Pick<AuthRequest, 'remoteAddress' | 'schemes'>> {
  readonly connection?: object;
  readonly method?: string;
  readonly target?: string;
  readonly accepts?: readonly string[];
  readonly proxied?: boolean;
}

export interface Station {
  readonly store: MemoryStore;
  readonly server: ServerAuthenticator;
  /** Ms; only the test moves it. */
  readonly clock: { now: number };
  check(authorization: string | undefined, request?: TestRequest): Promise<AuthOutcome>;
}

/** A server with the user `alice`, password `sésame`, group `encoders`. */
export async function station(
  schemes: readonly Scheme[],
  options: Partial<ServerAuthenticatorOptions> = {},
): Promise<Station> {
  const store = new MemoryStore();
  await store.add('alice', 'sésame', ['encoders']);
  const clock = { now: 1_700_000_000_000 };
  const server = new ServerAuthenticator({ store, realm: REALM, schemes, now: () => clock.now, ...options });
  const connection = {};
  return {
    store,
    server,
    clock,
    check: (authorization, { remoteAddress = '192.0.2.1', schemes, ...request } = {}) =>
      server.check({
        remoteAddress,
        ...(schemes ? { schemes } : {}),
        credentials: dialog(authorization, { connection, ...request }),
      }),
  };
}

/** The dialog of a request with an Authorization field. */
export function dialog(authorization: string | undefined, request: TestRequest = {}): CredentialsDialog {
  const { connection = {}, method = 'GET', target = '/live', accepts = [], proxied = false } = request;
  const [, scheme = '', token = ''] = /^(\S*) *(.*)$/s.exec(authorization ?? '') ?? [];
  const given = authorization === undefined ? undefined : { scheme, token, request: { method, target } };
  return { connection, accepts, proxied, via: false, given };
}

/** The values of the challenges. */
export function challengesOf(outcome: AuthOutcome): string[] {
  if (outcome.kind !== 'challenge') throw new Error(`It is ${outcome.kind}.`);
  return outcome.challenges.map(({ scheme, token }) => (token === undefined ? scheme : `${scheme} ${token}`));
}

/** The fields of an outcome as a client gets them. */
export function headersOf(outcome: AuthOutcome): HeaderFields {
  if (outcome.kind === 'blocked') return new HeaderFields();
  if (outcome.kind === 'accepted') return new HeaderFields(finishFields(outcome.finish, REQUEST));
  const { challenges } = outcome;
  return new HeaderFields(headerRefusal(new Refusal('unauthorized', 'No.', { challenges }), REQUEST)!.fields);
}
