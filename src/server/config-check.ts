import { isAbsolute } from 'node:path';
import type { AccessRule } from '../auth/access.js';
import { WmError } from '../errors.js';
import { sourceSpec } from '../sources/spec.js';
import { ADMIN_DEFAULT, type ServerConfig } from './config.js';

/** A mistake that only shows when settings are compared. */
export interface ConfigProblem {
  readonly path: readonly PropertyKey[];
  /** Continues a sentence that begins with the field. */
  readonly message: string;
}

/**
 * Finds settings that contradict each other: rules that nobody can fulfil without a file of users, because they name
 * users or groups or require a login from everybody; and sources relative to a content folder that is not configured.
 */
export function contradictionsIn(config: ServerConfig): ConfigProblem[] {
  const { users, access, content, points, httpPort, tls, workers, proxy } = config;
  const problems: ConfigProblem[] = [];
  if (workers !== undefined && proxy) {
    problems.push({ path: ['workers'], message: 'cannot be combined with proxy: only one process can keep a cache' });
  }
  if (httpPort === 'none' && !tls) {
    problems.push({ path: ['httpPort'], message: 'may not be none without TLS: the server needs one of the two' });
  }
  const rules = [
    [['access'], access] as const,
    ...points.map((point, index) => [['points', index, 'access'], point.access ?? {}] as const),
  ];
  for (const [path, of] of rules) {
    for (const [name, rule] of Object.entries(of)) {
      if (users !== undefined || rule === undefined || !asksInVain(rule)) continue;
      const message = 'requires users, but there is no file of users: name one (users:, or --users)';
      problems.push({ path: [...path, name], message });
    }
  }
  for (const [index, { source = [] }] of points.entries()) {
    const list = Array.isArray(source);
    for (const [place, written] of [source].flat().entries()) {
      const spec = sourceSpec(written);
      if (content || !('programme' in spec) || isAbsolute(spec.programme)) continue;
      const message = `${spec.programme} is relative to the content folder: name that (content:, or --content)`;
      problems.push({ path: ['points', index, 'source', ...(list ? [place] : [])], message });
    }
  }
  return problems;
}

/** Rejects what {@link contradictionsIn} finds. @throws WmError WM_CONFIG with all of it */
export function checkConfig(config: ServerConfig): void {
  const problems = contradictionsIn(config);
  if (problems.length === 0) return;
  throw new WmError('WM_CONFIG', problems.map(({ path, message }) => `${nameOf(config, path)} ${message}.`).join('\n'));
}

/** Names a field for people who see no file: a point by its path. */
function nameOf({ points }: ServerConfig, [first, index, ...rest]: readonly PropertyKey[]): string {
  if (first === 'points')
    return `${points[Number(index)]?.path}: ${rest.filter((key) => typeof key !== 'number').join('.')}`;
  return [first, index, ...rest].filter((key) => key !== undefined).join('.');
}

function asksInVain({ users = [], groups = [], trusted = [] }: AccessRule): boolean {
  if (trusted.length === 0) return users.length > 0 || groups.length > 0;
  // The default rules are also part of configurations without users.
  return users.some((name) => name !== '*') || groups.some((name) => !ADMIN_DEFAULT.groups.includes(name));
}
