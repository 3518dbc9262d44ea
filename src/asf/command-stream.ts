import type { Command } from './command.js';
import { withFileProperties } from './edit.js';
import { GUID } from './guid.js';
import { type AsfHeader, buildHeader, type HeaderObject, headerLength } from './header.js';
import type { DataPacket } from './packet.js';

/** The most that is kept of a script command that is split over packets, in bytes. */
const LARGEST_COMMAND = 64 * 1024;
const LARGEST_STREAM_NUMBER = 127;
/** Listed as the rate of the stream, in bits per second. */
const COMMAND_BITRATE = 1000;

/**
 * Returns the header with a stream for script commands; the same header if it has one, or no number is free. The new
 * stream comes last, where no signature covers it.
 */
export function withCommandStream(header: AsfHeader): AsfHeader {
  const { streams } = header;
  const number = Math.max(0, ...streams.map((stream) => stream.number)) + 1;
  if (streams.some(({ type }) => type === 'command') || number > LARGEST_STREAM_NUMBER) return header;
  const stream: HeaderObject = {
    type: 'streamProperties',
    streamType: GUID.commandMedia,
    errorCorrectionType: GUID.noErrorCorrection,
    timeOffset: 0n,
    flags: number,
    reserved: 0,
    typeSpecificData: Buffer.alloc(0),
    errorCorrectionData: Buffer.alloc(0),
  };
  const isSigned = header.objects.some(({ type }) => type === 'digitalSignature');
  const objects = header.objects.map((object) =>
    object.type === 'streamBitrateProperties' && !isSigned
      ? { ...object, records: [...object.records, { flags: number, averageBitrate: COMMAND_BITRATE }] }
      : object,
  );
  const { fileProperties: file, dataObject } = header;
  const added = [...objects, stream];
  const fileSize = file.fileSize + BigInt(headerLength(added) - header.bytes.length);
  return buildHeader(withFileProperties(added, file, { fileSize }), dataObject);
}

/** Reads the script commands in the packets of a header. */
export class CommandReader {
  readonly #streams: ReadonlySet<number>;
  // The command that is split over packets, by stream.
  readonly #parts = new Map<number, { readonly size: number; data: Buffer }>();

  constructor(header: AsfHeader) {
    this.#streams = new Set(header.streams.filter(({ type }) => type === 'command').map(({ number }) => number));
  }

  /** Returns the commands that end in a packet. */
  read(packet: DataPacket): Command[] {
    if (this.#streams.size === 0) return [];
    const commands: Command[] = [];
    for (const payload of packet.payloads) {
      if (!this.#streams.has(payload.stream)) continue;
      const data = packet.bytes.subarray(payload.dataStart, payload.dataStart + payload.dataLength);
      if (payload.compressed) {
        for (let at = 0; at < data.length; at += 1 + data[at]!) {
          commands.push(...commandIn(data.subarray(at + 1, at + 1 + data[at]!)));
        }
        continue;
      }
      if (payload.offset === 0) this.#parts.set(payload.stream, { size: payload.objectSize, data: Buffer.alloc(0) });
      const part = this.#parts.get(payload.stream);
      if (!part || part.data.length !== payload.offset || part.size > LARGEST_COMMAND) continue;
      part.data = Buffer.concat([part.data, data]);
      if (part.data.length < part.size) continue;
      this.#parts.delete(payload.stream);
      commands.push(...commandIn(part.data));
    }
    return commands;
  }
}

/** Reads type and text, each in UTF-16LE with a final NUL (asf.md 13). */
function commandIn(data: Buffer): Command[] {
  const [type = '', text = ''] = data.toString('utf16le', 0, data.length & ~1).split('\0');
  return type === '' ? [] : [{ type, text }];
}
