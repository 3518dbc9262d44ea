import { AccessControl, type AccessControlOptions } from '../../auth/access.js';
import type { Scheme } from '../../auth/dialog.js';
import { FileStore } from '../../auth/file-store.js';
import type { LoginMemory } from '../../auth/login-memory.js';
import { ServerAuthenticator } from '../../auth/server.js';

/** The users of a server, and how they log in. */
export interface CredentialOptions {
  /** The file that `wmcast users` maintains; without it there are no users. */
  readonly users?: string | undefined;
  /** The name shown when a login is requested; Digest secrets are valid for one realm. Default `wmcast`. */
  readonly realm?: string | undefined;
  /** In order of preference; default: all. */
  readonly schemes?: readonly Scheme[] | undefined;
  /** True to allow Basic also where others on the network can read the password; default false. */
  readonly basicWithoutTls?: boolean | undefined;
}

/** Every scheme, the most preferred first. */
export const SCHEMES: Scheme[] = ['negotiate', 'ntlm', 'digest', 'basic'];
/** The realm of a server that sets none. */
export const REALM = 'wmcast';

/**
 * Reads the users, for access control.
 *
 * @param memory of earlier logins; default an empty one
 * @throws WmError WM_CONFIG if they cannot be read
 */
export async function openUsers(
  { users, realm = REALM, schemes = SCHEMES, basicWithoutTls = false }: CredentialOptions,
  onWarning: (message: string) => void,
  memory?: LoginMemory,
): Promise<AccessControlOptions> {
  const store = users === undefined ? undefined : await FileStore.open(users, { onWarning });
  const authenticator = store && new ServerAuthenticator({ store, realm, schemes, memory });
  return { authenticator, schemes, basicWithoutTls, onWarning };
}

/**
 * Sets up access control.
 *
 * @param memory of earlier logins; default an empty one
 * @throws WmError WM_CONFIG if the users cannot be read
 */
export async function openAccess(
  options: CredentialOptions,
  onWarning: (message: string) => void,
  memory?: LoginMemory,
): Promise<AccessControl> {
  return new AccessControl(await openUsers(options, onWarning, memory));
}
