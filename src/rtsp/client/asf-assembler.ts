import { RtspError } from '../messages/error.js';
import { type AsfPiece, type RtpPacket, readAsfPieces } from '../messages/rtp.js';

/** An ASF data packet out of RTP packets. */
export interface ReceivedPacket {
  readonly bytes: Buffer;
  /** LocationId, if the server sends it. */
  readonly location: number | undefined;
}

/** Joins the fragments of ASF packets, from RTP packets in their order (MS-RTSP 3.1.5.12.2). */
export class AsfAssembler {
  /** ASF packets of which something was lost or unreadable. */
  damaged = 0;
  /** The largest ASF packet, in bytes; larger ones are dropped. */
  limit: number;
  #pieces: Buffer[] = [];
  #size = 0;
  #timestamp = 0;
  // True if the last fragment may be the last of its ASF packet: it was rebuilt, without a marker.
  #mayBeWhole = false;
  #location: number | undefined;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Takes the next RTP packet. @returns the ASF packets that it completes */
  add({ payload, timestamp, marker, rebuilt = false }: RtpPacket): ReceivedPacket[] {
    let pieces: AsfPiece[];
    try {
      pieces = readAsfPieces(payload);
    } catch (error) {
      if (!(error instanceof RtspError)) throw error;
      this.#drop();
      this.damaged++;
      return [];
    }
    const packets: ReceivedPacket[] = [];
    for (const { offset, bytes, location } of pieces) {
      if ((offset ?? 0) === 0 && this.#mayBeWhole) packets.push({ bytes: this.#taken(), location: this.#location });
      if (offset === undefined) {
        this.gap();
        if (bytes.length > this.limit) this.damaged++;
        else if (bytes.length > 0) packets.push({ bytes, location });
        continue;
      }
      const whole = this.#fragment(offset, bytes, timestamp, marker && !rebuilt);
      this.#mayBeWhole = rebuilt && this.#size > 0;
      this.#location = location;
      if (whole) packets.push({ bytes: whole, location });
    }
    return packets;
  }

  /** RTP packets are lost here: an ASF packet that is not complete never will be. */
  gap(): void {
    if (this.#size > 0) this.damaged++;
    this.#drop();
  }

  /** @returns the ASF packet with its last fragment */
  #fragment(offset: number, bytes: Buffer, timestamp: number, last: boolean): Buffer | undefined {
    if (offset === 0) {
      this.gap();
      this.#timestamp = timestamp;
    } else if (this.#size === 0) return undefined;
    if (offset !== this.#size || timestamp !== this.#timestamp || offset + bytes.length > this.limit) {
      this.damaged++;
      this.#drop();
      return undefined;
    }
    this.#pieces.push(bytes);
    this.#size += bytes.length;
    if (!last) return undefined;
    return this.#taken();
  }

  #taken(): Buffer {
    const whole = Buffer.concat(this.#pieces);
    this.#drop();
    return whole;
  }

  #drop(): void {
    this.#pieces = [];
    this.#size = 0;
    this.#mayBeWhole = false;
  }
}
