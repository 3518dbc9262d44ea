import { AuthError } from '../error.js';

/** The AvId values used here (MS-NLMP 2.2.2.1), without the prefix MsvAv. */
export const AV = {
  EOL: 0,
  NbComputerName: 1,
  NbDomainName: 2,
  DnsComputerName: 3,
  DnsDomainName: 4,
  Flags: 6,
  Timestamp: 7,
  TargetName: 9,
  ChannelBindings: 10,
} as const;

/** The bit of MsvAvFlags for an AUTHENTICATE_MESSAGE with a MIC. */
export const AV_FLAG_MIC = 0x2;

/** An attribute and its value. */
export type AvPair = readonly [id: number, value: Buffer];

const HEAD = 4;

/*
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-------------------------------+-------------------------------+
 * |             AvId              |             AvLen             |
 * +-------------------------------+-------------------------------+
 * |                       Value (AvLen bytes)                     |
 * +---------------------------------------------------------------+
 */

/**
 * Parses a sequence of AV_PAIR structures (MS-NLMP 2.2.2.1), little-endian, up to its MsvAvEOL, which is not in the
 * result. Bytes after that are ignored.
 * @throws AuthError if a pair is cut off or MsvAvEOL is missing
 */
export function parseAvPairs(bytes: Buffer): AvPair[] {
  const pairs: AvPair[] = [];
  for (let at = 0; at + HEAD <= bytes.length; ) {
    const id = bytes.readUInt16LE(at);
    const end = at + HEAD + bytes.readUInt16LE(at + 2);
    if (id === AV.EOL) return pairs;
    if (end > bytes.length) break;
    pairs.push([id, bytes.subarray(at + HEAD, end)]);
    at = end;
  }
  throw new AuthError('The target information of an NTLM message is malformed.');
}

/** Writes AV_PAIR structures (MS-NLMP 2.2.2.1), little-endian, and the final MsvAvEOL. */
export function buildAvPairs(pairs: readonly AvPair[]): Buffer {
  const parts = [...pairs, [AV.EOL, Buffer.alloc(0)] as const].map(([id, value]) => {
    const part = Buffer.alloc(HEAD + value.length);
    part.writeUInt16LE(id, 0);
    part.writeUInt16LE(value.length, 2);
    value.copy(part, HEAD);
    return part;
  });
  return Buffer.concat(parts);
}

/** Returns the value of the first pair with that AvId. */
export function avValue(pairs: readonly AvPair[], wanted: number): Buffer | undefined {
  return pairs.find(([id]) => id === wanted)?.[1];
}

/** Returns the value of MsvAvFlags (32 bits); 0 without it. */
export function avFlags(pairs: readonly AvPair[]): number {
  const value = avValue(pairs, AV.Flags);
  return value && value.length >= 4 ? value.readUInt32LE(0) : 0;
}
