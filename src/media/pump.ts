import type { AsfEvent, AsfSink } from './events.js';

/**
 * Carries events into sinks, in order, at the pace of the slowest sink.
 *
 * @param observe called with each event after the sinks have taken it
 * @throws any error of the source or a sink; the sinks are not closed
 * @public
 */
export async function pump(
  events: AsyncIterable<AsfEvent>,
  sinks: readonly AsfSink[],
  observe: (event: AsfEvent) => void = () => {},
): Promise<void> {
  for await (const event of events) {
    for (const sink of sinks) {
      const wait = sink.write(event);
      if (wait) await wait;
    }
    observe(event);
  }
}
