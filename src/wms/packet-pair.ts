/** The PacketLength of the three $P packets, which is not their size ([MS-WMSP] 2.2.3.7). */
export const PACKET_PAIR_LENGTHS = [504, 504, 1048] as const;

/** The maximum number of bytes of a response head that $P packets count. */
export const MAX_PAIRED_HEAD = 504;

/** The size of the three $P packets together, in bytes, whatever the size of the response head. */
export const PACKET_PAIR_SIZE = 2080;

/**
 * Returns the number of bytes after the Reason of each of the three packets.
 * @param reason bytes of the head, at most {@link MAX_PAIRED_HEAD}
 */
export function packetPairPayloads(reason: number): [number, number, number] {
  const [first, second, third] = PACKET_PAIR_LENGTHS;
  return [first - reason, second, third + reason];
}
