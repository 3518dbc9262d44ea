import { sameStreams } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import type { AsfEvent, EndEvent } from './events.js';
import { type Clock, Pacer } from './pacing.js';
import { PacketClock } from './packet-clock.js';
import { Timeline } from './timeline.js';

const MORE: EndEvent = { type: 'end', moreEntries: true, reason: 1 };
/** Paced packets leave up to this much early, in ms. */
const EARLY = 100;

/** Sources one after the other as one stream: one header where their streams are the same, and times that rise. */
export class RundownOutput {
  readonly #clock: Clock;
  readonly #duration: number;
  #timeline = new Timeline();
  #media = new PacketClock();
  /** Ms of media under earlier headers. */
  #before = 0;
  #pacer: Pacer;
  #isPaced = true;
  #header: AsfHeader | undefined;
  /** The header of a source that has just come on the air. */
  #joining: AsfHeader | undefined;
  /** A packet on its way, and when it is due. */
  #placed: { readonly packet: DataPacket; readonly due: number } | undefined;

  /** @param duration in ms of media, after which {@link put} takes nothing more */
  constructor(clock: Clock, duration: number) {
    this.#clock = clock;
    this.#duration = duration;
    this.#pacer = this.#newPacer();
  }

  /** True once there was a header. */
  get started(): boolean {
    return this.#header !== undefined;
  }

  /** True while a packet waits for its time. */
  get busy(): boolean {
    return this.#placed !== undefined;
  }

  /** Another source begins. @param paced false if it sets the pace itself */
  cut(header: AsfHeader | undefined, paced: boolean): void {
    // The schedule of files continues across a filler: what was late is caught up.
    if (!paced || !this.#isPaced) this.#pacer = this.#newPacer();
    this.#isPaced = paced;
    this.#joining = header;
  }

  /** Takes a packet, while it is not {@link busy}. @returns false if the duration is over */
  put(packet: DataPacket): boolean {
    const placed = this.#timeline.packet(packet);
    const time = this.#before + this.#media.of(placed);
    if (time >= this.#duration) return false;
    this.#placed = { packet: placed, due: this.#isPaced ? this.#pacer.due(time) : 0 };
    return true;
  }

  /** Yields what is due. @returns how long the next packet has to wait, in ms; undefined if nothing waits */
  *send(): Generator<AsfEvent, number | undefined, undefined> {
    if (this.#placed) {
      // Nothing waits for its time once another source takes over.
      const left = this.#joining ? 0 : this.#placed.due - this.#clock.now();
      if (left >= EARLY) return left;
      const { packet } = this.#placed;
      this.#placed = undefined;
      yield { type: 'packet', packet };
    }
    const header = this.#joining;
    this.#joining = undefined;
    if (header) yield* this.#join(header);
    return undefined;
  }

  *#join(header: AsfHeader): Generator<AsfEvent, void, undefined> {
    if (this.#header && sameStreams(this.#header, header)) {
      this.#timeline.restart();
      return;
    }
    if (this.#header) yield MORE;
    this.#before += this.#media.now;
    this.#timeline = new Timeline();
    this.#media = new PacketClock();
    this.#header = header;
    yield { type: 'header', header };
  }

  #newPacer(): Pacer {
    return new Pacer(this.#clock, { early: EARLY });
  }
}
