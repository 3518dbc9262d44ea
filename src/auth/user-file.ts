import { constants } from 'node:fs';
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Document } from 'yaml';
import { z } from 'zod';
import { steadyNow } from '../clock.js';
import { WmError } from '../errors.js';
import { systemErrorCode, systemErrorReason } from '../media/system-error.js';
import { parseYamlFile } from '../yaml-file.js';
import { type ScryptSecret, type UserEntry, userKey } from './store.js';

const MAX_SIZE = 16 * 1024 * 1024;
const HEADING = ' Users of wmcast. Contains secrets: only the owner may read it. Written by `wmcast users`.';

/** A valid name: no colon, because of Basic and Digest, and nothing that NTLM reads as a domain. */
const NAME = /^[^\p{C}:\\"/\s](?:[^\p{C}:\\"/]{0,62}[^\p{C}:\\"/\s])?$/u;

const nameSchema = z.string().regex(NAME, 'must have 1 to 64 characters, and no colon, slash, backslash or quote');
const hex = (size: number) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${size * 2}}$`), `must be ${size} bytes in hexadecimal`);
const SCRYPT = /^scrypt:(\d{1,7}):(\d{1,2}):(\d{1,2}):([A-Za-z0-9+/]{22,88}={0,2}):([A-Za-z0-9+/]{22,88}={0,2})$/;

const userSchema = z.strictObject({
  groups: z.array(nameSchema).default([]),
  basic: z
    .string()
    .refine((text) => parseScrypt(text) !== undefined, 'must be scrypt:N:r:p:salt:hash')
    .optional(),
  digest: z.strictObject({ realm: z.string(), md5: hex(16), sha256: hex(32) }).optional(),
  nt: hex(16).optional(),
});

const fileSchema = z.strictObject({ users: z.record(nameSchema, userSchema).default({}) });

type FileUser = z.output<typeof userSchema>;

function parseScrypt(text: string): ScryptSecret | undefined {
  const match = SCRYPT.exec(text);
  if (!match) return undefined;
  const [n = 0, r = 0, p = 0] = match.slice(1, 4).map(Number);
  // Limits the cost of a stranger's request: 128 MiB.
  const sane =
    n >= 2 && n <= 131_072 && Number.isInteger(Math.log2(n)) && r >= 1 && n * r <= 1_048_576 && p >= 1 && p <= 4;
  if (!sane) return undefined;
  return { n, r, p, salt: Buffer.from(match[4]!, 'base64'), hash: Buffer.from(match[5]!, 'base64') };
}

function formatScrypt({ n, r, p, salt, hash }: ScryptSecret): string {
  return `scrypt:${n}:${r}:${p}:${salt.toString('base64')}:${hash.toString('base64')}`;
}

/** @throws WmError WM_USAGE if it is not possible as the name of a user or a group */
export function checkUserName(name: string): void {
  const result = nameSchema.safeParse(name);
  if (!result.success)
    throw new WmError('WM_USAGE', `The name ${JSON.stringify(name)} ${result.error.issues[0]!.message}.`);
}

/** The users of a file by {@link userKey}. */
export type UserTable = ReadonlyMap<string, UserEntry>;

interface ParsedFile {
  readonly users: UserTable;
  readonly document: Document;
}

function parseUsers(text: string, path: string): ParsedFile {
  const { data, document } = parseYamlFile(text, path, fileSchema);
  const users = new Map<string, UserEntry>();
  for (const [name, { groups, basic, digest, nt }] of Object.entries(data.users)) {
    const key = userKey(name);
    if (users.has(key)) throw new WmError('WM_CONFIG', `${path}: The user ${name} occurs twice.`);
    const scrypt = basic === undefined ? undefined : parseScrypt(basic);
    users.set(key, {
      name,
      groups,
      ...(scrypt ? { basic: scrypt } : {}),
      ...(digest ? { digest } : {}),
      ...(nt === undefined ? {} : { nt: Buffer.from(nt, 'hex') }),
    });
  }
  return { users, document };
}

/** The users that were read, and the version of the file. */
export interface UserFileContents {
  readonly users: UserTable;
  /** Changes whenever the file does. */
  readonly version: string;
  /** True if others than the owner may read or write the file. */
  readonly open: boolean;
}

function versionOf({ ino, size, mtimeNs }: { ino: bigint; size: bigint; mtimeNs: bigint }): string {
  return `${ino}:${size}:${mtimeNs}`;
}

/** Returns the version of a file as it is now; undefined if it cannot be accessed. */
export async function userFileVersion(path: string): Promise<string | undefined> {
  try {
    return versionOf(await stat(path, { bigint: true }));
  } catch {
    return undefined;
  }
}

/**
 * Reads a file of users.
 * @throws WmError WM_CONFIG if it cannot be read or is malformed; names the line but never quotes it
 */
export async function readUserFile(path: string): Promise<UserFileContents> {
  const { text, version, mode } = await readText(path);
  return { users: parseUsers(text, path).users, version, open: process.platform !== 'win32' && (mode & 0o077) !== 0 };
}

async function readText(path: string): Promise<{ text: string; version: string; mode: number }> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile() || stats.size > MAX_SIZE) throw new WmError('WM_CONFIG', `${path} is no file of users.`);
    return { text: await handle.readFile('utf8'), version: versionOf(stats), mode: Number(stats.mode) };
  } catch (error) {
    if (error instanceof WmError) throw error;
    const sentence = `The users ${path} cannot be read: ${systemErrorReason(error)}.`;
    throw new WmError('WM_CONFIG', sentence, { cause: error });
  } finally {
    await handle?.close();
  }
}

/** The change: an entry for a name, or undefined to remove it. */
export type UserChange = (
  users: UserTable,
) => Promise<{ readonly name: string; readonly entry: UserEntry | undefined }>;

/**
 * Changes one user. The file is created with mode 0600 if it does not exist. It is replaced atomically, so readers see
 * the old one or the new one. Several processes may do this at once: each waits for the others, up to 10 s.
 * @param change gets the current users; if it throws, the file stays unchanged
 * @throws WmError WM_CONFIG if the file cannot be read or written
 */
export async function changeUserFile(path: string, change: UserChange): Promise<void> {
  const unlock = await lock(path);
  try {
    const text = (await userFileVersion(path)) === undefined ? '' : (await readText(path)).text;
    const { users, document } = parseUsers(text, path);
    if (text === '') document.commentBefore = HEADING;
    const { name, entry } = await change(users);
    const known = users.get(userKey(name));
    if (document.contents === null) document.set('users', document.createNode({}));
    if (known && known.name !== entry?.name) document.deleteIn(['users', known.name]);
    if (entry) document.setIn(['users', entry.name], document.createNode(fileUser(entry)));
    await replace(path, document.toString({ lineWidth: 0, flowCollectionPadding: false }));
  } finally {
    await unlock();
  }
}

function fileUser({ groups, basic, digest, nt }: UserEntry): FileUser {
  return {
    groups: [...groups],
    ...(basic ? { basic: formatScrypt(basic) } : {}),
    ...(digest ? { digest: { ...digest } } : {}),
    ...(nt ? { nt: nt.toString('hex') } : {}),
  };
}

function writeError(path: string, error: unknown): WmError {
  return new WmError('WM_CONFIG', `The users ${path} cannot be written: ${systemErrorReason(error)}.`, {
    cause: error,
  });
}

async function replace(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.new`;
  try {
    const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o600);
    try {
      await handle.chmod(0o600);
      // A server that runs as another user must still be able to read the file after root has changed it.
      const old = await stat(path).catch(() => undefined);
      if (old && process.getuid?.() === 0) await handle.chown(old.uid, old.gid);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw writeError(path, error);
  }
}

/** So that the new name survives a power failure; not every system can do this. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  } catch {}
}

const LOCK_WAIT = 10_000;
const LOCK_STALE = 30_000;

/**
 * A lock against other processes: a file next to the other one. A lock that its owner abandoned is broken after 30 s.
 */
async function lock(path: string): Promise<() => Promise<void>> {
  const name = `${path}.lock`;
  for (const deadline = steadyNow() + LOCK_WAIT; ; ) {
    try {
      await (await open(name, 'wx', 0o600)).close();
      return () => unlink(name).catch(() => undefined);
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw writeError(path, error);
    }
    const age = await stat(name).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > LOCK_STALE) await unlink(name).catch(() => undefined);
    else if (steadyNow() > deadline) {
      throw new WmError(
        'WM_CONFIG',
        `Another process has locked ${path} for too long; if there is no such process, remove ${name}.`,
      );
    } else await delay(20 + Math.random() * 30);
  }
}
