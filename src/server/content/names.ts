/** Folds a path for comparison: ignores case, and how accents are encoded. */
export function folded(path: string): string {
  return path.normalize('NFC').toLowerCase();
}

/** Something with a path, which may be {@link folded} already. */
interface Named {
  readonly path: string;
  readonly foldedPath?: string;
}

/**
 * Finds an item by its path, ignoring a final slash. If no path matches exactly, a single match that differs only in
 * case counts.
 */
export function named<T extends Named>(all: Iterable<T>, path: string): T | undefined {
  const name = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  const wanted = folded(name);
  const similar: T[] = [];
  for (const each of all) {
    if (each.path === path || each.path === name) return each;
    if ((each.foldedPath ?? folded(each.path)) === wanted) similar.push(each);
  }
  return similar.length === 1 ? similar[0] : undefined;
}
