import { buildHeader, GUID, parseHeader } from '../../src/asf/index.js';
import { frameObject } from '../../src/asf/object-tree.js';
import { everyObject, headerWith, readBack, utf16 } from './object-support.js';
import { audio, FILE_ID, fileProperties, header, hex, video } from './support.js';

describe('every header object', () => {
  const built = header([fileProperties(), audio(1), video(2), ...everyObject]);

  it('is read back from its encoded fields', () => {
    expect(built.objects).toEqual([fileProperties(), audio(1), video(2), ...everyObject]);
  });

  it('is written back byte for byte', () => {
    const again = buildHeader(parseHeader(built.bytes).objects, built.dataObject);
    expect(again.bytes).toEqual(built.bytes);
  });

  it('is the same if written from a copy of its fields', () => {
    const copies = built.objects.map((object) => ({ ...object }));
    expect(buildHeader(copies, built.dataObject).bytes).toEqual(built.bytes);
  });

  it('keeps reserved fields, missing NULs and trailing bytes when another object is edited', () => {
    const strange = frameObject(
      GUID.contentDescriptionObject,
      Buffer.concat([hex('0200 0000 0000 0000 0000'), utf16('T'), hex('dead')]),
    );
    const parsed = parseHeader(headerWith(strange));
    expect(parsed.objects.at(-1)).toMatchObject({ type: 'contentDescription', title: 'T', author: '' });
    const edited = parsed.objects.map((object) =>
      object.type === 'fileProperties' ? { ...object, flags: 9 } : object,
    );
    const { bytes, fileProperties: file } = buildHeader(edited, parsed.dataObject);
    expect(file.flags).toBe(9);
    expect(bytes.includes(strange)).toBe(true);
  });
});

describe('fields as Microsoft encoders write them', () => {
  it('File Properties', () => {
    const body = hex(`${FILE_ID} f913000000000000 00c0a1b2c3d4c701 ffffffff00000000 0000000000000000 0000000000000000
      b80b000000000000 09000000 58170000 58170000 81f60100`);
    const { bytes } = buildHeader(
      [{ type: 'unknown', guid: '', bytes: frameObject(GUID.filePropertiesObject, body) }, audio(1)],
      { fileId: FILE_ID, size: 50n, packetCount: 0n },
    );
    expect(parseHeader(bytes)).toMatchObject({
      packetSize: 5976,
      broadcast: true,
      preroll: 3000,
      fileId: FILE_ID,
      fileProperties: {
        fileSize: 5113n,
        dataPacketsCount: 0xffff_ffffn,
        playDuration: 0n,
        flags: 9,
        maximumBitrate: 128_641,
      },
    });
  });

  it('Script Command types without NUL, and no command whose type does not exist', () => {
    const body = Buffer.concat([
      hex(`${GUID.reserved3} 0200 0100 0300`),
      utf16('URL'),
      hex('df010000 0000 0800'),
      utf16('http://a'),
      hex('00000000 0500 0100'),
      utf16('x'),
    ]);
    expect(readBack(GUID.scriptCommandObject, body)).toEqual({
      type: 'scriptCommand',
      reserved: GUID.reserved3,
      commandTypes: ['URL'],
      commands: [{ presentationTime: 479, typeIndex: 0, name: 'http://a' }],
    });
  });

  it('Metadata with the name after the fixed fields and a BOOL of 2 bytes', () => {
    const body = Buffer.concat([hex('0100 0000 0200 0800 0200 02000000'), utf16('abc\0'), hex('0100')]);
    expect(readBack(GUID.metadataObject, body)).toMatchObject({
      records: [{ streamNumber: 2, name: 'abc', value: { kind: 'bool', value: true } }],
    });
  });

  it('Extended Content Description with a BOOL of 4 bytes', () => {
    const body = Buffer.concat([hex('0100 0400'), utf16('a\0'), hex('0200 0400 01000000')]);
    expect(readBack(GUID.extendedContentDescriptionObject, body)).toMatchObject({
      descriptors: [{ name: 'a', value: { kind: 'bool', value: true } }],
    });
  });
});
