import type { SentUnit, WireFormat } from '../media/wire.js';
import type { Feed, PacketCounts } from './feed.js';
import type { StreamSelection } from './selection.js';

/** The feed of a session, one at a time, and what adds up over its feeds. */
export class FeedSlot {
  #feed: Feed | undefined;
  /** The feed before, of which some units may be asked for again. */
  #previous: Feed | undefined;
  #number: number | undefined;
  #sent = 0;
  #skipped = 0;

  /** What is sent at the moment. */
  get feed(): Feed | undefined {
    return this.#feed;
  }

  /** Number of the next unit; undefined as long as nothing has chosen one. */
  get number(): number | undefined {
    return this.#feed?.number ?? this.#number;
  }

  /** Data packets since the last {@link reset}. */
  get packets(): PacketCounts {
    const { sent = 0, skipped = 0 } = this.#feed?.packets ?? {};
    return { sent: this.#sent + sent, skipped: this.#skipped + skipped };
  }

  /** Counts packets from now on. */
  reset(): void {
    this.#sent = 0;
    this.#skipped = 0;
  }

  /** Numbers what comes next from there on; has no effect while something is sent. */
  countFrom(number: number): void {
    if (!this.#feed) this.#number = number;
  }

  /** Takes a feed that is about to start, in place of the one that was left. */
  take(feed: Feed): void {
    this.leave();
    this.#feed = feed;
  }

  /** Ends what is sent. */
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

  /** Finds a unit that was sent and is kept. */
  recent(number: number): SentUnit | undefined {
    return this.#feed?.recent(number) ?? this.#previous?.recent(number);
  }

  /** Nothing of the feed before is asked for any more. */
  forget(): void {
    this.#previous?.forget();
    this.#previous = undefined;
  }
}
