import type { Metafile, MetafileEntry } from './asx-read.js';

/** @public */
export interface ExpandOptions {
  /** The URL of the announcement; references are relative to it. */
  readonly base: string;
  /** Reads another announcement; undefined if the URL has none. */
  readonly load: (url: string) => Promise<Metafile | undefined>;
  /** How many levels of announcements to follow; default 4. */
  readonly maxDepth?: number | undefined;
  /** The maximum number of entries; default 1000. */
  readonly maxEntries?: number | undefined;
  /** The maximum number of announcements to read; default 32. */
  readonly maxLoads?: number | undefined;
}

/**
 * Returns the entries of an announcement and of those it refers to (ENTRYREF), in order, with absolute URLs. References
 * that lead back to themselves or exceed the limits are left out.
 *
 * @throws whatever `load` throws
 * @public
 */
export async function expandMetafile(metafile: Metafile, options: ExpandOptions): Promise<MetafileEntry[]> {
  const { load, maxDepth = 4, maxEntries = 1000, maxLoads = 32 } = options;
  const found: MetafileEntry[] = [];
  let loads = 0;
  const walk = async ({ items }: Metafile, base: string, above: readonly string[]): Promise<void> => {
    for (const item of items) {
      if (found.length >= maxEntries) return;
      if (typeof item !== 'string') {
        found.push({ ...item, refs: item.refs.map((ref) => absolute(ref, base)) });
        continue;
      }
      const url = absolute(item, base);
      if (above.includes(url) || above.length > maxDepth || loads >= maxLoads) continue;
      loads++;
      const inner = await load(url);
      if (inner) await walk(inner, inner.location ?? url, [...above, url]);
    }
  };
  await walk(metafile, options.base, [options.base]);
  return found;
}

function absolute(reference: string, base: string): string {
  return URL.canParse(reference, base) ? new URL(reference, base).href : reference;
}
