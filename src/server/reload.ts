import { isDeepStrictEqual } from 'node:util';
import type { ServerConfig } from './config.js';

/** What a new configuration has changed in a running server. @public */
export interface ReloadReport {
  /** Fields that are in effect now, such as `access.play`, and points with the fields that changed. */
  readonly changed: readonly string[];
  /** The paths of new points. */
  readonly added: readonly string[];
  /** The paths of points that are no longer in the configuration. */
  readonly removed: readonly string[];
  /** Fields that take effect after a restart. */
  readonly restart: readonly string[];
}

type PointFields = ServerConfig['points'][number];

/** A point whose configuration has changed. */
export interface ChangedPoint {
  readonly after: PointFields;
  /** The names of the fields. */
  readonly fields: readonly string[];
}

/** The differences between two configurations. */
export interface Changes {
  /** Names such as `httpPort` and `access.play`; those of points are apart. */
  readonly fields: readonly string[];
  readonly added: readonly PointFields[];
  readonly removed: readonly PointFields[];
  readonly changed: readonly ChangedPoint[];
}

/** Fields that a running server can change. Those of a map count for all that is in it. */
const LIVE: ReadonlySet<string> = new Set([
  ...[
    'names',
    'users',
    'realm',
    'authentication',
    'basicWithoutTls',
    'access',
    'content',
    'guide',
    'stills',
    'hls',
    'privateSources',
  ],
  ...['origin', 'forward', 'transparent', 'hosts', 'accounts', 'access', 'cache.maxSize'].map(
    (name) => `proxy.${name}`,
  ),
  ...[
    'redirects',
    'hooks',
    'limits',
    'drain',
    'push.newPoints',
    'push.authenticateStart',
    'tls.cert',
    'tls.key',
    'live.burst',
  ],
]);

/** Compares two configurations. */
export function changesBetween(before: ServerConfig, after: ServerConfig): Changes {
  const { points: old, ...rest } = before;
  const { points: now, ...others } = after;
  const byPath = new Map(old.map((point) => [point.path, point]));
  const kept = new Set(now.map(({ path }) => path));
  const changed = now.flatMap((point) => {
    const previous = byPath.get(point.path);
    const fields = previous ? differing(previous, point) : [];
    return fields.length === 0 ? [] : [{ after: point, fields }];
  });
  return {
    fields: differing(rest, others).flatMap((name) => inner(name, rest, others)),
    added: now.filter(({ path }) => !byPath.has(path)),
    removed: old.filter(({ path }) => !kept.has(path)),
    changed,
  };
}

/** True if a running server can take over the change of a field. */
export function isLive(field: string): boolean {
  return LIVE.has(field) || LIVE.has(field.split('.')[0]!);
}

/** Sums up the changes for people and scripts. */
export function reportOf({ fields, added, removed, changed }: Changes): ReloadReport {
  return {
    changed: [
      ...fields.filter((field) => isLive(field)),
      ...changed.map(({ after, fields }) => `${after.path}: ${fields.join(', ')}`),
    ],
    added: added.map(({ path }) => path),
    removed: removed.map(({ path }) => path),
    restart: fields.filter((field) => !isLive(field)),
  };
}

/** Writes a report as a sentence for the log. */
export function reloadSentence({ changed, added, removed, restart }: ReloadReport): string {
  const parts = [
    ...(changed.length > 0 ? [`changed: ${changed.join('; ')}`] : []),
    ...(added.length > 0 ? [`new points: ${added.join(', ')}`] : []),
    ...(removed.length > 0 ? [`removed points: ${removed.join(', ')}`] : []),
    ...(restart.length > 0 ? [`needs a restart: ${restart.join(', ')}`] : []),
  ];
  return `The configuration was read again; ${parts.length === 0 ? 'nothing has changed' : parts.join('; ')}.`;
}

function differing(before: object, after: object): string[] {
  const [a, b] = [before as Record<string, unknown>, after as Record<string, unknown>];
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].filter((name) => !isDeepStrictEqual(a[name], b[name])).sort();
}

/** Names the fields of a map that differ, if it was there before and after. */
function inner(name: string, before: object, after: object): string[] {
  const [a, b] = [(before as Record<string, unknown>)[name], (after as Record<string, unknown>)[name]];
  if (!isMap(a) || !isMap(b)) return [name];
  return differing(a, b).flatMap((field) => {
    const full = `${name}.${field}`;
    const [old, now] = [a, b].map((map) => (map as Record<string, unknown>)[field]);
    if (full !== 'proxy.cache' || !isMap(old) || !isMap(now)) return [full];
    return differing(old, now).map((part) => `${full}.${part}`);
  });
}

function isMap(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
