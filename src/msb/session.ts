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
  /** On the clock of the session, ms. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** Send times, ms. */
  readonly firstSendTime: number;
  readonly lastSendTime: number;
  readonly packets: number;
  readonly bytes: number;
  readonly lost: number;
  readonly longestGap: number;
  readonly recovered: number;
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
  /** Datagrams from other addresses than that of the Multicast Adapter. */
  foreign: number;
  /** Packets whose ASF header is not in the .nsc file. */
  unknownFormat: number;
}

const OPEN_TIMEOUT = { least: 10_000, most: 30_000, usual: 20_000 };
const END_TIMEOUT = 30_000;
/** So many wStreamIDs are remembered as told of. */
const MAX_UNKNOWN = 64;

/** An entry that is being received. */
interface Entry {
  readonly streamId: number;
  readonly header: AsfHeader;
  readonly start: LiveStart | undefined;
  readonly startedAt: number;
  readonly before: ReceptionStats;
  firstSendTime: number;
  lastSendTime: number;
  packets: number;
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
    this.#over = true;
    if (this.#entry) this.#endEntry(this.#entry, now, false, actions);
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
    for (const { streamId, payload } of received) {
      const entry = this.#entryOf(streamId, now, actions);
      const packet = entry && this.#packetOf(payload);
      const wanted = packet && (entry.start ? entry.start.packet(packet) : packet);
      if (!wanted) continue;
      if (entry.packets === 0) entry.firstSendTime = wanted.sendTime;
      entry.packets++;
      entry.bytes += wanted.bytes.length;
      entry.lastSendTime = wanted.sendTime;
      actions.push({ type: 'event', event: { type: 'packet', packet: wanted } });
    }
  }

  /** The entry that a packet belongs to; undefined when its header is not known. */
  #entryOf(streamId: number, now: number, actions: SessionAction[]): Entry | undefined {
    const current = this.#entry;
    if (current?.streamId === streamId) return current;
    const header = this.#headers.get(formatIdOf(streamId));
    if (!header) return undefined;
    if (current) this.#endEntry(current, now, true, actions);
    // Whoever joins is somewhere in an entry; the next one comes from its start.
    const joins = current === undefined && !this.#options.anywhere;
    this.#entry = {
      streamId,
      header,
      start: joins ? new LiveStart(header, new Set(header.streams.map(({ number }) => number))) : undefined,
      startedAt: now,
      before: { ...this.#reception.stats },
      firstSendTime: 0,
      lastSendTime: 0,
      packets: 0,
      bytes: 0,
    };
    actions.push({ type: 'event', event: { type: 'header', header } });
    return this.#entry;
  }

  #endEntry(entry: Entry, now: number, moreEntries: boolean, actions: SessionAction[]): void {
    const { header, startedAt, before, firstSendTime, lastSendTime, packets, bytes } = entry;
    const { lost, recovered, longestGap } = this.#reception.stats;
    this.#entry = undefined;
    actions.push({ type: 'event', event: { type: 'end', moreEntries, reason: moreEntries ? 1 : 0 } });
    if (packets === 0) return;
    const counts = { packets, bytes, lost: lost - before.lost, recovered: recovered - before.recovered, longestGap };
    const report = { header, startedAt, endedAt: now, firstSendTime, lastSendTime, ...counts };
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
