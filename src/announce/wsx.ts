import { type SaxesAttributePlain, SaxesParser } from 'saxes';
import { WmError } from '../errors.js';
import {
  alternativesOf,
  MAX_PLAYLIST_ENTRIES,
  Playlist,
  type PlaylistMedia,
  type PlaylistNode,
} from '../media/playlist.js';

/** The maximum size of a playlist, in bytes, or in characters of a text. */
export const MAX_WSX_SIZE = 1024 * 1024;
/** The placeholder in a wrapper playlist for the URL that the player asked for. */
export const REQUESTED_URL = '%RequestedURL%';

const MAX_DEPTH = 32;
const MAX_ELEMENTS = 4 * MAX_PLAYLIST_ENTRIES;
const MAX_VALUE = 4096;
const MAX_CLIENT_DATA = 32;
const MAX_REPEAT = 1_000_000;
/** Send times are 32 bits of milliseconds, so no file can be longer. */
const MAX_TIME = 0xffff_ffff;

const CONTAINERS = new Set(['smil', 'seq', 'switch']);
// SMIL has several names for the same thing; the server treats them alike.
const MEDIA = new Set(['media', 'ref', 'audio', 'video', 'img', 'animation', 'text', 'textstream']);
const MEDIA_ATTRIBUTES: ReadonlySet<string> = new Set(
  'id src begin end dur clipBegin clipEnd repeatCount noSkip role mediaName'.split(' '),
);
const ATTRIBUTES: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['smil', new Set(['id', 'repeatCount', 'xmlns'])],
  ['seq', new Set(['id', 'repeatCount'])],
  ['switch', new Set(['id'])],
]);
// Windows Media Services knows these. Ignoring them silently would play something other than what was written.
const UNSUPPORTED = new Set(
  'excl priorityClass event begin end dur repeatDur syncEvent endSync noRecede higher lower peers pauseDisplay'.split(
    ' ',
  ),
);

interface RawElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: RawElement[];
  readonly clientData: Map<string, string>;
  readonly place: string;
}

/**
 * Reads a server-side playlist, the subset of SMIL 2.0 that Windows Media Services calls .wsx: `smil`, `seq`, `switch`,
 * `media` (also as `ref`, `audio`, `video`, `img`, …) and `clientData`. Names are case-sensitive. Sources stay as they
 * are written.
 *
 * - `repeatCount` is a number, which is rounded up, or `indefinite`.
 * - `clipBegin` and `clipEnd` are positions in the file; `dur` is how long to play; `begin` is how long to wait after
 *   the previous entry; `end` is when it is over, counted as `begin` is. A time is `1:30:00`, `1:30`, `90s`, `1.5min`,
 *   `1h`, `500ms` or `90` (seconds).
 * - An outer `clientData` takes precedence over an inner one.
 *
 * `source` is the text or its bytes, in UTF-8, or in UTF-16 with a byte order mark; `file` is its name in messages.
 * Document types are rejected, so the only entities are those of XML itself.
 *
 * @throws WmError WM_CONFIG with file, line and column for any violation, and for more than 1 MiB, 10 000 entries, 32
 *   nested elements, or 4096 characters in a value
 */
export function parseWsx(source: string | Uint8Array, file: string): Playlist {
  if (source.length > MAX_WSX_SIZE)
    throw new WmError('WM_CONFIG', `${file}: A playlist is at most ${MAX_WSX_SIZE} bytes long.`);
  const text = typeof source === 'string' ? source : decode(source, file);
  const root = new WsxReader(text.replace(/^\ufeff/, ''), file).read();
  const repeat = repeatOf(root);
  try {
    return new Playlist(itemsOf(root, root.clientData), { repeat });
  } catch (error) {
    // Some rules can be checked only on the complete playlist.
    if (error instanceof WmError && !error.message.startsWith(`${file}:`))
      throw new WmError('WM_CONFIG', `${root.place}: ${error.message}`, { cause: error });
    throw error;
  }
}

function decode(bytes: Uint8Array, file: string): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    throw new WmError('WM_CONFIG', `${file}: The file is not text in UTF-8 or UTF-16.`, { cause: error });
  }
}

/** Turns text into elements, and rejects names and attributes where they are not allowed. */
class WsxReader {
  readonly #text: string;
  readonly #file: string;
  readonly #parser = new SaxesParser({ position: false });
  readonly #stack: RawElement[] = [];
  #root: RawElement | undefined;
  #versioned = false;
  #elements = 0;
  #entries = 0;
  #start = 0;
  #attributes = new Map<string, string>();
  /** How far lines have been counted. */
  readonly #counted = { index: 0, line: 1, lineStart: 0 };

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  read(): RawElement {
    const parser = this.#parser;
    parser.on('error', (error) => this.#fail(this.#here(), `This is not well-formed XML: ${sentence(error.message)}`));
    parser.on('doctype', () => this.#fail(this.#here(), 'A playlist has no document type.'));
    parser.on('processinginstruction', ({ target, body }) => this.#instruction(target, body));
    parser.on('opentagstart', () => {
      this.#start = this.#text.lastIndexOf('<', parser.position - 1);
      this.#attributes = new Map();
    });
    parser.on('attribute', (attribute) => this.#attribute(attribute));
    parser.on('opentag', ({ name }) => this.#open(name));
    parser.on('closetag', () => this.#stack.pop());
    parser.on('text', (text) => this.#characters(text));
    parser.on('cdata', (text) => this.#characters(text));
    parser.write(this.#text).close();
    if (!this.#root) this.#fail(this.#here(), 'The playlist is empty.');
    return this.#root;
  }

  #instruction(target: string, body: string): void {
    if (target !== 'wsx' || this.#root) return;
    if (!/^version\s*=\s*(?:"1\.0"|'1\.0')(?:\s+encoding\s*=\s*(?:"[^"]*"|'[^']*'))?\s*$/.test(body))
      this.#fail(this.#here(), 'The version of the playlist is not 1.0.');
    this.#versioned = true;
  }

  #attribute({ name, value }: SaxesAttributePlain): void {
    if (value.length > MAX_VALUE)
      this.#fail(this.#here(), `The attribute "${shown(name)}" is longer than ${MAX_VALUE} characters.`);
    this.#attributes.set(name, value);
  }

  #open(name: string): void {
    const place = this.#place(this.#start);
    const element: RawElement = { name, attributes: this.#attributes, children: [], clientData: new Map(), place };
    const parent = this.#stack.at(-1);
    if (!this.#versioned) this.#fail(place, 'A server-side playlist begins with <?wsx version="1.0"?>.');
    if (++this.#elements > MAX_ELEMENTS) this.#fail(place, `A playlist has at most ${MAX_ELEMENTS} elements.`);
    if (this.#stack.length >= MAX_DEPTH) this.#fail(place, 'The elements are nested too deep.');
    if (parent === undefined) {
      if (name !== 'smil') this.#fail(place, `The first element is <${shown(name)}>, not <smil>.`);
      this.#root = element;
    } else if (name === 'clientData') {
      this.#clientData(element, parent);
    } else {
      this.#child(element, parent);
    }
    if (name !== 'clientData') this.#checkAttributes(element);
    this.#stack.push(element);
  }

  #child(element: RawElement, parent: RawElement): void {
    const { name, place } = element;
    if (UNSUPPORTED.has(name)) this.#fail(place, `The element <${name}> is not supported.`);
    if (name === 'smil' || !(CONTAINERS.has(name) || MEDIA.has(name)))
      this.#fail(place, `The element <${shown(name)}> is not known here (names are case-sensitive).`);
    if (!CONTAINERS.has(parent.name)) this.#fail(place, `<${name}> is not allowed in <${parent.name}>.`);
    if (MEDIA.has(name) && ++this.#entries > MAX_PLAYLIST_ENTRIES)
      this.#fail(place, `A playlist has at most ${MAX_PLAYLIST_ENTRIES} entries.`);
    parent.children.push(element);
  }

  #clientData({ place, attributes }: RawElement, parent: RawElement): void {
    if (parent.name === 'clientData') this.#fail(place, '<clientData> is not allowed in <clientData>.');
    for (const [name, value] of attributes) if (name !== 'id') parent.clientData.set(name, value);
    if (parent.clientData.size > MAX_CLIENT_DATA)
      this.#fail(place, `An element has at most ${MAX_CLIENT_DATA} values in its <clientData>.`);
  }

  #checkAttributes({ name, attributes, place }: RawElement): void {
    const allowed = ATTRIBUTES.get(name) ?? MEDIA_ATTRIBUTES;
    for (const attribute of attributes.keys()) {
      if (allowed.has(attribute)) continue;
      const verdict = UNSUPPORTED.has(attribute) ? 'is not supported' : 'is not known here (names are case-sensitive)';
      this.#fail(place, `The attribute "${shown(attribute)}" of <${name}> ${verdict}.`);
    }
  }

  #characters(text: string): void {
    if (this.#stack.length > 0 && /\S/.test(text)) this.#fail(this.#here(), 'A playlist holds elements, not text.');
  }

  /** Returns the line and column of an index; successive calls must move forward through the text. */
  #place(index: number): string {
    const counted = this.#counted;
    for (; counted.index < index; counted.index++) {
      const char = this.#text[counted.index];
      if (char !== '\n' && (char !== '\r' || this.#text[counted.index + 1] === '\n')) continue;
      counted.line++;
      counted.lineStart = counted.index + 1;
    }
    return `${this.#file}:${counted.line}:${index - counted.lineStart + 1}`;
  }

  #here(): string {
    return this.#place(Math.min(Math.max(this.#parser.position - 1, this.#counted.index), this.#text.length));
  }

  #fail(place: string, message: string): never {
    throw new WmError('WM_CONFIG', `${place}: ${message}`);
  }
}

/** Turns the parser's message into the end of our sentence; it may quote the file. */
function sentence(message: string): string {
  return `${shown(message.split('\n', 1)[0]!.replace(/\.$/, ''), 120)}.`;
}

function shown(text: string, length = 60): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

function fail({ place }: RawElement, message: string): never {
  throw new WmError('WM_CONFIG', `${place}: ${message}`);
}

function itemsOf(container: RawElement, data: ReadonlyMap<string, string>): PlaylistNode[] {
  return container.children.flatMap((child) => nodesOf(child, joined(child.clientData, data)));
}

/** Merges two maps; the outer one takes precedence. */
function joined(inner: ReadonlyMap<string, string>, outer: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  // Entries without data of their own share one map.
  if (inner.size === 0) return outer;
  return new Map([...inner, ...outer]);
}

function nodesOf(element: RawElement, data: ReadonlyMap<string, string>): PlaylistNode[] {
  if (MEDIA.has(element.name)) return [mediaOf(element, data)];
  const items = itemsOf(element, data);
  if (element.name === 'switch') {
    if (items.length === 0) fail(element, 'A <switch> has nothing to choose from.');
    return [alternativesOf(items)];
  }
  const repeat = repeatOf(element);
  return items.length === 0 ? [] : [{ kind: 'seq', items, repeat }];
}

function mediaOf(element: RawElement, clientData: ReadonlyMap<string, string>): PlaylistNode {
  const { attributes, place } = element;
  const src = attributes.get('src')?.trim();
  if (!src) fail(element, `<${element.name}> needs a src.`);
  const [role, mediaName] = [attributes.get('role'), attributes.get('mediaName')];
  const repeat = repeatOf(element);
  const { delay, ...times } = timesOf(element, repeat);
  const media: PlaylistMedia = {
    kind: 'media',
    sources: [src],
    ...times,
    noSkip: noSkipOf(element),
    ...(role === undefined ? {} : { role }),
    ...(mediaName === undefined ? {} : { mediaName }),
    clientData,
    place,
  };
  const first: PlaylistMedia = delay ? { ...media, delay } : media;
  if (repeat === 1) return first;
  if (!delay) return { kind: 'seq', items: [media], repeat };
  // SMIL waits once, not before every round.
  const rest: PlaylistNode = { kind: 'seq', items: [media], repeat: repeat - 1 };
  return { kind: 'seq', items: [first, rest], repeat: 1 };
}

function timesOf(element: RawElement, repeat: number): Pick<PlaylistMedia, 'begin' | 'end' | 'dur' | 'delay'> {
  const [delay, over] = [timeOf(element, 'begin'), timeOf(element, 'end')];
  const [begin, end] = [timeOf(element, 'clipBegin'), timeOf(element, 'clipEnd')];
  if (end !== undefined && end <= (begin ?? 0)) fail(element, 'clipEnd has to be later than clipBegin.');
  if (over !== undefined && over <= (delay ?? 0)) fail(element, 'end has to be later than begin.');
  if (over !== undefined && repeat > 1) fail(element, 'end and repeatCount cannot be combined; dur is for each round.');
  const given = element.attributes.get('dur')?.trim() === 'indefinite' ? undefined : timeOf(element, 'dur');
  if (given === 0) fail(element, 'dur has to be more than 0.');
  const dur = Math.min(
    given ?? Number.POSITIVE_INFINITY,
    over === undefined ? Number.POSITIVE_INFINITY : over - (delay ?? 0),
  );
  return {
    ...(begin ? { begin } : {}),
    ...(end === undefined ? {} : { end }),
    ...(dur === Number.POSITIVE_INFINITY ? {} : { dur }),
    ...(delay ? { delay } : {}),
  };
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
  ['', 1_000],
  ['ms', 1],
]);

/** A clock value (SMIL 2.0 10.3.1) in ms. */
function timeOf(element: RawElement, attribute: string): number | undefined {
  const written = element.attributes.get(attribute)?.trim();
  if (written === undefined) return undefined;
  const value = attribute.startsWith('clip') ? written.replace(/^npt=/, '') : written.replace(/^\+/, '');
  const clock = /^(?:(\d{1,6}):)?(\d{1,2}):(\d{1,2}(?:\.\d{1,20})?)$/.exec(value);
  const count = /^(\d{1,12}(?:\.\d{1,20})?|\.\d{1,20})(h|min|s|ms)?$/.exec(value);
  let time = Number.NaN;
  if (clock && Number(clock[2]) < 60 && Number(clock[3]) < 60)
    time = (Number(clock[1] ?? 0) * 3600 + Number(clock[2]) * 60 + Number(clock[3])) * 1000;
  else if (count) time = Number(count[1]) * UNITS.get(count[2] ?? '')!;
  if (Number.isNaN(time))
    fail(element, `${attribute}="${shown(written)}" is not a time such as 90s, 1:30 or 0:01:30.5.`);
  if (time > MAX_TIME) fail(element, `${attribute}="${shown(written)}" is too long.`);
  return Math.round(time);
}

function repeatOf(element: RawElement): number {
  const written = element.attributes.get('repeatCount')?.trim();
  if (written === undefined) return 1;
  if (written === 'indefinite') return Number.POSITIVE_INFINITY;
  const repeat = /^\d{1,12}(?:\.\d{1,20})?$/.test(written) ? Math.ceil(Number(written)) : 0;
  if (repeat < 1 || repeat > MAX_REPEAT)
    fail(element, `repeatCount="${shown(written)}" is neither a number from 1 to ${MAX_REPEAT} nor "indefinite".`);
  return repeat;
}

function noSkipOf(element: RawElement): boolean {
  const written = element.attributes.get('noSkip') ?? 'false';
  if (written !== 'true' && written !== 'false')
    fail(element, `noSkip="${shown(written)}" is neither "true" nor "false".`);
  return written === 'true';
}

/**
 * Writes a playlist as {@link parseWsx} reads it, with CR LF line ends. An entry with several sources becomes a
 * `switch`. Reading it again gives the same sequence; characters that XML 1.0 cannot represent are left out.
 *
 * @throws WmError WM_CONFIG if a name in `clientData` cannot be an attribute name
 */
export function buildWsx(playlist: Playlist): string {
  const lines = ['<?wsx version="1.0"?>', `<smil${repeatAttribute(playlist.repeat)}>`];
  for (const item of playlist.items) write(item, '  ', lines);
  lines.push('</smil>', '');
  return lines.join('\r\n');
}

function write(node: PlaylistNode, indent: string, lines: string[]): void {
  if (node.kind === 'media') {
    writeMedia(node, indent, lines);
    return;
  }
  const tag = node.kind;
  lines.push(`${indent}<${tag}${node.kind === 'seq' ? repeatAttribute(node.repeat) : ''}>`);
  for (const item of node.kind === 'seq' ? node.items : node.alternatives) write(item, `${indent}  `, lines);
  lines.push(`${indent}</${tag}>`);
}

function writeMedia(media: PlaylistMedia, indent: string, lines: string[]): void {
  const attributes = mediaAttributes(media);
  const data = clientDataLine(media);
  const tags = media.sources.map((source) => `<media${attribute('src', source)}${attributes}`);
  if (tags.length === 1 && data === undefined) {
    lines.push(`${indent}${tags[0]}/>`);
  } else if (tags.length === 1) {
    lines.push(`${indent}${tags[0]}>`, `${indent}  ${data}`, `${indent}</media>`);
  } else {
    const inner = data === undefined ? [] : [`${indent}  ${data}`];
    lines.push(`${indent}<switch>`, ...inner);
    for (const tag of tags) lines.push(`${indent}  ${tag}/>`);
    lines.push(`${indent}</switch>`);
  }
}

function mediaAttributes({ begin, end, dur, delay, noSkip, role, mediaName }: PlaylistMedia): string {
  const values = [
    ['begin', delay && `${delay}ms`],
    ['clipBegin', begin && `${begin}ms`],
    ['clipEnd', end && `${end}ms`],
    ['dur', dur && `${dur}ms`],
    ['noSkip', noSkip && 'true'],
    ['role', role],
    ['mediaName', mediaName],
  ] as const;
  return values.map(([name, value]) => (typeof value === 'string' ? attribute(name, value) : '')).join('');
}

function clientDataLine({ clientData }: PlaylistMedia): string | undefined {
  if (clientData.size === 0) return undefined;
  const attributes = [...clientData].map(([name, value]) => {
    if (name === 'id' || !/^[A-Za-z_][\w.-]*$/.test(name))
      throw new WmError('WM_CONFIG', `"${shown(name)}" cannot be the name of a value in <clientData>.`);
    return attribute(name, value);
  });
  return `<clientData${attributes.join('')}/>`;
}

function repeatAttribute(repeat: number): string {
  if (repeat === 1) return '';
  return attribute('repeatCount', repeat === Number.POSITIVE_INFINITY ? 'indefinite' : String(repeat));
}

function attribute(name: string, value: string): string {
  // Line ends in a value would be read back as spaces unless written as character references.
  const escaped = value
    // biome-ignore lint/suspicious/noControlCharactersInRegex: XML cannot represent them
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\p{Surrogate}]/gu, '')
    .replace(/[&<>"\t\n\r]/g, (char) => `&#${char.charCodeAt(0)};`);
  return ` ${name}="${escaped}"`;
}
