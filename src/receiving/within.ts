import { WmError } from '../errors.js';

/** @throws WmError WM_UNREACHABLE with the sentence if the work is not done in time; it is then left to itself */
export async function within<T>(work: Promise<T>, milliseconds: number, sentence: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new WmError('WM_UNREACHABLE', sentence)), Math.max(milliseconds, 0));
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
