import type { AsfHeader } from '../asf/header.js';
import { flattenObjects } from '../asf/stream.js';

/** What a header says about the protection of its content. */
export interface Protection {
  /** Such as `DRM`, as the header names it, `extended` and `advanced`. */
  readonly systems: readonly string[];
  /** Where players get a licence, version 1 first. */
  readonly licenseUrls: readonly string[];
  readonly keyIds: readonly string[];
  /** True if the header has a digital signature. */
  readonly signed: boolean;
}

/** The most that is read of the XML of a header, in characters. */
const MAX_XML = 256 * 1024;
const MAX_FOUND = 20;

/**
 * Returns what the Content Encryption Object (asf.md 3.13), the Extended and the Advanced one say; undefined if a header
 * has neither of them nor encrypted streams.
 */
export function protectionOf(header: AsfHeader): Protection | undefined {
  const systems: string[] = [];
  const licenseUrls: string[] = [];
  const keyIds: string[] = [];
  let signed = false;
  for (const object of flattenObjects(header.objects)) {
    switch (object.type) {
      case 'contentEncryption':
        systems.push(object.protectionType || 'unnamed');
        licenseUrls.push(object.licenseUrl);
        keyIds.push(object.keyId);
        break;
      case 'extendedContentEncryption': {
        const xml = xmlIn(object.data);
        systems.push('extended');
        licenseUrls.push(...elements(xml, 'LAINFO'), ...elements(xml, 'LA_URL'));
        keyIds.push(...elements(xml, 'KID'));
        break;
      }
      case 'advancedContentEncryption':
        systems.push('advanced');
        break;
      case 'digitalSignature':
        signed = true;
        break;
    }
  }
  const isEncrypted = header.streams.some(({ encrypted }) => encrypted);
  if (systems.length === 0 && !isEncrypted) return undefined;
  return {
    systems: systems.length === 0 ? ['encrypted streams without a licence'] : systems,
    licenseUrls: distinct(licenseUrls),
    keyIds: distinct(keyIds),
    signed,
  };
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts.filter((text) => text !== ''))].slice(0, MAX_FOUND);
}

/** The data is UTF-16 with or without a byte order mark; some packagers write UTF-8. */
function xmlIn(data: Buffer): string {
  const isWide = data.length >= 2 && (data[1] === 0 || data.readUInt16LE(0) === 0xfeff);
  return data
    .subarray(0, 2 * MAX_XML)
    .toString(isWide ? 'utf16le' : 'utf8')
    .slice(0, MAX_XML);
}

/** Returns the texts of the elements of a name; takes linear time, whatever the text is. */
function elements(xml: string, name: string): string[] {
  const found: string[] = [];
  const [open, close] = [`<${name}>`, `</${name}>`];
  for (let at = xml.indexOf(open); at !== -1 && found.length < MAX_FOUND; at = xml.indexOf(open, at)) {
    const from = at + open.length;
    const to = xml.indexOf(close, from);
    if (to === -1) break;
    found.push(unescaped(xml.slice(from, to).trim()).slice(0, 2_000));
    at = to;
  }
  return found;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescaped(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name]!);
}
