import { PACKET_ID } from '../../framing/framing.js';
import type { WmspPacket, WmspPacketReader } from './packets.js';
import type { ClientAction } from './session-actions.js';

/** The output of a link that plays: $D packets that arrived together in one array, everything else separately. */
export type WmspEvent = Extract<ClientAction, { readonly type: 'metadata' | 'header' | 'data' | 'end' | 'movedBack' }>;

/**
 * Yields the events of the packets of a body, in arrays: $D packets that arrived together in one, everything else
 * separately. A packet other than $D is handled only when those before it have been taken, because a log counts them,
 * and because what follows a header depends on the taker.
 */
export class PacketBatches {
  readonly #reader: WmspPacketReader;
  readonly #eventsOf: (packet: WmspPacket) => WmspEvent[];
  readonly #ready: WmspEvent[][] = [];
  #next: WmspPacket | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(reader: WmspPacketReader, eventsOf: (packet: WmspPacket) => WmspEvent[]) {
    this.#reader = reader;
    this.#eventsOf = eventsOf;
  }

  /**
   * @returns undefined if more bytes are needed
   * @throws the errors of reader or session, after the events before them
   */
  next(): readonly WmspEvent[] | undefined {
    const ready = this.#ready.shift();
    if (ready) return ready;
    if (this.#failure) throw this.#failure.error;
    const data: WmspEvent[] = [];
    try {
      while (this.#ready.length === 0) {
        this.#next ??= this.#reader.next();
        if (!this.#next || (this.#next.id !== PACKET_ID.data && data.length > 0)) break;
        const events = this.#eventsOf(this.#next);
        this.#next = undefined;
        for (const event of events) {
          if (event.type === 'data' && this.#ready.length === 0) data.push(event);
          else this.#ready.push([event]);
        }
      }
    } catch (error) {
      if (data.length === 0) throw error;
      this.#failure = { error };
    }
    return data.length > 0 ? data : this.#ready.shift();
  }
}

/** True if nothing follows the end of the last entry. */
export function isLast(events: readonly WmspEvent[]): boolean {
  const [event] = events;
  return event?.type === 'end' && event.reason !== 1;
}
