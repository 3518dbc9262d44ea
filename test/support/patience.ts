import { availableParallelism, loadavg } from 'node:os';

/** More would only hide a test that hangs. */
const MOST = 8;

/**
 * Tells how many times slower than an idle machine this one is, as far as its load says so: from 1 to 8. Bounds of tests
 * are meant for what hangs, so they grow with the work that others have given the machine.
 */
export function slowness(): number {
  return Math.min(MOST, Math.max(1, loadavg()[0]! / availableParallelism()));
}
