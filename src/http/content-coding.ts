import { brotliDecompressSync, constants, gunzipSync, inflateSync } from 'node:zlib';

/**
 * Decodes a body that a server compressed although it was not asked to (RFC 9110 8.4). Also recognises gzip by its
 * first bytes. The start of a body yields the start of its content.
 * @param limit of the content, in bytes
 * @returns the bytes themselves if they are not compressed, cannot be decoded, or exceed the limit
 */
export function decodeContent(bytes: Buffer, coding: string | undefined, limit: number): Buffer {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const name = isGzip ? 'gzip' : (coding ?? '').trim().toLowerCase();
  const zlib = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: limit };
  try {
    switch (name) {
      case 'gzip':
        return gunzipSync(bytes, zlib);
      case 'deflate':
        return inflateSync(bytes, zlib);
      case 'br':
        return brotliDecompressSync(bytes, {
          finishFlush: constants.BROTLI_OPERATION_FLUSH,
          maxOutputLength: limit,
        });
      default:
        return bytes;
    }
  } catch {
    return bytes;
  }
}
