import { EMPTY, type LogField, type LogValues } from './fields.js';
import { WmLogError } from './line.js';

/** A name and a value that are not a field: from a content description or a vendor. @public */
export interface LogPair {
  readonly name: string;
  readonly value: string;
}

/** A vendor's addition to a log, under a name of its own ([MS-WMLOG] 2.4, 3.2). @public */
export interface VendorData {
  readonly name: string;
  readonly pairs: readonly LogPair[];
}

/** The raw contents of a log in XML form, before any value is checked. */
export interface XmlLog {
  /** The text of the `Summary` element: a log line, or empty. */
  readonly summary: string;
  /** The other elements that hold a text, by name; the first of each. */
  readonly elements: ReadonlyMap<string, string>;
  readonly description: readonly LogPair[];
  readonly vendors: readonly VendorData[];
}

/** The maximum length of a log, in characters. */
const MAX_XML = 128 * 1024;
const MAX_ELEMENTS = 512;
/** The maximum number of pairs of a vendor, and in a content description, which servers make as long as they like. */
const MAX_PAIRS = 64;
const MAX_PAIR_VALUE = 1_024;
const MAX_VENDORS = 16;
const NAME = /^[A-Za-z_][\w.-]{0,127}$/;
const DESCRIPTION = 'ContentDescription';

/** Values that the schema fixes for the elements, whatever the line says ([MS-WMLOG] 2.4). */
const FIXED: LogValues = {
  'c-ip': '0.0.0.0',
  's-ip': EMPTY,
  's-dns': EMPTY,
  's-totalclients': EMPTY,
  's-cpu-util': EMPTY,
};

/** The parts of an XML log. */
export interface BuildXmlOptions {
  readonly summary: string;
  /** The elements that follow it, in order. */
  readonly fields: readonly LogField[];
  readonly values: LogValues;
  /** Pairs whose name cannot be an element's are left out, and so are those after the first 64. */
  readonly description?: readonly LogPair[] | undefined;
  readonly vendors?: readonly VendorData[] | undefined;
}

/** Builds a log in XML form: one element per line, with CR LF line ends ([MS-WMLOG] 2.4, 2.8). */
export function buildXml({ summary, fields, values, description = [], vendors = [] }: BuildXmlOptions): string {
  const elements = fields.map((field) => element(field, FIXED[field] ?? values[field] ?? EMPTY));
  const described = pairElements(description);
  const container = described.length === 0 ? [] : [`<${DESCRIPTION}>`, ...described, `</${DESCRIPTION}>`];
  const added = vendors.slice(0, MAX_VENDORS).flatMap(({ name, pairs }) => {
    const own = pairElements(pairs);
    return NAME.test(name) && own.length > 0 ? [`<${name}>`, ...own, `</${name}>`] : [];
  });
  return ['<XML>', element('Summary', summary), ...elements, ...container, ...added, '</XML>', ''].join('\r\n');
}

function pairElements(pairs: readonly LogPair[]): string[] {
  const named = pairs.filter(({ name }) => NAME.test(name)).slice(0, MAX_PAIRS);
  return named.map(({ name, value }) => element(name, value.slice(0, MAX_PAIR_VALUE)));
}

function element(name: string, text: string): string {
  return `<${name}>${escapeXml(text)}</${name}>`;
}

function escapeXml(text: string): string {
  const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  // XML 1.0 cannot represent control characters at all.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to remove
  return text.replace(/[\u0000-\u001f]/g, '').replace(/[&<>"]/g, (char) => named[char]!);
}

/** True if a text is meant to be a log in XML form. */
export function isXmlLog(text: string): boolean {
  return /^\ufeff?\s{0,200}<(?:XML\s{0,20}>|\?xml)/i.test(text);
}

/**
 * Parses a log in XML form as clients write it. Tolerates white space around any tag, elements in any order or
 * repeated, an unescaped `&`, and an end tag that is missing before the next sibling or has lost its slash ([MS-WMLOG]
 * 2.4, appendix note 8).
 *
 * @throws WmLogError if it is not a log, or exceeds 128 KiB, 512 elements, or the nesting of a vendor's data
 */
export function parseXml(text: string): XmlLog {
  if (text.length > MAX_XML) throw new WmLogError(`A log has ${text.length} characters, more than ${MAX_XML}.`);
  return new XmlReader().read(text);
}

/** An open element. */
interface Open {
  readonly name: string;
  /** Pairs within it; undefined as long as it holds only text. */
  pairs: LogPair[] | undefined;
  text: string;
}

class XmlReader {
  #summary: string | undefined;
  readonly #elements = new Map<string, string>();
  readonly #description: LogPair[] = [];
  readonly #vendors: VendorData[] = [];
  readonly #open: Open[] = [];
  #count = 0;

  read(text: string): XmlLog {
    if (!isXmlLog(text)) throw new WmLogError('The text does not begin with <XML>.');
    let at = 0;
    for (;;) {
      const start = text.indexOf('<', at);
      if (start < 0) break;
      const end = text.indexOf('>', start);
      if (end < 0) throw new WmLogError('A tag of the log does not end.');
      const current = this.#open.at(-1);
      if (current) current.text += text.slice(at, start);
      this.#tag(text.slice(start + 1, end).trim());
      at = end + 1;
      if (this.#count > 0 && this.#open.length === 0) break;
    }
    while (this.#open.length > 0) this.#end();
    return {
      summary: this.#summary ?? '',
      elements: this.#elements,
      description: this.#description,
      vendors: this.#vendors.filter(({ pairs }) => pairs.length > 0),
    };
  }

  #tag(tag: string): void {
    if (tag.startsWith('?') || tag.startsWith('!')) return;
    if (tag.startsWith('/')) this.#close(tag.slice(1).trim());
    else {
      const isEmpty = tag.endsWith('/');
      this.#begin((isEmpty ? tag.slice(0, -1) : tag).trim().split(/\s/, 1)[0] ?? '');
      if (isEmpty) this.#end();
    }
  }

  #begin(name: string): void {
    if (!NAME.test(name)) throw new WmLogError('A tag of the log has an impossible name.');
    if (++this.#count > MAX_ELEMENTS) throw new WmLogError(`A log has more than ${MAX_ELEMENTS} elements.`);
    const current = this.#open.at(-1);
    // The grammar of the specification itself has such end tags.
    if (current?.name === name && current.text.trim() !== '') {
      this.#end();
      return;
    }
    // An element with text of its own has no children: its end tag is missing.
    if (current && this.#open.length > 1 && current.text.trim() !== '') this.#end();
    if (this.#open.length >= 3) throw new WmLogError('The elements of a log are nested too deeply.');
    const parent = this.#open.at(-1);
    if (parent && this.#open.length > 1) parent.pairs ??= [];
    this.#open.push({ name, pairs: undefined, text: '' });
  }

  /** Ends the element of that name and those within it; ignores an end tag without a start. */
  #close(name: string): void {
    if (!this.#open.some((each) => each.name.toLowerCase() === name.toLowerCase())) return;
    for (let ended = ''; ended !== name.toLowerCase(); ) ended = this.#end().toLowerCase();
  }

  /** @returns the name of the ended element */
  #end(): string {
    const { name, pairs, text } = this.#open.pop()!;
    const parent = this.#open.at(-1);
    // Control characters would mislead the programs that read the log file later ([MS-WMLOG] 4).
    const value = unescapeXml(text)
      .replace(/\p{Cc}+/gu, ' ')
      .trim();
    if (this.#open.length === 2 && parent) {
      if (parent.pairs && parent.pairs.length < MAX_PAIRS)
        parent.pairs.push({ name, value: value.slice(0, MAX_PAIR_VALUE) });
    } else if (this.#open.length === 1) this.#child(name, pairs, value);
    return name;
  }

  #child(name: string, pairs: readonly LogPair[] | undefined, value: string): void {
    const lower = name.toLowerCase();
    if (lower === 'summary') this.#summary ??= value;
    else if (lower === DESCRIPTION.toLowerCase()) this.#description.push(...(pairs ?? []).slice(0, MAX_PAIRS));
    else if (pairs) {
      if (this.#vendors.length < MAX_VENDORS) this.#vendors.push({ name, pairs });
    } else if (!this.#elements.has(name)) this.#elements.set(name, value);
  }
}

function unescapeXml(text: string): string {
  const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(amp|lt|gt|quot|apos));/gi, (whole, decimal, hex, word) => {
    if (word !== undefined) return named[String(word).toLowerCase()]!;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : whole;
  });
}
