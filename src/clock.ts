/**
 * Returns ms since 1970 by a clock that only goes forward: the system's time when the process started, plus the time since
 * then. For everything that waits or expires, because the system's clock may be set back while a server runs.
 */
export function steadyNow(): number {
  return performance.timeOrigin + performance.now();
}
