import { Refusal } from '../refusal.js';

// Longer names serve nobody and would stand in every log line.
const MAX_PATH = 1024;

// Control characters, and those that change lines or the direction of writing: they would make log lines read as something else.
const MISLEADING = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\\]/u;

/**
 * The decoded path of a request-target: a path or an absolute URL, without its query.
 *
 * @throws Refusal `bad-request` for a target that is no path, holds a NUL or another character that controls writing, or leaves its folder with `..`;
 *   `too-long` when it is longer than 1024 characters
 */
export function pathOf(target: string): string {
  if (target.length > MAX_PATH) throw new Refusal('too-long', 'The path is too long.');
  const withoutScheme = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
  const raw = withoutScheme.split(/[?#]/, 1)[0] || '/';
  if (!raw.startsWith('/')) throw new Refusal('bad-request', 'The request does not name a path.');
  const path = decode(raw);
  const segments = path.split('/');
  if (MISLEADING.test(path) || segments.includes('..') || segments.includes('.')) {
    throw new Refusal('bad-request', 'The path is not allowed.');
  }
  return path;
}

function decode(raw: string): string {
  try {
    // Request lines are read as Latin-1; players that do not escape send UTF-8.
    return decodeURIComponent(Buffer.from(raw, 'latin1').toString('utf8'));
  } catch {
    throw new Refusal('bad-request', 'The path is badly escaped.');
  }
}

/** The query of a request-target, without the question mark. */
export function queryOf(target: string): URLSearchParams {
  const start = target.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : target.slice(start + 1));
}

/** Whether a path belongs to the administration, so that no point can have it. */
export function isReserved(path: string): boolean {
  return path === '/api' || path.startsWith('/api/');
}
