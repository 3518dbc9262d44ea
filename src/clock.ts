/**
 * Milliseconds since 1970 by a clock that only goes forward: the system's time as it was when the process started, and what has
 * passed since. For everything that waits or expires; a system's clock may be set back while a server runs.
 */
export function steadyNow(): number {
  return performance.timeOrigin + performance.now();
}
