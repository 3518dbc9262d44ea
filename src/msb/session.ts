import type { NscFile } from '../announce/nsc.js';
import { type AsfHeader, parseHeader } from '../asf/header.js';
import { type DataPacket, parsePacket } from '../asf/packet.js';
import { messageOf, WmError } from '../errors.js';
import type { AsfEvent } from '../media/events.js';
import { LiveStart } from '../media/live-start.js';
import { formatIdOf, type MsbDatagram, MsbError, parseMsbDatagram } from './packet.js';
import { MsbReception, type Received, type ReceptionOptions, type ReceptionStats } from './reception.js';

export interface SessionOptions extends ReceptionOptions {
  /** The Open timer, 10 000 to 30 000 ms; default 20 000. */
  readonly openTimeout?: number | undefined;
  /** The End of Stream timer in ms; default 30 000. */
  readonly endTimeout?: number | undefined;
  /** Begins with the first packet that comes, even if no key frame is in it. Default false. */
  readonly anywhere?: boolean | undefined;
  /** Takes datagrams from every address, not only from the Multicast Adapter of the .nsc file. Default false. */
  readonly anySource?: boolean | undefined;
}

/** What came of one playlist entry, or of the whole stream. */
export interface EntryReport {
  readonly header: AsfHeader;
  /** When its first and its last packet came, on the clock of the session, ms. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** Send times of the packets that were passed on, ms. */
  readonly firstSendTime: number;
  readonly lastSendTime: number;
  /** Packets that were passed on, at least one. */
  readonly rendered: number;
  /** Packets that came at the first attempt, in order. */
  readonly received: number;
  /** Packets that came after a later one. */
  readonly reordered: number;
  /** Packets that never came and were rebuilt from parity packets. */
  readonly recovered: number;
  /** Packets that never came and stay lost. */
  readonly lost: number;
  /** The longest run of packets that never came, rebuilt or not. */
  readonly longestGap: number;
  /** Of the ASF packets that came. */
  readonly bytes: number;
  /** Bits per second since the session began, over all entries; undefined if that took no time. */
  readonly averageBandwidth: number | undefined;
}

export type SessionAction =
  | { readonly type: 'event'; readonly event: AsfEvent }
  /** An entry is over, of which at least one packet was passed on. */
  | { readonly type: 'report'; readonly report: EntryReport }
  /** Packets come whose ASF header is not in the .nsc file; told once for each wStreamID. */
  | { readonly type: 'unknownFormat'; readonly formatId: number }
  /** The Open timer has expired: nothing comes here. */
  | { readonly type: 'openTimeout' }
  /** The End of Stream timer has expired: the end event was among the actions before. */
  | { readonly type: 'over' };

/** Counts since the start. */
export interface SessionStats extends ReceptionStats {
  beacons: number;
  /** Datagrams that are neither MSB packets nor Beacons, and packets whose ASF packet cannot be read. */
  malformed: number;
  /** Datagrams from other addresses than that of the Multicast Adapter, and stray packets of another entry. */
  foreign: number;
  /** Packets whose ASF header is not in the .nsc file. */
  unknownFormat: number;
}

const OPEN_TIMEOUT = { least: 10_000, most: 30_000, usual: 20_000 };
const END_TIMEOUT = 30_000;
/** So many wStreamIDs are remembered as told of. */
const MAX_UNKNOWN = 64;
/**
 * Another entry begins with its third packet in a row, or when its packets waited for so many ms and none came of the present one: a
 * datagram can be anybody's, and one alone must not end an entry.
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
  readonly how: Record<Received['how'], number>;
  lost: number;
  /** Packets that never came since the last one that did, and the most of them. */
  run: number;
  longestGap: number;
  bytes: number;
}

/**
 * The receiving side of a multicast without its socket ([MS-MSB] 3.2): from datagrams to the events of a stream. Time is given in ms
 * of a clock that only goes forward.
 */
export class MsbSession {
  readonly #options: SessionOptions;
  readonly #adapter: string | undefined;
  readonly #reception: MsbReception;
  readonly #counts = { beacons: 0, malformed: 0, foreign: 0, unknownFormat: 0 };
  readonly #unknown = new Set<number>();
  #headers: ReadonlyMap<number, AsfHeader>;
  /** When the Open timer was started; undefined when it does not run. */
  #openSince: number | undefined;
  /** When the End of Stream timer was started or reset last; undefined when it does not run. */
  #endSince: number | undefined;
  #entry: Entry | undefined;
  /** Packets of another entry, until it is certain that it begins. */
  #next: Received[] = [];
  #nextSince = 0;
  /** Lost packets that are counted in an entry. */
  #lostSeen = 0;
  /** Bytes of the ASF packets that came, and when the first and the last one did. */
  #bytes = 0;
  #firstAt: number | undefined;
  #lastAt = 0;
  #over = false;

  /**
   * The Open timer starts now.
   *
   * @throws WmError WM_BAD_INPUT when an ASF header of the file cannot be read, WM_PROTOCOL for an Open timer that the specification
   *   does not allow
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

  /** The .nsc file was read again. @throws WmError WM_BAD_INPUT, and nothing has changed */
  update(nsc: NscFile): void {
    this.#headers = new Map([...this.#headers, ...headersOf(nsc)]);
    this.#unknown.clear();
  }

  /** @param source the address that it came from */
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

  /** To be called every now and then: the timers, and packets that are waited for in vain. */
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

  /** The person stops it ([MS-MSB] 3.2.7.1), or it has ended: the rest, a report and an end event. */
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

  #take(received: readonly Received[], now: number, actions: SessionAction[]): void {
    for (const each of received) {
      const current = this.#entry;
      if (current?.streamId === each.streamId) {
        this.#dropNext();
        this.#passOn(current, each, now, actions);
      } else if (this.#headers.has(formatIdOf(each.streamId))) this.#mayBegin(each, now, actions);
      else this.#lostSeen += each.missing;
    }
  }

  /** A packet of another entry than the present one came. */
  #mayBegin(each: Received, now: number, actions: SessionAction[]): void {
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

  /** Begins the entry of the packets that waited for it. */
  #begin(now: number, actions: SessionAction[]): void {
    const packets = this.#next;
    this.#next = [];
    const { streamId, missing } = packets[0]!;
    const current = this.#entry;
    // What is missing between two entries is counted in the first of them.
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
    // A client that joins is somewhere in an entry; the next one comes from its start.
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

  #passOn(entry: Entry, { payload, how, missing }: Received, now: number, actions: SessionAction[]): void {
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
    const wanted = packet && (entry.start ? entry.start.packet(packet) : packet);
    if (!wanted) return;
    if (entry.rendered === 0) entry.firstSendTime = wanted.sendTime;
    entry.rendered++;
    entry.lastSendTime = wanted.sendTime;
    actions.push({ type: 'event', event: { type: 'packet', packet: wanted } });
  }

  #countMissing(entry: Entry, packets: number): void {
    this.#lostSeen += packets;
    entry.lost += packets;
    entry.run += packets;
    entry.longestGap = Math.max(entry.longestGap, entry.run);
  }

  /** Reports an entry, unless nothing of it was rendered ([MS-MSB] 3.2.7.1). */
  #endEntry(entry: Entry, moreEntries: boolean, actions: SessionAction[]): void {
    // Those that only a parity packet told of, at the very end.
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
