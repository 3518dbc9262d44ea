import { explicitLengthType, headLength, writeHead } from './layout.js';
import type { DataPacket, Payload } from './packet.js';

/** 0 everything, 1 key objects only, 2 nothing (MS-WMSP stream thinning levels). @public */
export type ThinningLevel = 0 | 1 | 2;

/** Send Time DWORD and Duration WORD. */
const TIMES_LENGTH = 6;

/**
 * Returns the packet with only the wanted payloads (asf.md 10.3, 10.4). Their headers are unchanged; padding is removed
 * and Packet Length is explicit. The same Buffer if nothing was dropped, undefined if nothing is left. The unreadable
 * part of a damaged packet and payloads without data are dropped too, because some players lose the rest of the packet
 * over them. A parity packet is returned unchanged: a caller that filters its span must drop it.
 * @param level asked once for each payload. Level 1 is for video: nothing else has the key bit, so it would drop all of
 *   an audio stream
 * @public
 */
export function filterPacket(packet: DataPacket, level: (stream: number) => ThinningLevel): Buffer | undefined {
  return keepPayloads(packet, ({ stream, key }) => {
    const wanted = level(stream);
    return wanted === 0 || (wanted === 1 && key);
  });
}

/**
 * Returns the packet for a decoder that starts with it. Continuations of objects that began in earlier packets are
 * removed, and so is everything of a video stream before a key object: some players decode half an object as if it were
 * whole. The result has the form of {@link filterPacket}.
 *
 * @public
 */
export function startPacket(packet: DataPacket, videoStreams: ReadonlySet<number>): Buffer | undefined {
  return keepPayloads(packet, beginning(videoStreams));
}

/**
 * Returns what {@link startPacket} leaves out: the ends of objects that began in earlier packets, for a decoder that
 * ends with it. The result has the form of {@link filterPacket}.
 */
export function lastPacket(packet: DataPacket, videoStreams: ReadonlySet<number>): Buffer | undefined {
  const begins = beginning(videoStreams);
  return keepPayloads(packet, (payload) => !begins(payload));
}

/** Returns a function that is true for payloads, in their order, from the start of their stream on. */
function beginning(videoStreams: ReadonlySet<number>): (payload: Payload) => boolean {
  const begun = new Set<number>();
  return ({ stream, key, offset }) => {
    if (offset === 0 && (key || !videoStreams.has(stream))) begun.add(stream);
    return begun.has(stream);
  };
}

function keepPayloads(packet: DataPacket, isWanted: (payload: Payload) => boolean): Buffer | undefined {
  const { bytes, payloads } = packet;
  if (packet.parity) return bytes;
  const kept: Payload[] = [];
  let keptBytes = 0;
  for (const payload of payloads) {
    if (!isWanted(payload)) continue;
    kept.push(payload);
    keptBytes += payload.dataStart + payload.dataLength - payload.headerStart;
  }
  const isWhole = !packet.damaged && packet.emptyPayloads === 0;
  if (kept.length === payloads.length && (isWhole || kept.length === 0)) return bytes;
  if (kept.length === 0) return undefined;

  // Something was dropped and something kept, so this is the multiple form, which has a Payload Flags byte.
  const packetLengthType = explicitLengthType(packet, bytes.length);
  const head = headLength(packet, packetLengthType, 0);
  const length = head + TIMES_LENGTH + 1 + keptBytes;
  const out = Buffer.allocUnsafe(length);
  let at = writeHead(out, packet, { packetLengthType, packetLength: length, paddingType: 0, paddingLength: 0 });
  at += bytes.copy(out, at, packet.sendTimeStart, packet.sendTimeStart + TIMES_LENGTH);
  out[at++] = (bytes[packet.payloadsStart]! & 0xc0) | kept.length;
  for (const payload of kept) at += bytes.copy(out, at, payload.headerStart, payload.dataStart + payload.dataLength);
  return out;
}
