import type { AuthOutcome, AuthRequest, Scheme } from '../../src/auth/exchange.js';
import { makeSecrets } from '../../src/auth/secrets.js';
import { ServerAuthenticator, type ServerAuthenticatorOptions } from '../../src/auth/server.js';
import { type CredentialStore, type UserEntry, userKey } from '../../src/auth/store.js';
import { HeaderFields } from '../../src/http/message.js';

export const REALM = 'wmcast';

/** Users that a test adds, with everything that is kept of their passwords. */
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

export interface Station {
  readonly store: MemoryStore;
  readonly server: ServerAuthenticator;
  /** Ms; moves only by the test. */
  readonly clock: { now: number };
  check(authorization: string | undefined, request?: Partial<AuthRequest>): Promise<AuthOutcome>;
}

/** A server that knows `alice`, password `sésame`, of the group `encoders`. */
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
    check: (authorization, request) =>
      server.check({
        connection,
        method: 'GET',
        target: '/live',
        remoteAddress: '192.0.2.1',
        ...request,
        authorization,
      }),
  };
}

/** The values of the challenges. */
export function challengesOf(outcome: AuthOutcome): string[] {
  if (outcome.kind !== 'challenge') throw new Error(`It is ${outcome.kind}.`);
  return outcome.fields.map(([, value]) => value);
}

/** The fields of an outcome as a client gets them. */
export function headersOf(outcome: AuthOutcome): HeaderFields {
  return new HeaderFields(outcome.kind === 'blocked' ? [] : outcome.fields);
}
