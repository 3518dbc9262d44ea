import { pathToFileURL } from 'node:url';
import { isMediaName } from '../media/names.js';

/** Returns the last part of a URL's path, or its host, as the name of an ASF file in the current folder. */
export function defaultFileName(url: string): string {
  const isUrl = /^\s*[a-z][a-z0-9+.-]+:\/\//i.test(url);
  const { hostname, pathname } = new URL(isUrl ? url.trim().replace(/^[^:]+:/, 'http:') : pathToFileURL(url.trim()));
  const last = pathname.split('/').findLast((part) => part !== '') ?? '';
  const name = decoded(last)
    .replace(/[^\p{L}\p{N}._ -]/gu, '_')
    .replace(/^[.\s-]+/, '')
    .slice(0, 100);
  const base = name === '' ? hostname.replace(/[^\w.-]/g, '_') : name;
  return isMediaName(base) ? base : `${base.replace(/\.(?:asx|wax|wvx|wmx|wsx|nsc|m3u)$/i, '')}.asf`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
