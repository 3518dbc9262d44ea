import type { Metafile, MetafileEntry } from './asx-read.js';

export interface ExpandOptions {
  /** Where the announcement was found; references are relative to it. */
  readonly base: string;
  /** Reads another announcement; undefined when there is none at the URL. */
  readonly load: (url: string) => Promise<Metafile | undefined>;
  /** How deep announcements may lead to others; default 4. */
  readonly maxDepth?: number | undefined;
  /** Entries that are taken; default 1000. */
  readonly maxEntries?: number | undefined;
  /** Announcements that are read; default 32. */
  readonly maxLoads?: number | undefined;
}

/**
 * The entries of an announcement and of those that it refers to (ENTRYREF), in order, with whole URLs. One that leads back to itself,
 * or deeper or wider than the bounds allow, is left out.
 *
 * @throws whatever `load` throws
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
