import { isIP } from 'node:net';
import { WmError } from '../errors.js';
import { decodeBlock, decodeInteger, decodeString, encodeBlock, encodeInteger, encodeString } from './nsc-value.js';

/** An ASF header of an .nsc file. @public */
export interface NscFormat {
  /** 11 bits; packets refer to it. */
  readonly id: number;
  /** The ASF Header Object and the first 50 bytes of the ASF Data Object. */
  readonly header: Buffer;
  readonly description?: string | undefined;
}

/** The contents of an .nsc file: how to receive a multicast ([MS-MSB] 2.2.1.4). @public */
export interface NscFile {
  /** The machine's name, a comma, and the name of the publishing point. */
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  /** The source address of the datagrams. */
  readonly adapter?: string | undefined;
  /** The multicast group, IPv4 or IPv6. */
  readonly address: string;
  readonly port: number;
  /** The IPv4 TTL or IPv6 hop limit of the datagrams. */
  readonly ttl?: number | undefined;
  /** The maximum number of data packets that one parity packet covers. */
  readonly ecc?: number | undefined;
  /** Where players submit their logs, by HTTP. */
  readonly logUrl?: string | undefined;
  /** The URL of the same stream for clients that the multicast does not reach. */
  readonly unicastUrl?: string | undefined;
  readonly allowSplitting?: boolean | undefined;
  readonly allowCaching?: boolean | undefined;
  /** Seconds. */
  readonly cacheExpiration?: number | undefined;
  /** How much a client buffers against network jitter, in ms. */
  readonly networkBuffer?: number | undefined;
  /** One for each ASF header, at least one. */
  readonly formats: readonly NscFormat[];
}

/** The maximum size of an .nsc file, in bytes. */
export const MAX_NSC_SIZE = 4 * 1024 * 1024;
/** The maximum length of a string, in characters; ASF headers may be as long as the file. */
const MAX_STRING = 8 * 1024;
const MAX_FORMATS = 256;
const MAX_LINES = 4096;
const LARGEST_FORMAT_ID = 0x7ff;
const VERSION = '3.0';

/**
 * Builds an .nsc file ([MS-MSB] 2.2.1): ASCII, CR LF line ends, the properties in the order of the specification.
 *
 * @throws WmError WM_FAILED if the address is not a multicast group, the port is 0, the TTL or the span is too large,
 *   two formats have the same ID, or there is no format
 * @public
 */
export function buildNsc(file: NscFile): string {
  checkFile(file);
  const lines: string[] = ['[Address]'];
  const text = (name: string, value: string | undefined) => {
    if (value !== undefined) lines.push(`${name}=${encodeString(value)}`);
  };
  const integer = (name: string, value: number | boolean | undefined) => {
    if (value !== undefined) lines.push(`${name}=${encodeInteger(Number(value), name)}`);
  };
  text('Name', file.name);
  lines.push(`NSC Format Version=${file.version ?? VERSION}`);
  text('Multicast Adapter', file.adapter);
  text('IP Address', file.address);
  integer('IP Port', file.port);
  integer('Time To Live', file.ttl);
  integer('Default Ecc', file.ecc);
  text('Log URL', file.logUrl);
  text('Unicast URL', file.unicastUrl);
  integer('Allow Splitting', file.allowSplitting);
  integer('Allow Caching', file.allowCaching);
  integer('Cache Expiration Time', file.cacheExpiration);
  integer('Network Buffer Time', file.networkBuffer);
  lines.push('[Formats]');
  file.formats.forEach(({ id, header, description }, index) => {
    lines.push(`Format${index + 1}=${encodeBlock(header, id)}`);
    text(`Description${index + 1}`, description);
  });
  return `${lines.join('\r\n')}\r\n`;
}

function checkFile({ address, port, ttl, ecc, version, formats }: NscFile): void {
  const refuse = (what: string): never => {
    throw new WmError('WM_FAILED', `An .nsc file cannot be written: ${what}.`);
  };
  if (!isMulticastAddress(address)) refuse(`${address} is not a multicast address`);
  if (!(Number.isInteger(port) && port > 0 && port <= 0xffff)) refuse(`${port} is not a UDP port`);
  if (ttl !== undefined && !(ttl >= 0 && ttl <= 255)) refuse(`a TTL of ${ttl} is not possible`);
  if (ecc !== undefined && !(ecc >= 1 && ecc <= 15)) refuse(`a parity packet cannot cover ${ecc} packets`);
  if (version !== undefined && version !== VERSION) refuse(`its version is ${VERSION}`);
  const ids = new Set(formats.map(({ id }) => id));
  if (formats.length === 0) refuse('there is no ASF header for it yet');
  if (ids.size < formats.length) refuse('two ASF headers have the same Format ID');
  if (formats.some(({ id }) => !(id >= 0 && id <= LARGEST_FORMAT_ID))) refuse('a Format ID has more than 11 bits');
}

/** True if the address is that of a multicast group: 224.0.0.0/4 or ff00::/8, without a zone. */
export function isMulticastAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return /^2(?:2[4-9]|3\d)\./.test(address);
  return version === 6 && /^ff[0-9a-f]{2}:/i.test(address) && !address.includes('%');
}

/** True if a file or a response starts like an .nsc file. */
export function looksLikeNsc(start: string): boolean {
  return /^\ufeff?\s{0,200}\[Address\][ \t]*\r?\n/i.test(start);
}

/**
 * Reads an .nsc file ([MS-MSB] 2.2.1) as leniently as Windows does: any blanks around `=`, properties in any order,
 * extra ones that older servers write, bare LF line ends.
 *
 * @param name how messages refer to the file
 * @param warn receives a sentence about harmless damage: a wrong checksum of a text that only people read
 * @throws WmError WM_BAD_INPUT if it is not an .nsc file, exceeds 4 MiB, has a property that is too long or has a wrong
 *   checksum, or lacks a section, the group, the port or an ASF header
 * @public
 */
export function parseNsc(text: string, name = 'The .nsc file', warn: (message: string) => void = () => {}): NscFile {
  return new NscReader(name, warn).read(text);
}

class NscReader {
  readonly #name: string;
  readonly #warn: (message: string) => void;
  /** The properties of [Address] by lower-case name. */
  readonly #address = new Map<string, string>();
  readonly #formats = new Map<string, string>();
  readonly #descriptions = new Map<string, string>();

  constructor(name: string, warn: (message: string) => void) {
    this.#name = name;
    this.#warn = warn;
  }

  read(text: string): NscFile {
    if (text.length > MAX_NSC_SIZE) this.#refuse(`is longer than ${MAX_NSC_SIZE} bytes`);
    this.#sort(text.replace(/^\ufeff/, ''));
    const address = this.#text('IP Address') ?? this.#refuse('does not say which group ("IP Address")');
    if (!isMulticastAddress(address)) this.#refuse(`names ${shown(address)}, which is not a multicast address`);
    const port = this.#integer('IP Port', 0xffff);
    if (!port) this.#refuse('does not say which port ("IP Port")');
    const flag = (name: string) => {
      const value = this.#integer(name);
      return value === undefined ? undefined : value !== 0;
    };
    const found: NscFile = {
      name: this.#text('Name', true),
      version: this.#text('NSC Format Version', true),
      adapter: this.#text('Multicast Adapter'),
      address,
      port: port!,
      ttl: this.#integer('Time To Live', 255),
      ecc: this.#integer('Default Ecc') || undefined,
      logUrl: this.#text('Log URL'),
      unicastUrl: this.#text('Unicast URL'),
      allowSplitting: flag('Allow Splitting'),
      allowCaching: flag('Allow Caching'),
      cacheExpiration: this.#integer('Cache Expiration Time'),
      networkBuffer: this.#integer('Network Buffer Time'),
      formats: [...this.#formats].map(([number, value]) => this.#format(number, value)),
    };
    if (found.formats.length === 0) this.#refuse('contains no ASF header ("Format1")');
    if (new Set(found.formats.map(({ id }) => id)).size < found.formats.length) {
      this.#refuse('has two ASF headers with the same Format ID');
    }
    return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as unknown as NscFile;
  }

  /** Sorts the properties into their sections. */
  #sort(text: string): void {
    const lines = text.split(/\r?\n/, MAX_LINES + 1);
    if (lines.length > MAX_LINES) this.#refuse(`has more than ${MAX_LINES} lines`);
    const sections = new Set<string>();
    let section = '';
    for (const line of lines) {
      const label = /^\s*\[(\w{1,20})\]\s*$/.exec(line)?.[1]?.toLowerCase();
      if (label !== undefined) {
        section = label;
        sections.add(label);
        continue;
      }
      const equals = line.indexOf('=');
      if (equals < 0) continue;
      const name = line.slice(0, equals).trim();
      const value = line.slice(equals + 1).trim();
      if (section === 'address') this.#keep(this.#address, name.toLowerCase(), name, value);
      else if (section === 'formats') this.#keepFormat(name, value);
    }
    for (const needed of ['Address', 'Formats']) {
      if (!sections.has(needed.toLowerCase())) this.#refuse(`has no section [${needed}]`);
    }
  }

  #keep(properties: Map<string, string>, key: string, name: string, value: string): void {
    if (value.length > MAX_STRING) {
      this.#refuse(`has ${value.length} characters as "${shown(name)}", where the maximum is ${MAX_STRING}`);
    }
    if (!properties.has(key)) properties.set(key, value);
  }

  #keepFormat(name: string, value: string): void {
    const [, kind, number = ''] = /^(format|description)(\d{1,9})$/i.exec(name) ?? [];
    if (kind?.toLowerCase() === 'description') this.#keep(this.#descriptions, number, name, value);
    if (kind?.toLowerCase() !== 'format' || this.#formats.has(number)) return;
    this.#formats.set(number, value);
    if (this.#formats.size > MAX_FORMATS) this.#refuse(`has more than ${MAX_FORMATS} ASF headers`);
  }

  /** @param forPeople a wrong checksum only causes a warning */
  #text(name: string, forPeople = false): string | undefined {
    return this.#decoded(name, this.#address.get(name.toLowerCase()) ?? '', forPeople);
  }

  #decoded(name: string, value: string, forPeople: boolean): string | undefined {
    return decodeString(value, () => {
      if (!forPeople) this.#refuse(`is damaged: the checksum of "${name}" does not hold`);
      this.#warn(`${this.#name} is damaged: the checksum of "${name}" does not hold.`);
    });
  }

  #integer(name: string, most = 0xffff_ffff): number | undefined {
    const text = this.#address.get(name.toLowerCase()) ?? '';
    if (text === '') return undefined;
    const value = decodeInteger(text);
    if (value === undefined)
      this.#refuse(`has "${shown(text)}" as "${name}", which is not a number such as 0x0000000A`);
    if (value! > most) this.#refuse(`has ${value} as "${name}", where the maximum is ${most}`);
    return value;
  }

  #format(number: string, value: string): NscFormat {
    const name = `Format${number}`;
    const block = decodeBlock(value) ?? this.#refuse(`has a malformed value as "${name}"`);
    if (!block.intact) this.#refuse(`is damaged: the checksum of "${name}" does not hold`);
    if (block.key > LARGEST_FORMAT_ID) this.#refuse(`has a Format ID of more than 11 bits in "${name}"`);
    const description = this.#decoded(`Description${number}`, this.#descriptions.get(number) ?? '', true);
    return { id: block.key, header: block.data, ...(description === undefined ? {} : { description }) };
  }

  #refuse(what: string): never {
    throw new WmError('WM_BAD_INPUT', `${this.#name} ${what}.`);
  }
}

function shown(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, '?');
  return clean.length > 60 ? `${clean.slice(0, 60)}…` : clean;
}
