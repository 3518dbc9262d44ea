const UTF8 = new TextDecoder('utf-8', { fatal: true });
/** The characters of Windows-1252 where it differs from Latin-1: 0x80 to 0x9f. Decoders of Node.js take it for Latin-1. */
const ANSI = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

/**
 * Decodes a value of a log file that was read as Latin-1: UTF-8, or the ANSI code page of western systems, which
 * servers can be set to write.
 */
export function decodeLogText(latin1: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is the same in all encodings
  if (/^[\u0000-\u007f]*$/.test(latin1)) return latin1;
  try {
    return UTF8.decode(Buffer.from(latin1, 'latin1'));
  } catch {
    return latin1.replace(/[\u0080-\u009f]/g, (char) => ANSI[char.charCodeAt(0) - 0x80]!);
  }
}
