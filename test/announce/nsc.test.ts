import fc from 'fast-check';
import {
  buildNsc,
  isMulticastAddress,
  looksLikeNsc,
  MAX_NSC_SIZE,
  type NscFile,
  parseNsc,
} from '../../src/announce/nsc.js';
import {
  decodeBlock,
  decodeInteger,
  decodeString,
  encodeBlock,
  encodeInteger,
  encodeString,
} from '../../src/announce/nsc-value.js';
import { WmError } from '../../src/errors.js';
import { MsbTransmission } from '../../src/msb/server/transmission.js';
import { liveAudio } from '../msb/support.js';

const HEADER = Buffer.from('an ASF header, as far as this file is concerned');
const FORMAT = `Format1=${encodeBlock(HEADER, 0x39e)}`;

/** The example of MS-MSB 4.3 with our ASF header; all strings are encoded. */
const EXAMPLE = [
  '[Address]',
  'Name=029W000000000YJG1P05y0Gm1F04q0K01L05G0HG1I02m0801Y0700S00000',
  'NSC Format Version=029G0000000008Cm0k0300000',
  'Multicast Adapter=0230000000000UCG0r03S0BW0r03K0BW0n03G0EG0k0340C00o0000',
  'IP Address=020G000000000UCW0p03a0BW0n03a0CW0k03G0E00k0340Dm0v0000',
  'IP Port=0x00004A41',
  'Time To Live=0x00000020',
  'Default Ecc=0x0000000A',
  'Log URL=020W0000000002000',
  'Unicast URL=020W0000000002000',
  'Allow Splitting=0x00000001',
  'Allow Caching=0x00000001',
  'Cache Expiration Time=0x00015180',
  'Network Buffer Time=0x000001F4',
  '[Formats]',
  FORMAT,
  'Description1=029m000000000SLm1f06u0P01l07S0Sm0W04q0PG1a06a0OG0000',
  '',
].join('\r\n');

const minimal = (...more: string[]) =>
  ['[Address]', 'IP Address=239.1.2.3', 'IP Port=0x00001388', ...more, '[Formats]', FORMAT, ''].join('\r\n');
const complete: NscFile = {
  name: 'MY_COMPUTER, bpp',
  adapter: '157.55.149.102',
  address: '239.192.48.179',
  port: 19009,
  ttl: 32,
  ecc: 10,
  logUrl: 'http://logs/log.dll',
  unicastUrl: 'mms://server/live',
  allowSplitting: true,
  allowCaching: false,
  cacheExpiration: 86400,
  networkBuffer: 500,
  formats: [
    { id: 0x39e, header: HEADER, description: 'First' },
    { id: 5, header: Buffer.from('another') },
  ],
};

describe('encoded values', () => {
  it('[MSB-029] [MSB-024] encode 3.0 as the specification does', () => {
    const text = Buffer.from('3.0\0', 'utf16le');
    expect(encodeBlock(text)).toBe('029G0000000008Cm0k0300000');
    const block = decodeBlock('029G0000000008Cm0k0300000')!;
    expect(block).toMatchObject({ key: 0, intact: true });
    expect(block.data).toEqual(text);
    expect(decodeString('029G0000000008Cm0k0300000', () => {})).toBe('3.0');
  });

  it('[MSB-020] [MSB-021] [MSB-022] [MSB-023] [MSB-025] [MSB-026] start with CRC, Key and Length, and are one string of bits', () => {
    const text = encodeBlock(Buffer.from([0xff, 0x01]), 0x39e);
    // 1 + 4 + 4 + 2 bytes at six bits per character, computed independently.
    const bytes = [0xff ^ 0x01 ^ 0x03 ^ 0x9e ^ 0x02, 0, 0, 0x03, 0x9e, 0, 0, 0, 2, 0xff, 0x01];
    const bits = bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');
    const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz{}';
    const groups = bits.match(/.{1,6}/g)!.map((group) => alphabet[Number.parseInt(group.padEnd(6, '0'), 2)]);
    expect(text).toBe(`02${groups.join('')}`);
  });

  it('[MSB-027] pad the last character with zero bits, which are ignored', () => {
    const text = encodeBlock(Buffer.from([1]));
    expect(text.length).toBe(2 + 14);
    const last = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz{}'.indexOf(text.at(-1)!);
    expect(last & 0b1111).toBe(0);
    const spare = text.slice(0, -1) + '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz{}'[last | 0b1111];
    expect(decodeBlock(spare)!.data).toEqual(Buffer.from([1]));
  });

  it('[MSB-015] [MSB-028] are rejected with other characters, or if shorter than the header', () => {
    const good = encodeBlock(Buffer.from('some data'), 3);
    for (const char of ['|', '~', '+', '/', '=', '-', ' ', '\u0100']) {
      expect(decodeBlock(`${good.slice(0, 10)}${char}${good.slice(11)}`)).toBeUndefined();
    }
    for (const text of [
      '',
      '02',
      '0200000000000',
      good.slice(0, -1),
      `${good}00`,
      good.slice(2),
      `01${good.slice(2)}`,
    ]) {
      expect(decodeBlock(text)).toBeUndefined();
    }
  });

  it('survive a round trip, whatever they contain', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(0x7ff), (bytes, key) => {
        const data = Buffer.from(bytes);
        expect(decodeBlock(encodeBlock(data, key))).toEqual({ key, data, intact: true });
      }),
    );
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
        (text) => {
          expect(decodeString(encodeString(text), () => {})).toBe(text || undefined);
        },
      ),
    );
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), (value) => expect(decodeInteger(encodeInteger(value, 'x'))).toBe(value)),
    );
  });

  it('[MSB-018] [MSB-019] are UTF-16LE with a null for all but visible ASCII, and literal for the rest', () => {
    expect(encodeString('MY_COMPUTER,bpp~!')).toBe('MY_COMPUTER,bpp~!');
    // The example of MS-MSB 4.3, except for its checksum, which is wrong there.
    const example = '029W000000000YJG1P05y0Gm1F04q0K01L05G0HG1I02m0801Y0700S00000';
    expect(encodeString('MY_COMPUTER, bpp').slice(4)).toBe(example.slice(4));
    for (const text of ['MY_COMPUTER, bpp', ' a', 'a ', 'a\tb', 'a\u007f', 'a\r\nb']) {
      expect(encodeString(text)).toMatch(/^02[0-9A-Za-z{}]+$/);
      expect(decodeString(encodeString(text), () => {})).toBe(text);
    }
    const encoded = encodeString('Süd');
    expect(decodeBlock(encoded)!.data).toEqual(Buffer.from('Süd\0', 'utf16le'));
    expect(encodeString('02 the channel')).toMatch(/^02[0-9A-Za-z{}]+$/);
    expect(decodeString(encodeString('02 the channel'), () => {})).toBe('02 the channel');
  });
});

describe('.nsc files', () => {
  it('[MSB-004] [MSB-005] [MSB-008] [MSB-009] [MSB-010] [MSB-012] [MSB-031] [MSB-037] have their properties in the order of the specification', () => {
    const lines = buildNsc(complete).split('\r\n');
    expect(lines.at(-1)).toBe('');
    expect(lines.slice(0, 15)).toEqual([
      '[Address]',
      `Name=${encodeBlock(Buffer.from('MY_COMPUTER, bpp\0', 'utf16le'))}`,
      'NSC Format Version=3.0',
      'Multicast Adapter=157.55.149.102',
      'IP Address=239.192.48.179',
      'IP Port=0x00004A41',
      'Time To Live=0x00000020',
      'Default Ecc=0x0000000A',
      'Log URL=http://logs/log.dll',
      'Unicast URL=mms://server/live',
      'Allow Splitting=0x00000001',
      'Allow Caching=0x00000000',
      'Cache Expiration Time=0x00015180',
      'Network Buffer Time=0x000001F4',
      '[Formats]',
    ]);
    expect(lines.slice(15).map((line) => line.split('=')[0])).toEqual(['Format1', 'Description1', 'Format2', '']);
    expect(buildNsc({ ...complete, name: 'Süd, 北', adapter: undefined })).toMatch(/^[\x20-\x7e\r\n]+$/);
    expect(buildNsc(complete).replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
  });

  it('[MSB-013] [MSB-014] [MSB-030] [MSB-032] [MSB-033] [MSB-038] [MSB-039] [MSB-040] are read as written', () => {
    expect(parseNsc(buildNsc(complete))).toEqual({ ...complete, version: '3.0' });
  });

  it('[MSB-013] [MSB-014] [MSB-007] read the encoded example of the specification, and warn of its one wrong checksum', () => {
    const warnings: string[] = [];
    const file = parseNsc(EXAMPLE, 'live.nsc', (message) => warnings.push(message));
    expect(file).toEqual({
      name: expect.stringContaining(', '),
      version: '3.0',
      adapter: '157.55.149.102',
      address: '239.192.48.179',
      port: 19009,
      ttl: 32,
      ecc: 10,
      allowSplitting: true,
      allowCaching: true,
      cacheExpiration: 86400,
      networkBuffer: 500,
      formats: [{ id: 0x39e, header: HEADER, description: 'Windows Media' }],
    });
    expect(warnings).toEqual(['live.nsc is damaged: the checksum of "Name" does not hold.']);
  });

  it.each([
    ['NSC Format Version', '3.0'],
    ['Multicast Adapter', '157.55.149.102'],
    ['IP Address', '239.192.48.179'],
    ['Log URL', ''],
    ['Description1', 'Windows Media'],
  ])('encodes %s as in the example', (name, text) => {
    const value = new RegExp(`^${name}=(.*)\\r$`, 'm').exec(EXAMPLE)![1]!;
    expect(encodeBlock(Buffer.from(`${text}\0`, 'utf16le'))).toBe(value);
  });

  it('[MSB-011] [MSB-110] tolerate blanks, other properties, any order, and bare LF', () => {
    const text = minimal(
      'Player URL = http://h/',
      'Channel Version=0x1',
      ' Time To Live \t= \t0x00000002',
      'NSC URL=x',
    ).replaceAll('\r\n', '\n');
    expect(parseNsc(text)).toMatchObject({ address: '239.1.2.3', port: 5000, ttl: 2, formats: [{ id: 0x39e }] });
    expect(parseNsc(minimal('Log URL =   ', 'Unicast URL=\t')).logUrl).toBeUndefined();
  });

  it('[MSB-006] are rejected without one of the two sections', () => {
    const refusal = (text: string) => {
      try {
        parseNsc(text, 'live.nsc');
      } catch (error) {
        return error instanceof WmError && error.code === 'WM_BAD_INPUT' ? error.message : error;
      }
      return undefined;
    };
    expect(refusal(minimal().replace('[Formats]', ''))).toBe('live.nsc has no section [Formats].');
    expect(refusal(minimal().replace('[Address]', ''))).toBe('live.nsc has no section [Address].');
    expect(refusal('')).toBe('live.nsc has no section [Address].');
    expect(refusal(minimal().replace(FORMAT, ''))).toBe('live.nsc contains no ASF header ("Format1").');
    expect(refusal(minimal().replace(FORMAT, 'Format1=plain'))).toContain('malformed value as "Format1"');
    expect(refusal(minimal().replace('239.1.2.3', '10.0.0.1'))).toContain('not a multicast address');
    expect(refusal(minimal().replace('0x00001388', '5000'))).toContain('not a number such as 0x0000000A');
    expect(refusal(minimal().replace('0x00001388', '0x00011388'))).toContain('the maximum is 65535');
    expect(refusal(minimal().replace(FORMAT, `Format1=${encodeBlock(HEADER, 0x800)}`))).toContain('more than 11 bits');
    expect(refusal(`${minimal()}Format2=${encodeBlock(HEADER, 0x39e)}\r\n`)).toContain('same Format ID');
  });

  it('are rejected with one sentence for a wrong checksum, or a property of a megabyte', () => {
    const broken = FORMAT.replace(/.(?=.{10}$)/, (char) => (char === '0' ? '1' : '0'));
    expect(() => parseNsc(minimal().replace(FORMAT, broken), 'a.nsc')).toThrow(
      'a.nsc is damaged: the checksum of "Format1" does not hold.',
    );
    expect(() => parseNsc(minimal(`Name=${'x'.repeat(1024 * 1024)}`), 'a.nsc')).toThrow(
      'a.nsc has 1048576 characters as "Name", where the maximum is 8192.',
    );
    expect(() => parseNsc('[Address]\r\n'.padEnd(MAX_NSC_SIZE + 1))).toThrow('is longer than');
    expect(() => parseNsc(`[Address]${'\r\nx=1'.repeat(5000)}`)).toThrow('lines');
    expect(() =>
      parseNsc(`${minimal()}${Array.from({ length: 300 }, (_, i) => `Format${i + 2}=x\r\n`).join('')}`),
    ).toThrow('more than 256 ASF headers');
  });

  it('fail only with a WmError, whatever they contain', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(EXAMPLE.length), fc.string({ maxLength: 4 })), { maxLength: 5 }),
        (changes) => {
          let text = EXAMPLE;
          for (const [at, what] of changes) text = text.slice(0, at) + what + text.slice(at + what.length);
          try {
            parseNsc(text);
          } catch (error) {
            expect(error).toMatchObject({ code: 'WM_BAD_INPUT' });
          }
        },
      ),
    );
  });

  it('[MSB-016] [MSB-017] [MSB-042] [MSB-076] contain one encoded FormatN for each header, with an ID of its own; the same content gives the same file', () => {
    const transmission = new MsbTransmission();
    for (const title of ['one', 'two', 'one', 'three']) transmission.header(liveAudio(title));
    const file = { address: 'ff15::7', port: 5000, formats: transmission.formats };
    const text = buildNsc(file);
    const formats = text.split('\r\n').filter((line) => /^Format\d+=02[0-9A-Za-z{}]+$/.test(line));
    expect(formats.length).toBe(3);
    expect(text.split('\r\n').filter((line) => /^Description\d+=/.test(line))).toEqual([
      'Description1=one',
      'Description2=two',
      'Description3=three',
    ]);
    expect(parseNsc(text).formats).toEqual(transmission.formats);
    expect(buildNsc(parseNsc(text))).toBe(text);
  });

  it('are not written with impossible values', () => {
    const bad: Array<Partial<NscFile>> = [
      { address: '10.0.0.1' },
      { port: 0 },
      { ttl: 256 },
      { ecc: 16 },
      { version: '4.0' },
      { formats: [] },
      { formats: [complete.formats[1]!, complete.formats[1]!] },
      { formats: [{ id: 0x800, header: HEADER }] },
      { cacheExpiration: -1 },
    ];
    for (const change of bad) expect(() => buildNsc({ ...complete, ...change })).toThrow(WmError);
  });

  it('are recognized by how they begin', () => {
    expect(looksLikeNsc(EXAMPLE)).toBe(true);
    expect(looksLikeNsc('\ufeff\r\n[address]\n')).toBe(true);
    for (const text of ['', '<asx>', '[Reference]\r\n', 'x [Address]\r\n']) expect(looksLikeNsc(text)).toBe(false);
    const groups = ['224.0.0.0', '224.0.0.1', '232.1.2.3', '239.255.255.255', 'ff02::1', 'FF15::7'];
    expect(groups.every(isMulticastAddress)).toBe(true);
    expect(
      [
        '223.255.255.255',
        '240.0.0.0',
        '2.2.4.0',
        '22.4.0.0',
        '255.255.255.255',
        'fe80::1',
        'ff02::1%lo',
        'localhost',
        '',
      ].some(isMulticastAddress),
    ).toBe(false);
  });
});
