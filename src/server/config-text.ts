import { stringify } from 'yaml';
import { z } from 'zod';
import { alternativesOf, bare } from '../zod-schema.js';
import { configSchema } from './config.js';
import { notesOf } from './config-file.js';

const WIDTH = 100;

/** Returns a complete configuration file: every field with its description, its default, or an example commented out. */
export function commentedConfig(): string {
  const lines = [
    '# The configuration of `wmcast serve --config FILE`, with the defaults. Lines that begin with # and no blank after it are',
    '# examples: remove the # to use them. `wmcast config check FILE` finds mistakes. Options on the command line take',
    '# precedence. Paths are relative to the folder of this file.',
  ];
  for (const [name, field] of fieldsOf(configSchema)) lines.push('', ...linesFor(name, field, ''));
  return `${lines.join('\n')}\n`;
}

type Field = readonly [name: string, schema: z.core.$ZodType];

function fieldsOf(schema: z.core.$ZodType): Field[] {
  const [object, ...others] = alternativesOf(schema);
  // Where other forms are possible, too, a description says more than the fields of one.
  return object instanceof z.ZodObject && others.length === 0
    ? Object.entries(object.shape as Record<string, z.core.$ZodType>)
    : [];
}

/** Returns the fields of the entries of a list, or those of an object. */
function innerFieldsOf(schema: z.core.$ZodType): Field[] {
  const inner = bare(schema);
  return fieldsOf(inner instanceof z.ZodArray ? inner.element : inner);
}

/**
 * Returns the lines of a field, with its description.
 *
 * @param whole true within an example: every field is shown, with its default or a value, and nothing is commented out
 */
function linesFor(name: string, schema: z.core.$ZodType, indent: string, whole = false): string[] {
  const { description = '', sample } = notesOf(schema);
  const comment = wrapped(description, WIDTH - indent.length - 2).map((line) => `${indent}# ${line}`);
  const inner = innerFieldsOf(schema);
  const given = schema instanceof z.ZodDefault ? schema.def.defaultValue : undefined;
  // Rules are short, so an example says more than each field.
  if (inner.length === 0 || sample !== undefined || isRule(schema)) {
    const lines = valueLines(name, given ?? sample ?? {}, indent);
    return [...comment, ...(given !== undefined || whole ? lines : commentedOut(lines, indent))];
  }
  const isList = bare(schema) instanceof z.ZodArray;
  // Without defaults in it, the field is one example, which may be taken out of its comment at once.
  const isExample = isList || Object.keys(given ?? {}).length === 0;
  const depth = `${indent}${isList ? '    ' : '  '}`;
  const fields = inner.flatMap(([key, field]) => linesFor(key, field, depth, whole || isExample));
  const lines = [`${indent}${name}:`, ...(isList ? asEntry(fields, depth) : fields)];
  return [...comment, ...(isExample && !whole ? commentedOut(lines, indent) : lines)];
}

function isRule(schema: z.core.$ZodType): boolean {
  return innerFieldsOf(schema).some(([name]) => name === 'trusted');
}

/** Turns the fields of a list's entry into that entry. */
function asEntry(fields: readonly string[], indent: string): string[] {
  const first = fields.findIndex((line) => !line.trim().startsWith('#'));
  return fields.map((line, index) => (index === first ? `${indent.slice(0, -2)}- ${line.trim()}` : line));
}

/** Comments lines out; a `#` without a blank after it shows where an example begins. */
function commentedOut(lines: readonly string[], indent: string): string[] {
  return lines.map((line) => `${indent}#${line.slice(indent.length)}`);
}

function valueLines(name: string, value: unknown, indent: string): string[] {
  const flow = stringify(
    { [name]: value },
    { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: true },
  ).trim();
  // The outermost braces are those of the map that holds the field.
  return [`${indent}${flow.replace(/^\{ ?/, '').replace(/ ?\}$/, '')}`];
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}

/** Returns the reference of all fields in Markdown, for docs/configuration.md. */
export function configReference(): string {
  const lines = [
    '# The configuration file',
    '',
    'This page is made from the schema that `wmcast serve` uses (`npm run docs:config`). `wmcast init serve.yaml` writes a file with',
    'all fields, their defaults and their descriptions; `wmcast config check serve.yaml` lists all mistakes in a file, and',
    '`wmcast config print serve.yaml` shows what is in effect, with defaults filled in and passwords hidden.',
    '',
    'Paths of files and folders are relative to the folder of the configuration file. [server.md](server.md) explains how the fields work',
    'together.',
    '',
  ];
  const sections = new Map<string, string[]>([['', []]]);
  for (const [name, field] of fieldsOf(configSchema)) {
    const inner = innerFieldsOf(field);
    if (inner.length === 0) sections.get('')!.push(...rowsFor(name, field));
    else {
      const { description = '' } = notesOf(field);
      const rows = inner.flatMap(([key, each]) => rowsFor(key, each));
      sections.set(`${name}${bare(field) instanceof z.ZodArray ? ' (a list)' : ''}|${description}`, rows);
    }
  }
  for (const [title, rows] of sections) {
    const [name = '', description = ''] = title.split('|');
    lines.push(...(name === '' ? [] : [`## ${name}`, '', description, '']));
    lines.push('| field | value | default | meaning |', '|---|---|---|---|', ...rows, '');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function rowsFor(name: string, schema: z.core.$ZodType): string[] {
  const { description = '' } = notesOf(schema);
  const given = schema instanceof z.ZodDefault ? schema.def.defaultValue : undefined;
  const inner = innerFieldsOf(schema);
  const row = `| \`${name}\` | ${kindOf(schema)} | ${given === undefined ? '' : `\`${inFlow(given)}\``} | ${cell(description)} |`;
  if (inner.length === 0 || isRule(schema)) return [row];
  return [row, ...inner.flatMap(([key, field]) => rowsFor(`${name}.${key}`, field))];
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function inFlow(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim();
}

/** Describes the values that a field takes. */
function kindOf(schema: z.core.$ZodType): string {
  const { place } = notesOf(schema);
  if (place !== undefined) return place === 'file' ? 'path of a file' : 'path of a folder';
  if (isRule(schema)) return 'a rule: `addresses`, `users`, `groups`, `trusted`';
  const kinds = alternativesOf(schema).map((each) => kindOfOne(each));
  return [...new Set(kinds)].join(' or ');
}

function kindOfOne(schema: z.core.$ZodType): string {
  if (schema instanceof z.ZodEnum) return schema.options.map((option) => `\`${option}\``).join(', ');
  if (schema instanceof z.ZodLiteral) return [...schema.def.values].map((value) => `\`${value}\``).join(', ');
  if (schema instanceof z.ZodBoolean) return 'true or false';
  if (schema instanceof z.ZodNumber) {
    const { minValue, maxValue } = schema;
    const range = [
      ...(minValue === null || !Number.isFinite(minValue) ? [] : [`from ${minValue}`]),
      ...(maxValue === null || maxValue >= Number.MAX_SAFE_INTEGER ? [] : [`to ${maxValue}`]),
    ];
    return ['number', ...range].join(' ');
  }
  if (schema instanceof z.ZodArray) return `list of ${kindOf(schema.element)}`;
  return schema instanceof z.ZodObject ? 'map' : 'text';
}
