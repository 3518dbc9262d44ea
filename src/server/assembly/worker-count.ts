import { availableParallelism } from 'node:os';

/** Returns the number of worker processes that a configuration means. */
export function workerCount(workers: number | 'auto'): number {
  return workers === 'auto' ? availableParallelism() : workers;
}
