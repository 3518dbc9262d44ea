/** Ms from 1601 to 1970. */
const EPOCH = 11_644_473_600_000n;

/** Converts ms since 1970 to a FILETIME (MS-DTYP 2.3.3): 100 ns units since 1601, 8 bytes, little-endian. */
export function fileTimeBytes(milliseconds: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE((BigInt(Math.floor(milliseconds)) + EPOCH) * 10_000n);
  return bytes;
}
