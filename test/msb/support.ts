import { type AsfHeader, liveHeader } from '../../src/asf/index.js';
import { type DataPacket, parsePacket } from '../../src/asf/packet.js';
import { type MsbPacket, parseMsbDatagram } from '../../src/msb/messages/packet.js';
import { audio, fileProperties, header, packetOf, video } from '../asf/support.js';

export const PACKET_SIZE = 200;

/** A live header with audio only, or with video too; `title` makes it a different one. */
export function liveAudio(title?: string): AsfHeader {
  return liveHeader(header([fileProperties(), audio(1)]), title === undefined ? {} : { title });
}

export function liveVideo(): AsfHeader {
  return liveHeader(header([fileProperties(), audio(1), video(2)]));
}

/** Packets with padding, as in a file; each has different content, and a different length without padding. */
export function packets(count: number, from = 0): DataPacket[] {
  return Array.from({ length: count }, (_, index) => {
    const number = from + index;
    const data = Buffer.alloc(30 + ((number * 37) % 90), number + 1);
    return parsePacket(
      packetOf(number * 40, [{ stream: 1, key: true, number: number & 255, time: number * 40, data }], PACKET_SIZE),
    );
  });
}

export function parsed(datagrams: readonly Buffer[]): MsbPacket[] {
  return datagrams.map((datagram) => {
    const packet = parseMsbDatagram(datagram);
    if (packet.type !== 'packet') throw new Error('This is a Beacon.');
    return packet;
  });
}
