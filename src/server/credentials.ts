import { AccessControl } from '../auth/access.js';
import type { Scheme } from '../auth/dialog.js';
import { FileStore } from '../auth/file-store.js';
import { ServerAuthenticator } from '../auth/server.js';

export interface CredentialOptions {
  /** The file that `wmcast users` keeps; without it nobody is known. */
  readonly users?: string | undefined;
  /** What people are shown who are asked; Digest secrets hold for one realm. Default `wmcast`. */
  readonly realm?: string | undefined;
  /** The most preferred first; default all. */
  readonly schemes?: readonly Scheme[] | undefined;
  /** Basic also where everybody on the way can read the password; default false. */
  readonly basicWithoutTls?: boolean | undefined;
}

export const SCHEMES: Scheme[] = ['negotiate', 'ntlm', 'digest', 'basic'];
export const REALM = 'wmcast';

/**
 * Makes ready who decides about access.
 *
 * @throws WmError WM_CONFIG when the users cannot be read
 */
export async function openAccess(
  { users, realm = REALM, schemes = SCHEMES, basicWithoutTls = false }: CredentialOptions,
  onWarning: (message: string) => void,
): Promise<AccessControl> {
  const store = users === undefined ? undefined : await FileStore.open(users, { onWarning });
  const authenticator = store && new ServerAuthenticator({ store, realm, schemes });
  return new AccessControl({ authenticator, schemes, basicWithoutTls, onWarning });
}
