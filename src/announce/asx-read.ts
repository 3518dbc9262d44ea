import { Parser } from 'htmlparser2';

/** One entry of an announcement. */
export interface MetafileEntry {
  readonly title: string;
  /** Where it is, the best way first, as written; relative ones are relative to the announcement. */
  readonly refs: readonly string[];
}

/** What an announcement holds: an .asx file, or one of its text ancestors. */
export interface Metafile {
  readonly title: string;
  readonly entries: readonly MetafileEntry[];
  /** Other announcements whose entries belong here (ENTRYREF), as written. */
  readonly entryRefs: readonly string[];
}

/** A longer text is no announcement, in characters. */
export const MAX_METAFILE_SIZE = 256 * 1024;
const MAX_REFS = 1000;
const MAX_TITLE = 1000;

/** Whether the start of a response is that of an announcement. */
export function looksLikeMetafile(start: string): boolean {
  return /^\ufeff?(?:\s|<\?xml[^>]{0,200}>|<!--(?:(?!-->).){0,500}-->)*(?:<asx[\s>]|\[reference\]|asf\s+https?:\/\/)/is.test(
    start,
  );
}

/**
 * Reads an announcement: an .asx file as it is met in the wild (any case, bare ampersands, tags left open), or a `[Reference]`
 * text with `Ref1=` lines, or `ASF URL`. Never throws.
 *
 * @returns undefined when it is none of them
 */
export function readMetafile(text: string): Metafile | undefined {
  if (text.length > MAX_METAFILE_SIZE || !looksLikeMetafile(text)) return undefined;
  return /<asx[\s>]/i.test(text) ? readAsx(text) : readReferences(text);
}

function readAsx(text: string): Metafile {
  let title = '';
  const entries: Array<{ title: string; refs: string[] }> = [];
  const entryRefs: string[] = [];
  let entry: { title: string; refs: string[] } | undefined;
  let inTitle = false;
  let refs = 0;
  const parser = new Parser(
    {
      onopentag(name, { href }) {
        inTitle = name === 'title';
        if (name === 'entry') {
          entry = { title: '', refs: [] };
          entries.push(entry);
        }
        if (href === undefined || href.trim() === '' || ++refs > MAX_REFS) return;
        if (name === 'ref') entry?.refs.push(href.trim());
        if (name === 'entryref') entryRefs.push(href.trim());
      },
      ontext(part) {
        if (!inTitle) return;
        if (entry) entry.title = (entry.title + part).slice(0, MAX_TITLE);
        else title = (title + part).slice(0, MAX_TITLE);
      },
      onclosetag(name) {
        inTitle = false;
        if (name === 'entry') entry = undefined;
      },
    },
    // As XML, so that <title> and <base> are tags as any other.
    { xmlMode: true, decodeEntities: true, lowerCaseTags: true, lowerCaseAttributeNames: true },
  );
  parser.end(text);
  return {
    title: title.trim(),
    entries: entries
      .filter(({ refs: found }) => found.length > 0)
      .map((each) => ({ title: each.title.trim(), refs: each.refs })),
    entryRefs,
  };
}

function readReferences(text: string): Metafile {
  const numbered = [...text.matchAll(/^[ \t]*ref\d{1,4}[ \t]*=[ \t]*(\S{1,2048})[ \t\r]*$/gim)].map(([, url]) => url!);
  const plain = [...text.matchAll(/^\ufeff?asf[ \t]+(\S{1,2048})/gim)].map(([, url]) => url!);
  const refs = [...numbered, ...plain].slice(0, MAX_REFS);
  return { title: '', entries: refs.length === 0 ? [] : [{ title: '', refs }], entryRefs: [] };
}
