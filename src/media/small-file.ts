import { open } from 'node:fs/promises';
import { WmError } from '../errors.js';
import { systemErrorCode, systemErrorReason } from './system-error.js';

/**
 * Reads a file that is expected to be small.
 *
 * @param limit bytes; of a larger file, one byte more is returned, which shows that it is too large
 * @throws WmError WM_NO_INPUT if the file does not exist, or cannot be read
 */
export async function readSmallFile(path: string, limit: number): Promise<Buffer> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(limit + 1), 0, limit + 1, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    const isMissing = systemErrorCode(error) === 'ENOENT';
    const reason = isMissing ? 'does not exist' : `cannot be read: ${systemErrorReason(error)}`;
    throw new WmError('WM_NO_INPUT', `${path} ${reason}.`, { cause: error });
  }
}
