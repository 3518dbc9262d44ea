import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

// Enough to collect the garbage of thousands of writes a second cheaply; V8's own limit can be 16 MB. Bytes.
const ENOUGH = 2 * 1024 * 1024;
const LIMITED = '--semi-space-growth-factor=1';
const FREE = '--semi-space-growth-factor=2';

/**
 * Limits V8's space for young objects to a few megabytes. A server with many players makes garbage steadily. Without
 * the limit that space would grow to more memory than a thousand players need, with no measurable gain.
 *
 * @returns a check, cheap enough for each player that comes: the space grows with what survives, and players do.
 *   V8 shrinks the space of an idle process, which may grow again after that.
 */
export function youngSpaceLimit(): () => void {
  let limited = false;
  return () => {
    const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
    const isEnough = young !== undefined && young.space_size >= ENOUGH;
    if (isEnough === limited) return;
    limited = isEnough;
    setFlagsFromString(limited ? LIMITED : FREE);
  };
}
