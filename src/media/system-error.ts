/**
 * Returns the code of an operating system error (`ENOENT`), wherever the error object was made; undefined for any
 * other.
 */
export function systemErrorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EDQUOT: 'the quota is used up',
  EEXIST: 'it exists already',
  EISDIR: 'it is a folder',
  EMFILE: 'this process has too many files open',
  ENOENT: 'no such file or folder',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'it, or a part of its path, is not a folder',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
};

/** Returns why an operation on a file failed, in words, with the code. */
export function systemErrorReason(error: unknown): string {
  const code = systemErrorCode(error);
  const reason = code === undefined ? undefined : reasons[code];
  if (reason !== undefined) return `${reason} (${code})`;
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : error;
  return String(message);
}
