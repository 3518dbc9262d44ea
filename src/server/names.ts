/** A path as people compare names: without regard to case, and to how accents are written. */
export function folded(path: string): string {
  return path.normalize('NFC').toLowerCase();
}

/** Something that has a path, perhaps {@link folded} already. */
interface Named {
  readonly path: string;
  readonly foldedPath?: string;
}

/**
 * Returns what has a name, also with a slash at the name's end, and in another case when nothing has exactly that name and one alone
 * has it in another.
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
