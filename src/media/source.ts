import { WmError } from '../errors.js';
import type { AsfEvent } from './events.js';

/** Lets a source be read once; what it gave is gone. */
export class SingleReading {
  #begun = false;

  /** @throws WmError WM_FAILED the second time */
  begin(): void {
    if (this.#begun) throw new WmError('WM_FAILED', 'A source can be read only once.');
    this.#begun = true;
  }
}

/**
 * The events of a source and behind them, however they end, an end event, if there was a header.
 *
 * @throws what the events throw, behind the end event
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
