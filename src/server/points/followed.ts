import type { AsfHeader } from '../../asf/header.js';
import type { DataPacket } from '../../asf/packet.js';
import { WmError } from '../../errors.js';
import type { Broadcast, Follower } from '../../media/broadcast.js';
import type { AsfEvent, AsfSource, EndEvent } from '../../media/events.js';
import { SingleReading } from '../../media/source.js';
import type { BroadcastPacket, HeaderCause } from '../../media/wire.js';

/** The maximum size of the queue, in bytes; further packets are dropped. */
const MAX_QUEUE = 16 * 1024 * 1024;
/** The memory that an event takes besides its bytes. */
const EVENT_OVERHEAD = 300;

/**
 * Another publishing point of this server as a source, equivalent to its URL but without a connection to ourselves. It
 * begins with the next packet and ends with the broadcast.
 */
export class FollowedPoint implements AsfSource, Follower {
  readonly #broadcast: Broadcast;
  readonly #wait: boolean;
  readonly #reading = new SingleReading();
  readonly #queue: AsfEvent[] = [];
  #queued = 0;
  #begun = false;
  #closed = false;
  #wake: () => void = () => {};

  /**
   * @param wait true to wait until the point is live; otherwise the iteration throws WmError WM_UNREACHABLE if it is
   *   not
   */
  constructor(broadcast: Broadcast, wait: boolean) {
    this.#broadcast = broadcast;
    this.#wait = wait;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    this.#reading.begin();
    if (this.#closed) return;
    if (!this.#wait && !this.#broadcast.live) throw new WmError('WM_UNREACHABLE', 'The point is offline.');
    this.#broadcast.follow(this);
    try {
      for (;;) {
        const batch = this.#queue.splice(0);
        this.#queued = 0;
        for (const event of batch) {
          yield event;
          if (event.type === 'end' && !event.moreEntries) return;
        }
        if (this.#queue.length > 0) continue;
        if (this.#closed) break;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (this.#begun) yield { type: 'end', moreEntries: false, reason: 0 };
    } finally {
      this.#broadcast.unfollow(this);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#broadcast.unfollow(this);
    this.#wake();
  }

  started(header: AsfHeader, cause: HeaderCause | 'run'): void {
    if (this.#begun && cause !== 'run') this.#put({ type: 'end', moreEntries: true, reason: 1 });
    this.#begun = true;
    this.#put({ type: 'header', header });
  }

  /** @returns 0: nothing leaves this process */
  packet(_packet: BroadcastPacket, placed: DataPacket): number {
    if (this.#queued > MAX_QUEUE) return 0;
    this.#queued += placed.bytes.length + EVENT_OVERHEAD;
    this.#put({ type: 'packet', packet: placed });
    return 0;
  }

  ended(event: EndEvent): void {
    this.#put(event);
  }

  #put(event: AsfEvent): void {
    this.#queue.push(event);
    this.#wake();
  }
}
