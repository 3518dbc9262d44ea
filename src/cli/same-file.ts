import { fstat, type Stats, stat } from 'node:fs';
import { promisify } from 'node:util';
import { WmError } from '../errors.js';

const statOf = promisify(stat);
const fstatOf = promisify(fstat);

/**
 * Refuses to overwrite an input file, whatever names it goes by.
 *
 * @param inputs paths, - for standard input; anything that is not a file, such as a URL, is ignored
 * @throws WmError WM_USAGE
 */
export async function refuseSameFile(inputs: readonly string[], output: string): Promise<void> {
  const target = await statOf(output).catch(() => undefined);
  // A device or a pipe may be both input and output.
  if (!target?.isFile()) return;
  for (const input of inputs) {
    const source = await inputStats(input);
    if (source?.ino !== target.ino || source.dev !== target.dev) continue;
    const name = input === '-' ? 'what standard input reads' : input;
    throw new WmError('WM_USAGE', `Writing ${output} would overwrite ${name}; name another output file.`);
  }
}

function inputStats(input: string): Promise<Stats | undefined> {
  const stats = input === '-' ? fstatOf(0) : statOf(input.replace(/^file:/, ''));
  return stats.catch(() => undefined);
}
