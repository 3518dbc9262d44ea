import { hidePasswords, WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import { isSourceUrl } from './table.js';

/** What feeds a publishing point. */
export type SourceSpec =
  /** A stream of another server or encoder, or an announcement. */
  | { readonly url: string }
  /** A file, a folder or a .wsx playlist, played once for everybody: absolute, or relative to the content folder. */
  | { readonly programme: string }
  /** An encoder that pushes to the point. */
  | { readonly push: true }
  /** A URL, a file, a command or a local M3U that ffmpeg encodes here, while somebody plays it. */
  | { readonly encode: string; readonly profile?: string | undefined; readonly packager?: string | undefined };

/**
 * Reads a source as a configuration writes it: a URL, `push`, or the path of a file, a folder or a playlist.
 *
 * @throws WmError WM_USAGE if it has the form of a URL but is not one of a known kind; the message does not repeat it,
 *   because it may hold a password
 */
export function sourceSpec(written: string | SourceSpec): SourceSpec {
  if (typeof written !== 'string') return written;
  const text = written.trim();
  if (text === 'push') return { push: true };
  if (isUrl(text)) return { url: written };
  // One letter and a colon is a drive of Windows.
  if (text === '' || text.includes('://') || /^[a-z][a-z0-9+.-]+:/i.test(text)) {
    throw new WmError(
      'WM_USAGE',
      'must be a URL such as http://encoder:8080/ or msbd://encoder:7007, or a file, a folder or a .wsx playlist',
    );
  }
  return { programme: text };
}

/** The name of a source for people, without credentials. */
export function sourceName(spec: SourceSpec): string {
  if ('url' in spec) return hidePasswords(takeCredentials(spec.url).url);
  if ('programme' in spec) return spec.programme;
  return 'push' in spec ? 'push' : hidePasswords(spec.encode);
}

function isUrl(text: string): boolean {
  try {
    return isSourceUrl(text) && (!text.includes('://') || URL.canParse(text));
  } catch {
    return false;
  }
}
