import type { NscFile } from '../../announce/nsc.js';
import { type AsfHeader, parseHeader } from '../../asf/header.js';
import { type DataPacket, parsePacket } from '../../asf/packet.js';
import { messageOf, WmError } from '../../errors.js';
import type { AsfEvent } from '../../media/events.js';
import { LiveStart } from '../../media/live-start.js';
import { formatIdOf, type MsbDatagram, MsbError, parseMsbDatagram } from '../messages/packet.js';
import { MsbReception, type ReceivedPayload, type ReceptionOptions, type ReceptionStats } from './reception.js';

/** @public */
export interface SessionOptions extends ReceptionOptions {
  /** The Open timer, 10 000 to 30 000 ms; default 20 000. */
  readonly openTimeout?: number | undefined;
  /** The End of Stream timer in ms; default 30 000. */
  readonly endTimeout?: number | undefined;
  /** True to begin with the first packet that arrives, even without a key frame. Default false. */
  readonly anywhere?: boolean | undefined;
  /** True to take datagrams from any address, not only from the Multicast Adapter of the .nsc file. Default false. */
  readonly anySource?: boolean | undefined;
}

/** Statistics of one playlist entry, or of the whole stream. */
export interface EntryReport {
  readonly header: AsfHeader;
  /** When its first and last packets arrived, in ms on the session's clock. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** Send times of the packets that were passed on, in ms. */
  readonly firstSendTime: number;
  readonly lastSendTime: number;
  /** Packets passed on, at least one. */
  readonly rendered: number;
  /** Packets that arrived in order. */
  readonly received: number;
  /** Packets that arrived after a later one. */
  readonly reordered: number;
  /** Packets that never arrived and were rebuilt from parity packets. */
  readonly recovered: number;
  /** Packets that never arrived and could not be rebuilt. */
  readonly lost: number;
  /** The longest run of packets that never arrived, rebuilt or not. */
  readonly longestGap: number;
  /** Of the ASF packets that arrived. */
  readonly bytes: number;
  /** Bits per second since the session began, over all entries; undefined if no time has passed. */
  readonly averageBandwidth: number | undefined;
}

/** Something that a session asks its receiver to do. */
export type SessionAction =
  | { readonly type: 'event'; readonly event: AsfEvent }
  /** An entry is over of which at least one packet was passed on. */
  | { readonly type: 'report'; readonly report: EntryReport }
  /** Packets arrive whose ASF header is not in the .nsc file; reported once for each wStreamID. */
  | { readonly type: 'unknownFormat'; readonly formatId: number }
  /** The Open timer has expired: nothing arrives here. */
  | { readonly type: 'openTimeout' }
  /** The End of Stream timer has expired; the end event came earlier in the same actions. */
  | { readonly type: 'over' };

/** Counts since the start. @public */
export interface SessionStats extends ReceptionStats {
  beacons: number;
  /** Datagrams that are neither MSB packets nor Beacons, and packets whose ASF packet cannot be read. */
  malformed: number;
  /** Datagrams from addresses other than the Multicast Adapter, and stray packets of another entry. */
  foreign: number;
  /** Packets whose ASF header is not in the .nsc file. */
  unknownFormat: number;
}

const OPEN_TIMEOUT = { least: 10_000, most: 30_000, usual: 20_000 };
const END_TIMEOUT = 30_000;
/** Unknown wStreamIDs that are remembered as reported. */
const MAX_UNKNOWN = 64;
/**
 * A new entry begins with its third packet in a row, or when its packets have waited this many ms and the current entry
 * sent none. Datagrams can be forged, and a single one must not end an entry.
 */
const ENTRY_PACKETS = 3;
const ENTRY_WAIT = 500;

/** An entry that is being received. */
interface Entry {
  readonly streamId: number;
  readonly header: AsfHeader;
  readonly start: LiveStart | undefined;
  readonly startedAt: number;
  lastAt: number;
  firstSendTime: number;
  lastSendTime: number;
  rendered: number;
  readonly how: Record<ReceivedPayload['how'], number>;
  lost: number;
  /** Packets missing since the last one that arrived, and the longest such run. */
  run: number;
  longestGap: number;
  bytes: number;
}

/**
 * The receiving side of a multicast without its socket ([MS-MSB] 3.2): turns datagrams into the events of a stream.
 * Times are in ms of a monotonic clock.
 */
export class MsbSession {
  readonly #options: SessionOptions;
  readonly #adapter: string | undefined;
  readonly #reception: MsbReception;
  readonly #counts = { beacons: 0, malformed: 0, foreign: 0, unknownFormat: 0 };
  readonly #unknown = new Set<number>();
  #headers: ReadonlyMap<number, AsfHeader>;
  /** When the Open timer was started; undefined while it is not running. */
  #openSince: number | undefined;
  /** When the End of Stream timer was last started or reset; undefined while it is not running. */
  #endSince: number | undefined;
  #entry: Entry | undefined;
  /** Packets of another entry, until it is certain that the entry begins. */
  #next: ReceivedPayload[] = [];
  #nextSince = 0;
  /** Lost packets already counted in an entry. */
  #lostSeen = 0;
  /** Bytes of the ASF packets received, and when the first and the last one arrived. */
  #bytes = 0;
  #firstAt: number | undefined;
  #lastAt = 0;
  #over = false;

  /**
   * Starts the Open timer.
   *
   * @throws WmError WM_BAD_INPUT if an ASF header of the file cannot be read, WM_PROTOCOL for an Open timer that the
   *   specification does not allow
   */
  constructor(nsc: NscFile, now: number, options: SessionOptions = {}) {
    const { openTimeout = OPEN_TIMEOUT.usual } = options;
    if (openTimeout < OPEN_TIMEOUT.least || openTimeout > OPEN_TIMEOUT.most) {
      throw new MsbError('The Open timer takes 10 to 30 seconds.');
    }
    this.#options = options;
    this.#adapter = options.anySource ? undefined : nsc.adapter?.toLowerCase();
    this.#reception = new MsbReception(options);
    this.#headers = headersOf(nsc);
    this.#openSince = now;
  }

  get stats(): SessionStats {
    return { ...this.#reception.stats, ...this.#counts };
  }

  /** Takes a new reading of the .nsc file. @throws WmError WM_BAD_INPUT, and nothing changes */
  update(nsc: NscFile): void {
    this.#headers = new Map([...this.#headers, ...headersOf(nsc)]);
    this.#unknown.clear();
  }

  /** @param source the address that the datagram came from */
  datagram(bytes: Buffer, source: string, now: number): SessionAction[] {
    if (this.#over) return [];
    if (this.#adapter !== undefined && source.split('%')[0]!.toLowerCase() !== this.#adapter) {
      this.#counts.foreign++;
      return [];
    }
    const datagram = this.#parsed(bytes);
    if (!datagram) return [];
    if (datagram.type === 'beacon') {
      this.#counts.beacons++;
      this.#openSince = undefined;
      return [];
    }
    const actions: SessionAction[] = [];
    if (this.#headers.has(formatIdOf(datagram.streamId))) {
      this.#openSince = undefined;
      this.#endSince = now;
    } else {
      this.#counts.unknownFormat++;
      if (!this.#unknown.has(datagram.streamId) && this.#unknown.size < MAX_UNKNOWN) {
        this.#unknown.add(datagram.streamId);
        actions.push({ type: 'unknownFormat', formatId: formatIdOf(datagram.streamId) });
      }
    }
    this.#take(this.#reception.packet(datagram, now), now, actions);
    return actions;
  }

  /** Checks the timers and gives up overdue packets; call it regularly. */
  tick(now: number): SessionAction[] {
    if (this.#over) return [];
    const actions: SessionAction[] = [];
    this.#take(this.#reception.tick(now), now, actions);
    if (this.#next.length > 0 && now - this.#nextSince >= ENTRY_WAIT) this.#begin(now, actions);
    const { openTimeout = OPEN_TIMEOUT.usual, endTimeout = END_TIMEOUT } = this.#options;
    if (this.#openSince !== undefined && now - this.#openSince >= openTimeout) {
      this.#over = true;
      actions.push({ type: 'openTimeout' });
    } else if (this.#endSince !== undefined && now - this.#endSince >= endTimeout) {
      actions.push(...this.stop(now), { type: 'over' });
    }
    return actions;
  }

  /**
   * Ends the session, because the user stops it ([MS-MSB] 3.2.7.1) or it is over: the rest, a report and an end event.
   */
  stop(now: number): SessionAction[] {
    if (this.#over) return [];
    const actions: SessionAction[] = [];
    this.#take(this.#reception.flush(), now, actions);
    if (this.#next.length > 0) this.#begin(now, actions);
    this.#over = true;
    if (this.#entry) this.#endEntry(this.#entry, false, actions);
    return actions;
  }

  #parsed(bytes: Buffer): MsbDatagram | undefined {
    try {
      return parseMsbDatagram(bytes);
    } catch (error) {
      if (!(error instanceof MsbError)) throw error;
      this.#counts.malformed++;
      return undefined;
    }
  }

  #take(received: readonly ReceivedPayload[], now: number, actions: SessionAction[]): void {
    for (const each of received) {
      const current = this.#entry;
      if (current?.streamId === each.streamId) {
        this.#dropNext();
        this.#passOn(current, each, now, actions);
      } else if (this.#headers.has(formatIdOf(each.streamId))) this.#mayBegin(each, now, actions);
      else this.#lostSeen += each.missing;
    }
  }

  /** Handles a packet of an entry other than the current one. */
  #mayBegin(each: ReceivedPayload, now: number, actions: SessionAction[]): void {
    if (this.#next[0] && this.#next[0].streamId !== each.streamId) this.#dropNext();
    if (this.#next.length === 0) this.#nextSince = now;
    this.#next.push(each);
    if (!this.#entry || this.#next.length >= ENTRY_PACKETS) this.#begin(now, actions);
  }

  #dropNext(): void {
    if (this.#next.length === 0) return;
    this.#counts.foreign += this.#next.length;
    for (const { missing } of this.#next) if (this.#entry) this.#countMissing(this.#entry, missing);
    this.#next = [];
  }

  /** Begins the entry whose packets have been waiting. */
  #begin(now: number, actions: SessionAction[]): void {
    const packets = this.#next;
    this.#next = [];
    const { streamId, missing } = packets[0]!;
    const current = this.#entry;
    // Packets lost between two entries count for the first.
    if (current) {
      this.#countMissing(current, missing);
      this.#endEntry(current, true, actions);
    }
    const entry = this.#newEntry(streamId, current === undefined, now);
    this.#entry = entry;
    actions.push({ type: 'event', event: { type: 'header', header: entry.header } });
    for (const [index, packet] of packets.entries()) {
      this.#passOn(entry, index === 0 ? { ...packet, missing: 0 } : packet, now, actions);
    }
  }

  #newEntry(streamId: number, isFirst: boolean, now: number): Entry {
    const header = this.#headers.get(formatIdOf(streamId))!;
    // A client that joins arrives in the middle of an entry; the next entry starts at its beginning.
    const joins = isFirst && !this.#options.anywhere;
    return {
      streamId,
      header,
      start: joins ? new LiveStart(header, new Set(header.streams.map(({ number }) => number))) : undefined,
      startedAt: now,
      lastAt: now,
      firstSendTime: 0,
      lastSendTime: 0,
      rendered: 0,
      how: { received: 0, reordered: 0, rebuilt: 0 },
      lost: 0,
      run: 0,
      longestGap: 0,
      bytes: 0,
    };
  }

  #passOn(entry: Entry, { payload, how, missing }: ReceivedPayload, now: number, actions: SessionAction[]): void {
    this.#countMissing(entry, missing);
    entry.how[how]++;
    if (how === 'rebuilt') entry.longestGap = Math.max(entry.longestGap, ++entry.run);
    else {
      entry.run = 0;
      entry.bytes += payload.length;
      entry.lastAt = now;
      this.#bytes += payload.length;
      this.#firstAt ??= now;
      this.#lastAt = now;
    }
    const packet = this.#packetOf(payload);
    if (packet) this.#render(entry, entry.start?.packets(packet) ?? [packet], actions);
  }

  #render(entry: Entry, packets: readonly DataPacket[], actions: SessionAction[]): void {
    for (const packet of packets) {
      if (entry.rendered === 0) entry.firstSendTime = packet.sendTime;
      entry.rendered++;
      entry.lastSendTime = packet.sendTime;
      actions.push({ type: 'event', event: { type: 'packet', packet } });
    }
  }

  #countMissing(entry: Entry, packets: number): void {
    this.#lostSeen += packets;
    entry.lost += packets;
    entry.run += packets;
    entry.longestGap = Math.max(entry.longestGap, entry.run);
  }

  /** Reports an entry, unless none of it was rendered ([MS-MSB] 3.2.7.1). */
  #endEntry(entry: Entry, moreEntries: boolean, actions: SessionAction[]): void {
    // At the very end: packets known only from a parity packet.
    if (!moreEntries) this.#countMissing(entry, this.#reception.stats.lost - this.#lostSeen);
    const { header, startedAt, lastAt, firstSendTime, lastSendTime, rendered, how, lost, longestGap, bytes } = entry;
    this.#entry = undefined;
    actions.push({ type: 'event', event: { type: 'end', moreEntries, reason: moreEntries ? 1 : 0 } });
    if (rendered === 0) return;
    const duration = this.#lastAt - (this.#firstAt ?? this.#lastAt);
    const report: EntryReport = {
      header,
      startedAt,
      endedAt: lastAt,
      firstSendTime,
      lastSendTime,
      rendered,
      received: how.received,
      reordered: how.reordered,
      recovered: how.rebuilt,
      lost,
      longestGap,
      bytes,
      averageBandwidth: duration > 0 ? (this.#bytes * 8000) / duration : undefined,
    };
    actions.push({ type: 'report', report });
  }

  #packetOf(payload: Buffer): DataPacket | undefined {
    try {
      return parsePacket(payload);
    } catch (error) {
      if (!(error instanceof WmError)) throw error;
      this.#counts.malformed++;
      return undefined;
    }
  }
}

function headersOf({ formats }: NscFile): Map<number, AsfHeader> {
  return new Map(
    formats.map(({ id, header }, index) => {
      try {
        return [id, parseHeader(header)];
      } catch (error) {
        const sentence = `The ASF header "Format${index + 1}" of the .nsc file cannot be read: ${messageOf(error)}`;
        throw new WmError('WM_BAD_INPUT', sentence, { cause: error });
      }
    }),
  );
}
