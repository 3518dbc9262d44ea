import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';

/**
 * A new ASF header: the first event of every source, and again whenever another header applies to what follows.
 *
 * @public
 */
export interface HeaderEvent {
  readonly type: 'header';
  readonly header: AsfHeader;
}

/**
 * One ASF data packet. Its bytes may be shorter than the header's packet size if padding was removed on the way.
 *
 * @public
 */
export interface PacketEvent {
  readonly type: 'packet';
  readonly packet: DataPacket;
}

/** The end of what the last header describes. @public */
export interface EndEvent {
  readonly type: 'end';
  /** True if another header follows (a playlist entry or a changed encoding), as in $E with Reason 1. */
  readonly moreEntries: boolean;
  /** HRESULT as on the wire: 0 for a clean end, 1 if more entries follow, anything else is an error. */
  readonly reason: number;
}

/** The common currency of protocols, files and encoders. @public */
export type AsfEvent = HeaderEvent | PacketEvent | EndEvent;

/** Yields events in order. Iterating once to the end, or calling `close`, releases its resources. @public */
export interface AsfSource extends AsyncIterable<AsfEvent> {
  /** Ends the source early; the iteration then finishes with an end event. May be called more than once. */
  close(): Promise<void>;
}

/** Takes events in order. A returned promise asks the caller to wait before it writes the next one. @public */
export interface AsfSink {
  write(event: AsfEvent): void | Promise<void>;
  /** Ends the sink once everything written is safe; may be called more than once. */
  close(): Promise<void>;
}
