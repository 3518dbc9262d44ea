import type { AsfHeader } from '../asf/header.js';
import type { EndEvent } from './events.js';

/** A send is late that long after its first packet was due, in ms: what Windows Media Services counted as late sends. */
export const LATE_SEND = 500;

/** A data packet of a broadcast in the form that the lanes take. @public */
export interface BroadcastPacket {
  /** Number of the packet in the virtual ASF file that the broadcast is, from 0 for each header (MS-WMSP 2.2.3.1.2). */
  readonly location: number;
  /** Without padding; with an explicit Packet Length if padding was removed. */
  readonly wire: Buffer;
  /** The packet for a player that starts here: without the remains of objects that began earlier. */
  readonly start: Buffer;
  /** Milliseconds since the first packet under this header; never less than that of the packet before. */
  readonly time: number;
  /** True if a player may start here: a key frame of some video begins in it, or there is no video. */
  readonly cleanStart: boolean;
  /** The video streams that have a key frame beginning in it. */
  readonly keyStreams: readonly number[];
  /**
   * Where its video is: it begins with a key frame, or the packet has other streams only, and begins with a whole object
   * or with the rest of one. Undefined for any other packet.
   */
  readonly video?: 'key first' | 'none, whole' | 'none, rest' | undefined;
}

/** An ASF data packet for players, without its padding. @public */
export interface WirePacket {
  /** Number of the packet in the (virtual) ASF file. */
  readonly location: number;
  readonly bytes: Buffer;
  /** True if the next packet is known to follow without a pause. */
  readonly followed?: boolean;
}

/** A choice of streams. Players with the same choice share its packets, whatever protocol they speak. @public */
export interface LaneChoice {
  /** Choices with the same key are the same choice. */
  readonly key: string;
  /** True if a player with this choice may start with the packet; default: where any video has a key frame. */
  startsAt?(packet: BroadcastPacket): boolean;
  /** True if it selects no stream, so that no packet ever shows where it starts. */
  readonly nothing?: boolean | undefined;
  /** Returns the packet's bytes for this choice, without padding, or undefined if it has none of the chosen streams. */
  select(packet: BroadcastPacket, header: AsfHeader): Buffer | undefined;
}

/** All streams, for players that choose none. */
export const EVERY_STREAM: LaneChoice = { key: 'all', select: ({ wire }) => wire };

/**
 * How a format writes the head of a packet whose bytes follow as they are.
 *
 * @public
 */
export interface WireHead {
  /** In bytes. */
  readonly size: number;
  /** True if `followed` changes the head. */
  readonly marksFollowed: boolean;
  /**
   * @param location number of the packet in the file
   * @param length bytes of the packet
   * @param followed as in {@link WirePacket}
   * @param number of the unit; unbounded, masked here
   * @throws WmError if a packet of this length cannot be sent
   */
  write(into: Buffer, at: number, location: number, length: number, followed: boolean, number: number): void;
}

/**
 * How a protocol writes packets: as frames of a byte stream, or as datagrams. Pure functions; players whose formats
 * have the same key are sent the same bytes wherever their numbers agree.
 *
 * @public
 */
export interface WireFormat {
  /** The protocol, and the constants of its frames: channel, incarnation, SSRC, largest datagram. */
  readonly key: string;
  /**
   * How units are numbered. `player`: from a number of each player's own. `lane`: by the lane, and the player learns
   * the first number, so that all players share bytes from the start. `none`: not at all.
   */
  readonly numbers: 'none' | 'player' | 'lane';
  /** The bits of a number that reach the wire: numbers that agree in them give the same bytes. */
  readonly mask: number;
  /**
   * How a packet is written, if that is always one unit: a head and the packet as it is. {@link write} does the same. Absent
   * in other formats.
   */
  readonly head?: WireHead | undefined;
  /**
   * Number of units that a packet is written as, each a frame or a datagram with its own number; absent: always one.
   */
  units?(packet: WirePacket): number;
  /** Bytes of a unit, counted from 0 within its packet. */
  size(packet: WirePacket, unit: number): number;
  /**
   * Writes a unit to `into` from `at` on.
   *
   * @param number of the unit; unbounded, masked here
   * @returns the bytes written, equal to {@link size}
   */
  write(into: Buffer, at: number, packet: WirePacket, unit: number, number: number): number;
}

/** Units ready to send, in order. May be shared by many players, and does not change. @public */
export interface WireBatch {
  readonly bytes: Buffer;
  /** Where each unit ends in `bytes`, ascending; byte streams ignore it. */
  readonly ends: readonly number[];
}

/** The destination of a player's units. @public */
export interface PlayerOutput {
  /** `datagrams` sends each unit as its own datagram, and keeps what is needed to resend it. */
  readonly framing: 'stream' | 'datagrams';
  /** Bytes that were put and that the operating system has not taken yet. */
  readonly backlog: number;
  /**
   * Bytes that the operating system had taken and the peer had not acknowledged, when that was last looked at; undefined
   * where it is unknown.
   */
  readonly inFlight?: number | undefined;
  /**
   * @param done called once the operating system has taken the units, or never will; the bytes may change after that
   */
  put(batch: WireBatch, done?: () => void): void;
  /** Calls back once the operating system takes bytes at once again; never if the output is lost before. */
  drained(then: () => void): void;
  /**
   * Sets the rate in bits per second at which bursts leave, if the output has a pace of its own; undefined for the usual
   * one.
   */
  limit?(bitsPerSecond: number | undefined): void;
  /** Destroys the output: the player is too slow, or cannot be served. */
  destroy(): void;
}

/** The output of a player that has left while it was being served. */
export const NOWHERE: PlayerOutput = {
  framing: 'stream',
  backlog: 0,
  put: (_, done) => done?.(),
  drained: (then) => then(),
  destroy: () => undefined,
};

/** The start of a player. @public */
export interface FirstPacket {
  /** Number of the first unit, unbounded. */
  readonly number: number;
  /** Location of the first packet; undefined if there is no packet yet that the player can start with. */
  readonly location: number | undefined;
  /** Milliseconds of media that the player gets at once. */
  readonly lead: number;
}

/** What a player wants: a choice of streams in the format of its protocol. @public */
export interface Wanted {
  readonly choice: LaneChoice;
  readonly wire: WireFormat;
}

/**
 * Why another header applies: `entry`: the source ended an entry and began the next one, which may have an equal
 * header; `layout`: the streams have changed.
 *
 * @public
 */
export type HeaderCause = 'entry' | 'layout';

/** A player's session, as the broadcast sees it. @public */
export interface PlayerSession {
  /** Read each time, since a session may move to another connection. */
  readonly output: PlayerOutput;
  /** Called during {@link Broadcast.join} before the first byte of the first packet. */
  starting?(first: FirstPacket): void;
  /**
   * Another header applies from here on.
   *
   * @returns what the player wants of it, or undefined if it cannot take another header and has left
   */
  changed(header: AsfHeader, cause: HeaderCause): Wanted | undefined;
  ended(event: EndEvent): void;
}

/** A packet that a player may begin with: `start` replaces `bytes` where they differ. @public */
export interface LaneEntry extends WirePacket {
  readonly start: WirePacket | undefined;
  readonly cleanStart: boolean;
  readonly time: number;
  /** When it came, on the broadcast's clock in ms. */
  readonly arrived: number;
  /** As in the broadcast's packet. */
  readonly video?: BroadcastPacket['video'];
}

/** A unit that a player was sent. @public */
export interface SentUnit {
  readonly packet: WirePacket;
  /** Counted from 0 within the packet. */
  readonly unit: number;
}

/** The entries of a run, and the numbers of its units. */
export interface Run {
  readonly entries: readonly LaneEntry[];
  readonly from: number;
  readonly to: number;
  /** Number of the first unit. */
  readonly number: number;
  /** True if a player starts with the first entry. */
  readonly starting: boolean;
}

/** Returns the entry as it is sent. */
export function sent(entry: LaneEntry, starting: boolean): WirePacket {
  return starting ? (entry.start ?? entry) : entry;
}

/** Returns the number of units of an entry. */
export function unitsOf(wire: WireFormat, packet: WirePacket): number {
  return wire.units ? wire.units(packet) : 1;
}

/** Returns the bytes of a packet on the wire. */
export function sizeOf(wire: WireFormat, packet: WirePacket): number {
  const units = unitsOf(wire, packet);
  let size = 0;
  for (let unit = 0; unit < units; unit++) size += wire.size(packet, unit);
  return size;
}

/** Writes a run of packets, unit after unit. Throws any error of the format. */
export function writeRun(wire: WireFormat, { entries, from, to, number, starting }: Run): WireBatch {
  const ends: number[] = [];
  let size = 0;
  for (let index = from; index < to; index++) {
    const packet = sent(entries[index]!, starting && index === from);
    const units = unitsOf(wire, packet);
    for (let unit = 0; unit < units; unit++) {
      size += wire.size(packet, unit);
      ends.push(size);
    }
  }
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  let next = number;
  for (let index = from; index < to; index++) {
    const packet = sent(entries[index]!, starting && index === from);
    const units = unitsOf(wire, packet);
    for (let unit = 0; unit < units; unit++) at += wire.write(bytes, at, packet, unit, next++);
  }
  return { bytes, ends };
}

/** Returns a batch of one unit. */
export function oneUnit(bytes: Buffer): WireBatch {
  return { bytes, ends: [bytes.length] };
}
