import { type Document, isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { WmError } from './errors.js';
import { keysOf, schemaAt } from './zod-schema.js';

/** A mistake in a YAML file, and where it is. */
export interface YamlProblem {
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1. */
  readonly column: number;
  /** The field, such as `points[0].path`; empty for the whole file. */
  readonly path: string;
  /** Continues a sentence that begins with the field, such as `must be a number, not a text`. */
  readonly message: string;
}

/** All mistakes in a YAML file; the message has a line for each, with file, line and column. */
export class YamlError extends WmError {
  readonly file: string;
  readonly problems: readonly YamlProblem[];

  constructor(file: string, problems: readonly YamlProblem[]) {
    super('WM_CONFIG', problems.map((problem) => problemLine(file, problem)).join('\n'));
    this.name = 'YamlError';
    this.file = file;
    this.problems = problems;
  }
}

/** Writes a mistake as a line that editors can follow: `serve.yaml:12:5: points[0].path: must be a path such as /live.` */
export function problemLine(file: string, { line, column, path, message }: YamlProblem): string {
  const end = /[.?!]$/.test(message) ? '' : '.';
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}${end}`;
}

/** A YAML file that fits its schema. */
export interface YamlFile<T> {
  readonly data: T;
  /** For changes that keep the comments. */
  readonly document: Document;
  /** Returns a mistake at a field, with the line and the column of the field, or of the nearest field around it. */
  problemAt(path: readonly PropertyKey[], message: string): YamlProblem;
}

/** Enough for a person to correct at a time. */
const MAX_PROBLEMS = 50;

/**
 * Reads a YAML text that has to fit a schema; an empty text counts as an empty map.
 *
 * @param file its name in messages
 * @throws YamlError WM_CONFIG with all mistakes
 */
export function parseYamlFile<T extends z.ZodType>(text: string, file: string, schema: T): YamlFile<z.output<T>> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const at = (offset: number, path: string, message: string): YamlProblem => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1), path, message };
  };
  // What the parser only warns of, such as an unknown tag, would be read as something else than what was meant.
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    const problems = broken.map(({ pos, message }) => {
      // The place comes first, and the lines of the file that follow are not repeated: they may be secrets.
      const sentence = message.split('\n')[0]!.replace(/(?: at line \d+, column \d+)?:?$/, '');
      return at(pos[0], '', sentence);
    });
    throw new YamlError(file, sorted(problems));
  }
  const refuse = (offset: number, sentence: string): never => {
    throw new YamlError(file, [at(offset, '', sentence)]);
  };
  const contents = contentsOf(document, refuse) ?? {};
  const problemAt = (path: readonly PropertyKey[], message: string) =>
    at(offsetOf(document, path), pathInWords(path), message);
  const result = schema.safeParse(contents, { error: (issue) => sentenceFor(issue) });
  if (result.success) return { data: result.data, document, problemAt };
  const problems = result.error.issues.flatMap((issue) => [...problemsOf(issue, [], schema)]);
  throw new YamlError(
    file,
    sorted(
      problems.map(({ path, key, message }) => ({ ...problemAt([...path, ...key], message), path: pathInWords(path) })),
    ),
  );
}

function sorted(problems: readonly YamlProblem[]): YamlProblem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column).slice(0, MAX_PROBLEMS);
}

interface Found {
  readonly path: readonly PropertyKey[];
  /** The unknown key below `path`, if that is the mistake. */
  readonly key: readonly string[];
  readonly message: string;
}

/** Yields what is wrong. Of the alternatives of a union, those that come closest to what is there count. */
function* problemsOf(issue: z.core.$ZodIssue, before: readonly PropertyKey[], schema: z.ZodType): Generator<Found> {
  const path = [...before, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) yield { path, key: [key], message: unknownKey(key, keysOf(schemaAt(schema, path))) };
    return;
  }
  if (issue.code === 'invalid_key') {
    // The mistake is in a name, which is the last part of the path.
    for (const { message } of issue.issues) yield { path, key: [], message };
    return;
  }
  const nearest = issue.code === 'invalid_union' ? nearestOf(issue.errors) : undefined;
  if (nearest === undefined || issue.message !== DEFAULT_UNION) yield { path, key: [], message: issue.message };
  else for (const each of nearest) yield* problemsOf(each, path, schema);
}

/** Returns the mistakes of the alternative that fits best: those farthest inside it, and then the fewest. */
function nearestOf(alternatives: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | undefined {
  const rank = (issues: readonly z.core.$ZodIssue[]) => {
    const [first] = issues;
    if (first?.path.length === 0 && (first.code === 'invalid_type' || first.code === 'invalid_value')) return 2;
    return issues.some(({ code, path }) => code === 'unrecognized_keys' && path.length === 0) ? 1 : 0;
  };
  return [...alternatives].sort((a, b) => rank(a) - rank(b) || a.length - b.length)[0];
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = known.find((name) => isNear(key, name));
  return `has no field "${key.slice(0, 60)}"${near === undefined ? '' : `; did you mean "${near}"?`}`;
}

/** True if two names differ by their case, or by one or two characters. */
function isNear(a: string, b: string): boolean {
  const [one, other] = [a.toLowerCase().slice(0, 40), b.toLowerCase()];
  if (one === other) return true;
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row++) {
    const next = [row];
    for (let column = 1; column <= other.length; column++) {
      const changed = previous[column - 1]! + (one[row - 1] === other[column - 1] ? 0 : 1);
      next.push(Math.min(changed, previous[column]! + 1, next[column - 1]! + 1));
    }
    previous = next;
  }
  return previous[other.length]! <= Math.min(2, other.length / 3);
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of fields',
  record: 'a map of fields',
};
const DEFAULT_UNION = 'has none of the possible forms';

/** Says what is wrong, for mistakes about which the schema has no sentence of its own. */
function sentenceFor(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type': {
      if (issue.input === undefined) return 'is missing';
      return `must be ${TYPES[String(issue.expected)] ?? String(issue.expected)}, not ${typeInWords(issue.input)}`;
    }
    case 'invalid_value':
      return `must be ${listed(issue.values.map(String))}`;
    case 'too_big':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `must be at most ${issue.maximum}`
        : `must have at most ${issue.maximum} ${unitOf(issue.origin)}`;
    case 'too_small':
      if (issue.origin === 'number' || issue.origin === 'int') return `must be at least ${issue.minimum}`;
      return issue.minimum === 1 ? 'must not be empty' : `must have at least ${issue.minimum} ${unitOf(issue.origin)}`;
    case 'invalid_format':
      return issue.format === 'url' ? 'must be a URL' : 'has not the right form';
    case 'invalid_union':
      return DEFAULT_UNION;
    default:
      return undefined;
  }
}

function unitOf(origin: string): string {
  return origin === 'string' ? 'characters' : 'entries';
}

function typeInWords(input: unknown): string {
  if (input === null) return 'empty';
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'number') return Number.isInteger(input) ? 'a number' : 'a fraction';
  return TYPES[typeof input] ?? typeof input;
}

/** Lists words: "a", "a or b", "a, b or c". */
function listed(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** Writes a path as people do: `points[0].access.play`. */
function pathInWords(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => (typeof key === 'number' ? `[${key}]` : index === 0 ? String(key) : `.${String(key)}`))
    .join('');
}

/**
 * Returns the contents of a document. Aliases are looked up only here, so this is where a wrong one is noticed.
 *
 * @param refuse is called with the offset of a wrong alias; throws
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

/** Returns where a field is: at its value, or at its name if that is unknown; else where the nearest field around it is. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const keys = path.slice(0, length);
    const around = length === 1 ? document.contents : document.getIn(keys.slice(0, -1), true);
    const last = keys.at(-1);
    if (isMap(around)) {
      const pair = around.items.find(({ key }) => isScalar(key) && String(key.value) === String(last));
      if (isScalar(pair?.key) && pair.key.range) return pair.key.range[0];
    }
    const node = document.getIn(keys, true);
    if (hasRange(node)) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

function hasRange(node: unknown): node is { readonly range: readonly [number, number, number] } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range);
}
