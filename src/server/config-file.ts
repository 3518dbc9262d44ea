import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { hidePasswords, WmError } from '../errors.js';
import { systemErrorCode, systemErrorReason } from '../media/system-error.js';
import { parseYamlFile, YamlError, type YamlProblem } from '../yaml-file.js';
import { alternativesOf } from '../zod-schema.js';
import { configSchema, type ServerConfig } from './config.js';
import { type ConfigProblem, contradictionsIn } from './config-check.js';
import type { FieldNotes } from './config-fields.js';

/** A configuration that was read from a file. */
export interface LoadedConfig {
  readonly file: string;
  /** Its paths are absolute. */
  readonly config: ServerConfig;
  /** Returns a mistake with the line and the column of the field. */
  problemAt(path: readonly PropertyKey[], message: string): YamlProblem;
}

/**
 * Reads a YAML configuration. Paths in it are relative to the folder of the file.
 *
 * @throws WmError WM_CONFIG with the file and all mistakes, each with line and column
 */
export async function loadConfig(file: string): Promise<LoadedConfig> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const sentence = `The configuration ${file} cannot be read: ${systemErrorReason(error)}.`;
    throw new WmError('WM_CONFIG', sentence, { cause: error });
  }
  const { data, problemAt } = parseYamlFile(text, file, configSchema);
  const base = dirname(resolve(file));
  const config = mapped(configSchema, data, (value, { place }) =>
    place === undefined || typeof value !== 'string' ? value : resolve(base, value),
  );
  return { file, config: config as ServerConfig, problemAt };
}

/**
 * Reads a YAML configuration. Paths in it are relative to the folder of the file.
 *
 * @throws WmError WM_CONFIG with the file and all mistakes, each with line and column
 * @public
 */
export async function readConfig(file: string): Promise<ServerConfig> {
  return (await loadConfig(file)).config;
}

/**
 * Parses a configuration like {@link readConfig}, but leaves its paths as they are; `file` is its name in messages.
 *
 * @public
 */
export function parseConfig(text: string, file: string): ServerConfig {
  return parseYamlFile(text, file, configSchema).data;
}

/**
 * Checks a configuration that was changed by the command line.
 *
 * @throws YamlError WM_CONFIG with everything that contradicts each other
 */
export function checkLoaded({ file, problemAt }: LoadedConfig, config: ServerConfig): void {
  const problems = contradictionsIn(config);
  if (problems.length > 0) {
    throw new YamlError(
      file,
      problems.map(({ path, message }) => problemAt(path, message)),
    );
  }
}

/** Finds files and folders that cannot be used: missing, unreadable, or not writable. Changes nothing. */
export async function unusablePlaces(config: ServerConfig): Promise<ConfigProblem[]> {
  const places: { readonly path: readonly PropertyKey[]; readonly name: string; readonly kind: Place }[] = [];
  mapped(configSchema, config, (value, { place }, path) => {
    if (place !== undefined && typeof value === 'string') places.push({ path, name: value, kind: place });
    return value;
  });
  const found: ConfigProblem[] = [];
  for (const { path, name, kind } of places) {
    const problem = await (kind === 'output' ? whyNotWritable(name) : whyNotReadable(name, kind));
    if (problem !== undefined) found.push({ path, message: `${name} ${problem}` });
  }
  return found;
}

type Place = NonNullable<FieldNotes['place']>;

async function whyNotReadable(name: string, kind: 'file' | 'folder'): Promise<string | undefined> {
  try {
    const stats = await stat(name);
    if (kind === 'folder' && !stats.isDirectory()) return 'is not a folder';
    if (kind === 'file' && stats.isDirectory()) return 'is a folder, not a file';
    await access(name, kind === 'folder' ? constants.R_OK | constants.X_OK : constants.R_OK);
    return undefined;
  } catch (error) {
    return systemErrorCode(error) === 'ENOENT' ? 'does not exist' : `cannot be read: ${systemErrorReason(error)}`;
  }
}

/** A missing folder is created when something is written to it, if the nearest folder above it allows that. */
async function whyNotWritable(name: string): Promise<string | undefined> {
  for (let folder = name; ; folder = dirname(folder)) {
    try {
      if (!(await stat(folder)).isDirectory()) return `cannot be written to: ${folder} is not a folder`;
      await access(folder, constants.W_OK | constants.X_OK);
      return undefined;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT' && folder !== dirname(folder)) continue;
      return `cannot be written to: ${systemErrorReason(error)}`;
    }
  }
}

/** Returns a configuration for people to see: passwords in URLs are hidden. */
export function masked(config: ServerConfig): ServerConfig {
  return mapped(configSchema, config, (value) =>
    typeof value === 'string' ? hidePasswords(value) : value,
  ) as ServerConfig;
}

/** Returns a point of a configuration for people to see. */
export function maskedPoint(point: ServerConfig['points'][number]): object {
  return masked({ points: [point] } as unknown as ServerConfig).points[0]!;
}

type Change = (value: unknown, notes: FieldNotes, path: readonly PropertyKey[]) => unknown;

/** Returns a copy of a value in which each value without fields of its own is changed. */
function mapped(
  schema: z.core.$ZodType | undefined,
  value: unknown,
  change: Change,
  path: readonly PropertyKey[] = [],
): unknown {
  if (Array.isArray(value)) {
    const list = schema && alternativesOf(schema).find((each) => each instanceof z.ZodArray);
    // Where a list is one of several forms, the others are forms of its entries.
    const element = list ? list.element : undefined;
    return value.map((each, index) => mapped(element, each, change, [...path, index]));
  }
  if (typeof value === 'object' && value !== null) {
    const shapes = schema
      ? alternativesOf(schema).flatMap((each) => (each instanceof z.ZodObject ? [each.shape] : []))
      : [];
    const entries = Object.entries(value).map(([key, field]) => {
      const known = shapes.find((shape) => key in shape)?.[key] as z.core.$ZodType | undefined;
      return [key, mapped(known, field, change, [...path, key])] as const;
    });
    return Object.fromEntries(entries);
  }
  return change(value, schema ? notesOf(schema) : {}, path);
}

/** Returns the notes of a schema, whatever layers are around the documented one. */
export function notesOf(schema: z.core.$ZodType): FieldNotes {
  const notes = z.globalRegistry.get(schema) as FieldNotes | undefined;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return { ...notesOf(schema.def.innerType), ...notes };
  }
  return notes ?? {};
}
