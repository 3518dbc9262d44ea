import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientAuthenticator } from '../../src/auth/client.js';
import type { Scheme } from '../../src/auth/dialog.js';
import { makeSecrets } from '../../src/auth/secrets.js';
import { changeUserFile } from '../../src/auth/user-file.js';
import { HeaderFields } from '../../src/http/message.js';
import { parseWholeResponse, type RawPeer, type WireResponse } from '../support/wire.js';

const folders: string[] = [];

/** A file of users whose passwords are their names followed by `-secret`. */
export async function usersFile(users: Readonly<Record<string, readonly string[]>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'wmcast-users-'));
  folders.push(folder);
  const file = join(folder, 'users.yaml');
  for (const [name, groups] of Object.entries(users)) {
    const secrets = await makeSecrets(name, `${name}-secret`, 'wmcast', ['basic', 'digest', 'ntlm']);
    await changeUserFile(file, async () => ({ name, entry: { name, groups, ...secrets } }));
  }
  return file;
}

export async function removeUsers(): Promise<void> {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
}

export interface AuthenticatedAnswer {
  readonly response: WireResponse;
  /** The statuses of all responses; the last one is that of `response`. */
  readonly statuses: readonly number[];
}

/** Sends a request, and repeats it with credentials while it is challenged; all over one connection. */
export async function askAs(
  peer: RawPeer,
  user: string,
  schemes: readonly Scheme[],
  lines: readonly string[],
  body = '',
): Promise<AuthenticatedAnswer> {
  const account = { user, password: `${user}-secret` };
  const client = new ClientAuthenticator({ server: account, proxy: account, schemes });
  const [method = '', target = ''] = lines[0]!.split(' ');
  const statuses: number[] = [];
  for (let credentials: string[] = []; ; ) {
    peer.clear();
    peer.request(...lines, ...credentials);
    peer.send(body);
    const response = await peer.until(parseWholeResponse);
    statuses.push(response.status);
    if (response.status !== 401 && response.status !== 407) return { response, statuses };
    const headers = new HeaderFields(response.fields);
    const field = client.answer({ status: response.status, headers, method, target, secure: true });
    if (!field) return { response, statuses };
    credentials = [field.join(': ')];
  }
}
