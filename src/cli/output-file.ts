import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { WmError } from '../errors.js';

/** The option of every command that writes files. */
export interface OutputOptions {
  readonly force?: true;
}

/** Adds `--force`. */
export function addForceOption(command: Command): Command {
  return command.option('--force', 'replace files that exist');
}

/**
 * Refuses to replace an existing file. Devices and pipes may be written to.
 *
 * @param path the output about to be written; - for standard output
 * @throws WmError WM_USAGE if it exists and --force was not given
 */
export async function refuseExisting(path: string, { force }: OutputOptions): Promise<void> {
  if (force || path === '-' || !(await isFile(path))) return;
  throw new WmError('WM_USAGE', `${path} exists already: name another file, or add --force to replace it.`);
}

/**
 * Decides what a recording does with an existing file: replace it if --force was given, or if it is a device or a pipe.
 *
 * @param otherwise the decision for all other files
 */
export async function existingFor<T extends 'refuse' | 'number'>(
  path: string,
  { force }: OutputOptions,
  otherwise: T,
): Promise<'replace' | T> {
  return force || (await isSpecial(path)) ? 'replace' : otherwise;
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ?? false;
}

async function isSpecial(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && !found.isFile();
}
