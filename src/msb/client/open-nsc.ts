import { looksLikeNsc, MAX_NSC_SIZE, type NscFile, parseNsc } from '../../announce/nsc.js';
import { decodeText } from '../../announce/read.js';
import { WmError } from '../../errors.js';
import { type FetchOptions, fetchFile } from '../../http/fetch.js';
import { readSmallFile } from '../../media/small-file.js';

/** @public */
export interface OpenNscOptions extends FetchOptions {
  readonly onNote?: ((text: string) => void) | undefined;
}

/** True if a path or URL ends like that of an .nsc file. */
export function isNscLocation(text: string): boolean {
  return (
    /\.nsc$/i.test(text.trim().split(/[?#]/, 1)[0]!) && /^\s*(?:https?:\/\/|(?![a-z][a-z0-9+.-]+:\/\/))/i.test(text)
  );
}

/**
 * Reads an .nsc file from a path or from an http:// or https:// URL.
 *
 * @throws WmError WM_NO_INPUT if the file does not exist; WM_UNREACHABLE, WM_SERVER_GONE or WM_PROTOCOL if the server
 *   does not deliver it; WM_BAD_INPUT if it is not a usable .nsc file
 * @public
 */
export async function openNsc(location: string, options: OpenNscOptions = {}): Promise<NscFile> {
  const place = location.trim();
  const isRemote = /^https?:\/\//i.test(place);
  const bytes = isRemote ? (await fetchFile(place, options)).body : await readSmallFile(place, MAX_NSC_SIZE);
  // The format is ASCII, but editors add byte order marks.
  const text = decodeText(bytes);
  if (!looksLikeNsc(text))
    throw new WmError('WM_BAD_INPUT', `${place} is not an .nsc file: it does not begin with [Address].`);
  return parseNsc(text, place, options.onNote);
}
