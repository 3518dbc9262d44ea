import type { SentUnit, WireFormat } from '../media/wire.js';
import type { Strain } from './adaptation.js';
import type { Feed, PacketCounts } from './feed.js';
import type { StreamSelection } from './selection.js';

/** The feed of a session, one at a time, and the totals over its feeds. */
export class FeedSlot {
  #feed: Feed | undefined;
  /** The previous feed, some of whose units may have to be resent. */
  #previous: Feed | undefined;
  #number: number | undefined;
  #sent = 0;
  #skipped = 0;

  /** The current feed. */
  get feed(): Feed | undefined {
    return this.#feed;
  }

  /** The number of the next unit; undefined until one has been chosen. */
  get number(): number | undefined {
    return this.#feed?.number ?? this.#number;
  }

  /** Data packets since the last {@link reset}. */
  get packets(): PacketCounts {
    const { sent = 0, skipped = 0 } = this.#feed?.packets ?? {};
    return { sent: this.#sent + sent, skipped: this.#skipped + skipped };
  }

  /** True if the current feed is a broadcast over a byte stream. */
  get takesLive(): boolean {
    return this.#feed?.takesLive === true;
  }

  /** How the player keeps up with the current feed. @param now a clock in ms */
  strain(now: number): Strain {
    return { now, skipped: this.packets.skipped, ...(this.#feed?.keepsUp() ?? { late: 0 }) };
  }

  /** Counts packets from now on. */
  reset(): void {
    this.#sent = 0;
    this.#skipped = 0;
  }

  /** Sets the number of the next unit; has no effect while a feed is active. */
  countFrom(number: number): void {
    if (!this.#feed) this.#number = number;
  }

  /** Replaces the current feed with one that is about to start. */
  take(feed: Feed): void {
    this.leave();
    this.#feed = feed;
  }

  /** Ends the current feed. */
  leave(): void {
    const feed = this.#feed;
    if (!feed) return;
    this.#feed = undefined;
    feed.stop();
    this.forget();
    this.#previous = feed;
    this.#number = feed.number;
    const { sent, skipped } = feed.packets;
    this.#sent += sent;
    this.#skipped += skipped;
  }

  select(selection: StreamSelection): void {
    this.#feed?.select(selection);
  }

  rewire(wire: WireFormat): void {
    this.#feed?.rewire(wire);
  }

  /** Finds a sent unit that is still kept. */
  recent(number: number): SentUnit | undefined {
    return this.#feed?.recent(number) ?? this.#previous?.recent(number);
  }

  /** Drops the previous feed, since none of its units will be asked for again. */
  forget(): void {
    this.#previous?.forget();
    this.#previous = undefined;
  }
}
