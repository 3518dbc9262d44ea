import { type Command, Option } from 'commander';
import { parseDuration } from '../capture/options.js';
import { WmError } from '../errors.js';
import type { RecordingLimits } from '../media/limited-archive.js';
import { parsedBy } from './program.js';

/** The options that limit a recording. */
export interface ArchiveLimitOptions {
  /** Bytes. */
  readonly archiveSize?: number;
  /** Seconds. */
  readonly archiveTime?: number;
  /** Bytes. */
  readonly archiveFree?: number;
  readonly archiveFull?: 'new' | 'stop';
}

/** The least size of a file, in bytes. */
const LEAST = 100_000;
const FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };
const BINARY: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Adds `--archive-size` and the like. */
export function addArchiveLimits(command: Command): Command {
  return command
    .option(
      '--archive-size <bytes>',
      'begin another file before it becomes larger, for example 700M or 4G; name-2.asf, name-3.asf …',
      parsedBy((text) => parseBytes(text, LEAST)),
    )
    .option(
      '--archive-time <time>',
      'begin another file after this time, for example 1:00:00',
      parsedBy((text) => parseDuration(text, '--archive-time')),
    )
    .option(
      '--archive-free <bytes>',
      'record only while the disk has this much left, for example 5G',
      parsedBy((text) => parseBytes(text, 1)),
    )
    .addOption(new Option('--archive-full <what>', 'what follows at a limit (default: new)').choices(['new', 'stop']));
}

/** Returns the limits of a recording. @throws WmError WM_USAGE for limits without a recording */
export function limitsOf(options: ArchiveLimitOptions, archive: string | undefined): RecordingLimits {
  const { archiveSize: size, archiveTime: duration, archiveFree: free, archiveFull: full } = options;
  if (archive === undefined && (size ?? duration ?? free ?? full) !== undefined) {
    throw new WmError('WM_USAGE', 'Limits of a recording need --archive, the file to record to.');
  }
  return { size, duration, free, full };
}

/** Parses a number of bytes such as 700M (10^6), 4GiB (2^30) or 123456. @throws WmError WM_USAGE */
export function parseBytes(text: string, least: number): number {
  const [, number, prefix = '', binary] = /^(\d{1,15}(?:\.\d{1,3})?)\s*([kmgt]?)(i?)b?$/i.exec(text.trim()) ?? [];
  const factors = binary ? BINARY : FACTORS;
  const bytes = Math.round(Number(number) * (factors[prefix.toLowerCase()] ?? Number.NaN));
  if (!(bytes >= least && bytes <= Number.MAX_SAFE_INTEGER)) {
    throw new WmError('WM_USAGE', `It takes a number of bytes from ${least}, for example 700M or 4G.`);
  }
  return bytes;
}
