import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

// Enough to collect the garbage of thousands of writes a second cheaply; V8's own limit can be 48 MB.
const ENOUGH = 6 * 1024 * 1024;
const CHECK_INTERVAL = 100;

/**
 * Limits V8's space for young objects to a few megabytes. A server with many players makes garbage steadily. Without
 * the limit that space would grow to more memory than a thousand players need, with no measurable gain.
 */
export function keepYoungSpaceSmall(): void {
  const timer = setInterval(() => {
    const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
    if (young && young.space_size < ENOUGH) return;
    setFlagsFromString('--semi-space-growth-factor=1');
    clearInterval(timer);
  }, CHECK_INTERVAL);
  timer.unref();
}
