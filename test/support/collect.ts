import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// That of this moment: tests replace the global one.
const { setImmediate } = globalThis;

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Has everything collected that nobody refers to any more. */
export async function collectGarbage(): Promise<void> {
  // What was looked at through a WeakRef stays until the end of the turn.
  await new Promise<void>((resolve) => setImmediate(resolve));
  collect();
  collect();
}
