import { type Document, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { WmError } from './errors.js';

/**
 * Reads a YAML text that has to fit a schema; an empty one stands for an empty map.
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
  const [broken] = document.errors;
  if (broken) {
    const place = lines.linePos(broken.pos[0]);
    // The place is told in front, and the lines of the file that follow are not repeated: they may be secrets.
    const sentence = broken.message.split('\n')[0]!.replace(/(?: at line \d+, column \d+)?:?$/, '');
    throw new WmError('WM_CONFIG', `${file}:${place.line}: ${sentence}.`);
  }
  const result = schema.safeParse(document.toJS() ?? {});
  if (result.success) return { data: result.data, document };
  const [issue] = result.error.issues;
  const path = issue!.path.map(String);
  // The path of an unknown key ends at what holds it.
  const unknown = issue!.code === 'unrecognized_keys' ? issue!.keys.slice(0, 1) : [];
  const node = nearestNode(document, [...path, ...unknown]);
  const line = node?.range ? `:${lines.linePos(node.range[0]).line}` : '';
  throw new WmError('WM_CONFIG', `${file}${line}: ${path.join('.') || 'the file'}: ${issue!.message}`);
}

function nearestNode(document: Document, path: string[]): { range?: [number, number, number] | null } | undefined {
  for (let length = path.length; length > 0; length--) {
    const keys = path.slice(0, length).map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    const node = document.getIn(keys, true);
    if (node && typeof node === 'object') return node as { range?: [number, number, number] | null };
  }
  return undefined;
}
