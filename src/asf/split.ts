import { withFileProperties } from './edit.js';
import { type AsfHeader, buildHeader } from './header.js';
import type { DataPacket, Payload } from './packet.js';
import { FIELD_SIZE, type LengthType, parsePacket } from './packet.js';
import { buildPacket, type PayloadFields, packetFields } from './packet-build.js';

/** The largest data packet that all protocols carry, in bytes: a $D packet has at most 65,535 with its own fields. */
export const LARGEST_CARRIED_PACKET = 65_500;

/** The size to which larger packets are split, in bytes, so that several fit in players' buffers of 64 KiB. */
export const SPLIT_SIZE = 16_000;

/** Returns the most packets of {@link SPLIT_SIZE} that one packet can become, allowing for repeated heads. */
export function piecesOf(packetSize: number): number {
  return packetSize <= LARGEST_CARRIED_PACKET ? 1 : Math.ceil(packetSize / (SPLIT_SIZE / 2));
}

/** The most bytes of a packet apart from its payloads; padding adds a field of up to 4 bytes. */
const PACKET_OVERHEAD = 1 + 15 + 2 + 4 + 4 + 4 + 6 + 1;
const MAX_PAYLOADS = 63;

/** Bytes of a payload before its data, with a Payload Length of 2 bytes. */
function headSize(propertyFlags: number, payload: Payload): number {
  const field = (shift: number): number => FIELD_SIZE[((propertyFlags >> shift) & 3) as LengthType];
  return 1 + field(4) + field(2) + field(0) + payload.replicatedLength + 2;
}

/**
 * Splits a packet into several of another size, with the same times (asf.md 10.2). Payloads stay whole where they fit
 * and are fragmented otherwise. Left out are those that would not fit even with little data, and compressed ones that
 * do not fit. A packet that is small enough is the only one returned.
 * @param size bytes of the results
 */
export function splitPacket(packet: DataPacket, size: number): DataPacket[] {
  const { bytes } = packet;
  const fields = packetFields(packet);
  const results: DataPacket[] = [];
  // Fragments may begin anywhere in their object, so the offset must be a DWORD.
  const propertyFlags = packet.propertyFlags | 0x0c;
  let payloads: PayloadFields[] = [];
  let room = size - PACKET_OVERHEAD;
  const flush = (): void => {
    if (payloads.length === 0) return;
    const { sendTime, duration } = packet;
    const form = { propertyFlags, errorCorrection: fields.errorCorrection ?? Buffer.alloc(0), multiple: true };
    results.push(parsePacket(buildPacket({ ...form, sendTime, duration, packetSize: size, payloads })));
    payloads = [];
    room = size - PACKET_OVERHEAD;
  };
  packet.payloads.forEach((payload, order) => {
    const head = headSize(propertyFlags, payload);
    const whole = fields.payloads[order]!;
    const isDivisible = !payload.compressed && payload.replicatedLength >= 8;
    for (let at = 0; at < payload.dataLength; ) {
      const left = payload.dataLength - at;
      const isTight = room < head + Math.min(left, isDivisible ? 256 : left);
      if (isTight || payloads.length === MAX_PAYLOADS) flush();
      const length = Math.min(left, room - head, 0xffff);
      if (length <= 0 || (length < left && !isDivisible)) return;
      const start = payload.dataStart + at;
      const offset = payload.compressed ? whole.offset : payload.offset + at;
      payloads.push({ ...whole, offset, data: bytes.subarray(start, start + length) });
      room -= head + length;
      at += length;
    }
  });
  flush();
  return results;
}

/**
 * Returns the header for packets of another size.
 * @throws AsfError if it cannot be written
 */
export function withPacketSize(header: AsfHeader, size: number): AsfHeader {
  const sizes = { minimumPacketSize: size, maximumPacketSize: size };
  return buildHeader(withFileProperties(header.objects, header.fileProperties, sizes), header.dataObject);
}
