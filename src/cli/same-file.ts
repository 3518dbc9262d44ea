import { fstat, type Stats, stat } from 'node:fs';
import { promisify } from 'node:util';
import { WmError } from '../errors.js';

const statOf = promisify(stat);
const fstatOf = promisify(fstat);

/**
 * Refuses to write over a file that is to be read, by whatever names it goes.
 *
 * @param inputs paths, - for standard input; what is no file, such as a URL, is passed over
 * @throws WmError WM_USAGE
 */
export async function refuseSameFile(inputs: readonly string[], output: string): Promise<void> {
  const target = await statOf(output).catch(() => undefined);
  // Devices and pipes may be both.
  if (!target?.isFile()) return;
  for (const input of inputs) {
    const source = await inputStats(input);
    if (source?.ino !== target.ino || source.dev !== target.dev) continue;
    const name = input === '-' ? 'what standard input reads' : input;
    throw new WmError('WM_USAGE', `${output} would be written over ${name}; give another file to write.`);
  }
}

function inputStats(input: string): Promise<Stats | undefined> {
  const stats = input === '-' ? fstatOf(0) : statOf(input.replace(/^file:/, ''));
  return stats.catch(() => undefined);
}
