import { parsePacket } from '../../asf/packet.js';
import { restorePadding } from '../../asf/padding.js';
import { WmError } from '../../errors.js';
import type { WireFormat, WireHead } from '../../media/wire.js';
import { MAX_PAYLOAD, writeDataHead } from '../messages/data.js';
import { DATA_HEAD_SIZE } from '../messages/frame.js';

/**
 * Returns how to write ASF packets as Data packets (MS-MMSP 2.2.2). AFFlags counts a player's packets from its first
 * one; players with the same incarnation whose numbers agree in their low 8 bits share bytes.
 *
 * @param incarnation the low 8 bits of that of the message that started it
 * @param keepsPadding true for Windows Media Services 4.x (2.2.2)
 */
export function dataWire(incarnation: number, packetSize: number, keepsPadding: boolean): WireFormat {
  const payloadSize = (size: number) => {
    if (size > MAX_PAYLOAD) throw new WmError('WM_PROTOCOL', `An ASF packet of ${size} bytes fits no Data packet.`);
    return size;
  };
  const head: WireHead = {
    size: DATA_HEAD_SIZE,
    marksFollowed: false,
    write: (into, at, location, length, _followed, number) => {
      writeDataHead(into, at, { location, incarnation: incarnation & 0xff, flags: number }, payloadSize(length));
    },
  };
  return {
    key: `mmsp ${incarnation & 0xff}${keepsPadding ? ' padded' : ''}`,
    numbers: 'player',
    mask: 0xff,
    head: keepsPadding ? undefined : head,
    size: ({ bytes }) => DATA_HEAD_SIZE + payloadSize(keepsPadding ? packetSize : bytes.length),
    write: (into, at, { location, bytes }, _unit, number) => {
      const payload = keepsPadding ? restorePadding(parsePacket(bytes), packetSize) : bytes;
      const head = { location, incarnation: incarnation & 0xff, flags: number };
      payload.copy(into, writeDataHead(into, at, head, payload.length));
      return DATA_HEAD_SIZE + payload.length;
    },
  };
}
