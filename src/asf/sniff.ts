/** Other formats, recognised by their first bytes. */
const signatures: readonly { readonly at: number; readonly bytes: string; readonly name: string }[] = [
  { at: 0, bytes: 'RIFF', name: 'a RIFF file (AVI or WAV)' },
  { at: 0, bytes: '\x1a\x45\xdf\xa3', name: 'Matroska or WebM' },
  { at: 4, bytes: 'ftyp', name: 'MP4' },
  { at: 0, bytes: 'FLV\x01', name: 'Flash video' },
  { at: 0, bytes: 'OggS', name: 'Ogg' },
  { at: 0, bytes: 'ID3', name: 'MP3' },
  { at: 0, bytes: 'fLaC', name: 'FLAC' },
  { at: 0, bytes: '\x00\x00\x01\xba', name: 'an MPEG program stream' },
  { at: 0, bytes: '\x1f\x8b', name: 'gzip data' },
  { at: 0, bytes: '\x89PNG', name: 'a PNG picture' },
  { at: 0, bytes: '\xff\xd8\xff', name: 'a JPEG picture' },
  { at: 0, bytes: '$H', name: 'Windows Media HTTP framing around ASF' },
  { at: 0, bytes: 'HTTP/', name: 'an HTTP answer' },
];

const SHOWN = 24;

/** Names the format of an input that should have been ASF, by its first bytes. */
export function describeBytes(bytes: Buffer): string {
  if (bytes.length === 0) return 'nothing';
  const start = bytes.toString('latin1', 0, 64);
  const known = signatures.find(({ at, bytes: signature }) => start.startsWith(signature, at));
  if (known !== undefined) return known.name;
  if (bytes[0] === 0x47 && (bytes.length <= 188 || bytes[188] === 0x47)) return 'an MPEG transport stream';
  if (/^[\t\r\n\x20-\x7e]+$/.test(start)) return `text that starts with ${JSON.stringify(start.slice(0, SHOWN))}`;
  return `bytes that start with ${bytes.toString('hex', 0, 16)}`;
}
