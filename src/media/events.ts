import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';

/** A new ASF header: the first thing of every source, and again whenever what follows is described by another one. */
export interface HeaderEvent {
  readonly type: 'header';
  readonly header: AsfHeader;
}

/** One ASF data packet. Its bytes may be shorter than the packet size of the header when padding was removed on the way. */
export interface PacketEvent {
  readonly type: 'packet';
  readonly packet: DataPacket;
}

/** The end of what the last header described. */
export interface EndEvent {
  readonly type: 'end';
  /** Another header follows (a playlist entry or a changed encoding), as $E with Reason 1 says it. */
  readonly moreEntries: boolean;
  /** HRESULT as on the wire: 0 for a clean end, 1 when more entries follow, anything else is an error. */
  readonly reason: number;
}

/** What every protocol, file and encoder here carries. */
export type AsfEvent = HeaderEvent | PacketEvent | EndEvent;

/** Yields events in order; iterating once to the end or calling `close` releases what it holds. */
export interface AsfSource extends AsyncIterable<AsfEvent> {
  /** Ends the source early; the iteration then finishes with an end event. May be called more than once. */
  close(): Promise<void>;
}

/** Takes events in order. A returned promise asks the caller to wait before it writes the next one. */
export interface AsfSink {
  write(event: AsfEvent): void | Promise<void>;
  /** Ends the sink, with all that was written safe; may be called more than once. */
  close(): Promise<void>;
}
