import { AsfError } from './error.js';
import { buildPacket } from './packet-build.js';

/**
 * A script command as players run it. The type is `URL`, `TEXT`, `FILENAME`, `EVENT` or one of the publisher's own.
 *
 * @public
 */
export interface Command {
  readonly type: string;
  readonly text: string;
}

/** The fields of a packet with one script command. */
export interface CommandPacketFields {
  /** Number of the command stream. */
  readonly stream: number;
  /** Milliseconds modulo 2^32. */
  readonly sendTime: number;
  /** Milliseconds modulo 2^32, preroll included. */
  readonly presentationTime: number;
  readonly mediaObjectNumber: number;
  /** Bytes; the packet is not padded to this size. */
  readonly packetSize: number;
}

// With Packet Length as a WORD, a receiver can pad the packet.
const WORD = 2;

/**
 * Builds a data packet with one script command: its type and its text in UTF-16LE, each with a final NUL (asf.md 13).
 * @throws AsfError if it does not fit in a packet
 */
export function commandPacket({ type, text }: Command, fields: CommandPacketFields): Buffer {
  const { stream, sendTime, presentationTime, mediaObjectNumber, packetSize } = fields;
  const data = Buffer.from(`${type}\0${text}\0`, 'utf16le');
  const replicated = Buffer.alloc(8);
  replicated.writeUInt32LE(data.length, 0);
  replicated.writeUInt32LE(presentationTime >>> 0, 4);
  const bytes = buildPacket({
    sendTime: sendTime >>> 0,
    duration: 0,
    packetLengthType: WORD,
    payloads: [{ stream, key: true, mediaObjectNumber: mediaObjectNumber & 0xff, offset: 0, replicated, data }],
  });
  if (bytes.length > packetSize) {
    throw new AsfError(`A script command of ${data.length} bytes does not fit a packet of ${packetSize}.`);
  }
  return bytes;
}
