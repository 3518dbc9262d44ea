import { decodePath, rawPathOf } from '../../http/target.js';
import { Refusal } from '../../refusal.js';

export { queryOf } from '../../http/target.js';

// Longer names help nobody and would fill every log line.
const MAX_PATH = 1024;

// Control characters, and characters that change lines or the writing direction, would make log lines misleading.
const MISLEADING = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\\]/u;

/**
 * Returns the decoded path of a request-target: a path or an absolute URL, without its query.
 *
 * @throws Refusal `bad-request` if the target is not a path, contains a NUL or another misleading character, or leaves
 *   its folder with `..`; `too-long` if the path exceeds 1024 characters
 */
export function pathOf(target: string): string {
  const raw = rawPathOf(target) || '/';
  if (!raw.startsWith('/')) throw new Refusal('bad-request', 'The request does not name a path.');
  const path = decodePath(raw);
  if (path === undefined) throw new Refusal('bad-request', 'The path is badly escaped.');
  if (path.length > MAX_PATH) throw new Refusal('too-long', 'The path is too long.');
  const segments = path.split('/');
  if (MISLEADING.test(path) || segments.includes('..') || segments.includes('.')) {
    throw new Refusal('bad-request', 'The path is not allowed.');
  }
  return path;
}

/** True if a path belongs to the administration, so that no point can have it. */
export function isReserved(path: string): boolean {
  return path === '/api' || path.startsWith('/api/');
}
