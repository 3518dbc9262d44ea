import { type Document, LineCounter, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { WmError } from './errors.js';

/**
 * Reads a YAML text that has to fit a schema; an empty text counts as an empty map.
 *
 * @param file its name in messages
 * @returns the data, and the document for changes that keep its comments
 * @throws WmError WM_CONFIG with the file, the line and what is wrong there
 */
export function parseYamlFile<T extends z.ZodType>(
  text: string,
  file: string,
  schema: T,
): { readonly data: z.output<T>; readonly document: Document } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  // What the parser only warns of, such as an unknown tag, would be read as something else than what was meant.
  const [broken] = [...document.errors, ...document.warnings];
  const lineAt = (offset: number) => lines.linePos(offset).line;
  if (broken) {
    // The place is told in front, and the lines of the file that follow are not repeated: they may be secrets.
    const sentence = broken.message.split('\n')[0]!.replace(/(?: at line \d+, column \d+)?:?$/, '');
    throw new WmError('WM_CONFIG', `${file}:${lineAt(broken.pos[0])}: ${sentence}.`);
  }
  const result = schema.safeParse(
    contentsOf(document, (alias, sentence) => {
      throw new WmError('WM_CONFIG', `${file}:${lineAt(alias)}: ${sentence}`);
    }) ?? {},
  );
  if (result.success) return { data: result.data, document };
  const [issue] = result.error.issues;
  const path = issue!.path.map(String);
  // The path of an unknown key ends at what holds it.
  const unknown = issue!.code === 'unrecognized_keys' ? issue!.keys.slice(0, 1) : [];
  const node = nearestNode(document, [...path, ...unknown]);
  const line = node?.range ? `:${lineAt(node.range[0])}` : '';
  throw new WmError('WM_CONFIG', `${file}${line}: ${path.join('.') || 'the file'}: ${issue!.message}`);
}

/**
 * What a document says. Aliases are looked up only here, so this is where a wrong one is noticed.
 *
 * @param refuse told the offset of the alias and what is wrong with it; throws
 */
function contentsOf(document: Document, refuse: (offset: number, sentence: string) => never): unknown {
  try {
    return document.toJS();
  } catch {
    let last = 0;
    visit(document, {
      Alias: (_, alias) => {
        last = alias.range?.[0] ?? 0;
        // The name is not repeated: it may be the secret of somebody who forgot the quotes.
        if (!alias.resolve(document)) refuse(last, 'An alias (*) names no anchor (&) that is set before it.');
      },
    });
    refuse(last, 'Its aliases (*) would make it too large.');
  }
}

function nearestNode(document: Document, path: string[]): { range?: [number, number, number] | null } | undefined {
  for (let length = path.length; length > 0; length--) {
    const keys = path.slice(0, length).map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    const node = document.getIn(keys, true);
    if (node && typeof node === 'object') return node as { range?: [number, number, number] | null };
  }
  return document.contents ?? undefined;
}
