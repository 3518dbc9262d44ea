import { sameLayout } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import type { AsfEvent } from './events.js';
import { Timeline } from './timeline.js';

/** What a server sends again at the start of a live stream is not older than this, ms. */
const LARGEST_OVERLAP = 60_000;
/** A live stream that goes on after so long a gap, or a longer one, is another one, ms. */
const LARGEST_GAP = 3_600_000;
/** Packets of one send time that are remembered, to be known again. */
const MAX_REMEMBERED = 64;
const ZERO_FILE_ID = '0'.repeat(32);

/**
 * Makes one run of events of what came over several connections, or with several headers. Live, packets that a server sends again
 * are left out, and a stream that starts anew under the same header goes on where the old one ended ({@link Timeline}). On
 * demand, packets are known by their numbers, so that after a resume the sequence is that of one connection; where a protocol gives
 * none, by their send times and bytes.
 */
export class Continuity {
  #timeline = new Timeline();
  #header: AsfHeader | undefined;
  // Of the last packet as it came; undefined when the next one needs no comparison.
  #last: { readonly location: number | undefined; readonly sendTime: number } | undefined;
  #recent: Buffer[] = [];
  // The next packet may be one that came already.
  #resuming = false;
  #live = false;

  /** The header that what follows is described by, as it came; undefined before the first. */
  get header(): AsfHeader | undefined {
    return this.#header;
  }

  /** Number of the last packet that was passed on; undefined before the first of an entry. */
  get lastLocation(): number | undefined {
    return this.#last?.location;
  }

  /** Send time of the last packet that was passed on, ms. */
  get lastSendTime(): number | undefined {
    return this.#last?.sendTime;
  }

  /** The position changes on purpose: what follows is not compared with what was. */
  jumped(): void {
    this.#last = undefined;
    this.#recent = [];
  }

  /**
   * A header came.
   *
   * @param announced it is of another entry, even if it is the same
   * @param live packets that are sent again are known by their times, not by their numbers
   * @returns the events that it makes: none when what follows goes on under the last header
   */
  take(header: AsfHeader, announced: boolean, live: boolean): AsfEvent[] {
    const last = this.#header;
    this.#live = live;
    this.#header = header;
    if (last && !announced) {
      // Encoders that give no File ID send the same header for every stream; a file is the same file.
      if (header.bytes.equals(last.bytes) && (!live || header.fileId !== ZERO_FILE_ID)) {
        this.#resuming = this.#last !== undefined;
        return [];
      }
      if (sameLayout(last, header)) {
        this.#restart();
        return [];
      }
    }
    this.#timeline = new Timeline();
    this.jumped();
    this.#resuming = false;
    const end: AsfEvent[] = last ? [{ type: 'end', moreEntries: true, reason: 1 }] : [];
    return [...end, { type: 'header', header }];
  }

  /**
   * A packet came.
   *
   * @param location its number in the (virtual) file; undefined if the protocol gives none
   * @param backwards the content is sent backwards
   * @returns it, in its place on the timeline; undefined when it came before
   */
  packet(location: number | undefined, packet: DataPacket, backwards = false): DataPacket | undefined {
    if (this.#resuming && this.#last && this.#cameBefore(this.#last, location, packet, backwards)) return undefined;
    this.#resuming = false;
    if (packet.sendTime !== this.#last?.sendTime) this.#recent = [];
    const isKnownByBytes = this.#live || location === undefined;
    if (isKnownByBytes && this.#recent.length < MAX_REMEMBERED) this.#recent.push(packet.bytes);
    this.#last = { location, sendTime: packet.sendTime };
    return this.#timeline.packet(packet);
  }

  #cameBefore(
    last: { readonly location: number | undefined; readonly sendTime: number },
    location: number | undefined,
    packet: DataPacket,
    backwards: boolean,
  ): boolean {
    if (!this.#live && location !== undefined && last.location !== undefined) {
      return backwards ? location >= last.location : location <= last.location;
    }
    // Servers number live packets in ways of their own, so it is the send time that counts.
    const step = (packet.sendTime - last.sendTime) | 0;
    if (!this.#live) return (backwards ? step > 0 : step < 0) || (step === 0 && this.#isRecent(packet));
    if (step < -LARGEST_OVERLAP || step > LARGEST_GAP) {
      this.#restart();
      return false;
    }
    return step < 0 || (step === 0 && this.#isRecent(packet));
  }

  #isRecent(packet: DataPacket): boolean {
    return this.#recent.some((bytes) => bytes.equals(packet.bytes));
  }

  #restart(): void {
    this.#timeline.restart();
    this.jumped();
    this.#resuming = false;
  }
}
