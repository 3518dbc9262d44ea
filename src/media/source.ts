import { WmError } from '../errors.js';
import type { AsfEvent } from './events.js';

/** Makes sure that a source is read only once; its events cannot be replayed. */
export class SingleReading {
  #begun = false;

  /** @throws WmError WM_FAILED the second time */
  begin(): void {
    if (this.#begun) throw new WmError('WM_FAILED', 'A source can be read only once.');
    this.#begun = true;
  }
}

/**
 * Yields the events of a source, and then, however they end, an end event if there was a header.
 *
 * @throws any error of the events, after the end event
 */
export async function* withEnd(
  events: AsyncIterable<AsfEvent>,
  hasHeader: () => boolean,
): AsyncGenerator<AsfEvent, void, undefined> {
  let failure: { readonly error: unknown } | undefined;
  try {
    yield* events;
  } catch (error) {
    failure = { error };
  }
  if (hasHeader()) yield { type: 'end', moreEntries: false, reason: 0 };
  if (failure) throw failure.error;
}
