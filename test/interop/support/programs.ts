import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execaSync } from 'execa';

/** A requirement of a test that must be on the machine. */
export interface Requirement {
  readonly name: string;
  readonly present: () => boolean;
}

/** A program in PATH. */
export function program(name: string): Requirement {
  return {
    name,
    present: () => (process.env['PATH'] ?? '').split(delimiter).some((folder) => isProgram(folder, name)),
  };
}

function isProgram(folder: string, name: string): boolean {
  try {
    accessSync(join(folder, name), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A shared library that Python can load. */
export function library(name: string): Requirement {
  const code = `import ctypes; ctypes.CDLL("${name}")`;
  return { name, present: () => execaSync('python3', ['-c', code], { reject: false }).exitCode === 0 };
}

/** An element of GStreamer. */
export function gstElement(name: string): Requirement {
  return {
    name: `GStreamer's ${name}`,
    present: () => execaSync('gst-inspect-1.0', ['--exists', name], { reject: false }).exitCode === 0,
  };
}

// Each check costs a process.
const known = new Map<string, boolean>();

/** Returns the names of missing requirements. */
export function missing(requirements: readonly Requirement[]): string[] {
  return requirements.filter((requirement) => !isPresent(requirement)).map(({ name }) => name);
}

function isPresent({ name, present }: Requirement): boolean {
  const answer = known.get(name) ?? present();
  known.set(name, answer);
  return answer;
}

/**
 * A test that needs programs. If one is missing, the test is skipped and its title says why; `.ci/install-players`
 * installs them all.
 */
export function itNeeds(requirements: readonly Requirement[], title: string, test: () => Promise<void>): void {
  const lacking = missing(requirements);
  if (lacking.length === 0) it(title, test);
  else it.skip(`${title} (not here: ${lacking.join(', ')})`, test);
}
