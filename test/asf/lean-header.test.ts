import fc from 'fast-check';
import { GUID } from '../../src/asf/guid.js';
import {
  type AsfHeader,
  buildHeader,
  DATA_OBJECT_HEAD_SIZE,
  type HeaderObject,
  parseHeader,
} from '../../src/asf/index.js';
import { CARRIED_HEADER_SIZE, PLAYER_HEADER_SIZE, playerHeader } from '../../src/asf/lean-header.js';
import { frameObject, objectBytes } from '../../src/asf/object-tree.js';
import { everyObject, extended, extension, headerWith } from './object-support.js';
import { audio, FILE_ID, fileProperties, header, video } from './support.js';

const bytesOf = (size: number) => ({ kind: 'bytes', value: Buffer.alloc(size, 0x5a) }) as const;
const padding = (size: number): HeaderObject => ({ type: 'padding', data: Buffer.alloc(size - 24) });
const library = (...sizes: readonly (readonly [name: string, size: number])[]): HeaderObject => ({
  type: 'metadataLibrary',
  records: sizes.map(([name, size]) => ({ languageIndex: 0, streamNumber: 0, name, value: bytesOf(size) })),
});
const described = (...sizes: readonly (readonly [name: string, size: number])[]): HeaderObject => ({
  type: 'extendedContentDescription',
  descriptors: sizes.map(([name, size]) => ({ name, value: bytesOf(size) })),
});
const texts = (title: string): HeaderObject => ({
  type: 'contentDescription',
  title,
  author: 'Anna',
  copyright: '',
  description: '',
  rating: '',
});

/** A file of 10 packets of 200 bytes and 100 bytes of index, with audio 1 and video 2. */
function file(...objects: HeaderObject[]): AsfHeader {
  const data = { size: 50n + 2000n, packetCount: 10n };
  const size = header([fileProperties(), audio(1), video(2), ...objects], data).bytes.length;
  const properties = fileProperties({ flags: 2, fileSize: BigInt(size + 2000 + 100), dataPacketsCount: 10n });
  return header([properties, audio(1), video(2), ...objects], data);
}

const types = (objects: readonly HeaderObject[]): string[] => objects.map(({ type }) => type);
const names = (object: HeaderObject | undefined): string[] => {
  if (object?.type === 'metadataLibrary') return object.records.map(({ name }) => name);
  return object?.type === 'extendedContentDescription' ? object.descriptors.map(({ name }) => name) : [];
};
const inExtension = ({ objects }: AsfHeader): readonly HeaderObject[] =>
  objects.flatMap((object) => (object.type === 'headerExtension' ? object.objects : []));

describe('playerHeader', () => {
  it('is the header itself if players accept it', () => {
    const exact = file(padding(PLAYER_HEADER_SIZE - file().bytes.length));
    expect(exact.bytes).toHaveLength(PLAYER_HEADER_SIZE);
    expect(playerHeader(exact)).toBe(exact);
  });

  it('is created once per header', () => {
    const large = file(padding(20_000));
    expect(playerHeader(large)).toBe(playerHeader(large));
  });

  it('first drops padding, in the header and in its extension', () => {
    const lean = playerHeader(
      file(padding(30_000), extension(padding(4000), extended()), described(['WM/Picture', 5000])),
    );
    expect(types(lean.objects)).toEqual([
      'fileProperties',
      'streamProperties',
      'streamProperties',
      'headerExtension',
      'extendedContentDescription',
    ]);
    expect(names(lean.objects.at(-1))).toEqual(['WM/Picture']);
  });

  it('keeps padding that fits', () => {
    const lean = playerHeader(file(padding(20_000), padding(3000)));
    expect(lean.objects.filter(({ type }) => type === 'padding').map((each) => objectBytes(each).length)).toEqual([
      3000,
    ]);
  });

  it.each([
    ['27 KB', 27_000],
    ['133 KB', 133_000],
    ['2 MB', 2_000_000],
    ['30 MB', 30_000_000],
  ])('drops a cover picture of %s, but not the other attributes', (_, size) => {
    const lean = playerHeader(file(extension(library(['a', 3000], ['WM/Picture', size], ['b', 3000]))));
    expect(names(inExtension(lean)[0])).toEqual(['a', 'b']);
  });

  it('drops a banner', () => {
    const banner: HeaderObject = {
      type: 'contentBranding',
      bannerImageType: 2,
      bannerImage: Buffer.alloc(40_000),
      bannerImageUrl: 'http://a.example/',
      copyrightUrl: '',
    };
    expect(types(playerHeader(file(banner)).objects)).not.toContain('contentBranding');
  });

  it('drops the largest attributes and unknown objects, and no more than it has to', () => {
    const unknown: HeaderObject = {
      type: 'unknown',
      guid: 'ab'.repeat(16),
      bytes: frameObject('ab'.repeat(16), Buffer.alloc(9000)),
    };
    const lean = playerHeader(
      file(described(['small', 200], ['large', 4000], ['IsVBR', 4]), library(['other', 2000]), unknown),
    );
    expect(lean.objects.flatMap(names)).toEqual(['small', 'large', 'IsVBR', 'other']);
    expect(types(lean.objects)).not.toContain('unknown');
    const leaner = playerHeader(
      file(described(['small', 200], ['large', 6500], ['IsVBR', 4]), library(['other', 2000])),
    );
    expect(leaner.objects.flatMap(names)).toEqual(['small', 'IsVBR', 'other']);
  });

  it('drops the last of many small attributes', () => {
    const many = Array.from({ length: 3000 }, (_, at) => [`n${at}`, 20] as const);
    const lean = playerHeader(file(described(...many)));
    const kept = lean.objects.flatMap(names);
    expect(kept).toEqual(many.slice(0, kept.length).map(([name]) => name));
    expect(lean.bytes.length).toBeGreaterThan(PLAYER_HEADER_SIZE - 100);
    expect(lean.bytes.length).toBeLessThanOrEqual(PLAYER_HEADER_SIZE);
  });

  it('keeps the beginning of long texts', () => {
    const [long] = playerHeader(file(texts(`${'😀'.repeat(15_000)}`))).objects.filter(
      ({ type }) => type === 'contentDescription',
    );
    expect(long).toMatchObject({ title: `${'😀'.repeat(124)}…`, author: 'Anna' });
  });

  it('drops lists of commands, markers and codecs last', () => {
    const marker = { offset: 0n, presentationTime: 0n, sendTime: 0, flags: 0, description: 'x'.repeat(60) };
    const markers: HeaderObject = {
      type: 'marker',
      reserved: GUID.reserved4,
      name: '',
      markers: Array(40).fill(marker),
    };
    expect(types(playerHeader(file(markers, described(['a', 3000]))).objects)).toContain('marker');
    const more: HeaderObject = { ...markers, markers: Array(200).fill(marker) };
    expect(types(playerHeader(file(more)).objects)).not.toContain('marker');
  });

  it('keeps what a Digital Signature covers', () => {
    const signature: HeaderObject = { type: 'digitalSignature', signatureType: 2, data: Buffer.alloc(368) };
    const covered = [described(['WM/Picture', 5000], ['a', 5000]), padding(2000)];
    const signed = file(...covered, signature, padding(20_000), described(['b', 2000]));
    const lean = playerHeader(signed);
    expect(types(lean.objects)).toEqual([
      'fileProperties',
      'streamProperties',
      'streamProperties',
      'extendedContentDescription',
      'padding',
      'digitalSignature',
      'extendedContentDescription',
    ]);
    const between = (each: AsfHeader) => Buffer.concat(each.objects.slice(1, 5).map(objectBytes));
    expect(between(lean).equals(between(signed))).toBe(true);
  });

  it('fits in one packet if it cannot be as small as the oldest players need it, and loses nothing for that', () => {
    const signature: HeaderObject = { type: 'digitalSignature', signatureType: 2, data: Buffer.alloc(368) };
    const large = described(['WM/Picture', 30_000]);
    const fits = file(large, signature, padding(20_000));
    expect(playerHeader(fits)).toBe(fits);
    const lean = playerHeader(file(large, signature, padding(40_000), padding(10_000)));
    expect(lean.bytes.length).toBeLessThanOrEqual(CARRIED_HEADER_SIZE);
    expect(lean.objects.filter(({ type }) => type === 'padding').map((each) => objectBytes(each).length)).toEqual([
      10_000,
    ]);
  });

  it('is small enough for libmms and MPlayer if it cannot be small enough for xine', () => {
    const signature: HeaderObject = { type: 'digitalSignature', signatureType: 2, data: Buffer.alloc(368) };
    const lean = playerHeader(file(described(['a', 9000]), signature, padding(5000), padding(9000)));
    expect(lean.objects.filter(({ type }) => type === 'padding').map((each) => objectBytes(each).length)).toEqual([
      5000,
    ]);
  });

  it('is as small as possible if it fits nowhere', () => {
    const signature: HeaderObject = { type: 'digitalSignature', signatureType: 2, data: Buffer.alloc(368) };
    const huge = library(['WM/Picture', 80_000]);
    const lean = playerHeader(file(huge, signature, padding(3000), texts('x'.repeat(3000))));
    expect(lean.bytes.length).toBeLessThan(file(huge, signature).bytes.length + 1000);
  });

  it('has correct sizes of the header, its extension and the file, and the number of objects', () => {
    const whole = file(extension(library(['WM/Picture', 20_000], ['a', 40])), padding(5000));
    const lean = playerHeader(whole);
    const own = lean.bytes.subarray(0, lean.bytes.length - DATA_OBJECT_HEAD_SIZE);
    expect(own.readBigUInt64LE(16)).toBe(BigInt(own.length));
    expect(own.readUInt32LE(24)).toBe(lean.objects.length);
    const extensionBytes = objectBytes(lean.objects.find(({ type }) => type === 'headerExtension')!);
    expect(extensionBytes.readUInt32LE(42)).toBe(extensionBytes.length - 46);
    expect(lean.fileProperties.fileSize).toBe(BigInt(lean.bytes.length + 2000 + 100));
    expect(lean.bytes.subarray(-DATA_OBJECT_HEAD_SIZE).equals(whole.bytes.subarray(-DATA_OBJECT_HEAD_SIZE))).toBe(true);
  });

  it('keeps the streams of any header, reads back the same, and fits if possible', () => {
    const object = fc.oneof(
      fc.integer({ min: 24, max: 70_000 }).map(padding),
      fc
        .array(fc.tuple(fc.constantFrom('WM/Picture', 'IsVBR', 'a', 'é'), fc.integer({ min: 0, max: 30_000 })), {
          maxLength: 5,
        })
        .map((each) => described(...each)),
      fc.constantFrom(...everyObject),
      fc.string({ maxLength: 30_000 }).map(texts),
    );
    fc.assert(
      fc.property(fc.array(object, { maxLength: 8 }), fc.array(object, { maxLength: 4 }), (outer, inner) => {
        const whole = file(...outer, extension(extended(), ...inner));
        const lean = playerHeader(whole);
        expect(lean.streams.map(({ number }) => number)).toEqual(whole.streams.map(({ number }) => number));
        expect(parseHeader(lean.bytes).bytes.equals(lean.bytes)).toBe(true);
        expect(lean.bytes.length).toBeLessThanOrEqual(whole.bytes.length);
        const isSigned = [...outer].some(({ type }) => type === 'digitalSignature');
        if (!isSigned) expect(lean.bytes.length).toBeLessThanOrEqual(PLAYER_HEADER_SIZE);
        if (whole.bytes.length <= PLAYER_HEADER_SIZE) expect(lean).toBe(whole);
        expect(lean.fileProperties.fileSize).toBe(BigInt(lean.bytes.length + 2000 + 100));
      }),
      { numRuns: 100 },
    );
  });
});

describe('a header of many parts', () => {
  it('is refused if its objects would fill the memory', () => {
    const objects = Buffer.concat(Array.from({ length: 16_384 }, () => frameObject('ab'.repeat(16), Buffer.alloc(0))));
    expect(() => parseHeader(headerWith(objects))).toThrow(expect.objectContaining({ code: 'WM_ASF_MALFORMED' }));
  });

  it('keeps lists that would fill the memory as bytes, and still reads the others', () => {
    const record = {
      languageIndex: 0,
      streamNumber: 0,
      name: '',
      value: { kind: 'bytes', value: Buffer.alloc(0) },
    } as const;
    const long: HeaderObject = { type: 'metadata', records: Array(16_000).fill(record) };
    const rates: HeaderObject = { type: 'streamBitrateProperties', records: [{ flags: 1, averageBitrate: 77_000 }] };
    const parsed = buildHeader([fileProperties(), audio(1), long, long, long, rates], {
      fileId: FILE_ID,
      size: 50n,
      packetCount: 0n,
    });
    expect(types(parsed.objects)).toEqual([
      'fileProperties',
      'streamProperties',
      'metadata',
      'metadata',
      'unknown',
      'streamBitrateProperties',
    ]);
    expect(parsed.streamBitrates.get(1)).toBe(77_000);
    expect(playerHeader(parsed).bytes.length).toBeLessThanOrEqual(PLAYER_HEADER_SIZE);
  });
});
