import { sameLayout } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import type { AsfEvent } from './events.js';
import { Timeline } from './timeline.js';

/** How far back a server repeats packets at the start of a live stream, at most, in ms. */
const LARGEST_OVERLAP = 60_000;
/** A live stream with a gap this long, or longer, counts as a new one, in ms. */
const LARGEST_GAP = 3_600_000;
/** Packets of one send time that are remembered, to recognise duplicates. */
const MAX_REMEMBERED = 64;
const ZERO_FILE_ID = '0'.repeat(32);

/**
 * Joins events from several connections, or under several headers, into one run. Live, packets that a server repeats
 * are dropped, and a stream that restarts under the same header continues where the old one ended ({@link Timeline}).
 * On demand, packets are recognised by their numbers, so that after a resume the sequence is that of a single
 * connection; if a protocol has no numbers, by their send times and bytes.
 */
export class Continuity {
  #timeline = new Timeline();
  #header: AsfHeader | undefined;
  // The last packet as received; undefined if the next one needs no comparison.
  #last: { readonly location: number | undefined; readonly sendTime: number } | undefined;
  #recent: Buffer[] = [];
  // True if the next packet may be a duplicate.
  #resuming = false;
  #live = false;

  /** The current header as received; undefined before the first. */
  get header(): AsfHeader | undefined {
    return this.#header;
  }

  /** Number of the last packet passed on; undefined before the first of an entry. */
  get lastLocation(): number | undefined {
    return this.#last?.location;
  }

  /** Send time of the last packet passed on, in ms. */
  get lastSendTime(): number | undefined {
    return this.#last?.sendTime;
  }

  /** The position changes on purpose: the next packet is not compared with the last. */
  jumped(): void {
    this.#last = undefined;
    this.#recent = [];
  }

  /**
   * Takes a header.
   *
   * @param announced true if it belongs to another entry, even if it is the same
   * @param live true if repeated packets are recognised by their times, not by their numbers
   * @returns the events that it causes: none if the stream continues under the last header
   */
  take(header: AsfHeader, announced: boolean, live: boolean): AsfEvent[] {
    const last = this.#header;
    this.#live = live;
    this.#header = header;
    if (last && !announced) {
      // Encoders without a File ID send the same header for every stream; a file is the same file.
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
   * Takes a packet.
   *
   * @param location its number in the (virtual) file; undefined if the protocol has none
   * @param backwards true if the content is sent in reverse
   * @returns the packet in its place on the timeline; undefined if it is a duplicate
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
    // Servers number live packets each in their own way, so the send time decides.
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
