import { decodePath, rawPathOf } from '../http/target.js';
import { Refusal } from '../refusal.js';

export { queryOf } from '../http/target.js';

// Longer names serve nobody and would stand in every log line.
const MAX_PATH = 1024;

// Control characters, and those that change lines or the direction of writing: they would make log lines read as something else.
const MISLEADING = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\\]/u;

/**
 * The decoded path of a request-target: a path or an absolute URL, without its query.
 *
 * @throws Refusal `bad-request` for a target that is no path, holds a NUL or another character that controls writing, or leaves its folder with `..`;
 *   `too-long` when it is longer than 1024 characters, of which the query is none
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

/** Whether a path belongs to the administration, so that no point can have it. */
export function isReserved(path: string): boolean {
  return path === '/api' || path.startsWith('/api/');
}
