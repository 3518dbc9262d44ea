import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

// Enough that the garbage of thousands of writes a second is collected cheaply; what V8 would take is up to 48 MB.
const ENOUGH = 6 * 1024 * 1024;
const CHECK_INTERVAL = 100;

/**
 * Stops V8's space for young objects from growing once it has a few megabytes. A server of many players makes garbage steadily,
 * for which that space would grow to more than a thousand players take themselves, without a measurable gain.
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
